//! The networks of raw sockets: `ip4:icmp`, `ip6:58`, `ip:gre`. Go: `net/dial.go`.

use crate::error::{Cause, UnknownNetworkError};
use crate::ipsock::Network;
use crate::lookup_protocol;

/// Go's limit for numbers in texts.
const BIG: i32 = 0xff_ffff;

/// What of the network the caller cannot do without.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Needs {
    Family,
    Protocol,
}

/// Whether it belongs here: its errors do, too.
pub(crate) fn is_ip_network(network: &str) -> bool {
    family(network.rsplit_once(':').map_or(network, |(front, _)| front)).is_some()
}

fn family(name: &str) -> Option<Network> {
    [Network::Ip, Network::Ip4, Network::Ip6].into_iter().find(|net| net.as_str() == name)
}

/// The family, and the protocol's number; 0 if there is none and none is needed.
///
/// Go: net/dial.go parseNetwork
#[doc(alias = "parseNetwork")]
pub(crate) fn parse_network(network: &str, needs: Needs) -> Result<(Network, i32), Cause> {
    let unknown = || UnknownNetworkError(network.to_owned());
    match network.rsplit_once(':') {
        None if needs == Needs::Protocol => Err(unknown().into()),
        None => Ok((family(network).ok_or_else(unknown)?, 0)),
        Some((front, protocol)) => {
            let net = family(front).ok_or_else(unknown)?;
            let is_number = !protocol.is_empty() && protocol.bytes().all(|b| b.is_ascii_digit());
            let number = protocol.parse().ok().filter(|n| is_number && *n < BIG);
            match number {
                Some(number) => Ok((net, number)),
                None => Ok((net, lookup_protocol(protocol)?.into())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(network: &str, needs: Needs) -> String {
        parse_network(network, needs).map_or_else(|e| e.to_string(), |(net, n)| format!("{net:?} {n}"))
    }

    #[test]
    fn a_network_is_a_family_and_a_protocol() {
        for (network, want) in [
            ("ip4:icmp", "Ip4 1"),
            ("ip6:IPv6-ICMP", "Ip6 58"),
            ("ip:47", "Ip 47"),
            ("ip4:", "unknown IP protocol specified"),
            ("ip:no-such", "address no-such: unknown IP protocol specified"),
            ("ip:+1", "address +1: unknown IP protocol specified"),
            ("ip:16777215", "address 16777215: unknown IP protocol specified"),
            ("ip", "unknown network ip"),
            ("ip::", "unknown network ip::"),
            ("tcp:6", "unknown network tcp:6"),
        ] {
            assert_eq!(text(network, Needs::Protocol), want, "{network}");
        }
        assert_eq!(text("ip6", Needs::Family), "Ip6 0");
        assert!(is_ip_network("ip4:icmp") && is_ip_network("ip") && !is_ip_network("tcp"));
    }
}
