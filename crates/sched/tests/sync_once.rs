//! `sync::Once`, `OnceLock` and `LazyLock`: Go's tests by name, and initialisers that park.

mod util;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use gopark_sched::sync::{LazyLock, Once, OnceLock};
use gopark_sched::{sleep, spawn, yield_now};
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    let _alone = alone();
    run_with_1_2_and_4_procs();
}

fn panics(f: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(f)).is_err()
}

// Go: sync/once_test.go TestOnce
#[test]
fn once() {
    bounded("once", || {
        let (once, calls) = (Arc::new(Once::new()), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let (once, calls) = (Arc::clone(&once), Arc::clone(&calls));
                spawn(move || {
                    once.call_once(|| {
                        yield_now();
                        calls.fetch_add(1, SeqCst);
                    });
                    assert_eq!(calls.load(SeqCst), 1, "once failed inside run");
                })
            })
            .collect();
        tasks.into_iter().for_each(|h| h.join().expect("no panic"));
        assert_eq!(calls.load(SeqCst), 1, "once failed outside run");
        assert!(once.is_completed());
    });
}

// Go: sync/once_test.go TestOncePanic
#[test]
fn once_panic() {
    bounded("once_panic", || {
        let once = Once::new();
        assert!(panics(|| once.call_once(|| panic!("on purpose: a test of Once"))));
        once.call_once(|| unreachable!("called twice"));
        assert!(once.is_completed());
    });
}

// Go: sync/oncefunc_test.go TestOnceFunc, TestOnceValue, TestOnceValues
#[test]
fn once_value() {
    bounded("once_value", || {
        let calls = AtomicUsize::new(0);
        let value = LazyLock::new(|| (calls.fetch_add(1, SeqCst) + 1, "second"));
        assert_eq!(LazyLock::get(&value), None);
        assert_eq!((*value, LazyLock::force(&value).1), ((1, "second"), "second"));
        assert_eq!(calls.load(SeqCst), 1);
    });
}

// Go: sync/oncefunc_test.go TestOnceFuncPanic, TestOnceValuePanic, TestOnceValuesPanic: each call panics, one is made.
// (In Go with the same value; a payload of Rust's cannot be copied.)
#[test]
fn once_value_panic() {
    bounded("once_value_panic", || {
        let calls = AtomicUsize::new(0);
        let value: LazyLock<u32, _> = LazyLock::new(|| {
            calls.fetch_add(1, SeqCst);
            panic!("on purpose: a test of LazyLock");
        });
        assert!(panics(|| assert_eq!(*value, 0)));
        assert!(panics(|| assert_eq!(*value, 0)));
        assert_eq!(calls.load(SeqCst), 1);
        assert_eq!(LazyLock::get(&value), None);
    });
}

// Go: sync/oncefunc_test.go TestOnceXGC: what the function holds is let go with its call, panic or not.
#[test]
fn once_x_gc() {
    bounded("once_x_gc", || {
        for fails in [false, true] {
            let held = Arc::new(());
            let theirs = Arc::clone(&held);
            let value = LazyLock::new(move || {
                let _held = &theirs;
                assert!(!fails, "on purpose: a test of LazyLock");
                1
            });
            assert_eq!(Arc::strong_count(&held), 2);
            assert_eq!(panics(|| assert_eq!(*value, 1)), fails);
            assert_eq!(Arc::strong_count(&held), 1);
        }
    });
}

/// The initialiser sleeps; the others, goroutines and threads, wait and hold no P.
#[test]
fn an_initialiser_may_park() {
    let _alone = alone();
    runtime();
    static VALUE: OnceLock<String> = OnceLock::new();
    static MADE: AtomicUsize = AtomicUsize::new(0);
    fn value() -> &'static str {
        VALUE.get_or_init(|| {
            sleep(Duration::from_millis(2));
            MADE.fetch_add(1, SeqCst);
            "made".to_owned()
        })
    }
    let threads: Vec<_> = (0..2).map(|_| std::thread::spawn(value)).collect();
    bounded("an_initialiser_may_park", || {
        let tasks: Vec<_> = (0..20).map(|_| spawn(value)).collect();
        tasks.into_iter().for_each(|h| assert_eq!(h.join().expect("no panic"), "made"));
    });
    threads.into_iter().for_each(|h| assert_eq!(h.join().expect("no panic"), "made"));
    assert_eq!(MADE.load(SeqCst), 1);
}

#[test]
fn a_once_lock_that_failed_is_tried_again() {
    bounded("a_once_lock_that_failed_is_tried_again", || {
        let cell = Arc::new(OnceLock::new());
        let tries = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..6)
            .map(|_| {
                let (cell, tries) = (Arc::clone(&cell), Arc::clone(&tries));
                spawn(move || {
                    let made = catch_unwind(AssertUnwindSafe(|| {
                        cell.get_or_try_init(|| {
                            yield_now();
                            match tries.fetch_add(1, SeqCst) {
                                0 => panic!("on purpose: a test of OnceLock"),
                                1 => Err("not yet"),
                                _ => Ok(7),
                            }
                        })
                        .copied()
                    }));
                    made.map_or(0, |made| made.unwrap_or(1))
                })
            })
            .collect();
        let mut results: Vec<i32> = tasks.into_iter().map(|h| h.join().expect("no panic")).collect();
        results.sort_unstable();
        assert_eq!(results, [0, 1, 7, 7, 7, 7]);
        assert_eq!(tries.load(SeqCst), 3);
    });
}

#[test]
fn a_once_lock_owns_its_value() {
    let drops = Arc::new(AtomicUsize::new(0));
    let cell = OnceLock::new();
    assert!(cell.get().is_none());
    cell.set(CountDrops(Arc::clone(&drops))).expect("it was empty");
    let back = cell.set(CountDrops(Arc::clone(&drops))).expect_err("it is full");
    assert_eq!(drops.load(SeqCst), 0);
    drop(back);
    assert_eq!(drops.load(SeqCst), 1);
    drop(cell);
    assert_eq!(drops.load(SeqCst), 2);
    let mut cell = OnceLock::from(CountDrops(Arc::clone(&drops)));
    assert!(cell.get_mut().is_some());
    drop(cell.take());
    assert_eq!((drops.load(SeqCst), cell.get().is_none()), (3, true));
    assert!(cell.into_inner().is_none());
    assert_eq!(drops.load(SeqCst), 3);
}
