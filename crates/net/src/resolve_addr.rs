//! Addresses from their texts, apart from any connection. Go: `ResolveTCPAddr`, `ResolveUDPAddr`.

use std::io;

use gopark_sched::context::Context;

use crate::UdpAddr;
use crate::addr::TcpAddr;
use crate::error::{Cause, UnknownNetworkError};
use crate::ipsock::{Network, internet_addr_list};

impl TcpAddr {
    /// The address that `address` stands for on `network`: `tcp`, `tcp4`, `tcp6`, or nothing for `tcp`. Of several one
    /// of IPv4, or, if the host is in square brackets, one of IPv6.
    ///
    /// May block if the host is a name.
    ///
    /// # Errors
    ///
    /// Those of [`dial`](crate::dial), bare: an [`AddrError`](crate::AddrError), a [`DnsError`](crate::DnsError), an
    /// [`UnknownNetworkError`].
    ///
    /// # Examples
    ///
    /// ```
    /// use gopark_net::TcpAddr;
    ///
    /// assert_eq!(TcpAddr::resolve("tcp", "127.0.0.1:http")?.to_string(), "127.0.0.1:80");
    /// assert_eq!(TcpAddr::resolve("tcp", ":80")?.ip, None);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/tcpsock.go ResolveTCPAddr
    #[doc(alias = "ResolveTCPAddr")]
    pub fn resolve(network: &str, address: &str) -> io::Result<TcpAddr> {
        let network = if network.is_empty() { "tcp" } else { network };
        resolve(network, address, Network::is_tcp).map_err(bare)
    }
}

impl UdpAddr {
    /// The address that `address` stands for on `network`: `udp`, `udp4`, `udp6`, or nothing for `udp`. As
    /// [`TcpAddr::resolve`].
    ///
    /// # Errors
    ///
    /// As [`TcpAddr::resolve`].
    ///
    /// # Examples
    ///
    /// ```
    /// use gopark_net::UdpAddr;
    ///
    /// assert_eq!(UdpAddr::resolve("udp", "127.0.0.1:domain")?.to_string(), "127.0.0.1:53");
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/udpsock.go ResolveUDPAddr
    #[doc(alias = "ResolveUDPAddr")]
    pub fn resolve(network: &str, address: &str) -> io::Result<UdpAddr> {
        let network = if network.is_empty() { "udp" } else { network };
        resolve(network, address, Network::is_udp).map(UdpAddr::from).map_err(bare)
    }
}

/// Go: net/ipsock.go addrList.forResolve
#[doc(alias = "forResolve")]
fn resolve(network: &str, address: &str, fits: impl Fn(Network) -> bool) -> Result<TcpAddr, Cause> {
    let parsed = Network::parse(network).ok().filter(|&net| fits(net));
    let net = parsed.ok_or_else(|| UnknownNetworkError(network.to_owned()))?;
    let addrs = internet_addr_list(&Context::background(), net, address, None)?;
    let wants_ipv6 = matches!(network, "tcp" | "udp") && address.contains('[');
    let wanted = addrs.iter().find(|addr| addr.is_ipv4() != wants_ipv6);
    wanted.or(addrs.first()).copied().ok_or(Cause::MissingAddress)
}

/// What went wrong, without an operation.
pub(crate) fn bare(cause: Cause) -> io::Error {
    match cause {
        Cause::Addr(e) => e.into(),
        Cause::UnknownNetwork(e) => io::Error::new(io::ErrorKind::InvalidInput, e),
        Cause::Dns(e) if e.is_not_found => io::Error::new(io::ErrorKind::NotFound, e),
        Cause::Dns(e) if e.is_timeout => io::Error::new(io::ErrorKind::TimedOut, e),
        other => io::Error::other(other),
    }
}
