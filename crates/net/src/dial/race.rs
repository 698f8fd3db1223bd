//! Two families at a time: "Happy Eyeballs", RFC 6555. Go: `sysDialer.dialParallel`.
//!
//! The primary runs in a goroutine of its own; the caller waits for it, and when it has taken long enough or
//! failed the caller runs the fallback himself. So there is one goroutine and no channel; Go has two and one.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gopark_poll::Fd;
use parking_lot::Mutex;

/// Who of the two.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Racer {
    /// The family of the first address.
    Primary,
    /// The other.
    Fallback,
}

/// Stops one racer when the other has won.
#[derive(Default, Debug)]
pub struct Canceler {
    state: Mutex<State>,
}

#[derive(Default, Debug)]
struct State {
    canceled: bool,
    /// The socket that is being connected. Only used under the lock, so that after `leave` nobody uses it.
    connecting: Option<Arc<Fd>>,
}

impl Canceler {
    /// The racer's dial, now or later, fails with [`Cause::Canceled`](crate::Cause::Canceled).
    pub(super) fn cancel(&self) {
        let mut state = self.state.lock();
        state.canceled = true;
        if let Some(fd) = &state.connecting {
            // Now has passed. An error means that it is closed, and then it does not wait.
            let _ = fd.set_write_deadline(Some(Instant::now()));
        }
    }

    /// Whether the other has won.
    pub fn is_canceled(&self) -> bool {
        self.state.lock().canceled
    }

    /// `fd` is about to be waited for. False: do not.
    #[must_use]
    pub(super) fn enter(&self, fd: &Arc<Fd>) -> bool {
        let mut state = self.state.lock();
        if !state.canceled {
            state.connecting = Some(Arc::clone(fd));
        }
        !state.canceled
    }

    /// The wait is over; whether it was canceled. There is no other reference left to the descriptor.
    #[must_use]
    pub(super) fn leave(&self) -> bool {
        let mut state = self.state.lock();
        state.connecting = None;
        state.canceled
    }
}

#[derive(Default)]
struct Cancelers {
    primary: Canceler,
    fallback: Canceler,
}

/// Runs `dial` as the primary and, if that has no success within `delay`, as the fallback too. Returns the
/// first success; the loser is canceled, and what it may still bring is dropped, which closes it. If both
/// fail it is the primary's error.
///
/// # Panics
///
/// If `dial` does.
///
/// Go: net/dial.go sysDialer.dialParallel
#[doc(alias = "dialParallel")]
pub fn race<T, E, F>(delay: Duration, dial: F) -> Result<T, E>
where
    T: Send + 'static,
    E: Send + 'static,
    F: Fn(Racer, &Canceler) -> Result<T, E> + Send + Sync + 'static,
{
    let dial = Arc::new(dial);
    let cancelers = Arc::new(Cancelers::default());
    let primary = {
        let (dial, cancelers) = (Arc::clone(&dial), Arc::clone(&cancelers));
        gopark_sched::try_spawn(move || {
            let result = dial(Racer::Primary, &cancelers.primary);
            if result.is_ok() {
                cancelers.fallback.cancel();
            }
            result
        })
    };
    let fallback = || dial(Racer::Fallback, &cancelers.fallback);
    let Ok(primary) = primary else {
        // No stack to be had: one after the other.
        return dial(Racer::Primary, &cancelers.primary).or_else(|e| fallback().map_err(|_| e));
    };
    match primary.join_timeout(delay) {
        Ok(Ok(Ok(value))) => Ok(value),
        Ok(Ok(Err(e))) => fallback().map_err(|_| e),
        Ok(Err(panic)) => resume_unwind(panic),
        Err(primary) => match fallback() {
            Ok(value) => {
                cancelers.primary.cancel();
                Ok(value)
            }
            // Failed, or canceled because the primary has won.
            Err(_) => primary.join().unwrap_or_else(|panic| resume_unwind(panic)),
        },
    }
}
