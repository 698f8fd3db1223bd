//! Goroutines that do not come back: endless loops and blocking calls, announced or not.

mod util;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use gopark_sched::{JoinHandle, blocking, scope, sleep, spawn, yield_now};
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    run_with_1_2_and_4_procs();
}

/// How late a goroutine may be whose turn it is while hogs have the processors, on a machine with two cores that does
/// other things as well; the hogs of the test give up long after.
const LATE: Duration = Duration::from_secs(1);

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
        let ran = Arc::new(AtomicUsize::new(0));
        let hogs: Vec<_> = (0..procs())
            .map(|_| {
                let (stop, ran) = (flag(), Arc::clone(&ran));
                spawn(move || {
                    // On the P of the hog: a timer, and goroutines behind it in the queue.
                    let start = Instant::now();
                    let late = move |due: Duration, ran: &AtomicUsize| {
                        ran.fetch_add(1, Relaxed);
                        start.elapsed() - due
                    };
                    let counter = Arc::clone(&ran);
                    let sleeper = spawn(move || {
                        sleep(Duration::from_millis(30));
                        late(Duration::from_millis(30), &counter)
                    });
                    yield_now();
                    let queued: Vec<_> = (0..3)
                        .map(|_| {
                            let counter = Arc::clone(&ran);
                            spawn(move || late(Duration::ZERO, &counter))
                        })
                        .collect();
                    hog(&stop);
                    (sleeper, queued)
                })
            })
            .collect();
        // The sleep of the judge may itself be among those that must not starve.
        let start = Instant::now();
        while ran.load(Relaxed) < 4 * procs() && start.elapsed() < 2 * LATE {
            sleep(Duration::from_millis(5)); // how often we look
        }
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

/// Endless loops on all Ps: others start, run, sleep and wake all the same, and there is about one thread more for
/// each.
#[test]
fn endless_loops_stall_nobody() {
    let _alone = alone();
    bounded("warm up", || (0..procs()).map(|_| spawn(yield_now)).for_each(|h| h.join().unwrap()));
    let before = threads();
    let (late, most) = bounded("goroutines beside endless loops", move || {
        let stop = AtomicBool::new(false);
        scope(|s| {
            for _ in 0..procs() {
                s.go(|| hog(&stop));
            }
            let (mut late, mut most) = (Duration::ZERO, 0);
            for _ in 0..10 {
                let start = Instant::now();
                spawn(yield_now).join().unwrap();
                sleep(Duration::from_millis(5));
                late = late.max(start.elapsed() - Duration::from_millis(5));
                most = most.max(threads());
            }
            stop.store(true, Relaxed);
            (late, most)
        })
    });
    assert!(late < LATE, "late by {late:?}");
    // The replacements of the hogs, a poller, a searcher; and what had not started yet when it was counted.
    assert!(most <= before + 2 * procs() + 4, "{most} threads, {before} before, {} Ps", procs());
    until_settled();
}

/// Blocks all at the same time, 64 goroutines of `blocking_ms` each, and returns how long that took.
fn sixty_four(block: fn(Duration), d: Duration) -> Duration {
    bounded("64 goroutines that block", move || {
        let start = Instant::now();
        let all: Vec<JoinHandle<()>> = (0..64).map(|_| spawn(move || block(d))).collect();
        all.into_iter().for_each(|h| h.join().unwrap());
        start.elapsed()
    })
}

#[test]
fn unannounced_blocking_is_compensated() {
    let _alone = alone();
    let d = Duration::from_millis(50);
    let took = sixty_four(std::thread::sleep, d);
    assert!(took < 64 * d / 4 / procs().min(2) as u32, "{took:?}");
    until_settled();
}

#[test]
fn announced_blocking_takes_no_time_at_all() {
    let _alone = alone();
    let d = Duration::from_millis(50);
    let took = sixty_four(|d| blocking(|| std::thread::sleep(d)), d); // not for ordering: it blocks
    assert!(took < 64 * d / 4 / procs().min(2) as u32, "{took:?}");
    until_settled();
}

/// The same goroutines again and again: after a few times they are expected to, and nobody waits for sysmon to notice.
#[test]
fn goroutines_that_keep_blocking_do_so_side_by_side() {
    const TIMES: u32 = 20;
    let _alone = alone();
    let d = Duration::from_millis(3);
    let took = bounded("64 goroutines that keep blocking", move || {
        let start = Instant::now();
        let all: Vec<JoinHandle<()>> = (0..64)
            .map(|_| {
                spawn(move || {
                    for _ in 0..TIMES {
                        std::thread::sleep(d); // not for ordering: it blocks
                        yield_now();
                    }
                })
            })
            .collect();
        all.into_iter().for_each(|h| h.join().unwrap());
        start.elapsed()
    });
    assert!(took < 64 * TIMES * d / 4 / procs().min(2) as u32, "{took:?}");
    until_settled();
    // The same threads run what does not block as before.
    bounded("short turns", || {
        let all: Vec<JoinHandle<()>> =
            (0..200).map(|_| spawn(|| (0..20).for_each(|_| yield_now()))).collect();
        all.into_iter().for_each(|h| h.join().unwrap());
    });
    until_settled();
}

