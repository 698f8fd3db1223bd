//! `sync::Mutex`: Go's tests by name, fairness, time limits, guards that travel.
//!
//! Go's TestMutexMisuse has no counterpart: to unlock what is not locked cannot be written.

mod util;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use gopark_sched::sync::{ArcMutexGuard, MappedMutexGuard, Mutex, MutexGuard};
use gopark_sched::{WaitReason, go, scope, sleep, spawn, yield_now};
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
    let _alone = alone();
    bounded("mutex", || {
        let m = Arc::new(Mutex::new(0));
        let guard = m.lock();
        assert!(m.is_locked());
        assert!(m.try_lock().is_none(), "try_lock succeeded with the mutex locked");
        drop(guard);
        let guard = m.try_lock();
        assert!(guard.is_some(), "try_lock failed with the mutex unlocked");
        drop(guard);
        assert!(!m.is_locked());

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

// Go: sync/mutex_test.go TestMutexFairness
#[test]
fn mutex_fairness() {
    let _alone = alone();
    bounded("mutex_fairness", || {
        let m = Arc::new(Mutex::new(()));
        let stop = Arc::new(AtomicBool::new(false));
        let holder = {
            let (m, stop) = (Arc::clone(&m), Arc::clone(&stop));
            spawn(move || {
                while !stop.load(SeqCst) {
                    let guard = m.lock();
                    sleep(Duration::from_micros(100));
                    drop(guard);
                }
            })
        };
        for _ in 0..10 {
            sleep(Duration::from_micros(100));
            drop(m.lock());
        }
        stop.store(true, SeqCst);
        holder.join().expect("no panic");
    });
}

/// One that holds the mutex almost all the time, and never parks; what the others get, they get by starving.
#[test]
fn who_waits_for_a_busy_mutex_gets_it() {
    let _alone = alone();
    bounded("who_waits_for_a_busy_mutex_gets_it", || {
        let m = Arc::new(Mutex::new(0u64));
        let stop = Arc::new(AtomicBool::new(false));
        let hog = {
            let (m, stop) = (Arc::clone(&m), Arc::clone(&stop));
            spawn(move || {
                while !stop.load(SeqCst) {
                    let mut guard = m.lock();
                    *guard += 1;
                    hog_for(Duration::from_micros(200));
                }
            })
        };
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let m = Arc::clone(&m);
                spawn(move || {
                    let mut worst = Duration::ZERO;
                    for _ in 0..10 {
                        let start = Instant::now();
                        *m.lock() += 1;
                        worst = worst.max(start.elapsed());
                        yield_now();
                    }
                    worst
                })
            })
            .collect();
        let worst = waiters.into_iter().map(|h| h.join().expect("no panic")).max();
        stop.store(true, SeqCst);
        hog.join().expect("no panic");
        // A few turns of a millisecond; on one P also the 10 ms until sysmon sees the hog. The rest is for machines
        // with other things to do.
        assert!(worst < Some(Duration::from_secs(2)), "{worst:?}");
    });
}

/// Waiters that starve get the mutex in the order of coming.
#[test]
fn starving_waiters_are_served_in_order() {
    let _alone = alone();
    bounded("starving_waiters_are_served_in_order", || {
        let m = Arc::new(Mutex::new(Vec::new()));
        let guard = m.lock();
        let waiters: Vec<_> = (0..8)
            .map(|i| {
                let m = Arc::clone(&m);
                let handle = spawn(move || m.lock().push(i));
                while parked(WaitReason::SyncMutexLock) <= i {
                    yield_now();
                }
                handle
            })
            .collect();
        hog_for(Duration::from_millis(2)); // all have waited long enough to insist, when they get a chance
        drop(guard);
        waiters.into_iter().for_each(|h| h.join().expect("no panic"));
        let order = std::mem::take(&mut *m.lock());
        assert_eq!(order, (0..8).collect::<Vec<_>>());
    });
}

