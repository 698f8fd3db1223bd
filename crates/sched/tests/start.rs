//! Starting and stopping. A process starts its runtime once, so every test here has a process of its own.

mod util;

use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use gopark_sched::context::Context;
use gopark_sched::{
    Builder, Runtime, SpawnError, blocking, chan, go, goroutine_id, num_goroutines, scope, sleep, spawn,
    try_go, try_spawn, yield_now,
};
use util::*;

/// Runs `f` in a child process with `env`; it must succeed.
fn in_child(test: &str, env: &[(&str, &str)], f: fn()) {
    match child(test, env) {
        Child::Inside => f(),
        Child::Ended(output) => {
            assert!(output.status.success(), "{}", text_of(&output));
            assert!(text_of(&output).contains("1 passed"), "{test} is not the name of the test: nothing ran");
        }
        Child::Skip => {}
    }
}

#[allow(unsafe_code)]
fn start(builder: Builder) -> std::io::Result<Runtime> {
    // SAFETY: the tests keep nothing of a thread across a call that may block.
    unsafe { builder.start() }
}

/// What `f` panics with.
fn panic_of<T>(f: impl FnOnce() -> T + std::panic::UnwindSafe) -> String {
    match catch_unwind(f) {
        Ok(_) => panic!("it did not panic"),
        Err(payload) => match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(payload) => payload.downcast::<&str>().map(|t| t.to_string()).unwrap_or_default(),
        },
    }
}

#[test]
fn before_the_start_calls_say_which_line_to_write() {
    in_child("before_the_start_calls_say_which_line_to_write", &[], || {
        const LINE: &str = "let rt = unsafe { gopark_net::Runtime::start()? };";
        assert!(panic_of(|| go(|| ())).contains(LINE));
        assert!(panic_of(|| spawn(|| ())).contains(LINE));
        assert!(panic_of(|| scope(|s| s.go(|| ()))).contains(LINE));
        assert!(panic_of(|| sleep(Duration::from_millis(1))).contains(LINE));
        assert!(matches!(try_go(|| ()), Err(SpawnError::NotStarted)));
        assert!(matches!(try_spawn(|| ()), Err(SpawnError::NotStarted)));
        // What needs no runtime works without.
        assert_eq!((num_goroutines(), goroutine_id()), (0, 0));
        yield_now();
        assert_eq!(blocking(|| 3), 3);
        assert_eq!(scope(|_| 4), 4);
        // A failed attempt leaves nothing behind that would keep the runtime from starting.
        let rt = start(Runtime::builder()).unwrap();
        assert_eq!(rt.run(|| 5), 5);
    });
}

#[test]
fn settings_out_of_range_are_refused_with_the_range() {
    in_child("settings_out_of_range_are_refused_with_the_range", &[], || {
        let refused = |builder: Builder| {
            let err = start(builder).expect_err("out of range");
            assert_eq!(err.kind(), std::io::ErrorKind::InvalidInput);
            err.to_string()
        };
        for n in [0, 1025, usize::MAX] {
            let text = refused(Runtime::builder().max_procs(n));
            assert!(text.contains(&n.to_string()) && text.contains("between 1 and 1024"), "{text}");
        }
        for bytes in [0, 4096, 16 * 1024 - 1, (1 << 30) + 1, usize::MAX] {
            let text = refused(Runtime::builder().stack_size(bytes));
            assert!(text.contains("between 16 KiB and 1 GiB"), "{text}");
        }
        assert!(refused(Runtime::builder().max_threads(0)).contains("at least one"));
        // After all of that a valid one starts.
        let rt = start(Runtime::builder().max_procs(3).stack_size(64 * 1024).max_threads(100)).unwrap();
        assert_eq!(rt.max_procs(), 3);
        assert_eq!(rt.run(|| (1..=10).sum::<i32>()), 55);
    });
}

