//! Protocols of IP by name. Go: `net/lookup_unix.go`, `lookupProtocol`.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::AddrError;

/// Names that work without a file (Go's list).
const PROTOCOLS: [(&str, u8); 5] = [("icmp", 1), ("igmp", 2), ("tcp", 6), ("udp", 17), ("ipv6-icmp", 58)];

/// The number of the protocol `name`: one of `/etc/protocols`, or one of those that always work.
///
/// Reads the file once.
///
/// # Errors
///
/// [`AddrError`]: "unknown IP protocol specified".
///
/// # Examples
///
/// ```
/// assert_eq!(gopark_net::lookup_protocol("ICMP"), Ok(1));
/// ```
///
/// Go: net/lookup_unix.go lookupProtocol
#[doc(alias = "lookupProtocol")]
pub fn lookup_protocol(name: &str) -> Result<u8, AddrError> {
    static FILE: OnceLock<HashMap<String, u8>> = OnceLock::new();
    let file =
        FILE.get_or_init(|| parse_protocols(&std::fs::read_to_string("/etc/protocols").unwrap_or_default()));
    let number = file.get(&name.to_ascii_lowercase()).copied();
    number.ok_or_else(|| AddrError { err: "unknown IP protocol specified", addr: name.to_owned() })
}

/// The protocols of a file like `/etc/protocols`, beside the built-in ones. The first line for a name counts.
///
/// Go: net/lookup_unix.go readProtocols
#[doc(alias = "readProtocols")]
fn parse_protocols(file: &str) -> HashMap<String, u8> {
    let mut protocols: HashMap<String, u8> = PROTOCOLS.map(|(name, number)| (name.to_owned(), number)).into();
    for line in file.lines() {
        // "icmp 1 ICMP # internet control message protocol"
        let line = line.split('#').next().unwrap_or_default();
        let mut fields = line.split_ascii_whitespace();
        let (Some(name), Some(number)) = (fields.next(), fields.next()) else { continue };
        let Ok(number) = number.parse() else { continue };
        for name in std::iter::once(name).chain(fields) {
            protocols.entry(name.to_ascii_lowercase()).or_insert(number);
        }
    }
    protocols
}

#[cfg(test)]
mod tests {
    use super::*;

    // Go: net/lookup_test.go TestLookupProtocol_Minimal
    #[test]
    fn test_lookup_protocol_minimal() {
        for (name, number) in
            [("tcp", 6), ("TcP", 6), ("icmp", 1), ("igmp", 2), ("udp", 17), ("ipv6-icmp", 58)]
        {
            assert_eq!(lookup_protocol(name), Ok(number), "{name}");
        }
        let err = lookup_protocol("no-such-protocol").unwrap_err();
        assert_eq!(err.to_string(), "address no-such-protocol: unknown IP protocol specified");
    }

    #[test]
    fn names_come_from_the_file_and_from_the_list() {
        let found = parse_protocols("# c\nip 0 IP # tail\nesp 50 IPSEC-ESP\nbig 256\nbad x\nshort\ntcp 99\n");
        assert_eq!(found.get("ip"), Some(&0));
        assert_eq!(found.get("ipsec-esp"), Some(&50));
        assert_eq!(found.get("tcp"), Some(&6));
        for absent in ["big", "bad", "short", "tail"] {
            assert_eq!(found.get(absent), None, "{absent}");
        }
    }
}
