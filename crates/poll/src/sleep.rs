//! Sleeping as a future.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use crate::ReadyList;
use crate::runtime::{is_installed, runtime};
use crate::slab::Slab;
use crate::sync::Mutex;
use crate::task::sleep_waiter;
use crate::time::{Timer, TimerKind};

/// Ready when its time has come. It waits from the first poll on; dropping it ends that.
///
/// Its timer comes from a pool that grows to as many as ever slept at a time, since a timer must outlive whoever stops
/// it a moment too late. Then sleeping allocates nothing. It is `Send` and `Sync`, and does not mind being moved.
#[must_use = "a future does nothing unless it is polled"]
pub struct Sleep {
    /// As `Runtime::nanotime`.
    when: i64,
    /// None unless it waits.
    slot: Option<&'static SleepSlot>,
}

struct SleepSlot {
    /// In `SLOTS`.
    index: u32,
    timer: Timer,
    /// Of the future that has the slot; that of an earlier one's is never in it. Taken by whoever the timer is fired
    /// by.
    waker: Mutex<Option<Waker>>,
}

static SLOTS: Slab<SleepSlot> = Slab::new();

/// What is free, last in first out.
static FREE: parking_lot::Mutex<Free> = parking_lot::Mutex::new(Free { slots: Vec::new(), made: 0 });

struct Free {
    slots: Vec<&'static SleepSlot>,
    made: u32,
}

impl SleepSlot {
    fn new(index: u32) -> SleepSlot {
        let timer = Timer::new(TimerKind::Call(fired, index as usize));
        SleepSlot { index, timer, waker: Mutex::new(None) }
    }

    fn acquire() -> &'static SleepSlot {
        let mut free = FREE.lock();
        if let Some(slot) = free.slots.pop() {
            return slot;
        }
        let slot = SLOTS.ensure(free.made, SleepSlot::new);
        free.made += 1;
        slot
    }

    /// The timer may be firing at this moment. Then the slot's next user is woken once for nothing.
    fn release(&'static self) {
        self.timer.stop();
        let waker = self.waker.lock().take();
        FREE.lock().slots.push(self);
        drop(waker);
    }

    fn set_waker(&self, waker: &Waker) {
        if self.waker.lock().as_ref().is_some_and(|w| w.will_wake(waker)) {
            return;
        }
        let new = waker.clone();
        let old = self.waker.lock().replace(new);
        drop(old);
    }
}

/// The timer of slot `index` is due.
fn fired(index: usize, _now: i64, list: &mut ReadyList) {
    list.push(sleep_waiter(index as u32));
}

/// Whom the timer of a slot is to wake.
pub(crate) fn take_waker(index: u32) -> Option<Waker> {
    SLOTS.get(index)?.waker.lock().take()
}

impl Sleep {
    /// Until `when` (as [`Runtime::nanotime`](crate::Runtime::nanotime)).
    ///
    /// # Panics
    ///
    /// Before a runtime is installed.
    #[track_caller]
    pub fn at(when: i64) -> Sleep {
        assert!(is_installed(), "gopark: a sleep before the runtime was started");
        Sleep { when, slot: None }
    }

    /// Until `t`.
    ///
    /// # Panics
    ///
    /// Before a runtime is installed.
    #[track_caller]
    pub fn until(t: Instant) -> Sleep {
        Sleep::at(gopark_sys::time::instant_to_nanotime(t))
    }

    /// Makes it sleep until `t` instead, also if it was ready already. It must be polled afterwards, since nobody is
    /// woken for it before.
    pub fn reset(&mut self, t: Instant) {
        self.when = gopark_sys::time::instant_to_nanotime(t);
        if let Some(slot) = self.slot.take() {
            slot.release();
        }
    }

    fn is_over(&mut self) -> bool {
        let over = runtime().nanotime() >= self.when;
        if over && let Some(slot) = self.slot.take() {
            slot.release();
        }
        over
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_over() {
            return Poll::Ready(());
        }
        if let Some(slot) = self.slot {
            slot.set_waker(cx.waker());
            // The timer may have fired between the two, and found the last waker or none. Then it is late enough now.
            return if self.is_over() { Poll::Ready(()) } else { Poll::Pending };
        }
        let slot = SleepSlot::acquire();
        slot.set_waker(cx.waker());
        self.slot = Some(slot);
        slot.timer.arm(self.when);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            slot.release();
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slot = self.slot.map(|s| s.index);
        f.debug_struct("Sleep").field("when", &self.when).field("slot", &slot).finish()
    }
}

/// How many futures sleep, by the slots they have. For tests.
#[doc(hidden)]
pub fn sleeping() -> usize {
    let free = FREE.lock();
    free.made as usize - free.slots.len()
}
