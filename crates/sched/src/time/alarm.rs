//! What is behind all timers of users: an entry in a heap of poll's, and what to do when it comes due.
//!
//! Alarms are pooled and never freed: an entry that was taken off the heap just before it was stopped must find memory.
//! Such a late call is told from a due one by the time: everything an alarm does is under its lock, and what it finds
//! there decides, not the fact that it was called (golang/go#69312).
//!
//! A due alarm runs on g0. It puts a value into a channel or starts a goroutine; it runs and drops nothing of a user's.
//!
//! To start a timer and stop it again is mostly locks and the clock, so locks are few, and of the kind that is released
//! by a store (`gopark_sys::lock`), and the channel of a timer that is gone serves the next.

use std::mem::ManuallyDrop;
use std::panic::Location;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use gopark_poll::{Fire, ReadyList, Timer, TimerKind, WakePoller};
use gopark_sys::lock::Lock;
use gopark_sys::loom::atomic::{AtomicBool, Ordering::Relaxed};

use crate::chan::{Receiver, TimerChan, timer_chan};

/// How long to wait before a function is tried again for which no goroutine could be started, in ns.
const RETRY_NS: i64 = 1_000_000;

/// How many channels the pool keeps for timers to come.
const CHANNELS_MAX: usize = 1024;

/// What to do when it is time.
enum Action {
    Nothing,
    Tell(TimerChan),
    Start(Arc<dyn Fn() + Send + Sync>, &'static Location<'static>),
}

struct State {
    /// When it is due; 0 = it is not armed.
    when: i64,
    /// How often it is due, in ns; 0 = once.
    period: i64,
    action: Action,
    /// Nobody has a handle: it goes back to the pool when it will not fire any more.
    detached: bool,
}

/// One timer.
///
/// | `still` | meaning | set by |
/// | --- | --- | --- |
/// | false | it may be armed, or have told what was not received yet | `set`, under the lock |
/// | true | it was stopped, and not set since | `stop`, under the lock |
pub(super) struct Alarm {
    state: Lock<State>,
    /// Saves the owner who has stopped it the lock when it goes.
    still: AtomicBool,
    /// Set once, by `make`: it refers to the alarm.
    timer: OnceLock<Timer>,
}

/// Alarms that nobody uses.
struct Pool {
    /// With nothing to do.
    plain: Vec<&'static Alarm>,
    /// With a channel, open and empty, of which nobody else has anything.
    tellers: Vec<(&'static Alarm, Receiver<Instant>)>,
}

static POOL: Lock<Pool> = Lock::new(Pool { plain: Vec::new(), tellers: Vec::new() });

/// An alarm that tells the time to a channel, not armed.
pub(super) fn teller() -> (&'static Alarm, Receiver<Instant>) {
    let mut pool = POOL.lock();
    if let Some(pooled) = pool.tellers.pop() {
        return pooled;
    }
    drop(pool);
    let (chan, rx) = timer_chan();
    (Alarm::new(Action::Tell(chan)), rx)
}

/// An alarm that starts a goroutine, not armed.
pub(super) fn starter(f: Arc<dyn Fn() + Send + Sync>, start: &'static Location<'static>) -> &'static Alarm {
    Alarm::new(Action::Start(f, start))
}

/// The timer with this channel is gone; nobody else has the alarm.
pub(super) fn retire_teller(alarm: &'static Alarm, rx: Receiver<Instant>) {
    // Relaxed: it is written by calls on the timer, of which the caller is the last owner. A late `fire` does nothing.
    if !alarm.still.load(Relaxed) {
        alarm.stop();
    }
    if rx.is_alone() {
        let mut pool = POOL.lock();
        if pool.tellers.len() < CHANNELS_MAX {
            return pool.tellers.push((alarm, rx));
        }
    }
    drop(rx);
    alarm.reclaim();
}

