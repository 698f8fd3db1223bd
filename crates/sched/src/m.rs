//! M: a thread of the operating system that runs goroutines. Its own stack is g0, where the scheduler runs.
//!
//! # Safety
//! The plain cells of an `M` belong to its thread, except `nextp` and `spinning` while the M is idle or not yet
//! started: then they belong to whoever took it from the idle list, until the note is woken (or the thread started),
//! which is the release/acquire pair of the hand-over. Ms are never freed; one whose thread has ended belongs to the
//! list of those, until it gets another.
#![allow(unsafe_code)]

use gopark_sys::loom::atomic::{AtomicU32, Ordering};
use std::cell::{Cell, UnsafeCell};

use gopark_poll::ReadyList;
use gopark_sys::note::Note;
use gopark_sys::thread::ThreadClock;
use parking_lot::{Mutex, MutexGuard};

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
    pub(crate) quit: Cell<bool>,               // the thread: it has to end
    pub(crate) budget: Cell<u32>,              // the thread: operations left before a yield
    rand: Cell<u32>,                           // the thread
    polls: Cell<u64>,                          // the thread: how often it polled the network
    batch: UnsafeCell<Batch>,                  // the thread, on g0
    pub(crate) note: Note,                     // wakes the idle M
    clock: Mutex<Option<ThreadClock>>,         // set by each thread it is; sysmon reads
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
            quit: Cell::new(false),
            budget: Cell::new(0),
            polls: Cell::new(0),
            rand: Cell::new(id.wrapping_mul(0x9e37_79b9) | 1),
            batch: UnsafeCell::new(Batch { ready: ReadyList::new(), list: GQueue::with_capacity(256) }),
            note: Note::new(),
            clock: Mutex::new(None),
        }
    }

    pub(crate) fn as_input(&'static self) -> *mut () {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    pub(crate) fn clock(&self) -> MutexGuard<'_, Option<ThreadClock>> {
        self.clock.lock()
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
        s.midle_low = s.midle_low.min(s.midle.len());
        drop(s);
        return wake_m(mp, pp, spinning);
    }
    s.midle_low = 0;
    // It is counted under the lock, so that a count of the Ms never misses one that is about to start.
    let n = s.mcount;
    s.mcount += 1;
    let limit = SCHED.max_threads();
    let old = s.mdead.pop();
    drop(s);
    if n as usize >= limit {
        gopark_sys::throw!("program exceeds {limit}-thread limit\nfatal error: thread exhaustion");
    }
    newm(n, old, pp, spinning);
}

/// Hands `pp` to an M that was taken from the idle list.
fn wake_m(mp: &'static M, pp: &'static P, spinning: bool) {
    mp.nextp.set(Some(pp));
    mp.spinning.set(spinning);
    mp.note.wakeup();
}

/// An M that is about to get a thread, and a P.
pub(crate) struct NewM {
    mp: &'static M,
    /// Of its thread's name.
    number: u32,
    pp: &'static P,
    spinning: bool,
}

/// Starts the thread of an M: `old`, whose own has ended, or a new one.
///
/// Go: runtime/proc.go newm.
#[cold]
fn newm(number: u32, old: Option<&'static M>, pp: &'static P, spinning: bool) {
    let mp = old.unwrap_or_else(|| Box::leak(Box::new(M::new(number))));
    if let Some(new) = crate::os_thread::template::take_over(NewM { mp, number, pp, spinning }) {
        new.start();
    }
}

impl NewM {
    /// Starts the thread.
    ///
    /// Go: runtime/proc.go newm1.
    pub(crate) fn start(self) {
        let NewM { mp, number, pp, spinning } = self;
        mp.nextp.set(Some(pp));
        mp.spinning.set(spinning);
        let started = SCHED
            .may_start_thread()
            .and_then(|()| gopark_sys::thread::spawn(format!("gopark-m{number}"), move || mstart(mp)));
        if let Err(err) = started {
            mp.nextp.set(None);
            mp.spinning.set(false);
            thread_failed(mp, pp, spinning);
            SCHED.log_once_thread_failed(&err);
        }
    }
}

