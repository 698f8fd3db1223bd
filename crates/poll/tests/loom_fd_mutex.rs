//! Models of the descriptor's mutex, with the semaphores below it.
#![cfg(loom)]

#[path = "util/model.rs"]
mod model;

use gopark_poll::{FdMutex, Left, Mode};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;
use model::model;

struct Shared {
    mu: FdMutex,
    /// loom reports two threads in it at once.
    critical: UnsafeCell<usize>,
    last: AtomicUsize,
}

impl Shared {
    fn new() -> Arc<Shared> {
        Arc::new(Shared { mu: FdMutex::new(), critical: UnsafeCell::new(0), last: AtomicUsize::new(0) })
    }

    fn note(&self, left: Left) {
        if left == Left::Last {
            self.last.fetch_add(1, Relaxed);
        }
    }

    fn enter(&self, mode: Mode) -> bool {
        if self.mu.rwlock(mode).is_err() {
            return false;
        }
        self.critical.with_mut(|_| ());
        self.note(self.mu.rwunlock(mode));
        true
    }
}

#[test]
fn the_lock_excludes_and_every_waiter_gets_it() {
    model(3, || {
        let shared = Shared::new();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let shared = shared.clone();
                thread::spawn(move || assert!(shared.enter(Mode::Read)))
            })
            .collect();
        assert!(shared.enter(Mode::Read));
        for t in threads {
            t.join().unwrap();
        }
        assert_eq!(shared.last.load(Relaxed), 0);
    });
}

#[test]
fn close_fails_the_waiters_and_exactly_one_is_last() {
    model(3, || {
        let shared = Shared::new();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let shared = shared.clone();
                thread::spawn(move || shared.enter(Mode::Read))
            })
            .collect();
        shared.mu.incref_and_close().unwrap();
        shared.note(shared.mu.decref());
        for t in threads {
            t.join().unwrap();
        }
        assert_eq!(shared.last.load(Relaxed), 1);
        assert!(shared.mu.incref().is_err());
    });
}

#[test]
fn close_wakes_a_waiter_behind_a_lock_that_stays_held() {
    model(3, || {
        let shared = Shared::new();
        shared.mu.rwlock(Mode::Write).unwrap();
        let waiter = {
            let shared = shared.clone();
            thread::spawn(move || shared.enter(Mode::Write))
        };
        shared.mu.incref_and_close().unwrap();
        shared.note(shared.mu.decref());
        // Joined while the lock is held: only the close can have woken it.
        assert!(!waiter.join().unwrap());
        assert_eq!(shared.last.load(Relaxed), 0);
        shared.note(shared.mu.rwunlock(Mode::Write));
        assert_eq!(shared.last.load(Relaxed), 1);
    });
}

#[test]
fn two_closers_one_wins() {
    model(3, || {
        let shared = Shared::new();
        let other = {
            let shared = shared.clone();
            thread::spawn(move || {
                let won = shared.mu.incref_and_close().is_ok();
                if won {
                    shared.note(shared.mu.decref());
                }
                won
            })
        };
        let won = shared.mu.incref_and_close().is_ok();
        if won {
            shared.note(shared.mu.decref());
        }
        assert!(won ^ other.join().unwrap());
        assert_eq!(shared.last.load(Relaxed), 1);
    });
}
