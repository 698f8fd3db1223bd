//! The operations for futures: they do not wait but leave a waker. See `task.rs`.
//!
//! A future takes the lock of its direction by trying, and holds it during a poll only. A future that was polled once
//! and then forgotten would keep everybody else out for ever otherwise. If the lock is held, by a goroutine that is
//! parked in a read, say, the future is woken when it is given back.

use std::future::Future;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use gopark_sys::sysfd::SysFd;
use gopark_sys::{Errno, rw, sock};

use super::read::read_call;
use super::write::accepted;
use super::{Fd, Lock};
use crate::Error;
use crate::fd_mutex::TryLockError;
use crate::poll_info::Mode;
use crate::runtime::runtime;
use crate::task::{self, NOBODY, Ticket};

/// A future that is polled: its waker, and what tells it from others that have the same one.
struct Poller<'a, 'b> {
    cx: &'a mut Context<'b>,
    ticket: Option<&'a mut Ticket>,
}

/// What a call that finds nothing says of the descriptor.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Nothing {
    /// That its queue is empty, so that the next poll need not call again before an event has come (`fd/hint.rs`).
    IsEmpty,
    /// That this call found nothing.
    IsUnknown,
}

impl Fd {
    /// [`Fd::read`] for a future. Honours the deadline, and a close, as that does.
    ///
    /// When it is pending, `cx`'s waker will be woken; of several wakers that of the last call counts, and one that
    /// is replaced is forgotten (that of a [`Ready`] is woken). Never parks and never yields; instead, now and then, it
    /// is pending and wakes its caller at once, so that others may run. Allocates nothing but, for the first descriptor
    /// near it, a table.
    ///
    /// # Errors
    ///
    /// Those of [`Fd::read`]; `EAGAIN` if the descriptor is not registered.
    pub fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<usize, Error>> {
        let len = self.cap(buf.len());
        let is_file = self.kind.is_file;
        let mut poller = Poller { cx, ticket: None };
        let _lock = ready!(self.poll_lock(Mode::Read, &mut poller))?;
        if len == 0 {
            return Poll::Ready(Ok(0));
        }
        let call = |fd: &SysFd| read_call(is_file, fd, &mut buf[..len]);
        let n = ready!(self.poll_call(Mode::Read, Nothing::IsEmpty, &mut poller, call))?;
        self.note_read(n, len);
        Poll::Ready(Ok(n))
    }

    /// Any call that reads, in the frame of [`Fd::poll_read`]. See [`Fd::read_with`].
    pub fn poll_read_with<T>(
        &self,
        cx: &mut Context<'_>,
        call: impl FnMut(&SysFd) -> gopark_sys::Result<T>,
    ) -> Poll<Result<T, Error>> {
        let mut poller = Poller { cx, ticket: None };
        let _lock = ready!(self.poll_lock(Mode::Read, &mut poller))?;
        self.hint.clear();
        self.poll_call(Mode::Read, Nothing::IsUnknown, &mut poller, call)
    }

