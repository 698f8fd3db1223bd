//! `LazyLock`: a value that is made when it is first asked for.
//!
//! # Safety
//! The function is taken out between `begin` and `finish`, by the one caller that may.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::fmt;
use std::ops::Deref;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::sync::OnceLock;
use crate::sync::once_state::{Begin, Finish, OnceState};

/// A value that is made when it is first asked for, as `std::sync::LazyLock`; whoever comes meanwhile waits, parked.
///
/// If its function panics, the panic goes on in the caller, and whoever asks afterwards panics too: the function is
/// gone. So it is with std's, and with the functions that Go's `sync.OnceValue` returns.
///
/// To look at it may block: see the contract of [`crate::Runtime::start`].
///
/// Go: sync.OnceFunc, sync.OnceValue, sync.OnceValues.
///
/// # Examples
/// ```no_run
/// use gopark_sched::sync::LazyLock;
///
/// static PRIMES: LazyLock<Vec<u32>> = LazyLock::new(|| vec![2, 3, 5, 7]);
///
/// assert_eq!(PRIMES[2], 5);
/// ```
#[doc(alias = "OnceValue")]
#[doc(alias = "OnceFunc")]
pub struct LazyLock<T, F = fn() -> T> {
    state: OnceState,
    value: OnceLock<T>,
    make: UnsafeCell<Option<F>>, // see the module
}

// SAFETY: F is taken out by one caller, on any thread; the rest is as OnceLock.
unsafe impl<T: Send + Sync, F: Send> Sync for LazyLock<T, F> {}

impl<T: RefUnwindSafe + UnwindSafe, F: UnwindSafe> RefUnwindSafe for LazyLock<T, F> {}
impl<T: UnwindSafe, F: UnwindSafe> UnwindSafe for LazyLock<T, F> {}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// A value that `make` makes.
    pub const fn new(make: F) -> LazyLock<T, F> {
        LazyLock { state: OnceState::new(), value: OnceLock::new(), make: UnsafeCell::new(Some(make)) }
    }

    /// The value, made now if need be.
    ///
    /// # Panics
    /// If its function does, or has.
    #[inline]
    pub fn force(this: &LazyLock<T, F>) -> &T {
        match this.value.get() {
            Some(value) => value,
            None => this.make(),
        }
    }

    #[cold]
    fn make(&self) -> &T {
        if self.state.begin() == Begin::Yours {
            let mut attempt = Attempt { state: &self.state, how: Finish::Failed };
            // SAFETY: it is ours, until the attempt ends.
            let make = unsafe { (*self.make.get()).take() };
            // Dropped when it returns: what it holds is not kept.
            if let Some(make) = make
                && self.value.set(make()).is_ok()
            {
                attempt.how = Finish::Done;
            }
        }
        match self.value.get() {
            Some(value) => value,
            None => panic!("LazyLock: its function has panicked, so there is no value"),
        }
    }
}

impl<T, F> LazyLock<T, F> {
    /// The value, if it was made already.
    pub fn get(this: &LazyLock<T, F>) -> Option<&T> {
        this.value.get()
    }
}

/// Ends an attempt, also one that panics.
struct Attempt<'a> {
    state: &'a OnceState,
    how: Finish,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.state.finish(self.how);
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        LazyLock::force(self)
    }
}

impl<T: Default> Default for LazyLock<T> {
    fn default() -> LazyLock<T> {
        LazyLock::new(T::default)
    }
}

impl<T: fmt::Debug, F> fmt::Debug for LazyLock<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LazyLock").field(&self.value.get()).finish()
    }
}
