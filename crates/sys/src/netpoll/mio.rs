//! The backend over mio.
//!
//! mio rounds delays up to milliseconds; on Linux a timerfd, armed only for a delay that is not a whole number of
//! milliseconds and under one, makes up for it.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Poll, Registry, Waker};

#[cfg(target_os = "linux")]
use super::timerfd::TimerFd;
use super::{Backend, Event, Events, Readiness, Registrar, Selector, Token};
use crate::errno::{Errno, Result};

/// The events one call takes from the kernel. Go: netpoll's 128.
const KERNEL_EVENTS: usize = 128;

struct MioRegistrar {
    registry: Registry,
    waker: Waker,
}

struct MioSelector {
    poll: Poll,
    events: mio::Events,
    /// What the list was made for.
    capacity: usize,
    #[cfg(target_os = "linux")]
    timer: TimerFd,
}

fn token_of(token: Token) -> mio::Token {
    const { assert!(usize::BITS == 64, "a token needs 64 bits; 32-bit systems are not supported") };
    mio::Token(token.as_u64() as usize)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn to_read() -> Interest {
    Interest::READABLE.add(Interest::PRIORITY)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn to_read() -> Interest {
    Interest::READABLE
}

fn interest() -> Interest {
    to_read().add(Interest::WRITABLE)
}

pub(super) fn backend() -> Result<Backend> {
    let errno = |err: std::io::Error| Errno::of(&err);
    let poll = Poll::new().map_err(errno)?;
    let registry = poll.registry().try_clone().map_err(errno)?;
    let waker = Waker::new(poll.registry(), token_of(Token::WAKER)).map_err(errno)?;
    #[cfg(target_os = "linux")]
    let timer = {
        let timer = TimerFd::new()?;
        let token = token_of(super::timerfd::TOKEN);
        registry.register(&mut SourceFd(&timer.raw()), token, Interest::READABLE).map_err(errno)?;
        timer
    };
    Ok(Backend {
        name: "mio",
        registrar: Arc::new(MioRegistrar { registry, waker }),
        selector: Box::new(MioSelector {
            poll,
            events: mio::Events::with_capacity(KERNEL_EVENTS),
            capacity: KERNEL_EVENTS,
            #[cfg(target_os = "linux")]
            timer,
        }),
    })
}

impl Registrar for MioRegistrar {
    fn open(&self, fd: BorrowedFd<'_>, token: Token) -> Result<()> {
        let registered = self.registry.register(&mut SourceFd(&fd.as_raw_fd()), token_of(token), interest());
        registered.map_err(|err| Errno::of(&err))
    }

    fn open_to_read(&self, fd: BorrowedFd<'_>, token: Token) -> Result<()> {
        let registered = self.registry.register(&mut SourceFd(&fd.as_raw_fd()), token_of(token), to_read());
        registered.map_err(|err| Errno::of(&err))
    }

    fn widen(&self, fd: BorrowedFd<'_>, token: Token) -> Result<()> {
        let widened = self.registry.reregister(&mut SourceFd(&fd.as_raw_fd()), token_of(token), interest());
        widened.map_err(|err| Errno::of(&err))
    }

    fn close(&self, fd: BorrowedFd<'_>) -> Result<()> {
        self.registry.deregister(&mut SourceFd(&fd.as_raw_fd())).map_err(|err| Errno::of(&err))
    }

    fn wake(&self) -> Result<()> {
        self.waker.wake().map_err(|err| Errno::of(&err))
    }
}

impl Selector for MioSelector {
    fn poll(&mut self, delay: Option<Duration>, events: &mut Events) -> Result<()> {
        events.clear();
        // As many as the caller takes: what mio took from the kernel and the caller did not take would be lost.
        let wanted = events.capacity().min(KERNEL_EVENTS);
        if self.capacity != wanted {
            (self.events, self.capacity) = (mio::Events::with_capacity(wanted), wanted);
        }
        #[cfg(target_os = "linux")]
        let delay = self.timer.take_over(delay)?;
        let polled = self.poll.poll(&mut self.events, delay);
        #[cfg(target_os = "linux")]
        self.timer.disarm()?;
        polled.map_err(|err| Errno::of(&err))?;
        for event in &self.events {
            let token = Token::from_u64(event.token().0 as u64);
            #[cfg(target_os = "linux")]
            if token == super::timerfd::TOKEN {
                continue;
            }
            let fits = events.push(Event { token, ready: readiness(event) });
            debug_assert!(fits, "an edge was lost: mio took more than it was given room for");
        }
        Ok(())
    }
}

fn readiness(event: &mio::event::Event) -> Readiness {
    // mio counts urgent data as readable as well.
    Readiness::NONE
        .with(Readiness::READABLE, event.is_readable())
        .with(Readiness::WRITABLE, event.is_writable())
        .with(Readiness::READ_CLOSED, event.is_read_closed())
        .with(Readiness::WRITE_CLOSED, event.is_write_closed())
        .with(Readiness::ERROR, event.is_error())
        .with(Readiness::PRIORITY, event.is_priority())
}
