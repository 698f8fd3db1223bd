//! Ports by number and by name. Go: `net/port.go`, `net/port_unix.go`.

use std::collections::HashMap;
use std::io;
use std::sync::OnceLock;

use crate::error::{AddrError, Cause, DnsError};

/// Names that work without a file, for TCP (Go's list).
const TCP_SERVICES: [(&str, u16); 14] = [
    ("ftp", 21),
    ("ftps", 990),
    ("gopher", 70),
    ("http", 80),
    ("https", 443),
    ("imap2", 143),
    ("imap3", 220),
    ("imaps", 993),
    ("pop3", 110),
    ("pop3s", 995),
    ("smtp", 25),
    ("submissions", 465),
    ("ssh", 22),
    ("telnet", 23),
];

/// The same for UDP.
const UDP_SERVICES: [(&str, u16); 1] = [("domain", 53)];

/// The number of port `service` of `network` (`tcp`, `udp`, with or without a 4 or 6 behind; `ip` or nothing for
/// either): a decimal number, or a name of `/etc/services`. An empty text is port 0.
///
/// Reads the file once, at the first name.
///
/// # Errors
///
/// [`AddrError`]: "invalid port", or "unknown network" when a name is asked for; [`DnsError`]: "unknown port".
///
/// # Examples
///
/// ```
/// use gopark_net::lookup_port;
///
/// assert_eq!(lookup_port("tcp", "https")?, 443);
/// assert_eq!(lookup_port("udp", "53")?, 53);
/// assert_eq!(lookup_port("tcp", "65536").unwrap_err().to_string(), "address 65536: invalid port");
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/lookup.go LookupPort
#[doc(alias = "LookupPort")]
pub fn lookup_port(network: &str, service: &str) -> io::Result<u16> {
    port_of(network, service).map_err(|cause| match cause {
        Cause::Addr(e) => e.into(),
        Cause::Dns(e) => e.into(),
        other => io::Error::other(other.to_string()),
    })
}

/// [`lookup_port`] with the error as others wrap it.
pub(crate) fn port_of(network: &str, service: &str) -> Result<u16, Cause> {
    let Some(number) = parse_port(service) else { return named_port(network, service) };
    u16::try_from(number).map_err(|_| AddrError { err: "invalid port", addr: service.to_owned() }.into())
}

fn named_port(network: &str, service: &str) -> Result<u16, Cause> {
    let services = services();
    let name = service.to_ascii_lowercase();
    let (found, network) = match network {
        "tcp" | "tcp4" | "tcp6" => (services.tcp.get(&name), "tcp"),
        "udp" | "udp4" | "udp6" => (services.udp.get(&name), "udp"),
        "" | "ip" => (services.tcp.get(&name).or_else(|| services.udp.get(&name)), "ip"),
        other => return Err(AddrError { err: "unknown network", addr: other.to_owned() }.into()),
    };
    found.copied().ok_or_else(|| {
        let name = format!("{network}/{service}");
        DnsError { is_not_found: true, ..DnsError::new("unknown port", &name) }.into()
    })
}

/// The number that `service` is, or `None` if it is a name. Out-of-range numbers saturate: they are numbers all the
/// same, and the caller says that they are no port.
///
/// Go: net/port.go parsePort
#[doc(alias = "parsePort")]
fn parse_port(service: &str) -> Option<i64> {
    // Go's history: no port is port 0 (golang/go#13610), and so are a sign without digits.
    let (sign, digits) = match service.as_bytes() {
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        all => (1, all),
    };
    let mut number: i64 = 0;
    for byte in digits {
        if !byte.is_ascii_digit() {
            // Go stops reading, and so does not see this, once the number is beyond 2^30.
            return (number >= 1 << 30).then_some(number * sign);
        }
        number = (number * 10 + i64::from(byte - b'0')).min(1 << 30);
    }
    Some(number * sign)
}

/// Names and numbers, of each network.
struct Services {
    tcp: HashMap<String, u16>,
    udp: HashMap<String, u16>,
}

fn services() -> &'static Services {
    static FILE: OnceLock<Services> = OnceLock::new();
    FILE.get_or_init(|| parse_services(&std::fs::read_to_string("/etc/services").unwrap_or_default()))
}

