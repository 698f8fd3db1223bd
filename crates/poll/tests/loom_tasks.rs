//! Models of tasks that wait for a poll descriptor: wakers and callbacks against events, closing, deadlines, and those
//! who park.
//!
//! A wake-up that is lost leaves a thread parked for ever, which loom reports as a deadlock.
#![cfg(loom)]

#[path = "util/model.rs"]
mod model;

use std::sync::Arc;
use std::task::{Poll, Wake, Waker};

use gopark_poll::model::ModelDesc;
use gopark_poll::{Error, FdMutex, Left, Mode, ReadyList, Runtime, TryLockError, tasks_waiting};
use gopark_sys::netpoll::Readiness;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::sync::{Condvar, Mutex};
use loom::thread;
use model::{ModelRuntime, WORLD, leak, model};

const READ: Mode = Mode::Read;

/// A waker's flag. Not loom's `unpark`, which also ends a `join`.
#[derive(Default)]
struct Woken {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Woken {
    fn wait(&self) {
        let mut woken = self.woken.lock().unwrap();
        while !*woken {
            woken = self.changed.wait(woken).unwrap();
        }
        *woken = false;
    }
}

/// One of many wakers that lead to the same flag.
struct Fresh(Arc<Woken>);

impl Wake for Fresh {
    fn wake(self: Arc<Fresh>) {
        *self.0.woken.lock().unwrap() = true;
        self.0.changed.notify_one();
    }
}

fn waker(woken: &Arc<Woken>) -> Waker {
    Arc::new(Fresh(woken.clone())).into()
}

/// Polls until it is ready; with `renew`, with another waker each time.
fn wait(pd: ModelDesc, renew: bool) -> Result<(), Error> {
    let woken = Arc::new(Woken::default());
    let mut own = waker(&woken);
    loop {
        match pd.poll_wait(READ, &own, None)? {
            Poll::Ready(()) => return Ok(()),
            Poll::Pending => woken.wait(),
        }
        if renew {
            own = waker(&woken);
        }
    }
}

fn event(pd: ModelDesc) {
    let mut list = ReadyList::new();
    pd.ready(Readiness::READABLE, &mut list);
    ModelRuntime.goready_all(&mut list);
}

#[test]
fn an_event_finds_the_waker_or_is_found() {
    model(3, || {
        let pd = ModelDesc::open();
        let poller = thread::spawn(move || event(pd));
        assert_eq!(wait(pd, false), Ok(()));
        poller.join().unwrap();
        assert_eq!(pd.prepare(READ), Ok(()));
    });
}

#[test]
fn of_two_events_the_second_finds_the_next_poll() {
    model(2, || {
        let pd = ModelDesc::open();
        let poller = thread::spawn(move || event(pd));
        assert_eq!(wait(pd, true), Ok(()));
        let again = thread::spawn(move || event(pd));
        assert_eq!(wait(pd, true), Ok(()));
        poller.join().unwrap();
        again.join().unwrap();
    });
}

#[test]
fn a_close_wakes_a_task_wherever_it_is() {
    model(3, || {
        let pd = ModelDesc::open();
        let closer = thread::spawn(move || pd.evict());
        assert_eq!(wait(pd, false), Err(Error::NetClosing));
        closer.join().unwrap();
        assert_eq!(tasks_waiting(), 0);
    });
}

#[test]
fn a_close_and_an_event_at_once_leave_no_waker() {
    model(2, || {
        let pd = ModelDesc::open();
        let closer = thread::spawn(move || pd.evict());
        let poller = thread::spawn(move || event(pd));
        if wait(pd, false) == Ok(()) {
            assert_eq!(wait(pd, false), Err(Error::NetClosing));
        }
        closer.join().unwrap();
        poller.join().unwrap();
        assert_eq!(tasks_waiting(), 0);
    });
}

#[test]
fn a_deadline_wakes_a_task() {
    model(3, || {
        let pd = ModelDesc::open();
        assert!(pd.set_deadline(READ, 100));
        let timers = thread::spawn(|| {
            let mut list = ReadyList::new();
            WORLD.timers.check(200, &mut list);
            ModelRuntime.goready_all(&mut list);
        });
        assert_eq!(wait(pd, false), Err(Error::DeadlineExceeded));
        timers.join().unwrap();
        assert_eq!(tasks_waiting(), 0);
    });
}

#[test]
fn a_deadline_that_is_taken_back_does_not_lose_the_event() {
    model(2, || {
        let pd = ModelDesc::open();
        let other = thread::spawn(move || {
            assert!(pd.set_deadline(READ, 1));
            assert!(pd.set_deadline(READ, 0));
            event(pd);
        });
        if let Err(e) = wait(pd, false) {
            assert_eq!(e, Error::DeadlineExceeded);
        }
        other.join().unwrap();
    });
}

#[test]
fn a_new_waker_meets_the_event_of_the_old_one() {
    model(3, || {
        let pd = ModelDesc::open();
        let first = waker(&Arc::default());
        assert!(pd.poll_wait(READ, &first, None).unwrap().is_pending());
        let poller = thread::spawn(move || event(pd));
        // Another thread polls the same from here on: the old waker is of no use to it.
        let second = thread::spawn(move || wait(pd, false));
        assert_eq!(second.join().unwrap(), Ok(()));
        poller.join().unwrap();
    });
}

#[test]
fn a_future_that_is_dropped_leaves_the_event_to_the_next() {
    model(3, || {
        let pd = ModelDesc::open();
        let poller = thread::spawn(move || event(pd));
        let mut ticket = 0;
        let gone = waker(&Arc::default());
        let first = pd.poll_wait(READ, &gone, Some(&mut ticket)).unwrap();
        if ticket != 0 {
            pd.cancel_task(READ, ticket);
        }
        if first.is_pending() {
            assert_eq!(wait(pd, false), Ok(()));
        }
        poller.join().unwrap();
        assert_eq!(tasks_waiting(), 0);
    });
}

#[test]
fn a_future_that_is_dropped_takes_nobody_elses_waker() {
    model(3, || {
        let pd = ModelDesc::open();
        let mut ticket = 0;
        let gone = waker(&Arc::default());
        assert!(pd.poll_wait(READ, &gone, Some(&mut ticket)).unwrap().is_pending());
        let dropper = thread::spawn(move || pd.cancel_task(READ, ticket));
        let other = thread::spawn(move || wait(pd, false));
        dropper.join().unwrap();
        event(pd);
        assert_eq!(other.join().unwrap(), Ok(()));
    });
}

/// Two futures of one task, which therefore have the same waker: what the second finds out by itself must not keep the
/// first from being told.
fn polled_by_one_task(pd: ModelDesc, tickets: bool, rounds: usize) {
    let woken = Arc::new(Woken::default());
    let own = waker(&woken);
    let mut given = [0, 0];
    let mut left = vec![0, 1];
    for _ in 0..rounds {
        let mut first_waits = false;
        left.retain(|&i| {
            let ticket = tickets.then_some(&mut given[i]);
            let pending = matches!(pd.poll_wait(READ, &own, ticket), Ok(Poll::Pending));
            first_waits |= pending && i == 0;
            pending
        });
        if !first_waits {
            return;
        }
        woken.wait();
    }
}

#[test]
fn two_futures_of_one_task_and_an_event() {
    for tickets in [false, true] {
        model(3, move || {
            let pd = ModelDesc::open();
            let poller = thread::spawn(move || event(pd));
            polled_by_one_task(pd, tickets, 1);
            poller.join().unwrap();
        });
    }
}

#[test]
fn two_futures_of_one_task_and_a_deadline() {
    for tickets in [false, true] {
        model(3, move || {
            let pd = ModelDesc::open();
            let other = thread::spawn(move || assert!(pd.set_deadline(READ, 1)));
            polled_by_one_task(pd, tickets, usize::MAX);
            other.join().unwrap();
        });
    }
}

#[test]
fn who_parks_takes_the_place_of_a_task_and_tells_it() {
    model(2, || {
        let pd = ModelDesc::open();
        let woken = Arc::default();
        let task = waker(&woken);
        assert!(pd.poll_wait(READ, &task, None).unwrap().is_pending());
        let poller = thread::spawn(move || event(pd));
        let reader = thread::spawn(move || pd.wait(READ));
        // By the event or by the reader.
        woken.wait();
        poller.join().unwrap();
        assert!(reader.join().unwrap().is_ok());
        assert_eq!(tasks_waiting(), 0);
    });
}

#[test]
fn a_task_that_finds_the_lock_held_is_told_of_the_unlock() {
    model(3, || {
        let pd = ModelDesc::open();
        let mu = leak(FdMutex::new());
        mu.rwlock(READ).unwrap();
        let holder = thread::spawn(move || {
            if mu.rwunlock(READ) == Left::TasksWait {
                pd.tell_tasks();
            }
        });
        let woken = Arc::default();
        let own = waker(&woken);
        loop {
            pd.leave_waker(READ, &own);
            match mu.rwlock_or_tell(READ) {
                Ok(()) => break,
                Err(TryLockError::Held) => woken.wait(),
                Err(TryLockError::Closed) => unreachable!("nobody closes"),
            }
        }
        holder.join().unwrap();
        // Whatever it left.
        let _ = mu.rwunlock(READ);
    });
}

#[test]
fn a_task_that_finds_the_lock_held_is_told_of_a_close() {
    model(3, || {
        let pd = ModelDesc::open();
        let mu = leak(FdMutex::new());
        mu.rwlock(READ).unwrap();
        let closer = thread::spawn(move || {
            mu.incref_and_close().unwrap();
            pd.evict();
            assert_eq!(mu.decref(), Left::InUse);
        });
        let woken = Arc::default();
        let own = waker(&woken);
        loop {
            pd.leave_waker(READ, &own);
            match mu.rwlock_or_tell(READ) {
                Ok(()) => unreachable!("it is held"),
                Err(TryLockError::Held) => woken.wait(),
                Err(TryLockError::Closed) => break,
            }
        }
        closer.join().unwrap();
        assert_eq!(mu.rwunlock(READ), Left::Last);
    });
}

#[test]
fn a_callback_is_called_once_whatever_comes() {
    model(2, || {
        let pd = ModelDesc::open();
        let calls = Arc::new(AtomicUsize::new(0));
        let closer = thread::spawn(move || pd.evict());
        let poller = thread::spawn(move || event(pd));
        let counted = calls.clone();
        pd.call_when_readable(move || {
            counted.fetch_add(1, Relaxed);
        });
        closer.join().unwrap();
        poller.join().unwrap();
        assert_eq!(calls.load(Relaxed), 1);
        assert_eq!(tasks_waiting(), 0);
    });
}

#[test]
fn a_callback_that_takes_the_place_of_a_task_tells_it() {
    model(3, || {
        let pd = ModelDesc::open();
        let woken = Arc::default();
        let task = waker(&woken);
        assert!(pd.poll_wait(READ, &task, None).unwrap().is_pending());
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        let poller = thread::spawn(move || event(pd));
        pd.call_when_readable(move || {
            counted.fetch_add(1, Relaxed);
        });
        // By the event or by the callback.
        woken.wait();
        poller.join().unwrap();
        event(pd);
        assert_eq!(calls.load(Relaxed), 1);
        assert_eq!(tasks_waiting(), 0);
    });
}

/// An event that was for a future that is gone may find the callback before it is known that it waits; it runs then,
/// and the descriptor has its next user.
#[test]
fn a_callback_that_ends_at_once_leaves_nothing_to_the_next_user() {
    model(3, || {
        let pd = ModelDesc::open();
        let gone = waker(&Arc::default());
        let mut ticket = 0;
        assert!(pd.poll_wait(READ, &gone, Some(&mut ticket)).unwrap().is_pending());
        pd.cancel_task(READ, ticket);
        let poller = thread::spawn(move || event(pd));
        pd.call_when_readable(move || {
            pd.evict();
            let next = pd.reuse();
            event(next);
            // What has come is still there.
            assert_eq!(next.wait(READ), Ok(false));
        });
        poller.join().unwrap();
        assert_eq!(tasks_waiting(), 0);
    });
}

#[test]
fn a_callback_and_a_task_behind_it_are_both_told() {
    model(2, || {
        let pd = ModelDesc::open();
        let mu = leak(FdMutex::new());
        mu.rwlock(READ).unwrap();
        let task = thread::spawn(move || {
            let woken = Arc::default();
            let own = waker(&woken);
            loop {
                pd.leave_waker(READ, &own);
                if mu.rwlock_or_tell(READ).is_ok() {
                    break;
                }
                woken.wait();
            }
            let _ = mu.rwunlock(READ);
        });
        let poller = thread::spawn(move || event(pd));
        pd.call_when_readable(move || {
            if mu.rwunlock(READ) == Left::TasksWait {
                pd.tell_tasks();
            }
        });
        poller.join().unwrap();
        task.join().unwrap();
    });
}
