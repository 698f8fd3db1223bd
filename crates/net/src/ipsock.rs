//! From the text of an address to a list of end points, and from end points to an address family.
//! Go: `net/ipsock.go`, `net/ipsock_posix.go`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::sync::OnceLock;
use std::time::Instant;

use gopark_sched::context::Context;
use socket2::{Domain, Socket, Type};

use crate::addr::{TcpAddr, UnknownZone, parse_ip};
use crate::error::{AddrError, Cause, UnknownNetworkError};
use crate::port::port_of;
use crate::{Addr, IpSockAddr, Resolver, UdpAddr};

/// A network that `listen`, `listen_packet` and `dial` know.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Network {
    /// Either family.
    Tcp,
    /// IPv4 only.
    Tcp4,
    /// IPv6 only.
    Tcp6,
    /// Datagrams, as above.
    Udp,
    Udp4,
    Udp6,
    /// Packets of a protocol over IP, whose name or number follows after a colon.
    Ip,
    Ip4,
    Ip6,
    /// Unix sockets: streams, datagrams, packets in sequence.
    Unix,
    Unixgram,
    Unixpacket,
}

/// The family that a network asks for by its name.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Version {
    Any,
    V4,
    V6,
}

/// What a socket is wanted for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Use {
    Dial,
    Listen,
}

/// The family of a socket, and whether IPv4 is kept out of it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Family {
    pub(crate) domain: Domain,
    pub(crate) only_v6: bool,
}

impl Family {
    /// Of a socket that is there already.
    pub(crate) fn of(is_ipv6: bool) -> Family {
        Family { domain: if is_ipv6 { Domain::IPV6 } else { Domain::IPV4 }, only_v6: false }
    }
}

impl Network {
    /// Go: net/dial.go parseNetwork
    #[doc(alias = "parseNetwork")]
    pub(crate) fn parse(name: &str) -> Result<Network, UnknownNetworkError> {
        use Network::{Tcp, Tcp4, Tcp6, Udp, Udp4, Udp6, Unix, Unixgram, Unixpacket};
        // Those of IP are no networks without a protocol: see `ip_conn`.
        let known = [Tcp, Tcp4, Tcp6, Udp, Udp4, Udp6, Unix, Unixgram, Unixpacket];
        let found = known.into_iter().find(|n| n.as_str() == name);
        found.ok_or_else(|| UnknownNetworkError(name.to_owned()))
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Network::Tcp => "tcp",
            Network::Tcp4 => "tcp4",
            Network::Tcp6 => "tcp6",
            Network::Udp => "udp",
            Network::Udp4 => "udp4",
            Network::Udp6 => "udp6",
            Network::Ip => "ip",
            Network::Ip4 => "ip4",
            Network::Ip6 => "ip6",
            Network::Unix => "unix",
            Network::Unixgram => "unixgram",
            Network::Unixpacket => "unixpacket",
        }
    }

    pub(crate) const fn is_udp(self) -> bool {
        matches!(self, Network::Udp | Network::Udp4 | Network::Udp6)
    }

    /// An end point of this network, as errors and connections name it.
    pub(crate) fn addr(self, addr: TcpAddr) -> Addr {
        match self {
            _ if self.is_udp() => UdpAddr::from(addr).into(),
            _ if self.is_ip() => IpSockAddr::from(addr).into(),
            _ => addr.into(),
        }
    }

    pub(crate) const fn is_tcp(self) -> bool {
        matches!(self, Network::Tcp | Network::Tcp4 | Network::Tcp6)
    }

    pub(crate) const fn is_ip(self) -> bool {
        matches!(self, Network::Ip | Network::Ip4 | Network::Ip6)
    }

    pub(crate) const fn is_unix(self) -> bool {
        matches!(self, Network::Unix | Network::Unixgram | Network::Unixpacket)
    }

    pub(crate) const fn version(self) -> Version {
        match self {
            Network::Tcp4 | Network::Udp4 | Network::Ip4 => Version::V4,
            Network::Tcp6 | Network::Udp6 | Network::Ip6 => Version::V6,
            _ => Version::Any,
        }
    }

    /// The name that a control hook sees: always with the family.
    ///
    /// Go: net/sock_posix.go netFD.ctrlNetwork
    #[doc(alias = "ctrlNetwork")]
    pub(crate) fn control_name(self, family: Family) -> &'static str {
        match (self, family.domain == Domain::IPV4) {
            (Network::Tcp, true) => "tcp4",
            (Network::Tcp, false) => "tcp6",
            (Network::Udp, true) => "udp4",
            (Network::Udp, false) => "udp6",
            (Network::Ip, true) => "ip4",
            (Network::Ip, false) => "ip6",
            (other, _) => other.as_str(),
        }
    }
}

impl Version {
    /// Go: net/ipsock.go filterAddrList
    #[doc(alias = "filterAddrList")]
    pub(crate) fn accepts(self, ip: IpAddr) -> bool {
        match self {
            Version::Any => true,
            Version::V4 => ip.to_canonical().is_ipv4(),
            Version::V6 => ip.to_canonical().is_ipv6(),
        }
    }
}

