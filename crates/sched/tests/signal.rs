//! Signals to oneself. The names of Go's tests where they are Go's.
#![cfg_attr(not(target_os = "linux"), allow(unused_imports))] // some tests are for Linux alone

mod util;

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use gopark_sched::signal::{self, Signal, Signals};
use gopark_sched::{Runtime, chan, go, spawn};
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    run_with_1_2_and_4_procs();
}

fn raise(signal: Signal) {
    gopark_sys::signal::raise(signal.as_raw()).expect("a signal to oneself");
}

fn notify(signals: &[Signal]) -> Signals {
    signal::notify(signals).expect("these can be caught")
}

/// The next signal, which must come soon.
#[track_caller]
fn next(signals: &Signals) -> Signal {
    signals.recv_timeout(LONG).expect("a signal comes")
}

// Go: os/signal TestSignal
#[test]
fn signal() {
    let _alone = alone();
    let check = || {
        let hup = notify(&[Signal::SIGHUP]);
        raise(Signal::SIGHUP);
        assert_eq!(next(&hup), Signal::SIGHUP);
        let more = notify(&[Signal::SIGHUP, Signal::SIGWINCH]);
        raise(Signal::SIGWINCH);
        assert_eq!(next(&more), Signal::SIGWINCH);
        raise(Signal::SIGHUP);
        // Each receiver gets what it wants, and only that.
        assert_eq!(next(&more), Signal::SIGHUP);
        assert_eq!(next(&hup), Signal::SIGHUP);
        assert!(hup.try_recv().is_err() && more.try_recv().is_err());
    };
    bounded("on a goroutine", check);
    bounded_on_thread("on a thread", check);
}

#[test]
fn a_signal_is_a_case_of_select() {
    let _alone = alone();
    bounded("select", || {
        let usr1 = notify(&[Signal::SIGUSR1]);
        let (tx, rx) = chan::bounded::<()>(0);
        let selects = spawn(move || {
            gopark_sched::select! {
                recv(usr1.receiver()) -> signal => signal.ok(),
                recv(rx) -> _ => None,
            }
        });
        raise(Signal::SIGUSR1);
        assert_eq!(selects.join().expect("no panic"), Some(Signal::SIGUSR1));
        drop(tx);
    });
}

// Go: os/signal TestStress
#[test]
fn none_is_lost_to_a_slow_receiver() {
    let _alone = alone();
    bounded_on_thread("a slow receiver", || {
        let slow = notify(&[Signal::SIGUSR1, Signal::SIGUSR2]);
        let quick = notify(&[Signal::SIGUSR1]);
        // More than the channel holds. Each is waited for, so that the kernel makes no two of them one.
        for _ in 0..200 {
            raise(Signal::SIGUSR1);
            assert_eq!(next(&quick), Signal::SIGUSR1);
        }
        drop(quick);
        raise(Signal::SIGUSR2);
        let mut seen = Vec::new();
        while seen.last() != Some(&Signal::SIGUSR2) {
            seen.push(next(&slow));
        }
        assert!(seen.len() > 32, "{}", seen.len());
        // What did not fit may come once more.
        let rest: Vec<_> = std::iter::from_fn(|| slow.try_recv().ok()).collect();
        assert!(rest.len() <= 2, "{rest:?}");
    });
}

/// Ends the child by `signal`, which nobody must have for himself any more.
fn die_of(signal: Signal) -> ! {
    raise(signal);
    // The kernel delivers it before the call returns, to this thread or to another one at once.
    std::thread::sleep(LONG); // not for ordering: the process ends in the meantime
    unreachable!("{signal} did nothing");
}

/// Runs `test` in a child that dies of `signal`.
#[track_caller]
fn dies_of(signal: Signal, test: &str, inside: impl FnOnce()) {
    match child(test, &[]) {
        Child::Inside => {
            inside();
            die_of(signal);
        }
        Child::Ended(output) => {
            assert_eq!(output.status.signal(), Some(signal.as_raw()), "{}", text_of(&output));
        }
        Child::Skip => {}
    }
}

// Go: os/signal TestStop
#[test]
fn stop() {
    dies_of(Signal::SIGUSR1, "stop", || {
        runtime();
        let (one, two) = (notify(&[Signal::SIGUSR1]), notify(&[Signal::SIGUSR1]));
        drop(one);
        raise(Signal::SIGUSR1);
        assert_eq!(next(&two), Signal::SIGUSR1);
        drop(two);
    });
}

// Go: os/signal TestReset
#[test]
fn reset() {
    dies_of(Signal::SIGTERM, "reset", || {
        runtime();
        let term = notify(&[Signal::SIGTERM, Signal::SIGHUP]);
        signal::reset(&[Signal::SIGTERM]).expect("it was caught");
        raise(Signal::SIGHUP);
        assert_eq!(next(&term), Signal::SIGHUP);
    });
}

