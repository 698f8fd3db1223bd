//! Making Unix sockets. Go: `net/unixsock_posix.go`, `net/sock_posix.go`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use gopark_poll::{Fd, FdKind};
use gopark_sched::context::Context;
use gopark_sys::sysfd::SysFd;
use gopark_sys::{Errno, sock};
use socket2::{Domain, Type};

use crate::dial::wait_connected;
use crate::error::{Cause, SyscallError};
use crate::fd::NetFd;
use crate::ipsock::Network;
use crate::sock::{ControlRef, ListenOptions};
use crate::unix_addr::UnixAddr;

/// How long to wait before a listener with a full queue is tried again, the first time and at most.
const FIRST_PAUSE: Duration = Duration::from_micros(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(10);

/// Ever longer pauses, for the two things that the system does not tell when they have happened: that there is room
/// again in the queue of a Unix listener, and in that of a datagram socket which we are not connected to.
pub(crate) struct Backoff(Duration);

impl Backoff {
    pub(crate) const fn new() -> Backoff {
        Backoff(FIRST_PAUSE)
    }

    pub(crate) fn pause(&mut self) {
        gopark_sched::sleep(self.0);
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
    }
}

/// The kind of socket that `network` is.
pub(crate) fn socket_type(network: Network) -> Type {
    match network {
        Network::Unixgram => Type::DGRAM,
        Network::Unixpacket => Type::SEQPACKET,
        _ => Type::STREAM,
    }
}

/// The network of sockets of type `kind`, if there is one.
///
/// Go: net/unixsock_posix.go sotypeToNet
#[doc(alias = "sotypeToNet")]
pub(crate) fn network_of(kind: Type) -> Option<Network> {
    [Network::Unix, Network::Unixgram, Network::Unixpacket].into_iter().find(|n| socket_type(*n) == kind)
}

/// What connections of `network` are to the poller. None has the hint of a short read: a Unix stream ends a read at
/// passed descriptors, with data left and no further event.
pub(crate) fn fd_kind(network: Network) -> FdKind {
    match network {
        Network::Unixgram => FdKind::DATAGRAM,
        Network::Unixpacket => FdKind::SEQPACKET,
        _ => FdKind::STREAM,
    }
}

/// A socket, non-blocking and close-on-exec.
pub(crate) fn socket(network: Network) -> Result<OwnedFd, Cause> {
    // Before anything is sent: without a poller the connection could not be used.
    if !gopark_poll::is_installed() {
        return Err(Cause::NotStarted);
    }
    let socket = sock::socket(Domain::UNIX, socket_type(network), None);
    socket.map_err(|e| SyscallError::from_errno("socket", e).into())
}

/// Two sockets that are connected with each other.
pub(crate) fn pair(network: Network) -> Result<(OwnedFd, OwnedFd), Cause> {
    if !gopark_poll::is_installed() {
        return Err(Cause::NotStarted);
    }
    let made = sock::pair(Domain::UNIX, socket_type(network));
    made.map_err(|e| SyscallError::from_errno("socketpair", e).into())
}

fn bind(fd: &OwnedFd, laddr: &UnixAddr) -> Result<(), Cause> {
    let addr = laddr.sockaddr().map_err(|e| SyscallError::from_errno("bind", e))?;
    sock::bind_fd(fd.as_fd(), &addr).map_err(|e| SyscallError::from_errno("bind", e).into())
}

fn control(
    hook: Option<ControlRef<'_>>,
    network: Network,
    addr: &UnixAddr,
    fd: BorrowedFd<'_>,
) -> Result<(), Cause> {
    let Some(hook) = hook else { return Ok(()) };
    hook(network.as_str(), &addr.to_string(), fd).map_err(|e| Cause::Other(Box::new(e)))
}

/// A socket bound to `laddr`; one for connections listens. An empty name lets Linux choose an abstract one.
///
/// Go: net/sock_posix.go netFD.listenStream, netFD.listenDatagram
pub(crate) fn listen(
    network: Network,
    laddr: &UnixAddr,
    options: &ListenOptions<'_>,
) -> Result<NetFd<UnixAddr>, Cause> {
    let fd = socket(network)?;
    control(options.control.map(|hook| &**hook as ControlRef<'_>), network, laddr, fd.as_fd())?;
    bind(&fd, laddr)?;
    if network == Network::Unixgram {
        return NetFd::register_unix(fd, FdKind::DATAGRAM, network, None);
    }
    let backlog = options.backlog.map_or_else(sock::somaxconn, |n| i32::try_from(n).unwrap_or(i32::MAX));
    sock::listen_fd(fd.as_fd(), backlog).map_err(|e| SyscallError::from_errno("listen", e))?;
    NetFd::register_unix(fd, FdKind::LISTENER, network, None)
}

/// What a dial is to do.
pub(crate) struct Connect<'a> {
    pub(crate) network: Network,
    /// Whence; nameless unless there is one.
    pub(crate) laddr: Option<&'a UnixAddr>,
    /// Where to. Only datagrams can do without: then it is a socket that is bound, and talks to anybody.
    pub(crate) raddr: Option<&'a UnixAddr>,
    pub(crate) control: Option<ControlRef<'a>>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) ctx: &'a Context,
}

impl Connect<'_> {
    /// Go: net/sock_posix.go netFD.dial, net/unixsock_posix.go unixSocket
    pub(crate) fn run(&self) -> Result<NetFd<UnixAddr>, Cause> {
        let named = |addr: &&UnixAddr| !addr.is_wildcard();
        let (laddr, raddr) = (self.laddr.filter(named), self.raddr.filter(named));
        let datagrams = self.network == Network::Unixgram;
        let Some(target) = raddr.or(laddr.filter(|_| datagrams)) else { return Err(Cause::MissingAddress) };
        let fd = socket(self.network)?;
        control(self.control, self.network, target, fd.as_fd())?;
        if let Some(laddr) = laddr {
            bind(&fd, laddr)?;
        }
        let mut pfd = Fd::new(fd, fd_kind(self.network));
        let connected = match raddr {
            Some(raddr) => self.start(&pfd, raddr)?,
            None => true,
        };
        pfd.init().map_err(|e| Cause::from_poll("epoll_ctl", e))?;
        let pfd = if connected { pfd } else { wait_connected(pfd, self.deadline, self.ctx)? };
        self.check()?;
        // The name that the peer has, which may not be the one that was dialed.
        let raddr = raddr.map(|raddr| match pfd.control(sock::peer_addr_any) {
            Ok(Ok(addr)) => UnixAddr::from_sockaddr(self.network, &addr),
            _ => raddr.clone(),
        });
        NetFd::named_unix(pfd, self.network, raddr)
    }

    /// Connects: true; or begins to: false, but not on Linux. While the listener's queue is full it tries again: Linux
    /// says `EAGAIN` then, which Go's `Dial` returns, and tells nobody when there is room. std waits in the kernel, and
    /// so it looks here.
    fn start(&self, fd: &Fd, raddr: &UnixAddr) -> Result<bool, Cause> {
        let addr = raddr.sockaddr().map_err(|e| SyscallError::from_errno("connect", e))?;
        let mut backoff = Backoff::new();
        loop {
            self.check()?;
            let started = fd.control(|fd: &SysFd| sock::connect_any(fd, &addr));
            match started.map_err(|e| Cause::from_poll("connect", e))? {
                Ok(()) | Err(Errno::EISCONN) => return Ok(true),
                Err(Errno::EINPROGRESS | Errno::EALREADY | Errno::EINTR) => return Ok(false),
                Err(Errno::EAGAIN) => backoff.pause(),
                Err(errno) => return Err(SyscallError::from_errno("connect", errno).into()),
            }
        }
    }

    fn check(&self) -> Result<(), Cause> {
        if let Some(e) = self.ctx.err() {
            return Err(e.into());
        }
        match self.deadline {
            Some(deadline) if deadline <= Instant::now() => Err(Cause::Timeout),
            _ => Ok(()),
        }
    }
}

impl NetFd<UnixAddr> {
    /// Registers `fd`, which is non-blocking. Whatever fails, `fd` is closed.
    pub(crate) fn register_unix(
        fd: OwnedFd,
        kind: FdKind,
        network: Network,
        raddr: Option<UnixAddr>,
    ) -> Result<NetFd<UnixAddr>, Cause> {
        let mut pfd = Fd::new(fd, kind);
        pfd.init().map_err(|e| Cause::from_poll("epoll_ctl", e))?;
        NetFd::named_unix(pfd, network, raddr)
    }

    /// With the local address that the system knows.
    pub(crate) fn named_unix(
        pfd: Fd,
        network: Network,
        raddr: Option<UnixAddr>,
    ) -> Result<NetFd<UnixAddr>, Cause> {
        let laddr = pfd.control(sock::local_addr_any).and_then(|addr| Ok(addr?));
        let laddr = laddr.map_err(|e| Cause::from_poll("getsockname", e))?;
        let laddr = UnixAddr::from_sockaddr(network, &laddr);
        Ok(NetFd { pfd, network, laddr, raddr, is_ipv6: false })
    }
}
