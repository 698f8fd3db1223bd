//! P: the right to run goroutines, and what goes with it: a run queue, timers, a cache of dead goroutines.
//!
//! # Safety
//! The plain cells of a `P` belong to the M that holds it (`P::m`); a P is handed over under the scheduler lock or
//! through `M::nextp` and a note, each a release/acquire pair. Ps are never freed.
#![allow(unsafe_code)]

use gopark_sys::loom::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::cell::{Cell, UnsafeCell};

use gopark_poll::Timers;

use crate::counters::{self, Counters};
use crate::g::G;
use crate::gqueue::{GList, GQueue};
use crate::m::M;
pub(crate) use crate::p_status::PStatus;
use crate::p_status::StatusWord;
use crate::runq::{CAPACITY, RunQueue};
use crate::sched::SCHED;

/// How many times in a row `runnext` may be run before it goes to the tail.
///
/// Go relies on preemption to break up a pair that readies each other for ever; we have none. Three is tokio's
/// bound for the same slot.
const RUNNEXT_STREAK_MAX: u32 = 3;

/// The most that are taken from the global queue after yields, and the most yields between two looks at it.
pub(crate) const YIELD_BATCH: usize = 32;

/// The fewest ticks between two polls of a busy P. Go leaves that to sysmon, 10 ms late.
const POLL_TICKS: u32 = 64;

/// A dead goroutine cache longer than this spills half to the global one. Go: gfput's 64 and 32.
const GFREE_MAX: usize = 64;

/// How many goroutine ids a P takes at a time. Go: _GoidCacheBatch.
const GOID_BATCH: u64 = 16;

/// A processor: what an M must hold to run goroutines.
///
/// Go: runtime/runtime2.go p
#[doc(alias = "p")]
#[repr(align(128))]
pub(crate) struct P {
    pub(crate) id: u32,         // constant
    status: StatusWord,         // PStatus
    blocked: AtomicBool,        // sysmon: why it was marked Stuck
    schedtick: AtomicU32,       // the owner adds one at every execute; sysmon reads
    streak: Cell<u32>,          // owner: goroutines run through runnext in a row
    yields_seen: Cell<u64>,     // owner: the yields when the global queue was last looked at for them
    poll_at: Cell<u32>,         // owner: the tick at which the network is polled, busy or not
    pub(crate) m: AtomicPtr<M>, // the owner, or null; set by acquirep and releasep
    /// A goroutine made ready by the running one, to run next, or null. The owner swaps in and out, a thief may
    /// CAS it out.
    runnext: AtomicPtr<G>,
    pub(crate) runq: RunQueue<G>, // see runq
    pub(crate) timers: Timers,    // own lock
    gfree: UnsafeCell<GList>,     // owner
    ngfree: AtomicU32,            // length of gfree: the owner writes, anybody reads
    goid_base: Cell<u64>,         // owner: the first id of the current batch
    /// What the owner counts; see there.
    pub(crate) counters: Counters,
}

// SAFETY: see the module documentation.
unsafe impl Sync for P {}
// SAFETY: as above; a P is never moved once it is shared.
unsafe impl Send for P {}

impl P {
    pub(crate) fn new(id: u32) -> P {
        P {
            id,
            status: StatusWord::new(PStatus::Spare),
            blocked: AtomicBool::new(false),
            schedtick: AtomicU32::new(0),
            streak: Cell::new(0),
            yields_seen: Cell::new(0),
            poll_at: Cell::new(POLL_TICKS),
            m: AtomicPtr::new(std::ptr::null_mut()),
            runnext: AtomicPtr::new(std::ptr::null_mut()),
            runq: RunQueue::new(),
            timers: Timers::new(),
            gfree: UnsafeCell::new(GList::with_capacity(GFREE_MAX)),
            ngfree: AtomicU32::new(0),
            goid_base: Cell::new(0),
            counters: Counters::new(),
        }
    }

    #[inline]
    pub(crate) fn is(&self, status: PStatus) -> bool {
        self.status.is(status)
    }

