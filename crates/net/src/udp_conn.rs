//! `UdpConn`. Go: `net/udpsock.go`, `net/udpsock_posix.go`.
//!
//! * this file: making, and one datagram at a time;
//! * `udp_conn/msg_io.rs`: with control data;
//! * `udp_conn/batch.rs`, `udp_conn/segments.rs`: many datagrams a call;
//! * `udp_conn/peer.rs`: connecting, and what the two ends are called;
//! * `udp_conn/task.rs`: for futures, and calls that do not wait;
//! * `udp_conn/options.rs`, `udp_conn/multicast.rs`: socket options and groups;
//! * `udp_conn/convert.rs`: to std and back.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, ToSocketAddrs};

use gopark_sys::msg;

use crate::ListenConfig;
use crate::addr::UdpAddr;
use crate::conn_methods::{conn_methods, impl_conn, impl_packet_conn};
use crate::error::{Cause, OpError};
use crate::fd::NetFd;
use crate::ipsock::{Family, to_sockaddr};
use crate::lookup::to_socket_addrs;
use crate::timeout::Timeout;

mod batch;
mod convert;
mod msg_io;
mod multicast;
mod options;
mod peer;
mod segments;
mod task;

pub use batch::{Datagram, Datagrams, Outgoing, RecvBatch, SendBatch};
pub use msg_io::ReceivedMsg;

use peer::Peer;
use segments::Gso;

/// A UDP socket: one that talks to anybody, or one that is connected to a peer.
///
/// Made by [`UdpConn::bind`], as in std; by [`listen_packet`](crate::listen_packet), [`dial`](crate::dial), a
/// [`ListenConfig`] or a [`Dialer`](crate::Dialer), as in Go. Dropping it closes it. Broadcasts may be sent, as in Go.
///
/// Every call takes `&self`: one goroutine may receive while another sends. Each call receives or sends one datagram,
/// but for those with `batch` and `segments` in their names. A datagram that is longer than the buffer is cut, and the
/// rest is lost. One of no bytes is a datagram like any other: `Ok(0)` is not the end of anything.
///
/// # Two names for a thing
///
/// | std | Go | |
/// |---|---|---|
/// | [`recv_from`](UdpConn::recv_from) | [`read_from`](UdpConn::read_from) | the sender as a `SocketAddr`, and as a [`UdpAddr`] |
/// | [`send_to`](UdpConn::send_to) | [`write_to`](UdpConn::write_to) | Go's is an error on a connected socket |
/// | [`recv`](UdpConn::recv), [`send`](UdpConn::send) | [`read`](UdpConn::read), [`write`](UdpConn::write) | from and to the peer |
///
/// An IPv4 address is one of IPv4, also on a socket for both families: what `recv_from` gives can be given to
/// `send_to`. (std, and Go's `AddrPort` forms, have it mapped into IPv6 there.)
///
/// # Examples
///
/// ```no_run
/// let conn = gopark_net::UdpConn::bind("127.0.0.1:7")?;
/// let mut buf = [0; 1500];
/// loop {
///     let (n, from) = conn.recv_from(&mut buf)?;
///     conn.send_to(&buf[..n], from)?;
/// }
/// # #[allow(unreachable_code)]
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/udpsock.go UDPConn
#[derive(Debug)]
#[doc(alias = "UDPConn", alias = "UdpSocket")]
pub struct UdpConn {
    fd: NetFd<UdpAddr>,
    peer: Peer,
    gso: Gso,
    read_timeout: Timeout,
    write_timeout: Timeout,
}

impl UdpConn {
    pub(crate) fn new(fd: NetFd<UdpAddr>) -> UdpConn {
        let peer = Peer::new(fd.raddr.is_some());
        let (read_timeout, write_timeout) = (Timeout::default(), Timeout::default());
        UdpConn { fd, peer, gso: Gso::default(), read_timeout, write_timeout }
    }

    fn clone_with(&self, fd: NetFd<UdpAddr>) -> UdpConn {
        let fd = NetFd { laddr: self.laddr(), raddr: self.raddr(), ..fd };
        UdpConn::new(fd)
    }

