//! `sync::Condvar`: Go's tests by name, time limits.
//!
//! Go's TestCondCopy has no counterpart: what is waited on cannot be moved.

mod util;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use gopark_sched::chan::bounded as channel;
use gopark_sched::sync::{Condvar, Mutex};
use gopark_sched::{go, spawn, yield_now};
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    let _alone = alone();
    run_with_1_2_and_4_procs();
}

type Shared<T> = Arc<(Mutex<T>, Condvar)>;

fn shared<T>(value: T) -> Shared<T> {
    Arc::new((Mutex::new(value), Condvar::new()))
}

// Go: sync/cond_test.go TestCondSignal
#[test]
fn cond_signal() {
    bounded("cond_signal", || {
        let s = shared(());
        let n = 2;
        let (running_tx, running) = channel(n);
        let (awake_tx, awake) = channel(n);
        for _ in 0..n {
            let (s, running, awake) = (Arc::clone(&s), running_tx.clone(), awake_tx.clone());
            go(move || {
                let mut guard = s.0.lock();
                running.send(()).expect("the test receives");
                s.1.wait(&mut guard);
                awake.send(()).expect("the test receives");
            });
        }
        (0..n).for_each(|_| running.recv().expect("both run"));
        for _ in 0..n {
            assert!(awake.try_recv().is_err(), "goroutine not asleep");
            let guard = s.0.lock();
            assert!(s.1.notify_one());
            drop(guard);
            awake.recv().expect("one wakes");
            assert!(awake.try_recv().is_err(), "too many goroutines awake");
        }
        assert!(!s.1.notify_one(), "nobody waits");
    });
}

// Go: sync/cond_test.go TestCondSignalGenerations
#[test]
fn cond_signal_generations() {
    bounded("cond_signal_generations", || {
        let s = shared(());
        let n = 100;
        let (running_tx, running) = channel(n);
        let (awake_tx, awake) = channel(n);
        for i in 0..n {
            let (theirs, running_tx, awake_tx) = (Arc::clone(&s), running_tx.clone(), awake_tx.clone());
            go(move || {
                let mut guard = theirs.0.lock();
                running_tx.send(()).expect("the test receives");
                theirs.1.wait(&mut guard);
                awake_tx.send(i).expect("the test receives");
            });
            if i > 0 {
                assert_eq!(awake.recv().expect("one wakes"), i - 1, "wrong goroutine woke up");
            }
            running.recv().expect("it runs");
            let _guard = s.0.lock();
            s.1.notify_one();
        }
    });
}

// Go: sync/cond_test.go TestCondBroadcast
#[test]
fn cond_broadcast() {
    bounded_by("cond_broadcast", 2 * LONG, || {
        let (n, rounds) = (200, 50);
        let s = shared(false);
        let (running_tx, running) = channel(n);
        let (awake_tx, awake) = channel(n);
        for i in 0..n {
            let (s, running, awake) = (Arc::clone(&s), running_tx.clone(), awake_tx.clone());
            go(move || {
                let mut exit = s.0.lock();
                while !*exit {
                    running.send(i).expect("the test receives");
                    s.1.wait(&mut exit);
                    awake.send(i).expect("the test receives");
                }
            });
        }
        for round in 0..rounds {
            for _ in 0..n {
                running.recv().expect("all run");
            }
            if round == rounds - 1 {
                *s.0.lock() = true;
            }
            assert!(awake.try_recv().is_err(), "goroutine not asleep");
            let guard = s.0.lock();
            assert_eq!(s.1.notify_all(), n);
            drop(guard);
            let mut seen = vec![false; n];
            for _ in 0..n {
                let i = awake.recv().expect("all wake");
                assert!(!std::mem::replace(&mut seen[i], true), "goroutine woke up twice");
            }
        }
        assert!(running.try_recv().is_err(), "goroutine did not exit");
        assert_eq!(s.1.notify_all(), 0);
    });
}

