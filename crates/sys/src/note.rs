//! `Note`: puts a thread to sleep until one event. Go: runtime/lock_futex.go note.
//!
//! | value | meaning | set by |
//! | --- | --- | --- |
//! | 0 | nothing happened | `clear` |
//! | 1 | the event happened | `wakeup` |
//! | 2 | a thread sleeps on it | `sleep`, by CAS from 0 |
//!
//! std's `park` and `unpark` will not do: their token belongs to the thread, and a library that unparks the thread
//! it runs on would wake, or rob, the scheduler.
//!
//! # Safety
//! futex(2) is given the address of the note's own word, which the borrow keeps alive; the kernel only compares it.
#![cfg_attr(target_os = "linux", allow(unsafe_code))]

#[cfg(sim)]
use crate::loom::atomic::{AtomicU32, Ordering};
#[cfg(not(sim))]
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const EMPTY: u32 = 0;
const SIGNALED: u32 = 1;
const SLEEPING: u32 = 2;

/// An event that happens once, and one thread that waits for it; then `clear`, and again.
#[derive(Debug, Default)]
pub struct Note<W: Futex = Word> {
    word: W,
}

/// A word that a thread can sleep on: a parameter so that `tests/loom_note.rs` can model the rest.
#[doc(hidden)]
pub trait Futex {
    /// As an atomic's.
    fn store(&self, value: u32, order: Ordering);
    /// As an atomic's.
    fn load(&self, order: Ordering) -> u32;
    /// As an atomic's.
    fn swap(&self, value: u32, order: Ordering) -> u32;
    /// As an atomic's, with one ordering and no interest in the outcome.
    fn replace(&self, old: u32, new: u32, order: Ordering);
    /// Sleeps if the word is `expected`, which is one step against `wake`; until a wake, the end of the time, or for no
    /// reason at all.
    fn wait(&self, expected: u32, timeout: Option<Duration>);
    /// Wakes the sleeper.
    fn wake(&self);
}

/// The kernel's.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Word(AtomicU32);

impl Futex for Word {
    #[inline]
    fn store(&self, value: u32, order: Ordering) {
        self.0.store(value, order);
    }

    #[inline]
    fn load(&self, order: Ordering) -> u32 {
        self.0.load(order)
    }

    #[inline]
    fn swap(&self, value: u32, order: Ordering) -> u32 {
        self.0.swap(value, order)
    }

    #[inline]
    fn replace(&self, old: u32, new: u32, order: Ordering) {
        let _ = self.0.compare_exchange(old, new, order, order);
    }

    fn wait(&self, expected: u32, timeout: Option<Duration>) {
        imp::wait(&self.0, expected, timeout);
    }

    fn wake(&self) {
        imp::wake(&self.0);
    }
}

impl Note {
    /// A note nothing happened to.
    pub const fn new() -> Note {
        Note { word: Word(AtomicU32::new(EMPTY)) }
    }
}

impl<W: Futex> Note<W> {
    /// A note on a word of the caller's, which is 0.
    #[doc(hidden)]
    pub fn on(word: W) -> Note<W> {
        Note { word }
    }

    /// Forgets the event. By the waiter, when nobody can be about to wake it.
    pub fn clear(&self) {
        self.word.store(EMPTY, Ordering::Relaxed);
    }

    /// The event happened: the sleeper wakes, or will not fall asleep.
    ///
    /// The note may be reused by its waiter from the first instruction on; the wake-up that follows then hits
    /// nobody, or is spurious, which sleepers tolerate.
    pub fn wakeup(&self) {
        // Release: what the waker did before is seen by the sleeper. Acquire is not needed. Pairs with `sleep`.
        if self.word.swap(SIGNALED, Ordering::Release) == SLEEPING {
            self.word.wake();
        }
    }

    /// Whether the event happened.
    pub fn happened(&self) -> bool {
        self.word.load(Ordering::Acquire) == SIGNALED // pairs with `wakeup`
    }

