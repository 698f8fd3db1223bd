//! Making sockets: the calls between `socket` and the first byte, in Go's order and with Go's defaults.
//! Go: `net/sock_posix.go`, `net/sockopt_linux.go`.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use gopark_poll::{Fd, FdKind};
use gopark_sys::sock;
use socket2::{Protocol, SockAddr, SockRef, Socket, Type};

use crate::addr::TcpAddr;
use crate::error::{Cause, SyscallError};
use crate::fd::NetFd;
use crate::ipsock::{Family, Network, Use, favorite_addr_family, to_sockaddr};
use crate::{KeepAliveConfig, UdpAddr};

/// What a program may do to a socket before it is bound or connected. See `Dialer::control`.
pub(crate) type Control = Arc<dyn Fn(&str, &str, BorrowedFd<'_>) -> io::Result<()> + Send + Sync>;

/// The same, for one call.
pub(crate) type ControlRef<'a> = &'a dyn Fn(&str, &str, BorrowedFd<'_>) -> io::Result<()>;

/// Multipath TCP. Where the system has none of it, socket(2) says so and plain TCP takes its place.
#[cfg(target_os = "linux")]
pub(crate) const MPTCP: Protocol = Protocol::MPTCP;
/// A number that no system knows.
#[cfg(not(target_os = "linux"))]
pub(crate) const MPTCP: Protocol = Protocol::TCP;

/// A socket before it has anybody to talk to.
pub(crate) struct NewSocket {
    pub(crate) socket: Socket,
    pub(crate) family: Family,
}

/// Go: os.NewSyscallError around each call
fn check<T>(syscall: &'static str, result: io::Result<T>) -> Result<T, Cause> {
    result.map_err(|e| Cause::from_io(syscall, e))
}

impl NewSocket {
    /// A socket of the family that the addresses ask for, non-blocking and close-on-exec.
    ///
    /// Go: net/sock_posix.go socket, net/ipsock_posix.go internetSocket
    pub(crate) fn new(
        network: Network,
        laddr: Option<&TcpAddr>,
        raddr: Option<&TcpAddr>,
        mode: Use,
        protocol: Option<Protocol>,
    ) -> Result<NewSocket, Cause> {
        // Before anything is sent: without a poller the connection could not be used.
        if !gopark_poll::is_installed() {
            return Err(Cause::NotStarted);
        }
        let family = favorite_addr_family(network, laddr, raddr, mode);
        // By sys, since not every system has the two flags at birth.
        let kind = match network {
            _ if network.is_udp() => Type::DGRAM,
            _ if network.is_ip() => Type::RAW,
            _ => Type::STREAM,
        };
        let socket = gopark_sys::sock::socket(family.domain, kind, protocol);
        let socket = check("socket", socket.map(Socket::from).map_err(io::Error::from))?;
        if family.domain == socket2::Domain::IPV6 && kind != Type::RAW {
            // Set either way: the system's default is an administrator's choice. A failure shows when binding.
            let _ = socket.set_only_v6(family.only_v6);
        }
        if kind == Type::DGRAM || kind == Type::RAW && family.domain == socket2::Domain::IPV4 {
            check("setsockopt", socket.set_broadcast(true))?;
        }
        Ok(NewSocket { socket, family })
    }

    /// Runs the program's hook, if there is one. `addr` is the remote address to dial, or the local one to
    /// listen on.
    pub(crate) fn control(
        &self,
        control: Option<ControlRef<'_>>,
        network: Network,
        addr: &TcpAddr,
    ) -> Result<(), Cause> {
        let Some(control) = control else { return Ok(()) };
        control(network.control_name(self.family), &network.addr(*addr).to_string(), self.socket.as_fd())
            .map_err(|e| Cause::Other(Box::new(e)))
    }

    pub(crate) fn bind(&self, laddr: &TcpAddr) -> Result<(), Cause> {
        let addr = to_sockaddr(laddr, self.family)?;
        let bound = sock::bind_fd(self.socket.as_fd(), &SockAddr::from(addr));
        check("bind", bound.map_err(io::Error::from))
    }
}

/// What a listener is made with.
#[derive(Default)]
pub(crate) struct ListenOptions<'a> {
    pub(crate) control: Option<&'a Control>,
    pub(crate) backlog: Option<u32>,
    pub(crate) reuse_port: bool,
    pub(crate) multipath_tcp: bool,
    /// Of the connections that it accepts.
    pub(crate) keep_alive: Option<&'a KeepAliveConfig>,
}

/// A socket that listens on `laddr`, and whether what it accepts has its options by then.
///
/// On Linux a connection inherits the options of the socket that accepts it, so there they are set once, here, and not
/// by five calls for each connection as Go does. Not with Multipath TCP, whose sockets hand down other things.
///
/// Go: net/sock_posix.go netFD.listenStream
#[doc(alias = "listenStream")]
pub(crate) fn listen_stream(
    network: Network,
    laddr: &TcpAddr,
    options: &ListenOptions<'_>,
) -> Result<(NetFd, bool), Cause> {
    let protocol = options.multipath_tcp.then_some(MPTCP);
    let new = NewSocket::new(network, Some(laddr), None, Use::Listen, protocol)?;
    // A port whose old connections linger in TIME_WAIT can be listened on again.
    check("setsockopt", new.socket.set_reuse_address(true))?;
    if options.reuse_port {
        check("setsockopt", new.socket.set_reuse_port(true))?;
    }
    new.control(options.control.map(|control| &**control as ControlRef<'_>), network, laddr)?;
    new.bind(laddr)?;
    // As long a queue as the administrator allows, unless the program knows better.
    let backlog = options.backlog.map_or_else(sock::somaxconn, |n| i32::try_from(n).unwrap_or(i32::MAX));
    let hands_down = cfg!(target_os = "linux") && !options.multipath_tcp;
    let inherited = options.keep_alive.is_some_and(|keep_alive| {
        hands_down && try_conn_options(SockRef::from(&new.socket), keep_alive).is_ok()
    });
    check("listen", sock::listen_fd(new.socket.as_fd(), backlog).map_err(io::Error::from))?;
    Ok((NetFd::register(new.socket.into(), FdKind::LISTENER, network, None)?, inherited))
}

/// A socket for datagrams, bound to `laddr`. For a multicast group that is the wildcard, and others may bind the same
/// port: so one socket can join several groups, and several sockets one.
///
/// Go: net/sock_posix.go netFD.listenDatagram
#[doc(alias = "listenDatagram")]
pub(crate) fn listen_datagram(
    network: Network,
    laddr: &UdpAddr,
    options: &ListenOptions<'_>,
) -> Result<NetFd<UdpAddr>, Cause> {
    let mut laddr = laddr.end_point();
    let new = NewSocket::new(network, Some(&laddr), None, Use::Listen, None)?;
    if laddr.ip.is_some_and(|ip| ip.to_canonical().is_multicast()) {
        check("setsockopt", new.socket.set_reuse_address(true))?;
        let v4 = new.family.domain == socket2::Domain::IPV4;
        laddr.ip = Some(if v4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() });
    }
    if options.reuse_port {
        check("setsockopt", new.socket.set_reuse_port(true))?;
    }
    new.control(options.control.map(|control| &**control as ControlRef<'_>), network, &laddr)?;
    new.bind(&laddr)?;
    NetFd::register(new.socket.into(), FdKind::DATAGRAM, network, None)
}

/// TCP options of every connection, dialed or accepted. An option that cannot be set is no reason to give up a
/// connection that works, so errors are ignored, as Go does.
///
/// Go: net/tcpsock.go newTCPConn
#[doc(alias = "newTCPConn")]
pub(crate) fn set_conn_options(fd: &OwnedFd, keep_alive: &KeepAliveConfig) {
    let _ = try_conn_options(SockRef::from(fd), keep_alive);
}

/// Tries all of them; the first error.
fn try_conn_options(socket: SockRef<'_>, keep_alive: &KeepAliveConfig) -> io::Result<()> {
    let nodelay = socket.set_tcp_nodelay(true);
    let probes = if keep_alive.enable { socket.set_tcp_keepalive(&keep_alive.params()) } else { Ok(()) };
    nodelay.and(probes)
}

/// What the connections of a listener are that somebody else has made: MPTCP is no plain TCP, and std cannot tell.
pub(crate) fn accepted_kind(listener: SockRef<'_>) -> FdKind {
    #[cfg(target_os = "linux")]
    if !matches!(listener.protocol(), Ok(Some(socket2::Protocol::TCP))) {
        return FdKind::STREAM;
    }
    let _ = listener;
    FdKind::TCP
}

/// Begins to connect `new` to `raddr`. True: the connection is there already.
pub(crate) fn start_connect(fd: &Fd, new_family: Family, raddr: &TcpAddr) -> Result<bool, Cause> {
    use gopark_sys::Errno;

    let addr = to_sockaddr(raddr, new_family)?;
    let started = fd.control(|fd| sock::connect(fd, &addr)).map_err(|e| Cause::from_poll("connect", e))?;
    match started {
        Ok(()) | Err(Errno::EISCONN) => Ok(true),
        // After EINTR the attempt goes on in the background.
        Err(Errno::EINPROGRESS | Errno::EALREADY | Errno::EINTR) => Ok(false),
        Err(errno) => Err(SyscallError::from_errno("connect", errno).into()),
    }
}
