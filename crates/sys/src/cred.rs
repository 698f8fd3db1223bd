//! Who is at the other end of a Unix socket, as the kernel knows it.
//!
//! # Safety
//! Each call gets a place of its own with its size, which the kernel fills or leaves alone.
#![allow(unsafe_code)]

use crate::errno::{Result, check};
use crate::sysfd::SysFd;

/// A process, by its numbers at the time when it connected (or made the pair).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Cred {
    /// The process, if the system says.
    pub pid: Option<i32>,
    /// The effective user.
    pub uid: u32,
    /// The effective group.
    pub gid: u32,
}

/// SO_PEERCRED of unix(7).
///
/// # Errors
/// EBADF; ENOTSOCK. A socket without a peer has a user and a group of `u32::MAX`.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn peer_cred(fd: &SysFd) -> Result<Cred> {
    let mut cred = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut len = size_of_val(&cred) as libc::socklen_t;
    let place = (&raw mut cred).cast();
    // SAFETY: the place is writable for its size, and so is that of the size.
    check(unsafe { libc::getsockopt(fd.raw(), libc::SOL_SOCKET, libc::SO_PEERCRED, place, &mut len) })?;
    Ok(Cred { pid: (cred.pid != 0).then_some(cred.pid), uid: cred.uid, gid: cred.gid })
}

/// getpeereid(3), which does not know the process.
///
/// # Errors
/// EBADF; ENOTSOCK; ENOTCONN.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn peer_cred(fd: &SysFd) -> Result<Cred> {
    let (mut uid, mut gid) = (u32::MAX, u32::MAX);
    // SAFETY: both places are writable.
    check(unsafe { libc::getpeereid(fd.raw(), &mut uid, &mut gid) })?;
    Ok(Cred { pid: None, uid, gid })
}
