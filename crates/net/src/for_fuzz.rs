//! What must hold for every input of the parsers: for the fuzz targets in `fuzz/`, and for the tests that go through
//! their corpora. Each panics where something does not.

pub use crate::resolver::inputs::{dns_message, hosts, nsswitch, resolv_conf};
use crate::{HardwareAddr, join_host_port, parse_cidr, split_host_port};

/// What a target does with an input.
pub type Target = fn(&[u8]);

/// Name and function of each: the names are those of the targets and of their folders of inputs.
pub const TARGETS: &[(&str, Target)] = &[
    ("address", address),
    ("dns_message", dns_message),
    ("hosts", hosts),
    ("nsswitch", nsswitch),
    ("resolv_conf", resolv_conf),
];

/// Addresses: what was taken apart can be put together, and what is printed can be read.
pub fn address(data: &[u8]) {
    let text = &*String::from_utf8_lossy(data);
    if let Ok((host, port)) = split_host_port(text) {
        assert!(!port.contains(':') && !port.contains(['[', ']']));
        let joined = join_host_port(host, port);
        assert_eq!(split_host_port(&joined), Ok((host, port)), "{text:?}");
    }
    if let Some((ip, _scope)) = crate::addr::parse_ip(text) {
        let shown = ip.to_string();
        assert_eq!(crate::addr::parse_ip(&shown).map(|(ip, _)| ip), Some(ip), "{text:?}");
    }
    if let Ok((ip, net)) = parse_cidr(text) {
        assert!(net.contains(&ip), "{text:?}");
        assert_eq!(parse_cidr(&net.to_string()), Ok((net.addr(), net)), "{text:?}");
        assert!(text.starts_with(|c: char| c.is_ascii_hexdigit() || c == ':'));
    }
    if let Ok(addr) = text.parse::<HardwareAddr>() {
        assert_eq!(addr.to_string().parse(), Ok(addr), "{text:?}");
    }
    let number = crate::port::port_of("tcp", text).is_ok() && text.bytes().all(|byte| byte.is_ascii_digit());
    assert!(!number || text.trim_start_matches('0').len() <= 5, "{text:?}");
}
