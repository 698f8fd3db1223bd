//! Connecting a socket for datagrams, the names of the two ends, and who the peer is.
//!
//! A connection, and what Go's `Dial` made, has its peer for good. std's `connect` sets one later, and again, by
//! `&self`: then it is here, and no longer that of the descriptor.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

use gopark_poll::Error;
use gopark_sys::{Errno, cred, sock};
use parking_lot::Mutex;

use super::UnixConn;
use crate::Addr;
use crate::error::{Cause, OpError, SyscallError};
use crate::unix_addr::UnixAddr;

/// | state | meaning | set by | cleared by |
/// |---|---|---|---|
/// | ANYBODY | no peer | initial | `connect_to` |
/// | DIALED | the peer of the descriptor | initial | `connect_to` |
/// | CONNECTED | the peer is in `raddr` | `connect_to` | never |
#[derive(Debug)]
pub(super) struct Peer {
    state: AtomicU8,
    raddr: Mutex<Option<UnixAddr>>,
}

const ANYBODY: u8 = 0;
const DIALED: u8 = 1;
const CONNECTED: u8 = 2;

impl Peer {
    pub(super) fn new(dialed: bool) -> Peer {
        Peer { state: AtomicU8::new(if dialed { DIALED } else { ANYBODY }), raddr: Mutex::new(None) }
    }

    /// Relaxed: a call that overlaps with `connect_to` may go by either.
    #[inline]
    pub(super) fn is_connected(&self) -> bool {
        self.state.load(Ordering::Relaxed) != ANYBODY
    }
}

/// A process at the other end of a Unix socket, as it was when it connected, listened, or made the pair.
///
/// # Examples
///
/// ```no_run
/// let (a, _b) = gopark_net::UnixConn::pair()?;
/// assert_eq!(a.peer_cred()?.pid, Some(std::process::id() as i32));
/// # std::io::Result::Ok(())
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct UnixCred {
    /// The process, where the system says (Linux does).
    pub pid: Option<i32>,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}

impl UnixConn {
    /// Connects a socket for datagrams to `name`: from now on it sends to that peer and receives from no other. May be
    /// called again, with another. (std's `UnixDatagram::connect`.)
    ///
    /// # Errors
    ///
    /// An [`OpError`]: what connect(2) says.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UnixConn::unbound()?;
    /// conn.connect_to("/run/app.sock")?;
    /// conn.send(b"hello")?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn connect_to<P: AsRef<Path>>(&self, name: P) -> io::Result<()> {
        self.connect_to_addr(&UnixAddr::new(name.as_ref()))
    }

    /// As [`UnixConn::connect_to`], with an address.
    ///
    /// # Errors
    ///
    /// As [`UnixConn::connect_to`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let (server, conn) = (gopark_net::UnixConn::bind("")?, gopark_net::UnixConn::unbound()?);
    /// conn.connect_to_addr(&server.local_addr()?)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn connect_to_addr(&self, addr: &UnixAddr) -> io::Result<()> {
        let addr = addr.clone().with_network(self.fd.network);
        let connected = addr.sockaddr().map_err(Error::from).and_then(|to| {
            // Under the lock, so that of two at a time the name is that of the later.
            let mut raddr = self.peer.raddr.lock();
            self.fd.pfd.control(|fd| sock::connect_any(fd, &to))??;
            *raddr = Some(addr.clone());
            self.peer.state.store(CONNECTED, Ordering::Relaxed);
            Ok(())
        });
        connected.map_err(|e| {
            let e = OpError::new("dial", self.fd.network.as_str(), Cause::from_poll("connect", e));
            e.with_source(Some(self.fd.laddr.clone().into())).with_addr(Some(addr.into())).into()
        })
    }

    /// The address of our end; without a name if it has none. Never fails, also after `close`.
    ///
    /// # Errors
    ///
    /// None; the result is std's.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UnixConn::bind("@app")?;
    /// assert_eq!(conn.local_addr()?.as_abstract_name(), Some(&b"app"[..]));
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.LocalAddr
    pub fn local_addr(&self) -> io::Result<UnixAddr> {
        Ok(self.fd.laddr.clone())
    }

    /// The address of the peer; without a name if it has none.
    ///
    /// # Errors
    ///
    /// `NotConnected` if there is no peer.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UnixConn::unbound()?;
    /// assert!(conn.peer_addr().is_err());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn peer_addr(&self) -> io::Result<UnixAddr> {
        self.raddr().ok_or_else(|| {
            let cause = SyscallError::from_errno("getpeername", Errno::ENOTCONN);
            self.op_error("get", cause.into()).into()
        })
    }

    /// The address of the peer; an empty one if there is none, where Go has nil.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UnixConn::connect("/run/app.sock")?;
    /// assert_eq!(conn.remote_addr().to_string(), "/run/app.sock");
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.RemoteAddr
    pub fn remote_addr(&self) -> Addr {
        self.raddr().unwrap_or_else(|| UnixAddr::new("").with_network(self.fd.network)).into()
    }

    /// The process at the other end (`SO_PEERCRED`).
    ///
    /// # Errors
    ///
    /// It is closed. A socket without a peer has nobody: `uid` and `gid` are `u32::MAX` on Linux, elsewhere it is an
    /// error.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::UnixListener::bind("/run/app.sock")?;
    /// let (conn, _) = ln.accept()?;
    /// if conn.peer_cred()?.uid != 0 {
    ///     conn.write_all(b"for root only\n")?;
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn peer_cred(&self) -> io::Result<UnixCred> {
        let cred = self.fd.pfd.control(cred::peer_cred).and_then(|cred| Ok(cred?));
        let cred::Cred { pid, uid, gid } = cred.map_err(|e| self.wrap("get", "getsockopt", e))?;
        Ok(UnixCred { pid, uid, gid })
    }

    /// The address of our end, for the traits.
    pub(super) fn conn_addr(&self) -> Addr {
        self.fd.laddr.clone().into()
    }

    pub(super) fn raddr(&self) -> Option<UnixAddr> {
        if self.peer.state.load(Ordering::Relaxed) == CONNECTED {
            return self.peer.raddr.lock().clone();
        }
        self.fd.raddr.clone()
    }

    pub(crate) fn op_error(&self, op: &'static str, cause: Cause) -> OpError {
        let e = self.fd.op_error(op, cause);
        match self.raddr() {
            Some(raddr) => e.with_source(Some(self.fd.laddr.clone().into())).with_addr(Some(raddr.into())),
            None => e,
        }
    }

    /// An error of a call with an address, which it names.
    #[cold]
    #[inline(never)]
    pub(super) fn send_error(&self, to: &UnixAddr, cause: Cause) -> io::Error {
        let e = OpError::new("write", self.fd.network.as_str(), cause);
        e.with_source(Some(self.fd.laddr.clone().into())).with_addr(Some(to.clone().into())).into()
    }

    /// An error of poll, as the caller of `op` sees it.
    #[cold]
    #[inline(never)]
    pub(super) fn wrap(&self, op: &'static str, syscall: &'static str, e: Error) -> io::Error {
        self.op_error(op, Cause::from_poll(syscall, e)).into()
    }

    /// An error of a `try_` call: a bare `WouldBlock`, which allocates nothing, or as `wrap`.
    #[cold]
    #[inline(never)]
    pub(super) fn wrap_try(&self, op: &'static str, syscall: &'static str, e: Error) -> io::Error {
        match e {
            Error::Errno(Errno::EAGAIN) => io::ErrorKind::WouldBlock.into(),
            e => self.wrap(op, syscall, e),
        }
    }
}