#[test]
fn a_second_start_is_refused() {
    in_child("a_second_start_is_refused", &[], || {
        let _rt = start(Runtime::builder()).unwrap();
        for _ in 0..3 {
            let err = start(Runtime::builder()).expect_err("the second");
            assert!(err.to_string().contains("started already"), "{err}");
        }
        assert_eq!(spawn(|| 1).join().unwrap(), 1);
    });
}

#[test]
fn one_of_many_starts_at_the_same_time_wins() {
    in_child("one_of_many_starts_at_the_same_time_wins", &[], || {
        let threads: Vec<_> =
            (0..8).map(|_| std::thread::spawn(|| start(Runtime::builder()).is_ok())).collect();
        let won = threads.into_iter().map(|t| t.join().unwrap()).filter(|&w| w).count();
        assert_eq!(won, 1);
        assert_eq!(spawn(|| 1).join().unwrap(), 1);
    });
}

/// Whoever gets a goroutine in while another thread starts the runtime finds it whole.
#[test]
fn a_goroutine_may_start_at_the_first_moment_possible() {
    in_child("a_goroutine_may_start_at_the_first_moment_possible", &[], || {
        let eager = std::thread::spawn(|| {
            loop {
                if let Ok(handle) = try_spawn(|| sleep(Duration::from_micros(100))) {
                    return handle.join().unwrap();
                }
            }
        });
        std::thread::sleep(Duration::from_millis(1)); // not for ordering: the other thread shall be busy trying
        let _rt = start(Runtime::builder()).unwrap();
        eager.join().unwrap();
    });
}

#[test]
fn gopark_maxprocs_is_obeyed() {
    in_child("gopark_maxprocs_is_obeyed", &[("GOPARK_MAXPROCS", " 7 ")], || {
        assert_eq!(start(Runtime::builder()).unwrap().max_procs(), 7);
    });
}

#[test]
fn the_builder_wins_over_gopark_maxprocs() {
    in_child("the_builder_wins_over_gopark_maxprocs", &[("GOPARK_MAXPROCS", "nonsense")], || {
        assert_eq!(start(Runtime::builder().max_procs(2)).unwrap().max_procs(), 2);
    });
}

#[test]
fn gopark_maxprocs_out_of_range_is_refused() {
    const TEST: &str = "gopark_maxprocs_out_of_range_is_refused";
    for text in ["0", "1025", "-1", "two", "", "1.5"] {
        in_child(TEST, &[("GOPARK_MAXPROCS", text)], || {
            let text = std::env::var("GOPARK_MAXPROCS").unwrap();
            let err = start(Runtime::builder()).expect_err("not a number of Ps");
            assert_eq!(err.kind(), std::io::ErrorKind::InvalidInput);
            let want = format!("GOPARK_MAXPROCS is {text:?}: it must be a number between 1 and 1024");
            assert_eq!(err.to_string(), want);
        });
    }
}

#[test]
fn shutdown_waits_and_says_who_is_left() {
    in_child("shutdown_waits_and_says_who_is_left", &[], || {
        let rt = start(Runtime::builder().max_procs(2)).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..5 {
            let stop = Arc::clone(&stop);
            go(move || {
                while !stop.load(Relaxed) {
                    sleep(Duration::from_millis(1));
                }
            });
        }
        let timeout = Duration::from_millis(30);
        let begin = Instant::now();
        let left = rt.shutdown(timeout).expect_err("five are left");
        assert_eq!(left.goroutines, 5);
        assert!(begin.elapsed() >= timeout && begin.elapsed() < Duration::from_secs(5));
        let text = left.to_string();
        assert!(text.starts_with("5 goroutines still running: goroutine "), "{text}");
        assert_eq!(text.matches("[sleep] created at crates/sched/tests/start.rs:").count(), 5, "{text}");
        // No new ones from now on, from wherever.
        assert!(matches!(try_go(|| ()), Err(SpawnError::ShuttingDown)));
        assert!(matches!(try_spawn(|| ()), Err(SpawnError::ShuttingDown)));
        assert!(panic_of(|| go(|| ())).contains("shutting down"));
        assert!(panic_of(|| spawn(|| ())).contains("shutting down"));
        assert_eq!(num_goroutines(), 5, "a refused goroutine counts as one");
        // Those there are go on as before, and end.
        stop.store(true, Relaxed);
        assert_eq!(rt.shutdown(Duration::from_secs(20)), Ok(()));
        assert_eq!(num_goroutines(), 0);
        let begin = Instant::now();
        assert_eq!(rt.shutdown(Duration::from_secs(20)), Ok(()));
        assert!(begin.elapsed() < Duration::from_secs(5), "nobody to wait for");
        assert_eq!(rt.shutdown(Duration::ZERO), Ok(()));
        assert_eq!(rt.shutdown(Duration::MAX), Ok(()));
    });
}