    /// [`Fd::readable`] for a future. See [`Fd::poll_read`].
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_ready(Mode::Read, Poller { cx, ticket: None })
    }

    /// [`Fd::write`] for a future. See [`Fd::poll_read`].
    pub fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize, Error>> {
        let piece = &buf[..self.cap(buf.len())];
        let n = ready!(self.poll_write_with(cx, |fd| self.write_call(fd, piece)))?;
        Poll::Ready(accepted(n, piece.len()))
    }

    /// [`Fd::write_vectored`] for a future. See [`Fd::poll_read`].
    pub fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<Result<usize, Error>> {
        let first = bufs.iter().position(|b| !b.is_empty()).unwrap_or(bufs.len());
        let bufs = &bufs[first..];
        let n = ready!(self.poll_write_with(cx, |fd| self.writev_call(fd, bufs)))?;
        Poll::Ready(accepted(n, bufs.iter().map(|b| b.len()).fold(0, usize::saturating_add)))
    }

    /// Any call that writes, in the frame of [`Fd::poll_write`]. See [`Fd::write_with`].
    pub fn poll_write_with<T>(
        &self,
        cx: &mut Context<'_>,
        call: impl FnMut(&SysFd) -> gopark_sys::Result<T>,
    ) -> Poll<Result<T, Error>> {
        let mut poller = Poller { cx, ticket: None };
        let _lock = ready!(self.poll_lock(Mode::Write, &mut poller))?;
        self.poll_call(Mode::Write, Nothing::IsUnknown, &mut poller, call)
    }

    /// [`Fd::writable`] for a future. See [`Fd::poll_read`].
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_ready(Mode::Write, Poller { cx, ticket: None })
    }

    /// [`Fd::accept`] for a future. See [`Fd::poll_read`].
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<(OwnedFd, SocketAddr), Error>> {
        self.poll_read_with(cx, |fd| match sock::accept4(fd) {
            // As EINTR: at once, again.
            Err(Errno::ECONNABORTED) => Err(Errno::EINTR),
            result => result,
        })
    }

    /// [`Fd::readable`] or [`Fd::writable`] as a future, whose waker goes with it when it is dropped. If another task
    /// takes its place it is woken, and comes back.
    pub fn ready(&self, mode: Mode) -> Ready<'_> {
        Ready { fd: self, mode, ticket: NOBODY }
    }

    fn poll_ready(&self, mode: Mode, mut poller: Poller<'_, '_>) -> Poll<Result<(), Error>> {
        let _lock = ready!(self.poll_lock(mode, &mut poller))?;
        let (nothing, look): (_, fn(&SysFd) -> gopark_sys::Result<bool>) = match mode {
            Mode::Read => (Nothing::IsEmpty, rw::poll_readable),
            Mode::Write => (Nothing::IsUnknown, rw::poll_writable),
        };
        let call = |fd: &SysFd| if look(fd)? { Ok(()) } else { Err(Errno::EAGAIN) };
        ready!(self.poll_call(mode, nothing, &mut poller, call))?;
        if mode == Mode::Read {
            // The mark may be taken, the data is not.
            self.hint.clear();
        }
        Poll::Ready(Ok(()))
    }

    /// Takes the lock, or leaves the waker for when it is given back.
    fn poll_lock(&self, mode: Mode, poller: &mut Poller<'_, '_>) -> Poll<Result<Lock<'_>, Error>> {
        if self.pd.is_some() && runtime().charge_task() {
            poller.cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.mu.try_rwlock(mode) {
            Ok(()) => Poll::Ready(Ok(Lock::new(self, mode))),
            Err(TryLockError::Closed) => Poll::Ready(Err(self.closing())),
            Err(TryLockError::Held) => self.poll_lock_held(mode, poller),
        }
    }

    #[cold]
    #[inline(never)]
    fn poll_lock_held(&self, mode: Mode, poller: &mut Poller<'_, '_>) -> Poll<Result<Lock<'_>, Error>> {
        let Some(p) = self.pd else { return Poll::Ready(Err(Errno::EAGAIN.into())) };
        // We have no reference: if the descriptor is closed meanwhile the side slot may be the next one's. He is
        // woken for nothing then, as is everybody whose waker is replaced.
        let side = task::ensure_side(p.pd.index());
        let is_new = side.set_waker(mode, poller.cx.waker(), poller.ticket.as_deref_mut());
        match self.mu.rwlock_or_tell(mode) {
            Ok(()) => Poll::Ready(Ok(Lock::new(self, mode))),
            Err(TryLockError::Held) => {
                runtime().refund_task();
                Poll::Pending
            }
            Err(TryLockError::Closed) => {
                if is_new {
                    side.forget(mode, poller.cx.waker());
                }
                Poll::Ready(Err(self.closing()))
            }
        }
    }

    /// Calls until it gives something, or leaves the waker. With the lock held.
    fn poll_call<T>(
        &self,
        mode: Mode,
        nothing: Nothing,
        poller: &mut Poller<'_, '_>,
        mut call: impl FnMut(&SysFd) -> gopark_sys::Result<T>,
    ) -> Poll<Result<T, Error>> {
        let empty = nothing == Nothing::IsEmpty;
        // A future is polled for many reasons. Where nothing has come since a call found nothing there is no call.
        let mut wait = empty && self.pd.is_some_and(|p| self.hint.may_wait(p.pd));
        if let Some(p) = self.pd
            && !wait
        {
            p.pd.prepare(mode).map_err(|r| self.refused(r))?;
        }
        loop {
            if !wait {
                match call(&self.sysfd) {
                    Ok(value) => return Poll::Ready(Ok(value)),
                    Err(Errno::EINTR) => continue,
                    Err(Errno::EAGAIN) if empty => self.hint.drained(),
                    Err(Errno::EAGAIN) => {}
                    Err(errno) => return Poll::Ready(Err(errno.into())),
                }
            }
            let Some(p) = self.pd else { return Poll::Ready(Err(Errno::EAGAIN.into())) };
            self.arm(mode, p)?;
            let waited = p.pd.poll_wait(mode, poller.cx.waker(), poller.ticket.as_deref_mut());
            if waited.map_err(|r| self.refused(r))?.is_pending() {
                runtime().refund_task();
                return Poll::Pending;
            }
            wait = false;
        }
    }

    /// A lock was given back, and tasks had found it held.
    #[cold]
    #[inline(never)]
    pub(super) fn tell_tasks(&self) {
        if let Some(side) = self.pd.and_then(|p| p.pd.side()) {
            side.wake();
        }
    }
}

/// Waits until a descriptor is ready in one direction. See [`Fd::ready`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is polled"]
pub struct Ready<'a> {
    fd: &'a Fd,
    mode: Mode,
    ticket: Ticket,
}

impl Future for Ready<'_> {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let (fd, mode) = (self.fd, self.mode);
        fd.poll_ready(mode, Poller { cx, ticket: Some(&mut self.ticket) })
    }
}

impl Drop for Ready<'_> {
    fn drop(&mut self) {
        if self.ticket != NOBODY
            && let Some(side) = self.fd.pd.and_then(|p| p.pd.side())
        {
            side.cancel(self.mode, self.ticket);
        }
    }
}
