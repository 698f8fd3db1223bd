//! Listening. Go: `ListenConfig`, `Listen`.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use gopark_sched::context::Context;

use crate::addr::TcpAddr;
use crate::error::{AddrError, Cause, OpError, UnknownNetworkError};
use crate::ip_conn::is_ip_network;
use crate::ipsock::{Network, first_ipv4, internet_addr_list};
use crate::sock::{Control, ListenOptions, listen_datagram};
use crate::{
    Addr, KeepAliveConfig, Listener, PacketConn, TcpListener, UdpAddr, UdpConn, UnixAddr, UnixConn,
    UnixListener,
};

mod stream;

/// Listens on `address` of `network`.
///
/// Networks are `tcp`, `tcp4` (IPv4 only) and `tcp6` (IPv6 only). The address is `host:port`, see
/// [`dial`](crate::dial). Without a host, or with a wildcard on `tcp`, it is all addresses of this machine,
/// of both families if the system can. Without a port, or with port 0, the system chooses one: see
/// [`Listener::addr`].
///
/// `unix` and `unixpacket` are Unix sockets; the address is a path, or an abstract name with `@` before it: see
/// [`UnixListener`].
///
/// May block if the host is a name.
///
/// # Errors
///
/// An [`OpError`] with op `listen`: what bind(2) or listen(2) says, or that the address or network is not one.
///
/// # Examples
///
/// ```no_run
/// use gopark_net::{go, listen};
///
/// let ln = listen("tcp", ":8080")?;
/// for conn in ln.incoming() {
///     let conn = conn?;
///     go(move || conn.write_all(b"hello\n"));
/// }
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/dial.go Listen
pub fn listen(network: &str, address: &str) -> io::Result<Box<dyn Listener>> {
    ListenConfig::new().listen(network, address)
}

/// A socket for datagrams, bound to `address` of `network`.
///
/// Networks are `udp`, `udp4` (IPv4 only) and `udp6` (IPv6 only). The address is as for [`listen`]. For a multicast
/// group the socket is bound to all addresses, and others may bind the same port; to be a member of the group it must
/// still join it: see [`listen_multicast_udp`].
///
/// `unixgram` is a Unix socket for datagrams; the address is a path, or an abstract name with `@` before it: see
/// [`UnixConn`]. `ip4:icmp`, `ip6:58` and the like are raw sockets; the address is a host without a port: see
/// [`IpConn`](crate::IpConn).
///
/// May block if the host is a name.
///
/// # Errors
///
/// An [`OpError`] with op `listen`: what bind(2) says, or that the address or network is not one.
///
/// # Examples
///
/// ```no_run
/// let conn = gopark_net::listen_packet("udp", ":7")?;
/// let mut buf = [0; 1500];
/// let (n, from) = conn.read_from(&mut buf)?;
/// conn.write_to(&buf[..n], &from)?;
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/dial.go ListenPacket
pub fn listen_packet(network: &str, address: &str) -> io::Result<Box<dyn PacketConn>> {
    ListenConfig::new().listen_packet(network, address)
}

/// A UDP socket, bound to `address` of `network`: see [`listen_packet`].
///
/// # Errors
///
/// As [`listen_packet`].
///
/// # Examples
///
/// ```no_run
/// let conn = gopark_net::listen_udp("udp4", ":0")?;
/// println!("at {}", conn.local_addr()?);
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/udpsock.go ListenUDP
#[doc(alias = "ListenUDP")]
pub fn listen_udp(network: &str, address: &str) -> io::Result<UdpConn> {
    ListenConfig::new().listen_udp(network, address)
}

/// A UDP socket that is a member of the multicast group `group` on the interface with the number `interface`, or 0 for
/// the one that the system chooses. It is bound to the group's port on all addresses, others may bind it too, and what
/// it sends to the group does not come back to this machine.
///
/// For simple programs; see [`UdpConn::join_multicast_v4`] for others. Being bound to all addresses, it also receives
/// what is sent to this machine, and to groups that others of it have joined.
///
/// # Errors
///
/// An [`OpError`] with op `listen`: `network` is not one of UDP, `group` has no IP, or what the system says.
///
/// # Examples
///
/// ```no_run
/// use gopark_net::{UdpAddr, listen_multicast_udp};
///
/// let mdns = UdpAddr::from("224.0.0.251:5353".parse::<std::net::SocketAddr>().unwrap());
/// let conn = listen_multicast_udp("udp4", 0, mdns)?;
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/udpsock.go ListenMulticastUDP
#[doc(alias = "ListenMulticastUDP")]
pub fn listen_multicast_udp(network: &str, interface: u32, group: impl Into<UdpAddr>) -> io::Result<UdpConn> {
    ListenConfig::new().listen_multicast_udp(network, interface, group)
}

