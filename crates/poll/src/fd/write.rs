//! Writing.

use std::io::IoSlice;

use gopark_sys::sysfd::SysFd;
use gopark_sys::{Errno, rw};

use super::{Fd, IOV_MAX, RW_MAX};
use crate::Error;
use crate::poll_info::Mode;
use crate::runtime::OPERATION;

/// How much was written before an error, and the error. As an `Err`, so that it cannot be overlooked.
pub type Partial = (usize, Error);

impl Fd {
    /// Writes once, at least a byte if `buf` is not empty, and waits for room.
    ///
    /// # Errors
    ///
    /// Nothing was written: the closed error, [`Error::DeadlineExceeded`], [`Error::UnexpectedEof`], what
    /// send(2) says.
    pub fn write(&self, buf: &[u8]) -> Result<usize, Error> {
        let piece = &buf[..self.cap(buf.len())];
        let n = self.write_with(|fd| self.write_call(fd, piece))?;
        accepted(n, piece.len())
    }

    /// Writes all of `buf`, with the write lock held throughout, so that concurrent writers never interleave.
    ///
    /// # Errors
    ///
    /// As [`Fd::write`], with how much was written before.
    ///
    /// Go: internal/poll/fd_unix.go FD.Write
    pub fn write_all(&self, buf: &[u8]) -> Result<usize, Partial> {
        let lock = self.lock(Mode::Write).map_err(|e| (0, e))?;
        self.prepare(Mode::Write).map_err(|e| (0, e))?;
        let mut parked = false;
        let mut done = 0;
        loop {
            let piece = &buf[done..done + self.cap(buf.len() - done)];
            match self.write_call(&self.sysfd, piece) {
                Ok(n) => done += accepted(n, piece.len()).map_err(|e| (done, e))?,
                Err(errno) => {
                    parked |= self.after_error(Mode::Write, errno).map_err(|e| (done, e))?;
                    continue;
                }
            }
            if done == buf.len() {
                break;
            }
        }
        drop(lock);
        self.charge(parked, cost(done));
        Ok(done)
    }

    /// [`Fd::write`] that does not wait: `EAGAIN` if there is no room, or somebody else is writing.
    pub fn try_write(&self, buf: &[u8]) -> Result<usize, Error> {
        let piece = &buf[..self.cap(buf.len())];
        let n = self.try_write_with(|fd| self.write_call(fd, piece))?;
        accepted(n, piece.len())
    }

    /// [`Fd::write`] from several buffers.
    pub fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> Result<usize, Error> {
        let first = bufs.iter().position(|b| !b.is_empty()).unwrap_or(bufs.len());
        let bufs = &bufs[first..];
        let n = self.write_with(|fd| self.writev_call(fd, bufs))?;
        accepted(n, bufs.iter().map(|b| b.len()).fold(0, usize::saturating_add))
    }

    /// [`Fd::write_all`] from several buffers.
    ///
    /// What `bufs` holds afterwards is unspecified, as with std's `write_all_vectored`: the count says how
    /// much was written.
    ///
    /// Go: internal/poll/writev.go FD.Writev
    #[doc(alias = "writev")]
    pub fn write_vectored_all(&self, mut bufs: &mut [IoSlice<'_>]) -> Result<usize, Partial> {
        let lock = self.lock(Mode::Write).map_err(|e| (0, e))?;
        self.prepare(Mode::Write).map_err(|e| (0, e))?;
        let mut parked = false;
        let mut done = 0;
        // Skips what is empty at the front.
        IoSlice::advance_slices(&mut bufs, 0);
        while !bufs.is_empty() {
            match self.writev_call(&self.sysfd, bufs) {
                Ok(0) => return Err((done, Error::UnexpectedEof)),
                Ok(n) => {
                    done += n;
                    IoSlice::advance_slices(&mut bufs, n);
                }
                Err(errno) => parked |= self.after_error(Mode::Write, errno).map_err(|e| (done, e))?,
            }
        }
        drop(lock);
        self.charge(parked, OPERATION);
        Ok(done)
    }

    /// Any call that writes, in the frame of [`Fd::write`]: lock, deadline, `EINTR` again, `EAGAIN` waits.
    ///
    /// Go: internal/poll/fd_unix.go FD.WriteTo, FD.WriteMsg
    pub fn write_with<T>(&self, mut call: impl FnMut(&SysFd) -> gopark_sys::Result<T>) -> Result<T, Error> {
        let lock = self.lock(Mode::Write)?;
        self.prepare(Mode::Write)?;
        let mut parked = false;
        let value = loop {
            match call(&self.sysfd) {
                Ok(value) => break value,
                Err(errno) => parked |= self.after_error(Mode::Write, errno)?,
            }
        };
        drop(lock);
        self.charge(parked, OPERATION);
        Ok(value)
    }

    /// Calls `call` until it has written `len` bytes altogether, or says 0; with the write lock held throughout. It is
    /// told how much is left. Returns how much it was.
    ///
    /// Also for a `len` of 0 the lock is taken and the deadline looked at, but nothing is called.
    pub(super) fn write_pieces(
        &self,
        len: usize,
        mut call: impl FnMut(&SysFd, usize) -> gopark_sys::Result<usize>,
    ) -> Result<usize, Partial> {
        let lock = self.lock(Mode::Write).map_err(|e| (0, e))?;
        self.prepare(Mode::Write).map_err(|e| (0, e))?;
        let mut parked = false;
        let mut done = 0;
        while done < len {
            match call(&self.sysfd, len - done) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(errno) => parked |= self.after_error(Mode::Write, errno).map_err(|e| (done, e))?,
            }
        }
        drop(lock);
        self.charge(parked, OPERATION);
        Ok(done)
    }

