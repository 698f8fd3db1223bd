//! A time limit for each call, as std has it. Not in Go.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Nanoseconds, 0 for none. The deadline is moved before each call, which costs a clock and a comparison as long as it
/// moves later.
///
/// | value | meaning | set by | cleared by |
/// |---|---|---|---|
/// | 0 | none; deadlines are the caller's own | initial | |
/// | n | each call sets a deadline n ns ahead | `set_read_timeout`, `set_write_timeout` | those, and the deadline setters |
///
/// Relaxed: a call that overlaps with the setter may go by either.
#[derive(Debug, Default)]
pub(crate) struct Timeout(AtomicU64);

impl Timeout {
    pub(crate) fn set(&self, timeout: Option<Duration>) {
        let nanos = timeout.map_or(0, |t| u64::try_from(t.as_nanos()).unwrap_or(u64::MAX));
        self.0.store(nanos, Relaxed);
    }

    pub(crate) fn get(&self) -> Option<Duration> {
        Some(self.0.load(Relaxed)).filter(|&nanos| nanos != 0).map(Duration::from_nanos)
    }

    /// The deadline of a call that begins now. `Some(None)`: the timeout is longer than the clock goes.
    pub(crate) fn deadline(&self) -> Option<Option<Instant>> {
        self.get().map(|timeout| Instant::now().checked_add(timeout))
    }
}

/// A zero timeout is refused, as std does: it is more often a mistake than meant, and there is `try_read`.
pub(crate) fn check_timeout(timeout: Option<Duration>) -> io::Result<()> {
    if timeout == Some(Duration::ZERO) {
        let text = "a timeout of zero would always have passed: use a try_ call or a deadline";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(())
}
