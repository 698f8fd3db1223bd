//! The reader-writer lock itself, by Go's rules; `rwlock` dresses it for `lock_api`.
//!
//! Writers settle among themselves, with a mutex, who is next; that one announces itself in the word. From then on
//! new readers queue up, and when those who were in have left, the writer goes on. When it unlocks, all readers that
//! queued up meanwhile go first, and only then the mutex is free for the next writer: neither kind can keep the other
//! out for ever.
//!
//! A reader adds itself to the word in one step and looks afterwards whether a writer is announced. If so it takes
//! itself out again under the readers' lock, and queues up. So the count may be too high for a moment, and whoever
//! brings it to zero tells the writer. Once it was zero with `WRITER` set no reader is in, however often late comers
//! make it flicker. (Rejected: a compare-exchange that only counts readers who may enter. It loads the line before it
//! writes to it, and fails and starts over when others come and go, which is when it matters.)
//!
//! | bits | meaning | set by | cleared by |
//! | --- | --- | --- | --- |
//! | `WRITER` | a writer is in, or waits for the readers to leave | the owner of `writers` | the same |
//! | `QUEUED` | readers are queued | a reader, under the readers' lock, if `WRITER` is set | who admits them; the last that gives up; under that lock |
//! | the rest | readers that are in, and such as are about to find that they are not | readers; who admits them | readers |
//!
//! An upgradable reader is a writer-to-be that has not announced itself: it has `writers`, so no other writer can be,
//! and leaves the word alone.
//!
//! Go: sync/rwmutex.go.

use std::cell::Cell;

use gopark_poll::WaitReason;
use gopark_sys::loom::atomic::{AtomicUsize, Ordering};

use crate::park::unpark;
use crate::sync::lock::Mutex;
use crate::sync::raw_mutex::RawMutex;
use crate::sync::sema::{Ended, List, Place, Waiters, end, wait_in};
use crate::sync::spin::{can_spin, spin};

const WRITER: usize = 1;
const QUEUED: usize = 2;
const READER: usize = 4;

/// The raw lock of [`RwLock`](crate::sync::RwLock), for `lock_api`'s generic types.
pub struct RawRwLock {
    word: AtomicUsize,
    writers: RawMutex,
    /// The one writer that waits for readers to leave.
    writer: Mutex<List>,
    readers: Waiters,
}

impl RawRwLock {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> RawRwLock {
        RawRwLock {
            word: AtomicUsize::new(0),
            writers: RawMutex::new(),
            writer: Mutex::new(List::new()),
            readers: Waiters::new(),
        }
    }

    #[cfg(loom)]
    pub(crate) fn new() -> RawRwLock {
        RawRwLock {
            word: AtomicUsize::new(0),
            writers: RawMutex::new(),
            writer: Mutex::new(List::new()),
            readers: Waiters::new(),
        }
    }

    pub(crate) fn is_acquired(&self) -> bool {
        self.word.load(Ordering::Relaxed) != 0 || self.writers.is_acquired()
    }

    pub(crate) fn is_acquired_exclusive(&self) -> bool {
        self.word.load(Ordering::Relaxed) & WRITER != 0
    }

    // Readers.

    #[inline]
    pub(crate) fn acquire_shared(&self) {
        // Acquire: pairs with the release that cleared WRITER.
        if self.word.fetch_add(READER, Ordering::Acquire) & WRITER != 0 {
            self.acquire_shared_slow(None);
        }
    }

    #[inline]
    pub(crate) fn acquire_shared_by(&self, deadline: impl FnOnce() -> i64) -> bool {
        if self.try_acquire_shared() {
            return true;
        }
        let deadline = deadline(); // may panic: not while we are counted
        // Acquire: as above.
        self.word.fetch_add(READER, Ordering::Acquire) & WRITER == 0
            || self.acquire_shared_slow(Some(deadline))
    }

    /// Does not count itself in before it knows: it may be called in a loop, and the writer is not to wait for that.
    #[inline]
    pub(crate) fn try_acquire_shared(&self) -> bool {
        let mut old = self.word.load(Ordering::Relaxed);
        while old & WRITER == 0 {
            // Acquire: as in `acquire_shared`.
            match self.word.compare_exchange(old, old + READER, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => old = now,
            }
        }
        false
    }

    /// The caller is counted, and has seen a writer.
    #[cold]
    #[inline(never)]
    fn acquire_shared_slow(&self, deadline: Option<i64>) -> bool {
        let last = Cell::new(false);
        self.readers.wait(
            WaitReason::SyncRwMutexRLock,
            deadline,
            |queue| {
                last.set(self.leave_to_queue()?);
                queue.last()
            },
            || {
                if last.get() {
                    self.tell_writer();
                }
            },
            |queue| {
                if queue.len() == 0 {
                    self.word.fetch_and(!QUEUED, Ordering::Relaxed);
                }
            },
        )
    }

    /// Takes the caller out of the count, to queue up; whether the count is zero now. None: the writer is gone, and
    /// the caller is in. Under the readers' lock.
    fn leave_to_queue(&self) -> Option<bool> {
        // Acquire, both times: pairs with the release that cleared WRITER. No release: we have read nothing, and what
        // other readers have released goes on to the writer through our step.
        let mut old = self.word.load(Ordering::Acquire);
        loop {
            if old & WRITER == 0 {
                return None;
            }
            let new = (old - READER) | QUEUED;
            // Acquire: as above.
            match self.word.compare_exchange(old, new, Ordering::Relaxed, Ordering::Acquire) {
                Ok(_) => return Some(new < READER),
                Err(now) => old = now,
            }
        }
    }

