//! `sync::RwLock`: Go's tests by name, order, time limits, downgrading and upgrading.

mod util;

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use gopark_sched::chan::bounded as channel;
use gopark_sched::sync::{RwLock, RwLockUpgradableReadGuard, RwLockWriteGuard};
use gopark_sched::{WaitReason, spawn, yield_now};
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    let _alone = alone();
    run_with_1_2_and_4_procs();
}

// Go: sync/rwmutex_test.go TestParallelReaders
#[test]
fn parallel_readers() {
    let _alone = alone();
    bounded("parallel_readers", || {
        for readers in [1, 3, 4] {
            let m = Arc::new(RwLock::new(()));
            let (locked_tx, locked) = channel(0);
            let (unlock, unlock_rx) = channel(0);
            let tasks: Vec<_> = (0..readers)
                .map(|_| {
                    let (m, locked, unlock) = (Arc::clone(&m), locked_tx.clone(), unlock_rx.clone());
                    spawn(move || {
                        let guard = m.read();
                        locked.send(()).expect("the test receives");
                        unlock.recv().expect("the test sends");
                        drop(guard);
                    })
                })
                .collect();
            // All have it at a time.
            (0..readers).for_each(|_| locked.recv().expect("a reader sends"));
            (0..readers).for_each(|_| unlock.send(()).expect("a reader receives"));
            tasks.into_iter().for_each(|h| h.join().expect("no panic"));
        }
    });
}

/// Readers count 1, writers 10,000.
fn hammer_rwmutex(readers: usize, iterations: usize) {
    let m = Arc::new(RwLock::new(()));
    let activity = Arc::new(AtomicI32::new(0));
    let writes = move |i: usize| i == 0 || i == readers / 2 + 1;
    let tasks: Vec<_> = (0..readers + 2)
        .map(|i| {
            let (m, activity) = (Arc::clone(&m), Arc::clone(&activity));
            spawn(move || {
                for round in 0..iterations {
                    if writes(i) {
                        let _guard = m.write();
                        assert_eq!(activity.fetch_add(10_000, SeqCst), 0);
                        if round % 16 == 0 {
                            yield_now();
                        }
                        activity.fetch_sub(10_000, SeqCst);
                    } else {
                        let _guard = m.read();
                        assert!((0..10_000).contains(&activity.fetch_add(1, SeqCst)));
                        if round % 16 == 0 {
                            yield_now();
                        }
                        activity.fetch_sub(1, SeqCst);
                    }
                }
            })
        })
        .collect();
    tasks.into_iter().for_each(|h| h.join().expect("no panic"));
    assert!(!m.is_locked());
}

// Go: sync/rwmutex_test.go TestRWMutex
#[test]
fn rwmutex() {
    let _alone = alone();
    bounded("rwmutex", || {
        let m = RwLock::new(0);
        let write = m.write();
        assert!(m.is_locked_exclusive());
        assert!(m.try_write().is_none(), "try_write succeeded with the lock taken");
        assert!(m.try_read().is_none(), "try_read succeeded with the lock taken");
        drop(write);
        drop(m.try_write().expect("try_write failed with the lock free"));
        let first = m.try_read().expect("try_read failed with the lock free");
        let second = m.try_read().expect("try_read failed with the lock taken for reading");
        assert!(m.try_write().is_none(), "try_write succeeded with the lock taken for reading");
        drop((first, second));
        assert!(!m.is_locked());
        for readers in [1, 3, 10, 5] {
            hammer_rwmutex(readers, 500);
        }
    });
}

// Go: sync/rwmutex_test.go TestRLocker
#[test]
fn rlocker() {
    let _alone = alone();
    bounded("rlocker", || {
        let m = Arc::new(RwLock::new(()));
        let (write_tx, write_rx) = channel(1);
        let (read_tx, read_rx) = channel(1);
        let theirs = Arc::clone(&m);
        let task = spawn(move || {
            for _ in 0..10 {
                let guards = (theirs.read_arc(), theirs.read_arc());
                read_tx.send(guards).expect("the test receives");
                write_tx.send(theirs.write_arc()).expect("the test receives");
            }
        });
        for _ in 0..10 {
            let (first, second) = read_rx.recv().expect("guards");
            drop(first);
            assert!(write_rx.try_recv().is_err(), "a reader did not keep the writer out");
            drop(second);
            let write = write_rx.recv().expect("a guard");
            assert!(read_rx.try_recv().is_err(), "the writer did not keep readers out");
            drop(write);
        }
        task.join().expect("no panic");
    });
}

/// A writer that waits keeps new readers out; when it is through, the readers that queued up come first, and then the
/// next writer.
#[test]
fn readers_and_writers_take_turns() {
    let _alone = alone();
    bounded("readers_and_writers_take_turns", || {
        for _ in 0..20 {
            let m = Arc::new(RwLock::new(Vec::new()));
            let reader = m.read();
            let start = |write: bool, name: &'static str, reason, waiting: usize| {
                let m = Arc::clone(&m);
                let task = spawn(move || {
                    if write {
                        m.write().push(name);
                    } else {
                        assert_eq!(m.read().len(), 1, "after the first writer, before the second");
                    }
                });
                while parked(reason) < waiting {
                    yield_now();
                }
                task
            };
            // The first writer waits for the reader, the second for the first, the readers for the first too.
            let mut tasks = vec![
                start(true, "first", WaitReason::SyncRwMutexLock, 1),
                start(true, "second", WaitReason::SyncMutexLock, 1),
            ];
            tasks.extend((1..=5).map(|n| start(false, "", WaitReason::SyncRwMutexRLock, n)));
            drop(reader);
            tasks.into_iter().for_each(|h| h.join().expect("no panic"));
            assert_eq!(*m.read(), ["first", "second"]);
        }
    });
}

