//! Host names, resolved by the system's `getaddrinfo`: what the resolver cannot do itself. Go: `net/cgo_unix.go`.
//!
//! `getaddrinfo` blocks a thread and cannot be stopped. So it runs in an announced blocking section, in the goroutine
//! of a shared lookup: a caller whose time is up leaves, the lookup ends when it ends, and nobody reads its result.
//! No more than [`LOOKUPS_MAX`] run at a time (`lookup/gate.rs`).

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use gopark_sched::blocking;
use gopark_sched::context::Context;

use crate::error::{Cause, DnsError, OpError};
use crate::ipsock::Version;

pub(crate) mod gate;

use gate::Gate;

/// Each of them occupies a thread (Go's number).
const LOOKUPS_MAX: usize = 500;

static LOOKUPS: Gate = Gate::new(LOOKUPS_MAX);

/// The addresses of `host` of family `version`, at least one, each with its IPv6 scope, as the system finds them. If
/// `ctx` is done before it is its turn nobody is asked.
///
/// Go: net/cgo_unix.go cgoLookupIP
#[doc(alias = "cgoLookupIP")]
pub(crate) fn system_lookup(
    ctx: &Context,
    host: &str,
    version: Version,
) -> Result<Vec<(IpAddr, u32)>, DnsError> {
    if !may_be_a_name(host) {
        return Err(no_such_host(host));
    }
    let found = LOOKUPS.enter_under(ctx, || blocking(|| getaddrinfo(host)).map_err(|e| failed(host, &e)));
    let found = found.map_err(|done| DnsError::done(done, host))??;
    let mut addrs: Vec<(IpAddr, u32)> = Vec::with_capacity(found.len());
    for addr in found {
        if version.accepts(addr.0) && !addrs.contains(&addr) {
            addrs.push(addr);
        }
    }
    if addrs.is_empty() { Err(no_such_host(host)) } else { Ok(addrs) }
}

/// The addresses of `addr` as std finds them, announced as blocking if that may take long.
pub(crate) fn to_socket_addrs<A: ToSocketAddrs>(addr: &A, op: &'static str) -> io::Result<A::Iter> {
    if !gopark_poll::is_installed() {
        return Err(OpError::new(op, "tcp", Cause::NotStarted).into());
    }
    if is_at_most_one::<A::Iter>() {
        return addr.to_socket_addrs();
    }
    LOOKUPS.enter(|| blocking(|| addr.to_socket_addrs()))
}

/// Whether `I` is what std's types give that are addresses already: a `SocketAddr`, an `IpAddr` and a port.
///
/// Announcing costs a hand-over of the P: a dial over loopback took 55 to 85 µs without and 175 to 230 µs
/// with it while both Ps were busy, 45 and 56 µs while they were not (best of eight, two processors). A
/// type's name is no proof, and none is needed: guessing wrong costs that, or it costs sysmon finding out by
/// itself.
fn is_at_most_one<I>() -> bool {
    std::any::type_name::<I>() == std::any::type_name::<std::option::IntoIter<SocketAddr>>()
}

/// Lets no lookup begin until what it returns is dropped.
pub fn hold_lookups() -> impl Drop {
    LOOKUPS.fill()
}

type Found = io::Result<Vec<(IpAddr, u32)>>;

fn getaddrinfo(host: &str) -> Found {
    let scoped = |addr: SocketAddr| match addr {
        SocketAddr::V4(addr) => (IpAddr::V4(*addr.ip()), 0),
        SocketAddr::V6(addr) => (IpAddr::V6(*addr.ip()).to_canonical(), addr.scope_id()),
    };
    Ok((host, 0).to_socket_addrs()?.map(scoped).collect())
}

/// std gives `EAI_` codes as nothing but text, so what kind of failure it was can only be told from that.
fn failed(host: &str, err: &io::Error) -> DnsError {
    let text = err.to_string();
    let is = |needle: &str| text.contains(needle);
    if is("Name or service not known") || is("No address associated") || is("nodename nor servname") {
        return no_such_host(host);
    }
    if is("Temporary failure") {
        // Go's words for a server that answers with a failure.
        return DnsError { is_temporary: true, ..DnsError::new("server misbehaving", host) };
    }
    DnsError::new(text, host)
}

/// Whether it makes sense to ask for `host`. What is refused is refused by Go too, without asking.
///
/// Go: net/dnsclient.go isDomainName, as far as it goes without knowing DNS
#[doc(alias = "isDomainName")]
fn may_be_a_name(host: &str) -> bool {
    let odd = |c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && !matches!(c, '.' | '-' | '_');
    !host.is_empty() && host.len() <= 254 && !host.contains(odd) && !ends_in_a_number(host)
}

/// Whether the last label of `host` is a number. No such name exists; but `getaddrinfo` takes `127.1`, `0x7f.1` and
/// `2130706433` for addresses, as 4.2BSD did. Go does not, and a filter that reads the text would be fooled.
fn ends_in_a_number(host: &str) -> bool {
    let labels = host.strip_suffix('.').unwrap_or(host);
    let last = labels.rsplit('.').next().unwrap_or_default();
    match last.strip_prefix("0x").or(last.strip_prefix("0X")) {
        Some(hex) => hex.bytes().all(|b| b.is_ascii_hexdigit()),
        None => !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()),
    }
}

fn no_such_host(host: &str) -> DnsError {
    DnsError { is_not_found: true, ..DnsError::new("no such host", host) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_spellings_of_addresses_are_no_names() {
        for host in
            ["127.1", "0x7f.0.0.1", "2130706433", "0177.0.0.1", "1.2.3.4.", "a.0X1f", "256.256.256.256"]
        {
            assert!(ends_in_a_number(host), "{host}");
        }
        for host in ["", "a\0b", "a b", "127.0.0.1%lo", "foo:bar", "127.1", &"a".repeat(255)] {
            assert!(!may_be_a_name(host), "{host}");
        }
        for host in ["localhost", "example.com", "example.com.", "1.example", "a1", "0xg", "x0x1", "1a"] {
            assert!(!ends_in_a_number(host) && may_be_a_name(host), "{host}");
        }
    }

    #[test]
    fn addresses_are_told_from_what_may_be_names() {
        fn is<A: ToSocketAddrs>(_: A) -> bool {
            is_at_most_one::<A::Iter>()
        }
        let addr: SocketAddr = "127.0.0.1:80".parse().unwrap();
        assert!(is(addr) && is((addr.ip(), 80)) && is::<&SocketAddr>(&addr));
        assert!(!is("127.0.0.1:80") && !is(("localhost", 80)) && !is(String::new()) && !is(&[addr][..]));
    }
}
