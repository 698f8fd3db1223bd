//! A goroutine that goes on on another thread sees that thread's M, in optimised builds above all: the compiler may
//! keep the address of a thread-local for the length of a function, and knows nothing of switches.
//!
//! `cargo xtask ci` runs this in a release build with link-time optimisation.

mod util;

use std::collections::BTreeSet;
use std::panic::{catch_unwind, resume_unwind};
use std::thread::ThreadId;
use std::time::Duration;

use gopark_sched::{JoinHandle, blocking, go, goroutine_id, scope, sleep, spawn, yield_now};
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

/// Changes threads, most of the time.
fn wait() {
    blocking(|| std::thread::sleep(Duration::from_micros(100))); // not for ordering: the P goes to another thread
    sleep(Duration::from_micros(50));
}

/// Panics and catches it, without the panic hook.
#[inline(never)]
fn catch_one() {
    assert!(catch_unwind(|| resume_unwind(Box::new(1))).is_err());
}

/// As `catch_one`, with a wait in between.
#[inline(never)]
fn catch_scope() {
    let panicked = catch_unwind(|| {
        scope(|s| {
            s.go(wait);
            resume_unwind(Box::new(4))
        })
    });
    assert!(panicked.is_err());
}

struct WaitAndPanic;

impl Drop for WaitAndPanic {
    fn drop(&mut self) {
        wait();
        catch_one();
        wait();
        resume_unwind(Box::new(2));
    }
}

/// std counts the panics of each thread: one must be taken off where it is caught, after any number of switches.
#[test]
fn a_panic_is_caught_on_the_thread_that_it_is_on() {
    bounded("goroutines that panic, wait, and panic", || {
        for _ in 0..50 {
            drop(spawn(|| {
                sleep(Duration::from_millis(1)); // the handle is gone by then: the payload is dropped here
                resume_unwind(Box::new(WaitAndPanic))
            }));
            go(|| {
                catch_one();
                wait();
                resume_unwind(Box::new(3))
            });
            catch_scope();
        }
        wait();
        let all: Vec<JoinHandle<bool>> = (0..64)
            .map(|_| {
                spawn(|| {
                    let before = std::thread::panicking();
                    wait();
                    before || std::thread::panicking()
                })
            })
            .collect();
        let wrong = all.into_iter().map(|h| h.join().unwrap()).filter(|&w| w).count();
        assert_eq!(wrong, 0, "goroutines found their thread panicking");
    });
}
