//! Models of a poll descriptor: waiting against closing, deadlines, cancels, events, and the next use of the slot.
#![cfg(loom)]

#[path = "util/model.rs"]
mod model;

use gopark_poll::model::ModelDesc;
use gopark_poll::{CancelReason, Error, Mode, ReadyList, Runtime};
use gopark_sys::netpoll::Readiness;
use loom::thread;
use model::{ModelRuntime, WORLD, model};

const READ: Mode = Mode::Read;

/// What the poller's thread does with what became ready.
fn ready_all(mut list: ReadyList) {
    ModelRuntime.goready_all(&mut list);
}

/// Runs the timers that are due at `now`.
fn check(now: i64) {
    let mut list = ReadyList::new();
    WORLD.timers.check(now, &mut list);
    ready_all(list);
}

fn event(pd: ModelDesc, readiness: Readiness) {
    let mut list = ReadyList::new();
    pd.ready(readiness, &mut list);
    ready_all(list);
}

#[test]
fn a_close_ends_a_wait_wherever_it_is() {
    model(3, || {
        let pd = ModelDesc::open();
        let closer = thread::spawn(move || pd.evict());
        assert_eq!(pd.wait(READ), Err(Error::NetClosing));
        closer.join().unwrap();
    });
}

#[test]
fn a_close_and_an_event_at_once_end_a_wait_and_leave_it_closed() {
    model(2, || {
        let pd = ModelDesc::open();
        let closer = thread::spawn(move || pd.evict());
        let poller = thread::spawn(move || event(pd, Readiness::READABLE));
        if let Err(e) = pd.wait(READ) {
            assert_eq!(e, Error::NetClosing);
        }
        closer.join().unwrap();
        poller.join().unwrap();
        assert_eq!(pd.prepare(READ), Err(Error::NetClosing));
    });
}

#[test]
fn a_deadline_that_fires_ends_a_wait() {
    model(3, || {
        let pd = ModelDesc::open();
        assert!(pd.set_deadline(READ, 100));
        let timers = thread::spawn(|| check(200));
        assert_eq!(pd.wait(READ), Err(Error::DeadlineExceeded));
        timers.join().unwrap();
        assert_eq!(pd.prepare(Mode::Write), Ok(()));
    });
}

#[test]
fn a_past_deadline_ends_a_wait_and_taking_it_back_does_not_lose_the_event() {
    model(2, || {
        let pd = ModelDesc::open();
        let other = thread::spawn(move || {
            assert!(pd.set_deadline(READ, 1));
            assert!(pd.set_deadline(READ, 0));
            event(pd, Readiness::READABLE);
        });
        if let Err(e) = pd.wait(READ) {
            assert_eq!(e, Error::DeadlineExceeded);
        }
        other.join().unwrap();
        assert_eq!(pd.prepare(READ), Ok(()));
    });
}

#[test]
fn a_deadline_moved_later_while_its_entry_fires_still_fires() {
    model(2, || {
        let pd = ModelDesc::open();
        assert!(pd.set_deadline(READ, 100));
        let timers = thread::spawn(|| check(150));
        let mover = thread::spawn(move || {
            assert!(pd.set_deadline(READ, 200));
            // Whichever way it went, there is an entry now that this finds, or the other check is still to add one.
            check(300);
        });
        timers.join().unwrap();
        mover.join().unwrap();
        check(300);
        assert_eq!(pd.wait(READ), Err(Error::DeadlineExceeded));
    });
}

#[test]
fn of_two_deadlines_set_at_once_one_holds_and_is_armed() {
    model(3, || {
        let pd = ModelDesc::open();
        assert!(pd.set_deadline(READ, 150));
        let other = thread::spawn(move || assert!(pd.set_deadline(READ, 100)));
        assert!(pd.set_deadline(READ, 200));
        other.join().unwrap();
        let when = WORLD.timers.wake_time();
        assert!((1..=150).contains(&when), "the earlier of them is armed, or the one before: {when}");
        check(200);
        check(200);
        assert_eq!(pd.prepare(READ), Err(Error::DeadlineExceeded));
    });
}

