//! The lock and reference count of a descriptor. Go: `fdMutex`.
//!
//! One word; the fields are Go's.
//!
//! | bits | meaning | changed by |
//! |---|---|---|
//! | 0 | closed | `incref_and_close`, never cleared |
//! | 1 | read lock held | `rwlock(Read)`; `rwunlock(Read)` |
//! | 2 | write lock held | `rwlock(Write)`; `rwunlock(Write)` |
//! | 3..22 | references: one for each operation in progress, lock holders included | `incref`, `rwlock`, `incref_and_close`; `decref`, `rwunlock` |
//! | 23..42 | waiters for the read lock | `rwlock`; `rwunlock`, `incref_and_close` |
//! | 43..62 | waiters for the write lock | the same |
//! | 63 | a task found one of the locks held | `rwlock_or_tell`; `rwunlock`, `incref_and_close` |
//!
//! Whoever takes a waiter off the count, releases its semaphore once. The waiter then competes for the lock
//! again: a newcomer may be faster. Waiters are not handed the lock, because the one who has it would then
//! always have to wait for a goroutine that is not running yet.
//!
//! Tasks (`task.rs`) do not queue: one that found a lock held leaves the bit, and the next unlock, of whichever
//! direction, tells all tasks of the descriptor to try again. There are two at most, and a task that finds a lock held
//! is rare: it takes a goroutine that reads the same connection.

use crate::poll_info::Mode;
use crate::sema;
use crate::sync::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use crate::sync::const_fn;

const CLOSED: u64 = 1;
const RLOCK: u64 = 1 << 1;
const WLOCK: u64 = 1 << 2;
const REF: u64 = 1 << 3;
const REF_MASK: u64 = ((1 << 20) - 1) << 3;
const RWAIT: u64 = 1 << 23;
const RWAIT_MASK: u64 = ((1 << 20) - 1) << 23;
const WWAIT: u64 = 1 << 43;
const WWAIT_MASK: u64 = ((1 << 20) - 1) << 43;
const TASK: u64 = 1 << 63;

/// What a call on a closed descriptor gets.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Closed;

/// Why [`FdMutex::try_rwlock`] did not get the lock.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum TryLockError {
    /// The descriptor is closed.
    Closed,
    /// Somebody holds the lock.
    Held,
}

/// What is left after a reference was given back.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum Left {
    /// Others use the descriptor, or it is not closed.
    InUse,
    /// As `InUse`, and there are tasks that found a lock held: the caller tells them.
    TasksWait,
    /// It is closed and this was the last reference: the caller destroys it.
    Last,
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct FdMutex {
    state: AtomicU64,
}

/// The bits of one direction.
struct Side {
    lock: u64,
    wait: u64,
    wait_mask: u64,
}

const fn side(mode: Mode) -> Side {
    match mode {
        Mode::Read => Side { lock: RLOCK, wait: RWAIT, wait_mask: RWAIT_MASK },
        Mode::Write => Side { lock: WLOCK, wait: WWAIT, wait_mask: WWAIT_MASK },
    }
}

impl FdMutex {
    const_fn! {
        /// Open, unlocked, no references.
        pub fn new() -> FdMutex {
            FdMutex { state: AtomicU64::new(0) }
        }
    }

    /// Adds a reference, for an operation that needs no lock.
    ///
    /// # Panics
    ///
    /// With more than 1,048,575 of them.
    ///
    /// Go: internal/poll/fd_mutex.go incref
    pub fn incref(&self) -> Result<(), Closed> {
        let mut old = self.state.load(Relaxed);
        loop {
            if old & CLOSED != 0 {
                return Err(Closed);
            }
            let new = old.wrapping_add(REF);
            if new & REF_MASK == 0 {
                overflow();
            }
            // Acquire, here and in `rwlock`: what the previous holder did comes before what we do.
            match self.state.compare_exchange_weak(old, new, Acquire, Relaxed) {
                Ok(_) => return Ok(()),
                Err(now) => old = now,
            }
        }
    }

    /// Closes, keeps one reference for the caller, and makes everybody who waits for a lock fail. The caller
    /// tells the tasks.
    ///
    /// Go: internal/poll/fd_mutex.go increfAndClose
    #[doc(alias = "increfAndClose")]
    pub fn incref_and_close(&self) -> Result<(), Closed> {
        let mut old = self.state.load(Relaxed);
        loop {
            if old & CLOSED != 0 {
                return Err(Closed);
            }
            let new = (old | CLOSED).wrapping_add(REF);
            if new & REF_MASK == 0 {
                overflow();
            }
            // In the same exchange, so that each waiter is released by exactly one side.
            let new = new & !(RWAIT_MASK | WWAIT_MASK | TASK);
            match self.state.compare_exchange_weak(old, new, AcqRel, Relaxed) {
                Ok(_) => break,
                Err(now) => old = now,
            }
        }
        for mode in [Mode::Read, Mode::Write] {
            let side = side(mode);
            for _ in 0..(old & side.wait_mask) / side.wait {
                sema::release(self.sema(mode));
            }
        }
        Ok(())
    }

    /// Gives a reference back.
    ///
    /// # Panics
    ///
    /// If there is none.
    ///
    /// Go: internal/poll/fd_mutex.go decref
    pub fn decref(&self) -> Left {
        let mut old = self.state.load(Relaxed);
        loop {
            if old & REF_MASK == 0 {
                inconsistent();
            }
            let new = old - REF;
            // AcqRel: all uses come before the destruction by whoever is last.
            match self.state.compare_exchange_weak(old, new, AcqRel, Relaxed) {
                Ok(_) => return left(new),
                Err(now) => old = now,
            }
        }
    }

