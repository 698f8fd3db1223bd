//! M: a thread of the operating system that runs goroutines. Its own stack is g0, where the scheduler runs.
//!
//! # Safety
//! The plain cells of an `M` belong to its thread, except `nextp` and `spinning` while the M is idle or not yet
//! started: then they belong to whoever took it from the idle list, until the note is woken (or the thread started),
//! which is the release/acquire pair of the hand-over. Ms are never freed.
#![allow(unsafe_code)]

use gopark_sys::loom::atomic::{AtomicU32, Ordering};
use std::cell::{Cell, UnsafeCell};
use std::sync::OnceLock;

use gopark_poll::ReadyList;
use gopark_sys::note::Note;
use gopark_sys::thread::ThreadClock;

use crate::g::G;
use crate::gqueue::GQueue;
use crate::p::{P, PStatus};
use crate::sched::{SCHED, Synced};

/// Room for what a poll or a check of timers brings, kept so that neither allocates.
pub(crate) struct Batch {
    pub(crate) ready: ReadyList,
    pub(crate) list: GQueue,
}

/// A thread that runs goroutines.
///
/// Go: runtime/runtime2.go m
#[doc(alias = "m")]
pub(crate) struct M {
    pub(crate) curg: Cell<Option<&'static G>>, // the thread: the goroutine it runs
    pub(crate) p: Cell<Option<&'static P>>,    // the thread
    pub(crate) nextp: Cell<Option<&'static P>>, // see the module documentation
    pub(crate) spinning: Cell<bool>,           // see the module documentation
    pub(crate) budget: Cell<u32>,              // the thread: operations left before a yield
    rand: Cell<u32>,                           // the thread
    polls: Cell<u64>,                          // the thread: how often it polled the network
    batch: UnsafeCell<Batch>,                  // the thread, on g0
    pub(crate) note: Note,                     // wakes the idle M
    clock: OnceLock<ThreadClock>,              // set once by the thread; sysmon reads
}

// SAFETY: see the module documentation.
unsafe impl Sync for M {}
// SAFETY: as above.
unsafe impl Send for M {}

/// The M of the calling thread; none on a thread that is not ours.
///
/// The value holds until the next switch only: after a park the goroutine may be on another thread.
#[inline]
pub(crate) fn getm() -> Option<&'static M> {
    let mp = gopark_sys::tls::current_m().cast::<M>();
    // SAFETY: only mstart sets the word, to an M, which is never freed.
    unsafe { mp.as_ref() }
}

/// The goroutine that calls; none on a plain thread or g0. Go: getg().m.curg.
#[inline]
pub(crate) fn getg() -> Option<&'static G> {
    getm().and_then(|mp| mp.curg.get())
}

/// A cheap random number, on a thread that is not ours too.
#[inline]
pub(crate) fn cheaprand() -> u32 {
    match getm() {
        Some(mp) => mp.rand(),
        None => rand_elsewhere(),
    }
}

#[cold]
fn rand_elsewhere() -> u32 {
    static SEED: AtomicU32 = AtomicU32::new(1);
    // A Weyl sequence, and the end of splitmix32 to hide that it is one.
    let mut x = SEED.fetch_add(0x9e37_79b9, Ordering::Relaxed);
    x = (x ^ (x >> 16)).wrapping_mul(0x21f0_aaad);
    x = (x ^ (x >> 15)).wrapping_mul(0x735a_2d97);
    x ^ (x >> 15)
}

impl M {
    fn new(id: u32) -> M {
        M {
            curg: Cell::new(None),
            p: Cell::new(None),
            nextp: Cell::new(None),
            spinning: Cell::new(false),
            budget: Cell::new(0),
            polls: Cell::new(0),
            rand: Cell::new(id.wrapping_mul(0x9e37_79b9) | 1),
            batch: UnsafeCell::new(Batch { ready: ReadyList::new(), list: GQueue::with_capacity(256) }),
            note: Note::new(),
            clock: OnceLock::new(),
        }
    }