#[test]
fn a_late_event_or_deadline_does_nothing_to_the_slots_next_user() {
    model(2, || {
        let pd = ModelDesc::open();
        assert!(pd.set_deadline(READ, 100));
        let poller = thread::spawn(move || event(pd, Readiness::ERROR));
        let timers = thread::spawn(|| check(150));
        pd.evict();
        let next = pd.reuse();
        assert!(!pd.set_deadline(READ, 1), "of the last user");
        // At worst the next user is woken for nothing.
        assert_eq!(next.prepare(READ), Ok(()));
        poller.join().unwrap();
        timers.join().unwrap();
        assert_eq!(next.prepare(READ), Ok(()));
    });
}

#[test]
fn a_cancel_ends_a_wait_wherever_it_is() {
    model(3, || {
        let pd = ModelDesc::open();
        let ctx = thread::spawn(move || pd.canceler().cancel(&[READ, Mode::Write], CancelReason::Canceled));
        assert_eq!(pd.wait(READ), Err(Error::Canceled));
        ctx.join().unwrap();
        assert_eq!(pd.prepare(Mode::Write), Err(Error::Canceled));
    });
}

#[test]
fn a_cancel_that_is_taken_back_does_not_lose_the_event() {
    model(2, || {
        let pd = ModelDesc::open();
        let other = thread::spawn(move || {
            pd.canceler().cancel(&[READ], CancelReason::Canceled);
            pd.canceler().clear(&[READ], CancelReason::Canceled);
            event(pd, Readiness::READABLE);
        });
        if let Err(e) = pd.wait(READ) {
            assert_eq!(e, Error::Canceled);
        }
        other.join().unwrap();
        assert_eq!(pd.prepare(READ), Ok(()));
    });
}

#[test]
fn of_two_contexts_that_are_done_one_taken_off_leaves_the_other() {
    model(2, || {
        let pd = ModelDesc::open();
        let other = thread::spawn(move || {
            pd.canceler().cancel(&[READ], CancelReason::DeadlineExceeded);
            pd.canceler().clear(&[READ], CancelReason::DeadlineExceeded);
        });
        pd.canceler().cancel(&[READ], CancelReason::DeadlineExceeded);
        assert_eq!(pd.wait(READ), Err(Error::DeadlineExceeded));
        other.join().unwrap();
        assert_eq!(pd.prepare(READ), Err(Error::DeadlineExceeded));
        pd.canceler().clear(&[READ], CancelReason::DeadlineExceeded);
        assert_eq!(pd.prepare(READ), Ok(()));
    });
}

#[test]
fn a_late_cancel_or_its_taking_back_does_nothing_to_the_slots_next_user() {
    model(2, || {
        let pd = ModelDesc::open();
        let ctx = thread::spawn(move || {
            pd.canceler().cancel(&[READ], CancelReason::Canceled);
            pd.canceler().clear(&[READ], CancelReason::Canceled);
            pd.canceler().cancel(&[READ], CancelReason::Canceled);
        });
        pd.evict();
        let next = pd.reuse();
        next.canceler().cancel(&[Mode::Write], CancelReason::Canceled);
        assert_eq!(next.prepare(READ), Ok(()));
        ctx.join().unwrap();
        assert_eq!(next.prepare(READ), Ok(()));
        assert_eq!(next.prepare(Mode::Write), Err(Error::Canceled));
    });
}

#[test]
fn a_cancel_a_deadline_and_a_close_at_once_wake_the_waiter_once() {
    model(2, || {
        let pd = ModelDesc::open();
        assert!(pd.set_deadline(READ, 100));
        let ctx = thread::spawn(move || pd.canceler().cancel(&[READ], CancelReason::Canceled));
        let timers = thread::spawn(|| check(200));
        assert!(matches!(pd.wait(READ), Err(Error::Canceled | Error::DeadlineExceeded)));
        ctx.join().unwrap();
        timers.join().unwrap();
        // Of the two reasons that hold now, the one that somebody wanted.
        assert_eq!(pd.prepare(READ), Err(Error::Canceled));
        pd.evict();
        assert_eq!(pd.prepare(READ), Err(Error::NetClosing));
    });
}
