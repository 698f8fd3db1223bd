//! The settings of the DNS client. Go: `net/dnsconfig.go`, `net/dnsconfig_unix.go`; resolv.conf(5).

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::names::{NAME_MAX, avoid_dns, ensure_rooted};
use super::watched::{Recheck, Setting};
use crate::addr::parse_ip;
use crate::ipsock::join_host_port;

/// Those that are asked when no others are named.
const DEFAULT_SERVERS: [&str; 2] = ["127.0.0.1:53", "[::1]:53"];
/// More name servers are not looked at (the C library's limit).
const SERVERS_MAX: usize = 3;
const NDOTS_MAX: u32 = 15;
/// The C library's limits, which resolv.conf(5) promises. Go has none, and so a file can make one lookup last for
/// years.
const TIMEOUT_MAX: u32 = 30;
const ATTEMPTS_MAX: u32 = 5;
/// Suffixes beyond are not tried: each costs a round of all servers. (The C library had six for decades.)
const SEARCH_MAX: usize = 64;

/// What `/etc/resolv.conf` says.
///
/// Go: net/dnsconfig.go dnsConfig
#[derive(Debug)]
#[doc(alias = "dnsConfig")]
pub(super) struct ResolvConf {
    /// As `host:port`.
    pub(super) servers: Vec<String>,
    /// Each with its dot at the end.
    pub(super) search: Vec<String>,
    /// A name with as many dots is tried as it is before suffixes are.
    pub(super) ndots: usize,
    /// For one exchange with one server.
    pub(super) timeout: Duration,
    /// How often all servers are asked.
    pub(super) attempts: u32,
    pub(super) rotate: bool,
    /// Something is in it that we do not know.
    pub(super) unknown_option: bool,
    /// OpenBSD's order of sources.
    pub(super) lookup: Vec<String>,
    pub(super) single_request: bool,
    pub(super) use_tcp: bool,
    pub(super) trust_ad: bool,
    pub(super) no_reload: bool,
    /// The file could not be read, and for another reason than that it is not there or not for us.
    pub(super) is_unreadable: bool,
    /// The file is not there.
    pub(super) is_missing: bool,
    next_server: AtomicU32,
}

impl Default for ResolvConf {
    fn default() -> ResolvConf {
        ResolvConf {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            rotate: false,
            unknown_option: false,
            lookup: Vec::new(),
            single_request: false,
            use_tcp: false,
            trust_ad: false,
            no_reload: false,
            is_unreadable: false,
            is_missing: false,
            next_server: AtomicU32::new(0),
        }
    }
}

impl Setting for ResolvConf {
    fn recheck(&self) -> Recheck {
        if self.no_reload { Recheck::Never } else { Recheck::Sometimes }
    }
}

impl ResolvConf {
    pub(super) fn load(file: io::Result<String>) -> Option<ResolvConf> {
        Some(ResolvConf::from_file(file, super::hostname()))
    }

    pub(super) fn from_file(file: io::Result<String>, hostname: Option<String>) -> ResolvConf {
        match file {
            Ok(text) => ResolvConf::parse(&text, hostname.as_deref()),
            Err(e) => {
                let harmless = [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied];
                ResolvConf {
                    is_unreadable: !harmless.contains(&e.kind()),
                    is_missing: e.kind() == io::ErrorKind::NotFound,
                    ..ResolvConf::parse("", hostname.as_deref())
                }
            }
        }
    }