    pub(crate) fn as_input(&'static self) -> *mut () {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    pub(crate) fn clock(&self) -> Option<&ThreadClock> {
        self.clock.get()
    }

    /// A cheap random number (xorshift32).
    ///
    /// Go: runtime/rand.go cheaprand
    #[doc(alias = "cheaprand")]
    #[inline]
    pub(crate) fn rand(&self) -> u32 {
        let mut x = self.rand.get();
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        self.rand.set(x);
        x
    }

    /// Counts a poll; returns how many there were before.
    pub(crate) fn polls(&self) -> u64 {
        self.polls.replace(self.polls.get() + 1)
    }

    /// Lends the M's batch, empty. Only on g0, and not nested.
    pub(crate) fn with_batch<R>(&self, f: impl FnOnce(&mut Batch) -> R) -> R {
        // SAFETY: one thread, one borrow at a time: callers are on g0 and no callback of theirs comes back here.
        let batch = unsafe { &mut *self.batch.get() };
        debug_assert!(batch.ready.is_empty() && batch.list.is_empty());
        f(batch)
    }
}

/// Binds the unbound `pp` to the calling M.
///
/// The status comes before the owner: sysmon marks only Ps that have an owner.
///
/// Go: runtime/proc.go acquirep.
pub(crate) fn acquirep(mp: &'static M, pp: &'static P) {
    if mp.p.get().is_some() || !pp.m.load(Ordering::Relaxed).is_null() || !pp.is(PStatus::Idle) {
        gopark_sys::throw!("acquirep: M or P already bound");
    }
    mp.p.set(Some(pp));
    pp.set_status(PStatus::Running);
    pp.m.store(std::ptr::from_ref(mp).cast_mut(), Ordering::Release); // pairs with sysmon's load
}

