//! What a resolver is made with.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use gopark_sched::context::Context;

use super::cache::Cache;
use super::client::{DialServer, DnsConn};
use super::ip::AddrFlights;
use super::order::Prefer;
use super::{Files, Inner, Paths, Resolver};

/// Makes a [`Resolver`].
///
/// # Examples
///
/// ```
/// use gopark_net::Resolver;
///
/// let resolver = Resolver::builder()
///     .name_servers(["192.0.2.53:53".parse().unwrap()])
///     .cache(1000)
///     .build();
/// ```
#[derive(Clone)]
#[must_use = "`build` makes the resolver"]
pub struct ResolverBuilder {
    paths: Paths,
    /// `None`: ours if something was set that only ours can do.
    prefer: Option<Prefer>,
    dial: Option<DialServer>,
    servers: Option<Vec<String>>,
    strict_errors: bool,
    edns: bool,
    cache: Option<usize>,
}

impl ResolverBuilder {
    pub(super) fn new() -> ResolverBuilder {
        ResolverBuilder {
            paths: Paths::default(),
            prefer: None,
            dial: None,
            servers: None,
            strict_errors: false,
            edns: true,
            cache: None,
        }
    }

    /// Never asks the system's `getaddrinfo`, also where the machine is set up for what only that can do. A source of
    /// `/etc/nsswitch.conf` that is neither files nor DNS is left out.
    ///
    /// # Examples
    ///
    /// ```
    /// let resolver = gopark_net::Resolver::builder().prefer_pure().build();
    /// ```
    ///
    /// Go: net/lookup.go Resolver.PreferGo
    #[doc(alias = "PreferGo")]
    pub fn prefer_pure(mut self) -> ResolverBuilder {
        self.prefer = Some(Prefer::Pure);
        self
    }

    /// Always asks the system's `getaddrinfo` for the addresses of hosts. It blocks a thread for as long as it takes,
    /// and no more than 500 are in it at a time; a caller whose context is done leaves all the same.
    ///
    /// # Examples
    ///
    /// ```
    /// let resolver = gopark_net::Resolver::builder().prefer_system().build();
    /// ```
    ///
    /// Go: the environment's `GODEBUG=netdns=cgo`
    #[doc(alias = "netdns=cgo")]
    pub fn prefer_system(mut self) -> ResolverBuilder {
        self.prefer = Some(Prefer::System);
        self
    }

    /// A temporary error of one question (a time-out, a server that fails) is the error of the whole lookup: no other
    /// suffix is tried, and of the addresses not only those of one family are returned.
    ///
    /// # Examples
    ///
    /// ```
    /// let resolver = gopark_net::Resolver::builder().strict_errors().build();
    /// ```
    ///
    /// Go: net/lookup.go Resolver.StrictErrors
    #[doc(alias = "StrictErrors")]
    pub fn strict_errors(mut self) -> ResolverBuilder {
        self.strict_errors = true;
        self
    }

    /// What connects to a name server: called with the context of the lookup, whose deadline is that of this exchange;
    /// `udp` or `tcp`; and the server as `host:port`. What it returns need not be what it was asked for: see
    /// [`DnsConn`].
    ///
    /// Implies [`prefer_pure`](ResolverBuilder::prefer_pure).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{Dialer, DnsConn, Resolver};
    ///
    /// let by_tcp = Resolver::builder()
    ///     .dial(|ctx, _network, server| Ok(DnsConn::Stream(Dialer::new().dial_context(ctx, "tcp", server)?)))
    ///     .build();
    /// ```
    ///
    /// Go: net/lookup.go Resolver.Dial
    pub fn dial<F>(mut self, dial: F) -> ResolverBuilder
    where
        F: Fn(&Context, &str, &str) -> io::Result<DnsConn> + Send + Sync + 'static,
    {
        self.dial = Some(Arc::new(dial));
        self
    }

