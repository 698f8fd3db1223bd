//! A stack that overflows ends the process with words that say whose it was. Each test has a process of its own.

mod util;

use std::time::Duration;

use gopark_sched::{Builder, Runtime, blocking, go, sleep, spawn, yield_now};
use util::*;

#[allow(unsafe_code)]
fn start(builder: Builder) -> Runtime {
    // SAFETY: the tests keep nothing of a thread across a call that may block.
    unsafe { builder.start() }.expect("start the runtime")
}

/// Recurses for ever, one kilobyte at a time.
#[inline(never)]
#[allow(unconditional_recursion, reason = "the point of it")]
fn recurse(n: u64) -> u64 {
    let block = std::hint::black_box([n; 128]);
    recurse(n + 1) + std::hint::black_box(block)[(n % 128) as usize]
}

/// Runs `f`, which overflows, in a child; what it says must have `words`.
fn overflows(test: &str, env: &[(&str, &str)], words: &[&str], f: fn()) {
    match child(test, env) {
        Child::Inside => {
            f();
            std::thread::sleep(Duration::from_secs(5)); // not for ordering: the process is to end before
        }
        Child::Ended(output) => {
            assert_aborted(&output, words);
            let text = text_of(&output);
            assert_eq!(text.matches("stack overflow").count(), 1, "said once: {text}");
        }
        Child::Skip => {}
    }
}

/// The line on which [`go_and_overflow`] starts its goroutine.
const STARTED_AT: u32 = line!() + 2;
fn go_and_overflow() {
    go(|| assert_ne!(recurse(0), 0));
}

#[test]
fn an_overflow_names_the_goroutine_its_size_and_where_it_started() {
    const TEST: &str = "an_overflow_names_the_goroutine_its_size_and_where_it_started";
    let at = format!("goroutine 1, started at crates/sched/tests/overflow.rs:{STARTED_AT}, has overflowed");
    let words =
        [&*at, "its stack of 135168 bytes", "stack_size(..) makes it larger", "fatal error: stack overflow"];
    overflows(TEST, &[], &words, || {
        let _rt = start(Runtime::builder().max_procs(1).stack_size(128 * 1024));
        go_and_overflow();
    });
}

/// Where guards are pages of the old kind.
#[test]
#[cfg(target_os = "linux")]
fn an_overflow_is_found_by_mprotected_guards() {
    const TEST: &str = "an_overflow_is_found_by_mprotected_guards";
    let words = ["goroutine 1, started at ", "fatal error: stack overflow"];
    overflows(TEST, &[("GOPARK_STACK_GUARD", "mprotect")], &words, || {
        let _rt = start(Runtime::builder().max_procs(1));
        go_and_overflow();
    });
}

/// On another thread than it began on, after others had ended whose stacks were used again.
#[test]
fn an_overflow_is_found_wherever_the_goroutine_is_by_then() {
    const TEST: &str = "an_overflow_is_found_wherever_the_goroutine_is_by_then";
    overflows(TEST, &[], &["goroutine ", "overflow.rs:", "fatal error: stack overflow"], || {
        let rt = start(Runtime::builder().max_procs(2));
        rt.run(|| {
            for _ in 0..100 {
                spawn(yield_now).join().expect("no panic");
            }
        });
        let _ = spawn(|| {
            for _ in 0..10 {
                sleep(Duration::from_micros(200));
                blocking(yield_now);
            }
            blocking(|| recurse(0))
        })
        .join();
    });
}

/// A thread that is not a goroutine is std's business still.
#[test]
fn an_overflow_of_a_plain_thread_is_reported_by_std() {
    const TEST: &str = "an_overflow_of_a_plain_thread_is_reported_by_std";
    overflows(TEST, &[], &["has overflowed its stack"], || {
        let rt = start(Runtime::builder().max_procs(1));
        rt.run(yield_now);
        let _ =
            std::thread::Builder::new().name("plain".into()).spawn(|| recurse(0)).expect("a thread").join();
    });
}
