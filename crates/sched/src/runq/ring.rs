//! The ring: one producer, many consumers, no allocation.
//!
//! | word | meaning | who changes it |
//! | --- | --- | --- |
//! | `head` | index of the oldest element, counted without wrapping at the capacity | anybody who takes elements, by CAS |
//! | `tail` | index one past the newest | the owner alone, by store |
//!
//! `tail - head` is the length. A thief copies elements before its CAS on `head` commits them: a slot is not reused
//! by the owner before `head` has passed it, and then the thief's CAS fails.
//!
//! Go: runtime/proc.go runqput, runqget, runqgrab.

use gopark_sys::loom::atomic::{AtomicPtr, AtomicU32, Ordering};

use super::CAPACITY;

const MASK: u32 = CAPACITY as u32 - 1;
const _: () = assert!(CAPACITY.is_power_of_two() && CAPACITY >= 4);

/// A bounded queue of pointers, owned by one P, robbed by all.
pub(crate) struct RunQueue<T> {
    head: AtomicU32,
    tail: AtomicU32,
    slots: Box<[AtomicPtr<T>; CAPACITY]>,
}

impl<T> RunQueue<T> {
    pub(crate) fn new() -> Self {
        let slots: Vec<AtomicPtr<T>> = (0..CAPACITY).map(|_| AtomicPtr::new(std::ptr::null_mut())).collect();
        let slots = slots.into_boxed_slice().try_into().unwrap_or_else(|_| unreachable!());
        RunQueue { head: AtomicU32::new(0), tail: AtomicU32::new(0), slots }
    }

    #[inline]
    fn slot(&self, index: u32) -> &AtomicPtr<T> {
        &self.slots[(index & MASK) as usize]
    }

    /// How many elements there are; a snapshot.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        loop {
            let t = self.tail.load(Ordering::Acquire); // pairs with push_back's store
            let h = self.head.load(Ordering::Acquire); // pairs with the takers' CAS
            if self.tail.load(Ordering::Relaxed) == t {
                return t.wrapping_sub(h) as usize;
            }
        }
    }

    /// True if there was nothing at one moment of the call.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds at the tail; false if the queue is full. Owner only.
    #[inline]
    pub(crate) fn push_back(&self, item: *mut T) -> bool {
        let h = self.head.load(Ordering::Acquire); // pairs with the takers' CAS: their copies are done
        let t = self.tail.load(Ordering::Relaxed); // ours alone
        if t.wrapping_sub(h) as usize >= CAPACITY {
            return false;
        }
        self.slot(t).store(item, Ordering::Relaxed);
        self.tail.store(t.wrapping_add(1), Ordering::Release); // pairs with the thieves' load of tail
        true
    }

    /// Takes the older half of a full queue, oldest first, into `half` and returns how many. Owner only.
    ///
    /// 0 if a thief made room meanwhile.
    #[cold]
    pub(crate) fn take_half(&self, half: &mut [*mut T; CAPACITY / 2]) -> usize {
        let h = self.head.load(Ordering::Acquire); // pairs with the thieves' CAS
        if (self.tail.load(Ordering::Relaxed).wrapping_sub(h) as usize) < CAPACITY {
            return 0;
        }
        for (i, item) in half.iter_mut().enumerate() {
            *item = self.slot(h.wrapping_add(i as u32)).load(Ordering::Relaxed);
        }
        let next = h.wrapping_add(CAPACITY as u32 / 2);
        // Release: our reads of the slots come before anybody's reuse of them.
        let won = self.head.compare_exchange(h, next, Ordering::Release, Ordering::Relaxed).is_ok();
        if won { CAPACITY / 2 } else { 0 }
    }

    /// Takes the oldest. Owner only.
    #[inline]
    pub(crate) fn pop_front(&self) -> Option<*mut T> {
        let t = self.tail.load(Ordering::Relaxed); // ours alone
        loop {
            let h = self.head.load(Ordering::Acquire); // pairs with the thieves' CAS
            if t == h {
                return None;
            }
            let item = self.slot(h).load(Ordering::Relaxed);
            // Release: as in take_half.
            if self.head.compare_exchange(h, h.wrapping_add(1), Ordering::Release, Ordering::Relaxed).is_ok()
            {
                return Some(item);
            }
        }
    }

    /// The `nth` element from the head, for prefetching: a thief may own it by now. Owner only.
    #[inline]
    pub(crate) fn peek(&self, nth: u32) -> Option<*mut T> {
        let h = self.head.load(Ordering::Relaxed);
        let len = self.tail.load(Ordering::Relaxed).wrapping_sub(h);
        (nth < len).then(|| self.slot(h.wrapping_add(nth)).load(Ordering::Relaxed))
    }

    /// Moves half of this queue, rounded up, into `dest` (the caller's own queue) and returns one of them to run
    /// at once. `dest` is empty, or at most half full.
    pub(crate) fn steal_into(&self, dest: &RunQueue<T>) -> Option<*mut T> {
        let dt = dest.tail.load(Ordering::Relaxed); // the caller owns dest
        let room = CAPACITY as u32 - dt.wrapping_sub(dest.head.load(Ordering::Acquire));
        loop {
            let h = self.head.load(Ordering::Acquire); // pairs with other takers' CAS
            let t = self.tail.load(Ordering::Acquire); // pairs with push_back: the slots are filled
            let len = t.wrapping_sub(h);
            let n = len - len / 2;
            if n == 0 {
                return None;
            }
            if n as usize > CAPACITY / 2 {
                continue; // head and tail are from different moments
            }
            let n = n.min(room);
            for i in 0..n {
                let item = self.slot(h.wrapping_add(i)).load(Ordering::Relaxed);
                dest.slot(dt.wrapping_add(i)).store(item, Ordering::Relaxed);
            }
            // AcqRel: Release as in take_half; a failed copy is simply overwritten by the next round.
            if self.head.compare_exchange(h, h.wrapping_add(n), Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                let last = dt.wrapping_add(n - 1);
                let item = dest.slot(last).load(Ordering::Relaxed);
                dest.tail.store(last, Ordering::Release); // pairs with the thieves' load of tail
                return Some(item);
            }
        }
    }
}
