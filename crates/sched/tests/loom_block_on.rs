//! Models of `block_on` and its waker: the real file, and the real slot of gopark-poll, with loom's threads around.
//!
//! A wake-up that is lost leaves a thread parked for ever, which loom reports as a deadlock.
#![cfg(loom)]
#![allow(dead_code, missing_docs, unreachable_pub)]

#[path = "../src/block_on.rs"]
mod block_on;
#[path = "util/loom.rs"]
mod util;

use std::future::poll_fn;
use std::sync::Mutex as StdMutex;
use std::task::{Poll, Waker};

use block_on::block_on;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use loom::sync::{Arc, Mutex};
use loom::thread::{self, Thread};
use util::model;

/// What `block_on.rs` takes from the scheduler.
mod park {
    use gopark_poll::{ParkSlot, Unblock, WaitReason, Waiter};

    use super::{THREADS, thread};

    pub(crate) struct TaskPark(&'static ParkSlot);

    impl TaskPark {
        pub(crate) fn new() -> TaskPark {
            TaskPark(Box::leak(Box::new(ParkSlot::new())))
        }

        pub(crate) fn slot(&self) -> &'static ParkSlot {
            self.0
        }

        pub(crate) fn park(&self, reason: WaitReason) {
            while !self.0.block_with(reason, || true, gopark) {}
        }
    }

    fn gopark(slot: &'static ParkSlot, _reason: WaitReason) {
        let index = {
            let mut threads = THREADS.0.lock().unwrap();
            threads.push(thread::current());
            threads.len() - 1
        };
        if slot.commit(Waiter::from_index(index)) {
            thread::park();
        }
    }

    pub(crate) fn unpark(slot: &'static ParkSlot) {
        if let Some(w) = slot.unblock(Unblock::Ready) {
            let thread = THREADS.0.lock().unwrap()[w.as_index().unwrap()].clone();
            thread.unpark();
        }
    }
}

fn yield_now() {
    thread::yield_now();
}

struct Threads(StdMutex<Vec<Thread>>);

loom::lazy_static! {
    static ref THREADS: Threads = Threads(StdMutex::new(Vec::new()));
}

/// A flag and the waker of who waits for it, as most futures are made: the flag first, then the waker.
#[derive(Default)]
struct Gate {
    open: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Gate {
    fn open(&self) {
        self.open.store(true, Relaxed);
        let waker = self.waker.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn wait(&self) {
        block_on(poll_fn(|cx| {
            *self.waker.lock().unwrap() = Some(cx.waker().clone());
            if self.open.load(Relaxed) { Poll::Ready(()) } else { Poll::Pending }
        }));
    }
}

#[test]
fn a_wake_is_never_lost_and_carries_what_came_before_it() {
    model(3, || {
        let gate = Arc::new(Gate::default());
        let data = Arc::new(AtomicUsize::new(0));
        let opener = {
            let (gate, data) = (gate.clone(), data.clone());
            thread::spawn(move || {
                data.store(1, Relaxed);
                gate.open();
            })
        };
        gate.wait();
        opener.join().unwrap();
        assert_eq!(data.load(Relaxed), 1);
    });
}

#[test]
fn two_wakes_at_once_end_the_wait_and_the_second_harms_nothing() {
    model(2, || {
        let left = Arc::new(AtomicUsize::new(2));
        let mut threads = Vec::new();
        block_on(poll_fn(|cx| {
            while threads.len() < 2 {
                let (left, waker) = (left.clone(), cx.waker().clone());
                threads.push(thread::spawn(move || {
                    left.fetch_sub(1, Relaxed);
                    waker.wake();
                }));
            }
            if left.load(Relaxed) == 0 { Poll::Ready(()) } else { Poll::Pending }
        }));
        for t in threads {
            t.join().unwrap();
        }
    });
}

#[test]
fn a_wake_after_the_end_meets_the_slots_next_user() {
    model(2, || {
        let park = park::TaskPark::new();
        let stale = block_on::waker(park.slot());
        let gate = Arc::new(Gate::default());
        let late = thread::spawn(move || stale.wake());
        let opener = {
            let gate = gate.clone();
            thread::spawn(move || gate.open())
        };
        // As `block_on` does, on the slot that the stale waker knows.
        let waker = block_on::waker(park.slot());
        loop {
            *gate.waker.lock().unwrap() = Some(waker.clone());
            if gate.open.load(Relaxed) {
                break;
            }
            park.park(gopark_poll::WaitReason::BlockOn);
        }
        late.join().unwrap();
        opener.join().unwrap();
    });
}

#[test]
fn a_future_that_wakes_itself_is_polled_again() {
    model(2, || {
        let mut polls = 0;
        let other = Arc::new(Gate::default());
        let opener = {
            let other = other.clone();
            thread::spawn(move || other.open())
        };
        block_on(poll_fn(|cx| {
            polls += 1;
            if polls < 3 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(())
        }));
        other.wait();
        opener.join().unwrap();
    });
}