#[test]
fn time_limits() {
    let _alone = alone();
    bounded("time_limits", || {
        let limit = Duration::from_millis(3);
        let m = Arc::new(RwLock::new(0));
        let write = m.write();
        let start = Instant::now();
        assert!(m.try_read_for(limit).is_none());
        assert!(m.try_write_for(limit).is_none());
        assert!(m.try_upgradable_read_for(limit).is_none());
        assert!(m.try_read_until(start).is_none());
        assert!(start.elapsed() >= 3 * limit);
        drop(write);

        let read = m.read();
        let start = Instant::now();
        assert!(m.try_write_for(limit).is_none());
        assert!(start.elapsed() >= limit);
        assert!(m.try_read().is_some(), "the writer that gave up still keeps readers out");
        // Readers that queued up behind it come in when it gives up.
        let reader = {
            let m = Arc::clone(&m);
            spawn(move || {
                while m.try_read().is_some() {
                    yield_now();
                }
                *m.read()
            })
        };
        assert!(m.try_write_for(Duration::from_millis(10)).is_none());
        // Either it saw the writer, or it is still looking: then a second one will end it.
        while !reader.is_finished() {
            assert!(m.try_write_for(Duration::from_millis(1)).is_none());
        }
        assert_eq!(reader.join().expect("no panic"), 0);
        drop(read);
        *m.try_write_for(Duration::ZERO).expect("free") += 1;
        assert_eq!(*m.try_read_for(Duration::ZERO).expect("free"), 1);
    });
}

#[test]
fn downgrade_lets_readers_in_and_no_writer() {
    let _alone = alone();
    bounded("downgrade_lets_readers_in_and_no_writer", || {
        let m = Arc::new(RwLock::new(1));
        let write = m.write();
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let m = Arc::clone(&m);
                spawn(move || *m.read())
            })
            .collect();
        (0..20).for_each(|_| yield_now());
        let read = RwLockWriteGuard::downgrade(write);
        for task in tasks {
            assert_eq!(task.join().expect("no panic"), 1);
        }
        assert!(m.try_write().is_none());
        assert_eq!(*read, 1);
        drop(read);
        assert!(m.try_write().is_some());
    });
}

#[test]
fn upgradable_readers() {
    let _alone = alone();
    bounded("upgradable_readers", || {
        let m = Arc::new(RwLock::new(1));
        let up = m.upgradable_read();
        let read = m.try_read().expect("readers are welcome");
        assert!(m.try_write().is_none() && m.try_upgradable_read().is_none());
        let up = RwLockUpgradableReadGuard::try_upgrade(up).expect_err("a reader is in");
        let up = RwLockUpgradableReadGuard::try_upgrade_for(up, Duration::from_millis(1)).expect_err("still");
        assert!(m.try_read().is_some(), "who gave up upgrading keeps readers out");
        let theirs = spawn({
            let m = Arc::clone(&m);
            move || {
                (0..50).for_each(|_| yield_now());
                drop(m.read_arc());
            }
        });
        drop(read);
        let mut write = RwLockUpgradableReadGuard::upgrade(up);
        *write = 2;
        assert!(m.try_read().is_none());
        let up = RwLockWriteGuard::downgrade_to_upgradable(write);
        assert!(m.try_write().is_none());
        theirs.join().expect("no panic");
        let read = RwLockUpgradableReadGuard::downgrade(up);
        assert!(m.try_upgradable_read().is_some());
        assert_eq!(*read, 2);
    });
}

/// Everything at a time, with limits that run out while locks change hands.
#[test]
fn a_mixed_crowd() {
    let _alone = alone();
    runtime();
    let m = Arc::new(RwLock::new((0u64, 0u64)));
    let work = |m: &RwLock<(u64, u64)>, seed: u64| {
        let mut x = seed | 1;
        for _ in 0..400 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let limit = Duration::from_micros((x >> 40) % 60);
            let check = |pair: &(u64, u64)| assert_eq!(pair.0, pair.1);
            let add = |pair: &mut (u64, u64)| {
                pair.0 += 1;
                if limit.as_micros().is_multiple_of(8) {
                    yield_now();
                }
                pair.1 += 1;
            };
            match (x >> 33) % 8 {
                0 => add(&mut m.write()),
                1 => drop(m.try_write_for(limit).map(|mut pair| add(&mut pair))),
                2 => drop(m.try_read_for(limit).map(|pair| check(&pair))),
                3 => check(&RwLockWriteGuard::downgrade(m.write())),
                4 => {
                    let up = m.upgradable_read();
                    if let Ok(mut pair) = RwLockUpgradableReadGuard::try_upgrade_for(up, limit) {
                        add(&mut pair);
                    }
                }
                _ => check(&m.read()),
            }
        }
    };
    let tasks: Vec<_> = (0..8)
        .map(|i| {
            let m = Arc::clone(&m);
            spawn(move || work(&m, i * 77_777))
        })
        .collect();
    std::thread::scope(|s| {
        for i in 0..2 {
            let m = &m;
            s.spawn(move || work(m, i * 12_345));
        }
    });
    bounded("a_mixed_crowd", move || {
        tasks.into_iter().for_each(|h| h.join().expect("no panic"));
        let pair = m.read();
        assert_eq!(pair.0, pair.1);
        drop(pair);
        assert!(!m.is_locked());
    });
}
