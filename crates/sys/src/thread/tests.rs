use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::imp::{affinity, parse_state};
use super::*;

/// Asks until the answer is `wanted`.
fn expect(clock: &ThreadClock, wanted: RunState) {
    let end = Instant::now() + Duration::from_secs(10);
    while clock.run_state() != wanted {
        assert!(Instant::now() < end, "{:?}, not {wanted:?}", clock.run_state());
        osyield();
    }
}

#[test]
fn a_thread_that_runs_is_told_from_one_that_sleeps_and_one_that_is_gone() {
    let (give, clock) = mpsc::channel();
    let (go, gone) = mpsc::channel::<()>();
    let (stop, stopped) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        give.send(ThreadClock::new()).unwrap();
        let _ = gone.recv(); // sleeps
        while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
            procyield(100); // runs
        }
    });
    let clock = clock.recv().unwrap();
    expect(&clock, RunState::Blocked);
    let asleep = clock.cpu_time_ns();
    assert!(asleep > 0);
    drop(go);
    expect(&clock, RunState::Running);
    let end = Instant::now() + Duration::from_secs(10);
    while clock.cpu_time_ns() < asleep + 1_000_000 {
        assert!(Instant::now() < end, "it runs, and its clock stands still");
        osyield();
    }
    drop(stop);
    thread.join().unwrap();
    // joined, the thread has ended for us, but the kernel may still be at it
    expect(&clock, RunState::Unknown);
}

#[test]
fn the_state_follows_the_name_whatever_that_is() {
    assert_eq!(parse_state(b"12 (x) R 1 2"), RunState::Running);
    assert_eq!(parse_state(b"12 (a) S) b) D 1 2"), RunState::Blocked);
    assert_eq!(parse_state(b"12 (x) S 1 2"), RunState::Blocked);
    assert_eq!(parse_state(b"12 (x) Z 1 2"), RunState::Unknown);
    for cut in [&b""[..], b"12", b"12 (x", b"12 (x)", b"12 (x) "] {
        assert_eq!(parse_state(cut), RunState::Unknown);
    }
}

#[test]
fn a_spawned_thread_has_its_name_and_detaches() {
    let (give, name) = mpsc::channel();
    spawn("gopark-name".to_owned(), move || {
        give.send(std::thread::current().name().map(str::to_owned)).unwrap();
    })
    .unwrap();
    assert_eq!(name.recv_timeout(Duration::from_secs(10)).unwrap().as_deref(), Some("gopark-name"));
}

#[test]
fn there_is_a_processor_for_us() {
    let procs = available_procs();
    assert!(procs >= 1);
    let mask = affinity().expect("the mask can be read");
    assert!(procs <= mask, "{procs} of {mask}");
}
