//! What holds for all addresses, as text: properties, on inputs that proptest makes.

use std::net::IpAddr;

use gopark_net::{HardwareAddr, TcpAddr, UnixAddr, join_host_port, lookup_port, parse_cidr, split_host_port};
use proptest::prelude::*;

proptest! {
    #[test]
    fn what_is_joined_can_be_split(host in "[^\\[\\]]{0,40}", port in "[^\\[\\]:]{0,10}") {
        let joined = join_host_port(&host, &port);
        prop_assert_eq!(split_host_port(&joined), Ok((&*host, &*port)));
    }

    #[test]
    fn what_is_split_can_be_joined(text in ".{0,60}") {
        if let Ok((host, port)) = split_host_port(&text) {
            let joined = join_host_port(host, port);
            prop_assert_eq!(split_host_port(&joined), Ok((host, port)));
        }
    }

    #[test]
    fn texts_of_addresses_and_brackets_never_panic(text in "[0-9a-f:.%/\\[\\]lo]{0,60}") {
        gopark_net::for_fuzz::address(text.as_bytes());
    }

    #[test]
    fn an_address_that_is_printed_is_the_same_address(ip: IpAddr, port: u16) {
        let addr = TcpAddr::from(std::net::SocketAddr::new(ip, port));
        let text = addr.to_string();
        let (host, told) = split_host_port(&text).unwrap();
        prop_assert_eq!(host.parse(), Ok(ip.to_canonical()));
        prop_assert_eq!(lookup_port("tcp", told).unwrap(), port);
    }

    #[test]
    fn a_network_holds_the_address_it_came_from(ip: IpAddr, bits in 0u8..=128) {
        let most = if ip.is_ipv4() { 32 } else { 128 };
        match parse_cidr(&format!("{ip}/{bits}")) {
            Ok((found, net)) => {
                prop_assert!(bits <= most);
                prop_assert_eq!(found, ip);
                prop_assert!(net.contains(&ip));
                prop_assert_eq!(net.prefix_len(), bits);
            }
            Err(e) => {
                prop_assert!(bits > most);
                prop_assert_eq!(e.to_string(), format!("invalid CIDR address: {ip}/{bits}"));
            }
        }
    }

    #[test]
    fn hardware_addresses_are_their_bytes(bytes in prop_oneof![
        prop::collection::vec(any::<u8>(), 6),
        prop::collection::vec(any::<u8>(), 8),
        prop::collection::vec(any::<u8>(), 20),
    ]) {
        let groups = |size: usize, separator: &str| {
            let group = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
            bytes.chunks(size).map(group).collect::<Vec<_>>().join(separator)
        };
        for text in [groups(1, ":"), groups(1, "-"), groups(2, "."), groups(1, "")] {
            let addr: HardwareAddr = text.parse().unwrap();
            prop_assert_eq!(addr.as_bytes(), &*bytes);
        }
    }

    #[test]
    fn ports_are_numbers_up_to_65535(number: u32) {
        match lookup_port("udp", &number.to_string()) {
            Ok(port) => prop_assert_eq!(u32::from(port), number),
            Err(e) => {
                prop_assert!(number > 65_535);
                prop_assert_eq!(e.to_string(), format!("address {number}: invalid port"));
            }
        }
    }

    /// Names of any bytes: what std can hold comes back as it was, and what cannot be held is an error.
    #[test]
    fn names_of_unix_sockets_survive_std(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::net::SocketAddr;
        let addr = UnixAddr::new(std::ffi::OsStr::from_bytes(&bytes));
        match SocketAddr::try_from(&addr) {
            Ok(std_addr) => {
                let back = UnixAddr::from(std_addr);
                prop_assert_eq!(back.is_unnamed(), addr.is_unnamed());
                prop_assert!(back == addr || addr.is_unnamed());
            }
            Err(_) => prop_assert!(bytes.len() >= 108 || bytes.contains(&0)),
        }
        let _ = (addr.to_string(), format!("{addr:?}"));
    }
}
