//! Messages: datagrams with their addresses and control data. recvmsg(2), sendmsg(2), cmsg(3).
//!
//! # Safety
//! Each call gets the places of slices and of an address that live until it returns, with their lengths; the kernel
//! reads and writes nothing else.
#![allow(unsafe_code)]

use std::io::{IoSlice, IoSliceMut};
use std::mem;
use std::os::fd::OwnedFd;

use socket2::SockAddr;

use crate::errno::{Errno, Result, check_size};
use crate::sysfd::SysFd;

mod batch;
mod cmsg;
mod ip;

pub use batch::{Outgoing, RecvBatch, SendBatch};
pub use cmsg::{Control, ControlBuf, ControlMessage, rights_len};
pub use ip::{IpName, peek_from_ip, recv_from_ip, send_segments_ip, send_to_ip};

#[cfg(not(target_vendor = "apple"))]
const SEND_FLAGS: libc::c_int = libc::MSG_NOSIGNAL;
#[cfg(target_vendor = "apple")]
const SEND_FLAGS: libc::c_int = 0;

/// Descriptors that come with a message are close-on-exec from birth (golang/go#42765), where the system can.
#[cfg(any(target_os = "linux", target_os = "android"))]
const RECV_FLAGS: libc::c_int = libc::MSG_CMSG_CLOEXEC;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const RECV_FLAGS: libc::c_int = 0;

/// The most datagrams that Linux makes of one message (64 before 6.9, 128 since).
pub const SEGMENTS_MAX: usize = 64;
/// The most bytes of such a message: what an IPv4 packet takes, less the headers.
pub const SEGMENT_BYTES_MAX: usize = 65_507;

/// A flag of a received message: it was longer than the buffers.
pub const TRUNCATED: i32 = libc::MSG_TRUNC;
/// A flag of a received message: there was more control data than room for it.
pub const CONTROL_TRUNCATED: i32 = libc::MSG_CTRUNC;

/// What came.
#[derive(Debug)]
pub struct Received {
    /// Bytes in the buffers.
    pub len: usize,
    /// Bytes of control data in its buffer.
    pub control_len: usize,
    /// The message's flags: `MSG_TRUNC`, `MSG_CTRUNC`, `MSG_EOR`, ….
    pub flags: i32,
    /// Who sent it; none on a connected stream, and an unnamed one for a socket without a name.
    pub from: Option<SockAddr>,
    /// The descriptors that were passed with it. Taken out of the control data here, so that one nobody asked for is
    /// closed and not leaked.
    pub fds: Vec<OwnedFd>,
}

impl Received {
    /// The message was longer than the buffers; the rest is lost.
    pub fn is_truncated(&self) -> bool {
        self.flags & libc::MSG_TRUNC != 0
    }
}

/// recvfrom(2): one message into `buf`, and who sent it.
#[inline]
pub fn recv_from(fd: &SysFd, buf: &mut [u8]) -> Result<(usize, Option<SockAddr>)> {
    recv_from_with(fd, buf, 0)
}

/// [`recv_from`] that leaves the message where it is. MSG_PEEK.
pub fn peek_from(fd: &SysFd, buf: &mut [u8]) -> Result<(usize, Option<SockAddr>)> {
    recv_from_with(fd, buf, libc::MSG_PEEK)
}

