//! Calling tasks: wakers and callbacks that waited for a descriptor or a timer. See gopark-poll's `task.rs`.
//!
//! What they wait for is found on g0, where no user code runs. So
//!
//! * a waker of our own (`block_on`'s) is not called at all: whoever waits behind it is readied on the spot, as if his
//!   own waiter had been in the slot;
//! * any other waker goes into a queue, and a fresh goroutine calls all that are in it. Not one for each waker: to
//!   start one costs about as much as a waker of the usual kind takes to call. And none that stays: it would have to
//!   be counted out of everything that counts goroutines. A waker that blocks, which it should not, holds up only
//!   those taken out of the queue together with it;
//! * a callback is a fresh goroutine itself.
//!
//! There may be no stack for the goroutine. Then it is tried again by a timer: a task is never forgotten. That the
//! runtime is shutting down does not keep it from being started: somebody waits for what it does.

use std::panic::Location;
use std::task::Waker;
use std::time::Duration;

use gopark_poll::{Call, ReadyList, Task, Timer, TimerKind, Unblock, Waiter, take_task};
use parking_lot::Mutex;

use crate::block_on::slot_of;
use crate::g::G;
use crate::newproc::{catch, discard, newproc_task};

/// When there was no stack, after how long to look again.
const RETRY: Duration = Duration::from_millis(5);

/// Wakers to be called.
static WAKERS: Mutex<Wakers> = Mutex::new(Wakers { queue: Vec::new(), spare: Vec::new(), called: false });

struct Wakers {
    queue: Vec<Waker>,
    /// The queue's memory, for the next time.
    spare: Vec<Waker>,
    /// A goroutine is on its way to empty the queue.
    called: bool,
}

/// What found no stack.
static LEFT: Mutex<Left> = Mutex::new(Left { calls: Vec::new(), wakers: false });

struct Left {
    calls: Vec<Call>,
    wakers: bool,
}

static TIMER: Timer = Timer::new(TimerKind::Call(retry, 0));

/// Takes over a waiter that is a task. Returns the goroutine that is to be queued for it.
#[cold]
#[inline(never)]
pub(crate) fn accept(w: Waiter) -> Option<&'static G> {
    crate::park::accept(waiter_of(take_task(w)?)?)
}

/// Has a task called.
pub(crate) fn start(task: Task) {
    if let Some(w) = waiter_of(task) {
        crate::park::goready(w);
    }
}

/// Whom to make runnable for a task; nobody if somebody is on his way who sees to it as well.
fn waiter_of(task: Task) -> Option<Waiter> {
    match task {
        Task::Wake(waker) => match slot_of(&waker) {
            Some(slot) => slot.unblock(Unblock::Ready),
            None => queue(waker),
        },
        Task::Call(call) => call_later(call),
    }
}

fn queue(waker: Waker) -> Option<Waiter> {
    let first = {
        let mut wakers = WAKERS.lock();
        wakers.queue.push(waker);
        !std::mem::replace(&mut wakers.called, true)
    };
    if first { call_wakers_later() } else { None }
}

/// A goroutine that calls the wakers; none if that is to be tried again.
fn call_wakers_later() -> Option<Waiter> {
    match newproc_task(call_wakers, Location::caller()) {
        Ok(w) => Some(w),
        Err(_) => {
            LEFT.lock().wakers = true;
            try_later();
            None
        }
    }
}

fn call_later(call: Call) -> Option<Waiter> {
    let Call { run, start } = call;
    match newproc_task(run, start) {
        Ok(w) => Some(w),
        Err(run) => {
            LEFT.lock().calls.push(Call { run, start });
            try_later();
            None
        }
    }
}

fn try_later() {
    TIMER.arm(crate::rt::deadline_after(RETRY));
}

/// On g0.
fn retry(_arg: usize, _now: i64, ready: &mut ReadyList) {
    let left = {
        let mut left = LEFT.lock();
        std::mem::replace(&mut *left, Left { calls: Vec::new(), wakers: false })
    };
    if left.wakers
        && let Some(w) = call_wakers_later()
    {
        ready.push(w);
    }
    for w in left.calls.into_iter().filter_map(call_later) {
        ready.push(w);
    }
}

/// Calls the wakers that are in the queue.
fn call_wakers() {
    let mut batch = {
        let mut wakers = WAKERS.lock();
        wakers.called = false;
        let spare = std::mem::take(&mut wakers.spare);
        std::mem::replace(&mut wakers.queue, spare)
    };
    for waker in batch.drain(..) {
        call_waker(waker);
    }
    let mut wakers = WAKERS.lock();
    let unused = if wakers.spare.capacity() < batch.capacity() {
        std::mem::replace(&mut wakers.spare, batch)
    } else {
        batch
    };
    drop(wakers);
    drop(unused);
}

/// A waker that panics does not take the others with it. Not inlined: see `newproc::call`.
#[inline(never)]
fn call_waker(waker: Waker) {
    if let Err(payload) = catch(|| waker.wake()) {
        discard(payload);
    }
}
