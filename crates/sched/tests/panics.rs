//! Panics: they end one goroutine, and what happens while they unwind may wait like everything else.

mod util;

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use gopark_sched::{JoinHandle, Runtime, blocking, go, num_goroutines, scope, sleep, spawn, yield_now};
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    run_with_1_2_and_4_procs();
}

/// Calls its function when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// No thread believes that it is panicking: goroutines on all Ps, many times, and plain threads.
fn assert_nobody_panics() {
    let all: Vec<JoinHandle<bool>> = (0..8 * procs())
        .map(|_| {
            spawn(|| {
                let before = std::thread::panicking();
                yield_now();
                sleep(Duration::from_micros(200));
                before || std::thread::panicking()
            })
        })
        .collect();
    let wrong = all.into_iter().map(|h| h.join().unwrap()).filter(|&w| w).count();
    assert_eq!(wrong, 0, "goroutines found their thread panicking");
    assert!(!std::thread::panicking());
}

#[test]
fn a_panic_ends_its_goroutine_alone() {
    let _alone = alone();
    bounded("goroutines that panic", || {
        let drops = Arc::new(AtomicUsize::new(0));
        for _ in 0..50 {
            let held = CountDrops(Arc::clone(&drops));
            go(move || {
                let _held = held;
                yield_now();
                panic!("expected by the test");
            });
        }
        while drops.load(Relaxed) < 50 {
            yield_now();
        }
        assert_nobody_panics();
        while num_goroutines() != 1 {
            yield_now();
        }
    });
}

struct Bomb(Arc<AtomicUsize>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
        panic!("expected by the test: a destructor that panics");
    }
}

/// The payload's destructor panics as well, in whichever place the payload is dropped.
#[test]
fn a_payload_may_panic_when_it_is_dropped() {
    let _alone = alone();
    bounded("payloads that panic", || {
        let drops = Arc::new(AtomicUsize::new(0));
        let bomb = || Bomb(Arc::clone(&drops));
        let b = bomb();
        go(move || panic_any(b));
        // What nobody takes is dropped by whoever comes last, the goroutine or the one who drops the handle.
        let b = bomb();
        let handle: JoinHandle<()> = spawn(move || panic_any(b));
        let _ = catch_unwind(AssertUnwindSafe(|| drop(handle)));
        let b = bomb();
        let handle = spawn(move || b);
        let _ = catch_unwind(AssertUnwindSafe(|| drop(handle)));
        let b = bomb();
        let result = catch_unwind(AssertUnwindSafe(|| scope(|s| s.go(move || panic_any(b)))));
        assert!(result.is_err());
        while drops.load(Relaxed) < 4 {
            yield_now();
        }
        let payload = spawn({
            let b = bomb();
            move || panic_any(b)
        })
        .join()
        .unwrap_err();
        assert!(
            catch_unwind(AssertUnwindSafe(|| drop(payload))).is_err(),
            "the payload went to the one who joined"
        );
        assert_nobody_panics();
        while num_goroutines() != 1 {
            yield_now();
        }
    });
}

/// What a destructor may do while its thread unwinds, by name.
fn waits() -> Vec<(&'static str, fn())> {
    vec![
        ("yields", || (0..20).for_each(|_| yield_now())),
        ("sleeps", || sleep(Duration::from_millis(3))),
        ("joins", || spawn(|| sleep(Duration::from_millis(1))).join().unwrap()),
        ("joins with a timeout", || {
            let stop = Arc::new(AtomicBool::new(false));
            let theirs = Arc::clone(&stop);
            let handle = spawn(move || {
                while !theirs.load(Relaxed) {
                    sleep(Duration::from_micros(100));
                }
            });
            let handle =
                handle.join_timeout(Duration::from_micros(300)).expect_err("it does not end by itself");
            stop.store(true, Relaxed);
            handle.join().unwrap();
        }),
        ("opens a scope", || {
            scope(|s| {
                for _ in 0..3 {
                    s.go(yield_now);
                }
            });
        }),
        // not for ordering: any blocking call would do
        ("blocks", || blocking(|| std::thread::sleep(Duration::from_millis(1)))),
        ("polls a flag", || {
            let flag = Arc::new(AtomicBool::new(false));
            let theirs = Arc::clone(&flag);
            go(move || theirs.store(true, Relaxed));
            while !flag.load(Relaxed) {
                yield_now();
            }
        }),
        ("panics and catches", || {
            let caught = catch_unwind(|| {
                sleep(Duration::from_micros(100));
                panic!("expected by the test: inside a destructor");
            });
            assert!(caught.is_err());
        }),
    ]
}