// Go: sync/cond_test.go TestRace
#[test]
fn cond_race() {
    bounded("cond_race", || {
        for _ in 0..100 {
            let s = shared(0);
            let first = Arc::clone(&s);
            let second = Arc::clone(&s);
            let third = Arc::clone(&s);
            let tasks = [
                spawn(move || {
                    let mut x = first.0.lock();
                    *x = 1;
                    first.1.wait(&mut x);
                    assert_eq!(*x, 2);
                    *x = 3;
                    first.1.notify_one();
                }),
                spawn(move || {
                    loop {
                        let mut x = second.0.lock();
                        if *x == 1 {
                            *x = 2;
                            second.1.notify_one();
                            return;
                        }
                        drop(x);
                        yield_now();
                    }
                }),
                spawn(move || {
                    loop {
                        let mut x = third.0.lock();
                        if *x == 2 {
                            third.1.wait(&mut x);
                            assert_eq!(*x, 3);
                            return;
                        }
                        if *x == 3 {
                            return;
                        }
                        drop(x);
                        yield_now();
                    }
                }),
            ];
            tasks.into_iter().for_each(|h| h.join().expect("no panic"));
        }
    });
}

// Go: sync/cond_test.go TestCondSignalStealing
#[test]
fn cond_signal_stealing() {
    bounded("cond_signal_stealing", || {
        for _ in 0..500 {
            let s = shared(false);
            let (tx, rx) = channel(0);
            let theirs = Arc::clone(&s);
            go(move || {
                let mut guard = theirs.0.lock();
                tx.send(()).expect("the test receives");
                theirs.1.wait(&mut guard);
                drop(guard);
                tx.send(()).expect("the test receives");
            });
            rx.recv().expect("it has the mutex");
            drop(s.0.lock()); // it is in `wait` now

            // One notifies all, one begins to wait: whether that one is notified is open, the first must be.
            let theirs = Arc::clone(&s);
            go(move || {
                theirs.1.notify_all();
            });
            let theirs = Arc::clone(&s);
            go(move || {
                let mut done = theirs.0.lock();
                theirs.1.wait_while(&mut done, |done| !*done);
            });
            rx.recv().expect("the first waiter is notified");
            *s.0.lock() = true;
            s.1.notify_all();
        }
    });
}

#[test]
fn time_limits() {
    let _alone = alone();
    bounded("time_limits", || {
        let s = shared(false);
        let limit = Duration::from_millis(3);
        let mut guard = s.0.lock();
        let start = Instant::now();
        assert!(s.1.wait_for(&mut guard, limit).timed_out());
        assert!(start.elapsed() >= limit);
        assert!(s.1.wait_until(&mut guard, start).timed_out());
        assert!(s.1.wait_while_for(&mut guard, |done| !*done, limit).timed_out());
        assert!(s.0.try_lock().is_none(), "the mutex is locked again after a time limit");
        let theirs = Arc::clone(&s);
        let notifier = spawn(move || {
            *theirs.0.lock() = true;
            theirs.1.notify_one();
        });
        assert!(!s.1.wait_while_for(&mut guard, |done| !*done, Duration::from_secs(60)).timed_out());
        drop(guard);
        notifier.join().expect("no panic");
        assert!(!s.1.notify_one(), "who gave up still waits");
    });
}

/// Producers and consumers, goroutines and threads, some with time limits that run out while notifications are on
/// their way: each notification for one wakes one, or nobody waited.
#[test]
fn a_queue_with_time_limits_loses_nothing() {
    let _alone = alone();
    runtime();
    let s = shared(Vec::<usize>::new());
    let (items, got) = (4000, Arc::new(AtomicUsize::new(0)));
    let consume = {
        let (s, got) = (Arc::clone(&s), Arc::clone(&got));
        move |with_limit: bool| {
            loop {
                let mut queue = s.0.lock();
                while queue.is_empty() {
                    if got.load(SeqCst) == items {
                        return;
                    }
                    if with_limit {
                        let _ = s.1.wait_for(&mut queue, Duration::from_micros(30));
                    } else {
                        s.1.wait(&mut queue);
                    }
                }
                queue.pop();
                drop(queue);
                if got.fetch_add(1, SeqCst) + 1 == items {
                    let _queue = s.0.lock();
                    s.1.notify_all();
                }
            }
        }
    };
    let consumers: Vec<_> = (0..6)
        .map(|i| {
            let consume = consume.clone();
            spawn(move || consume(i % 2 == 0))
        })
        .collect();
    let thread = std::thread::spawn(move || consume(false));
    for _ in 0..4 {
        let s = Arc::clone(&s);
        go(move || {
            for i in 0..items / 4 {
                s.0.lock().push(i);
                s.1.notify_one();
                if i % 8 == 0 {
                    yield_now();
                }
            }
        });
    }
    bounded("a_queue_with_time_limits", move || {
        consumers.into_iter().for_each(|h| h.join().expect("no panic"))
    });
    thread.join().expect("no panic");
    assert_eq!(got.load(SeqCst), items);
}
