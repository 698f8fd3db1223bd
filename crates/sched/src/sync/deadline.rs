//! Time limits of waits.

use std::time::{Duration, Instant};

use crate::sched::SCHED;

/// The moment `timeout` from now.
///
/// # Panics
/// If the runtime is not started: nobody would look at the clock.
pub(crate) fn deadline_after(timeout: Duration) -> i64 {
    assert!(SCHED.is_started(), "a wait with a time limit: {}", crate::NOT_STARTED);
    crate::rt::deadline_after(timeout)
}

/// `deadline` in our time; what is past is now.
///
/// # Panics
/// As [`deadline_after`].
pub(crate) fn deadline_at(deadline: Instant) -> i64 {
    deadline_after(deadline.saturating_duration_since(Instant::now()))
}
