//! The end of the runtime. Each test has a process of its own.

mod util;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use gopark_sched::chan::bounded as channel;
use gopark_sched::dump::GoroutineState;
use gopark_sched::{JoinSet, SpawnError, WaitReason, blocking, go, scope, sleep, spawn, try_go, try_spawn};
use util::*;

fn in_child(test: &str, f: impl FnOnce()) {
    match child(test, &[("GOPARK_MAXPROCS", "2")]) {
        Child::Inside => f(),
        Child::Ended(output) => {
            assert!(output.status.success() && text_of(&output).contains("1 passed"), "{}", text_of(&output));
        }
        Child::Skip => {}
    }
}

#[test]
fn it_waits_for_who_is_there() {
    in_child("it_waits_for_who_is_there", || {
        let rt = runtime();
        let done = Arc::new(AtomicUsize::new(0));
        for _ in 0..100 {
            let done = Arc::clone(&done);
            go(move || {
                sleep(Duration::from_millis(20));
                done.fetch_add(1, Relaxed);
            });
        }
        assert_eq!(rt.shutdown(LONG), Ok(()));
        assert_eq!(done.load(Relaxed), 100);
        assert_eq!(rt.shutdown(Duration::ZERO), Ok(()), "a second time");
    });
}

/// What is counted when its start is tried, and refused then, may have been asked for in between.
#[test]
fn it_lets_nobody_wait_for_what_it_refuses() {
    in_child("it_lets_nobody_wait_for_what_it_refuses", || {
        let rt = runtime();
        let (tx, rx) = channel::<()>(0);
        go(move || rx.recv().map_or((), drop));
        assert!(rt.shutdown(Duration::ZERO).is_err());
        let (set, ended) = (JoinSet::new(), AtomicBool::new(false));
        std::thread::scope(|threads| {
            threads.spawn(|| {
                while !ended.load(Relaxed) {
                    assert!(set.join_next().is_none());
                }
            });
            for _ in 0..100_000 {
                assert!(set.try_spawn(|| ()).is_err());
            }
            ended.store(true, Relaxed);
        });
        assert!(set.is_empty() && set.join_next().is_none());
        drop(tx);
        assert_eq!(rt.shutdown(LONG), Ok(()));
    });
}

#[test]
fn it_refuses_new_goroutines() {
    in_child("it_refuses_new_goroutines", || {
        let rt = runtime();
        let h = spawn(|| {
            sleep(Duration::from_millis(30));
            // From inside as well.
            matches!(try_go(|| {}), Err(SpawnError::ShuttingDown))
        });
        assert!(rt.shutdown(Duration::ZERO).is_err());
        assert!(matches!(try_go(|| {}), Err(SpawnError::ShuttingDown)));
        assert!(matches!(try_spawn(|| 1), Err(SpawnError::ShuttingDown)));
        let refused = std::panic::catch_unwind(|| scope(|s| s.go(|| {})));
        assert!(refused.is_err());
        assert!(h.join().unwrap());
        assert_eq!(rt.shutdown(LONG), Ok(()));
    });
}

#[test]
fn it_says_what_still_runs() {
    in_child("it_says_what_still_runs", || {
        let rt = runtime();
        let (tx, rx) = channel::<()>(0);
        let line = line!() + 1;
        let receiver = spawn(move || rx.recv().is_err());
        let sleeper = spawn(|| sleep(Duration::from_secs(3)));
        let (unblock, blocked) = std::sync::mpsc::channel::<()>();
        let blocker = spawn(move || blocking(|| blocked.recv().is_err()));
        until("all wait", || {
            let states = gopark_sched::dump::DumpOptions::new().max_backtraces(0).dump().goroutines;
            states.len() == 3
                && states
                    .iter()
                    .all(|g| !matches!(g.state, GoroutineState::Runnable | GoroutineState::Running))
        });
        let start = Instant::now();
        let left = rt.shutdown(Duration::from_millis(50)).expect_err("three");
        assert!(start.elapsed() >= Duration::from_millis(50));
        assert_eq!((left.goroutines, left.listed.len()), (3, 3), "{left}");
        let states: Vec<_> = left.listed.iter().map(|g| g.state).collect();
        for state in [
            GoroutineState::Waiting(WaitReason::ChanReceive),
            GoroutineState::Waiting(WaitReason::Sleep),
            GoroutineState::Blocking,
        ] {
            assert!(states.contains(&state), "{left}");
        }
        assert!(left.listed.is_sorted_by_key(|g| g.id));
        let at = left.listed.iter().find(|g| g.state == GoroutineState::Waiting(WaitReason::ChanReceive));
        let at = at.and_then(|g| g.created_at).expect("a place");
        assert_eq!((at.file(), at.line()), (file!(), line));
        let text = left.to_string();
        assert!(text.starts_with("3 goroutines still running: goroutine "), "{text}");
        assert!(text.contains("[chan receive] created at ") && text.contains("[blocking]"), "{text}");
        // They go on, and so do the threads and the timers that they need.
        drop(tx);
        assert!(receiver.join().unwrap());
        drop(unblock);
        assert!(blocker.join().unwrap());
        sleeper.join().unwrap();
        assert_eq!(rt.shutdown(LONG), Ok(()));
    });
}

#[test]
fn the_list_is_bounded() {
    in_child("the_list_is_bounded", || {
        let rt = runtime();
        let (tx, rx) = channel::<()>(0);
        for _ in 0..250 {
            let rx = rx.clone();
            go(move || {
                let _ = rx.recv();
            });
        }
        let left = rt.shutdown(Duration::from_millis(1)).expect_err("many");
        assert_eq!((left.goroutines, left.listed.len()), (250, 100));
        assert!(left.to_string().ends_with(", and 150 more"), "{left}");
        drop(tx);
        assert_eq!(rt.shutdown(LONG), Ok(()));
    });
}

#[test]
fn who_calls_it_does_not_count() {
    in_child("who_calls_it_does_not_count", || {
        assert_eq!(runtime().run(|| runtime().shutdown(LONG)), Ok(()));
    });
}

/// What a plain thread waits for, other than the network, comes as it would.
#[test]
fn threads_go_on_waiting_for_goroutines() {
    in_child("threads_go_on_waiting_for_goroutines", || {
        let rt = runtime();
        let (tx, rx) = channel(0);
        let h = spawn(move || {
            sleep(Duration::from_millis(100));
            tx.send(5).unwrap();
            7
        });
        let receiver = std::thread::spawn(move || rx.recv());
        let joiner = std::thread::spawn(move || h.join());
        let sleeper = std::thread::spawn(|| {
            let start = Instant::now();
            sleep(Duration::from_millis(100));
            start.elapsed() >= Duration::from_millis(100)
        });
        assert!(rt.shutdown(Duration::from_millis(10)).is_err());
        assert_eq!(receiver.join().unwrap(), Ok(5));
        assert_eq!(joiner.join().unwrap().unwrap(), 7);
        assert!(sleeper.join().unwrap());
        assert_eq!(rt.shutdown(LONG), Ok(()));
    });
}
