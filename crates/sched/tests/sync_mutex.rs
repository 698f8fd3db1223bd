//! `sync::Mutex`: Go's tests by name, fairness, time limits, guards that travel.

mod util;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use gopark_sched::spawn;
use gopark_sched::sync::Mutex;
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    let _alone = alone();
    run_with_1_2_and_4_procs();
}

fn hammer(m: &Mutex<usize>, loops: usize) -> usize {
    let mut had = 0;
    for i in 0..loops {
        let guard = if i % 3 == 0 { m.try_lock() } else { Some(m.lock()) };
        if let Some(mut guard) = guard {
            *guard += 1;
            had += 1;
        }
    }
    had
}

// Go: sync/mutex_test.go TestMutex
#[test]
fn mutex() {
    bounded("mutex", || {
        let m = Arc::new(Mutex::new(0));
        let guard = m.lock();
        assert!(m.try_lock().is_none(), "try_lock succeeded with the mutex locked");
        drop(guard);
        let guard = m.try_lock();
        assert!(guard.is_some(), "try_lock failed with the mutex unlocked");
        drop(guard);

        let hammers: Vec<_> = (0..10)
            .map(|_| {
                let m = Arc::clone(&m);
                spawn(move || hammer(&m, 1000))
            })
            .collect();
        let had: usize = hammers.into_iter().map(|h| h.join().expect("no panic")).sum();
        assert_eq!(*m.lock(), had);
    });
}

/// The same from goroutines and threads, mixed.
#[test]
fn goroutines_and_threads_exclude_each_other() {
    let _alone = alone();
    runtime();
    let m = Arc::new(Mutex::new(0));
    let had = AtomicUsize::new(0);
    std::thread::scope(|s| {
        for i in 0..6 {
            let (m, had) = (&m, &had);
            s.spawn(move || {
                let n = if i % 2 == 0 {
                    hammer(m, 2000)
                } else {
                    let m = Arc::clone(m);
                    spawn(move || hammer(&m, 2000)).join().expect("no panic")
                };
                had.fetch_add(n, SeqCst);
            });
        }
    });
    assert_eq!(*m.lock(), had.load(SeqCst));
}
