//! Queues of goroutines linked through the goroutines themselves: moving any number costs no allocation.
//!
//! # Safety
//! A goroutine on a list belongs to the list: nobody else touches its link. The list is guarded by its owner (the
//! scheduler lock, or a P).
#![allow(unsafe_code)]

use crate::g::G;

/// A first-in first-out queue of goroutines, with its length.
///
/// Go: runtime/proc.go gQueue
#[doc(alias = "gQueue")]
#[derive(Debug)]
pub(crate) struct GQueue {
    head: *mut G,
    tail: *mut G,
    len: usize,
}

// SAFETY: the goroutines on the queue belong to it, whichever thread holds it.
unsafe impl Send for GQueue {}

impl GQueue {
    pub(crate) const fn new() -> GQueue {
        GQueue { head: std::ptr::null_mut(), tail: std::ptr::null_mut(), len: 0 }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts `gp` at the tail.
    #[inline]
    pub(crate) fn push_back(&mut self, gp: &'static G) {
        let gp = gp.as_ptr();
        // SAFETY: the caller gives the goroutine to the queue; `tail` is on the queue.
        unsafe {
            G::from_ptr(gp).set_schedlink(std::ptr::null_mut());
            if self.tail.is_null() {
                self.head = gp;
            } else {
                G::from_ptr(self.tail).set_schedlink(gp);
            }
        }
        self.tail = gp;
        self.len += 1;
    }

    /// Puts `gp` at the head.
    #[inline]
    pub(crate) fn push_front(&mut self, gp: &'static G) {
        gp.set_schedlink(self.head);
        self.head = gp.as_ptr();
        if self.tail.is_null() {
            self.tail = self.head;
        }
        self.len += 1;
    }

    /// Takes the head.
    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<&'static G> {
        if self.head.is_null() {
            return None;
        }
        // SAFETY: non-null entries are goroutines that belong to the queue.
        let gp = unsafe { G::from_ptr(self.head) };
        self.head = gp.schedlink();
        if self.head.is_null() {
            self.tail = std::ptr::null_mut();
        }
        gp.set_schedlink(std::ptr::null_mut());
        self.len -= 1;
        Some(gp)
    }

    /// Moves all of `other` behind the tail.
    pub(crate) fn append(&mut self, other: &mut GQueue) {
        if other.is_empty() {
            return;
        }
        if self.tail.is_null() {
            self.head = other.head;
        } else {
            // SAFETY: `tail` is on this queue.
            unsafe { G::from_ptr(self.tail).set_schedlink(other.head) };
        }
        self.tail = other.tail;
        self.len += other.len;
        *other = GQueue::new();
    }
}
