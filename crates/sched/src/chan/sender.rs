//! The sending end.

use gopark_sys::loom::atomic::Ordering;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::{Chan, Failed, Until};
use super::error::{SendError, SendTimeoutError, TrySendError};
use super::{until_after, until_instant};

/// The sending end of a channel. Clones send into the same one; when the last is dropped the channel is closed.
pub struct Sender<T> {
    pub(super) chan: Arc<Chan<T>>,
}

impl<T> Sender<T> {
    /// Sends a value: to a receiver that waits for one, or into the buffer; while that is full, or there is none, the
    /// caller waits.
    ///
    /// From a goroutine this parks the goroutine, from a plain thread the thread. May block: see the contract of
    /// [`crate::Runtime::start`].
    ///
    /// # Errors
    /// If the channel is closed, or is closed while the caller waits; the value is in the error.
    ///
    /// Go: runtime/chan.go chansend
    #[doc(alias = "chansend")]
    #[inline]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.chan.send(value, Until::Forever).map_err(|(value, _)| SendError(value))
    }

    /// Sends a value if that needs no waiting: somebody waits for it, or the buffer has room.
    ///
    /// # Errors
    /// With the value, if it would have to wait, or the channel is closed.
    ///
    /// Go: runtime/chan.go selectnbsend
    #[doc(alias = "selectnbsend")]
    #[inline]
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        self.chan.send(value, Until::Now).map_err(|(value, failed)| match failed {
            Failed::Timeout => TrySendError::Full(value),
            Failed::Closed => TrySendError::Disconnected(value),
        })
    }

    /// Like [`send`](Sender::send), but waits for at most `timeout`. May block.
    ///
    /// # Errors
    /// With the value, if the time was up first, or the channel is closed.
    ///
    /// # Panics
    /// Before the runtime is started.
    pub fn send_timeout(&self, value: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        self.send_until(value, until_after(timeout))
    }

    /// Like [`send`](Sender::send), but waits until `deadline` at most. May block.
    ///
    /// # Errors
    /// With the value, if the time was up first, or the channel is closed.
    ///
    /// # Panics
    /// Before the runtime is started.
    pub fn send_deadline(&self, value: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        self.send_until(value, until_instant(deadline))
    }

    fn send_until(&self, value: T, until: Until) -> Result<(), SendTimeoutError<T>> {
        self.chan.send(value, until).map_err(|(value, failed)| match failed {
            Failed::Timeout => SendTimeoutError::Timeout(value),
            Failed::Closed => SendTimeoutError::Disconnected(value),
        })
    }

    /// Whether this sender and `other` send into the same channel.
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Arc::ptr_eq(&self.chan, &other.chan)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        // Relaxed: who clones keeps the count above zero.
        self.chan.senders.fetch_add(1, Ordering::Relaxed);
        Sender { chan: Arc::clone(&self.chan) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // AcqRel: what the other senders did, happened before the channel is closed.
        if self.chan.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.chan.core.close();
        }
    }
}

super::both_ends!(Sender);
