//! `SysFd`: a descriptor in a cell that can be closed through a shared reference.
//!
//! # Safety
//! The cell owns its descriptor: a number goes in as an `OwnedFd` and comes out, or is closed, once (by the swap).
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

use crate::errno::{Errno, Result, check};
use crate::hook;

/// An owned descriptor. Go: `poll.FD.Sysfd`.
///
/// | value | meaning | changed by |
/// | --- | --- | --- |
/// | ≥ 0 | open | `new` |
/// | -1 | closed, or given away | `close`, `into_owned`, once |
///
/// Who uses the number must know that nobody closes it meanwhile: `poll::Fd` counts its users and closes when the
/// last one is gone. A call on a closed cell gets EBADF from the kernel.
#[derive(Debug)]
pub struct SysFd(AtomicI32);

impl SysFd {
    /// Takes the descriptor.
    pub fn new(fd: OwnedFd) -> SysFd {
        SysFd(AtomicI32::new(fd.into_raw_fd()))
    }

    /// Its number; -1 once closed.
    #[inline]
    pub fn raw(&self) -> RawFd {
        self.0.load(Ordering::Relaxed) // users are ordered before the close by their count, not by this word
    }

    /// The descriptor, borrowed.
    ///
    /// # Panics
    /// If it is closed.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        let fd = self.raw();
        assert!(fd >= 0, "the descriptor is closed");
        // SAFETY: open, and by the rule of the type not closed while the caller uses the cell.
        unsafe { BorrowedFd::borrow_raw(fd) }
    }

    /// Closes it. Not repeated on EINTR: Linux has closed it by then (close(2)).
    ///
    /// # Errors
    /// What close(2) reports; EBADF the second time. It is closed even so.
    pub fn close(&self) -> Result<()> {
        let fd = self.raw();
        self.close_once().and_then(|()| hook::close(fd))
    }

    fn close_once(&self) -> Result<()> {
        match self.0.swap(-1, Ordering::Relaxed) {
            -1 => Err(Errno::EBADF),
            // SAFETY: the number was ours, and the swap gave it to this call alone.
            fd => match check(unsafe { libc::close(fd) }) {
                Err(Errno::EINTR) | Ok(_) => Ok(()),
                Err(errno) => Err(errno),
            },
        }
    }

    /// A second descriptor for the same open file, close-on-exec.
    ///
    /// # Errors
    /// EMFILE at the descriptor limit.
    pub fn dup(&self) -> Result<OwnedFd> {
        hook::dup(self.raw())?;
        // SAFETY: a plain system call.
        let fd = check(unsafe { libc::fcntl(self.raw(), libc::F_DUPFD_CLOEXEC, 0) })?;
        // SAFETY: fresh, and nobody else knows it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// Sets or clears O_NONBLOCK, for every descriptor of the same open file.
    ///
    /// # Errors
    /// EBADF.
    pub fn set_nonblocking(&self, nonblocking: bool) -> Result<()> {
        // SAFETY: a plain system call.
        let flags = check(unsafe { libc::fcntl(self.raw(), libc::F_GETFL) })?;
        let wanted = if nonblocking { flags | libc::O_NONBLOCK } else { flags & !libc::O_NONBLOCK };
        if wanted != flags {
            // SAFETY: as above.
            check(unsafe { libc::fcntl(self.raw(), libc::F_SETFL, wanted) })?;
        }
        Ok(())
    }

    /// Gives the descriptor away; none if it is closed.
    pub fn into_owned(self) -> Option<OwnedFd> {
        let fd = self.0.swap(-1, Ordering::Relaxed);
        // SAFETY: the number was ours, and the cell has forgotten it.
        (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// As [`SysFd::into_owned`], through a shared reference.
    pub fn take(&self) -> Option<OwnedFd> {
        let fd = self.0.swap(-1, Ordering::Relaxed);
        // SAFETY: as in into_owned.
        (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

impl AsRawFd for SysFd {
    fn as_raw_fd(&self) -> RawFd {
        self.raw()
    }
}

impl Drop for SysFd {
    fn drop(&mut self) {
        let _ = self.close_once();
    }
}