    /// Adds a reference and takes the lock of direction `mode`; waits for it.
    ///
    /// # Panics
    ///
    /// With more than 1,048,575 references or waiters.
    ///
    /// Go: internal/poll/fd_mutex.go rwlock
    #[inline]
    pub fn rwlock(&self, mode: Mode) -> Result<(), Closed> {
        match self.try_rwlock(mode) {
            Ok(()) => Ok(()),
            Err(TryLockError::Closed) => Err(Closed),
            Err(TryLockError::Held) => self.rwlock_slow(mode),
        }
    }

    #[cold]
    #[inline(never)]
    fn rwlock_slow(&self, mode: Mode) -> Result<(), Closed> {
        let side = side(mode);
        let mut old = self.state.load(Relaxed);
        loop {
            if old & CLOSED != 0 {
                return Err(Closed);
            }
            let held = old & side.lock != 0;
            let new = if held {
                let new = old.wrapping_add(side.wait);
                if new & side.wait_mask == 0 {
                    overflow();
                }
                new
            } else {
                let new = (old | side.lock).wrapping_add(REF);
                if new & REF_MASK == 0 {
                    overflow();
                }
                new
            };
            // Acquire: what the previous holder did comes before what we do. Pairs with `rwunlock`.
            match self.state.compare_exchange_weak(old, new, Acquire, Relaxed) {
                Ok(_) if !held => return Ok(()),
                Ok(_) => {
                    // Whoever releases has taken us off the count.
                    sema::acquire(self.sema(mode));
                    old = self.state.load(Relaxed);
                }
                Err(now) => old = now,
            }
        }
    }

    /// [`FdMutex::rwlock`] that does not wait.
    #[inline]
    pub fn try_rwlock(&self, mode: Mode) -> Result<(), TryLockError> {
        let side = side(mode);
        let mut old = self.state.load(Relaxed);
        loop {
            if old & CLOSED != 0 {
                return Err(TryLockError::Closed);
            }
            if old & side.lock != 0 {
                return Err(TryLockError::Held);
            }
            let new = (old | side.lock).wrapping_add(REF);
            if new & REF_MASK == 0 {
                overflow();
            }
            // Acquire as in `rwlock`.
            match self.state.compare_exchange_weak(old, new, Acquire, Relaxed) {
                Ok(_) => return Ok(()),
                Err(now) => old = now,
            }
        }
    }

    /// [`FdMutex::try_rwlock`] that, if the lock is held, sees to it that whoever unlocks is told that tasks
    /// wait. Whom to tell must be in place before.
    pub fn rwlock_or_tell(&self, mode: Mode) -> Result<(), TryLockError> {
        loop {
            let old = match self.try_rwlock(mode) {
                Err(TryLockError::Held) => self.state.load(Relaxed),
                other => return other,
            };
            if old & CLOSED != 0 || old & side(mode).lock == 0 {
                continue;
            }
            // Also if the bit is there: then this does not lean on how the caller puts in place whom to tell. AcqRel:
            // release for the unlock that takes the bit, acquire to keep what earlier changes released.
            if self.state.compare_exchange_weak(old, old | TASK, AcqRel, Relaxed).is_ok() {
                return Err(TryLockError::Held);
            }
        }
    }

    /// Unlocks, gives the reference back and wakes one waiter.
    ///
    /// # Panics
    ///
    /// If the lock is not held.
    ///
    /// Go: internal/poll/fd_mutex.go rwunlock
    #[inline]
    pub fn rwunlock(&self, mode: Mode) -> Left {
        let side = side(mode);
        let mut old = self.state.load(Relaxed);
        loop {
            if old & side.lock == 0 || old & REF_MASK == 0 {
                inconsistent();
            }
            let mut new = (old & !(side.lock | TASK)) - REF;
            if old & side.wait_mask != 0 {
                new -= side.wait;
            }
            // AcqRel: release for the next holder, acquire for the destruction if we are last.
            match self.state.compare_exchange_weak(old, new, AcqRel, Relaxed) {
                Ok(_) => break,
                Err(now) => {
                    old = now;
                    continue;
                }
            }
        }
        if old & (side.wait_mask | TASK) == 0 { left(old - REF) } else { self.unlocked(mode, old) }
    }

    /// The rest of `rwunlock` when somebody waits.
    #[cold]
    fn unlocked(&self, mode: Mode, old: u64) -> Left {
        if old & side(mode).wait_mask != 0 {
            sema::release(self.sema(mode));
        }
        // No task waits on what is closed.
        if old & TASK != 0 { Left::TasksWait } else { left(old - REF) }
    }

    /// Whether it was closed a moment ago.
    pub fn is_closed(&self) -> bool {
        self.state.load(Relaxed) & CLOSED != 0
    }

    /// The name of a direction's semaphore: an address inside the word, one for each direction. The word does
    /// not move while somebody waits, since he borrows it.
    fn sema(&self, mode: Mode) -> usize {
        (&raw const self.state).addr() + 4 * (mode == Mode::Write) as usize
    }
}

fn left(state: u64) -> Left {
    if state & (CLOSED | REF_MASK) == CLOSED { Left::Last } else { Left::InUse }
}

#[cold]
#[inline(never)]
#[track_caller]
fn overflow() -> ! {
    panic!("too many concurrent operations on a single file or socket (max 1048575)")
}

#[cold]
#[inline(never)]
#[track_caller]
fn inconsistent() -> ! {
    panic!("inconsistent poll.fdMutex")
}
