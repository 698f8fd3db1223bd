//! Network interfaces of this machine. Go: `net/interface.go`.
//!
//! Asked of the system at each call: interfaces come and go.

use std::fmt;
use std::io;
use std::net::IpAddr;

use gopark_sys::interface::{self as sys, InterfaceAddr};
use ipnet::IpNet;

use crate::HardwareAddr;
use crate::error::{AddrError, Cause, OpError};

mod multicast;

/// A network interface: its name and its number, which are each other's inverse, and what it is like.
///
/// # Examples
///
/// ```
/// for interface in gopark_net::interfaces()? {
///     println!("{} {}: {} {:?}", interface.index, interface.name, interface.flags, interface.addrs()?);
/// }
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/interface.go Interface
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Interface {
    /// From 1 on; what an IPv6 address calls its scope.
    pub index: u32,
    /// The largest packet, in bytes. `None` where the system was not asked: outside Linux.
    pub mtu: Option<u32>,
    /// `en0`, `lo`, `eth0.100`
    pub name: String,
    /// `None`: it has none, as a loopback interface, whose address is zeros.
    pub hardware_addr: Option<HardwareAddr>,
    /// What it is and does.
    pub flags: InterfaceFlags,
}

/// What an interface is and does. Prints as `up|broadcast|multicast`; `0` if nothing is set.
///
/// # Examples
///
/// ```
/// use gopark_net::InterfaceFlags;
///
/// let flags = InterfaceFlags::UP | InterfaceFlags::LOOPBACK;
/// assert!(flags.contains(InterfaceFlags::UP));
/// assert_eq!(flags.to_string(), "up|loopback");
/// ```
///
/// Go: net/interface.go Flags
#[doc(alias = "Flags")]
#[derive(Copy, Clone, PartialEq, Eq, Hash, Default, Debug)]
pub struct InterfaceFlags(u32);

impl InterfaceFlags {
    /// An administrator has switched it on.
    pub const UP: InterfaceFlags = InterfaceFlags(1);
    /// It can send to all at once.
    pub const BROADCAST: InterfaceFlags = InterfaceFlags(1 << 1);
    /// It leads back to this machine.
    pub const LOOPBACK: InterfaceFlags = InterfaceFlags(1 << 2);
    /// It has one peer.
    pub const POINT_TO_POINT: InterfaceFlags = InterfaceFlags(1 << 3);
    /// It can send to groups.
    pub const MULTICAST: InterfaceFlags = InterfaceFlags(1 << 4);
    /// It has a carrier, and its driver is ready.
    pub const RUNNING: InterfaceFlags = InterfaceFlags(1 << 5);

    /// In the order of the bits: the system's flag, and Go's name.
    const NAMES: [(i32, &'static str); 6] = [
        (sys::IFF_UP, "up"),
        (sys::IFF_BROADCAST, "broadcast"),
        (sys::IFF_LOOPBACK, "loopback"),
        (sys::IFF_POINTOPOINT, "pointtopoint"),
        (sys::IFF_MULTICAST, "multicast"),
        (sys::IFF_RUNNING, "running"),
    ];

    fn from_sys(flags: i32) -> InterfaceFlags {
        let bits = InterfaceFlags::NAMES.iter().enumerate();
        InterfaceFlags(bits.map(|(bit, (flag, _))| u32::from(flags & flag != 0) << bit).sum())
    }

    /// Whether all of `flags` are set.
    pub fn contains(self, flags: InterfaceFlags) -> bool {
        self.0 & flags.0 == flags.0
    }
}

impl std::ops::BitOr for InterfaceFlags {
    type Output = InterfaceFlags;

    fn bitor(self, other: InterfaceFlags) -> InterfaceFlags {
        InterfaceFlags(self.0 | other.0)
    }
}

/// Go: net/interface.go Flags.String
impl fmt::Display for InterfaceFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = InterfaceFlags::NAMES.iter().enumerate();
        let names: Vec<&str> =
            bits.filter(|(bit, _)| self.0 & 1 << bit != 0).map(|(_, (_, name))| *name).collect();
        f.write_str(if names.is_empty() { "0" } else { "" })?;
        f.write_str(&names.join("|"))
    }
}

