//! splice(2), sendfile(2), and the pipes that bytes go through: moving bytes from one descriptor to another without
//! copying them into the program and out again. Linux; elsewhere every call is ENOSYS, and the caller copies.
//!
//! Like write(2), both raise SIGPIPE on a socket whose peer is gone, and have no flag against it. A Rust program
//! ignores that signal unless it was told otherwise; one that has restored it is ended by it here, as by a `println!`.
//!
//! # Safety
//! Numbers only, but for an offset that is passed by a pointer to a local variable; whether a descriptor is still the
//! caller's is the contract of what lent it, and a wrong number costs an error, not memory.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, OwnedFd};

use crate::errno::{Errno, Result};

/// What one sendfile(2) moves at most on Linux, whatever it is asked for: 2 GiB less a page. Asking for more than 2 GiB
/// fails on others (golang/go#7812).
pub const SENDFILE_MAX: usize = 0x7fff_f000;

/// A pipe, both ends non-blocking and close-on-exec: where it is read, where it is written. pipe2(2).
///
/// # Errors
/// EMFILE, ENFILE.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    imp::pipe()
}

/// Lets the pipe hold `size` bytes; returns what it holds now. F_SETPIPE_SZ.
///
/// # Errors
/// EPERM beyond /proc/sys/fs/pipe-max-size, or if the user's pipes are too many.
pub fn set_pipe_size(pipe: &impl AsRawFd, size: usize) -> Result<usize> {
    imp::set_pipe_size(pipe.as_raw_fd(), size)
}

/// splice(2): moves at most `len` bytes, one of the two being a pipe, and does not wait for that. Whether it waits for
/// the other one is up to its own mode.
///
/// Without SPLICE_F_MORE: the last bytes of a message would wait 200 ms for more (golang/go#10948).
///
/// # Errors
/// EAGAIN; EINVAL if it cannot be done with these; what reading and writing give.
pub fn splice(from: &impl AsRawFd, to: &impl AsRawFd, len: usize) -> Result<usize> {
    imp::splice(from.as_raw_fd(), to.as_raw_fd(), len)
}

/// sendfile(2): moves at most `len` bytes of a file, and no more than [`SENDFILE_MAX`]. From `offset` on, which is
/// moved; or from the file's own position, which is.
///
/// # Errors
/// EAGAIN if the socket has no room; EINVAL, ENOSYS, EOPNOTSUPP if it cannot be done with these.
pub fn sendfile(
    to: &impl AsRawFd,
    from: &impl AsRawFd,
    offset: Option<&mut u64>,
    len: usize,
) -> Result<usize> {
    imp::sendfile(to.as_raw_fd(), from.as_raw_fd(), offset, len.min(SENDFILE_MAX))
}

/// Whether `errno` of a call above says that it cannot be done with these descriptors, or on this system, so that they
/// must be read and written. Nothing was moved then.
///
/// Go: internal/poll/sendfile_unix.go handled (golang/go#70763)
pub fn is_unsupported(errno: Errno) -> bool {
    [Errno::ENOSYS, Errno::EOPNOTSUPP, Errno::EINVAL].contains(&errno) || errno.raw() == libc::ENOTSUP
}

#[cfg(target_os = "linux")]
mod imp {
    use std::os::fd::{FromRawFd, OwnedFd, RawFd};
    use std::ptr::null_mut;

    use crate::errno::{Errno, Result, check, check_size};

    pub(super) fn pipe() -> Result<(OwnedFd, OwnedFd)> {
        let mut fds = [-1; 2];
        // SAFETY: room for two numbers.
        check(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) })?;
        // SAFETY: fresh, and nobody else knows them.
        Ok(unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) })
    }

    pub(super) fn set_pipe_size(pipe: RawFd, size: usize) -> Result<usize> {
        let size = libc::c_int::try_from(size).map_err(|_| Errno::EINVAL)?;
        // SAFETY: a plain system call.
        let now = check(unsafe { libc::fcntl(pipe, libc::F_SETPIPE_SZ, size) })?;
        Ok(now.unsigned_abs() as usize)
    }

    pub(super) fn splice(from: RawFd, to: RawFd, len: usize) -> Result<usize> {
        // SAFETY: no offsets; each end goes on where it is.
        check_size(unsafe { libc::splice(from, null_mut(), to, null_mut(), len, libc::SPLICE_F_NONBLOCK) })
    }

    pub(super) fn sendfile(to: RawFd, from: RawFd, offset: Option<&mut u64>, len: usize) -> Result<usize> {
        let Some(offset) = offset else {
            // SAFETY: no offset; the file goes on where it is.
            return check_size(unsafe { libc::sendfile(to, from, null_mut(), len) });
        };
        let mut at = libc::off64_t::try_from(*offset).map_err(|_| Errno::EINVAL)?;
        // SAFETY: `at` outlives the call.
        let n = check_size(unsafe { libc::sendfile64(to, from, &mut at, len) })?;
        *offset = at.unsigned_abs();
        Ok(n)
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::os::fd::{OwnedFd, RawFd};

    use crate::errno::{Errno, Result};

    pub(super) fn pipe() -> Result<(OwnedFd, OwnedFd)> {
        Err(Errno::ENOSYS)
    }

    pub(super) fn set_pipe_size(_pipe: RawFd, _size: usize) -> Result<usize> {
        Err(Errno::ENOSYS)
    }

    pub(super) fn splice(_from: RawFd, _to: RawFd, _len: usize) -> Result<usize> {
        Err(Errno::ENOSYS)
    }

    /// macOS and the BSDs have a sendfile each, with arguments and half-failures of its own; not worth it for a
    /// fallback that is right everywhere.
    pub(super) fn sendfile(_to: RawFd, _from: RawFd, _at: Option<&mut u64>, _len: usize) -> Result<usize> {
        Err(Errno::ENOSYS)
    }
}
