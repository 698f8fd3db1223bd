//! What `select!` expands to.
//!
//! # Safety
//! A case lends the memory of its value to `select::run` and looks at it afterwards only; what the run did with it says
//! `outcome`: None, it is as it was; true, the value was moved; false, it was not, the channel is closed. What is in
//! the memory is settled when the case is dropped: the destructor of one case's value may panic before another's
//! `finish`.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::mem::MaybeUninit;
use std::time::Duration;

use super::core::{Dir, Until};
use super::error::{RecvError, SendError};
use super::select::{self, RawCase};
use super::{Receiver, Sender};

pub use super::select::forever;

/// How long a select waits.
#[derive(Copy, Clone)]
pub struct Wait(Until);

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// With a default.
pub fn now() -> Wait {
    Wait(Until::Now)
}

/// Without.
pub fn always() -> Wait {
    Wait(Until::Forever)
}

/// With a timeout.
pub fn after(timeout: Duration) -> Wait {
    Wait(super::until_after(timeout))
}

/// Runs the cases of a `select!`.
#[inline]
pub fn run<const N: usize>(mut cases: [RawCase<'_>; N], wait: Wait) {
    // Which one it was says its outcome.
    let _ = select::run(&mut cases, &mut [0; N], wait.0);
}

/// No case was chosen, and nothing stands for that.
pub fn none_chosen() -> ! {
    gopark_sys::throw!("select: no case was chosen")
}

/// `recv(rx)`.
pub struct Receiving<'a, T> {
    rx: &'a Receiver<T>,
    value: MaybeUninit<T>,
    outcome: Cell<Option<bool>>,
}

impl<'a, T> Receiving<'a, T> {
    /// The case, on the stack of the select.
    #[inline]
    pub fn new(rx: &'a Receiver<T>, (): ()) -> Receiving<'a, T> {
        Receiving { rx, value: MaybeUninit::uninit(), outcome: Cell::new(None) }
    }

    /// What is run.
    #[inline]
    pub fn case(&mut self) -> RawCase<'_> {
        let value = self.value.as_mut_ptr();
        // SAFETY: memory for a value, borrowed as long as the case lives.
        unsafe { RawCase::new(&self.rx.chan, Dir::Recv, value, Some(&self.outcome)) }
    }

    /// What was received, if this case was chosen.
    #[inline]
    pub fn finish(self) -> Option<Result<T, RecvError>> {
        Some(if self.outcome.take()? {
            // SAFETY: a value was moved there; without an outcome nobody else takes it.
            Ok(unsafe { self.value.assume_init_read() })
        } else {
            Err(RecvError)
        })
    }
}

impl<T> Drop for Receiving<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.outcome.get() == Some(true) {
            // SAFETY: a value was moved there, and `finish` was not called.
            unsafe { self.value.assume_init_drop() };
        }
    }
}

/// `send(tx, value)`.
pub struct Sending<'a, T> {
    tx: &'a Sender<T>,
    value: MaybeUninit<T>,
    outcome: Cell<Option<bool>>,
}

impl<'a, T> Sending<'a, T> {
    /// The case, on the stack of the select.
    #[inline]
    pub fn new(tx: &'a Sender<T>, value: T) -> Sending<'a, T> {
        Sending { tx, value: MaybeUninit::new(value), outcome: Cell::new(None) }
    }

    /// What is run.
    #[inline]
    pub fn case(&mut self) -> RawCase<'_> {
        let value = self.value.as_mut_ptr();
        // SAFETY: a value, borrowed as long as the case lives; `finish` forgets it if it was moved.
        unsafe { RawCase::new(&self.tx.chan, Dir::Send, value, Some(&self.outcome)) }
    }

    /// What became of the value, if this case was chosen; drops it if not.
    #[inline]
    pub fn finish(self) -> Option<Result<(), SendError<T>>> {
        // Moved it is in any case: to a receiver, or to here.
        let outcome = self.outcome.replace(Some(true));
        if outcome == Some(true) {
            return Some(Ok(()));
        }
        // SAFETY: it was not moved by the run.
        let value = unsafe { self.value.assume_init_read() };
        outcome.map(|_| Err(SendError(value)))
    }
}

impl<T> Drop for Sending<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.outcome.get() != Some(true) {
            // SAFETY: it was not moved.
            unsafe { self.value.assume_init_drop() };
        }
    }
}

/// `send_from(tx, slot)`.
pub struct SendingFrom<'a, T> {
    tx: &'a Sender<T>,
    slot: &'a mut Option<T>,
    outcome: Cell<Option<bool>>,
}

impl<'a, T> SendingFrom<'a, T> {
    /// The case, on the stack of the select.
    #[inline]
    pub fn new(tx: &'a Sender<T>, slot: &'a mut Option<T>) -> SendingFrom<'a, T> {
        SendingFrom { tx, slot, outcome: Cell::new(None) }
    }

    /// What is run.
    #[inline]
    pub fn case(&mut self) -> RawCase<'_> {
        match self.slot {
            // SAFETY: as for `Sending`.
            Some(value) => unsafe { RawCase::new(&self.tx.chan, Dir::Send, value, Some(&self.outcome)) },
            None => RawCase::disabled(),
        }
    }

    /// What became of the value, if this case was chosen; it stays in the slot if not.
    #[inline]
    pub fn finish(self) -> Option<Result<(), SendError<T>>> {
        if self.outcome.get()? {
            return Some(Ok(()));
        }
        self.slot.take().map(|value| Err(SendError(value)))
    }
}

impl<T> Drop for SendingFrom<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.outcome.get() == Some(true) {
            // SAFETY: the value in the slot was moved away, so that nothing may drop it there.
            unsafe { std::ptr::write(self.slot, None) };
        }
    }
}
