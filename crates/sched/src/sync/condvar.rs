//! `Condvar`: waits for a condition on what a mutex holds.
//!
//! Go: sync/cond.go.
//!
//! # Safety
//! A wait unlocks a mutex on behalf of the guard it borrows and locks it again before it returns.
#![allow(unsafe_code)]

use std::fmt;
use std::time::{Duration, Instant};

use gopark_poll::WaitReason;
use gopark_sys::loom::atomic::{AtomicUsize, Ordering};

use crate::sync::sema::Waiters;
use crate::sync::{MutexGuard, deadline_after, deadline_at};

/// A condition variable for our [`Mutex`](crate::sync::Mutex).
///
/// Waiters are woken in the order in which they came. A wait ends by a notification or its time limit and for no other
/// reason (so it is in Go; std's may end without). The condition must be looked at again all the same: between the
/// notification and the waiter's turn others may have had the mutex. One condition variable may be used with several
/// mutexes, though that is hardly ever of use.
///
/// The waits may block: see the contract of [`crate::Runtime::start`]. They work on plain threads too.
///
/// Go: sync.Cond; `notify_one` is Signal, `notify_all` is Broadcast.
///
/// # Examples
/// ```no_run
/// use gopark_sched::sync::{Condvar, Mutex};
///
/// static QUEUE: Mutex<Vec<u32>> = Mutex::new(Vec::new());
/// static FILLED: Condvar = Condvar::new();
///
/// fn push(job: u32) {
///     QUEUE.lock().push(job);
///     FILLED.notify_one();
/// }
///
/// fn pop() -> u32 {
///     let mut queue = QUEUE.lock();
///     loop {
///         match queue.pop() {
///             Some(job) => return job,
///             None => FILLED.wait(&mut queue),
///         }
///     }
/// }
/// ```
#[doc(alias = "Cond")]
pub struct Condvar {
    /// How many wait: written under the lock of `waiters`. Who notifies reads it without: a waiter was counted before
    /// it unlocked the mutex under which the condition is changed.
    count: AtomicUsize,
    waiters: Waiters,
}

/// Whether a wait with a limit ended because of the limit.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// True if the time was up before a notification came.
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    /// A condition variable on which nobody waits.
    pub const fn new() -> Condvar {
        Condvar { count: AtomicUsize::new(0), waiters: Waiters::new() }
    }

    /// Unlocks the mutex, waits for a notification, and locks it again.
    ///
    /// Unlocking and beginning to wait are one step: a notification sent by who locks the mutex after us is not missed.
    pub fn wait<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>) {
        self.wait_by(guard, None);
    }

    /// [`Condvar::wait`] for as long as `condition` is true.
    pub fn wait_while<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) {
        while condition(guard) {
            self.wait(guard);
        }
    }

    /// [`Condvar::wait`] for at most `timeout`.
    ///
    /// # Panics
    /// If the runtime is not started: it has the timers.
    pub fn wait_for<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>, timeout: Duration) -> WaitTimeoutResult {
        WaitTimeoutResult(!self.wait_by(guard, Some(deadline_after(timeout))))
    }

    /// [`Condvar::wait`] until `deadline` at most.
    ///
    /// # Panics
    /// If the runtime is not started: it has the timers.
    pub fn wait_until<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Instant,
    ) -> WaitTimeoutResult {
        WaitTimeoutResult(!self.wait_by(guard, Some(deadline_at(deadline))))
    }

    /// [`Condvar::wait_while`] for at most `timeout` in all. It has timed out if the condition is true still.
    ///
    /// # Panics
    /// If the runtime is not started: it has the timers.
    pub fn wait_while_for<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        mut condition: impl FnMut(&mut T) -> bool,
        timeout: Duration,
    ) -> WaitTimeoutResult {
        let deadline = deadline_after(timeout);
        while condition(guard) {
            if !self.wait_by(guard, Some(deadline)) {
                return WaitTimeoutResult(condition(guard));
            }
        }
        WaitTimeoutResult(false)
    }

    /// False: the time was up.
    fn wait_by<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>, deadline: Option<i64>) -> bool {
        // SAFETY: the mutex is unlocked and locked again below, on behalf of the guard, which nobody can use meanwhile.
        // Nothing in between unwinds.
        let mutex = unsafe { MutexGuard::mutex(guard).raw() };
        let notified = self.waiters.wait(
            WaitReason::SyncCondWait,
            deadline,
            |queue| {
                self.count.store(queue.len() + 1, Ordering::Relaxed);
                queue.last()
            },
            // Queued before the mutex is free: who locks it next finds us.
            || mutex.release(),
            |queue| self.count.store(queue.len(), Ordering::Relaxed),
        );
        mutex.acquire();
        notified
    }

    /// Wakes the one that waits longest; true if there was one.
    ///
    /// The mutex need not be locked for it. Never parks or yields.
    ///
    /// Go: sync.Cond.Signal.
    #[doc(alias = "Signal")]
    pub fn notify_one(&self) -> bool {
        if self.count.load(Ordering::Relaxed) == 0 {
            return false;
        }
        self.waiters.wake_one(|left| self.count.store(left, Ordering::Relaxed))
    }

    /// Wakes all that wait at this moment; returns how many those were.
    ///
    /// The mutex need not be locked for it. Never parks or yields.
    ///
    /// Go: sync.Cond.Broadcast.
    #[doc(alias = "Broadcast")]
    pub fn notify_all(&self) -> usize {
        if self.count.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        self.waiters.wake_all(self.waiters.lock(), |_| self.count.store(0, Ordering::Relaxed))
    }
}

impl Default for Condvar {
    fn default() -> Condvar {
        Condvar::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").field("waiting", &self.count.load(Ordering::Relaxed)).finish()
    }
}
