//! A poller whose events a test writes.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::{Backend, Event, Events, Readiness, Registrar, Selector, Token};
use crate::errno::{Errno, Result};

/// What happened at the fake.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Call {
    /// `open` with this descriptor and token.
    Open(RawFd, Token),
    /// `close` with this descriptor.
    Close(RawFd),
    /// `wake`.
    Wake,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Event>,
    calls: Vec<Call>,
    polls: Vec<Option<Duration>>,
    fail_open: Option<Errno>,
    fail_poll: Option<Errno>,
}

/// The script: what the poller reports, and what was asked of it.
#[derive(Clone, Default)]
pub struct Fake(Arc<(Mutex<State>, Condvar)>);

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fake")
    }
}

impl Fake {
    /// A fake with nothing to report.
    pub fn new() -> Fake {
        Fake::default()
    }

    /// Its two halves, as a backend.
    pub fn backend(&self) -> Backend {
        Backend { name: "fake", registrar: Arc::new(self.clone()), selector: Box::new(self.clone()) }
    }

    /// The next poll, or the one that waits, reports this.
    pub fn push(&self, token: Token, ready: Readiness) {
        self.0.0.lock().queue.push_back(Event { token, ready });
        self.0.1.notify_all();
    }

    /// The next `open` fails.
    pub fn fail_open(&self, errno: Errno) {
        self.0.0.lock().fail_open = Some(errno);
    }

    /// The next poll, or the one that waits, fails.
    pub fn fail_poll(&self, errno: Errno) {
        self.0.0.lock().fail_poll = Some(errno);
        self.0.1.notify_all();
    }

    /// What was asked of it so far.
    pub fn calls(&self) -> Vec<Call> {
        self.0.0.lock().calls.clone()
    }

    /// The token a descriptor was last registered under.
    pub fn token_of(&self, fd: RawFd) -> Option<Token> {
        self.calls().iter().rev().find_map(|call| match *call {
            Call::Open(f, token) if f == fd => Some(token),
            _ => None,
        })
    }

    /// The delays of the polls so far.
    pub fn polls(&self) -> Vec<Option<Duration>> {
        self.0.0.lock().polls.clone()
    }
}

impl Registrar for Fake {
    fn open(&self, fd: BorrowedFd<'_>, token: Token) -> Result<()> {
        let mut state = self.0.0.lock();
        state.calls.push(Call::Open(fd.as_raw_fd(), token));
        state.fail_open.take().map_or(Ok(()), Err)
    }

    fn close(&self, fd: BorrowedFd<'_>) -> Result<()> {
        self.0.0.lock().calls.push(Call::Close(fd.as_raw_fd()));
        Ok(())
    }

    fn wake(&self) -> Result<()> {
        let mut state = self.0.0.lock();
        state.calls.push(Call::Wake);
        if !state.queue.iter().any(|event| event.token.is_waker()) {
            state.queue.push_back(Event { token: Token::WAKER, ready: Readiness::READABLE });
        }
        self.0.1.notify_all();
        Ok(())
    }
}

impl Selector for Fake {
    fn poll(&mut self, delay: Option<Duration>, events: &mut Events) -> Result<()> {
        events.clear();
        let end = delay.and_then(|d| Instant::now().checked_add(d));
        let mut state = self.0.0.lock();
        state.polls.push(delay);
        while state.queue.is_empty() && state.fail_poll.is_none() {
            match end {
                None => self.0.1.wait(&mut state),
                Some(end) => {
                    if self.0.1.wait_until(&mut state, end).timed_out() {
                        break;
                    }
                }
            }
        }
        if let Some(errno) = state.fail_poll.take() {
            return Err(errno);
        }
        while events.len() < events.capacity()
            && let Some(event) = state.queue.pop_front()
        {
            events.push(event);
        }
        Ok(())
    }
}
