//! `TcpConn`. Go: `net/tcpsock.go`, and the `conn` of `net/net.go`.
//!
//! * this file: connecting, reading, writing, closing;
//! * `conn_methods.rs`: what it shares with all connections, deadlines and timeouts among it;
//! * `tcp_conn/convert.rs`: to std and back, clones;
//! * `tcp_conn/options.rs`: socket options;
//! * `tcp_conn/task.rs`: for futures and callbacks;
//! * `tcp_conn/split.rs`: the halves;
//! * `tcp_conn/impls.rs`: the traits of std and `Conn`.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use gopark_poll::Partial;

use crate::Dialer;
use crate::addr::TcpAddr;
use crate::conn_methods::conn_methods;
use crate::error::{Cause, OpError};
use crate::fd::NetFd;
use crate::lookup::to_socket_addrs;
use crate::timeout::{Timeout, check_timeout};

mod convert;
mod impls;
mod options;
mod split;
mod task;

pub use split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};

/// A TCP connection.
///
/// Made by [`TcpConn::connect`], as in std; by [`dial`](crate::dial) or a [`Dialer`], as in Go; or accepted from a
/// [`TcpListener`](crate::TcpListener). `TCP_NODELAY` and keep-alive are set. Dropping it closes it.
///
/// Every call takes `&self`: one goroutine may read while another writes. The calls look blocking; a
/// goroutine that waits holds no thread. They work on plain threads too, which then wait themselves.
///
/// Calls that wait may return on another thread: see the contract of [`Runtime::start`](crate::Runtime::start).
///
/// # Differences from Go and std
///
/// * [`write`](TcpConn::write) keeps std's contract (some bytes, an error only if there were none);
///   [`write_all`](TcpConn::write_all) is Go's `Write`: all of it, with no other writer in between, and the
///   count of what was written in the error.
/// * The end of the stream is `Ok(0)`, as in std.
/// * A deadline that passes is `TimedOut`, never `WouldBlock`.
///
/// # Examples
///
/// ```no_run
/// use std::io::{Read, Write};
///
/// let mut conn = gopark_net::TcpConn::connect("example.com:80")?;
/// conn.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
/// let mut page = String::new();
/// conn.read_to_string(&mut page)?;
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/tcpsock.go TCPConn
#[derive(Debug)]
#[doc(alias = "TCPConn")]
pub struct TcpConn {
    fd: NetFd,
    read_timeout: Timeout,
    write_timeout: Timeout,
}

impl TcpConn {
    pub(crate) fn net_fd(&self) -> &NetFd {
        &self.fd
    }

    pub(crate) fn new(fd: NetFd) -> TcpConn {
        TcpConn { fd, read_timeout: Timeout::default(), write_timeout: Timeout::default() }
    }

    fn clone_with(&self, fd: NetFd) -> TcpConn {
        TcpConn::new(fd)
    }