    /// [`Fd::write_with`] that does not wait; see [`Fd::try_write`].
    pub fn try_write_with<T>(
        &self,
        mut call: impl FnMut(&SysFd) -> gopark_sys::Result<T>,
    ) -> Result<T, Error> {
        let _lock = self.try_lock(Mode::Write)?;
        self.prepare(Mode::Write)?;
        loop {
            match call(&self.sysfd) {
                Ok(value) => return Ok(value),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Waits until a write would not wait.
    pub fn writable(&self) -> Result<(), Error> {
        self.write_with(|fd| if rw::poll_writable(fd)? { Ok(()) } else { Err(Errno::EAGAIN) })
    }

    /// Calls `f` until it returns true, and waits for an event in between, with the write lock held.
    ///
    /// Go: internal/poll/fd_unix.go FD.RawWrite
    pub fn raw_write(&self, mut f: impl FnMut(&SysFd) -> bool) -> Result<(), Error> {
        self.hint.disable();
        self.write_with(|fd| if f(fd) { Ok(()) } else { Err(Errno::EAGAIN) })
    }

    /// One call. `send` for sockets, so that a peer that is gone is an error and not a SIGPIPE.
    #[inline]
    pub(super) fn write_call(&self, fd: &SysFd, piece: &[u8]) -> gopark_sys::Result<usize> {
        if self.kind.is_file { rw::write(fd, piece) } else { rw::send(fd, piece) }
    }

    /// One call with as many of `bufs` as one call takes. On a stream a buffer larger than that is cut, and
    /// goes alone or waits for the next call. `bufs` does not begin with an empty one.
    pub(super) fn writev_call(&self, fd: &SysFd, bufs: &[IoSlice<'_>]) -> gopark_sys::Result<usize> {
        let Some(first) = bufs.first() else { return Ok(0) };
        if self.kind.is_file || self.kind.stream && first.len() >= RW_MAX {
            // The vectored call is for sockets; files are written a buffer at a time, as in Go.
            return self.write_call(fd, &first[..self.cap(first.len())]);
        }
        let mut total: usize = 0;
        let fits = bufs
            .iter()
            .take(IOV_MAX)
            .take_while(|b| {
                total = total.saturating_add(b.len());
                !self.kind.stream || total <= RW_MAX
            })
            .count();
        rw::writev(fd, &bufs[..fits])
    }
}

/// What a read or write of `n` bytes costs: a small one less than most operations.
///
/// The system puts small pieces together for as long as they wait to be sent, and they wait only once the reader is a
/// buffer behind; after 64 of them it never is. With both ends on one P a byte at a time cost 2.7 times as much.
#[inline]
pub(super) fn cost(n: usize) -> u32 {
    OPERATION.min(1 + (n / 256) as u32)
}

/// Checks what a call says it took of `len` bytes.
///
/// # Panics
///
/// If it is more than it was given (golang/go#61060: a broken kernel module did).
#[inline]
pub(super) fn accepted(n: usize, len: usize) -> Result<usize, Error> {
    assert!(n <= len, "gopark: invalid return from write: got {n} from a write of {len}");
    if n == 0 && len > 0 { Err(Error::UnexpectedEof) } else { Ok(n) }
}
