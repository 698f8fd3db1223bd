//! The backend over epoll(7) itself: what mio does on Linux, in the open. Go: runtime/netpoll_epoll.go.
//!
//! # Safety
//! The calls take descriptors this module owns or borrows for the call, and buffers whose length is passed along. A
//! token is only handed back, never followed.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use super::{Backend, Event, Events, Readiness, Registrar, Selector, Token};
use crate::errno::{Errno, Result, check};

/// The events one call takes from the kernel. Go: netpoll's 128.
const KERNEL_EVENTS: usize = 128;

/// Both directions, the peer's half close and urgent data, edge-triggered.
const INTEREST: i32 = READ_INTEREST | libc::EPOLLOUT;

/// The same without writing.
const READ_INTEREST: i32 = libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLPRI | libc::EPOLLET;

struct EpollRegistrar {
    epfd: Arc<OwnedFd>,
    eventfd: OwnedFd,
}

struct EpollSelector {
    epfd: Arc<OwnedFd>,
    list: [libc::epoll_event; KERNEL_EVENTS],
    /// False once the kernel said it has no epoll_pwait2 (before 5.11, or forbidden by a sandbox): delays are rounded
    /// up to milliseconds from then on. The mio backend has a timer for such kernels.
    has_pwait2: bool,
}

pub(super) fn backend() -> Result<Backend> {
    // SAFETY: a plain system call.
    let epfd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    // SAFETY: fresh, and nobody else knows it.
    let epfd = Arc::new(unsafe { OwnedFd::from_raw_fd(epfd) });
    // SAFETY: a plain system call.
    let eventfd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
    // SAFETY: fresh, and nobody else knows it.
    let eventfd = unsafe { OwnedFd::from_raw_fd(eventfd) };
    let registrar = EpollRegistrar { epfd: Arc::clone(&epfd), eventfd };
    // Edge-triggered and never read: each write to the counter is a new edge.
    registrar.add(registrar.eventfd.as_raw_fd(), Token::WAKER, libc::EPOLLIN | libc::EPOLLET)?;
    let list = [libc::epoll_event { events: 0, u64: 0 }; KERNEL_EVENTS];
    Ok(Backend {
        name: "epoll",
        registrar: Arc::new(registrar),
        selector: Box::new(EpollSelector { epfd, list, has_pwait2: true }),
    })
}

impl EpollRegistrar {
    fn add(&self, fd: i32, token: Token, interest: i32) -> Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, token, interest)
    }

    fn control(&self, op: libc::c_int, fd: i32, token: Token, interest: i32) -> Result<()> {
        let mut event = libc::epoll_event { events: interest as u32, u64: token.as_u64() };
        // SAFETY: event is valid; a descriptor that is not open is an error.
        check(unsafe { libc::epoll_ctl(self.epfd.as_raw_fd(), op, fd, &mut event) }).map(drop)
    }
}

impl Registrar for EpollRegistrar {
    fn open(&self, fd: BorrowedFd<'_>, token: Token) -> Result<()> {
        self.add(fd.as_raw_fd(), token, INTEREST)
    }

    fn open_to_read(&self, fd: BorrowedFd<'_>, token: Token) -> Result<()> {
        self.add(fd.as_raw_fd(), token, READ_INTEREST)
    }

    fn widen(&self, fd: BorrowedFd<'_>, token: Token) -> Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd.as_raw_fd(), token, INTEREST)
    }

    fn close(&self, fd: BorrowedFd<'_>) -> Result<()> {
        let (epfd, fd) = (self.epfd.as_raw_fd(), fd.as_raw_fd());
        // SAFETY: DEL looks at no event.
        check(unsafe { libc::epoll_ctl(epfd, libc::EPOLL_CTL_DEL, fd, std::ptr::null_mut()) }).map(drop)
    }

    fn wake(&self) -> Result<()> {
        let one = 1_u64;
        // SAFETY: eight readable bytes.
        let written = unsafe { libc::write(self.eventfd.as_raw_fd(), std::ptr::from_ref(&one).cast(), 8) };
        if written == 8 {
            return Ok(());
        }
        match Errno::last() {
            Errno::EINTR => self.wake(),
            // The counter is full after 2^64 - 2 wakes: start over.
            Errno::EAGAIN => {
                let mut count = 0_u64;
                // SAFETY: eight writable bytes.
                unsafe { libc::read(self.eventfd.as_raw_fd(), std::ptr::from_mut(&mut count).cast(), 8) };
                self.wake()
            }
            errno => Err(errno),
        }
    }
}

impl Selector for EpollSelector {
    fn poll(&mut self, delay: Option<Duration>, events: &mut Events) -> Result<()> {
        events.clear();
        let n = self.wait(delay, events.capacity())?;
        for raw in &self.list[..n] {
            let (mask, word) = (raw.events, raw.u64);
            events.push(Event { token: Token::from_u64(word), ready: readiness(mask as i32) });
        }
        Ok(())
    }
}

impl EpollSelector {
    fn wait(&mut self, delay: Option<Duration>, capacity: usize) -> Result<usize> {
        let max = capacity.min(KERNEL_EVENTS) as i32;
        let epfd = self.epfd.as_raw_fd();
        let fractional = delay.filter(|d| !d.is_zero() && d.subsec_nanos() % 1_000_000 != 0);
        if let Some(d) = fractional
            && self.has_pwait2
        {
            let ts = libc::timespec {
                tv_sec: i64::try_from(d.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: d.subsec_nanos() as libc::c_long,
            };
            let none = std::ptr::null::<libc::sigset_t>();
            let mask_size = size_of::<u64>(); // the kernel's, not that of the C library's longer sigset_t
            // SAFETY: the list has room for max events, ts is valid, no signal mask is given.
            let n = unsafe {
                libc::syscall(libc::SYS_epoll_pwait2, epfd, self.list.as_mut_ptr(), max, &ts, none, mask_size)
            };
            match n {
                -1 if matches!(Errno::last(), Errno::ENOSYS | Errno::EPERM) => self.has_pwait2 = false,
                -1 => return Err(Errno::last()),
                n => return Ok(n as usize),
            }
        }
        let ms = match delay {
            None => -1,
            Some(d) => d.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128) as i32,
        };
        // SAFETY: the list has room for max events.
        Ok(check(unsafe { libc::epoll_wait(epfd, self.list.as_mut_ptr(), max, ms) })? as usize)
    }
}

/// The same reading of the mask as mio's: hang-up closes both directions; an error closes writing if it stands alone or
/// with room to write, as at a pipe nobody reads.
fn readiness(mask: i32) -> Readiness {
    let has = |bits: i32| mask & bits != 0;
    let error_for_writers = has(libc::EPOLLERR) && has(libc::EPOLLOUT) || mask == libc::EPOLLERR;
    Readiness::NONE
        .with(Readiness::READABLE, has(libc::EPOLLIN | libc::EPOLLPRI))
        .with(Readiness::WRITABLE, has(libc::EPOLLOUT))
        .with(Readiness::READ_CLOSED, has(libc::EPOLLHUP) || has(libc::EPOLLRDHUP))
        .with(Readiness::WRITE_CLOSED, has(libc::EPOLLHUP) || error_for_writers)
        .with(Readiness::ERROR, has(libc::EPOLLERR))
        .with(Readiness::PRIORITY, has(libc::EPOLLPRI))
}
