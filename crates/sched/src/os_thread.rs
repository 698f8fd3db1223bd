//! Goroutines that must stay on their thread: because they asked for it, or while the thread unwinds.
//!
//! A goroutine that is *wired* never suspends. What would park or put it aside (waiting, yielding, the end of its
//! budget) gives the P of its thread away and has the thread itself wait, on a note, as a plain thread would; see
//! `park::wired_park`. From then on it runs without a P, beside the goroutines that have one, until it is not wired any
//! more: then it waits for its turn like one that comes back from `blocking`. So nobody ever has to find the one thread
//! that may run a goroutine, no run queue knows of wired ones, and handing one the processor is a single wake-up. The
//! kernel shares the cores between it and the others.
//!
//! Go keeps a P for a locked goroutine: whoever takes it from a queue hands its own P over to the goroutine's thread
//! and goes to sleep, two switches between threads for each turn (golang/go#18023, #21827).
//!
//! A goroutine that ends while it is locked takes its thread along: what it has done to it (a namespace, a signal mask,
//! a user id) does not go on to whoever the thread would run next. Nor to threads that it starts: Linux gives a new
//! thread the state of the one that made it, and a locked one would be the maker of each that takes its P. So those are
//! made by a thread that never runs a goroutine, started with the first lock. Go: runtime/proc.go templateThread.

use std::marker::PhantomData;

use crate::g::G;
use crate::m::{M, getg, getm};

/// Wires the calling goroutine to its thread: no other goroutine runs there, and it runs on no other, until
/// [`unlock_os_thread`] was called as often.
///
/// For libraries and system calls with a state per thread: graphics contexts, `setns`, `prctl`, priorities, foreign
/// code with thread-locals. Waiting then costs what it costs a thread: a system call to sleep, one to be woken. A
/// goroutine that ends without unlocking ends its thread as well. Goroutines that it starts are not locked. On a thread
/// that is not a goroutine it does nothing: such a thread is its own.
///
/// A locked goroutine that has waited for something runs beside the others, not in turn with them: it does not count
/// towards GOMAXPROCS.
///
/// # Panics
/// If it is called 65,535 times without unlocking.
///
/// # Examples
/// ```no_run
/// # let _rt = unsafe { gopark_sched::Runtime::start().expect("start") };
/// gopark_sched::go(|| {
///     gopark_sched::lock_os_thread();
///     // Whatever this thread is turned into, it ends with the goroutine.
/// });
/// ```
///
/// Go: runtime.LockOSThread
#[doc(alias = "LockOSThread")]
pub fn lock_os_thread() {
    if let Some(gp) = getg() {
        template::start();
        gp.wire();
    }
}

/// Takes one [`lock_os_thread`] back. One too many does nothing.
///
/// May block: see the contract of [`crate::Runtime::start`]. After the last one the goroutine waits for its turn.
///
/// Go: runtime.UnlockOSThread
#[doc(alias = "UnlockOSThread")]
pub fn unlock_os_thread() {
    let Some(mp) = getm() else { return };
    let Some(gp) = mp.curg.get() else { return };
    if gp.unwire() && mp.p.get().is_none() && gp.doing() != crate::g::Doing::Blocking {
        crate::blocking::take_p_back(mp, gp);
    }
}

/// [`lock_os_thread`] until the end of a scope.
///
/// It stays with the goroutine that made it; a thread is what it locks.
///
/// # Examples
/// ```no_run
/// # let _rt = unsafe { gopark_sched::Runtime::start().expect("start") };
/// gopark_sched::go(|| {
///     let _here = gopark_sched::OsThreadGuard::new();
///     // Thread-locals are safe to use here, before and after whatever blocks.
/// });
/// ```
#[derive(Debug)]
#[must_use = "dropping it unlocks the thread"]
pub struct OsThreadGuard {
    not_send: PhantomData<*const ()>,
}

impl OsThreadGuard {
    /// Locks the thread. See [`lock_os_thread`].
    pub fn new() -> OsThreadGuard {
        lock_os_thread();
        OsThreadGuard { not_send: PhantomData }
    }
}

impl Default for OsThreadGuard {
    fn default() -> OsThreadGuard {
        OsThreadGuard::new()
    }
}

impl Drop for OsThreadGuard {
    fn drop(&mut self) {
        unlock_os_thread();
    }
}

/// The goroutine of `mp` has ended while it was locked: the thread ends too, and somebody else gets the P.
///
/// On g0.
#[cold]
#[inline(never)]
pub(crate) fn ended_locked(mp: &'static M, gp: &'static G) {
    if gopark_sys::fork::is_child() {
        gopark_sys::throw!("a goroutine has ended in the child of a fork: {}", gopark_sys::fork::REFUSAL);
    }
    gp.set_unwired();
    mp.quit.set(true);
    crate::blocking::give_p_away(mp);
}

/// In the child of a fork, by the thread that is left: the goroutine that has forked cannot go back to the scheduler.
///
/// As a signal handler: no allocation, no lock.
pub(crate) fn forked() {
    if let Some(gp) = getg() {
        gp.set_wired(); // so that its end is looked at: see ended_locked
    }
}

/// Whether the calling thread must not start threads: a goroutine may have changed what they would inherit.
fn is_tainted() -> bool {
    getm().is_some_and(|mp| mp.quit.get() || mp.curg.get().is_some_and(G::is_wired))
}

/// Starting threads from one that is as all others.
pub(crate) mod template {
    use gopark_sys::loom::atomic::{AtomicBool, Ordering};
    use gopark_sys::note::Note;
    use parking_lot::Mutex;

    use crate::m::NewM;
    use crate::sched::SCHED;

    static STARTED: AtomicBool = AtomicBool::new(false);
    static WANTED: Mutex<Vec<NewM>> = Mutex::new(Vec::new());
    static NOTE: Note = Note::new();

    /// Starts the thread, once. Without it, if none can be had, threads are made where they are needed.
    pub(super) fn start() {
        if STARTED.load(Ordering::Relaxed) || STARTED.swap(true, Ordering::Relaxed) {
            return;
        }
        let spawn = |()| gopark_sys::thread::spawn("gopark-template".into(), run);
        if SCHED.may_start_thread().and_then(spawn).is_err() {
            // Under the lock: what was left here meanwhile, each with a P, nobody else would find.
            let mut wanted = WANTED.lock();
            STARTED.store(false, Ordering::Relaxed);
            let left = std::mem::take(&mut *wanted);
            drop(wanted);
            left.into_iter().for_each(NewM::start);
        }
    }

    /// Whether there is such a thread.
    pub(crate) fn is_started() -> bool {
        STARTED.load(Ordering::Relaxed)
    }

    /// Has the thread of an M started by somebody else, if the caller should not; else gives it back.
    pub(crate) fn take_over(new: NewM) -> Option<NewM> {
        if !is_started() || !super::is_tainted() {
            return Some(new);
        }
        let mut wanted = WANTED.lock();
        if !is_started() {
            return Some(new); // the thread could not be had after all
        }
        wanted.push(new);
        drop(wanted);
        NOTE.wakeup();
        None
    }

    fn run() {
        let _never = crate::m::NoUnwind;
        loop {
            NOTE.sleep();
            NOTE.clear();
            loop {
                let Some(new) = WANTED.lock().pop() else { break };
                new.start();
            }
        }
    }
}
