//! `UnixConn`. Go: `net/unixsock.go`, `net/unixsock_posix.go`.
//!
//! * this file: making, and the bytes of a connection;
//! * `unix_conn/packet.rs`: datagrams and their addresses;
//! * `unix_conn/msg.rs`: messages with control data and descriptors;
//! * `unix_conn/peer.rs`: connecting datagrams, names, who the peer is;
//! * `unix_conn/convert.rs`: to std and back;
//! * `unix_conn/impls.rs`: the traits of std.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::path::Path;
use std::task::{Context, Poll};

use gopark_poll::Partial;
use gopark_sys::{Errno, SysFd, rw};

use crate::conn_methods::{conn_methods, impl_conn, impl_packet_conn};
use crate::error::{Cause, OpError};
use crate::fd::NetFd;
use crate::ipsock::Network;
use crate::sock::ListenOptions;
use crate::timeout::Timeout;
use crate::unix_addr::UnixAddr;
use crate::{Dialer, unix_sock};

mod convert;
mod impls;
mod msg;
mod packet;
mod peer;

pub(crate) use convert::adopt;
pub use msg::UnixMsg;
pub use peer::UnixCred;

use peer::Peer;

/// A Unix socket: a stream, a socket for datagrams, or one for packets in sequence.
///
/// One type for the three, as in Go:
///
/// | network | made by | it is |
/// |---|---|---|
/// | `unix` | [`connect`](UnixConn::connect), [`pair`](UnixConn::pair), [`UnixListener::accept`](crate::UnixListener::accept), [`dial`](crate::dial) | a stream of bytes, std's `UnixStream` |
/// | `unixgram` | [`bind`](UnixConn::bind), [`unbound`](UnixConn::unbound), [`pair_of`](UnixConn::pair_of), [`dial`](crate::dial) | for datagrams, std's `UnixDatagram` |
/// | `unixpacket` | [`pair_of`](UnixConn::pair_of), [`UnixListener::accept`](crate::UnixListener::accept), [`dial`](crate::dial) | a connection that keeps the bounds of what is written |
///
/// Every call takes `&self`: one goroutine may read while another writes. Calls that wait may return on another thread:
/// see the contract of [`Runtime::start`](crate::Runtime::start). Dropping it closes it.
///
/// `Ok(0)` from a read is the end, but for datagrams: there it is an empty one. A datagram or packet that is longer
/// than the buffer is cut, and the rest is lost.
///
/// Descriptors are passed by [`write_msg`](UnixConn::write_msg) and [`read_msg`](UnixConn::read_msg).
///
/// # Examples
///
/// ```no_run
/// use std::io::Write;
///
/// let mut conn = gopark_net::UnixConn::connect("/run/app.sock")?;
/// conn.write_all(b"hello")?;
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/unixsock.go UnixConn
#[derive(Debug)]
#[doc(alias = "UnixStream", alias = "UnixDatagram")]
pub struct UnixConn {
    fd: NetFd<UnixAddr>,
    peer: Peer,
    read_timeout: Timeout,
    write_timeout: Timeout,
}

impl UnixConn {
    pub(crate) fn net_fd(&self) -> &NetFd<UnixAddr> {
        &self.fd
    }

    pub(crate) fn new(fd: NetFd<UnixAddr>) -> UnixConn {
        let peer = Peer::new(fd.raddr.is_some());
        UnixConn { fd, peer, read_timeout: Timeout::default(), write_timeout: Timeout::default() }
    }

    fn clone_with(&self, fd: NetFd<UnixAddr>) -> UnixConn {
        let raddr = self.raddr();
        UnixConn::new(NetFd { raddr, ..fd })
    }

