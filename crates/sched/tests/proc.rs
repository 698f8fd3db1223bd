//! The scheduler's loop: progress, parallelism, polling. The names of Go's tests where they are Go's.

mod util;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use gopark_sched::{go, num_goroutines, sleep, spawn, yield_now};
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    run_with_1_2_and_4_procs();
}

// Go: runtime TestYieldProgress
#[test]
fn yield_progress() {
    bounded("yield_progress", || {
        let stop = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&stop);
        let h = spawn(move || {
            while !theirs.load(Relaxed) {
                yield_now();
            }
        });
        for _ in 0..1000 {
            yield_now();
        }
        stop.store(true, Relaxed);
        h.join().unwrap();
    });
}
