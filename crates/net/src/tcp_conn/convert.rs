//! From std, to std, and clones.

use std::io;

use gopark_poll::FdKind;

use super::TcpConn;
use crate::error::{Cause, OpError};
use crate::fd::NetFd;
use crate::ipsock::Network;

impl TcpConn {
    /// Takes over a connection of std, which becomes non-blocking. Its options are left alone.
    ///
    /// # Errors
    ///
    /// The runtime is not started; it is not connected; the system says so. Then `conn` is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = std::net::TcpStream::connect("127.0.0.1:7")?;
    /// let conn = gopark_net::TcpConn::from_std(conn)?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/file.go FileConn
    #[doc(alias = "FileConn")]
    pub fn from_std(conn: std::net::TcpStream) -> io::Result<TcpConn> {
        let failed = |cause| io::Error::from(OpError::new("file", "tcp", cause));
        conn.set_nonblocking(true).map_err(|e| failed(Cause::from_io("fcntl", e)))?;
        let raddr = conn.peer_addr().map_err(|e| failed(Cause::from_io("getpeername", e)))?;
        // Not the hint's kind: it may be MPTCP, or have kTLS or a low-water mark set.
        let fd =
            NetFd::register(conn.into(), FdKind::STREAM, Network::Tcp, Some(raddr.into())).map_err(failed)?;
        Ok(TcpConn::new(fd))
    }

    /// Hands the connection over to std, in blocking mode. Clones of it are blocking then too, since they
    /// share the mode: a read on one occupies a thread.
    ///
    /// # Errors
    ///
    /// The connection is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// let conn: std::net::TcpStream = conn.into_std()?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.File
    pub fn into_std(self) -> io::Result<std::net::TcpStream> {
        let closed = self.fd.op_error("file", Cause::Closed);
        let fd = self.fd.pfd.into_owned().ok_or(closed)?;
        let conn = std::net::TcpStream::from(fd);
        conn.set_nonblocking(false)?;
        Ok(conn)
    }

    /// Another handle for the same connection, as in std: what one reads the other does not see, and the
    /// connection ends when both are closed. Each has deadlines, timeouts and locks of its own, so writers on
    /// different handles can interleave. To share a connection between goroutines, an `Arc` is cheaper: no
    /// descriptor.
    ///
    /// # Errors
    ///
    /// The connection is closed, or no descriptor is free.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// let other = conn.try_clone()?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.File
    pub fn try_clone(&self) -> io::Result<TcpConn> {
        let fd = self.fd.pfd.dup().map_err(|e| self.fd.wrap("file", "fcntl", e))?;
        // Not the hint's kind: two descriptors that read from one socket take data from under each other, and
        // then a short read proves nothing. `dup` has ended it for this one.
        let fd = NetFd::register(fd, FdKind::STREAM, self.fd.network, self.fd.raddr)
            .map_err(|cause| self.fd.op_error("file", cause))?;
        let clone = TcpConn::new(fd);
        clone.read_timeout.set(self.read_timeout.get());
        clone.write_timeout.set(self.write_timeout.get());
        Ok(clone)
    }
}
