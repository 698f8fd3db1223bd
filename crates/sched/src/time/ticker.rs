//! `Ticker` and `tick`: a value in a channel, again and again. Go: `time.Ticker`, `time.Tick`.

use std::fmt;
use std::time::{Duration, Instant};

use super::alarm::{Alarm, first, period, retire_teller, teller};
use crate::chan::Receiver;

/// Sends the time into a channel at regular intervals. Dropping it stops it.
///
/// A slow receiver misses ticks: the channel holds one at most, and ticks that could not even be looked at in time are
/// left out, so that those that come stay on the beat.
///
/// # Examples
/// ```no_run
/// use gopark_sched::time::Ticker;
/// use std::time::Duration;
///
/// # let _rt = unsafe { gopark_sched::Runtime::start().expect("start") };
/// let ticker = Ticker::new(Duration::from_millis(10));
/// for at in ticker.c().iter().take(3) {
///     println!("{at:?}");
/// }
/// ```
///
/// Go: time.Ticker
#[doc(alias = "NewTicker")]
pub struct Ticker {
    alarm: &'static Alarm,
    c: Option<Receiver<Instant>>, // taken by drop
}

impl Ticker {
    /// A ticker whose first tick is `interval` from now.
    ///
    /// # Panics
    /// If `interval` is zero, or the runtime is not started.
    #[track_caller]
    pub fn new(interval: Duration) -> Ticker {
        let interval = period(interval, "Ticker::new");
        let (alarm, c) = teller();
        alarm.set(first(interval), interval);
        Ticker { alarm, c: Some(c) }
    }

    /// Where the ticks arrive. Stopping the ticker does not close it.
    ///
    /// Go: Ticker.C
    pub fn c(&self) -> &Receiver<Instant> {
        match &self.c {
            Some(c) => c,
            None => unreachable!("it is taken by drop"),
        }
    }

    /// Stops the ticks. None that came before will be received afterwards.
    pub fn stop(&self) {
        self.alarm.stop();
    }

    /// Begins anew: the next tick is `interval` from now.
    ///
    /// # Panics
    /// If `interval` is zero.
    #[track_caller]
    pub fn reset(&self, interval: Duration) {
        let interval = period(interval, "Ticker::reset");
        self.alarm.set(first(interval), interval);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        if let Some(c) = self.c.take() {
            retire_teller(self.alarm, c);
        }
    }
}

impl fmt::Debug for Ticker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticker").finish_non_exhaustive()
    }
}

/// The ticks of a [`Ticker`] that lives as long as somebody has the channel.
///
/// # Panics
/// If `interval` is zero, or the runtime is not started. (Go returns a nil channel for zero.)
///
/// Go: time.Tick
#[track_caller]
pub fn tick(interval: Duration) -> Receiver<Instant> {
    let interval = period(interval, "tick");
    let (alarm, c) = teller();
    alarm.set(first(interval), interval);
    alarm.detach();
    c
}
