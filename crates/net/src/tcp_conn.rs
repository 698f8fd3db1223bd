//! `TcpConn`. Go: `net/tcpsock.go`, and the `conn` of `net/net.go`.
//!
//! * this file: making, reading, writing, closing, deadlines;
//! * `tcp_conn/options.rs`: socket options and the descriptor;
//! * `tcp_conn/impls.rs`: the traits of std and `Conn`.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use gopark_poll::{FdKind, Partial};

use crate::error::{Cause, OpError};
use crate::fd::NetFd;
use crate::tcp_listener::resolve;
use crate::{Dialer, OpError as Op};

mod impls;
mod options;

/// A TCP connection.
///
/// Made by [`TcpConn::connect`], as in std; by [`dial`](crate::dial) or a [`Dialer`], as in Go; or accepted from a
/// [`TcpListener`](crate::TcpListener). `TCP_NODELAY` and keep-alive are set. Dropping it closes it.
///
/// Every call takes `&self`: one goroutine may read while another writes. The calls look blocking; a goroutine that waits
/// holds no thread. They work on plain threads too, which then wait themselves.
///
/// Calls that wait may return on another thread: see the contract of [`Runtime::start`](crate::Runtime::start).
///
/// # Differences from Go and std
///
/// * [`write`](TcpConn::write) keeps std's contract (some bytes, an error only if there were none);
///   [`write_all`](TcpConn::write_all) is Go's `Write`: all of it, with no other writer in between, and the count of what
///   was written in the error.
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

/// A time limit for each call, as std has it: nanoseconds, 0 for none. Not in Go. The deadline is moved before each call,
/// which costs a clock and a comparison as long as it moves later.
///
/// | value | meaning | set by | cleared by |
/// |---|---|---|---|
/// | 0 | none; deadlines are the caller's own | initial | |
/// | n | each call sets a deadline n ns ahead | `set_read_timeout`, `set_write_timeout` | those, and the deadline setters |
///
/// Relaxed: a call that overlaps with the setter may go by either.
#[derive(Debug, Default)]
struct Timeout(AtomicU64);

impl Timeout {
    fn set(&self, timeout: Option<Duration>) {
        let nanos = timeout.map_or(0, |t| u64::try_from(t.as_nanos()).unwrap_or(u64::MAX));
        self.0.store(nanos, Relaxed);
    }

    fn get(&self) -> Option<Duration> {
        Some(self.0.load(Relaxed)).filter(|&nanos| nanos != 0).map(Duration::from_nanos)
    }

    /// The deadline of a call that begins now. `Some(None)`: the timeout is longer than the clock goes.
    fn deadline(&self) -> Option<Option<Instant>> {
        self.get().map(|timeout| Instant::now().checked_add(timeout))
    }
}

