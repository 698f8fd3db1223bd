//! The word on which one goroutine (or thread) parks. Go: the `rg` and `wg` words of `pollDesc`.
//!
//! | value | meaning | set by | cleared by |
//! |---|---|---|---|
//! | NIL | nothing happened, nobody waits | `new`, `reset`, the waiter after it woke, `unblock(Evict)` | `block`, `unblock(Ready)` |
//! | READY | the event came and nobody took it yet | `unblock(Ready)` | `block`, `take_ready`, `reset` |
//! | WAIT | somebody is about to park | `block`, `armed`, `rearm` | `commit`, `unblock`, the waiter itself |
//! | a [`Waiter`] | somebody is parked | `commit`, `exchange_waiter` | `unblock`, which hands the waiter to its caller |
//! | a task's [`Waiter`] | a task wants to be told | `register` | the same; `register`, which withdraws it; `block`, which puts it off |
//!
//! At most one goroutine or thread waits at a time: the owner of the slot sees to that (a read lock, a node of
//! a semaphore's queue). Two are a fatal error, since one of them would never wake. A task, which is a waker or a
//! callback (`task.rs`), does not stand still while its waiter is in the word, and a waker is held by nobody who
//! could be made to wait his turn. So who comes to park and finds one tells it to look again and takes its place.
//!
//! # The order that loses no wake-up
//!
//! *Ready* needs no care: the mark stays in the word until the waiter takes it. *Evict* (a close, a deadline)
//! leaves no mark in the word, so its reason has to be found elsewhere, and the order matters:
//!
//! * who evicts first publishes the reason, then calls `unblock(Evict)`;
//! * who waits first stores WAIT, then reads the reason (`recheck`), then parks.
//!
//! A `SeqCst` fence between the two steps on each side makes it impossible that both miss each other. Fences
//! and not `SeqCst` accesses, because only fences can be modelled with loom, and on x86-64 and AArch64 the
//! price of one on the parking path is 2 ns.

use gopark_sys::ptr::{AtomicWord, Waiter, Word};

use crate::runtime::{WaitReason, runtime};
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use crate::sync::{atomic::fence, const_fn};

const NIL: Word = Word::tag(0);
const READY: Word = Word::tag(1);
const WAIT: Word = Word::tag(2);

/// What [`ParkSlot::unblock`] tells the waiter.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Unblock {
    /// The event came. If nobody waits the slot remembers it.
    Ready,
    /// The wait is over without the event; the reason was published before. Not remembered.
    Evict,
}

/// What [`ParkSlot::register`] found.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Registered {
    /// Nothing yet: the task will be called.
    Waiting,
    /// The event had come, and was consumed. The task will not be called.
    Ready,
    /// `recheck` said no. The task may be called all the same.
    Refused,
}

/// A binary semaphore with at most one waiter. See the module's text.
#[derive(Debug)]
pub struct ParkSlot {
    word: AtomicWord,
}

impl Default for ParkSlot {
    fn default() -> ParkSlot {
        ParkSlot::new()
    }
}

impl ParkSlot {
    const_fn! {
        /// A slot on which nothing happened yet.
        pub fn new() -> ParkSlot {
            ParkSlot { word: AtomicWord::new(NIL) }
        }
    }

    const_fn! {
        /// A slot for one wait that one `unblock(Ready)` ends, and nothing else: see [`ParkSlot::wait_armed`].
        pub fn armed() -> ParkSlot {
            ParkSlot { word: AtomicWord::new(WAIT) }
        }
    }

    /// Makes an armed slot whose wait is over one for the next.
    #[inline]
    pub fn rearm(&self) {
        // Whom it was armed for waits still, and is about to park: a subscriber that he tells so waits too.
        if self.word.load(Relaxed) == WAIT {
            double_wait();
        }
        self.word.store(WAIT, Relaxed); // nobody knows the slot yet: whom it is given to sees this
    }