    /// The servers to ask, instead of those of `/etc/resolv.conf`; its other settings stay. Without any: those.
    ///
    /// Implies [`prefer_pure`](ResolverBuilder::prefer_pure).
    ///
    /// # Examples
    ///
    /// ```
    /// let server = "192.0.2.53:53".parse().unwrap();
    /// let resolver = gopark_net::Resolver::builder().name_servers([server]).build();
    /// ```
    pub fn name_servers(mut self, servers: impl IntoIterator<Item = SocketAddr>) -> ResolverBuilder {
        let servers: Vec<_> = servers.into_iter().map(|server| server.to_string()).collect();
        self.servers = Some(servers).filter(|servers| !servers.is_empty());
        self
    }

    /// Does not say to servers that we take larger datagrams than the 512 bytes of old, for networks in which somebody
    /// throws away what says so (EDNS, RFC 6891).
    ///
    /// # Examples
    ///
    /// ```
    /// let resolver = gopark_net::Resolver::builder().without_edns().build();
    /// ```
    ///
    /// Go: the environment's `GODEBUG=netedns0=0`
    #[doc(alias = "netedns0")]
    pub fn without_edns(mut self) -> ResolverBuilder {
        self.edns = false;
        self
    }

    /// Remembers up to `entries` answers for as long as they say, a day at most; unless set, none is. What does not
    /// exist is not remembered. Go has no such thing.
    ///
    /// # Examples
    ///
    /// ```
    /// let resolver = gopark_net::Resolver::builder().cache(1000).build();
    /// ```
    pub fn cache(mut self, entries: usize) -> ResolverBuilder {
        self.cache = Some(entries);
        self
    }

    /// The file of hosts, instead of `/etc/hosts`.
    ///
    /// # Examples
    ///
    /// ```
    /// let resolver = gopark_net::Resolver::builder().hosts_file("/run/app/hosts").build();
    /// ```
    pub fn hosts_file(mut self, path: impl Into<PathBuf>) -> ResolverBuilder {
        self.paths.hosts = path.into();
        self
    }

    /// The settings of the DNS client, instead of `/etc/resolv.conf`. The system's resolver does not look there: with
    /// this, use [`prefer_pure`](ResolverBuilder::prefer_pure).
    ///
    /// # Examples
    ///
    /// ```
    /// let resolver = gopark_net::Resolver::builder().prefer_pure().resolv_conf_file("/run/app/resolv.conf").build();
    /// ```
    pub fn resolv_conf_file(mut self, path: impl Into<PathBuf>) -> ResolverBuilder {
        self.paths.resolv_conf = path.into();
        self
    }

    /// The order of the sources, instead of `/etc/nsswitch.conf`. The system's resolver does not look there: with
    /// this, use [`prefer_pure`](ResolverBuilder::prefer_pure).
    ///
    /// # Examples
    ///
    /// ```
    /// let resolver = gopark_net::Resolver::builder().prefer_pure().nsswitch_file("/run/app/nsswitch.conf").build();
    /// ```
    pub fn nsswitch_file(mut self, path: impl Into<PathBuf>) -> ResolverBuilder {
        self.paths.nsswitch = path.into();
        self
    }

    /// Makes the resolver.
    ///
    /// # Examples
    ///
    /// ```
    /// let resolver = gopark_net::Resolver::builder().build();
    /// ```
    pub fn build(self) -> Resolver {
        let needs_ours = self.dial.is_some() || self.servers.is_some();
        let prefer = match self.prefer {
            Some(prefer) => prefer,
            None if needs_ours => Prefer::Pure,
            None => Prefer::Auto.or_system(),
        };
        let is_machine = self.paths == Paths::default();
        let files = if is_machine { Files::of_machine() } else { Arc::new(Files::new(self.paths)) };
        Resolver(Arc::new(Inner {
            files,
            prefer,
            dial: self.dial,
            servers: self.servers,
            strict_errors: self.strict_errors,
            edns: self.edns,
            cache: self.cache.map(Cache::new),
            flights: AddrFlights::default(),
        }))
    }
}

impl fmt::Debug for ResolverBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResolverBuilder")
            .field("prefer", &self.prefer)
            .field("name_servers", &self.servers)
            .field("dial", &self.dial.is_some())
            .field("strict_errors", &self.strict_errors)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}
