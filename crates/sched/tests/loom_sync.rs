//! Models of the locks: the real words and lists (`sync/raw_mutex.rs`, `raw_rwlock.rs`, `permits.rs`,
//! `group_count.rs`, `once_state.rs`, over `sema.rs` and `waitlist.rs`), with loom's lock around the lists and threads
//! that park on a flag. A wake-up that is lost is a deadlock, which loom reports; exclusion and what one holder sees
//! of the last are checked with a cell.
//!
//! Time limits are in the past: the waiter queues up, and gives up as soon as it may, so that whatever ends its wait
//! races with that.
#![cfg(loom)]
#![allow(dead_code, missing_docs, unreachable_pub)]

#[path = "util/loom.rs"]
mod util;

#[path = "../src/waitlist.rs"]
mod waitlist;

#[path = "../src/sync/group_count.rs"]
mod group_count;
#[path = "../src/sync/once_state.rs"]
mod once_state;
#[path = "../src/sync/permits.rs"]
mod permits;
#[path = "../src/sync/raw_mutex.rs"]
mod raw_mutex;
#[path = "../src/sync/raw_rwlock.rs"]
mod raw_rwlock;
#[path = "../src/sync/sema.rs"]
mod sema;

/// What the files find as `crate::sync`.
mod sync {
    pub(crate) use crate::{lock, raw_mutex, sema, spin};
}

mod lock {
    pub(crate) use loom::sync::MutexGuard;

    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Mutex<T> {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}

mod spin {
    use std::sync::atomic::Ordering::Relaxed;

    pub(crate) fn can_spin(spun: u32) -> bool {
        spun < crate::SPINS.load(Relaxed)
    }

    pub(crate) fn spin() {
        loom::thread::yield_now();
    }
}

mod rt {
    use std::sync::atomic::Ordering::Relaxed;

    /// Each look at the clock is later by the model's step.
    pub(crate) fn nanotime() -> i64 {
        crate::CLOCK.fetch_add(crate::STEP.load(Relaxed), Relaxed)
    }
}

mod park {
    use gopark_poll::WaitReason;
    use loom::sync::{Condvar, Mutex};

    /// Never freed, as the real ones.
    pub(crate) struct ParkSlot {
        ready: Mutex<bool>,
        changed: Condvar,
    }

    pub(crate) fn unpark(slot: &'static ParkSlot) {
        *slot.ready.lock().unwrap() = true;
        slot.changed.notify_one();
    }

    pub(crate) struct Parker(&'static ParkSlot);

    /// A deadline that has passed needs none.
    pub(crate) struct Timer;

    impl Timer {
        pub(crate) fn arm(&self, _when: i64) {}
        pub(crate) fn stop(&self) {}
    }

    impl Parker {
        pub(crate) fn current() -> Parker {
            Parker(Box::leak(Box::new(ParkSlot { ready: Mutex::new(false), changed: Condvar::new() })))
        }

        pub(crate) fn slot(&self) -> &'static ParkSlot {
            self.0
        }

        pub(crate) fn timer(&self) -> Timer {
            Timer
        }

        pub(crate) fn park(&self, _reason: WaitReason) {
            let mut ready = self.0.ready.lock().unwrap();
            while !*ready {
                ready = self.0.changed.wait(ready).unwrap();
            }
            *ready = false;
        }
    }
}

use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering::Relaxed};

use gopark_poll::WaitReason;
use group_count::GroupCount;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use once_state::{Begin, Finish, OnceState};
use permits::Permits;
use raw_mutex::RawMutex;
use raw_rwlock::RawRwLock;
use sema::Waiters;

/// How often a waiter spins, and by how much the clock goes on with each look: the settings of the running model.
static SPINS: AtomicU32 = AtomicU32::new(0);
static STEP: AtomicI64 = AtomicI64::new(0);
static CLOCK: AtomicI64 = AtomicI64::new(1);

/// A time limit that has passed.
const PAST: i64 = 0;

/// Waiters never starve, or do as soon as they were woken once.
#[derive(Copy, Clone)]
enum Waits {
    Short,
    Long,
}

