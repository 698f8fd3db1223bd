//! `IpConn`, raw sockets. Go: `net/iprawsock.go`, `net/iprawsock_posix.go`.
//!
//! * this file: making, and packets;
//! * `ip_conn/addr.rs`: addresses;
//! * `ip_conn/network.rs`: what the networks are called;
//! * `ip_conn/task.rs`: for futures, and calls that do not wait.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use gopark_poll::FdKind;
use gopark_sched::context::Context;
use gopark_sys::{Errno, msg, rw};
use socket2::{Domain, Protocol, SockAddr, SockRef, Type};

use crate::conn_methods::{conn_methods, impl_conn, impl_packet_conn};
use crate::error::{Cause, OpError};
use crate::fd::NetFd;
use crate::ipsock::{Family, Network, Use, first_ipv4, internet_addr_list, to_sockaddr};
use crate::listen::unexpected_type;
use crate::sock::{ControlRef, NewSocket};
use crate::timeout::Timeout;
use crate::{Addr, ListenConfig};

mod addr;
mod network;
mod task;

pub use addr::IpSockAddr;
pub(crate) use network::{Needs, is_ip_network, parse_network};

/// A raw socket: packets of one protocol over IP, as they are. For root, or who has `CAP_NET_RAW`.
///
/// Made by [`listen_ip`], [`listen_packet`](crate::listen_packet), [`dial`](crate::dial), a [`ListenConfig`] or a
/// [`Dialer`](crate::Dialer). Networks are `ip`, `ip4` or `ip6`, a colon, and a protocol by name or number: `ip4:icmp`,
/// `ip6:58`. Addresses have no port. Dropping it closes it.
///
/// On IPv4 a packet comes with its IP header, and goes without: the system makes it. As in Go,
/// [`read_from`](IpConn::read_from) takes the header off; [`read`](IpConn::read) and [`read_msg`](IpConn::read_msg)
/// leave it where it is. On IPv6 there is none.
///
/// # Examples
///
/// ```no_run
/// let conn = gopark_net::listen_ip("ip4:icmp", "127.0.0.1")?;
/// let mut packet = [0; 1500];
/// let (n, from) = conn.read_from(&mut packet)?;
/// println!("ICMP from {from}: {:?}", &packet[..n]);
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/iprawsock.go IPConn
#[derive(Debug)]
#[doc(alias = "IPConn")]
pub struct IpConn {
    fd: NetFd<IpSockAddr>,
    read_timeout: Timeout,
    write_timeout: Timeout,
}

/// What [`IpConn::read_msg`] received.
///
/// # Examples
///
/// ```no_run
/// let conn = gopark_net::listen_ip("ip4:icmp", "127.0.0.1")?;
/// let msg = conn.read_msg(&mut [0; 1500], &mut [0; 64])?;
/// println!("{} bytes from {}", msg.len, msg.from);
/// # std::io::Result::Ok(())
/// ```
///
/// Go: the results of net/iprawsock.go IPConn.ReadMsgIP
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct IpMsg {
    /// Bytes of the packet in the buffer.
    pub len: usize,
    /// Bytes of control data in its buffer.
    pub control_len: usize,
    /// The system's flags: `MSG_TRUNC`, `MSG_CTRUNC`.
    pub flags: i32,
    /// Who sent it.
    pub from: IpSockAddr,
}

impl IpMsg {
    /// The packet was longer than the buffer; the rest is lost.
    ///
    /// # Examples
    ///
    /// See [`IpMsg`].
    pub fn is_truncated(&self) -> bool {
        self.flags & msg::TRUNCATED != 0
    }
}

/// A raw socket for packets to `address`, a name, a literal or nothing for all addresses: see [`IpConn`].
///
/// # Errors
///
/// An [`OpError`] with op `listen`; `PermissionDenied` for who may not have raw sockets.
///
/// # Examples
///
/// ```no_run
/// let conn = gopark_net::listen_ip("ip6:ipv6-icmp", "::1")?;
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/iprawsock.go ListenIP
#[doc(alias = "ListenIP")]
pub fn listen_ip(network: &str, address: &str) -> io::Result<IpConn> {
    ListenConfig::new().listen_ip(network, address)
}

