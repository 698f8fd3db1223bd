//! Reading.

use std::io::IoSliceMut;

use gopark_sys::sysfd::SysFd;
use gopark_sys::{Errno, rw};

use super::{Fd, IOV_MAX, RW_MAX};
use crate::Error;
use crate::fd::guard::Lock;
use crate::fd_mutex::TryLockError;
use crate::poll_info::Mode;
use crate::runtime::OPERATION;

impl Fd {
    /// Reads once, and waits for something to read. `Ok(0)` is the end on a stream; an empty `buf` gives
    /// `Ok(0)` at once, whatever the deadline.
    ///
    /// # Errors
    ///
    /// The closed error, [`Error::DeadlineExceeded`], [`Error::NotPollable`], what read(2) says. `EINTR` is
    /// retried.
    ///
    /// Go: internal/poll/fd_unix.go FD.Read
    pub fn read(&self, buf: &mut [u8]) -> Result<usize, Error> {
        let len = self.cap(buf.len());
        let is_file = self.kind.is_file;
        self.read_some(len, |fd| read_call(is_file, fd, &mut buf[..len]))
    }

    /// [`Fd::read`] into several buffers; at most 1024 of them are used (`IOV_MAX`).
    pub fn readv(&self, bufs: &mut [IoSliceMut<'_>]) -> Result<usize, Error> {
        let count = bufs.len().min(IOV_MAX);
        let bufs = &mut bufs[..count];
        // Capped although the buffers are not: less than all of 1 GiB is a short read, all of it may not be.
        let len = self.cap(bufs.iter().map(|b| b.len()).fold(0, usize::saturating_add));
        self.read_some(len, |fd| rw::readv(fd, bufs))
    }

    /// The template of a read of `len` bytes on a stream.
    #[inline]
    fn read_some(
        &self,
        len: usize,
        mut call: impl FnMut(&SysFd) -> gopark_sys::Result<usize>,
    ) -> Result<usize, Error> {
        let lock = self.lock(Mode::Read)?;
        if len == 0 {
            // Before the deadline is looked at, but not before the lock: a closed descriptor says so.
            return Ok(0);
        }
        let mut parked = self.before_read()?;
        let n = loop {
            match call(&self.sysfd) {
                Ok(n) => break n,
                Err(errno) => parked |= self.after_error(Mode::Read, errno)?,
            }
        };
        self.note_read(n, len);
        drop(lock);
        self.charge(parked, super::write::cost(n));
        Ok(n)
    }

    /// [`Fd::read`] that does not wait: `EAGAIN` if there is nothing to read, or somebody else is reading.
    pub fn try_read(&self, buf: &mut [u8]) -> Result<usize, Error> {
        let len = self.cap(buf.len());
        let _lock = self.try_lock(Mode::Read)?;
        if len == 0 {
            return Ok(0);
        }
        self.hint.clear();
        self.prepare(Mode::Read)?;
        loop {
            match read_call(self.kind.is_file, &self.sysfd, &mut buf[..len]) {
                Ok(n) => {
                    self.note_read(n, len);
                    return Ok(n);
                }
                Err(Errno::EINTR) => {}
                Err(errno) => {
                    if errno == Errno::EAGAIN {
                        // As sure as after a short read, and saves `readable` a call.
                        self.hint.drained();
                    }
                    return Err(errno.into());
                }
            }
        }
    }

    /// Looks at what would be read next, without taking it; waits for it. Sockets only. `Ok(0)` as from a
    /// read.
    pub fn peek(&self, buf: &mut [u8]) -> Result<usize, Error> {
        if buf.is_empty() {
            drop(self.lock(Mode::Read)?);
            return Ok(0);
        }
        self.read_with(|fd| rw::peek(fd, buf))
    }

    /// Waits until a read would not wait; without a buffer, so that an idle connection needs none.
    ///
    /// Go: what RawConn.Read is used for (golang/go#15735)
    #[doc(alias = "wait_read")]
    pub fn readable(&self) -> Result<(), Error> {
        let lock = self.lock(Mode::Read)?;
        let hinted = self.pd.is_some_and(|p| self.hint.may_wait(p.pd));
        let mut parked = hinted && self.wait(Mode::Read)?;
        // What wakes us is of data that nobody has taken. A mark that was there before may be of data that came between
        // the last read's preparation and its call.
        if !parked {
            self.prepare(Mode::Read)?;
            // READY is not enough to go by: an earlier read may have taken the mark and left data.
            loop {
                match rw::poll_readable(&self.sysfd) {
                    Ok(true) => break,
                    Ok(false) => parked |= self.wait(Mode::Read)?,
                    Err(errno) => parked |= self.after_error(Mode::Read, errno)?,
                }
            }
        }
        // The mark is taken, the data is not.
        self.hint.clear();
        drop(lock);
        self.charge(parked, OPERATION);
        Ok(())
    }

    /// Any call that reads, in the frame of [`Fd::read`]: lock, deadline, `EINTR` again, `EAGAIN` waits. The
    /// call may take as much or as little as it likes; datagrams, control messages and the like.
    ///
    /// Go: internal/poll/fd_unix.go FD.ReadFrom, FD.ReadMsg
    pub fn read_with<T>(&self, mut call: impl FnMut(&SysFd) -> gopark_sys::Result<T>) -> Result<T, Error> {
        let lock = self.lock(Mode::Read)?;
        self.hint.clear();
        self.prepare(Mode::Read)?;
        let mut parked = false;
        let value = loop {
            match call(&self.sysfd) {
                Ok(value) => break value,
                Err(errno) => parked |= self.after_error(Mode::Read, errno)?,
            }
        };
        drop(lock);
        self.charge(parked, OPERATION);
        Ok(value)
    }

    /// [`Fd::read_with`] that does not wait; see [`Fd::try_read`].
    pub fn try_read_with<T>(
        &self,
        mut call: impl FnMut(&SysFd) -> gopark_sys::Result<T>,
    ) -> Result<T, Error> {
        let _lock = self.try_lock(Mode::Read)?;
        self.hint.clear();
        self.prepare(Mode::Read)?;
        loop {
            match call(&self.sysfd) {
                Ok(value) => return Ok(value),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Calls `f` until it returns true, and waits for an event in between, with the read lock held.
    ///
    /// Go: internal/poll/fd_unix.go FD.RawRead
    pub fn raw_read(&self, mut f: impl FnMut(&SysFd) -> bool) -> Result<(), Error> {
        self.hint.disable();
        self.read_with(|fd| if f(fd) { Ok(()) } else { Err(Errno::EAGAIN) })
    }

    /// Waits on the hint if it allows to, and prepares otherwise. True: parked.
    #[inline]
    fn before_read(&self) -> Result<bool, Error> {
        let Some(p) = self.pd else { return Ok(false) };
        if self.hint.may_wait(p.pd) {
            return self.wait(Mode::Read);
        }
        p.pd.prepare(Mode::Read).map_err(|r| self.refused(r))?;
        Ok(false)
    }

    #[inline]
    pub(super) fn note_read(&self, n: usize, len: usize) {
        // 0 is the end; it is not a short read, and there is nothing to wait for.
        if 0 < n && n < len {
            self.hint.drained();
        } else {
            self.hint.clear();
        }
    }

    /// What one call may be asked for.
    #[inline]
    pub(super) fn cap(&self, len: usize) -> usize {
        if self.kind.stream { len.min(RW_MAX) } else { len }
    }

    /// Before an operation that tries first. See `PollDesc::prepare`.
    #[inline]
    pub(super) fn prepare(&self, mode: Mode) -> Result<(), Error> {
        match self.pd {
            Some(p) => p.pd.prepare(mode).map_err(|r| self.refused(r)),
            None => Ok(()),
        }
    }

    /// Waits for an event. True: parked; false: the mark was there.
    #[inline]
    pub(super) fn wait(&self, mode: Mode) -> Result<bool, Error> {
        match self.pd {
            Some(p) => {
                self.arm(mode, p)?;
                p.pd.wait(mode).map_err(|r| self.refused(r))
            }
            None => Err(Errno::EAGAIN.into()),
        }
    }

    /// A call failed: waits if it has to, and returns an error if the operation is over. True: parked.
    #[inline]
    pub(super) fn after_error(&self, mode: Mode, errno: Errno) -> Result<bool, Error> {
        match errno {
            // On a descriptor without a poller `EAGAIN` goes to the caller (golang/go#20915).
            Errno::EAGAIN => self.wait(mode),
            Errno::EINTR => Ok(false),
            _ => Err(errno.into()),
        }
    }

    pub(super) fn try_lock(&self, mode: Mode) -> Result<Lock<'_>, Error> {
        match self.mu.try_rwlock(mode) {
            Ok(()) => Ok(Lock::new(self, mode)),
            Err(TryLockError::Closed) => Err(self.closing()),
            Err(TryLockError::Held) => Err(Errno::EAGAIN.into()),
        }
    }
}

/// One read. recv(2) goes to the socket directly, read(2) by way of the file system.
#[inline]
pub(super) fn read_call(is_file: bool, fd: &SysFd, buf: &mut [u8]) -> gopark_sys::Result<usize> {
    if is_file { rw::read(fd, buf) } else { rw::recv(fd, buf) }
}
