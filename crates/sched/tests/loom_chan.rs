//! Models of channels and select: the real files (`chan/core.rs`, `chan/wait.rs`, `chan/select.rs`, `chan/buffer.rs`,
//! `waitlist.rs`), on a lock and a way to park that are loom's.
//!
//! What goes through a channel is a number, and what happened before it was sent is written to a cell of loom's, which
//! finds out when who receives the number does not see it.
//!
//! # Safety
//! As in `chan.rs` and `cases.rs`, whose part these tests play: values outlive the runs that they are lent to.
#![cfg(loom)]
#![allow(dead_code, missing_docs, unreachable_pub, unsafe_code, unused_imports)]

#[path = "util/loom.rs"]
mod util;

#[path = "../src/waitlist.rs"]
mod waitlist;

#[path = "../src/chan"]
mod chan {
    #[path = "buffer.rs"]
    pub(crate) mod buffer;
    #[path = "core.rs"]
    pub(crate) mod core;
    #[path = "select.rs"]
    pub(crate) mod select;
    #[path = "wait.rs"]
    pub(crate) mod wait;

    /// `lock.rs` as far as the others see it.
    pub(crate) mod lock {
        pub(crate) struct Lock<T>(loom::sync::Mutex<T>);
        pub(crate) type Guard<'a, T> = loom::sync::MutexGuard<'a, T>;

        impl<T> Lock<T> {
            pub(crate) fn new(value: T) -> Lock<T> {
                Lock(loom::sync::Mutex::new(value))
            }

            pub(crate) fn lock(&self) -> Guard<'_, T> {
                self.0.lock().unwrap()
            }
        }
    }

    /// What the private parts of the others are called from.
    pub(crate) mod model {
        use super::buffer::{Buffer, List, Ring};
        use super::core::{Chan, Dir, Failed, Until};
        use super::select::{Chosen, RawCase, run};
        use gopark_poll::WaitReason;

        pub(crate) fn bounded(cap: usize) -> Chan<usize> {
            Chan::new(Some(cap), Buffer::Ring(Ring::new(cap)), WaitReason::ChanReceive)
        }

        pub(crate) fn unbounded() -> Chan<usize> {
            Chan::new(None, Buffer::List(List::new()), WaitReason::ChanReceive)
        }

        pub(crate) fn close(chan: &Chan<usize>) -> bool {
            chan.core.close()
        }

        pub(crate) fn discard(chan: &Chan<usize>) {
            chan.discard();
        }

        /// A case: a channel, and a value to send there, or None to receive.
        pub(crate) type Case<'a> = (&'a Chan<usize>, Option<usize>);

        /// Runs a select: which case, and what it received (for a send 0), or that the channel is closed.
        pub(crate) fn select<const N: usize>(
            cases: [Case<'_>; N],
            until: Until,
        ) -> Option<(usize, Result<usize, Failed>)> {
            let mut values = cases.map(|(_, value)| value.unwrap_or(0));
            let at = values.as_mut_ptr();
            let mut i = 0;
            let mut raw = cases.map(|(chan, value)| {
                let dir = if value.is_some() { Dir::Send } else { Dir::Recv };
                // SAFETY: see the module; one place for each case.
                let case = unsafe { RawCase::new(chan, dir, at.add(i), None) };
                i += 1;
                case
            });
            let Chosen { index, moved } = run(&mut raw, &mut [0; N], until)?;
            drop(raw);
            // SAFETY: one of the values.
            let value = unsafe { at.add(index).read() };
            Some((index, if moved { Ok(value) } else { Err(Failed::Closed) }))
        }
    }
}

/// `park.rs`, on loom's conditions. (Its way to unpark a thread also wakes one that waits for a lock.)
mod park {
    use gopark_poll::WaitReason;
    use gopark_sys::loom::atomic::{AtomicBool, Ordering};
    use loom::sync::{Arc, Condvar, Mutex};
    use loom::thread;

    /// A semaphore; who waits sees what happened before the unpark, as with the real word.
    pub(crate) struct ParkSlot {
        ready: Mutex<bool>,
        changed: Condvar,
    }

    impl ParkSlot {
        pub(crate) fn armed() -> ParkSlot {
            ParkSlot { ready: Mutex::new(false), changed: Condvar::new() }
        }

        fn leaked() -> &'static ParkSlot {
            Box::leak(Box::new(ParkSlot::armed()))
        }

