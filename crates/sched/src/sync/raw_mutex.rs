//! The mutex itself, by Go's rules; `mutex` dresses it for `lock_api`.
//!
//! In the normal mode who unlocks wakes the waiter that waits longest, and that one competes with those who come by:
//! they are running already, mostly win, and a mutex that a few goroutines use all the time needs no switch at all. A
//! waiter that loses goes back to the front. One that has waited for more than a millisecond switches to the
//! starvation mode: then the mutex goes from hand to hand in the order of the list, and who comes by queues up. The
//! mode ends with the first that waited less, or with the last in the list.
//!
//! Ways not taken. Only handing over, always: each use then costs a switch, ten times as much. Only competition: a
//! waiter may wait for ever (golang/go#13086).
//!
//! | bit | meaning | set by | cleared by |
//! | --- | --- | --- | --- |
//! | `LOCKED` | somebody has it | who takes it; `hand_over`, for the one it is given to | who unlocks |
//! | `WOKEN` | a waiter is on its way and looks: nobody else need be woken | who wakes it; a spinning one for itself | the one that was woken, when it takes the mutex or queues up again |
//! | `STARVING` | the mutex is handed over: who comes by must not take it | a waiter that waited too long, with `LOCKED` set | `hand_over`; the last waiter, when it gives up |
//! | `WAITERS` | the list is not empty | who queues up | who takes the last one off |
//!
//! `STARVING` and `WAITERS` change under the list's lock only, so there `WAITERS` says exactly what it means. A mutex
//! that is `STARVING` and not `LOCKED` is in the hands of somebody who is about to hand it over. `WOKEN` stands for one
//! waiter at a time, and only the one it stands for can set `STARVING`, in the step that clears `WOKEN`: the two are
//! never set together.
//!
//! Go counts its waiters in the word, and the one that is handed the mutex corrects the count and the mode. Here the
//! list is the mutex's own, so who unlocks does that, and a waiter that gives up needs no permit to be made up for.
//!
//! Go: internal/sync/mutex.go.

use gopark_poll::WaitReason;
use gopark_sys::loom::atomic::{AtomicU32, Ordering};

use crate::park::unpark;
use crate::rt::nanotime;
use crate::sync::lock::{Mutex, MutexGuard};
use crate::sync::sema::{Ended, List, Place, end, note, wait_in};
use crate::sync::spin::{can_spin, spin};

const LOCKED: u32 = 1;
const WOKEN: u32 = 2;
const STARVING: u32 = 4;
const WAITERS: u32 = 8;

/// How long a waiter waits before it insists, in ns. Go: starvationThresholdNs.
const STARVATION_NS: i64 = 1_000_000;

/// The raw lock of [`Mutex`](crate::sync::Mutex), for `lock_api`'s generic types.
pub struct RawMutex {
    state: AtomicU32,
    list: Mutex<List>,
}

impl RawMutex {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> RawMutex {
        RawMutex { state: AtomicU32::new(0), list: Mutex::new(List::new()) }
    }

    #[cfg(loom)]
    pub(crate) fn new() -> RawMutex {
        RawMutex { state: AtomicU32::new(0), list: Mutex::new(List::new()) }
    }

    /// Takes the mutex if it is free and nobody ever waited, in one step.
    #[inline]
    fn acquire_fast(&self) -> bool {
        // Acquire: pairs with the releases in `release` and `release_fair`.
        self.state.compare_exchange(0, LOCKED, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[inline]
    pub(crate) fn acquire(&self) {
        if !self.acquire_fast() {
            self.acquire_slow(None);
        }
    }

    /// Takes the mutex, waiting until what `deadline` returns; false if that passed before.
    #[inline]
    pub(crate) fn acquire_by(&self, deadline: impl FnOnce() -> i64) -> bool {
        self.acquire_fast() || self.acquire_slow(Some(deadline()))
    }

    /// Takes the mutex if it is free. One that starves is not, even when nobody has it for the moment.
    #[inline]
    pub(crate) fn try_acquire(&self) -> bool {
        let mut old = self.state.load(Ordering::Relaxed);
        while old & (LOCKED | STARVING) == 0 {
            // Acquire: as in `acquire_fast`.
            match self.state.compare_exchange(old, old | LOCKED, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => old = now,
            }
        }
        false
    }

    pub(crate) fn is_acquired(&self) -> bool {
        self.state.load(Ordering::Relaxed) & (LOCKED | STARVING) != 0
    }

    #[cold]
    #[inline(never)]
    fn acquire_slow(&self, deadline: Option<i64>) -> bool {
        let mut awoke = false;
        if self.spin_for(&mut awoke) {
            return true;
        }
        let since = nanotime();
        let (mut place, mut starving) = (Place::Back, false);
        loop {
            let ended = wait_in(
                &self.list,
                WaitReason::SyncMutexLock,
                deadline,
                |_| self.queue_up(&mut awoke, starving).then_some((place, since as u64)),
                || {},
                |list| self.gave_up(list),
            );
            match ended {
                Ended::Granted => return true,
                Ended::TimeUp => return false,
                Ended::Woken => {
                    awoke = true;
                    place = Place::Front;
                    starving = starving || nanotime() - since > STARVATION_NS;
                }
                Ended::NotQueued => {}
            }
            if self.spin_for(&mut awoke) {
                return true;
            }
        }
    }

    /// Takes the mutex once it is free; false when it is time to queue up.
    fn spin_for(&self, awoke: &mut bool) -> bool {
        let mut spun = 0;
        loop {
            let old = self.state.load(Ordering::Relaxed);
            if old & (LOCKED | STARVING) == 0 {
                let new = if *awoke { (old | LOCKED) & !WOKEN } else { old | LOCKED };
                // Acquire: as in `acquire_fast`.
                if self.state.compare_exchange(old, new, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                    return true;
                }
                continue;
            }
            // Spinning is of no use where the mutex will be handed to somebody else.
            if old & STARVING != 0 || !can_spin(spun) {
                return false;
            }
            if !*awoke && old & (WOKEN | WAITERS) == WAITERS {
                // Tells who unlocks that somebody looks, so that no other is woken.
                *awoke = self
                    .state
                    .compare_exchange(old, old | WOKEN, Ordering::Relaxed, Ordering::Relaxed)
                    .is_ok();
            }
            spin();
            spun += 1;
        }
    }

    /// Announces a waiter; false if the mutex is free, so that there is no need. Under the list's lock.
    fn queue_up(&self, awoke: &mut bool, starving: bool) -> bool {
        let mut old = self.state.load(Ordering::Relaxed);
        loop {
            if old & (LOCKED | STARVING) == 0 {
                return false;
            }
            let mut new = old | WAITERS;
            if starving {
                new |= STARVING;
            }
            if *awoke {
                // Whoever has the mutex now, or is about to hand it over, sees to the list from here on.
                new &= !WOKEN;
            }
            // Relaxed: nothing is published but the node, which the lock guards.
            match self.state.compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    *awoke = false;
                    return true;
                }
                Err(now) => old = now,
            }
        }
    }

