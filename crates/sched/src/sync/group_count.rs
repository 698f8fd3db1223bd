//! The count of a `WaitGroup`, and waiting until it is zero.
//!
//! | bits | meaning | set by | cleared by |
//! | --- | --- | --- | --- |
//! | upper 32 | tasks | `add` | `add` |
//! | `WAITED` | somebody waits | a waiter, under the lock, if there are tasks | who finds the tasks at zero; the last waiter that gives up; under the lock |
//!
//! Go keeps the number of waiters in the word, which is why a group must not be used again before all have returned.

use gopark_poll::WaitReason;
use gopark_sys::loom::atomic::{AtomicU64, Ordering};

use crate::sync::sema::Waiters;

const WAITED: u64 = 1;
const TASK_SHIFT: u32 = 32;

pub(crate) struct GroupCount {
    word: AtomicU64,
    waiters: Waiters,
}

impl Default for GroupCount {
    fn default() -> GroupCount {
        GroupCount { word: AtomicU64::new(0), waiters: Waiters::new() }
    }
}

#[cold]
#[inline(never)]
#[track_caller]
fn unbalanced() -> ! {
    panic!("sync: negative WaitGroup counter");
}

fn tasks_of(word: u64) -> i32 {
    (word >> TASK_SHIFT) as i32
}

impl GroupCount {
    pub(crate) fn tasks(&self) -> i32 {
        tasks_of(self.word.load(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn is_zero(&self) -> bool {
        // Acquire: pairs with the releases of all `add`s.
        tasks_of(self.word.load(Ordering::Acquire)) == 0
    }

    /// Looks before it changes anything: a sum that is negative for a moment only would be seen by who begins to wait,
    /// and nobody would tell him that it was taken back.
    #[inline]
    #[track_caller]
    pub(crate) fn add(&self, delta: isize) {
        let mut old = self.word.load(Ordering::Relaxed);
        loop {
            let sum = i32::try_from(delta).ok().and_then(|d| tasks_of(old).checked_add(d));
            let Some(tasks @ 0..) = sum else { unbalanced() };
            let new = old.wrapping_add((delta as u64) << TASK_SHIFT);
            // Release: publishes what the task did. Acquire: what the other tasks did, to be passed on to who waits.
            match self.word.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) if tasks == 0 && old & WAITED != 0 => return self.wake(),
                Ok(_) => return,
                Err(now) => old = now,
            }
        }
    }

    /// The count was zero.
    #[cold]
    #[inline(never)]
    fn wake(&self) {
        let queue = self.waiters.lock();
        // Who adds now may have come before a waiter that would be woken for our zero. Looked at under the lock, the
        // zero is later than all waiters.
        let word = self.word.load(Ordering::Acquire); // as in `add`
        if tasks_of(word) == 0 && word & WAITED != 0 {
            self.word.fetch_and(!WAITED, Ordering::Relaxed);
            self.waiters.wake_all(queue, |_| {});
        }
    }

    /// Waits until the count is zero; false if `deadline` came first.
    #[inline]
    pub(crate) fn wait(&self, deadline: Option<i64>) -> bool {
        self.is_zero() || self.wait_slow(deadline)
    }

    #[cold]
    #[inline(never)]
    fn wait_slow(&self, deadline: Option<i64>) -> bool {
        self.waiters.wait(
            WaitReason::SyncWaitGroupWait,
            deadline,
            |queue| {
                // Acquire, both times: as in `is_zero`.
                let mut old = self.word.load(Ordering::Acquire);
                loop {
                    if tasks_of(old) == 0 {
                        return None;
                    }
                    match self.word.compare_exchange(old, old | WAITED, Ordering::Relaxed, Ordering::Acquire)
                    {
                        Ok(_) => return queue.last(),
                        Err(now) => old = now,
                    }
                }
            },
            || {},
            |queue| {
                if queue.len() == 0 {
                    self.word.fetch_and(!WAITED, Ordering::Relaxed);
                }
            },
        )
    }
}
