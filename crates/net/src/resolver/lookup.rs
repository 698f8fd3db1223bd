//! What a program asks a resolver. Go: `net/lookup.go`.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use domain::base::iana::Rtype;
use gopark_sched::context::Context;

use super::client::{CANNOT_UNMARSHAL, Failure, Found};
use super::ip::Want;
use super::message::{Answer, Data};
use super::names::{is_domain_name, reverse_addr};
use super::order::Order;
use super::records::{sort_mx, sort_srv};
use super::sort::Scoped;
use super::{InvalidRecords, Mx, Ns, Resolver, Srv};
use crate::addr::parse_ip;
use crate::error::{Cause, DnsError, UnknownNetworkError};
use crate::ipsock::{Version, ip_list};
use crate::zone;

/// CVE-2021-33195.
const INVALID_NAMES: &str = "DNS response contained records which contain invalid names";

impl Resolver {
    /// The addresses of `host` as text, best first. A literal is its own address.
    ///
    /// May block: see the contract of [`Runtime::start`](crate::Runtime::start).
    ///
    /// # Errors
    ///
    /// A [`DnsError`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{Resolver, context::Context};
    ///
    /// let addrs = Resolver::new().lookup_host(&Context::background(), "localhost")?;
    /// assert!(addrs.iter().any(|addr| addr == "127.0.0.1"));
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/lookup.go Resolver.LookupHost
    #[doc(alias = "LookupHost")]
    pub fn lookup_host(&self, ctx: &Context, host: &str) -> io::Result<Vec<String>> {
        if parse_ip(host).is_some() {
            return Ok(vec![host.to_owned()]);
        }
        // As it is in the file, where an interface may be named that is not there.
        if matches!(self.0.order_for(host).0, Order::Files | Order::FilesDns)
            && let Some(named) = self.0.files.hosts.get().lookup_host(host)
        {
            return Ok(named.addrs.clone());
        }
        let addrs = self.lookup_scoped(ctx, Version::Any, host).map_err(to_io)?;
        Ok(addrs.into_iter().map(to_text).collect())
    }

    /// The addresses of `host`, best first, of `network`: `ip4`, `ip6`, or `ip` for both.
    ///
    /// May block: see the contract of [`Runtime::start`](crate::Runtime::start).
    ///
    /// # Errors
    ///
    /// A [`DnsError`]; [`AddrError`](crate::AddrError) "no suitable address found" if there are only others;
    /// [`UnknownNetworkError`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{Resolver, context::Context};
    ///
    /// let ips = Resolver::new().lookup_ip(&Context::background(), "ip4", "localhost")?;
    /// assert!(ips.iter().all(|ip| ip.is_ipv4()));
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/lookup.go Resolver.LookupIP
    #[doc(alias = "LookupIP")]
    pub fn lookup_ip(&self, ctx: &Context, network: &str, host: &str) -> io::Result<Vec<IpAddr>> {
        let version = match network {
            "ip" => Version::Any,
            "ip4" => Version::V4,
            "ip6" => Version::V6,
            other => return Err(UnknownNetworkError(other.to_owned()).into()),
        };
        let addrs = ip_list(self, ctx, version, host).map_err(to_io)?;
        Ok(addrs.into_iter().map(|(ip, _)| ip).collect())
    }

    /// The same as [`Resolver::lookup_ip`]: Go has two types for what std has one for.
    ///
    /// # Errors
    ///
    /// As [`Resolver::lookup_ip`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{Resolver, context::Context};
    ///
    /// let ips = Resolver::new().lookup_netip(&Context::background(), "ip6", "localhost")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/lookup.go Resolver.LookupNetIP
    #[doc(alias = "LookupNetIP")]
    pub fn lookup_netip(&self, ctx: &Context, network: &str, host: &str) -> io::Result<Vec<IpAddr>> {
        self.lookup_ip(ctx, network, host)
    }

