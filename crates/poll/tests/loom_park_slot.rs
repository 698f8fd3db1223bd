//! Models of the park slot: no wake-up is lost between block, commit, unblock and evict.
#![cfg(loom)]

#[path = "util/model.rs"]
mod model;

use gopark_poll::{ParkSlot, Runtime, Unblock, WaitReason, Waiter};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use loom::thread;
use model::{ModelRuntime, leak, model};

fn unblock(slot: &'static ParkSlot, how: Unblock) {
    // A waiter of a claim's: who holds that has to ready it.
    if let Some(w) = slot.unblock(how).filter(|w| *w != CLAIMED.get()) {
        ModelRuntime.goready(w);
    }
}

/// The only waiter of a model, and the name that stands for it while it is claimed.
const WAITER: Index = Index(0);
const CLAIMED: Index = Index(1000);

struct Index(usize);

impl Index {
    fn get(&self) -> Waiter {
        Waiter::from_index(self.0)
    }
}

/// As sched's `park::Claim`: does `f` while the parked waiter cannot be woken.
fn claim(slot: &'static ParkSlot, f: impl FnOnce()) -> bool {
    if !slot.exchange_waiter(WAITER.get(), CLAIMED.get()) {
        return false;
    }
    f();
    if !slot.exchange_waiter(CLAIMED.get(), WAITER.get()) {
        ModelRuntime.goready(WAITER.get());
    }
    true
}

/// A claim at any moment: whatever the waiter owns is the claim's alone meanwhile, and no wake-up is lost.
#[test]
fn a_claimed_waiter_is_not_woken_and_not_forgotten() {
    model(3, || {
        let slot = leak(ParkSlot::new());
        let registers = Arc::new(UnsafeCell::new(()));
        let waker = thread::spawn(move || unblock(slot, Unblock::Ready));
        let dumper = {
            let registers = registers.clone();
            thread::spawn(move || {
                claim(slot, || {
                    registers.with_mut(|_| ()); // loom fails the model if two have access at once
                });
            })
        };
        registers.with_mut(|_| ());
        assert!(slot.block(WaitReason::IoWait, || true));
        registers.with_mut(|_| ());
        waker.join().unwrap();
        dumper.join().unwrap();
    });
}

/// The same for an end without an event, and for the next wait on the same slot.
#[test]
fn a_claim_survives_eviction_and_the_next_wait() {
    model(2, || {
        let slot = leak(ParkSlot::new());
        let closing = Arc::new(AtomicBool::new(false));
        let evictor = {
            let closing = closing.clone();
            thread::spawn(move || {
                closing.store(true, Relaxed);
                unblock(slot, Unblock::Evict);
            })
        };
        let dumper = thread::spawn(move || claim(slot, || {}));
        assert!(!slot.block(WaitReason::IoWait, || !closing.load(Relaxed)));
        evictor.join().unwrap();
        // A late claim finds nobody, or the one that waits again.
        let poller = thread::spawn(move || unblock(slot, Unblock::Ready));
        assert!(slot.block(WaitReason::IoWait, || true));
        poller.join().unwrap();
        dumper.join().unwrap();
    });
}

#[test]
fn a_reason_published_before_evict_ends_the_wait_or_prevents_it() {
    model(3, || {
        let slot = leak(ParkSlot::new());
        let closing = Arc::new(AtomicBool::new(false));
        let evictor = {
            let closing = closing.clone();
            thread::spawn(move || {
                closing.store(true, Relaxed);
                unblock(slot, Unblock::Evict);
            })
        };
        assert!(!slot.block(WaitReason::IoWait, || !closing.load(Relaxed)));
        // The waiter looks at the reason again, as `PollDesc::wait` does, and finds it.
        assert!(closing.load(Relaxed));
        evictor.join().unwrap();
    });
}

#[test]
fn readiness_is_never_lost_and_carries_what_came_before_it() {
    model(3, || {
        let slot = leak(ParkSlot::new());
        let data = Arc::new(AtomicUsize::new(0));
        let poller = {
            let data = data.clone();
            thread::spawn(move || {
                data.store(1, Relaxed);
                unblock(slot, Unblock::Ready);
            })
        };
        assert!(slot.block(WaitReason::IoWait, || true));
        assert_eq!(data.load(Relaxed), 1);
        poller.join().unwrap();
        assert!(!slot.take_ready(), "consumed once");
    });
}

#[test]
fn a_mark_stands_for_every_event_that_found_it_set() {
    model(3, || {
        let slot = leak(ParkSlot::new());
        let data = Arc::new(AtomicUsize::new(0));
        unblock(slot, Unblock::Ready);
        let poller = {
            let data = data.clone();
            thread::spawn(move || {
                data.store(1, Relaxed);
                unblock(slot, Unblock::Ready);
            })
        };
        // A reader: clears the mark, then makes the call; waits only if that finds nothing.
        slot.take_ready();
        while data.load(Relaxed) == 0 {
            assert!(slot.block(WaitReason::IoWait, || true));
        }
        poller.join().unwrap();
    });
}

#[test]
fn readiness_and_eviction_at_once_wake_exactly_once() {
    model(2, || {
        let slot = leak(ParkSlot::new());
        let closing = Arc::new(AtomicBool::new(false));
        let evictor = {
            let closing = closing.clone();
            thread::spawn(move || {
                closing.store(true, Relaxed);
                unblock(slot, Unblock::Evict);
            })
        };
        let poller = thread::spawn(move || unblock(slot, Unblock::Ready));
        let ready = slot.block(WaitReason::IoWait, || !closing.load(Relaxed));
        assert!(ready || closing.load(Relaxed));
        evictor.join().unwrap();
        poller.join().unwrap();
    });
}

#[test]
fn a_waiter_whose_deadline_was_moved_goes_on_waiting() {
    model(2, || {
        let slot = leak(ParkSlot::new());
        let expired = Arc::new(AtomicBool::new(false));
        let deadline = {
            let expired = expired.clone();
            thread::spawn(move || {
                expired.store(true, Relaxed);
                unblock(slot, Unblock::Evict);
                expired.store(false, Relaxed);
                unblock(slot, Unblock::Ready);
            })
        };
        // `PollDesc::wait`: either outcome is right, hanging is not.
        while !slot.block(WaitReason::IoWait, || !expired.load(Relaxed)) {
            if expired.load(Relaxed) {
                break;
            }
        }
        deadline.join().unwrap();
    });
}

/// A slot for one wait after the other, each ended by one unblock: the waiter sees what came before it, also when it
/// comes before the waiter parks, and beside a claim.
#[test]
fn an_armed_slot_waits_for_its_unblock_and_can_be_armed_again() {
    model(3, || {
        let slot = leak(ParkSlot::armed());
        let value = Arc::new(UnsafeCell::new(()));
        for round in 1..=2 {
            let waker = {
                let value = value.clone();
                thread::spawn(move || {
                    value.with_mut(|_| ()); // loom fails the model if the waiter is there at the same time
                    unblock(slot, Unblock::Ready);
                })
            };
            let dumper = (round == 2).then(|| thread::spawn(move || claim(slot, || ())));
            slot.wait_armed(WaitReason::ChanReceive, |slot, reason| ModelRuntime.gopark(slot, reason));
            value.with_mut(|_| ());
            waker.join().unwrap();
            if let Some(dumper) = dumper {
                dumper.join().unwrap();
            }
            slot.rearm();
        }
    });
}
