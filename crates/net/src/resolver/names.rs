//! The text of domain names. Go: `net/dnsclient.go`, `net/dnsclient_unix.go`.

use std::net::IpAddr;

/// The longest name in its text form: 255 bytes on the wire, less the first label's length and the root's.
pub(super) const NAME_MAX: usize = 254;
const LABEL_MAX: usize = 63;

/// Whether `name` has the form of a host name, with underscores as SRV has them: the only names that are asked for,
/// and the only ones that are believed in an answer (CVE-2021-33195).
///
/// A name of nothing but digits and dots is none: it would be an address written in an old way, which 4.2BSD takes for
/// one and a filter that reads the text does not.
///
/// Go: net/dnsclient.go isDomainName
#[doc(alias = "isDomainName")]
pub(crate) fn is_domain_name(name: &str) -> bool {
    if name == "." {
        return true; // the root: golang/go#45715
    }
    let rooted = name.ends_with('.');
    if name.is_empty() || name.len() > NAME_MAX || (name.len() == NAME_MAX && !rooted) {
        return false;
    }
    let labels = name.strip_suffix('.').unwrap_or(name);
    labels.split('.').all(is_label) && labels.bytes().any(|b| !b.is_ascii_digit() && b != b'.')
}

fn is_label(label: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=LABEL_MAX).contains(&label.len())
        && label.bytes().all(plain)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// `name` with a dot at its end if it has any: what has no dot at all is a name of this machine's own.
///
/// Go: net/dnsclient.go absDomainName
#[doc(alias = "absDomainName")]
pub(super) fn abs_domain_name(mut name: String) -> String {
    if name.contains('.') && !name.ends_with('.') {
        name.push('.');
    }
    name
}

/// `name` with a dot at its end.
///
/// Go: net/dnsconfig_unix.go ensureRooted
#[doc(alias = "ensureRooted")]
pub(super) fn ensure_rooted(name: &str) -> String {
    if name.ends_with('.') { name.to_owned() } else { format!("{name}.") }
}

/// Whether `name` must not be given to a name server: onion services (RFC 7686) would be given away.
///
/// Go: net/dnsclient_unix.go avoidDNS
#[doc(alias = "avoidDNS")]
pub(super) fn avoid_dns(name: &str) -> bool {
    name.is_empty() || ends_in(name.strip_suffix('.').unwrap_or(name), ".onion")
}

/// Whether `name` ends in `suffix`, in whatever case.
pub(super) fn ends_in(name: &str, suffix: &str) -> bool {
    let start = name.len().checked_sub(suffix.len());
    start.and_then(|start| name.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
}

/// The name under which the names of `ip` are kept.
///
/// Go: net/dnsclient.go reverseaddr
#[doc(alias = "reverseaddr")]
pub(super) fn reverse_addr(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
        }
        IpAddr::V6(ip) => {
            let nibbles = ip.octets().into_iter().rev().map(|b| format!("{:x}.{:x}.", b & 15, b >> 4));
            nibbles.collect::<String>() + "ip6.arpa."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Go: net dnsname_test.go TestDNSName
    #[test]
    fn test_dns_name() {
        let label_of = |n: usize| "a".repeat(n);
        let long = format!("{0}.{0}.{0}.", label_of(63)); // 192
        for (name, want) in [
            ("_xmpp-server._tcp.google.com".to_owned(), true),
            ("foo.com".into(), true),
            ("1foo.com".into(), true),
            ("26.0.0.73.com".into(), true),
            ("10-0-0-1".into(), true),
            ("fo-o.com".into(), true),
            ("fo1o.com".into(), true),
            ("foo1.com".into(), true),
            ("a.b..com".into(), false),
            ("a.b-.com".into(), false),
            ("a.b.com-".into(), false),
            ("a.b..".into(), false),
            ("b.com.".into(), true),
            (format!("{}.com", label_of(63)), true),
            (format!("{}.com", label_of(64)), false),
            (long.clone() + &label_of(61), true),
            (long.clone() + &label_of(61) + ".", true),
            (long.clone() + &label_of(62), false),
            (long + &label_of(62) + ".", false),
            ("".into(), false),
            (".".into(), true),
            (".com".into(), false),
            ("-a.com".into(), false),
            ("127.1".into(), false),
            ("1.2.3.4.".into(), false),
            ("0x7f.1".into(), true),
            ("a b".into(), false),
            ("a\0b".into(), false),
            ("b\u{fc}cher.example".into(), false),
        ] {
            assert_eq!(is_domain_name(&name), want, "{name:?}");
        }
    }

    /// Go: net TestAvoidDNSName
    #[test]
    fn test_avoid_dns_name() {
        for (name, want) in [
            ("foo.com", false),
            ("foo.com.", false),
            ("foo.onion.", true),
            ("foo.onion", true),
            ("foo.ONION", true),
            ("foo.ONION.", true),
            ("foo.local.", false),
            ("foo.local", false),
            ("", true),
            ("local", false),
            ("onion", false),
            ("local.", false),
            ("onion.", false),
            ("\u{e9}onion", false),
        ] {
            assert_eq!(avoid_dns(name), want, "{name}");
        }
    }

    /// Go: net TestReverseAddress
    #[test]
    fn test_reverse_address() {
        for (ip, want) in [
            ("1.2.3.4", "4.3.2.1.in-addr.arpa."),
            ("245.110.36.114", "114.36.110.245.in-addr.arpa."),
            ("::ffff:12.34.56.78", "78.56.34.12.in-addr.arpa."),
            ("::1", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa."),
            ("1::", "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.ip6.arpa."),
            (
                "1234:567::89a:bcde",
                "e.d.c.b.a.9.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.7.6.5.0.4.3.2.1.ip6.arpa.",
            ),
        ] {
            assert_eq!(reverse_addr(ip.parse().unwrap()), want);
        }
    }

    #[test]
    fn names_of_more_than_one_label_are_rooted() {
        assert_eq!(abs_domain_name("localhost".into()), "localhost");
        assert_eq!(abs_domain_name("a.b".into()), "a.b.");
        assert_eq!(abs_domain_name("a.b.".into()), "a.b.");
        assert_eq!(ensure_rooted("a"), "a.");
        assert_eq!(ensure_rooted("."), ".");
    }
}
