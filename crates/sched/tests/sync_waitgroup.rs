//! `sync::WaitGroup` and `sync::Barrier`: Go's tests by name, misuse, time limits.

mod util;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use gopark_sched::chan::bounded as channel;
use gopark_sched::sync::{Barrier, WaitGroup};
use gopark_sched::{go, spawn, yield_now};
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    let _alone = alone();
    run_with_1_2_and_4_procs();
}

/// What a panic said.
fn panic_text(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("a panic");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().expect("a text")).to_owned(),
    }
}

// Go: sync/waitgroup_test.go TestWaitGroup
#[test]
fn wait_group() {
    bounded("wait_group", || {
        let (wg1, wg2) = (WaitGroup::new(), WaitGroup::new());
        // A few times, to see that a group can be used again.
        for _ in 0..8 {
            let n = 16;
            wg1.add(n);
            wg2.add(n);
            let (exited, exits) = channel(n as usize);
            for _ in 0..n {
                let (wg1, wg2, exited) = (wg1.clone(), wg2.clone(), exited.clone());
                go(move || {
                    wg1.done();
                    wg2.wait();
                    exited.send(()).expect("the test receives");
                });
            }
            wg1.wait();
            for _ in 0..n {
                assert!(exits.try_recv().is_err(), "WaitGroup released group too soon");
                wg2.done();
            }
            (0..n).for_each(|_| exits.recv().expect("everybody is released"));
        }
    });
}

// Go: sync/waitgroup_test.go TestWaitGroupMisuse
#[test]
fn wait_group_misuse() {
    bounded("wait_group_misuse", || {
        let wg = WaitGroup::new();
        wg.add(1);
        wg.done();
        assert_eq!(panic_text(|| wg.done()), "sync: negative WaitGroup counter");
        // As it was before, and of use.
        wg.wait();
        wg.add(2);
        assert_eq!(panic_text(|| wg.add(-3)), "sync: negative WaitGroup counter");
        assert_eq!(panic_text(|| wg.add(isize::MAX)), "sync: negative WaitGroup counter");
        assert!(!wg.wait_timeout(Duration::from_millis(1)));
        wg.add(-2);
        wg.wait();
    });
}

// Go: sync/waitgroup_test.go TestWaitGroupRace
#[test]
fn wait_group_race() {
    bounded("wait_group_race", || {
        for _ in 0..1000 {
            let wg = WaitGroup::new();
            let n = Arc::new(AtomicUsize::new(0));
            for _ in 0..2 {
                wg.add(1);
                let (wg, n) = (wg.clone(), Arc::clone(&n));
                go(move || {
                    n.fetch_add(1, SeqCst);
                    wg.done();
                });
            }
            wg.wait();
            assert_eq!(n.load(SeqCst), 2, "Spurious wakeup from Wait");
        }
    });
}

// Go: sync/waitgroup_test.go TestWaitGroupGo
#[test]
fn wait_group_go() {
    bounded("wait_group_go", || {
        let wg = WaitGroup::new();
        let n = Arc::new(AtomicUsize::new(0));
        for _ in 0..100 {
            let n = Arc::clone(&n);
            wg.go(move || {
                n.fetch_add(1, SeqCst);
            });
        }
        wg.wait();
        assert_eq!(n.load(SeqCst), 100);
        // A task may add more.
        let inner = (wg.clone(), Arc::clone(&n));
        wg.go(move || {
            let (wg, n) = inner;
            wg.go(move || {
                yield_now();
                n.fetch_add(1, SeqCst);
            });
        });
        wg.wait();
        assert_eq!(n.load(SeqCst), 101);
    });
}

// Go: sync/waitgroup_test.go TestIssue76126, where a panic ends the process before `Wait` returns. Here it ends the
// goroutine, which counts as done: nobody waits for it for ever.
#[test]
fn issue_76126_a_task_that_panics_is_done() {
    bounded("issue_76126", || {
        let wg = WaitGroup::new();
        wg.go(|| panic!("on purpose: a test of WaitGroup"));
        let task = wg.task();
        let panics = spawn(move || {
            let _task = task;
            panic!("on purpose: a test of WaitGroup");
        });
        wg.wait();
        assert!(panics.join().is_err());
    });
}

#[test]
fn many_wait_and_some_give_up() {
    let _alone = alone();
    bounded("many_wait_and_some_give_up", || {
        for round in 0..20u64 {
            let wg = WaitGroup::new();
            wg.add(1);
            let waiters: Vec<_> = (0..100u64)
                .map(|i| {
                    let wg = wg.clone();
                    spawn(move || match i % 3 {
                        0 => wg.wait_timeout(Duration::from_micros(50 * (i % 10))),
                        1 => wg.wait_timeout(Duration::from_secs(60)),
                        _ => {
                            wg.wait();
                            true
                        }
                    })
                })
                .collect();
            for _ in 0..round * 10 {
                yield_now();
            }
            wg.done();
            for (i, waiter) in waiters.into_iter().enumerate() {
                let released = waiter.join().expect("no panic");
                assert!(released || i % 3 == 0, "waiter {i} gave up");
            }
            let start = Instant::now();
            assert!(wg.wait_timeout(Duration::from_secs(60)) && start.elapsed() < Duration::from_secs(10));
        }
    });
}

#[test]
fn plain_threads_wait_for_goroutines_and_the_reverse() {
    let _alone = alone();
    runtime();
    let wg = WaitGroup::new();
    for _ in 0..50 {
        wg.go(yield_now);
        let task = wg.task();
        std::thread::spawn(move || drop(task));
    }
    let theirs = wg.clone();
    let goroutine = spawn(move || theirs.wait());
    wg.wait();
    bounded("plain_threads_wait_for_goroutines", move || goroutine.join().expect("no panic"));
}

#[test]
fn a_barrier_releases_all_and_names_one() {
    let _alone = alone();
    runtime();
    let n = 8;
    let barrier = Arc::new(Barrier::new(n));
    let (leaders, at) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let work = {
        let (barrier, leaders, at) = (Arc::clone(&barrier), Arc::clone(&leaders), Arc::clone(&at));
        move || {
            for round in 0..50 {
                at.fetch_add(1, SeqCst);
                leaders.fetch_add(usize::from(barrier.wait().is_leader()), SeqCst);
                assert!(at.load(SeqCst) >= n * (round + 1), "released too soon");
            }
        }
    };
    let threads: Vec<_> = (0..2).map(|_| std::thread::spawn(work.clone())).collect();
    let goroutines: Vec<_> = (2..n).map(|_| spawn(work.clone())).collect();
    bounded("a_barrier_releases_all", move || {
        goroutines.into_iter().for_each(|h| h.join().expect("no panic"))
    });
    threads.into_iter().for_each(|h| h.join().expect("no panic"));
    assert_eq!((leaders.load(SeqCst), at.load(SeqCst)), (50, 50 * n));
    // For none it is as for one.
    assert!(Barrier::new(0).wait().is_leader() && Barrier::new(1).wait().is_leader());
}
