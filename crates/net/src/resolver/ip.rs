//! From names to addresses, and to the canonical name. Go: `net/dnsclient_unix.go` goLookupIPCNAMEOrder,
//! `net/lookup.go` lookupIPAddr.

use std::net::IpAddr;
use std::sync::Arc;

use domain::base::iana::Rtype;
use gopark_sched::context::Context;

use super::client::{CANNOT_UNMARSHAL, Failure, Found};
use super::message::Data;
use super::names::is_domain_name;
use super::order::Order;
use super::resolv_conf::ResolvConf;
use super::singleflight::{Flights, NoResult};
use super::sort::{Scoped, sort_by_rfc6724};
use super::{Inner, Resolver};
use crate::addr::parse_ip;
use crate::error::{Cause, DnsError};
use crate::ipsock::Version;
use crate::lookup::system_lookup;

/// What is wanted of a name.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Want {
    /// Addresses, of one family or of both.
    Addrs(Version),
    /// The canonical name.
    Cname,
}

/// Those who want the same at the same time share a lookup.
pub(super) type Key = (Want, String);
pub(super) type AddrFlights = Flights<Key, Result<Vec<Scoped>, DnsError>>;

/// Addresses and the canonical name, each of which may be missing.
type Named = (Vec<Scoped>, String);

impl Want {
    fn qtypes(self) -> &'static [Rtype] {
        match self {
            Want::Addrs(Version::Any) => &[Rtype::A, Rtype::AAAA],
            Want::Addrs(Version::V4) => &[Rtype::A],
            Want::Addrs(Version::V6) => &[Rtype::AAAA],
            Want::Cname => &[Rtype::A, Rtype::AAAA, Rtype::CNAME],
        }
    }
}

impl Resolver {
    /// The addresses of `host`, which is not a literal: at least one.
    ///
    /// Go: net/lookup.go Resolver.lookupIPAddr
    #[doc(alias = "lookupIPAddr")]
    pub(crate) fn lookup_scoped(
        &self,
        ctx: &Context,
        version: Version,
        host: &str,
    ) -> Result<Vec<Scoped>, Cause> {
        if host.is_empty() {
            return Err(Failure::NotFound.into_error(host, "").into());
        }
        if !gopark_poll::is_installed() {
            return Err(Cause::NotStarted);
        }
        if let Some(done) = ctx.err() {
            return Err(DnsError::done(done, host).into());
        }
        let (order, conf) = self.0.order_for(host);
        // What is in the file needs no waiting, and so no goroutine.
        if matches!(order, Order::Files | Order::FilesDns) {
            match (self.0.in_files(host), order) {
                (Some((addrs, _)), _) => return Ok(addrs),
                (None, Order::Files) => return Err(Failure::NotFound.into_error(host, "").into()),
                (None, _) => {}
            }
        }
        let key = (Want::Addrs(version), host.to_owned());
        let work = {
            let (inner, key) = (Arc::clone(&self.0), key.clone());
            move |ctx: &Context| match order {
                Order::System => system_lookup(ctx, &key.1, version),
                order => inner.lookup_addrs(ctx, key.0, &key.1, order, &conf).map(|(addrs, _)| addrs),
            }
        };
        match Flights::run(&self.0, |inner| &inner.flights, ctx, &key, work) {
            Ok(found) => found.map_err(Cause::from),
            Err(NoResult::Done(done)) => Err(DnsError::done(done, host).into()),
            Err(NoResult::Panicked) => Err(DnsError::new("the lookup panicked", host).into()),
        }
    }
}

impl Inner {
    /// The addresses of `name` in the file of hosts, and its canonical name.
    ///
    /// Go: net/dnsclient_unix.go goLookupIPFiles
    #[doc(alias = "goLookupIPFiles")]
    pub(super) fn in_files(&self, name: &str) -> Option<Named> {
        let hosts = self.files.hosts.get();
        let named = hosts.lookup_host(name)?;
        // An interface that is not there is no reason to lose the address: the number may be all that is missing.
        let scoped = |text: &String| parse_ip(text).map(|(ip, scope)| (ip, scope.unwrap_or(0)));
        let mut addrs: Vec<_> = named.addrs.iter().filter_map(scoped).collect();
        sort_by_rfc6724(&mut addrs);
        Some((addrs, named.canonical.to_string()))
    }

