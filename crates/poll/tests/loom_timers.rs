//! Models of timers that several threads get hold of at once: armed, stopped, moved, checked by a thief, taken over
//! with a whole heap. Each fires once or was stopped, is in one heap or none, and the poller does not sleep past it.
//!
//! Tried on broken code, each of which a model here finds: `modify` and `remove` that do not look at `home` again under
//! the lock; `add` with a plain store of `home`; `run_due` and `move_all_to` that leave `home` as it was; `move_all_to`
//! that publishes only the heap it empties, or wakes nobody.
#![cfg(loom)]

#[path = "util/model.rs"]
#[allow(clippy::duplicate_mod)]
mod model;

use gopark_poll::{Netpoll, ParkSlot};
use gopark_poll::{ReadyList, Runtime, Timer, TimerKind, Timers, WaitReason, Waiter};
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;
use model::{WORLD, leak};

/// As the models' own, but for which heap is the caller's.
struct TwoHeaps;

static RUNTIME: TwoHeaps = TwoHeaps;

loom::lazy_static! {
    static ref OTHER: &'static Timers = leak(Timers::new());
    /// Whose heap is the other one.
    static ref THEIRS: std::sync::Mutex<Option<thread::ThreadId>> = std::sync::Mutex::new(None);
}

fn use_the_other_heap() {
    *THEIRS.lock().unwrap() = Some(thread::current().id());
}

impl Runtime for TwoHeaps {
    fn gopark(&self, slot: &'static ParkSlot, reason: WaitReason) {
        model::ModelRuntime.gopark(slot, reason);
    }

    fn goready(&self, w: Waiter) {
        model::ModelRuntime.goready(w);
    }

    fn start_task(&self, task: gopark_poll::Task) {
        model::ModelRuntime.start_task(task);
    }

    fn local_timers(&self) -> &'static Timers {
        let theirs = *THEIRS.lock().unwrap() == Some(thread::current().id());
        if theirs { *OTHER } else { WORLD.timers }
    }

    fn wake_net_poller(&self, when: i64) {
        model::ModelRuntime.wake_net_poller(when);
    }

    fn nanotime(&self) -> i64 {
        model::ModelRuntime.nanotime()
    }

    fn charge(&self, _units: u32) {}
}

fn model(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    gopark_poll::install_for_model(&RUNTIME);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.check(f);
}

/// A timer that counts how often it fires.
fn counted() -> (&'static Timer, &'static AtomicUsize) {
    let fired: &'static AtomicUsize = leak(AtomicUsize::new(0));
    let slot: &'static Counter = leak(Counter(fired));
    (leak(Timer::new(TimerKind::Fire(slot))), fired)
}

struct Counter(&'static AtomicUsize);

impl gopark_poll::Fire for Counter {
    fn fire(&'static self, _now: i64, _list: &mut ReadyList) {
        self.0.fetch_add(1, Relaxed);
    }
}

fn check(timers: &Timers, now: i64) -> i64 {
    timers.check(now, &mut ReadyList::new())
}

fn own() -> &'static Timers {
    WORLD.timers
}

/// How many timers there are, and when the first is due, over both heaps.
fn both() -> (usize, i64) {
    let all = [own(), *OTHER];
    let first = all.iter().map(|t| t.wake_time()).filter(|&when| when != 0).min().unwrap_or(0);
    (all.iter().map(|t| t.len()).sum(), first)
}

#[test]
fn a_due_timer_that_two_check_fires_once() {
    model(3, || {
        let (timer, fired) = counted();
        timer.arm(10);
        let thief = thread::spawn(|| check(own(), 10));
        check(own(), 10);
        thief.join().unwrap();
        assert_eq!((fired.load(Relaxed), timer.is_armed(), both()), (1, false, (0, 0)));
    });
}

#[test]
fn a_timer_is_stopped_or_fires() {
    model(3, || {
        let (timer, fired) = counted();
        timer.arm(10);
        let thief = thread::spawn(|| check(own(), 10));
        let stopped = timer.stop();
        thief.join().unwrap();
        assert_eq!(fired.load(Relaxed), usize::from(!stopped));
        assert_eq!((timer.is_armed(), both()), (false, (0, 0)));
    });
}

