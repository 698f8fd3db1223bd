//! Locks and their kin, which park the goroutine rather than hold its thread. Go: package sync.
//!
//! | here | Go | std |
//! | --- | --- | --- |
//! | [`Mutex`] | sync.Mutex | `Mutex`, without poisoning |
//! | [`RwLock`] | sync.RWMutex | `RwLock`, without poisoning |
//! | [`Condvar`] | sync.Cond | `Condvar` |
//! | [`WaitGroup`] | sync.WaitGroup | |
//! | [`Once`], [`OnceLock`], [`LazyLock`] | sync.Once, sync.OnceValue | the same |
//! | [`Semaphore`] | golang.org/x/sync/semaphore | |
//! | [`Barrier`] | | `Barrier` |
//! | [`Pool`] | sync.Pool | |
//!
//! All can be shared by goroutines and plain threads, in any mix, and work between threads before the runtime is
//! started; only a wait with a time limit needs its timers. Waiting allocates nothing. std's locks, and those of other
//! crates, may be used on goroutines as well: they hold up the thread, and sysmon puts another in its place, which
//! takes it 50 µs and more; and their guards must not be kept across a call that parks.

mod barrier;
mod condvar;
mod group_count;
mod lazy_lock;
mod lock;
mod mutex;
mod once;
mod once_lock;
mod once_state;
mod permits;
mod pool;
mod raw_mutex;
mod raw_rwlock;
mod rwlock;
mod sema;
mod semaphore;
mod spin;
mod waitgroup;

pub use barrier::{Barrier, BarrierWaitResult};
pub use condvar::{Condvar, WaitTimeoutResult};
pub use lazy_lock::LazyLock;
pub use mutex::{ArcMutexGuard, MappedMutexGuard, Mutex, MutexGuard};
pub use once::Once;
pub use once_lock::OnceLock;
pub use pool::{Pool, Pooled};
pub use raw_mutex::RawMutex;
pub use raw_rwlock::RawRwLock;
pub use rwlock::{
    ArcRwLockReadGuard, ArcRwLockUpgradableReadGuard, ArcRwLockWriteGuard, MappedRwLockReadGuard,
    MappedRwLockWriteGuard, RwLock, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard,
};
pub use semaphore::{ArcSemaphorePermit, Semaphore, SemaphorePermit};
pub use waitgroup::{WaitGroup, WaitGroupTask};

use deadline::{deadline_after, deadline_at};
mod deadline;
