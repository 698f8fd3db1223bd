//! fork(2) of a process whose threads are gone then: the child must not use what they did.
//!
//! A child has one thread, the one that forked, and a copy of all memory as it was at that moment: locks that other
//! threads held stay locked, queues wait for threads that do not exist, and the poller is the parent's, which the child
//! could only damage. All that a child may do is to execute another program, or to end.
//!
//! # Safety
//! The handler makes two stores and calls a function that promises to be as simple.
#![cfg_attr(unix, allow(unsafe_code))]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static IS_CHILD: AtomicBool = AtomicBool::new(false);
static HOOK: OnceLock<fn()> = OnceLock::new();

/// Has every child of a fork know that it is one, from now on; `hook` runs in it first, as a signal handler would: no
/// allocation, no lock. Once per process; who is second is not heard.
///
/// Not by `vfork`, nor by `posix_spawn`, which std's `Command` uses: their child shares the memory of its parent.
pub fn install(hook: fn()) {
    if HOOK.set(hook).is_ok() {
        #[cfg(unix)]
        // SAFETY: the function stays, and is what such a handler may be.
        let _ = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    }
}

#[cfg(unix)]
unsafe extern "C" fn in_child() {
    IS_CHILD.store(true, Ordering::Relaxed);
    if let Some(hook) = HOOK.get() {
        hook();
    }
    // Whoever asks is a plain thread now: there is no scheduler to go to.
    crate::tls::set_current_m(std::ptr::null_mut());
}

/// Whether this process is such a child.
#[inline]
pub fn is_child() -> bool {
    IS_CHILD.load(Ordering::Relaxed)
}

/// What to say about it.
pub const REFUSAL: &str = "gopark cannot be used in the child of a fork: its threads are those of the parent. \
    Execute a program there, or end it by _exit(2); std::process::Command does all that";

/// Panics in a child.
#[inline]
pub fn check() {
    if is_child() {
        refuse();
    }
}

#[cold]
#[inline(never)]
fn refuse() -> ! {
    panic!("{REFUSAL}")
}
