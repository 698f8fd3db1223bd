//! The one thread-local word of the project: the M that the thread is.
//!
//! A goroutine may go on on another thread than it stopped on, and the compiler assumes that the address of a
//! thread-local does not change within a function: it would go on using the first thread's copy. So there is one
//! such word, read and written only through functions that are never inlined and pass values, not references.
//! `tests/tls_across_switch.rs` proves it in release builds.

#[cfg(not(sim))]
use std::cell::Cell;

#[cfg(not(sim))]
thread_local! {
    /// Const-initialised and without a destructor: a plain load relative to the thread pointer.
    static CURRENT_M: Cell<*mut ()> = const { Cell::new(std::ptr::null_mut()) };
}

/// The word that [`set_current_m`] stored on this thread; null on a thread that never did.
///
/// The value is right for the moment of the call: after a switch it must be read again.
#[inline(never)]
pub fn current_m() -> *mut () {
    #[cfg(sim)]
    return crate::sim::current_m();
    #[cfg(not(sim))]
    CURRENT_M.with(Cell::get)
}

/// Stores the word of this thread.
#[inline(never)]
pub fn set_current_m(mp: *mut ()) {
    #[cfg(sim)]
    crate::sim::set_current_m(mp);
    #[cfg(not(sim))]
    CURRENT_M.with(|word| word.set(mp));
}
