//! The receiving end, and iteration over what it receives.

use gopark_sys::loom::atomic::Ordering;
use std::fmt;
use std::iter::FusedIterator;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::{Chan, Failed, Until};
use super::error::{RecvError, RecvTimeoutError, TryRecvError};
use super::{until_after, until_instant};

/// The receiving end of a channel. Clones receive from the same one: each value arrives at one of them. When the last
/// is dropped the channel is closed, and what is still in it is dropped.
pub struct Receiver<T> {
    pub(super) chan: Arc<Chan<T>>,
}

impl<T> Receiver<T> {
    /// Receives a value: from the buffer, or from a sender that waits; while there is neither, the caller waits.
    ///
    /// From a goroutine this parks the goroutine, from a plain thread the thread. May block: see the contract of
    /// [`crate::Runtime::start`].
    ///
    /// # Errors
    /// If the channel is closed and all its values were received.
    ///
    /// Go: runtime/chan.go chanrecv
    #[doc(alias = "chanrecv")]
    #[inline]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.chan.recv(Until::Forever).map_err(|_| RecvError)
    }

    /// Receives a value if that needs no waiting.
    ///
    /// # Errors
    /// If there is none now, or the channel is closed and empty.
    ///
    /// Go: runtime/chan.go selectnbrecv
    #[doc(alias = "selectnbrecv")]
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.chan.recv(Until::Now).map_err(|failed| match failed {
            Failed::Timeout => TryRecvError::Empty,
            Failed::Closed => TryRecvError::Disconnected,
        })
    }

    /// Like [`recv`](Receiver::recv), but waits for at most `timeout`. May block.
    ///
    /// # Errors
    /// If the time was up first, or the channel is closed and empty.
    ///
    /// # Panics
    /// Before the runtime is started.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.recv_until(until_after(timeout))
    }

    /// Like [`recv`](Receiver::recv), but waits until `deadline` at most. May block.
    ///
    /// # Errors
    /// If the time was up first, or the channel is closed and empty.
    ///
    /// # Panics
    /// Before the runtime is started.
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.recv_until(until_instant(deadline))
    }

    fn recv_until(&self, until: Until) -> Result<T, RecvTimeoutError> {
        self.chan.recv(until).map_err(|failed| match failed {
            Failed::Timeout => RecvTimeoutError::Timeout,
            Failed::Closed => RecvTimeoutError::Disconnected,
        })
    }

    /// Iterates over what is received, waiting for each value, until the channel is closed and empty.
    ///
    /// Go: `for x := range ch`
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self }
    }

    /// Iterates over what can be received without waiting.
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { receiver: self }
    }

    /// Whether this receiver and `other` receive from the same channel.
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        Arc::ptr_eq(&self.chan, &other.chan)
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Receiver<T> {
        // Relaxed: who clones keeps the count above zero.
        self.chan.receivers.fetch_add(1, Ordering::Relaxed);
        Receiver { chan: Arc::clone(&self.chan) }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // AcqRel: what the other receivers did, happened before the channel is closed.
        if self.chan.receivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.chan.core.close();
            self.chan.discard();
        }
    }
}

super::both_ends!(Receiver);

/// See [`Receiver::iter`].
pub struct Iter<'a, T> {
    receiver: &'a Receiver<T>,
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<T> FusedIterator for Iter<'_, T> {}

/// See [`Receiver::try_iter`].
pub struct TryIter<'a, T> {
    receiver: &'a Receiver<T>,
}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.receiver.try_recv().ok()
    }
}

/// Iterates over what is received, and owns the receiver.
pub struct IntoIter<T> {
    receiver: Receiver<T>,
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<T> FusedIterator for IntoIter<T> {}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { receiver: self }
    }
}

impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Iter { .. }")
    }
}

impl<T> fmt::Debug for TryIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TryIter { .. }")
    }
}

impl<T> fmt::Debug for IntoIter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IntoIter { .. }")
    }
}
