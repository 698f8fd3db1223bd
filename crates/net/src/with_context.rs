//! Connections and listeners whose calls end when a context does: attached once, not for each call.
//!
//! A context that is done sets a bit of the descriptor, beside those of its deadlines, which every call compares
//! anyway. So there is no goroutine and no timer for a call, and the deadlines that were set stay as they are. Go has
//! no such thing: its users move a deadline into the past from `context.AfterFunc` (golang/go#20280), which loses the
//! one that was set, and leaves one behind if it comes too late.
//!
//! Two forms: [`ContextGuard`] alone, which needs no borrow and can be had of a `dyn Conn`, and [`WithContext`], the
//! connection and its guard in one.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::ops::Deref;

use gopark_poll::Mode;
use gopark_sched::context::{Attached, Context, Error};

#[cfg(doc)]
use crate::TcpConn;
use crate::fd::NetFd;
use crate::pipe::{Cancel, PipeGuard};
use crate::{Addr, Conn, TcpListener};

/// A context is attached to a connection or a listener for as long as this lives: see [`TcpConn::attach_context`].
///
/// Dropping it takes the context off: what it was attached to works again, unless another context that is done is
/// attached too. It may outlive that, and does nothing then.
#[must_use = "dropping it takes the context off at once"]
pub struct ContextGuard(Guard);

enum Guard {
    Descriptor(Attached),
    Pipe(PipeGuard),
}

impl ContextGuard {
    pub(crate) fn new<A: Clone + Into<Addr>>(
        fd: &NetFd<A>,
        ctx: &Context,
        modes: &'static [Mode],
    ) -> io::Result<ContextGuard> {
        let canceler = fd.pfd.canceler().map_err(|e| fd.local_error(e))?;
        Ok(ContextGuard(Guard::Descriptor(ctx.attach(canceler, modes))))
    }

    pub(crate) fn of_pipe(ctx: &Context, cancel: Cancel) -> ContextGuard {
        ContextGuard(Guard::Pipe(PipeGuard::new(ctx, cancel)))
    }

    /// Takes the context off, and says whether it was done before that.
    ///
    /// # Errors
    ///
    /// Why it was done. Calls may have failed for it; later ones will not.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use gopark_net::{TcpConn, context::Context};
    /// # let (conn, ctx) = (TcpConn::connect("127.0.0.1:7")?, Context::background());
    /// let guard = conn.attach_context(&ctx)?;
    /// conn.write_all(b"hello")?;
    /// guard.detach()?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn detach(self) -> Result<(), Error> {
        match self.0 {
            Guard::Descriptor(attached) => attached.detach(),
            Guard::Pipe(mut guard) => guard.take_off(),
        }
    }
}

impl fmt::Debug for ContextGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextGuard").finish_non_exhaustive()
    }
}

/// A connection or listener under a context: see [`TcpConn::with_context`] and [`TcpListener::with_context`]. Has all
/// of its methods.
///
/// # Examples
///
/// ```no_run
/// use gopark_net::{TcpConn, context::Context};
/// use std::time::Duration;
///
/// # let _rt = unsafe { gopark_net::Runtime::start()? };
/// let conn = TcpConn::connect("127.0.0.1:7")?;
/// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_secs(2));
/// let conn = conn.with_context(&ctx)?;
/// conn.write_all(b"hello")?; // both, in two seconds together
/// let n = conn.read(&mut [0; 5])?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
#[must_use = "the context is taken off when this is dropped"]
pub struct WithContext<'a, T> {
    inner: &'a T,
    guard: ContextGuard,
}

impl<'a, T> WithContext<'a, T> {
    pub(crate) fn new(inner: &'a T, guard: ContextGuard) -> WithContext<'a, T> {
        WithContext { inner, guard }
    }

    /// Takes the context off, and says whether it was done before that.
    ///
    /// # Errors
    ///
    /// Why it was done. Calls may have failed for it; later ones will not.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use gopark_net::{TcpConn, context::Context};
    /// # let (conn, ctx) = (TcpConn::connect("127.0.0.1:7")?, Context::background());
    /// let guarded = conn.with_context(&ctx)?;
    /// guarded.write_all(b"hello")?;
    /// guarded.detach()?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn detach(self) -> Result<(), Error> {
        self.guard.detach()
    }
}

impl<T> Deref for WithContext<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.inner
    }
}

/// By `&self` also where std's traits, which want `&mut`, are in scope.
impl<T: Conn> WithContext<'_, T> {
    /// [`Conn::read`].
    ///
    /// # Errors
    ///
    /// As [`Conn::read`]; the context is done.
    ///
    /// # Examples
    ///
    /// See [`WithContext`].
    pub fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buf)
    }

    /// [`Conn::write`].
    ///
    /// # Errors
    ///
    /// As [`Conn::write`]; the context is done.
    ///
    /// # Examples
    ///
    /// See [`WithContext`].
    pub fn write(&self, buf: &[u8]) -> io::Result<usize> {
        self.inner.write(buf)
    }

    /// [`Conn::write_all`].
    ///
    /// # Errors
    ///
    /// As [`Conn::write_all`]; the context is done.
    ///
    /// # Examples
    ///
    /// See [`WithContext`].
    pub fn write_all(&self, buf: &[u8]) -> io::Result<()> {
        self.inner.write_all(buf)
    }
}

impl TcpListener {
    /// The listener under `ctx`: once that is done, accepts fail, those in progress too, until what this returns is
    /// dropped. See [`TcpConn::with_context`]. Connections that were accepted are not concerned.
    ///
    /// # Errors
    ///
    /// As [`TcpConn::with_context`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{TcpListener, context::Context, go};
    ///
    /// fn serve(ctx: &Context, ln: &TcpListener) -> std::io::Result<()> {
    ///     let ln = ln.with_context(ctx)?;
    ///     loop {
    ///         let (conn, _) = ln.accept()?;
    ///         go(move || conn.write_all(b"hello\n"));
    ///     }
    /// }
    /// # let _ = serve;
    /// ```
    pub fn with_context(&self, ctx: &Context) -> io::Result<WithContext<'_, TcpListener>> {
        Ok(WithContext { inner: self, guard: self.attach_context(ctx)? })
    }

    /// As [`TcpListener::with_context`], without the borrow: see [`TcpConn::attach_context`].
    ///
    /// # Errors
    ///
    /// The listener is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{TcpListener, context::Context};
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// let ln = TcpListener::bind("127.0.0.1:8080")?;
    /// let _guard = ln.attach_context(&ctx)?;
    /// let (conn, peer) = ln.accept()?;
    /// # drop(cancel);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn attach_context(&self, ctx: &Context) -> io::Result<ContextGuard> {
        ContextGuard::new(self.net_fd(), ctx, &[Mode::Read])
    }
}

impl<T> Read for WithContext<'_, T>
where
    for<'a> &'a T: Read,
{
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        { self.inner }.read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        { self.inner }.read_vectored(bufs)
    }
}

impl<T> Write for WithContext<'_, T>
where
    for<'a> &'a T: Write,
{
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        { self.inner }.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        { self.inner }.write_vectored(bufs)
    }

    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        { self.inner }.write_all(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        { self.inner }.flush()
    }
}
