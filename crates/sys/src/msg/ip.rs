//! IP addresses as the calls that carry datagrams have them: 28 bytes, where an address of any family takes 128.
//!
//! # Safety
//! The parts of the union are plain numbers, all of them zero before anybody writes, so that each may be read whichever
//! was written; the family says which one means something.
#![allow(unsafe_code)]

use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::errno::{Result, check_size};
use crate::sysfd::SysFd;

/// An IP address and a port in the system's form. 0 of length is none.
#[derive(Copy, Clone)]
pub struct IpName {
    raw: Raw,
    len: libc::socklen_t,
}

#[derive(Copy, Clone)]
#[repr(C)]
union Raw {
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

impl std::fmt::Debug for IpName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("IpName").field(&self.get()).finish()
    }
}

impl IpName {
    /// No address; room for one.
    pub const NONE: IpName = {
        // SAFETY: zero is a value of all of it.
        IpName { raw: unsafe { mem::zeroed() }, len: 0 }
    };

    /// The system's form of `addr`.
    #[inline]
    pub fn new(addr: &SocketAddr) -> IpName {
        match addr {
            SocketAddr::V4(addr) => IpName { raw: Raw { v4: v4(addr) }, len: size::<libc::sockaddr_in>() },
            SocketAddr::V6(addr) => IpName { raw: Raw { v6: v6(addr) }, len: size::<libc::sockaddr_in6>() },
        }
    }

    /// The address, if it is one of IP.
    #[inline]
    pub fn get(&self) -> Option<SocketAddr> {
        // SAFETY: see the module; the family is at the same place in both.
        let family = libc::c_int::from(unsafe { self.raw.v4.sin_family });
        if family == libc::AF_INET && self.len >= size::<libc::sockaddr_in>() {
            // SAFETY: see the module.
            let libc::sockaddr_in { sin_addr, sin_port, .. } = unsafe { self.raw.v4 };
            let ip = Ipv4Addr::from(u32::from_be(sin_addr.s_addr));
            return Some(SocketAddrV4::new(ip, u16::from_be(sin_port)).into());
        }
        if family == libc::AF_INET6 && self.len >= size::<libc::sockaddr_in6>() {
            // SAFETY: see the module.
            let libc::sockaddr_in6 { sin6_addr, sin6_port, sin6_flowinfo, sin6_scope_id, .. } =
                unsafe { self.raw.v6 };
            let ip = Ipv6Addr::from(sin6_addr.s6_addr);
            return Some(SocketAddrV6::new(ip, u16::from_be(sin6_port), sin6_flowinfo, sin6_scope_id).into());
        }
        None
    }

    /// Where it is and how long, for a call that reads it: nowhere if it is none.
    #[inline]
    pub(super) fn as_ptr(&self) -> (*const libc::c_void, libc::socklen_t) {
        if self.len == 0 { (std::ptr::null(), 0) } else { ((&raw const self.raw).cast(), self.len) }
    }

    /// Where it is and how much room there is, for a call that writes it.
    #[inline]
    pub(super) fn as_mut_ptr(&mut self) -> (*mut libc::c_void, libc::socklen_t) {
        ((&raw mut self.raw).cast(), size::<Raw>())
    }

    /// What a call has written.
    #[inline]
    pub(super) fn set_len(&mut self, len: libc::socklen_t) {
        self.len = len.min(size::<Raw>());
    }
}

const fn size<T>() -> libc::socklen_t {
    mem::size_of::<T>() as libc::socklen_t
}

#[inline]
fn v4(addr: &SocketAddrV4) -> libc::sockaddr_in {
    // SAFETY: zero is a value of it.
    let mut raw: libc::sockaddr_in = unsafe { mem::zeroed() };
    #[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
    {
        raw.sin_len = mem::size_of::<libc::sockaddr_in>() as u8;
    }
    raw.sin_family = libc::AF_INET as libc::sa_family_t;
    raw.sin_port = addr.port().to_be();
    raw.sin_addr.s_addr = u32::from(*addr.ip()).to_be();
    raw
}

#[inline]
fn v6(addr: &SocketAddrV6) -> libc::sockaddr_in6 {
    // SAFETY: zero is a value of it.
    let mut raw: libc::sockaddr_in6 = unsafe { mem::zeroed() };
    #[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
    {
        raw.sin6_len = mem::size_of::<libc::sockaddr_in6>() as u8;
    }
    raw.sin6_family = libc::AF_INET6 as libc::sa_family_t;
    raw.sin6_port = addr.port().to_be();
    raw.sin6_flowinfo = addr.flowinfo();
    raw.sin6_addr.s6_addr = addr.ip().octets();
    raw.sin6_scope_id = addr.scope_id();
    raw
}

