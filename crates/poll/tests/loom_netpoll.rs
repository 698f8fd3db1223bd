//! Models of the poll word, `wake_pending` and the timers: what is published is seen by the blocking poller.
#![cfg(loom)]

#[path = "util/model.rs"]
mod model;

use gopark_poll::{ReadyList, Timer, TimerKind, Timers};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use loom::thread;
use model::{WORLD, leak, model};

fn idle_timer() -> &'static Timer {
    leak(Timer::new(TimerKind::Call(|_, _, _| (), 0)))
}

/// Polls as a scheduler's last idle thread until `done` says so.
fn poll_until(done: impl Fn() -> bool) {
    let mut ready = ReadyList::new();
    while !done() {
        assert!(WORLD.netpoll.block(|| WORLD.timers.wake_time(), &mut ready));
    }
}

#[test]
fn a_new_timer_is_seen_by_a_poller_that_would_block_for_ever() {
    model(3, || {
        let timer = idle_timer();
        let adder = thread::spawn(move || timer.arm(10));
        poll_until(|| WORLD.timers.wake_time() != 0);
        adder.join().unwrap();
    });
}

#[test]
fn an_earlier_timer_is_seen_by_a_poller_that_sleeps_until_a_later_one() {
    model(3, || {
        let (later, earlier) = (idle_timer(), idle_timer());
        later.arm(1_000);
        let adder = thread::spawn(move || earlier.arm(10));
        poll_until(|| WORLD.timers.wake_time() == 10);
        adder.join().unwrap();
    });
}

#[test]
fn a_timer_moved_earlier_is_seen() {
    model(3, || {
        let timer = idle_timer();
        timer.arm(1_000);
        let mover = thread::spawn(move || timer.arm(10));
        poll_until(|| WORLD.timers.wake_time() == 10);
        mover.join().unwrap();
    });
}

#[test]
fn work_published_before_a_break_is_seen() {
    model(3, || {
        let work = Arc::new(AtomicBool::new(false));
        let waker = {
            let work = work.clone();
            thread::spawn(move || {
                work.store(true, Relaxed);
                WORLD.netpoll.wake();
            })
        };
        poll_until(|| work.load(Relaxed));
        waker.join().unwrap();
    });
}

#[test]
fn a_quick_poll_that_swallows_the_wakers_event_loses_nothing() {
    model(2, || {
        let work = Arc::new(AtomicBool::new(false));
        let waker = {
            let work = work.clone();
            thread::spawn(move || {
                work.store(true, Relaxed);
                WORLD.netpoll.wake();
            })
        };
        let quick = thread::spawn(|| {
            WORLD.netpoll.quick(&mut ReadyList::new());
        });
        poll_until(|| work.load(Relaxed));
        waker.join().unwrap();
        quick.join().unwrap();
    });
}

#[test]
fn two_wakers_are_coalesced_and_both_are_seen() {
    model(2, || {
        let work = Arc::new(AtomicUsize::new(0));
        let wakers: Vec<_> = (0..2)
            .map(|_| {
                let work = work.clone();
                thread::spawn(move || {
                    work.fetch_add(1, Relaxed);
                    WORLD.netpoll.wake();
                })
            })
            .collect();
        poll_until(|| work.load(Relaxed) == 2);
        for t in wakers {
            t.join().unwrap();
        }
    });
}

#[test]
fn of_two_that_want_to_block_one_does_and_the_other_is_told() {
    model(2, || {
        let other = thread::spawn(|| WORLD.netpoll.block(|| 0, &mut ReadyList::new()));
        // Whoever blocks returns because of this; the other returned at once, or blocks afterwards and is
        // woken by the second.
        WORLD.netpoll.wake();
        let here = WORLD.netpoll.block(|| 1, &mut ReadyList::new());
        WORLD.netpoll.wake();
        let there = other.join().unwrap();
        assert!(here || there);
    });
}

#[test]
fn a_timer_armed_by_two_threads_is_in_one_heap() {
    model(3, || {
        let timer = idle_timer();
        let other = thread::spawn(move || timer.arm(20));
        timer.arm(10);
        other.join().unwrap();
        assert_eq!(WORLD.timers.len(), 1);
        assert!(timer.is_armed());
        assert!(timer.stop());
        assert_eq!((WORLD.timers.len(), WORLD.timers.wake_time()), (0, 0));
    });
}

#[test]
fn a_timer_fires_or_is_stopped_never_both() {
    loom::lazy_static! {
        static ref FIRED: AtomicUsize = AtomicUsize::new(0);
    }
    model(3, || {
        let timer = leak(Timer::new(TimerKind::Call(
            |_, _, _| {
                FIRED.fetch_add(1, Relaxed);
            },
            0,
        )));
        timer.arm(5);
        let checker = thread::spawn(|| WORLD.timers.check(10, &mut ReadyList::new()));
        let stopped = timer.stop();
        checker.join().unwrap();
        assert_eq!(FIRED.load(Relaxed), !stopped as usize);
    });
}

#[test]
fn a_timer_is_stopped_wherever_its_heap_has_been_moved_to() {
    model(3, || {
        let other: &'static Timers = leak(Timers::new());
        let timer = idle_timer();
        timer.arm(5);
        let mover = thread::spawn(move || WORLD.timers.move_all_to(other));
        assert!(timer.stop());
        mover.join().unwrap();
        assert_eq!(WORLD.timers.len() + other.len(), 0);
    });
}