impl ListenConfig {
    /// As [`listen_ip`], with the options.
    ///
    /// # Errors
    ///
    /// As [`listen_ip`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::ListenConfig::new().listen_ip("ip4:icmp", "127.0.0.1")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/iprawsock.go ListenIP
    #[doc(alias = "ListenIP")]
    pub fn listen_ip(&self, network: &str, address: &str) -> io::Result<IpConn> {
        let failed = |cause| OpError::new("listen", network.to_owned(), cause);
        let (net, protocol, laddr) = resolve(network, address).map_err(failed)?;
        self.listen_ip_on(net, protocol, laddr)
            .map_err(|cause| failed(cause).with_addr(Some(laddr.into())).into())
    }

    fn listen_ip_on(&self, net: Network, protocol: i32, laddr: IpSockAddr) -> Result<IpConn, Cause> {
        let laddr = laddr.end_point();
        let options = self.options();
        let new = NewSocket::new(net, Some(&laddr), None, Use::Listen, Some(Protocol::from(protocol)))?;
        new.control(options.control.map(|control| &**control as ControlRef<'_>), net, &laddr)?;
        new.bind(&laddr)?;
        NetFd::register(new.socket.into(), FdKind::DATAGRAM, net, None).map(IpConn::new)
    }

    /// The error of who wants connections of such a network.
    pub(crate) fn listen_ip_stream(&self, network: &str, address: &str) -> io::Error {
        match resolve(network, address) {
            Ok((_, _, laddr)) => unexpected_type(network, laddr, address),
            Err(cause) => OpError::new("listen", network.to_owned(), cause).into(),
        }
    }
}

fn resolve(network: &str, address: &str) -> Result<(Network, i32, IpSockAddr), Cause> {
    let (net, protocol) = parse_network(network, Needs::Protocol)?;
    let laddr = first_ipv4(&internet_addr_list(&Context::background(), net, address, None)?);
    Ok((net, protocol, laddr.ok_or(Cause::MissingAddress)?.into()))
}

impl IpConn {
    pub(crate) fn new(fd: NetFd<IpSockAddr>) -> IpConn {
        IpConn { fd, read_timeout: Timeout::default(), write_timeout: Timeout::default() }
    }

    fn clone_with(&self, fd: NetFd<IpSockAddr>) -> IpConn {
        IpConn::new(fd)
    }

    /// Waits for a packet; returns how many bytes of it are in `buf`. On IPv4 it begins with the IP header.
    ///
    /// # Errors
    ///
    /// An [`OpError`]: the socket is closed, the deadline passed, or what read(2) says.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::listen_ip("ip4:icmp", "127.0.0.1")?;
    /// let n = conn.read(&mut [0; 1500])?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.Read
    #[inline]
    pub fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.begin_read()?;
        self.fd.pfd.read(buf).map_err(|e| self.fd.wrap("read", "read", e))
    }

    /// Waits for a packet; returns how many bytes of it are in `buf`, without an IP header, and who sent it. The buffer
    /// must have room for the header of IPv4 (20 to 60 bytes) too.
    ///
    /// # Errors
    ///
    /// As [`IpConn::read`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::listen_ip("ip4:icmp", "127.0.0.1")?;
    /// let (n, from) = conn.read_from(&mut [0; 1500])?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/iprawsock.go IPConn.ReadFromIP
    #[doc(alias = "ReadFromIP", alias = "ReadFrom")]
    #[inline]
    pub fn read_from(&self, buf: &mut [u8]) -> io::Result<(usize, IpSockAddr)> {
        self.begin_read()?;
        let packet = self.fd.pfd.read_with(|fd| msg::recv_from_ip(fd, buf));
        let (n, from) = packet.map_err(|e| self.fd.wrap("read", "recvfrom", e))?;
        Ok(received(n, from, buf))
    }

    /// Waits for a packet, with its control data in `control`. On IPv4 it begins with the IP header.
    ///
    /// # Errors
    ///
    /// As [`IpConn::read`].
    ///
    /// # Examples
    ///
    /// See [`IpMsg`].
    ///
    /// Go: net/iprawsock.go IPConn.ReadMsgIP
    #[doc(alias = "ReadMsgIP")]
    pub fn read_msg(&self, buf: &mut [u8], control: &mut [u8]) -> io::Result<IpMsg> {
        self.begin_read()?;
        let received = self.fd.pfd.read_with(|fd| msg::recv_msg(fd, &mut [IoSliceMut::new(buf)], control, 0));
        let got = received.map_err(|e| self.fd.wrap("read", "recvmsg", e))?;
        let from = sender(got.from.and_then(|from| from.as_socket()));
        Ok(IpMsg { len: got.len, control_len: got.control_len, flags: got.flags, from })
    }

    /// Sends `buf` as a packet to the peer; the system puts the IP header before it.
    ///
    /// # Errors
    ///
    /// An [`OpError`]: the socket is closed, the deadline passed, or what send(2) says; `EDESTADDRREQ` without a peer.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::dial("ip4:icmp", "127.0.0.1")?;
    /// conn.write(&[8, 0, 0xf7, 0xff, 0, 0, 0, 0])?; // an echo request
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.Write
    #[inline]
    pub fn write(&self, buf: &[u8]) -> io::Result<usize> {
        self.begin_write()?;
        self.fd.pfd.write_with(|fd| rw::send(fd, buf)).map_err(|e| self.fd.wrap("write", "write", e))
    }

    /// [`IpConn::write`], which always sends all or nothing, under the name that streams have for it.
    ///
    /// # Errors
    ///
    /// As [`IpConn::write`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::dial("ip4:icmp", "127.0.0.1")?;
    /// conn.write_all(&[8, 0, 0xf7, 0xff, 0, 0, 0, 0])?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn write_all(&self, buf: &[u8]) -> io::Result<()> {
        self.write(buf).map(drop)
    }

