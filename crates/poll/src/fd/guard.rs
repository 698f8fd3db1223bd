//! References and locks that give themselves back, also when a panic or an error takes the short way out
//! (golang 3813f941f6: a reference was lost on a failing path, and the descriptor never closed).

use super::Fd;
use crate::fd_mutex::Left;
use crate::poll_info::Mode;

/// A reference to an open descriptor; it is not destroyed meanwhile.
#[derive(Debug)]
pub(super) struct Ref<'a>(&'a Fd);

impl<'a> Ref<'a> {
    /// For a reference that the caller has taken.
    pub(super) fn new(fd: &'a Fd) -> Ref<'a> {
        Ref(fd)
    }

    pub(super) fn fd(&self) -> &'a Fd {
        self.0
    }
}

impl Drop for Ref<'_> {
    fn drop(&mut self) {
        if self.0.mu.decref() == Left::Last {
            // close(2)'s error has no one to go to: whoever closed has returned, or will be told nothing, as
            // in Go.
            let _ = self.0.destroy();
        }
    }
}

/// The lock of one direction, and a reference.
pub(super) struct Lock<'a> {
    fd: &'a Fd,
    mode: Mode,
}

impl<'a> Lock<'a> {
    /// For a lock that the caller has taken.
    #[inline]
    pub(super) fn new(fd: &'a Fd, mode: Mode) -> Lock<'a> {
        Lock { fd, mode }
    }

    pub(super) fn fd(&self) -> &'a Fd {
        self.fd
    }
}

impl Drop for Lock<'_> {
    #[inline]
    fn drop(&mut self) {
        match self.fd.mu.rwunlock(self.mode) {
            Left::InUse => {}
            Left::TasksWait => self.fd.tell_tasks(),
            Left::Last => drop(self.fd.destroy()),
        }
    }
}

/// A descriptor that cannot be closed while this lives, so that its number stays its own.
///
/// There is no `AsFd` on the descriptor itself, since `close(&self)` could free the number under a
/// `BorrowedFd`.
#[derive(Debug)]
pub struct FdGuard<'a>(Ref<'a>);

impl<'a> FdGuard<'a> {
    pub(super) fn new(reference: Ref<'a>) -> FdGuard<'a> {
        FdGuard(reference)
    }

    pub(super) fn reference(&self) -> &Ref<'a> {
        &self.0
    }
}
