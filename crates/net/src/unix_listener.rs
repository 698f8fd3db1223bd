//! `UnixListener`. Go: `net/unixsock.go`, `net/unixsock_posix.go`.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Poll, ready};
use std::time::Instant;

use gopark_poll::{FdGuard, FdKind, Mode};
use gopark_sched::context::Context;
use gopark_sys::{Errno, sock};
use socket2::SockAddr;

use crate::error::{Cause, OpError};
use crate::fd::NetFd;
use crate::ipsock::Network;
use crate::sock::ListenOptions;
use crate::unix_addr::UnixAddr;
use crate::unix_conn::adopt;
use crate::unix_sock::{self, fd_kind};
use crate::{Addr, Conn, ContextGuard, Incoming, Listener, RawConn, UnixConn, WithContext};

/// A Unix socket that connections are accepted from: streams, or packets in sequence.
///
/// Made by [`UnixListener::bind`], as in std; by [`listen`](crate::listen), as in Go; or by a
/// [`ListenConfig`](crate::ListenConfig). Dropping it closes it.
///
/// # The file
///
/// The file that listening made is removed when the listener is closed or dropped, as in Go (std leaves it): the first
/// time only, not by a clone, and not by a listener that was taken over from std or from a descriptor. See
/// [`UnixListener::set_unlink_on_close`]. The file of a listener that was not closed, because its process ended, is in
/// the way of the next one (`address already in use`); an abstract name never is.
///
/// # Examples
///
/// ```no_run
/// use gopark_net::{UnixListener, go};
///
/// let ln = UnixListener::bind("/run/app.sock")?;
/// for conn in ln.incoming() {
///     let conn = conn?;
///     go(move || conn.write_all(b"hello\n"));
/// }
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/unixsock.go UnixListener
#[derive(Debug)]
pub struct UnixListener {
    // Dropped first: removed and then closed, so that who finds the file finds a listener. Go's order.
    file: Unlink,
    fd: NetFd<UnixAddr>,
}

/// The file of a listener, and whether it is to go with it.
///
/// `armed`: true until the file was removed, or `set_unlink_on_close(false)`. Relaxed: whoever swaps it removes the
/// file, and nothing else hangs on it.
#[derive(Debug)]
struct Unlink {
    path: Option<PathBuf>,
    armed: AtomicBool,
    /// The one time is over. Go: unlinkOnce
    done: AtomicBool,
}

impl Unlink {
    fn new(laddr: &UnixAddr, armed: bool) -> Unlink {
        let path = laddr.as_pathname().map(Path::to_owned);
        Unlink { path, armed: AtomicBool::new(armed), done: AtomicBool::new(false) }
    }

