//! Waiting for a future, and the waker that ends the wait.
//!
//! The waker is a reference to a slot and nothing else: to make, clone and drop one costs nothing. Slots of goroutines
//! and pooled threads are never freed, so one that is kept for too long does no harm: it wakes whoever uses the slot by
//! then, once and for nothing, and every wait here asks its future before it believes a wake-up.
//!
//! The slot is not the one on which the goroutine waits for locks, channels and timers. A future may do that inside of
//! its `poll`, and such a wait takes any wake-up for its own; ours would be lost in it.
//!
//! Ways not taken: an `Arc` for each call (an allocation, and two atomic operations for each clone); a flag beside the
//! goroutine's other slot (a second word to order against the first, for the same space).
//!
//! # Safety
//! A waker with our table has a `&'static ParkSlot` for its data. The table is private, so no other waker has it.
#![allow(unsafe_code)]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use gopark_poll::{ParkSlot, WaitReason};

use crate::park::{TaskPark, unpark};

/// By its address the scheduler recognises its own wakers, hence a static, which has only one.
static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake, drop_waker);

/// Runs `future` to its end on the calling goroutine (or plain thread), which is parked while the future waits.
///
/// Any future will do that needs no runtime of another kind around it: those of the `futures` crates, of
/// `async-channel`, of tokio's `sync` module. tokio's own timers, sockets and `spawn` want tokio's runtime: start one
/// beside, spawn there, and wait here for the `JoinHandle`. Waiting allocates nothing.
///
/// A future that wakes itself and is not ready yields: the other goroutines run before it is polled again. Calls may be
/// nested.
///
/// The future need not be `Send`. It stays on this goroutine; but a goroutine may go on on another thread after
/// `block_on`, or anything else inside of the future's `poll`, has parked. So what
/// [`Runtime::start`](crate::Runtime::start) says of thread-locals holds for the future as well: it must not keep
/// anything bound to a thread across an `.await`.
///
/// Works on plain threads before the runtime is started, too. May block: see the contract of
/// [`Runtime::start`](crate::Runtime::start).
///
/// # Panics
/// If the future panics, with its payload.
///
/// # Examples
/// ```no_run
/// let answer = gopark_sched::block_on(async { 6 * 7 });
/// assert_eq!(answer, 42);
/// ```
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let park = TaskPark::new();
    let waker = waker(park.slot());
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        wait(&park);
    }
}

/// Returns when the waker was used since the slot was looked at last; or earlier, for nothing.
#[inline(never)]
fn wait(park: &TaskPark) {
    if park.slot().take_ready() {
        // Woken while it was polled, most likely by itself: that is how a future gives way to others.
        return crate::yield_now();
    }
    park.park(WaitReason::BlockOn);
}

/// The waker of whoever waits on `slot`.
pub(crate) fn waker(slot: &'static ParkSlot) -> Waker {
    let data = std::ptr::from_ref(slot).cast();
    // SAFETY: the functions of the table may be called from any thread and at any time with such a pointer, as the slot
    // is Sync and lives for ever; there is nothing to count, so clone and drop do nothing.
    unsafe { Waker::new(data, &VTABLE) }
}

/// The slot that `waker` stands for, if it is one of ours.
pub(crate) fn slot_of(waker: &Waker) -> Option<&'static ParkSlot> {
    // SAFETY: it has our table.
    std::ptr::eq(waker.vtable(), &VTABLE).then(|| unsafe { slot(waker.data()) })
}

/// # Safety
/// `data` is that of a waker with our table.
unsafe fn slot(data: *const ()) -> &'static ParkSlot {
    // SAFETY: `waker` made it of a `&'static ParkSlot`.
    unsafe { &*data.cast() }
}

/// # Safety
/// As [`slot`], and so for the others: they are called through the table alone.
unsafe fn clone(data: *const ()) -> RawWaker {
    RawWaker::new(data, &VTABLE)
}

/// # Safety
/// See [`clone`].
unsafe fn wake(data: *const ()) {
    // SAFETY: the caller's promise.
    unpark(unsafe { slot(data) });
}

/// # Safety
/// See [`clone`].
unsafe fn drop_waker(_data: *const ()) {}
