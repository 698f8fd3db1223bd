//! `RwLock`: `lock_api`'s, over our raw lock.
//!
//! # Safety
//! What `lock_api` asks for: one writer or any number of readers (`raw_rwlock` says how), and only who has the lock
//! unlocks it.
#![allow(unsafe_code)]

use std::time::{Duration, Instant};

use lock_api::GuardSend;

use crate::sync::raw_rwlock::RawRwLock;
use crate::sync::{deadline_after, deadline_at};

/// A reader-writer lock that parks the goroutine, not the thread.
///
/// It is `lock_api`'s over our [`RawRwLock`]: mapped guards, guards that own an `Arc`, time limits, downgrading and
/// upgradable reads come with it. Goroutines and plain threads may share one, also before the runtime is started (but
/// for a wait with a time limit).
///
/// - **Order.** As Go's: a writer that waits keeps new readers out; when it unlocks, all readers that queued up
///   meanwhile go first, and then the next writer. So a goroutine that reads must not lock for reading again: with a
///   writer in between both wait for ever.
/// - **No poisoning**, and **guards are `Send`**, for the reasons given at [`Mutex`](crate::sync::Mutex).
///
/// `read` and `write` may block: see the contract of [`crate::Runtime::start`]. Dropping a guard does not.
///
/// Go: sync.RWMutex.
#[doc(alias = "RWMutex")]
pub type RwLock<T> = lock_api::RwLock<RawRwLock, T>;
/// What [`RwLock`]'s `read` returns.
pub type RwLockReadGuard<'a, T> = lock_api::RwLockReadGuard<'a, RawRwLock, T>;
/// What [`RwLock`]'s `write` returns.
pub type RwLockWriteGuard<'a, T> = lock_api::RwLockWriteGuard<'a, RawRwLock, T>;
/// What [`RwLock`]'s `upgradable_read` returns: reads beside other readers, but of its kind there is one at a time,
/// and it can become the writer with nobody in between.
pub type RwLockUpgradableReadGuard<'a, T> = lock_api::RwLockUpgradableReadGuard<'a, RawRwLock, T>;
/// A guard of a part, for reading.
pub type MappedRwLockReadGuard<'a, T> = lock_api::MappedRwLockReadGuard<'a, RawRwLock, T>;
/// A guard of a part, for writing.
pub type MappedRwLockWriteGuard<'a, T> = lock_api::MappedRwLockWriteGuard<'a, RawRwLock, T>;
/// A guard that owns its lock, for reading.
pub type ArcRwLockReadGuard<T> = lock_api::ArcRwLockReadGuard<RawRwLock, T>;
/// A guard that owns its lock, for writing.
pub type ArcRwLockWriteGuard<T> = lock_api::ArcRwLockWriteGuard<RawRwLock, T>;
/// A guard that owns its lock, for reading and perhaps writing.
pub type ArcRwLockUpgradableReadGuard<T> = lock_api::ArcRwLockUpgradableReadGuard<RawRwLock, T>;

// SAFETY: see the module.
unsafe impl lock_api::RawRwLock for RawRwLock {
    #[allow(clippy::declare_interior_mutable_const, reason = "that is what the trait asks for")]
    const INIT: RawRwLock = RawRwLock::new();

    type SharedGuard = GuardSend;
    type ExclusiveGuard = GuardSend;

    #[inline]
    fn lock_shared(&self) -> GuardSend {
        self.acquire_shared();
        GuardSend::new()
    }

    #[inline]
    fn try_lock_shared(&self) -> Option<GuardSend> {
        self.try_acquire_shared().then(GuardSend::new)
    }

    #[inline]
    unsafe fn unlock_shared(&self, _guard: GuardSend) {
        self.release_shared();
    }

    #[inline]
    fn lock_exclusive(&self) -> GuardSend {
        self.acquire_exclusive();
        GuardSend::new()
    }

    #[inline]
    fn try_lock_exclusive(&self) -> Option<GuardSend> {
        self.try_acquire_exclusive().then(GuardSend::new)
    }

    #[inline]
    unsafe fn unlock_exclusive(&self, _guard: GuardSend) {
        self.release_exclusive();
    }

