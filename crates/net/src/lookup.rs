//! Host names, resolved by the system's `getaddrinfo`. Go: `net/lookup.go`.
//!
//! `getaddrinfo` blocks a thread and cannot be stopped. So it runs in an announced blocking section, and if there is a
//! deadline in a goroutine of its own: the caller leaves in time, the lookup ends when it ends, and nobody reads its
//! result.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Instant;

use gopark_sched::blocking;

use crate::error::{Cause, DnsError};

/// The addresses of `host`, at least one, each with its IPv6 scope.
///
/// Go: net/lookup.go Resolver.lookupIPAddr
#[doc(alias = "lookupIPAddr")]
pub(crate) fn lookup_host(host: &str, deadline: Option<Instant>) -> Result<Vec<(IpAddr, u32)>, Cause> {
    if host.is_empty() || host.contains('\0') {
        return Err(no_such_host(host).into());
    }
    if !gopark_poll::is_installed() {
        return Err(Cause::NotStarted);
    }
    let found = match deadline {
        None => blocking(|| getaddrinfo(host)),
        Some(deadline) => lookup_until(host, deadline)?,
    };
    let mut addrs = match found {
        Ok(addrs) => addrs,
        Err(e) => return Err(failed(host, &e).into()),
    };
    let mut seen = Vec::with_capacity(addrs.len());
    addrs.retain(|addr| {
        !seen.contains(addr) && {
            seen.push(*addr);
            true
        }
    });
    if addrs.is_empty() { Err(no_such_host(host).into()) } else { Ok(addrs) }
}

type Found = io::Result<Vec<(IpAddr, u32)>>;

fn lookup_until(host: &str, deadline: Instant) -> Result<Found, Cause> {
    let name = host.to_owned();
    let lookup = gopark_sched::try_spawn(move || blocking(|| getaddrinfo(&name)))
        .map_err(|e| Cause::Other(Box::new(e)))?;
    match lookup.join_timeout(deadline.saturating_duration_since(Instant::now())) {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(_still_running) => Err(DnsError {
            err: "i/o timeout".into(),
            name: host.to_owned(),
            is_timeout: true,
            is_temporary: true,
            is_not_found: false,
        }
        .into()),
    }
}

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
    // Go's words for a server that answers with a failure.
    let is_temporary = is("Temporary failure");
    let err = if is_temporary { "server misbehaving".into() } else { text.into() };
    DnsError { err, name: host.to_owned(), is_timeout: false, is_temporary, is_not_found: false }
}

fn no_such_host(host: &str) -> DnsError {
    DnsError {
        err: "no such host".into(),
        name: host.to_owned(),
        is_timeout: false,
        is_temporary: false,
        is_not_found: true,
    }
}
