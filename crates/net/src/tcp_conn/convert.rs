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
}