    /// The addresses of `host`, best first, with the scope of those that have one. The port, of which a name says
    /// nothing, is 0: std has the scope only together with it.
    ///
    /// May block: see the contract of [`Runtime::start`](crate::Runtime::start).
    ///
    /// # Errors
    ///
    /// A [`DnsError`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{Resolver, TcpConn, context::Context};
    ///
    /// let mut addrs = Resolver::new().lookup_ip_addr(&Context::background(), "printer.local")?;
    /// addrs.iter_mut().for_each(|addr| addr.set_port(631));
    /// let conn = TcpConn::connect(&addrs[..])?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/lookup.go Resolver.LookupIPAddr
    #[doc(alias = "LookupIPAddr")]
    pub fn lookup_ip_addr(&self, ctx: &Context, host: &str) -> io::Result<Vec<SocketAddr>> {
        let addrs = match parse_ip(host) {
            Some((ip, scope)) => vec![(ip, scope.unwrap_or(0))],
            None => self.lookup_scoped(ctx, Version::Any, host).map_err(to_io)?,
        };
        Ok(addrs.into_iter().map(to_socket_addr).collect())
    }

    /// The names of `addr`, an IP address.
    ///
    /// May block: see the contract of [`Runtime::start`](crate::Runtime::start).
    ///
    /// # Errors
    ///
    /// A [`DnsError`]: "unrecognized address" if it is none. With an [`InvalidRecords<String>`] inside if there were
    /// names that are none.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{Resolver, context::Context};
    ///
    /// let names = Resolver::new().lookup_addr(&Context::background(), "127.0.0.1")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/lookup.go Resolver.LookupAddr
    #[doc(alias = "LookupAddr")]
    pub fn lookup_addr(&self, ctx: &Context, addr: &str) -> io::Result<Vec<String>> {
        let (order, conf) = self.0.pure_order_for("");
        let in_files = || {
            let names = self.0.files.hosts.get().lookup_addr(addr).to_vec();
            Some(names).filter(|names| !names.is_empty())
        };
        let names = if matches!(order, Order::Files | Order::FilesDns)
            && let Some(names) = in_files()
        {
            names
        } else if order == Order::Files {
            return Err(Failure::NotFound.into_error(addr, "").into());
        } else {
            // Without a zone: name servers know nothing of our interfaces.
            let ip = addr.parse().map_err(|_| DnsError::new("unrecognized address", addr))?;
            check_started()?;
            match self.0.lookup(ctx, &conf, &reverse_addr(ip), Rtype::PTR) {
                Ok(found) => names_of(&found, addr)?,
                Err(e) => match in_files().filter(|_| order == Order::DnsFiles && e.is_not_found) {
                    Some(names) => names,
                    None => return Err(e.into()),
                },
            }
        };
        only_valid(names, addr, |name| is_domain_name(name))
    }

    /// The canonical name of `host`: what all its aliases lead to; it need not have an address.
    ///
    /// May block: see the contract of [`Runtime::start`](crate::Runtime::start).
    ///
    /// # Errors
    ///
    /// A [`DnsError`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{Resolver, context::Context};
    ///
    /// let name = Resolver::new().lookup_cname(&Context::background(), "www.example.com")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/lookup.go Resolver.LookupCNAME
    #[doc(alias = "LookupCNAME")]
    pub fn lookup_cname(&self, ctx: &Context, host: &str) -> io::Result<String> {
        check_started()?;
        let (order, conf) = self.0.pure_order_for(host);
        let (_, name) = self.0.lookup_addrs(ctx, Want::Cname, host, order, &conf)?;
        if !is_domain_name(&name) {
            return Err(DnsError::new(INVALID_NAMES, host).into());
        }
        Ok(name)
    }

