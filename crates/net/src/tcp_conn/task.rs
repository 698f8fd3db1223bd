//! A connection for those who wait without standing still: futures, and callbacks.

use std::io::{self, IoSlice};
use std::panic::Location;
use std::sync::Arc;
use std::task::{Context, Poll};

use gopark_poll::{Fd, Mode};

use super::TcpConn;

/// # Futures
///
/// The `poll_` methods are what an adapter for `futures_io`, hyper or tokio's traits needs. They never park, so they
/// may be called from any executor on any thread, [`block_on`](crate::block_on) being ours.
///
/// * If one is pending, the waker it was given is woken when it is worth trying again: on an event, a close, a
///   deadline. For each direction the waker of the last call counts; one that is replaced is forgotten, as with
///   tokio. So let one task read and one task write. [`TcpConn::readable_async`] and [`TcpConn::writable_async`] know
///   each other apart: several may wait in one direction, and wake each other in turn.
/// * A task does not keep out the goroutines that use the connection in the usual way. It waits for one that is
///   parked in a read, and a goroutine that wants to read goes before a task that waits.
/// * Deadlines count. The timeouts of std ([`TcpConn::set_read_timeout`]) count for a call and not for a future,
///   which is many; see [`future::timeout`](crate::future::timeout).
/// * After a while of never being pending they are pending once, and wake their caller at once, so that others may run.
impl TcpConn {
    /// [`TcpConn::read`] for a future.
    ///
    /// # Errors
    ///
    /// As [`TcpConn::read`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::future::poll_fn;
    /// use gopark_net::block_on;
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// let mut buf = [0; 512];
    /// let n = block_on(poll_fn(|cx| conn.poll_read(cx, &mut buf)))?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.begin_poll_read()?;
        self.fd.pfd.poll_read(cx, buf).map_err(|e| self.fd.wrap("read", "read", e))
    }

    /// [`TcpConn::write`] for a future.
    ///
    /// # Errors
    ///
    /// As [`TcpConn::write`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::future::poll_fn;
    /// use gopark_net::block_on;
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// let n = block_on(poll_fn(|cx| conn.poll_write(cx, b"hello")))?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.begin_poll_write()?;
        self.fd.pfd.poll_write(cx, buf).map_err(|e| self.fd.wrap("write", "write", e))
    }

    /// [`TcpConn::write_vectored`] for a future.
    ///
    /// # Errors
    ///
    /// As [`TcpConn::write`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::future::poll_fn;
    /// use std::io::IoSlice;
    /// use gopark_net::block_on;
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// let bufs = [IoSlice::new(b"hello, "), IoSlice::new(b"world")];
    /// let n = block_on(poll_fn(|cx| conn.poll_write_vectored(cx, &bufs)))?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn poll_write_vectored(&self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.begin_poll_write()?;
        self.fd.pfd.poll_write_vectored(cx, bufs).map_err(|e| self.fd.wrap("write", "writev", e))
    }

    /// [`TcpConn::readable`] for a future. See also [`TcpConn::readable_async`].
    ///
    /// # Errors
    ///
    /// As [`TcpConn::readable`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::future::poll_fn;
    /// use gopark_net::block_on;
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// block_on(poll_fn(|cx| conn.poll_readable(cx)))?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.begin_poll_read()?;
        self.fd.pfd.poll_read_ready(cx).map_err(|e| self.fd.wrap("read", "poll", e))
    }

    /// [`TcpConn::writable`] for a future. See also [`TcpConn::writable_async`].
    ///
    /// # Errors
    ///
    /// As [`TcpConn::writable`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::future::poll_fn;
    /// use gopark_net::block_on;
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// block_on(poll_fn(|cx| conn.poll_writable(cx)))?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.begin_poll_write()?;
        self.fd.pfd.poll_write_ready(cx).map_err(|e| self.fd.wrap("write", "poll", e))
    }

    /// [`TcpConn::readable`] as a future. Dropping it ends the wait and leaves nothing behind.
    ///
    /// # Errors
    ///
    /// As [`TcpConn::readable`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::block_on;
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// let mut buf = [0; 512];
    /// let n = block_on(async {
    ///     loop {
    ///         conn.readable_async().await?;
    ///         match conn.try_read(&mut buf) {
    ///             Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => continue,
    ///             result => return result,
    ///         }
    ///     }
    /// })?;
    /// # std::io::Result::Ok(())
    /// ```
    pub async fn readable_async(&self) -> io::Result<()> {
        self.begin_poll_read()?;
        self.fd.pfd.ready(Mode::Read).await.map_err(|e| self.fd.wrap("read", "poll", e))
    }

    /// [`TcpConn::writable`] as a future. Dropping it ends the wait and leaves nothing behind.
    ///
    /// # Errors
    ///
    /// As [`TcpConn::writable`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::block_on;
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// block_on(conn.writable_async())?;
    /// # std::io::Result::Ok(())
    /// ```
    pub async fn writable_async(&self) -> io::Result<()> {
        self.begin_poll_write()?;
        self.fd.pfd.ready(Mode::Write).await.map_err(|e| self.fd.wrap("write", "poll", e))
    }

    /// Starts a goroutine that runs `f` when a read would not wait: there is data, or the end, or an error.
    ///
    /// Until then the connection costs neither a goroutine nor a stack: what waits is `f`, in a box. `f` gets the
    /// connection back, and the error if the connection was closed or the read deadline has passed. For a server with
    /// many idle connections: `f` reads what there is, answers, and calls `on_readable` again.
    ///
    /// While it waits it counts as a reader: others that want to read queue behind it, and `close` calls `f`. May
    /// block, if somebody else is reading: see the contract of [`Runtime::start`](crate::Runtime::start). Never runs
    /// `f` itself. If there is no stack for the goroutine, it is tried again until there is one.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::io;
    /// use std::sync::Arc;
    /// use gopark_net::{TcpConn, TcpListener};
    ///
    /// fn serve(conn: Arc<TcpConn>, ready: io::Result<()>) {
    ///     let mut buf = [0; 4096];
    ///     match ready.and_then(|()| conn.read(&mut buf)) {
    ///         Ok(n) if n > 0 && conn.write_all(&buf[..n]).is_ok() => conn.on_readable(serve),
    ///         _ => {} // dropped, and closed with that
    ///     }
    /// }
    ///
    /// let ln = TcpListener::bind("127.0.0.1:0")?;
    /// for conn in ln.incoming() {
    ///     Arc::new(conn?).on_readable(serve);
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: what is asked for in golang/go#15735
    #[track_caller]
    pub fn on_readable<F>(self: Arc<Self>, f: F)
    where
        F: FnOnce(Arc<TcpConn>, io::Result<()>) + Send + 'static,
    {
        fn fd(conn: &Arc<TcpConn>) -> &Fd {
            &conn.fd.pfd
        }
        // An error says that the connection is closed, and so will the descriptor.
        let _ = self.begin_poll_read();
        Fd::on_readable(self, fd, Location::caller(), move |conn, result| {
            let result = result.map_err(|e| conn.fd.wrap("read", "poll", e));
            f(conn, result);
        });
    }
}
