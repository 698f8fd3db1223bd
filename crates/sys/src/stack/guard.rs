//! Guards: memory below each stack that faults when touched.
//!
//! # Safety
//! Guards are installed only in address ranges the pool has reserved and not yet handed out, and on a probe page that
//! this module maps itself.
#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::StackError;
#[cfg(target_os = "linux")]
use crate::errno::Errno;
use crate::errno::check;

/// madvise(2), Linux 6.13: makes a range fault without a mapping of its own; survives MADV_DONTNEED.
#[cfg(target_os = "linux")]
const MADV_GUARD_INSTALL: libc::c_int = 102;

/// How many guards are installed with one system call. Measured: 50,000 cold stacks cost 3.0 µs each with one call a
/// guard, 2.3 µs with 64.
#[cfg(target_os = "linux")]
const BATCH: usize = 64;

/// The share of `vm.max_map_count` that stacks may use: two mappings each, and something for the rest of the process.
const MAP_SHARE: f64 = 0.98;

static FORCE_MPROTECT: AtomicBool = AtomicBool::new(false);

/// For tests: pools made from now on behave as on a kernel before 6.13. The environment variable
/// `GOPARK_STACK_GUARD=mprotect` does the same.
#[doc(hidden)]
pub fn force_mprotect_guards(yes: bool) {
    FORCE_MPROTECT.store(yes, Ordering::Relaxed);
}

/// How a pool installs its guards.
#[derive(Debug)]
pub(super) enum Guards {
    /// MADV_GUARD_INSTALL, in batches by process_madvise(2) while that works.
    #[cfg(target_os = "linux")]
    Madvise {
        /// A pidfd of this process, and the process it was opened in; none once process_madvise was refused.
        pidfd: Option<(std::os::fd::OwnedFd, u32)>,
    },
    /// mprotect(2): each guard splits the mapping, so their number is limited.
    Mprotect {
        /// How many stacks there may be, in all pools.
        budget: usize,
        /// `vm.max_map_count`; 0 where there is none.
        max_map_count: usize,
    },
}

/// How many stacks of this process have a guard that costs mappings. The limit is the process's, not a pool's.
static MPROTECTED: AtomicUsize = AtomicUsize::new(0);

impl Guards {
    /// Finds out, with one page, what this kernel can do.
    pub(super) fn probe() -> Guards {
        let forced = FORCE_MPROTECT.load(Ordering::Relaxed)
            || std::env::var_os("GOPARK_STACK_GUARD").is_some_and(|v| v == "mprotect");
        #[cfg(target_os = "linux")]
        if !forced && linux::guard_install_works() {
            return Guards::Madvise { pidfd: linux::pidfd_of_self() };
        }
        let _ = forced;
        Guards::by_mprotect()
    }

    fn by_mprotect() -> Guards {
        let max_map_count = std::fs::read_to_string("/proc/sys/vm/max_map_count")
            .ok()
            .and_then(|text| text.trim().parse::<usize>().ok())
            .unwrap_or(0);
        let budget = match max_map_count {
            0 => usize::MAX,
            n => (n as f64 * MAP_SHARE / 2.0) as usize,
        };
        Guards::Mprotect { budget, max_map_count }
    }

    /// Installs guards of `len` bytes, the first at `first`, the others `stride` apart; at most `n`, at least one.
    /// Returns how many.
    pub(super) fn install(
        &mut self,
        first: NonNull<u8>,
        stride: usize,
        len: usize,
        n: usize,
    ) -> Result<usize, StackError> {
        let _ = (stride, n);
        match self {
            #[cfg(target_os = "linux")]
            Guards::Madvise { pidfd } => match linux::install(pidfd, first, stride, len, n.min(BATCH)) {
                // The program has locked its memory since the probe (mlockall), and locked memory takes no such guard.
                Err(Errno::EINVAL) => {
                    *self = Guards::by_mprotect();
                    self.install(first, stride, len, n)
                }
                installed => installed.map_err(StackError::Guard),
            },
            Guards::Mprotect { budget, max_map_count } => {
                mprotect(first, len, *budget, *max_map_count).map(|()| 1)
            }
        }
    }