    /// A socket that is bound to the first of `addr`'s addresses that works. With port 0 the system chooses one: see
    /// [`UdpConn::local_addr`].
    ///
    /// As in std, `0.0.0.0` is IPv4 only; `[::]` takes both families.
    ///
    /// May block if `addr` is a name.
    ///
    /// # Errors
    ///
    /// Those of the last address; those of the name's resolution, bare.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind(("127.0.0.1", 0))?;
    /// println!("at port {}", conn.local_addr()?.port());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<UdpConn> {
        let config = ListenConfig::new();
        let mut last = OpError::new("listen", "udp", Cause::MissingAddress).into();
        for addr in to_socket_addrs(&addr, "listen")? {
            match config.listen_udp_resolved(addr) {
                Ok(conn) => return Ok(conn),
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    /// Waits for a datagram; returns how many bytes of it are in `buf`, and who sent it.
    ///
    /// May block: see the contract of [`Runtime::start`](crate::Runtime::start).
    ///
    /// # Errors
    ///
    /// An [`OpError`]: the socket is closed, the deadline passed, or what recvfrom(2) says. `ECONNREFUSED` on a
    /// connected socket: nobody was there for an earlier datagram.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// let mut buf = [0; 1500];
    /// let (n, from) = conn.recv_from(&mut buf)?;
    /// println!("{from}: {:?}", &buf[..n]);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/udpsock.go UDPConn.ReadFromUDPAddrPort
    #[doc(alias = "ReadFromUDPAddrPort")]
    #[inline]
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (n, from) = self.receive_from(buf)?;
        Ok((n, from.end_point().std()))
    }

    /// [`UdpConn::recv_from`] with the sender as Go has it.
    ///
    /// # Errors
    ///
    /// As [`UdpConn::recv_from`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// let mut buf = [0; 1500];
    /// let (n, from) = conn.read_from(&mut buf)?;
    /// conn.write_to(&buf[..n], from)?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/udpsock.go UDPConn.ReadFromUDP
    #[doc(alias = "ReadFromUDP", alias = "ReadFrom")]
    #[inline]
    pub fn read_from(&self, buf: &mut [u8]) -> io::Result<(usize, UdpAddr)> {
        self.receive_from(buf)
    }

    /// What [`UdpConn::recv_from`] would give, without taking it.
    ///
    /// # Errors
    ///
    /// As [`UdpConn::recv_from`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// let (_, from) = conn.peek_from(&mut [])?;
    /// println!("{from} has sent something");
    /// # std::io::Result::Ok(())
    /// ```
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.begin_read()?;
        let peeked = self.fd.pfd.read_with(|fd| msg::peek_from_ip(fd, buf));
        let (n, from) = peeked.map_err(|e| self.wrap("read", "recvfrom", e))?;
        Ok((n, sender(from).end_point().std()))
    }

    /// Sends `buf` as one datagram to the first of `addr`'s addresses, and returns its length. On a connected socket
    /// too: see [`UdpConn::write_to`] for Go's rule.
    ///
    /// May block if `addr` is a name; waits for room if the system has none.
    ///
    /// # Errors
    ///
    /// An [`OpError`]: the socket is closed, the deadline passed, the address is of a family that the socket is not
    /// for, or what sendto(2) says (`EMSGSIZE`: longer than a datagram can be).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// conn.send_to(b"hello", "127.0.0.1:7")?;
    /// # std::io::Result::Ok(())
    /// ```
    #[inline]
    pub fn send_to<A: ToSocketAddrs>(&self, buf: &[u8], addr: A) -> io::Result<usize> {
        match to_socket_addrs(&addr, "write")?.next() {
            Some(addr) => self.transmit_to(buf, addr.into()),
            None => Err(self.op_error("write", Cause::MissingAddress).into()),
        }
    }

    /// Sends `buf` as one datagram to `addr`, and returns its length.
    ///
    /// # Errors
    ///
    /// As [`UdpConn::send_to`]. [`Cause::WriteToConnected`] on a connected socket, whose peer cannot be overruled;
    /// [`Cause::MissingAddress`] if `addr` has no IP.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::UdpConn;
    ///
    /// let conn = UdpConn::bind("127.0.0.1:0")?;
    /// conn.write_to(b"hello", "127.0.0.1:7".parse::<std::net::SocketAddr>().unwrap())?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/udpsock.go UDPConn.WriteToUDP, UDPConn.WriteToUDPAddrPort
    #[doc(alias = "WriteToUDP", alias = "WriteToUDPAddrPort", alias = "WriteTo")]
    #[inline]
    pub fn write_to(&self, buf: &[u8], addr: impl Into<UdpAddr>) -> io::Result<usize> {
        let addr = addr.into();
        if self.peer.is_connected() {
            return Err(self.send_error(Some(addr), Cause::WriteToConnected));
        }
        self.transmit_to(buf, addr)
    }

