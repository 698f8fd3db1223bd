//! A network descriptor: poll's, with the network and the addresses that its errors name. Go: `netFD`.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{OwnedFd, RawFd};

use gopark_poll::{Error, Fd, FdKind};
use gopark_sys::{SysFd, sock};
use socket2::SockRef;

use crate::Addr;
use crate::addr::TcpAddr;
use crate::error::{Cause, OpError};
use crate::ipsock::Network;

/// `A` is the kind of its addresses.
///
/// Go: net/fd_posix.go netFD
#[derive(Debug)]
#[doc(alias = "netFD")]
pub(crate) struct NetFd<A = TcpAddr> {
    pub(crate) pfd: Fd,
    /// The network that was asked for, not the family that it became: what errors name.
    pub(crate) network: Network,
    pub(crate) laddr: A,
    /// None for a listener, and for a socket that talks to anybody.
    pub(crate) raddr: Option<A>,
    /// Made for IPv6, so that an IPv4 address must be mapped; the addresses do not tell. Go: family
    pub(crate) is_ipv6: bool,
}

impl<A: From<SocketAddr>> NetFd<A> {
    /// Registers `fd`, which is non-blocking. Whatever fails, `fd` is closed.
    pub(crate) fn register(
        fd: OwnedFd,
        kind: FdKind,
        network: Network,
        raddr: Option<A>,
    ) -> Result<NetFd<A>, Cause> {
        let mut pfd = Fd::new(fd, kind);
        pfd.init().map_err(|e| Cause::from_poll("epoll_ctl", e))?;
        NetFd::named(pfd, network, raddr)
    }

    /// With the local address that the system chose.
    pub(crate) fn named(pfd: Fd, network: Network, raddr: Option<A>) -> Result<NetFd<A>, Cause> {
        let laddr = pfd.control(sock::local_addr).and_then(|addr| Ok(addr?));
        let laddr = laddr.map_err(|e| Cause::from_poll("getsockname", e))?;
        Ok(NetFd { pfd, network, is_ipv6: laddr.is_ipv6(), laddr: A::from(laddr), raddr })
    }
}

impl<A: Clone + Into<Addr>> NetFd<A> {
    /// Registers `fd`, another descriptor of the socket that `of` is. Whatever fails, `fd` is closed.
    pub(crate) fn register_twin(fd: OwnedFd, kind: FdKind, of: &NetFd<A>) -> Result<NetFd<A>, Cause> {
        let mut pfd = Fd::new(fd, kind);
        pfd.init().map_err(|e| Cause::from_poll("epoll_ctl", e))?;
        let (laddr, raddr) = (of.laddr.clone(), of.raddr.clone());
        Ok(NetFd { pfd, network: of.network, laddr, raddr, is_ipv6: of.is_ipv6 })
    }

    pub(crate) fn op_error(&self, op: &'static str, cause: Cause) -> OpError {
        let e = OpError::new(op, self.network.as_str(), cause);
        let laddr = Some(self.laddr.clone().into());
        match &self.raddr {
            Some(raddr) => e.with_source(laddr).with_addr(Some(raddr.clone().into())),
            // A listener is what failed; a socket for datagrams is where it happened.
            None if self.pfd.kind().stream => e.with_addr(laddr),
            None => e.with_source(laddr),
        }
    }

    /// An error of poll, as the caller of `op` sees it.
    #[cold]
    #[inline(never)]
    pub(crate) fn wrap(&self, op: &'static str, syscall: &'static str, e: Error) -> io::Error {
        self.op_error(op, Cause::from_poll(syscall, e)).into()
    }

    /// An error of a `try_` call: a bare `WouldBlock`, which allocates nothing, or as [`NetFd::wrap`].
    #[cold]
    #[inline(never)]
    pub(crate) fn wrap_try(&self, op: &'static str, syscall: &'static str, e: Error) -> io::Error {
        match e {
            Error::Errno(gopark_sys::Errno::EAGAIN) => io::ErrorKind::WouldBlock.into(),
            e => self.wrap(op, syscall, e),
        }
    }

    pub(crate) fn close(&self) -> io::Result<()> {
        self.pfd.close().map_err(|e| self.wrap("close", "close", e))
    }

    /// The number, or -1 once closed. Nobody knows what is done with it: from then on a short read proves nothing.
    pub(crate) fn raw(&self) -> RawFd {
        self.pfd.raw_control(SysFd::raw).unwrap_or(-1)
    }

    /// Sets or reads an option.
    pub(crate) fn option<T>(
        &self,
        syscall: &'static str,
        f: impl FnOnce(SockRef<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        match self.pfd.control(|fd| f(SockRef::from(&fd.as_fd()))) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(e)) => Err(self.op_error("set", Cause::from_io(syscall, e)).into()),
            Err(e) => Err(self.wrap("set", syscall, e)),
        }
    }

    /// A setter that concerns only our side: the error names no peer.
    ///
    /// Go: net/net.go conn.SetDeadline
    pub(crate) fn local_error(&self, e: Error) -> io::Error {
        let e = OpError::new("set", self.network.as_str(), Cause::from_poll("set", e));
        e.with_addr(Some(self.laddr.clone().into())).into()
    }
}
