//! G: a goroutine.
//!
//! A `G` lives at the very top of its own stack slot and is never unmapped or moved: a finished goroutine's slot,
//! header included, goes to a free list and is used again. So a `*mut G` that somebody kept too long always points
//! at a `G`, and the status word tells whether it is one that may be made runnable.
//!
//! # Zeros are a dead goroutine
//!
//! What has been on a free list for long gives its memory back to the kernel (see `stacks`), and the page with the
//! header is most of that memory. From then on, and at any moment, the header reads as zeros; later it is made anew,
//! in the same place. So every value that is made of zeros must be what a late reader expects of a dead goroutine, and
//! every field that somebody but the owner may touch late is an atomic, which `init` stores to:
//!
//! - A waker that was kept, an unpark that is late: they hold the address of `parker` or `task`. Zero is NIL, nobody
//!   waits; they leave a READY mark there, which ends the first wait of the slot's next goroutine too early. Every wait
//!   stands that: see `park`. `init` leaves both words alone.
//! - A dump: `status` zero is `Dead`; should it have seen another value before, no slot, no location, the first of the
//!   reasons are valid values as well.
//! - A timer that fires this moment: it was taken from its heap before its owner could end, and what it does was read
//!   before that (`poll::Timers::check`). After that nobody but the owner looks at `timer`.
//! - A run queue prefetches what it has peeked at, which never faults.
//!
//! The alternative, headers in memory of their own that is kept, costs a cache line and a TLB entry more at each
//! switch.
//!
//! # Safety
//! The plain cells of a `G` belong to whoever owns the goroutine at the moment; the table at [`GStatus`] says who.
//! Ownership is handed over through a run queue, a `ParkSlot` or the scheduler lock, each of which is a
//! release/acquire pair.
#![allow(unsafe_code)]

use gopark_sys::loom::atomic::{AtomicI64, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;
use std::panic::Location;
use std::ptr::NonNull;

use gopark_poll::{ParkSlot, Timer, TimerKind, WaitReason, Waiter};
use gopark_sys::backtrace::Frames;
use gopark_sys::context::{Coroutine, Switch, Yielder};
use gopark_sys::stack::Slot;

/// The states of a goroutine.
///
/// | value | meaning | who owns the cells | who leaves it |
/// | --- | --- | --- | --- |
/// | `Dead` | unused or finished, on a free list | the free list | `newproc` → `Runnable` |
/// | `Runnable` | on a run queue, or in the hands of a thread that will put it there | the queue | `execute` → `Running` |
/// | `Running` | its M executes it | that M, and the goroutine itself | the M, once it is back on g0 |
/// | `Waiting` | parked; a `ParkSlot` holds its `Waiter` | who takes the waiter from the slot | `ready` → `Runnable` |
///
/// Only the owner writes the word, so plain loads and stores are enough; the word exists to turn a doubled or stale
/// hand-back into an abort, and to be read by dumps.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum GStatus {
    Dead = 0,
    Runnable = 1,
    Running = 2,
    Waiting = 3,
}

/// Why a goroutine switched to its thread's stack. Travels as the switch's word; details are in the `G`.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[repr(usize)]
pub(crate) enum Request {
    /// Park on `G::park_slot`; resumed at once if the slot refuses the waiter.
    Park = 1,
    /// Go to the tail of the local queue.
    Yield = 2,
    /// The goroutine holds no P (it comes from a blocking section) and wants one.
    NeedP = 3,
    /// The answer to a resume that asked for a backtrace: the goroutine stays parked. Never seen by an M.
    Looked = 4,
}

/// Bit of a resume's word: not an M that goes on with the goroutine, but a dump that wants its backtrace.
const LOOK: usize = 1;

/// What a goroutine that is `Running` does with its thread. For dumps.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Doing {
    /// It computes, or blocks without having said so.
    Anything = 0,
    /// It is in `blocking`.
    Blocking = 1,
    /// It must stay on its thread, and waits there.
    WiredWait = 2,
}

/// How many cache lines below the header `prefetch` asks for. A goroutine parked in a read uses about six.
const PREFETCH_LINES: usize = 6;

