//! Error numbers of the kernel, and the results of system calls.

use std::fmt;

/// An error number, as errno(3) lists them. Its text is the C library's, in lower case, as Go prints it.
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub struct Errno(i32);

/// What a system call returns.
pub type Result<T> = core::result::Result<T, Errno>;

macro_rules! errnos {
    ($($name:ident)*) => {
        impl Errno {
            $(#[doc = concat!("`", stringify!($name), "`: see errno(3).")]
            pub const $name: Errno = Errno(libc::$name);)*

            fn name(self) -> Option<&'static str> {
                $(if self == Errno::$name { return Some(stringify!($name)); })*
                None
            }
        }
    };
}

errnos! {
    EACCES EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN EALREADY EBADF ECONNABORTED ECONNREFUSED ECONNRESET EEXIST
    EHOSTDOWN EHOSTUNREACH EINPROGRESS EINTR EINVAL EISCONN EMFILE ENETDOWN ENETUNREACH ENFILE ENOBUFS ENOENT ENOMEM
    ENOPROTOOPT ENOSYS
    ENOTCONN ENOTSOCK EOPNOTSUPP EPERM EPIPE EPROTO EPROTONOSUPPORT ETIMEDOUT
}

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
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = std::io::Error::from_raw_os_error(self.0).to_string();
        let text = text.rsplit_once(" (os error").map_or(text.as_str(), |(text, _)| text);
        // Go's texts begin in lower case, except where the first word is a name ("RPC ...").
        let mut chars = text.chars();
        match (chars.next(), chars.clone().next()) {
            (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
                write!(f, "{}{}", first.to_lowercase(), chars.as_str())
            }
            _ => f.write_str(text),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
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