    /// Waits on an [`armed`](ParkSlot::armed) slot until it is unblocked. `park` is the runtime's `gopark`.
    ///
    /// There is no mark of an earlier wait to take, no eviction to look out for and nothing to leave behind: that
    /// saves two exchanges and the fence of [`ParkSlot::block`], a third of what parking costs.
    #[inline]
    pub fn wait_armed(&'static self, reason: WaitReason, park: impl FnOnce(&'static ParkSlot, WaitReason)) {
        // Acquire, both times: pairs with the release half in `unblock`.
        if self.word.load(Acquire) != READY {
            park(self, reason);
            if self.word.load(Acquire) != READY {
                corrupted();
            }
        }
    }

    /// Forgets a READY mark. Nobody may be parked on the slot.
    pub fn reset(&self) {
        let old = self.word.swap(NIL, AcqRel);
        if old != NIL && old != READY {
            corrupted();
        }
    }

    /// Whether somebody was parked here a moment ago. For dumps and tests.
    pub fn is_parked(&self) -> bool {
        self.word.load(Relaxed).waiter().is_some()
    }

    /// Whether `w` was in the word a moment ago.
    pub(crate) fn holds(&self, w: Waiter) -> bool {
        self.word.load(Relaxed) == Word::from(w)
    }

    /// Takes the READY mark if there is one.
    ///
    /// A read-modify-write, and so is every `unblock(Ready)` that finds the mark already there: what the
    /// reader does after it took a mark happens after the event of *every* `unblock` that the mark stood for.
    #[inline]
    pub fn take_ready(&self) -> bool {
        // Relaxed: NIL says that every `unblock(Ready)` still to come will leave its mark. Acquire on the
        // exchange pairs with the release half in `unblock`.
        if self.word.load(Relaxed) == NIL {
            return false;
        }
        match self.word.compare_exchange(READY, NIL, Acquire, Relaxed) {
            Ok(_) => true,
            Err(old) if old == NIL || is_task(old) => false,
            Err(_) => double_wait(),
        }
    }

    /// Waits for [`Unblock::Ready`]. True: it came, and was consumed. False: evicted, or `recheck` said no.
    ///
    /// `recheck` runs when an `unblock(Evict)` can no longer pass unnoticed; true lets the caller park.
    ///
    /// Go: runtime/netpoll.go netpollblock
    #[doc(alias = "netpollblock")]
    #[inline]
    pub fn block(&'static self, reason: WaitReason, recheck: impl FnOnce() -> bool) -> bool {
        self.block_with(reason, recheck, |slot, reason| runtime().gopark(slot, reason))
    }

    /// [`ParkSlot::block`] for a runtime itself, which need not look up who it is. `park` is its
    /// [`Runtime::gopark`](crate::Runtime::gopark).
    #[inline]
    pub fn block_with(
        &'static self,
        reason: WaitReason,
        recheck: impl FnOnce() -> bool,
        park: impl FnOnce(&'static ParkSlot, WaitReason),
    ) -> bool {
        loop {
            if self.take_ready() {
                return true;
            }
            match self.word.compare_exchange(NIL, WAIT, Relaxed, Relaxed) {
                Ok(_) => break,
                Err(old) if old == READY => continue,
                Err(old) if self.put_off(old) => break,
                Err(_) => continue,
            }
        }
        // Pairs with the fence in `unblock(Evict)`: either that one sees WAIT, or `recheck` sees its reason.
        fence(SeqCst);
        if recheck() {
            park(self, reason);
        }
        // Acquire pairs with the release half of `unblock`; not a plain store, a READY that came just now
        // must not be lost (golang/go#48925).
        let old = self.word.swap(NIL, AcqRel);
        if old == READY {
            return true;
        }
        if old != NIL && old != WAIT {
            corrupted();
        }
        false
    }

    /// Takes the place of a task: from here on the word is WAIT. False: the word has changed.
    #[cold]
    #[inline(never)]
    fn put_off(&self, old: Word) -> bool {
        let Some(task) = old.waiter().filter(|w| w.as_task().is_some()) else { double_wait() };
        // AcqRel as in `unblock`, which this is for the task.
        let taken = self.word.compare_exchange(old, WAIT, AcqRel, Relaxed).is_ok();
        if taken {
            runtime().goready(task);
        }
        taken
    }

    /// Leaves `task`, whose particulars are in their place, in the word, instead of parking. Only the owner of the slot
    /// may.
    ///
    /// `recheck` is that of [`ParkSlot::block`]. If it says no the waiter is withdrawn; somebody may have taken it
    /// before.
    #[inline]
    pub fn register(&self, task: Waiter, recheck: impl FnOnce() -> bool) -> Registered {
        loop {
            // AcqRel as in `commit`.
            match self.word.compare_exchange(NIL, Word::from(task), AcqRel, Relaxed) {
                Ok(_) => break,
                Err(old) if old == READY => {
                    if self.take_ready() {
                        return Registered::Ready;
                    }
                }
                // From an earlier time, and nobody has called it since. If somebody just does, he finds the new
                // particulars or has taken the old ones under their lock before the new ones came; then this word is
                // known to have changed.
                Err(old) if old == Word::from(task) => break,
                Err(_) => double_wait(),
            }
        }
        // Pairs with the fence in `unblock(Evict)`, as in `block`.
        fence(SeqCst);
        if recheck() {
            return Registered::Waiting;
        }
        // Failure: it was called, for the reason that `recheck` has seen or for another.
        let _ = self.word.compare_exchange(Word::from(task), NIL, AcqRel, Relaxed);
        Registered::Refused
    }

    /// Publishes `w` as the parked waiter; the runtime calls it when `w` can be woken. False: do not park.
    ///
    /// Go: runtime/netpoll.go netpollblockcommit
    #[doc(alias = "netpollblockcommit")]
    #[inline]
    #[must_use]
    pub fn commit(&self, w: Waiter) -> bool {
        // Release pairs with the acquire half in `unblock`: who gets `w` sees a waiter that is completely
        // parked.
        self.word.compare_exchange(WAIT, Word::from(w), AcqRel, Relaxed).is_ok()
    }

    /// Puts `new` in the place of the parked waiter `old`; false if `old` is not parked here.
    ///
    /// For a runtime that looks at somebody who is parked: with a waiter of another name in the slot, nobody can wake
    /// the one that was there, and whoever ends the wait is handed the other name.
    pub fn exchange_waiter(&self, old: Waiter, new: Waiter) -> bool {
        // Acquire pairs with the release half of `commit`, or of the exchange before: who takes `old` away sees a
        // waiter that is completely parked. Release: who gets `new` sees what was done to it in between. Acquire on
        // failure pairs with `unblock`: what came before the end of the wait is seen by who finds it ended.
        self.word.compare_exchange(Word::from(old), Word::from(new), AcqRel, Acquire).is_ok()
    }

    /// Ends a wait. Who gets a waiter has to make it runnable.
    ///
    /// For [`Unblock::Evict`] the reason must be published before the call.
    ///
    /// Go: runtime/netpoll.go netpollunblock
    #[doc(alias = "netpollunblock")]
    #[inline]
    #[must_use]
    pub fn unblock(&self, how: Unblock) -> Option<Waiter> {
        let new = match how {
            Unblock::Ready => READY,
            Unblock::Evict => {
                // Pairs with the fence in `block`.
                fence(SeqCst);
                NIL
            }
        };
        let mut old = self.word.load(Relaxed);
        loop {
            if how == Unblock::Evict && (old == NIL || old == READY) {
                return None;
            }
            // Also when `old` is READY: see `take_ready`.
            match self.word.compare_exchange(old, new, AcqRel, Relaxed) {
                Ok(_) => return old.waiter(),
                Err(now) => old = now,
            }
        }
    }
}

fn is_task(word: Word) -> bool {
    word.waiter().is_some_and(|w| w.as_task().is_some())
}

#[cold]
#[inline(never)]
fn double_wait() -> ! {
    gopark_sys::throw!("gopark: double wait");
}

#[cold]
#[inline(never)]
fn corrupted() -> ! {
    gopark_sys::throw!("gopark: corrupted park slot");
}
