//! Channels, and select over them: Go's semantics with crossbeam-channel's names.
//!
//! A channel carries values from any number of senders to any number of receivers, each value to one of them, first in
//! first out. [`bounded`] channels hold so many values, none at all for a rendezvous; [`unbounded`] ones any number.
//! Both ends can be used from goroutines and from plain threads, mixed, and by borrow from many at a time.
//!
//! ```no_run
//! use gopark_sched::{chan, go};
//!
//! let _rt = unsafe { gopark_sched::Runtime::start().expect("start") };
//! let (tx, rx) = chan::bounded(0);
//! go(move || {
//!     for i in 0..3 {
//!         tx.send(i).expect("somebody receives");
//!     }
//! });
//! assert_eq!(rx.iter().collect::<Vec<_>>(), [0, 1, 2]);
//! ```
//!
//! # Closing
//!
//! A channel is closed by [`Sender::close`] or [`Receiver::close`], or when the last sender or the last receiver is
//! dropped. From then on sends fail, and give the value back, those that wait too; receivers get what the buffer still
//! holds, and an error after that. Nothing of it panics, other than in Go. What is left when the last receiver goes is
//! dropped there and then.
//!
//! # Fairness
//!
//! Waiting senders and receivers are served in the order in which they came. Who hands a value to a waiting goroutine
//! goes on running; the other is next on the same P. After 64 operations that did not have to wait the caller yields.

mod buffer;
mod cases;
mod core;
mod error;
mod lock {
    //! A module of its own, so that the models can put loom's in its place.
    pub(super) use gopark_sys::lock::{Guard, Lock};
}
mod macros;
mod receiver;
mod select;
mod select_set;
mod sender;
mod wait;

/// What `select!` expands to.
#[doc(hidden)]
pub mod __select {
    pub use super::cases::{
        Receiving, Sending, SendingFrom, Wait, after, always, forever, none_chosen, now, run,
    };
}

use std::sync::Arc;
use std::time::{Duration, Instant};

use gopark_poll::WaitReason;

use self::buffer::{Buffer, List, Ring};
use self::core::{Chan, Until};
pub use self::error::{
    RecvError, RecvTimeoutError, SelectTimeoutError, SendError, SendTimeoutError, TryRecvError,
    TrySelectError, TrySendError,
};
pub use self::receiver::{IntoIter, Iter, Receiver, TryIter};
pub use self::select_set::{Select, SelectedOperation};
pub use self::sender::Sender;

/// A channel that holds at most `cap` values; senders wait while it is full.
///
/// With a capacity of 0 a send waits for a receiver, and hands its value over directly: when it returns somebody has
/// received.
///
/// # Panics
/// If the memory for `cap` values is more than there can be (`isize::MAX` bytes).
///
/// Go: runtime/chan.go makechan
#[doc(alias = "makechan")]
pub fn bounded<T>(cap: usize) -> (Sender<T>, Receiver<T>) {
    pair(Chan::new(Some(cap), Buffer::Ring(Ring::new(cap)), WaitReason::ChanReceive))
}

/// A channel that holds any number of values: sends never wait. Memory is the bound; it comes in blocks of 32 values,
/// and goes when they are received.
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    pair(Chan::new(None, Buffer::List(List::new()), WaitReason::ChanReceive))
}

/// A receiver that never gets anything, and whose channel is not closed unless by [`Receiver::close`]: to leave a case
/// of a select out.
///
/// Each call makes a channel; keep the receiver, or clone it, where that matters.
///
/// Go: a receive from a nil channel
pub fn never<T>() -> Receiver<T> {
    // No sender exists, but one is counted, so that none is ever the last.
    let chan = Chan::new(Some(0), Buffer::Ring(Ring::new(0)), WaitReason::ChanReceiveNil);
    Receiver { chan: Arc::new(chan) }
}

/// What a timer holds of its channel: it can put a value in and take it out again, and keeps nobody from closing it.
pub(crate) struct TimerChan(Arc<Chan<Instant>>);

