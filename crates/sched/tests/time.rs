//! Sleeping. The names of Go's tests where they are Go's.

mod util;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gopark_sched::{JoinHandle, scope, sleep, spawn, yield_now};
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    run_with_1_2_and_4_procs();
}

/// Sleeps and returns how long it took.
fn timed(d: Duration) -> Duration {
    let start = Instant::now();
    sleep(d);
    start.elapsed()
}

/// How late a timer may be on a machine with two cores that does other things as well.
const LATE: Duration = Duration::from_millis(500);

// Go: time TestSleep
#[test]
fn sleep_takes_its_time() {
    let _alone = alone();
    let check = || {
        for us in [1, 10, 100, 300, 999, 1_000, 1_500, 5_000, 20_000] {
            let d = Duration::from_micros(us);
            let took = timed(d);
            assert!(took >= d, "{d:?} took {took:?}");
            assert!(took < d + LATE, "{d:?} took {took:?}");
        }
    };
    bounded("sleep on a goroutine", check);
    bounded_on_thread("sleep on a thread", check);
}

/// Below a millisecond the poller's own clock is too coarse: without help from a finer one each of these would take
/// a millisecond at least.
#[test]
fn sleeps_under_a_millisecond_are_not_rounded_up() {
    let _alone = alone();
    let best = bounded("short sleeps", || (0..50).map(|_| timed(Duration::from_micros(100))).min().unwrap());
    assert!(best >= Duration::from_micros(100), "too early: {best:?}");
    assert!(best < Duration::from_micros(900), "rounded up: {best:?}");
}

/// Goroutines wake in the order of their times, whatever the order in which they fell asleep.
// Go: time TestAfterQueuing
#[test]
fn after_queuing() {
    let _alone = alone();
    let slots = [5, 3, 6, 6, 6, 1, 1, 2, 7, 9, 4, 8, 0];
    // A machine that does other things may let two of them go past it; three tries, as Go's.
    let in_order = (0..3).any(|_| {
        let woken = bounded("sleepers in order", move || {
            let woken = Arc::new(Mutex::new(Vec::new()));
            let all: Vec<JoinHandle<()>> = slots
                .iter()
                .map(|&slot| {
                    let woken = Arc::clone(&woken);
                    spawn(move || {
                        sleep(Duration::from_millis(15 * slot));
                        woken.lock().unwrap().push(slot);
                    })
                })
                .collect();
            all.into_iter().for_each(|h| h.join().unwrap());
            std::mem::take(&mut *woken.lock().unwrap())
        });
        assert_eq!(woken.len(), slots.len());
        woken.is_sorted()
    });
    assert!(in_order);
}

#[test]
fn a_sleep_of_nothing_yields() {
    let _alone = alone();
    bounded("sleep(0)", || {
        let flag = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&flag);
        let h = spawn(move || theirs.store(true, Relaxed));
        while !flag.load(Relaxed) {
            sleep(Duration::ZERO);
        }
        h.join().unwrap();
    });
    bounded_on_thread("sleep(0) on a thread", || sleep(Duration::ZERO));
}

/// Longer than the clock can count: it sleeps, and disturbs nobody. The goroutines stay asleep until the process ends.
#[test]
fn a_sleep_of_ages_neither_ends_nor_overflows() {
    let _alone = alone();
    bounded("sleep for ages", || {
        for d in [
            Duration::MAX,
            Duration::from_secs(u64::MAX),
            Duration::from_nanos(u64::MAX),
            Duration::from_secs(1 << 33),
        ] {
            let handle = spawn(move || sleep(d));
            assert!(handle.join_timeout(Duration::from_millis(2)).is_err(), "{d:?} is over");
        }
        assert!(timed(Duration::from_millis(2)) < LATE);
    });
}

#[test]
fn many_sleep_at_the_same_time() {
    const N: usize = 10_000;
    let _alone = alone();
    let early = bounded("10,000 sleepers", || {
        let (early, awake) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let all: Vec<JoinHandle<()>> = (0..N)
            .map(|i| {
                let (early, awake) = (Arc::clone(&early), Arc::clone(&awake));
                spawn(move || {
                    // Times spread over 20 ms, near together and equal, in no order.
                    let d = Duration::from_micros((i as u64 * 7919) % 20_000);
                    if timed(d) < d {
                        early.fetch_add(1, Relaxed);
                    }
                    awake.fetch_add(1, Relaxed);
                })
            })
            .collect();
        all.into_iter().for_each(|h| h.join().unwrap());
        assert_eq!(awake.load(Relaxed), N);
        early.load(Relaxed)
    });
    assert_eq!(early, 0, "so many woke too early");
}

/// The P on which a sleep was armed is busy: another one, or sysmon, has to look at its timers.
#[test]
fn timers_of_a_busy_p_fire_elsewhere() {
    let _alone = alone();
    let late = bounded("timers of a busy P", || {
        let stop = AtomicBool::new(false);
        let late = Mutex::new(Duration::ZERO);
        scope(|s| {
            for i in 0..10_u64 {
                let late = &late;
                s.go(move || {
                    let d = Duration::from_millis(5 + 2 * i);
                    let took = timed(d);
                    let mut late = late.lock().unwrap();
                    *late = late.max(took - d);
                });
            }
            // All are asleep, their timers on the Ps that the hogs are going to occupy.
            for _ in 0..3 {
                yield_now();
            }
            for _ in 0..procs() {
                s.go(|| {
                    let start = Instant::now();
                    while !stop.load(Relaxed) && start.elapsed() < 5 * LATE {
                        std::hint::spin_loop();
                    }
                });
            }
            sleep(Duration::from_millis(60));
            stop.store(true, Relaxed);
        });
        late.into_inner().unwrap()
    });
    assert!(late < LATE, "late by {late:?}");
}

/// Plain threads and goroutines sleep side by side; each is woken by whoever watches the clock.
#[test]
fn threads_and_goroutines_sleep_side_by_side() {
    let _alone = alone();
    runtime();
    let threads: Vec<_> = (0..8_u64)
        .map(|i| {
            std::thread::spawn(move || {
                for k in 0..20 {
                    let d = Duration::from_micros(100 + (i * 37 + k * 61) % 900);
                    assert!(timed(d) >= d);
                    let took = spawn(move || timed(d)).join().unwrap();
                    assert!(took >= d);
                }
            })
        })
        .collect();
    bounded_on_thread("threads that sleep", move || {
        for t in threads {
            t.join().unwrap();
        }
    });
}

/// A timer that is stopped, over and over, leaves nothing behind.
#[test]
fn join_timeout_leaves_no_timers_behind() {
    let _alone = alone();
    bounded("timers that are stopped", || {
        let armed = || {
            let counts = gopark_sched::debug_counts();
            counts.ps.iter().map(|p| p.3).sum::<usize>() + counts.shared_timers
        };
        let before = armed();
        for _ in 0..500 {
            spawn(yield_now).join_timeout(Duration::from_secs(3600)).expect("it ends").unwrap();
        }
        assert!(armed() <= before, "{} timers more than before", armed() - before);
    });
}
