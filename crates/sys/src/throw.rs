//! `throw!`: the end of the process, for states that cannot be.
//!
//! # Safety
//! Safe to call anywhere, in a signal handler too: no allocation and no lock, that of standard error included. What
//! the arguments' own `Display` does is theirs.
#![allow(unsafe_code)]

use std::io::Write;

/// Writes `fatal error: ` and the formatted text to standard error and aborts.
///
/// For impossible states of the runtime only. It never unwinds: a panic that crossed a context switch would leave
/// the runtime in pieces. What is longer than half a kilobyte is cut. Go: runtime/panic.go throw.
#[macro_export]
macro_rules! throw {
    ($($arg:tt)*) => { $crate::throw::throw_fmt(::core::format_args!($($arg)*)) };
}

/// What [`throw!`] calls.
#[cold]
#[inline(never)]
pub fn throw_fmt(args: std::fmt::Arguments<'_>) -> ! {
    #[cfg(sim)]
    crate::sim::describe("thrown");
    // A fixed buffer: the caller may be the allocator. One write, so that the lines of two threads do not mix; not
    // std's stderr, whose lock a thread may hold that will never come back to release it.
    let mut text = [0_u8; 512];
    let room = text.len() - 1;
    let mut rest = &mut text[..room];
    let _ = write!(rest, "fatal error: {args}"); // fails when the room is used up: what fitted is there
    let len = room - rest.len();
    text[len] = b'\n';
    // SAFETY: the bytes are readable. Whether they were written changes nothing any more.
    let _ = unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), len + 1) };
    std::process::abort()
}

/// Ends the process at once with this status: no destructor, no handler of `atexit`, which might wait for a thread that
/// never comes back.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: it does not return.
    unsafe { libc::_exit(status) }
}
