//! `throw!`: the end of the process, for states that cannot be.

use std::io::Write;

/// Writes `fatal error: ` and the formatted text to standard error and aborts.
///
/// For impossible states of the runtime only. It never unwinds: a panic that crossed a context switch would leave
/// the runtime in pieces. Go: runtime/panic.go throw.
#[macro_export]
macro_rules! throw {
    ($($arg:tt)*) => { $crate::throw::throw_fmt(::core::format_args!($($arg)*)) };
}

/// What [`throw!`] calls.
#[cold]
#[inline(never)]
pub fn throw_fmt(args: std::fmt::Arguments<'_>) -> ! {
    // A fixed buffer: the allocator may be the caller. One write, so that lines do not mix.
    let mut text = [0_u8; 512];
    let room = text.len();
    let mut rest = &mut text[..];
    let _ = writeln!(rest, "fatal error: {args}");
    let len = room - rest.len();
    let _ = std::io::stderr().write_all(&text[..len]);
    std::process::abort()
}
