//! The file of hosts. Go: `net/hosts.go`.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use super::names::abs_domain_name;
use super::watched::{Recheck, Setting};
use crate::addr::parse_ip;

/// A longer text is no address: 45 bytes, a `%`, and an interface's name, of which 15 bytes are the most on Linux. The
/// text is copied for each name of its line, so there must be an end to it.
const ADDR_MAX: usize = 128;

/// What `/etc/hosts` says.
#[derive(Default, Debug)]
pub(super) struct Hosts {
    /// By lower-case name, with its dot at the end if it has dots.
    by_name: HashMap<String, Named>,
    /// By the address's usual text.
    by_addr: HashMap<String, Vec<String>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Named {
    /// As text, with the zone as it was written: the interface may come later.
    pub(super) addrs: Vec<String>,
    /// The first name of the line that has the name first.
    /// Shared by all names of that line, of which there may be many.
    pub(super) canonical: Arc<str>,
}

impl Setting for Hosts {
    fn recheck(&self) -> Recheck {
        if self.by_name.is_empty() { Recheck::Always } else { Recheck::Sometimes }
    }
}

impl Hosts {
    /// From the file. One that cannot be read for whatever reason but that it is not there, or not for us, leaves
    /// everything as it was.
    pub(super) fn load(file: io::Result<String>) -> Option<Hosts> {
        match file {
            Ok(text) => Some(Hosts::parse(&text)),
            Err(e) => {
                let none = matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied);
                none.then(Hosts::default)
            }
        }
    }

    /// Lines of an address and its names; what has another form is passed over.
    pub(super) fn parse(text: &str) -> Hosts {
        let mut hosts = Hosts::default();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut fields = line.split([' ', '\t', '\r', '\n']).filter(|field| !field.is_empty());
            let Some(addr) = fields.next().and_then(literal) else { continue };
            hosts.add(&addr, fields);
        }
        hosts
    }

    fn add<'a>(&mut self, addr: &str, names: impl Iterator<Item = &'a str>) {
        let mut canonical = None;
        for name in names {
            let key = abs_domain_name(name.to_ascii_lowercase());
            let canonical = canonical.get_or_insert_with(|| Arc::from(key.as_str()));
            self.by_addr.entry(addr.to_owned()).or_default().push(abs_domain_name(name.to_owned()));
            let named = self.by_name.entry(key);
            let named =
                named.or_insert_with(|| Named { addrs: Vec::new(), canonical: Arc::clone(canonical) });
            named.addrs.push(addr.to_owned());
        }
    }

    /// The addresses of `host`, in whatever case it is written, and its canonical name.
    ///
    /// Go: net/hosts.go lookupStaticHost
    #[doc(alias = "lookupStaticHost")]
    pub(super) fn lookup_host(&self, host: &str) -> Option<&Named> {
        self.by_name.get(&abs_domain_name(host.to_ascii_lowercase()))
    }

    /// The names of `addr`, as they are written.
    ///
    /// Go: net/hosts.go lookupStaticAddr
    #[doc(alias = "lookupStaticAddr")]
    pub(super) fn lookup_addr(&self, addr: &str) -> &[String] {
        literal(addr).and_then(|addr| self.by_addr.get(&addr)).map_or(&[], Vec::as_slice)
    }
}

/// The usual text of the address `text`, with its zone as it is.
///
/// Go: net/hosts.go parseLiteralIP
#[doc(alias = "parseLiteralIP")]
fn literal(text: &str) -> Option<String> {
    let (ip, _) = parse_ip(text).filter(|_| text.len() <= ADDR_MAX)?;
    match (ip, text.split_once('%')) {
        (IpAddr::V6(ip), Some((_, zone))) => Some(format!("{ip}%{zone}")),
        _ => Some(ip.to_string()),
    }
}

#[cfg(test)]
mod tests;
