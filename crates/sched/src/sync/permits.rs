//! The count of a `Semaphore`, and waiting for permits in the order of coming.
//!
//! | bits | meaning | set by | cleared by |
//! | --- | --- | --- | --- |
//! | `QUEUED` | the list is not empty: who comes queues up, even if there are permits | who queues up | who takes the last one off; both under the list's lock |
//! | the rest | permits that nobody has | who gives some back | who takes some; with `QUEUED` set, who gives them to the waiters |

use gopark_poll::WaitReason;
use gopark_sys::loom::atomic::{AtomicUsize, Ordering};

use crate::sync::lock::Mutex;
use crate::sync::sema::{Ended, List, Place, Slots, end, note, wait_in};

const QUEUED: usize = 1;
const PERMIT: usize = 2;

pub(crate) struct Permits {
    all: usize, // constant
    word: AtomicUsize,
    list: Mutex<List>,
}

impl Permits {
    pub(crate) const MAX: usize = usize::MAX / (2 * PERMIT);

    #[cfg(not(loom))]
    pub(crate) const fn new(all: usize) -> Permits {
        Permits { all, word: AtomicUsize::new(all * PERMIT), list: Mutex::new(List::new()) }
    }

    #[cfg(loom)]
    pub(crate) fn new(all: usize) -> Permits {
        Permits { all, word: AtomicUsize::new(all * PERMIT), list: Mutex::new(List::new()) }
    }

    pub(crate) fn all(&self) -> usize {
        self.all
    }

    pub(crate) fn available(&self) -> usize {
        self.word.load(Ordering::Relaxed) / PERMIT
    }

    /// Whether `n` can ever be had.
    #[track_caller]
    pub(crate) fn check(&self, n: usize) {
        assert!(n <= self.all, "semaphore: {n} permits asked for, and there are {} in all", self.all);
    }

    #[inline]
    pub(crate) fn try_acquire(&self, n: usize) -> bool {
        let mut old = self.word.load(Ordering::Relaxed);
        while old & QUEUED == 0 && old / PERMIT >= n {
            // Acquire: pairs with `release`.
            match self.word.compare_exchange(old, old - n * PERMIT, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => old = now,
            }
        }
        false
    }

    #[inline]
    pub(crate) fn acquire(&self, n: usize) {
        if !self.try_acquire(n) {
            self.acquire_slow(n, None);
        }
    }

    #[inline]
    pub(crate) fn acquire_by(&self, n: usize, deadline: impl FnOnce() -> i64) -> bool {
        self.try_acquire(n) || self.acquire_slow(n, Some(deadline()))
    }

    #[cold]
    #[inline(never)]
    fn acquire_slow(&self, n: usize, deadline: Option<i64>) -> bool {
        let ended = wait_in(
            &self.list,
            WaitReason::Semacquire,
            deadline,
            |_| (!self.try_or_announce(n)).then_some((Place::Back, n as u64)),
            || {},
            |list| {
                if list.is_empty() {
                    self.word.fetch_and(!QUEUED, Ordering::Relaxed);
                }
            },
        );
        if ended == Ended::TimeUp {
            // The next in line may need less.
            self.give_to_waiters();
        }
        ended != Ended::TimeUp
    }

    /// Takes `n` permits, or else says that somebody queues up. Under the list's lock.
    fn try_or_announce(&self, n: usize) -> bool {
        let mut old = self.word.load(Ordering::Relaxed);
        loop {
            let can = old & QUEUED == 0 && old / PERMIT >= n;
            let new = if can { old - n * PERMIT } else { old | QUEUED };
            // Acquire: pairs with `release`.
            match self.word.compare_exchange(old, new, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return can,
                Err(now) => old = now,
            }
        }
    }

    /// Gives `n` permits back that the caller has.
    #[inline]
    pub(crate) fn release(&self, n: usize) {
        // Release: pairs with the acquires of who takes them, and with `give_to_waiters`.
        if self.word.fetch_add(n * PERMIT, Ordering::Release) & QUEUED != 0 {
            self.give_to_waiters();
        }
    }

    /// [`Permits::release`] for permits that the caller may not have; false if so.
    pub(crate) fn release_checked(&self, n: usize) -> bool {
        let mut old = self.word.load(Ordering::Relaxed);
        loop {
            if n > self.all - old / PERMIT {
                return false;
            }
            // Release: as in `release`.
            match self.word.compare_exchange(old, old + n * PERMIT, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => old = now,
            }
        }
        if old & QUEUED != 0 {
            self.give_to_waiters();
        }
        true
    }

    /// Gives what there is to who is first in line, as far as it goes.
    #[cold]
    #[inline(never)]
    fn give_to_waiters(&self) {
        loop {
            let mut slots = Slots::new();
            let mut list = self.list.lock();
            // Acquire: pairs with `release`, to be passed on. With the list not empty, permits only become more.
            while let Some(first) = list.front()
                && let n = note(first) as usize
                && self.word.load(Ordering::Acquire) / PERMIT >= n
                && !slots.is_full()
            {
                list.pop_front();
                self.word.fetch_sub(n * PERMIT, Ordering::Relaxed);
                if list.is_empty() {
                    self.word.fetch_and(!QUEUED, Ordering::Relaxed);
                }
                slots.push(end(first, true));
            }
            drop(list);
            if !slots.is_full() {
                return slots.unpark();
            }
            slots.unpark();
        }
    }
}
