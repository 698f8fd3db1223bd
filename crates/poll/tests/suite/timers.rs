//! Timers, by the rules of Go's bugs.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use gopark_poll::{ParkSlot, ReadyList, Timer, TimerKind, WaitReason, sleep_on, when_in};

use crate::setup;
use crate::util::{bounded, until};

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// A slot, and a timer that readies it.
fn alarm() -> (&'static ParkSlot, &'static Timer) {
    let slot = leak(ParkSlot::new());
    (slot, leak(Timer::new(TimerKind::Wake(slot))))
}

#[test]
fn sleep_lasts_at_least_as_long_as_asked() {
    setup();
    bounded(|| {
        let (slot, timer) = alarm();
        for ms in [0, 1, 5, 20] {
            let start = Instant::now();
            sleep_on(slot, timer, Duration::from_millis(ms));
            assert!(start.elapsed() >= Duration::from_millis(ms));
        }
    });
}

#[test]
fn timers_fire_in_the_order_of_their_times() {
    setup();
    bounded(|| {
        // The timers note it themselves: threads that they wake might be overtaken by one another.
        static ORDER: Mutex<Vec<usize>> = Mutex::new(Vec::new());
        fn note(ms: usize, _: i64, _: &mut ReadyList) {
            ORDER.lock().unwrap().push(ms);
        }
        let base = when_in(Duration::from_millis(20));
        for ms in [40, 10, 30, 20, 0] {
            leak(Timer::new(TimerKind::Call(note, ms))).arm(base + ms as i64 * 1_000_000);
        }
        until(|| ORDER.lock().unwrap().len() == 5);
        assert_eq!(*ORDER.lock().unwrap(), [0, 10, 20, 30, 40]);
    });
}

/// 7.4: "Overflow of now+d".
#[test]
fn a_duration_beyond_time_is_never_and_not_now() {
    setup();
    bounded(|| {
        assert_eq!(when_in(Duration::MAX), i64::MAX);
        let (slot, timer) = alarm();
        timer.arm(when_in(Duration::MAX));
        let (other, soon) = alarm();
        sleep_on(other, soon, Duration::from_millis(5));
        assert!(!slot.take_ready());
        assert!(timer.stop());
    });
}

/// 7.4: "when==0 sentinel collisions".
#[test]
fn a_time_of_zero_or_less_has_passed_and_is_not_none() {
    setup();
    bounded(|| {
        for when in [0, -1, i64::MIN] {
            let (slot, timer) = alarm();
            timer.arm(when);
            while !slot.block(WaitReason::Sleep, || true) {}
            assert!(!timer.is_armed());
        }
    });
}

/// 7.4: "Sleep fires before park".
#[test]
fn a_timer_that_fires_before_its_sleeper_parks_is_not_lost() {
    setup();
    bounded(|| {
        let (slot, timer) = alarm();
        timer.arm(1);
        until(|| !timer.is_armed());
        assert!(slot.block(WaitReason::Sleep, || true));
    });
}

#[test]
fn a_timer_moved_earlier_fires_earlier_and_moved_later_fires_later() {
    setup();
    bounded(|| {
        let (slot, timer) = alarm();
        timer.arm(when_in(Duration::from_secs(3600)));
        timer.arm(when_in(Duration::from_millis(2)));
        assert!(slot.block(WaitReason::Sleep, || true));

        let start = Instant::now();
        timer.arm(when_in(Duration::from_millis(200)));
        let first = start.elapsed();
        timer.arm(when_in(Duration::from_millis(300)));
        assert!(slot.block(WaitReason::Sleep, || true));
        // Unless this thread stood still between the two, it is the later of them.
        assert!(first > Duration::from_millis(200) || start.elapsed() >= Duration::from_millis(300));
    });
}

/// 7.4: "Stop/Reset racing a firing timer: return value".
#[test]
fn stop_says_whether_the_timer_will_fire() {
    setup();
    bounded(|| {
        let (slot, timer) = alarm();
        assert!(!timer.stop(), "never armed");
        timer.arm(when_in(Duration::from_secs(3600)));
        assert!(timer.stop());
        assert!(!timer.stop(), "already stopped");
        timer.arm(1);
        assert!(slot.block(WaitReason::Sleep, || true));
        assert!(!timer.stop(), "already fired");
    });
}

#[test]
fn a_stopped_timer_or_a_fired_one_never_both() {
    setup();
    bounded(|| {
        static FIRED: AtomicUsize = AtomicUsize::new(0);
        fn fire(_: usize, _: i64, _: &mut ReadyList) {
            FIRED.fetch_add(1, SeqCst);
        }
        let timer = leak(Timer::new(TimerKind::Call(fire, 0)));
        for round in 0..2_000 {
            FIRED.store(0, SeqCst);
            timer.arm(when_in(Duration::from_nanos(round * 20)));
            if timer.stop() {
                assert_eq!(FIRED.load(SeqCst), 0);
            } else {
                until(|| FIRED.load(SeqCst) == 1);
            }
        }
    });
}

/// 7.4: "Callback under the heap lock".
#[test]
fn a_callback_may_arm_its_own_timer() {
    setup();
    bounded(|| {
        static TIMER: Timer = Timer::new(TimerKind::Call(again, 7));
        static ROUNDS: AtomicUsize = AtomicUsize::new(0);
        fn again(arg: usize, now: i64, _: &mut ReadyList) {
            assert_eq!(arg, 7);
            assert!(!TIMER.is_armed());
            if ROUNDS.fetch_add(1, SeqCst) < 20 {
                // For a time that has passed: it must not keep the checking thread for ever.
                TIMER.arm(now);
            }
        }
        TIMER.arm(1);
        until(|| ROUNDS.load(SeqCst) == 21);
        assert!(!TIMER.stop());
    });
}

/// 7.4: "add to another P's heap after migration", "Netpoll wakes while holding timer state".
#[test]
fn timers_armed_stopped_and_moved_by_many_threads_are_each_in_one_place() {
    setup();
    bounded(|| {
        let (done, finished) = mpsc::channel();
        let timers: Vec<_> = (0..8).map(|_| alarm()).collect();
        let timers = leak(timers);
        for thread in 0..4_usize {
            let done = done.clone();
            thread::spawn(move || {
                for round in 0..3_000_usize {
                    let (_, timer) = timers[(round * 5 + thread) % timers.len()];
                    match (round + thread) % 4 {
                        0 => drop(timer.stop()),
                        1 => timer.arm(1),
                        2 => timer.arm(when_in(Duration::from_micros(50))),
                        _ => timer.arm(when_in(Duration::from_secs(3600))),
                    }
                }
                let _ = done.send(());
            });
        }
        for _ in 0..4 {
            finished.recv().unwrap();
        }
        for (_, timer) in timers {
            timer.stop();
            assert!(!timer.is_armed());
        }
    });
}
