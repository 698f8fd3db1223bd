//! Connecting, and the names of the two ends.
//!
//! A socket that Go's `Dial` made has both for good. std's `connect` sets them later, and again, by `&self`: then they
//! are here, and no longer those of the descriptor.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::panic::RefUnwindSafe;
use std::sync::atomic::{AtomicU8, Ordering};

use gopark_poll::Error;
use gopark_sys::sock;
use parking_lot::Mutex;

use super::UdpConn;
use crate::Addr;
use crate::addr::UdpAddr;
use crate::error::{Cause, OpError};
use crate::ipsock::{Family, to_sockaddr};
use crate::lookup::to_socket_addrs;

/// | state | meaning | set by | cleared by |
/// |---|---|---|---|
/// | ANYBODY | no peer | initial | `connect` |
/// | DIALED | the peer of the descriptor | initial | `connect` |
/// | CONNECTED | the names are in `names` | `connect` | never |
#[derive(Debug)]
pub(super) struct Peer {
    state: AtomicU8,
    names: Mutex<Option<Names>>,
}

// The lock is never held where something can panic.
impl RefUnwindSafe for Peer {}

#[derive(Copy, Clone, Debug)]
struct Names {
    laddr: UdpAddr,
    raddr: UdpAddr,
}

const ANYBODY: u8 = 0;
const DIALED: u8 = 1;
const CONNECTED: u8 = 2;

impl Peer {
    pub(super) fn new(dialed: bool) -> Peer {
        Peer { state: AtomicU8::new(if dialed { DIALED } else { ANYBODY }), names: Mutex::new(None) }
    }

    /// Relaxed: a call that overlaps with `connect` may go by either.
    #[inline]
    pub(super) fn is_connected(&self) -> bool {
        self.state.load(Ordering::Relaxed) != ANYBODY
    }

    fn names(&self) -> Option<Names> {
        if self.state.load(Ordering::Relaxed) == CONNECTED { *self.names.lock() } else { None }
    }
}

impl UdpConn {
    /// Connects the socket to the first of `addr`'s addresses that works: from now on it sends to that peer and
    /// receives from no other. Nothing is sent for it. May be called again, with another peer.
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
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// conn.connect("127.0.0.1:7")?;
    /// conn.send(b"hello")?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<()> {
        let mut last = Cause::MissingAddress;
        let mut tried = None;
        for addr in to_socket_addrs(&addr, "dial")? {
            match self.connect_to(addr) {
                Ok(()) => return Ok(()),
                Err(cause) => (last, tried) = (cause, Some(UdpAddr::from(addr))),
            }
        }
        let e = OpError::new("dial", self.fd.network.as_str(), last);
        Err(e.with_source(Some(self.fd.laddr.into())).with_addr(tried.map(Into::into)).into())
    }

    fn connect_to(&self, addr: SocketAddr) -> Result<(), Cause> {
        let raddr = UdpAddr::from(addr);
        let to = to_sockaddr(&raddr.end_point(), Family::of(self.fd.is_ipv6))?;
        // Held throughout: of two who connect, the last is the one who is named.
        let mut names = self.peer.names.lock();
        let connected = self.fd.pfd.control(|fd| {
            sock::connect(fd, &to)?;
            Ok((sock::local_addr(fd)?, sock::peer_addr(fd)?))
        });
        let (laddr, raddr) = connected
            .and_then(|result| result.map_err(Error::Errno))
            .map_err(|e| Cause::from_poll("connect", e))?;
        *names = Some(Names { laddr: laddr.into(), raddr: raddr.into() });
        self.peer.state.store(CONNECTED, Ordering::Relaxed);
        Ok(())
    }

    /// The address of our end; on a connected socket with the IP that the peer sees. Never fails, also after `close`.
    ///
    /// # Errors
    ///
    /// None; the result is std's.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// assert_ne!(conn.local_addr()?.port(), 0);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.LocalAddr
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.laddr().end_point().std())
    }

    /// The address of the peer, under std's name.
    ///
    /// # Errors
    ///
    /// `NotConnected` if there is none.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// assert!(conn.peer_addr().is_err());
    /// conn.connect("127.0.0.1:7")?;
    /// assert_eq!(conn.peer_addr()?.port(), 7);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self.raddr() {
            Some(raddr) => Ok(raddr.end_point().std()),
            None => {
                let cause = Cause::from_poll("getpeername", gopark_sys::Errno::ENOTCONN.into());
                Err(self.op_error("set", cause).into())
            }
        }
    }

    /// The address of the peer; one without an IP if there is none, where Go has nil.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::dial("udp", "127.0.0.1:7")?;
    /// assert_eq!(conn.remote_addr().to_string(), "127.0.0.1:7");
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.RemoteAddr
    pub fn remote_addr(&self) -> Addr {
        self.raddr().unwrap_or(UdpAddr { ip: None, port: 0, scope_id: 0 }).into()
    }

    /// The address of our end, for the traits.
    pub(super) fn conn_addr(&self) -> Addr {
        self.laddr().into()
    }

    pub(super) fn laddr(&self) -> UdpAddr {
        self.peer.names().map_or(self.fd.laddr, |names| names.laddr)
    }

    pub(super) fn raddr(&self) -> Option<UdpAddr> {
        self.peer.names().map(|names| names.raddr).or(self.fd.raddr)
    }

    pub(super) fn op_error(&self, op: &'static str, cause: Cause) -> OpError {
        let e = self.fd.op_error(op, cause);
        match self.peer.names() {
            Some(Names { laddr, raddr }) => e.with_source(Some(laddr.into())).with_addr(Some(raddr.into())),
            None => e,
        }
    }

    /// An error of a call with an address, which it names.
    #[cold]
    #[inline(never)]
    pub(super) fn send_error(&self, to: Option<UdpAddr>, cause: Cause) -> io::Error {
        let e = self.op_error("write", cause);
        match to {
            Some(to) => e.with_addr(Some(to.into())).into(),
            None => e.into(),
        }
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
            Error::Errno(gopark_sys::Errno::EAGAIN) => io::ErrorKind::WouldBlock.into(),
            e => self.wrap(op, syscall, e),
        }
    }
}
