//! A connection for those who wait without standing still: futures, and callbacks.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};

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
}
