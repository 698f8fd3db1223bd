//! The scheduler: which goroutine an M runs next.
//!
//! The G/M/P model in short. A goroutine (G) is run by a thread (M) that holds a P. There are GOMAXPROCS Ps; each
//! has its own queue, and an M without work of its own steals from the others. Ready goroutines and idle Ms must
//! find each other without a central lock and without waking threads for nothing; `wake` has the rules.
//!
//! Everything in this file runs on g0, the thread's own stack. A goroutine gets here only by suspending with a
//! request, after its registers were saved; so nothing can run it twice, and nothing here may call user code.
//!
//! Ways not taken: a central queue (every ready takes its lock); handing a ready goroutine's P to a fresh thread at
//! once (threads would be woken and put to sleep all the time, and locality lost); waking a thread for each ready
//! goroutine whenever a P is idle (most of them would find nothing).
//!
//! Go: runtime/proc.go schedule, findRunnable.
//!
//! # Safety
//! `execute` resumes a goroutine that its M took off a queue, and is on g0 when it does.
#![allow(unsafe_code)]

use gopark_poll::{netpoll_block, netpoll_quick};
use gopark_sys::context::Switch;

use crate::compensate;
use crate::counters;
use crate::g::{G, GStatus, Request};
use crate::gqueue::GQueue;
use crate::habit::Turn;
use crate::m::{Batch, M, Stopped, acquirep, pidleget, pidleput, releasep, stopm};
use crate::p::{P, PStatus, YIELD_BATCH};
use crate::park::accept_all;
use crate::runq::CAPACITY;
use crate::sched::{SCHED, Synced};
use crate::steal::{Stolen, earliest_timer, steal_work};
use crate::wakep::{injectglist, resetspinning, wake_net_poller, wakep};

/// Every so many ticks the global queue is looked at first, so that two goroutines that ready each other cannot
/// starve it. Go: schedule's 61, a prime, to keep out of step with patterns in programs.
const GLOBAL_TICKS: u32 = 61;

/// How far ahead of its turn a goroutine is brought into the cache: far enough for short turns of some 50 ns.
const PREFETCH_AHEAD: u32 = 4;

/// The most goroutines one trip to the global queue takes. Go: half of the local queue.
const GLOBAL_BATCH: usize = 128;

/// What operations that did not park may cost in one go, 64 common ones; then the next one yields.
pub(crate) const BUDGET: u32 = 64 * gopark_poll::OPERATION;

/// Runs goroutines until the M has to end: it is one too many, or its goroutine ended while locked to the thread.
pub(crate) fn schedule(mp: &'static M) {
    while let Some(gp) = find_runnable(mp) {
        if mp.spinning.get() {
            resetspinning(mp);
        }
        execute(mp, gp);
    }
}

/// Runs `gp` until it parks, yields or ends.
///
/// Go: runtime/proc.go execute, park_m, goschedImpl, goexit0.
fn execute(mp: &'static M, gp: &'static G) {
    gp.casgstatus(GStatus::Runnable, GStatus::Running);
    mp.curg.set(Some(gp));
    mp.budget.set(BUDGET);
    if let Some(pp) = mp.p.get() {
        pp.tick();
    }
    if gp.since() < 0 {
        counters::runs(mp.p.get().map(|pp| &pp.counters), gp);
    }
    let mut turn = Turn::begin(mp, gp);
    loop {
        // SAFETY: on g0 of mp; gp is ours since it left the queue.
        let switch = unsafe { gp.resume(mp.as_input()) };
        turn.end(mp, gp);
        let request = match switch {
            Switch::Return => {
                mp.curg.set(None);
                gp.casgstatus(GStatus::Running, GStatus::Dead);
                if gp.is_wired() {
                    crate::os_thread::ended_locked(mp, gp);
                }
                return crate::newproc::gfput(mp, gp);
            }
            Switch::Yield(request) => request,
        };
        if request == Request::Park as usize {
            // From a successful commit on, gp belongs to whoever takes it from the slot.
            let (slot, reason) = (gp.park_slot(), gp.wait_reason() as u8);
            mp.curg.set(None);
            gp.casgstatus(GStatus::Running, GStatus::Waiting);
            if slot.commit(gp.waiter()) {
                match mp.p.get() {
                    Some(pp) => pp.counters.parked(reason),
                    None => counters::parked_outside(reason),
                }
                return;
            }
            gp.casgstatus(GStatus::Waiting, GStatus::Running);
            mp.curg.set(Some(gp));
        } else if request == Request::Yield as usize {
            mp.curg.set(None);
            gp.casgstatus(GStatus::Running, GStatus::Runnable);
            return requeue(mp, gp);
        } else if request == Request::NeedP as usize {
            mp.curg.set(None);
            if !crate::blocking::reacquire(mp, gp) {
                return;
            }
            mp.curg.set(Some(gp));
        } else {
            gopark_sys::throw!("goroutine {} suspended with request {request}", gp.id());
        }
    }
}

