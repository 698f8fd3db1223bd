//! Host names, resolved by the system's `getaddrinfo`. Go: `net/lookup.go`.
//!
//! `getaddrinfo` blocks a thread and cannot be stopped. So it runs in an announced blocking section, and if
//! there is a deadline or a context in a goroutine of its own: the caller leaves in time, the lookup ends when it ends,
//! and nobody reads its result. No more than [`LOOKUPS_MAX`] run at a time (`lookup/gate.rs`).

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use gopark_sched::context::{self, Context};
use gopark_sched::{blocking, chan, select};

use crate::error::{Cause, DnsError, OpError};

pub(crate) mod gate;

use gate::Gate;

/// Each of them occupies a thread (Go's number).
const LOOKUPS_MAX: usize = 500;

static LOOKUPS: Gate = Gate::new(LOOKUPS_MAX);

/// The addresses of `host`, at least one, each with its IPv6 scope.
///
/// Go: net/lookup.go Resolver.lookupIPAddr
#[doc(alias = "lookupIPAddr")]
pub(crate) fn lookup_host(
    ctx: &Context,
    host: &str,
    deadline: Option<Instant>,
) -> Result<Vec<(IpAddr, u32)>, Cause> {
    if !may_be_a_name(host) {
        return Err(no_such_host(host).into());
    }
    if !gopark_poll::is_installed() {
        return Err(Cause::NotStarted);
    }
    let found = if deadline.is_none() && ctx.never_done() {
        LOOKUPS.enter(|| blocking(|| getaddrinfo(host)))
    } else {
        lookup_until(ctx, host, deadline)?
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

fn lookup_until(ctx: &Context, host: &str, deadline: Option<Instant>) -> Result<Found, Cause> {
    let (tx, rx) = chan::bounded(1);
    let lookup = {
        let (ctx, name) = (ctx.clone(), host.to_owned());
        // Nobody is there to read the result if it has to wait for its turn too long.
        let is_wanted = move || ctx.err().is_none() && deadline.is_none_or(|at| Instant::now() < at);
        gopark_sched::try_spawn(move || {
            let found = LOOKUPS.enter(|| is_wanted().then(|| blocking(|| getaddrinfo(&name))));
            if let Some(found) = found {
                let _ = tx.send(found); // an error: nobody waits any more
            }
        })
    };
    let lookup = lookup.map_err(|e| Cause::Other(Box::new(e)))?;
    let left = deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
    select! {
        recv(rx) -> found => match found {
            Ok(found) => return Ok(found),
            // It saw that it is not wanted; or it panicked.
            Err(_) => if let Err(panic) = lookup.join() {
                std::panic::resume_unwind(panic);
            },
        },
        recv(ctx.done()) -> _ => {},
        after(left) => {},
    }
    let why = ctx.err().unwrap_or(context::Error::DeadlineExceeded);
    Err(DnsError {
        err: Cause::from(why).to_string().into(),
        name: host.to_owned(),
        is_timeout: why.is_timeout(),
        is_temporary: why.is_timeout(),
        is_not_found: false,
        is_canceled: !why.is_timeout(),
    }
    .into())
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
    DnsError {
        err,
        name: host.to_owned(),
        is_timeout: false,
        is_temporary,
        is_not_found: false,
        is_canceled: false,
    }
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
    DnsError {
        err: "no such host".into(),
        name: host.to_owned(),
        is_timeout: false,
        is_temporary: false,
        is_not_found: true,
        is_canceled: false,
    }
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
