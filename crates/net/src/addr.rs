//! Network addresses as this package names and prints them. Go: `TCPAddr`, `Addr`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::{IpSockAddr, UnixAddr, zone};

/// The address of one end of a connection, or of a listener.
///
/// # Examples
///
/// ```
/// use gopark_net::{Addr, TcpAddr};
///
/// let addr = Addr::from(TcpAddr::from("[::1]:80".parse::<std::net::SocketAddr>().unwrap()));
/// assert_eq!(addr.network(), "tcp");
/// assert_eq!(addr.to_string(), "[::1]:80");
/// ```
///
/// Go: net/net.go Addr
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Addr {
    /// A TCP end point.
    Tcp(TcpAddr),
    /// A UDP end point.
    Udp(UdpAddr),
    /// An end point of IP itself.
    Ip(IpSockAddr),
    /// A Unix socket.
    Unix(UnixAddr),
    /// An end of a [`pipe`](crate::pipe()). Go: pipeAddr
    Pipe,
}

/// The address of a TCP end point.
///
/// # Examples
///
/// ```
/// use gopark_net::TcpAddr;
///
/// let any = TcpAddr { ip: None, port: 8080, scope_id: 0 };
/// assert_eq!(any.to_string(), ":8080");
/// assert!(any.is_wildcard());
/// ```
///
/// Go: net/tcpsock.go TCPAddr
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct TcpAddr {
    /// The IP address. `None` is any address of this machine, of whichever family.
    pub ip: Option<IpAddr>,
    /// The port; 0 asks the system for a free one.
    pub port: u16,
    /// The number of the interface that an IPv6 link-local address belongs to; 0 for none.
    pub scope_id: u32,
}

/// The address of a UDP end point: what [`TcpAddr`] is for TCP.
///
/// # Examples
///
/// ```
/// use gopark_net::UdpAddr;
///
/// let addr = UdpAddr::from("[::1]:53".parse::<std::net::SocketAddr>().unwrap());
/// assert_eq!((addr.port, addr.to_string().as_str()), (53, "[::1]:53"));
/// ```
///
/// Go: net/udpsock.go UDPAddr
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
#[doc(alias = "UDPAddr")]
pub struct UdpAddr {
    /// The IP address. `None` is any address of this machine, of whichever family.
    pub ip: Option<IpAddr>,
    /// The port; 0 asks the system for a free one.
    pub port: u16,
    /// The number of the interface that an IPv6 link-local address belongs to; 0 for none.
    pub scope_id: u32,
}

impl UdpAddr {
    /// The address as std has it; `None` if there is no IP.
    ///
    /// # Examples
    ///
    /// ```
    /// use gopark_net::UdpAddr;
    ///
    /// let std_addr = "127.0.0.1:53".parse().unwrap();
    /// assert_eq!(UdpAddr::from(std_addr).socket_addr(), Some(std_addr));
    /// ```
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        self.end_point().socket_addr()
    }

    /// Whether the address stands for all addresses of this machine, as [`TcpAddr::is_wildcard`].
    ///
    /// # Examples
    ///
    /// ```
    /// use gopark_net::UdpAddr;
    ///
    /// assert!(UdpAddr { ip: None, port: 53, scope_id: 0 }.is_wildcard());
    /// ```
    ///
    /// Go: net/udpsock.go UDPAddr.isWildcard
    pub fn is_wildcard(&self) -> bool {
        self.end_point().is_wildcard()
    }

    /// The same IP and port in the form that choosing a family, resolving and binding work with, for every transport.
    pub(crate) fn end_point(self) -> TcpAddr {
        let UdpAddr { ip, port, scope_id } = self;
        TcpAddr { ip, port, scope_id }
    }
}

/// As for [`TcpAddr`]: an IPv4 address that came in an IPv6 sockaddr is one of IPv4 again.
impl From<SocketAddr> for UdpAddr {
    fn from(addr: SocketAddr) -> UdpAddr {
        TcpAddr::from(addr).into()
    }
}

impl From<TcpAddr> for UdpAddr {
    fn from(addr: TcpAddr) -> UdpAddr {
        let TcpAddr { ip, port, scope_id } = addr;
        UdpAddr { ip, port, scope_id }
    }
}

