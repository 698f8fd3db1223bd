//! What the loom models need of the inside: a poll descriptor without a descriptor. Built under `--cfg loom` only.
#![allow(missing_docs)]

use std::task::{Poll, Waker};

use gopark_sys::netpoll::Readiness;

use crate::poll_desc::{PdRef, PollDesc};
use crate::poll_info::{Mode, Refusal};
use crate::{Canceler, Error, ReadyList};

/// A slot of its own, not from the cache, whose atomics would belong to an earlier execution.
#[derive(Copy, Clone)]
pub struct ModelDesc {
    pd: &'static PollDesc,
    pub seq: u32,
}

fn error(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Closing => Error::NetClosing,
        Refusal::Expired => Error::DeadlineExceeded,
        Refusal::Canceled => Error::Canceled,
        Refusal::EventErr => Error::NotPollable,
    }
}

impl ModelDesc {
    pub fn open() -> ModelDesc {
        let pd: &'static PollDesc = Box::leak(Box::new(PollDesc::new(0)));
        ModelDesc { pd, seq: pd.begin().seq() }
    }

    /// Ends this use, which must be evicted, and begins the next one of the same slot.
    pub fn reuse(self) -> ModelDesc {
        self.pd.end();
        ModelDesc { pd: self.pd, seq: self.pd.begin().seq() }
    }

    pub fn evict(self) {
        self.pd.evict();
    }

    pub fn prepare(self, mode: Mode) -> Result<(), Error> {
        self.pd.prepare(mode).map_err(error)
    }

    pub fn wait(self, mode: Mode) -> Result<bool, Error> {
        self.pd.wait(mode).map_err(error)
    }

    /// A future's wait. It has the direction's lock, which is the caller's business.
    pub fn poll_wait(self, mode: Mode, waker: &Waker, ticket: Option<&mut u32>) -> Result<Poll<()>, Error> {
        self.pd.poll_wait(mode, waker, ticket).map_err(error)
    }

    /// The future with that ticket is dropped.
    pub fn cancel_task(self, mode: Mode, ticket: u32) {
        if let Some(side) = self.pd.side() {
            side.cancel(mode, ticket);
        }
    }

    /// Leaves a waker for when a lock is given back.
    pub fn leave_waker(self, mode: Mode, waker: &Waker) {
        crate::task::ensure_side(self.pd.index()).set_waker(mode, waker, None);
    }

    /// A lock was given back.
    pub fn tell_tasks(self) {
        if let Some(side) = self.pd.side() {
            side.wake();
        }
    }

    pub fn call_when_readable(self, run: impl FnOnce() + Send + 'static) {
        let start = std::panic::Location::caller();
        self.pd.call_when_readable(crate::Call { run: Box::new(run), start });
    }

    pub fn set_deadline(self, mode: Mode, when: i64) -> bool {
        self.pd.set_deadline(self.seq, &[mode], when).is_ok()
    }

    pub fn canceler(self) -> Canceler {
        Canceler(PdRef { pd: self.pd, seq: self.seq })
    }

    pub fn ready(self, readiness: Readiness, list: &mut ReadyList) {
        self.pd.ready(self.seq, readiness, list);
    }
}
