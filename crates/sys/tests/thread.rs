//! Threads, their clocks, time, and the end by `throw!`.

mod util;

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use gopark_sys::thread;
use gopark_sys::time::{instant_to_nanotime, nanotime};
use util::{in_child, run_child, stderr_of};

/// Elsewhere a thread's clock knows nothing.
#[cfg(target_os = "linux")]
mod clocks {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;

    use gopark_sys::note::Note;
    use gopark_sys::thread::{RunState, ThreadClock};
    use gopark_sys::time::usleep;
    use util::{LIMIT, bounded};

    use super::*;

    /// Asks `f` until it is true.
    fn eventually(what: &str, mut f: impl FnMut() -> bool) {
        let end = Instant::now() + LIMIT;
        while !f() {
            assert!(Instant::now() < end, "{what}: never");
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_clock_of_a_thread_that_spins_runs() {
        bounded(|| {
            let stop = Arc::new(AtomicBool::new(false));
            let (send, clock) = mpsc::channel();
            let spinner_stop = Arc::clone(&stop);
            let spinner = std::thread::spawn(move || {
                send.send(ThreadClock::new()).unwrap();
                while !spinner_stop.load(Ordering::Relaxed) {
                    thread::procyield(10);
                }
            });
            let clock = clock.recv().unwrap();
            let start = clock.cpu_time_ns();
            eventually("10 ms of processor time", || clock.cpu_time_ns() - start > 10_000_000);
            eventually("seen running", || clock.run_state() == RunState::Running);
            stop.store(true, Ordering::Relaxed);
            spinner.join().unwrap();
            // It may take the kernel a moment to forget a thread.
            eventually("unknown once gone", || clock.run_state() == RunState::Unknown);
        });
    }

    #[test]
    fn the_clock_of_a_thread_that_sleeps_stands_still() {
        bounded(|| {
            let note = Arc::new(Note::new());
            let (send, clock) = mpsc::channel();
            let sleeper_note = Arc::clone(&note);
            // A name that looks like the end of a name and a state.
            let sleeper = std::thread::Builder::new().name("a) R (b) R 1".to_owned());
            let sleeper = sleeper
                .spawn(move || {
                    send.send(ThreadClock::new()).unwrap();
                    sleeper_note.sleep();
                })
                .unwrap();
            let clock = clock.recv().unwrap();
            eventually("seen blocked", || clock.run_state() == RunState::Blocked);
            let before = clock.cpu_time_ns();
            assert!(before > 0);
            usleep(20_000); // not for ordering: time that the sleeper must not use
            // Its last steps into the sleep may still have been to come.
            assert!(clock.cpu_time_ns() - before < 1_000_000);
            assert_eq!(clock.run_state(), RunState::Blocked);
            note.wakeup();
            sleeper.join().unwrap();
            eventually("no clock once gone", || clock.cpu_time_ns() == 0);
        });
    }

    #[test]
    fn a_look_at_the_descriptor_limit_takes_none_away() {
        if !in_child() {
            let output = run_child("clocks::a_look_at_the_descriptor_limit_takes_none_away", &[]);
            assert!(output.status.success(), "{}", stderr_of(&output));
            return;
        }
        util::limit_descriptors(64);
        let clock = ThreadClock::new();
        let open = || std::fs::File::open("/dev/null");
        let mut files = Vec::new();
        while let Ok(file) = open() {
            files.push(file);
        }
        assert_eq!(clock.run_state(), RunState::Unknown);
        drop(files.pop());
        assert_eq!(clock.run_state(), RunState::Running);
        open().expect("the one that was let go");
    }

    #[test]
    fn a_thread_sees_itself_running() {
        let clock = ThreadClock::new();
        assert_eq!(clock.run_state(), RunState::Running);
        let before = clock.cpu_time_ns();
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(5) {}
        assert!(clock.cpu_time_ns() > before);
    }
}

#[test]
fn there_is_a_processor() {
    let procs = thread::available_procs();
    assert!((1..=1 << 16).contains(&procs), "{procs}");
    let std = std::thread::available_parallelism().unwrap().get();
    assert!(procs >= std, "std rounds quotas down: {procs} < {std}");
    thread::osyield();
}

#[test]
fn instants_are_on_the_same_scale() {
    for _ in 0..100 {
        let before = nanotime();
        let at = instant_to_nanotime(Instant::now());
        let after = nanotime();
        // The two clocks are one; only the moment at which their distance was taken is inexact.
        assert!(at >= before - 1_000_000 && at <= after + 1_000_000, "{before} {at} {after}");
    }
    let now = Instant::now();
    let at = instant_to_nanotime(now);
    for ms in [1, 1000, 3_600_000] {
        let later = instant_to_nanotime(now + Duration::from_millis(ms));
        assert_eq!(later - at, ms as i64 * 1_000_000);
    }
    if let Some(earlier) = now.checked_sub(Duration::from_millis(1)) {
        assert_eq!(at - instant_to_nanotime(earlier), 1_000_000);
    }
}

#[test]
fn instants_beyond_the_scale_are_clamped() {
    let now = Instant::now();
    // std's instants reach further than 292 years on Linux, and before the clock's zero.
    if let Some(far) = now.checked_add(Duration::from_secs(1 << 40)) {
        assert_eq!(instant_to_nanotime(far), i64::MAX);
    }
    if let Some(far) = now.checked_sub(Duration::from_secs(1 << 40)) {
        assert_eq!(instant_to_nanotime(far), 1);
    }
}

#[test]
fn throw_says_why_and_aborts() {
    if in_child() {
        let long = std::env::var("LONG").unwrap();
        gopark_sys::throw!("g {} in state {:?}{}", 7, "dead", "x".repeat(long.parse().unwrap()));
    }
    for long in [0, 2000] {
        let output = run_child("throw_says_why_and_aborts", &[("LONG", &long.to_string())]);
        let text = stderr_of(&output);
        assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{:?}: {text}", output.status);
        let line = text.lines().find(|line| line.starts_with("fatal error: ")).expect("the message");
        assert!(line.starts_with("fatal error: g 7 in state \"dead\""), "{line}");
        assert!(line.len() < 520 && text.ends_with('\n') && !text.contains("panicked"), "{text}");
    }
}

/// A lock that somebody else holds must not keep the message back.
#[test]
fn throw_needs_no_lock() {
    if in_child() {
        let _held = std::io::stderr().lock();
        let _ = std::thread::spawn(|| gopark_sys::throw!("while locked")).join();
    }
    let output = run_child("throw_needs_no_lock", &[]);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{:?}", output.status);
    assert!(stderr_of(&output).contains("fatal error: while locked\n"));
}