/// The header of a goroutine, at the top of its stack slot.
///
/// Go: runtime/runtime2.go g
#[doc(alias = "g")]
#[repr(C, align(64))]
pub(crate) struct G {
    /// The saved registers; valid while `Runnable`, `Running` or `Waiting`.
    coroutine: UnsafeCell<MaybeUninit<Coroutine>>, // owner
    yielder: Cell<*const Yielder>,  // the goroutine, set by its first instruction
    park_slot: AtomicPtr<ParkSlot>, // the goroutine; read by its M's g0 and by dumps
    status: AtomicU32,              // see GStatus
    wait_reason: AtomicU8,          // the goroutine, a WaitReason; dumps read it
    doing: AtomicU8,                // the goroutine, a Doing; dumps read it
    wired: AtomicU16,               // the goroutine: > 0 = must stay on its thread; dumps read it
    in_task: Cell<bool>,            // the goroutine: `task` is in use
    habit: Cell<u8>,                // its M: see habit
    since: AtomicI64,               // owner: see `since`
    id: AtomicU64,                  // newproc; dumps read it
    start: AtomicPtr<Location<'static>>, // newproc, or null; dumps read it
    /// Which of the free lists the goroutine goes to: see `stacks`.
    class: Cell<u8>, // constant while it lives
    slot: UnsafeCell<MaybeUninit<Slot>>, // as above
    /// See `local`; null: none.
    locals: Cell<*mut ()>, // the goroutine
    /// See `span`: the goroutine is about to leave its spans, or to enter them again.
    in_spans: Cell<bool>, // the goroutine
    /// The goroutine's own semaphore, for everything that is not I/O: join, sleep, channels.
    pub(crate) parker: ParkSlot,
    /// Where the goroutine waits for a future; see `block_on` for why it is not `parker`.
    pub(crate) task: ParkSlot,
    /// Where the goroutine waits for what surely comes, and only once; see `park::ArmedPark`.
    pub(crate) armed: ParkSlot,
    /// The goroutine's own timer, which readies `parker`. Written by `init`, after `parker` has its place.
    timer: UnsafeCell<MaybeUninit<Timer>>,
}

// SAFETY: see the ownership table at `GStatus`; shared access from other threads is limited to the atomics,
// `parker` and `timer`.
unsafe impl Sync for G {}

impl G {
    /// Makes the header of a slot, of the stacks of `class`, and returns it, `Dead`.
    ///
    /// # Safety
    /// The slot has just been handed out to the caller: its header is zeros, or a dead one (see the module's text).
    pub(crate) unsafe fn init(slot: Slot, class: u8) -> &'static G {
        // SAFETY: `of_slot` is aligned and inside the slot, which is ours. All fields are valid when they are zero, and
        // stack slots are never unmapped, hence 'static.
        let g: &'static G = unsafe { G::of_slot(&slot).as_ref() };
        g.yielder.set(std::ptr::null());
        g.in_task.set(false);
        g.habit.set(0);
        g.class.set(class);
        g.locals.set(std::ptr::null_mut());
        g.in_spans.set(false);
        // Atomics that somebody may still read, or write: `parker` and `task` keep what they have.
        g.park_slot.store(std::ptr::null_mut(), Ordering::Relaxed);
        g.status.store(GStatus::Dead as u32, Ordering::Relaxed);
        g.wait_reason.store(WaitReason::Sleep as u8, Ordering::Relaxed);
        g.doing.store(Doing::Anything as u8, Ordering::Relaxed);
        g.wired.store(0, Ordering::Relaxed);
        g.since.store(0, Ordering::Relaxed);
        g.id.store(0, Ordering::Relaxed);
        g.start.store(std::ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: the owner's cells, and the slot is ours.
        unsafe {
            (*g.slot.get()).write(slot);
            (*g.timer.get()).write(Timer::new(TimerKind::Wake(&g.parker)));
        }
        g
    }

