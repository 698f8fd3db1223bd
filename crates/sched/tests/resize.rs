//! GOMAXPROCS at run time.

mod util;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use gopark_sched::{JoinHandle, blocking, max_procs, scope, set_max_procs, sleep, spawn, yield_now};
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    run_with_1_2_and_4_procs();
}

/// Sets GOMAXPROCS until it is dropped.
struct Procs(usize);

impl Procs {
    fn set(n: usize) -> Procs {
        runtime();
        Procs(set_max_procs(n))
    }
}

impl Drop for Procs {
    fn drop(&mut self) {
        set_max_procs(self.0);
    }
}

#[test]
fn what_it_returns() {
    let _alone = alone();
    let before = procs();
    assert_eq!(max_procs(), before);
    assert_eq!(set_max_procs(0), before, "zero only asks");
    assert_eq!(set_max_procs(before + 1), before);
    assert_eq!(runtime().max_procs(), before + 1);
    assert_eq!(runtime().set_max_procs(before), before + 1);
    assert_eq!(set_max_procs(usize::MAX), before);
    assert_eq!(set_max_procs(before), 1024, "that is the most");
    until_settled();
}

/// As many run at the same time as it says, and no more: each waits, without a call into the runtime, for all others.
// Go: runtime TestGoroutineParallelism
#[test]
fn parallelism_at_the_new_value() {
    let _alone = alone();
    for n in [3, 1, 2, 4, 2] {
        let procs = Procs::set(n);
        bounded("goroutines that wait for each other in a loop", move || {
            let here = AtomicUsize::new(0);
            scope(|s| {
                for _ in 0..n {
                    s.go(|| {
                        here.fetch_add(1, Relaxed);
                        while here.load(Relaxed) < n {
                            std::hint::spin_loop();
                        }
                    });
                }
            });
        });
        drop(procs);
        until_settled();
    }
}

/// Who was one too many stops at the next scheduling point, and others do not start.
#[test]
fn no_more_than_that_run() {
    let _alone = alone();
    let procs = Procs::set(4);
    let most = bounded("goroutines that count themselves", || {
        let stop = AtomicBool::new(false);
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        scope(|s| {
            for _ in 0..8 {
                s.go(|| {
                    while !stop.load(Relaxed) {
                        let now = running.fetch_add(1, Relaxed) + 1;
                        most.fetch_max(now, Relaxed);
                        hog_for(Duration::from_micros(50));
                        running.fetch_sub(1, Relaxed);
                        yield_now();
                    }
                });
            }
            sleep(Duration::from_millis(5));
            set_max_procs(1);
            // What counts is what the scheduler says of itself: a thread that the kernel has put aside may still be in
            // its turn.
            let start = Instant::now();
            loop {
                let c = gopark_sched::debug_counts();
                if (c.active, c.stuck) == (1, 0) {
                    break;
                }
                assert!(start.elapsed() < LONG, "{c:?}");
                sleep(Duration::from_millis(1)); // how often we look
            }
            most.store(0, Relaxed);
            sleep(Duration::from_millis(5));
            let after = most.load(Relaxed);
            stop.store(true, Relaxed);
            after
        })
    });
    drop(procs);
    // A goroutine that was descheduled for long counts as a hog, and is compensated for.
    assert!((1..=2).contains(&most), "{most} ran at the same time");
    until_settled();
}

// Go: runtime TestBigGOMAXPROCS
#[test]
fn big_gomaxprocs() {
    let _alone = alone();
    let procs = Procs::set(1024);
    bounded("work for many", || {
        let all: Vec<_> = (0..4_000).map(|_| spawn(yield_now)).collect();
        all.into_iter().for_each(|h| h.join().unwrap());
        // And many at a time that block.
        let all: Vec<_> = (0..100)
            .map(|_| spawn(|| blocking(|| std::thread::sleep(Duration::from_millis(1))))) // not for ordering: it blocks
            .collect();
        all.into_iter().for_each(|h| h.join().unwrap());
    });
    drop(procs);
    until_settled();
    bounded("and back", || scope(|s| (0..100).for_each(|_| s.go(yield_now))));
    until_settled();
}

