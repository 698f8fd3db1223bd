//! `Semaphore`: so many permits, for which goroutines wait in the order of coming.
//!
//! Go: golang.org/x/sync/semaphore.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sync::permits::Permits;
use crate::sync::{deadline_after, deadline_at};

/// A weighted semaphore: so many permits, of which each caller takes as many as it needs.
///
/// Strictly in the order of coming: while somebody waits for many permits, nobody who comes later gets the few that
/// are left, or the one that asks for many would wait for ever. Permits are given back when what
/// [`Semaphore::acquire`] returns is dropped.
///
/// Goroutines and plain threads may share one, also before the runtime is started (but for a wait with a time limit).
///
/// Go: golang.org/x/sync/semaphore.Weighted.
///
/// # Examples
/// ```no_run
/// use gopark_sched::sync::Semaphore;
///
/// static UPLOADS: Semaphore = Semaphore::new(8);
///
/// let _one = UPLOADS.acquire(1); // given back at the end of the scope
/// ```
#[doc(alias = "Weighted")]
pub struct Semaphore(Permits);

impl Semaphore {
    /// The most permits a semaphore may have.
    pub const MAX: usize = Permits::MAX;

    /// A semaphore with so many permits.
    ///
    /// # Panics
    /// If `permits` is more than [`Semaphore::MAX`].
    pub const fn new(permits: usize) -> Semaphore {
        assert!(permits <= Semaphore::MAX, "Semaphore::new: more permits than Semaphore::MAX");
        Semaphore(Permits::new(permits))
    }

    /// How many permits nobody has at this moment.
    pub fn available(&self) -> usize {
        self.0.available()
    }

    /// Takes `n` permits, as soon as they are there and it is the caller's turn.
    ///
    /// May block: see the contract of [`crate::Runtime::start`].
    ///
    /// # Panics
    /// If the semaphore has fewer than `n` in all: the caller would wait for ever.
    #[track_caller]
    pub fn acquire(&self, n: usize) -> SemaphorePermit<'_> {
        self.0.check(n);
        self.0.acquire(n);
        SemaphorePermit { semaphore: self, n }
    }

    /// Takes `n` permits if they are there and nobody waits.
    ///
    /// Go: Weighted.TryAcquire.
    #[doc(alias = "TryAcquire")]
    pub fn try_acquire(&self, n: usize) -> Option<SemaphorePermit<'_>> {
        self.0.try_acquire(n).then(|| SemaphorePermit { semaphore: self, n })
    }

    /// [`Semaphore::acquire`], for at most `timeout`.
    ///
    /// # Panics
    /// As `acquire`; and if it has to wait and the runtime is not started, which has the timers.
    #[track_caller]
    pub fn acquire_timeout(&self, n: usize, timeout: Duration) -> Option<SemaphorePermit<'_>> {
        self.0.check(n);
        self.0.acquire_by(n, || deadline_after(timeout)).then(|| SemaphorePermit { semaphore: self, n })
    }

    /// [`Semaphore::acquire`], until `deadline` at most.
    ///
    /// # Panics
    /// As [`Semaphore::acquire_timeout`].
    #[track_caller]
    pub fn acquire_until(&self, n: usize, deadline: Instant) -> Option<SemaphorePermit<'_>> {
        self.0.check(n);
        self.0.acquire_by(n, || deadline_at(deadline)).then(|| SemaphorePermit { semaphore: self, n })
    }

    /// [`Semaphore::acquire`], with permits that own the semaphore: to take one here and give it to a goroutine.
    ///
    /// # Panics
    /// As `acquire`.
    #[track_caller]
    pub fn acquire_arc(self: &Arc<Self>, n: usize) -> ArcSemaphorePermit {
        self.acquire(n).forget();
        ArcSemaphorePermit { semaphore: Arc::clone(self), n }
    }

    /// [`Semaphore::try_acquire`], with permits that own the semaphore.
    pub fn try_acquire_arc(self: &Arc<Self>, n: usize) -> Option<ArcSemaphorePermit> {
        self.try_acquire(n)?.forget();
        Some(ArcSemaphorePermit { semaphore: Arc::clone(self), n })
    }

    /// Gives back `n` permits that were [forgotten](SemaphorePermit::forget). Never parks or yields.
    ///
    /// # Panics
    /// If more would be there than the semaphore has in all: "semaphore: released more than held". Nothing is given
    /// back then.
    ///
    /// Go: Weighted.Release.
    #[doc(alias = "Release")]
    #[track_caller]
    pub fn release(&self, n: usize) {
        assert!(self.0.release_checked(n), "semaphore: released more than held");
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("available", &self.available()).field("of", &self.0.all()).finish()
    }
}

/// Permits, given back when this is dropped; anywhere, and without parking or yielding.
#[must_use = "the permits are given back when this is dropped"]
pub struct SemaphorePermit<'a> {
    semaphore: &'a Semaphore,
    n: usize,
}

impl SemaphorePermit<'_> {
    /// How many they are.
    pub fn count(&self) -> usize {
        self.n
    }

    /// Does not give them back: [`Semaphore::release`] can do that later.
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for SemaphorePermit<'_> {
    fn drop(&mut self) {
        self.semaphore.0.release(self.n);
    }
}

impl fmt::Debug for SemaphorePermit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SemaphorePermit").field("count", &self.n).finish()
    }
}

/// Permits that own their semaphore, given back when this is dropped.
#[must_use = "the permits are given back when this is dropped"]
pub struct ArcSemaphorePermit {
    semaphore: Arc<Semaphore>,
    n: usize,
}

impl ArcSemaphorePermit {
    /// How many they are.
    pub fn count(&self) -> usize {
        self.n
    }
}

impl Drop for ArcSemaphorePermit {
    fn drop(&mut self) {
        self.semaphore.0.release(self.n);
    }
}

impl fmt::Debug for ArcSemaphorePermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArcSemaphorePermit").field("count", &self.n).finish()
    }
}
