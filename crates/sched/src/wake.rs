//! When to wake another M: Go's rules, in three words.
//!
//! Who makes a goroutine runnable publishes it, and then looks whether somebody must be woken to run it. Who runs
//! out of work gives its P up, and then looks whether something was published meanwhile. A SeqCst fence between the
//! two steps on both sides makes sure that at least one of them sees the other.
//!
//! | word | meaning | who changes it |
//! | --- | --- | --- |
//! | `npidle` | length of the idle P list | `pidleput`, `pidleget`, under the scheduler lock |
//! | `nmspinning` | Ms that search for work (or are being started to) | +1: `become_spinning`, `start_searcher`; -1: who stops searching |
//! | `needspinning` | 1: work was published while no P was idle; who is about to give up its P should search once more | 1: publishers, `cancel_searcher`, `need_searcher`; 0: `become_spinning` |
//!
//! The rules:
//! 1. A publisher wakes at most one searcher, and only if an idle P exists and nobody searches.
//! 2. A searcher that finds work and was the last one wakes its successor (`resetspinning`).
//! 3. A searcher that finds nothing stops being one *before* it looks through everything a last time.
//! 4. A P that is given up while `needspinning` is set is taken back, to search (golang/go#45867).
//!
//! Go takes the scheduler lock in `wakep` whenever nobody searches, even with all Ps busy, to set `needspinning`.
//! Here the publisher sets the word without the lock and re-reads `npidle` after a fence, and the M that gives up
//! its P re-reads `needspinning` after a fence: the same guarantee for two loads instead of a lock on the busy path.

use gopark_sys::loom::atomic::{AtomicU32, Ordering, fence};

/// The three words. Modelled in `tests/loom_wake.rs` together with a queue.
pub(crate) struct Wake {
    npidle: AtomicU32,
    nmspinning: AtomicU32,
    needspinning: AtomicU32,
}

impl Wake {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Wake {
        Wake { npidle: AtomicU32::new(0), nmspinning: AtomicU32::new(0), needspinning: AtomicU32::new(0) }
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Wake {
        Wake { npidle: AtomicU32::new(0), nmspinning: AtomicU32::new(0), needspinning: AtomicU32::new(0) }
    }

    #[inline]
    pub(crate) fn npidle(&self) -> u32 {
        self.npidle.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn nmspinning(&self) -> u32 {
        self.nmspinning.load(Ordering::Relaxed)
    }

    pub(crate) fn needspinning(&self) -> u32 {
        self.needspinning.load(Ordering::Relaxed)
    }

    /// After publishing work: true if the caller should try [`Wake::start_searcher`].
    #[inline]
    pub(crate) fn published(&self) -> bool {
        // Pairs with the fences of stop_spinning and p_given_up: either they see the work, or we see their words.
        fence(Ordering::SeqCst);
        if self.nmspinning.load(Ordering::Relaxed) != 0 {
            return false;
        }
        if self.npidle.load(Ordering::Relaxed) != 0 {
            return true;
        }
        if self.needspinning.load(Ordering::Relaxed) == 1 {
            return false; // whoever gives up a P next will search; stop_spinning's fence covers our work
        }
        self.needspinning.store(1, Ordering::Relaxed);
        // Pairs with p_given_up's fence: either that M sees needspinning, or we see its idle P.
        fence(Ordering::SeqCst);
        self.npidle.load(Ordering::Relaxed) != 0
    }

    /// Counts a searcher that is about to be started, unless there is one. The caller then gets an idle P for it,
    /// or calls [`Wake::cancel_searcher`].
    pub(crate) fn start_searcher(&self) -> bool {
        self.nmspinning.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed).is_ok() // one start at a time
    }

    /// There is work, and no idle P for who found it: whoever gives up a P next must search. Under the scheduler lock.
    pub(crate) fn need_searcher(&self) {
        self.needspinning.store(1, Ordering::Relaxed); // a P is given up under the lock
    }

    /// Takes back what `start_searcher` counted: no P, or no thread, could be had. Under the scheduler lock.
    pub(crate) fn cancel_searcher(&self, spinning: bool) {
        if spinning {
            self.needspinning.store(1, Ordering::Relaxed);
            // After needspinning; no fence, since a P is given up under the lock.
            self.nmspinning.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// An M starts to search.
    pub(crate) fn become_spinning(&self) {
        self.nmspinning.fetch_add(1, Ordering::AcqRel); // before needspinning is cleared
        // No fence: a publisher that still saw needspinning is covered by the one at the end of this search, whether
        // that found something (then wakep follows) or not (then a last look).
        self.needspinning.store(0, Ordering::Relaxed);
    }

    /// True while one more searcher is worth its cost: searchers are at most half of the busy Ps.
    #[inline]
    pub(crate) fn may_spin(&self, procs: u32) -> bool {
        2 * self.nmspinning() < procs.saturating_sub(self.npidle())
    }

    /// An M found work (or nothing) and no longer searches. Returns how many still do.
    pub(crate) fn stop_spinning(&self) -> u32 {
        let before = self.nmspinning.fetch_sub(1, Ordering::AcqRel);
        // Pairs with published's fence: what was published while we counted as a searcher is seen after this.
        fence(Ordering::SeqCst);
        if before == 0 {
            gopark_sys::throw!("nmspinning went negative");
        }
        before - 1
    }

    /// After its P is on the idle list: true if the M that gave it up should take one back and search.
    pub(crate) fn p_given_up(&self) -> bool {
        // Pairs with published's second fence.
        fence(Ordering::SeqCst);
        self.needspinning.load(Ordering::Relaxed) == 1
    }

    pub(crate) fn p_became_idle(&self) {
        self.npidle.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn p_left_idle(&self) {
        self.npidle.fetch_sub(1, Ordering::Relaxed);
    }
}
