//! Bytes that one call lends to others, on whichever thread those are: an in-memory pipe without a buffer.
//!
//! A borrow cannot say this: the lender waits for takers that do not exist yet, and stops waiting when he likes. So the
//! loan has a beginning and an end at run time, and a lock that a taker holds while he copies.
//!
//! # Safety
//! The slice is that of a [`Loan::lend`] that has not returned: it is taken back there, under the lock, on every way
//! out. Takers copy under the same lock.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use parking_lot::Mutex;

/// A slice of bytes, if one is lent. See the module.
#[derive(Debug)]
pub struct Loan(Mutex<Option<Slice>>);

/// What has not been taken of it.
#[derive(Debug)]
struct Slice {
    at: NonNull<u8>,
    left: usize,
}

// SAFETY: bytes that are only read, and by the module's rule valid for as long as they are lent.
unsafe impl Send for Slice {}

impl Loan {
    /// Nothing is lent.
    pub const fn new() -> Loan {
        Loan(Mutex::new(None))
    }

    /// Lends `bytes` for as long as `f` runs. Returns how many of them were taken, and what `f` returned.
    ///
    /// # Panics
    /// If another call lends on the same object.
    pub fn lend<R>(&self, bytes: &[u8], f: impl FnOnce() -> R) -> (usize, R) {
        /// Also if `f` panics.
        struct TakeBack<'a>(&'a Loan);
        impl Drop for TakeBack<'_> {
            fn drop(&mut self) {
                *self.0.0.lock() = None;
            }
        }
        {
            let mut lent = self.0.lock();
            assert!(lent.is_none(), "gopark: two calls lend at the same time");
            *lent = Some(Slice { at: NonNull::from(bytes).cast(), left: bytes.len() });
        }
        let back = TakeBack(self);
        let value = f();
        // The one who lends last has the say, and there is only one.
        let left = self.left().unwrap_or(0);
        drop(back);
        (bytes.len() - left, value)
    }

    /// Copies as much as there is, and as `buf` holds; how much that was. None if nothing is lent.
    pub fn take(&self, buf: &mut [u8]) -> Option<usize> {
        let mut lent = self.0.lock();
        let slice = lent.as_mut()?;
        let n = slice.left.min(buf.len());
        // SAFETY: lent, so `left` bytes at `at` are valid, and stay so until the lock is free; `buf` is exclusive, so
        // the two do not overlap; n is at most the length of both.
        unsafe {
            slice.at.as_ptr().copy_to_nonoverlapping(buf.as_mut_ptr(), n);
            slice.at = slice.at.add(n);
        }
        slice.left -= n;
        Some(n)
    }

    /// How much is lent and not taken. None if nothing is lent.
    pub fn left(&self) -> Option<usize> {
        self.0.lock().as_ref().map(|slice| slice.left)
    }
}

impl Default for Loan {
    fn default() -> Loan {
        Loan::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_taken_in_order_and_counted() {
        let loan = Loan::new();
        assert_eq!(loan.take(&mut [0; 4]), None);
        let (taken, seen) = loan.lend(b"hello, world", || {
            let (mut head, mut none, mut rest) = ([0; 5], [], [0; 5]);
            assert_eq!(loan.take(&mut head), Some(5));
            assert_eq!(loan.take(&mut none), Some(0));
            assert_eq!(loan.take(&mut rest), Some(5));
            (head, rest)
        });
        assert_eq!((taken, seen), (10, (*b"hello", *b", wor")));
        assert_eq!(loan.left(), None);
    }

    #[test]
    fn a_panic_takes_the_loan_back() {
        let loan = Loan::new();
        let lend = || loan.lend(&[1, 2, 3], || panic!("on purpose"));
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(lend)).unwrap_err();
        assert_eq!(loan.take(&mut [0]), None);
        assert_eq!(loan.lend(&[4], || loan.left()), (0, Some(1)));
    }

    #[test]
    fn threads_take_while_the_lender_waits() {
        let loan = Loan::new();
        let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        let mut sum = 0u64;
        std::thread::scope(|scope| {
            let (told, tell) = std::sync::mpsc::channel();
            let takers: Vec<_> = (0..4)
                .map(|i| {
                    let (loan, told) = (&loan, told.clone());
                    scope.spawn(move || {
                        let (mut sum, mut buf) = (0u64, vec![0; 7 * i + 1]);
                        loop {
                            match loan.take(&mut buf) {
                                None => std::thread::yield_now(),
                                Some(0) => break told.send(()).map(|()| sum).unwrap(),
                                Some(n) => sum += buf[..n].iter().map(|b| u64::from(*b)).sum::<u64>(),
                            }
                        }
                    })
                })
                .collect();
            let (taken, ()) = loan.lend(&bytes, || (0..4).for_each(|_| tell.recv().unwrap()));
            assert_eq!(taken, bytes.len());
            sum = takers.into_iter().map(|taker| taker.join().unwrap()).sum();
        });
        assert_eq!(sum, bytes.iter().map(|b| u64::from(*b)).sum());
    }
}