/// A zero timeout is refused, as std does: it is more often a mistake than meant, and there is `try_read`.
fn check_timeout(timeout: Option<Duration>) -> io::Result<()> {
    if timeout == Some(Duration::ZERO) {
        let text = "a timeout of zero would always have passed: use try_read, try_write or a deadline";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(())
}

impl TcpConn {
    pub(crate) fn new(fd: NetFd) -> TcpConn {
        TcpConn { fd, read_timeout: Timeout::default(), write_timeout: Timeout::default() }
    }

    /// Connects to the first of `addr`'s addresses that answers. They are tried one after the other; see
    /// [`dial`](crate::dial) for two families at a time.
    ///
    /// May block.
    ///
    /// # Errors
    ///
    /// The error of the first address (std: of the last; the first tells more); those of the name's resolution, bare.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect(("127.0.0.1", 8080))?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<TcpConn> {
        let addrs: Vec<SocketAddr> = resolve(&addr, "dial")?.collect();
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
    /// A bare `WouldBlock` (nothing is allocated) if there is nothing to read or somebody else is reading; otherwise
    /// as [`TcpConn::read`].
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
        self.fd.pfd.try_read(buf).map_err(|e| self.fd.wrap_try("read", "read", e))
    }

    /// Looks at what [`TcpConn::read`] would give, without taking it; waits for at least a byte. `Ok(0)` is the end.
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

    /// Waits until a read would not wait: there is data, or the end, or an error. Without a buffer, so that an idle
    /// connection needs none (golang/go#15735).
    ///
    /// # Errors
    ///
    /// The connection is closed, or the deadline passed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// conn.readable()?;
    /// let mut buf = vec![0; 64 * 1024];
    /// let n = conn.read(&mut buf)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn readable(&self) -> io::Result<()> {
        self.begin_read()?;
        self.fd.pfd.readable().map_err(|e| self.fd.wrap("read", "poll", e))
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
        self.fd.pfd.try_write(buf).map_err(|e| self.fd.wrap_try("write", "write", e))
    }

    /// Waits until a write would not wait.
    ///
    /// # Errors
    ///
    /// The connection is closed, or the deadline passed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// conn.writable()?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn writable(&self) -> io::Result<()> {
        self.begin_write()?;
        self.fd.pfd.writable().map_err(|e| self.fd.wrap("write", "poll", e))
    }

    /// Closes the connection: every call in progress, on whichever goroutine or thread, fails with the closed error. What
    /// was written is still delivered. When this returns, the descriptor is free.
    ///
    /// # Errors
    ///
    /// The closed error the second time; what close(2) says. It is closed in any case.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// conn.close()?;
    /// assert!(gopark_net::is_closed(&conn.read(&mut [0]).unwrap_err()));
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.Close
    pub fn close(&self) -> io::Result<()> {
        self.fd.close()
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

    /// The time after which reads and writes fail with `TimedOut`: those in progress too, and even if they would not have
    /// to wait. `None`: never. It stays until it is set again; a later one, or none, makes the connection work again.
    ///
    /// Moving it later (an idle timeout) costs no more than an uncontended lock. Ends the timeouts set by
    /// [`TcpConn::set_read_timeout`] and [`TcpConn::set_write_timeout`].
    ///
    /// # Errors
    ///
    /// The connection is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::{Duration, Instant};
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// conn.set_deadline(Some(Instant::now() + Duration::from_secs(10)))?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.SetDeadline
    pub fn set_deadline(&self, t: Option<Instant>) -> io::Result<()> {
        self.read_timeout.set(None);
        self.write_timeout.set(None);
        self.fd.pfd.set_deadline(t).map_err(|e| self.fd.local_error(e))
    }

    /// As [`TcpConn::set_deadline`], for reads only.
    ///
    /// # Errors
    ///
    /// The connection is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::{Duration, Instant};
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// conn.set_read_deadline(Some(Instant::now() + Duration::from_secs(10)))?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.SetReadDeadline
    pub fn set_read_deadline(&self, t: Option<Instant>) -> io::Result<()> {
        self.read_timeout.set(None);
        self.fd.pfd.set_read_deadline(t).map_err(|e| self.fd.local_error(e))
    }

    /// As [`TcpConn::set_deadline`], for writes only.
    ///
    /// # Errors
    ///
    /// The connection is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::{Duration, Instant};
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// conn.set_write_deadline(Some(Instant::now() + Duration::from_secs(10)))?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.SetWriteDeadline
    pub fn set_write_deadline(&self, t: Option<Instant>) -> io::Result<()> {
        self.write_timeout.set(None);
        self.fd.pfd.set_write_deadline(t).map_err(|e| self.fd.local_error(e))
    }

    /// How long each read may wait, from its beginning. `None`: for ever. Replaces the read deadline.
    ///
    /// Two reads at a time share one limit, that of the later one.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `timeout` is zero; the connection is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// conn.set_read_timeout(Some(Duration::from_secs(10)))?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        check_timeout(timeout)?;
        self.set_read_deadline(None)?;
        self.read_timeout.set(timeout);
        Ok(())
    }

    /// How long each write may wait, from its beginning; [`TcpConn::write_all`] counts as one. `None`: for ever. Replaces
    /// the write deadline.
    ///
    /// # Errors
    ///
    /// As [`TcpConn::set_read_timeout`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// conn.set_write_timeout(Some(Duration::from_secs(10)))?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        check_timeout(timeout)?;
        self.set_write_deadline(None)?;
        self.write_timeout.set(timeout);
        Ok(())
    }

    /// The timeout set by [`TcpConn::set_read_timeout`].
    ///
    /// # Errors
    ///
    /// None; the result is std's.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// assert_eq!(conn.read_timeout()?, None);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.read_timeout.get())
    }

    /// The timeout set by [`TcpConn::set_write_timeout`].
    ///
    /// # Errors
    ///
    /// None; the result is std's.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// assert_eq!(conn.write_timeout()?, None);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.write_timeout.get())
    }

    #[inline]
    fn begin_read(&self) -> io::Result<()> {
        match self.read_timeout.deadline() {
            None => Ok(()),
            Some(deadline) => {
                self.fd.pfd.set_read_deadline(deadline).map_err(|e| self.fd.wrap("read", "read", e))
            }
        }
    }

    #[inline]
    fn begin_write(&self) -> io::Result<()> {
        match self.write_timeout.deadline() {
            None => Ok(()),
            Some(deadline) => {
                self.fd.pfd.set_write_deadline(deadline).map_err(|e| self.fd.wrap("write", "write", e))
            }
        }
    }

    #[cold]
    fn partial_error(&self, op: &'static str, (written, e): Partial) -> io::Error {
        let syscall = if op == "writev" { "writev" } else { "write" };
        Op { written, ..self.fd.op_error(op, Cause::from_poll(syscall, e)) }.into()
    }

    /// Takes over a connection of std, which becomes non-blocking. Its options are left alone.
    ///
    /// # Errors
    ///
    /// The runtime is not started; it is not connected; the system says so. Then `conn` is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = std::net::TcpStream::connect("127.0.0.1:7")?;
    /// let conn = gopark_net::TcpConn::from_std(conn)?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/file.go FileConn
    #[doc(alias = "FileConn")]
    pub fn from_std(conn: std::net::TcpStream) -> io::Result<TcpConn> {
        let failed = |cause| io::Error::from(OpError::new("file", "tcp", cause));
        conn.set_nonblocking(true).map_err(|e| failed(Cause::from_io("fcntl", e)))?;
        let raddr = conn.peer_addr().map_err(|e| failed(Cause::from_io("getpeername", e)))?;
        let network = crate::ipsock::Network::Tcp;
        let fd = NetFd::register(conn.into(), FdKind::TCP, network, Some(raddr.into())).map_err(failed)?;
        Ok(TcpConn::new(fd))
    }

    /// Hands the connection over to std, in blocking mode. Clones of it are blocking then too, since they share the mode:
    /// a read on one occupies a thread.
    ///
    /// # Errors
    ///
    /// The connection is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// let conn: std::net::TcpStream = conn.into_std()?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.File
    pub fn into_std(self) -> io::Result<std::net::TcpStream> {
        let closed = self.fd.op_error("file", Cause::Closed);
        let fd = self.fd.pfd.into_owned().ok_or(closed)?;
        let conn = std::net::TcpStream::from(fd);
        conn.set_nonblocking(false)?;
        Ok(conn)
    }

    /// Another handle for the same connection, as in std: what one reads the other does not see, and the connection ends
    /// when both are closed. Each has deadlines, timeouts and locks of its own, so writers on different handles can
    /// interleave. To share a connection between goroutines, an `Arc` is cheaper: no descriptor.
    ///
    /// # Errors
    ///
    /// The connection is closed, or no descriptor is free.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// let other = conn.try_clone()?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.File
    pub fn try_clone(&self) -> io::Result<TcpConn> {
        let fd = self.fd.pfd.dup().map_err(|e| self.fd.wrap("file", "fcntl", e))?;
        // Not the hint's kind: two descriptors that read from one socket take data from under each other, and then a
        // short read proves nothing. `dup` has ended it for this one.
        let fd = NetFd::register(fd, FdKind::STREAM, self.fd.network, self.fd.raddr)
            .map_err(|cause| self.fd.op_error("file", cause))?;
        let clone = TcpConn::new(fd);
        clone.read_timeout.set(self.read_timeout.get());
        clone.write_timeout.set(self.write_timeout.get());
        Ok(clone)
    }
}
