//! Announced blocking: the P goes to somebody else before the thread blocks, rather than when sysmon notices.

use crate::g::{Doing, G, GStatus, Request};
use crate::m::{M, acquirep, getm, pidleget, pidleput, releasep, startm};
use crate::p::P;
use crate::park::must_stay;
use crate::sched::SCHED;
use crate::wakep::{wake_net_poller, wakep};

/// Runs `f`, which may block the thread for long, having handed the right to run goroutines to another thread.
///
/// For file I/O, `std::process`, foreign libraries, std locks that are held for long: anything that blocks without
/// gopark's knowledge. Unannounced blocking is found by sysmon too, a fraction of a millisecond later; announcing it
/// saves that time. On a thread that is not a goroutine, `f` is simply called.
///
/// May block: see the contract of [`crate::Runtime::start`]. When `f` returns the goroutine waits its turn if all
/// Ps are busy.
///
/// # Panics
/// If `f` panics.
///
/// # Examples
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// let text = gopark_sched::blocking(|| std::fs::read_to_string("/etc/hosts"))?;
/// # Ok(()) }
/// ```
///
/// Go: runtime/proc.go entersyscallblock, exitsyscall.
pub fn blocking<T>(f: impl FnOnce() -> T) -> T {
    // Without a P there is nothing to give away, and none to take back at the end: that is for the outermost section.
    let Some(mp) = getm().filter(|mp| mp.p.get().is_some()) else { return f() };
    give_p_away(mp);
    if let Some(gp) = mp.curg.get() {
        gp.set_doing(Doing::Blocking);
    }
    let _back = Back;
    f()
}

/// Gets a P again at the end of a blocking section. A goroutine that unwinds must not wait for one on its thread, and
/// goes on without until it next waits for something.
struct Back;

impl Drop for Back {
    fn drop(&mut self) {
        exit_blocking();
    }
}

#[inline(never)]
fn exit_blocking() {
    let Some(mp) = getm() else { return };
    let Some(gp) = mp.curg.get() else { return };
    gp.set_doing(Doing::Anything);
    if mp.p.get().is_some() || must_stay(gp) {
        return;
    }
    take_p_back(mp, gp);
}

/// Gets a P again for the calling goroutine, which has none and need not stay on its thread.
pub(crate) fn take_p_back(mp: &'static M, gp: &'static G) {
    if must_stay(gp) {
        return; // it unwinds
    }
    let pp = pidleget(&mut SCHED.lock());
    match pp {
        Some(pp) => acquirep(mp, pp),
        None => need_p(gp),
    }
}

/// Waits for a P. The goroutine that calls has none.
#[allow(unsafe_code)]
pub(crate) fn need_p(gp: &'static G) {
    if crate::span::in_use() {
        return crate::span::outside(gp, || {
            // SAFETY: gp is the calling goroutine.
            unsafe { gp.suspend(Request::NeedP) };
        });
    }
    // SAFETY: as above.
    unsafe { gp.suspend(Request::NeedP) };
}

/// On g0, for a goroutine that wants a P: true if its M got one, else the goroutine is on the global queue.
pub(crate) fn reacquire(mp: &'static M, gp: &'static G) -> bool {
    let mut s = SCHED.lock();
    if mp.p.get().is_some() {
        return true;
    }
    if let Some(pp) = pidleget(&mut s) {
        acquirep(mp, pp);
        return true;
    }
    // All Ps are busy: each looks at the global queue, under this lock, before it goes idle.
    gp.casgstatus(GStatus::Running, GStatus::Runnable);
    SCHED.globrunqput_locked(&mut s, gp);
    false
}

/// Hands the P of the calling M, if it has one, to whoever has a use for it.
pub(crate) fn give_p_away(mp: &'static M) {
    if mp.p.get().is_some()
        && let Some(pp) = releasep(mp)
    {
        handoffp(pp);
    }
}

/// Gives an unbound P to another M, or to the idle list if there is nothing to do.
///
/// An M must be started in every situation in which `find_runnable` would find a goroutine.
///
/// Go: runtime/proc.go handoffp.
fn handoffp(pp: &'static P) {
    if pp.has_runnext() || !pp.runq.is_empty() || SCHED.runqsize() > 0 {
        return startm(pp, false);
    }
    if SCHED.wake.nmspinning() + SCHED.wake.npidle() == 0 && SCHED.wake.start_searcher() {
        return startm(pp, true);
    }
    let mut s = SCHED.lock();
    let last = s.pidle.len() + 1 == s.active;
    let nobody_polls = !matches!(gopark_poll::poller(), gopark_poll::PollerState::Blocking { .. });
    if !s.runq.is_empty() || (last && nobody_polls) {
        drop(s);
        return startm(pp, false);
    }
    let when = pp.timers.wake_time();
    pidleput(&mut s, pp);
    drop(s);
    if SCHED.wake.p_given_up() {
        wakep();
    }
    if when != 0 {
        wake_net_poller(when);
    }
}