/// Splits `host:port`, `[host]:port` or `[host%zone]:port` into host and port.
///
/// An IPv6 literal must be in square brackets. Neither part is looked at any further, and both may be empty.
///
/// # Errors
///
/// [`AddrError`], with Go's text, if there is no port, or if brackets or colons are where they cannot be.
///
/// # Examples
///
/// ```
/// use gopark_net::split_host_port;
///
/// assert_eq!(split_host_port("[::1]:80")?, ("::1", "80"));
/// assert_eq!(split_host_port(":http")?, ("", "http"));
/// assert_eq!(
///     split_host_port("localhost").unwrap_err().to_string(),
///     "address localhost: missing port in address",
/// );
/// # Ok::<(), gopark_net::AddrError>(())
/// ```
///
/// Go: net/ipsock.go SplitHostPort
#[doc(alias = "SplitHostPort")]
pub fn split_host_port(hostport: &str) -> Result<(&str, &str), AddrError> {
    const MISSING_PORT: &str = "missing port in address";
    const TOO_MANY_COLONS: &str = "too many colons in address";
    let error = |err| Err(AddrError { err, addr: hostport.to_owned() });

    let Some((front, port)) = hostport.rsplit_once(':') else { return error(MISSING_PORT) };
    let (host, tail) = match hostport.strip_prefix('[') {
        Some(rest) => {
            let Some((host, tail)) = rest.split_once(']') else { return error("missing ']' in address") };
            match tail.strip_prefix(':') {
                // The colon after the bracket must be the last one, or the port would contain one.
                Some(after) if after.contains(':') => return error(TOO_MANY_COLONS),
                Some(_) => {}
                None => return error(MISSING_PORT),
            }
            (host, tail)
        }
        None if front.contains(':') => return error(TOO_MANY_COLONS),
        None => (front, hostport),
    };
    // `host` of the bracketed form cannot contain ']' by construction, but it can contain another '['.
    if (hostport.starts_with('[') && host.contains('[')) || tail.contains('[') {
        return error("unexpected '[' in address");
    }
    if tail.contains(']') {
        return error("unexpected ']' in address");
    }
    Ok((host, port))
}

/// `host:port`, with `host` in square brackets if it contains a colon, as IPv6 literals do.
///
/// # Examples
///
/// ```
/// assert_eq!(gopark_net::join_host_port("::1", "80"), "[::1]:80");
/// assert_eq!(gopark_net::join_host_port("localhost", "http"), "localhost:http");
/// ```
///
/// Go: net/ipsock.go JoinHostPort
#[doc(alias = "JoinHostPort")]
pub fn join_host_port(host: &str, port: &str) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The end points that `addr` stands for: at least one. A host name is resolved, no later than `deadline` and no longer
/// than until `ctx` is done; a literal never touches the resolver.
pub(crate) fn internet_addr_list(
    ctx: &Context,
    network: Network,
    addr: &str,
    deadline: Option<Instant>,
) -> Result<Vec<TcpAddr>, Cause> {
    internet_addr_list_by(Resolver::shared(), ctx, network, addr, deadline)
}

/// As [`internet_addr_list`], by a resolver of the caller's.
///
/// Go: net/ipsock.go Resolver.internetAddrList
#[doc(alias = "internetAddrList")]
pub(crate) fn internet_addr_list_by(
    resolver: &Resolver,
    ctx: &Context,
    network: Network,
    addr: &str,
    deadline: Option<Instant>,
) -> Result<Vec<TcpAddr>, Cause> {
    let (host, port) = match addr {
        "" => ("", 0),
        host if network.is_ip() => (host, 0),
        addr => split(network, addr)?,
    };
    if host.is_empty() {
        return Ok(vec![TcpAddr { ip: None, port, scope_id: 0 }]);
    }
    let ips = match deadline {
        Some(at) if ctx.deadline().is_none_or(|earlier| at < earlier) && parse_ip(host).is_none() => {
            if !gopark_poll::is_installed() {
                return Err(Cause::NotStarted); // no timers yet
            }
            let (ctx, cancel) = ctx.with_deadline(at);
            let _cancel = cancel.on_drop();
            ip_list(resolver, &ctx, network.version(), host)?
        }
        _ => ip_list(resolver, ctx, network.version(), host)?,
    };
    Ok(ips.into_iter().map(|(ip, scope_id)| TcpAddr { ip: Some(ip), port, scope_id }).collect())
}