    /// Of a stuck P: whether its thread was found blocked, rather than computing.
    pub(crate) fn was_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }

    pub(crate) fn status(&self) -> u32 {
        self.status.raw()
    }

    pub(crate) fn set_status(&self, status: PStatus) {
        self.status.set(status);
    }

    /// Running to Idle; false if sysmon made it Stuck. Holder only.
    pub(crate) fn transition_to_idle(&self) -> bool {
        self.status.leave_running(PStatus::Idle)
    }

    /// Running to Stuck, unless the P has changed hands. Under the scheduler lock.
    pub(crate) fn mark_stuck(&self, blocked: bool) -> bool {
        self.blocked.store(blocked, Ordering::Relaxed); // published with the status
        self.status.leave_running(PStatus::Stuck)
    }

    #[inline]
    pub(crate) fn schedtick(&self) -> u32 {
        self.schedtick.load(Ordering::Relaxed)
    }

    /// Counts one more goroutine run. Owner only.
    #[inline]
    pub(crate) fn tick(&self) {
        self.schedtick.store(self.schedtick.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// True if the network must be polled before more local work is run. Owner only.
    #[inline]
    pub(crate) fn poll_is_due(&self) -> bool {
        self.schedtick().wrapping_sub(self.poll_at.get()) < u32::MAX / 2
    }

    /// The network was polled: the next time is when all that is queued now has had its turn, but not before
    /// `POLL_TICKS`. Polling earlier would put new arrivals before old ones: a full queue moves its older half to the
    /// global queue, which waits until the local one is empty. (Measured at 1,000 connections with a poll every 64
    /// ticks: the slowest tenth got 0.8 of the mean rate, and p99 was 2.5 times the epoll loop's.) Owner only.
    #[inline]
    pub(crate) fn polled(&self) {
        let ticks = (self.runq.len() as u32).max(POLL_TICKS);
        self.poll_at.set(self.schedtick().wrapping_add(ticks));
    }

    /// A goroutine yields. Owner only.
    #[inline]
    pub(crate) fn yielded(&self) {
        counters::add(&self.counters.yields, 1);
    }

    /// Whether the global queue should come first now: everybody here has yielded once, or `YIELD_BATCH` have. Not at
    /// every yield: with a thousand that yield each would take the lock. Owner only.
    #[inline]
    pub(crate) fn take_yielded(&self) -> bool {
        let total = counters::read(&self.counters.yields);
        let yields = total.wrapping_sub(self.yields_seen.get()) as usize;
        let due = yields > 0 && (yields >= YIELD_BATCH || yields > self.runq.len());
        if due {
            self.yields_seen.set(total);
        }
        due
    }

    /// Puts `gp` into the `runnext` slot; who was there goes to the tail. True if something went to the queue, for
    /// which another M may have to be woken: never for `runnext` alone, which the owner will run in a moment.
    ///
    /// Owner only. A stuck owner does not come back to its queue, so there the goroutine goes to the global one.
    #[inline]
    pub(crate) fn runqput_next(&self, gp: &'static G) -> bool {
        if self.is(PStatus::Stuck) {
            SCHED.globrunqput(gp);
            return true;
        }
        // AcqRel: publishes gp to a thief's CAS, and takes over what the previous owner of the slot wrote.
        let old = self.runnext.swap(gp.as_ptr(), Ordering::AcqRel);
        if old.is_null() {
            return false;
        }
        // SAFETY: the slot holds goroutines only.
        self.runqput(unsafe { G::from_ptr(old) });
        true
    }

    /// Puts `gp` at the tail of the local queue; half of a full queue moves to the global one. Owner only.
    #[inline]
    pub(crate) fn runqput(&self, gp: &'static G) {
        if !self.runq.push_back(gp.as_ptr()) {
            self.runqputslow(gp);
        }
    }

    /// Go: runtime/proc.go runqputslow.
    #[cold]
    #[inline(never)]
    fn runqputslow(&self, gp: &'static G) {
        let mut half = [std::ptr::null_mut(); CAPACITY / 2];
        let n = self.runq.take_half(&mut half);
        if n == 0 && self.runq.push_back(gp.as_ptr()) {
            return; // a thief made room
        }
        // SAFETY: run queues hold goroutines only, and these are now ours.
        let older = half[..n].iter().map(|&old| unsafe { G::from_ptr(old) });
        SCHED.globrunqputbatch(older.chain([gp]));
    }

    /// Takes the next goroutine to run: `runnext`, else the head of the queue. Owner only.
    #[inline]
    pub(crate) fn runqget(&self) -> Option<&'static G> {
        let next = self.runnext.load(Ordering::Relaxed);
        if !next.is_null()
            // Acquire: pairs with the swap that put it there (possibly by a former owner of this P).
            && self
                .runnext
                .compare_exchange(next, std::ptr::null_mut(), Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
        {
            // SAFETY: the slot holds goroutines only.
            let next = unsafe { G::from_ptr(next) };
            if self.streak.get() < RUNNEXT_STREAK_MAX {
                self.streak.set(self.streak.get() + 1);
                return Some(next);
            }
            self.streak.set(0);
            if self.runq.is_empty() {
                return Some(next);
            }
            self.runqput(next);
        }
        self.streak.set(0);
        // SAFETY: as above.
        self.runq.pop_front().map(|gp| unsafe { G::from_ptr(gp) })
    }

    /// Takes `runnext` from somebody else's P.
    pub(crate) fn steal_runnext(&self) -> Option<&'static G> {
        let next = self.runnext.load(Ordering::Relaxed);
        if next.is_null() {
            return None;
        }
        // Acquire: pairs with the swap in runqput_next.
        let won =
            self.runnext.compare_exchange(next, std::ptr::null_mut(), Ordering::Acquire, Ordering::Relaxed);
        // SAFETY: the slot holds goroutines only.
        won.ok().map(|gp| unsafe { G::from_ptr(gp) })
    }

    pub(crate) fn has_runnext(&self) -> bool {
        !self.runnext.load(Ordering::Relaxed).is_null()
    }

    /// True if a thief would find work here: a `runnext` counts only where its owner is stuck.
    pub(crate) fn has_stealable(&self) -> bool {
        !self.runq.is_empty() || (self.is(PStatus::Stuck) && self.has_runnext())
    }

    /// The whole cache of dead goroutines, for a P that retires. Owner only.
    pub(crate) fn gfpurge(&self, into: &mut GList) {
        // SAFETY: the owner has exclusive access.
        into.append(unsafe { &mut *self.gfree.get() });
        self.ngfree.store(0, Ordering::Relaxed);
    }

    /// Everything runnable, for a P that retires. Owner only.
    pub(crate) fn drain(&self, into: &mut GQueue) {
        if let Some(gp) = self.steal_runnext() {
            into.push_back(gp);
        }
        while let Some(gp) = self.runq.pop_front() {
            // SAFETY: run queues hold goroutines only.
            into.push_back(unsafe { G::from_ptr(gp) });
        }
    }

    /// Takes a dead goroutine from the cache. Owner only.
    #[inline]
    pub(crate) fn gfget(&self) -> Option<&'static G> {
        // SAFETY: the owner has exclusive access.
        let gfree = unsafe { &mut *self.gfree.get() };
        let gp = gfree.pop()?;
        if let Some(next) = gfree.last() {
            next.prefetch_entry();
        }
        self.ngfree.store(gfree.len() as u32, Ordering::Relaxed);
        Some(gp)
    }

    /// Fills the empty cache from the global one. Owner only.
    pub(crate) fn gfrefill(&self, from: &mut GList) {
        // SAFETY: the owner has exclusive access.
        let gfree = unsafe { &mut *self.gfree.get() };
        gfree.extend(from.drain(from.len().saturating_sub(GFREE_MAX / 2)..));
        self.ngfree.store(gfree.len() as u32, Ordering::Relaxed);
    }

    /// Puts a dead goroutine, most recently used first, into the cache. Owner only.
    #[inline]
    pub(crate) fn gfput(&self, gp: &'static G) {
        // SAFETY: the owner has exclusive access.
        let gfree = unsafe { &mut *self.gfree.get() };
        gfree.push(gp);
        if gfree.len() >= GFREE_MAX {
            self.gfspill(GFREE_MAX / 2);
        }
        self.ngfree.store(gfree.len() as u32, Ordering::Relaxed);
    }

    /// Moves dead goroutines beyond `keep`, the coldest, to the global cache. Owner only.
    #[cold]
    pub(crate) fn gfspill(&self, keep: usize) {
        // SAFETY: the owner has exclusive access.
        let gfree = unsafe { &mut *self.gfree.get() };
        // What was used last is the warmest and is taken first, here and from the global cache: a crowd of the past
        // must not make every new goroutine start on a cold stack.
        let cold = gfree.len().saturating_sub(keep);
        let mut s = SCHED.lock();
        s.gfree.extend(gfree.drain(..cold));
        // Under the lock: who counts the goroutines holds it, and must not find these in both places.
        self.ngfree.store(gfree.len() as u32, Ordering::Relaxed);
    }

    pub(crate) fn ngfree(&self) -> usize {
        self.ngfree.load(Ordering::Relaxed) as usize
    }

    /// The id of a goroutine that is about to be started, which it counts. Owner only.
    #[inline]
    pub(crate) fn next_goid(&self) -> u64 {
        let created = counters::read(&self.counters.created);
        if created.is_multiple_of(GOID_BATCH) {
            self.goid_base.set(SCHED.goidgen.fetch_add(GOID_BATCH, Ordering::Relaxed));
        }
        counters::add(&self.counters.created, 1);
        self.goid_base.get() + created % GOID_BATCH
    }
}