// Go: os/signal TestIgnore, TestIgnored
#[test]
fn ignore() {
    dies_of(Signal::SIGUSR2, "ignore", || {
        runtime();
        let both = notify(&[Signal::SIGUSR1, Signal::SIGUSR2]);
        signal::ignore(&[Signal::SIGUSR2]).expect("it can be ignored");
        assert!(signal::is_ignored(Signal::SIGUSR2) && !signal::is_ignored(Signal::SIGUSR1));
        raise(Signal::SIGUSR2);
        raise(Signal::SIGUSR1);
        assert_eq!(next(&both), Signal::SIGUSR1);
        // Wanted again, it is no longer ignored.
        let again = notify(&[Signal::SIGUSR2]);
        assert!(!signal::is_ignored(Signal::SIGUSR2));
        raise(Signal::SIGUSR2);
        assert_eq!(next(&again), Signal::SIGUSR2);
        assert!(both.try_recv().is_err());
    });
}

#[test]
fn what_cannot_be_caught_is_refused() {
    let _alone = alone();
    for signal in
        [Signal::SIGKILL, Signal::SIGSTOP, Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGFPE, Signal::SIGILL]
    {
        for err in [
            signal::notify(&[Signal::SIGUSR1, signal]).map(drop).expect_err("refused"),
            signal::ignore(&[signal]).expect_err("refused"),
            signal::reset(&[signal]).expect_err("refused"),
        ] {
            assert_eq!(err.kind(), std::io::ErrorKind::InvalidInput);
            assert!(err.to_string().contains(&format!("{signal:?} cannot be caught")), "{err}");
        }
    }
    let err = signal::notify(&[]).map(drop).expect_err("refused");
    assert!(err.to_string().contains("name those that are meant"), "{err}");
    assert_eq!(Signal::from_raw(0), None);
    assert_eq!(Signal::from_raw(65), None);
    assert_eq!(format!("{} {:?}", Signal::SIGINT, Signal::SIGINT), "interrupt SIGINT");
}

/// Channels and signals need no goroutines.
#[test]
fn before_the_start() {
    dies_of(Signal::SIGINT, "before_the_start", || {
        let int = notify(&[Signal::SIGINT]);
        raise(Signal::SIGINT);
        assert_eq!(int.recv(), Ok(Signal::SIGINT));
    });
}

/// The thread that waits for signals sleeps until there is one.
#[test]
#[cfg(target_os = "linux")]
fn waiting_costs_no_wake_ups() {
    let _alone = alone();
    bounded_on_thread("idle", || {
        let _usr1 = notify(&[Signal::SIGUSR1]);
        let switches = || {
            let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
            let of_ours = tasks.flatten().filter(|task| {
                let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
                name.trim() == "gopark-signals"
            });
            let status = of_ours.map(|task| std::fs::read_to_string(task.path().join("status")));
            let status = status.last().expect("the thread is there").expect("its status");
            let line = status.lines().find(|l| l.starts_with("voluntary_ctxt_switches")).map(str::to_owned);
            line.expect("the kernel counts them")
        };
        until("it sleeps", || {
            let before = switches();
            std::thread::sleep(Duration::from_millis(20)); // not for ordering: how often we look
            before == switches()
        });
        let before = switches();
        std::thread::sleep(Duration::from_millis(300)); // not for ordering: the time that is watched
        assert_eq!(before, switches());
    });
}

#[inline(never)]
fn waits_for_the_end(rx: &chan::Receiver<()>) {
    let _ = rx.recv();
}

#[allow(unsafe_code)]
fn start_with_dumps() {
    // SAFETY: the tests keep nothing of a thread across a call that may block.
    let started = unsafe { Runtime::builder().dump_on_sigquit(true).start() };
    started.expect("start the runtime");
}

// Go: runtime TestPanicSystemstack, as far as it is about what SIGQUIT writes
#[test]
fn sigquit_writes_all_goroutines_and_ends_the_process() {
    match child("sigquit_writes_all_goroutines_and_ends_the_process", &[]) {
        Child::Inside => {
            start_with_dumps();
            let (_tx, rx) = chan::bounded::<()>(0);
            go(move || waits_for_the_end(&rx));
            go(|| gopark_sched::sleep(LONG * 2));
            until("both are parked", || gopark_sched::metrics().goroutines.waiting == 2);
            die_of(Signal::SIGQUIT);
        }
        Child::Ended(output) => {
            let text = text_of(&output);
            assert_eq!(output.status.code(), Some(2), "{text}");
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(stderr.starts_with("SIGQUIT: quit\n\ngoroutine "), "{text}");
            for words in [
                " [chan receive]:\n",
                " [sleep]:\n",
                "waits_for_the_end\n",
                "\ncreated at ",
                "goroutines: 2 ",
            ] {
                assert!(stderr.contains(words), "no {words:?} in {text}");
            }
        }
        Child::Skip => {}
    }
}

#[test]
fn who_wants_sigquit_gets_it() {
    match child("who_wants_sigquit_gets_it", &[]) {
        Child::Inside => {
            start_with_dumps();
            let quit = notify(&[Signal::SIGQUIT]);
            raise(Signal::SIGQUIT);
            assert_eq!(next(&quit), Signal::SIGQUIT);
            drop(quit);
            die_of(Signal::SIGQUIT); // by the dump now
        }
        Child::Ended(output) => assert_eq!(output.status.code(), Some(2), "{}", text_of(&output)),
        Child::Skip => {}
    }
}