/// std counts panics by thread, so a goroutine that waits while it unwinds must stay on its thread, and everybody else
/// must keep off it. Afterwards it is a goroutine as before.
#[test]
fn a_destructor_may_wait_while_the_goroutine_unwinds() {
    let _alone = alone();
    for (name, wait) in waits() {
        bounded(&format!("a destructor that {name}"), move || {
            let all: Vec<JoinHandle<()>> = (0..4)
                .map(|_| {
                    spawn(move || {
                        let result = catch_unwind(|| {
                            let _waits = OnDrop(|| {
                                assert!(std::thread::panicking(), "it unwinds");
                                wait();
                                assert!(std::thread::panicking(), "it still unwinds, on the same thread");
                            });
                            panic!("expected by the test");
                        });
                        assert!(result.is_err());
                        assert!(!std::thread::panicking(), "the panic is caught");
                        // It goes on as before, and no thread is left behind in a wrong state.
                        sleep(Duration::from_micros(500));
                        yield_now();
                        assert!(!std::thread::panicking());
                    })
                })
                .collect();
            for h in all {
                h.join().unwrap();
            }
            assert_nobody_panics();
        });
    }
}

/// The same where nobody catches the panic but the goroutine's own end.
#[test]
fn a_goroutine_may_end_by_a_panic_that_waits() {
    let _alone = alone();
    for (name, wait) in waits() {
        bounded(&format!("the end of a goroutine that {name}"), move || {
            let drops = Arc::new(AtomicUsize::new(0));
            for _ in 0..4 {
                let held = CountDrops(Arc::clone(&drops));
                go(move || {
                    let _held = held;
                    let _waits = OnDrop(wait);
                    panic!("expected by the test");
                });
            }
            while drops.load(Relaxed) < 4 {
                yield_now();
            }
            assert_nobody_panics();
            while num_goroutines() != 1 {
                yield_now();
            }
        });
    }
}

/// A panic hook that waits: it may log through a connection.
#[test]
fn a_panic_hook_may_wait() {
    let _alone = alone();
    runtime();
    let calls = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&calls);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |_| {
        sleep(Duration::from_millis(1));
        spawn(yield_now).join().unwrap();
        theirs.fetch_add(1, Relaxed);
    }));
    let result = catch_unwind(AssertUnwindSafe(|| {
        bounded("a hook that waits", || {
            let all: Vec<_> = (0..6).map(|_| spawn(|| panic!("expected by the test"))).collect();
            all.into_iter().for_each(|h: JoinHandle<()>| assert!(h.join().is_err()));
            assert_nobody_panics();
        });
    }));
    std::panic::set_hook(before);
    assert!(result.is_ok());
    assert_eq!(calls.load(Relaxed), 6);
}

/// Starts a runtime that aborts on panics, in a child, and runs `f`.
#[allow(unsafe_code)]
fn with_panic_abort(test: &str, f: fn()) {
    match child(test, &[]) {
        Child::Inside => {
            // SAFETY: as in `util::runtime`.
            let rt = unsafe { Runtime::builder().panic_abort(true).start() }.unwrap();
            rt.run(|| sleep(Duration::from_millis(1)));
            f();
            sleep(Duration::from_secs(5));
        }
        Child::Ended(output) => {
            assert_aborted(&output, &["expected by the test", "fatal error: ", "panic_abort"]);
        }
        Child::Skip => {}
    }
}

#[test]
fn panic_abort_ends_the_process_from_go() {
    with_panic_abort("panic_abort_ends_the_process_from_go", || go(|| panic!("expected by the test")));
}

#[test]
fn panic_abort_ends_the_process_from_spawn() {
    with_panic_abort("panic_abort_ends_the_process_from_spawn", || {
        let result = spawn(|| panic!("expected by the test")).join();
        let _: Result<(), _> = result;
    });
}

#[test]
fn panic_abort_ends_the_process_from_a_scope() {
    with_panic_abort("panic_abort_ends_the_process_from_a_scope", || {
        scope(|s| s.go(|| panic!("expected by the test")));
    });
}
