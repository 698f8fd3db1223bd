//! The same queue over crossbeam-deque's FIFO worker.
//!
//! The deque grows without bound and allocates when its length swings by four; the cap of 256 is ours.

use crossbeam_deque::{Steal, Stealer, Worker};

use super::CAPACITY;

struct Item<T>(*mut T);

#[allow(unsafe_code)]
// SAFETY: the pointer is only carried, never followed, by the queue.
unsafe impl<T> Send for Item<T> {}

/// A bounded queue of pointers, owned by one P, robbed by all.
pub(crate) struct RunQueue<T> {
    worker: Worker<Item<T>>, // owner only
    stealer: Stealer<Item<T>>,
}

#[allow(unsafe_code)]
// SAFETY: `worker` is used by the owner of the P alone (contract 1 of the module), everybody else uses `stealer`.
unsafe impl<T> Sync for RunQueue<T> {}

impl<T> RunQueue<T> {
    pub(crate) fn new() -> Self {
        let worker = Worker::new_fifo();
        let stealer = worker.stealer();
        RunQueue { worker, stealer }
    }

    pub(crate) fn len(&self) -> usize {
        self.stealer.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.stealer.is_empty()
    }

    #[inline]
    pub(crate) fn push_back(&self, item: *mut T) -> bool {
        let room = self.worker.len() < CAPACITY;
        if room {
            self.worker.push(Item(item));
        }
        room
    }

    #[cold]
    pub(crate) fn take_half(&self, half: &mut [*mut T; CAPACITY / 2]) -> usize {
        let mut n = 0;
        while n < half.len()
            && let Some(old) = self.worker.pop()
        {
            half[n] = old.0;
            n += 1;
        }
        n
    }

    #[inline]
    pub(crate) fn pop_front(&self) -> Option<*mut T> {
        self.worker.pop().map(|i| i.0)
    }

    #[inline]
    pub(crate) fn peek(&self, _nth: u32) -> Option<*mut T> {
        None
    }

    pub(crate) fn steal_into(&self, dest: &RunQueue<T>) -> Option<*mut T> {
        let limit = (CAPACITY / 2).min(CAPACITY - dest.worker.len());
        loop {
            match self.stealer.steal_batch_with_limit_and_pop(&dest.worker, limit.max(1)) {
                Steal::Success(item) => return Some(item.0),
                Steal::Empty => return None,
                Steal::Retry => std::hint::spin_loop(),
            }
        }
    }
}
