//! What happens at the limits of threads, compensation and stacks. Each test has a process of its own.
//!
//! The sleeps are not for ordering: they are blocking calls.
#![cfg_attr(not(target_os = "linux"), allow(unused_imports))] // some tests are for Linux alone

mod util;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use gopark_sched::{Builder, Runtime, SpawnError, blocking, go, sleep, spawn, try_go, yield_now};
use util::*;

/// Compensation goes no further than this; see `MAX_COMPENSATING`.
const MAX_COMPENSATING: usize = 512;

#[allow(unsafe_code)]
fn start(builder: Builder) -> Runtime {
    // SAFETY: the tests keep nothing of a thread across a call that may block.
    unsafe { builder.start() }.expect("start the runtime")
}

fn assert_success(test: &str, output: &std::process::Output) {
    assert!(output.status.success(), "{}", text_of(output));
    assert!(text_of(output).contains("1 passed"), "{test} is not the name of the test: nothing ran");
}

/// More goroutines block than compensation covers: the rest wait, nothing breaks, and in the end all is as before.
#[test]
fn compensation_has_a_limit() {
    const TEST: &str = "compensation_has_a_limit";
    match child(TEST, &[]) {
        Child::Inside => {
            let rt = start(Runtime::builder().max_procs(2));
            let gate = Arc::new((Mutex::new(false), Condvar::new()));
            let through = Arc::new(AtomicUsize::new(0));
            let n = MAX_COMPENSATING + 100;
            for _ in 0..n {
                let (gate, through) = (Arc::clone(&gate), Arc::clone(&through));
                go(move || {
                    let mut open = gate.0.lock().unwrap();
                    while !*open {
                        open = gate.1.wait(open).unwrap();
                    }
                    drop(open);
                    through.fetch_add(1, Relaxed);
                });
            }
            until("as many are compensated as may be", || {
                gopark_sched::debug_counts().stuck == MAX_COMPENSATING
            });
            let counts = gopark_sched::debug_counts();
            assert_eq!(counts.active, 2, "two more Ps run: {counts:?}");
            assert_eq!(through.load(Relaxed), 0);
            *gate.0.lock().unwrap() = true;
            gate.1.notify_all();
            until("all get through", || through.load(Relaxed) == n);
            until_settled();
            assert_eq!(rt.shutdown(LONG), Ok(()));
        }
        Child::Ended(output) => assert_success(TEST, &output),
        Child::Skip => {}
    }
}

// Go: runtime TestThreadExhaustion
#[test]
fn thread_exhaustion() {
    const TEST: &str = "thread_exhaustion";
    match child(TEST, &[]) {
        Child::Inside => {
            let _rt = start(Runtime::builder().max_procs(2).max_threads(10));
            for _ in 0..20 {
                go(|| blocking(|| std::thread::sleep(Duration::from_secs(5))));
            }
            std::thread::sleep(Duration::from_secs(5));
        }
        Child::Ended(output) => {
            assert_aborted(&output, &["fatal error: program exceeds 10-thread limit", "thread exhaustion"]);
        }
        Child::Skip => {}
    }
}

/// As many as allowed is not too many.
#[test]
fn the_last_thread_that_is_allowed_starts() {
    const TEST: &str = "the_last_thread_that_is_allowed_starts";
    match child(TEST, &[]) {
        Child::Inside => {
            let rt = start(Runtime::builder().max_procs(2).max_threads(1 + 2 + 20));
            let all: Vec<_> = (0..20)
                .map(|_| spawn(|| blocking(|| std::thread::sleep(Duration::from_millis(50)))))
                .collect();
            all.into_iter().for_each(|h| h.join().unwrap());
            assert_eq!(rt.run(|| 1), 1);
        }
        Child::Ended(output) => assert_success(TEST, &output),
        Child::Skip => {}
    }
}

/// Guards by mprotect cost a mapping each, of which the kernel allows few: then starting fails with the name of the
/// sysctl, and works again once others have ended.
#[test]
#[cfg(target_os = "linux")]
fn no_stack_is_an_error_that_names_the_limit() {
    const TEST: &str = "no_stack_is_an_error_that_names_the_limit";
    match child(TEST, &[("GOPARK_STACK_GUARD", "mprotect")]) {
        Child::Inside => {
            let _rt = start(Runtime::builder().max_procs(2).stack_size(16 * 1024));
            let (stop, begun) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
            let mut started = 0;
            let err = loop {
                let (stop, begun) = (Arc::clone(&stop), Arc::clone(&begun));
                let result = try_go(move || {
                    begun.fetch_add(1, Relaxed);
                    while !stop.load(Relaxed) {
                        sleep(Duration::from_millis(20));
                    }
                });
                match result {
                    Ok(()) => started += 1,
                    Err(err) => break err,
                }
                assert!(started < 1_000_000, "no limit");
            };
            assert!(matches!(err, SpawnError::NoStack(_)), "{err:?}");
            assert!(err.to_string().contains("vm.max_map_count"), "{err}");
            assert_eq!(std::io::Error::from(err).kind(), std::io::ErrorKind::OutOfMemory);
            assert!(started > 1_000, "{started} is few");
            stop.store(true, Relaxed);
            let ran = Arc::new(AtomicBool::new(false));
            until("a stack is free again", || {
                let ran = Arc::clone(&ran);
                try_go(move || {
                    yield_now();
                    ran.store(true, Relaxed);
                })
                .is_ok()
            });
            until("it runs", || ran.load(Relaxed));
        }
        Child::Ended(output) => assert_success(TEST, &output),
        Child::Skip => {}
    }
}

