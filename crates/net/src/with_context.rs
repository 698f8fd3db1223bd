//! Connections and listeners whose calls end when a context does. Go has no such thing (golang/go#20280).

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::ops::Deref;

use gopark_poll::{Fd, Mode};
use gopark_sched::context::{Attached, Context, Error};

use crate::fd::NetFd;
use crate::{TcpConn, TcpListener};

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
    attached: Attached,
}

impl<'a, T> WithContext<'a, T> {
    fn new(
        inner: &'a T,
        ctx: &Context,
        fd: &NetFd,
        modes: &'static [Mode],
    ) -> io::Result<WithContext<'a, T>> {
        let canceler = Fd::canceler(&fd.pfd).map_err(|e| fd.local_error(e))?;
        Ok(WithContext { inner, attached: ctx.attach(canceler, modes) })
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
        self.attached.detach()
    }
}

impl<T> Deref for WithContext<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.inner
    }
}

/// By `&self` also where std's traits, which want `&mut`, are in scope.
impl WithContext<'_, TcpConn> {
    /// [`TcpConn::read`].
    ///
    /// # Errors
    ///
    /// As [`TcpConn::read`]; the context is done.
    ///
    /// # Examples
    ///
    /// See [`WithContext`].
    pub fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buf)
    }

    /// [`TcpConn::write`].
    ///
    /// # Errors
    ///
    /// As [`TcpConn::write`]; the context is done.
    ///
    /// # Examples
    ///
    /// See [`WithContext`].
    pub fn write(&self, buf: &[u8]) -> io::Result<usize> {
        self.inner.write(buf)
    }

    /// [`TcpConn::write_all`].
    ///
    /// # Errors
    ///
    /// As [`TcpConn::write_all`]; the context is done.
    ///
    /// # Examples
    ///
    /// See [`WithContext`].
    pub fn write_all(&self, buf: &[u8]) -> io::Result<()> {
        self.inner.write_all(buf)
    }
}

impl TcpConn {
    /// The connection under `ctx`: once that is done, reads and writes fail, those in progress too, and even if they
    /// would not have to wait, until what this returns is dropped. The connection stays open and, after that, works
    /// again.
    ///
    /// It is attached once, not for each call: a read under a context costs what a read costs. There is no goroutine
    /// for it and no timer but the context's own. As with a deadline, it is the connection that it concerns and not
    /// who calls: with several contexts attached every call obeys all of them. Deadlines that were set are kept.
    ///
    /// # Errors
    ///
    /// The connection is closed. What calls then fail with is [`Cause::Canceled`](crate::Cause::Canceled), "operation
    /// was canceled", if `ctx` was canceled; `TimedOut` if its deadline passed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{TcpConn, context::Context};
    ///
    /// fn ask(ctx: &Context, conn: &TcpConn) -> std::io::Result<usize> {
    ///     let conn = conn.with_context(ctx)?;
    ///     conn.write_all(b"question")?;
    ///     conn.read(&mut [0; 512])
    /// }
    /// # let _ = ask;
    /// ```
    pub fn with_context(&self, ctx: &Context) -> io::Result<WithContext<'_, TcpConn>> {
        WithContext::new(self, ctx, self.net_fd(), &[Mode::Read, Mode::Write])
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
        WithContext::new(self, ctx, self.net_fd(), &[Mode::Read])
    }
}

impl Read for WithContext<'_, TcpConn> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.inner.read_vectored(bufs)
    }
}

impl Write for WithContext<'_, TcpConn> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.inner.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.inner.write_vectored(bufs)
    }

    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.inner.write_all(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
