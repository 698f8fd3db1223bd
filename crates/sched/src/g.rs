//! G: a goroutine.
//!
//! A `G` lives at the very top of its own stack slot and is never freed or moved: a finished goroutine's slot,
//! header included, goes to a free list and is used again. So a `*mut G` that somebody kept too long always points
//! at a `G`, and the status word tells whether it is one that may be made runnable.
//!
//! # Safety
//! The plain cells of a `G` belong to whoever owns the goroutine at the moment; the table at [`GStatus`] says who.
//! Ownership is handed over through a run queue, a `ParkSlot` or the scheduler lock, each of which is a
//! release/acquire pair.
#![allow(unsafe_code)]

use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use gopark_poll::{ParkSlot, Timer, TimerKind, WaitReason, Waiter};
use gopark_sys::context::{Coroutine, Yielder};
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
    yielder: Cell<*const Yielder>, // the goroutine, set by its first instruction
    park_slot: Cell<Option<&'static ParkSlot>>, // the goroutine, read by its M's g0
    status: AtomicU32,             // see GStatus
    wait_reason: Cell<WaitReason>, // the goroutine
    wired: Cell<u16>,              // the goroutine: > 0 = must stay on its thread
    in_task: Cell<bool>,           // the goroutine: `task` is in use
    habit: Cell<u8>,               // its M: see habit
    id: Cell<u64>,                 // newproc
    start: Cell<Option<&'static Location<'static>>>, // newproc
    slot: Slot,                    // constant
    /// The goroutine's own semaphore, for everything that is not I/O: join, sleep, channels.
    pub(crate) parker: ParkSlot,
    /// Where the goroutine waits for a future; see `block_on` for why it is not `parker`.
    pub(crate) task: ParkSlot,
    /// The goroutine's own timer, which readies `parker`. Written by `init`, after `parker` has its place.
    timer: UnsafeCell<MaybeUninit<Timer>>,
}

// SAFETY: see the ownership table at `GStatus`; shared access from other threads is limited to the atomics,
// `parker` and `timer`.
unsafe impl Sync for G {}

impl G {
    /// Makes the header of a fresh slot and returns it, `Dead`.
    ///
    /// # Safety
    /// `slot` is fresh: nobody else has or will ever have it.
    pub(crate) unsafe fn init(slot: Slot) -> NonNull<G> {
        let gp = G::of_slot(&slot);
        // SAFETY: `of_slot` is aligned and inside the slot, which is ours alone.
        unsafe {
            gp.write(G {
                coroutine: UnsafeCell::new(MaybeUninit::uninit()),
                yielder: Cell::new(std::ptr::null()),
                park_slot: Cell::new(None),
                status: AtomicU32::new(GStatus::Dead as u32),
                wait_reason: Cell::new(WaitReason::Sleep),
                wired: Cell::new(0),
                in_task: Cell::new(false),
                habit: Cell::new(0),
                id: Cell::new(0),
                start: Cell::new(None),
                slot,
                parker: ParkSlot::new(),
                task: ParkSlot::new(),
                timer: UnsafeCell::new(MaybeUninit::uninit()),
            });
        }
        // SAFETY: just written; stack slots are never unmapped, hence 'static.
        let g: &'static G = unsafe { gp.as_ref() };
        // SAFETY: nobody else knows the goroutine yet.
        unsafe { (*g.timer.get()).write(Timer::new(TimerKind::Wake(&g.parker))) };
        gp
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

    /// The highest address that the goroutine's stack may use; the header begins there.
    pub(crate) fn stack_base(&self) -> NonNull<u8> {
        NonNull::from(self).cast()
    }

    pub(crate) fn timer(&'static self) -> &'static Timer {
        // SAFETY: written by `init`, and never again.
        unsafe { (*self.timer.get()).assume_init_ref() }
    }

    pub(crate) fn id(&self) -> u64 {
        self.id.get()
    }

    pub(crate) fn start_location(&self) -> Option<&'static Location<'static>> {
        self.start.get()
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
        self.id.set(id);
        self.habit.set(0);
        self.start.set(Some(start));
        // SAFETY: the slot below the header is this goroutine's alone, and no coroutine is on it: it is `Dead`.
        let co = unsafe { Coroutine::new(self.stack_base(), self.slot.bottom(), f) };
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

    #[inline]
    pub(crate) fn set_park(&self, slot: &'static ParkSlot, reason: WaitReason) {
        self.park_slot.set(Some(slot));
        self.wait_reason.set(reason);
    }

    #[inline]
    pub(crate) fn park_slot(&self) -> &'static ParkSlot {
        match self.park_slot.get() {
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

    pub(crate) fn is_wired(&self) -> bool {
        self.wired.get() > 0
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
