//! Impossible states end the process with a message. Each in a child process.
#![cfg(not(loom))]

use std::process::{Command, Stdio};
use std::time::Duration;

use gopark_poll::{ParkSlot, ReadyList, ThreadRuntime, Unblock, WaitReason, Waiter};
use gopark_sys::Errno;
use gopark_sys::netpoll::fake::Fake;

const CHILD: &str = "GOPARK_POLL_FATAL_CHILD";

/// Runs this very test again in a child, which has to abort with `message`.
#[track_caller]
fn aborts_with(test: &str, message: &str) {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, test)
        .stdout(Stdio::null())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&child.stderr);
    assert!(!child.status.success());
    assert!(stderr.contains(&format!("fatal error: {message}")), "{stderr}");
}

fn in_child(test: &str) -> bool {
    std::env::var_os(CHILD).is_some_and(|name| name == test)
}

/// 7.1: "Infinite loop on poll error" (golang/go#11498).
#[test]
fn an_unexpected_error_of_the_poller_is_fatal() {
    let test = "an_unexpected_error_of_the_poller_is_fatal";
    if in_child(test) {
        let fake = Fake::new();
        ThreadRuntime::start(fake.backend()).unwrap();
        fake.fail_poll(Errno::EBADF);
        // The poller's thread ends the process long before this.
        std::thread::park_timeout(Duration::from_secs(20));
        return;
    }
    aborts_with(test, &format!("gopark: netpoll failed with errno {}", Errno::EBADF.raw()));
}

#[test]
fn two_waiters_on_one_slot_are_fatal() {
    let test = "two_waiters_on_one_slot_are_fatal";
    if in_child(test) {
        static SLOT: ParkSlot = ParkSlot::new();
        // The second comes while the first is about to park.
        SLOT.block(WaitReason::IoWait, || SLOT.block(WaitReason::IoWait, || false));
        return;
    }
    aborts_with(test, "gopark: double wait");
}

#[test]
fn a_wait_before_the_start_is_fatal() {
    let test = "a_wait_before_the_start_is_fatal";
    if in_child(test) {
        static SLOT: ParkSlot = ParkSlot::new();
        SLOT.block(WaitReason::IoWait, || true);
        return;
    }
    aborts_with(test, "gopark: a wait before the runtime was started");
}

/// What is not fatal, beside it.
#[test]
fn a_slot_hands_its_waiter_out_once() {
    static SLOT: ParkSlot = ParkSlot::new();
    let w = Waiter::from_index(5);
    let mut list = ReadyList::new();
    let consumed = SLOT.block(WaitReason::IoWait, || {
        assert!(SLOT.commit(w));
        assert!(SLOT.is_parked());
        assert!(!SLOT.commit(w), "only one can");
        list.extend_from(SLOT.unblock(Unblock::Evict));
        list.extend_from(SLOT.unblock(Unblock::Evict));
        list.extend_from(SLOT.unblock(Unblock::Ready));
        list.extend_from(SLOT.unblock(Unblock::Ready));
        false
    });
    assert!(consumed, "the event came after the eviction");
    assert_eq!(list.as_slice(), [w]);
    assert!(!SLOT.take_ready());
}

trait ExtendFrom {
    fn extend_from(&mut self, w: Option<Waiter>);
}

impl ExtendFrom for ReadyList {
    fn extend_from(&mut self, w: Option<Waiter>) {
        if let Some(w) = w {
            self.push(w);
        }
    }
}
