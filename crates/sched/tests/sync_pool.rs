//! `sync::Pool`: Go's tests by name as far as they do not ask for a garbage collector, bounds, buffers.

mod util;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use gopark_sched::sync::{Pool, WaitGroup};
use gopark_sched::{spawn, yield_now};
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    let _alone = alone();
    run_with_1_2_and_4_procs();
}

// Go: sync/pool_test.go TestPool, TestPoolNew
#[test]
fn pool() {
    bounded("pool", || {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let pool: Pool<usize> = Pool::new(|| 1000 + MADE.fetch_add(1, SeqCst));
        assert_eq!(pool.try_take(), None, "expected empty");
        assert_eq!((pool.take(), pool.take()), (1000, 1001));
        // What was put in last comes out first; nothing here switches, so it is the same P throughout.
        pool.put(1);
        pool.put(2);
        assert_eq!((pool.try_take(), pool.try_take(), pool.try_take()), (Some(2), Some(1), None));
        // More than a P keeps: through the depot, and all are there.
        (0..100).for_each(|i| pool.put(i));
        let mut back: Vec<_> = std::iter::from_fn(|| pool.try_take()).collect();
        back.sort_unstable();
        assert_eq!(back, (0..100).collect::<Vec<_>>());
        assert_eq!(*pool.get(), 1002);
    });
}

/// The pool is bounded, and `clear` empties it; every object is dropped once.
// Go: sync/pool_test.go TestPoolGC, TestPoolRelease
#[test]
fn pool_release() {
    let _alone = alone();
    let made = Arc::new(AtomicUsize::new(0));
    let drops = Arc::clone(&made);
    bounded("pool_release", move || {
        fn none() -> CountDrops {
            CountDrops(Arc::default())
        }
        let (limit, n) = (32, 100);
        let pool = Pool::with_limit(none, limit);
        (0..n).for_each(|_| pool.put(CountDrops(Arc::clone(&drops))));
        let kept = n - drops.load(SeqCst);
        assert!((limit - 8..=limit + 16).contains(&kept), "kept {kept}");
        pool.clear();
        assert_eq!(drops.load(SeqCst), n);
        (0..n).for_each(|_| pool.put(CountDrops(Arc::clone(&drops))));
        drop(pool);
        assert_eq!(drops.load(SeqCst), 2 * n);
    });
}

// Go: sync/pool_test.go TestPoolStress
#[test]
fn pool_stress() {
    let _alone = alone();
    runtime();
    static POOL: Pool<(usize, usize)> = Pool::new(|| (0, 0));
    fn work(rounds: usize) {
        for round in 0..rounds {
            let mut object = POOL.take();
            assert_eq!(object.0, object.1, "an object that two have at a time");
            object.0 += 1;
            if round % 64 == 0 {
                yield_now(); // and put it back on another P
            }
            object.1 += 1;
            POOL.put(object);
        }
    }
    let threads: Vec<_> = (0..2).map(|_| std::thread::spawn(|| work(5_000))).collect();
    let tasks: Vec<_> = (0..10).map(|_| spawn(|| work(20_000))).collect();
    bounded("pool_stress", move || tasks.into_iter().for_each(|h| h.join().expect("no panic")));
    threads.into_iter().for_each(|h| h.join().expect("no panic"));
    POOL.clear();
}

/// What one P puts in and another takes out goes through the depot, each object once.
// Go: sync/pool_test.go TestPoolDequeue, TestPoolChain
#[test]
fn objects_come_out_once() {
    let _alone = alone();
    bounded("objects_come_out_once", || {
        static POOL: Pool<usize> = Pool::with_limit(|| usize::MAX, 1 << 20);
        let n = 20_000;
        let seen: Arc<Vec<AtomicUsize>> = Arc::new((0..n).map(|_| AtomicUsize::new(0)).collect());
        let wg = WaitGroup::new();
        let left = Arc::new(AtomicUsize::new(n));
        for _ in 0..4 {
            let (seen, left) = (Arc::clone(&seen), Arc::clone(&left));
            wg.go(move || {
                while left.load(SeqCst) > 0 {
                    match POOL.try_take() {
                        Some(i) => {
                            seen[i].fetch_add(1, SeqCst);
                            left.fetch_sub(1, SeqCst);
                        }
                        None => {
                            yield_now();
                            // The last few stay with the P that put them in: bring them out.
                            if left.load(SeqCst) < 200 {
                                std::thread::yield_now();
                            }
                        }
                    }
                }
            });
        }
        // From a plain thread: it has no P, so all goes to the depot.
        let producer = std::thread::spawn(move || (0..n).for_each(|i| POOL.put(i)));
        wg.wait();
        producer.join().expect("no panic");
        assert!(seen.iter().all(|s| s.load(SeqCst) == 1));
    });
}

#[test]
fn buffers_come_back_empty_and_of_their_size() {
    bounded("buffers", || {
        let pool = Pool::buffers(4096);
        let mut buffer = pool.get();
        assert!(buffer.is_empty() && buffer.capacity() >= 4096);
        let address = buffer.as_ptr();
        buffer.extend_from_slice(&[1; 100]);
        drop(buffer);
        let again = pool.get();
        assert!(again.is_empty());
        assert_eq!(again.as_ptr(), address);
        // One that has grown too large is not kept, nor one that was shrunk or taken out.
        let mut huge = again.detach();
        huge.reserve(1 << 20);
        pool.put(huge);
        pool.put(Vec::new());
        assert!(pool.try_take().is_none());
    });
}

/// A guard may be dropped after a park, on another P than the one it came from, or on a thread.
#[test]
fn pooled_objects_travel() {
    let _alone = alone();
    bounded("pooled_objects_travel", || {
        static POOL: Pool<Vec<u8>> = Pool::buffers(64);
        let tasks: Vec<_> = (0..50)
            .map(|i| {
                let mut buffer = POOL.get();
                spawn(move || {
                    buffer.push(i);
                    yield_now();
                    assert_eq!(*buffer, [i]);
                    if i % 10 == 0 {
                        std::thread::spawn(move || drop(buffer)).join().expect("no panic");
                    }
                })
            })
            .collect();
        tasks.into_iter().for_each(|h| h.join().expect("no panic"));
    });
}