    fn run(&self) {
        if !self.done.swap(true, Relaxed)
            && self.armed.load(Relaxed)
            && let Some(path) = &self.path
        {
            // Somebody else may have removed it; then there is nothing to do.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Drop for Unlink {
    fn drop(&mut self) {
        self.run();
    }
}

/// Go: net/unixsock.go newFileListener: a file that we have not made.
const NOT_OURS: bool = false;
const OURS: bool = true;

impl UnixListener {
    pub(crate) fn net_fd(&self) -> &NetFd<UnixAddr> {
        &self.fd
    }

    /// Listens for streams at `name`: a path, or an abstract name with `@` before it; if it is empty, Linux chooses an
    /// abstract one.
    ///
    /// # Errors
    ///
    /// An [`OpError`]: what bind(2) or listen(2) says.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::UnixListener::bind("/run/app.sock")?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn bind<P: AsRef<Path>>(name: P) -> io::Result<UnixListener> {
        UnixListener::bind_addr(&UnixAddr::new(name.as_ref()))
    }

    /// Listens at `addr`, on the network that it belongs to: `unix` or `unixpacket`.
    ///
    /// # Errors
    ///
    /// As [`UnixListener::bind`]; the network is neither.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{UnixAddr, UnixListener};
    ///
    /// let ln = UnixListener::bind_addr(&UnixAddr::resolve("unixpacket", "@app").unwrap())?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/unixsock.go ListenUnix
    #[doc(alias = "ListenUnix")]
    pub fn bind_addr(addr: &UnixAddr) -> io::Result<UnixListener> {
        UnixListener::bind_with(addr, &ListenOptions::default())
    }

    pub(crate) fn bind_with(addr: &UnixAddr, options: &ListenOptions<'_>) -> io::Result<UnixListener> {
        let listened = match addr.net() {
            network @ (Network::Unix | Network::Unixpacket) => unix_sock::listen(network, addr, options),
            network => Err(crate::UnknownNetworkError(network.as_str().to_owned()).into()),
        };
        match listened {
            Ok(fd) => Ok(UnixListener { file: Unlink::new(&fd.laddr, OURS), fd }),
            Err(cause) => {
                Err(OpError::new("listen", addr.network(), cause).with_addr(Some(addr.clone().into())).into())
            }
        }
    }

    /// Waits for a connection.
    ///
    /// May block: see the contract of [`Runtime::start`](crate::Runtime::start).
    ///
    /// # Errors
    ///
    /// The listener is closed; the deadline passed; no descriptor is free (`EMFILE`, `ENFILE`: then the connection
    /// stays in the queue, and trying again at once would spin; [`UnixListener::incoming`] waits).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::UnixListener::bind("/run/app.sock")?;
    /// let (conn, peer) = ln.accept()?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/unixsock.go UnixListener.AcceptUnix
    #[doc(alias = "AcceptUnix")]
    pub fn accept(&self) -> io::Result<(UnixConn, UnixAddr)> {
        let accepted = self.fd.pfd.accept_with(sock::accept4_any);
        self.accepted(accepted.map_err(|e| self.fd.wrap("accept", "accept4", e))?)
    }

    /// [`UnixListener::accept`] for a future: see [`TcpConn`](crate::TcpConn#futures).
    ///
    /// # Errors
    ///
    /// As [`UnixListener::accept`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::future::poll_fn;
    /// use gopark_net::block_on;
    ///
    /// let ln = gopark_net::UnixListener::bind("/run/app.sock")?;
    /// let (conn, peer) = block_on(poll_fn(|cx| ln.poll_accept(cx)))?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn poll_accept(&self, cx: &mut std::task::Context<'_>) -> Poll<io::Result<(UnixConn, UnixAddr)>> {
        let accepted = ready!(self.fd.pfd.poll_read_with(cx, |fd| match sock::accept4_any(fd) {
            // As EINTR: at once, again.
            Err(Errno::ECONNABORTED) => Err(Errno::EINTR),
            result => result,
        }));
        Poll::Ready(self.accepted(accepted.map_err(|e| self.fd.wrap("accept", "accept4", e))?))
    }

    fn accepted(&self, (fd, peer): (OwnedFd, SockAddr)) -> io::Result<(UnixConn, UnixAddr)> {
        let network = self.fd.network;
        let peer = UnixAddr::from_sockaddr(network, &peer);
        let fd = NetFd::register_unix(fd, fd_kind(network), network, Some(peer.clone()))
            .map_err(|cause| self.fd.op_error("accept", cause))?;
        Ok((UnixConn::new(fd), peer))
    }