/// The channel of a timer. Nothing closes it but [`Receiver::close`] and the end of the last receiver.
pub(crate) fn timer_chan() -> (TimerChan, Receiver<Instant>) {
    // As for `never`.
    let chan = Arc::new(Chan::new(Some(1), Buffer::Ring(Ring::new(1)), WaitReason::ChanReceive));
    (TimerChan(Arc::clone(&chan)), Receiver { chan })
}

impl TimerChan {
    /// Puts `now` in, unless the last one was not received yet. Does not wait; may be called on g0. False if nobody
    /// will ever receive it.
    pub(crate) fn tell(&self, now: Instant) -> bool {
        !matches!(self.0.send(now, Until::Now), Err((_, self::core::Failed::Closed)))
    }

    /// Takes out what was not received; false if there was nothing.
    ///
    /// Go: runtime/chan.go timerchandrain
    #[doc(alias = "timerchandrain")]
    #[inline]
    pub(crate) fn drain(&self) -> bool {
        self.0.recv(Until::Now).is_ok()
    }
}

impl Receiver<Instant> {
    /// Of a timer's channel: whether the timer and this are all there is of it, and it is open: then it is as good as a
    /// new one, once it is drained.
    #[inline]
    pub(crate) fn is_alone(&self) -> bool {
        Arc::strong_count(&self.chan) == 2 && !self.chan.core.is_closed()
    }
}

/// A channel that carries nothing and is closed or not, by [`end_signal`]. It is lent to many who have no business to
/// close it for the others, so [`Receiver::close`] does not.
pub(crate) fn signal(reason: WaitReason) -> Receiver<()> {
    // As for `never`.
    let chan = Chan::new(Some(0), Buffer::Ring(Ring::new(0)), reason).sealed();
    Receiver { chan: Arc::new(chan) }
}

/// Closes a channel of [`signal`], if it is not closed.
pub(crate) fn end_signal(rx: &Receiver<()>) {
    rx.chan.core.close();
}

fn pair<T>(chan: Chan<T>) -> (Sender<T>, Receiver<T>) {
    let chan = Arc::new(chan);
    (Sender { chan: Arc::clone(&chan) }, Receiver { chan })
}

fn until_after(timeout: Duration) -> Until {
    assert!(crate::sched::SCHED.is_started(), "a wait with a timeout: {}", crate::NOT_STARTED);
    Until::Deadline(crate::rt::deadline_after(timeout))
}

fn until_instant(deadline: Instant) -> Until {
    until_after(deadline.saturating_duration_since(Instant::now()))
}

/// What both ends can tell and do, and that a panic leaves them as they are.
macro_rules! both_ends {
    ($End:ident) => {
        impl<T> $End<T> {
            /// Closes the channel, whoever still has an end of it: sends fail from now on, and receivers get what is
            /// left. False if it was closed already; or if it is a [context's](crate::context::Context::done), which
            /// this does not close.
            ///
            /// Go: runtime/chan.go closechan
            #[doc(alias = "closechan")]
            pub fn close(&self) -> bool {
                !self.chan.core.is_sealed() && self.chan.core.close()
            }

            /// Whether the channel is closed; there may be values left to receive. An open one may be closed at any
            /// moment.
            pub fn is_closed(&self) -> bool {
                self.chan.core.is_closed()
            }

            /// How many values the channel holds at the moment, those of waiting senders not included.
            ///
            /// Go: the built-in function `len`
            pub fn len(&self) -> usize {
                self.chan.core.len()
            }

            /// How many values the channel can hold; None if any number.
            ///
            /// Go: the built-in function `cap`
            #[doc(alias = "cap")]
            pub fn capacity(&self) -> Option<usize> {
                self.chan.core.capacity()
            }

            /// Whether the channel holds no value at the moment. One without capacity never does.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Whether the channel has no room at the moment. One without capacity never has.
            pub fn is_full(&self) -> bool {
                self.chan.core.is_full()
            }
        }

        impl<T> fmt::Debug for $End<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($End))
                    .field("len", &self.len())
                    .field("capacity", &self.capacity())
                    .field("closed", &self.is_closed())
                    .finish()
            }
        }

        impl<T> UnwindSafe for $End<T> {}
        impl<T> RefUnwindSafe for $End<T> {}
    };
}
use both_ends;
