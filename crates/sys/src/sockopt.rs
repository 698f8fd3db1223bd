//! Socket options, one function each. All fail with what setsockopt(2) and getsockopt(2) report.

use std::time::Duration;

use socket2::TcpKeepalive;

use crate::errno::Result;
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