/// One model at a time, since the settings are everybody's.
fn model(preemptions: usize, spins: u32, waits: Waits, f: impl Fn() + Sync + Send + 'static) {
    static ONE: StdMutex<()> = StdMutex::new(());
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    SPINS.store(spins, Relaxed);
    STEP.store(if matches!(waits, Waits::Long) { 2_000_000 } else { 0 }, Relaxed);
    util::model(preemptions, f);
}

/// Runs all of them as threads, the last on the caller's.
fn together(mut all: Vec<Box<dyn FnOnce() + Send>>) {
    let last = all.pop().expect("at least one");
    let threads: Vec<_> = all.into_iter().map(|f| thread::spawn(f)).collect();
    last();
    for thread in threads {
        thread.join().unwrap();
    }
}

macro_rules! together {
    ($($f:expr),* $(,)?) => { together(vec![$(Box::new($f) as Box<dyn FnOnce() + Send>),*]) };
}

/// A value that only who has the lock may touch.
struct Guarded<L> {
    lock: L,
    value: UnsafeCell<usize>,
}

// Loom checks what the compiler cannot.
#[allow(unsafe_code)]
// SAFETY: the cell panics when two accesses are not ordered.
unsafe impl<L: Sync> Sync for Guarded<L> {}

impl<L> Guarded<L> {
    fn new(lock: L) -> Arc<Guarded<L>> {
        Arc::new(Guarded { lock, value: UnsafeCell::new(0) })
    }

    #[allow(unsafe_code)]
    fn add(&self) {
        // SAFETY: loom fails the model if somebody else is here.
        self.value.with_mut(|v| unsafe { *v += 1 });
    }

    #[allow(unsafe_code)]
    fn get(&self) -> usize {
        // SAFETY: as above.
        self.value.with(|v| unsafe { *v })
    }
}

type M = Arc<Guarded<RawMutex>>;

fn use_mutex(m: &M) {
    m.lock.acquire();
    m.add();
    m.lock.release();
}

fn use_mutex_in_time(m: &M) {
    if m.lock.acquire_by(|| PAST) {
        m.add();
        m.lock.release();
    }
}

fn three(preemptions: usize, spins: u32, waits: Waits, fs: [fn(&M); 3]) {
    model(preemptions, spins, waits, move || {
        let m = Guarded::new(RawMutex::new());
        let (a, b, c) = (m.clone(), m.clone(), m.clone());
        together!(move || fs[0](&a), move || fs[1](&b), move || fs[2](&c));
        // Free, and nobody waits: taken in one step.
        assert!(m.lock.try_acquire());
        assert!(!m.lock.has_waiters());
        m.lock.release();
        assert!(!m.lock.is_acquired());
    });
}

#[test]
fn mutex_of_two() {
    for (spins, waits) in [(0, Waits::Short), (1, Waits::Short), (1, Waits::Long)] {
        model(3, spins, waits, || {
            let m = Guarded::new(RawMutex::new());
            let (a, b) = (m.clone(), m.clone());
            together!(move || (0..2).for_each(|_| use_mutex(&a)), move || (0..2).for_each(|_| use_mutex(&b)));
            assert_eq!(m.get(), 4);
        });
    }
}

#[test]
fn mutex_of_three() {
    three(2, 0, Waits::Short, [use_mutex; 3]);
}

/// A waiter that was woken in vain insists, and is handed the mutex.
#[test]
fn mutex_of_three_that_starve() {
    three(2, 0, Waits::Long, [use_mutex; 3]);
}

#[test]
fn mutex_of_three_that_spin() {
    three(2, 1, Waits::Long, [use_mutex; 3]);
}

/// Who unlocks can find, when it gets to the list, that the mutex has had other holders since, and starves: it must not
/// give away what another one has, and what it gives for another one must come with what that one did.
#[test]
fn mutex_that_is_released_slowly() {
    model(3, 0, Waits::Long, || {
        let m = Guarded::new(RawMutex::new());
        m.lock.acquire();
        let (a, b) = (m.clone(), m.clone());
        let waiter = thread::spawn(move || use_mutex(&a));
        while !m.lock.has_waiters() {
            thread::yield_now();
        }
        let other = thread::spawn(move || (0..2).for_each(|_| use_mutex(&b)));
        m.add();
        m.lock.release();
        waiter.join().unwrap();
        other.join().unwrap();
        assert_eq!((m.get(), m.lock.is_acquired()), (4, false));
    });
}