impl fmt::Display for UdpAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.end_point().fmt(f)
    }
}

impl Addr {
    /// The name of the network: `tcp`, `udp`, `ip`, `unix`, `unixgram`, `unixpacket` or `pipe`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::listen("tcp", "127.0.0.1:0")?;
    /// assert_eq!(ln.addr().network(), "tcp");
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go Addr.Network
    pub fn network(&self) -> &'static str {
        match self {
            Addr::Tcp(_) => "tcp",
            Addr::Udp(_) => "udp",
            Addr::Ip(_) => "ip",
            Addr::Unix(addr) => addr.network(),
            Addr::Pipe => "pipe",
        }
    }

    /// The address as std has it, if it has one.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::listen("tcp", "127.0.0.1:0")?;
    /// let addr = ln.addr().socket_addr().expect("a TCP address");
    /// assert_ne!(addr.port(), 0);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Addr::Tcp(addr) => addr.socket_addr(),
            Addr::Udp(addr) => addr.socket_addr(),
            Addr::Ip(_) | Addr::Unix(_) | Addr::Pipe => None,
        }
    }
}

impl TcpAddr {
    /// The address as std has it; `None` if there is no IP.
    ///
    /// # Examples
    ///
    /// ```
    /// use gopark_net::TcpAddr;
    ///
    /// let std_addr = "127.0.0.1:80".parse().unwrap();
    /// assert_eq!(TcpAddr::from(std_addr).socket_addr(), Some(std_addr));
    /// assert_eq!(TcpAddr { ip: None, port: 80, scope_id: 0 }.socket_addr(), None);
    /// ```
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        Some(match self.ip? {
            IpAddr::V4(ip) => SocketAddr::from((ip, self.port)),
            IpAddr::V6(ip) => SocketAddr::V6(SocketAddrV6::new(ip, self.port, 0, self.scope_id)),
        })
    }

    /// Whether the address stands for all addresses of this machine: none given, `0.0.0.0`, `::` or
    /// `::ffff:0.0.0.0`.
    ///
    /// # Examples
    ///
    /// ```
    /// use gopark_net::TcpAddr;
    ///
    /// assert!(TcpAddr::from("[::]:80".parse::<std::net::SocketAddr>().unwrap()).is_wildcard());
    /// assert!(!TcpAddr::from("[::1]:80".parse::<std::net::SocketAddr>().unwrap()).is_wildcard());
    /// ```
    ///
    /// Go: net/tcpsock.go TCPAddr.isWildcard
    pub fn is_wildcard(&self) -> bool {
        self.ip.is_none_or(|ip| ip.to_canonical().is_unspecified())
    }

    /// As std has it; without an IP it is `0.0.0.0`. For addresses that came from the system, which have one.
    pub(crate) fn std(&self) -> SocketAddr {
        self.socket_addr().unwrap_or(SocketAddr::from(([0, 0, 0, 0], self.port)))
    }

    /// Whether the IP is one of IPv4, mapped into IPv6 or not.
    ///
    /// Go: net/ipsock.go isIPv4
    #[doc(alias = "isIPv4")]
    pub(crate) fn is_ipv4(&self) -> bool {
        self.ip.is_some_and(|ip| ip.to_canonical().is_ipv4())
    }
}

/// An IPv4 address that came in an IPv6 sockaddr (on a dual-stack socket) is an IPv4 address again, as in Go.
impl From<SocketAddr> for TcpAddr {
    fn from(addr: SocketAddr) -> TcpAddr {
        let scope_id = match addr {
            SocketAddr::V4(_) => 0,
            SocketAddr::V6(v6) => v6.scope_id(),
        };
        TcpAddr { ip: Some(addr.ip().to_canonical()), port: addr.port(), scope_id }
    }
}

impl From<TcpAddr> for Addr {
    fn from(addr: TcpAddr) -> Addr {
        Addr::Tcp(addr)
    }
}

/// A TCP end point.
impl From<SocketAddr> for Addr {
    fn from(addr: SocketAddr) -> Addr {
        Addr::Tcp(addr.into())
    }
}

impl From<IpSockAddr> for Addr {
    fn from(addr: IpSockAddr) -> Addr {
        Addr::Ip(addr)
    }
}

