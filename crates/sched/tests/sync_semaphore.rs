//! `sync::Semaphore`: the tests of golang.org/x/sync/semaphore that apply, time limits, misuse.

mod util;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use gopark_sched::sync::Semaphore;
use gopark_sched::{spawn, yield_now};
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    let _alone = alone();
    run_with_1_2_and_4_procs();
}

// Go: sync/mutex_test.go TestSemaphore; x/sync/semaphore TestWeighted
#[test]
fn semaphore() {
    bounded("semaphore", || {
        for size in [1, 3] {
            let s = Arc::new(Semaphore::new(size));
            let inside = Arc::new(AtomicUsize::new(0));
            let tasks: Vec<_> = (0..10)
                .map(|i| {
                    let (s, inside) = (Arc::clone(&s), Arc::clone(&inside));
                    spawn(move || {
                        let n = 1 + i % size;
                        for round in 0..300 {
                            let permit = s.acquire(n);
                            assert!(inside.fetch_add(n, SeqCst) + n <= size);
                            if round % 5 == 0 {
                                yield_now();
                            }
                            inside.fetch_sub(n, SeqCst);
                            drop(permit);
                        }
                    })
                })
                .collect();
            tasks.into_iter().for_each(|h| h.join().expect("no panic"));
            assert_eq!(s.available(), size);
        }
    });
}

// Go: x/sync/semaphore TestWeightedPanic
#[test]
fn semaphore_misuse() {
    let text = |f: &dyn Fn()| {
        let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("a panic");
        match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(payload) => (*payload.downcast::<&str>().expect("a text")).to_owned(),
        }
    };
    let s = Semaphore::new(1);
    assert_eq!(text(&|| s.release(1)), "semaphore: released more than held");
    s.acquire(1).forget();
    assert_eq!(text(&|| s.release(2)), "semaphore: released more than held");
    s.release(1);
    assert_eq!(s.available(), 1);
    // What can never be had is not waited for.
    assert!(text(&|| drop(s.acquire(2))).contains("2 permits asked for, and there are 1 in all"));
    assert!(s.try_acquire(2).is_none());
    assert!(text(&|| assert_eq!(Semaphore::new(usize::MAX).available(), 0)).contains("Semaphore::MAX"));
    // Nothing is always to be had.
    let none = Semaphore::new(0);
    drop(none.acquire(0));
    assert!(none.try_acquire(1).is_none());
}

// Go: x/sync/semaphore TestWeightedTryAcquire, TestWeightedAcquire
#[test]
fn try_and_time_limits() {
    let _alone = alone();
    bounded("try_and_time_limits", || {
        let s = Semaphore::new(2);
        let first = s.acquire(1);
        let second = s.try_acquire(1).expect("one is left");
        assert!(s.try_acquire(1).is_none());
        assert!(s.try_acquire(0).is_some());
        drop((first, second));
        assert!(s.try_acquire(2).is_some_and(|all| all.count() == 2));
        let one = s.acquire(1);
        let (start, limit) = (Instant::now(), Duration::from_millis(3));
        assert!(s.acquire_timeout(2, limit).is_none());
        assert!(start.elapsed() >= limit);
        assert!(s.acquire_until(2, start).is_none());
        assert!(s.acquire_timeout(1, Duration::ZERO).is_some(), "who gave up is out of the line");
        drop(one);
        assert!(s.acquire_timeout(2, limit).is_some());
    });
}

// Go: x/sync/semaphore TestWeightedDoesntBlockIfTooBig, TestLargeAcquireDoesntStarve
#[test]
fn large_acquire_doesnt_starve() {
    let _alone = alone();
    bounded("large_acquire_doesnt_starve", || {
        let n = 4;
        let s = Arc::new(Semaphore::new(n));
        let stop = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..n)
            .map(|_| {
                let (s, stop) = (Arc::clone(&s), Arc::clone(&stop));
                spawn(move || {
                    while stop.load(SeqCst) == 0 {
                        let permit = s.acquire(1);
                        yield_now();
                        drop(permit);
                    }
                })
            })
            .collect();
        for _ in 0..20 {
            drop(s.acquire(n)); // strictly in line: it gets its turn
            yield_now();
        }
        stop.store(1, SeqCst);
        tasks.into_iter().for_each(|h| h.join().expect("no panic"));
        assert_eq!(s.available(), n);
    });
}

// Go: x/sync/semaphore TestAllocCancelDoesntStarve
#[test]
fn who_gives_up_does_not_hold_up_the_next() {
    let _alone = alone();
    bounded("who_gives_up_does_not_hold_up_the_next", || {
        for _ in 0..50 {
            let s = Arc::new(Semaphore::new(10));
            let one = s.acquire(1);
            let large = {
                let s = Arc::clone(&s);
                spawn(move || s.acquire_timeout(10, Duration::from_millis(2)).is_some())
            };
            while !large.is_finished() && s.try_acquire(1).is_some() {
                yield_now(); // until the large one is in line
            }
            drop(s.acquire(1)); // behind it, and there are nine
            assert!(!large.join().expect("no panic"));
            drop(one);
            assert_eq!(s.available(), 10);
        }
    });
}

#[test]
fn permits_travel() {
    let _alone = alone();
    bounded("permits_travel", || {
        let s = Arc::new(Semaphore::new(3));
        let tasks: Vec<_> = (0..30)
            .map(|_| {
                let permit = s.acquire_arc(1);
                assert_eq!(permit.count(), 1);
                spawn(move || {
                    yield_now();
                    drop(permit);
                })
            })
            .collect();
        tasks.into_iter().for_each(|h| h.join().expect("no panic"));
        let all = s.try_acquire_arc(3).expect("all are back");
        std::thread::spawn(move || drop(all)).join().expect("no panic");
        assert_eq!(s.available(), 3);
    });
}

/// Weights, limits that run out, goroutines and threads: nothing is lost, nobody waits for ever.
#[test]
fn a_mixed_crowd() {
    let _alone = alone();
    runtime();
    let s = Arc::new(Semaphore::new(5));
    let work = |s: &Semaphore, seed: usize| {
        for round in 0..300 {
            let n = 1 + (seed + round) % 5;
            let limit = Duration::from_micros(((seed * 31 + round * 17) % 80) as u64);
            let permit = match (seed + round) % 3 {
                0 => Some(s.acquire(n)),
                1 => s.acquire_timeout(n, limit),
                _ => s.try_acquire(n),
            };
            if round % 4 == 0 {
                yield_now();
            }
            drop(permit);
        }
    };
    let tasks: Vec<_> = (0..8)
        .map(|i| {
            let s = Arc::clone(&s);
            spawn(move || work(&s, i))
        })
        .collect();
    std::thread::scope(|scope| {
        for i in 8..10 {
            let s = &s;
            scope.spawn(move || work(s, i));
        }
    });
    bounded("a_mixed_crowd", move || {
        tasks.into_iter().for_each(|h| h.join().expect("no panic"));
        assert_eq!(s.available(), 5);
        assert!(s.try_acquire(5).is_some());
    });
}
