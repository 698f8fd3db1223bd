//! Goroutines that do not come back: endless loops and blocking calls, announced or not.

mod util;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use gopark_sched::{sleep, spawn, yield_now};
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    run_with_1_2_and_4_procs();
}

/// How late a goroutine may be whose turn it is while hogs have the processors, on a machine with two cores that does
/// other things as well; the hogs of the test give up long after.
const LATE: Duration = Duration::from_millis(500);

/// Loops until `stop`, for ten times [`LATE`] at most.
fn hog(stop: &AtomicBool) {
    let start = Instant::now();
    while !stop.load(Relaxed) && start.elapsed() < 10 * LATE {
        std::hint::spin_loop();
    }
}

/// The thread that sleeps in the poller wakes for one goroutine and runs it; nobody else must oversleep for that.
#[test]
fn a_timer_fires_though_its_watcher_runs_a_hog() {
    let _alone = alone();
    for _ in 0..10 {
        let late = bounded("timers beside a hog", || {
            let stop = Arc::new(AtomicBool::new(false));
            let theirs = Arc::clone(&stop);
            let hog = spawn(move || {
                sleep(Duration::from_millis(10));
                hog(&theirs);
            });
            let start = Instant::now();
            let sleeper = spawn(move || {
                sleep(Duration::from_millis(30));
                stop.store(true, Relaxed);
                start.elapsed() - Duration::from_millis(30)
            });
            hog.join().unwrap();
            sleeper.join().unwrap()
        });
        assert!(late < LATE, "late by {late:?}");
    }
}

/// What a hog had queued behind it, and its sleepers, must not wait until everybody else is out of work.
#[test]
fn what_waits_on_a_hogs_p_runs_though_the_others_are_never_idle() {
    let _alone = alone();
    let late = bounded("queue and timers of a hog's P", || {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = || Arc::clone(&stop);
        let busy: Vec<_> = (0..2 * procs())
            .map(|_| {
                let stop = flag();
                spawn(move || {
                    while !stop.load(Relaxed) {
                        yield_now();
                    }
                })
            })
            .collect();
        let hogs: Vec<_> = (0..procs())
            .map(|_| {
                let stop = flag();
                spawn(move || {
                    // On the P of the hog: a timer, and goroutines behind it in the queue.
                    let start = Instant::now();
                    let sleeper = spawn(move || {
                        sleep(Duration::from_millis(30));
                        start.elapsed() - Duration::from_millis(30)
                    });
                    yield_now();
                    let queued: Vec<_> = (0..3).map(|_| spawn(move || start.elapsed())).collect();
                    hog(&stop);
                    (sleeper, queued)
                })
            })
            .collect();
        // The sleep of the judge may itself be among those that must not starve.
        sleep(2 * LATE);
        stop.store(true, Relaxed);
        let mut late = Duration::ZERO;
        for h in hogs {
            let (sleeper, queued) = h.join().unwrap();
            late = late.max(sleeper.join().unwrap());
            for q in queued {
                late = late.max(q.join().unwrap());
            }
        }
        for h in busy {
            h.join().unwrap();
        }
        late
    });
    assert!(late < LATE, "late by {late:?}");
}