/// recvfrom(2) on an IP socket: one message into `buf`, and who sent it.
///
/// `super::recv_from` clears 128 bytes for an address of any family and copies them; this one does not.
#[inline]
pub fn recv_from_ip(fd: &SysFd, buf: &mut [u8]) -> Result<(usize, Option<SocketAddr>)> {
    recv_from_with(fd, buf, 0)
}

/// [`recv_from_ip`] that leaves the message where it is. MSG_PEEK.
pub fn peek_from_ip(fd: &SysFd, buf: &mut [u8]) -> Result<(usize, Option<SocketAddr>)> {
    recv_from_with(fd, buf, libc::MSG_PEEK)
}

#[inline]
fn recv_from_with(fd: &SysFd, buf: &mut [u8], flags: libc::c_int) -> Result<(usize, Option<SocketAddr>)> {
    let mut from = IpName::NONE;
    let (name, mut len) = from.as_mut_ptr();
    let bytes = buf.as_mut_ptr().cast();
    // SAFETY: the buffer is writable for its length, and so is the place for the address.
    let n =
        check_size(unsafe { libc::recvfrom(fd.raw(), bytes, buf.len(), flags, name.cast(), &raw mut len) })?;
    from.set_len(len);
    Ok((n, from.get()))
}

/// sendto(2) on an IP socket.
#[inline]
pub fn send_to_ip(fd: &SysFd, buf: &[u8], to: &SocketAddr) -> Result<usize> {
    let to = IpName::new(to);
    let (name, len) = to.as_ptr();
    let bytes = buf.as_ptr().cast();
    // SAFETY: the buffer is readable for its length, and the address for its.
    check_size(unsafe { libc::sendto(fd.raw(), bytes, buf.len(), super::SEND_FLAGS, name.cast(), len) })
}

/// The control data that asks for datagrams of one length. UDP_SEGMENT.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[derive(Copy, Clone)]
#[repr(C)]
pub(super) struct Segment {
    header: libc::cmsghdr,
    size: u16,
    // Up to the alignment of a header; the call takes it without too.
    _pad: [u16; 3],
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Segment {
    pub(super) fn new(size: u16) -> Segment {
        // SAFETY: zero is a value of all of it.
        let mut segment: Segment = unsafe { mem::zeroed() };
        segment.header.cmsg_len = (mem::offset_of!(Segment, size) + mem::size_of::<u16>()) as _;
        segment.header.cmsg_level = libc::SOL_UDP;
        segment.header.cmsg_type = libc::UDP_SEGMENT;
        segment.size = size;
        segment
    }
}

/// sendmsg(2) of `buf` as datagrams of `size` bytes each, the last maybe shorter, which the system makes of it.
/// UDP_SEGMENT; ask [`has_udp_segment`](crate::sockopt::has_udp_segment) first whether it knows that.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn send_segments_ip(fd: &SysFd, buf: &[u8], size: u16, to: Option<&SocketAddr>) -> Result<usize> {
    let mut segment = Segment::new(size);
    // SAFETY: zero is a value of it, an empty one.
    let mut msg = unsafe { mem::zeroed::<libc::msghdr>() };
    let to = to.map_or(IpName::NONE, IpName::new);
    let (name, name_len) = to.as_ptr();
    let mut iovec = libc::iovec { iov_base: buf.as_ptr().cast_mut().cast(), iov_len: buf.len() };
    (msg.msg_name, msg.msg_namelen) = (name.cast_mut(), name_len);
    (msg.msg_iov, msg.msg_iovlen) = (&raw mut iovec, 1);
    (msg.msg_control, msg.msg_controllen) = ((&raw mut segment).cast(), mem::size_of::<Segment>() as _);
    // SAFETY: all that the header names lives here or is the caller's, and is only read.
    check_size(unsafe { libc::sendmsg(fd.raw(), &msg, super::SEND_FLAGS) })
}

/// Elsewhere there is no such thing.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn send_segments_ip(_: &SysFd, _: &[u8], _: u16, _: Option<&SocketAddr>) -> Result<usize> {
    Err(crate::Errno::EOPNOTSUPP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back_as_they_went() {
        for text in ["1.2.3.4:5", "0.0.0.0:0", "[::1]:65535", "[2001:db8::1]:80", "[::ffff:1.2.3.4]:9"] {
            let addr: SocketAddr = text.parse().unwrap();
            assert_eq!(IpName::new(&addr).get(), Some(addr));
        }
        let scoped = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 1, 0x01020304, 7).into();
        assert_eq!(IpName::new(&scoped).get(), Some(scoped));
        assert_eq!(IpName::NONE.get(), None);
        assert!(IpName::NONE.as_ptr().0.is_null());
    }
}