        fn wait(&self) {
            let mut ready = self.ready.lock().unwrap();
            while !std::mem::take(&mut *ready) {
                ready = self.changed.wait(ready).unwrap();
            }
        }
    }

    pub(crate) fn unpark(slot: &'static ParkSlot) {
        *slot.ready.lock().unwrap() = true;
        slot.changed.notify_one();
    }

    /// The real one's last access is the one that wakes; here there are more, so it does not use the caller's.
    pub(crate) struct ArmedPark(&'static ParkSlot);

    impl ArmedPark {
        pub(crate) unsafe fn new(_own: &ParkSlot) -> ArmedPark {
            ArmedPark(ParkSlot::leaked())
        }

        pub(crate) fn slot(&self) -> &'static ParkSlot {
            self.0
        }

        pub(crate) fn wait(self, _: WaitReason) {
            self.0.wait();
        }
    }

    /// A parker, and a timer that goes off whenever it likes.
    pub(crate) struct Parker {
        slot: &'static ParkSlot,
        expired: Arc<AtomicBool>,
    }

    impl Parker {
        pub(crate) fn current() -> Parker {
            Parker { slot: ParkSlot::leaked(), expired: Arc::new(AtomicBool::new(false)) }
        }

        pub(crate) fn slot(&self) -> &'static ParkSlot {
            self.slot
        }

        pub(crate) fn arm(&self, _when: i64) {
            let (expired, slot) = (Arc::clone(&self.expired), self.slot);
            thread::spawn(move || {
                expired.store(true, Ordering::Relaxed);
                unpark(slot);
            });
        }

        pub(crate) fn is_past(&self, _when: i64) -> bool {
            self.expired.load(Ordering::Relaxed)
        }

        pub(crate) fn disarm(&self) {}

        pub(crate) fn park(&self, _: WaitReason) {
            self.slot.wait();
        }
    }
}

mod sleep {
    pub(crate) fn charge(_units: u32) {}
}

mod m {
    pub(crate) fn cheaprand() -> u32 {
        0
    }
}

use std::sync::Arc;

use chan::core::{Chan, Failed, Until};
use chan::model::{bounded, close, discard, select, unbounded};
use loom::cell::Cell;
use loom::thread;
use util::model;

/// A channel, and what happened before number `i` was sent through it.
struct World {
    a: Chan<usize>,
    b: Chan<usize>,
    before: [Cell<usize>; 4],
}

// SAFETY: the cells are loom's, which sees to it that no two threads use one at a time.
unsafe impl Sync for World {}
// SAFETY: as above.
unsafe impl Send for World {}

impl World {
    fn new(a: Chan<usize>, b: Chan<usize>) -> Arc<World> {
        Arc::new(World { a, b, before: std::array::from_fn(|_| Cell::new(0)) })
    }

    /// Does what comes before sending `i`.
    fn note(&self, i: usize) -> usize {
        self.before[i].set(i + 1);
        i
    }

    /// `i` was received.
    fn check(&self, i: usize) -> usize {
        assert_eq!(self.before[i].get(), i + 1, "what came before the send");
        i
    }
}

/// Runs `f` on a thread of the model.
fn go<T: 'static>(w: &Arc<World>, f: impl FnOnce(&World) -> T + 'static) -> thread::JoinHandle<T> {
    let w = Arc::clone(w);
    thread::spawn(move || f(&w))
}

const FOREVER: Until = Until::Forever;
const TIMED: Until = Until::Deadline(1);

#[test]
fn a_value_goes_from_hand_to_hand() {
    for cap in [0, 1] {
        model(4, move || {
            let w = World::new(bounded(cap), bounded(0));
            let sender = go(&w, |w| w.a.send(w.note(0), FOREVER));
            assert_eq!(w.a.recv(FOREVER).map(|i| w.check(i)), Ok(0));
            assert_eq!(sender.join().unwrap(), Ok(()));
        });
    }
}

/// One of the senders waits for room, whose value the receiver moves.
#[test]
fn each_value_arrives_once() {
    for cap in [0, 1] {
        model(3, move || {
            let w = World::new(bounded(cap), bounded(0));
            let first = go(&w, |w| w.a.send(w.note(0), FOREVER).unwrap());
            let second = go(&w, |w| w.a.send(w.note(1), FOREVER).unwrap());
            let one = w.check(w.a.recv(FOREVER).unwrap());
            let two = w.check(w.a.recv(FOREVER).unwrap());
            assert_eq!(one + two, 1);
            first.join().unwrap();
            second.join().unwrap();
        });
    }
}

