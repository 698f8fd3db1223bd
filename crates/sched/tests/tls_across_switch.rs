//! A goroutine that goes on on another thread sees that thread's M, in optimised builds above all: the compiler may
//! keep the address of a thread-local for the length of a function, and knows nothing of switches.
//!
//! `cargo xtask ci` runs this in a release build with link-time optimisation.

mod util;

use std::collections::BTreeSet;
use std::thread::ThreadId;
use std::time::Duration;

use gopark_sched::{JoinHandle, goroutine_id, sleep, spawn, yield_now};
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    run_with_1_2_and_4_procs();
}

/// The manner in which a program has to touch thread-locals: by value, and not inlined.
#[inline(never)]
fn thread() -> ThreadId {
    std::thread::current().id()
}

/// Returns how many threads it was on.
fn wander(steps: u32) -> usize {
    let id = goroutine_id();
    assert_ne!(id, 0);
    let mut threads = BTreeSet::new();
    for i in 0..steps {
        // Whatever goes through the current M, on both sides of a switch in one function.
        assert_eq!(goroutine_id(), id);
        match i % 4 {
            0 => sleep(Duration::from_micros(u64::from(i % 7) * 10)),
            1 => std::thread::sleep(Duration::from_micros(300)), // not for ordering: a blocked thread loses its P
            _ => yield_now(),
        }
        assert_eq!(goroutine_id(), id, "after a switch the goroutine found another's M");
        spawn(move || assert_ne!(goroutine_id(), id)).join().unwrap();
        assert_eq!(goroutine_id(), id);
        threads.insert(format!("{:?}", thread()));
    }
    threads.len()
}

#[test]
fn a_goroutine_sees_the_thread_that_it_is_on() {
    let most = bounded("goroutines that wander", || {
        let all: Vec<JoinHandle<usize>> = (0..16).map(|_| spawn(|| wander(100))).collect();
        all.into_iter().map(|h| h.join().unwrap()).max().unwrap()
    });
    assert!(most > 1, "nobody ever changed threads: the test tests nothing");
}
