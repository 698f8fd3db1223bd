//! Models of the note: no wake-up is lost, and what came before it is seen. The kernel's part, comparing the word and
//! falling asleep in one step, is played by a lock.
#![cfg(loom)]

use std::time::Duration;

use gopark_sys::note::{Futex, Note};
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

struct Word {
    word: AtomicU32,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Futex for Word {
    fn store(&self, value: u32, order: Ordering) {
        self.word.store(value, order);
    }

    fn load(&self, order: Ordering) -> u32 {
        self.word.load(order)
    }

    fn swap(&self, value: u32, order: Ordering) -> u32 {
        self.word.swap(value, order)
    }

    fn replace(&self, old: u32, new: u32, order: Ordering) {
        let _ = self.word.compare_exchange(old, new, order, order);
    }

    fn wait(&self, expected: u32, timeout: Option<Duration>) {
        let guard = self.lock.lock().unwrap();
        // A limit in a model is always over already. Relaxed: the kernel orders nothing for its caller.
        if timeout.is_none() && self.word.load(Ordering::Relaxed) == expected {
            drop(self.changed.wait(guard).unwrap());
        }
    }

    fn wake(&self) {
        let _guard = self.lock.lock().unwrap();
        self.changed.notify_one();
    }
}

fn note() -> Arc<Note<Word>> {
    Arc::new(Note::on(Word { word: AtomicU32::new(0), lock: Mutex::new(()), changed: Condvar::new() }))
}

/// Wakes `note` on another thread, after storing 1 in the word returned.
fn waker(note: &Arc<Note<Word>>) -> (Arc<AtomicU32>, thread::JoinHandle<()>) {
    let data = Arc::new(AtomicU32::new(0));
    let (note, stored) = (Arc::clone(note), Arc::clone(&data));
    let handle = thread::spawn(move || {
        stored.store(1, Ordering::Relaxed);
        note.wakeup();
    });
    (data, handle)
}

#[test]
fn a_wakeup_is_never_lost_and_carries_what_came_before_it() {
    loom::model(|| {
        let note = note();
        let (data, waker) = waker(&note);
        note.sleep();
        assert_eq!(data.load(Ordering::Relaxed), 1);
        waker.join().unwrap();
    });
}

#[test]
fn a_sleep_that_timed_out_leaves_the_wakeup_to_the_next() {
    loom::model(|| {
        let note = note();
        let (data, waker) = waker(&note);
        if !note.sleep_for(Duration::ZERO) {
            note.sleep();
        }
        assert_eq!(data.load(Ordering::Relaxed), 1);
        waker.join().unwrap();
    });
}

#[test]
fn a_note_is_used_again_and_again() {
    loom::model(|| {
        let (here, there) = (note(), note());
        let peer = {
            let (here, there) = (Arc::clone(&here), Arc::clone(&there));
            thread::spawn(move || {
                for _ in 0..2 {
                    there.sleep();
                    there.clear();
                    here.wakeup();
                }
            })
        };
        for _ in 0..2 {
            there.wakeup();
            here.sleep();
            here.clear();
        }
        peer.join().unwrap();
    });
}

#[test]
fn of_two_wakers_each_may_be_the_first() {
    loom::model(|| {
        let note = note();
        let wakers: Vec<_> = (0..2).map(|_| waker(&note)).collect();
        note.sleep();
        // One of them was there, and which is not known.
        let seen: u32 = wakers.iter().map(|(data, _)| data.load(Ordering::Relaxed)).sum();
        assert!(seen >= 1);
        for (_, waker) in wakers {
            waker.join().unwrap();
        }
    });
}
