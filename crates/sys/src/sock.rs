//! Sockets: making, naming, connecting. Addresses are std's; socket2 translates them.

use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use socket2::{Domain, Protocol, SockAddr, SockRef, Type};

use crate::errno::{Errno, Result};
use crate::hook;
use crate::sysfd::SysFd;

pub(crate) fn errno<T>(result: std::io::Result<T>) -> Result<T> {
    result.map_err(|err| Errno::of(&err))
}

pub(crate) fn sock(fd: &SysFd) -> Result<BorrowedSock<'_>> {
    if fd.raw() < 0 { Err(Errno::EBADF) } else { Ok(BorrowedSock(fd.as_fd())) }
}

/// Lends a descriptor to socket2 for one call.
pub(crate) struct BorrowedSock<'a>(std::os::fd::BorrowedFd<'a>);

impl BorrowedSock<'_> {
    pub(crate) fn get(&self) -> SockRef<'_> {
        SockRef::from(&self.0)
    }
}

fn to_std(addr: &SockAddr) -> Result<SocketAddr> {
    addr.as_socket().ok_or(Errno::EAFNOSUPPORT)
}

/// A TCP socket of the family of `addr`, non-blocking and close-on-exec. socket(2).
///
/// # Errors
/// EMFILE, ENFILE at the descriptor limits; EAFNOSUPPORT without IPv6.
pub fn tcp_socket(addr: &SocketAddr) -> Result<OwnedFd> {
    socket(Domain::for_address(*addr), Type::STREAM, Some(Protocol::TCP))
}

/// A socket, non-blocking and close-on-exec. socket(2).
///
/// # Errors
/// EMFILE, ENFILE at the descriptor limits.
pub fn socket(domain: Domain, ty: Type, protocol: Option<Protocol>) -> Result<OwnedFd> {
    hook::socket(-1)?;
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    let ty = ty.nonblocking();
    let socket = errno(socket2::Socket::new(domain, ty, protocol))?; // close-on-exec by socket2
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
    errno(socket.set_nonblocking(true))?;
    Ok(socket.into())
}

/// Two sockets that are connected with each other, both non-blocking and close-on-exec. socketpair(2).
///
/// # Errors
/// EMFILE, ENFILE at the descriptor limits.
pub fn pair(domain: Domain, ty: Type) -> Result<(OwnedFd, OwnedFd)> {
    let (a, b) = errno(socket2::Socket::pair(domain, ty, None))?; // close-on-exec by socket2
    for socket in [&a, &b] {
        errno(socket.set_nonblocking(true))?;
    }
    Ok((a.into(), b.into()))
}

/// bind(2).
pub fn bind(fd: &SysFd, addr: &SocketAddr) -> Result<()> {
    bind_fd(sock(fd)?.0, &SockAddr::from(*addr))
}

/// [`bind`] for a descriptor that is in no cell yet, and an address of any family.
pub fn bind_fd(fd: BorrowedFd<'_>, addr: &SockAddr) -> Result<()> {
    hook::bind(fd.as_raw_fd())?;
    errno(SockRef::from(&fd).bind(addr))
}

/// listen(2).
pub fn listen(fd: &SysFd, backlog: i32) -> Result<()> {
    listen_fd(sock(fd)?.0, backlog)
}

/// [`listen`] for a descriptor that is in no cell yet.
pub fn listen_fd(fd: BorrowedFd<'_>, backlog: i32) -> Result<()> {
    hook::listen(fd.as_raw_fd())?;
    errno(SockRef::from(&fd).listen(backlog))
}

/// accept4(2): the connection, non-blocking and close-on-exec, and the peer's address.
///
/// # Errors
/// EAGAIN when none waits; ECONNABORTED when it is gone already; EMFILE, ENFILE at the descriptor limits.
pub fn accept4(fd: &SysFd) -> Result<(OwnedFd, SocketAddr)> {
    let (conn, addr) = accept4_any(fd)?;
    Ok((conn, to_std(&addr)?))
}

/// [`accept4`] for any family of addresses.
pub fn accept4_any(fd: &SysFd) -> Result<(OwnedFd, SockAddr)> {
    hook::accept(fd.raw())?;
    accept::accept(fd)
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
mod accept {
    #![allow(unsafe_code)]
    use super::*;
    use std::os::fd::FromRawFd;

    pub(super) fn accept(fd: &SysFd) -> Result<(OwnedFd, SockAddr)> {
        let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: storage and len are valid places; on success the kernel has written an address of that length.
        let accepted = unsafe {
            SockAddr::try_init(|storage, len| match libc::accept4(fd.raw(), storage.cast(), len, flags) {
                -1 => Err(std::io::Error::last_os_error()),
                // The number is fresh, and nobody else knows it.
                conn => Ok(OwnedFd::from_raw_fd(conn)),
            })
        };
        errno(accepted)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
mod accept {
    use super::*;

    pub(super) fn accept(fd: &SysFd) -> Result<(OwnedFd, SockAddr)> {
        let (conn, addr) = errno(sock(fd)?.get().accept())?; // close-on-exec by socket2
        errno(conn.set_nonblocking(true))?;
        Ok((conn.into(), addr))
    }
}

/// connect(2). EINPROGRESS means that writability will tell.
pub fn connect(fd: &SysFd, addr: &SocketAddr) -> Result<()> {
    connect_any(fd, &SockAddr::from(*addr))
}

/// [`connect`] for any family of addresses.
pub fn connect_any(fd: &SysFd, addr: &SockAddr) -> Result<()> {
    hook::connect(fd.raw())?;
    errno(sock(fd)?.get().connect(addr))
}

/// shutdown(2).
pub fn shutdown(fd: &SysFd, how: Shutdown) -> Result<()> {
    errno(sock(fd)?.get().shutdown(how))
}

/// getsockname(2).
pub fn local_addr(fd: &SysFd) -> Result<SocketAddr> {
    to_std(&local_addr_any(fd)?)
}

/// [`local_addr`] for any family of addresses.
pub fn local_addr_any(fd: &SysFd) -> Result<SockAddr> {
    hook::local_addr(fd.raw())?;
    errno(sock(fd)?.get().local_addr())
}

/// [`peer_addr`] for any family of addresses.
pub fn peer_addr_any(fd: &SysFd) -> Result<SockAddr> {
    hook::peer_addr(fd.raw())?;
    errno(sock(fd)?.get().peer_addr())
}

/// getpeername(2).
pub fn peer_addr(fd: &SysFd) -> Result<SocketAddr> {
    to_std(&peer_addr_any(fd)?)
}

/// The socket's pending error, SO_ERROR, which reading clears.
pub fn so_error(fd: &SysFd) -> Result<Option<Errno>> {
    hook::so_error(fd.raw())?;
    if let Err(errno) = hook::pending_error(fd.raw()) {
        return Ok(Some(errno));
    }
    Ok(errno(sock(fd)?.get().take_error())?.map(|err| Errno::of(&err)))
}

/// The longest queue of connections that wait to be accepted: the kernel's limit, read once.
///
/// /proc/sys/net/core/somaxconn, else SOMAXCONN; a value beyond 32 bits is clamped (kernels since 4.1).
/// Go: net/sock_linux.go maxListenerBacklog.
pub fn somaxconn() -> i32 {
    static MAX: OnceLock<i32> = OnceLock::new();
    *MAX.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap_or_default();
        match text.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()) {
            None | Some(0) => libc::SOMAXCONN,
            Some(n) => i32::try_from(n).unwrap_or(i32::MAX),
        }
    })
}
