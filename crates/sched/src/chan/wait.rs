//! One wait on one channel or, in a select, on several; how somebody else ends it, and that only one does.
//!
//! A wait has a node in the queue of each channel that can end it. Who takes a node off, under that channel's lock,
//! must also win the wait's claim; then the wait and the memory it lends for the value are his until he calls
//! [`end`]. What he finds claimed already is the leftover of a select that another channel has ended, and he forgets
//! it. The owner leaves only when the wait was ended, and its nodes are out of all queues: to take them out it locks
//! the channels, so whoever looks at a node under its channel's lock finds it alive.
//!
//! # Safety
//! The plain fields of a [`Wait`] are written by its owner before it queues the first node, and by who won the claim
//! until `end`; the queues' locks, and the slot at the end, order that. Pointers in a [`Case`] are good as long as its
//! node is queued, and for who won the claim until `end`.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr::NonNull;

use gopark_sys::loom::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::park::{ParkSlot, unpark};
use crate::waitlist::{WaitList, WaitNode};

/// Nobody has claimed the wait.
const OPEN: u32 = u32::MAX;
/// The owner has: its time was up.
const GIVEN_UP: u32 = u32::MAX - 1;

/// A wait, on the stack of who waits.
///
/// `claim`, of a select:
///
/// | value | meaning | set by |
/// | --- | --- | --- |
/// | `OPEN` | nobody has ended it | `new` |
/// | the index of a case | a channel has, through that case | who took that case's node off, under its channel's lock |
/// | `GIVEN_UP` | its time was up | the owner |
///
/// A wait on a single channel needs no claim: being in that channel's queue, under its lock, says as much.
pub(crate) struct Wait {
    claim: AtomicU32,
    /// Set by `end`; for waits whose slot may be unparked by others too (a timer).
    done: AtomicBool,
    /// Whether the end is the channel's, rather than a value: see the module.
    closed: Cell<bool>,
}

impl Wait {
    pub(crate) fn new() -> Wait {
        Wait { claim: AtomicU32::new(OPEN), done: AtomicBool::new(false), closed: Cell::new(false) }
    }

    /// True once `end` was called. Only then may the owner of a wait with a parker's slot leave.
    pub(crate) fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire) // pairs with `end`
    }

    /// Whether a close ended it. After its end.
    pub(crate) fn closed(&self) -> bool {
        self.closed.get()
    }

    /// Which case of a select ended it. After its end.
    pub(crate) fn chosen(&self) -> usize {
        // Relaxed: the claim came before the end.
        self.claim.load(Ordering::Relaxed) as usize
    }

    /// The owner of a select gives up; false if a channel has ended, or is ending it.
    pub(crate) fn give_up(&self) -> bool {
        // Relaxed: nothing is published, and what a winner wrote is read after `is_done`.
        self.claim.compare_exchange(OPEN, GIVEN_UP, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// What a node tells of its wait.
pub(crate) struct Case {
    wait: NonNull<Wait>,
    /// Where the value is to be taken from, or put.
    value: *mut (),
    /// The case of a select; `OPEN` of a wait on one channel.
    index: u32,
}

// SAFETY: see the module.
unsafe impl Sync for Case {}

pub(crate) type Node = WaitNode<Case>;
pub(crate) type Queue = WaitList<Case>;

impl Case {
    /// The only case of a wait on one channel.
    pub(crate) fn single(wait: &Wait, value: *mut ()) -> Case {
        Case { wait: NonNull::from(wait), value, index: OPEN }
    }

    /// One case of a select.
    pub(crate) fn of_select(wait: &Wait, value: *mut (), index: usize) -> Case {
        Case { wait: NonNull::from(wait), value, index: index as u32 }
    }

    /// Claims the wait for this case. Under the lock of the node's channel.
    #[inline]
    fn claim(&self) -> bool {
        self.index == OPEN || {
            // SAFETY: the node is queued, or just was and its channel is still locked.
            let wait = unsafe { self.wait.as_ref() };
            // Relaxed: it decides between claimants; what they read and write is ordered by the channels' locks
            // before, and by `end` after.
            wait.claim.compare_exchange(OPEN, self.index, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        }
    }

    /// Whether nobody had claimed the wait a moment ago. Under the lock of the node's channel.
    fn is_open(&self) -> bool {
        // SAFETY: the node is queued. Relaxed: a hint, `claim` decides.
        self.index == OPEN || unsafe { self.wait.as_ref() }.claim.load(Ordering::Relaxed) == OPEN
    }
}

/// A waiter that was taken off a queue and claimed. It must be ended.
#[must_use]
pub(crate) struct Claimed(NonNull<Node>);

impl Claimed {
    /// Where the waiter's value is, or goes.
    #[inline]
    pub(crate) fn value(&self) -> *mut () {
        // SAFETY: it was claimed, and is not ended.
        unsafe { self.0.as_ref() }.data.value
    }

    /// Ends the wait and makes its owner runnable. Under no lock.
    #[inline]
    pub(crate) fn end(self, closed: bool) {
        // SAFETY: it was claimed, and is not ended: node and wait are alive.
        let (slot, wait): (&'static ParkSlot, &Wait) =
            unsafe { (self.0.as_ref().slot, self.0.as_ref().data.wait.as_ref()) };
        wait.closed.set(closed);
        // Release: publishes the value and `closed` to `is_done`. From here on the owner of a wait with a parker may
        // be gone; one with a slot of its own goes only when that was unparked.
        wait.done.store(true, Ordering::Release);
        unpark(slot);
    }
}

/// Takes off the first waiter that nobody else has ended. Under the queue's lock.
#[inline]
pub(crate) fn dequeue(queue: &mut Queue) -> Option<Claimed> {
    loop {
        let node = queue.pop_front()?;
        // SAFETY: it was queued until now, and the lock is held.
        if unsafe { node.as_ref() }.data.claim() {
            return Some(Claimed(node));
        }
    }
}

/// Whether `dequeue` would have found somebody a moment ago. Under the queue's lock.
pub(crate) fn has_open(queue: &Queue) -> bool {
    let mut at = queue.front();
    while let Some(node) = at {
        // SAFETY: it is queued, and the lock is held.
        if unsafe { node.as_ref() }.data.is_open() {
            return true;
        }
        at = queue.after(node);
    }
    false
}
