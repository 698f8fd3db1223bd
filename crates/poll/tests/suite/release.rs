//! Waiting for a descriptor to be closed.

use std::thread;
use std::time::{Duration, Instant};

use gopark_poll::{descriptors_released, wait_for_descriptor, wait_for_descriptor_since};

use crate::setup;
use crate::util::*;

#[test]
fn a_close_ends_the_wait_and_none_is_missed() {
    setup();
    bounded(|| {
        for _ in 0..100 {
            let (a, _far) = half_pair();
            let since = descriptors_released();
            let waiter = thread::spawn(move || wait_for_descriptor_since(since, Duration::from_secs(3600)));
            // Before, during or after the waiter gets to wait: it must return.
            a.close().unwrap();
            waiter.join().unwrap();
        }
    });
}

#[test]
fn every_waiter_is_told() {
    setup();
    bounded(|| {
        let (a, _far) = half_pair();
        let since = descriptors_released();
        let waiters: Vec<_> = (0..8)
            .map(|_| thread::spawn(move || wait_for_descriptor_since(since, Duration::from_secs(3600))))
            .collect();
        drop(a);
        for w in waiters {
            w.join().unwrap();
        }
    });
}

#[test]
fn the_wait_ends_with_its_time() {
    setup();
    bounded(|| {
        // Other tests close descriptors, which ends it early: until none does.
        loop {
            let start = Instant::now();
            wait_for_descriptor(Duration::from_millis(5));
            if start.elapsed() >= Duration::from_millis(5) {
                break;
            }
        }
        wait_for_descriptor(Duration::ZERO);
    });
}