impl Alarm {
    /// # Panics
    /// If the runtime is not started.
    fn new(action: Action) -> &'static Alarm {
        assert!(crate::sched::SCHED.is_started(), "a timer: {}", crate::NOT_STARTED);
        let pooled = POOL.lock().plain.pop();
        let alarm = pooled.unwrap_or_else(Alarm::make);
        alarm.state.lock().action = action;
        alarm
    }

    fn make() -> &'static Alarm {
        let state = State { when: 0, period: 0, action: Action::Nothing, detached: false };
        let alarm: &'static Alarm = Box::leak(Box::new(Alarm {
            state: Lock::new(state),
            still: AtomicBool::new(false),
            timer: OnceLock::new(),
        }));
        alarm.timer.get_or_init(|| Timer::new(TimerKind::Fire(alarm)));
        alarm
    }

    #[inline]
    fn timer(&'static self) -> &'static Timer {
        match self.timer.get() {
            Some(timer) => timer,
            None => gopark_sys::throw!("an alarm without a timer"),
        }
    }

    /// Arms it for `when`, and every `period` from then on if that is not 0. True if it was armed, or what it had told
    /// was not received yet: that is gone then.
    ///
    /// Go: runtime/time.go timer.modify
    pub(super) fn set(&'static self, when: i64, period: i64) -> bool {
        let mut state = self.state.lock();
        let pending = state.cancel();
        self.still.store(false, Relaxed);
        state.when = when.max(1); // 0 means not armed (golang/go#42424)
        state.period = period;
        let wake = self.timer().arm_under_lock(state.when);
        drop(state);
        wake.wake();
        pending
    }

    /// Stops it. True as for `set`. What it has begun to do, on another thread, is done when this returns.
    ///
    /// Go: runtime/time.go timer.stop
    #[inline]
    pub(super) fn stop(&'static self) -> bool {
        let mut state = self.state.lock();
        let armed = state.when != 0;
        let pending = state.cancel();
        if armed {
            self.timer().stop();
        }
        self.still.store(true, Relaxed);
        pending
    }

    /// Lets it do what it is to do, after which it belongs to the pool.
    pub(super) fn detach(&'static self) {
        let mut state = self.state.lock();
        state.detached = true;
        if state.when == 0 {
            drop(state);
            self.reclaim();
        }
    }

    /// It will not fire any more: back to the pool. What it told last may still be received.
    fn reclaim(&'static self) {
        let mut state = self.state.lock();
        state.detached = false;
        let action = std::mem::replace(&mut state.action, Action::Nothing);
        drop(state);
        POOL.lock().plain.push(self);
        drop(action); // user code, so under no lock
    }
}

impl State {
    #[inline]
    fn cancel(&mut self) -> bool {
        let armed = self.when != 0;
        self.when = 0;
        match &self.action {
            Action::Tell(chan) => chan.drain() || armed,
            _ => armed,
        }
    }

    /// Does what is to be done at `now`, and says when next: `when` is 0 if not at all.
    fn due(&mut self, alarm: &'static Alarm, now: i64) {
        if !self.act(alarm) {
            self.when = now.saturating_add(RETRY_NS);
            return;
        }
        let again = self.period != 0 && !matches!(self.action, Action::Nothing);
        // Those that were missed are left out. Go: timer.unlockAndRun
        let periods = || 1 + (now - self.when) / self.period;
        self.when = if again { self.when.saturating_add(self.period.saturating_mul(periods())) } else { 0 };
    }

    /// False if it has to be tried again.
    fn act(&mut self, alarm: &'static Alarm) -> bool {
        match &self.action {
            Action::Nothing => true,
            Action::Tell(chan) => {
                if !chan.tell(Instant::now()) {
                    self.action = Action::Nothing; // nobody listens any more
                }
                true
            }
            Action::Start(f, start) => {
                let f = Arc::clone(f);
                // The last reference to the function must not go here. With nobody to hold the alarm, its goroutine
                // gives it back.
                let last = ManuallyDrop::new(self.detached.then(|| Reclaim(alarm)));
                let run = move || {
                    let _last = ManuallyDrop::into_inner(last);
                    f();
                };
                // Also when the runtime shuts down: goroutines that it waits for may wait for the end of a context.
                match crate::newproc::newproc_task(run, start) {
                    Ok(w) => {
                        crate::park::goready(w);
                        true
                    }
                    Err(_) => false,
                }
            }
        }
    }
}

/// Gives a detached alarm back.
struct Reclaim(&'static Alarm);

impl Drop for Reclaim {
    fn drop(&mut self) {
        self.0.reclaim();
    }
}

impl Fire for Alarm {
    fn fire(&'static self, now: i64, _list: &mut ReadyList) {
        let mut state = self.state.lock();
        // Stopped, or set to a later time, after it was taken off the heap.
        if state.when == 0 || now < state.when {
            return;
        }
        state.due(self, now);
        let wake = match state.when {
            0 => WakePoller::NO,
            when => self.timer().arm_under_lock(when),
        };
        let done = state.detached && state.when == 0 && !matches!(state.action, Action::Start(..));
        drop(state);
        wake.wake();
        if done {
            self.reclaim();
        }
    }
}

/// `d` from now.
#[inline]
pub(super) fn after(d: Duration) -> i64 {
    crate::rt::deadline_after(d)
}

/// A period in ns.
///
/// # Panics
/// If it is zero, with Go's text.
#[track_caller]
pub(super) fn period(d: Duration, what: &str) -> i64 {
    assert!(!d.is_zero(), "non-positive interval for {what}");
    i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)
}

/// The first tick of a ticker.
pub(super) fn first(period: i64) -> i64 {
    crate::rt::nanotime().saturating_add(period)
}
