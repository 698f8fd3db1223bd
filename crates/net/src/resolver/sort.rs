//! Which of several addresses to try first. Go: `net/addrselect.go`; RFC 6724, section 6.
//!
//! Of the ten rules those are kept that can be known from outside the kernel: 1 (usable at all), 2 (scope), 5 (label),
//! 6 (precedence), 8 (smaller scope), 9 (longest common prefix, and that for IPv6 only: golang/go#13283, #18518).

use std::cmp::Ordering;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use socket2::{Domain, Socket, Type};

/// An address with its IPv6 scope.
pub(crate) type Scoped = (IpAddr, u32);

/// Sorts `addrs`, best first. Sends nothing.
///
/// Go: net/addrselect.go sortByRFC6724
#[doc(alias = "sortByRFC6724")]
pub(super) fn sort_by_rfc6724(addrs: &mut [Scoped]) {
    if addrs.len() > 1 {
        let sources: Vec<_> = addrs.iter().map(source_addr).collect();
        sort_with_sources(addrs, &sources);
    }
}

/// The address that this machine would send from to `addr`: a UDP socket has it once it is connected, for which no
/// packet is sent.
///
/// Go: net/addrselect.go srcAddrs
#[doc(alias = "srcAddrs")]
fn source_addr(&(ip, scope_id): &Scoped) -> Option<IpAddr> {
    let to = match ip {
        IpAddr::V4(ip) => SocketAddr::from((ip, 53)),
        IpAddr::V6(ip) => SocketAddrV6::new(ip, 53, 0, scope_id).into(),
    };
    // Not one of ours with a poll descriptor: nobody waits for it.
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, None).ok()?;
    socket.connect(&to.into()).ok()?;
    Some(socket.local_addr().ok()?.as_socket()?.ip().to_canonical())
}

/// Go: net/addrselect.go sortByRFC6724withSrcs
#[doc(alias = "sortByRFC6724withSrcs")]
fn sort_with_sources(addrs: &mut [Scoped], sources: &[Option<IpAddr>]) {
    let mut infos: Vec<_> = addrs
        .iter()
        .zip(sources)
        .map(|(&addr, &source)| Info {
            addr,
            attr: Attr::of(addr.0),
            source: source.map(|ip| (ip, Attr::of(ip))),
        })
        .collect();
    infos.sort_by(compare);
    for (addr, info) in addrs.iter_mut().zip(infos) {
        *addr = info.addr;
    }
}

struct Info {
    addr: Scoped,
    attr: Attr,
    source: Option<(IpAddr, Attr)>,
}

/// Go: net/addrselect.go ipAttr
struct Attr {
    scope: Scope,
    precedence: u8,
    label: u8,
}

impl Attr {
    fn of(ip: IpAddr) -> Attr {
        let policy = classify(ip);
        Attr { scope: classify_scope(ip), precedence: policy.precedence, label: policy.label }
    }
}

/// Go: net/addrselect.go compareByRFC6724
#[doc(alias = "compareByRFC6724")]
fn compare(a: &Info, b: &Info) -> Ordering {
    // Rule 1: avoid unusable destinations.
    let ((source_a, attr_a), (source_b, attr_b)) = match (&a.source, &b.source) {
        (None, None) => return Ordering::Equal,
        (Some(_), None) => return Ordering::Less,
        (None, Some(_)) => return Ordering::Greater,
        (Some(a), Some(b)) => (a, b),
    };
    let prefer = |a: bool, b: bool| b.cmp(&a);
    // Rule 2: the scopes of both ends are the same.
    prefer(a.attr.scope == attr_a.scope, b.attr.scope == attr_b.scope)
        // Rule 5: their labels are the same.
        .then_with(|| prefer(a.attr.label == attr_a.label, b.attr.label == attr_b.label))
        // Rule 6: higher precedence.
        .then_with(|| b.attr.precedence.cmp(&a.attr.precedence))
        // Rule 8: smaller scope.
        .then_with(|| a.attr.scope.cmp(&b.attr.scope))
        // Rule 9: longest common prefix.
        .then_with(|| match (a.addr.0.to_canonical(), b.addr.0.to_canonical()) {
            (IpAddr::V6(to_a), IpAddr::V6(to_b)) => {
                common_prefix_len(*source_b, to_b).cmp(&common_prefix_len(*source_a, to_a))
            }
            _ => Ordering::Equal,
        })
}

