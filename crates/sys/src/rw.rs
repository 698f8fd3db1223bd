//! Reading and writing: one system call each, no retry on EINTR, the error number out.
//!
//! # Safety
//! Each call gets a slice's pointer with its length, so the kernel writes nowhere else; whether the descriptor is still
//! the caller's is `SysFd`'s contract, and a wrong number costs an error, not memory.
#![allow(unsafe_code)]

use std::io::{IoSlice, IoSliceMut};

use crate::errno::{Result, check, check_size};
use crate::sysfd::SysFd;

/// Where a write to a peer that is gone must not raise SIGPIPE: Linux and the BSDs have the flag, macOS an option.
#[cfg(not(target_vendor = "apple"))]
const NOSIGNAL: libc::c_int = libc::MSG_NOSIGNAL;
#[cfg(target_vendor = "apple")]
const NOSIGNAL: libc::c_int = 0;

/// How many buffers one call takes: IOV_MAX of limits(7), 1,024 on Linux and on the BSDs.
const IOV_MAX: usize = 1024;

/// read(2).
#[inline]
pub fn read(fd: &SysFd, buf: &mut [u8]) -> Result<usize> {
    // SAFETY: the buffer is writable for its length.
    check_size(unsafe { libc::read(fd.raw(), buf.as_mut_ptr().cast(), buf.len()) })
}

/// recv(2), for sockets: the same as a read, without the file system's part of the way.
#[inline]
pub fn recv(fd: &SysFd, buf: &mut [u8]) -> Result<usize> {
    check_size(imp::recv(fd.raw(), buf))
}

/// readv(2). At most 1,024 buffers; the rest is left alone, as after a short read.
pub fn readv(fd: &SysFd, bufs: &mut [IoSliceMut<'_>]) -> Result<usize> {
    let n = bufs.len().min(IOV_MAX);
    // SAFETY: IoSliceMut has the layout of iovec, and each buffer is writable for its length.
    check_size(unsafe { libc::readv(fd.raw(), bufs.as_mut_ptr().cast(), n as libc::c_int) })
}

/// write(2), for what is not a socket.
#[inline]
pub fn write(fd: &SysFd, buf: &[u8]) -> Result<usize> {
    // SAFETY: the buffer is readable for its length.
    check_size(unsafe { libc::write(fd.raw(), buf.as_ptr().cast(), buf.len()) })
}

/// send(2) without SIGPIPE, for sockets.
#[inline]
pub fn send(fd: &SysFd, buf: &[u8]) -> Result<usize> {
    check_size(imp::send(fd.raw(), buf))
}

/// sendmsg(2) with several buffers and without SIGPIPE, for sockets. At most 1,024 buffers; the rest is left, as
/// after a short write.
pub fn writev(fd: &SysFd, bufs: &[IoSlice<'_>]) -> Result<usize> {
    // SAFETY: a zeroed msghdr is an empty one.
    let mut msg: libc::msghdr = unsafe { std::mem::zeroed() };
    msg.msg_iov = bufs.as_ptr().cast_mut().cast();
    msg.msg_iovlen = bufs.len().min(IOV_MAX) as _;
    // SAFETY: IoSlice has the layout of iovec; sendmsg only reads through it.
    check_size(unsafe { libc::sendmsg(fd.raw(), &msg, NOSIGNAL) })
}

/// recv(2) with MSG_PEEK: what a read would return, left in place.
pub fn peek(fd: &SysFd, buf: &mut [u8]) -> Result<usize> {
    // SAFETY: the buffer is writable for its length.
    check_size(unsafe { libc::recv(fd.raw(), buf.as_mut_ptr().cast(), buf.len(), libc::MSG_PEEK) })
}

/// poll(2) without waiting: true if a read would not block.
pub fn poll_readable(fd: &SysFd) -> Result<bool> {
    poll_now(fd, libc::POLLIN)
}

/// poll(2) without waiting: true if a write would not block.
pub fn poll_writable(fd: &SysFd) -> Result<bool> {
    poll_now(fd, libc::POLLOUT)
}

fn poll_now(fd: &SysFd, events: libc::c_short) -> Result<bool> {
    let mut pollfd = libc::pollfd { fd: fd.raw(), events, revents: 0 };
    // SAFETY: one valid entry.
    Ok(check(unsafe { libc::poll(&mut pollfd, 1, 0) })? > 0)
}

/// The two calls that every request makes.
///
/// The C library's are cancellation points: in a program with threads each one sets and clears a flag around the
/// system call, which was 2 % of an echo server's time. The calls without it are plain numbers on Linux.
#[cfg(target_os = "linux")]
mod imp {
    #[inline]
    pub(super) fn recv(fd: i32, buf: &mut [u8]) -> libc::ssize_t {
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: recvfrom(2) with the buffer writable for its length, no flags, no place for an address.
        let n = unsafe { libc::syscall(libc::SYS_recvfrom, fd, buf.as_mut_ptr(), buf.len(), 0, none, none) };
        n as libc::ssize_t
    }

    #[inline]
    pub(super) fn send(fd: i32, buf: &[u8]) -> libc::ssize_t {
        let none = std::ptr::null_mut::<libc::c_void>();
        let flags = super::NOSIGNAL;
        // SAFETY: sendto(2) with the buffer readable for its length, no address.
        let n = unsafe { libc::syscall(libc::SYS_sendto, fd, buf.as_ptr(), buf.len(), flags, none, 0) };
        n as libc::ssize_t
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    #[inline]
    pub(super) fn recv(fd: i32, buf: &mut [u8]) -> libc::ssize_t {
        // SAFETY: the buffer is writable for its length.
        unsafe { libc::recv(fd, buf.as_mut_ptr().cast(), buf.len(), 0) }
    }

    #[inline]
    pub(super) fn send(fd: i32, buf: &[u8]) -> libc::ssize_t {
        // SAFETY: the buffer is readable for its length.
        unsafe { libc::send(fd, buf.as_ptr().cast(), buf.len(), super::NOSIGNAL) }
    }
}