/// The threads of a crowd that blocked end again, some while the program goes on and the rest when it is quiet.
#[test]
fn threads_of_a_burst_end() {
    const TEST: &str = "threads_of_a_burst_end";
    match child(TEST, &[]) {
        Child::Inside => {
            let rt = start(Runtime::builder().max_procs(2));
            rt.run(|| spawn(yield_now).join().unwrap());
            let before = threads();
            for announced in [true, false] {
                let gate = Arc::new((Mutex::new(false), Condvar::new()));
                let inside = Arc::new(AtomicUsize::new(0));
                let all: Vec<_> = (0..MAX_COMPENSATING)
                    .map(|_| {
                        let (gate, inside) = (Arc::clone(&gate), Arc::clone(&inside));
                        spawn(move || {
                            let wait = || {
                                inside.fetch_add(1, Relaxed);
                                let mut open = gate.0.lock().unwrap();
                                while !*open {
                                    open = gate.1.wait(open).unwrap();
                                }
                            };
                            if announced { blocking(wait) } else { wait() }
                        })
                    })
                    .collect();
                until("all block", || inside.load(Relaxed) == MAX_COMPENSATING);
                assert!(threads() > MAX_COMPENSATING);
                *gate.0.lock().unwrap() = true;
                gate.1.notify_all();
                all.into_iter().for_each(|h| h.join().unwrap());
                // As many as there are Ps stay, and a few for the next who block.
                until("the threads end", || threads() <= before + 2 + 4);
                until_settled();
                assert_eq!(rt.run(|| spawn(|| 7).join().unwrap()), 7);
            }
        }
        Child::Ended(output) => assert_success(TEST, &output),
        Child::Skip => {}
    }
}

/// A program that is never idle lets go of them too.
#[test]
fn threads_of_a_burst_end_in_a_busy_program() {
    const TEST: &str = "threads_of_a_burst_end_in_a_busy_program";
    match child(TEST, &[]) {
        Child::Inside => {
            let rt = start(Runtime::builder().max_procs(2));
            rt.run(|| {
                let stop = Arc::new(AtomicBool::new(false));
                let theirs = Arc::clone(&stop);
                let busy = spawn(move || {
                    while !theirs.load(Relaxed) {
                        sleep(Duration::from_millis(2));
                    }
                });
                let all: Vec<_> = (0..100)
                    .map(|_| spawn(|| blocking(|| std::thread::sleep(Duration::from_millis(50)))))
                    .collect();
                all.into_iter().for_each(|h| h.join().unwrap());
                blocking(|| until("the threads end", || threads() <= 2 + 4 + 10));
                stop.store(true, Relaxed);
                busy.join().unwrap();
            });
        }
        Child::Ended(output) => assert_success(TEST, &output),
        Child::Skip => {}
    }
}

/// The system has no more threads for us: what blocks does so one after the other, nothing is lost, one line is logged,
/// and all is well again when there are some.
#[test]
fn no_more_threads() {
    const TEST: &str = "no_more_threads";
    match child(TEST, &[]) {
        Child::Inside => {
            let rt = start(Runtime::builder().max_procs(2));
            rt.run(|| (0..4).map(|_| spawn(yield_now)).for_each(|h| h.join().unwrap()));
            gopark_sched::debug_refuse_threads(true);
            rt.run(|| {
                for announced in [true, false] {
                    let block = || std::thread::sleep(Duration::from_millis(2));
                    let all: Vec<_> = (0..40)
                        .map(|_| {
                            spawn(move || {
                                if announced {
                                    blocking(block)
                                } else {
                                    block()
                                }
                                sleep(Duration::from_millis(1));
                            })
                        })
                        .collect();
                    all.into_iter().for_each(|h| h.join().unwrap());
                }
            });
            until_settled();
            let few = threads();
            gopark_sched::debug_refuse_threads(false);
            rt.run(|| {
                let inside = Arc::new(AtomicUsize::new(0));
                let all: Vec<_> = (0..20)
                    .map(|_| {
                        let inside = Arc::clone(&inside);
                        spawn(move || {
                            blocking(|| {
                                inside.fetch_add(1, Relaxed);
                                until("all are inside", || inside.load(Relaxed) == 20);
                            });
                        })
                    })
                    .collect();
                all.into_iter().for_each(|h| h.join().unwrap());
            });
            assert!(threads() > few);
            until_settled();
        }
        Child::Ended(output) => {
            assert_success(TEST, &output);
            let text = text_of(&output);
            assert_eq!(text.matches("cannot start another thread").count(), 1, "{text}");
        }
        Child::Skip => {}
    }
}
