//! The lookups of the resolver that everything uses, without a time limit of the caller's. Go: `net/lookup.go`.

use std::io;
use std::net::IpAddr;

use gopark_sched::context::Context;

use super::{Mx, Ns, Resolver, Srv};

const FOREVER: Context = Context::background();

/// [`Resolver::lookup_host`] without a context.
///
/// # Errors
///
/// As that.
///
/// # Examples
///
/// ```no_run
/// let addrs = gopark_net::lookup_host("localhost")?;
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/lookup.go LookupHost
#[doc(alias = "LookupHost")]
pub fn lookup_host(host: &str) -> io::Result<Vec<String>> {
    Resolver::shared().lookup_host(&FOREVER, host)
}

/// [`Resolver::lookup_ip`] of both families, without a context.
///
/// # Errors
///
/// As that.
///
/// # Examples
///
/// ```no_run
/// let ips = gopark_net::lookup_ip("localhost")?;
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/lookup.go LookupIP
#[doc(alias = "LookupIP")]
pub fn lookup_ip(host: &str) -> io::Result<Vec<IpAddr>> {
    let addrs = Resolver::shared().lookup_ip_addr(&FOREVER, host)?;
    Ok(addrs.iter().map(std::net::SocketAddr::ip).collect())
}

/// [`Resolver::lookup_addr`] without a context.
///
/// # Errors
///
/// As that.
///
/// # Examples
///
/// ```no_run
/// let names = gopark_net::lookup_addr("127.0.0.1")?;
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/lookup.go LookupAddr
#[doc(alias = "LookupAddr")]
pub fn lookup_addr(addr: &str) -> io::Result<Vec<String>> {
    Resolver::shared().lookup_addr(&FOREVER, addr)
}

/// [`Resolver::lookup_cname`] without a context.
///
/// # Errors
///
/// As that.
///
/// # Examples
///
/// ```no_run
/// let name = gopark_net::lookup_cname("www.example.com")?;
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/lookup.go LookupCNAME
#[doc(alias = "LookupCNAME")]
pub fn lookup_cname(host: &str) -> io::Result<String> {
    Resolver::shared().lookup_cname(&FOREVER, host)
}

/// [`Resolver::lookup_srv`] without a context.
///
/// # Errors
///
/// As that.
///
/// # Examples
///
/// ```no_run
/// let (name, hosts) = gopark_net::lookup_srv("imaps", "tcp", "example.com")?;
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/lookup.go LookupSRV
#[doc(alias = "LookupSRV")]
pub fn lookup_srv(service: &str, proto: &str, name: &str) -> io::Result<(String, Vec<Srv>)> {
    Resolver::shared().lookup_srv(&FOREVER, service, proto, name)
}

/// [`Resolver::lookup_mx`] without a context.
///
/// # Errors
///
/// As that.
///
/// # Examples
///
/// ```no_run
/// let hosts = gopark_net::lookup_mx("example.com")?;
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/lookup.go LookupMX
#[doc(alias = "LookupMX")]
pub fn lookup_mx(name: &str) -> io::Result<Vec<Mx>> {
    Resolver::shared().lookup_mx(&FOREVER, name)
}

/// [`Resolver::lookup_ns`] without a context.
///
/// # Errors
///
/// As that.
///
/// # Examples
///
/// ```no_run
/// let servers = gopark_net::lookup_ns("example.com")?;
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/lookup.go LookupNS
#[doc(alias = "LookupNS")]
pub fn lookup_ns(name: &str) -> io::Result<Vec<Ns>> {
    Resolver::shared().lookup_ns(&FOREVER, name)
}

/// [`Resolver::lookup_txt`] without a context.
///
/// # Errors
///
/// As that.
///
/// # Examples
///
/// ```no_run
/// let texts = gopark_net::lookup_txt("example.com")?;
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/lookup.go LookupTXT
#[doc(alias = "LookupTXT")]
pub fn lookup_txt(name: &str) -> io::Result<Vec<String>> {
    Resolver::shared().lookup_txt(&FOREVER, name)
}
