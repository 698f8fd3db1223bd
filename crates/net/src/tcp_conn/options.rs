//! Options and addresses of a `TcpConn`. Go: `net/tcpsockopt_*.go`, `net/sockopt_*.go`.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use gopark_sys::mptcp;

use super::TcpConn;
use crate::keepalive::seconds;
use crate::{Addr, KeepAliveConfig};

impl TcpConn {
    /// The address of our end. Never fails, also after `close`.
    ///
    /// An IPv4 address is one of IPv4, also on a socket for both families.
    ///
    /// # Errors
    ///
    /// None; the result is std's.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// println!("from {}", conn.local_addr()?);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.LocalAddr
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.fd.laddr.std())
    }

    /// The address of the peer, under std's name. Never fails, also after `close`.
    ///
    /// # Errors
    ///
    /// None; the result is std's.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// assert_eq!(conn.peer_addr()?.port(), 7);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer().std())
    }

    /// The address of the peer.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// assert_eq!(conn.remote_addr().to_string(), "127.0.0.1:7");
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go conn.RemoteAddr
    pub fn remote_addr(&self) -> Addr {
        self.peer().into()
    }

    fn peer(&self) -> crate::TcpAddr {
        // Every way to make a connection sets it.
        self.fd.raddr.unwrap_or(crate::TcpAddr { ip: None, port: 0, scope_id: 0 })
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`). They are, unless this is set to false.
    ///
    /// # Errors
    ///
    /// The connection is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// conn.set_nodelay(false)?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/tcpsock.go TCPConn.SetNoDelay
    #[doc(alias = "SetNoDelay")]
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.fd.option("setsockopt", |socket| socket.set_tcp_nodelay(nodelay))
    }

    /// Whether small writes are sent at once.
    ///
    /// # Errors
    ///
    /// The connection is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// assert!(conn.nodelay()?);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn nodelay(&self) -> io::Result<bool> {
        self.fd.option("getsockopt", |socket| socket.tcp_nodelay())
    }

    /// What `close` does with what was not yet sent. `None`: it returns at once, and the system goes on
    /// sending (the default). Zero: it is thrown away and the peer sees a reset. Otherwise `close` waits that
    /// long, in whole seconds, and occupies a thread while it does.
    ///
    /// # Errors
    ///
    /// The connection is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// conn.set_linger(Some(Duration::ZERO))?;
    /// conn.close()?; // a reset
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/tcpsock.go TCPConn.SetLinger
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        // Rounded up: a part of a second must not become none, which is a reset.
        let round_up = |d: Duration| if d.is_zero() { d } else { seconds(d) };
        self.fd.option("setsockopt", |socket| socket.set_linger(linger.map(round_up)))
    }

    /// What was set by [`TcpConn::set_linger`].
    ///
    /// # Errors
    ///
    /// The connection is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// assert_eq!(conn.linger()?, None);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.fd.option("getsockopt", |socket| socket.linger())
    }

    /// Sets the time to live (hops) of IPv4 packets.
    ///
    /// # Errors
    ///
    /// The connection is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// conn.set_ttl(64)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.fd.option("setsockopt", |socket| socket.set_ttl_v4(ttl))
    }

    /// The time to live of IPv4 packets.
    ///
    /// # Errors
    ///
    /// The connection is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// println!("ttl {}", conn.ttl()?);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn ttl(&self) -> io::Result<u32> {
        self.fd.option("getsockopt", |socket| socket.ttl_v4())
    }

    /// Whether keep-alive probes are sent. They are, unless the connection was made otherwise.
    ///
    /// # Errors
    ///
    /// The connection is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// conn.set_keep_alive(false)?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/tcpsock.go TCPConn.SetKeepAlive
    pub fn set_keep_alive(&self, enable: bool) -> io::Result<()> {
        self.fd.option("setsockopt", |socket| socket.set_keepalive(enable))
    }

    /// The silence after which the first keep-alive probe is sent, rounded up to seconds; zero means 15 seconds.
    ///
    /// # Errors
    ///
    /// The connection is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// conn.set_keep_alive_period(Duration::from_secs(60))?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/tcpsock.go TCPConn.SetKeepAlivePeriod
    pub fn set_keep_alive_period(&self, idle: Duration) -> io::Result<()> {
        // socket2 sets the time and switches probes on in one; Go leaves the switch alone.
        self.fd.option("setsockopt", |socket| {
            let enabled = socket.keepalive()?;
            socket.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(seconds(idle)))?;
            if enabled { Ok(()) } else { socket.set_keepalive(false) }
        })
    }

    /// All of the keep-alive settings.
    ///
    /// # Errors
    ///
    /// The connection is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::KeepAliveConfig;
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// conn.set_keep_alive_config(KeepAliveConfig { count: Some(2), ..KeepAliveConfig::default() })?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/tcpsockopt_unix.go TCPConn.SetKeepAliveConfig
    pub fn set_keep_alive_config(&self, config: KeepAliveConfig) -> io::Result<()> {
        self.fd.option("setsockopt", |socket| {
            socket.set_tcp_keepalive(&config.params())?;
            if config.enable { Ok(()) } else { socket.set_keepalive(false) }
        })
    }

    /// The silence after which the first keep-alive probe is sent; `None` if none are.
    ///
    /// # Errors
    ///
    /// The connection is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// println!("keep-alive: {:?}", conn.keep_alive()?);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn keep_alive(&self) -> io::Result<Option<Duration>> {
        self.fd.option("getsockopt", |socket| {
            if socket.keepalive()? { socket.tcp_keepalive_time().map(Some) } else { Ok(None) }
        })
    }

    /// Whether the connection speaks Multipath TCP: this side asked for it
    /// ([`Dialer::set_multipath_tcp`](crate::Dialer::set_multipath_tcp),
    /// [`ListenConfig::set_multipath_tcp`](crate::ListenConfig::set_multipath_tcp)), and the other side and the way
    /// there agreed. Never on systems without it.
    ///
    /// # Errors
    ///
    /// The connection is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::Dialer::new().set_multipath_tcp(true).dial_tcp("tcp", "example.com:80")?;
    /// println!("multipath: {}", conn.multipath_tcp()?);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/tcpsock.go TCPConn.MultipathTCP
    #[doc(alias = "MultipathTCP")]
    pub fn multipath_tcp(&self) -> io::Result<bool> {
        match self.fd.pfd.control(mptcp::in_use) {
            Ok(Ok(in_use)) => Ok(in_use),
            Ok(Err(errno)) => Err(self.fd.wrap("get", "getsockopt", errno.into())),
            Err(e) => Err(self.fd.wrap("get", "getsockopt", e)),
        }
    }
}
