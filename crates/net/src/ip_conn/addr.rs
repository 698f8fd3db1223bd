//! The addresses of raw sockets. Go: `net/iprawsock.go`.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use gopark_sched::context::Context;

use super::network::parse_network;
use crate::addr::TcpAddr;
use crate::error::Cause;
use crate::ipsock::internet_addr_list;
use crate::resolve_addr::bare;
use crate::zone;

/// The address of an end point of IP itself: an IP address, and its zone. Named apart from std's `IpAddr`, which has no
/// zone.
///
/// # Examples
///
/// ```
/// use gopark_net::IpSockAddr;
///
/// let addr = IpSockAddr::from(std::net::IpAddr::from([127, 0, 0, 1]));
/// assert_eq!(addr.to_string(), "127.0.0.1");
/// ```
///
/// Go: net/iprawsock.go IPAddr
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
#[doc(alias = "IPAddr")]
pub struct IpSockAddr {
    /// The IP address. `None` is any address of this machine, of whichever family.
    pub ip: Option<IpAddr>,
    /// The number of the interface that an IPv6 link-local address belongs to; 0 for none.
    pub scope_id: u32,
}

impl IpSockAddr {
    /// The address that `address`, a name or a literal, stands for on `network`: `ip`, `ip4` or `ip6`, with or without
    /// a protocol (`ip4:icmp`), or nothing for `ip`. Of several one of IPv4, or, on `ip` and if it is a literal of
    /// IPv6, that.
    ///
    /// May block if it is a name.
    ///
    /// # Errors
    ///
    /// Those of [`dial`](crate::dial), bare: an [`AddrError`](crate::AddrError), a [`DnsError`](crate::DnsError), an
    /// [`UnknownNetworkError`](crate::UnknownNetworkError).
    ///
    /// # Examples
    ///
    /// ```
    /// use gopark_net::IpSockAddr;
    ///
    /// assert_eq!(IpSockAddr::resolve("ip4:icmp", "127.0.0.1")?.to_string(), "127.0.0.1");
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/iprawsock.go ResolveIPAddr
    #[doc(alias = "ResolveIPAddr")]
    pub fn resolve(network: &str, address: &str) -> io::Result<IpSockAddr> {
        let network = if network.is_empty() { "ip" } else { network };
        let wants_ipv6 = network == "ip" && address.contains(':');
        let resolved = parse_network(network, super::network::Needs::Family).and_then(|(net, _)| {
            let addrs = internet_addr_list(&Context::background(), net, address, None)?;
            let wanted = addrs.iter().find(|addr| addr.is_ipv4() != wants_ipv6);
            wanted.or(addrs.first()).copied().ok_or(Cause::MissingAddress)
        });
        resolved.map(IpSockAddr::from).map_err(bare)
    }

    /// Whether the address stands for all addresses of this machine.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(gopark_net::IpSockAddr { ip: None, scope_id: 0 }.is_wildcard());
    /// ```
    ///
    /// Go: net/iprawsock.go IPAddr.isWildcard
    pub fn is_wildcard(&self) -> bool {
        self.end_point().is_wildcard()
    }

    /// In the form that choosing a family, resolving and binding work with, for every transport.
    pub(crate) fn end_point(self) -> TcpAddr {
        let IpSockAddr { ip, scope_id } = self;
        TcpAddr { ip, port: 0, scope_id }
    }
}

impl From<TcpAddr> for IpSockAddr {
    fn from(addr: TcpAddr) -> IpSockAddr {
        IpSockAddr { ip: addr.ip, scope_id: addr.scope_id }
    }
}

/// Without the port. An IPv4 address that came in an IPv6 sockaddr is one of IPv4 again, as for [`TcpAddr`].
impl From<SocketAddr> for IpSockAddr {
    fn from(addr: SocketAddr) -> IpSockAddr {
        TcpAddr::from(addr).into()
    }
}

impl From<IpAddr> for IpSockAddr {
    fn from(ip: IpAddr) -> IpSockAddr {
        IpSockAddr { ip: Some(ip), scope_id: 0 }
    }
}

impl fmt::Display for IpSockAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(ip) = self.ip else { return Ok(()) };
        ip.to_canonical().fmt(f)?;
        if self.scope_id != 0 {
            write!(f, "%{}", zone::name(self.scope_id))?;
        }
        Ok(())
    }
}