#[test]
fn mutex_with_a_time_limit() {
    three(2, 0, Waits::Short, [use_mutex, use_mutex_in_time, use_mutex]);
}

#[test]
fn mutex_with_two_time_limits() {
    three(3, 0, Waits::Long, [use_mutex, use_mutex_in_time, use_mutex_in_time]);
}

#[test]
fn mutex_with_a_time_limit_that_starves() {
    three(3, 0, Waits::Long, [use_mutex, use_mutex_in_time, use_mutex]);
}

#[test]
fn mutex_handed_over_by_a_fair_unlock() {
    fn use_fair(m: &M) {
        m.lock.acquire();
        m.add();
        m.lock.release_fair();
    }
    three(2, 0, Waits::Short, [use_fair, use_mutex, use_mutex]);
    three(2, 0, Waits::Long, [use_fair, use_mutex_in_time, use_mutex]);
}

type Rw = Arc<Guarded<RawRwLock>>;

fn read(l: &Rw) {
    l.lock.acquire_shared();
    l.get();
    l.lock.release_shared();
}

fn read_in_time(l: &Rw) {
    if l.lock.acquire_shared_by(|| PAST) {
        l.get();
        l.lock.release_shared();
    }
}

fn write(l: &Rw) {
    l.lock.acquire_exclusive();
    l.add();
    l.lock.release_exclusive();
}

fn write_in_time(l: &Rw) {
    if l.lock.acquire_exclusive_by(|| PAST) {
        l.add();
        l.lock.release_exclusive();
    }
}

fn write_and_read(l: &Rw) {
    l.lock.acquire_exclusive();
    l.add();
    l.lock.downgrade();
    l.get();
    l.lock.release_shared();
}

fn read_and_write(l: &Rw) {
    l.lock.acquire_upgradable();
    l.get();
    l.lock.upgrade();
    l.add();
    l.lock.downgrade_to_upgradable();
    l.get();
    l.lock.release_upgradable();
}

fn rwlock(preemptions: usize, fs: &'static [fn(&Rw)]) {
    model(preemptions, 0, Waits::Short, move || {
        let l = Guarded::new(RawRwLock::new());
        let all = fs.iter().map(|&f| {
            let l = l.clone();
            Box::new(move || f(&l)) as Box<dyn FnOnce() + Send>
        });
        together(all.collect());
        assert!(!l.lock.is_acquired());
        assert!(l.lock.try_acquire_exclusive());
        l.lock.release_exclusive();
    });
}

#[test]
fn rwlock_reader_and_writer() {
    rwlock(3, &[read, write]);
}

#[test]
fn rwlock_two_readers_and_a_writer() {
    rwlock(2, &[read, read, write]);
    rwlock(2, &[read, write, read]);
}

#[test]
fn rwlock_two_writers_and_a_reader() {
    rwlock(2, &[write, write, read]);
}

#[test]
fn rwlock_a_reader_gives_up() {
    rwlock(2, &[read_in_time, read, write]);
}

/// The writer has admitted the reader, but not told it yet, when its time is up: it is in.
#[test]
fn rwlock_a_reader_gives_up_too_late() {
    model(3, 0, Waits::Short, || {
        let l = Guarded::new(RawRwLock::new());
        l.lock.acquire_exclusive();
        let (a, b) = (l.clone(), l.clone());
        let readers = [thread::spawn(move || read(&a)), thread::spawn(move || read_in_time(&b))];
        l.lock.release_exclusive();
        for reader in readers {
            reader.join().unwrap();
        }
        write(&l);
    });
}

#[test]
fn rwlock_a_writer_gives_up() {
    rwlock(2, &[write_in_time, read, read]);
    rwlock(2, &[write_in_time, read, write]);
}