/// No thread could be had for `pp`: the Ms there are must do without.
#[cold]
fn thread_failed(mp: &'static M, pp: &'static P, spinning: bool) {
    let mut s = SCHED.lock();
    s.mcount -= 1;
    s.mdead.push(mp);
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

/// The first function of an M's thread. It ends when the M is one too many, or a goroutine that was locked to the
/// thread has left it behind.
///
/// Go: runtime/proc.go mstart, mexit.
#[doc(alias = "mexit")]
fn mstart(mp: &'static M) {
    let never = NoUnwind;
    gopark_sys::tls::set_current_m(mp.as_input());
    *mp.clock.lock() = Some(ThreadClock::new());
    let Some(pp) = mp.nextp.take() else { gopark_sys::throw!("mstart: no P") };
    acquirep(mp, pp);
    crate::proc::schedule(mp);
    // What the thread still does, its thread-locals' destructors above all, it does as a plain thread.
    gopark_sys::tls::set_current_m(std::ptr::null_mut());
    std::mem::forget(never);
    *mp.clock.lock() = None;
    let mut s = SCHED.lock();
    s.mcount -= 1;
    s.mdead.push(mp); // from here on it is somebody else's
}

/// What an M that slept has to do.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Stopped {
    /// Go on: it holds a P.
    WithP,
    /// End its thread.
    Retire,
}

/// Puts the calling M, which holds no P, on the idle list and sleeps until somebody hands it a P, or has no use for it.
///
/// Go: runtime/proc.go stopm.
pub(crate) fn stopm(mp: &'static M) -> Stopped {
    if mp.p.get().is_some() || mp.spinning.get() {
        gopark_sys::throw!("stopm: holding a P or spinning");
    }
    if mp.quit.replace(false) {
        return Stopped::Retire;
    }
    let mut s = SCHED.lock();
    // A P that we could not have may be idle again, because no thread could be started for it.
    if !s.runq.is_empty()
        && let Some(pp) = pidleget(&mut s)
    {
        drop(s);
        acquirep(mp, pp);
        return Stopped::WithP;
    }
    s.midle.push(mp);
    drop(s);
    mp.note.sleep();
    mp.note.clear();
    let Some(pp) = mp.nextp.take() else { return Stopped::Retire };
    acquirep(mp, pp);
    Stopped::WithP
}

/// How many idle Ms are kept for ever: as many as there are Ps, to start them all at once, and some for goroutines that
/// block.
fn midle_kept() -> usize {
    SCHED.procs() as usize + 4
}

/// Ends the threads of idle Ms that were not needed since the last call, all but the few that are always kept; of many
/// only a half, since a program that blocked often enough to need them will again. `all`: nothing has happened at all,
/// and the rest ends too.
///
/// Go keeps its threads for ever (golang/go#14592).
///
/// Called by sysmon. Returns whether there are more to come.
pub(crate) fn retire_idle_ms(all: bool) -> bool {
    let mut s = SCHED.lock();
    let low = if all { s.midle.len() } else { s.midle_low };
    let surplus = low.min(s.midle.len()).saturating_sub(midle_kept());
    let n = if all { surplus } else { surplus.div_ceil(2) };
    // The ones at the front have slept longest. Without a P in their hands they retire.
    let gone: Vec<_> = s.midle.drain(..n).collect();
    s.midle_low = s.midle.len();
    let more = s.midle.len() > midle_kept();
    drop(s);
    for mp in gone {
        mp.note.wakeup();
    }
    more
}

/// Whether more Ms are idle than are kept.
pub(crate) fn idle_ms_to_retire() -> bool {
    SCHED.lock().midle.len() > midle_kept()
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
    end_deep_sleep(s); // it may be the first to leave a fully idle process
    Some(pp)
}

/// Wakes sysmon if it sleeps because all Ps are idle, which will not be so any more. Both sides hold the scheduler
/// lock.
pub(crate) fn end_deep_sleep(s: &mut Synced) {
    if s.sysmonwait {
        s.sysmonwait = false;
        crate::coarse::set(crate::rt::nanotime()); // sysmon has not kept it
        SCHED.sysmonnote.wakeup();
    }
}