    /// Sleeps until the event happened.
    pub fn sleep(&self) {
        while !self.wait(None) {}
    }

    /// Sleeps until the event happened, for at most `timeout`; true if it happened.
    pub fn sleep_for(&self, timeout: Duration) -> bool {
        let start = clock::now();
        loop {
            let left = Some(timeout.saturating_sub(clock::since(start)));
            if self.wait(left) {
                return true;
            }
            if left.is_some_and(|left| left.is_zero()) {
                return false;
            }
        }
    }

    /// One wait; true if the event happened.
    fn wait(&self, timeout: Option<Duration>) -> bool {
        // Acquire in all: pairs with `wakeup`.
        if self.word.load(Ordering::Acquire) == SIGNALED {
            return true;
        }
        self.word.replace(EMPTY, SLEEPING, Ordering::Acquire); // pairs with `wakeup`
        self.word.wait(SLEEPING, timeout);
        self.word.load(Ordering::Acquire) == SIGNALED
    }
}

/// What a limit of time is measured by: std's clock, or the simulation's.
mod clock {
    #[cfg(not(sim))]
    pub(super) fn now() -> std::time::Instant {
        std::time::Instant::now()
    }

    #[cfg(not(sim))]
    pub(super) fn since(start: std::time::Instant) -> std::time::Duration {
        start.elapsed()
    }

    #[cfg(sim)]
    pub(super) fn now() -> i64 {
        crate::sim::now()
    }

    #[cfg(sim)]
    pub(super) fn since(start: i64) -> std::time::Duration {
        std::time::Duration::from_nanos((crate::sim::now() - start).unsigned_abs())
    }
}

#[cfg(sim)]
mod imp {
    //! The simulation's.
    use super::{AtomicU32, Duration, Ordering};
    use crate::sim;

    fn key(word: &AtomicU32) -> usize {
        std::ptr::from_ref(word).addr()
    }

    pub(super) fn wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) {
        let until = timeout.map(|timeout| sim::now().saturating_add(timeout.as_nanos() as i64));
        // No other thread can come in between: one step against `wake`.
        if std::ops::Deref::deref(word).load(Ordering::Relaxed) == expected {
            sim::block(key(word), until);
        }
    }

    pub(super) fn wake(word: &AtomicU32) {
        sim::wake(key(word));
    }
}

#[cfg(all(target_os = "linux", not(sim)))]
mod imp {
    //! futex(2).
    use super::{AtomicU32, Duration};

    pub(super) fn wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) {
        let ts = timeout.map(|d| libc::timespec {
            tv_sec: i64::try_from(d.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: d.subsec_nanos() as libc::c_long,
        });
        let ts = ts.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        let op = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
        // SAFETY: the word and the time outlive the call. All outcomes (woken, changed, interrupted, timed out) are
        // for the caller to find out from the word.
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), op, expected, ts) };
    }

    pub(super) fn wake(word: &AtomicU32) {
        let op = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
        // SAFETY: the address is only a key here: it is not read.
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), op, 1) };
    }
}

#[cfg(not(any(target_os = "linux", sim)))]
mod imp {
    //! One lock and condition for all notes: correct anywhere, fast enough where we do not measure.
    use super::{AtomicU32, Duration};
    use parking_lot::{Condvar, Mutex};
    use std::sync::atomic::Ordering;

    static LOCK: Mutex<()> = Mutex::new(());
    static CHANGED: Condvar = Condvar::new();

    pub(super) fn wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) {
        let mut guard = LOCK.lock();
        // Acquire pairs with `wakeup`.
        if word.load(Ordering::Acquire) != expected {
            return;
        }
        match timeout {
            Some(timeout) => drop(CHANGED.wait_for(&mut guard, timeout)),
            None => CHANGED.wait(&mut guard),
        }
    }

    pub(super) fn wake(_word: &AtomicU32) {
        drop(LOCK.lock());
        CHANGED.notify_all();
    }
}
