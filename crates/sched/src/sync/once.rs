//! `Once`: something that is done once.
//!
//! Go: sync/once.go.

use std::fmt;

use crate::sync::once_state::{Begin, Finish, OnceState};

/// Does something once, by whoever comes first, while those who come meanwhile wait, parked.
///
/// If the function panics, the panic goes on in its caller, and it counts as done: nobody calls another one. So it is
/// in Go; std's `Once` is poisoned then, and [`OnceLock`](crate::sync::OnceLock) lets the next caller try. A function
/// that calls the same `Once` waits for itself, for ever.
///
/// Go: sync.Once.
///
/// # Examples
/// ```no_run
/// use gopark_sched::sync::Once;
///
/// static LOADED: Once = Once::new();
///
/// LOADED.call_once(|| println!("loading"));
/// assert!(LOADED.is_completed());
/// ```
pub struct Once(OnceState);

impl Once {
    /// Nothing is done yet.
    pub const fn new() -> Once {
        Once(OnceState::new())
    }

    /// Calls `f` if nobody has called this before. When it returns, the one call has returned, or panicked.
    ///
    /// May block: see the contract of [`crate::Runtime::start`].
    ///
    /// Go: sync.Once.Do.
    #[doc(alias = "Do")]
    #[inline]
    pub fn call_once(&self, f: impl FnOnce()) {
        if !self.0.is_done() {
            self.call_slow(f);
        }
    }

    fn call_slow(&self, f: impl FnOnce()) {
        if self.0.begin() == Begin::Yours {
            let _done = DoneOnDrop(&self.0);
            f();
        }
    }

    /// True if the function was called and is through.
    #[inline]
    pub fn is_completed(&self) -> bool {
        self.0.is_done()
    }
}

/// A panic counts as well.
struct DoneOnDrop<'a>(&'a OnceState);

impl Drop for DoneOnDrop<'_> {
    fn drop(&mut self) {
        self.0.finish(Finish::Done);
    }
}

impl Default for Once {
    fn default() -> Once {
        Once::new()
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").field("completed", &self.is_completed()).finish()
    }
}
