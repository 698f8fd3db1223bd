//! Multipath TCP, what libraries do not have of it. Linux.
//!
//! # Safety
//! One getsockopt(2) into a word of ours, with that word's length.
#![allow(unsafe_code)]

use crate::errno::Result;
#[cfg(target_os = "linux")]
use crate::errno::{Errno, check};
use crate::sysfd::SysFd;

/// Whether the connection speaks Multipath TCP: it was asked for, and the peer, and what is between, agreed. Otherwise
/// the system has fallen back to TCP by itself. Never on other systems, nor before Linux 5.16, which cannot tell.
///
/// Go: net/mptcpsock_linux.go isUsingMultipathTCP
///
/// # Errors
/// EBADF.
#[cfg(target_os = "linux")]
pub fn in_use(fd: &SysFd) -> Result<bool> {
    const SOL_MPTCP: libc::c_int = 284; // linux/socket.h
    const MPTCP_INFO: libc::c_int = 1; // linux/mptcp.h
    let mut head: u32 = 0;
    let mut len = size_of::<u32>() as libc::socklen_t;
    let place = (&raw mut head).cast();
    // SAFETY: `place` has room for `len` bytes; the kernel writes no more than that of its longer structure.
    let got = unsafe { libc::getsockopt(fd.raw(), SOL_MPTCP, MPTCP_INFO, place, &mut len) };
    match check(got) {
        Ok(_) => Ok(true),
        Err(Errno::EBADF) => Err(Errno::EBADF),
        // EOPNOTSUPP, ENOPROTOOPT: it is plain TCP, or has become so.
        Err(_) => Ok(false),
    }
}

/// Multipath TCP is Linux's.
///
/// # Errors
/// None here.
#[cfg(not(target_os = "linux"))]
pub fn in_use(_fd: &SysFd) -> Result<bool> {
    Ok(false)
}