/// The number changes all the time, under goroutines that spawn, yield, sleep, block, compute and wait for each other.
// Go: runtime TestStopTheWorldDeadlock
// go-semantics 7.3: "allp resized while iterating without a P"
#[test]
fn resize_storm() {
    let _alone = alone();
    let procs = Procs::set(procs());
    let turns = bounded("a storm", || {
        let stop = Arc::new(AtomicBool::new(false));
        let turns = Arc::new(AtomicUsize::new(0));
        let work: [fn(usize); 6] = [
            |_| yield_now(),
            |i| sleep(Duration::from_micros((i % 7 * 50) as u64)),
            |_| spawn(yield_now).join().unwrap(),
            |i| {
                if i % 50 == 0 {
                    blocking(|| std::thread::sleep(Duration::from_micros(200))); // not for ordering: it blocks
                }
            },
            |_| hog_for(Duration::from_micros(20)),
            |i| {
                if i % 100 == 0 {
                    std::thread::sleep(Duration::from_micros(300)); // not for ordering: it blocks, unannounced
                }
            },
        ];
        let workers: Vec<JoinHandle<()>> = (0..24)
            .map(|w| {
                let (stop, turns) = (Arc::clone(&stop), Arc::clone(&turns));
                spawn(move || {
                    let mut i = w;
                    while !stop.load(Relaxed) {
                        work[i % work.len()](i);
                        i += 1;
                        turns.fetch_add(1, Relaxed);
                        if i % 5 == 0 {
                            yield_now();
                        }
                    }
                })
            })
            .collect();
        let resizers: Vec<JoinHandle<()>> = (0..2_u32)
            .map(|r| {
                spawn(move || {
                    let mut x = r + 1;
                    for i in 0..400 {
                        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        set_max_procs((x >> 16) as usize % 9 + 1);
                        if i % 3 == 0 {
                            sleep(Duration::from_micros(100));
                        }
                    }
                })
            })
            .collect();
        resizers.into_iter().for_each(|h| h.join().unwrap());
        stop.store(true, Relaxed);
        workers.into_iter().for_each(|h| h.join().unwrap());
        turns.load(Relaxed)
    });
    assert!(turns > 24);
    drop(procs);
    until_settled();
}

/// What was on the Ps that are taken away is not lost with them: timers, the queue and the goroutine that runs.
#[test]
fn what_retired_ps_held_goes_on() {
    let _alone = alone();
    for _ in 0..20 {
        let procs = Procs::set(4);
        let late = bounded("sleepers and queued goroutines on all Ps", || {
            let ran = Arc::new(AtomicUsize::new(0));
            let all: Vec<JoinHandle<Duration>> = (0..4)
                .map(|_| {
                    let ran = Arc::clone(&ran);
                    spawn(move || {
                        let start = Instant::now();
                        let mine: Vec<_> = (0..20)
                            .map(|i| {
                                let ran = Arc::clone(&ran);
                                spawn(move || {
                                    if i % 2 == 0 {
                                        sleep(Duration::from_millis(2));
                                    }
                                    ran.fetch_add(1, Relaxed);
                                })
                            })
                            .collect();
                        hog_for(Duration::from_micros(200));
                        mine.into_iter().for_each(|h| h.join().unwrap());
                        start.elapsed()
                    })
                })
                .collect();
            sleep(Duration::from_micros(300));
            set_max_procs(1);
            let late = all.into_iter().map(|h| h.join().unwrap()).max().unwrap_or_default();
            assert_eq!(ran.load(Relaxed), 80);
            late
        });
        drop(procs);
        assert!(late < Duration::from_secs(1), "{late:?}");
    }
    until_settled();
}

/// Work waits behind one P; more of them take it at once, from a plain thread's call too.
#[test]
fn growth_finds_the_work_that_waits() {
    let _alone = alone();
    let procs = Procs::set(1);
    for from_thread in [false, true] {
        bounded("a queue behind one goroutine that waits for it", move || {
            let done = Arc::new(AtomicUsize::new(0));
            for _ in 0..10 {
                let done = Arc::clone(&done);
                drop(spawn(move || done.fetch_add(1, Relaxed)));
            }
            if from_thread {
                drop(std::thread::spawn(|| set_max_procs(2)));
            } else {
                set_max_procs(2);
            }
            while done.load(Relaxed) < 10 {
                std::hint::spin_loop();
            }
            set_max_procs(1);
        });
    }
    drop(procs);
    until_settled();
}