    /// Connects to the first of `addr`'s addresses that answers. They are tried one after the other; see
    /// [`dial`](crate::dial) for two families at a time.
    ///
    /// May block.
    ///
    /// # Errors
    ///
    /// The error of the first address (std: of the last; the first tells more); those of the name's
    /// resolution, bare.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect(("127.0.0.1", 8080))?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<TcpConn> {
        let addrs: Vec<SocketAddr> = to_socket_addrs(&addr, "dial")?.collect();
        Dialer::new().dial_resolved(&addrs)
    }

    /// Connects to `addr` in no more than `timeout`.
    ///
    /// May block.
    ///
    /// # Errors
    ///
    /// An [`OpError`]; `TimedOut` if the time is up; `InvalidInput` if `timeout` is zero.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let addr = "127.0.0.1:8080".parse().unwrap();
    /// let conn = gopark_net::TcpConn::connect_timeout(&addr, Duration::from_secs(1))?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn connect_timeout(addr: &SocketAddr, timeout: Duration) -> io::Result<TcpConn> {
        check_timeout(Some(timeout))?;
        Dialer::new().timeout(timeout).dial_resolved(&[*addr])
    }

    /// Reads some bytes; waits for at least one. `Ok(0)` is the end, or `buf` is empty.
    ///
    /// # Errors
    ///
    /// An [`OpError`]: the connection is closed, the deadline passed, or what read(2) says. Nothing was read.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// let mut buf = [0; 512];
    /// let n = conn.read(&mut buf)?;
    /// println!("{:?}", &buf[..n]);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.Read
    #[inline]
    pub fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.begin_read()?;
        self.fd.pfd.read(buf).map_err(|e| self.fd.wrap("read", "read", e))
    }

    /// [`TcpConn::read`] into several buffers.
    ///
    /// # Errors
    ///
    /// As [`TcpConn::read`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::io::IoSliceMut;
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// let (mut head, mut body) = ([0; 4], [0; 512]);
    /// let n = conn.read_vectored(&mut [IoSliceMut::new(&mut head), IoSliceMut::new(&mut body)])?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.begin_read()?;
        self.fd.pfd.readv(bufs).map_err(|e| self.fd.wrap("read", "readv", e))
    }

    /// [`TcpConn::read`] that does not wait.
    ///
    /// # Errors
    ///
    /// A bare `WouldBlock` (nothing is allocated) if there is nothing to read or somebody else is reading;
    /// otherwise as [`TcpConn::read`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::io::ErrorKind;
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// match conn.try_read(&mut [0; 512]) {
    ///     Err(e) if e.kind() == ErrorKind::WouldBlock => println!("nothing yet"),
    ///     result => println!("{result:?}"),
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        // Also here: the time of an earlier call that was timed out may have left the deadline expired.
        self.begin_read()?;
        self.fd.pfd.try_read(buf).map_err(|e| self.fd.wrap_try("read", "read", e))
    }

    /// Looks at what [`TcpConn::read`] would give, without taking it; waits for at least a byte. `Ok(0)` is
    /// the end.
    ///
    /// # Errors
    ///
    /// As [`TcpConn::read`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// let mut first = [0];
    /// conn.peek(&mut first)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.begin_read()?;
        self.fd.pfd.peek(buf).map_err(|e| self.fd.wrap("read", "recvfrom", e))
    }

    /// Writes some bytes of `buf` and returns how many; waits for room for at least one.
    ///
    /// # Errors
    ///
    /// An [`OpError`]: the connection is closed, the deadline passed, or what write(2) says. Nothing was written.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// let n = conn.write(b"hello")?;
    /// assert!((1..=5).contains(&n));
    /// # std::io::Result::Ok(())
    /// ```
    #[inline]
    pub fn write(&self, buf: &[u8]) -> io::Result<usize> {
        self.begin_write()?;
        self.fd.pfd.write(buf).map_err(|e| self.fd.wrap("write", "write", e))
    }

    /// Writes all of `buf`. No other writer gets in between.
    ///
    /// A write timeout counts for the whole of it.
    ///
    /// # Errors
    ///
    /// As [`TcpConn::write`], but part of `buf` may have been written: [`OpError::written`] says how much.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::OpError;
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// if let Err(e) = conn.write_all(b"hello") {
    ///     let written = OpError::of(&e).map_or(0, |e| e.written);
    ///     eprintln!("{e} after {written} bytes");
    /// }
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

    /// [`TcpConn::write`] from several buffers.
    ///
    /// # Errors
    ///
    /// As [`TcpConn::write`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::io::IoSlice;
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// conn.write_vectored(&[IoSlice::new(b"hello, "), IoSlice::new(b"world")])?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.begin_write()?;
        self.fd.pfd.write_vectored(bufs).map_err(|e| self.fd.wrap("write", "writev", e))
    }

    /// [`TcpConn::write_all`] from several buffers, in as few system calls as it takes.
    ///
    /// # Errors
    ///
    /// As [`TcpConn::write_all`]. `bufs` has advanced past what was written in any case.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::io::IoSlice;
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// conn.write_all_vectored(&mut [IoSlice::new(b"head\r\n\r\n"), IoSlice::new(b"body")])?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go Buffers.WriteTo
    #[doc(alias = "Buffers")]
    pub fn write_all_vectored(&self, bufs: &mut [IoSlice<'_>]) -> io::Result<()> {
        self.begin_write()?;
        match self.fd.pfd.write_vectored_all(bufs) {
            Ok(_) => Ok(()),
            Err(partial) => Err(self.partial_error("writev", partial)),
        }
    }

    /// [`TcpConn::write`] that does not wait.
    ///
    /// # Errors
    ///
    /// A bare `WouldBlock` (nothing is allocated) if there is no room or somebody else is writing; otherwise as
    /// [`TcpConn::write`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// println!("{:?}", conn.try_write(b"hello"));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.begin_write()?;
        self.fd.pfd.try_write(buf).map_err(|e| self.fd.wrap_try("write", "write", e))
    }

    /// Shuts down one direction or both. The connection stays open, and must still be closed.
    ///
    /// # Errors
    ///
    /// The connection is closed; `NotConnected` if the peer has reset it.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::net::Shutdown;
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// conn.shutdown(Shutdown::Write)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.fd.pfd.shutdown(how).map_err(|e| self.fd.wrap("close", "shutdown", e))
    }

    /// No more reading: reads in progress, and later ones, find the end.
    ///
    /// # Errors
    ///
    /// As [`TcpConn::shutdown`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// conn.close_read()?;
    /// assert_eq!(conn.read(&mut [0])?, 0);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/tcpsock.go TCPConn.CloseRead
    pub fn close_read(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Read)
    }

    /// No more writing: the peer finds the end after what was written, and can still send.
    ///
    /// # Errors
    ///
    /// As [`TcpConn::shutdown`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// conn.write_all(b"question")?;
    /// conn.close_write()?;
    /// let n = conn.read(&mut [0; 512])?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/tcpsock.go TCPConn.CloseWrite
    pub fn close_write(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    #[cold]
    fn partial_error(&self, op: &'static str, (written, e): Partial) -> io::Error {
        let syscall = if op == "writev" { "writev" } else { "write" };
        OpError { written, ..self.fd.op_error(op, Cause::from_poll(syscall, e)) }.into()
    }
}

conn_methods!(TcpConn, TcpAddr, "gopark_net::TcpConn::connect(\"127.0.0.1:7\")?");
