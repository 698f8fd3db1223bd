//! Models of the local run queue's ring, with four places: one owner, and thieves. Each element comes out once.
#![cfg(loom)]
#![allow(dead_code, missing_docs, unreachable_pub)]

#[path = "util/loom.rs"]
mod util;

#[path = "../src/runq/ring.rs"]
mod ring;

use loom::thread;
use ring::RunQueue;
use std::sync::Arc;
use util::{item, model, number};

/// What `ring.rs` finds as its parent's.
const CAPACITY: usize = 4;

type Queue = Arc<RunQueue<u8>>;

fn queue(items: std::ops::Range<usize>) -> Queue {
    let q = Arc::new(RunQueue::new());
    for n in items {
        assert!(q.push_back(item(n)));
    }
    q
}

fn drain(q: &RunQueue<u8>) -> Vec<usize> {
    std::iter::from_fn(|| q.pop_front().map(number)).collect()
}

/// One theft into a queue of the thief's own; returns everything that was stolen, in the order of the queue.
fn steal(victim: &RunQueue<u8>) -> Vec<usize> {
    let own = RunQueue::new();
    let run = victim.steal_into(&own).map(number);
    let mut stolen = drain(&own);
    stolen.extend(run);
    stolen
}

/// A thread that steals once.
fn thief(q: &Queue) -> thread::JoinHandle<Vec<usize>> {
    let q = Arc::clone(q);
    thread::spawn(move || steal(&q))
}

/// Each of 0..count once, in whatever order.
fn assert_all(mut seen: Vec<usize>, count: usize) {
    seen.sort_unstable();
    assert_eq!(seen, (0..count).collect::<Vec<_>>(), "lost or doubled");
}

#[test]
fn owner_and_thief_share_what_is_there() {
    model(3, || {
        let q = queue(0..3);
        let thief = thief(&q);
        let mut seen: Vec<usize> = q.pop_front().map(number).into_iter().collect();
        assert!(q.push_back(item(3)));
        seen.extend(drain(&q));
        seen.extend(thief.join().unwrap());
        assert_all(seen, 4);
    });
}

#[test]
fn two_thieves_and_the_owner_share_what_is_there() {
    model(2, || {
        let q = queue(0..3);
        let thieves = [thief(&q), thief(&q)];
        let mut seen = drain(&q);
        for t in thieves {
            seen.extend(t.join().unwrap());
        }
        seen.extend(drain(&q));
        assert_all(seen, 3);
    });
}

/// The owner reuses the places of what was taken, while a thief may still be reading them.
#[test]
fn places_are_reused_under_theft() {
    model(3, || {
        let q = queue(0..4);
        let thief = thief(&q);
        let mut seen: Vec<usize> = (0..2).filter_map(|_| q.pop_front()).map(number).collect();
        let mut next = 4;
        while next < 6 && q.push_back(item(next)) {
            next += 1;
        }
        seen.extend(drain(&q));
        seen.extend(thief.join().unwrap());
        assert_all(seen, next);
    });
}

/// The overflow: the owner takes the older half out, unless a thief was faster.
#[test]
fn half_of_a_full_queue_goes_to_the_owner_or_to_a_thief() {
    model(3, || {
        let q = queue(0..4);
        let thief = thief(&q);
        let mut seen = Vec::new();
        let mut half = [std::ptr::null_mut(); CAPACITY / 2];
        // As `P::runqputslow`, but for ever.
        while !q.push_back(item(4)) {
            let n = q.take_half(&mut half);
            seen.extend(half[..n].iter().copied().map(number));
        }
        seen.extend(drain(&q));
        seen.extend(thief.join().unwrap());
        assert_all(seen, 5);
    });
}

/// Two Ps that rob each other: a thief's own queue is somebody else's victim.
#[test]
fn thieves_rob_each_other() {
    // Of two that are stolen one goes to the thief's queue; with none there before, it is the first to be stolen back.
    for there in [0, 1] {
        model(2, move || {
            let (a, b) = (queue(0..3), queue(3..3 + there));
            let robber = {
                let (a, b) = (Arc::clone(&a), Arc::clone(&b));
                thread::spawn(move || a.steal_into(&b).map(number))
            };
            let mut seen: Vec<usize> = b.steal_into(&a).map(number).into_iter().collect();
            seen.extend(robber.join().unwrap());
            seen.extend(drain(&a));
            seen.extend(drain(&b));
            assert_all(seen, 3 + there);
        });
    }
}

/// One is added before one is taken: at no moment is the queue empty, and nobody may find it so.
#[test]
fn a_queue_that_always_holds_one_is_never_called_empty() {
    model(3, || {
        let q = queue(0..1);
        let watcher = {
            let q = Arc::clone(&q);
            thread::spawn(move || assert!(!q.is_empty()))
        };
        assert!(q.push_back(item(1)));
        assert_eq!(q.pop_front().map(number), Some(0));
        watcher.join().unwrap();
    });
}

/// What the publisher did before a push, the thief sees after the theft.
#[test]
fn a_stolen_element_brings_what_was_written_before() {
    use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    model(3, || {
        let (q, data) = (queue(0..0), Arc::new(AtomicUsize::new(0)));
        let (theirs, read) = (Arc::clone(&q), Arc::clone(&data));
        let thief = thread::spawn(move || {
            let stolen = steal(&theirs);
            assert!(stolen.is_empty() || read.load(Relaxed) == 1, "what was stolen is not yet written");
            stolen
        });
        data.store(1, Relaxed);
        assert!(q.push_back(item(0)));
        let mut seen = thief.join().unwrap();
        seen.extend(drain(&q));
        assert_all(seen, 1);
    });
}
