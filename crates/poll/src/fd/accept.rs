//! Accepting and connecting.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use gopark_sys::sysfd::SysFd;
use gopark_sys::{Errno, sock};

use super::Fd;
use crate::Error;
use crate::poll_info::Mode;

impl Fd {
    /// Accepts a connection, non-blocking and close-on-exec, and waits for one.
    ///
    /// `ECONNABORTED` is tried again: that connection is gone, the next may not be. `EMFILE` and `ENFILE` are
    /// returned; see [`wait_for_descriptor`](crate::wait_for_descriptor).
    ///
    /// Go: internal/poll/fd_unix.go FD.Accept
    pub fn accept(&self) -> Result<(OwnedFd, SocketAddr), Error> {
        self.accept_with(sock::accept4)
    }

    /// [`Fd::accept`] with another call, for addresses of another family.
    pub fn accept_with<T>(&self, mut call: impl FnMut(&SysFd) -> gopark_sys::Result<T>) -> Result<T, Error> {
        self.read_with(|fd| match call(fd) {
            // As EINTR: at once, again.
            Err(Errno::ECONNABORTED) => Err(Errno::EINTR),
            result => result,
        })
    }

    /// Waits for an event in the direction of writing, and nothing else: for `connect`.
    ///
    /// Go: internal/poll/fd_unix.go FD.WaitWrite
    pub fn wait_write(&self) -> Result<(), Error> {
        let _lock = self.lock(Mode::Write)?;
        self.wait(Mode::Write).map(|_| ())
    }

    /// Connects to `addr` and waits for the outcome, within the write deadline.
    ///
    /// # Errors
    ///
    /// What connect(2) or `SO_ERROR` says; the closed error; [`Error::DeadlineExceeded`].
    ///
    /// Go: net/fd_unix.go netFD.connect
    pub fn connect(&self, addr: &SocketAddr) -> Result<(), Error> {
        let started = {
            // The mark that is forgotten is that of all writers.
            let _lock = self.lock(Mode::Write)?;
            self.prepare(Mode::Write)?;
            sock::connect(&self.sysfd, addr)
        };
        match started {
            Ok(()) | Err(Errno::EISCONN) => Ok(()),
            // After EINTR the attempt goes on in the background, as if it were EINPROGRESS.
            Err(Errno::EINPROGRESS | Errno::EALREADY | Errno::EINTR) => self.connect_wait(),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Waits for the outcome of a connect(2) that is in progress.
    ///
    /// A wake-up alone proves nothing, and neither does a `SO_ERROR` of 0: a socket that was registered
    /// before it began to connect has an event waiting. Only a peer does (golang/go#14548, #19289).
    pub fn connect_wait(&self) -> Result<(), Error> {
        loop {
            self.wait_write()?;
            match self.control(sock::so_error)?? {
                None => {
                    if self.control(sock::peer_addr_any)?.is_ok() {
                        return Ok(());
                    }
                }
                Some(Errno::EINPROGRESS | Errno::EALREADY | Errno::EINTR) => {}
                Some(Errno::EISCONN) => return Ok(()),
                Some(errno) => return Err(errno.into()),
            }
        }
    }
}
