//! The end of the runtime, as far as there is one: see [`Runtime::shutdown`](crate::Runtime::shutdown).

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use gopark_sys::loom::atomic::Ordering;

use crate::dump::GoroutineState;
use crate::g::{Doing, G, GStatus};
use crate::rt::{deadline_after, nanotime};
use crate::sched::SCHED;

/// How many goroutines [`StillRunning`] lists at most.
const LISTED: usize = 100;

/// How often we look, at first and in the end.
const PAUSE: Duration = Duration::from_micros(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(10);

pub(crate) fn shutdown(timeout: Duration) -> Result<(), StillRunning> {
    gopark_poll::end_thread_waits();
    SCHED.stopping.store(true, Ordering::Release); // pairs with plain_park: who finds it may not wait, and knows why
    crate::park::evict_plain_threads();
    let when = deadline_after(timeout);
    let me = crate::m::getg();
    let mut pause = PAUSE;
    loop {
        let left = SCHED.gcount().saturating_sub(usize::from(me.is_some()));
        if left == 0 {
            return Ok(());
        }
        let rest = when - nanotime();
        if rest <= 0 {
            return Err(StillRunning { goroutines: left, listed: list(me) });
        }
        crate::sleep(pause.min(Duration::from_nanos(rest as u64)));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Some goroutines, but not `me`, by their ids.
fn list(me: Option<&'static G>) -> Vec<RunningGoroutine> {
    let mut listed = Vec::new();
    crate::stacks::all_goroutines(|gp| {
        if me.is_none_or(|me| !std::ptr::eq(me, gp)) {
            listed.extend(look(gp));
        }
        listed.len() < LISTED
    });
    listed.sort_unstable_by_key(|g| g.id);
    listed
}

fn look(gp: &G) -> Option<RunningGoroutine> {
    let state = match (gp.status(), gp.doing()) {
        (GStatus::Dead, _) => return None,
        (GStatus::Runnable, _) => GoroutineState::Runnable,
        (GStatus::Running, Doing::Anything) => GoroutineState::Running,
        (GStatus::Running, Doing::Blocking) => GoroutineState::Blocking,
        (GStatus::Running, Doing::WiredWait) | (GStatus::Waiting, _) => {
            GoroutineState::Waiting(gp.wait_reason())
        }
    };
    Some(RunningGoroutine { id: gp.id(), state, created_at: gp.start_location() })
}

/// Goroutines were left when [`Runtime::shutdown`](crate::Runtime::shutdown) ran out of time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StillRunning {
    /// How many.
    pub goroutines: usize,
    /// Some of them, 100 at most, by their ids.
    pub listed: Vec<RunningGoroutine>,
}

impl fmt::Display for StillRunning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} goroutines still running", self.goroutines)?;
        for (i, g) in self.listed.iter().enumerate() {
            write!(f, "{}{g}", if i == 0 { ": " } else { ", " })?;
        }
        let more = self.goroutines.saturating_sub(self.listed.len());
        if more > 0 && !self.listed.is_empty() {
            write!(f, ", and {more} more")?;
        }
        Ok(())
    }
}

impl std::error::Error for StillRunning {}

/// A goroutine that had not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunningGoroutine {
    /// Its id, as [`goroutine_id`](crate::goroutine_id) returns it.
    pub id: u64,
    /// What it did at that moment.
    pub state: GoroutineState,
    /// Where it was started: the line of `go`, `spawn` or `run`.
    pub created_at: Option<&'static Location<'static>>,
}

impl fmt::Display for RunningGoroutine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "goroutine {} [{}]", self.id, self.state)?;
        match self.created_at {
            Some(at) => write!(f, " created at {}:{}", at.file(), at.line()),
            None => Ok(()),
        }
    }
}
