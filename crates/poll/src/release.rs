//! Waiting for a descriptor to be closed, for accept loops at the descriptor limit. Not in Go.
//!
//! `accept` fails with `EMFILE` and leaves the connection in the backlog. Go's servers sleep for 5 ms to 1 s;
//! here the close of any descriptor of ours ends that sleep at once.

// No model has descriptors, so these are std's.
use std::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, SeqCst},
    fence,
};
use std::time::Duration;

use crate::park_slot::{ParkSlot, Unblock};
use crate::runtime::{WaitReason, is_installed, runtime};
use crate::time::{Timer, TimerKind, when_in};

/// How many descriptors have been closed. Go has no such thing.
static RELEASED: AtomicU64 = AtomicU64::new(0);
/// Who waits or is about to; read by every close.
static WAITERS: AtomicUsize = AtomicUsize::new(0);
static LISTS: parking_lot::Mutex<Lists> =
    parking_lot::Mutex::new(Lists { waiting: Vec::new(), free: Vec::new() });

struct Lists {
    waiting: Vec<Node>,
    /// Kept for ever and used again.
    free: Vec<Node>,
}

#[derive(Copy, Clone)]
struct Node {
    slot: &'static ParkSlot,
    timer: &'static Timer,
}

/// A descriptor was closed: everybody who waits for one looks again.
///
/// All and not one: who is woken may not want it any more.
pub(crate) fn descriptor_released() {
    RELEASED.fetch_add(1, Relaxed);
    // Pairs with the fence in `wait_for_descriptor_since`: either we see the waiter, or he sees the count.
    fence(SeqCst);
    if WAITERS.load(Relaxed) > 0 {
        wake_all();
    }
}

#[cold]
#[inline(never)]
fn wake_all() {
    // One at a time: nobody is readied with the lock held. No more than there are now, and the oldest first: who finds
    // no descriptor is back in the list at once, and would be woken for ever and before those who have not looked yet.
    let count = LISTS.lock().waiting.len();
    for _ in 0..count {
        let node = {
            let mut lists = LISTS.lock();
            if lists.waiting.is_empty() {
                return;
            }
            lists.waiting.remove(0)
        };
        if let Some(w) = node.slot.unblock(Unblock::Ready) {
            runtime().goready(w);
        }
    }
}

/// How many descriptors of ours have been closed so far; for [`wait_for_descriptor_since`].
pub fn descriptors_released() -> u64 {
    RELEASED.load(Acquire)
}

/// Parks the caller until any descriptor of ours is closed, or `max` has passed.
pub fn wait_for_descriptor(max: Duration) {
    wait_for_descriptor_since(descriptors_released(), max);
}

/// [`wait_for_descriptor`] that returns at once if a descriptor was closed since `since` was read, so that
/// none is missed between a failed accept and the wait. May return early.
///
/// Does nothing before a runtime is installed.
pub fn wait_for_descriptor_since(since: u64, max: Duration) {
    if max.is_zero() || !is_installed() || descriptors_released() != since {
        return;
    }
    let node = {
        let mut lists = LISTS.lock();
        let node = lists.free.pop().unwrap_or_else(new_node);
        node.slot.reset();
        lists.waiting.push(node);
        node
    };
    WAITERS.fetch_add(1, Relaxed);
    // Pairs with the fence in `descriptor_released`.
    fence(SeqCst);
    if RELEASED.load(Relaxed) == since {
        node.timer.arm(when_in(max));
        node.slot.block(WaitReason::Sleep, || true);
        // If it fires just now its mark may meet the next user of the node, who then returns early.
        node.timer.stop();
    }
    WAITERS.fetch_sub(1, Relaxed);
    let mut lists = LISTS.lock();
    lists.waiting.retain(|n| !std::ptr::eq(n.slot, node.slot));
    lists.free.push(node);
}

#[cold]
fn new_node() -> Node {
    let slot: &'static ParkSlot = Box::leak(Box::new(ParkSlot::new()));
    Node { slot, timer: Box::leak(Box::new(Timer::new(TimerKind::Wake(slot)))) }
}
