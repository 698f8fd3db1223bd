//! A timer for waits under a millisecond, which epoll_wait cannot express: timerfd_create(2).
//!
//! # Safety
//! The calls take the descriptor this module owns, and pointers to locals.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use super::Token;
use crate::errno::{Result, check};

/// The timer's token; the odd bit with an index keeps it apart from descriptors and from the waker.
pub(super) const TOKEN: Token = Token::from_u64(1 << 32 | 1);

pub(super) struct TimerFd {
    fd: OwnedFd,
    armed: bool,
}

impl TimerFd {
    pub(super) fn new() -> Result<TimerFd> {
        let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
        // SAFETY: a plain system call.
        let fd = check(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) })?;
        // SAFETY: fresh, and nobody else knows it.
        Ok(TimerFd { fd: unsafe { OwnedFd::from_raw_fd(fd) }, armed: false })
    }

    pub(super) fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Arms the timer for a delay under a millisecond, and returns what is left for the poller to wait.
    pub(super) fn take_over(&mut self, delay: Option<Duration>) -> Result<Option<Duration>> {
        match delay {
            Some(d) if !d.is_zero() && d < Duration::from_millis(1) => {
                self.set(d)?;
                self.armed = true;
                Ok(Some(Duration::from_millis(1)))
            }
            other => Ok(other),
        }
    }

    /// Back to rest, so that an expiry that nobody waits for gives no event. Setting the time also forgets one.
    pub(super) fn disarm(&mut self) -> Result<()> {
        if std::mem::take(&mut self.armed) { self.set(Duration::ZERO) } else { Ok(()) }
    }

    fn set(&self, d: Duration) -> Result<()> {
        let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let value = libc::timespec { tv_sec: 0, tv_nsec: d.subsec_nanos() as libc::c_long };
        let spec = libc::itimerspec { it_interval: zero, it_value: value };
        // SAFETY: spec is valid, and the old value is not asked for.
        check(unsafe { libc::timerfd_settime(self.raw(), 0, &spec, std::ptr::null_mut()) }).map(drop)
    }
}
