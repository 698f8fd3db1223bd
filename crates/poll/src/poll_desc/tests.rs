//! Slots alone, over a fake of the test's own and with nobody parked.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use gopark_sys::netpoll::fake::{Call, Fake};

use super::*;

fn socket() -> (SysFd, i32) {
    let (a, _) = UnixStream::pair().unwrap();
    let raw = a.as_raw_fd();
    (SysFd::new(a.into()), raw)
}

/// 7.1: "Registration failure path" (golang/go#44552).
#[test]
fn a_failed_registration_frees_the_slot_and_takes_nothing_out_of_the_poller() {
    let fake = Fake::new();
    let netpoll = Netpoll::new(fake.backend());
    let (fd, raw) = socket();
    let enospc = Errno::from_raw(28);
    fake.fail_open(enospc);
    assert_eq!(PollDesc::open(&netpoll, &fd, Interest::Both).unwrap_err(), enospc);
    let failed = fake.token_of(raw).unwrap();
    assert_eq!(fake.calls(), [Call::Open(raw, failed)]);
    // Free, and whoever still has that token is out of date.
    let slot = poll_cache::get(failed.index()).unwrap();
    assert_ne!(slot.info().seq(), failed.seq());

    let p = PollDesc::open(&netpoll, &fd, Interest::Both).unwrap();
    p.pd.evict();
    p.pd.close(&netpoll, &fd);
    assert_eq!(fake.calls().last(), Some(&Call::Close(raw)));
}

/// 7.1: "Stale error on reused desc" (golang/go#59545, #60133).
#[test]
fn an_event_of_an_earlier_use_marks_nothing() {
    let fake = Fake::new();
    let netpoll = Netpoll::new(fake.backend());
    let (fd, _) = socket();
    let mut list = ReadyList::new();
    let old = PollDesc::open(&netpoll, &fd, Interest::Both).unwrap();
    old.pd.evict();
    old.pd.close(&netpoll, &fd);
    // While free, and in the next use of the very same slot.
    let check_stale = |list: &mut ReadyList| {
        let before = old.pd.info();
        old.pd.ready(old.seq, Readiness::ERROR, list);
        old.pd.ready(old.seq, Readiness::READABLE.union(Readiness::PRIORITY), list);
        assert!(old.pd.info() == before && list.is_empty());
    };
    check_stale(&mut list);
    let mut others = Vec::new();
    loop {
        let p = PollDesc::open(&netpoll, &fd, Interest::Both).unwrap();
        let same = std::ptr::eq(p.pd, old.pd);
        others.push(p);
        // Another test may be faster with the slot.
        if same || others.len() == 100 {
            break;
        }
    }
    check_stale(&mut list);
    for p in others {
        assert_eq!(p.pd.prepare(Mode::Read), Ok(()));
        assert!(!p.pd.slot(Mode::Read).take_ready());
        p.pd.evict();
        p.pd.close(&netpoll, &fd);
    }
}

#[test]
fn readiness_and_errors_are_decoded_as_go_does() {
    let fake = Fake::new();
    let netpoll = Netpoll::new(fake.backend());
    let (fd, _) = socket();
    let p = PollDesc::open(&netpoll, &fd, Interest::Both).unwrap();
    let mut list = ReadyList::new();
    let mut event = |readiness: Readiness| {
        p.pd.ready(p.seq, readiness, &mut list);
        let woken = (p.pd.slot(Mode::Read).take_ready(), p.pd.slot(Mode::Write).take_ready());
        (woken, p.pd.info().event_err(), p.pd.info().spoiled())
    };
    assert_eq!(event(Readiness::READABLE), ((true, false), false, false));
    assert_eq!(event(Readiness::WRITABLE), ((false, true), false, false));
    assert_eq!(event(Readiness::ERROR), ((true, true), true, true));
    assert_eq!(event(Readiness::READABLE.union(Readiness::ERROR)), ((true, true), false, true));
    assert_eq!(event(Readiness::READ_CLOSED), ((true, false), false, true));
    assert_eq!(event(Readiness::WRITE_CLOSED), ((false, true), false, true));
    p.pd.evict();
    p.pd.close(&netpoll, &fd);
}

#[test]
fn a_prepared_operation_forgets_readiness_and_a_refused_one_does_not_start() {
    let fake = Fake::new();
    let netpoll = Netpoll::new(fake.backend());
    let (fd, _) = socket();
    let p = PollDesc::open(&netpoll, &fd, Interest::Both).unwrap();
    p.pd.ready(p.seq, Readiness::READABLE, &mut ReadyList::new());
    assert_eq!(p.pd.prepare(Mode::Read), Ok(()));
    assert!(!p.pd.slot(Mode::Read).take_ready());
    p.pd.evict();
    assert_eq!(p.pd.prepare(Mode::Read), Err(Refusal::Closing));
    assert_eq!(p.pd.wait(Mode::Write), Err(Refusal::Closing));
    p.pd.close(&netpoll, &fd);
}

#[test]
fn a_late_or_doubled_deadline_callback_decides_from_the_slots_present_state() {
    let fake = Fake::new();
    let netpoll = Netpoll::new(fake.backend());
    let (fd, _) = socket();
    let mut list = ReadyList::new();
    let p = PollDesc::open(&netpoll, &fd, Interest::Both).unwrap();
    // Of nobody's deadline.
    p.pd.deadline_fired(Mode::Read, i64::MAX, &mut list);
    assert_eq!(p.pd.prepare(Mode::Read), Ok(()));
    // As if it had been armed.
    p.pd.cold.lock.lock().read = Deadlines { when: 100, armed: 50 };
    p.pd.deadline_fired(Mode::Read, 100, &mut list);
    assert_eq!(p.pd.prepare(Mode::Read), Err(Refusal::Expired));
    assert_eq!(p.pd.prepare(Mode::Write), Ok(()));
    p.pd.deadline_fired(Mode::Read, 200, &mut list);
    assert_eq!(p.pd.prepare(Mode::Read), Err(Refusal::Expired));
    p.pd.evict();
    p.pd.close(&netpoll, &fd);
    assert!(p.pd.set_deadline(p.seq, &[Mode::Read], 0).is_err());
    assert!(list.is_empty());
}
