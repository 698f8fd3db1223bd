//! A list of waiters whose nodes lie on the waiters' own stacks: the queue of a channel, a mutex, a semaphore.
//!
//! Waiting allocates nothing, and a waiter that gives up (a timeout, another case of its select) takes itself out in
//! constant time. The list belongs into the lock of the thing that is waited for.
//!
//! How a wait goes. The waiter makes a node with its [`Parker`](crate::park::Parker)'s slot in it, queues it under the
//! lock, lets go of the lock and parks. Who ends the wait takes the node off under the lock, *copies the slot*, writes
//! the outcome, last of all the word that says so, and unparks the slot. From that word on the node may be gone: its
//! owner can wake for another reason, find the word and return. The unpark that then comes too late is one of those
//! that every park must put up with.
//!
//! # Safety
//! Links are read and written under the lock that guards the list. A queued node neither moves nor goes away, which
//! is what [`WaitList::push_back`] asks of its caller.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr::{self, NonNull};

use crate::park::ParkSlot;

/// One waiter. `T` is what the list's users tell each other.
pub(crate) struct WaitNode<T> {
    next: Cell<*const WaitNode<T>>,
    prev: Cell<*const WaitNode<T>>,
    queued: Cell<bool>,
    /// Whom to unpark.
    pub(crate) slot: &'static ParkSlot,
    pub(crate) data: T,
}

impl<T> WaitNode<T> {
    /// A node that is in no list.
    pub(crate) fn new(slot: &'static ParkSlot, data: T) -> WaitNode<T> {
        let (next, prev) = (Cell::new(ptr::null()), Cell::new(ptr::null()));
        WaitNode { next, prev, queued: Cell::new(false), slot, data }
    }
}

/// A queue of waiters, first in first out.
pub(crate) struct WaitList<T> {
    head: *const WaitNode<T>,
    tail: *const WaitNode<T>,
}

// SAFETY: the list is used under the lock that it lies in, by one thread at a time; its nodes hold what their users
// share between threads.
unsafe impl<T: Sync> Send for WaitList<T> {}

impl<T> WaitList<T> {
    pub(crate) const fn new() -> WaitList<T> {
        WaitList { head: ptr::null(), tail: ptr::null() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_null()
    }

    /// Queues `node`, which is in no list.
    ///
    /// # Safety
    /// The node stays where it is until it is out of the list, and then until whoever took it off is done with it;
    /// and its links are touched under this list's lock only.
    pub(crate) unsafe fn push_back(&mut self, node: &WaitNode<T>) {
        self.link(node, self.tail, ptr::null());
    }

    /// Queues `node` before all others: one that has waited in vain once.
    ///
    /// # Safety
    /// As [`WaitList::push_back`].
    pub(crate) unsafe fn push_front(&mut self, node: &WaitNode<T>) {
        self.link(node, ptr::null(), self.head);
    }

    fn link(&mut self, node: &WaitNode<T>, prev: *const WaitNode<T>, next: *const WaitNode<T>) {
        if node.queued.replace(true) {
            gopark_sys::throw!("a waiter was queued twice");
        }
        node.prev.set(prev);
        node.next.set(next);
        self.set_next_of(prev, node);
        self.set_prev_of(next, node);
    }

    /// Takes `node` out if it is in; true if it was. It must not be in another list.
    pub(crate) fn remove(&mut self, node: &WaitNode<T>) -> bool {
        if !node.queued.replace(false) {
            return false;
        }
        let (prev, next) = (node.prev.get(), node.next.get());
        self.set_next_of(prev, next);
        self.set_prev_of(next, prev);
        true
    }

    /// Takes the first waiter out. The pointer is good until its owner is told that its wait is over.
    pub(crate) fn pop_front(&mut self) -> Option<NonNull<WaitNode<T>>> {
        let node = self.front()?;
        // SAFETY: it is queued, so it is alive and where it was.
        self.remove(unsafe { node.as_ref() });
        Some(node)
    }

    /// The first waiter.
    pub(crate) fn front(&self) -> Option<NonNull<WaitNode<T>>> {
        NonNull::new(self.head.cast_mut())
    }

    /// The waiter behind `node`, which is queued here.
    pub(crate) fn after(&self, node: NonNull<WaitNode<T>>) -> Option<NonNull<WaitNode<T>>> {
        // SAFETY: it is queued, so it is alive and where it was.
        NonNull::new(unsafe { node.as_ref() }.next.get().cast_mut())
    }

    /// Moves all of `other` behind the waiters here, in constant time.
    pub(crate) fn append(&mut self, other: &mut WaitList<T>) {
        let Some(first) = other.front() else { return };
        // SAFETY: it is queued, so it is alive and where it was.
        unsafe { first.as_ref() }.prev.set(self.tail);
        self.set_next_of(self.tail, first.as_ptr());
        self.tail = other.tail;
        *other = WaitList::new();
    }

    fn set_next_of(&mut self, prev: *const WaitNode<T>, next: *const WaitNode<T>) {
        // SAFETY: links lead to queued nodes only, which are alive.
        match unsafe { prev.as_ref() } {
            Some(prev) => prev.next.set(next),
            None => self.head = next,
        }
    }

    fn set_prev_of(&mut self, next: *const WaitNode<T>, prev: *const WaitNode<T>) {
        // SAFETY: as above.
        match unsafe { next.as_ref() } {
            Some(next) => next.prev.set(prev),
            None => self.tail = prev,
        }
    }
}

#[cfg(all(test, not(loom)))] // the models have slots of their own
mod tests {
    use super::*;

    static SLOT: ParkSlot = ParkSlot::new();

    /// Queues all nodes, does `f`, and returns what is left, in order.
    fn with(nodes: &[WaitNode<usize>], f: impl FnOnce(&mut WaitList<usize>)) -> Vec<usize> {
        let mut list = WaitList::new();
        for node in nodes {
            // SAFETY: the nodes outlive the list and are used by this thread alone.
            unsafe { list.push_back(node) };
        }
        f(&mut list);
        let mut order = Vec::new();
        while let Some(node) = list.pop_front() {
            order.extend(nodes.iter().filter(|n| std::ptr::eq(*n, node.as_ptr())).map(|n| n.data));
        }
        assert!(list.is_empty());
        order
    }

    fn nodes(count: usize) -> Vec<WaitNode<usize>> {
        (0..count).map(|i| WaitNode::new(&SLOT, i)).collect()
    }

    #[test]
    fn first_in_first_out() {
        assert_eq!(with(&nodes(4), |_| {}), [0, 1, 2, 3]);
    }

    #[test]
    fn remove_from_every_place_and_come_first() {
        for gone in 0..3 {
            let nodes = nodes(3);
            let order = with(&nodes, |list| {
                assert!(list.remove(&nodes[gone]));
                assert!(!list.remove(&nodes[gone]), "a second time");
                // SAFETY: as in `with`.
                unsafe { list.push_front(&nodes[gone]) };
            });
            let expected: Vec<_> = std::iter::once(gone).chain((0..3).filter(|&i| i != gone)).collect();
            assert_eq!(order, expected);
        }
    }
}