    /// `hostname` is this machine's: without a search list its domain is searched.
    ///
    /// Go: net/dnsconfig_unix.go dnsReadConfig
    #[doc(alias = "dnsReadConfig")]
    pub(super) fn parse(text: &str, hostname: Option<&str>) -> ResolvConf {
        let mut conf = ResolvConf::default();
        for line in text.lines() {
            if line.starts_with([';', '#']) {
                continue;
            }
            let mut fields = line.split([' ', '\t', '\r', '\n']).filter(|field| !field.is_empty());
            match fields.next() {
                Some("nameserver") => conf.add_server(fields.next()),
                Some("domain") => {
                    if let Some(domain) = fields.next() {
                        conf.search = vec![ensure_rooted(domain)];
                    }
                }
                Some("search") => {
                    let suffixes = fields.map(ensure_rooted).filter(|suffix| suffix != ".");
                    conf.search = suffixes.take(SEARCH_MAX).collect();
                }
                Some("options") => fields.for_each(|option| conf.set_option(option)),
                Some("lookup") => conf.lookup = fields.map(str::to_owned).collect(),
                Some(_) => conf.unknown_option = true,
                None => {}
            }
        }
        if conf.servers.is_empty() {
            conf.servers = DEFAULT_SERVERS.map(str::to_owned).into();
        }
        if conf.search.is_empty() {
            conf.search = default_search(hostname).into_iter().collect();
        }
        conf
    }

    fn add_server(&mut self, server: Option<&str>) {
        if let Some(ip) = server
            && self.servers.len() < SERVERS_MAX
            && parse_ip(ip).is_some()
        {
            self.servers.push(join_host_port(ip, "53"));
        }
    }

    fn set_option(&mut self, option: &str) {
        match option.split_once(':') {
            Some(("ndots", n)) => self.ndots = number(n).min(NDOTS_MAX) as usize,
            Some(("timeout", n)) => {
                self.timeout = Duration::from_secs(number(n).clamp(1, TIMEOUT_MAX).into())
            }
            Some(("attempts", n)) => self.attempts = number(n).clamp(1, ATTEMPTS_MAX),
            _ => match option {
                "rotate" => self.rotate = true,
                // Each query has a socket of its own, so to ask one after the other is all that is left of it.
                "single-request" | "single-request-reopen" => self.single_request = true,
                "use-vc" | "usevc" | "tcp" => self.use_tcp = true,
                "trust-ad" => self.trust_ad = true,
                "edns0" => {} // always
                "no-reload" => self.no_reload = true,
                _ => self.unknown_option = true,
            },
        }
    }

    /// Which server is asked first.
    ///
    /// Go: net/dnsconfig.go dnsConfig.serverOffset
    #[doc(alias = "serverOffset")]
    pub(super) fn server_offset(&self) -> usize {
        if !self.rotate {
            return 0;
        }
        self.next_server.fetch_add(1, Ordering::Relaxed) as usize // a counter: nothing else hangs on it
    }

    /// The full names to ask for, one after the other.
    ///
    /// Go: net/dnsclient_unix.go dnsConfig.nameList
    #[doc(alias = "nameList")]
    pub(super) fn name_list(&self, name: &str) -> Vec<String> {
        let rooted = name.ends_with('.');
        if name.is_empty()
            || name.len() > NAME_MAX
            || (name.len() == NAME_MAX && !rooted)
            || avoid_dns(name) && rooted
        {
            return Vec::new();
        }
        if rooted {
            return vec![name.to_owned()];
        }
        let own = (!avoid_dns(name)).then(|| format!("{name}."));
        let suffixed = self.search.iter().map(|suffix| format!("{name}.{suffix}"));
        let suffixed = suffixed.filter(|name| !avoid_dns(name) && name.len() <= NAME_MAX);
        if name.bytes().filter(|&b| b == b'.').count() >= self.ndots {
            own.into_iter().chain(suffixed).collect()
        } else {
            suffixed.chain(own).collect()
        }
    }
}

/// The digits that `text` begins with; 0 if there are none.
///
/// Go: net/parse.go dtoi
fn number(text: &str) -> u32 {
    let digits = text.bytes().take_while(u8::is_ascii_digit);
    digits.fold(0, |n: u32, digit| n.saturating_mul(10).saturating_add(u32::from(digit - b'0')))
}

/// The domain that `hostname` is in.
///
/// Go: net/dnsconfig_unix.go dnsDefaultSearch
#[doc(alias = "dnsDefaultSearch")]
fn default_search(hostname: Option<&str>) -> Option<String> {
    let (_, domain) = hostname?.split_once('.')?;
    (!domain.is_empty()).then(|| ensure_rooted(domain))
}

#[cfg(test)]
mod tests;
