//! Futures, for code that is made of them: waiting for one on a goroutine, and this runtime's timers as futures.
//!
//! A goroutine waits for a future with [`block_on`]. In it, sockets are polled with the `poll_` methods of gopark-net's
//! `TcpConn` and `TcpListener`, so that crates that are generic over their I/O and their timers, such as hyper, run on
//! this runtime without another beside it.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

pub use gopark_poll::Sleep;

pub use crate::block_on::block_on;

/// A future that is ready when `d` has passed.
///
/// The time begins now. Allocates nothing, once as many slept at a time before. A duration too long for the clock (292
/// years) ends with it.
///
/// # Panics
/// Before the runtime is started.
///
/// # Examples
/// ```no_run
/// use std::time::Duration;
/// use gopark_sched::future::{block_on, sleep};
///
/// block_on(async {
///     sleep(Duration::from_millis(10)).await;
/// });
/// ```
pub fn sleep(d: Duration) -> Sleep {
    must_be_started("sleep");
    Sleep::at(crate::rt::deadline_after(d))
}

/// A future that is ready when the time is `t` or later.
///
/// # Panics
/// Before the runtime is started.
pub fn sleep_until(t: Instant) -> Sleep {
    must_be_started("sleep_until");
    Sleep::until(t)
}

/// Runs `future` for at most `d` from now on. When the time is up it is dropped where it waits.
///
/// A future that is ready in time is asked first, so with a zero duration it is polled once.
///
/// # Errors
/// [`Elapsed`] if the time was up first.
///
/// # Panics
/// Before the runtime is started.
///
/// # Examples
/// ```no_run
/// use std::time::Duration;
/// use gopark_sched::future::{block_on, timeout};
///
/// let never = std::future::pending::<()>();
/// assert!(block_on(timeout(Duration::from_millis(10), never)).is_err());
/// ```
pub fn timeout<F: Future>(d: Duration, future: F) -> impl Future<Output = Result<F::Output, Elapsed>> {
    let mut sleep = sleep(d);
    async move {
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => Pin::new(&mut sleep).poll(cx).map(|()| Err(Elapsed(()))),
        })
        .await
    }
}

/// The time of a [`timeout`] was up.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time is up")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(err: Elapsed) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, err)
    }
}

#[track_caller]
fn must_be_started(what: &str) {
    assert!(crate::sched::SCHED.is_started(), "{what}: {}", crate::NOT_STARTED);
}
