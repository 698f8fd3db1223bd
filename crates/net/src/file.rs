//! Descriptors that somebody else has made. Go: `net/file.go`, `net/file_unix.go`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use gopark_sys::Errno;
use socket2::{Domain, SockRef, Type};

use crate::error::{Cause, OpError};
use crate::{Conn, IpConn, Listener, PacketConn, TcpConn, TcpListener, UdpConn, UnixConn, UnixListener};

/// A connection of a duplicate of `fd`, a socket of whatever kind; `fd` stays the caller's, to close when he likes.
/// Both become non-blocking, since duplicates share the mode.
///
/// To hand the descriptor over and not duplicate it: `TcpConn::try_from(fd)`.
///
/// # Errors
///
/// An [`OpError`] with op `file`: it is no socket, of a family that this package does not know, or not connected.
///
/// # Examples
///
/// ```no_run
/// let std_conn = std::net::TcpStream::connect("127.0.0.1:7")?;
/// let conn = gopark_net::file_conn(&std_conn)?;
/// drop(std_conn);
/// conn.write_all(b"hello")?;
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/file.go FileConn
#[doc(alias = "FileConn")]
pub fn file_conn(fd: impl AsFd) -> io::Result<Box<dyn Conn>> {
    let (fd, domain, kind) = socket_of(fd.as_fd())?;
    match (domain, kind) {
        (Domain::IPV4 | Domain::IPV6, Type::STREAM) => Ok(Box::new(TcpConn::try_from(fd)?)),
        (Domain::IPV4 | Domain::IPV6, Type::DGRAM) => Ok(Box::new(UdpConn::try_from(fd)?)),
        (Domain::IPV4 | Domain::IPV6, Type::RAW) => Ok(Box::new(IpConn::try_from(fd)?)),
        (Domain::UNIX, _) => Ok(Box::new(UnixConn::try_from(fd)?)),
        _ => Err(failed(unknown_kind())),
    }
}

/// As [`file_conn`], of a socket that listens.
///
/// # Errors
///
/// As [`file_conn`]; `EINVAL` if it does not listen.
///
/// # Examples
///
/// ```no_run
/// let ln = gopark_net::file_listener(std::net::TcpListener::bind("127.0.0.1:0")?)?;
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/file.go FileListener
#[doc(alias = "FileListener")]
pub fn file_listener(fd: impl AsFd) -> io::Result<Box<dyn Listener>> {
    let (fd, domain, kind) = socket_of(fd.as_fd())?;
    listener_of(fd, domain, kind)
}

/// A listener of a socket that is handed over.
pub(crate) fn owned_listener(fd: OwnedFd) -> io::Result<Box<dyn Listener>> {
    let (domain, kind) = kind_of(fd.as_fd())?;
    listener_of(fd, domain, kind)
}

/// SO_ACCEPTCONN. Where socket2 cannot ask, the first `accept` tells.
fn listens(fd: &OwnedFd) -> io::Result<bool> {
    #[cfg(target_os = "linux")]
    return SockRef::from(fd).is_listener();
    #[cfg(not(target_os = "linux"))]
    {
        let _ = fd;
        Ok(true)
    }
}

fn listener_of(fd: OwnedFd, domain: Domain, kind: Type) -> io::Result<Box<dyn Listener>> {
    if !listens(&fd).map_err(|e| failed(Cause::from_io("getsockopt", e)))? {
        return Err(failed(Cause::from_poll("getsockopt", Errno::EINVAL.into())));
    }
    match (domain, kind) {
        (Domain::IPV4 | Domain::IPV6, Type::STREAM) => Ok(Box::new(TcpListener::try_from(fd)?)),
        (Domain::UNIX, _) => Ok(Box::new(UnixListener::try_from(fd)?)),
        _ => Err(failed(unknown_kind())),
    }
}

/// As [`file_conn`], of a socket for datagrams that may talk to anybody.
///
/// # Errors
///
/// As [`file_conn`].
///
/// # Examples
///
/// ```no_run
/// let conn = gopark_net::file_packet_conn(std::net::UdpSocket::bind("127.0.0.1:0")?)?;
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/file.go FilePacketConn
#[doc(alias = "FilePacketConn")]
pub fn file_packet_conn(fd: impl AsFd) -> io::Result<Box<dyn PacketConn>> {
    let (fd, domain, kind) = socket_of(fd.as_fd())?;
    match (domain, kind) {
        (Domain::IPV4 | Domain::IPV6, Type::DGRAM) => Ok(Box::new(UdpConn::try_from(fd)?)),
        (Domain::IPV4 | Domain::IPV6, Type::RAW) => Ok(Box::new(IpConn::try_from(fd)?)),
        (Domain::UNIX, Type::DGRAM) => Ok(Box::new(UnixConn::try_from(fd)?)),
        _ => Err(failed(unknown_kind())),
    }
}

/// A duplicate, and what it is.
///
/// Go: net/file_unix.go newFileFD
#[doc(alias = "newFileFD")]
fn socket_of(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, Domain, Type)> {
    let (domain, kind) = kind_of(fd)?;
    let fd = fd.try_clone_to_owned().map_err(|e| failed(Cause::from_io("fcntl", e)))?;
    Ok((fd, domain, kind))
}

fn kind_of(fd: BorrowedFd<'_>) -> io::Result<(Domain, Type)> {
    let socket = SockRef::from(&fd);
    let kind = socket.r#type().map_err(|e| failed(Cause::from_io("getsockopt", e)))?;
    let local = socket.local_addr().map_err(|e| failed(Cause::from_io("getsockname", e)))?;
    Ok((local.domain(), kind))
}

fn unknown_kind() -> Cause {
    Cause::from_poll("socket", Errno::EPROTONOSUPPORT.into())
}

/// Go's `file+net`: which network it is may not be known yet.
fn failed(cause: Cause) -> io::Error {
    OpError::new("file", "file+net", cause).into()
}
