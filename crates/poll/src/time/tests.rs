//! The heaps alone, with no runtime: entries are added to a heap of the test's own.

use super::*;

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

fn timer() -> &'static Timer {
    leak(Timer::new(TimerKind::Call(|_, _, _| (), 0)))
}

fn add(timers: &'static Timers, timer: &'static Timer, when: i64) -> bool {
    match timers.add(Target::Timer(timer), when) {
        Armed::Earliest => true,
        Armed::Later => false,
        Armed::Moved => panic!("it is armed already"),
    }
}

/// 7.4: "wakeTime briefly too late", "minWhenModified never cleared", "cleared too early".
#[test]
fn wake_time_is_always_that_of_the_earliest_and_none_when_empty() {
    let timers = leak(Timers::new());
    assert_eq!(timers.wake_time(), 0);
    let all: Vec<_> = (0..100).map(|_| timer()).collect();
    for (i, t) in all.iter().enumerate() {
        add(timers, t, 1_000 + (i as i64 * 7919) % 100);
    }
    assert_eq!(timers.wake_time(), 1_000);
    for (i, t) in all.iter().enumerate() {
        if (i as i64 * 7919) % 100 < 50 {
            assert!(t.stop());
        }
        assert!(timers.heap.lock().is_sound());
    }
    assert_eq!(timers.wake_time(), 1_050);
    assert_eq!(timers.check(1_060, &mut ReadyList::new()), 1_061);
    assert_eq!(timers.len(), 39);
    for t in &all {
        t.stop();
    }
    assert_eq!((timers.wake_time(), timers.len()), (0, 0));
    assert_eq!(timers.check(i64::MAX, &mut ReadyList::new()), 0);
}

#[test]
fn only_a_new_earliest_asks_for_the_poller() {
    let timers = leak(Timers::new());
    let (a, b, c) = (timer(), timer(), timer());
    assert!(add(timers, a, 100));
    assert!(!add(timers, b, 200));
    assert!(!add(timers, c, 100), "not earlier than what the poller knows");
    assert_eq!(Target::Timer(b).arm(50), Some(50));
    assert_eq!(Target::Timer(b).arm(300), None);
    assert_eq!(timers.wake_time(), 100);
}

/// 7.4: "Skipped entry after removal in scans", "Heap clogged with stopped timers".
#[test]
fn any_order_of_adding_moving_and_removing_keeps_the_heap_sound() {
    let timers = leak(Timers::new());
    let all: Vec<_> = (0..64).map(|_| timer()).collect();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut armed = 0;
    for _ in 0..20_000 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let t = all[(random % 64) as usize];
        let when = 1 + (random >> 8 & 0xff) as i64;
        match (random >> 16) % 3 {
            0 => armed -= t.stop() as usize,
            _ if t.is_armed() => drop(Target::Timer(t).arm(when)),
            _ => {
                add(timers, t, when);
                armed += 1;
            }
        }
        assert_eq!(timers.len(), armed);
        assert!(timers.heap.lock().is_sound());
    }
}

#[test]
fn due_timers_fire_in_the_order_of_their_times() {
    let timers = leak(Timers::new());
    let fired: &'static parking_lot::Mutex<Vec<usize>> = {
        static FIRED: parking_lot::Mutex<Vec<usize>> = parking_lot::Mutex::new(Vec::new());
        fn fire(arg: usize, _: i64, _: &mut ReadyList) {
            FIRED.lock().push(arg);
        }
        for i in 0..200_usize {
            let arg = (i * 61) % 200;
            add(timers, leak(Timer::new(TimerKind::Call(fire, arg))), 1 + arg as i64);
        }
        &FIRED
    };
    assert_eq!(timers.check(100, &mut ReadyList::new()), 101);
    assert_eq!(*fired.lock(), (0..100).collect::<Vec<_>>());
}

/// 7.4: "add to another P's heap after migration": the entry names its heap, whoever asks.
#[test]
fn a_moved_heap_takes_its_timers_along() {
    let (from, to) = (leak(Timers::new()), leak(Timers::new()));
    let all: Vec<_> = (0..20).map(|_| timer()).collect();
    for (i, t) in all.iter().enumerate() {
        add(from, t, 1_000 + i as i64);
    }
    add(to, timer(), 500);
    from.move_all_to(to);
    assert_eq!((from.wake_time(), from.len()), (0, 0));
    assert_eq!((to.wake_time(), to.len()), (500, 21));
    assert!(to.heap.lock().is_sound());
    assert!(all[3].stop());
    assert_eq!(Target::Timer(all[4]).arm(1), Some(1));
    assert_eq!((to.wake_time(), to.len()), (1, 20));
    to.move_all_to(to);
    assert_eq!(to.len(), 20);
}

#[test]
fn a_check_does_not_go_on_for_ever_when_a_callback_arms_itself_in_the_past() {
    static TIMERS: Timers = Timers::new();
    static TIMER: Timer = Timer::new(TimerKind::Call(again, 0));
    fn again(_: usize, _: i64, _: &mut ReadyList) {
        add(&TIMERS, &TIMER, 1);
    }
    add(&TIMERS, &TIMER, 1);
    assert_eq!(TIMERS.check(10, &mut ReadyList::new()), 1);
}

#[test]
fn a_check_with_nothing_due_takes_no_lock() {
    let timers = leak(Timers::new());
    add(timers, timer(), 100);
    let _held = timers.heap.lock();
    assert_eq!(timers.check(99, &mut ReadyList::new()), 100);
}