    /// Where `service` of `name` is to be had by `proto`: the name `_service._proto.name` is asked for, or `name`
    /// itself if both are empty. Returns the canonical name, and the hosts in the order in which to try them: by
    /// priority, and by chance within one, after their weights.
    ///
    /// May block: see the contract of [`Runtime::start`](crate::Runtime::start).
    ///
    /// # Errors
    ///
    /// A [`DnsError`]; with an [`InvalidRecords<Srv>`] inside if there were hosts whose names are none.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{Resolver, context::Context};
    ///
    /// let (_, hosts) = Resolver::new().lookup_srv(&Context::background(), "xmpp-server", "tcp", "example.com")?;
    /// for srv in hosts {
    ///     println!("{}:{}", srv.target, srv.port);
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/lookup.go Resolver.LookupSRV
    #[doc(alias = "LookupSRV")]
    pub fn lookup_srv(
        &self,
        ctx: &Context,
        service: &str,
        proto: &str,
        name: &str,
    ) -> io::Result<(String, Vec<Srv>)> {
        let whole = format!("_{service}._{proto}.{name}");
        let asked = if service.is_empty() && proto.is_empty() { name } else { &whole };
        let answers = self.records(ctx, asked, name, Rtype::SRV)?;
        let cname = answers.first().map(|answer| answer.owner.clone()).unwrap_or_default();
        if !cname.is_empty() && !is_domain_name(&cname) {
            return Err(DnsError::new("SRV header name is invalid", name).into());
        }
        let mut hosts = only(answers, |data| match data {
            Data::Srv { priority, weight, port, target } => Some(Srv { target, port, priority, weight }),
            _ => None,
        });
        sort_srv(&mut hosts);
        Ok((cname, only_valid(hosts, name, |srv| is_domain_name(&srv.target))?))
    }

    /// Who takes mail for `name`, in the order in which to try them.
    ///
    /// May block: see the contract of [`Runtime::start`](crate::Runtime::start).
    ///
    /// # Errors
    ///
    /// A [`DnsError`]; with an [`InvalidRecords<Mx>`] inside if there were hosts whose names are none. (An IP address
    /// is let through: some have one there.)
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{Resolver, context::Context};
    ///
    /// for mx in Resolver::new().lookup_mx(&Context::background(), "example.com")? {
    ///     println!("{} {}", mx.preference, mx.host);
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/lookup.go Resolver.LookupMX
    #[doc(alias = "LookupMX")]
    pub fn lookup_mx(&self, ctx: &Context, name: &str) -> io::Result<Vec<Mx>> {
        let mut hosts = only(self.records(ctx, name, name, Rtype::MX)?, |data| match data {
            Data::Mx { preference, exchange } => Some(Mx { host: exchange, preference }),
            _ => None,
        });
        sort_mx(&mut hosts);
        let is_ip = |host: &str| host.strip_suffix('.').unwrap_or(host).parse::<IpAddr>().is_ok();
        only_valid(hosts, name, |mx| is_domain_name(&mx.host) || is_ip(&mx.host))
    }

    /// Which name servers know `name`.
    ///
    /// May block: see the contract of [`Runtime::start`](crate::Runtime::start).
    ///
    /// # Errors
    ///
    /// A [`DnsError`]; with an [`InvalidRecords<Ns>`] inside if there were servers whose names are none.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{Resolver, context::Context};
    ///
    /// let servers = Resolver::new().lookup_ns(&Context::background(), "example.com")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/lookup.go Resolver.LookupNS
    #[doc(alias = "LookupNS")]
    pub fn lookup_ns(&self, ctx: &Context, name: &str) -> io::Result<Vec<Ns>> {
        let servers = only(self.records(ctx, name, name, Rtype::NS)?, |data| match data {
            Data::Ns(host) => Some(Ns { host }),
            _ => None,
        });
        only_valid(servers, name, |ns| is_domain_name(&ns.host))
    }

    /// The texts of `name`. Each is one, however many pieces the record has it in; what is not UTF-8 is replaced: see
    /// [`Resolver::lookup_txt_bytes`].
    ///
    /// May block: see the contract of [`Runtime::start`](crate::Runtime::start).
    ///
    /// # Errors
    ///
    /// A [`DnsError`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{Resolver, context::Context};
    ///
    /// let texts = Resolver::new().lookup_txt(&Context::background(), "example.com")?;
    /// let spf = texts.iter().find(|text| text.starts_with("v=spf1 "));
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/lookup.go Resolver.LookupTXT
    #[doc(alias = "LookupTXT")]
    pub fn lookup_txt(&self, ctx: &Context, name: &str) -> io::Result<Vec<String>> {
        let texts = self.lookup_txt_bytes(ctx, name)?;
        Ok(texts.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect())
    }

