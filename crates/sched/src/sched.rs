//! What all Ms share. Go: runtime/runtime2.go schedt.
//!
//! # Safety
//! Ps are published once, whole, and never freed.
#![allow(unsafe_code)]

use gopark_sys::loom::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::io::Write;
use std::sync::OnceLock;

use gopark_poll::Timers;
use gopark_sys::note::Note;
use gopark_sys::stack::StackPool;
use parking_lot::{Mutex, MutexGuard};

use crate::g::G;
use crate::gqueue::{GList, GQueue};
use crate::m::M;
use crate::p::{P, PStatus};
use crate::rt::Config;
use crate::stacks::{Lists, Stacks};
use crate::wake::Wake;

/// The largest GOMAXPROCS. Go has no limit; 1,024 is what its own test starts.
pub(crate) const MAX_PROCS: usize = 1024;

/// How many Ps compensation may add at most. design: beyond that a stuck P stays uncompensated.
pub(crate) const MAX_COMPENSATING: usize = 512;

/// The scheduler of this process.
pub(crate) static SCHED: Sched = Sched::new();

/// State shared by all Ms. Fields without a comment are constant after start.
///
/// Go: runtime/runtime2.go schedt
#[doc(alias = "schedt")]
pub(crate) struct Sched {
    lock: Mutex<Synced>,
    /// Length of the global queue: written under the lock, read without it as a hint.
    runqsize: AtomicUsize,
    pub(crate) wake: Wake,
    /// Every P ever made, in order of id. Grows under the lock; entries never change once set.
    allp: [AtomicPtr<P>; MAX_PROCS + MAX_COMPENSATING],
    nallp: AtomicUsize,
    /// One more than the highest id of a P that is not spare: what thieves and sysmon look through. Written under the
    /// lock.
    nlive: AtomicUsize,
    /// The same as `Synced::active`, for a look without the lock.
    nactive: AtomicUsize,
    /// GOMAXPROCS; written under the lock.
    procs: AtomicU32,
    /// More Ps are active than may be: GOMAXPROCS was lowered while some were being handed over. For sysmon.
    pub(crate) surplus: AtomicBool,
    /// Timers of callers without a P.
    pub(crate) timers: Timers,
    /// Next goroutine id to hand to a P, in batches.
    pub(crate) goidgen: AtomicU64,
    /// Ends sysmon's deep sleep; see Synced::sysmonwait.
    pub(crate) sysmonnote: Note,
    /// True once shutdown began: no new goroutines.
    pub(crate) stopping: AtomicBool,
    /// Goroutines that run without a P because of their habit; see `habit`.
    pub(crate) alone: AtomicU32,
    /// True once goroutines may be started: set last.
    started: AtomicBool,
    /// Starting threads fails; for tests.
    pub(crate) refuse_threads: AtomicBool,
    /// True once the failure to start a thread was logged.
    thread_failure_logged: AtomicBool,
    config: OnceLock<Config>,
    pub(crate) stacks: Stacks,
}

/// What the scheduler lock guards.
pub(crate) struct Synced {
    /// The global run queue.
    pub(crate) runq: GQueue,
    /// Dead goroutines beyond what the Ps cache, most recently used last.
    pub(crate) gfree: GList,
    /// Idle Ms, the most recently used last.
    pub(crate) midle: Vec<&'static M>,
    /// How often an idle M was woken.
    pub(crate) mwakes: u64,
    /// How many Ms there are (started, or about to be).
    pub(crate) mcount: u32,
    /// Those whose thread has ended, for the next one.
    pub(crate) mdead: Vec<&'static M>,
    /// The fewest idle Ms since sysmon last looked: so many were not needed.
    pub(crate) midle_low: usize,
    /// Idle Ps, the most recently used last.
    pub(crate) pidle: Vec<&'static P>,
    /// Ps that are not in use: see PStatus::Spare.
    pub(crate) pspare: Vec<&'static P>,
    /// Running and idle Ps: GOMAXPROCS, except for the moment between a change and its settling. See `set_active`.
    pub(crate) active: usize,
    /// Stuck Ps.
    pub(crate) stuck: usize,
    /// True while sysmon sleeps until a P becomes busy.
    pub(crate) sysmonwait: bool,
    /// The same for stacks of other sizes, and how far all of it is in use.
    pub(crate) lists: Lists,
    /// How many goroutines have a stack: those that exist, and the dead ones on the free lists.
    pub(crate) gcount: usize,
}

