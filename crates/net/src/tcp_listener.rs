//! `TcpListener`. Go: `net/tcpsock.go`.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use gopark_poll::{FdGuard, FdKind};
use gopark_sched::context;
use socket2::SockRef;

use crate::addr::TcpAddr;
use crate::conn_methods::check_nonblocking;
use crate::error::{Cause, OpError};
use crate::fd::NetFd;
use crate::ipsock::Network;
use crate::lookup::to_socket_addrs;
use crate::sock::{accepted_kind, set_conn_options};
use crate::{Addr, Conn, ContextGuard, Incoming, KeepAliveConfig, ListenConfig, Listener, RawConn, TcpConn};

/// A socket that TCP connections are accepted from.
///
/// Made by [`TcpListener::bind`], as in std; by [`listen`](crate::listen), as in Go; or by a
/// [`ListenConfig`]. Dropping it closes it.
///
/// # Examples
///
/// ```no_run
/// use gopark_net::{TcpListener, go};
///
/// let ln = TcpListener::bind("127.0.0.1:8080")?;
/// for conn in ln.incoming() {
///     let conn = conn?;
///     go(move || conn.write_all(b"hello\n"));
/// }
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/tcpsock.go TCPListener
#[derive(Debug)]
#[doc(alias = "TCPListener")]
pub struct TcpListener {
    fd: NetFd,
    /// What to set on each connection; none if they inherit it.
    keep_alive: Option<KeepAliveConfig>,
    /// Of what is accepted.
    conn_kind: FdKind,
}

impl TcpListener {
    pub(crate) fn new(fd: NetFd, keep_alive: Option<KeepAliveConfig>, multipath: bool) -> TcpListener {
        // The hint is for plain TCP alone.
        let conn_kind = if multipath { FdKind::STREAM } else { FdKind::TCP };
        TcpListener { fd, keep_alive, conn_kind }
    }

    pub(crate) fn net_fd(&self) -> &NetFd {
        &self.fd
    }

    /// Listens on the first of `addr`'s addresses that works.
    ///
    /// `SO_REUSEADDR` is set, and the queue is as long as the system allows. As in std, `0.0.0.0` is IPv4
    /// only; `[::]` takes both families.
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
    /// let ln = gopark_net::TcpListener::bind(("127.0.0.1", 0))?;
    /// println!("listening on port {}", ln.local_addr()?.port());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
        let config = ListenConfig::new();
        let mut last = OpError::new("listen", "tcp", Cause::MissingAddress).into();
        for addr in to_socket_addrs(&addr, "listen")? {
            match config.listen_resolved(addr) {
                Ok(ln) => return Ok(ln),
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    /// Waits for a connection.
    ///
    /// A connection that was gone before it could be accepted is passed over. The connection has
    /// `TCP_NODELAY` set, and keep-alive as configured.
    ///
    /// May block: see the contract of [`Runtime::start`](crate::Runtime::start).
    ///
    /// # Errors
    ///
    /// The listener is closed; the deadline passed; no descriptor is free (`EMFILE`, `ENFILE`: then the connection
    /// stays in the queue, and trying again at once would spin; [`TcpListener::incoming`] waits).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::TcpListener::bind("127.0.0.1:8080")?;
    /// let (conn, peer) = ln.accept()?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/tcpsock.go TCPListener.AcceptTCP
    #[doc(alias = "AcceptTCP")]
    pub fn accept(&self) -> io::Result<(TcpConn, SocketAddr)> {
        let (fd, peer) = self.fd.pfd.accept().map_err(|e| self.fd.wrap("accept", "accept4", e))?;
        self.accepted(fd, peer)
    }

    /// [`TcpListener::accept`] for a future: see the same of [`TcpConn`].
    ///
    /// # Errors
    ///
    /// As [`TcpListener::accept`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::future::poll_fn;
    /// use gopark_net::block_on;
    ///
    /// let ln = gopark_net::TcpListener::bind("127.0.0.1:8080")?;
    /// let (conn, peer) = block_on(poll_fn(|cx| ln.poll_accept(cx)))?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpConn, SocketAddr)>> {
        let accepted = ready!(self.fd.pfd.poll_accept(cx));
        let (fd, peer) = accepted.map_err(|e| self.fd.wrap("accept", "accept4", e))?;
        Poll::Ready(self.accepted(fd, peer))
    }

    fn accepted(&self, fd: OwnedFd, peer: SocketAddr) -> io::Result<(TcpConn, SocketAddr)> {
        if let Some(keep_alive) = &self.keep_alive {
            set_conn_options(&fd, keep_alive);
        }
        let peer = TcpAddr::from(peer);
        let fd = NetFd::register(fd, self.conn_kind, self.fd.network, Some(peer))
            .map_err(|cause| self.fd.op_error("accept", cause))?;
        Ok((TcpConn::new(fd), peer.std()))
    }

    /// The connections that arrive, one after the other.
    ///
    /// When no descriptor is free it waits, 5 ms and then twice as long each time up to a second, and tries
    /// again as soon as this process closes a connection; no connection is lost and no processor is burnt.
    /// All other errors are handed out. After that of a closed listener the iterator ends.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{TcpListener, go};
    ///
    /// let ln = TcpListener::bind("127.0.0.1:8080")?;
    /// for conn in ln.incoming() {
    ///     let conn = conn?;
    ///     go(move || conn.write_all(b"hello\n"));
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming::new(self)
    }