    /// The connections that arrive, one after the other; see [`TcpListener::incoming`](crate::TcpListener::incoming).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::UnixListener::bind("/run/app.sock")?;
    /// for conn in ln.incoming() {
    ///     println!("{:?} is here", conn?.peer_cred()?);
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn incoming(&self) -> Incoming<'_, UnixListener> {
        Incoming::new(self)
    }

    /// Whether the file is removed when the listener is closed. It is, unless the listener was taken over from std or
    /// from a descriptor, or is a clone.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::UnixListener::bind("/run/app.sock")?;
    /// ln.set_unlink_on_close(false); // whoever is started next listens on it
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/unixsock_posix.go UnixListener.SetUnlinkOnClose
    #[doc(alias = "SetUnlinkOnClose")]
    pub fn set_unlink_on_close(&self, unlink: bool) {
        self.file.armed.store(unlink, Relaxed);
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
    /// let ln = gopark_net::UnixListener::bind("")?;
    /// assert!(ln.local_addr()?.as_abstract_name().is_some());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn local_addr(&self) -> io::Result<UnixAddr> {
        Ok(self.fd.laddr.clone())
    }

    /// The address that it listens on.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::UnixListener::bind("@app")?;
    /// assert_eq!(ln.addr().to_string(), "@app");
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/unixsock.go UnixListener.Addr
    pub fn addr(&self) -> Addr {
        self.fd.laddr.clone().into()
    }

    /// Closes the listener, and removes its file: every `accept` in progress fails with the closed error.
    ///
    /// # Errors
    ///
    /// The closed error the second time.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::UnixListener::bind("/run/app.sock")?;
    /// ln.close()?;
    /// assert!(!std::path::Path::new("/run/app.sock").exists());
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/unixsock.go UnixListener.Close
    pub fn close(&self) -> io::Result<()> {
        self.file.run();
        self.fd.close()
    }

    /// The time after which `accept` fails with `TimedOut`, also one in progress and even with a connection in the
    /// queue. `None`: never.
    ///
    /// # Errors
    ///
    /// The listener is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::{Duration, Instant};
    ///
    /// let ln = gopark_net::UnixListener::bind("/run/app.sock")?;
    /// ln.set_deadline(Some(Instant::now() + Duration::from_millis(100)))?;
    /// assert!(gopark_net::is_timeout(&ln.accept().unwrap_err()));
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/unixsock.go UnixListener.SetDeadline
    pub fn set_deadline(&self, t: Option<Instant>) -> io::Result<()> {
        self.fd.pfd.set_deadline(t).map_err(|e| self.fd.local_error(e))
    }

    /// The listener under `ctx`: once that is done, accepts fail, those in progress too, until what this returns is
    /// dropped. See [`TcpListener::with_context`](crate::TcpListener::with_context).
    ///
    /// # Errors
    ///
    /// The listener is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{UnixListener, context::Context};
    ///
    /// let (ctx, _cancel) = Context::background().with_timeout(std::time::Duration::from_secs(2));
    /// let ln = UnixListener::bind("/run/app.sock")?;
    /// let (conn, _) = ln.with_context(&ctx)?.accept()?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn with_context(&self, ctx: &Context) -> io::Result<WithContext<'_, UnixListener>> {
        Ok(WithContext::new(self, self.attach_context(ctx)?))
    }

    /// As [`UnixListener::with_context`], without the borrow: see
    /// [`TcpConn::attach_context`](crate::TcpConn::attach_context).
    ///
    /// # Errors
    ///
    /// The listener is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{UnixListener, context::Context};
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// let ln = UnixListener::bind("/run/app.sock")?;
    /// let _guard = ln.attach_context(&ctx)?;
    /// let (conn, peer) = ln.accept()?;
    /// # drop(cancel);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn attach_context(&self, ctx: &Context) -> io::Result<ContextGuard> {
        ContextGuard::new(&self.fd, ctx, &[Mode::Read])
    }

    /// Another handle for the same socket: a connection goes to one of the two. Each has its own deadline and is closed
    /// on its own; the file goes with the first one only.
    ///
    /// # Errors
    ///
    /// The listener is closed, or no descriptor is free.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::UnixListener::bind("/run/app.sock")?;
    /// let other = ln.try_clone()?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/unixsock.go UnixListener.File
    pub fn try_clone(&self) -> io::Result<UnixListener> {
        let fd = self.fd.pfd.dup().map_err(|e| self.fd.wrap("file", "fcntl", e))?;
        let fd = NetFd::register_twin(fd, FdKind::LISTENER, &self.fd)
            .map_err(|cause| self.fd.op_error("file", cause))?;
        Ok(UnixListener { file: Unlink::new(&fd.laddr, NOT_OURS), fd })
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
    /// let ln = gopark_net::UnixListener::bind("/run/app.sock")?;
    /// assert!(ln.take_error()?.is_none());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.fd.option("getsockopt", |socket| socket.take_error())
    }

    /// Only here to say that it cannot be: see [`UnixConn::set_nonblocking`].
    ///
    /// # Errors
    ///
    /// `Unsupported` for `true`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::UnixListener::bind("/run/app.sock")?;
    /// assert!(ln.set_nonblocking(true).is_err());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        crate::conn_methods::check_nonblocking(nonblocking)
    }

    /// The descriptor for calls that this package does not have. Only [`RawConn::control`]; the two that wait are
    /// refused, as in Go, since `accept` is what waits here.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::UnixListener::bind("/run/app.sock")?;
    /// let domain = ln.raw_conn().control(|fd| socket2::SockRef::from(&fd).domain())??;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/unixsock.go UnixListener.SyscallConn
    #[doc(alias = "SyscallConn")]
    pub fn raw_conn(&self) -> RawConn<'_> {
        RawConn::new(self)
    }

    /// A duplicate of the descriptor. Closing one does not close the other, and either accepts. The mode is shared, so
    /// the duplicate is non-blocking. The file in the file system still goes with this listener: see
    /// [`UnixListener::set_unlink_on_close`].
    ///
    /// # Errors
    ///
    /// The listener is closed, or no descriptor is free.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::UnixListener::bind("/run/app.sock")?;
    /// let fd: std::os::fd::OwnedFd = ln.file()?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/unixsock.go UnixListener.File
    pub fn file(&self) -> io::Result<OwnedFd> {
        self.fd.file()
    }

    /// The descriptor, for calls that this crate does not have. See [`UnixConn::fd`].
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
    /// let ln = gopark_net::UnixListener::bind("/run/app.sock")?;
    /// let guard = ln.fd()?;
    /// let number = guard.as_fd();
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/unixsock.go UnixListener.SyscallConn
    pub fn fd(&self) -> io::Result<FdGuard<'_>> {
        self.fd.pfd.fd().map_err(|e| self.fd.wrap("raw-control", "fd", e))
    }

    /// Takes over a Unix socket that listens: std's `UnixListener`, or an `OwnedFd` of either kind, which becomes
    /// non-blocking. Its file stays when it is closed, unless [`UnixListener::set_unlink_on_close`] says otherwise.
    ///
    /// # Errors
    ///
    /// The runtime is not started; it is no Unix socket, or one for datagrams; the system says so. Then it is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = std::os::unix::net::UnixListener::bind("/run/app.sock")?;
    /// let ln = gopark_net::UnixListener::from_std(ln)?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/file.go FileListener
    #[doc(alias = "FileListener")]
    pub fn from_std<S: Into<OwnedFd>>(ln: S) -> io::Result<UnixListener> {
        let fd = ln.into();
        let failed = |cause| io::Error::from(OpError::new("file", "unix", cause));
        let network = adopt(&fd).map_err(failed)?;
        if network == Network::Unixgram {
            return Err(failed(Cause::from_poll("listen", Errno::EOPNOTSUPP.into())));
        }
        let fd = NetFd::register_unix(fd, FdKind::LISTENER, network, None).map_err(failed)?;
        Ok(UnixListener { file: Unlink::new(&fd.laddr, NOT_OURS), fd })
    }

    /// Hands the listener over to std, in blocking mode; the file stays. Clones of it are blocking then too, since they
    /// share the mode: an `accept` on one occupies a thread.
    ///
    /// # Errors
    ///
    /// The listener is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::UnixListener::bind("/run/app.sock")?;
    /// let ln: std::os::unix::net::UnixListener = ln.into_std()?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/unixsock.go UnixListener.File
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixListener> {
        let closed = self.fd.op_error("file", Cause::Closed);
        let ln = std::os::unix::net::UnixListener::from(self.into_owned().ok_or(closed)?);
        ln.set_nonblocking(false)?;
        Ok(ln)
    }

    /// The file stays: whoever has the descriptor now goes on listening.
    fn into_owned(self) -> Option<OwnedFd> {
        self.file.armed.store(false, Relaxed);
        self.fd.pfd.into_owned()
    }
}