impl Interface {
    fn new(name: &str, flags: i32) -> Option<Interface> {
        // None: it is gone meanwhile.
        let index = sys::index(name)?;
        #[cfg(target_os = "linux")]
        let mtu = sys::mtu(name).ok();
        #[cfg(not(target_os = "linux"))]
        let mtu = None;
        let flags = InterfaceFlags::from_sys(flags);
        Some(Interface { index, mtu, name: name.to_owned(), hardware_addr: None, flags })
    }

    /// Its addresses, with the length of their network's prefix.
    ///
    /// # Errors
    ///
    /// The system does not say.
    ///
    /// # Examples
    ///
    /// ```
    /// let lo = gopark_net::interfaces()?.into_iter().find(|i| i.flags.to_string().contains("loopback"));
    /// if let Some(lo) = lo {
    ///     assert!(lo.addrs()?.iter().all(|net| net.addr().is_loopback()));
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/interface.go Interface.Addrs
    pub fn addrs(&self) -> io::Result<Vec<IpNet>> {
        addrs_where(|entry| entry.name == self.name)
    }

    /// The groups that it listens to. Empty where the system does not say: outside Linux.
    ///
    /// # Errors
    ///
    /// None yet; the system's, if it has to be asked in another way some day.
    ///
    /// # Examples
    ///
    /// ```
    /// for interface in gopark_net::interfaces()? {
    ///     assert!(interface.multicast_addrs()?.iter().all(|ip| ip.is_multicast()));
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/interface.go Interface.MulticastAddrs
    #[doc(alias = "MulticastAddrs")]
    pub fn multicast_addrs(&self) -> io::Result<Vec<IpAddr>> {
        Ok(multicast::addrs(&self.name))
    }
}

/// The interfaces of this machine, in the order of their numbers.
///
/// # Errors
///
/// The system does not say.
///
/// # Examples
///
/// ```
/// let all = gopark_net::interfaces()?;
/// assert!(all.is_sorted_by_key(|interface| interface.index));
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/interface.go Interfaces
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let mut all: Vec<Interface> = Vec::new();
    // An entry for each address, link addresses among them, so an interface without any other is there too.
    for entry in entries()? {
        let known = all.iter().position(|interface| interface.name == entry.name);
        let Some(at) = known.or_else(|| {
            all.push(Interface::new(&entry.name, entry.flags)?);
            Some(all.len() - 1)
        }) else {
            continue;
        };
        if let Some(bytes) = entry.link.filter(|bytes| *bytes != [0; 6]) {
            all[at].hardware_addr = HardwareAddr::new(&bytes);
        }
    }
    all.sort_by_key(|interface| interface.index);
    Ok(all)
}

/// The addresses of all interfaces.
///
/// # Errors
///
/// The system does not say.
///
/// # Examples
///
/// ```
/// println!("{:?}", gopark_net::interface_addrs()?);
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/interface.go InterfaceAddrs
#[doc(alias = "InterfaceAddrs")]
pub fn interface_addrs() -> io::Result<Vec<IpNet>> {
    addrs_where(|_| true)
}

/// The interface of this number.
///
/// # Errors
///
/// "invalid network interface index" for 0, "no such network interface", or the system does not say.
///
/// # Examples
///
/// ```
/// let err = gopark_net::interface_by_index(0).unwrap_err();
/// assert_eq!(err.to_string(), "route ip+net: invalid network interface index");
/// ```
///
/// Go: net/interface.go InterfaceByIndex
#[doc(alias = "InterfaceByIndex")]
pub fn interface_by_index(index: u32) -> io::Result<Interface> {
    if index == 0 {
        return Err(error("invalid network interface index"));
    }
    let found = interfaces()?.into_iter().find(|interface| interface.index == index);
    found.ok_or_else(|| error("no such network interface"))
}

