//! Stealing: from all Ps, in random order. Go: runtime/proc.go stealWork.

use crate::counters;
use crate::g::G;
use crate::m::{Batch, M};
use crate::p::{P, PStatus};
use crate::park::accept_all;
use crate::sched::SCHED;

/// Rounds over all Ps; timers and `runnext` are looked at in the last one only. Go: stealWork's stealTries.
const STEAL_TRIES: u32 = 4;

/// How long a thief lets a running P get to its own `runnext` before it takes it, in microseconds. A pair that
/// readies each other would otherwise be torn apart over two Ps, each wake-up then costing a futex call. Go: 3.
const RUNNEXT_PAUSE_US: u32 = 3;

/// What a search found.
pub(crate) enum Stolen {
    /// A goroutine to run.
    Goroutine(&'static G),
    /// Something changed (timers ran): look at everything again.
    NewWork,
    /// Nothing.
    Nothing,
}

/// Visits each of `count` Ps once, from a random start in random steps.
///
/// Start and step come from different parts of the random number: the remainder and the quotient. Taking both from
/// the remainder would tie them together (golang/go commit 510ad4561f).
pub(crate) struct RandomOrder {
    count: u32,
    left: u32,
    pos: u32,
    step: u32,
}

impl RandomOrder {
    pub(crate) fn new(count: u32, random: u32) -> RandomOrder {
        let mut step = (random / count) % count + 1;
        while gcd(step, count) != 1 {
            step = step % count + 1;
        }
        RandomOrder { count, left: count, pos: random % count, step }
    }
}

impl Iterator for RandomOrder {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.left = self.left.checked_sub(1)?;
        let pos = self.pos;
        self.pos = (self.pos + self.step) % self.count;
        Some(pos)
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Searches all other Ps for goroutines, and in the last round for timers that are due.
pub(crate) fn steal_work(mp: &'static M, pp: &'static P) -> Stolen {
    let mut ran_timer = false;
    for round in 1..=STEAL_TRIES {
        let last = round == STEAL_TRIES;
        for id in RandomOrder::new(SCHED.nlive() as u32, mp.rand()) {
            let victim = SCHED.p(id as usize);
            if last && run_timers_of(mp, pp, victim) {
                ran_timer = true;
                if let Some(gp) = pp.runqget() {
                    return Stolen::Goroutine(gp);
                }
            }
            if std::ptr::eq(victim, pp) {
                continue;
            }
            if let Some(gp) = runqsteal(pp, victim, last) {
                return Stolen::Goroutine(gp);
            }
        }
    }
    if ran_timer || SCHED.runqsize() > 0 { Stolen::NewWork } else { Stolen::Nothing }
}

/// Half of the victim's queue; in the last round its `runnext`, if it does not get to it by itself.
///
/// Go: runtime/proc.go runqsteal, runqgrab.
fn runqsteal(pp: &'static P, victim: &'static P, last: bool) -> Option<&'static G> {
    if let Some(gp) = pp_steal(pp, victim) {
        return Some(gp);
    }
    if !last || !victim.has_runnext() {
        return None;
    }
    if victim.is(PStatus::Running) {
        let tick = victim.schedtick();
        gopark_sys::time::usleep(RUNNEXT_PAUSE_US);
        if victim.schedtick() != tick {
            return None; // it moves: it will run its runnext itself
        }
    }
    let gp = victim.steal_runnext()?;
    counters::add(&pp.counters.steals, 1);
    counters::add(&pp.counters.stolen, 1);
    Some(gp)
}

#[allow(unsafe_code)]
fn pp_steal(pp: &'static P, victim: &'static P) -> Option<&'static G> {
    let gp = victim.runq.steal_into(&pp.runq)?;
    counters::add(&pp.counters.steals, 1);
    counters::add(&pp.counters.stolen, 1 + pp.runq.len() as u64); // ours was empty
    // SAFETY: run queues hold goroutines only, and what was stolen is ours.
    Some(unsafe { G::from_ptr(gp) })
}

/// Runs the due timers of another P: it may be busy, stuck or idle. What they ready goes to `pp`.
fn run_timers_of(mp: &'static M, pp: &'static P, victim: &'static P) -> bool {
    let when = victim.timers.wake_time();
    if when == 0 {
        return false;
    }
    let now = crate::rt::nanotime();
    if when > now {
        return false;
    }
    mp.with_batch(|Batch { ready, list }| {
        victim.timers.check(now, ready);
        accept_all(ready, list);
        crate::proc::queue_here(pp, list);
    });
    true
}

/// When the earliest timer of all is due; 0 if there is none.
pub(crate) fn earliest_timer() -> i64 {
    let own = SCHED.live_ps().map(|pp| pp.timers.wake_time());
    own.chain([SCHED.timers.wake_time()]).filter(|&when| when != 0).min().unwrap_or(0)
}

#[cfg(test)]
mod tests;
