//! Functions that run later, each time on a goroutine of their own. Go: `time.AfterFunc`.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use super::alarm::{Alarm, after, starter};

/// A function that waits for its time; see [`after_func`]. Dropping it stops nothing: the function runs all the same.
///
/// Go: time.Timer, of time.AfterFunc
#[must_use = "without it the function cannot be stopped; `let _ = …` if that is not wanted"]
pub struct AfterFunc {
    alarm: &'static Alarm,
}

/// Calls `f` on a fresh goroutine, `d` from now.
///
/// If no goroutine can be started then (no stack can be had), it is tried again each millisecond. A panic in `f` ends
/// that goroutine alone, as with [`go`](crate::go). `f` may run several times if [`AfterFunc::reset`] sets it again,
/// also at the same time: hence `Fn` and `Sync`.
///
/// # Panics
/// If the runtime is not started.
///
/// # Examples
/// ```no_run
/// use std::time::Duration;
///
/// # let _rt = unsafe { gopark_sched::Runtime::start().expect("start") };
/// let alarm = gopark_sched::time::after_func(Duration::from_secs(5), || eprintln!("that takes long"));
/// // … what should not take long …
/// alarm.stop();
/// ```
///
/// Go: time.AfterFunc
#[track_caller]
pub fn after_func(d: Duration, f: impl Fn() + Send + Sync + 'static) -> AfterFunc {
    let alarm = starter(Arc::new(f), Location::caller());
    alarm.set(after(d), 0);
    AfterFunc { alarm }
}

impl AfterFunc {
    /// Keeps the function from running. True: it was set to. False: it was stopped before, or its goroutine has been
    /// started; this does not wait for it.
    ///
    /// Go: Timer.Stop
    pub fn stop(&self) -> bool {
        self.alarm.stop()
    }

    /// Sets the function to run `d` from now, whatever it was set to. True: it was set to run and had not yet.
    ///
    /// Go: Timer.Reset
    pub fn reset(&self, d: Duration) -> bool {
        self.alarm.set(after(d), 0)
    }
}

impl Drop for AfterFunc {
    fn drop(&mut self) {
        self.alarm.detach();
    }
}

impl fmt::Debug for AfterFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AfterFunc").finish_non_exhaustive()
    }
}
