//! Dialing raw sockets. Go: `net/iprawsock.go`, `net/iprawsock_posix.go`.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use gopark_poll::FdKind;
use gopark_sched::context::Context;
use socket2::Protocol;

use super::{Attempt, Dialer};
use crate::IpConn;
use crate::addr::TcpAddr;
use crate::error::{Cause, OpError};
use crate::fd::NetFd;
use crate::ip_conn::{Needs, parse_network};
use crate::ipsock::{Use, to_sockaddr};
use crate::sock::NewSocket;

impl Dialer {
    /// A raw socket for packets from and to `address`, a name or a literal: see [`IpConn`].
    ///
    /// # Errors
    ///
    /// As [`Dialer::dial`]; `PermissionDenied` for who may not have raw sockets.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::Dialer::new().dial_ip("ip4:icmp", "127.0.0.1")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/iprawsock.go DialIP
    #[doc(alias = "DialIP")]
    pub fn dial_ip(&self, network: &str, address: &str) -> io::Result<IpConn> {
        self.dial_ip_context(&Context::background(), network, address)
    }

    /// As [`Dialer::dial_ip`]; the name is looked up no longer than until `ctx` is done.
    ///
    /// # Errors
    ///
    /// As [`Dialer::dial_ip`], and [`Dialer::dial_context`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{Dialer, context::Context};
    ///
    /// let (ctx, _cancel) = Context::background().with_timeout(std::time::Duration::from_secs(1));
    /// let conn = Dialer::new().dial_ip_context(&ctx, "ip4:icmp", "example.com")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/dial.go Dialer.DialIP
    #[doc(alias = "DialIP")]
    pub fn dial_ip_context(&self, ctx: &Context, network: &str, address: &str) -> io::Result<IpConn> {
        let deadline = self.deadline_under(ctx);
        let resolved = parse_network(network, Needs::Protocol)
            .and_then(|(net, protocol)| Ok((net, protocol, self.resolve(ctx, net, address, deadline)?)));
        let (net, protocol, addrs) = match resolved {
            Ok(resolved) => resolved,
            Err(cause) => return Err(OpError::new("dial", network.to_owned(), cause).into()),
        };
        let attempt = Attempt { network: net, dialer: self.clone() };
        let connected =
            attempt.serial_with(ctx, &addrs, deadline, |raddr, _| attempt.connect_ip(raddr, protocol, ctx));
        connected.map_err(|mut e| {
            // The dial names its network with the protocol; the connection does not.
            if let Some(e) = e.get_mut().and_then(|e| e.downcast_mut::<OpError>()) {
                e.net = network.to_owned().into();
            }
            e
        })
    }
}

impl Attempt {
    /// Go: net/iprawsock_posix.go sysDialer.dialIP
    fn connect_ip(&self, raddr: &TcpAddr, protocol: i32, ctx: &Context) -> Result<IpConn, Cause> {
        let laddr = self.dialer.local_addr.map(|laddr| TcpAddr { port: 0, ..laddr });
        let protocol = Some(Protocol::from(protocol));
        let new = NewSocket::new(self.network, laddr.as_ref(), Some(raddr), Use::Dial, protocol)?;
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
        // What was dialed, unless the system says: Linux does not, of a socket without a port.
        let peer = new.socket.peer_addr().ok().and_then(|addr| addr.as_socket());
        let raddr = peer.map_or((*raddr).into(), Into::into);
        let fd = NetFd::register(OwnedFd::from(new.socket), FdKind::DATAGRAM, self.network, Some(raddr))?;
        Ok(IpConn::new(fd))
    }
}