#[test]
fn rwlock_all_may_give_up() {
    rwlock(2, &[write_in_time, read_in_time, write]);
}

#[test]
fn rwlock_downgraded() {
    rwlock(2, &[write_and_read, read, write]);
}

#[test]
fn rwlock_upgraded() {
    rwlock(2, &[read_and_write, read, write]);
}

fn take(p: &Arc<Permits>, n: usize) {
    p.acquire(n);
    p.release(n);
}

fn take_in_time(p: &Arc<Permits>, n: usize) {
    if p.acquire_by(n, || PAST) {
        p.release(n);
    }
}

#[test]
fn semaphore_of_one_is_a_lock() {
    model(2, 0, Waits::Short, || {
        let p = Guarded::new(Permits::new(1));
        let (a, b, c) = (p.clone(), p.clone(), p.clone());
        let go = |p: Arc<Guarded<Permits>>| {
            move || {
                p.lock.acquire(1);
                p.add();
                p.lock.release(1);
            }
        };
        together!(go(a), go(b), go(c));
        assert_eq!((p.get(), p.lock.available()), (3, 1));
    });
}

/// As a lock for readers and writers: who takes all sees what both who took one have done.
#[test]
fn semaphore_with_weights() {
    model(2, 0, Waits::Short, || {
        let p = Guarded::new(Permits::new(2));
        let look = |p: Arc<Guarded<Permits>>| {
            move || {
                p.lock.acquire(1);
                p.get();
                p.lock.release(1);
            }
        };
        let all = p.clone();
        let write = move || {
            all.lock.acquire(2);
            all.add();
            all.lock.release(2);
        };
        together!(look(p.clone()), write, look(p.clone()));
        assert_eq!(p.lock.available(), 2);
        assert!(p.lock.try_acquire(2), "nobody is queued");
    });
}

/// The one that gives up was first in line, and what it asked for keeps the next from what there is.
#[test]
fn semaphore_with_a_time_limit() {
    model(2, 0, Waits::Short, || {
        let p = Arc::new(Permits::new(2));
        let (a, b, c) = (p.clone(), p.clone(), p.clone());
        together!(move || take(&a, 1), move || take_in_time(&b, 2), move || take(&c, 1));
        assert_eq!(p.available(), 2);
        p.acquire(1);
        let (a, b) = (p.clone(), p.clone());
        together!(move || take_in_time(&a, 2), move || take(&b, 1));
        p.release(1);
        assert_eq!(p.available(), 2);
        assert!(p.try_acquire(2), "nobody is queued");
    });
}

#[test]
fn wait_group() {
    model(2, 0, Waits::Short, || {
        let g = Guarded::new(GroupCount::default());
        g.lock.add(2);
        let (a, b, c) = (g.clone(), g.clone(), g.clone());
        together!(
            move || {
                b.lock.add(-1);
            },
            move || {
                assert!(c.lock.wait(None));
                c.get(); // ordered after what the tasks did
            },
            move || {
                a.add();
                a.lock.add(-1);
            },
        );
        assert!(g.lock.is_zero());
    });
}

#[test]
fn wait_group_with_two_that_wait() {
    model(2, 0, Waits::Short, || {
        let g = Arc::new(GroupCount::default());
        g.add(1);
        let (a, b, c) = (g.clone(), g.clone(), g.clone());
        together!(
            move || assert!(a.wait(None)),
            move || {
                let _ = b.wait(Some(PAST));
            },
            move || c.add(-1)
        );
        assert!(g.is_zero());
        g.add(1);
        g.add(-1);
    });
}

/// Used again while a wait of the first use has not returned: it may wait for the second too, and not for ever.
#[test]
fn wait_group_used_again_too_early() {
    model(2, 0, Waits::Short, || {
        let g = Arc::new(GroupCount::default());
        g.add(1);
        let (a, b) = (g.clone(), g.clone());
        together!(move || assert!(a.wait(None)), move || {
            b.add(-1);
            b.add(1);
            b.add(-1);
        });
        assert!(g.is_zero());
    });
}

