//! The groups that an interface listens to, as Linux lists them. Go: `net/interface_linux.go`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Those of interface `name`.
///
/// Go: net/interface_linux.go interfaceMulticastAddrTable
#[doc(alias = "interfaceMulticastAddrTable")]
pub(super) fn addrs(name: &str) -> Vec<IpAddr> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let mut addrs = parse_igmp(&read("/proc/net/igmp"), name);
    addrs.extend(parse_igmp6(&read("/proc/net/igmp6"), name));
    addrs
}

/// An interface a paragraph: a line with its number and name, and an indented line for each group.
///
/// Go: net/interface_linux.go parseProcNetIGMP
fn parse_igmp(file: &str, name: &str) -> Vec<IpAddr> {
    let mut addrs = Vec::new();
    let mut ours = false;
    for line in file.lines().skip(1) {
        let mut fields = line.split([' ', ':', '\t']).filter(|field| !field.is_empty());
        let Some(first) = fields.next() else { continue };
        if !line.starts_with([' ', '\t']) {
            ours = fields.next() == Some(name);
        } else if ours && first.len() == 8 {
            // The kernel prints the number as it lies in memory.
            let group = u32::from_str_radix(first, 16);
            addrs.extend(group.map(|group| IpAddr::V4(Ipv4Addr::from(group.to_ne_bytes()))));
        }
    }
    addrs
}

/// A group a line: the interface's number and name, the group, and more.
///
/// Go: net/interface_linux.go parseProcNetIGMP6
fn parse_igmp6(file: &str, name: &str) -> Vec<IpAddr> {
    let group = |line: &str| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        if fields.next()? != name {
            return None;
        }
        let group = fields.next().filter(|group| group.len() == 32)?;
        Some(IpAddr::V6(Ipv6Addr::from_bits(u128::from_str_radix(group, 16).ok()?)))
    };
    file.lines().filter_map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Go: net/interface_linux_test.go TestParseProcNet
    #[test]
    fn test_parse_proc_net() {
        let group = if cfg!(target_endian = "little") { "FB0000E0" } else { "E00000FB" };
        let igmp = format!(
            "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n\
             1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n\
             2\teth0      :     2      V2\n\t\t\t\t{group}     1 0:00000000\t\t1\n\
             4\teth0.100  :     1      V3\n\t\t\t\tbad      x\n\n",
        );
        assert_eq!(parse_igmp(&igmp, "eth0"), ["224.0.0.251".parse::<IpAddr>().unwrap()]);
        assert!(parse_igmp(&igmp, "eth0.100").is_empty());
        let igmp6 = "2    eth0            ff0200000000000000000001ff7eb1f1     1 00000004 0\n\
                     2    eth0            ff02     1 00000004 0\n2 eth0\n\
                     3    eth1            ff020000000000000000000000000001     1 0000000C 0\n";
        assert_eq!(parse_igmp6(igmp6, "eth0"), ["ff02::1:ff7e:b1f1".parse::<IpAddr>().unwrap()]);
        assert_eq!(parse_igmp6(igmp6, "eth1"), ["ff02::1".parse::<IpAddr>().unwrap()]);
    }
}