impl Listener for UnixListener {
    fn accept(&self) -> io::Result<Box<dyn Conn>> {
        Ok(Box::new(UnixListener::accept(self)?.0))
    }

    fn close(&self) -> io::Result<()> {
        UnixListener::close(self)
    }

    fn addr(&self) -> Addr {
        UnixListener::addr(self)
    }

    fn attach_context(&self, ctx: &Context) -> io::Result<ContextGuard> {
        UnixListener::attach_context(self, ctx)
    }
}

impl<'a> IntoIterator for &'a UnixListener {
    type Item = io::Result<UnixConn>;
    type IntoIter = Incoming<'a, UnixListener>;

    fn into_iter(self) -> Incoming<'a, UnixListener> {
        self.incoming()
    }
}

/// The number, or -1 once the listener is closed. Another goroutine may close it at any time, and the number may then
/// be somebody else's: [`UnixListener::fd`] is safe from that.
impl AsRawFd for UnixListener {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.raw()
    }
}

/// In non-blocking mode. The file stays.
///
/// # Panics
///
/// If the listener is closed; [`UnixListener::into_std`] returns an error instead.
impl From<UnixListener> for OwnedFd {
    fn from(ln: UnixListener) -> OwnedFd {
        ln.into_owned().expect("the listener is not closed")
    }
}

/// See [`UnixListener::from_std`].
impl TryFrom<OwnedFd> for UnixListener {
    type Error = io::Error;

    fn try_from(fd: OwnedFd) -> io::Result<UnixListener> {
        UnixListener::from_std(fd)
    }
}

/// See [`UnixListener::from_std`].
impl TryFrom<std::os::unix::net::UnixListener> for UnixListener {
    type Error = io::Error;

    fn try_from(ln: std::os::unix::net::UnixListener) -> io::Result<UnixListener> {
        UnixListener::from_std(ln)
    }
}