/// The interface of this name.
///
/// # Errors
///
/// "invalid network interface name" for none, "no such network interface", or the system does not say.
///
/// # Examples
///
/// ```
/// let err = gopark_net::interface_by_name("no-such").unwrap_err();
/// assert_eq!(err.to_string(), "route ip+net: no such network interface");
/// ```
///
/// Go: net/interface.go InterfaceByName
#[doc(alias = "InterfaceByName")]
pub fn interface_by_name(name: &str) -> io::Result<Interface> {
    if name.is_empty() {
        return Err(error("invalid network interface name"));
    }
    let found = interfaces()?.into_iter().find(|interface| interface.name == name);
    found.ok_or_else(|| error("no such network interface"))
}

fn entries() -> io::Result<Vec<InterfaceAddr>> {
    sys::addrs().map_err(|e| OpError::new("route", "ip+net", Cause::from_io("getifaddrs", e)).into())
}

fn error(err: &'static str) -> io::Error {
    OpError::new("route", "ip+net", AddrError { err, addr: String::new() }).into()
}

fn addrs_where(wanted: impl Fn(&InterfaceAddr) -> bool) -> io::Result<Vec<IpNet>> {
    Ok(entries()?.iter().filter(|entry| wanted(entry)).filter_map(net_of).collect())
}

/// The address and the length of the prefix, if it is an address of IP.
fn net_of(entry: &InterfaceAddr) -> Option<IpNet> {
    let ip = entry.ip?;
    let whole = if ip.is_ipv4() { 32 } else { 128 };
    let bits = entry.mask.and_then(|mask| ipnet::ip_mask_to_prefix(mask).ok()).unwrap_or(whole);
    IpNet::new(ip, bits).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Go: net/interface_test.go TestInterfaces
    #[test]
    fn test_interfaces() {
        let all = interfaces().unwrap();
        for interface in &all {
            assert_eq!(&interface_by_index(interface.index).unwrap(), interface);
            assert_eq!(&interface_by_name(&interface.name).unwrap(), interface);
            assert!(sys::names().contains(&(interface.name.clone(), interface.index)));
            let own = interface.addrs().unwrap();
            if interface.flags.contains(InterfaceFlags::LOOPBACK) {
                assert!(own.iter().all(|net| net.addr().is_loopback()), "{own:?}");
            }
            assert!(interface.multicast_addrs().unwrap().iter().all(IpAddr::is_multicast));
            #[cfg(target_os = "linux")]
            assert!(interface.mtu.is_some(), "{interface:?}");
        }
        assert!(all.iter().any(|interface| interface.flags.contains(InterfaceFlags::LOOPBACK)));
    }

    // Go: net/interface_test.go TestInterfaceAddrs
    #[test]
    fn test_interface_addrs() {
        let mut all = interface_addrs().unwrap();
        let mut each: Vec<IpNet> =
            interfaces().unwrap().iter().flat_map(|interface| interface.addrs().unwrap()).collect();
        all.sort_unstable();
        each.sort_unstable();
        assert_eq!(all, each);
        assert!(all.contains(&"127.0.0.1/8".parse().unwrap()), "{all:?}");
    }

    #[test]
    fn errors_have_gos_texts() {
        let text = |err: io::Error| err.to_string();
        assert_eq!(text(interface_by_index(0).unwrap_err()), "route ip+net: invalid network interface index");
        assert_eq!(text(interface_by_index(1 << 30).unwrap_err()), "route ip+net: no such network interface");
        assert_eq!(text(interface_by_name("").unwrap_err()), "route ip+net: invalid network interface name");
    }

    // Go: net/interface_unix_test.go TestPointToPointInterface (its flag); interface_test.go TestFlagsString
    #[test]
    fn flags_print_as_gos() {
        assert_eq!(InterfaceFlags::default().to_string(), "0");
        let all = InterfaceFlags(0x3f);
        assert_eq!(all.to_string(), "up|broadcast|loopback|pointtopoint|multicast|running");
        assert_eq!(InterfaceFlags::from_sys(sys::IFF_POINTOPOINT), InterfaceFlags::POINT_TO_POINT);
    }
}
