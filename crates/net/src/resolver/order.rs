//! Who is asked for a name: files, name servers, or the system's own resolver. Go: `net/conf.go`.
//!
//! Ours does what `/etc/nsswitch.conf` says as long as that is files and DNS. What else it may name (mDNS, LDAP, a
//! cache daemon) only the C library can do, which loads a module for each; so `getaddrinfo` is asked then, which holds
//! a thread for as long as it takes.

use std::io;

use super::names::ends_in;
use super::nsswitch::{NssError, Nsswitch};
use super::resolv_conf::ResolvConf;

/// Who is asked, in this order.
///
/// Go: net/dnsclient_unix.go hostLookupOrder
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[doc(alias = "hostLookupOrder")]
pub(super) enum Order {
    /// The system's resolver. Go: `hostLookupCgo`
    System,
    FilesDns,
    DnsFiles,
    Files,
    Dns,
}

/// Which resolver is wanted.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Prefer {
    /// Ours where it can do what the system is set up to do, and the system's elsewhere.
    Auto,
    /// Ours.
    Pure,
    /// The system's.
    System,
}

/// What else the choice depends on.
pub(super) struct Machine<'a> {
    pub(super) os: &'a str,
    /// Whether there is an `/etc/mdns.allow`: then any name may be one of mDNS.
    pub(super) has_mdns_allow: &'a dyn Fn() -> io::Result<bool>,
    pub(super) hostname: &'a dyn Fn() -> Option<String>,
}

impl Prefer {
    /// What is meant on this system, with the environment the process was started with: the C library's variables
    /// change what it answers, in ways that only it knows.
    ///
    /// Go: net/conf.go initConfVal
    pub(super) fn or_system(self) -> Prefer {
        let set = |name: &str| std::env::var_os(name);
        let filled = |name: &str| set(name).is_some_and(|value| !value.is_empty());
        let is_special = ["macos", "ios", "android"].contains(&std::env::consts::OS)
            || set("LOCALDOMAIN").is_some()
            || filled("RES_OPTIONS")
            || filled("HOSTALIASES");
        if self == Prefer::Auto && is_special { Prefer::System } else { self }
    }
}

/// The order for `hostname`; an empty one is for addresses.
///
/// Go: net/conf.go conf.lookupOrder
#[doc(alias = "lookupOrder")]
pub(super) fn lookup_order(
    prefer: Prefer,
    hostname: &str,
    conf: &ResolvConf,
    nss: &Nsswitch,
    machine: &Machine<'_>,
) -> Order {
    let can_use_system = match prefer {
        Prefer::System => return Order::System,
        Prefer::Auto => true,
        Prefer::Pure => false,
    };
    // The C library takes the first for an escape; the second is an IPv6 zone.
    let is_odd = hostname.contains(['\\', '%']);
    if can_use_system && (is_odd || conf.is_unreadable || conf.unknown_option) {
        return Order::System;
    }
    let fallback = if can_use_system { Order::System } else { Order::FilesDns };
    if machine.os == "openbsd" {
        return openbsd_order(conf, fallback);
    }
    let sources = nss.sources.get("hosts").map_or(&[][..], Vec::as_slice);
    match nss.error {
        Some(NssError::Missing) => return Order::FilesDns,
        None if sources.is_empty() => return Order::FilesDns,
        Some(_) => return fallback,
        None => {}
    }
    let hostname = hostname.strip_suffix('.').unwrap_or(hostname);
    let mut order = Vec::new();
    // Once, and not for each of many sources.
    let has_dns = sources.iter().any(|source| source.name == "dns");
    for source in sources {
        let name = source.name.as_str();
        if name == "files" || name == "dns" {
            if can_use_system && !source.standard_criteria() {
                return Order::System;
            }
            order.push(name);
        } else if can_use_system {
            if !can_be_skipped(name, hostname, machine) {
                return Order::System;
            }
        } else if !has_dns {
            // What it stands for is most likely to be found by DNS, and DNS would not be asked otherwise.
            order.push("dns");
        }
    }
    match (order.first(), order.contains(&"files"), order.contains(&"dns")) {
        (Some(&"files"), _, true) => Order::FilesDns,
        (Some(_), true, true) => Order::DnsFiles,
        (_, true, false) => Order::Files,
        (_, false, true) => Order::Dns,
        _ => fallback,
    }
}

/// Whether the source `name` has nothing to say to `hostname`.
fn can_be_skipped(name: &str, hostname: &str, machine: &Machine<'_>) -> bool {
    if hostname.is_empty() {
        return false;
    }
    if name == "myhostname" {
        let is = |other: &str| hostname.eq_ignore_ascii_case(other);
        return !is_localhost(hostname)
            && !is("_gateway")
            && !is("_outbound")
            && (machine.hostname)().is_some_and(|own| !is(&own));
    }
    // Without the file it knows names of `.local` only (RFC 6762).
    name.starts_with("mdns")
        && !ends_in(hostname, ".local")
        && (machine.has_mdns_allow)().is_ok_and(|allows| !allows)
}

fn is_localhost(name: &str) -> bool {
    ["localhost", "localhost.localdomain"].iter().any(|host| {
        name.eq_ignore_ascii_case(host) || ends_in(name, host) && ends_in(name, &format!(".{host}"))
    })
}

/// OpenBSD has its order in `resolv.conf`.
fn openbsd_order(conf: &ResolvConf, fallback: Order) -> Order {
    if conf.is_missing {
        return Order::Files;
    }
    let lookup: Vec<&str> = conf.lookup.iter().map(String::as_str).collect();
    match lookup[..] {
        [] | ["bind", "file"] => Order::DnsFiles,
        ["bind"] => Order::Dns,
        ["file", "bind"] => Order::FilesDns,
        ["file"] => Order::Files,
        _ => fallback,
    }
}

#[cfg(test)]
mod tests;