    /// A waiter took itself off. Under the list's lock.
    fn gave_up(&self, list: &mut List) {
        if list.is_empty() {
            // If the mutex is about to be handed over, there is nobody left to take it, and it is free.
            self.state.fetch_and(!(WAITERS | STARVING), Ordering::Relaxed);
        }
    }

    /// Lets go of the mutex, which the caller has.
    #[inline]
    pub(crate) fn release(&self) {
        // Release: pairs with the acquires of who takes it next. What it was handed over with pairs by the outcome.
        let now = self.state.fetch_sub(LOCKED, Ordering::Release) - LOCKED;
        if now != 0 {
            self.release_slow(now);
        }
    }

    /// Lets go of the mutex and hands it to the first waiter, if there is one; true if so.
    pub(crate) fn release_fair(&self) -> bool {
        // Release: as in `release`.
        if self.state.compare_exchange(LOCKED, 0, Ordering::Release, Ordering::Relaxed).is_ok() {
            return false;
        }
        let list = self.list.lock();
        let old = self.state.load(Ordering::Relaxed);
        if old & WAITERS == 0 {
            drop(list);
            self.release();
            return false;
        }
        self.hand_over(list, old);
        true
    }

    /// Whether somebody waits, at this moment.
    pub(crate) fn has_waiters(&self) -> bool {
        self.state.load(Ordering::Relaxed) & WAITERS != 0
    }

    /// Somebody may have to be woken.
    #[cold]
    #[inline(never)]
    fn release_slow(&self, now: u32) {
        // With a waiter on its way the list is left to that one.
        if now & WAITERS == 0 || now & WOKEN != 0 {
            return;
        }
        let mut list = self.list.lock();
        // Acquire, both times: pairs with `release`. Who hands the mutex over need not be who had it last: that one may
        // be on its way to the list too, and what it did must go on to the next holder, through us.
        let mut old = self.state.load(Ordering::Acquire);
        loop {
            if old & LOCKED != 0 || old & WAITERS == 0 {
                return;
            }
            if old & STARVING != 0 {
                return self.hand_over(list, old);
            }
            if old & WOKEN != 0 {
                return;
            }
            let new = (old | WOKEN) & !self.waiters_bit_after_pop(&list);
            // Acquire: as above.
            match self.state.compare_exchange(old, new, Ordering::Relaxed, Ordering::Acquire) {
                Ok(_) => break,
                Err(current) => old = current,
            }
        }
        let Some(node) = list.pop_front() else { gopark_sys::throw!("mutex: no waiter in the list") };
        let slot = end(node, false);
        drop(list);
        unpark(slot);
    }

    /// `WAITERS` if the list is empty without its first.
    fn waiters_bit_after_pop(&self, list: &List) -> u32 {
        let second = list.front().and_then(|first| list.after(first));
        if second.is_none() { WAITERS } else { 0 }
    }

    /// Gives the mutex, which is the caller's to give, to the first in the list. The word may be `LOCKED` or not; it
    /// was `old`.
    fn hand_over(&self, mut list: MutexGuard<'_, List>, mut old: u32) {
        let Some(node) = list.pop_front() else { gopark_sys::throw!("mutex: no waiter in the list") };
        let patient = nanotime() - (note(node) as i64) < STARVATION_NS;
        loop {
            let mut new = old | LOCKED;
            if list.is_empty() {
                new &= !(WAITERS | STARVING);
            } else if patient {
                new &= !STARVING;
            }
            // Relaxed: the one it is given to acquires through the outcome, which `end` releases.
            match self.state.compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => old = now,
            }
        }
        let slot = end(node, true);
        drop(list);
        unpark(slot);
    }
}
