//! `go`, `spawn`, `join`, `scope`, `run`: starting goroutines and waiting for them.

mod util;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use gopark_sched::{SpawnError, go, scope, sleep, spawn, try_go, try_spawn, yield_now};
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    run_with_1_2_and_4_procs();
}

/// Runs a test once on a goroutine and once on a plain thread.
fn from_both(name: &str, f: fn()) {
    bounded(&format!("{name}, from a goroutine"), f);
    bounded_on_thread(&format!("{name}, from a thread"), f);
}

/// The message of a panic.
fn message(payload: &(dyn std::any::Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap()
}

#[test]
fn join_returns_the_result() {
    from_both("join", || {
        assert_eq!(spawn(|| 6 * 7).join().unwrap(), 42);
        // Finished long before, and not begun yet.
        let early = spawn(|| "early");
        while !early.is_finished() {
            yield_now();
        }
        assert_eq!(early.join().unwrap(), "early");
        let late = spawn(|| {
            sleep(Duration::from_millis(5));
            vec![1, 2, 3]
        });
        assert!(!late.is_finished());
        assert_eq!(late.join().unwrap(), [1, 2, 3]);
    });
}

#[test]
fn join_returns_the_payload_of_a_panic() {
    from_both("join of a panic", || {
        let payload = spawn(|| panic!("expected by the test: {}", 7)).join().unwrap_err();
        assert_eq!(message(&*payload), "expected by the test: 7");
        let payload = spawn(|| std::panic::panic_any(7_u64)).join().unwrap_err();
        assert_eq!(payload.downcast_ref::<u64>(), Some(&7));
    });
}

#[test]
fn join_timeout_gives_the_handle_back_and_takes_it_again() {
    from_both("join_timeout", || {
        let stop = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&stop);
        let mut handle = spawn(move || {
            while !theirs.load(Relaxed) {
                sleep(Duration::from_millis(1));
            }
            "done"
        });
        for wait in [0, 1, 10] {
            let (wait, start) = (Duration::from_millis(wait), Instant::now());
            handle = handle.join_timeout(wait).expect_err("it does not end by itself");
            assert!(start.elapsed() >= wait);
        }
        stop.store(true, Relaxed);
        assert_eq!(handle.join_timeout(LONG).expect("it ends").unwrap(), "done");
        // Longer than the clock goes.
        let value = spawn(|| 1).join_timeout(Duration::MAX).expect("it ends").unwrap();
        assert_eq!(value, 1);
    });
}

/// The time is up at the moment at which the goroutine ends: one of the two, and nothing is left behind that would end
/// a later wait too early.
#[test]
fn join_timeout_races_with_the_end() {
    from_both("join_timeout beside the end", || {
        let mut given_up = 0;
        for i in 0..300 {
            let d = Duration::from_micros(50 + i % 50);
            let handle = spawn(move || sleep(d));
            match handle.join_timeout(d) {
                Ok(result) => result.unwrap(),
                Err(handle) => {
                    given_up += 1;
                    handle.join().unwrap();
                }
            }
            let start = Instant::now();
            sleep(Duration::from_micros(200));
            assert!(start.elapsed() >= Duration::from_micros(200), "a stale wake-up ended a sleep");
        }
        assert!(given_up <= 300);
    });
}

#[test]
fn a_dropped_handle_detaches() {
    from_both("a dropped handle", || {
        let (ran, drops) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (theirs, result) = (Arc::clone(&ran), CountDrops(Arc::clone(&drops)));
        drop(spawn(move || {
            yield_now();
            theirs.store(true, Relaxed);
            result
        }));
        // The result that nobody takes is dropped.
        while !(ran.load(Relaxed) && drops.load(Relaxed) == 1) {
            yield_now();
        }
    });
}

#[test]
fn go_takes_results_and_runs_detached() {
    from_both("go", || {
        let ran = Arc::new(AtomicUsize::new(0));
        let count = || {
            let ran = Arc::clone(&ran);
            move || {
                ran.fetch_add(1, Relaxed);
            }
        };
        go(count());
        let inner = count();
        go(move || -> Result<(), std::io::Error> {
            inner();
            Ok(())
        });
        let inner = count();
        try_go(move || -> Result<(), String> {
            inner();
            Err("an error that is logged".into())
        })
        .unwrap();
        try_spawn(count()).unwrap().join().unwrap();
        while ran.load(Relaxed) != 4 {
            yield_now();
        }
    });
}