/// What goroutines wait for still comes: the deadlines of contexts, functions that were set to run later.
#[test]
fn shutdown_does_not_keep_contexts_from_ending() {
    in_child("shutdown_does_not_keep_contexts_from_ending", &[], || {
        let rt = start(Runtime::builder().max_procs(2)).unwrap();
        let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(30));
        let (tx, rx) = chan::bounded(0);
        let _stop = ctx.after_func(move || tx.send(()).unwrap());
        static CALLED: AtomicBool = AtomicBool::new(false);
        go(move || {
            let _ = ctx.done().recv();
            CALLED.store(rx.recv().is_ok(), Relaxed);
        });
        assert_eq!(rt.shutdown(Duration::from_secs(10)), Ok(()));
        assert!(CALLED.load(Relaxed), "the function of a context that was set before");
    });
}

#[test]
fn shutdown_from_a_goroutine_does_not_count_the_caller() {
    in_child("shutdown_from_a_goroutine_does_not_count_the_caller", &[], || {
        let rt = start(Runtime::builder()).unwrap();
        rt.run(|| {
            assert_eq!(rt.shutdown(Duration::from_secs(20)), Ok(()));
            sleep(Duration::from_millis(1));
        });
    });
}

/// Goroutines that are refused give back what they hold.
#[test]
fn a_refused_closure_is_dropped() {
    in_child("a_refused_closure_is_dropped", &[], || {
        let drops = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let held = CountDrops(Arc::clone(&drops));
        assert!(try_go(move || drop(held)).is_err());
        assert_eq!(drops.load(Relaxed), 1, "before the start");
        let rt = start(Runtime::builder()).unwrap();
        assert_eq!(rt.shutdown(Duration::from_secs(20)), Ok(()));
        let held = CountDrops(Arc::clone(&drops));
        assert!(try_spawn(move || drop(held)).is_err());
        assert_eq!(drops.load(Relaxed), 2, "after the end");
    });
}

/// The poller that a program brings is the one that is used.
#[test]
#[cfg(target_os = "linux")]
fn the_builder_takes_a_poller() {
    in_child("the_builder_takes_a_poller", &[], || {
        let backend = gopark_sys::netpoll::epoll().unwrap();
        let name = backend.name;
        let rt = start(Runtime::builder().netpoll(backend)).unwrap();
        assert_eq!(gopark_sched::debug_counts().netpoll, name);
        let begin = Instant::now();
        rt.run(|| sleep(Duration::from_millis(10)));
        assert!(begin.elapsed() >= Duration::from_millis(10));
    });
}

/// Far beyond the default of 260 KiB.
#[test]
fn the_stack_is_as_large_as_the_builder_says() {
    #[inline(never)]
    fn use_stack(bytes: usize) -> usize {
        let block = std::hint::black_box([1_u8; 1024]);
        if bytes <= block.len() { block[5] as usize } else { use_stack(bytes - 1024) + block[7] as usize }
    }
    in_child("the_stack_is_as_large_as_the_builder_says", &[], || {
        let rt = start(Runtime::builder().stack_size(4 << 20)).unwrap();
        // A debug build has each block twice: a quarter of the stack is what can be counted on.
        assert_eq!(rt.run(|| use_stack(1 << 20)), 1 << 10);
    });
}