#[inline]
fn recv_from_with(fd: &SysFd, buf: &mut [u8], flags: libc::c_int) -> Result<(usize, Option<SockAddr>)> {
    let mut received = 0;
    let init = |storage: *mut socket2::SockAddrStorage, len: *mut libc::socklen_t| {
        // SAFETY: the buffer is writable for its length; storage and len are socket2's, large enough for any address.
        received = unsafe {
            libc::recvfrom(fd.raw(), buf.as_mut_ptr().cast(), buf.len(), flags, storage.cast(), len)
        };
        if received < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: on success the kernel has written an address of the length it says, 0 if there is none.
    let (_, addr) = unsafe { SockAddr::try_init(init) }.map_err(|e| Errno::of(&e))?;
    Ok((received.unsigned_abs(), named(addr)))
}

/// sendto(2), or send(2) without an address.
#[inline]
pub fn send_to(fd: &SysFd, buf: &[u8], to: Option<&SockAddr>) -> Result<usize> {
    let (addr, len) = raw(to);
    // SAFETY: the buffer is readable for its length, and the address for its.
    check_size(unsafe {
        libc::sendto(fd.raw(), buf.as_ptr().cast(), buf.len(), SEND_FLAGS, addr.cast(), len)
    })
}

/// recvmsg(2). `control` may be empty; `flags` are added to those that are always set.
pub fn recv_msg(fd: &SysFd, bufs: &mut [IoSliceMut<'_>], control: &mut [u8], flags: i32) -> Result<Received> {
    let mut got = (0, 0, 0);
    let init = |storage: *mut socket2::SockAddrStorage, len: *mut libc::socklen_t| {
        // SAFETY: a zeroed msghdr is an empty one.
        let mut msg: libc::msghdr = unsafe { mem::zeroed() };
        msg.msg_name = storage.cast();
        // SAFETY: socket2's place for the length.
        msg.msg_namelen = unsafe { *len };
        msg.msg_iov = bufs.as_mut_ptr().cast();
        msg.msg_iovlen = bufs.len() as _;
        if !control.is_empty() {
            msg.msg_control = control.as_mut_ptr().cast();
            msg.msg_controllen = control.len() as _;
        }
        // SAFETY: IoSliceMut has the layout of iovec; all places are writable for their lengths.
        let n = unsafe { libc::recvmsg(fd.raw(), &mut msg, RECV_FLAGS | flags) };
        if n < 0 {
            return Err(std::io::Error::last_os_error());
        }
        got = (n.unsigned_abs(), msg.msg_controllen as usize, msg.msg_flags);
        // SAFETY: as above.
        unsafe { *len = msg.msg_namelen };
        Ok(())
    };
    // SAFETY: on success the kernel has written an address of the length it says, 0 if there is none.
    let (_, addr) = unsafe { SockAddr::try_init(init) }.map_err(|e| Errno::of(&e))?;
    let (len, control_len, flags) = got;
    // SAFETY: this call has written them, nobody has seen them yet.
    let fds = unsafe { cmsg::take_rights(&control[..control_len.min(control.len())]) };
    Ok(Received { len, control_len, flags, from: named(addr), fds })
}

/// sendmsg(2). `control` is empty, or what a [`ControlBuf`] holds.
pub fn send_msg(fd: &SysFd, bufs: &[IoSlice<'_>], control: &[u8], to: Option<&SockAddr>) -> Result<usize> {
    // SAFETY: a zeroed msghdr is an empty one.
    let mut msg: libc::msghdr = unsafe { mem::zeroed() };
    let (addr, len) = raw(to);
    msg.msg_name = addr.cast_mut().cast();
    msg.msg_namelen = len;
    msg.msg_iov = bufs.as_ptr().cast_mut().cast();
    msg.msg_iovlen = bufs.len() as _;
    if !control.is_empty() {
        msg.msg_control = control.as_ptr().cast_mut().cast();
        msg.msg_controllen = control.len() as _;
    }
    // SAFETY: IoSlice has the layout of iovec; sendmsg only reads through what it is given.
    check_size(unsafe { libc::sendmsg(fd.raw(), &msg, SEND_FLAGS) })
}

fn raw(addr: Option<&SockAddr>) -> (*const libc::sockaddr, libc::socklen_t) {
    match addr {
        Some(addr) => (addr.as_ptr().cast(), addr.len()),
        None => (std::ptr::null(), 0),
    }
}

/// No address was written if the socket has a peer and says nothing of it.
fn named(addr: SockAddr) -> Option<SockAddr> {
    (addr.len() > 0).then_some(addr)
}

#[cfg(test)]
mod tests;
