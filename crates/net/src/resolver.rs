//! Names: from hosts to addresses and back, and what else name servers know. Go: `net/lookup.go`,
//! `net/dnsclient_unix.go`.
//!
//! * this file: the `Resolver`, and what it is made with;
//! * `resolver/lookup.rs`, `resolver/functions.rs`: what a program calls;
//! * `resolver/ip.rs`: names to addresses, from files and from name servers;
//! * `resolver/client.rs`: one question, all servers; `resolver/message.rs`: what is on the wire;
//! * `resolver/order.rs`: who is asked first, and when the system's own resolver is;
//! * `resolver/{hosts,nsswitch,resolv_conf}.rs`: files, which `resolver/watched.rs` reads again when they have
//!   changed;
//! * `resolver/sort.rs`: which address to try first;
//! * `resolver/singleflight.rs`, `resolver/cache.rs`: one lookup for many.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

mod builder;
mod cache;
mod client;
mod functions;
mod hosts;
pub(crate) mod inputs;
mod ip;
mod lookup;
mod message;
mod names;
mod nsswitch;
mod order;
mod random;
mod records;
mod resolv_conf;
mod singleflight;
mod sort;
mod watched;

pub use builder::ResolverBuilder;
pub use client::DnsConn;
pub use functions::{
    lookup_addr, lookup_cname, lookup_host, lookup_ip, lookup_mx, lookup_ns, lookup_srv, lookup_txt,
};
pub use records::{InvalidRecords, Mx, Ns, Srv};

use cache::Cache;
use client::DialServer;
use hosts::Hosts;
use ip::AddrFlights;
use nsswitch::Nsswitch;
use order::{Machine, Order, Prefer, lookup_order};
use resolv_conf::ResolvConf;
use watched::Watched;

/// Finds the addresses of hosts, and what else name servers know.
///
/// Does what the C library does on most machines, without a thread that waits: it reads `/etc/hosts`,
/// `/etc/resolv.conf` and `/etc/nsswitch.conf` (again when they have changed, which is looked for every five seconds),
/// and asks the name servers itself. Where the machine is set up for what it cannot do (mDNS, LDAP, options that it
/// does not know) it asks the system's `getaddrinfo` instead, in a thread that is announced as blocked: see
/// [`ResolverBuilder::prefer_system`] and [`ResolverBuilder::prefer_pure`].
///
/// Every lookup is under a context: when that is done the caller gets an error at once, whatever the servers do.
/// Without one a lookup takes as long as `/etc/resolv.conf` lets it, as a rule ten seconds for each server at most.
///
/// A clone is the same resolver. Lookups of the same addresses at the same time are one.
///
/// # Differences from Go
///
/// * A lookup whose name must not be given to a name server (`.onion`: RFC 7686) finds no host; Go gives no address
///   and
///   no error.
/// * A lookup that nobody waits for any more ends; in Go one goes on that was shared.
/// * `timeout:` and `attempts:` of `/etc/resolv.conf` have the limits of resolv.conf(5), 30 seconds and 5.
/// * Where the system's resolver would be asked for the names of an address, or for a canonical name, ours is.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
/// use gopark_net::{Resolver, context::Context};
///
/// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_secs(3));
/// for ip in Resolver::new().lookup_ip(&ctx, "ip", "example.com")? {
///     println!("{ip}");
/// }
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/lookup.go Resolver
#[derive(Clone)]
pub struct Resolver(Arc<Inner>);

struct Inner {
    files: Arc<Files>,
    prefer: Prefer,
    dial: Option<DialServer>,
    /// Instead of those of `resolv.conf`.
    servers: Option<Vec<String>>,
    strict_errors: bool,
    edns: bool,
    cache: Option<Cache>,
    flights: AddrFlights,
}

/// The files that say how names are resolved.
struct Files {
    hosts: Watched<Hosts>,
    resolv_conf: Watched<ResolvConf>,
    nsswitch: Watched<Nsswitch>,
}

/// Where they are.
#[derive(Clone, PartialEq, Eq)]
struct Paths {
    hosts: PathBuf,
    resolv_conf: PathBuf,
    nsswitch: PathBuf,
}

impl Default for Paths {
    fn default() -> Paths {
        Paths {
            hosts: "/etc/hosts".into(),
            resolv_conf: "/etc/resolv.conf".into(),
            nsswitch: "/etc/nsswitch.conf".into(),
        }
    }
}

impl Files {
    fn new(paths: Paths) -> Files {
        Files {
            hosts: Watched::new(paths.hosts, Hosts::load),
            resolv_conf: Watched::new(paths.resolv_conf, ResolvConf::load),
            nsswitch: Watched::new(paths.nsswitch, Nsswitch::load),
        }
    }

    /// The machine's, which all resolvers have that say nothing else: they are read once for all.
    fn of_machine() -> Arc<Files> {
        static MACHINE: OnceLock<Arc<Files>> = OnceLock::new();
        Arc::clone(MACHINE.get_or_init(|| Arc::new(Files::new(Paths::default()))))
    }
}

impl Resolver {
    /// The resolver that everything uses that is not given another: there is one, and this is it.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{Resolver, context::Context};
    ///
    /// let names = Resolver::new().lookup_addr(&Context::background(), "192.0.2.1")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/lookup.go DefaultResolver
    #[doc(alias = "DefaultResolver")]
    pub fn new() -> Resolver {
        Resolver::shared().clone()
    }

    /// A resolver with settings of its own.
    ///
    /// # Examples
    ///
    /// ```
    /// use gopark_net::Resolver;
    ///
    /// let resolver = Resolver::builder().strict_errors().cache(1000).build();
    /// ```
    pub fn builder() -> ResolverBuilder {
        ResolverBuilder::new()
    }

    pub(crate) fn shared() -> &'static Resolver {
        static SHARED: OnceLock<Resolver> = OnceLock::new();
        SHARED.get_or_init(|| Resolver::builder().build())
    }
}

impl Inner {
    /// Who is asked for `host` (nothing: for an address), and with which settings.
    ///
    /// Go: net/conf.go conf.hostLookupOrder
    #[doc(alias = "hostLookupOrder")]
    fn order_for(&self, host: &str) -> (Order, Arc<ResolvConf>) {
        let conf = self.files.resolv_conf.get();
        let nss = self.files.nsswitch.get();
        let machine =
            Machine { os: std::env::consts::OS, has_mdns_allow: &has_mdns_allow, hostname: &hostname };
        (lookup_order(self.prefer, host, &conf, &nss, &machine), conf)
    }

    /// The same for what the system's resolver is not asked for.
    fn pure_order_for(&self, host: &str) -> (Order, Arc<ResolvConf>) {
        let (order, conf) = self.order_for(host);
        (if order == Order::System { Order::FilesDns } else { order }, conf)
    }
}

fn has_mdns_allow() -> io::Result<bool> {
    std::fs::exists("/etc/mdns.allow")
}

/// This machine's name. Elsewhere than on Linux it is not known: then there is no domain to search unless
/// `resolv.conf` has one.
fn hostname() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim_end().to_owned()).filter(|name| !name.is_empty())
}

impl Default for Resolver {
    fn default() -> Resolver {
        Resolver::new()
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("prefer", &self.0.prefer)
            .field("name_servers", &self.0.servers)
            .field("dial", &self.0.dial.is_some())
            .field("strict_errors", &self.0.strict_errors)
            .field("cache", &self.0.cache.is_some())
            .finish_non_exhaustive()
    }
}
