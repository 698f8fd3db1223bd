//! Addresses with the length of their network's prefix. Go: `ParseCIDR` of `net/ip.go`; `IPNet` is the crate ipnet's.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

/// A text that is not what it was taken for. Text: `invalid CIDR address: 10.0.0.0`.
///
/// # Examples
///
/// ```
/// let err = gopark_net::parse_cidr("10.0.0.0/33").unwrap_err();
/// assert_eq!(err.to_string(), "invalid CIDR address: 10.0.0.0/33");
/// ```
///
/// Go: net/net.go ParseError
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// What it should have been: `CIDR address`.
    pub kind: &'static str,
    /// The text.
    pub text: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid {}: {}", self.kind, self.text)
    }
}

impl std::error::Error for ParseError {}

/// An address and its network, from texts like `192.0.2.1/24` or `2001:db8::1/32` (RFC 4632, RFC 4291). The network's
/// address has zeros behind the prefix.
///
/// # Errors
///
/// [`ParseError`]: it is not an address, a slash, and a decimal number of bits that such an address has. There are no
/// zones in networks.
///
/// # Examples
///
/// ```
/// let (ip, net) = gopark_net::parse_cidr("192.0.2.1/24")?;
/// assert_eq!(ip.to_string(), "192.0.2.1");
/// assert_eq!(net.to_string(), "192.0.2.0/24");
/// assert!(net.contains(&"192.0.2.77".parse::<std::net::IpAddr>().unwrap()));
/// # Ok::<(), gopark_net::ParseError>(())
/// ```
///
/// Go: net/ip.go ParseCIDR
#[doc(alias = "ParseCIDR")]
pub fn parse_cidr(text: &str) -> Result<(IpAddr, IpNet), ParseError> {
    parse(text).ok_or_else(|| ParseError { kind: "CIDR address", text: text.to_owned() })
}

fn parse(text: &str) -> Option<(IpAddr, IpNet)> {
    let (ip, bits) = text.split_once('/')?;
    let ip: IpAddr = ip.parse().ok()?;
    // `parse` alone would take a sign.
    if !bits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let net = IpNet::new(ip, bits.parse().ok()?).ok()?;
    Some((ip, net.trunc()))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Go: net/ip_test.go TestParseCIDR
    #[test]
    fn test_parse_cidr() {
        for (text, ip, net) in [
            ("135.104.0.0/32", "135.104.0.0", "135.104.0.0/32"),
            ("0.0.0.0/24", "0.0.0.0", "0.0.0.0/24"),
            ("135.104.0.0/24", "135.104.0.0", "135.104.0.0/24"),
            ("135.104.0.1/32", "135.104.0.1", "135.104.0.1/32"),
            ("135.104.0.1/24", "135.104.0.1", "135.104.0.0/24"),
            ("::1/128", "::1", "::1/128"),
            ("abcd:2345::/127", "abcd:2345::", "abcd:2345::/127"),
            ("abcd:2345::/65", "abcd:2345::", "abcd:2345::/65"),
            ("abcd:2345::/33", "abcd:2345::", "abcd:2345::/33"),
            ("abcd:2344::/31", "abcd:2344::", "abcd:2344::/31"),
            ("abcd:2345::/24", "abcd:2345::", "abcd:2300::/24"),
            ("2001:DB8::1/48", "2001:db8::1", "2001:db8::/48"),
            ("10.0.0.1/08", "10.0.0.1", "10.0.0.0/8"),
            ("10.1.2.3/0", "10.1.2.3", "0.0.0.0/0"),
        ] {
            let (found_ip, found_net) = parse_cidr(text).unwrap();
            assert_eq!((found_ip.to_string(), found_net.to_string()), (ip.into(), net.into()), "{text}");
        }
        for text in [
            "192.168.1.1/255.255.255.0",
            "192.168.1.1/35",
            "192.168.1.1/+8",
            "2001:db8::1/-1",
            "2001:db8::1/-0",
            "2001:db8::1/129",
            "-0.0.0.0/32",
            "0.-1.0.0/32",
            "0.0.0.0/-0",
            "127.000.000.001/32",
            "fe80::1%lo/64",
            "10.0.0.0",
            "10.0.0.0/",
            "/8",
            "10.0.0.0/8/8",
            "10.0.0.0/99999999999999999999",
            "",
        ] {
            let err = parse_cidr(text).unwrap_err();
            assert_eq!(err.to_string(), format!("invalid CIDR address: {text}"));
        }
    }
}
