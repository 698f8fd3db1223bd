//! Sockets for datagrams with a peer. Go: `Dialer.DialUDP`, `sysDialer.dialUDP`.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Instant;

use gopark_poll::FdKind;
use gopark_sched::context::Context;

use super::{Attempt, Dialer};
use crate::UdpConn;
use crate::addr::TcpAddr;
use crate::error::{Cause, OpError, UnknownNetworkError};
use crate::fd::NetFd;
use crate::ipsock::{Network, Use, to_sockaddr};
use crate::sock::NewSocket;

impl Dialer {
    /// A UDP socket with a peer: [`Dialer::dial`] for `udp`, `udp4` and `udp6`, with the concrete type. Nothing is sent
    /// for it, so whether there is anybody shows later.
    ///
    /// # Errors
    ///
    /// As [`Dialer::dial`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::Dialer::new().dial_udp("udp", "localhost:7")?;
    /// conn.send(b"hello")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/dial.go Dialer.DialUDP
    pub fn dial_udp(&self, network: &str, address: &str) -> io::Result<UdpConn> {
        self.dial_udp_context(&Context::background(), network, address)
    }

    /// As [`Dialer::dial_udp`], with the lookup of the name under `ctx`.
    ///
    /// # Errors
    ///
    /// As [`Dialer::dial_context`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{Dialer, context::Context};
    ///
    /// let (ctx, _cancel) = Context::background().with_timeout(std::time::Duration::from_secs(1));
    /// let conn = Dialer::new().dial_udp_context(&ctx, "udp", "example.com:53")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/dial.go Dialer.DialUDP
    #[doc(alias = "DialUDP")]
    pub fn dial_udp_context(&self, ctx: &Context, network: &str, address: &str) -> io::Result<UdpConn> {
        let deadline = self.deadline_under(ctx);
        let resolved = match Network::parse(network) {
            Ok(net) if net.is_udp() => Ok(net),
            _ => Err(Cause::from(UnknownNetworkError(network.to_owned()))),
        };
        let resolved = resolved.and_then(|net| Ok((net, self.resolve(ctx, net, address, deadline)?)));
        match resolved {
            Ok((network, addrs)) => {
                let attempt = Attempt { network, dialer: self.clone() };
                attempt.serial_with(ctx, &addrs, deadline, |raddr, _| attempt.connect_udp(raddr, ctx))
            }
            Err(cause) => Err(OpError::new("dial", network.to_owned(), cause).into()),
        }
    }

    /// The earliest of the deadline, the timeout and `ctx`'s deadline.
    pub(super) fn deadline_under(&self, ctx: &Context) -> Option<Instant> {
        let own = self.deadline_from(Instant::now());
        [own, ctx.deadline()].into_iter().flatten().min()
    }
}

impl Attempt {
    /// Go: net/udpsock_posix.go sysDialer.dialUDP
    fn connect_udp(&self, raddr: &TcpAddr, ctx: &Context) -> Result<UdpConn, Cause> {
        let laddr = self.dialer.local_addr;
        let new = NewSocket::new(self.network, laddr.as_ref(), Some(raddr), Use::Dial, None)?;
        if let Some(control) = &self.dialer.control {
            let control =
                |network: &str, address: &str, fd: BorrowedFd<'_>| control(ctx, network, address, fd);
            new.control(Some(&control), self.network, raddr)?;
        }
        if let Some(laddr) = &laddr {
            new.bind(laddr)?;
        }
        let to = to_sockaddr(raddr, new.family)?;
        new.socket.connect(&to.into()).map_err(|e| Cause::from_io("connect", e))?;
        // Whom we are connected to; for a wildcard that is not what was dialed.
        let peer = new.socket.peer_addr().ok().and_then(|addr| addr.as_socket());
        let raddr = peer.map_or((*raddr).into(), Into::into);
        let fd = NetFd::register(OwnedFd::from(new.socket), FdKind::DATAGRAM, self.network, Some(raddr))?;
        Ok(UdpConn::new(fd))
    }
}
