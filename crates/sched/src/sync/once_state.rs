//! The word behind `Once`, `OnceLock` and `LazyLock`: done once, by one caller, while the others wait parked.
//!
//! std's wait with the thread; ours park, so an initialiser may dial, lock and sleep.
//!
//! | value | meaning | set by |
//! | --- | --- | --- |
//! | `NEW` | not done, nobody is at it | `new`; a doer whose attempt failed, if another may try |
//! | `BUSY` | somebody is at it | `begin` |
//! | `BUSY_WAITED` | somebody is at it and somebody waits for that | a waiter, under the lock |
//! | `DONE` | done; what was done is visible to who reads this | the doer |
//! | `FAILED` | an attempt panicked, and there is no other | the doer |

use gopark_poll::WaitReason;
use gopark_sys::loom::atomic::{AtomicU32, Ordering};

use crate::sync::sema::Waiters;

const NEW: u32 = 0;
const BUSY: u32 = 1;
const BUSY_WAITED: u32 = 2;
const DONE: u32 = 3;
const FAILED: u32 = 4;

pub(crate) struct OnceState {
    state: AtomicU32,
    waiters: Waiters,
}

/// What [`OnceState::begin`] found.
#[must_use]
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Begin {
    /// The caller is to do it, and to call [`OnceState::finish`].
    Yours,
    /// It is done.
    Done,
    /// It failed for good.
    Failed,
}

/// How an attempt ended.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Finish {
    Done,
    /// Another may try.
    Again,
    /// Nobody may.
    Failed,
}

impl OnceState {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> OnceState {
        OnceState { state: AtomicU32::new(NEW), waiters: Waiters::new() }
    }

    #[cfg(loom)]
    pub(crate) fn new() -> OnceState {
        OnceState { state: AtomicU32::new(NEW), waiters: Waiters::new() }
    }

    /// Done from the start.
    #[cfg(not(loom))]
    pub(crate) const fn done() -> OnceState {
        OnceState { state: AtomicU32::new(DONE), waiters: Waiters::new() }
    }

    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        // Acquire: pairs with `finish`.
        self.state.load(Ordering::Acquire) == DONE
    }

    /// Becomes the one who does it, or waits until somebody has.
    #[cold]
    #[inline(never)]
    pub(crate) fn begin(&self) -> Begin {
        loop {
            // Acquire, here and below: pairs with `finish`; also of one that left it to another try.
            match self.state.compare_exchange(NEW, BUSY, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Begin::Yours,
                Err(DONE) => return Begin::Done,
                Err(FAILED) => return Begin::Failed,
                Err(_) => self.wait(),
            }
        }
    }

    /// Waits until nobody is at it.
    fn wait(&self) {
        let in_time = self.waiters.wait(
            WaitReason::SyncMutexLock,
            None,
            |queue| {
                // Relaxed: the caller looks again. An attempt that ends takes the lock if it sees BUSY_WAITED.
                match self.state.compare_exchange(BUSY, BUSY_WAITED, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) | Err(BUSY_WAITED) => queue.last(),
                    Err(_) => None,
                }
            },
            || {},
            |_| {},
        );
        debug_assert!(in_time, "without a deadline");
    }

    /// The caller's attempt has ended.
    pub(crate) fn finish(&self, how: Finish) {
        let state = match how {
            Finish::Done => DONE,
            Finish::Again => NEW,
            Finish::Failed => FAILED,
        };
        // Release: publishes what was done to `is_done` and `begin`.
        if self.state.swap(state, Ordering::Release) == BUSY_WAITED {
            self.waiters.wake_all(self.waiters.lock(), |_| {});
        }
    }
}