    /// Sends `buf` as a packet to `addr`.
    ///
    /// # Errors
    ///
    /// As [`IpConn::write`]. [`Cause::WriteToConnected`] on a dialed socket, whose peer cannot be overruled;
    /// [`Cause::MissingAddress`] if `addr` has no IP.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::net::IpAddr;
    ///
    /// let conn = gopark_net::listen_ip("ip4:icmp", "127.0.0.1")?;
    /// conn.write_to(&[8, 0, 0xf7, 0xff, 0, 0, 0, 0], IpAddr::from([127, 0, 0, 1]))?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/iprawsock.go IPConn.WriteToIP
    #[doc(alias = "WriteToIP", alias = "WriteTo")]
    #[inline]
    pub fn write_to(&self, buf: &[u8], addr: impl Into<IpSockAddr>) -> io::Result<usize> {
        let addr = addr.into();
        self.begin_write()?;
        let to = self.sockaddr(addr).map_err(|cause| self.send_error(addr, cause))?;
        let sent = self.fd.pfd.write_with(|fd| msg::send_to_ip(fd, buf, &to));
        sent.map_err(|e| self.send_error(addr, Cause::from_poll("sendto", e)))
    }

    /// [`IpConn::write_to`] with control data, as cmsg(3) wants it.
    ///
    /// # Errors
    ///
    /// As [`IpConn::write_to`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::net::IpAddr;
    ///
    /// let conn = gopark_net::listen_ip("ip4:icmp", "127.0.0.1")?;
    /// conn.write_msg(&[8, 0, 0xf7, 0xff, 0, 0, 0, 0], &[], IpAddr::from([127, 0, 0, 1]))?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/iprawsock.go IPConn.WriteMsgIP
    #[doc(alias = "WriteMsgIP")]
    pub fn write_msg(&self, buf: &[u8], control: &[u8], addr: impl Into<IpSockAddr>) -> io::Result<usize> {
        let addr = addr.into();
        self.begin_write()?;
        let to = SockAddr::from(self.sockaddr(addr).map_err(|cause| self.send_error(addr, cause))?);
        let call = |fd: &_| msg::send_msg(fd, &[IoSlice::new(buf)], control, Some(&to));
        self.fd.pfd.write_with(call).map_err(|e| self.send_error(addr, Cause::from_poll("sendmsg", e)))
    }

    /// The address of our end. Never fails, also after `close`.
    ///
    /// # Errors
    ///
    /// None; the result is std's.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::listen_ip("ip4:icmp", "127.0.0.1")?;
    /// assert_eq!(conn.local_addr()?.to_string(), "127.0.0.1");
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.LocalAddr
    pub fn local_addr(&self) -> io::Result<IpSockAddr> {
        Ok(self.fd.laddr)
    }

    /// The address of the peer, or one without an IP if there is none, where Go has nil.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::dial("ip4:icmp", "127.0.0.1")?;
    /// assert_eq!(conn.remote_addr().to_string(), "127.0.0.1");
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.RemoteAddr
    pub fn remote_addr(&self) -> Addr {
        self.fd.raddr.unwrap_or(IpSockAddr { ip: None, scope_id: 0 }).into()
    }

    /// The address of our end, for the traits.
    fn conn_addr(&self) -> Addr {
        self.fd.laddr.into()
    }