/// A goroutine that yields goes behind the others of its P, and what waits in the global queue comes before it.
///
/// Go sends it to the global queue, whose lock every yield would take; and once some goroutines yield through the
/// global queue it is never empty again, so to do that only while it is not empty would soon be always (measured on
/// two Ps: 45 ns a yield, then 90). Without a look at the global queue a few goroutines that yield in a loop would
/// keep the local one from ever being empty, and what waits in the global queue would get one turn in 61 (measured:
/// 1 µs a goroutine instead of 30 ns).
fn requeue(mp: &'static M, gp: &'static G) {
    match mp.p.get() {
        Some(pp) => {
            pp.yielded();
            pp.runqput(gp);
        }
        None => {
            counters::add_shared(&counters::OUTSIDE.yields, 1);
            SCHED.globrunqput(gp);
        }
    }
    wakep();
}

/// Finds a goroutine to run; blocks until there is one. None: the M has to end.
///
/// Go: runtime/proc.go findRunnable, in its order.
fn find_runnable(mp: &'static M) -> Option<&'static G> {
    loop {
        let Some(pp) = mp.p.get() else {
            match stopm(mp) {
                Stopped::WithP => continue,
                Stopped::Retire => return None,
            }
        };
        if !pp.is(PStatus::Running) {
            compensate::settle(mp, pp);
            continue;
        }
        run_timers(mp, pp);
        if let Some(gp) = fairness(mp, pp) {
            return Some(gp);
        }
        if let Some(gp) = pp.runqget() {
            prefetch_next(pp);
            return Some(gp);
        }
        if SCHED.runqsize() > 0 {
            let gp = SCHED.globrunqget(&mut SCHED.lock(), pp, GLOBAL_BATCH);
            if gp.is_some() {
                return gp;
            }
        }
        if let Some(gp) = poll_net_nonblocking(mp, pp) {
            return Some(gp);
        }
        match spin_and_steal(mp, pp) {
            Stolen::Goroutine(gp) => return Some(gp),
            Stolen::NewWork => continue,
            Stolen::Nothing => {}
        }
        if let Some(gp) = drop_p_and_recheck(mp) {
            return Some(gp);
        }
        if mp.p.get().is_some() {
            continue;
        }
        if let Some(gp) = poll_net_blocking(mp) {
            return Some(gp);
        }
    }
}

/// Runs the timers that are due: this P's, and those of callers without a P.
fn run_timers(mp: &'static M, pp: &'static P) {
    let (own, shared) = (pp.timers.wake_time(), SCHED.timers.wake_time());
    if own == 0 && shared == 0 {
        return;
    }
    let now = crate::rt::nanotime();
    if (own != 0 && own <= now) || (shared != 0 && shared <= now) {
        run_due(mp, pp, now);
    }
}

#[inline(never)]
fn run_due(mp: &'static M, pp: &'static P, now: i64) {
    mp.with_batch(|Batch { ready, list }| {
        pp.timers.check(now, ready);
        accept_all(ready, list);
        SCHED.timers.check(now, ready);
        accept_all(ready, list);
        queue_here(pp, list);
    });
}

/// Queues goroutines on the P of the caller, who is about to look for work, and wakes an M if that leaves some over.
pub(crate) fn queue_here(pp: &'static P, list: &mut GQueue) {
    while let Some(gp) = list.pop_front() {
        pp.runqput(gp);
    }
    if pp.runq.len() > 1 {
        wakep();
    }
}

/// Now and then: one from the global queue, and a look at the network, however much local work there is.
#[inline]
fn fairness(mp: &'static M, pp: &'static P) -> Option<&'static G> {
    let tick = pp.schedtick();
    if pp.poll_is_due() {
        poll_busy(mp, pp);
    }
    let yielded = pp.take_yielded();
    if (yielded || tick.is_multiple_of(GLOBAL_TICKS)) && SCHED.runqsize() > 0 {
        // As many as there is surely room for: only the owner adds to the local queue.
        let max = if yielded { YIELD_BATCH.min(CAPACITY - pp.runq.len()) } else { 1 };
        return SCHED.globrunqget(&mut SCHED.lock(), pp, max);
    }
    None
}

/// Polls the network from a busy P, and queues what became ready behind the rest.
#[inline(never)]
fn poll_busy(mp: &'static M, pp: &'static P) {
    if !gopark_poll::netpoll_any_open() {
        return pp.polled();
    }
    mp.with_batch(|Batch { ready, list }| {
        if netpoll_quick(ready) {
            accept_all(ready, list);
            counters::readied_by_poll(list, mp.polls());
            injectglist(Some(pp), list);
        }
    });
    pp.polled();
}

/// Brings what a coming switch will touch into the cache while this goroutine runs: the header and the top of the
/// stack, which lies below it, of the one `PREFETCH_AHEAD` places further on.
///
/// With a thousand active connections each switch misses on both otherwise.
#[inline]
fn prefetch_next(pp: &P) {
    if let Some(gp) = pp.runq.peek(PREFETCH_AHEAD) {
        // SAFETY: run queues hold goroutines only; one that a thief takes at this moment is still one.
        unsafe { G::from_ptr(gp) }.prefetch();
    }
}

