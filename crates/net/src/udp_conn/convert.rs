//! From std, and to std.

use std::io;
use std::os::fd::OwnedFd;

use gopark_poll::FdKind;
use socket2::{SockRef, Type};

use super::UdpConn;
use crate::error::{Cause, OpError};
use crate::fd::NetFd;
use crate::ipsock::Network;

impl UdpConn {
    /// Takes over a socket of std, connected or not, which becomes non-blocking. Its options are left alone.
    ///
    /// # Errors
    ///
    /// The runtime is not started; the system says so. Then `socket` is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    /// let conn = gopark_net::UdpConn::from_std(socket)?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/file.go FilePacketConn
    #[doc(alias = "FilePacketConn", alias = "FileConn")]
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<UdpConn> {
        let failed = |cause| io::Error::from(OpError::new("file", "udp", cause));
        socket.set_nonblocking(true).map_err(|e| failed(Cause::from_io("fcntl", e)))?;
        let raddr = socket.peer_addr().ok().map(Into::into);
        let fd = NetFd::register(socket.into(), FdKind::DATAGRAM, Network::Udp, raddr).map_err(failed)?;
        Ok(UdpConn::new(fd))
    }

    /// Hands the socket over to std, in blocking mode. Clones of it are blocking then too, since they share the mode: a
    /// call on one occupies a thread.
    ///
    /// # Errors
    ///
    /// It is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// let socket: std::net::UdpSocket = conn.into_std()?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.File
    pub fn into_std(self) -> io::Result<std::net::UdpSocket> {
        let closed = self.op_error("file", Cause::Closed);
        let fd = self.fd.pfd.into_owned().ok_or(closed)?;
        let socket = std::net::UdpSocket::from(fd);
        socket.set_nonblocking(false)?;
        Ok(socket)
    }
}

/// Takes over a socket for datagrams over IP. See [`UdpConn::from_std`].
impl TryFrom<OwnedFd> for UdpConn {
    type Error = io::Error;

    fn try_from(fd: OwnedFd) -> io::Result<UdpConn> {
        let failed = |cause| io::Error::from(OpError::new("file", "udp", cause));
        let kind = SockRef::from(&fd).r#type().map_err(|e| failed(Cause::from_io("getsockopt", e)))?;
        if kind != Type::DGRAM {
            let wrong = gopark_sys::Errno::EPROTOTYPE.into();
            return Err(failed(Cause::from_poll("getsockopt", wrong)));
        }
        UdpConn::from_std(fd.into())
    }
}
