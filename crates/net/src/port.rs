//! Ports by number and by name. Go: `net/port.go`, `net/port_unix.go`.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::error::{AddrError, Cause, DnsError};

/// Names that work without a file (Go's list).
const SERVICES: [(&str, u16); 14] = [
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

/// The number of the TCP port `service`: a decimal number, or a name of `/etc/services`. An empty text is port 0.
///
/// Go: net/lookup.go Resolver.LookupPort
#[doc(alias = "LookupPort")]
pub(crate) fn lookup_port(service: &str) -> Result<u16, Cause> {
    match parse_port(service) {
        Some(number) => u16::try_from(number)
            .map_err(|_| AddrError { err: "invalid port", addr: service.to_owned() }.into()),
        None => lookup_service(service).ok_or_else(|| {
            DnsError {
                err: "unknown port".into(),
                name: format!("tcp/{service}"),
                is_timeout: false,
                is_temporary: false,
                is_not_found: true,
                is_canceled: false,
            }
            .into()
        }),
    }
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

fn lookup_service(service: &str) -> Option<u16> {
    static FILE: OnceLock<HashMap<String, u16>> = OnceLock::new();
    let file =
        FILE.get_or_init(|| parse_services(&std::fs::read_to_string("/etc/services").unwrap_or_default()));
    file.get(&service.to_ascii_lowercase()).copied()
}

/// The TCP services of a file like `/etc/services`, on top of the built-in ones.
///
/// Go: net/port_unix.go readServices
#[doc(alias = "readServices")]
fn parse_services(file: &str) -> HashMap<String, u16> {
    let mut services: HashMap<String, u16> = SERVICES.map(|(name, port)| (name.to_owned(), port)).into();
    for line in file.lines() {
        // "http 80/tcp www www-http # World Wide Web HTTP"
        let line = line.split('#').next().unwrap_or_default();
        let mut fields = line.split_ascii_whitespace();
        let (Some(name), Some(number)) = (fields.next(), fields.next()) else { continue };
        let Some((number, "tcp")) = number.split_once('/') else { continue };
        let Ok(port @ 1..) = number.parse() else { continue };
        for name in std::iter::once(name).chain(fields) {
            services.insert(name.to_owned(), port);
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
        let services = parse_services(
            "# comment\nhttp 8080/tcp www WWW2 # tail\nonly-udp 7/udp\nzero 0/tcp\nbad x/tcp\nshort\nbig 70000/tcp",
        );
        assert_eq!(services.get("http"), Some(&8080));
        assert_eq!(services.get("www"), Some(&8080));
        assert_eq!(services.get("https"), Some(&443));
        for absent in ["only-udp", "zero", "bad", "short", "big", "tail"] {
            assert!(!services.contains_key(absent), "{absent}");
        }
    }

    #[test]
    fn errors_have_gos_texts() {
        assert_eq!(lookup_port("").unwrap(), 0);
        assert_eq!(lookup_port("65535").unwrap(), 65_535);
        assert_eq!(lookup_port("HTTP").unwrap(), lookup_port("http").unwrap());
        assert_eq!(lookup_port("65536").unwrap_err().to_string(), "address 65536: invalid port");
        assert_eq!(lookup_port("-1").unwrap_err().to_string(), "address -1: invalid port");
        assert_eq!(lookup_port("nope").unwrap_err().to_string(), "lookup tcp/nope: unknown port");
    }
}
