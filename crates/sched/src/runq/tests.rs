use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::{CAPACITY, RunQueue};

/// Elements are numbers dressed as pointers; the queue never follows them.
fn item(n: usize) -> *mut u8 {
    std::ptr::without_provenance_mut(n + 1)
}

fn number(item: *mut u8) -> usize {
    item.addr() - 1
}

fn drain(q: &RunQueue<u8>) -> Vec<usize> {
    std::iter::from_fn(|| q.pop_front().map(number)).collect()
}

// Go: runtime TestSchedLocalQueue
#[test]
fn sched_local_queue() {
    let q = RunQueue::new();
    for i in 0..CAPACITY {
        assert!(q.pop_front().is_none(), "not empty before {i}");
        for j in 0..i {
            assert!(q.push_back(item(j)));
            assert_eq!(q.len(), j + 1);
        }
        for j in 0..i {
            assert_eq!(q.pop_front().map(number), Some(j), "of {i}");
        }
        assert!(q.pop_front().is_none(), "not empty after {i}");
        assert!(q.is_empty());
    }
}

// Go: runtime TestSchedLocalQueueSteal
#[test]
fn sched_local_queue_steal() {
    let (victim, thief) = (RunQueue::new(), RunQueue::new());
    for len in 0..=CAPACITY {
        for i in 0..len {
            assert!(victim.push_back(item(i)));
        }
        let first = victim.steal_into(&thief).map(number);
        let mut stolen = drain(&thief);
        stolen.extend(first);
        stolen.sort_unstable();
        let left = drain(&victim);
        // Half, rounded up, and the older half; what is left is in order.
        assert_eq!(stolen, (0..len.div_ceil(2)).collect::<Vec<_>>(), "of {len}");
        assert_eq!(left, (len.div_ceil(2)..len).collect::<Vec<_>>(), "of {len}");
    }
}

/// A full victim and a thief that is half full: nothing is lost or doubled where the two meet.
#[test]
fn a_thief_takes_no_more_than_it_has_room_for() {
    for held in [0, 1, CAPACITY / 2] {
        let (victim, thief) = (RunQueue::new(), RunQueue::new());
        for i in 0..CAPACITY {
            assert!(victim.push_back(item(i)));
        }
        for i in 0..held {
            assert!(thief.push_back(item(CAPACITY + i)));
        }
        let mut all: Vec<usize> = victim.steal_into(&thief).map(number).into_iter().collect();
        assert_eq!(all.len(), 1);
        all.extend(drain(&victim));
        all.extend(drain(&thief));
        all.sort_unstable();
        assert_eq!(all, (0..CAPACITY + held).collect::<Vec<_>>(), "with {held} held");
    }
}

#[test]
fn a_full_queue_refuses_and_gives_up_its_older_half() {
    let q = RunQueue::new();
    for i in 0..CAPACITY {
        assert!(q.push_back(item(i)));
    }
    assert!(!q.push_back(item(CAPACITY)));
    assert_eq!(q.len(), CAPACITY);
    let mut half = [std::ptr::null_mut(); CAPACITY / 2];
    assert_eq!(q.take_half(&mut half), CAPACITY / 2);
    assert_eq!(half.map(number).to_vec(), (0..CAPACITY / 2).collect::<Vec<_>>());
    assert_eq!(drain(&q), (CAPACITY / 2..CAPACITY).collect::<Vec<_>>());
}

/// The indices wrap around; the queue must not care where.
#[test]
fn the_queue_goes_on_for_ever() {
    let (q, thief) = (RunQueue::new(), RunQueue::new());
    let (mut next_in, mut next_out) = (0, 0);
    for round in 0..10 * CAPACITY {
        for _ in 0..round % CAPACITY {
            if q.push_back(item(next_in)) {
                next_in += 1;
            }
        }
        if round % 7 == 0 {
            let mut stolen: Vec<usize> = q.steal_into(&thief).map(number).into_iter().collect();
            stolen.extend(drain(&thief));
            stolen.sort_unstable();
            for n in stolen {
                assert_eq!(n, next_out);
                next_out += 1;
            }
        }
        for n in drain(&q) {
            assert_eq!(n, next_out);
            next_out += 1;
        }
    }
    assert_eq!(next_in, next_out);
}

/// A queue that always holds one or two elements is never called empty, however many thieves have a go at it.
// Go: runtime TestSchedLocalQueueEmpty
#[test]
fn sched_local_queue_empty() {
    const ROUNDS: usize = if cfg!(debug_assertions) { 1_000 } else { 10_000 };
    for round in 0..ROUNDS {
        let q = RunQueue::new();
        let (first, second) = (item(1), item(2));
        assert!(q.push_back(first));
        let go = AtomicBool::new(false);
        thread::scope(|s| {
            s.spawn(|| {
                while !go.load(Ordering::Acquire) {
                    std::hint::spin_loop();
                }
                assert!(!q.is_empty(), "round {round}");
            });
            go.store(true, Ordering::Release);
            // One is added before one is taken: at no moment is the queue empty.
            assert!(q.push_back(second));
            assert_eq!(q.pop_front(), Some(first));
        });
        assert_eq!(q.pop_front(), Some(second));
    }
}

/// One owner that pushes, pops and overflows, and three thieves: each element comes out exactly once.
#[test]
fn each_element_comes_out_once_under_theft() {
    const ELEMENTS: usize = if cfg!(debug_assertions) { 300_000 } else { 3_000_000 };
    const THIEVES: usize = 3;
    let q = RunQueue::<u8>::new();
    let seen: Vec<AtomicUsize> = (0..ELEMENTS).map(|_| AtomicUsize::new(0)).collect();
    let take = |item: *mut u8| {
        seen[number(item)].fetch_add(1, Ordering::Relaxed);
    };
    let (done, barrier) = (AtomicBool::new(false), Barrier::new(THIEVES + 1));
    let stolen = AtomicUsize::new(0);
    thread::scope(|s| {
        for _ in 0..THIEVES {
            s.spawn(|| {
                let own = RunQueue::new();
                barrier.wait();
                loop {
                    // Read before the attempt: a failure after the end is the last.
                    let last = done.load(Ordering::Acquire);
                    match q.steal_into(&own) {
                        Some(item) => {
                            take(item);
                            let more = drain(&own);
                            stolen.fetch_add(1 + more.len(), Ordering::Relaxed);
                            for n in more {
                                seen[n].fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        None if last => break,
                        None => std::hint::spin_loop(),
                    }
                }
            });
        }
        barrier.wait();
        let mut half = [std::ptr::null_mut(); CAPACITY / 2];
        for n in 0..ELEMENTS {
            while !q.push_back(item(n)) {
                let len = q.take_half(&mut half);
                half[..len].iter().copied().for_each(take);
            }
            if n % 3 == 0
                && let Some(item) = q.pop_front()
            {
                take(item);
            }
        }
        done.store(true, Ordering::Release);
    });
    drain(&q).into_iter().for_each(|n| take(item(n)));
    let wrong = seen.iter().position(|s| s.load(Ordering::Relaxed) != 1);
    assert_eq!(wrong, None, "lost or doubled");
    assert!(stolen.load(Ordering::Relaxed) > 0, "the thieves got nothing: the test tests nothing");
}
