//! Socket options, one function each. All fail with what setsockopt(2) and getsockopt(2) report.
//!
//! # Safety
//! Those that socket2 does not have pass the place of a value on the stack, and its length.
#![allow(unsafe_code)]

use std::time::Duration;

use socket2::TcpKeepalive;

#[cfg(any(target_os = "linux", target_os = "android"))]
use crate::errno::check;
use crate::errno::{Errno, Result};
use crate::sock::{errno, sock};
use crate::sysfd::SysFd;

/// TCP_NODELAY: send small segments at once.
pub fn set_nodelay(fd: &SysFd, on: bool) -> Result<()> {
    errno(sock(fd)?.get().set_tcp_nodelay(on))
}

/// TCP_NODELAY.
pub fn nodelay(fd: &SysFd) -> Result<bool> {
    errno(sock(fd)?.get().tcp_nodelay())
}

/// SO_KEEPALIVE.
pub fn set_keepalive(fd: &SysFd, on: bool) -> Result<()> {
    errno(sock(fd)?.get().set_keepalive(on))
}

/// SO_KEEPALIVE.
pub fn keepalive(fd: &SysFd) -> Result<bool> {
    errno(sock(fd)?.get().keepalive())
}

/// TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT, each if given; durations rounded up to whole seconds.
pub fn set_keepalive_params(
    fd: &SysFd,
    idle: Option<Duration>,
    interval: Option<Duration>,
    count: Option<u32>,
) -> Result<()> {
    let round_up =
        |d: Duration| Duration::from_secs(d.as_secs().saturating_add(u64::from(d.subsec_nanos() > 0)));
    let mut params = TcpKeepalive::new();
    if let Some(idle) = idle {
        params = params.with_time(round_up(idle));
    }
    if let Some(interval) = interval {
        params = params.with_interval(round_up(interval));
    }
    if let Some(count) = count {
        params = params.with_retries(count);
    }
    errno(sock(fd)?.get().set_tcp_keepalive(&params))
}

/// TCP_KEEPIDLE.
pub fn keepalive_idle(fd: &SysFd) -> Result<Duration> {
    errno(sock(fd)?.get().tcp_keepalive_time())
}

/// TCP_KEEPINTVL.
pub fn keepalive_interval(fd: &SysFd) -> Result<Duration> {
    errno(sock(fd)?.get().tcp_keepalive_interval())
}

/// TCP_KEEPCNT.
pub fn keepalive_count(fd: &SysFd) -> Result<u32> {
    errno(sock(fd)?.get().tcp_keepalive_retries())
}

/// SO_REUSEADDR: listen although connections of the last listener linger.
pub fn set_reuse_addr(fd: &SysFd, on: bool) -> Result<()> {
    errno(sock(fd)?.get().set_reuse_address(on))
}

/// SO_REUSEPORT: several sockets on one address, connections spread over them.
pub fn set_reuse_port(fd: &SysFd, on: bool) -> Result<()> {
    errno(sock(fd)?.get().set_reuse_port(on))
}

/// IPV6_V6ONLY: no IPv4 on this IPv6 socket.
pub fn set_v6only(fd: &SysFd, on: bool) -> Result<()> {
    errno(sock(fd)?.get().set_only_v6(on))
}

/// SO_LINGER: how long close waits for data to be sent; zero resets the connection.
pub fn set_linger(fd: &SysFd, linger: Option<Duration>) -> Result<()> {
    errno(sock(fd)?.get().set_linger(linger))
}

/// SO_LINGER.
pub fn linger(fd: &SysFd) -> Result<Option<Duration>> {
    errno(sock(fd)?.get().linger())
}

/// SO_RCVBUF, in bytes.
pub fn set_recv_buffer(fd: &SysFd, bytes: usize) -> Result<()> {
    errno(sock(fd)?.get().set_recv_buffer_size(bytes))
}

/// SO_RCVBUF: what the kernel made of it.
pub fn recv_buffer(fd: &SysFd) -> Result<usize> {
    errno(sock(fd)?.get().recv_buffer_size())
}

/// SO_SNDBUF, in bytes.
pub fn set_send_buffer(fd: &SysFd, bytes: usize) -> Result<()> {
    errno(sock(fd)?.get().set_send_buffer_size(bytes))
}

/// SO_SNDBUF: what the kernel made of it.
pub fn send_buffer(fd: &SysFd) -> Result<usize> {
    errno(sock(fd)?.get().send_buffer_size())
}

/// IP_TTL.
pub fn set_ttl(fd: &SysFd, ttl: u32) -> Result<()> {
    errno(sock(fd)?.get().set_ttl_v4(ttl))
}

/// IP_TTL.
pub fn ttl(fd: &SysFd) -> Result<u32> {
    errno(sock(fd)?.get().ttl_v4())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn set<T: Copy>(fd: &SysFd, level: libc::c_int, option: libc::c_int, value: T) -> Result<()> {
    let len = size_of::<T>() as libc::socklen_t;
    // SAFETY: the value is readable for its length.
    check(unsafe { libc::setsockopt(fd.raw(), level, option, (&raw const value).cast(), len) }).map(drop)
}

/// IP_MULTICAST_IF by the number of the interface, which need not have an IPv4 address (golang/go#70132); 0 for the
/// system's choice. ENOPROTOOPT where there is no such form.
pub fn set_multicast_interface_v4(fd: &SysFd, index: u32) -> Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let none = libc::in_addr { s_addr: 0 };
        let index = libc::c_int::try_from(index).map_err(|_| Errno::EINVAL)?;
        let request = libc::ip_mreqn { imr_multiaddr: none, imr_address: none, imr_ifindex: index };
        set(fd, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, request)
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = (fd, index);
        Err(Errno::ENOPROTOOPT)
    }
}

/// Whether the system can cut one buffer into datagrams. UDP_SEGMENT, Linux 4.18.
///
/// Older ones do not know the control message and pass over it, which would send the buffer in one: so this must be
/// asked first.
pub fn has_udp_segment(fd: &SysFd) -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let (mut value, mut len): (libc::c_int, _) = (0, size_of::<libc::c_int>() as libc::socklen_t);
        let place = (&raw mut value).cast();
        // SAFETY: both places are writable.
        check(unsafe { libc::getsockopt(fd.raw(), libc::SOL_UDP, libc::UDP_SEGMENT, place, &raw mut len) })
            .is_ok()
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = fd;
        false
    }
}

/// UDP_GRO: whether the system may put datagrams together. False: it cannot (before Linux 5.0).
pub fn set_udp_gro(fd: &SysFd, on: bool) -> Result<bool> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let result = set(fd, libc::SOL_UDP, libc::UDP_GRO, libc::c_int::from(on));
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let result = {
        let _ = (fd, on);
        Err(Errno::ENOPROTOOPT)
    };
    match result {
        Ok(()) => Ok(true),
        Err(Errno::ENOPROTOOPT | Errno::EOPNOTSUPP) => Ok(false),
        Err(errno) => Err(errno),
    }
}
