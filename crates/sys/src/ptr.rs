#![allow(unsafe_code)]
//! Words that hold either a small tag or a waiter.
//!
//! # Safety
//!
//! A [`Waiter`] made from a pointer stands for a promise of whoever made it; this module never dereferences one.
//! Tags and pointers share an `AtomicPtr`, so that a pointer keeps its provenance; no integer is cast to a pointer
//! that is dereferenced.

use core::ptr::{NonNull, without_provenance_mut};

use crate::loom::atomic::{AtomicPtr, Ordering};

/// Who can be made runnable; opaque to all but the one who made it.
///
/// | shape | low bits | made by |
/// |---|---|---|
/// | pointer | 0b000 | [`Waiter::from_ptr`] |
/// | index | 0b11 | [`Waiter::from_index`] |
/// | task | 0b101 | [`Waiter::from_task`] |
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Waiter(NonNull<()>);

// SAFETY: a waiter is a name. What its pointer may be used for is the business of whoever called `from_ptr`, who
// promises that the memory stays valid, whatever thread hands the name back.
unsafe impl Send for Waiter {}
// SAFETY: as above.
unsafe impl Sync for Waiter {}

const INDEX_TAG: usize = 0b11;
const TASK_TAG: usize = 0b101;

impl Waiter {
    /// A waiter that is a pointer.
    ///
    /// # Safety
    ///
    /// * `p` is aligned to 8.
    /// * It stays valid for ever (type-stable memory): a late wake-up may come back with it.
    pub const unsafe fn from_ptr(p: NonNull<()>) -> Waiter {
        Waiter(p)
    }

    /// The pointer, if it is one.
    #[inline]
    pub fn as_ptr(self) -> Option<NonNull<()>> {
        (self.0.addr().get() & 0b111 == 0).then_some(self.0)
    }

    /// A waiter that is a number, less than `usize::MAX / 4`.
    #[inline]
    pub fn from_index(payload: usize) -> Waiter {
        assert!(payload <= usize::MAX >> 2);
        let word = without_provenance_mut(payload << 2 | INDEX_TAG);
        Waiter(NonNull::new(word).expect("the tag is not 0"))
    }

    /// The number, if it is one.
    #[inline]
    pub fn as_index(self) -> Option<usize> {
        let word = self.0.addr().get();
        (word & 0b11 == INDEX_TAG).then_some(word >> 2)
    }

    /// A waiter that is a number, less than `usize::MAX / 8`, and of another kind than [`Waiter::from_index`].
    #[inline]
    pub fn from_task(payload: usize) -> Waiter {
        assert!(payload <= usize::MAX >> 3);
        let word = without_provenance_mut(payload << 3 | TASK_TAG);
        Waiter(NonNull::new(word).expect("the tag is not 0"))
    }

    /// The number, if it is of that kind.
    #[inline]
    pub fn as_task(self) -> Option<usize> {
        let word = self.0.addr().get();
        (word & 0b111 == TASK_TAG).then_some(word >> 3)
    }
}

/// The value of an [`AtomicWord`]: a tag (0, 1, 2) or a [`Waiter`], and nothing else.
///
/// Not `Send`: it is what was just read, to be looked at and forgotten.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Word(*mut ());

/// Tags are less than this, and no waiter is.
const TAGS: usize = 3;

impl Word {
    /// A tag.
    pub const fn tag(tag: usize) -> Word {
        assert!(tag < TAGS);
        Word(without_provenance_mut(tag))
    }

    /// The waiter, if it is one.
    #[inline]
    pub fn waiter(self) -> Option<Waiter> {
        if self.0.addr() < TAGS { None } else { NonNull::new(self.0).map(Waiter) }
    }
}

impl From<Waiter> for Word {
    #[inline]
    fn from(w: Waiter) -> Word {
        Word(w.0.as_ptr())
    }
}

/// An atomic [`Word`]. What its values mean, and all orderings, are its owner's.
#[derive(Debug)]
pub struct AtomicWord(AtomicPtr<()>);

impl AtomicWord {
    /// A word with the given value.
    #[cfg(not(loom))]
    pub const fn new(value: Word) -> AtomicWord {
        AtomicWord(AtomicPtr::new(value.0))
    }

    /// A word with the given value.
    #[cfg(loom)]
    pub fn new(value: Word) -> AtomicWord {
        AtomicWord(AtomicPtr::new(value.0))
    }

    /// See [`core::sync::atomic::AtomicPtr::load`].
    #[inline]
    pub fn load(&self, order: Ordering) -> Word {
        Word(self.0.load(order))
    }

    /// See [`core::sync::atomic::AtomicPtr::store`].
    #[inline]
    pub fn store(&self, value: Word, order: Ordering) {
        self.0.store(value.0, order);
    }

    /// See [`core::sync::atomic::AtomicPtr::swap`].
    #[inline]
    pub fn swap(&self, new: Word, order: Ordering) -> Word {
        Word(self.0.swap(new.0, order))
    }

    /// See [`core::sync::atomic::AtomicPtr::compare_exchange`].
    #[inline]
    pub fn compare_exchange(
        &self,
        current: Word,
        new: Word,
        success: Ordering,
        failure: Ordering,
    ) -> Result<Word, Word> {
        self.0.compare_exchange(current.0, new.0, success, failure).map(Word).map_err(Word)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_three_shapes_and_the_tags_are_told_apart() {
        static TARGET: u64 = 0;
        // SAFETY: a static, aligned to 8.
        let pointer = unsafe { Waiter::from_ptr(NonNull::from(&TARGET).cast()) };
        assert!(pointer.as_index().is_none() && pointer.as_task().is_none());
        assert_eq!(pointer.as_ptr(), Some(NonNull::from(&TARGET).cast()));
        for payload in [0, 1, 2, usize::MAX >> 2] {
            let index = Waiter::from_index(payload);
            assert_eq!(index.as_index(), Some(payload));
            assert!(index.as_ptr().is_none() && index.as_task().is_none());
            assert_eq!(Word::from(index).waiter(), Some(index));
        }
        assert_eq!(Word::from(pointer).waiter(), Some(pointer));
        for payload in [0, 1, 2, usize::MAX >> 3] {
            let task = Waiter::from_task(payload);
            assert_eq!(task.as_task(), Some(payload));
            assert!(task.as_ptr().is_none() && task.as_index().is_none());
            assert_eq!(Word::from(task).waiter(), Some(task));
        }
        for tag in 0..TAGS {
            assert_eq!(Word::tag(tag).waiter(), None);
        }
    }
}
