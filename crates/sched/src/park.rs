//! Parking and readying, for goroutines and plain threads alike.
//!
//! A goroutine never parks on its own stack: it suspends with [`Request::Park`], and its M, back on g0 and with the
//! goroutine's registers saved, offers the goroutine to the slot (`ParkSlot::commit`). From that moment anybody may
//! ready it. If the slot refuses, because what the goroutine waits for came meanwhile, it is resumed at once.
//!
//! A thread that is not a goroutine, and a goroutine that must stay on its thread (see [`must_stay`]), waits on a
//! pooled note instead.
//!
//! # Safety
//! A [`Waiter`] made here is a pointer whose low six bits say what it points at; both kinds are 64-aligned and never
//! freed.
#![allow(unsafe_code)]

use std::ptr::NonNull;

pub(crate) use gopark_poll::ParkSlot;
use gopark_poll::{ReadyList, Timer, TimerKind, WaitReason, Waiter};
use gopark_sys::backtrace::Frames;
use gopark_sys::loom::atomic::{AtomicBool, AtomicPtr, Ordering, fence};
use gopark_sys::note::Note;
use parking_lot::Mutex;

use crate::g::{Doing, G, GStatus};
use crate::gqueue::GQueue;
use crate::m::{M, getg, getm};
use crate::sched::SCHED;

/// Low bits of a waiter that is a thread; a goroutine has none.
const THREAD: usize = 8;

/// Low bits of a waiter that is a goroutine which a dump looks at: see [`Claim`].
const CLAIMED: usize = 32;

/// What a plain thread sleeps on. Pooled and never freed: a late wake must find memory.
#[repr(align(64))]
struct ThreadWaiter {
    note: Note,
    /// The thread's own semaphore, for waits that are not I/O.
    parker: &'static ParkSlot,
    timer: Timer,
    /// The descriptor's slot that a plain thread waits on, or null. Slots of descriptors stay for ever.
    io: AtomicPtr<ParkSlot>,
    /// A plain thread waits here, or is about to, or has just been woken.
    waits: AtomicBool,
}

/// Those that nobody uses.
static THREADS: Mutex<Vec<&'static ThreadWaiter>> = Mutex::new(Vec::new());

/// Every one ever made.
static ALL_THREADS: Mutex<Vec<&'static ThreadWaiter>> = Mutex::new(Vec::new());

impl ThreadWaiter {
    /// For a caller that is in no list yet: it panics in the child of a fork.
    fn take() -> &'static ThreadWaiter {
        gopark_sys::fork::check();
        ThreadWaiter::pooled()
    }

    /// For a park. Nothing may unwind out of one: the caller may be in a list by a node on its stack.
    fn take_to_park() -> &'static ThreadWaiter {
        if gopark_sys::fork::is_child() {
            gopark_sys::throw!("{}", gopark_sys::fork::REFUSAL);
        }
        ThreadWaiter::pooled()
    }

    fn pooled() -> &'static ThreadWaiter {
        if let Some(tw) = THREADS.lock().pop() {
            return tw;
        }
        let parker: &'static ParkSlot = Box::leak(Box::new(ParkSlot::new()));
        let timer = Timer::new(TimerKind::Wake(parker));
        let (io, waits) = (AtomicPtr::new(std::ptr::null_mut()), AtomicBool::new(false));
        let tw: &'static ThreadWaiter =
            Box::leak(Box::new(ThreadWaiter { note: Note::new(), parker, timer, io, waits }));
        ALL_THREADS.lock().push(tw);
        tw
    }

    fn give_back(&'static self) {
        THREADS.lock().push(self);
    }

    fn waiter(&'static self) -> Waiter {
        let p = std::ptr::from_ref(self).cast_mut().cast::<()>().map_addr(|a| a | THREAD);
        // SAFETY: 8-aligned, not null, never freed; `accept` strips the tag.
        unsafe { Waiter::from_ptr(NonNull::new_unchecked(p)) }
    }
}

/// True if the goroutine must not leave its thread now: it was wired to it, or the thread is unwinding.
///
/// std counts panics per thread. A goroutine that moved while unwinding (a destructor that does I/O, or a panic
/// hook that does) would leave its count behind and find somebody else's.
#[inline]
pub(crate) fn must_stay(gp: &G) -> bool {
    std::thread::panicking() || gp.is_wired()
}

/// Parks the caller, goroutine or thread, until `slot` hands it back.
///
/// A goroutine may park on slots only that stay for ever, like those of descriptors and headers: see [`Claim`].
pub(crate) fn gopark(slot: &'static ParkSlot, reason: WaitReason) {
    gopark_on(getm(), slot, reason);
}

