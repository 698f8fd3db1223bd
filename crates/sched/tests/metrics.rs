//! The scheduler's numbers: they fit together, they do not go back, and they count what they say.

mod util;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use gopark_sched::metrics::Histogram;
use gopark_sched::{Metrics, WaitReason, chan, go, metrics, sleep, spawn, yield_now};
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    run_with_1_2_and_4_procs();
}

/// What must hold between the numbers of one reading.
#[track_caller]
fn assert_consistent(m: &Metrics) {
    let (g, t, p) = (&m.goroutines, &m.threads, &m.procs);
    assert_eq!(g.total, g.running + g.runnable + g.waiting, "{m}");
    assert!(g.created >= g.total as u64, "{m}");
    assert!(t.idle + t.polling <= t.total, "{m}");
    assert!(p.idle <= p.active && p.active <= p.max, "{m}");
    assert_eq!(m.stacks.in_use + m.stacks.cached, g.total + g.dead_cached, "{m}");
    assert!(m.stacks.reserved_bytes > 0, "{m}");
    assert!(m.stolen >= m.steals, "{m}");
    assert_eq!(m.parks.total(), m.parks.iter().map(|(_, n)| n).sum::<u64>());
    assert!(!m.queues.local.is_empty());
}

/// Totals, none of which may go back.
fn totals(m: &Metrics) -> Vec<u64> {
    let counts = |h: &Histogram| h.buckets().iter().map(|(_, n)| *n).collect::<Vec<_>>();
    let mut all = vec![m.goroutines.created, m.threads.wakeups, m.steals, m.stolen, m.spins, m.yields];
    all.extend(m.parks.iter().map(|(_, n)| n));
    all.extend(counts(&m.poll_batches));
    all.extend(counts(&m.wake_latency));
    all
}

// Go: runtime_test TestReadMetrics, TestReadMetricsConsistency
#[test]
fn read_metrics_consistency() {
    let _alone = alone();
    bounded_on_thread("readings under load", || {
        let stop = Arc::new(AtomicBool::new(false));
        let workers: Vec<_> = (0..50)
            .map(|i| {
                let stop = Arc::clone(&stop);
                spawn(move || {
                    while !stop.load(Relaxed) {
                        match i % 3 {
                            0 => sleep(Duration::from_micros(100)),
                            1 => drop(spawn(yield_now).join()),
                            _ => yield_now(),
                        }
                    }
                })
            })
            .collect();
        let mut before = totals(&metrics());
        for _ in 0..2000 {
            let m = metrics();
            assert_consistent(&m);
            let after = totals(&m);
            assert!(before.iter().zip(&after).all(|(b, a)| b <= a), "{before:?}\n{after:?}");
            before = after;
        }
        stop.store(true, Relaxed);
        workers.into_iter().for_each(|w| w.join().expect("no panic"));
        until_settled();
        let m = metrics();
        assert_consistent(&m);
        assert_eq!((m.goroutines.total, m.queues.global, m.timers), (0, 0, 0), "{m}");
        assert!(m.queues.local.iter().all(|n| *n == 0), "{m}");
        assert_eq!((m.procs.idle, m.threads.spinning), (m.procs.max, 0), "{m}");
    });
}

#[test]
fn what_is_counted_is_what_was_done() {
    const N: usize = 200;
    let _alone = alone();
    bounded_on_thread("counting", || {
        until_settled();
        let before = metrics();
        // From a plain thread: created without a P.
        (0..N).map(|_| spawn(|| ())).for_each(|h| h.join().expect("no panic"));
        let after = metrics();
        assert_eq!(after.goroutines.created - before.goroutines.created, N as u64);

        let before = metrics();
        let inner = spawn(|| {
            // By a goroutine: with a P.
            let hs: Vec<_> = (0..N).map(|_| spawn(yield_now)).collect();
            hs.into_iter().for_each(|h| h.join().expect("no panic"));
        });
        inner.join().expect("no panic");
        let after = metrics();
        assert_eq!(after.goroutines.created - before.goroutines.created, N as u64 + 1);
        // A P that was taken for stuck makes its goroutines yield as well.
        assert!(after.yields - before.yields >= N as u64, "{after}");

        let parks = |m: &Metrics, reason| m.parks.of(reason);
        let before = metrics();
        let (tx, rx) = chan::bounded::<usize>(0);
        let receiver = spawn(move || rx.iter().count());
        let sleeper = spawn(|| (0..10).for_each(|_| sleep(Duration::from_micros(200))));
        until("the receiver waits", || {
            parks(&metrics(), WaitReason::ChanReceive) > parks(&before, WaitReason::ChanReceive)
        });
        for i in 0..N {
            tx.send(i).expect("the receiver stays");
        }
        drop(tx);
        assert_eq!(receiver.join().expect("no panic"), N);
        sleeper.join().expect("no panic");
        let after = metrics();
        let received = parks(&after, WaitReason::ChanReceive) - parks(&before, WaitReason::ChanReceive);
        assert!((1..=N as u64 + 1).contains(&received), "{received}");
        let slept = parks(&after, WaitReason::Sleep) - parks(&before, WaitReason::Sleep);
        assert!((10..=20).contains(&slept), "{slept}");
    });
}