#[test]
fn an_unbounded_channel_finds_blocks_for_all() {
    model(3, || {
        let w = World::new(unbounded(), bounded(0));
        let sender = go(&w, |w| w.a.send(w.note(0), FOREVER).unwrap());
        w.a.send(w.note(1), FOREVER).unwrap();
        let one = w.check(w.a.recv(FOREVER).unwrap());
        let two = w.check(w.a.recv(FOREVER).unwrap());
        assert_eq!(one + two, 1);
        sender.join().unwrap();
    });
}

#[test]
fn close_wakes_who_parks_and_who_is_about_to() {
    model(4, || {
        let w = World::new(bounded(0), bounded(0));
        let receiver = go(&w, |w| w.a.recv(FOREVER));
        let sender = go(&w, |w| w.b.send(1, FOREVER));
        assert!(close(&w.a) && close(&w.b));
        assert_eq!(receiver.join().unwrap(), Err(Failed::Closed));
        assert_eq!(sender.join().unwrap(), Err((1, Failed::Closed)));
    });
}

#[test]
fn one_of_two_closes_is_the_first() {
    model(4, || {
        let w = World::new(bounded(0), bounded(0));
        let other = go(&w, |w| close(&w.a));
        let first = close(&w.a);
        assert!(first != other.join().unwrap());
    });
}

/// Either the value arrives, or the sender has it back.
#[test]
fn close_beside_a_send_and_a_receive() {
    for cap in [0, 1] {
        model(3, move || {
            let w = World::new(bounded(cap), bounded(0));
            let sender = go(&w, |w| w.a.send(w.note(0), FOREVER));
            let receiver = go(&w, |w| w.a.recv(FOREVER).map(|i| w.check(i)));
            close(&w.a);
            match (sender.join().unwrap(), receiver.join().unwrap()) {
                (Ok(()), Ok(0)) | (Err((0, Failed::Closed)), Err(Failed::Closed)) => {}
                other => panic!("{other:?}"),
            }
        });
    }
}

/// The last receiver goes while a sender sends: no value is left behind, in the buffer or in a queue.
#[test]
fn who_discards_leaves_nothing_behind() {
    model(4, || {
        let w = World::new(bounded(1), bounded(0));
        let sender = go(&w, |w| (w.a.send(0, FOREVER).is_ok(), w.a.send(1, FOREVER)));
        close(&w.a);
        discard(&w.a);
        let (_, second) = sender.join().unwrap();
        assert_eq!(second, Err((1, Failed::Closed)));
        assert_eq!(w.a.recv(Until::Now), Err(Failed::Closed));
    });
}

/// Closed is said after the values only, also by who looks without the lock.
#[test]
fn try_recv_never_says_closed_before_the_last_value() {
    model(4, || {
        let w = World::new(bounded(1), bounded(0));
        let sender = go(&w, |w| {
            w.a.send(w.note(0), FOREVER).unwrap();
            close(&w.a);
        });
        match w.a.recv(Until::Now) {
            Ok(i) => assert_eq!(w.check(i), 0),
            Err(failed) => assert_eq!(failed, Failed::Timeout),
        }
        sender.join().unwrap();
    });
}

