//! `JoinSet`: results, limit, first failure, panics.

mod util;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use gopark_sched::{JoinSet, TrySpawnError, chan, yield_now};
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    run_with_1_2_and_4_procs();
}

fn from_both(name: &str, f: fn()) {
    bounded(&format!("{name}, from a goroutine"), f);
    bounded_on_thread(&format!("{name}, from a thread"), f);
}

#[test]
fn all_results_come_once_each() {
    from_both("join_next and join_all", || {
        let set = JoinSet::new();
        assert!(set.join_next().is_none(), "an empty set has no result");
        for i in 0..100 {
            set.spawn(move || i);
        }
        assert_eq!(set.len(), 100);
        let first = set.join_next().unwrap().unwrap();
        let mut all = set.join_all();
        all.push(first);
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
    });
}

#[test]
fn results_come_in_the_order_of_the_ends() {
    from_both("order", || {
        let (set, (tx, rx)) = (JoinSet::new(), chan::bounded::<()>(0));
        set.spawn(move || assert!(rx.recv().is_ok() || rx.is_closed()));
        let (tell, told) = chan::bounded::<()>(0);
        set.spawn(move || assert!(told.recv().is_ok()));
        tell.send(()).unwrap();
        assert!(set.join_next().is_some());
        assert_eq!(set.len(), 1, "the other one waits");
        tx.send(()).unwrap();
        set.join_all();
    });
}

/// Go: x/sync/errgroup TestGoLimit
#[test]
fn go_limit() {
    from_both("limit", || {
        const LIMIT: usize = 3;
        let active = Arc::new(AtomicUsize::new(0));
        let set = JoinSet::new().limit(LIMIT);
        for _ in 0..100 {
            let active = Arc::clone(&active);
            set.spawn(move || {
                let n = active.fetch_add(1, SeqCst) + 1;
                yield_now();
                active.fetch_sub(1, SeqCst);
                n
            });
        }
        assert!(set.join_all().into_iter().all(|n| n <= LIMIT));
    });
}

/// Go: x/sync/errgroup TestTryGo
#[test]
fn try_go() {
    from_both("try_spawn", || {
        let set = JoinSet::new().limit(2);
        let (tx, rx) = chan::bounded::<()>(0);
        for _ in 0..2 {
            let rx = rx.clone();
            set.try_spawn(move || assert!(rx.recv().is_ok() || rx.is_closed())).unwrap();
        }
        let full = set.try_spawn(|| ()).unwrap_err();
        assert!(matches!(full, TrySpawnError::LimitReached), "{full}");
        tx.send(()).unwrap();
        set.join_next().unwrap().unwrap();
        // A result that was taken has left its place.
        set.try_spawn(|| ()).unwrap();
        drop(tx);
        set.join_all();
    });
}

/// Go: x/sync/errgroup TestWithContext
#[test]
fn the_first_failure_is_told_and_returned() {
    from_both("on_failure", || {
        let (told, times) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (tell, count) = (Arc::clone(&told), Arc::clone(&times));
        let set = JoinSet::new().on_failure(move || {
            tell.store(true, SeqCst);
            count.fetch_add(1, SeqCst);
        });
        for i in 0..8 {
            let told = Arc::clone(&told);
            set.spawn(move || {
                if i == 5 {
                    return Err("five");
                }
                while !told.load(SeqCst) {
                    yield_now();
                }
                if i == 6 { Err("six") } else { Ok(i) }
            });
        }
        assert_eq!(set.try_join_all(), Err("five"));
        assert_eq!(times.load(SeqCst), 1, "called once");
        let set = JoinSet::new().on_failure(|| panic!("nothing fails"));
        set.spawn(|| Ok::<_, String>(1));
        assert_eq!(set.try_join_all(), Ok(vec![1]));
    });
}

/// Go: x/sync/errgroup TestPanic
#[test]
fn a_panic_is_passed_on_after_all_have_ended() {
    from_both("panic", || {
        let (told, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (tell, theirs) = (Arc::clone(&told), Arc::clone(&ended));
        let set = JoinSet::<Result<(), String>>::new().on_failure(move || tell.store(true, SeqCst));
        set.spawn(|| panic!("expected by the test"));
        set.spawn(move || {
            while !told.load(SeqCst) {
                yield_now();
            }
            theirs.store(true, SeqCst);
            Ok(())
        });
        let joined = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| set.try_join_all()));
        assert_eq!(joined.unwrap_err().downcast_ref::<&str>(), Some(&"expected by the test"));
        assert!(ended.load(SeqCst));
    });
}

#[test]
fn a_dropped_set_detaches() {
    from_both("drop", || {
        let drops = Arc::new(AtomicUsize::new(0));
        let (set, (tx, rx)) = (JoinSet::new(), chan::bounded::<()>(0));
        for _ in 0..3 {
            let (rx, counted) = (rx.clone(), CountDrops(Arc::clone(&drops)));
            set.spawn(move || {
                let _ = rx.recv();
                counted
            });
        }
        drop(set);
        assert_eq!(drops.load(SeqCst), 0, "they run on");
        drop(tx);
        while drops.load(SeqCst) != 3 {
            yield_now();
        }
    });
}

#[test]
fn goroutines_of_the_set_add_to_it() {
    from_both("add", || {
        let set = Arc::new(JoinSet::new());
        let inner = Arc::clone(&set);
        set.spawn(move || {
            for _ in 0..10 {
                inner.spawn(|| 1);
            }
            1
        });
        let mut sum = 0;
        while let Some(n) = set.join_next() {
            sum += n.unwrap();
        }
        assert_eq!(sum, 11);
    });
}
