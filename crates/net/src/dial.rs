//! Dialing: from a name to a connection. Go: `net/dial.go`, `net/tcpsock_posix.go`.
//!
//! * this file: the `Dialer` and the order in which addresses are tried;
//! * `dial/connect.rs`: one attempt; `dial/multipath.rs`: by Multipath TCP;
//! * `dial/udp.rs`: sockets for datagrams;
//! * `dial/race.rs`: two families at a time (Happy Eyeballs);
//! * `dial/unix.rs`: Unix sockets;
//! * `dial/ip.rs`: raw sockets.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, io};

use gopark_sched::context::Context;

use crate::addr::TcpAddr;
use crate::error::{AddrError, Cause, OpError, UnknownNetworkError};
use crate::ip_conn::is_ip_network;
use crate::ipsock::{Network, internet_addr_list_by, partition};
use crate::{Addr, Conn, KeepAliveConfig, Resolver, TcpConn, UnixAddr};

mod connect;
mod ip;
mod multipath;
pub(crate) mod race;
mod udp;
mod unix;

pub(crate) use connect::wait_connected;
use race::{Racer, race};

/// Go's delay before the other family is tried (RFC 6555).
const FALLBACK_DELAY: Duration = Duration::from_millis(300);
/// The least time that one address gets of a deadline that is shared by several (Go's number): less would
/// give every one of them too little.
const SANE_MINIMUM: Duration = Duration::from_secs(2);

