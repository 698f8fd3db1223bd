//! What a channel holds back: a ring of fixed size, or a list of blocks that grows.
//!
//! # Safety
//! A buffer counts its values; between `head` and `head + len` all are initialised, and no others. Its owner sees to it
//! that nothing is pushed into a full one and nothing taken out of an empty one.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ptr;

/// How many values one block of a list holds.
const BLOCK: usize = 32;

/// The values of a channel, first in first out.
pub(crate) enum Buffer<T> {
    Ring(Ring<T>),
    List(List<T>),
}

/// Memory for the next values of a list, got and given back while no lock is held.
pub(crate) type Spare<T> = Option<Box<MaybeUninit<Block<T>>>>;

impl<T> Buffer<T> {
    /// Whether a push needs a block from outside.
    #[inline]
    pub(crate) fn wants_block(&self) -> bool {
        match self {
            Buffer::Ring(_) => false,
            Buffer::List(list) => list.tail_len == BLOCK && list.spare.is_none(),
        }
    }

    /// Adds a block. True: it was wanted.
    pub(crate) fn give_block(&mut self, block: &mut Spare<T>) {
        if let Buffer::List(list) = self
            && list.spare.is_none()
        {
            list.spare = block.take();
        }
    }

    /// Moves the value at `from` to the end.
    ///
    /// # Safety
    /// - There are fewer than the capacity, and `wants_block` is false.
    /// - `from` is a value that nobody uses afterwards.
    #[inline]
    pub(crate) unsafe fn push(&mut self, from: *const T) {
        match self {
            // SAFETY: the caller's promise.
            Buffer::Ring(ring) => unsafe { ring.push(from) },
            // SAFETY: as above.
            Buffer::List(list) => unsafe { list.push(from) },
        }
    }

    /// Moves the first value to `to`. A block that is left over is returned, to be freed without a lock.
    ///
    /// # Safety
    /// - There is one.
    /// - `to` is memory for one.
    #[inline]
    #[must_use]
    pub(crate) unsafe fn pop(&mut self, to: *mut T) -> Spare<T> {
        match self {
            Buffer::Ring(ring) => {
                // SAFETY: the caller's promise.
                unsafe { ring.pop(to) };
                None
            }
            // SAFETY: as above.
            Buffer::List(list) => unsafe { list.pop(to) },
        }
    }
}

/// A ring of fixed size.
pub(crate) struct Ring<T> {
    slots: Box<[MaybeUninit<T>]>,
    head: usize,
    tail: usize,
}

impl<T> Ring<T> {
    pub(crate) fn new(cap: usize) -> Ring<T> {
        Ring { slots: Box::new_uninit_slice(cap), head: 0, tail: 0 }
    }

    /// The index after `at`.
    #[inline]
    fn after(&self, at: usize) -> usize {
        if at + 1 == self.slots.len() { 0 } else { at + 1 }
    }

    #[inline]
    unsafe fn push(&mut self, from: *const T) {
        // SAFETY: the caller's promise for `from`; tail is less than the length, since there is a free slot.
        unsafe { ptr::copy_nonoverlapping(from, self.slots.as_mut_ptr().add(self.tail).cast(), 1) };
        self.tail = self.after(self.tail);
    }

    #[inline]
    unsafe fn pop(&mut self, to: *mut T) {
        // SAFETY: the caller's promise for `to`; head is a value, which is forgotten with the next line.
        unsafe { ptr::copy_nonoverlapping(self.slots.as_ptr().add(self.head).cast(), to, 1) };
        self.head = self.after(self.head);
    }
}

/// One piece of a list.
pub(crate) struct Block<T> {
    next: *mut Block<T>,
    slots: [MaybeUninit<T>; BLOCK],
}

/// A queue of any length. Values do not move when it grows, so its lock is held no longer than a ring's; and one block
/// is kept in reserve, so that a queue around the edge of a block does not allocate for ever.
pub(crate) struct List<T> {
    head: *mut Block<T>,
    tail: *mut Block<T>,
    head_at: usize,
    /// Slots of the last block in use.
    tail_len: usize,
    spare: Spare<T>,
}

// SAFETY: the blocks are the list's own.
unsafe impl<T: Send> Send for List<T> {}

impl<T> List<T> {
    pub(crate) fn new() -> List<T> {
        List { head: ptr::null_mut(), tail: ptr::null_mut(), head_at: 0, tail_len: BLOCK, spare: None }
    }

    #[inline]
    unsafe fn push(&mut self, from: *const T) {
        if self.tail_len == BLOCK {
            self.add_block();
        }
        // SAFETY: tail_len is less than BLOCK now, so there is a tail, and the slot is free; `from` as promised.
        unsafe {
            let slot = (&raw mut (*self.tail).slots).cast::<T>().add(self.tail_len);
            ptr::copy_nonoverlapping(from, slot, 1);
        }
        self.tail_len += 1;
    }

    fn add_block(&mut self) {
        let Some(block) = self.spare.take() else { gopark_sys::throw!("chan: no block to push into") };
        let block = Box::into_raw(block).cast::<Block<T>>();
        // SAFETY: block is fresh memory of the right type.
        unsafe { (&raw mut (*block).next).write(ptr::null_mut()) };
        if self.tail.is_null() {
            self.head = block;
            self.head_at = 0;
        } else {
            // SAFETY: the tail is a block of this list.
            unsafe { (*self.tail).next = block };
        }
        self.tail = block;
        self.tail_len = 0;
    }

    #[inline]
    unsafe fn pop(&mut self, to: *mut T) -> Spare<T> {
        // SAFETY: there is a value (the caller's promise), so there is a head, and `head_at` is it.
        unsafe {
            let slot = (&raw const (*self.head).slots).cast::<T>().add(self.head_at);
            ptr::copy_nonoverlapping(slot, to, 1);
        }
        self.head_at += 1;
        if self.head_at < BLOCK { None } else { self.remove_block() }
    }

    /// The first block is used up.
    fn remove_block(&mut self) -> Spare<T> {
        let block = self.head;
        // SAFETY: the head is a block of this list, made by Box::into_raw, and is unlinked here.
        let (next, block) = unsafe { ((*block).next, Box::from_raw(block.cast::<MaybeUninit<Block<T>>>())) };
        self.head = next;
        self.head_at = 0;
        if next.is_null() {
            self.tail = ptr::null_mut();
            self.tail_len = BLOCK;
        }
        if self.spare.is_none() {
            self.spare = Some(block);
            return None;
        }
        Some(block)
    }
}

impl<T> Drop for List<T> {
    /// The memory only: the values are the channel's business.
    fn drop(&mut self) {
        while !self.head.is_null() {
            let block = self.head;
            // SAFETY: as in `remove_block`.
            self.head = unsafe { (*block).next };
            // SAFETY: as above.
            drop(unsafe { Box::from_raw(block.cast::<MaybeUninit<Block<T>>>()) });
        }
    }
}
