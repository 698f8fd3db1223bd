//! `Mutex`: `lock_api`'s, over our raw mutex.
//!
//! # Safety
//! What `lock_api` asks for: the raw mutex is exclusive (its state word says who has it), and only who has it unlocks.
#![allow(unsafe_code)]

use std::time::{Duration, Instant};

use lock_api::GuardSend;

use crate::sync::raw_mutex::RawMutex;
use crate::sync::{deadline_after, deadline_at};

/// A mutual exclusion lock that parks the goroutine, not the thread.
///
/// It is `lock_api`'s mutex over our [`RawMutex`], so there are mapped guards, guards that own an `Arc`
/// (`lock_arc`), `try_lock_for`, `try_lock_until` and `const` construction. Goroutines and plain threads may share
/// one, also before the runtime is started (but for a wait with a time limit, which needs its timers).
///
/// - **Order.** As Go's: a waiter that is woken competes with those who come by; one that has waited for more than a
///   millisecond is handed the mutex, in the order of coming. `MutexGuard::unlock_fair` hands it over at once, and
///   yields.
/// - **No poisoning.** A panic unlocks the mutex and leaves the value as it is.
/// - **Guards are `Send`** (if `T` is): the mutex belongs to nobody in particular, and a goroutine may be on another
///   thread at each turn anyway. A guard may be dropped anywhere; that never parks or yields.
/// - To lock it again while holding it waits for ever, as in Go.
///
/// `lock` may block: see the contract of [`crate::Runtime::start`].
///
/// Go: sync.Mutex.
///
/// # Examples
/// ```no_run
/// use gopark_sched::sync::Mutex;
///
/// static HITS: Mutex<u64> = Mutex::new(0);
///
/// *HITS.lock() += 1;
/// ```
pub type Mutex<T> = lock_api::Mutex<RawMutex, T>;
/// What [`Mutex`]'s `lock` returns; unlocks when it is dropped.
pub type MutexGuard<'a, T> = lock_api::MutexGuard<'a, RawMutex, T>;
/// A guard of a part of what the mutex holds.
pub type MappedMutexGuard<'a, T> = lock_api::MappedMutexGuard<'a, RawMutex, T>;
/// A guard that owns its mutex.
pub type ArcMutexGuard<T> = lock_api::ArcMutexGuard<RawMutex, T>;

// SAFETY: `acquire` and its kin return when the word was free and is the caller's; see raw_mutex.
unsafe impl lock_api::RawMutex for RawMutex {
    #[allow(clippy::declare_interior_mutable_const, reason = "that is what the trait asks for")]
    const INIT: RawMutex = RawMutex::new();

    /// See [`Mutex`] for why it is `Send`.
    type Guard = GuardSend;

    #[inline]
    fn lock(&self) -> GuardSend {
        self.acquire();
        GuardSend::new()
    }

    #[inline]
    fn try_lock(&self) -> Option<GuardSend> {
        self.try_acquire().then(GuardSend::new)
    }

    #[inline]
    unsafe fn unlock(&self, _guard: GuardSend) {
        self.release();
    }

    fn is_locked(&self) -> bool {
        self.is_acquired()
    }
}

// SAFETY: `release_fair` unlocks, or makes the first waiter the owner.
unsafe impl lock_api::RawMutexFair for RawMutex {
    unsafe fn unlock_fair(&self, _guard: GuardSend) {
        if self.release_fair() {
            // The new owner is the next to run here.
            crate::sleep::yield_now();
        }
    }

    unsafe fn bump(&self, _guard: &mut GuardSend) {
        if self.has_waiters() && self.release_fair() {
            self.acquire();
        }
    }
}

// SAFETY: as RawMutex.
unsafe impl lock_api::RawMutexTimed for RawMutex {
    type Duration = Duration;
    type Instant = Instant;

    fn try_lock_for(&self, timeout: Duration) -> Option<GuardSend> {
        self.acquire_by(|| deadline_after(timeout)).then(GuardSend::new)
    }

    fn try_lock_until(&self, timeout: Instant) -> Option<GuardSend> {
        self.acquire_by(|| deadline_at(timeout)).then(GuardSend::new)
    }
}