    /// `addr` in the form that this socket takes.
    ///
    /// Go: net/iprawsock_posix.go IPConn.writeTo
    fn sockaddr(&self, addr: IpSockAddr) -> Result<SocketAddr, Cause> {
        if self.fd.raddr.is_some() {
            return Err(Cause::WriteToConnected);
        }
        if addr.ip.is_none() {
            return Err(Cause::MissingAddress);
        }
        Ok(to_sockaddr(&addr.end_point(), Family::of(self.fd.is_ipv6))?)
    }

    /// An error of a call with an address, which it names.
    #[cold]
    #[inline(never)]
    fn send_error(&self, to: IpSockAddr, cause: Cause) -> io::Error {
        self.fd.op_error("write", cause).with_addr(Some(to.into())).into()
    }
}

/// Takes over a raw socket over IP, which becomes non-blocking.
///
/// Go: net/file.go FilePacketConn
impl TryFrom<OwnedFd> for IpConn {
    type Error = io::Error;

    fn try_from(fd: OwnedFd) -> io::Result<IpConn> {
        let failed = |cause| io::Error::from(OpError::new("file", "ip", cause));
        let socket = SockRef::from(&fd);
        let kind = socket.r#type().map_err(|e| failed(Cause::from_io("getsockopt", e)))?;
        let local = socket.local_addr().map_err(|e| failed(Cause::from_io("getsockname", e)))?;
        if kind != Type::RAW || ![Domain::IPV4, Domain::IPV6].contains(&local.domain()) {
            return Err(failed(Cause::from_poll("getsockopt", Errno::EPROTOTYPE.into())));
        }
        socket.set_nonblocking(true).map_err(|e| failed(Cause::from_io("fcntl", e)))?;
        let raddr = socket.peer_addr().ok().and_then(|addr| addr.as_socket()).map(IpSockAddr::from);
        NetFd::register(fd, FdKind::DATAGRAM, Network::Ip, raddr).map(IpConn::new).map_err(failed)
    }
}

/// A packet of `n` bytes in `buf` without its IP header, and who sent it.
#[inline]
fn received(n: usize, from: Option<SocketAddr>, buf: &mut [u8]) -> (usize, IpSockAddr) {
    let n = if matches!(from, Some(SocketAddr::V4(_))) { strip_ipv4_header(n, buf) } else { n };
    (n, sender(from))
}

/// Whoever sent a packet. The system always says; should it not, it is nobody.
fn sender(from: Option<SocketAddr>) -> IpSockAddr {
    from.map_or(IpSockAddr { ip: None, scope_id: 0 }, IpSockAddr::from)
}

/// Takes the header off a packet of IPv4 of `n` bytes in `buf`, and returns the length of the rest. What does not look
/// like one is left alone.
///
/// Go: net/iprawsock_posix.go stripIPv4Header
#[doc(alias = "stripIPv4Header")]
fn strip_ipv4_header(n: usize, buf: &mut [u8]) -> usize {
    const SHORTEST: usize = 20;
    if n < SHORTEST || buf[0] >> 4 != 4 {
        return n;
    }
    let len = usize::from(buf[0] & 0x0f) * 4;
    if len < SHORTEST || len > n {
        return n;
    }
    buf.copy_within(len..n, 0);
    n - len
}

conn_methods!(IpConn, IpSockAddr, "gopark_net::listen_ip(\"ip4:icmp\", \"127.0.0.1\")?");
impl_conn!(IpConn);
impl_packet_conn!(IpConn, Ip, read_from);

#[cfg(test)]
mod tests {
    use super::*;

    /// What `strip_ipv4_header` makes of `packet` in a buffer of its length.
    fn stripped(packet: &[u8]) -> Vec<u8> {
        let mut buf = packet.to_vec();
        let n = strip_ipv4_header(packet.len(), &mut buf);
        buf.truncate(n);
        buf
    }

    #[test]
    fn a_header_is_taken_off_and_nothing_else() {
        let packet = |first: u8, header: usize| [&[first][..], &vec![0; header - 1], b"payload"].concat();
        assert_eq!(stripped(&packet(0x45, 20)), b"payload");
        assert_eq!(stripped(&packet(0x4f, 60)), b"payload");
        assert_eq!(stripped(&[0x45; 20]), b"");
        for other in [packet(0x65, 20), packet(0x44, 20), vec![0x4f; 30], vec![0x45; 19], vec![]] {
            assert_eq!(stripped(&other), other);
        }
    }
}
