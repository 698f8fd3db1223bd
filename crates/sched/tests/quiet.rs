//! A process in which nothing happens does not wake up. In a process of its own.
#![cfg(target_os = "linux")]

mod util;

use std::time::Duration;

use gopark_sched::chan::bounded as channel;
use gopark_sched::{blocking, go, lock_os_thread, spawn, yield_now};
use util::*;

/// How often the threads of this process but the calling one gave up a processor, whether they wanted to or not.
fn switches() -> u64 {
    let me = std::fs::read_link("/proc/thread-self").expect("proc");
    let tasks = std::fs::read_dir("/proc/self/task").expect("proc");
    let others = tasks.flatten().filter(|task| Some(task.file_name().as_os_str()) != me.file_name());
    let status = others.filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok());
    status
        .flat_map(|text| {
            let counts = text.lines().filter(|line| line.contains("ctxt_switches")).map(|line| {
                line.rsplit(['\t', ' ']).next().and_then(|n| n.parse::<u64>().ok()).expect("a number")
            });
            counts.collect::<Vec<_>>()
        })
        .sum()
}

#[test]
fn an_idle_process_does_not_wake_up() {
    const TEST: &str = "an_idle_process_does_not_wake_up";
    match child(TEST, &[("GOPARK_MAXPROCS", "4")]) {
        Child::Inside => {
            runtime();
            let (tx, rx) = channel::<()>(0);
            for i in 0..50 {
                let rx = rx.clone();
                go(move || {
                    if i % 10 == 0 {
                        lock_os_thread();
                    }
                    let _ = rx.recv();
                });
            }
            // A crowd that leaves threads behind.
            bounded("work", || {
                let block = || std::thread::sleep(Duration::from_millis(5)); // not for ordering: it blocks
                let all: Vec<_> = (0..40).map(|_| spawn(move || blocking(block))).collect();
                all.into_iter().for_each(|h| h.join().unwrap());
                (0..100).map(|_| spawn(yield_now)).for_each(|h| h.join().unwrap());
            });
            // Not for ordering: a second of quiet, and two in which nothing may happen.
            std::thread::sleep(Duration::from_millis(1_500)); // not for ordering: quiet
            let before = switches();
            std::thread::sleep(Duration::from_secs(2)); // not for ordering: quiet
            assert_eq!(switches() - before, 0, "{}", dump());
            // And it is there again at once.
            assert_eq!(bounded("work again", || spawn(|| 3).join().unwrap()), 3);
            drop(tx);
        }
        Child::Ended(output) => {
            assert!(output.status.success() && text_of(&output).contains("1 passed"), "{}", text_of(&output));
        }
        Child::Skip => {}
    }
}