/// [`Dialer::control_context`].
type DialControl = Arc<dyn Fn(&Context, &str, &str, BorrowedFd<'_>) -> io::Result<()> + Send + Sync>;

/// Connects to `address` on `network`.
///
/// Networks are `tcp`, `tcp4` (IPv4 only) and `tcp6` (IPv6 only). The address is `host:port`: the host a name
/// or an IP literal (IPv6 in square brackets, with a `%zone` if it needs one), the port a number or a service
/// name. Without a host it is this machine. If the host has several addresses they are tried in order; if
/// they are of both families and the network is `tcp`, the other family gets its try after 300 ms.
///
/// `udp`, `udp4` and `udp6` are sockets for datagrams with a peer: see [`UdpConn`](crate::UdpConn). `unix`, `unixgram`
/// and `unixpacket` are Unix sockets; the address is a path, or an abstract name with `@` before it: see
/// [`UnixConn`](crate::UnixConn). `ip4:icmp`, `ip6:58` and the like are raw sockets; the address is a host without a
/// port: see [`IpConn`](crate::IpConn).
///
/// No time limit but the system's (about two minutes): see [`dial_timeout`] and [`Dialer`].
///
/// May block: see the contract of [`Runtime::start`](crate::Runtime::start).
///
/// # Errors
///
/// An [`OpError`] with op `dial`: what connect(2) says, or that the address or network is not one.
///
/// # Examples
///
/// ```no_run
/// let conn = gopark_net::dial("tcp", "example.com:80")?;
/// conn.write_all(b"HEAD / HTTP/1.0\r\n\r\n")?;
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/dial.go Dial
pub fn dial(network: &str, address: &str) -> io::Result<Box<dyn Conn>> {
    Dialer::new().dial(network, address)
}

/// As [`dial`], in no more than `timeout`, name resolution included.
///
/// # Errors
///
/// As [`dial`]; `TimedOut` if the time is up.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// let conn = gopark_net::dial_timeout("tcp", "example.com:80", Duration::from_secs(3))?;
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/dial.go DialTimeout
pub fn dial_timeout(network: &str, address: &str, timeout: Duration) -> io::Result<Box<dyn Conn>> {
    Dialer::new().timeout(timeout).dial(network, address)
}

/// How to connect: time limits, local address, options.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
/// use gopark_net::Dialer;
///
/// let dialer = Dialer::new().timeout(Duration::from_secs(5)).keep_alive(Some(Duration::from_secs(60)));
/// let conn = dialer.dial("tcp", "example.com:443")?;
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/dial.go Dialer
#[derive(Clone)]
pub struct Dialer {
    timeout: Option<Duration>,
    deadline: Option<Instant>,
    local_addr: Option<TcpAddr>,
    /// Instead of `local_addr`.
    local_unix: Option<UnixAddr>,
    fallback_delay: Option<Duration>,
    keep_alive: KeepAliveConfig,
    multipath_tcp: bool,
    control: Option<DialControl>,
    resolver: Option<Resolver>,
}

impl Dialer {
    /// A dialer with Go's defaults.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::Dialer::new().dial("tcp", "localhost:80")?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn new() -> Dialer {
        Dialer {
            timeout: None,
            deadline: None,
            local_addr: None,
            local_unix: None,
            fallback_delay: Some(FALLBACK_DELAY),
            keep_alive: KeepAliveConfig::default(),
            multipath_tcp: false,
            control: None,
            resolver: None,
        }
    }

    /// The longest that a dial may take, name resolution included. With several addresses each gets a share
    /// of what is left, but at least two seconds. Zero has passed already.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// let conn = gopark_net::Dialer::new().timeout(Duration::from_secs(1)).dial("tcp", "localhost:80")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/dial.go Dialer.Timeout
    pub fn timeout(mut self, timeout: Duration) -> Dialer {
        self.timeout = Some(timeout);
        self
    }

    /// The time after which a dial fails. If there is a timeout too, the earlier of the two counts.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use std::time::{Duration, Instant};
    /// let soon = Instant::now() + Duration::from_secs(1);
    /// let conn = gopark_net::Dialer::new().deadline(soon).dial("tcp", "localhost:80")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/dial.go Dialer.Deadline
    pub fn deadline(mut self, deadline: Instant) -> Dialer {
        self.deadline = Some(deadline);
        self
    }

    /// The local address to dial from. Port 0 is any. Only remote addresses of the same family are tried,
    /// unless it is a wildcard. With that of a Unix socket only Unix sockets can be dialed, on the same network.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use std::net::SocketAddr;
    /// let from: SocketAddr = "127.0.0.1:0".parse().unwrap();
    /// let conn = gopark_net::Dialer::new().local_addr(from).dial("tcp", "localhost:80")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/dial.go Dialer.LocalAddr
    pub fn local_addr(mut self, addr: impl Into<Addr>) -> Dialer {
        (self.local_addr, self.local_unix) = match addr.into() {
            Addr::Tcp(addr) => (Some(addr), None),
            Addr::Udp(addr) => (Some(addr.end_point()), None),
            Addr::Ip(addr) => (Some(addr.end_point()), None),
            Addr::Unix(addr) => (None, Some(addr)),
            // Not the name of anything: as if none had been given.
            Addr::Pipe => (None, None),
        };
        self
    }

    /// How long the family of the first address is tried alone before the other family gets its try as well (300 ms
    /// unless set). `None`: one address after the other.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::Dialer::new().fallback_delay(None).dial("tcp", "example.com:80")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/dial.go Dialer.FallbackDelay
    pub fn fallback_delay(mut self, delay: Option<Duration>) -> Dialer {
        self.fallback_delay = delay;
        self
    }

    /// The silence after which keep-alive probes are sent (15 seconds unless set; zero means that too).
    /// `None`: no probes.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// let conn = gopark_net::Dialer::new().keep_alive(Some(Duration::from_secs(60))).dial("tcp", "localhost:80")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/dial.go Dialer.KeepAlive
    pub fn keep_alive(mut self, idle: Option<Duration>) -> Dialer {
        self.keep_alive = idle.map_or(KeepAliveConfig::DISABLED, KeepAliveConfig::with_idle);
        self
    }

    /// All of the keep-alive settings.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{Dialer, KeepAliveConfig};
    ///
    /// let hasty = KeepAliveConfig { count: Some(2), ..KeepAliveConfig::default() };
    /// let conn = Dialer::new().keep_alive_config(hasty).dial("tcp", "localhost:80")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/dial.go Dialer.KeepAliveConfig
    pub fn keep_alive_config(mut self, config: KeepAliveConfig) -> Dialer {
        self.keep_alive = config;
        self
    }

    /// Called for each socket after it is made and before it is bound or connected, with the network (`tcp4`
    /// or `tcp6`), the remote address, and the socket. An error fails the attempt. With several addresses it
    /// may be called several times, from several goroutines at once.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::Dialer;
    ///
    /// let dialer = Dialer::new().control(|network, address, _socket| {
    ///     eprintln!("dialing {network} {address}");
    ///     Ok(())
    /// });
    /// let conn = dialer.dial("tcp", "localhost:80")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/dial.go Dialer.Control
    pub fn control<F>(self, control: F) -> Dialer
    where
        F: Fn(&str, &str, BorrowedFd<'_>) -> io::Result<()> + Send + Sync + 'static,
    {
        self.control_context(move |_, network, address, fd| control(network, address, fd))
    }

    /// As [`Dialer::control`], with the context of the dial, or one derived from it. Replaces it: there is one hook.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::Dialer;
    /// use gopark_net::context::Context;
    ///
    /// struct RequestId(u64);
    /// let dialer = Dialer::new().control_context(|ctx, _network, address, _socket| {
    ///     eprintln!("request {:?} dials {address}", ctx.value::<RequestId>().map(|id| id.0));
    ///     Ok(())
    /// });
    /// let ctx = Context::background().with_value(RequestId(7));
    /// let conn = dialer.dial_context(&ctx, "tcp", "localhost:80")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/dial.go Dialer.ControlContext
    #[doc(alias = "ControlContext")]
    pub fn control_context<F>(mut self, control: F) -> Dialer
    where
        F: Fn(&Context, &str, &str, BorrowedFd<'_>) -> io::Result<()> + Send + Sync + 'static,
    {
        self.control = Some(Arc::new(control));
        self
    }

    /// Who finds the addresses of host names; unless set, the resolver that [`Resolver::new`] gives.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{Dialer, Resolver};
    ///
    /// let resolver = Resolver::builder().name_servers(["192.0.2.53:53".parse().unwrap()]).build();
    /// let conn = Dialer::new().resolver(resolver).dial("tcp", "example.com:80")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/dial.go Dialer.Resolver
    pub fn resolver(mut self, resolver: Resolver) -> Dialer {
        self.resolver = Some(resolver);
        self
    }

    /// Connects to `address` on `network`; see [`dial`].
    ///
    /// # Errors
    ///
    /// As [`dial`]; `TimedOut` if the time is up.
    ///
    /// # Panics
    ///
    /// If the control hook does.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::Dialer::new().dial("tcp4", "localhost:80")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/dial.go Dialer.Dial
    pub fn dial(&self, network: &str, address: &str) -> io::Result<Box<dyn Conn>> {
        self.dial_context(&Context::background(), network, address)
    }

    /// As [`Dialer::dial`], for no longer than until `ctx` is done. Once the connection is there the context does
    /// nothing to it any more: see [`TcpConn::with_context`] for that.
    ///
    /// # Errors
    ///
    /// As [`Dialer::dial`]; if the context is canceled, one for which [`is_canceled`](crate::is_canceled) holds, and
    /// `TimedOut` if its time is up.
    ///
    /// # Panics
    ///
    /// If the control hook does.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use gopark_net::Dialer;
    /// use gopark_net::context::Context;
    ///
    /// let (ctx, cancel) = Context::background().with_timeout(Duration::from_secs(3));
    /// let conn = Dialer::new().dial_context(&ctx, "tcp", "example.com:80")?;
    /// # drop(cancel);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/dial.go Dialer.DialContext
    #[doc(alias = "DialContext")]
    pub fn dial_context(&self, ctx: &Context, network: &str, address: &str) -> io::Result<Box<dyn Conn>> {
        if is_ip_network(network) {
            return Ok(Box::new(self.dial_ip_context(ctx, network, address)?));
        }
        match Network::parse(network) {
            Ok(net) if net.is_udp() => Ok(Box::new(self.dial_udp_context(ctx, network, address)?)),
            Ok(net) if net.is_unix() => Ok(Box::new(self.dial_unix_name(ctx, net, address)?)),
            _ => Ok(Box::new(self.dial_tcp_context(ctx, network, address)?)),
        }
    }

    /// As [`Dialer::dial`], with the concrete type.
    ///
    /// # Errors
    ///
    /// As [`Dialer::dial`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::Dialer::new().dial_tcp("tcp", "localhost:80")?;
    /// conn.set_nodelay(false)?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/dial.go Dialer.DialTCP
    pub fn dial_tcp(&self, network: &str, address: &str) -> io::Result<TcpConn> {
        self.dial_tcp_context(&Context::background(), network, address)
    }

    /// As [`Dialer::dial_context`], with the concrete type.
    ///
    /// # Errors
    ///
    /// As [`Dialer::dial_context`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::Dialer;
    /// use gopark_net::context::Context;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// gopark_net::go(move || {
    ///     gopark_net::sleep(std::time::Duration::from_millis(100));
    ///     cancel.cancel();
    /// });
    /// let conn = Dialer::new().dial_tcp_context(&ctx, "tcp", "localhost:80")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/tcpsock.go Dialer.DialTCP
    #[doc(alias = "DialTCP")]
    pub fn dial_tcp_context(&self, ctx: &Context, network: &str, address: &str) -> io::Result<TcpConn> {
        let deadline = self.deadline_under(ctx);
        let resolved = match Network::parse(network) {
            Ok(net) if net.is_tcp() => Ok(net),
            _ => Err(Cause::from(UnknownNetworkError(network.to_owned()))),
        };
        let resolved = resolved.and_then(|net| Ok((net, self.resolve(ctx, net, address, deadline)?)));
        match resolved {
            Ok((net, addrs)) => self.dial_addrs(ctx, net, addrs, deadline),
            Err(cause) => Err(OpError::new("dial", network.to_owned(), cause).into()),
        }
    }

    /// Dials addresses that std has resolved.
    pub(crate) fn dial_resolved(&self, addrs: &[SocketAddr]) -> io::Result<TcpConn> {
        let deadline = self.deadline_from(Instant::now());
        let addrs: Vec<TcpAddr> = addrs.iter().map(|&addr| addr.into()).collect();
        let attempt = Attempt { network: Network::Tcp, dialer: self.clone() };
        attempt.serial(&Context::background(), &addrs, deadline)
    }

    /// Dials addresses as if a name had resolved to them.
    pub(crate) fn dial_raced(&self, addrs: &[SocketAddr]) -> io::Result<TcpConn> {
        let deadline = self.deadline_from(Instant::now());
        let addrs = addrs.iter().map(|&addr| addr.into()).collect();
        self.dial_addrs(&Context::background(), Network::Tcp, addrs, deadline)
    }

    fn dial_addrs(
        &self,
        ctx: &Context,
        network: Network,
        addrs: Vec<TcpAddr>,
        deadline: Option<Instant>,
    ) -> io::Result<TcpConn> {
        let attempt = Attempt { network, dialer: self.clone() };
        let Some(delay) = self.fallback_delay.filter(|_| network == Network::Tcp) else {
            return attempt.serial(ctx, &addrs, deadline);
        };
        let (primaries, fallbacks) = partition(&addrs);
        if fallbacks.is_empty() {
            return attempt.serial(ctx, &primaries, deadline);
        }
        race(ctx, delay, move |racer, ctx| {
            let addrs = if racer == Racer::Primary { &primaries } else { &fallbacks };
            attempt.serial(ctx, addrs, deadline)
        })
    }

    /// The earlier of the deadline and `now` plus the timeout. A time beyond the clock's end is none.
    ///
    /// Go: net/dial.go Dialer.deadline
    fn deadline_from(&self, now: Instant) -> Option<Instant> {
        let timeout = self.timeout.and_then(|timeout| now.checked_add(timeout));
        [timeout, self.deadline].into_iter().flatten().min()
    }

    /// The addresses to try: at least one.
    ///
    /// Go: net/dial.go Resolver.resolveAddrList
    #[doc(alias = "resolveAddrList")]
    fn resolve(
        &self,
        ctx: &Context,
        network: Network,
        address: &str,
        deadline: Option<Instant>,
    ) -> Result<Vec<TcpAddr>, Cause> {
        if address.is_empty() {
            return Err(Cause::MissingAddress);
        }
        if let Some(local) = &self.local_unix {
            return Err(mismatched(local.to_string()));
        }
        let resolver = self.resolver.as_ref().unwrap_or(Resolver::shared());
        let mut addrs = internet_addr_list_by(resolver, ctx, network, address, deadline)?;
        if let Some(local) = self.local_addr
            && !local.is_wildcard()
        {
            addrs.retain(|addr| addr.is_wildcard() || addr.is_ipv4() == local.is_ipv4());
            if addrs.is_empty() {
                let err = "no suitable address found";
                return Err(AddrError { err, addr: local.to_string() }.into());
            }
        }
        Ok(addrs)
    }
}

/// Go: net/dial.go Resolver.resolveAddrList
fn mismatched(local: String) -> Cause {
    AddrError { err: "mismatched local address type", addr: local }.into()
}

impl Default for Dialer {
    fn default() -> Dialer {
        Dialer::new()
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer")
            .field("timeout", &self.timeout)
            .field("deadline", &self.deadline)
            .field("local_addr", &self.local_addr)
            .field("local_unix", &self.local_unix)
            .field("fallback_delay", &self.fallback_delay)
            .field("keep_alive", &self.keep_alive)
            .field("multipath_tcp", &self.multipath_tcp)
            .field("control", &self.control.is_some())
            .field("resolver", &self.resolver)
            .finish()
    }
}

/// One dial: what stays the same for all of its addresses. Go: sysDialer
struct Attempt {
    network: Network,
    dialer: Dialer,
}

impl Attempt {
    /// Tries `addrs` one after the other and returns the first connection, or the first error, which tells most.
    ///
    /// Go: net/dial.go sysDialer.dialSerial
    #[doc(alias = "dialSerial")]
    fn serial(&self, ctx: &Context, addrs: &[TcpAddr], deadline: Option<Instant>) -> io::Result<TcpConn> {
        self.serial_with(ctx, addrs, deadline, |raddr, share| self.connect(raddr, share, ctx))
    }

    /// [`Attempt::serial`] for whatever `connect` makes; it gets an address and its share of the time.
    fn serial_with<T>(
        &self,
        ctx: &Context,
        addrs: &[TcpAddr],
        deadline: Option<Instant>,
        connect: impl Fn(&TcpAddr, Option<Instant>) -> Result<T, Cause>,
    ) -> io::Result<T> {
        let mut first_err = None;
        for (i, raddr) in addrs.iter().enumerate() {
            if let Some(e) = ctx.err() {
                return Err(self.error(Some(raddr), e.into()));
            }
            let share = match deadline {
                None => None,
                Some(deadline) => match partial_deadline(Instant::now(), deadline, addrs.len() - i) {
                    Some(share) => Some(share),
                    None => return Err(self.error(Some(raddr), Cause::Timeout)),
                },
            };
            match connect(raddr, share) {
                Ok(conn) => return Ok(conn),
                Err(cause) => {
                    first_err.get_or_insert_with(|| self.error(Some(raddr), cause));
                }
            }
        }
        Err(first_err.unwrap_or_else(|| self.error(None, Cause::MissingAddress)))
    }

    fn error(&self, raddr: Option<&TcpAddr>, cause: Cause) -> io::Error {
        OpError::new("dial", self.network.as_str(), cause)
            .with_source(raddr.and(self.dialer.local_addr).map(|addr| self.network.addr(addr)))
            .with_addr(raddr.map(|&addr| self.network.addr(addr)))
            .into()
    }
}

/// When to stop trying one of `remaining` addresses that share a deadline. `None`: it has passed.
///
/// Go: net/dial.go partialDeadline
#[doc(alias = "partialDeadline")]
fn partial_deadline(now: Instant, deadline: Instant, remaining: usize) -> Option<Instant> {
    let left = deadline.checked_duration_since(now).filter(|left| !left.is_zero())?;
    let share = left / u32::try_from(remaining).unwrap_or(u32::MAX).max(1);
    Some(now + share.max(SANE_MINIMUM).min(left))
}

#[cfg(test)]
mod tests;
