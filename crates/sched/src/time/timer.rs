//! `Timer` and `after`: one value in a channel, later. Go: `time.Timer`, `time.After`.

use std::fmt;
use std::time::{Duration, Instant};

use super::alarm::{Alarm, after as when, retire_teller, teller};
use crate::chan::Receiver;

/// Sends the time into a channel once, when it has come. Dropping it stops it.
///
/// As in Go since 1.23 the channel behaves as one without a buffer: once [`Timer::stop`] or [`Timer::reset`] has
/// returned, nothing of what was set before will be received.
///
/// # Examples
/// ```no_run
/// use gopark_sched::time::Timer;
/// use std::time::Duration;
///
/// # let _rt = unsafe { gopark_sched::Runtime::start().expect("start") };
/// let timer = Timer::new(Duration::from_millis(10));
/// timer.c().recv().expect("nobody closes it");
/// assert!(!timer.stop(), "it has fired");
/// ```
///
/// Go: time.Timer
#[doc(alias = "NewTimer")]
pub struct Timer {
    alarm: &'static Alarm,
    c: Option<Receiver<Instant>>, // taken by drop
}

impl Timer {
    /// A timer that fires `d` from now; at once if that is zero. Durations too long for the clock (292 years) end
    /// with it.
    ///
    /// # Panics
    /// If the runtime is not started.
    pub fn new(d: Duration) -> Timer {
        let (alarm, c) = teller();
        alarm.set(when(d), 0);
        Timer { alarm, c: Some(c) }
    }

    /// Where the time arrives.
    ///
    /// Go: Timer.C
    pub fn c(&self) -> &Receiver<Instant> {
        match &self.c {
            Some(c) => c,
            None => unreachable!("it is taken by drop"),
        }
    }

    /// Stops the timer. True: it was set, and nobody has received of it or will. False: it was stopped before, or what
    /// it sent was received.
    pub fn stop(&self) -> bool {
        self.alarm.stop()
    }

    /// Sets the timer to fire `d` from now, whatever it was set to. True as for [`Timer::stop`].
    pub fn reset(&self, d: Duration) -> bool {
        self.alarm.set(when(d), 0)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(c) = self.c.take() {
            retire_teller(self.alarm, c);
        }
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").finish_non_exhaustive()
    }
}

/// A channel that brings the time, once, `d` from now.
///
/// A timer that nobody waits for any more stays set until it fires; where that matters, use a [`Timer`], which stops
/// when it is dropped. In `select!` there is `after(d) => …`, which needs no channel.
///
/// # Panics
/// If the runtime is not started.
///
/// # Examples
/// ```no_run
/// use gopark_sched::{select, time};
/// use std::time::Duration;
///
/// # let _rt = unsafe { gopark_sched::Runtime::start().expect("start") };
/// # let work = gopark_sched::chan::never::<u32>();
/// let too_late = time::after(Duration::from_secs(1));
/// loop {
///     select! {
///         recv(work) -> item => println!("{item:?}"),
///         recv(too_late) -> _ => break,
///     }
/// }
/// ```
///
/// Go: time.After
pub fn after(d: Duration) -> Receiver<Instant> {
    let (alarm, c) = teller();
    alarm.set(when(d), 0);
    alarm.detach();
    c
}