    fn is_locked(&self) -> bool {
        self.is_acquired()
    }

    fn is_locked_exclusive(&self) -> bool {
        self.is_acquired_exclusive()
    }
}

// SAFETY: the caller is counted as a reader in the step that takes back the writer's mark.
unsafe impl lock_api::RawRwLockDowngrade for RawRwLock {
    unsafe fn downgrade(&self, guard: GuardSend) -> GuardSend {
        RawRwLock::downgrade(self);
        guard
    }
}

// SAFETY: as RawRwLock.
unsafe impl lock_api::RawRwLockTimed for RawRwLock {
    type Duration = Duration;
    type Instant = Instant;

    fn try_lock_shared_for(&self, timeout: Duration) -> Option<GuardSend> {
        self.acquire_shared_by(|| deadline_after(timeout)).then(GuardSend::new)
    }

    fn try_lock_shared_until(&self, timeout: Instant) -> Option<GuardSend> {
        self.acquire_shared_by(|| deadline_at(timeout)).then(GuardSend::new)
    }

    fn try_lock_exclusive_for(&self, timeout: Duration) -> Option<GuardSend> {
        self.acquire_exclusive_by(|| deadline_after(timeout)).then(GuardSend::new)
    }

    fn try_lock_exclusive_until(&self, timeout: Instant) -> Option<GuardSend> {
        self.acquire_exclusive_by(|| deadline_at(timeout)).then(GuardSend::new)
    }
}

// SAFETY: an upgradable reader has the writers' mutex, so that nobody writes beside it, nor upgrades.
unsafe impl lock_api::RawRwLockUpgrade for RawRwLock {
    type UpgradableGuard = GuardSend;

    fn lock_upgradable(&self) -> GuardSend {
        self.acquire_upgradable();
        GuardSend::new()
    }

    fn try_lock_upgradable(&self) -> Option<GuardSend> {
        self.try_acquire_upgradable().then(GuardSend::new)
    }

    unsafe fn unlock_upgradable(&self, _guard: GuardSend) {
        self.release_upgradable();
    }

    unsafe fn upgrade(&self, guard: GuardSend) -> GuardSend {
        RawRwLock::upgrade(self);
        guard
    }

    unsafe fn try_upgrade(&self, guard: GuardSend) -> Result<GuardSend, GuardSend> {
        if RawRwLock::try_upgrade(self) { Ok(guard) } else { Err(guard) }
    }
}

// SAFETY: as RawRwLockUpgrade and RawRwLockDowngrade.
unsafe impl lock_api::RawRwLockUpgradeDowngrade for RawRwLock {
    unsafe fn downgrade_upgradable(&self, guard: GuardSend) -> GuardSend {
        RawRwLock::downgrade_upgradable(self);
        guard
    }

    unsafe fn downgrade_to_upgradable(&self, guard: GuardSend) -> GuardSend {
        RawRwLock::downgrade_to_upgradable(self);
        guard
    }
}

// SAFETY: as RawRwLockUpgrade; a writer-to-be that gives up is what it was before.
unsafe impl lock_api::RawRwLockUpgradeTimed for RawRwLock {
    fn try_lock_upgradable_for(&self, timeout: Duration) -> Option<GuardSend> {
        self.acquire_upgradable_by(|| deadline_after(timeout)).then(GuardSend::new)
    }

    fn try_lock_upgradable_until(&self, timeout: Instant) -> Option<GuardSend> {
        self.acquire_upgradable_by(|| deadline_at(timeout)).then(GuardSend::new)
    }

    unsafe fn try_upgrade_for(&self, guard: GuardSend, timeout: Duration) -> Result<GuardSend, GuardSend> {
        if self.upgrade_by(|| deadline_after(timeout)) { Ok(guard) } else { Err(guard) }
    }

    unsafe fn try_upgrade_until(&self, guard: GuardSend, timeout: Instant) -> Result<GuardSend, GuardSend> {
        if self.upgrade_by(|| deadline_at(timeout)) { Ok(guard) } else { Err(guard) }
    }
}