// Go: runtime/sema_test.go TestSemaHandoff (go-semantics 5.2 row 155): who hands over lets the waiter go first.
#[test]
fn sema_handoff() {
    let _alone = alone();
    let procs = procs();
    let ok = bounded("sema_handoff", move || {
        let busy = Arc::new(AtomicBool::new(true));
        let yielders: Vec<_> = (0..procs)
            .map(|_| {
                let busy = Arc::clone(&busy);
                spawn(move || {
                    while busy.load(SeqCst) {
                        yield_now();
                    }
                })
            })
            .collect();
        let mut ok = 0;
        for _ in 0..1000 {
            let m = Arc::new(Mutex::new(()));
            let first = Arc::new(AtomicUsize::new(0));
            let guard = m.lock();
            let began = Arc::new(AtomicBool::new(false));
            let waiter = {
                let (m, first, began) = (Arc::clone(&m), Arc::clone(&first), Arc::clone(&began));
                spawn(move || {
                    began.store(true, SeqCst);
                    let guard = m.lock();
                    let _ = first.compare_exchange(0, 1, SeqCst, SeqCst);
                    MutexGuard::unlock_fair(guard);
                })
            };
            while !began.load(SeqCst) {
                yield_now();
            }
            (0..20).for_each(|_| yield_now()); // until it waits in `lock`
            MutexGuard::unlock_fair(guard);
            let _ = first.compare_exchange(0, 2, SeqCst, SeqCst);
            waiter.join().expect("no panic");
            ok += usize::from(first.load(SeqCst) == 1);
        }
        busy.store(false, SeqCst);
        yielders.into_iter().for_each(|h| h.join().expect("no panic"));
        ok
    });
    assert!(ok >= 1000 * 2 / 3, "handed over directly: {ok} of 1000");
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

#[test]
fn a_time_limit_ends_a_wait_and_nothing_else() {
    let _alone = alone();
    bounded("a_time_limit_ends_a_wait_and_nothing_else", || {
        let m = Arc::new(Mutex::new(0));
        let guard = m.lock();
        let (start, limit) = (Instant::now(), Duration::from_millis(5));
        assert!(m.try_lock_for(limit).is_none());
        assert!(start.elapsed() >= limit, "gave up after {:?}", start.elapsed());
        let start = Instant::now();
        assert!(m.try_lock_until(start + limit).is_none());
        assert!(start.elapsed() >= limit);
        // Past or zero: at once.
        assert!(m.try_lock_for(Duration::ZERO).is_none());
        assert!(m.try_lock_until(start).is_none());
        // In time, with the longest limit there is.
        let waiter = {
            let m = Arc::clone(&m);
            spawn(move || m.try_lock_for(Duration::MAX).map(|mut guard| *guard += 1).is_some())
        };
        (0..20).for_each(|_| yield_now());
        drop(guard);
        assert!(waiter.join().expect("no panic"));
        // Free: without looking at the clock.
        assert!(m.try_lock_for(Duration::ZERO).is_some());
        assert_eq!(*m.lock(), 1);
    });
}

#[test]
fn a_panic_unlocks_and_does_not_poison() {
    let _alone = alone();
    bounded("a_panic_unlocks_and_does_not_poison", || {
        let m = Arc::new(Mutex::new(1));
        let theirs = Arc::clone(&m);
        let result = spawn(move || {
            let mut guard = theirs.lock();
            *guard = 2;
            panic!("on purpose: a test of locks");
        })
        .join();
        assert!(result.is_err());
        assert_eq!(*m.lock(), 2);
    });
}

/// A guard is not bound to the thread it was made on: neither when its goroutine moves nor when it is given away.
#[test]
fn guards_travel() {
    let _alone = alone();
    bounded("guards_travel", || {
        let m = Arc::new(Mutex::new(vec![0u32]));
        // Kept over parks, among others that do the same: resumed wherever there is a P.
        let keepers: Vec<_> = (0..8)
            .map(|i| {
                let m = Arc::clone(&m);
                spawn(move || {
                    for _ in 0..20 {
                        let mut guard = m.lock();
                        let before = guard.len();
                        if i % 2 == 0 {
                            yield_now()
                        } else {
                            sleep(Duration::from_micros(50))
                        };
                        guard.push(i);
                        assert_eq!(guard.len(), before + 1, "somebody else was in");
                    }
                })
            })
            .collect();
        keepers.into_iter().for_each(|h| h.join().expect("no panic"));
        assert_eq!(m.lock().len(), 161);
        // Given to a goroutine, and to a thread; whole, a part, and with its own reference.
        let guard: ArcMutexGuard<Vec<u32>> = m.lock_arc();
        spawn(move || drop(guard)).join().expect("no panic");
        let guard = m.lock_arc();
        std::thread::spawn(move || drop(guard)).join().expect("no panic");
        scope(|s| {
            let part: MappedMutexGuard<'_, u32> = MutexGuard::map(m.lock(), |v| &mut v[0]);
            s.go(move || assert_eq!(*part, 0));
        });
        assert!(m.try_lock().is_some());
    });
}

#[test]
fn unlocked_lets_others_in() {
    let _alone = alone();
    bounded("unlocked_lets_others_in", || {
        let m = Mutex::new(1);
        let mut guard = m.lock();
        let seen = MutexGuard::unlocked(&mut guard, || {
            let mut inner = m.lock();
            *inner += 1;
            *inner
        });
        assert_eq!((seen, *guard), (2, 2));
        MutexGuard::bump(&mut guard); // nobody waits: stays locked
        assert!(m.try_lock().is_none());
    });
}

/// Who bumps lets the waiters in, and has the mutex again.
#[test]
fn bump_lets_a_waiter_in() {
    let _alone = alone();
    bounded("bump_lets_a_waiter_in", || {
        let m = Arc::new(Mutex::new(0));
        let mut guard = m.lock();
        let waiter = {
            let m = Arc::clone(&m);
            spawn(move || *m.lock() += 1)
        };
        while *guard == 0 {
            yield_now();
            MutexGuard::bump(&mut guard);
        }
        drop(guard);
        waiter.join().expect("no panic");
    });
}

/// Timeouts that race with unlocks: no wake-up is lost, or this ends in the time limit of the test.
#[test]
fn timeouts_race_with_unlocks() {
    let _alone = alone();
    bounded("timeouts_race_with_unlocks", || {
        let m = Arc::new(Mutex::new(0usize));
        let tasks: Vec<_> = (0..12)
            .map(|i| {
                let m = Arc::clone(&m);
                spawn(move || {
                    let mut had = 0;
                    for round in 0..300usize {
                        let guard = match (i + round) % 4 {
                            0 => Some(m.lock()),
                            1 => m.try_lock_for(Duration::from_micros((round % 50) as u64)),
                            2 => m.try_lock_for(Duration::ZERO),
                            _ => m.try_lock(),
                        };
                        if let Some(mut guard) = guard {
                            *guard += 1;
                            had += 1;
                            if round % 7 == 0 {
                                yield_now();
                            }
                            if round % 50 == 49 {
                                sleep(Duration::from_micros(20));
                            }
                        } else {
                            yield_now();
                        }
                    }
                    had
                })
            })
            .collect();
        let had: usize = tasks.into_iter().map(|h| h.join().expect("no panic")).sum();
        assert_eq!(*m.lock(), had);
        assert!(m.try_lock().is_some());
    });
}

/// Many waiters of one mutex, most of which give up: none is left in its list.
#[test]
fn a_crowd_gives_up() {
    let _alone = alone();
    bounded("a_crowd_gives_up", || {
        let m = Arc::new(Mutex::new(0));
        let guard = m.lock();
        let crowd: Vec<_> = (0..500u64)
            .map(|i| {
                let m = Arc::clone(&m);
                spawn(move || m.try_lock_for(Duration::from_millis(1 + i % 20)).is_some())
            })
            .collect();
        assert!(crowd.into_iter().all(|h| !h.join().expect("no panic")));
        drop(guard);
        drop(m.lock());
        assert!(m.try_lock().is_some());
    });
}

/// A destructor that runs while its goroutine unwinds waits for a lock like any other (it stays on its thread).
#[test]
fn a_destructor_waits_while_its_goroutine_unwinds() {
    struct Locks(Arc<Mutex<u32>>);

    impl Drop for Locks {
        fn drop(&mut self) {
            *self.0.lock() += 1;
        }
    }

    let _alone = alone();
    bounded("a_destructor_waits_while_its_goroutine_unwinds", || {
        let m = Arc::new(Mutex::new(0));
        let guard = m.lock();
        let theirs = Locks(Arc::clone(&m));
        let unwinds = spawn(move || {
            let _theirs = theirs;
            panic!("on purpose: a test of locks");
        });
        sleep(Duration::from_millis(2)); // it waits by now, or will find the mutex free: both are right
        drop(guard);
        assert!(unwinds.join().is_err());
        assert_eq!(*m.lock(), 1);
    });
}

/// Before `Runtime::start`: locks between threads work; what needs the timers says which line is missing.
#[test]
fn works_before_the_runtime_is_started() {
    match child("works_before_the_runtime_is_started", &[]) {
        Child::Skip => {}
        Child::Ended(output) => assert!(output.status.success(), "{}", text_of(&output)),
        Child::Inside => {
            let m = Mutex::new(0);
            std::thread::scope(|s| {
                for _ in 0..4 {
                    s.spawn(|| hammer(&m, 5000));
                }
            });
            assert!(*m.lock() > 0);
            assert!(m.try_lock_for(Duration::ZERO).is_some(), "free: needs no timer");
            let _guard = m.lock();
            let waits = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                m.try_lock_for(Duration::from_secs(1)).is_some()
            }));
            let payload = waits.expect_err("a wait with a time limit needs the runtime");
            let text = payload.downcast_ref::<String>().expect("a text");
            assert!(text.contains("Runtime::start()"), "{text}");
        }
    }
}

/// A mutex is taken by one, asked for by many, and its last owner drops it while another is about to unlock.
#[test]
fn a_mutex_may_be_dropped_by_its_last_user() {
    let _alone = alone();
    bounded("a_mutex_may_be_dropped_by_its_last_user", || {
        for _ in 0..500 {
            let m = Arc::new(Mutex::new(0));
            let (a, b) = (Arc::clone(&m), m);
            let done = Arc::new(AtomicUsize::new(0));
            for m in [a, b] {
                let done = Arc::clone(&done);
                go(move || {
                    *m.lock() += 1;
                    drop(m);
                    done.fetch_add(1, SeqCst);
                });
            }
            while done.load(SeqCst) < 2 {
                yield_now();
            }
        }
    });
}