    /// The goroutine's slot.
    pub(crate) fn slot(&self) -> Slot {
        // SAFETY: `init` wrote it; only those who own a goroutine that `init` has made ask.
        unsafe { (*self.slot.get()).assume_init() }
    }

    /// Which of the free lists it belongs to.
    #[inline]
    pub(crate) fn class(&self) -> u8 {
        self.class.get()
    }

    /// What `local` keeps here. The goroutine itself.
    #[inline]
    pub(crate) fn locals(&self) -> &Cell<*mut ()> {
        &self.locals
    }

    /// See `span`. The goroutine itself.
    #[inline]
    pub(crate) fn in_spans(&self) -> &Cell<bool> {
        &self.in_spans
    }

    /// Where the header of `slot` lies.
    pub(crate) fn of_slot(slot: &Slot) -> NonNull<G> {
        const { assert!(std::mem::size_of::<G>() <= 512 && std::mem::align_of::<G>() == 64) };
        let p = slot.top().as_ptr().wrapping_sub(std::mem::size_of::<G>());
        let p = p.wrapping_sub(p.addr() % std::mem::align_of::<G>()).cast::<G>();
        NonNull::new(p).expect("a stack slot is not at address zero")
    }

    /// The goroutine that `gp` points at.
    ///
    /// # Safety
    /// `gp` came from [`G::init`].
    #[inline]
    pub(crate) unsafe fn from_ptr(gp: *mut G) -> &'static G {
        // SAFETY: headers are never freed.
        unsafe { &*gp }
    }

    #[inline]
    pub(crate) fn as_ptr(&'static self) -> *mut G {
        std::ptr::from_ref(self).cast_mut()
    }

    /// Writes down the backtrace of the calling goroutine, which is this one.
    pub(crate) fn capture(&self, frames: &mut Frames) {
        frames.capture(self.slot().bottom().addr().get(), self.stack_base().addr().get());
    }

    /// The highest address that the goroutine's stack may use; the header begins there.
    pub(crate) fn stack_base(&self) -> NonNull<u8> {
        NonNull::from(self).cast()
    }

    pub(crate) fn timer(&'static self) -> &'static Timer {
        // SAFETY: written by `init`, and never again.
        unsafe { (*self.timer.get()).assume_init_ref() }
    }

    pub(crate) fn id(&self) -> u64 {
        self.id.load(Ordering::Relaxed)
    }

    pub(crate) fn start_location(&self) -> Option<&'static Location<'static>> {
        // SAFETY: null, or what `set_entry` has put there: a 'static location.
        unsafe { self.start.load(Ordering::Relaxed).as_ref() }
    }

    /// The status word, for dumps: its owner may change it at any moment.
    pub(crate) fn status(&self) -> GStatus {
        match self.status.load(Ordering::Relaxed) {
            1 => GStatus::Runnable,
            2 => GStatus::Running,
            3 => GStatus::Waiting,
            _ => GStatus::Dead,
        }
    }

    pub(crate) fn doing(&self) -> Doing {
        match self.doing.load(Ordering::Relaxed) {
            1 => Doing::Blocking,
            2 => Doing::WiredWait,
            _ => Doing::Anything,
        }
    }

    pub(crate) fn set_doing(&self, doing: Doing) {
        self.doing.store(doing as u8, Ordering::Relaxed);
    }

    /// What it waits for, or waited for last.
    pub(crate) fn wait_reason(&self) -> WaitReason {
        let reason = self.wait_reason.load(Ordering::Relaxed);
        // SAFETY: `init` and `set_park` store reasons only, which are one byte.
        unsafe { std::mem::transmute::<u8, WaitReason>(reason) }
    }

    /// Since when it waits, or when its last wait began, by the coarse clock. After that wait, in a sample of
    /// goroutines: minus the time at which it was made runnable, until it runs. See `counters`.
    #[inline]
    pub(crate) fn since(&self) -> i64 {
        self.since.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn set_since(&self, since: i64) {
        self.since.store(since, Ordering::Relaxed);
    }

    /// Moves the status word from `from` to `to`; any other present value is a bug that must not spread.
    #[inline]
    pub(crate) fn casgstatus(&self, from: GStatus, to: GStatus) {
        let now = self.status.load(Ordering::Relaxed);
        if now != from as u32 {
            bad_status(self, now, from, to);
        }
        self.status.store(to as u32, Ordering::Relaxed);
    }

    /// Prepares a dead goroutine to run `f`.
    ///
    /// # Safety
    /// The caller owns the goroutine, which is `Dead`. `f` does not unwind.
    pub(crate) unsafe fn set_entry<F: FnOnce(&Yielder, *mut ())>(
        &self,
        id: u64,
        start: &'static Location<'static>,
        f: F,
    ) {
        self.id.store(id, Ordering::Relaxed);
        self.habit.set(0);
        self.start.store(std::ptr::from_ref(start).cast_mut(), Ordering::Relaxed);
        // SAFETY: the slot below the header is this goroutine's alone, and no coroutine is on it: it is `Dead`.
        let co = unsafe { Coroutine::new(self.stack_base(), self.slot().bottom(), f) };
        // SAFETY: the owner has exclusive access to the cell. The old value, if any, has returned and owns nothing.
        unsafe { (*self.coroutine.get()).write(co) };
    }

    /// Runs the goroutine on the calling thread until it suspends or ends.
    ///
    /// # Safety
    /// The caller is an M on its g0, owns the goroutine, and passes itself.
    #[inline]
    pub(crate) unsafe fn resume(&self, mp: *mut ()) -> gopark_sys::context::Switch {
        // SAFETY: `set_entry` wrote the coroutine and it has not returned, since the goroutine is not `Dead`; the
        // owner has exclusive access to the cell.
        unsafe { (*self.coroutine.get()).assume_init_mut().resume(mp) }
    }

    /// Asks for the memory that `set_entry` touches first.
    #[inline]
    pub(crate) fn prefetch_entry(&self) {
        let base = std::ptr::from_ref(self).cast::<u8>();
        for line in 0..3 {
            gopark_sys::context::prefetch(base.wrapping_add(64).wrapping_sub(line * 64));
        }
    }

    /// Asks for the memory that a resume touches first: header and top of the stack.
    ///
    /// Goroutines park at much the same depth, so the saved stack pointer, which is in a header that may be far away
    /// itself, need not be known.
    #[inline]
    pub(crate) fn prefetch(&self) {
        let base = std::ptr::from_ref(self).cast::<u8>();
        for line in 0..=PREFETCH_LINES {
            gopark_sys::context::prefetch(base.wrapping_sub(line * 64));
        }
    }

    pub(crate) fn set_yielder(&self, y: &Yielder) {
        self.yielder.set(y);
    }

    /// Suspends the calling goroutine with `request`; returns the M that resumed it.
    ///
    /// # Safety
    /// The caller runs on this goroutine.
    #[inline]
    pub(crate) unsafe fn suspend(&self, request: Request) -> *mut () {
        // SAFETY: the goroutine runs, so its entry set the yielder, which lives in the coroutine's first frame.
        unsafe { (*self.yielder.get()).suspend(request as usize) }
    }

    /// Parks the calling goroutine on the slot of the last `set_park`; returns once it was readied, or the slot refused
    /// it.
    ///
    /// # Safety
    /// The caller runs on this goroutine.
    #[inline]
    pub(crate) unsafe fn park(&self) {
        // SAFETY: the caller's promise.
        let mut input = unsafe { self.suspend(Request::Park) };
        while input.addr() & LOOK != 0 {
            // SAFETY: as above; the word is what `look` passes.
            input = unsafe { self.looked_at(input) };
        }
    }

    /// On the goroutine's own stack, for a dump that has claimed it: writes the backtrace down, and stays parked.
    ///
    /// # Safety
    /// The caller runs on this goroutine, and `input` is what [`G::look`] passes.
    #[cold]
    #[inline(never)]
    unsafe fn looked_at(&self, input: *mut ()) -> *mut () {
        let frames = input.map_addr(|a| a & !LOOK).cast::<Frames>();
        // SAFETY: `look` waits, with the frames borrowed for us.
        self.capture(unsafe { &mut *frames });
        // SAFETY: the caller's promise.
        unsafe { self.suspend(Request::Looked) }
    }

    /// Has a parked goroutine write its backtrace into `frames`, on its own stack, by the calling thread.
    ///
    /// # Safety
    /// The goroutine is `Waiting`, and the caller owns it: see `park::Claim`.
    pub(crate) unsafe fn look(&self, frames: &mut Frames) {
        let input = std::ptr::from_mut(frames).cast::<()>().map_addr(|a| a | LOOK);
        // SAFETY: who is Waiting is inside `park`, which knows what to do with such a word; exclusive access by the
        // caller's promise.
        let switch = unsafe { self.resume(input) };
        if switch != Switch::Yield(Request::Looked as usize) {
            gopark_sys::throw!(
                "goroutine {} did not stay parked while it was looked at: {switch:?}",
                self.id()
            );
        }
    }

    /// A slot that somebody may park on stays where it is for ever: see `park::Claim`.
    #[inline]
    pub(crate) fn set_park(&self, slot: &'static ParkSlot, reason: WaitReason) {
        debug_assert!(
            !(self.slot().bottom().addr()..self.stack_base().addr()).contains(&NonNull::from(slot).addr()),
            "a slot on the goroutine's own stack"
        );
        self.park_slot.store(std::ptr::from_ref(slot).cast_mut(), Ordering::Relaxed);
        self.wait_reason.store(reason as u8, Ordering::Relaxed);
        self.set_since(crate::coarse::now());
    }

    /// The slot it is parked on, or was last.
    #[inline]
    pub(crate) fn last_slot(&self) -> Option<&'static ParkSlot> {
        // SAFETY: null, or what `set_park` has put there: a 'static slot.
        unsafe { self.park_slot.load(Ordering::Relaxed).as_ref() }
    }

    #[inline]
    pub(crate) fn park_slot(&self) -> &'static ParkSlot {
        match self.last_slot() {
            Some(slot) => slot,
            None => gopark_sys::throw!("park without a slot"),
        }
    }

    #[inline]
    pub(crate) fn habit(&self) -> u8 {
        self.habit.get()
    }

    pub(crate) fn set_habit(&self, habit: u8) {
        self.habit.set(habit);
    }

    /// Says whether `task` is in use, and whether it was.
    pub(crate) fn set_in_task(&self, yes: bool) -> bool {
        self.in_task.replace(yes)
    }

    /// One reason more to stay on the thread. By the goroutine.
    pub(crate) fn wire(&self) {
        let n = self.wired.load(Ordering::Relaxed).checked_add(1);
        let n = n.expect("lock_os_thread: locked 65,535 times without an unlock");
        self.wired.store(n, Ordering::Relaxed);
    }

    /// One reason less; true if it was the last. By the goroutine.
    pub(crate) fn unwire(&self) -> bool {
        let n = self.wired.load(Ordering::Relaxed);
        self.wired.store(n.saturating_sub(1), Ordering::Relaxed);
        n == 1
    }

    /// A reason for good. By the goroutine.
    pub(crate) fn set_wired(&self) {
        self.wired.store(u16::MAX, Ordering::Relaxed);
    }

    /// No reason any more. By the owner.
    pub(crate) fn set_unwired(&self) {
        self.wired.store(0, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn is_wired(&self) -> bool {
        self.wired.load(Ordering::Relaxed) > 0
    }

    /// The goroutine as poll sees it.
    #[inline]
    pub(crate) fn waiter(&'static self) -> Waiter {
        // SAFETY: 64-aligned, never freed; `park::kind_of` knows that a multiple of 64 is a goroutine.
        unsafe { Waiter::from_ptr(NonNull::from(self).cast()) }
    }
}

#[cold]
#[inline(never)]
fn bad_status(gp: &G, now: u32, from: GStatus, to: GStatus) -> ! {
    gopark_sys::throw!(
        "goroutine {} has status {now}, expected {from:?} on its way to {to:?}: woken twice, or by a stale waiter",
        gp.id()
    )
}
