//! Error numbers of the kernel, and the results of system calls.
//!
//! The texts are Go's, since net's errors must read like Go's and programs compare them. They are kept here and not
//! asked of the C library: its texts differ between libraries and with the locale, and asking it allocates, which
//! [`throw!`](crate::throw!) must not.

use std::fmt;

/// An error number, as errno(3) lists them. Displays Go's text, like "connection refused".
///
/// Constants and not an enum: a kernel may return numbers this file does not know.
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub struct Errno(i32);

/// What a system call returns.
pub type Result<T> = core::result::Result<T, Errno>;

/// A number's name and text.
type Entry = (Errno, &'static str, &'static str);

macro_rules! errnos {
    ($($name:ident $text:literal)*) => {
        impl Errno {
            $(#[doc = concat!("`", stringify!($name), "`: ", $text, ".")]
            pub const $name: Errno = Errno(libc::$name);)*
        }

        pub(super) const TABLE: &[Entry] = &[$((Errno::$name, stringify!($name), $text)),*];
    };
}

use common::TABLE as COMMON;
#[path = "errno/common.rs"]
mod common;
#[cfg(any(target_os = "linux", target_os = "android"))]
#[path = "errno/linux.rs"]
mod system;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "errno/other.rs"]
mod system;

impl Errno {
    /// The error with this number.
    pub const fn from_raw(errno: i32) -> Errno {
        Errno(errno)
    }

    /// Its number.
    pub const fn raw(self) -> i32 {
        self.0
    }

    /// The calling thread's `errno`. Read it at once: after a call that may switch threads it is another's.
    pub fn last() -> Errno {
        Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
    }

    /// Of an `io::Error` that came from the kernel; EINVAL for one that did not.
    pub fn of(err: &std::io::Error) -> Errno {
        err.raw_os_error().map_or(Errno::EINVAL, Errno)
    }

    fn entry(self) -> Option<&'static Entry> {
        COMMON.iter().chain(system::TABLE).find(|entry| entry.0 == self)
    }
}

/// On Linux without allocation.
impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry() {
            Some((_, _, text)) => f.write_str(text),
            None => system::display(*self, f),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry() {
            Some((_, name, _)) => f.write_str(name),
            None => write!(f, "Errno({})", self.0),
        }
    }
}

impl std::error::Error for Errno {}

impl From<Errno> for std::io::Error {
    fn from(errno: Errno) -> std::io::Error {
        std::io::Error::from_raw_os_error(errno.0)
    }
}

/// The result of a call that returns -1 and sets `errno` on failure.
#[inline]
pub(crate) fn check(result: libc::c_int) -> Result<libc::c_int> {
    if result == -1 { Err(Errno::last()) } else { Ok(result) }
}

/// As [`check`], for calls that return a size.
#[inline]
pub(crate) fn check_size(result: libc::ssize_t) -> Result<usize> {
    usize::try_from(result).map_err(|_| Errno::last())
}

#[cfg(test)]
mod tests;
