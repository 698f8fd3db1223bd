//! Memory of stacks: given back after a burst, flat over waves; stacks of other sizes.

mod util;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use gopark_sched::sync::WaitGroup;
use gopark_sched::{Builder, Runtime, SpawnError, SpawnOptions, chan, go, metrics, sleep, spawn, yield_now};
use util::*;

#[allow(unsafe_code)]
fn start(builder: Builder) -> Runtime {
    // SAFETY: the tests keep nothing of a thread across a call that may block.
    unsafe { builder.start() }.expect("start the runtime")
}

fn assert_success(test: &str, output: &std::process::Output) {
    assert!(output.status.success(), "{}", text_of(output));
    assert!(text_of(output).contains("1 passed"), "{test} is not the name of the test: nothing ran");
}

/// Resident memory and page tables of this process, in KiB.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse::<usize>().unwrap()
    };
    field("VmRSS:") + field("VmPTE:")
}

/// So many goroutines alive at once, by the way of the caller, a goroutine.
fn crowd(n: usize) {
    let (tx, rx) = chan::bounded::<()>(0);
    let (parked, ended) = (Arc::new(WaitGroup::new()), Arc::new(WaitGroup::new()));
    parked.add(n as isize);
    ended.add(n as isize);
    for _ in 0..n {
        let (rx, parked, ended) = (rx.clone(), Arc::clone(&parked), Arc::clone(&ended));
        go(move || {
            parked.done();
            assert!(rx.recv().is_err());
            ended.done();
        });
    }
    parked.wait();
    drop(tx);
    ended.wait();
}

#[test]
fn memory_returns_after_a_burst() {
    const TEST: &str = "memory_returns_after_a_burst";
    match child(TEST, &[]) {
        Child::Inside => {
            let rt = start(Runtime::builder().max_procs(2));
            rt.run(|| crowd(1000));
            let before = memory();
            rt.run(|| crowd(200_000));
            let peak = memory();
            assert!(peak > 10 * before, "{before} KiB, then {peak} KiB: that was no burst");
            let (begin, limit) = (Instant::now(), before + before / 10);
            let mut after = memory();
            while after > limit && begin.elapsed() < Duration::from_secs(10) {
                std::thread::sleep(Duration::from_millis(20)); // not for ordering: how often we look
                after = memory();
            }
            println!(
                "{before} KiB, {peak} KiB, {after} KiB after {:?}, {:?}",
                begin.elapsed(),
                metrics().stacks
            );
            assert!(after <= limit, "{before} KiB before, {peak} in the burst, {after} ten seconds later");
            rt.run(|| crowd(10_000));
            assert_eq!(rt.shutdown(LONG), Ok(()));
        }
        Child::Ended(output) => assert_success(TEST, &output),
        Child::Skip => {}
    }
}