/// What is refused is not seen by anybody: neither by who begins to wait, nor by a task that ends.
#[test]
fn wait_group_with_one_done_too_many() {
    model(2, 0, Waits::Short, || {
        let g = Arc::new(GroupCount::default());
        g.add(1);
        let (a, b, c) = (g.clone(), g.clone(), g.clone());
        together!(
            move || assert!(a.wait(None)),
            move || {
                let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| b.add(-2)));
                assert!(refused.is_err());
            },
            move || c.add(-1)
        );
        assert!(g.is_zero());
    });
}

fn once(first_fails: bool) {
    model(2, 0, Waits::Short, move || {
        let o = Guarded::new(OnceState::new());
        let go = move |o: Arc<Guarded<OnceState>>| {
            move || match o.lock.begin() {
                Begin::Yours => {
                    let how = if first_fails && o.get() == 0 { Finish::Again } else { Finish::Done };
                    o.add();
                    o.lock.finish(how);
                }
                Begin::Done => assert_eq!(o.get(), 1 + usize::from(first_fails)),
                Begin::Failed => panic!("nobody said so"),
            }
        };
        together!(go(o.clone()), go(o.clone()), go(o.clone()));
        assert!(o.lock.is_done());
    });
}

#[test]
fn once_by_one_of_three() {
    once(false);
}

#[test]
fn once_again_after_a_failure() {
    once(true);
}

/// What `Condvar` does: queue up, unlock the mutex, wait, lock it.
fn wait_for(m: &Guarded<RawMutex>, cond: &Waiters, deadline: Option<i64>) -> bool {
    let notified = cond.wait(WaitReason::SyncCondWait, deadline, |q| q.last(), || m.lock.release(), |_| {});
    m.lock.acquire();
    notified
}

#[test]
fn condition_variable() {
    model(2, 0, Waits::Short, || {
        let shared = Arc::new((Guarded::new(RawMutex::new()), Waiters::new()));
        let (a, b) = (shared.clone(), shared.clone());
        together!(
            move || {
                let (m, cond) = &*a;
                m.lock.acquire();
                while m.get() == 0 {
                    assert!(wait_for(m, cond, None));
                }
                m.lock.release();
            },
            move || {
                let (m, cond) = &*b;
                use_mutex(m);
                cond.wake_one(|_| {});
            }
        );
    });
}

/// A notification that hits one whose time is up is not lost: it counts as notified, or the other is.
#[test]
fn condition_variable_with_a_time_limit() {
    model(2, 0, Waits::Short, || {
        let shared = Arc::new((Guarded::new(RawMutex::new()), Waiters::new()));
        let woken = Arc::new(StdMutex::new(0));
        let (m, cond) = &*shared;
        let (a, b) = (shared.clone(), woken.clone());
        m.lock.acquire();
        let waiter = thread::spawn(move || {
            let (m, cond) = &*a;
            m.lock.acquire();
            *b.lock().unwrap() += usize::from(wait_for(m, cond, Some(PAST)));
            m.lock.release();
        });
        m.lock.release();
        let hit = cond.wake_one(|_| {});
        waiter.join().unwrap();
        assert_eq!(*woken.lock().unwrap(), usize::from(hit));
    });
}

/// Everybody who waits at the time is woken, one of them when its time is up, and who comes later is not.
#[test]
fn all_are_woken() {
    model(2, 0, Waits::Short, || {
        let shared = Arc::new((Guarded::new(RawMutex::new()), Waiters::new()));
        let waiter = |deadline| {
            let shared = shared.clone();
            move || {
                let (m, cond) = &*shared;
                m.lock.acquire();
                if m.get() == 0 {
                    wait_for(m, cond, deadline);
                }
                m.lock.release();
            }
        };
        let waker = {
            let shared = shared.clone();
            move || {
                let (m, cond) = &*shared;
                use_mutex(m);
                cond.wake_all(cond.lock(), |_| {});
            }
        };
        together!(waker, waiter(Some(PAST)), waiter(None));
        assert_eq!(shared.1.lock().len(), 0);
    });
}