/// [`gopark`] for a caller that knows its M.
#[inline]
fn gopark_on(mp: Option<&'static M>, slot: &'static ParkSlot, reason: WaitReason) {
    match mp {
        Some(mp) => match mp.curg.get() {
            Some(gp) if !must_stay(gp) => {
                if crate::span::in_use() {
                    return park_outside_spans(gp, slot, reason);
                }
                gp.set_park(slot, reason);
                // SAFETY: gp is the calling goroutine.
                unsafe { gp.park() };
            }
            Some(gp) => wired_park(mp, gp, slot, reason),
            None => gopark_sys::throw!("gopark on g0: user code ran on the scheduler's stack"),
        },
        None => plain_park(slot, reason),
    }
}

/// See `span`. Subscribers may park as well: the goroutine says where it parks after they have run.
#[cold]
#[inline(never)]
fn park_outside_spans(gp: &'static G, slot: &'static ParkSlot, reason: WaitReason) {
    crate::span::outside(gp, || {
        gp.set_park(slot, reason);
        // SAFETY: gp is the calling goroutine.
        unsafe { gp.park() };
    });
}

/// A goroutine that must stay waits like a thread; its P goes to somebody else, and it goes on without one.
#[cold]
#[inline(never)]
fn wired_park(mp: &'static M, gp: &'static G, slot: &'static ParkSlot, reason: WaitReason) {
    gp.set_park(slot, reason);
    let before = gp.doing();
    gp.set_doing(Doing::WiredWait);
    crate::counters::parked_outside(reason as u8);
    crate::blocking::give_p_away(mp);
    thread_park(slot);
    gp.set_doing(before);
}

/// A thread that is not a goroutine waits.
#[cold]
#[inline(never)]
fn plain_park(slot: &'static ParkSlot, reason: WaitReason) {
    let tw = ThreadWaiter::take_to_park();
    if reason == WaitReason::IoWait {
        tw.io.store(std::ptr::from_ref(slot).cast_mut(), Ordering::Relaxed);
        // Pairs with the fence of evict_plain_threads: either that sees the slot, or we see that it is to come.
        fence(Ordering::SeqCst);
    }
    if reason != WaitReason::IoWait || !SCHED.stopping.load(Ordering::Acquire) {
        // Acquire pairs with shutdown: who does not wait finds the reason.
        tw.note.clear();
        tw.waits.store(true, Ordering::Release); // pairs with plain_threads_asleep: the note is clear
        sleep_on(tw, slot);
        tw.waits.store(false, Ordering::Relaxed);
    }
    tw.io.store(std::ptr::null_mut(), Ordering::Relaxed);
    tw.give_back();
}

/// How many plain threads sleep in a wait that nobody has ended yet. For the report of deadlocks.
pub(crate) fn plain_threads_asleep() -> usize {
    // Acquire pairs with plain_park.
    let asleep = |tw: &&&ThreadWaiter| tw.waits.load(Ordering::Acquire) && !tw.note.happened();
    ALL_THREADS.lock().iter().filter(asleep).count()
}

/// Ends the waits of plain threads for descriptors, after it was published that nobody may wait so any more.
pub(crate) fn evict_plain_threads() {
    fence(Ordering::SeqCst); // see plain_park
    let threads = ALL_THREADS.lock().clone();
    for tw in threads {
        // SAFETY: null, or a descriptor's slot, which is never freed. If somebody else waits there by now he looks why
        // he was woken, and waits again.
        let slot = unsafe { tw.io.load(Ordering::Relaxed).as_ref() };
        if let Some(w) = slot.and_then(|slot| slot.unblock(gopark_poll::Unblock::Evict)) {
            goready(w);
        }
    }
}

/// A goroutine that must stay on its thread waits.
fn thread_park(slot: &'static ParkSlot) {
    let tw = ThreadWaiter::take_to_park();
    tw.note.clear();
    sleep_on(tw, slot);
    tw.give_back();
}

fn sleep_on(tw: &'static ThreadWaiter, slot: &'static ParkSlot) {
    if slot.commit(tw.waiter()) {
        // Somebody must watch the network and the timers for us: a sleeping process has nobody who would. Before the
        // runtime is started there are neither, and locks and channels between threads work all the same.
        if SCHED.is_started() {
            crate::wakep::ensure_poller();
        }
        tw.note.sleep();
    }
}