/// Somebody gives up while another serves him: both or neither.
#[test]
fn a_timeout_beside_a_send() {
    model(3, || {
        let w = World::new(bounded(0), bounded(0));
        let sender = go(&w, |w| w.a.send(w.note(0), Until::Now));
        let received = w.a.recv(TIMED).map(|i| w.check(i));
        match (sender.join().unwrap(), received) {
            (Ok(()), Ok(0)) | (Err((0, Failed::Timeout)), Err(Failed::Timeout)) => {}
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_timeout_beside_a_receive() {
    model(3, || {
        let w = World::new(bounded(0), bounded(0));
        let receiver = go(&w, |w| w.a.recv(Until::Now).map(|i| w.check(i)));
        let sent = w.a.send(w.note(0), TIMED);
        match (sent, receiver.join().unwrap()) {
            (Ok(()), Ok(0)) | (Err((0, Failed::Timeout)), Err(Failed::Timeout)) => {}
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_timeout_beside_a_close() {
    model(3, || {
        let w = World::new(bounded(0), bounded(0));
        let closer = go(&w, |w| close(&w.a));
        assert!(w.a.recv(TIMED).is_err());
        assert!(closer.join().unwrap());
        assert_eq!(w.a.recv(TIMED), Err(Failed::Closed));
    });
}

/// Each offers what the other wants, on both channels, in opposite order.
#[test]
fn two_selects_meet_once() {
    model(3, || {
        let w = World::new(bounded(0), bounded(0));
        let other = go(&w, |w| select([(&w.b, None), (&w.a, Some(w.note(0)))], FOREVER).unwrap());
        let (mine, got) = select([(&w.a, None), (&w.b, Some(w.note(1)))], FOREVER).unwrap();
        let (theirs, received) = other.join().unwrap();
        match (mine, theirs) {
            (0, 1) => assert_eq!(w.check(got.unwrap()), 0),
            (1, 0) => assert_eq!(w.check(received.unwrap()), 1),
            both => panic!("the cases {both:?} do not fit"),
        }
    });
}

/// A select that sends and receives on the same channel does not meet itself, but another of its kind.
#[test]
fn a_select_does_not_meet_itself() {
    model(3, || {
        let w = World::new(bounded(0), bounded(0));
        let body = |w: &World, i: usize| select([(&w.a, None), (&w.a, Some(w.note(i)))], FOREVER).unwrap();
        let other = go(&w, move |w| body(w, 1));
        let (mine, got) = body(&w, 0);
        let (theirs, received) = other.join().unwrap();
        assert_eq!(mine + theirs, 1);
        let i = if mine == 0 { got } else { received };
        assert_eq!(w.check(i.unwrap()), if mine == 0 { 1 } else { 0 });
    });
}

/// Two senders end the same wait: one wins, and the other's value is for the next.
#[test]
fn a_select_is_claimed_once() {
    model(3, || {
        let w = World::new(bounded(0), bounded(0));
        let one = go(&w, |w| w.a.send(w.note(0), FOREVER).unwrap());
        let two = go(&w, |w| w.b.send(w.note(1), FOREVER).unwrap());
        let (i, first) = select([(&w.a, None), (&w.b, None)], FOREVER).unwrap();
        assert_eq!(w.check(first.unwrap()), i);
        let (j, second) = select([(&w.a, None), (&w.b, None)], FOREVER).unwrap();
        assert_eq!((w.check(second.unwrap()), j), (1 - i, 1 - i));
        one.join().unwrap();
        two.join().unwrap();
    });
}

/// A close and a send end the same wait; what the select leaves in the other queue harms nobody.
#[test]
fn a_close_beside_a_send_to_the_same_select() {
    model(3, || {
        let w = World::new(bounded(0), bounded(0));
        let closer = go(&w, |w| close(&w.a));
        let sender = go(&w, |w| w.b.send(w.note(1), Until::Now));
        let (i, got) = select([(&w.a, None), (&w.b, None)], FOREVER).unwrap();
        let sent = sender.join().unwrap();
        match i {
            0 => assert_eq!((got, sent), (Err(Failed::Closed), Err((1, Failed::Timeout)))),
            _ => assert_eq!((got.map(|i| w.check(i)), sent), (Ok(1), Ok(()))),
        }
        assert!(closer.join().unwrap());
        assert_eq!(w.b.send(1, Until::Now), Err((1, Failed::Timeout)), "nobody waits any more");
    });
}

#[test]
fn a_select_gives_up_beside_a_send() {
    model(3, || {
        let w = World::new(bounded(0), bounded(0));
        let sender = go(&w, |w| w.b.send(w.note(1), Until::Now));
        let got = select([(&w.a, None), (&w.b, None)], TIMED);
        match (sender.join().unwrap(), got) {
            (Ok(()), Some((1, Ok(i)))) => assert_eq!(w.check(i), 1),
            (Err((1, Failed::Timeout)), None) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(w.a.send(1, Until::Now), Err((1, Failed::Timeout)), "nobody waits any more");
    });
}

/// Go: runtime/chan_test.go TestNonblockSelectRace: at each moment one of the two has a value.
#[test]
fn no_default_while_one_is_always_ready() {
    model(4, || {
        let w = World::new(bounded(1), bounded(1));
        w.a.send(0, Until::Now).unwrap();
        let other = go(&w, |w| {
            w.b.send(1, Until::Now).unwrap();
            let _ = w.a.recv(Until::Now);
        });
        assert!(select([(&w.a, None), (&w.b, None)], Until::Now).is_some());
        other.join().unwrap();
    });
}

/// The lost wake-up there would be if a select looked at its channels, and queued itself, in two steps.
#[test]
fn a_select_parks_beside_a_buffered_send() {
    model(4, || {
        let w = World::new(bounded(1), bounded(1));
        let sender = go(&w, |w| w.b.send(w.note(1), FOREVER).unwrap());
        let (i, got) = select([(&w.a, None), (&w.b, None)], FOREVER).unwrap();
        assert_eq!((i, w.check(got.unwrap())), (1, 1));
        sender.join().unwrap();
    });
}