impl From<UnixAddr> for Addr {
    fn from(addr: UnixAddr) -> Addr {
        Addr::Unix(addr)
    }
}

impl From<UdpAddr> for Addr {
    fn from(addr: UdpAddr) -> Addr {
        Addr::Udp(addr)
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Addr::Tcp(addr) => addr.fmt(f),
            Addr::Udp(addr) => addr.fmt(f),
            Addr::Ip(addr) => addr.fmt(f),
            Addr::Unix(addr) => addr.fmt(f),
            Addr::Pipe => f.write_str("pipe"),
        }
    }
}

impl fmt::Display for TcpAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip.map(|ip| ip.to_canonical()) {
            None => {}
            Some(IpAddr::V4(ip)) => write!(f, "{ip}")?,
            Some(IpAddr::V6(ip)) if self.scope_id == 0 => write!(f, "[{ip}]")?,
            Some(IpAddr::V6(ip)) => write!(f, "[{ip}%{}]", zone::name(self.scope_id))?,
        }
        write!(f, ":{}", self.port)
    }
}

/// The IP of a literal and its zone, if `host` is one: dotted decimal, or IPv6 with or without `%zone`.
///
/// # Errors
///
/// None: what is not a literal is a name. A zone that is neither an interface nor a number is not an error of the
/// text, so it comes back as such.
pub(crate) fn parse_ip(host: &str) -> Option<(IpAddr, Result<u32, UnknownZone>)> {
    let Some((ip, zone)) = host.split_once('%') else {
        return Some((host.parse().ok()?, Ok(0)));
    };
    let ip: Ipv6Addr = ip.parse().ok()?;
    if zone.is_empty() {
        return None;
    }
    Some((IpAddr::V6(ip), zone::index(zone).ok_or(UnknownZone)))
}

/// The zone of an IPv6 literal is neither an interface of this machine nor a number.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct UnknownZone;

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(text: &str) -> TcpAddr {
        TcpAddr::from(text.parse::<SocketAddr>().unwrap())
    }

    #[test]
    fn texts_are_gos() {
        assert_eq!(tcp("1.2.3.4:80").to_string(), "1.2.3.4:80");
        assert_eq!(tcp("[::]:0").to_string(), "[::]:0");
        assert_eq!(tcp("[::ffff:1.2.3.4]:80").to_string(), "1.2.3.4:80");
        assert_eq!(tcp("[2001:db8::1]:443").to_string(), "[2001:db8::1]:443");
        assert_eq!(TcpAddr { ip: None, port: 0, scope_id: 0 }.to_string(), ":0");
        let unmapped = TcpAddr { ip: Some("::ffff:10.0.0.1".parse().unwrap()), port: 1, scope_id: 0 };
        assert_eq!(unmapped.to_string(), "10.0.0.1:1");
        let no_such = TcpAddr { ip: Some("fe80::1".parse().unwrap()), port: 1, scope_id: 99_999 };
        assert_eq!(no_such.to_string(), "[fe80::1%99999]:1");
    }

    #[test]
    fn wildcards_are_those_of_go() {
        for text in ["0.0.0.0:1", "[::]:1", "[::ffff:0.0.0.0]:1"] {
            assert!(tcp(text).is_wildcard(), "{text}");
        }
        assert!(TcpAddr { ip: None, port: 1, scope_id: 0 }.is_wildcard());
        assert!(!tcp("127.0.0.1:1").is_wildcard());
    }

    #[test]
    fn literals_are_told_from_names() {
        assert_eq!(parse_ip("127.0.0.1"), Some(("127.0.0.1".parse().unwrap(), Ok(0))));
        assert_eq!(parse_ip("::1"), Some(("::1".parse().unwrap(), Ok(0))));
        assert_eq!(parse_ip("fe80::1%7"), Some(("fe80::1".parse().unwrap(), Ok(7))));
        assert_eq!(parse_ip("fe80::1%no-such-if"), Some(("fe80::1".parse().unwrap(), Err(UnknownZone))));
        for name in
            ["", "localhost", "127.0.0.01", "127.1", "127.0.0.1%lo", "fe80::1%", "%lo", "[::1]", "1.2.3.256"]
        {
            assert_eq!(parse_ip(name), None, "{name}");
        }
    }
}