/// The services of a file like `/etc/services`, on top of the built-in ones.
///
/// Go: net/port_unix.go readServices
#[doc(alias = "readServices")]
fn parse_services(file: &str) -> Services {
    let owned = |(name, port): &(&str, u16)| ((*name).to_owned(), *port);
    let mut services = Services {
        tcp: TCP_SERVICES.iter().map(owned).collect(),
        udp: UDP_SERVICES.iter().map(owned).collect(),
    };
    for line in file.lines() {
        // "http 80/tcp www www-http # World Wide Web HTTP"
        let line = line.split('#').next().unwrap_or_default();
        let mut fields = line.split_ascii_whitespace();
        let (Some(name), Some(number)) = (fields.next(), fields.next()) else { continue };
        let Some((number, network)) = number.split_once('/') else { continue };
        let services = match network {
            "tcp" => &mut services.tcp,
            "udp" => &mut services.udp,
            _ => continue,
        };
        let Ok(port @ 1..) = number.parse() else { continue };
        for name in std::iter::once(name).chain(fields) {
            // Asked for in small letters.
            services.insert(name.to_ascii_lowercase(), port);
        }
    }
    services
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Go: net TestParsePort
    #[test]
    fn parse_port_agrees_with_go() {
        for (service, want) in [
            ("", Some(0)),
            ("42", Some(42)),
            ("-42", Some(-42)),
            ("+42", Some(42)),
            ("0", Some(0)),
            ("+", Some(0)),
            ("-", Some(0)),
            ("65536", Some(65_536)),
            ("4294967296", Some(1 << 30)),
            ("99999999999999999999x", Some(1 << 30)),
            ("http", None),
            ("80x", None),
            (" 80", None),
        ] {
            assert_eq!(parse_port(service), want, "{service:?}");
        }
    }

    #[test]
    fn names_come_from_the_file_and_from_the_list() {
        let found = parse_services(
            "# comment\nhttp 8080/tcp www WWW2 # tail\nonly-udp 7/udp\nzero 0/tcp\nbad x/tcp\nshort\n\
             big 70000/tcp\nother 1/sctp",
        );
        for (name, port) in [("http", 8080), ("www", 8080), ("www2", 8080), ("https", 443)] {
            assert_eq!(found.tcp.get(name), Some(&port), "{name}");
        }
        assert_eq!((found.udp.get("only-udp"), found.udp.get("domain")), (Some(&7), Some(&53)));
        for absent in ["only-udp", "zero", "bad", "short", "big", "tail", "other"] {
            assert_eq!(found.tcp.get(absent), None, "{absent}");
        }
    }

    // Go: net/lookup_test.go TestLookupPort_Minimal
    #[test]
    fn test_lookup_port_minimal() {
        for (network, name, port) in [
            ("tcp", "http", 80),
            ("tcp", "hTTp", 80),
            ("tcp", "https", 443),
            ("tcp4", "http", 80),
            ("tcp6", "http", 80),
            ("udp", "domain", 53),
            ("udp6", "DOMAIN", 53),
            ("", "http", 80),
            ("ip", "http", 80),
            ("ip", "domain", 53),
        ] {
            assert_eq!(lookup_port(network, name).unwrap(), port, "{network}/{name}");
        }
    }

    // Go: net/lookup_test.go TestLookupPort, TestLookupPortNotFound
    #[test]
    fn errors_have_gos_texts() {
        let text = |network, service| lookup_port(network, service).unwrap_err().to_string();
        assert_eq!(lookup_port("tcp", "").unwrap(), 0);
        assert_eq!(lookup_port("udp", "65535").unwrap(), 65_535);
        assert_eq!(text("tcp", "65536"), "address 65536: invalid port");
        assert_eq!(text("tcp", "-1"), "address -1: invalid port");
        assert_eq!(text("tcp4", "nope"), "lookup tcp/nope: unknown port");
        assert_eq!(text("udp6", "nope"), "lookup udp/nope: unknown port");
        assert_eq!(text("", "nope"), "lookup ip/nope: unknown port");
        assert_eq!(text("sctp", "http"), "address sctp: unknown network");
        assert_eq!(lookup_port("sctp", "80").unwrap(), 80);
    }
}
