//! How everything in `sync` waits: in a list inside a lock, with a deadline or without.
//!
//! Go's locks wait on semaphores that are nothing but addresses, in a table of the runtime's. A table has to be
//! searched, and two busy locks can share a place in it; what it saves is the two pointers a lock needs for its own
//! list. Those we spend.
//!
//! The rules, as in `waitlist`: a node lies on its waiter's stack; it is queued and taken off under the lock; who ends
//! the wait takes it off, copies its slot and writes the outcome under the lock, and unparks the slot when the lock is
//! free. A waiter whose time is up looks under the lock whether its wait was ended all the same; then the outcome
//! counts, not the clock: what was given to it must not be lost.
//!
//! # Safety
//! A node leaves [`wait_in`] alive only through its list: the function returns when the outcome was written, which is
//! after the node was taken off, or when it took the node off itself, under the lock.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use gopark_poll::WaitReason;
use gopark_sys::loom::atomic::{AtomicU32, Ordering};

use crate::park::{ParkSlot, Parker, unpark};
use crate::sync::lock::{Mutex, MutexGuard};
use crate::waitlist::{WaitList, WaitNode};

const WAITING: u32 = 0;
const WOKEN: u32 = 1;
const GRANTED: u32 = 2;

/// What lists know of a waiter.
///
/// | `outcome` | meaning | set by |
/// | --- | --- | --- |
/// | `WAITING` | nobody has ended the wait | `new` |
/// | `WOKEN` | look again at what you wait for | `end`, under the list's lock |
/// | `GRANTED` | you have what you wait for | `end`, under the list's lock |
pub(crate) struct Wait {
    outcome: AtomicU32,
    /// For the owner of the list: since when a mutex is waited for, how many permits are asked for, which round of a
    /// [`Queue`] it is.
    note: u64,
}

pub(crate) type Node = WaitNode<Wait>;
pub(crate) type List = WaitList<Wait>;

impl Wait {
    fn outcome(&self) -> Option<Ended> {
        // Acquire: pairs with `end`.
        match self.outcome.load(Ordering::Acquire) {
            WAITING => None,
            WOKEN => Some(Ended::Woken),
            _ => Some(Ended::Granted),
        }
    }
}

/// How a call of [`wait_in`] ended.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Ended {
    /// There was no need to wait.
    NotQueued,
    /// Woken, to look again.
    Woken,
    /// Given what it waited for.
    Granted,
    /// The deadline passed, and nothing else had happened.
    TimeUp,
}

/// Where in the list to wait.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Back,
    /// Before all others: one that was woken in vain.
    Front,
}

/// Ends the wait of `node`, which was just taken off its list, whose lock is still held. The slot must be unparked
/// when the lock is free.
#[must_use]
pub(crate) fn end(node: NonNull<Node>, granted: bool) -> &'static ParkSlot {
    // SAFETY: its owner cannot leave before the outcome is written, or it has the lock.
    let node = unsafe { node.as_ref() };
    let slot = node.slot;
    // Release: publishes what the waker did to `outcome`. The node may be gone from here on.
    node.data.outcome.store(if granted { GRANTED } else { WOKEN }, Ordering::Release);
    slot
}

/// What `prepare` told of a waiter that was just taken off its list, whose lock is still held, and not ended yet.
pub(crate) fn note(node: NonNull<Node>) -> u64 {
    // SAFETY: as in `end`.
    unsafe { node.as_ref() }.data.note
}

/// What a waiter queues in.
pub(crate) trait Waitable {
    /// # Safety
    /// As [`WaitList::push_back`].
    unsafe fn push(&mut self, node: &Node, place: Place);

    /// Takes out the node of a waiter whose time is up. False: its wait was over before.
    fn give_up(&mut self, node: &Node) -> bool;
}

impl Waitable for List {
    unsafe fn push(&mut self, node: &Node, place: Place) {
        match place {
            // SAFETY: the caller's promise.
            Place::Back => unsafe { self.push_back(node) },
            // SAFETY: the caller's promise.
            Place::Front => unsafe { self.push_front(node) },
        }
    }

    fn give_up(&mut self, node: &Node) -> bool {
        self.remove(node)
    }
}

/// Waits in the list behind `lock`.
///
/// `prepare` says, under the lock, where in the list, and what its owner should know of the waiter; None if there is
/// no need any more. `queued` runs when the lock is free again. `gave_up` runs under the lock after a waiter whose
/// time was up took itself out.
pub(crate) fn wait_in<L: Waitable>(
    lock: &Mutex<L>,
    reason: WaitReason,
    deadline: Option<i64>,
    prepare: impl FnOnce(&mut L) -> Option<(Place, u64)>,
    queued: impl FnOnce(),
    gave_up: impl FnOnce(&mut L),
) -> Ended {
    let parker = Parker::current();
    let mut list = lock.lock();
    let Some((place, note)) = prepare(&mut list) else { return Ended::NotQueued };
    let node = WaitNode::new(parker.slot(), Wait { outcome: AtomicU32::new(WAITING), note });
    // SAFETY: the function leaves the node only when it is out of the list and its outcome written, or under the
    // lock: see the module.
    unsafe { list.push(&node, place) };
    drop(list);
    queued();
    if let Some(ended) = park_until(&parker, &node.data, reason, deadline) {
        return ended;
    }
    let mut list = lock.lock();
    if let Some(ended) = node.data.outcome() {
        return ended;
    }
    if list.give_up(&node) {
        gave_up(&mut list);
        return Ended::TimeUp;
    }
    Ended::Woken
}