    /// Go: net/dnsclient_unix.go Resolver.goLookupIPCNAMEOrder
    #[doc(alias = "goLookupIPCNAMEOrder")]
    pub(super) fn lookup_addrs(
        self: &Arc<Inner>,
        ctx: &Context,
        want: Want,
        name: &str,
        order: Order,
        conf: &Arc<ResolvConf>,
    ) -> Result<Named, DnsError> {
        if matches!(order, Order::FilesDns | Order::Files)
            && let Some(named) = self.in_files(name)
        {
            return Ok(named);
        }
        if order == Order::Files || !is_domain_name(name) {
            return Err(Failure::NotFound.into_error(name, ""));
        }
        let result = self.ask_for_addrs(ctx, want, name, conf);
        if result.is_err()
            && order == Order::DnsFiles
            && let Some(named) = self.in_files(name)
        {
            return Ok(named);
        }
        result
    }

    fn ask_for_addrs(
        self: &Arc<Inner>,
        ctx: &Context,
        want: Want,
        name: &str,
        conf: &Arc<ResolvConf>,
    ) -> Result<Named, DnsError> {
        // None is asked for: golang/go#13705, RFC 7686.
        let mut last: Option<DnsError> = None;
        let (mut addrs, mut cname) = (Vec::new(), String::new());
        for fqdn in conf.name_list(name) {
            let mut stops = false;
            for result in self.ask_all(ctx, conf, &fqdn, want.qtypes()) {
                match result.and_then(|found| collect(&found, name, &mut addrs, &mut cname)) {
                    Ok(()) => {}
                    Err(e) if self.stops_at(&e) => {
                        stops = true;
                        last = Some(e);
                    }
                    // The error of the name itself says most.
                    Err(e) if last.is_none() || fqdn.strip_suffix('.') == Some(name) => last = Some(e),
                    Err(_) => {}
                }
            }
            if stops {
                // Not half of them: a network that loses packets must not make of two families one.
                addrs.clear();
                cname.clear();
                break;
            }
            if !addrs.is_empty() || (want == Want::Cname && !cname.is_empty()) {
                break;
            }
        }
        sort_by_rfc6724(&mut addrs);
        if addrs.is_empty() && (want != Want::Cname || cname.is_empty()) {
            // The name that was asked for, and not one of those that were tried: golang/go#6324.
            let last = last.unwrap_or_else(|| Failure::NotFound.into_error(name, ""));
            return Err(DnsError { name: name.to_owned(), ..last });
        }
        Ok((addrs, cname))
    }

    /// Asks for all of `qtypes`: at the same time, unless the settings forbid it.
    fn ask_all(
        self: &Arc<Inner>,
        ctx: &Context,
        conf: &Arc<ResolvConf>,
        fqdn: &str,
        qtypes: &[Rtype],
    ) -> Vec<Result<Found, DnsError>> {
        let Some((&first, others)) = qtypes.split_first() else { return Vec::new() };
        let ask = |qtype| self.try_one_name(ctx, conf, fqdn, qtype);
        if conf.single_request {
            return qtypes.iter().map(|&qtype| ask(qtype)).collect();
        }
        let others: Vec<_> = others
            .iter()
            .map(|&qtype| {
                let (inner, conf) = (Arc::clone(self), Arc::clone(conf));
                let (ctx, fqdn) = (ctx.clone(), fqdn.to_owned());
                let asking = gopark_sched::try_spawn(move || inner.try_one_name(&ctx, &conf, &fqdn, qtype));
                (qtype, asking)
            })
            .collect();
        let mut results = vec![ask(first)];
        for (qtype, asking) in others {
            results.push(match asking {
                Ok(asking) => asking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                // No stack to be had: one after the other.
                Err(_) => ask(qtype),
            });
        }
        results
    }
}

/// Takes the addresses and the canonical name out of an answer. Those of whatever name: the server has followed the
/// aliases, and what it sends is the end of them (RFC 1034, section 4.3.1).
fn collect(found: &Found, name: &str, addrs: &mut Vec<Scoped>, cname: &mut String) -> Result<(), DnsError> {
    let (answers, result) = found.response.answers(&[Rtype::A, Rtype::AAAA, Rtype::CNAME]);
    for answer in answers {
        let canonical = match answer.data {
            Data::A(ip) => {
                addrs.push((IpAddr::V4(ip), 0));
                answer.owner
            }
            Data::Aaaa(ip) => {
                addrs.push((IpAddr::V6(ip), 0));
                answer.owner
            }
            Data::Cname(target) => target,
            _ => continue,
        };
        if cname.is_empty() {
            *cname = canonical;
        }
    }
    result.map_err(|_| DnsError::new(CANNOT_UNMARSHAL, name).on(&found.server))
}