struct Policy {
    prefix: Ipv6Addr,
    bits: u32,
    precedence: u8,
    label: u8,
}

const fn policy(prefix: [u16; 3], bits: u32, precedence: u8, label: u8) -> Policy {
    let [first, sixth, last] = prefix;
    Policy { prefix: Ipv6Addr::new(first, 0, 0, 0, 0, sixth, 0, last), bits, precedence, label }
}

/// RFC 6724, section 2.1, longest prefix first.
const POLICIES: [Policy; 9] = [
    policy([0, 0, 1], 128, 50, 0),
    policy([0, 0xffff, 0], 96, 35, 4),
    policy([0, 0, 0], 96, 1, 3),
    policy([0x2001, 0, 0], 32, 5, 5), // Teredo
    policy([0x2002, 0, 0], 16, 30, 2),
    policy([0x3ffe, 0, 0], 16, 1, 12),
    policy([0xfec0, 0, 0], 10, 1, 11),
    policy([0xfc00, 0, 0], 7, 3, 13),
    policy([0, 0, 0], 0, 40, 1),
];

/// Go: net/addrselect.go policyTable.Classify
fn classify(ip: IpAddr) -> &'static Policy {
    let bits = to_v6(ip).to_bits();
    let fits = |policy: &&Policy| (bits ^ policy.prefix.to_bits()).leading_zeros() >= policy.bits;
    POLICIES.iter().find(fits).unwrap_or(&POLICIES[POLICIES.len() - 1])
}

fn to_v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

/// RFC 6724, section 3.1; the numbers are those of multicast addresses.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Scope(u8);

impl Scope {
    const LINK_LOCAL: Scope = Scope(2);
    const SITE_LOCAL: Scope = Scope(5);
    const GLOBAL: Scope = Scope(14);
}

/// Go: net/addrselect.go classifyScope
#[doc(alias = "classifyScope")]
fn classify_scope(ip: IpAddr) -> Scope {
    match ip.to_canonical() {
        IpAddr::V4(ip) if ip.is_loopback() || ip.is_link_local() => Scope::LINK_LOCAL,
        IpAddr::V4(_) => Scope::GLOBAL,
        IpAddr::V6(ip) if ip.is_loopback() || ip.is_unicast_link_local() => Scope::LINK_LOCAL,
        IpAddr::V6(ip) if ip.is_multicast() => Scope(ip.octets()[1] & 0xf),
        IpAddr::V6(ip) if ip.segments()[0] & 0xffc0 == 0xfec0 => Scope::SITE_LOCAL,
        IpAddr::V6(_) => Scope::GLOBAL,
    }
}