/// Parks until the wait has an outcome; None when the deadline comes first.
fn park_until(parker: &Parker, wait: &Wait, reason: WaitReason, deadline: Option<i64>) -> Option<Ended> {
    let Some(when) = deadline else {
        // Others may unpark the slot too, late: a timer, a waker that somebody kept.
        loop {
            if let Some(ended) = wait.outcome() {
                return Some(ended);
            }
            parker.park(reason);
        }
    };
    parker.timer().arm(when);
    let ended = loop {
        if let Some(ended) = wait.outcome() {
            break Some(ended);
        }
        if crate::rt::nanotime() >= when {
            break None;
        }
        parker.park(reason);
    };
    parker.timer().stop();
    ended
}

/// The most that are unparked between two looks at the lock.
#[cfg(not(loom))]
const BATCH: usize = 16;
#[cfg(loom)]
const BATCH: usize = 1;

/// Slots to unpark when the lock is free.
pub(crate) struct Slots {
    slots: [Option<&'static ParkSlot>; BATCH],
    len: usize,
}

impl Slots {
    pub(crate) const fn new() -> Slots {
        Slots { slots: [None; BATCH], len: 0 }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len == BATCH
    }

    /// There must be room.
    pub(crate) fn push(&mut self, slot: &'static ParkSlot) {
        self.slots[self.len] = Some(slot);
        self.len += 1;
    }

    /// Under no lock.
    pub(crate) fn unpark(self) {
        self.slots.into_iter().flatten().for_each(unpark);
    }
}

/// A list from which all can be woken at a time, however many: a condition variable's, a barrier's.
///
/// All that wait are moved to a second list in one step, and then taken off that in batches, so that the lock is held
/// for a few instructions at a time. Who comes meanwhile waits in the first list. A waiter whose time is up must know
/// which list it is in: the round it came in tells.
pub(crate) struct Queue {
    waiting: List,
    /// How many wait.
    len: usize,
    /// The present round.
    round: u64,
    /// Those whose wait is over, and who are not told yet.
    ending: List,
}

impl Queue {
    const fn new() -> Queue {
        Queue { waiting: List::new(), len: 0, round: 0, ending: List::new() }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// What a waiter's `prepare` returns to wait here.
    pub(crate) fn last(&self) -> Option<(Place, u64)> {
        Some((Place::Back, self.round))
    }

    /// Ends all waits; returns how many those are. [`Waiters::tell`] must follow when the lock is free.
    pub(crate) fn end_all(&mut self) -> usize {
        self.round += 1;
        self.ending.append(&mut self.waiting);
        std::mem::take(&mut self.len)
    }
}

impl Waitable for Queue {
    unsafe fn push(&mut self, node: &Node, _place: Place) {
        // SAFETY: the caller's promise.
        unsafe { self.waiting.push_back(node) };
        self.len += 1;
    }

    fn give_up(&mut self, node: &Node) -> bool {
        if node.data.note != self.round {
            self.ending.remove(node);
            return false;
        }
        let waited = self.waiting.remove(node);
        self.len -= usize::from(waited);
        waited
    }
}

/// A [`Queue`] and its lock.
pub(crate) struct Waiters(Mutex<Queue>);

impl Waiters {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Waiters {
        Waiters(Mutex::new(Queue::new()))
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Waiters {
        Waiters(Mutex::new(Queue::new()))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock()
    }

    /// Waits, unless `prepare` says, under the lock, that there is no need. False: the time was up, and `gave_up` ran
    /// under the lock.
    pub(crate) fn wait(
        &self,
        reason: WaitReason,
        deadline: Option<i64>,
        prepare: impl FnOnce(&mut Queue) -> Option<(Place, u64)>,
        queued: impl FnOnce(),
        gave_up: impl FnOnce(&mut Queue),
    ) -> bool {
        wait_in(&self.0, reason, deadline, prepare, queued, gave_up) != Ended::TimeUp
    }

    /// Ends the wait that is longest; false if nobody waits. `left` is told under the lock how many wait still.
    pub(crate) fn wake_one(&self, left: impl FnOnce(usize)) -> bool {
        let mut queue = self.lock();
        let Some(node) = queue.waiting.pop_front() else { return false };
        queue.len -= 1;
        left(queue.len);
        let slot = end(node, false);
        drop(queue);
        unpark(slot);
        true
    }

    /// Ends all waits; `ended` is told how many before anybody learns of it. Returns that number.
    pub(crate) fn wake_all(&self, mut queue: MutexGuard<'_, Queue>, ended: impl FnOnce(usize)) -> usize {
        let n = queue.end_all();
        ended(n);
        self.tell_with(queue);
        n
    }

    /// Tells those whose waits were ended.
    pub(crate) fn tell(&self) {
        self.tell_with(self.lock());
    }

    fn tell_with<'a>(&'a self, mut queue: MutexGuard<'a, Queue>) {
        loop {
            let mut slots = Slots::new();
            while !slots.is_full()
                && let Some(node) = queue.ending.pop_front()
            {
                slots.push(end(node, true));
            }
            let more = !queue.ending.is_empty();
            drop(queue);
            slots.unpark();
            if !more {
                return;
            }
            queue = self.lock();
        }
    }
}
