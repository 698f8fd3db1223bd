//! Why an operation on a descriptor failed: Go's sentinels and the system's numbers. Go: `internal/poll`
//! errors.

use std::{fmt, io};

use gopark_sys::Errno;

/// Small, `Copy`, and without allocation; the texts are Go's.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// The socket was closed, before or during the call.
    NetClosing,
    /// The file was closed, before or during the call.
    FileClosing,
    /// The deadline passed.
    DeadlineExceeded,
    /// A context attached to the descriptor was canceled.
    Canceled,
    /// A deadline on something that has none: a regular file, or a descriptor that was never registered.
    NoDeadline,
    /// The poller reported an error for the descriptor, so it cannot be waited for.
    NotPollable,
    /// A write accepted nothing.
    UnexpectedEof,
    /// The runtime was not started.
    NotStarted,
    /// What the system call said.
    Errno(Errno),
}

impl Error {
    /// Whether a deadline passed, or the system says so (`EAGAIN`, `ETIMEDOUT`).
    ///
    /// Go: net.Error Timeout
    pub fn is_timeout(&self) -> bool {
        match self {
            Error::DeadlineExceeded => true,
            Error::Errno(e) => *e == Errno::EAGAIN || *e == Errno::ETIMEDOUT,
            _ => false,
        }
    }

    /// Whether the descriptor was closed on our side.
    pub fn is_closed(&self) -> bool {
        matches!(self, Error::NetClosing | Error::FileClosing)
    }

    /// The system's number, if it is one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Error::Errno(e) => Some(*e),
            _ => None,
        }
    }

    /// The kind that std gives to such an error. A deadline is `TimedOut` and never `WouldBlock`.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            // Canceled is not `Interrupted`, which std's helpers retry for ever.
            Error::NetClosing
            | Error::FileClosing
            | Error::Canceled
            | Error::NotPollable
            | Error::NotStarted => io::ErrorKind::Other,
            Error::DeadlineExceeded => io::ErrorKind::TimedOut,
            Error::NoDeadline => io::ErrorKind::Unsupported,
            Error::UnexpectedEof => io::ErrorKind::UnexpectedEof,
            Error::Errno(e) => io::Error::from_raw_os_error(e.raw()).kind(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::NetClosing => "use of closed network connection",
            Error::FileClosing => "use of closed file",
            Error::DeadlineExceeded => "i/o timeout",
            Error::Canceled => "operation was canceled",
            Error::NoDeadline => "file type does not support deadline",
            Error::NotPollable => "not pollable",
            Error::UnexpectedEof => "unexpected EOF",
            Error::NotStarted => {
                "the gopark runtime is not started: begin main with `let rt = unsafe { Runtime::start()? };`"
            }
            Error::Errno(e) => return e.fmt(f),
        })
    }
}

impl std::error::Error for Error {}

impl From<Errno> for Error {
    fn from(e: Errno) -> Error {
        Error::Errno(e)
    }
}

impl From<Error> for io::Error {
    /// A number of the system becomes std's own error for it, the rest is wrapped.
    fn from(e: Error) -> io::Error {
        match e {
            Error::Errno(e) => io::Error::from_raw_os_error(e.raw()),
            e => io::Error::new(e.kind(), e),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn texts_are_gos() {
        assert_eq!(Error::NetClosing.to_string(), "use of closed network connection");
        assert_eq!(Error::FileClosing.to_string(), "use of closed file");
        assert_eq!(Error::DeadlineExceeded.to_string(), "i/o timeout");
        assert_eq!(Error::Canceled.to_string(), "operation was canceled");
        assert_eq!(Error::NoDeadline.to_string(), "file type does not support deadline");
        assert_eq!(Error::NotPollable.to_string(), "not pollable");
        assert_eq!(Error::Errno(Errno::ECONNREFUSED).to_string(), "connection refused");
    }

    #[test]
    fn a_deadline_is_timed_out_and_never_would_block() {
        assert_eq!(io::Error::from(Error::DeadlineExceeded).kind(), io::ErrorKind::TimedOut);
        assert!(Error::DeadlineExceeded.is_timeout());
        assert!(Error::Errno(Errno::ETIMEDOUT).is_timeout());
        assert!(!Error::Errno(Errno::ECONNRESET).is_timeout());
    }

    #[test]
    fn not_started_names_the_line_to_write() {
        assert!(Error::NotStarted.to_string().contains("Runtime::start()"));
    }
}
