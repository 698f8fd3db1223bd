//! Waking: the searcher, the poller, and Ms for a batch. The protocol's words are in `wake`.

use gopark_poll::{PollerState, netpoll_break, poller};

use crate::gqueue::GQueue;
use crate::m::{M, pidleget, startm};
use crate::p::P;
use crate::sched::SCHED;

/// Wakes one M to search for work, if work was published that nobody would find: an idle P exists and nobody
/// searches. Call it after every publication, even if about to schedule oneself.
///
/// Go: runtime/proc.go wakep.
#[inline]
pub(crate) fn wakep() {
    if SCHED.nlive() == 1 && SCHED.wake.npidle() == 0 {
        return; // one P, and it is ours: no second M could run anything
    }
    if SCHED.wake.published() {
        start_searcher();
    }
}

#[cold]
#[inline(never)]
fn start_searcher() {
    if !SCHED.wake.start_searcher() {
        return;
    }
    let mut s = SCHED.lock();
    let Some(pp) = pidleget(&mut s) else {
        // Still under the lock: whoever gives up a P from now on sees needspinning. A moment later all might have
        // gone idle, and a publisher have relied on the searcher that we counted.
        return SCHED.wake.cancel_searcher(true);
    };
    drop(s);
    startm(pp, true);
}

/// The calling M found work and no longer searches; if it was the last, somebody else must.
///
/// Go: runtime/proc.go resetspinning.
pub(crate) fn resetspinning(mp: &'static M) {
    mp.spinning.set(false);
    SCHED.wake.stop_spinning();
    wakep();
}

/// Queues a batch of runnable goroutines and wakes an M for them.
///
/// With a P: all go to the local queue, so that network and timers compete on equal terms, and one searcher is woken,
/// which steals half and wakes the next. Go puts as many as there are idle Ps into the global queue and starts an M
/// for each at once; with two Ps and 64 connections that cost 10 % more CPU a request, since the batch was mostly
/// gone by the time the M was awake. Without a P: all go to the global queue, with an M for each idle P.
///
/// Go: runtime/proc.go injectglist.
pub(crate) fn injectglist(pp: Option<&'static P>, list: &mut GQueue) {
    if list.is_empty() {
        return;
    }
    let Some(pp) = pp else {
        let n = list.len();
        SCHED.globrunqputbatch(list.drain(..));
        start_idle(n);
        return;
    };
    while let Some(gp) = list.pop_front() {
        pp.runqput(gp);
    }
    wakep();
}

/// Starts up to `n` Ms on idle Ps; they find their work in the global queue.
pub(crate) fn start_idle(n: usize) {
    for _ in 0..n {
        let pp = pidleget(&mut SCHED.lock());
        match pp {
            Some(pp) => startm(pp, false),
            None => {
                // Whoever gives up a P next must look again.
                wakep();
                return;
            }
        }
    }
}

/// A timer was added at `when`: the thread blocked in the poller must not sleep past it, and somebody must be there.
///
/// Go: runtime/proc.go wakeNetPoller.
pub(crate) fn wake_net_poller(when: i64) {
    // The state word is read after a SeqCst fence inside `poller`; pairs with the fence of netpoll_block.
    match poller() {
        PollerState::Blocking { until } => {
            if until == 0 || until > when {
                netpoll_break();
            }
        }
        PollerState::Free | PollerState::Quick => wakep(),
    }
}

/// Makes sure that somebody polls for a thread that is about to sleep outside the scheduler.
pub(crate) fn ensure_poller() {
    if !matches!(poller(), PollerState::Blocking { .. }) {
        wakep();
    }
}