/// How many leading bits `a` and `b` have in common, of the 64 that are the network's; 0 for different families.
///
/// Go: net/addrselect.go commonPrefixLen
#[doc(alias = "commonPrefixLen")]
fn common_prefix_len(a: IpAddr, b: Ipv6Addr) -> u32 {
    match a.to_canonical() {
        IpAddr::V6(a) => (a.to_bits() ^ b.to_bits()).leading_zeros().min(64),
        IpAddr::V4(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn sorted(pairs: &[(&str, &str)]) -> Vec<String> {
        let mut addrs: Vec<Scoped> = pairs.iter().map(|(to, _)| (ip(to), 0)).collect();
        let sources: Vec<_> = pairs.iter().map(|(_, from)| from.parse().ok()).collect();
        sort_with_sources(&mut addrs, &sources);
        addrs.iter().map(|(ip, _)| ip.to_string()).collect()
    }

    // Go: net TestSortByRFC6724
    #[test]
    fn test_sort_by_rfc6724() {
        let v6 = "2001:db8:1::1";
        // Destination and source, in the order that is wanted: examples of RFC 6724, section 10.2.
        let cases: [&[(&str, &str)]; 6] = [
            &[(v6, "2001:db8:1::2"), ("198.51.100.121", "169.254.13.78")],
            &[("198.51.100.121", "198.51.100.117"), (v6, "fe80::1")],
            &[(v6, "2001:db8:1::2"), ("10.1.2.3", "10.1.2.4")],
            &[("fe80::1", "fe80::2"), (v6, "2001:db8:1::2")],
            &[("198.51.100.121", "198.51.100.117"), (v6, "none")],
            &[("2001:db8:1::1", "2001:db8:1::2"), ("2001:db8:3ffe::1", "2001:db8:1::2")],
        ];
        for pairs in cases {
            let want: Vec<_> = pairs.iter().map(|(to, _)| (*to).to_owned()).collect();
            assert_eq!(sorted(pairs), want);
            let backwards: Vec<_> = pairs.iter().rev().copied().collect();
            assert_eq!(sorted(&backwards), want, "starting backwards");
        }
        // golang/go#13283: a source in 10/8 is no reason to prefer 23/8.
        let same = ["54.83.193.112", "184.72.238.214", "23.23.172.185", "75.101.148.21", "23.21.50.150"];
        assert_eq!(sorted(&same.map(|to| (to, "10.2.3.4"))), same);
        let unusable = ["54.83.193.112", "2001:db8::1", "1.2.3.4"];
        assert_eq!(sorted(&unusable.map(|to| (to, "none"))), unusable);
    }

    // Go: net TestRFC6724PolicyTableOrder, TestRFC6724PolicyTableContent
    #[test]
    fn test_rfc6724_policy_table() {
        assert!(POLICIES.windows(2).all(|pair| pair[0].bits >= pair[1].bits));
        let table = POLICIES.map(|p| format!("{}/{} {} {}", p.prefix, p.bits, p.precedence, p.label));
        assert_eq!(
            table,
            [
                "::1/128 50 0",
                "::ffff:0.0.0.0/96 35 4",
                "::/96 1 3",
                "2001::/32 5 5",
                "2002::/16 30 2",
                "3ffe::/16 1 12",
                "fec0::/10 1 11",
                "fc00::/7 3 13",
                "::/0 40 1",
            ]
        );
    }

    // Go: net TestRFC6724PolicyTableClassify
    #[test]
    fn test_rfc6724_policy_table_classify() {
        for (addr, bits) in [
            ("127.0.0.1", 96),
            ("2601:645:8002:a500:986f:1db8:c836:bd65", 0),
            ("::1", 128),
            ("2002::ab12", 16),
        ] {
            assert_eq!(classify(ip(addr)).bits, bits, "{addr}");
        }
        assert_eq!(classify(ip("127.0.0.1")).precedence, 35);
    }

    // Go: net TestRFC6724ClassifyScope
    #[test]
    fn test_rfc6724_classify_scope() {
        for (addr, want) in [
            ("127.0.0.1", 2),
            ("::1", 2),
            ("169.254.1.2", 2),
            ("fec0::1", 5),
            ("8.8.8.8", 14),
            ("ff02::", 2),
            ("ff05::", 5),
            ("ff04::", 4),
            ("ff0e::", 14),
            ("::224.0.0.0", 14),
            ("::224.2.2.2", 14),
            ("224.0.0.0", 14),
            ("224.2.2.2", 14),
        ] {
            assert_eq!(classify_scope(ip(addr)), Scope(want), "{addr}");
        }
    }

    // Go: net TestRFC6724CommonPrefixLength, the rows of IPv6: the others are never asked for.
    #[test]
    fn test_rfc6724_common_prefix_length() {
        for (a, b, want) in
            [("fe80::1", "fe80::2", 64), ("fe81::1", "fe80::2", 15), ("127.0.0.1", "fe80::1", 0)]
        {
            assert_eq!(common_prefix_len(ip(a), b.parse().unwrap()), want, "{a} {b}");
        }
    }

    #[test]
    fn the_loopback_is_reached_from_itself() {
        assert_eq!(source_addr(&(ip("127.0.0.1"), 0)), Some(ip("127.0.0.1")));
    }
}