/// Unbinds the P of the calling M. None if there is none to be had any more: sysmon had taken the M for stuck, its
/// place was filled meanwhile, and the P has retired. Takes the scheduler lock in that case.
///
/// Go: runtime/proc.go releasep.
pub(crate) fn releasep(mp: &'static M) -> Option<&'static P> {
    let Some(pp) = mp.p.take() else { gopark_sys::throw!("releasep: no P") };
    pp.m.store(std::ptr::null_mut(), Ordering::Release); // pairs with sysmon's load
    if pp.transition_to_idle() {
        return Some(pp);
    }
    crate::compensate::retire_stuck(pp);
    None
}

/// Starts an M for `pp`: an idle one, or a new thread. `spinning`: it is already counted as a searcher.
///
/// Must not hold the scheduler lock. When no thread can be had the P goes back to the idle list and the work waits
/// for the Ms there are.
///
/// Go: runtime/proc.go startm.
pub(crate) fn startm(pp: &'static P, spinning: bool) {
    let mut s = SCHED.lock();
    if let Some(mp) = s.midle.pop() {
        s.mwakes += 1;
        drop(s);
        return wake_m(mp, pp, spinning);
    }
    // The id is taken under the lock, so that a count of the Ms never misses one that is about to start.
    let id = s.mcount;
    s.mcount += 1;
    let limit = SCHED.max_threads();
    drop(s);
    if id as usize >= limit {
        gopark_sys::throw!("program exceeds {limit}-thread limit\nfatal error: thread exhaustion");
    }
    newm(id, pp, spinning);
}

/// Hands `pp` to an M that was taken from the idle list.
fn wake_m(mp: &'static M, pp: &'static P, spinning: bool) {
    mp.nextp.set(Some(pp));
    mp.spinning.set(spinning);
    mp.note.wakeup();
}

/// Go: runtime/proc.go newm.
#[cold]
fn newm(id: u32, pp: &'static P, spinning: bool) {
    let mp = Box::new(M::new(id));
    mp.nextp.set(Some(pp));
    mp.spinning.set(spinning);
    // Leaked by the thread: if that cannot be had the M is dropped with the closure.
    let started = gopark_sys::thread::spawn(format!("gopark-m{id}"), move || mstart(Box::leak(mp)));
    if let Err(err) = started {
        thread_failed(pp, spinning);
        SCHED.log_once_thread_failed(&err);
    }
}

/// No thread could be had for `pp`: the Ms there are must do without.
#[cold]
fn thread_failed(pp: &'static P, spinning: bool) {
    let mut s = SCHED.lock();
    s.mcount -= 1;
    if let Some(mp) = s.midle.pop() {
        drop(s);
        return wake_m(mp, pp, spinning);
    }
    // What is queued on an idle P nobody would look for; at the global queue everybody looks before going to sleep.
    let mut list = GQueue::new();
    pp.drain(&mut list);
    SCHED.globrunqputbatch_locked(&mut s, list);
    SCHED.wake.cancel_searcher(spinning);
    SCHED.wake.need_searcher();
    pidleput(&mut s, pp);
    drop(s);
    // And the one that sleeps in the poller, or is about to, must come back for it.
    gopark_poll::netpoll_break();
}

/// Ends the process if the thread of an M, or sysmon, unwinds: the panic hook has spoken, and what would be left is a
/// process that waits for ever for a P that nobody runs. (A panic of a goroutine ends at its base, far from here.)
pub(crate) struct NoUnwind;

impl Drop for NoUnwind {
    fn drop(&mut self) {
        gopark_sys::throw!("a panic in the scheduler");
    }
}

/// The first function of an M's thread.
///
/// Go: runtime/proc.go mstart.
fn mstart(mp: &'static M) {
    let _never = NoUnwind;
    gopark_sys::tls::set_current_m(mp.as_input());
    let _ = mp.clock.set(ThreadClock::new());
    let Some(pp) = mp.nextp.take() else { gopark_sys::throw!("mstart: no P") };
    acquirep(mp, pp);
    crate::proc::schedule(mp)
}

/// Puts the calling M, which holds no P, on the idle list and sleeps until somebody hands it a P.
///
/// Go: runtime/proc.go stopm.
pub(crate) fn stopm(mp: &'static M) {
    if mp.p.get().is_some() || mp.spinning.get() {
        gopark_sys::throw!("stopm: holding a P or spinning");
    }
    let mut s = SCHED.lock();
    // A P that we could not have may be idle again, because no thread could be started for it.
    if !s.runq.is_empty()
        && let Some(pp) = pidleget(&mut s)
    {
        drop(s);
        return acquirep(mp, pp);
    }
    s.midle.push(mp);
    drop(s);
    mp.note.sleep();
    mp.note.clear();
    let Some(pp) = mp.nextp.take() else { gopark_sys::throw!("stopm: woken without a P") };
    acquirep(mp, pp);
}

/// Puts an unbound P on the idle list.
///
/// Go: runtime/proc.go pidleput.
pub(crate) fn pidleput(s: &mut Synced, pp: &'static P) {
    if !pp.is(PStatus::Idle) {
        gopark_sys::throw!("pidleput: P {} has status {}", pp.id, pp.status());
    }
    s.pidle.push(pp);
    SCHED.wake.p_became_idle();
}

/// Takes a P from the idle list: the one most recently used.
///
/// Go: runtime/proc.go pidleget.
pub(crate) fn pidleget(s: &mut Synced) -> Option<&'static P> {
    let pp = s.pidle.pop()?;
    SCHED.wake.p_left_idle();
    // The first P to leave a fully idle process ends sysmon's deep sleep. Both sides hold the scheduler lock.
    if s.sysmonwait {
        s.sysmonwait = false;
        crate::coarse::set(crate::rt::nanotime()); // sysmon has not kept it
        SCHED.sysmonnote.wakeup();
    }
    Some(pp)
}