    /// The address that it listens on. Never fails.
    ///
    /// # Errors
    ///
    /// None; the result is std's.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::TcpListener::bind("127.0.0.1:0")?;
    /// assert_ne!(ln.local_addr()?.port(), 0);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.fd.laddr.std())
    }

    /// The address that it listens on.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::TcpListener::bind("127.0.0.1:0")?;
    /// println!("listening on {}", ln.addr());
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/tcpsock.go TCPListener.Addr
    pub fn addr(&self) -> Addr {
        self.fd.laddr.into()
    }

    /// Closes the listener: every `accept` in progress fails with the closed error. When this returns the
    /// port is free again.
    ///
    /// # Errors
    ///
    /// The closed error the second time.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::TcpListener::bind("127.0.0.1:0")?;
    /// ln.close()?;
    /// assert!(gopark_net::is_closed(&ln.close().unwrap_err()));
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/tcpsock.go TCPListener.Close
    pub fn close(&self) -> io::Result<()> {
        self.fd.close()
    }

    /// The time after which `accept` fails with `TimedOut`, also one in progress and even with a connection
    /// in the queue. `None`: never.
    ///
    /// # Errors
    ///
    /// The listener is closed. (An [`OpError`]; Go returns the bare cause here.)
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::{Duration, Instant};
    ///
    /// let ln = gopark_net::TcpListener::bind("127.0.0.1:0")?;
    /// ln.set_deadline(Some(Instant::now() + Duration::from_millis(100)))?;
    /// assert!(gopark_net::is_timeout(&ln.accept().unwrap_err()));
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/tcpsock.go TCPListener.SetDeadline
    pub fn set_deadline(&self, t: Option<Instant>) -> io::Result<()> {
        self.fd.pfd.set_deadline(t).map_err(|e| self.fd.local_error(e))
    }

    /// Another handle for the same socket: a connection goes to one of the two. Each has its own deadline and
    /// is closed on its own.
    ///
    /// # Errors
    ///
    /// The listener is closed, or no descriptor is free.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::TcpListener::bind("127.0.0.1:0")?;
    /// let other = ln.try_clone()?;
    /// assert_eq!(ln.local_addr()?, other.local_addr()?);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/tcpsock.go TCPListener.File
    pub fn try_clone(&self) -> io::Result<TcpListener> {
        let fd = self.fd.pfd.dup().map_err(|e| self.fd.wrap("file", "fcntl", e))?;
        let fd = NetFd::register(fd, FdKind::LISTENER, self.fd.network, None)
            .map_err(|cause| self.fd.op_error("file", cause))?;
        Ok(TcpListener { fd, keep_alive: self.keep_alive, conn_kind: self.conn_kind })
    }

    /// The pending error of the socket, which is cleared.
    ///
    /// # Errors
    ///
    /// The listener is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::TcpListener::bind("127.0.0.1:0")?;
    /// assert!(ln.take_error()?.is_none());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.fd.option("getsockopt", |socket| socket.take_error())
    }

    /// Sets the time to live (hops) of packets of accepted connections.
    ///
    /// # Errors
    ///
    /// The listener is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::TcpListener::bind("127.0.0.1:0")?;
    /// ln.set_ttl(64)?;
    /// assert_eq!(ln.ttl()?, 64);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.fd.option("setsockopt", |socket| socket.set_ttl_v4(ttl))
    }

    /// The time to live set by [`TcpListener::set_ttl`].
    ///
    /// # Errors
    ///
    /// The listener is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::TcpListener::bind("127.0.0.1:0")?;
    /// println!("ttl {}", ln.ttl()?);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn ttl(&self) -> io::Result<u32> {
        self.fd.option("getsockopt", |socket| socket.ttl_v4())
    }

    /// Whether IPv4 is kept out of this IPv6 socket (`IPV6_V6ONLY`): a `tcp6` listener.
    ///
    /// # Errors
    ///
    /// The listener is closed, or not one of IPv6.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::ListenConfig::new().listen_tcp("tcp6", "[::1]:0")?;
    /// assert!(ln.only_v6()?);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn only_v6(&self) -> io::Result<bool> {
        self.fd.option("getsockopt", |socket| socket.only_v6())
    }

    /// Only here because std has it: it must be set before the socket is bound, which this one is. Listen on `tcp6`
    /// instead, or set it in [`ListenConfig::control`].
    ///
    /// # Errors
    ///
    /// The listener is closed, or the system says so (`EINVAL` on Linux).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::TcpListener::bind("[::1]:0")?;
    /// assert!(ln.set_only_v6(true).is_err());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_only_v6(&self, only_v6: bool) -> io::Result<()> {
        self.fd.option("setsockopt", |socket| socket.set_only_v6(only_v6))
    }

    /// Only here to say that it cannot be: see the same of [`TcpConn`].
    ///
    /// # Errors
    ///
    /// `Unsupported` for `true`, with what to use instead. `false` is what it is already.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::TcpListener::bind("127.0.0.1:0")?;
    /// assert!(ln.set_nonblocking(true).is_err());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        check_nonblocking(nonblocking)
    }

    /// The descriptor for calls that this package does not have. Only [`RawConn::control`]; the two that wait are
    /// refused, as in Go, since `accept` is what waits here.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::TcpListener::bind("127.0.0.1:0")?;
    /// let domain = ln.raw_conn().control(|fd| socket2::SockRef::from(&fd).domain())??;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/tcpsock.go TCPListener.SyscallConn
    #[doc(alias = "SyscallConn")]
    pub fn raw_conn(&self) -> RawConn<'_> {
        RawConn::new(self)
    }

    /// A duplicate of the descriptor. Closing one does not close the other, and either accepts. The mode is shared, so
    /// the duplicate is non-blocking.
    ///
    /// # Errors
    ///
    /// The listener is closed, or no descriptor is free.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::TcpListener::bind("127.0.0.1:0")?;
    /// let fd: std::os::fd::OwnedFd = ln.file()?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/tcpsock.go TCPListener.File
    pub fn file(&self) -> io::Result<OwnedFd> {
        self.fd.file()
    }

    /// The descriptor, for calls that this crate does not have. It cannot be closed as long as the guard
    /// lives: `close` waits for that, so do not call it from the goroutine that holds the guard. The
    /// descriptor is non-blocking.
    ///
    /// # Errors
    ///
    /// The listener is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::os::fd::AsFd;
    ///
    /// let ln = gopark_net::TcpListener::bind("127.0.0.1:0")?;
    /// let fd = ln.fd()?;
    /// let number = fd.as_fd();
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/tcpsock.go TCPListener.SyscallConn
    pub fn fd(&self) -> io::Result<FdGuard<'_>> {
        self.fd.pfd.fd().map_err(|e| self.fd.wrap("raw-control", "fd", e))
    }

    /// Takes over a listener of std, which becomes non-blocking.
    ///
    /// # Errors
    ///
    /// The runtime is not started; the system says so. Then `ln` is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::TcpListener::from_std(std::net::TcpListener::bind("127.0.0.1:0")?)?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/file.go FileListener
    #[doc(alias = "FileListener")]
    pub fn from_std(ln: std::net::TcpListener) -> io::Result<TcpListener> {
        let failed = |cause| io::Error::from(OpError::new("file", "tcp", cause));
        ln.set_nonblocking(true).map_err(|e| failed(Cause::from_io("fcntl", e)))?;
        let conn_kind = accepted_kind(SockRef::from(&ln));
        let fd = NetFd::register(ln.into(), FdKind::LISTENER, Network::Tcp, None).map_err(failed)?;
        Ok(TcpListener { fd, keep_alive: Some(KeepAliveConfig::default()), conn_kind })
    }

    /// Hands the listener over to std, in blocking mode. Clones of it are blocking then too, since they share
    /// the mode: an `accept` on one occupies a thread.
    ///
    /// # Errors
    ///
    /// The listener is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::TcpListener::bind("127.0.0.1:0")?;
    /// let ln: std::net::TcpListener = ln.into_std()?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/tcpsock.go TCPListener.File
    pub fn into_std(self) -> io::Result<std::net::TcpListener> {
        let closed = self.fd.op_error("file", Cause::Closed);
        let fd = self.fd.pfd.into_owned().ok_or(closed)?;
        let ln = std::net::TcpListener::from(fd);
        ln.set_nonblocking(false)?;
        Ok(ln)
    }
}

