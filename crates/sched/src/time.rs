//! Time: sleeping, timers, tickers, and functions that run later. Go: `time`.
//!
//! Timers work for goroutines and plain threads alike; there is no thread for them: the Ms look at the timers of their
//! Ps, and the one that sleeps in the poller sleeps until the earliest.
//!
//! # Resolution
//! A timer never fires early. How late it fires is the system's choice: on an idle machine some tens of microseconds,
//! on Linux also for waits below a millisecond. Elsewhere the poller counts in whole milliseconds, rounded up. With all
//! Ps busy it fires when one of them next comes to the scheduler.
//!
//! # Time limits
//! What can wait can be told until when: `recv_deadline` and `send_deadline` of channels, `try_lock_until` of locks,
//! `select!` with `after`, deadlines of connections. [`timeout`] turns a duration into one such moment for a series of
//! calls.

mod after_func;
mod alarm;
mod ticker;
mod timer;

use std::time::{Duration, Instant};

pub use self::after_func::{AfterFunc, after_func};
pub use self::ticker::{Ticker, tick};
pub use self::timer::{Timer, after};
pub use crate::sleep::sleep;

/// Gives `f` a time limit, as the moment when it is over, to pass on to every call that can wait.
///
/// Nothing is stopped from outside: `f` ends when the calls it makes have ended, each of which fails when the moment
/// has come. Durations too long for the clock give the latest moment it has.
///
/// # Examples
/// ```no_run
/// use gopark_sched::{chan, time};
/// use std::time::Duration;
///
/// # let _rt = unsafe { gopark_sched::Runtime::start().expect("start") };
/// let (tx, rx) = chan::bounded::<u32>(0);
/// # drop(tx);
/// // Two values, in no more than a second together.
/// let both = time::timeout(Duration::from_secs(1), |until| Ok((rx.recv_deadline(until)?, rx.recv_deadline(until)?)));
/// # let _: Result<_, chan::RecvTimeoutError> = both;
/// ```
pub fn timeout<T>(limit: Duration, f: impl FnOnce(Instant) -> T) -> T {
    f(deadline(limit))
}

/// The moment `d` from now, or the latest that we can tell.
pub(crate) fn deadline(d: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(d).unwrap_or_else(|| now + Duration::from_secs(u64::from(u32::MAX)))
}