/// How to listen: the queue, and the options of the listener and of the connections that it accepts.
///
/// # Examples
///
/// ```no_run
/// use gopark_net::ListenConfig;
///
/// let ln = ListenConfig::new().backlog(64).reuse_port(true).listen("tcp", "127.0.0.1:8080")?;
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/dial.go ListenConfig
#[derive(Clone)]
pub struct ListenConfig {
    keep_alive: KeepAliveConfig,
    backlog: Option<u32>,
    reuse_port: bool,
    multipath_tcp: bool,
    shards: usize,
    control: Option<Control>,
}

impl ListenConfig {
    /// Go's defaults.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::ListenConfig::new().listen("tcp", "localhost:0")?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn new() -> ListenConfig {
        ListenConfig {
            keep_alive: KeepAliveConfig::default(),
            backlog: None,
            reuse_port: false,
            multipath_tcp: false,
            shards: 1,
            control: None,
        }
    }

    /// The silence on an accepted connection after which keep-alive probes are sent (15 seconds unless set;
    /// zero means that too). `None`: no probes.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::ListenConfig::new().keep_alive(None).listen("tcp", "localhost:0")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/dial.go ListenConfig.KeepAlive
    pub fn keep_alive(mut self, idle: Option<Duration>) -> ListenConfig {
        self.keep_alive = idle.map_or(KeepAliveConfig::DISABLED, KeepAliveConfig::with_idle);
        self
    }

    /// All of the keep-alive settings.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{KeepAliveConfig, ListenConfig};
    ///
    /// let hasty = KeepAliveConfig { count: Some(2), ..KeepAliveConfig::default() };
    /// let ln = ListenConfig::new().keep_alive_config(hasty).listen("tcp", "localhost:0")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/dial.go ListenConfig.KeepAliveConfig
    pub fn keep_alive_config(mut self, config: KeepAliveConfig) -> ListenConfig {
        self.keep_alive = config;
        self
    }

    /// How many connections may wait to be accepted. The system allows no more than `net.core.somaxconn`,
    /// which is also the default.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::ListenConfig::new().backlog(16).listen("tcp", "localhost:0")?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn backlog(mut self, connections: u32) -> ListenConfig {
        self.backlog = Some(connections);
        self
    }

    /// Whether others of the same user may listen on the same address (`SO_REUSEPORT`); the system then spreads the
    /// connections, or datagrams by their senders, over them. Each of them must say so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::ListenConfig;
    ///
    /// let shared = ListenConfig::new().reuse_port(true);
    /// let one = shared.listen_tcp("tcp", "127.0.0.1:8080")?;
    /// let other = shared.listen_tcp("tcp", "127.0.0.1:8080")?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn reuse_port(mut self, yes: bool) -> ListenConfig {
        self.reuse_port = yes;
        self
    }

    /// Called after the socket is made and before it is bound, with the network (`tcp4`, `udp6`, …), the local
    /// address, and the socket. An error fails the call.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::ListenConfig;
    ///
    /// let config = ListenConfig::new().control(|network, address, _socket| {
    ///     eprintln!("listening on {network} {address}");
    ///     Ok(())
    /// });
    /// let ln = config.listen("tcp", "localhost:0")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/dial.go ListenConfig.Control
    pub fn control<F>(mut self, control: F) -> ListenConfig
    where
        F: Fn(&str, &str, BorrowedFd<'_>) -> io::Result<()> + Send + Sync + 'static,
    {
        self.control = Some(Arc::new(control));
        self
    }

    /// Listens on `address` of `network`; see [`listen`].
    ///
    /// # Errors
    ///
    /// As [`listen`].
    ///
    /// # Panics
    ///
    /// If the control hook does.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::ListenConfig::new().listen("tcp4", "localhost:0")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/dial.go ListenConfig.Listen
    pub fn listen(&self, network: &str, address: &str) -> io::Result<Box<dyn Listener>> {
        if let Ok(addr) = UnixAddr::resolve(network, address) {
            return Ok(Box::new(self.listen_unix_named(&addr)?));
        }
        if is_ip_network(network) {
            return Err(self.listen_ip_stream(network, address));
        }
        match resolve(network, address)? {
            (net, laddr) if net.is_udp() => Err(unexpected_type(network, net.addr(laddr), address)),
            (net, laddr) if self.shards > 1 => Ok(Box::new(self.shards_on(net, laddr)?)),
            (net, laddr) => Ok(Box::new(self.listen_on(net, laddr)?)),
        }
    }

    /// As [`ListenConfig::listen`], with the concrete type.
    ///
    /// # Errors
    ///
    /// As [`listen`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::ListenConfig::new().listen_tcp("tcp", "localhost:0")?;
    /// println!("listening on {}", ln.local_addr()?);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/tcpsock.go ListenTCP
    pub fn listen_tcp(&self, network: &str, address: &str) -> io::Result<TcpListener> {
        self.one_socket(network)?;
        match resolve(network, address)? {
            (net, laddr) if net.is_tcp() => self.listen_on(net, laddr),
            _ => Err(unknown(network)),
        }
    }

    /// A socket for datagrams, bound to `address` of `network`; see [`listen_packet`].
    ///
    /// # Errors
    ///
    /// As [`listen_packet`].
    ///
    /// # Panics
    ///
    /// If the control hook does.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::ListenConfig::new().reuse_port(true).listen_packet("udp", ":7")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/dial.go ListenConfig.ListenPacket
    #[doc(alias = "ListenPacket")]
    pub fn listen_packet(&self, network: &str, address: &str) -> io::Result<Box<dyn PacketConn>> {
        if let Ok(addr) = UnixAddr::resolve(network, address) {
            return Ok(Box::new(self.listen_unixgram_named(&addr)?));
        }
        if is_ip_network(network) {
            return Ok(Box::new(self.listen_ip(network, address)?));
        }
        match resolve(network, address)? {
            (net, laddr) if net.is_udp() => Ok(Box::new(self.listen_udp_on(net, laddr.into())?)),
            (net, laddr) => Err(unexpected_type(network, net.addr(laddr), address)),
        }
    }

    /// As [`ListenConfig::listen_packet`], with the concrete type.
    ///
    /// # Errors
    ///
    /// As [`listen_packet`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::ListenConfig::new().listen_udp("udp", "localhost:0")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/udpsock.go ListenUDP
    pub fn listen_udp(&self, network: &str, address: &str) -> io::Result<UdpConn> {
        match resolve(network, address)? {
            (net, laddr) if net.is_udp() => self.listen_udp_on(net, laddr.into()),
            _ => Err(unknown(network)),
        }
    }

    /// A UDP socket that is a member of a multicast group; see [`listen_multicast_udp`].
    ///
    /// # Errors
    ///
    /// As [`listen_multicast_udp`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{ListenConfig, UdpAddr};
    ///
    /// let mdns = UdpAddr::from("224.0.0.251:5353".parse::<std::net::SocketAddr>().unwrap());
    /// let conn = ListenConfig::new().listen_multicast_udp("udp4", 0, mdns)?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/udpsock.go ListenMulticastUDP
    pub fn listen_multicast_udp(
        &self,
        network: &str,
        interface: u32,
        group: impl Into<UdpAddr>,
    ) -> io::Result<UdpConn> {
        let group = group.into();
        let failed = |cause| {
            let e = OpError::new("listen", network.to_owned(), cause);
            io::Error::from(e.with_addr(Some(group.into())))
        };
        let net = match Network::parse(network) {
            Ok(net) if net.is_udp() => net,
            _ => return Err(failed(UnknownNetworkError(network.to_owned()).into())),
        };
        let ip = group.ip.ok_or_else(|| failed(Cause::MissingAddress))?;
        let conn = self.listen_udp_on(net, group)?;
        conn.join_alone(ip, interface).map_err(failed)?;
        Ok(conn)
    }

    /// Listens on an address that std has resolved, as std would: an IPv4 wildcard stays IPv4.
    pub(crate) fn listen_resolved(&self, addr: SocketAddr) -> io::Result<TcpListener> {
        let v4_wildcard = addr.is_ipv4() && addr.ip().is_unspecified();
        let network = if v4_wildcard { Network::Tcp4 } else { Network::Tcp };
        self.listen_on(network, addr.into())
    }

    /// A socket for datagrams, bound to an address that std has resolved, as std would.
    pub(crate) fn listen_udp_resolved(&self, addr: SocketAddr) -> io::Result<UdpConn> {
        let v4_wildcard = addr.is_ipv4() && addr.ip().is_unspecified();
        let network = if v4_wildcard { Network::Udp4 } else { Network::Udp };
        self.listen_udp_on(network, addr.into())
    }

    fn listen_udp_on(&self, network: Network, laddr: UdpAddr) -> io::Result<UdpConn> {
        match listen_datagram(network, &laddr, &self.options()) {
            Ok(fd) => Ok(UdpConn::new(fd)),
            Err(cause) => {
                Err(OpError::new("listen", network.as_str(), cause).with_addr(Some(laddr.into())).into())
            }
        }
    }

    /// Listens for Unix connections at `address`: on the network that it belongs to, `unix` or `unixpacket`.
    ///
    /// # Errors
    ///
    /// As [`UnixListener::bind_addr`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::ListenConfig::new().backlog(16).listen_unix("/run/app.sock")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/unixsock.go ListenUnix
    #[doc(alias = "ListenUnix")]
    pub fn listen_unix(&self, address: impl Into<UnixAddr>) -> io::Result<UnixListener> {
        UnixListener::bind_with(&address.into(), &self.options())
    }

    /// A Unix socket for datagrams that is bound to `address`.
    ///
    /// # Errors
    ///
    /// As [`UnixConn::bind`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::ListenConfig::new().listen_unixgram("/run/app.sock")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/unixsock.go ListenUnixgram
    #[doc(alias = "ListenUnixgram")]
    pub fn listen_unixgram(&self, address: impl Into<UnixAddr>) -> io::Result<UnixConn> {
        UnixConn::bind_with(&address.into(), &self.options())
    }

    fn listen_unix_named(&self, addr: &UnixAddr) -> io::Result<UnixListener> {
        if addr.net() == Network::Unixgram {
            return Err(unexpected_type(addr.network(), addr.clone(), &addr.to_string()));
        }
        UnixListener::bind_with(addr, &self.options())
    }

    fn listen_unixgram_named(&self, addr: &UnixAddr) -> io::Result<UnixConn> {
        if addr.net() != Network::Unixgram {
            return Err(unexpected_type(addr.network(), addr.clone(), &addr.to_string()));
        }
        UnixConn::bind_with(addr, &self.options())
    }

    pub(crate) fn options(&self) -> ListenOptions<'_> {
        ListenOptions {
            control: self.control.as_ref(),
            backlog: self.backlog,
            reuse_port: self.reuse_port,
            multipath_tcp: self.multipath_tcp,
            keep_alive: Some(&self.keep_alive),
        }
    }
}