#[test]
fn a_timer_moved_later_while_it_comes_due_is_armed_at_the_later_time() {
    model(3, || {
        let (timer, fired) = counted();
        timer.arm(10);
        let thief = thread::spawn(|| check(own(), 10));
        timer.arm(1_000);
        thief.join().unwrap();
        // It fired before the move, or not at all.
        assert!(fired.load(Relaxed) <= 1);
        assert_eq!((timer.is_armed(), both()), (true, (1, 1_000)));
        assert!(timer.stop());
    });
}

/// golang/go#44868: whose heap it is in is decided under that heap's lock.
#[test]
fn two_that_arm_the_same_timer_in_different_heaps_leave_it_in_one() {
    model(3, || {
        let (timer, fired) = counted();
        let other = thread::spawn(move || {
            use_the_other_heap();
            timer.arm(10);
        });
        timer.arm(20);
        other.join().unwrap();
        let (count, first) = both();
        assert!((count, fired.load(Relaxed)) == (1, 0) && (first == 10 || first == 20), "{count} at {first}");
        check(own(), 20);
        check(*OTHER, 20);
        assert_eq!((fired.load(Relaxed), both()), (1, (0, 0)));
    });
}

#[test]
fn a_timer_that_is_stopped_while_its_heap_moves_is_in_none() {
    model(2, || {
        let (timer, fired) = counted();
        timer.arm(10);
        let mover = thread::spawn(|| own().move_all_to(*OTHER));
        assert!(timer.stop(), "nobody checks");
        mover.join().unwrap();
        assert_eq!((fired.load(Relaxed), both()), (0, (0, 0)));
    });
}

#[test]
fn a_timer_that_is_armed_anew_while_its_heap_moves_is_in_one_at_the_new_time() {
    model(2, || {
        let (timer, _) = counted();
        timer.arm(1_000);
        let mover = thread::spawn(|| own().move_all_to(*OTHER));
        timer.arm(10);
        mover.join().unwrap();
        assert_eq!((timer.is_armed(), both()), (true, (1, 10)));
        assert!(timer.stop());
    });
}

/// The owner of the heap that goes checks it a last time; a thief checks the one it goes to.
#[test]
fn a_due_timer_whose_heap_moves_fires_once() {
    model(2, || {
        let (timer, fired) = counted();
        timer.arm(10);
        let mover = thread::spawn(|| own().move_all_to(*OTHER));
        check(own(), 10);
        mover.join().unwrap();
        check(*OTHER, 10);
        assert_eq!((fired.load(Relaxed), both()), (1, (0, 0)));
    });
}

/// Two Ps retire into each other: no deadlock, and nothing is lost.
#[test]
fn heaps_that_move_into_each_other_keep_their_timers() {
    model(2, || {
        let (a, b) = (counted(), counted());
        a.0.arm(10);
        let other = thread::spawn(move || {
            use_the_other_heap();
            b.0.arm(20);
            OTHER.move_all_to(own());
        });
        own().move_all_to(*OTHER);
        other.join().unwrap();
        assert_eq!(both(), (2, 10));
    });
}

/// The poller reads one heap after the other, and a timer goes from the one that it reads last to the one that it has
/// read: it is seen, or the poller woken.
#[test]
fn a_poller_does_not_sleep_past_a_timer_that_moves() {
    model(2, || {
        let (timer, fired) = counted();
        timer.arm(10);
        let mover = thread::spawn(|| own().move_all_to(*OTHER));
        let mut ready = ReadyList::new();
        while fired.load(Relaxed) == 0 {
            let until = || {
                let there = OTHER.wake_time();
                if there != 0 { there } else { own().wake_time() }
            };
            let netpoll: &Netpoll = WORLD.netpoll;
            assert!(netpoll.block(until, &mut ready));
            check(own(), 10);
            check(*OTHER, 10);
        }
        mover.join().unwrap();
        assert_eq!((fired.load(Relaxed), both()), (1, (0, 0)));
    });
}