/// Takes over a waiter that a slot handed out: a goroutine becomes runnable and is returned, for the caller to queue;
/// a thread is woken.
#[inline]
pub(crate) fn accept(w: Waiter) -> Option<&'static G> {
    let Some(p) = w.as_ptr() else { return crate::tasks::accept(w) };
    if p.addr().get() % 64 == 0 {
        // SAFETY: pointers without a tag come from `G::waiter`.
        let gp = unsafe { G::from_ptr(p.as_ptr().cast()) };
        gp.casgstatus(GStatus::Waiting, GStatus::Runnable);
        return Some(gp);
    }
    if p.addr().get() % 64 == CLAIMED {
        return None; // by the claim's drop, which finds that it has no waiter to put back
    }
    let tw = p.as_ptr().map_addr(|a| a & !63).cast::<ThreadWaiter>();
    // SAFETY: the tag says a ThreadWaiter, which is never freed.
    unsafe { (*tw).note.wakeup() };
    None
}

/// Where the caller waits for one unpark that surely comes, and never for more than one.
///
/// A goroutine has such a slot in its header, and not on its stack, which would do as well for waiting and waking: a
/// dump finds the slot from outside (see [`Claim`]), and must not find something else in its place.
pub(crate) struct ArmedPark {
    mp: Option<&'static M>,
    slot: &'static ParkSlot,
}

impl ArmedPark {
    /// `own` is for a caller that is not a goroutine.
    ///
    /// # Safety
    /// `own` is armed, and stays where it is until `wait` has returned. Nothing parks or yields in between.
    #[inline]
    pub(crate) unsafe fn new(own: &ParkSlot) -> ArmedPark {
        let mp = getm();
        let slot = match mp.and_then(|mp| mp.curg.get()) {
            Some(gp) => {
                gp.armed.rearm();
                &gp.armed
            }
            None => {
                gopark_sys::fork::check(); // while the caller is in no list
                // SAFETY: the caller's promise; who unparks touches it last before `wait` returns.
                unsafe { &*std::ptr::from_ref(own) }
            }
        };
        ArmedPark { mp, slot }
    }

    #[inline]
    pub(crate) fn slot(&self) -> &'static ParkSlot {
        self.slot
    }

    /// Waits until the slot was unparked.
    #[inline]
    pub(crate) fn wait(self, reason: WaitReason) {
        self.slot.wait_armed(reason, |slot, reason| gopark_on(self.mp, slot, reason));
    }
}

/// A parked goroutine that cannot go on: whoever holds this owns it.
///
/// The goroutine's waiter is taken out of its slot, and one that looks almost the same put in its place. Who ends the
/// wait meanwhile takes that one and has nothing more to do; the end of the claim finds it gone, and readies the
/// goroutine. So claims cost those who wake nothing and those who were parked one branch, and they make nobody wait
/// but the goroutine itself: a waker may hold locks, or be on g0.
///
/// The other way, a mark in the slot that `unblock` waits for, would let a thread that the kernel has put aside in the
/// middle of a dump hold up pollers. Modelled in poll's `tests/loom_park_slot.rs`.
pub(crate) struct Claim {
    gp: &'static G,
    slot: &'static ParkSlot,
}

impl Claim {
    /// Claims `gp`, if it is parked. None: it is not, or not yet, or was readied this moment.
    pub(crate) fn new(gp: &'static G) -> Option<Claim> {
        let slot = gp.last_slot()?;
        // It may have been readied, and even be parked somewhere else by now: then it is not this slot's waiter. If it
        // is back on this slot it is parked all the same. The slot itself is there for ever.
        slot.exchange_waiter(gp.waiter(), claimed(gp)).then(|| Claim { gp, slot })
    }

    /// Its backtrace.
    pub(crate) fn look(&self, frames: &mut Frames) {
        // SAFETY: it was parked, and is ours until the claim is dropped.
        unsafe { self.gp.look(frames) };
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.slot.exchange_waiter(claimed(self.gp), self.gp.waiter()) {
            self.gp.casgstatus(GStatus::Waiting, GStatus::Runnable);
            ready(self.gp);
        }
    }
}

/// The waiter that stands for a claimed goroutine.
fn claimed(gp: &'static G) -> Waiter {
    let p = NonNull::from(gp).cast::<()>().map_addr(|a| a | CLAIMED);
    // SAFETY: 8-aligned, never freed; `accept` knows the tag.
    unsafe { Waiter::from_ptr(p) }
}

/// Collects the goroutines of a list of waiters; threads among them are woken.
pub(crate) fn accept_all(ready: &mut ReadyList, into: &mut GQueue) {
    // The headers of a batch are in as many places of the memory: ask for all before the first is touched.
    for w in ready.as_slice() {
        if let Some(p) = w.as_ptr() {
            gopark_sys::context::prefetch(p.as_ptr().cast_const().cast());
        }
    }
    for w in ready.drain() {
        if let Some(gp) = accept(w) {
            into.push_back(gp);
        }
    }
}