    /// So many guards are gone, with the memory that they were in.
    pub(super) fn removed(&self, n: usize) {
        if matches!(self, Guards::Mprotect { .. }) {
            // Fewer may have been counted, if memory was locked and unlocked in between.
            let less = |used: usize| Some(used.saturating_sub(n));
            let _ = MPROTECTED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }
}

/// One guard within the budget. One at a time: a guard that no stack needs yet would cost mappings for nothing.
fn mprotect(at: NonNull<u8>, len: usize, budget: usize, max_map_count: usize) -> Result<(), StackError> {
    // Counted first, so that two pools cannot both take the last one.
    let used = MPROTECTED.fetch_add(1, Ordering::Relaxed);
    let protected = if used >= budget {
        Err(StackError::TooManyMappings { stacks: used, max_map_count })
    } else {
        // SAFETY: a part of the pool's own reservation that nobody uses yet.
        let rc = unsafe { libc::mprotect(at.as_ptr().cast(), len, libc::PROT_NONE) };
        check(rc).map(drop).map_err(StackError::Guard)
    };
    if protected.is_err() {
        MPROTECTED.fetch_sub(1, Ordering::Relaxed);
    }
    protected
}

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

    use super::*;

    /// Locked memory (mlockall) and kernels before 6.13 refuse: EINVAL.
    pub(super) fn guard_install_works() -> bool {
        let page = super::super::page_size();
        let Ok(probe) = super::super::reserve(page) else { return false };
        // SAFETY: the page just mapped.
        let rc = unsafe { libc::madvise(probe.cast(), page, MADV_GUARD_INSTALL) };
        // SAFETY: as above; nobody else has it.
        unsafe { libc::munmap(probe.cast(), page) };
        rc == 0
    }

    /// A descriptor for this process. A real one: PIDFD_SELF differs between kernels.
    pub(super) fn pidfd_of_self() -> Option<(OwnedFd, u32)> {
        let pid = std::process::id();
        // SAFETY: a plain system call; the result is close-on-exec.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        // SAFETY: fresh, and nobody else knows it.
        (fd >= 0).then(|| (unsafe { OwnedFd::from_raw_fd(fd as i32) }, pid))
    }

    /// Installs all `n`, and returns that number.
    pub(super) fn install(
        pidfd: &mut Option<(OwnedFd, u32)>,
        first: NonNull<u8>,
        stride: usize,
        len: usize,
        n: usize,
    ) -> Result<usize, Errno> {
        // After a fork the descriptor names the parent, whose memory is not ours to change.
        if pidfd.as_ref().is_some_and(|(_, pid)| *pid != std::process::id()) {
            *pidfd = pidfd_of_self();
        }
        let mut done = 0;
        if let Some((fd, _)) = pidfd {
            match batch(fd, first, stride, len, n) {
                Some(installed) => done = installed,
                None => *pidfd = None, // not allowed here, or not known: one by one from now on
            }
        }
        for i in done..n {
            let at = first.as_ptr().wrapping_add(i * stride);
            // SAFETY: a part of the pool's own reservation that nobody uses yet.
            check(unsafe { libc::madvise(at.cast(), len, MADV_GUARD_INSTALL) })?;
        }
        Ok(n)
    }

    /// One process_madvise(2) for all; how many guards it installed, or none if the kernel refused.
    fn batch(fd: &OwnedFd, first: NonNull<u8>, stride: usize, len: usize, n: usize) -> Option<usize> {
        let mut ranges = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
        let n = n.min(BATCH);
        for (i, range) in ranges[..n].iter_mut().enumerate() {
            range.iov_base = first.as_ptr().wrapping_add(i * stride).cast();
            range.iov_len = len;
        }
        let (fd, advice) = (fd.as_raw_fd(), MADV_GUARD_INSTALL);
        // SAFETY: the ranges are parts of the pool's own reservation that nobody uses yet; fd names this process.
        let bytes = unsafe { libc::syscall(libc::SYS_process_madvise, fd, ranges.as_ptr(), n, advice, 0) };
        match bytes {
            -1 if matches!(Errno::last(), Errno::EINTR | Errno::EAGAIN) => Some(0),
            -1 => None,
            bytes => Some(bytes as usize / len),
        }
    }
}
