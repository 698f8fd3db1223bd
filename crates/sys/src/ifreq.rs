//! What the system tells of a network interface by ioctl(2). See netdevice(7).
//!
//! # Safety
//! The requests live on the caller's stack and have the size that each ioctl names.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsRawFd;

/// The largest packet that interface `name` takes, in bytes (SIOCGIFMTU).
///
/// # Errors
/// There is no such interface (`ENODEV`), or no socket can be made to ask with.
#[cfg(target_os = "linux")]
pub fn mtu(name: &str) -> io::Result<u32> {
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