/// Makes a waiter runnable: next on the caller's P, or through the global queue for a caller without one.
#[inline]
pub(crate) fn goready(w: Waiter) {
    if let Some(gp) = accept(w) {
        ready(gp);
    }
}

/// Queues a runnable goroutine, next to run, and wakes an M for what that displaced.
#[inline]
pub(crate) fn ready(gp: &'static G) {
    match getm().and_then(|mp| mp.p.get()) {
        Some(pp) => {
            if pp.runqput_next(gp) {
                crate::wakep::wakep();
            }
        }
        None => {
            crate::counters::readied_outside(gp);
            SCHED.globrunqput(gp);
            crate::wakep::wakep();
        }
    }
}

/// The semaphore and timer of whoever calls, for waits that are not I/O.
pub(crate) struct Parker {
    slot: &'static ParkSlot,
    timer: &'static Timer,
    thread: Option<&'static ThreadWaiter>,
}

impl Parker {
    /// The caller's parker: its goroutine's own, or one from the pool for a plain thread.
    #[inline]
    pub(crate) fn current() -> Parker {
        match getg() {
            Some(gp) => Parker { slot: &gp.parker, timer: gp.timer(), thread: None },
            None => {
                let tw = ThreadWaiter::take();
                tw.parker.reset();
                Parker { slot: tw.parker, timer: &tw.timer, thread: Some(tw) }
            }
        }
    }

    #[inline]
    pub(crate) fn slot(&self) -> &'static ParkSlot {
        self.slot
    }

    pub(crate) fn timer(&self) -> &'static Timer {
        self.timer
    }

    /// Sets the timer to unpark the slot at `when`, in ns.
    pub(crate) fn arm(&self, when: i64) {
        self.timer.arm(when);
    }

    /// Whether `when` has come.
    pub(crate) fn is_past(&self, when: i64) -> bool {
        crate::rt::nanotime() >= when
    }

    /// Stops the timer. One that went off already may unpark the slot still.
    pub(crate) fn disarm(&self) {
        self.timer.stop();
    }

    /// Waits for one `unpark` of the slot; one that came before counts.
    ///
    /// It may have been meant for an earlier wait (a timer that was stopped too late, a waker that was kept): whoever
    /// parks looks at what it waits for, and parks again.
    #[inline]
    pub(crate) fn park(&self, reason: WaitReason) {
        // False: a subscriber of `tracing`, called on the way, has parked here as well, and took the wake-up.
        let _ = self.slot.block_with(reason, || true, gopark);
    }
}

impl Drop for Parker {
    fn drop(&mut self) {
        if let Some(tw) = self.thread {
            tw.give_back();
        }
    }
}

/// The semaphore on which the caller waits for a future, apart from that of its [`Parker`]; see `block_on`.
pub(crate) struct TaskPark {
    slot: &'static ParkSlot,
    owner: TaskOwner,
}

enum TaskOwner {
    Goroutine(&'static G),
    /// A plain thread; or a goroutine that waits inside of the future that it waits for.
    Pooled(&'static ThreadWaiter),
}

impl TaskPark {
    #[inline]
    pub(crate) fn new() -> TaskPark {
        match getg() {
            Some(gp) if !gp.set_in_task(true) => TaskPark { slot: &gp.task, owner: TaskOwner::Goroutine(gp) },
            _ => TaskPark::pooled(),
        }
    }

    #[cold]
    #[inline(never)]
    fn pooled() -> TaskPark {
        let tw = ThreadWaiter::take();
        tw.parker.reset();
        TaskPark { slot: tw.parker, owner: TaskOwner::Pooled(tw) }
    }

    #[inline]
    pub(crate) fn slot(&self) -> &'static ParkSlot {
        self.slot
    }

    /// As [`Parker::park`].
    #[inline]
    pub(crate) fn park(&self, reason: WaitReason) {
        let _ = self.slot.block_with(reason, || true, gopark);
    }
}

impl Drop for TaskPark {
    fn drop(&mut self) {
        match self.owner {
            TaskOwner::Goroutine(gp) => drop(gp.set_in_task(false)),
            TaskOwner::Pooled(tw) => tw.give_back(),
        }
    }
}

/// Wakes the owner of a parker, or lets its next park return at once.
#[inline]
pub fn unpark(slot: &'static ParkSlot) {
    if let Some(w) = slot.unblock(gopark_poll::Unblock::Ready) {
        goready(w);
    }
}
