//! `OnceLock`: a cell that is written once.
//!
//! # Safety
//! The cell is written between `begin` and `finish(Done)`, by the one caller that may, and read only after `is_done`.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::convert::Infallible;
use std::fmt;
use std::mem::MaybeUninit;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::sync::once_state::{Begin, Finish, OnceState};

/// A cell that is written once, as `std::sync::OnceLock`; whoever comes while it is being written waits, parked.
///
/// So the initialiser may dial, lock and sleep. If it panics, or fails, the cell stays empty and the next caller
/// tries. One that asks for the same cell waits for itself, for ever.
///
/// # Examples
/// ```no_run
/// use gopark_sched::sync::OnceLock;
///
/// static NAME: OnceLock<String> = OnceLock::new();
///
/// let name = NAME.get_or_init(|| std::fs::read_to_string("/etc/hostname").unwrap_or_default());
/// ```
pub struct OnceLock<T> {
    state: OnceState,
    value: UnsafeCell<MaybeUninit<T>>, // see the module
}

// SAFETY: a reference to it gives references to T, on any thread, and lets a T be put in from another.
unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}
// SAFETY: it owns its T.
unsafe impl<T: Send> Send for OnceLock<T> {}

impl<T: RefUnwindSafe + UnwindSafe> RefUnwindSafe for OnceLock<T> {}
impl<T: UnwindSafe> UnwindSafe for OnceLock<T> {}

impl<T> OnceLock<T> {
    /// An empty cell.
    pub const fn new() -> OnceLock<T> {
        OnceLock { state: OnceState::new(), value: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// The value, if it is there.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        // SAFETY: done, so it was written, and is not written again.
        self.state.is_done().then(|| unsafe { (*self.value.get()).assume_init_ref() })
    }

    /// The value, if it is there.
    #[inline]
    pub fn get_mut(&mut self) -> Option<&mut T> {
        // SAFETY: as in `get`, and nobody else has it.
        self.state.is_done().then(|| unsafe { self.value.get_mut().assume_init_mut() })
    }

    /// The value; made by `f` if nobody has yet.
    ///
    /// May block: see the contract of [`crate::Runtime::start`].
    #[inline]
    pub fn get_or_init(&self, f: impl FnOnce() -> T) -> &T {
        match self.get_or_try_init(|| Ok::<T, Infallible>(f())) {
            Ok(value) => value,
        }
    }

    /// The value; made by `f` if nobody has yet, unless it fails.
    ///
    /// May block: see the contract of [`crate::Runtime::start`].
    ///
    /// # Errors
    /// That of `f`; the cell is empty then.
    #[inline]
    pub fn get_or_try_init<E>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        match self.get() {
            Some(value) => Ok(value),
            None => self.init(f),
        }
    }

    #[cold]
    fn init<E>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        if self.state.begin() == Begin::Yours {
            let mut attempt = Attempt { state: &self.state, how: Finish::Again };
            let value = f()?;
            // SAFETY: it is ours to write, until the attempt ends.
            unsafe { (*self.value.get()).write(value) };
            attempt.how = Finish::Done;
        }
        match self.get() {
            Some(value) => Ok(value),
            None => gopark_sys::throw!("OnceLock: no value"), // attempts end with Done or Again
        }
    }

    /// Puts `value` in, if the cell is empty; waits for somebody who is about to. May block: see the contract of
    /// [`crate::Runtime::start`].
    ///
    /// # Errors
    /// The value, if the cell is full.
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.get_or_init(|| value.take().unwrap_or_else(|| unreachable!("called once")));
        value.map_or(Ok(()), Err)
    }

    /// Takes the value out; the cell is empty then.
    pub fn take(&mut self) -> Option<T> {
        std::mem::take(self).into_inner()
    }

    /// The value, if it is there.
    pub fn into_inner(mut self) -> Option<T> {
        if !self.state.is_done() {
            return None;
        }
        self.state = OnceState::new(); // so that the drop does not drop it too
        // SAFETY: it was there, and nobody reads it again.
        Some(unsafe { self.value.get_mut().assume_init_read() })
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

impl<T> Drop for OnceLock<T> {
    fn drop(&mut self) {
        if self.state.is_done() {
            // SAFETY: it is there, and dropped once.
            unsafe { self.value.get_mut().assume_init_drop() };
        }
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> OnceLock<T> {
        OnceLock::new()
    }
}

impl<T> From<T> for OnceLock<T> {
    fn from(value: T) -> OnceLock<T> {
        OnceLock { state: OnceState::done(), value: UnsafeCell::new(MaybeUninit::new(value)) }
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnceLock").field(&self.get()).finish()
    }
}
