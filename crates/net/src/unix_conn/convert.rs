//! From std, and to std.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};

use gopark_sys::Errno;
use socket2::SockRef;

use super::UnixConn;
use crate::error::{Cause, OpError, SyscallError};
use crate::fd::NetFd;
use crate::ipsock::Network;
use crate::unix_addr::UnixAddr;
use crate::unix_sock::{fd_kind, network_of};

/// The network of a Unix socket that somebody else has made, which becomes non-blocking.
pub(crate) fn adopt(fd: &OwnedFd) -> Result<Network, Cause> {
    let socket = SockRef::from(fd);
    let local = socket.local_addr().map_err(|e| Cause::from_io("getsockname", e))?;
    let kind = socket.r#type().map_err(|e| Cause::from_io("getsockopt", e))?;
    let network = network_of(kind).filter(|_| local.is_unix());
    let network = network.ok_or(SyscallError::from_errno("getsockname", Errno::EAFNOSUPPORT))?;
    socket.set_nonblocking(true).map_err(|e| Cause::from_io("fcntl", e))?;
    Ok(network)
}

impl UnixConn {
    /// Takes over a Unix socket: std's `UnixStream` or `UnixDatagram`, or an `OwnedFd` of whichever kind, which becomes
    /// non-blocking. Its options are left alone.
    ///
    /// # Errors
    ///
    /// The runtime is not started; it is no Unix socket; it is a stream without a peer; the system says so. Then it is
    /// closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::os::unix::net::UnixStream;
    ///
    /// let conn = gopark_net::UnixConn::from_std(UnixStream::connect("/run/app.sock")?)?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/file.go FileConn
    #[doc(alias = "FileConn", alias = "FilePacketConn")]
    pub fn from_std<S: Into<OwnedFd>>(socket: S) -> io::Result<UnixConn> {
        let fd = socket.into();
        let failed = |cause| io::Error::from(OpError::new("file", "unix", cause));
        let network = adopt(&fd).map_err(failed)?;
        let raddr = match SockRef::from(&fd).peer_addr() {
            Ok(addr) => Some(UnixAddr::from_sockaddr(network, &addr)),
            Err(_) if network == Network::Unixgram => None,
            Err(e) => return Err(failed(Cause::from_io("getpeername", e))),
        };
        NetFd::register_unix(fd, fd_kind(network), network, raddr).map(UnixConn::new).map_err(failed)
    }

    /// Hands a stream over to std, in blocking mode. Clones of it are blocking then too, since they share the mode: a
    /// read on one occupies a thread.
    ///
    /// # Errors
    ///
    /// It is closed, or no stream (`EPROTOTYPE`; then it is closed).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::os::unix::net::UnixStream;
    ///
    /// let conn = gopark_net::UnixConn::connect("/run/app.sock")?;
    /// let stream: UnixStream = conn.into_std()?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.File
    pub fn into_std(self) -> io::Result<UnixStream> {
        let stream = UnixStream::from(self.into_blocking(Network::Unix)?);
        stream.set_nonblocking(false)?;
        Ok(stream)
    }

    /// [`UnixConn::into_std`] for a socket for datagrams.
    ///
    /// # Errors
    ///
    /// As [`UnixConn::into_std`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let socket = gopark_net::UnixConn::bind("/run/app.sock")?.into_std_datagram()?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn into_std_datagram(self) -> io::Result<UnixDatagram> {
        let socket = UnixDatagram::from(self.into_blocking(Network::Unixgram)?);
        socket.set_nonblocking(false)?;
        Ok(socket)
    }

    fn into_blocking(self, wanted: Network) -> io::Result<OwnedFd> {
        if self.fd.network != wanted {
            let wrong = SyscallError::from_errno("getsockopt", Errno::EPROTOTYPE);
            return Err(self.op_error("file", wrong.into()).into());
        }
        let closed = self.op_error("file", Cause::Closed);
        Ok(self.fd.pfd.into_owned().ok_or(closed)?)
    }
}

/// See [`UnixConn::from_std`].
impl TryFrom<OwnedFd> for UnixConn {
    type Error = io::Error;

    fn try_from(fd: OwnedFd) -> io::Result<UnixConn> {
        UnixConn::from_std(fd)
    }
}

/// See [`UnixConn::from_std`].
impl TryFrom<UnixStream> for UnixConn {
    type Error = io::Error;

    fn try_from(stream: UnixStream) -> io::Result<UnixConn> {
        UnixConn::from_std(stream)
    }
}

/// See [`UnixConn::from_std`].
impl TryFrom<UnixDatagram> for UnixConn {
    type Error = io::Error;

    fn try_from(socket: UnixDatagram) -> io::Result<UnixConn> {
        UnixConn::from_std(socket)
    }
}

/// See [`UnixConn::into_std`].
impl TryFrom<UnixConn> for UnixStream {
    type Error = io::Error;

    fn try_from(conn: UnixConn) -> io::Result<UnixStream> {
        conn.into_std()
    }
}

/// See [`UnixConn::into_std_datagram`].
impl TryFrom<UnixConn> for UnixDatagram {
    type Error = io::Error;

    fn try_from(conn: UnixConn) -> io::Result<UnixDatagram> {
        conn.into_std_datagram()
    }
}
