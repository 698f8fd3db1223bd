//! A lock for a few instructions: one byte, taken with one exchange, released with one store. Channels, timers.
//!
//! Rejected: a lock that sleeps (parking_lot, a futex). To release it takes a second exchange, which must find out
//! whether somebody sleeps; that is a fifth of what a buffered element of a channel costs, and of what it costs to
//! start a timer and stop it again. Nobody who holds this one is ever
//! descheduled by us, since it is held for some tens of instructions and never over a park; only the kernel can take
//! the thread away in between. So who finds it taken spins for a moment, then lets other threads run, and in the end
//! sleeps, so that even a holder of lower priority gets on.
//!
//! # Safety
//! The value is reached through a [`Guard`] only, and there is one guard at a time.
#![allow(unsafe_code)]

use crate::loom::atomic::{AtomicBool, Ordering};
use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};

/// | value | meaning | set by |
/// | --- | --- | --- |
/// | false | free | `new`, the guard's drop |
/// | true | taken | `lock` |
pub struct Lock<T> {
    word: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: see the module: one guard at a time.
unsafe impl<T: Send> Sync for Lock<T> {}
// SAFETY: it owns its value.
unsafe impl<T: Send> Send for Lock<T> {}

impl<T> Lock<T> {
    /// A lock that is free.
    pub const fn new(value: T) -> Lock<T> {
        Lock { word: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// Takes the lock. Not to be taken again before the guard is dropped, and not to be held over a park.
    #[inline]
    pub fn lock(&self) -> Guard<'_, T> {
        // Acquire: pairs with the store of the guard's drop.
        if self.word.swap(true, Ordering::Acquire) {
            self.lock_contended();
        }
        Guard { lock: self }
    }

    #[cold]
    #[inline(never)]
    fn lock_contended(&self) {
        let mut tries = 0u32;
        loop {
            // A plain load first: spinning on the exchange would keep the line from the holder.
            // Acquire: as in `lock`.
            if !self.word.load(Ordering::Relaxed) && !self.word.swap(true, Ordering::Acquire) {
                return;
            }
            tries += 1;
            if tries < 7 {
                crate::thread::procyield(1 << tries);
            } else if tries < 100 {
                crate::thread::osyield();
            } else {
                crate::time::usleep(20);
            }
        }
    }
}

/// The lock, taken.
pub struct Guard<'a, T> {
    lock: &'a Lock<T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this is the guard.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this is the guard, borrowed alone.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // Release: pairs with the exchange of the next `lock`.
        self.lock.word.store(false, Ordering::Release);
    }
}