    /// Waits for a datagram; returns how many bytes of it are in `buf`. From the peer if there is one, and else from
    /// anybody. An empty `buf` reads nothing and does not wait, as in Go: see [`UdpConn::recv_from`] for that.
    ///
    /// # Errors
    ///
    /// As [`UdpConn::recv_from`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::dial("udp", "127.0.0.1:7")?;
    /// let n = conn.read(&mut [0; 1500])?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.Read
    #[inline]
    pub fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.begin_read()?;
        self.fd.pfd.read(buf).map_err(|e| self.wrap("read", "read", e))
    }

    /// Sends `buf` as one datagram to the peer, and returns its length.
    ///
    /// # Errors
    ///
    /// As [`UdpConn::send_to`]. `EDESTADDRREQ` if the socket is not connected. `ECONNREFUSED`: nobody was there for an
    /// earlier datagram; this one was not sent.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::dial("udp", "127.0.0.1:7")?;
    /// conn.write(b"hello")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.Write
    #[inline]
    pub fn write(&self, buf: &[u8]) -> io::Result<usize> {
        self.begin_write()?;
        let sent = self.fd.pfd.write_with(|fd| gopark_sys::rw::send(fd, buf));
        sent.map_err(|e| self.wrap("write", "write", e))
    }

    /// Sends `bufs`, one after the other, as one datagram to the peer, and returns its length.
    ///
    /// # Errors
    ///
    /// As [`UdpConn::write`]. `EMSGSIZE` if there are more than 1024 of them.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::io::IoSlice;
    ///
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// conn.connect("127.0.0.1:7")?;
    /// conn.write_vectored(&[IoSlice::new(b"head"), IoSlice::new(b"body")])?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go Buffers.WriteTo
    pub fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.begin_write()?;
        let sent = self.fd.pfd.write_with(|fd| msg::send_msg(fd, bufs, &[], None));
        sent.map_err(|e| self.wrap("write", "writev", e))
    }

    /// Waits for a datagram and spreads it over `bufs`; returns how many bytes of it are in them.
    ///
    /// # Errors
    ///
    /// As [`UdpConn::recv_from`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::io::IoSliceMut;
    ///
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// let (mut head, mut body) = ([0; 12], [0; 1488]);
    /// let n = conn.read_vectored(&mut [IoSliceMut::new(&mut head), IoSliceMut::new(&mut body)])?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.begin_read()?;
        let received = self.fd.pfd.read_with(|fd| gopark_sys::rw::readv(fd, bufs));
        received.map_err(|e| self.wrap("read", "readv", e))
    }

    /// [`UdpConn::write`], which always sends all or nothing, under the name that streams have for it.
    ///
    /// # Errors
    ///
    /// As [`UdpConn::write`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::dial("udp", "127.0.0.1:7")?;
    /// conn.write_all(b"hello")?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn write_all(&self, buf: &[u8]) -> io::Result<()> {
        self.write(buf).map(drop)
    }

    /// Waits for a datagram; returns how many bytes of it are in `buf`. As [`UdpConn::read`], but an empty `buf` takes
    /// a datagram too, as in std.
    ///
    /// # Errors
    ///
    /// As [`UdpConn::recv_from`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// conn.connect("127.0.0.1:7")?;
    /// let n = conn.recv(&mut [0; 1500])?;
    /// # std::io::Result::Ok(())
    /// ```
    #[inline]
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.begin_read()?;
        let received = self.fd.pfd.read_with(|fd| gopark_sys::rw::recv(fd, buf));
        received.map_err(|e| self.wrap("read", "read", e))
    }

    /// What [`UdpConn::recv`] would give, without taking it.
    ///
    /// # Errors
    ///
    /// As [`UdpConn::recv_from`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// let n = conn.peek(&mut [0; 1500])?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.begin_read()?;
        let peeked = self.fd.pfd.read_with(|fd| gopark_sys::rw::peek(fd, buf));
        peeked.map_err(|e| self.wrap("read", "recvfrom", e))
    }

    /// Sends `buf` as one datagram to the peer: [`UdpConn::write`] under std's name.
    ///
    /// # Errors
    ///
    /// As [`UdpConn::write`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// conn.connect("127.0.0.1:7")?;
    /// conn.send(b"hello")?;
    /// # std::io::Result::Ok(())
    /// ```
    #[inline]
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.write(buf)
    }

    #[inline]
    fn receive_from(&self, buf: &mut [u8]) -> io::Result<(usize, UdpAddr)> {
        self.begin_read()?;
        let received = self.fd.pfd.read_with(|fd| msg::recv_from_ip(fd, buf));
        let (n, from) = received.map_err(|e| self.wrap("read", "recvfrom", e))?;
        Ok((n, sender(from)))
    }

    #[inline]
    fn transmit_to(&self, buf: &[u8], addr: UdpAddr) -> io::Result<usize> {
        self.begin_write()?;
        let to = self.sockaddr(addr).map_err(|cause| self.send_error(Some(addr), cause))?;
        let sent = self.fd.pfd.write_with(|fd| msg::send_to_ip(fd, buf, &to));
        sent.map_err(|e| self.send_error(Some(addr), Cause::from_poll("sendto", e)))
    }

    /// `addr` in the form that this socket takes.
    #[inline]
    fn sockaddr(&self, addr: UdpAddr) -> Result<SocketAddr, Cause> {
        if addr.ip.is_none() {
            return Err(Cause::MissingAddress);
        }
        Ok(to_sockaddr(&addr.end_point(), Family::of(self.fd.is_ipv6))?)
    }
}

/// Whoever sent a datagram. The system always says, for UDP; should it not, it is nobody.
#[inline]
fn sender(from: Option<SocketAddr>) -> UdpAddr {
    from.map_or(UdpAddr { ip: None, port: 0, scope_id: 0 }, UdpAddr::from)
}

conn_methods!(UdpConn, UdpAddr, "gopark_net::UdpConn::bind(\"127.0.0.1:0\")?");
impl_conn!(UdpConn);
impl_packet_conn!(UdpConn, Udp, read_from);