/// The addresses of `host` of family `version`: at least one.
pub(crate) fn ip_list(
    resolver: &Resolver,
    ctx: &Context,
    version: Version,
    host: &str,
) -> Result<Vec<(IpAddr, u32)>, Cause> {
    let mut ips = match parse_ip(host) {
        Some((ip, Ok(scope_id))) => vec![(ip, scope_id)],
        Some((_, Err(UnknownZone))) => {
            return Err(AddrError { err: "no such network interface", addr: host.to_owned() }.into());
        }
        None => resolver.lookup_scoped(ctx, version, host)?,
    };
    // A machine may have IPv6 just enough to bind `::`, and not enough to connect to it (golang/go#18806).
    if let [(IpAddr::V6(Ipv6Addr::UNSPECIFIED), _)] = ips[..] {
        ips.push((IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0));
    }
    ips.retain(|&(ip, _)| version.accepts(ip));
    if ips.is_empty() {
        return Err(AddrError { err: "no suitable address found", addr: host.to_owned() }.into());
    }
    Ok(ips)
}

fn split(network: Network, addr: &str) -> Result<(&str, u16), Cause> {
    let (host, port) = split_host_port(addr)?;
    Ok((host, port_of(network.as_str(), port)?))
}

/// Splits `addrs` by family: those of the first one's family, and the others.
///
/// Go: net/ipsock.go addrList.partition
pub(crate) fn partition(addrs: &[TcpAddr]) -> (Vec<TcpAddr>, Vec<TcpAddr>) {
    let label = addrs.first().is_some_and(TcpAddr::is_ipv4);
    addrs.iter().partition(|addr| addr.is_ipv4() == label)
}

/// The first IPv4 address, or else the first.
///
/// Go: net/ipsock.go addrList.first
pub(crate) fn first_ipv4(addrs: &[TcpAddr]) -> Option<TcpAddr> {
    addrs.iter().find(|addr| addr.is_ipv4()).or(addrs.first()).copied()
}

/// What IP can do on this machine. Found out once, by making sockets.
///
/// Go: net/ipsock_posix.go ipStackCapabilities
#[doc(alias = "ipStackCapabilities")]
struct Capabilities {
    ipv4: bool,
    /// An IPv6 socket can carry IPv4 too.
    ipv4_mapped: bool,
}

impl Capabilities {
    fn get() -> &'static Capabilities {
        static PROBED: OnceLock<Capabilities> = OnceLock::new();
        PROBED.get_or_init(|| Capabilities {
            ipv4: Socket::new(Domain::IPV4, Type::STREAM, None).is_ok(),
            ipv4_mapped: can_bind_mapped().is_ok(),
        })
    }
}

fn can_bind_mapped() -> std::io::Result<()> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
    socket.set_only_v6(false)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), 0)).into())
}

/// The family of the socket for `laddr` and `raddr`.
///
/// A name that ends in 4 or 6 decides. A listener on a wildcard takes both families if it can. Otherwise it
/// is IPv4 if all that was given is.
///
/// Go: net/ipsock_posix.go favoriteAddrFamily
#[doc(alias = "favoriteAddrFamily")]
pub(crate) fn favorite_addr_family(
    network: Network,
    laddr: Option<&TcpAddr>,
    raddr: Option<&TcpAddr>,
    mode: Use,
) -> Family {
    const V4: Family = Family { domain: Domain::IPV4, only_v6: false };
    const V6: Family = Family { domain: Domain::IPV6, only_v6: false };
    match network.version() {
        Version::V4 => return V4,
        Version::V6 => return Family { only_v6: true, ..V6 },
        Version::Any => {}
    }
    let fits_v4 = |addr: Option<&TcpAddr>| addr.is_none_or(|addr| addr.ip.is_none() || addr.is_ipv4());
    if mode == Use::Listen && laddr.is_none_or(TcpAddr::is_wildcard) {
        let can = Capabilities::get();
        if can.ipv4_mapped || !can.ipv4 {
            return V6;
        }
        return if fits_v4(laddr) { V4 } else { V6 };
    }
    if fits_v4(laddr) && fits_v4(raddr) { V4 } else { V6 }
}

/// `addr` in the form that a socket of `family` takes: without an IP it is the wildcard, and on an IPv6
/// socket an IPv4 address is mapped (the IPv4 wildcard becomes `::`, which takes both).
///
/// Go: net/ipsock_posix.go ipToSockaddr
#[doc(alias = "ipToSockaddr")]
pub(crate) fn to_sockaddr(addr: &TcpAddr, family: Family) -> Result<SocketAddr, AddrError> {
    let ip = addr.ip.map(|ip| ip.to_canonical());
    if family.domain == Domain::IPV4 {
        let ip = match ip {
            None => Ipv4Addr::UNSPECIFIED,
            Some(IpAddr::V4(ip)) => ip,
            Some(IpAddr::V6(ip)) => {
                return Err(AddrError { err: "non-IPv4 address", addr: ip.to_string() });
            }
        };
        return Ok(SocketAddrV4::new(ip, addr.port).into());
    }
    let ip = match ip {
        None | Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) => Ipv6Addr::UNSPECIFIED,
        Some(IpAddr::V4(ip)) => ip.to_ipv6_mapped(),
        Some(IpAddr::V6(ip)) => ip,
    };
    Ok(SocketAddrV6::new(ip, addr.port, 0, addr.scope_id).into())
}

#[cfg(test)]
mod tests;
