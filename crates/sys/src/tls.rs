//! The thread-local words of the project: the M that the thread is, and what `goroutine_local!` keeps for a thread that
//! is none.
//!
//! A goroutine may go on on another thread than it stopped on, and the compiler assumes that the address of a
//! thread-local does not change within a function: it would go on using the first thread's copy. So there are no
//! others, and they are read and written only through functions that are never inlined and pass values, not references.
//! `tests/tls_across_switch.rs` proves it in release builds.

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

thread_local! {
    /// The second word. Readable to the very end of the thread: it has no destructor.
    static LOCALS: Cell<*mut ()> = const { Cell::new(std::ptr::null_mut()) };
    /// Its destructor.
    static LOCALS_END: LocalsEnd = const { LocalsEnd(Cell::new(None)) };
}

struct LocalsEnd(Cell<Option<fn(*mut ())>>);

impl Drop for LocalsEnd {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end(locals());
            LOCALS.with(|word| word.set(std::ptr::null_mut()));
        }
    }
}

/// The word that [`set_locals`] stored on this thread; null on a thread that never did.
#[inline(never)]
pub fn locals() -> *mut () {
    LOCALS.with(Cell::get)
}

/// Stores a word of this thread, once, which is passed to `end` when the thread ends. False: it is ending, and `end`
/// would not be called any more.
#[inline(never)]
pub fn set_locals(word: *mut (), end: fn(*mut ())) -> bool {
    let stored = LOCALS_END.try_with(|own| own.0.set(Some(end))).is_ok();
    if stored {
        LOCALS.with(|own| own.set(word));
    }
    stored
}