/// An opportunistic look at the network before stealing.
fn poll_net_nonblocking(mp: &'static M, pp: &'static P) -> Option<&'static G> {
    if !gopark_poll::netpoll_any_open() {
        return None;
    }
    mp.with_batch(|Batch { ready, list }| {
        if !netpoll_quick(ready) {
            return None;
        }
        accept_all(ready, list);
        counters::readied_by_poll(list, mp.polls());
        let first = list.pop_front();
        injectglist(Some(pp), list);
        pp.polled();
        first
    })
}

/// Searches the other Ps, if one more searcher is worth it.
fn spin_and_steal(mp: &'static M, pp: &'static P) -> Stolen {
    if SCHED.nlive() == 1 {
        return Stolen::Nothing;
    }
    if !mp.spinning.get() {
        if !SCHED.wake.may_spin(SCHED.procs()) {
            return Stolen::Nothing;
        }
        become_spinning(mp);
    }
    steal_work(mp, pp)
}

fn become_spinning(mp: &'static M) {
    if let Some(pp) = mp.p.get() {
        counters::add(&pp.counters.spins, 1);
    }
    mp.spinning.set(true);
    SCHED.wake.become_spinning();
}

/// Gives the P up, then looks once more for work that was published meanwhile. With work (or a reason to search
/// again) the M holds a P again on return.
///
/// Go: runtime/proc.go findRunnable, "drop P" to "delicate dance".
fn drop_p_and_recheck(mp: &'static M) -> Option<&'static G> {
    let mut s = SCHED.lock();
    if let Some(pp) = mp.p.get()
        && let Some(gp) = SCHED.globrunqget(&mut s, pp, GLOBAL_BATCH)
    {
        return Some(gp);
    }
    if !mp.spinning.get() && SCHED.wake.needspinning() == 1 {
        become_spinning(mp);
        return None;
    }
    if !mp.p.get().is_some_and(|pp| pp.is(PStatus::Running)) {
        return None; // taken for stuck meanwhile: settle at the top. It cannot become so while we hold the lock.
    }
    let pp = releasep(mp)?;
    pidleput(&mut s, pp);
    drop(s);

    if mp.spinning.get() {
        mp.spinning.set(false);
        SCHED.wake.stop_spinning();
        return recheck(mp);
    }
    if SCHED.wake.p_given_up() {
        retake_p(mp, &mut SCHED.lock(), true);
    }
    None
}

/// A searcher that stopped looks through everything a last time (golang/go#55160: the global queue too).
fn recheck(mp: &'static M) -> Option<&'static G> {
    if SCHED.runqsize() > 0 {
        let mut s = SCHED.lock();
        if !s.runq.is_empty() && retake_p(mp, &mut s, true) {
            return mp.p.get().and_then(|pp| SCHED.globrunqget(&mut s, pp, GLOBAL_BATCH));
        }
    }
    if SCHED.wake.p_given_up() || SCHED.live_ps().any(P::has_stealable) {
        retake_p(mp, &mut SCHED.lock(), true);
    }
    None
}

/// Takes an idle P, as a searcher if asked; false if there is none.
///
/// A searcher has seen work that it cannot take then. All Ps are with others, who may be past their search already
/// because they saw this one; whoever of them gives up a P must search. Go: pidlegetSpinning.
fn retake_p(mp: &'static M, s: &mut Synced, spinning: bool) -> bool {
    let Some(pp) = pidleget(s) else {
        if spinning {
            SCHED.wake.need_searcher();
        }
        return false;
    };
    acquirep(mp, pp);
    if spinning {
        become_spinning(mp);
    }
    true
}

/// Sleeps in the poller until the network, a timer or a wake-up gives a reason to go on; without a P. Returns at
/// once if another M is there already.
fn poll_net_blocking(mp: &'static M) -> Option<&'static G> {
    mp.with_batch(|Batch { ready, list }| {
        if !netpoll_block(earliest_timer, ready) {
            // The poller must not sleep past a timer that we know of and it may not.
            let when = earliest_timer();
            if when != 0 {
                wake_net_poller(when);
            }
            return None;
        }
        accept_all(ready, list);
        counters::readied_by_poll(list, mp.polls());
        if !retake_p(mp, &mut SCHED.lock(), false) {
            injectglist(None, list);
            return None;
        }
        let first = list.pop_front();
        injectglist(mp.p.get(), list);
        if let Some(pp) = mp.p.get() {
            pp.polled();
        }
        first
    })
}

/// Queues what a poll from outside of the scheduler, by sysmon, made ready.
///
/// `list` is an empty one.
pub(crate) fn inject_waiters(ready: &mut gopark_poll::ReadyList, list: &mut GQueue) {
    accept_all(ready, list);
    injectglist(None, list);
}