impl Sched {
    const fn new() -> Sched {
        Sched {
            lock: Mutex::new(Synced {
                runq: GQueue::new(),
                gfree: GList::new(),
                midle: Vec::new(),
                mwakes: 0,
                mcount: 0,
                mdead: Vec::new(),
                midle_low: 0,
                pidle: Vec::new(),
                pspare: Vec::new(),
                active: 0,
                stuck: 0,
                sysmonwait: false,
                lists: Lists::new(),
                gcount: 0,
            }),
            runqsize: AtomicUsize::new(0),
            wake: Wake::new(),
            allp: [const { AtomicPtr::new(std::ptr::null_mut()) }; MAX_PROCS + MAX_COMPENSATING],
            nallp: AtomicUsize::new(0),
            nlive: AtomicUsize::new(0),
            nactive: AtomicUsize::new(0),
            procs: AtomicU32::new(0),
            surplus: AtomicBool::new(false),
            timers: Timers::new(),
            goidgen: AtomicU64::new(1),
            sysmonnote: Note::new(),
            stopping: AtomicBool::new(false),
            alone: AtomicU32::new(0),
            started: AtomicBool::new(false),
            refuse_threads: AtomicBool::new(false),
            thread_failure_logged: AtomicBool::new(false),
            config: OnceLock::new(),
            stacks: Stacks::new(),
        }
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, Synced> {
        self.lock.lock()
    }

    /// Fixes the configuration; false if somebody was first.
    pub(crate) fn init(&self, config: Config, stacks: StackPool) -> bool {
        let procs = config.max_procs;
        if !self.stacks.set_default(stacks) {
            return false;
        }
        let mut s = self.lock();
        self.procs.store(procs as u32, Ordering::Relaxed);
        for _ in 0..procs {
            let Some(pp) = crate::compensate::publish(&mut s) else { break };
            crate::m::pidleput(&mut s, pp);
        }
        drop(s);
        self.config.set(config).is_ok()
    }

    pub(crate) fn is_started(&self) -> bool {
        self.started.load(Ordering::Acquire) // pairs with set_started
    }

    /// Lets goroutines in. A thread that tries all the time must not get one in before there is a poller: it would be
    /// run at once.
    pub(crate) fn set_started(&self) {
        self.started.store(true, Ordering::Release); // publishes what start has done
    }

    pub(crate) fn config(&self) -> Option<&Config> {
        self.config.get()
    }

    pub(crate) fn max_threads(&self) -> usize {
        self.config.get().map_or(usize::MAX, |c| c.max_threads)
    }

    /// GOMAXPROCS.
    #[inline]
    pub(crate) fn procs(&self) -> u32 {
        self.procs.load(Ordering::Relaxed)
    }

    /// Sets GOMAXPROCS; returns what it was.
    pub(crate) fn set_procs(&self, _s: &mut Synced, procs: u32) -> u32 {
        self.procs.swap(procs, Ordering::Relaxed)
    }

    /// Sets how many Ps run or are idle.
    pub(crate) fn set_active(&self, s: &mut Synced, active: usize) {
        s.active = active;
        self.nactive.store(active, Ordering::Relaxed);
    }

    /// Whether all Ps are idle and nothing is queued, as a hint.
    pub(crate) fn seems_idle(&self) -> bool {
        self.wake.npidle() as usize == self.nactive.load(Ordering::Relaxed) && self.runqsize() == 0
    }

    /// How many Ps were ever made; they have the ids below it.
    #[inline]
    pub(crate) fn nallp(&self) -> usize {
        self.nallp.load(Ordering::Acquire) // pairs with spare_p's store: the entries below are set
    }

    /// The P with this id.
    #[inline]
    pub(crate) fn p(&self, id: usize) -> &'static P {
        let pp = self.allp[id].load(Ordering::Acquire); // pairs with spare_p's store
        // SAFETY: ids below nallp are set, to Ps that are never freed.
        unsafe { &*pp }
    }

    pub(crate) fn all_ps(&self) -> impl Iterator<Item = &'static P> + '_ {
        (0..self.nallp()).map(|id| self.p(id))
    }

    /// Every P that is not spare, and some that are. What is in a P can only be found if the P is among these.
    pub(crate) fn live_ps(&self) -> impl Iterator<Item = &'static P> + '_ {
        (0..self.nlive()).map(|id| self.p(id))
    }

    /// How many of the first Ps are to be looked through for all that is in any P.
    #[inline]
    pub(crate) fn nlive(&self) -> usize {
        self.nlive.load(Ordering::Acquire) // pairs with take_spare's store: the entries below are set
    }

