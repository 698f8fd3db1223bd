//! One attempt to connect. Go: `netFD.connect`, `sysDialer.doDialTCP`.

use std::net::IpAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Instant;

use gopark_poll::{Fd, FdKind, Mode};
use gopark_sched::context::Context;
use gopark_sys::{Errno, sock};
use socket2::Protocol;

use super::Attempt;
use crate::TcpConn;
use crate::addr::TcpAddr;
use crate::error::Cause;
use crate::fd::NetFd;
use crate::ipsock::Use;
use crate::sock::{MPTCP, NewSocket, set_conn_options, start_connect};

/// How often a socket is made anew when the system chose a local port that cannot be used (Go's number).
const RETRIES: usize = 2;

impl Attempt {
    /// Connects to `raddr`: by Multipath TCP if that is asked for, and by plain TCP if that fails for whatever reason
    /// but time, since it may be Multipath TCP alone that the system, or something on the way, will not have.
    ///
    /// Go: net/mptcpsock_linux.go sysDialer.dialMPTCP
    #[doc(alias = "dialMPTCP")]
    pub(super) fn connect(
        &self,
        raddr: &TcpAddr,
        deadline: Option<Instant>,
        ctx: &Context,
    ) -> Result<TcpConn, Cause> {
        if self.dialer.multipath_tcp {
            match self.connect_by(Some(MPTCP), raddr, deadline, ctx) {
                Err(cause) if !matches!(cause, Cause::Timeout | Cause::Canceled) => {}
                result => return result,
            }
        }
        self.connect_by(None, raddr, deadline, ctx)
    }

    /// Twice more if the system's choice of a local port was unlucky: it may pick the very port that is
    /// dialed, and the socket then connects to itself (TCP's simultaneous open); and it may find no free port
    /// although there are some (golang/go#2690, #3838). Not if the program chose the port.
    ///
    /// Go: net/tcpsock_posix.go sysDialer.doDialTCPProto
    #[doc(alias = "doDialTCP")]
    fn connect_by(
        &self,
        protocol: Option<Protocol>,
        raddr: &TcpAddr,
        deadline: Option<Instant>,
        ctx: &Context,
    ) -> Result<TcpConn, Cause> {
        let laddr = self.dialer.local_addr;
        let any_port = laddr.is_none_or(|laddr| laddr.port == 0);
        let mut retries = if any_port { RETRIES } else { 0 };
        loop {
            let result = self.connect_once(protocol, raddr, deadline, ctx);
            let unlucky = match &result {
                Ok(fd) => fd.raddr == Some(fd.laddr),
                Err(cause) => cause.errno() == Some(Errno::EADDRNOTAVAIL),
            };
            if !unlucky || retries == 0 {
                return result.map(TcpConn::new);
            }
            retries -= 1;
        }
    }

    fn connect_once(
        &self,
        protocol: Option<Protocol>,
        raddr: &TcpAddr,
        deadline: Option<Instant>,
        ctx: &Context,
    ) -> Result<NetFd, Cause> {
        let laddr = self.dialer.local_addr.as_ref();
        let new = NewSocket::new(self.network, laddr, Some(raddr), Use::Dial, protocol)?;
        if let Some(control) = &self.dialer.control {
            let control =
                |network: &str, address: &str, fd: BorrowedFd<'_>| control(ctx, network, address, fd);
            new.control(Some(&control), self.network, raddr)?;
        }
        if let Some(laddr) = laddr {
            new.bind(laddr)?;
        }
        let family = new.family;
        let fd = OwnedFd::from(new.socket);
        set_conn_options(&fd, &self.dialer.keep_alive);
        // The hint is for plain TCP alone.
        let mut pfd = Fd::new(fd, if protocol.is_none() { FdKind::TCP } else { FdKind::STREAM });
        // Registered after connect(2) has begun: a socket that is not connecting reports a hang-up, which
        // would spoil the short-read hint for the life of the connection.
        let connected = start_connect(&pfd, family, raddr)?;
        pfd.init().map_err(|e| Cause::from_poll("epoll_ctl", e))?;
        let pfd = match (connected, ctx.err()) {
            (false, _) => wait_connected(pfd, deadline, ctx)?,
            (true, None) => pfd,
            (true, Some(e)) => return Err(e.into()),
        };
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(Cause::Timeout);
        }
        let mut raddr = *raddr;
        if !is_exact(&raddr) {
            let peer = pfd.control(sock::peer_addr).and_then(|addr| Ok(addr?));
            raddr = peer.map_or(raddr, TcpAddr::from);
        }
        NetFd::named(pfd, self.network, Some(raddr))
    }
}

/// Whether the peer of a connection to `addr` is `addr` to the letter, so that the system need not be asked: not for a
/// wildcard, which is this machine, nor for what has a scope, nor for an IPv4 address in IPv6's clothes.
fn is_exact(addr: &TcpAddr) -> bool {
    addr.ip.is_some_and(|ip| match ip {
        IpAddr::V4(ip) => !ip.is_unspecified(),
        IpAddr::V6(ip) => {
            ip.to_ipv4_mapped().is_none() && !ip.is_unspecified() && !ip.is_unicast_link_local()
        }
    }) && addr.scope_id == 0
}

/// Waits for the end of a connect(2) that has begun, no later than `deadline` and no longer than until `ctx` is done.
/// On error the socket is closed.
///
/// Go: net/fd_unix.go netFD.connect
pub(crate) fn wait_connected(fd: Fd, deadline: Option<Instant>, ctx: &Context) -> Result<Fd, Cause> {
    let failed = |e| Cause::from_poll("connect", e);
    if deadline.is_some() {
        fd.set_write_deadline(deadline).map_err(failed)?;
    }
    let attached = ctx.attach(fd.canceler().map_err(failed)?, &[Mode::Write]);
    let result = fd.connect_wait();
    // From here on a cancel is too late to leave its mark on the descriptor (golang/go#16523). One that came before
    // fails the dial even if the connection was made.
    attached.detach()?;
    result.map_err(failed)?;
    if deadline.is_some() {
        fd.set_write_deadline(None).map_err(failed)?;
    }
    Ok(fd)
}