/// All Ps sit in a read of std's, which only another goroutine can end.
#[test]
fn blocked_in_reads_that_another_goroutine_ends() {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    let _alone = alone();
    bounded("goroutines in blocking reads", || {
        let (readers, writers): (Vec<_>, Vec<_>) =
            (0..2 * procs() + 6).map(|_| UnixStream::pair().unwrap()).unzip();
        let all: Vec<JoinHandle<u8>> = readers
            .into_iter()
            .map(|mut r| {
                spawn(move || {
                    let mut byte = [0];
                    r.read_exact(&mut byte).unwrap();
                    byte[0]
                })
            })
            .collect();
        yield_now();
        for mut w in writers {
            spawn(move || w.write_all(&[7]).unwrap());
        }
        all.into_iter().for_each(|h| assert_eq!(h.join().unwrap(), 7));
    });
    until_settled();
}

/// The owner of a lock sleeps as a goroutine while all threads wait for the lock.
#[test]
fn blocked_on_a_lock_whose_owner_sleeps() {
    let _alone = alone();
    bounded("goroutines on a lock", || {
        let count = Arc::new(std::sync::Mutex::new(0));
        let all: Vec<JoinHandle<()>> = (0..4 * procs())
            .map(|_| {
                let count = Arc::clone(&count);
                spawn(move || {
                    let mut count = count.lock().unwrap();
                    sleep(Duration::from_millis(2));
                    *count += 1;
                })
            })
            .collect();
        all.into_iter().for_each(|h| h.join().unwrap());
        assert_eq!(*count.lock().unwrap(), 4 * procs());
    });
    until_settled();
}

#[test]
fn blocking_nests_waits_and_returns() {
    let _alone = alone();
    bounded("blocking inside of blocking", || {
        let value = blocking(|| {
            let inner = blocking(|| {
                std::thread::sleep(Duration::from_millis(2)); // not for ordering: it blocks
                20
            });
            // Waiting as a goroutine, in the middle of it.
            sleep(Duration::from_millis(2));
            yield_now();
            let joined = spawn(|| 1).join().unwrap();
            scope(|s| s.go(yield_now));
            std::thread::sleep(Duration::from_millis(2)); // not for ordering: it blocks
            inner + joined + blocking(|| 21)
        });
        assert_eq!(value, 42);
    });
    bounded_on_thread("blocking on a thread", || assert_eq!(blocking(|| blocking(|| 5)), 5));
    until_settled();
}

#[test]
fn a_panic_leaves_a_blocking_section_in_order() {
    let _alone = alone();
    bounded("a panic in a blocking section", || {
        for _ in 0..20 {
            let all: Vec<JoinHandle<()>> = (0..4)
                .map(|_| {
                    spawn(|| {
                        let result = std::panic::catch_unwind(|| {
                            blocking(|| {
                                std::thread::sleep(Duration::from_micros(100)); // not for ordering: it blocks
                                panic!("expected by the test");
                            })
                        });
                        assert!(result.is_err() && !std::thread::panicking());
                        yield_now();
                        sleep(Duration::from_micros(100));
                    })
                })
                .collect();
            all.into_iter().for_each(|h| h.join().unwrap());
        }
    });
    until_settled();
}

/// It never comes to the scheduler itself, and waits for what it starts: by looking, and asleep in the kernel.
#[test]
fn what_a_stuck_goroutine_starts_runs() {
    let _alone = alone();
    bounded("goroutines of a stuck one", || {
        let looks = spawn(|| {
            for _ in 0..50 {
                let ran = Arc::new(AtomicBool::new(false));
                let theirs = Arc::clone(&ran);
                gopark_sched::go(move || theirs.store(true, Relaxed));
                while !ran.load(Relaxed) {
                    std::hint::spin_loop();
                }
            }
        });
        let sleeps = spawn(|| {
            for i in 0..50 {
                let (tx, rx) = std::sync::mpsc::channel();
                gopark_sched::go(move || tx.send(i).unwrap());
                assert_eq!(rx.recv(), Ok(i));
            }
        });
        looks.join().unwrap();
        sleeps.join().unwrap();
    });
    until_settled();
}

/// Hogs, again and again, of which each ends as a P too many: none is lost, none stays.
#[test]
fn ps_are_neither_lost_nor_left_over() {
    let _alone = alone();
    for round in 0..8 {
        bounded("hogs that come and go", move || {
            let ran = AtomicUsize::new(0);
            scope(|s| {
                for i in 0..2 * procs() {
                    let ran = &ran;
                    s.go(move || {
                        // Some are counted as hogs, some as blocked, some are not noticed at all.
                        match (i + round) % 3 {
                            0 => hog_for(Duration::from_millis(25)),
                            // not for ordering: the blocking call
                            1 => std::thread::sleep(Duration::from_millis(3)),
                            _ => hog_for(Duration::from_millis(1)),
                        }
                        sleep(Duration::from_micros(300));
                        ran.fetch_add(1, Relaxed);
                    });
                }
            });
            assert_eq!(ran.into_inner(), 2 * procs());
        });
        until_settled();
    }
}