impl Listener for TcpListener {
    fn accept(&self) -> io::Result<Box<dyn Conn>> {
        Ok(Box::new(TcpListener::accept(self)?.0))
    }

    fn close(&self) -> io::Result<()> {
        TcpListener::close(self)
    }

    fn addr(&self) -> Addr {
        TcpListener::addr(self)
    }

    fn attach_context(&self, ctx: &context::Context) -> io::Result<ContextGuard> {
        TcpListener::attach_context(self, ctx)
    }
}

impl<'a> IntoIterator for &'a TcpListener {
    type Item = io::Result<TcpConn>;
    type IntoIter = Incoming<'a>;

    fn into_iter(self) -> Incoming<'a> {
        self.incoming()
    }
}

/// The number, or -1 once the listener is closed. Another goroutine may close it at any time, and the number
/// may then be somebody else's: [`TcpListener::fd`] is safe from that.
impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.raw()
    }
}

/// In non-blocking mode.
///
/// # Panics
///
/// If the listener is closed; [`TcpListener::into_std`] returns an error instead.
impl From<TcpListener> for OwnedFd {
    fn from(ln: TcpListener) -> OwnedFd {
        ln.fd.pfd.into_owned().expect("the listener is not closed")
    }
}

/// Takes over a socket that listens. See [`TcpListener::from_std`].
impl TryFrom<OwnedFd> for TcpListener {
    type Error = io::Error;

    fn try_from(fd: OwnedFd) -> io::Result<TcpListener> {
        TcpListener::from_std(fd.into())
    }
}

/// As [`TcpListener::from_std`].
impl TryFrom<std::net::TcpListener> for TcpListener {
    type Error = io::Error;

    fn try_from(ln: std::net::TcpListener) -> io::Result<TcpListener> {
        TcpListener::from_std(ln)
    }
}

/// In non-blocking mode; whoever has the number must close it.
///
/// # Panics
///
/// If the listener is closed.
impl IntoRawFd for TcpListener {
    fn into_raw_fd(self) -> RawFd {
        OwnedFd::from(self).into_raw_fd()
    }
}

const _: () = {
    // What `fd()` returns is an `AsFd`; the listener itself cannot be one, since `close(&self)` could free
    // the number under a `BorrowedFd`.
    const fn is_as_fd<T: AsFd>() {}
    is_as_fd::<FdGuard<'_>>();
};
