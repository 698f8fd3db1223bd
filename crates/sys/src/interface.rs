//! Network interfaces: getifaddrs(3), if_nameindex(3), and ioctl(2) as of netdevice(7).
//!
//! # Safety
//! The requests live on the caller's stack and have the size that each ioctl names.
#![allow(unsafe_code)]

use std::io;
use std::net::IpAddr;

pub use libc::{IFF_BROADCAST, IFF_LOOPBACK, IFF_MULTICAST, IFF_POINTOPOINT, IFF_RUNNING, IFF_UP};
use nix::net::if_;
use nix::sys::socket::SockaddrStorage;

/// One address of an interface. Each interface has at least one: that of its link.
#[derive(Clone, Debug)]
pub struct InterfaceAddr {
    /// Of the interface.
    pub name: String,
    /// IFF_UP and so on.
    pub flags: i32,
    /// The address, if it is one of IP.
    pub ip: Option<IpAddr>,
    /// The address's mask.
    pub mask: Option<IpAddr>,
    /// The address, if it is a link's.
    pub link: Option<[u8; 6]>,
}

/// All addresses of all interfaces.
///
/// # Errors
/// As getifaddrs(3).
pub fn addrs() -> io::Result<Vec<InterfaceAddr>> {
    let addr = |entry: nix::ifaddrs::InterfaceAddress| InterfaceAddr {
        flags: entry.flags.bits(),
        ip: entry.address.as_ref().and_then(ip),
        mask: entry.netmask.as_ref().and_then(ip),
        link: entry.address.as_ref().and_then(|addr| addr.as_link_addr()?.addr()),
        name: entry.interface_name,
    };
    Ok(nix::ifaddrs::getifaddrs()?.map(addr).collect())
}

fn ip(addr: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = addr.as_sockaddr_in().map(|addr| IpAddr::V4(addr.ip()));
    v4.or_else(|| addr.as_sockaddr_in6().map(|addr| IpAddr::V6(addr.ip())))
}

/// The number of interface `name`; `None` if there is none.
pub fn index(name: &str) -> Option<u32> {
    if_::if_nametoindex(name).ok()
}

/// Name and number of each interface; nothing if the system does not say.
pub fn names() -> Vec<(String, u32)> {
    let Ok(all) = if_::if_nameindex() else { return Vec::new() };
    all.iter().filter_map(|one| Some((one.name().to_str().ok()?.to_owned(), one.index()))).collect()
}

/// The largest packet that interface `name` takes, in bytes (SIOCGIFMTU).
///
/// # Errors
/// There is no such interface (`ENODEV`), or no socket can be made to ask with.
#[cfg(target_os = "linux")]
pub fn mtu(name: &str) -> io::Result<u32> {
    use std::os::fd::AsRawFd;

    // SAFETY: all zeros are a valid ifreq: numbers, bytes, and pointers that nobody follows.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // One byte of the name's field stays 0, its end.
    if name.len() >= request.ifr_name.len() {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    let socket =
        std::net::UdpSocket::bind("127.0.0.1:0").or_else(|_| std::net::UdpSocket::bind("[::1]:0"))?;
    // SAFETY: the socket is open, and SIOCGIFMTU reads and writes one ifreq, which is ours.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFMTU, &mut request) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has filled in the number, and every value of it is valid.
    let mtu = unsafe { request.ifr_ifru.ifru_mtu };
    Ok(u32::try_from(mtu).unwrap_or(0))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_has_an_mtu() {
        assert!(mtu("lo").unwrap() >= 1280);
        for name in ["no-such-if", "a-name-that-is-too-long-for-an-interface", ""] {
            assert_eq!(mtu(name).unwrap_err().raw_os_error(), Some(libc::ENODEV), "{name}");
        }
    }
}
