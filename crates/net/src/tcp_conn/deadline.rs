//! Deadlines, as Go has them, and timeouts, as std has them.

use std::io;
use std::time::{Duration, Instant};

use super::TcpConn;
use crate::timeout::check_timeout;

impl TcpConn {
    /// The time after which reads and writes fail with `TimedOut`: those in progress too, and even if they
    /// would not have to wait. `None`: never. It stays until it is set again; a later one, or none, makes the
    /// connection work again.
    ///
    /// Moving it later (an idle timeout) costs no more than an uncontended lock. Ends the timeouts set by
    /// [`TcpConn::set_read_timeout`] and [`TcpConn::set_write_timeout`].
    ///
    /// # Errors
    ///
    /// The connection is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::{Duration, Instant};
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// conn.set_deadline(Some(Instant::now() + Duration::from_secs(10)))?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.SetDeadline
    pub fn set_deadline(&self, t: Option<Instant>) -> io::Result<()> {
        self.read_timeout.set(None);
        self.write_timeout.set(None);
        self.fd.pfd.set_deadline(t).map_err(|e| self.fd.local_error(e))
    }

    /// As [`TcpConn::set_deadline`], for reads only.
    ///
    /// # Errors
    ///
    /// The connection is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::{Duration, Instant};
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// conn.set_read_deadline(Some(Instant::now() + Duration::from_secs(10)))?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.SetReadDeadline
    pub fn set_read_deadline(&self, t: Option<Instant>) -> io::Result<()> {
        self.read_timeout.set(None);
        self.fd.pfd.set_read_deadline(t).map_err(|e| self.fd.local_error(e))
    }

    /// As [`TcpConn::set_deadline`], for writes only.
    ///
    /// # Errors
    ///
    /// The connection is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::{Duration, Instant};
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// conn.set_write_deadline(Some(Instant::now() + Duration::from_secs(10)))?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.SetWriteDeadline
    pub fn set_write_deadline(&self, t: Option<Instant>) -> io::Result<()> {
        self.write_timeout.set(None);
        self.fd.pfd.set_write_deadline(t).map_err(|e| self.fd.local_error(e))
    }

    /// How long each read may wait, from its beginning. `None`: for ever. Replaces the read deadline.
    ///
    /// Two reads at a time share one limit, that of the later one.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `timeout` is zero; the connection is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// conn.set_read_timeout(Some(Duration::from_secs(10)))?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        check_timeout(timeout)?;
        self.set_read_deadline(None)?;
        self.read_timeout.set(timeout);
        Ok(())
    }

    /// How long each write may wait, from its beginning; [`TcpConn::write_all`] counts as one. `None`: for
    /// ever. Replaces the write deadline.
    ///
    /// # Errors
    ///
    /// As [`TcpConn::set_read_timeout`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// conn.set_write_timeout(Some(Duration::from_secs(10)))?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        check_timeout(timeout)?;
        self.set_write_deadline(None)?;
        self.write_timeout.set(timeout);
        Ok(())
    }

    /// The timeout set by [`TcpConn::set_read_timeout`].
    ///
    /// # Errors
    ///
    /// None; the result is std's.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// assert_eq!(conn.read_timeout()?, None);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.read_timeout.get())
    }

    /// The timeout set by [`TcpConn::set_write_timeout`].
    ///
    /// # Errors
    ///
    /// None; the result is std's.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// assert_eq!(conn.write_timeout()?, None);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.write_timeout.get())
    }

    /// Before each read.
    #[inline]
    pub(super) fn begin_read(&self) -> io::Result<()> {
        match self.read_timeout.deadline() {
            None => Ok(()),
            Some(deadline) => {
                self.fd.pfd.set_read_deadline(deadline).map_err(|e| self.fd.wrap("read", "read", e))
            }
        }
    }

    /// Before each poll of a future. A time limit for each call makes no sense there, and the time of the last call
    /// must not count.
    #[inline]
    pub(super) fn begin_poll_read(&self) -> io::Result<()> {
        if self.read_timeout.deadline().is_none() {
            return Ok(());
        }
        self.fd.pfd.set_read_deadline(None).map_err(|e| self.fd.wrap("read", "read", e))
    }

    /// As [`TcpConn::begin_poll_read`].
    #[inline]
    pub(super) fn begin_poll_write(&self) -> io::Result<()> {
        if self.write_timeout.deadline().is_none() {
            return Ok(());
        }
        self.fd.pfd.set_write_deadline(None).map_err(|e| self.fd.wrap("write", "write", e))
    }

    /// Before each write.
    #[inline]
    pub(super) fn begin_write(&self) -> io::Result<()> {
        match self.write_timeout.deadline() {
            None => Ok(()),
            Some(deadline) => {
                self.fd.pfd.set_write_deadline(deadline).map_err(|e| self.fd.wrap("write", "write", e))
            }
        }
    }
}