    /// Lets go of the lock, which the caller has for reading.
    #[inline]
    pub(crate) fn release_shared(&self) {
        // Release: pairs with the writer's acquire, in `acquire_exclusive_slow` or `tell_writer`.
        let old = self.word.fetch_sub(READER, Ordering::Release);
        if old & WRITER != 0 && old < 2 * READER {
            self.tell_writer();
        }
    }

    /// The count was zero with WRITER set: the writer may go on, if it has not gone already.
    #[cold]
    #[inline(never)]
    fn tell_writer(&self) {
        let mut list = self.writer.lock();
        // Late readers may have made it more again; the last of them comes here too. Acquire: what all readers
        // released, to be passed on.
        if self.word.load(Ordering::Acquire) >= READER {
            return;
        }
        let Some(node) = list.pop_front() else { return };
        let slot = end(node, true);
        drop(list);
        unpark(slot);
    }

    // Writers.

    #[inline]
    pub(crate) fn acquire_exclusive(&self) {
        self.writers.acquire();
        self.announce(None);
    }

    pub(crate) fn acquire_exclusive_by(&self, deadline: impl FnOnce() -> i64) -> bool {
        if self.try_acquire_exclusive() {
            return true;
        }
        let deadline = deadline();
        if !self.writers.acquire_by(|| deadline) {
            return false;
        }
        self.announce(Some(deadline)) || {
            self.writers.release();
            false
        }
    }

    pub(crate) fn try_acquire_exclusive(&self) -> bool {
        self.writers.try_acquire()
            && (self.try_upgrade() || {
                self.writers.release();
                false
            })
    }

    #[inline]
    pub(crate) fn release_exclusive(&self) {
        self.admit_readers(0);
        self.writers.release();
    }

    /// Waits for the readers to leave. False if they did not until `deadline`: then all is as before.
    #[inline]
    fn announce(&self, deadline: Option<i64>) -> bool {
        // Acquire: pairs with the releases of readers that have left. `writers` says that WRITER is clear.
        self.word.fetch_add(WRITER, Ordering::Acquire) < READER || self.wait_for_readers(deadline)
    }

    #[cold]
    #[inline(never)]
    fn wait_for_readers(&self, deadline: Option<i64>) -> bool {
        let mut spun = 0;
        // Acquire, here and below: as in `announce`.
        while self.word.load(Ordering::Acquire) >= READER {
            if !can_spin(spun) {
                // Under the lock, the last reader has either told nobody yet or is gone. Acquire: as in `announce`.
                let ended = wait_in(
                    &self.writer,
                    WaitReason::SyncRwMutexLock,
                    deadline,
                    |_| (self.word.load(Ordering::Acquire) >= READER).then_some((Place::Back, 0)),
                    || {},
                    |_| {},
                );
                if ended == Ended::TimeUp {
                    self.admit_readers(0);
                    return false;
                }
                return true;
            }
            spin();
            spun += 1;
        }
        true
    }

    /// The writer is gone: takes back its announcement, counts `me` readers in, and all that are queued.
    #[inline]
    fn admit_readers(&self, me: usize) {
        // Release: pairs with the acquires of readers. WRITER is set, so this takes exactly that away.
        let old = self.word.fetch_add((me * READER).wrapping_sub(WRITER), Ordering::Release);
        if old & QUEUED != 0 {
            self.admit_queued();
        }
    }

    #[cold]
    #[inline(never)]
    fn admit_queued(&self) {
        // A later writer cannot be: the caller has `writers` still.
        self.readers.wake_all(self.readers.lock(), |n| {
            if n > 0 {
                // Relaxed: readers acquire through the outcome of their wait.
                self.word.fetch_add(n * READER - QUEUED, Ordering::Relaxed);
            }
        });
    }

    /// From writing to reading, with nobody in between; those who wait to read come along.
    pub(crate) fn downgrade(&self) {
        self.admit_readers(1);
        self.writers.release();
    }

    // Upgradable readers.

    pub(crate) fn acquire_upgradable(&self) {
        self.writers.acquire();
    }

    pub(crate) fn acquire_upgradable_by(&self, deadline: impl FnOnce() -> i64) -> bool {
        self.writers.acquire_by(deadline)
    }

    pub(crate) fn try_acquire_upgradable(&self) -> bool {
        self.writers.try_acquire()
    }

    pub(crate) fn release_upgradable(&self) {
        self.writers.release();
    }

    pub(crate) fn upgrade(&self) {
        self.announce(None);
    }

    pub(crate) fn upgrade_by(&self, deadline: impl FnOnce() -> i64) -> bool {
        // Acquire: as in `announce`.
        self.try_upgrade() || self.announce(Some(deadline()))
    }

    pub(crate) fn try_upgrade(&self) -> bool {
        // Acquire: as in `announce`.
        self.word.compare_exchange(0, WRITER, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// From an upgradable reader to a plain one.
    pub(crate) fn downgrade_upgradable(&self) {
        // WRITER is clear, and what we read was acquired with `writers`.
        self.word.fetch_add(READER, Ordering::Relaxed);
        self.writers.release();
    }

    /// From a writer to an upgradable reader.
    pub(crate) fn downgrade_to_upgradable(&self) {
        self.admit_readers(0);
    }
}