/// Where to listen: of several addresses an IPv4 one. Go: resolveAddrList, addrList.first
fn resolve(network: &str, address: &str) -> io::Result<(Network, TcpAddr)> {
    let resolved = Network::parse(network).map_err(Cause::from).and_then(|net| {
        if net.is_unix() {
            return Err(UnknownNetworkError(network.to_owned()).into());
        }
        let laddr = first_ipv4(&internet_addr_list(&Context::background(), net, address, None)?);
        Ok((net, laddr.ok_or(Cause::MissingAddress)?))
    });
    resolved.map_err(|cause| OpError::new("listen", network.to_owned(), cause).into())
}

/// A network that the call for one type is not for. Go: ListenTCP, ListenUDP
#[cold]
fn unknown(network: &str) -> io::Error {
    OpError::new("listen", network.to_owned(), UnknownNetworkError(network.to_owned())).into()
}

/// A network of datagrams for a listener, or of connections for a socket for datagrams.
#[cold]
pub(crate) fn unexpected_type(network: &str, laddr: impl Into<Addr>, address: &str) -> io::Error {
    let cause = AddrError { err: "unexpected address type", addr: address.to_owned() };
    OpError::new("listen", network.to_owned(), cause).with_addr(Some(laddr.into())).into()
}

impl Default for ListenConfig {
    fn default() -> ListenConfig {
        ListenConfig::new()
    }
}

impl fmt::Debug for ListenConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenConfig")
            .field("keep_alive", &self.keep_alive)
            .field("backlog", &self.backlog)
            .field("reuse_port", &self.reuse_port)
            .field("multipath_tcp", &self.multipath_tcp)
            .field("shards", &self.shards)
            .field("control", &self.control.is_some())
            .finish()
    }
}