    /// As [`Resolver::lookup_txt`], with the bytes as they are.
    ///
    /// # Errors
    ///
    /// As [`Resolver::lookup_txt`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{Resolver, context::Context};
    ///
    /// let texts = Resolver::new().lookup_txt_bytes(&Context::background(), "example.com")?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn lookup_txt_bytes(&self, ctx: &Context, name: &str) -> io::Result<Vec<Vec<u8>>> {
        Ok(only(self.records(ctx, name, name, Rtype::TXT)?, |data| match data {
            Data::Txt(text) => Some(text),
            _ => None,
        }))
    }

    /// The number of port `service` of `network`: see [`lookup_port`](crate::lookup_port), which is the same. The
    /// context is not looked at: it is read in a file.
    ///
    /// # Errors
    ///
    /// As [`lookup_port`](crate::lookup_port).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{Resolver, context::Context};
    ///
    /// assert_eq!(Resolver::new().lookup_port(&Context::background(), "tcp", "https")?, 443);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/lookup.go Resolver.LookupPort
    #[doc(alias = "LookupPort")]
    pub fn lookup_port(&self, _ctx: &Context, network: &str, service: &str) -> io::Result<u16> {
        crate::lookup_port(network, service)
    }

    /// The answers of type `qtype` for `asked`; errors name `name`.
    fn records(&self, ctx: &Context, asked: &str, name: &str, qtype: Rtype) -> io::Result<Vec<Answer>> {
        check_started()?;
        let conf = self.0.files.resolv_conf.get();
        let found = self.0.lookup(ctx, &conf, asked, qtype)?;
        Ok(all(&found, name, qtype)?)
    }
}

/// All answers of type `qtype`.
fn all(found: &Found, name: &str, qtype: Rtype) -> Result<Vec<Answer>, DnsError> {
    match found.response.answers(&[qtype]) {
        (answers, Ok(())) => Ok(answers),
        _ => Err(DnsError::new(CANNOT_UNMARSHAL, name).on(&found.server)),
    }
}

fn names_of(found: &Found, addr: &str) -> Result<Vec<String>, DnsError> {
    Ok(only(all(found, addr, Rtype::PTR)?, |data| match data {
        Data::Ptr(name) => Some(name),
        _ => None,
    }))
}

fn only<T>(answers: Vec<Answer>, take: impl Fn(Data) -> Option<T>) -> Vec<T> {
    answers.into_iter().filter_map(|answer| take(answer.data)).collect()
}

/// All of `records`, or those of them that are valid, in an error.
fn only_valid<T>(records: Vec<T>, name: &str, is_valid: impl Fn(&T) -> bool) -> io::Result<Vec<T>>
where
    T: fmt::Debug + Send + Sync + 'static,
{
    let before = records.len();
    let valid: Vec<T> = records.into_iter().filter(|record| is_valid(record)).collect();
    if valid.len() == before {
        return Ok(valid);
    }
    let error = DnsError::new(INVALID_NAMES, name);
    Err(io::Error::other(InvalidRecords { valid, error }))
}

/// A lookup waits, and for that somebody must be there who wakes it.
fn check_started() -> io::Result<()> {
    if gopark_poll::is_installed() { Ok(()) } else { Err(to_io(Cause::NotStarted)) }
}

fn to_io(cause: Cause) -> io::Error {
    match cause {
        Cause::Dns(e) => e.into(),
        Cause::Addr(e) => e.into(),
        other => crate::OpError::new("lookup", "", other).into(),
    }
}

fn to_text((ip, scope_id): Scoped) -> String {
    if scope_id == 0 { ip.to_string() } else { format!("{ip}%{}", zone::name(scope_id)) }
}

fn to_socket_addr((ip, scope_id): Scoped) -> SocketAddr {
    match ip {
        IpAddr::V4(ip) => SocketAddr::from((ip, 0)),
        IpAddr::V6(ip) => SocketAddrV6::new(ip, 0, 0, scope_id).into(),
    }
}
