//! GOMAXPROCS at run time, without stopping the world.
//!
//! More: spare Ps become idle ones, and Ms are woken if there is work. Fewer: idle Ps retire at once. A running one is
//! marked as stuck, just as one whose goroutine does not come back, but without another in its place: what is in it is
//! anybody's from that moment on, and it retires when its goroutine comes to the scheduler (see `compensate`). So the
//! loop of the scheduler knows nothing of all this, and nobody waits for anybody.
//!
//! A P that is on its way from the idle list to an M at that moment is neither; sysmon looks after those.

use gopark_sys::loom::atomic::Ordering;

use crate::compensate::{publish, retire};
use crate::m::{getm, pidleget, pidleput};
use crate::p::{P, PStatus};
use crate::sched::{MAX_PROCS, SCHED, Synced};
use crate::wakep::{start_idle, wake_net_poller, wakep};

/// How many goroutines may run at the same time; 0 before the runtime is started.
///
/// Go: runtime.GOMAXPROCS(0)
pub fn max_procs() -> usize {
    SCHED.procs() as usize
}

/// Changes how many goroutines may run at the same time, and returns how many it was before.
///
/// From any thread, at any time, without stopping anybody: a goroutine that runs on one of the processors that are
/// taken away goes on until it next waits or yields. 0 changes nothing; more than 1,024 is taken for 1,024.
///
/// # Panics
/// If the runtime is not started.
///
/// Go: runtime.GOMAXPROCS
#[doc(alias = "GOMAXPROCS")]
pub fn set_max_procs(n: usize) -> usize {
    gopark_sys::fork::check();
    assert!(SCHED.is_started(), "set_max_procs: {}", crate::NOT_STARTED);
    if n == 0 {
        return max_procs();
    }
    let n = n.min(MAX_PROCS);
    let mut s = SCHED.lock();
    let before = SCHED.set_procs(&mut s, n as u32) as usize;
    let mut added = 0;
    while s.active < n {
        let Some(pp) = publish(&mut s) else { break }; // those who come back from being stuck fill the rest
        pidleput(&mut s, pp);
        added += 1;
    }
    drop(s);
    if added > 0 {
        start_idle(added.min(SCHED.runqsize()));
        // For what is in the queues of the other Ps: nobody was woken for that while no P was idle.
        wakep();
    } else {
        settle();
    }
    before
}

/// Retires the Ps that are too many, as far as they can be had now.
pub(crate) fn settle() {
    let mut idle = Vec::new();
    let mut s = SCHED.lock();
    let procs = SCHED.procs() as usize;
    while s.active > procs {
        let Some(pp) = pidleget(&mut s) else { break };
        uncount(&mut s);
        idle.push(pp);
    }
    // The caller's own last: it goes on running in any case.
    let own = getm().and_then(|mp| mp.p.get());
    let others = SCHED.live_ps().filter(|pp| own.is_none_or(|own| !std::ptr::eq(own, *pp)));
    for pp in others.chain(own) {
        if s.active <= procs {
            break;
        }
        if pp.is(PStatus::Running) && pp.mark_stuck(false) {
            s.stuck += 1;
            uncount(&mut s);
        }
    }
    SCHED.surplus.store(s.active > procs, Ordering::Relaxed);
    drop(s);
    retire_all(idle);
}

fn uncount(s: &mut Synced) {
    let active = s.active - 1;
    SCHED.set_active(s, active);
}

fn retire_all(idle: Vec<&'static P>) {
    if idle.is_empty() {
        return;
    }
    idle.into_iter().for_each(retire);
    // Timers have moved to where nobody may be looking, and goroutines too if no thread could be had for them.
    wakep();
    let when = SCHED.timers.wake_time();
    if when != 0 {
        wake_net_poller(when);
    }
}