    /// A P nobody uses, made if need be; none if the table is full. The one with the lowest id: who looks through all
    /// should find them close together again after a crowd.
    pub(crate) fn take_spare(&self, s: &mut Synced) -> Option<&'static P> {
        let lowest = s.pspare.iter().enumerate().min_by_key(|(_, pp)| pp.id).map(|(i, _)| i);
        let pp = match lowest {
            Some(i) => s.pspare.swap_remove(i),
            None => self.new_p()?,
        };
        let live = self.nlive.load(Ordering::Relaxed).max(pp.id as usize + 1);
        self.nlive.store(live, Ordering::Release); // pairs with `nlive`
        Some(pp)
    }

    fn new_p(&self) -> Option<&'static P> {
        let id = self.nallp.load(Ordering::Relaxed);
        if id == self.allp.len() {
            return None;
        }
        let pp: &'static P = Box::leak(Box::new(P::new(id as u32)));
        self.allp[id].store(std::ptr::from_ref(pp).cast_mut(), Ordering::Release); // pairs with `p`
        self.nallp.store(id + 1, Ordering::Release); // pairs with `nallp`
        Some(pp)
    }

    /// Keeps a P that nobody uses any more, and in which nothing is left.
    pub(crate) fn put_spare(&self, s: &mut Synced, pp: &'static P) {
        pp.set_status(PStatus::Spare);
        s.pspare.push(pp);
        let mut live = self.nlive.load(Ordering::Relaxed);
        while live > 1 && self.p(live - 1).is(PStatus::Spare) {
            live -= 1;
        }
        self.nlive.store(live, Ordering::Release); // pairs with `nlive`
    }

    /// Length of the global queue, as a hint.
    #[inline]
    pub(crate) fn runqsize(&self) -> usize {
        // Pairs with globrunqget: who finds the queue empty sees the local queue that its goroutines went to.
        self.runqsize.load(Ordering::Acquire)
    }

    /// Puts one goroutine at the tail of the global queue.
    pub(crate) fn globrunqput(&self, gp: &'static G) {
        self.globrunqput_locked(&mut self.lock(), gp);
    }

    pub(crate) fn globrunqput_locked(&self, s: &mut Synced, gp: &'static G) {
        s.runq.push_back(gp);
        self.runqsize.store(s.runq.len(), Ordering::Relaxed);
    }

    /// Moves a batch to the tail of the global queue.
    pub(crate) fn globrunqputbatch(&self, batch: impl IntoIterator<Item = &'static G>) {
        let mut s = self.lock();
        self.globrunqputbatch_locked(&mut s, batch);
    }

    pub(crate) fn globrunqputbatch_locked(
        &self,
        s: &mut Synced,
        batch: impl IntoIterator<Item = &'static G>,
    ) {
        s.runq.extend(batch);
        self.runqsize.store(s.runq.len(), Ordering::Relaxed);
    }

    /// Takes goroutines from the global queue: one to run, up to `max - 1` more for `pp`'s local queue, a fair share
    /// at most.
    ///
    /// Go: runtime/proc.go globrunqget, globrunqgetbatch.
    pub(crate) fn globrunqget(&self, s: &mut Synced, pp: &P, max: usize) -> Option<&'static G> {
        let size = s.runq.len();
        let first = s.runq.pop_front()?;
        let share = size / (self.procs() as usize).max(1) + 1;
        for _ in 1..share.min(max).min(size) {
            let Some(gp) = s.runq.pop_front() else { break };
            pp.runqput(gp); // local room: the caller's queue is empty or it asked for one
        }
        self.runqsize.store(s.runq.len(), Ordering::Release); // pairs with runqsize
        Some(first)
    }

    /// How many goroutines exist: those that have a stack, less those on free lists. A snapshot.
    pub(crate) fn gcount(&self) -> usize {
        gopark_sys::fork::check();
        let s = self.lock();
        s.gcount.saturating_sub(self.gfree_len(&s))
    }

    /// How many finished goroutines are kept.
    pub(crate) fn gfree_len(&self, s: &Synced) -> usize {
        s.gfree.len() + s.lists.len() + self.all_ps().map(P::ngfree).sum::<usize>()
    }

    /// The error that a test wants in place of a thread.
    pub(crate) fn may_start_thread(&self) -> std::io::Result<()> {
        if self.refuse_threads.load(Ordering::Relaxed) {
            return Err(std::io::Error::other("refused by a test"));
        }
        Ok(())
    }

    /// Says once, on standard error, that a thread could not be started.
    pub(crate) fn log_once_thread_failed(&self, err: &std::io::Error) {
        if !self.thread_failure_logged.swap(true, Ordering::Relaxed) {
            // Not eprintln: it panics if standard error is a closed pipe, and this may be g0.
            let _ = writeln!(
                std::io::stderr(),
                "gopark: cannot start another thread ({err}); going on with those there are. \
                 Raise the limit (ulimit -u, pids.max, kernel.threads-max) if goroutines must block in parallel."
            );
        }
    }
}