#[test]
fn goroutines_are_counted_by_what_they_do() {
    const N: usize = 100;
    let _alone = alone();
    bounded_on_thread("states", || {
        until_settled();
        let (tx, rx) = chan::bounded::<()>(0);
        for _ in 0..N {
            let rx = rx.clone();
            go(move || {
                let _ = rx.recv();
            });
        }
        until("all wait", || metrics().goroutines.waiting == N);
        let timers = spawn(|| sleep(Duration::from_millis(50)));
        until("a timer is armed", || metrics().timers == 1 || timers.is_finished());
        drop(tx);
        until("all have ended", || metrics().goroutines.total == 0);
        assert!(metrics().goroutines.dead_cached >= N);
    });
}

/// One of eight wake-ups from outside is timed.
#[test]
fn wakes_from_outside_are_timed() {
    const N: usize = 40;
    let _alone = alone();
    bounded_on_thread("wake latency", || {
        until_settled();
        let before = metrics().wake_latency.count();
        let (tx, rx) = chan::bounded::<usize>(0);
        let mut parks = metrics().parks.of(WaitReason::ChanReceive);
        let receiver = spawn(move || rx.iter().count());
        for i in 0..N {
            until("the receiver waits", || metrics().parks.of(WaitReason::ChanReceive) > parks);
            parks = metrics().parks.of(WaitReason::ChanReceive);
            tx.send(i).expect("the receiver stays");
        }
        drop(tx);
        assert_eq!(receiver.join().expect("no panic"), N);
        let h = metrics().wake_latency;
        let timed = h.count() - before;
        // The start of the goroutine is such a wake-up as well.
        assert!((N as u64 / 8..=N as u64 / 8 + 1).contains(&timed), "{timed}");
        let p50 = h.quantile(0.5).expect("some were timed");
        assert!((256..=1 << 30).contains(&p50), "{p50} ns");
    });
}

#[test]
fn the_text_has_a_line_for_each_group() {
    let _alone = alone();
    runtime();
    let text = metrics().to_string();
    for word in
        ["goroutines:", "threads:", "procs:", "queues:", "steals:", "parks:", "polls:", "stacks:", "timers:"]
    {
        assert!(text.lines().any(|l| l.starts_with(word)), "no {word} in {text}");
    }
}

/// A number out of a line, "name=7".
fn field(line: &str, name: &str) -> Option<u64> {
    line.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

#[test]
fn schedtrace_writes_a_line_as_gos() {
    const NAME: &str = "schedtrace_writes_a_line_as_gos";
    let env = [("GOPARK_SCHEDTRACE", "20"), ("GOPARK_MAXPROCS", "2")];
    match child(NAME, &env) {
        Child::Inside => {
            bounded("some work", || {
                for _ in 0..100 {
                    spawn(yield_now).join().expect("no panic");
                    sleep(Duration::from_millis(1));
                }
            });
            // Longer than it takes sysmon to fall asleep: the lines must come all the same.
            std::thread::sleep(Duration::from_millis(400)); // not for ordering: the time that is traced
        }
        Child::Ended(output) => {
            assert!(output.status.success(), "{}", text_of(&output));
            let text = String::from_utf8_lossy(&output.stderr);
            let lines: Vec<&str> = text.lines().filter(|l| l.starts_with("SCHED ")).collect();
            assert!(lines.len() >= 8, "{text}");
            let mut last = (0, 0);
            for line in &lines {
                let ms = line.split_whitespace().nth(1).and_then(|w| w.strip_suffix("ms:"));
                let ms: u64 = ms.and_then(|w| w.parse().ok()).expect(line);
                assert_eq!(field(line, "gomaxprocs"), Some(2), "{line}");
                let names =
                    ["idleprocs", "threads", "spinningthreads", "needspinning", "idlethreads", "runqueue"];
                assert!(names.iter().all(|name| field(line, name).is_some()), "{line}");
                let lists: Vec<_> = line.split('[').skip(1).collect();
                assert!(lists.len() == 2 && lists[0].trim_end().ends_with("] schedticks="), "{line}");
                let numbers = |list: &str| {
                    let list = list.split(']').next().unwrap_or("");
                    list.split_whitespace().map(|n| n.parse::<u64>().expect(line)).collect::<Vec<_>>()
                };
                assert_eq!(numbers(lists[0]).len(), numbers(lists[1]).len(), "{line}");
                let ticks = numbers(lists[1]).iter().sum();
                assert!((ms, ticks) >= last, "{line} after {last:?}");
                last = (ms, ticks);
            }
            assert!(last.0 >= 300 && last.1 >= 100, "{text}");
        }
        Child::Skip => {}
    }
}

#[test]
#[allow(unsafe_code)]
fn a_bad_schedtrace_is_refused_with_what_to_do() {
    match child("a_bad_schedtrace_is_refused_with_what_to_do", &[("GOPARK_SCHEDTRACE", "1s")]) {
        Child::Inside => {
            // SAFETY: nothing runs on goroutines here.
            let err = unsafe { gopark_sched::Runtime::start() }.expect_err("1s is no number");
            assert_eq!(err.kind(), std::io::ErrorKind::InvalidInput);
            assert!(err.to_string().contains("GOPARK_SCHEDTRACE is \"1s\""), "{err}");
            assert!(err.to_string().contains("number of milliseconds"), "{err}");
        }
        Child::Ended(output) => assert!(output.status.success(), "{}", text_of(&output)),
        Child::Skip => {}
    }
}
