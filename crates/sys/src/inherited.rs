//! Descriptors that whoever started this process left open for it.
//!
//! # Safety
//! The numbers become ours by the promise of the caller's protocol (`LISTEN_PID` names this very process) and at most
//! once per process, by a flag; that they are open is checked before.
#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::errno::{Result, check};

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes `count` descriptors from `first` on, and sets close-on-exec on each. Once per process: `None` the second time,
/// since they have an owner then. Only after a protocol like systemd's has said that they are there for this process.
///
/// # Errors
/// EBADF if one of them is not open: then none is taken, and this may be called again.
pub fn take(first: RawFd, count: usize) -> Result<Option<Vec<OwnedFd>>> {
    // First of all: the second time the numbers may be others' descriptors, or nobody's.
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(None);
    }
    let numbers = (first..).take(count);
    for fd in numbers.clone() {
        // SAFETY: plain system calls.
        if let Err(errno) = check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) }) {
            TAKEN.store(false, Ordering::Relaxed);
            return Err(errno);
        }
    }
    // SAFETY: open as of just now, and by the flag nobody has had them from here; see the head of this file.
    Ok(Some(numbers.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).collect()))
}
