//! The descriptor's mutex by Go's tests.

use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread;

use gopark_poll::{Closed, FdMutex, Left, Mode, TryLockError};

use crate::setup;
use crate::util::{bounded, until};

// Go: internal/poll TestMutexLock
#[test]
fn test_mutex_lock() {
    setup();
    let mu = FdMutex::new();
    mu.incref().unwrap();
    assert_eq!(mu.decref(), Left::InUse);
    for mode in [Mode::Read, Mode::Write] {
        mu.rwlock(mode).unwrap();
        assert_eq!(mu.try_rwlock(mode), Err(TryLockError::Held));
        assert_eq!(mu.rwunlock(mode), Left::InUse);
    }
    // The directions are independent.
    mu.rwlock(Mode::Read).unwrap();
    mu.rwlock(Mode::Write).unwrap();
    assert_eq!(mu.rwunlock(Mode::Read), Left::InUse);
    assert_eq!(mu.rwunlock(Mode::Write), Left::InUse);
}

// Go: internal/poll TestMutexClose
#[test]
fn test_mutex_close() {
    setup();
    let mu = FdMutex::new();
    mu.incref_and_close().unwrap();
    assert_eq!(mu.incref(), Err(Closed));
    assert_eq!(mu.rwlock(Mode::Read), Err(Closed));
    assert_eq!(mu.rwlock(Mode::Write), Err(Closed));
    assert_eq!(mu.try_rwlock(Mode::Read), Err(TryLockError::Closed));
    assert_eq!(mu.incref_and_close(), Err(Closed));
    assert_eq!(mu.decref(), Left::Last);
}

// Go: internal/poll TestMutexCloseUnblock
#[test]
fn test_mutex_close_unblock() {
    setup();
    bounded(|| {
        let mu = Arc::new(FdMutex::new());
        let started = Arc::new(AtomicUsize::new(0));
        mu.rwlock(Mode::Read).unwrap();
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let (mu, started) = (mu.clone(), started.clone());
                thread::spawn(move || {
                    started.fetch_add(1, Relaxed);
                    mu.rwlock(Mode::Read)
                })
            })
            .collect();
        until(|| started.load(Relaxed) == 4);
        assert!(readers.iter().all(|r| !r.is_finished()), "the lock is held");
        mu.incref_and_close().unwrap();
        for reader in readers {
            assert_eq!(reader.join().unwrap(), Err(Closed));
        }
        assert_eq!(mu.decref(), Left::InUse);
        assert_eq!(mu.rwunlock(Mode::Read), Left::Last);
    });
}

// Go: internal/poll TestMutexPanic
#[test]
fn test_mutex_panic() {
    setup();
    let mu = FdMutex::new();
    let inconsistent = |f: &dyn Fn()| {
        let panic = catch_unwind(std::panic::AssertUnwindSafe(f)).expect_err("it did not panic");
        assert_eq!(*panic.downcast::<&str>().unwrap(), "inconsistent poll.fdMutex");
    };
    inconsistent(&|| {
        let _ = mu.decref();
    });
    inconsistent(&|| {
        let _ = mu.rwunlock(Mode::Read);
    });
    inconsistent(&|| {
        let _ = mu.rwunlock(Mode::Write);
    });
    inconsistent(&|| {
        mu.incref().unwrap();
        let _ = mu.decref();
        let _ = mu.decref();
    });
    for mode in [Mode::Read, Mode::Write] {
        inconsistent(&|| {
            mu.rwlock(mode).unwrap();
            let _ = mu.rwunlock(mode);
            let _ = mu.rwunlock(mode);
        });
    }
    // It still works.
    mu.incref().unwrap();
    assert_eq!(mu.decref(), Left::InUse);
    for mode in [Mode::Read, Mode::Write] {
        mu.rwlock(mode).unwrap();
        assert_eq!(mu.rwunlock(mode), Left::InUse);
    }
}

// Go: internal/poll TestMutexOverflowPanic
#[test]
fn test_mutex_overflow_panic() {
    setup();
    let mu = FdMutex::new();
    let panic = catch_unwind(std::panic::AssertUnwindSafe(|| {
        for _ in 0..1 << 21 {
            mu.incref().unwrap();
        }
    }))
    .expect_err("it did not panic");
    let text = panic.downcast::<&str>().unwrap();
    assert_eq!(*text, "too many concurrent operations on a single file or socket (max 1048575)");
}

// Go: internal/poll TestMutexStress
#[test]
fn test_mutex_stress() {
    setup();
    bounded(|| {
        const THREADS: u64 = 8;
        const ROUNDS: u64 = 30_000;
        let mu = FdMutex::new();
        // Two counters in each direction, which differ only inside the lock.
        let state = [[const { AtomicU64::new(0) }; 2], [const { AtomicU64::new(0) }; 2]];
        thread::scope(|s| {
            for seed in 0..THREADS {
                let (mu, state) = (&mu, &state);
                s.spawn(move || {
                    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
                    for _ in 0..ROUNDS {
                        random ^= random << 13;
                        random ^= random >> 7;
                        random ^= random << 17;
                        let (mode, pair) = match random % 3 {
                            0 => {
                                mu.incref().unwrap();
                                assert_eq!(mu.decref(), Left::InUse);
                                continue;
                            }
                            1 => (Mode::Read, &state[0]),
                            _ => (Mode::Write, &state[1]),
                        };
                        mu.rwlock(mode).unwrap();
                        let (a, b) = (pair[0].load(Relaxed), pair[1].load(Relaxed));
                        assert_eq!(a, b, "two are in the lock");
                        pair[0].store(a + 1, Relaxed);
                        pair[1].store(b + 1, Relaxed);
                        assert_eq!(mu.rwunlock(mode), Left::InUse);
                    }
                });
            }
        });
        mu.incref_and_close().unwrap();
        assert_eq!(mu.decref(), Left::Last);
    });
}

/// Go: runtime/sema.go; golang/go 7.2 "semaphore wake storm on close": as many as were counted, no more.
#[test]
fn a_closed_mutex_leaves_no_permits_behind() {
    setup();
    bounded(|| {
        // At the same address again and again: a permit that was left over would let somebody in.
        let mu = Box::leak(Box::new(FdMutex::new()));
        mu.rwlock(Mode::Write).unwrap();
        let waiters: Vec<_> = (0..3).map(|_| thread::spawn(|| mu.rwlock(Mode::Write))).collect();
        mu.incref_and_close().unwrap();
        for w in waiters {
            assert_eq!(w.join().unwrap(), Err(Closed));
        }
    });
}
