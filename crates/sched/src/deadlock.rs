//! The report of deadlocks: everybody waits, and nobody is left who could end that. Opt-in.
//!
//! sysmon looks, when it is about to fall asleep because nothing has happened for a tenth of a second; so it costs
//! nothing, and no moment in which a goroutine is on its way from one hand to another can be taken for the end of all.
//! Even so each condition is checked on what waits, not on counts: a wait that somebody has ended already is none.
//!
//! Go's checkdead looks whenever a thread goes idle. It has no threads but its own to ask about, unless a program is
//! linked with C; there it gives up too. A Rust program may start a thread at any time, which may send on any channel:
//! one such thread, and there is no report. Go's other message, "no goroutines (main called runtime.Goexit)", has no
//! counterpart: `run` returns when its goroutine ends.
//!
//! Go: runtime/proc.go checkdead.

use std::io::Write;

use gopark_poll::WaitReason;
use gopark_sys::loom::atomic::{AtomicUsize, Ordering, fence};

use crate::counters::OUTSIDE;
use crate::g::{Doing, G, GStatus};
use crate::sched::{SCHED, Synced};

/// Plain threads that are in `Runtime::run`.
static IN_RUN: AtomicUsize = AtomicUsize::new(0);

/// Calls `f`, which waits for a goroutine, for a thread that waits in `Runtime::run`.
pub(crate) fn in_run<T>(f: impl FnOnce() -> T) -> T {
    struct Out;
    impl Drop for Out {
        fn drop(&mut self) {
            IN_RUN.fetch_sub(1, Ordering::Relaxed);
        }
    }
    if crate::m::getm().is_some() {
        return f(); // a goroutine is counted as one
    }
    IN_RUN.fetch_add(1, Ordering::Relaxed);
    let _out = Out;
    f()
}

/// What sysmon has found.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// No deadlock, or none that we know of; nor will it become one without anything happening.
    Nothing,
    /// It would be one if other threads ended.
    OnlyOtherThreads,
}

/// Ends the process if there is a deadlock. By sysmon, when all Ps are idle.
pub(crate) fn check() -> Found {
    if !SCHED.config().is_some_and(|c| c.deadlock_report) || IN_RUN.load(Ordering::Relaxed) == 0 {
        return Found::Nothing;
    }
    if !everybody_waits() {
        return Found::Nothing;
    }
    match other_threads() {
        // What a thread that has ended by now did before is seen by a second look.
        Some(0) if everybody_waits() => report(),
        Some(0) => Found::Nothing,
        _ => Found::OnlyOtherThreads,
    }
}

/// The goroutines are looked at one after the other, and a wired one, which runs without a P, might wake one that was
/// looked at and then wait itself. But it would have been counted: who waits counts that before it does (if wired), or
/// before its P is idle.
fn everybody_waits() -> bool {
    let before = parks();
    let waits = nothing_is_queued(&SCHED.lock())
        && crate::park::plain_threads_asleep() == IN_RUN.load(Ordering::Relaxed)
        && gopark_poll::tasks_waiting() == 0
        && !crate::signal::anybody_listens()
        && crate::stacks::all_goroutines(waits_for_one_of_us)
        && nothing_is_queued(&SCHED.lock());
    fence(Ordering::Acquire); // whoever was seen waiting was counted
    waits && parks() == before
}

/// How often goroutines have begun to wait.
fn parks() -> u64 {
    let sets = SCHED.all_ps().map(|pp| &pp.counters).chain([&OUTSIDE]);
    sets.map(|c| WaitReason::ALL.iter().map(|&reason| c.parks(reason)).sum::<u64>()).sum()
}

fn nothing_is_queued(s: &Synced) -> bool {
    s.pidle.len() == s.active
        && s.stuck == 0
        && s.runq.is_empty()
        && SCHED.timers.is_empty()
        && SCHED.live_ps().all(|pp| pp.timers.is_empty() && pp.runq.is_empty() && !pp.has_runnext())
}

/// Whether `gp` is dead, or waits for what only a goroutine can do.
fn waits_for_one_of_us(gp: &G) -> bool {
    let waits = match gp.status() {
        GStatus::Dead => return true,
        GStatus::Runnable => false,
        GStatus::Running => gp.doing() == Doing::WiredWait,
        GStatus::Waiting => true,
    };
    // Who ended its wait has taken it out of the slot; it is only not yet on a queue, or not yet awake.
    waits
        && !matches!(gp.wait_reason(), WaitReason::IoWait | WaitReason::Sleep)
        && gp.last_slot().is_some_and(|slot| slot.is_parked())
}

/// How many threads the process has that are neither the runtime's nor in `run`. None: not to be found out.
fn other_threads() -> Option<usize> {
    gopark_sys::thread::others()?.len().checked_sub(IN_RUN.load(Ordering::Relaxed))
}

#[cold]
fn report() -> ! {
    let text = format!("fatal error: all goroutines are asleep - deadlock!\n\n{}", crate::dump_goroutines());
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
    gopark_sys::throw::exit_now(2)
}
