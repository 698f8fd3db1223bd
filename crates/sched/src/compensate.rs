//! Compensation: what happens when an M does not come back.
//!
//! A goroutine that loops for ever, or blocks its thread in a system call, a lock or foreign code, keeps its M and
//! its P. We never take the P away (that would need a fence at every entry into the runtime) and never interrupt the
//! thread (a signal can hit any instruction, with any lock held). Instead sysmon marks the P as stuck, which takes
//! it out of the count of active Ps and gives what is in it to everybody, and publishes another P in its place.
//! When the stuck goroutine comes to the scheduler at last, there is one P too many, and it is its own that retires.
//! In the meantime the kernel shares the cores, which is what preemption would have brought too.
//!
//! | count, under the scheduler lock | meaning |
//! | --- | --- |
//! | `active` | Ps that run or are idle: GOMAXPROCS, or fewer while no spare P or thread could be had |
//! | `stuck` | Ps marked by sysmon, at most `MAX_COMPENSATING` |
//!
//! # Safety
//! What is stolen from a run queue is a goroutine, and the thief's.
#![allow(unsafe_code)]

use std::ptr;

use crate::g::G;
use crate::gqueue::GQueue;
use crate::m::{M, pidleget, startm};
use crate::p::{P, PStatus};
use crate::runq::RunQueue;
use crate::sched::{MAX_COMPENSATING, SCHED, Synced};

/// Marks `pp`, which `mp` has held without a sign of life since `tick`, as stuck and starts another P in its place.
///
/// `blocked`: in a blocking call, rather than computing. Called by sysmon. False if the P moved meanwhile, or the limit
/// is reached.
pub(crate) fn compensate(pp: &'static P, mp: *const M, tick: u32, blocked: bool) -> bool {
    let mut s = SCHED.lock();
    let held = ptr::eq(pp.m.load(std::sync::atomic::Ordering::Acquire), mp); // pairs with acquirep
    if s.stuck >= MAX_COMPENSATING || !held || pp.schedtick() != tick || !pp.mark_stuck(blocked) {
        return false;
    }
    s.stuck += 1;
    let left = s.active - 1;
    SCHED.set_active(&mut s, left);
    let fresh = if s.active < SCHED.procs() as usize { publish(&mut s) } else { None };
    drop(s);
    if let Some(pp) = fresh {
        SCHED.wake.become_spinning(); // on behalf of the M that is started
        startm(pp, true);
    }
    true
}

/// Gives what has collected in the stuck `pp` to everybody: thieves come only when they are out of work, and with every
/// P busy that may be never.
///
/// Called by sysmon, in every round, since the goroutine may have begun to queue something just before the P was
/// marked. The P may settle meanwhile, and loses nothing by this.
pub(crate) fn rescue(pp: &'static P, room: &mut Room) {
    rescue_queue(pp, room);
    if !pp.timers.is_empty() {
        pp.timers.move_all_to(&SCHED.timers);
    }
}

/// The queue alone.
pub(crate) fn rescue_queue(pp: &'static P, Room { via, list }: &mut Room) {
    if let Some(gp) = pp.steal_runnext() {
        list.push_back(gp);
    }
    let mut stolen = pp.runq.steal_into(via);
    while let Some(gp) = stolen {
        // SAFETY: run queues hold goroutines only, and what was stolen is ours.
        list.push_back(unsafe { G::from_ptr(gp) });
        stolen = via.pop_front().or_else(|| pp.runq.steal_into(via));
    }
    crate::wakep::injectglist(None, list);
}

/// What sysmon moves goroutines through. Kept, so that it does not allocate beside a program that does not.
pub(crate) struct Room {
    /// An empty queue to steal through.
    pub(crate) via: RunQueue<G>,
    /// An empty list.
    pub(crate) list: GQueue,
}

impl Room {
    pub(crate) fn new() -> Room {
        Room { via: RunQueue::new(), list: GQueue::with_capacity(256) }
    }
}

/// A spare P becomes active. The caller puts it on the idle list, or gives it to an M.
pub(crate) fn publish(s: &mut Synced) -> Option<&'static P> {
    let pp = SCHED.take_spare(s)?;
    pp.set_status(PStatus::Idle);
    let active = s.active + 1;
    SCHED.set_active(s, active);
    Some(pp)
}

/// The goroutine of a stuck M came to the scheduler: either its P counts again, or it retires.
///
/// Called by the M, with its P; without one afterwards if it retired.
pub(crate) fn settle(mp: &'static M, pp: &'static P) {
    let mut s = SCHED.lock();
    let mut surplus = None;
    if s.active < SCHED.procs() as usize {
        let active = s.active + 1;
        SCHED.set_active(&mut s, active);
        // While it was not counted all Ps may have been idle.
        crate::m::end_deep_sleep(&mut s);
    } else {
        surplus = pidleget(&mut s);
        if surplus.is_none() {
            drop(s);
            return give_up(mp);
        }
    }
    s.stuck -= 1;
    pp.set_status(PStatus::Running);
    drop(s);
    if let Some(idle) = surplus {
        // It retires in our place, having nothing to move but timers and dead goroutines.
        retire(idle);
    }
}

/// Lets go of a P that is one too many, which retires it; and of the search, which is for others to go on with.
fn give_up(mp: &'static M) {
    if let Some(pp) = crate::m::releasep(mp) {
        gopark_sys::throw!("settle: P {} is not stuck", pp.id);
    }
    if mp.spinning.get() {
        crate::wakep::resetspinning(mp);
    }
}

/// A stuck P that its M has let go of retires; what is in it goes to everybody.
#[cold]
pub(crate) fn retire_stuck(pp: &'static P) {
    let mut s = SCHED.lock();
    s.stuck -= 1;
    if s.active < SCHED.procs() as usize {
        // Its replacement could not be had at the time: the P itself goes on.
        let active = s.active + 1;
        SCHED.set_active(&mut s, active);
        pp.set_status(PStatus::Idle);
        crate::m::pidleput(&mut s, pp);
        drop(s);
    } else {
        drop(s);
        retire(pp);
    }
    crate::wakep::wakep();
    let when = SCHED.timers.wake_time();
    if when != 0 {
        crate::wakep::wake_net_poller(when);
    }
}

/// Moves everything out of `pp`, which nobody holds and no list has, and puts it with the spare ones.
///
/// Without the scheduler lock: moving timers may wake somebody, which takes it.
pub(crate) fn retire(pp: &'static P) {
    let mut list = GQueue::new();
    pp.drain(&mut list);
    let mut s = SCHED.lock();
    SCHED.globrunqputbatch_locked(&mut s, list);
    pp.gfpurge(&mut s.gfree);
    drop(s);
    pp.timers.move_all_to(&SCHED.timers);
    SCHED.put_spare(&mut SCHED.lock(), pp);
}
