//! Listening. Go: `ListenConfig`, `Listen`.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use gopark_sched::context::Context;

use crate::addr::TcpAddr;
use crate::error::{Cause, OpError};
use crate::ipsock::{Network, first_ipv4, internet_addr_list};
use crate::sock::{Control, ListenOptions, listen_datagram, listen_stream};
use crate::{KeepAliveConfig, Listener, TcpListener, UdpAddr, UdpConn};

/// Listens on `address` of `network`.
///
/// Networks are `tcp`, `tcp4` (IPv4 only) and `tcp6` (IPv6 only). The address is `host:port`, see
/// [`dial`](crate::dial). Without a host, or with a wildcard on `tcp`, it is all addresses of this machine,
/// of both families if the system can. Without a port, or with port 0, the system chooses one: see
/// [`Listener::addr`].
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
    /// connections over the listeners. Each of them must say so.
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

    /// Called after the socket is made and before it is bound, with the network (`tcp4` or `tcp6`), the local
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
        Ok(Box::new(self.listen_tcp(network, address)?))
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
        let resolved = Network::parse(network).map_err(Cause::from).and_then(|net| {
            let laddr = first_ipv4(&internet_addr_list(&Context::background(), net, address, None)?);
            Ok((net, laddr.ok_or(Cause::MissingAddress)?))
        });
        match resolved {
            Ok((net, laddr)) => self.listen_on(net, laddr),
            Err(cause) => Err(OpError::new("listen", network.to_owned(), cause).into()),
        }
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

    fn options(&self) -> ListenOptions<'_> {
        ListenOptions { control: self.control.as_ref(), backlog: self.backlog, reuse_port: self.reuse_port }
    }

    fn listen_on(&self, network: Network, laddr: TcpAddr) -> io::Result<TcpListener> {
        match listen_stream(network, &laddr, &self.options()) {
            Ok(fd) => Ok(TcpListener::new(fd, self.keep_alive)),
            Err(cause) => {
                Err(OpError::new("listen", network.as_str(), cause).with_addr(Some(laddr.into())).into())
            }
        }
    }
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
            .field("control", &self.control.is_some())
            .finish()
    }
}