    /// Connects to the stream socket that listens at `name`: a path, or an abstract name with `@` before it.
    ///
    /// Waits if the listener's queue is full, as std does. (Go's `Dial` fails then.)
    ///
    /// # Errors
    ///
    /// An [`OpError`]: what connect(2) says.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UnixConn::connect("/run/app.sock")?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn connect<P: AsRef<Path>>(name: P) -> io::Result<UnixConn> {
        UnixConn::connect_addr(&UnixAddr::new(name.as_ref()))
    }

    /// Connects to the socket at `addr`, on the network that it belongs to.
    ///
    /// # Errors
    ///
    /// As [`UnixConn::connect`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{UnixAddr, UnixConn};
    ///
    /// let conn = UnixConn::connect_addr(&UnixAddr::resolve("unixpacket", "@app").unwrap())?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/unixsock.go DialUnix
    #[doc(alias = "DialUnix")]
    pub fn connect_addr(addr: &UnixAddr) -> io::Result<UnixConn> {
        Dialer::new().dial_unix(addr.network(), None, Some(addr))
    }

    /// A socket for datagrams that is bound to `name`: a path, or an abstract name with `@` before it; if it is empty,
    /// Linux chooses an abstract one. The file stays when the socket is closed, as in Go and std.
    ///
    /// # Errors
    ///
    /// An [`OpError`]: what bind(2) says.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UnixConn::bind("/run/app.sock")?;
    /// let (n, from) = conn.recv_from(&mut [0; 512])?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn bind<P: AsRef<Path>>(name: P) -> io::Result<UnixConn> {
        UnixConn::bind_addr(&UnixAddr::new(name.as_ref()))
    }

    /// As [`UnixConn::bind`], to an address.
    ///
    /// # Errors
    ///
    /// As [`UnixConn::bind`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{UnixAddr, UnixConn};
    ///
    /// let conn = UnixConn::bind_addr(&UnixAddr::from_abstract_name(b"app")?)?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/unixsock.go ListenUnixgram
    #[doc(alias = "ListenUnixgram")]
    pub fn bind_addr(addr: &UnixAddr) -> io::Result<UnixConn> {
        UnixConn::bind_with(addr, &ListenOptions::default())
    }

    pub(crate) fn bind_with(addr: &UnixAddr, options: &ListenOptions<'_>) -> io::Result<UnixConn> {
        let addr = addr.clone().with_network(Network::Unixgram);
        match unix_sock::listen(Network::Unixgram, &addr, options) {
            Ok(fd) => Ok(UnixConn::new(fd)),
            Err(cause) => Err(OpError::new("listen", "unixgram", cause).with_addr(Some(addr.into())).into()),
        }
    }

    /// A socket for datagrams without a name.
    ///
    /// # Errors
    ///
    /// An [`OpError`]: no descriptor is free, or the runtime is not started.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UnixConn::unbound()?;
    /// conn.send_to(b"hello", "/run/app.sock")?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn unbound() -> io::Result<UnixConn> {
        let network = Network::Unixgram;
        unix_sock::socket(network)
            .and_then(|fd| NetFd::register_unix(fd, unix_sock::fd_kind(network), network, None))
            .map(UnixConn::new)
            .map_err(|cause| OpError::new("listen", "unixgram", cause).into())
    }

    /// Two streams that are connected with each other.
    ///
    /// # Errors
    ///
    /// An [`OpError`]: no descriptor is free, or the runtime is not started.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let (a, b) = gopark_net::UnixConn::pair()?;
    /// a.write_all(b"hello")?;
    /// assert_eq!(b.read(&mut [0; 8])?, 5);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn pair() -> io::Result<(UnixConn, UnixConn)> {
        UnixConn::pair_on(Network::Unix)
    }

    /// Two sockets of `network` (`unix`, `unixgram` or `unixpacket`) that are connected with each other.
    ///
    /// # Errors
    ///
    /// As [`UnixConn::pair`]; the network is none of these.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let (a, b) = gopark_net::UnixConn::pair_of("unixpacket")?;
    /// a.write(b"hello, ")?;
    /// a.write(b"world")?;
    /// assert_eq!(b.read(&mut [0; 512])?, 7);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn pair_of(network: &str) -> io::Result<(UnixConn, UnixConn)> {
        match UnixAddr::resolve(network, "") {
            Ok(addr) => UnixConn::pair_on(addr.net()),
            Err(e) => Err(OpError::new("dial", network.to_owned(), e).into()),
        }
    }

    fn pair_on(network: Network) -> io::Result<(UnixConn, UnixConn)> {
        let peer = || Some(UnixAddr::new("@").with_network(network));
        let register = |fd| NetFd::register_unix(fd, unix_sock::fd_kind(network), network, peer());
        let made = unix_sock::pair(network).and_then(|(a, b)| Ok((register(a)?, register(b)?)));
        match made {
            Ok((a, b)) => Ok((UnixConn::new(a), UnixConn::new(b))),
            Err(cause) => Err(OpError::new("dial", network.as_str(), cause).into()),
        }
    }

    /// Reads some bytes, or a datagram or packet; waits for it. `Ok(0)` at once if `buf` is empty.
    ///
    /// # Errors
    ///
    /// An [`OpError`]: the connection is closed, the deadline passed, or what read(2) says. Nothing was read.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UnixConn::connect("/run/app.sock")?;
    /// let n = conn.read(&mut [0; 512])?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.Read
    #[inline]
    pub fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.begin_read()?;
        self.fd.pfd.read(buf).map_err(|e| self.wrap("read", "read", e))
    }

    /// [`UnixConn::read`] into several buffers.
    ///
    /// # Errors
    ///
    /// As [`UnixConn::read`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::io::IoSliceMut;
    ///
    /// let conn = gopark_net::UnixConn::connect("/run/app.sock")?;
    /// let (mut head, mut body) = ([0; 4], [0; 512]);
    /// let n = conn.read_vectored(&mut [IoSliceMut::new(&mut head), IoSliceMut::new(&mut body)])?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.begin_read()?;
        self.fd.pfd.readv(bufs).map_err(|e| self.wrap("read", "readv", e))
    }

    /// [`UnixConn::read`] that does not wait.
    ///
    /// # Errors
    ///
    /// A bare `WouldBlock` (nothing is allocated) if there is nothing to read or somebody else is reading; otherwise
    /// as [`UnixConn::read`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UnixConn::connect("/run/app.sock")?;
    /// println!("{:?}", conn.try_read(&mut [0; 512]));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.begin_read()?;
        self.fd.pfd.try_read(buf).map_err(|e| self.wrap_try("read", "read", e))
    }

    /// [`UnixConn::read`] for a future: see [`TcpConn`](crate::TcpConn#futures).
    ///
    /// # Errors
    ///
    /// As [`UnixConn::read`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::future::poll_fn;
    /// use gopark_net::block_on;
    ///
    /// let conn = gopark_net::UnixConn::connect("/run/app.sock")?;
    /// let mut buf = [0; 512];
    /// let n = block_on(poll_fn(|cx| conn.poll_read(cx, &mut buf)))?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.begin_poll_read()?;
        self.fd.pfd.poll_read(cx, buf).map_err(|e| self.wrap("read", "read", e))
    }

    /// What would be read next, without taking it; waits for it. Descriptors that would come with it are not passed.
    ///
    /// # Errors
    ///
    /// As [`UnixConn::read`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UnixConn::connect("/run/app.sock")?;
    /// let mut first = [0];
    /// conn.peek(&mut first)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.begin_read()?;
        self.fd.pfd.peek(buf).map_err(|e| self.wrap("read", "recvfrom", e))
    }

    /// Writes some bytes of `buf`, or all of it as one datagram or packet; waits for room.
    ///
    /// # Errors
    ///
    /// An [`OpError`]: the connection is closed, the deadline passed, or what send(2) says; `ENOTCONN` on a socket for
    /// datagrams without a peer. Nothing was written.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UnixConn::connect("/run/app.sock")?;
    /// let n = conn.write(b"hello")?;
    /// # std::io::Result::Ok(())
    /// ```
    #[inline]
    pub fn write(&self, buf: &[u8]) -> io::Result<usize> {
        self.begin_write()?;
        self.fd.pfd.write(buf).map_err(|e| self.wrap("write", "write", e))
    }

    /// Writes all of `buf`. No other writer gets in between.
    ///
    /// # Errors
    ///
    /// As [`UnixConn::write`], but part of `buf` may have been written: [`OpError::written`] says how much.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UnixConn::connect("/run/app.sock")?;
    /// conn.write_all(b"hello")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.Write
    #[inline]
    pub fn write_all(&self, buf: &[u8]) -> io::Result<()> {
        self.begin_write()?;
        match self.fd.pfd.write_all(buf) {
            Ok(_) => Ok(()),
            Err(partial) => Err(self.partial_error("write", partial)),
        }
    }

    /// [`UnixConn::write`] from several buffers; one datagram or packet of them all.
    ///
    /// # Errors
    ///
    /// As [`UnixConn::write`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::io::IoSlice;
    ///
    /// let conn = gopark_net::UnixConn::connect("/run/app.sock")?;
    /// conn.write_vectored(&[IoSlice::new(b"hello, "), IoSlice::new(b"world")])?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.begin_write()?;
        let written = if self.fd.pfd.kind().stream {
            self.fd.pfd.write_vectored(bufs)
        } else {
            self.fd.pfd.write_with(|fd| write_packet(fd, bufs))
        };
        written.map_err(|e| self.wrap("write", "writev", e))
    }

    /// [`UnixConn::write_vectored`] for a future: see [`TcpConn`](crate::TcpConn#futures).
    ///
    /// # Errors
    ///
    /// As [`UnixConn::write`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::future::poll_fn;
    /// use std::io::IoSlice;
    /// use gopark_net::block_on;
    ///
    /// let conn = gopark_net::UnixConn::connect("/run/app.sock")?;
    /// let bufs = [IoSlice::new(b"hello, "), IoSlice::new(b"world")];
    /// let n = block_on(poll_fn(|cx| conn.poll_write_vectored(cx, &bufs)))?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn poll_write_vectored(&self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.begin_poll_write()?;
        let written = if self.fd.pfd.kind().stream {
            self.fd.pfd.poll_write_vectored(cx, bufs)
        } else {
            self.fd.pfd.poll_write_with(cx, |fd| write_packet(fd, bufs))
        };
        written.map_err(|e| self.wrap("write", "writev", e))
    }

    /// [`UnixConn::write_all`] from several buffers, in as few system calls as it takes.
    ///
    /// # Errors
    ///
    /// As [`UnixConn::write_all`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::io::IoSlice;
    ///
    /// let conn = gopark_net::UnixConn::connect("/run/app.sock")?;
    /// conn.write_all_vectored(&mut [IoSlice::new(b"head"), IoSlice::new(b"body")])?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go Buffers.WriteTo
    #[doc(alias = "Buffers")]
    pub fn write_all_vectored(&self, bufs: &mut [IoSlice<'_>]) -> io::Result<()> {
        if !self.fd.pfd.kind().stream {
            return self.write_vectored(bufs).map(drop);
        }
        self.begin_write()?;
        match self.fd.pfd.write_vectored_all(bufs) {
            Ok(_) => Ok(()),
            Err(partial) => Err(self.partial_error("writev", partial)),
        }
    }

    /// [`UnixConn::write`] that does not wait.
    ///
    /// # Errors
    ///
    /// A bare `WouldBlock` (nothing is allocated) if there is no room or somebody else is writing; otherwise as
    /// [`UnixConn::write`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UnixConn::connect("/run/app.sock")?;
    /// println!("{:?}", conn.try_write(b"hello"));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.begin_write()?;
        self.fd.pfd.try_write(buf).map_err(|e| self.wrap_try("write", "write", e))
    }

    /// [`UnixConn::write`] for a future: see [`TcpConn`](crate::TcpConn#futures).
    ///
    /// # Errors
    ///
    /// As [`UnixConn::write`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::future::poll_fn;
    /// use gopark_net::block_on;
    ///
    /// let conn = gopark_net::UnixConn::connect("/run/app.sock")?;
    /// let n = block_on(poll_fn(|cx| conn.poll_write(cx, b"hello")))?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.begin_poll_write()?;
        self.fd.pfd.poll_write(cx, buf).map_err(|e| self.wrap("write", "write", e))
    }

    /// Shuts down one direction or both. The socket stays open, and must still be closed.
    ///
    /// # Errors
    ///
    /// It is closed; `NotConnected` if it has no peer.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::net::Shutdown;
    ///
    /// let conn = gopark_net::UnixConn::connect("/run/app.sock")?;
    /// conn.shutdown(Shutdown::Write)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.fd.pfd.shutdown(how).map_err(|e| self.wrap("close", "shutdown", e))
    }

    /// No more reading: reads in progress, and later ones, find the end; the peer's writes fail with `EPIPE`.
    ///
    /// # Errors
    ///
    /// As [`UnixConn::shutdown`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UnixConn::connect("/run/app.sock")?;
    /// conn.close_read()?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/unixsock.go UnixConn.CloseRead
    pub fn close_read(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Read)
    }

    /// No more writing: the peer finds the end after what was written, and can still send.
    ///
    /// # Errors
    ///
    /// As [`UnixConn::shutdown`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UnixConn::connect("/run/app.sock")?;
    /// conn.write_all(b"question")?;
    /// conn.close_write()?;
    /// let n = conn.read(&mut [0; 512])?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/unixsock.go UnixConn.CloseWrite
    pub fn close_write(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    #[cold]
    fn partial_error(&self, op: &'static str, (written, e): Partial) -> io::Error {
        let syscall = if op == "writev" { "writev" } else { "write" };
        OpError { written, ..self.op_error(op, Cause::from_poll(syscall, e)) }.into()
    }
}

/// In one call, or there would be two of them; so no more buffers than one call takes.
fn write_packet(fd: &SysFd, bufs: &[IoSlice<'_>]) -> gopark_sys::Result<usize> {
    /// `IOV_MAX` of limits(7).
    const BUFS_MAX: usize = 1024;
    if bufs.len() > BUFS_MAX { Err(Errno::EMSGSIZE) } else { rw::writev(fd, bufs) }
}

conn_methods!(UnixConn, UnixAddr, "gopark_net::UnixConn::connect(\"/run/app.sock\")?");
impl_conn!(UnixConn, stream_endpoint);
impl_packet_conn!(UnixConn, Unix, recv_from);
