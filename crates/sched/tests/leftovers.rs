//! What a goroutine brings, and what it leaves behind: large closures, panics that are caught, results that nobody
//! takes.

mod util;

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use gopark_sched::{blocking, catch_unwind, go, scope, sleep, spawn, yield_now};
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    run_with_1_2_and_4_procs();
}

/// Counts its end, and panics in it.
struct Bomb(Arc<AtomicUsize>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
        resume_unwind(Box::new("expected"));
    }
}

/// Whoever is the last to hold a result that panics when it is dropped, the handle or the goroutine, goes on.
#[test]
fn a_result_that_nobody_took_may_panic() {
    let _alone = alone();
    let dropped = Arc::new(AtomicUsize::new(0));
    for round in 0..20 {
        let theirs = Arc::clone(&dropped);
        bounded("a handle is dropped", move || {
            let h = spawn(move || {
                if round % 2 == 0 {
                    yield_now();
                }
                Bomb(theirs)
            });
            if round % 4 < 2 {
                while !h.is_finished() {
                    yield_now();
                }
            }
            drop(h);
        });
    }
    until("all results are dropped", || dropped.load(Relaxed) == 20);
    // A payload too.
    let theirs = Arc::clone(&dropped);
    bounded("a handle of a panicked goroutine is dropped", move || {
        let h = spawn(move || resume_unwind(Box::new(Bomb(theirs))));
        while !h.is_finished() {
            yield_now();
        }
        drop::<gopark_sched::JoinHandle<()>>(h);
    });
    until("the payload is dropped", || dropped.load(Relaxed) == 21);
    until_settled();
}

/// Catches around code that blocks, nested and in a loop, on goroutines that change threads.
#[test]
fn catch_unwind_around_what_blocks() {
    let _alone = alone();
    bounded("catches", || {
        scope(|s| {
            for g in 0..8_u64 {
                s.go(move || {
                    for i in 0..50_u64 {
                        let caught = catch_unwind(|| {
                            yield_now();
                            let inner = catch_unwind(|| {
                                sleep(Duration::from_micros(50 * (g % 3)));
                                resume_unwind(Box::new(i));
                            });
                            blocking(yield_now);
                            let payload: Result<(), _> = inner;
                            assert_eq!(payload.unwrap_err().downcast_ref(), Some(&i));
                            if i % 2 == 0 {
                                resume_unwind(Box::new(g));
                            }
                            i
                        });
                        match caught {
                            Ok(value) => assert!(value == i && i % 2 == 1),
                            Err(payload) => assert!(payload.downcast_ref() == Some(&g) && i % 2 == 0),
                        }
                        assert!(!std::thread::panicking());
                    }
                });
            }
        });
    });
    until_settled();
}

/// A closure with 60 KB of captures can be started from a goroutine, in each way, in a build without optimisation too.
#[test]
fn large_closures_fit() {
    const SUM: usize = 7 * (60 << 10);
    fn sum(data: &[u8]) -> usize {
        data.iter().map(|&b| usize::from(b)).sum()
    }
    let _alone = alone();
    let of_spawn = bounded("spawn", || {
        let data = [7_u8; 60 << 10];
        spawn(move || sum(&data)).join().unwrap()
    });
    let of_scope = bounded("scope", || {
        let total = AtomicUsize::new(0);
        let theirs = &total;
        scope(|s| {
            let data = [7_u8; 60 << 10];
            s.go(move || {
                theirs.store(sum(&data), Relaxed);
            });
        });
        total.load(Relaxed)
    });
    let of_go = bounded("go", || {
        let (tx, rx) = gopark_sched::chan::bounded(1);
        let data = [7_u8; 60 << 10];
        go(move || {
            let _ = tx.send(sum(&data));
        });
        rx.recv().unwrap()
    });
    assert_eq!([of_spawn, of_scope, of_go], [SUM; 3]);
    // Dropped once, wherever it was moved.
    let dropped = Arc::new(AtomicUsize::new(0));
    let token = Counted(Arc::clone(&dropped));
    bounded("a large closure with a destructor", move || {
        let data = [1_u8; 60 << 10];
        assert_eq!(spawn(move || (token.0.load(Relaxed), data[9])).join().unwrap(), (0, 1));
    });
    assert_eq!(dropped.load(Relaxed), 1);
    until_settled();
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}
