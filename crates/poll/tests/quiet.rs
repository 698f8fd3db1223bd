//! The cost rules of deadlines, which count calls of the poller, and so need a process of their own.
#![cfg(not(loom))]

mod util;

use std::time::{Duration, Instant};

use gopark_poll::{FdKind, PollerState, ThreadRuntime, poller};
use gopark_sys::netpoll::fake::{Call, Fake};
use util::*;

#[test]
fn moving_a_deadline_later_tells_the_poller_nothing() {
    let fake = Fake::new();
    ThreadRuntime::start(fake.backend()).unwrap();
    let wakes = || fake.calls().iter().filter(|c| **c == Call::Wake).count();
    let blocked = || matches!(poller(), PollerState::Blocking { until } if until != 0);

    let (near, _far) = std_pair();
    near.set_nonblocking(true).unwrap();
    let fd = registered(near, FdKind::TCP);
    let start = Instant::now() + Duration::from_secs(3600);
    until(|| poller() == PollerState::Blocking { until: 0 } && fake.polls().len() == 1);
    fd.set_read_deadline(Some(start)).unwrap();
    // The one wake-up: the poller would have slept for ever.
    until(blocked);
    assert_eq!(wakes(), 1);
    let polls = fake.polls().len();

    for i in 0..10_000 {
        fd.set_read_deadline(Some(start + Duration::from_millis(i))).unwrap();
        if i % 100 == 0 {
            fd.set_read_deadline(None).unwrap();
        }
    }
    // A later timer does not wake it either.
    fd.set_write_deadline(Some(start + Duration::from_secs(1))).unwrap();
    // Closing leaves the entries, and the slot's next user finds them.
    fd.close().unwrap();
    let (near, _far) = std_pair();
    near.set_nonblocking(true).unwrap();
    let next = registered(near, FdKind::TCP);
    next.set_deadline(Some(start + Duration::from_secs(2))).unwrap();
    assert_eq!((wakes(), fake.polls().len()), (1, polls));

    // An earlier one does.
    next.set_read_deadline(Some(start - Duration::from_secs(1))).unwrap();
    until(|| fake.polls().len() > polls && blocked());
    assert_eq!(wakes(), 2);
}