/// Around every size at which something changes, and far beyond.
#[test]
fn a_closure_may_be_large() {
    fn sum<const N: usize>() {
        let big = [7_u8; N];
        let sum = spawn(move || big.iter().map(|&b| u32::from(b)).sum::<u32>()).join().unwrap();
        assert_eq!(sum, 7 * N as u32);
        let (done, theirs) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let flag = Arc::clone(&done);
        go(move || {
            let _theirs = theirs;
            flag.store(big.iter().all(|&b| b == 7), Relaxed);
        });
        while !done.load(Relaxed) {
            yield_now();
        }
    }
    from_both("closures of many sizes", || {
        let sizes: [fn(); 12] = [
            sum::<700>,
            sum::<720>,
            sum::<744>,
            sum::<760>,
            sum::<768>,
            sum::<776>,
            sum::<1000>,
            sum::<1016>,
            sum::<1024>,
            sum::<1032>,
            sum::<4096>,
            sum::<16384>,
        ];
        sizes.into_iter().for_each(|f| f());
    });
}

/// Alignment beyond that of the stack's top.
#[test]
fn a_closure_may_be_aligned() {
    #[repr(align(128))]
    struct Aligned([u8; 128]);
    from_both("an aligned closure", || {
        let value = Aligned([1; 128]);
        let ok = spawn(move || std::ptr::from_ref(&value).addr().is_multiple_of(128) && value.0[127] == 1)
            .join()
            .unwrap();
        assert!(ok);
    });
}

#[test]
fn scope_waits_for_goroutines_that_borrow() {
    from_both("scope", || {
        let words = vec![String::from("a"), String::from("b"), String::from("c")];
        let total = AtomicUsize::new(0);
        let value = scope(|s| {
            for w in &words {
                let total = &total;
                s.go(move || {
                    sleep(Duration::from_millis(2));
                    total.fetch_add(w.len(), Relaxed);
                });
            }
            "value"
        });
        assert_eq!((total.into_inner(), value), (3, "value"));
        assert_eq!(scope(|_| 5), 5, "a scope without goroutines");
    });
}

#[test]
fn scopes_nest_and_their_goroutines_start_others() {
    from_both("nested scopes", || {
        let total = AtomicUsize::new(0);
        scope(|outer| {
            for _ in 0..4 {
                outer.go(|| {
                    scope(|inner| {
                        for _ in 0..4 {
                            inner.go(|| {
                                yield_now();
                                total.fetch_add(1, Relaxed);
                            });
                        }
                    });
                    // By then the inner ones have ended.
                    outer.go(|| {
                        total.fetch_add(10, Relaxed);
                    });
                });
            }
            // Waiting inside of the body, on the semaphore that the scope uses at its end.
            spawn(yield_now).join().unwrap();
            sleep(Duration::from_millis(1));
        });
        assert_eq!(total.into_inner(), 4 * 4 + 4 * 10);
    });
}

#[test]
fn scope_ends_all_before_it_panics() {
    from_both("scope with a panic in the body", || {
        let ended = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&ended);
        let result = std::panic::catch_unwind(move || {
            scope(|s| {
                for _ in 0..3 {
                    s.go(|| {
                        sleep(Duration::from_millis(3));
                        theirs.fetch_add(1, Relaxed);
                    });
                }
                panic!("expected by the test");
            })
        });
        assert_eq!(message(&*result.unwrap_err()), "expected by the test");
        assert_eq!(ended.load(Relaxed), 3, "scope returned before its goroutines had ended");
        assert!(!std::thread::panicking());
    });
}

#[test]
fn scope_passes_a_panic_of_a_goroutine_on() {
    from_both("scope with a panic in a goroutine", || {
        let ended = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&ended);
        let result = std::panic::catch_unwind(move || {
            scope(|s| {
                s.go(|| panic!("expected by the test"));
                s.go(|| {
                    sleep(Duration::from_millis(3));
                    theirs.fetch_add(1, Relaxed);
                });
            });
        });
        assert_eq!(message(&*result.unwrap_err()), "a goroutine of the scope panicked");
        assert_eq!(ended.load(Relaxed), 1);
    });
}

#[test]
fn run_returns_the_value_and_borrows() {
    let text = String::from("borrowed");
    let length = runtime().run(|| {
        assert_ne!(gopark_sched::goroutine_id(), 0, "run's function is a goroutine");
        sleep(Duration::from_millis(1));
        text.len()
    });
    assert_eq!(length, 8);
}

#[test]
fn run_passes_a_panic_on() {
    let result = std::panic::catch_unwind(|| runtime().run(|| panic!("expected by the test")));
    assert_eq!(message(&*result.unwrap_err()), "expected by the test");
    assert_eq!(runtime().run(|| 1), 1, "and the next runs as before");
}

#[test]
fn the_errors_say_what_to_do() {
    assert!(SpawnError::NotStarted.to_string().contains("unsafe { gopark_net::Runtime::start()? }"));
    assert!(SpawnError::ShuttingDown.to_string().contains("shutting down"));
    let err: std::io::Error = SpawnError::NotStarted.into();
    assert!(err.get_ref().is_some_and(|e| e.is::<SpawnError>()));
}
