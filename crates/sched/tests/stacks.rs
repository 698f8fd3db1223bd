//! Memory of stacks: given back after a burst, flat over waves; stacks of other sizes.

mod util;

use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use gopark_sched::sync::WaitGroup;
use gopark_sched::{
    Builder, Runtime, SpawnError, SpawnOptions, chan, dump_goroutines, go, goroutine_name, metrics, sleep,
    spawn, yield_now,
};
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
fn runs_with_1_2_and_4_procs() {
    run_with_1_2_and_4_procs();
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

/// A million goroutines in waves, each with its own few pages: every wave lives on the memory of the first.
#[test]
fn waves_leave_memory_flat() {
    const TEST: &str = "waves_leave_memory_flat";
    match child(TEST, &[]) {
        Child::Inside => {
            let rt = start(Runtime::builder().max_procs(2));
            rt.run(|| crowd(50_000));
            let (first, reserved) = (memory(), metrics().stacks.reserved_bytes);
            for wave in 2..=20 {
                rt.run(|| crowd(50_000));
                let now = memory();
                assert!(now <= first + first / 10, "{first} KiB after the first wave, {now} after {wave}");
            }
            assert_eq!(metrics().stacks.reserved_bytes, reserved, "no further stacks were needed");
            assert_eq!(metrics().goroutines.created, 1_000_020);
        }
        Child::Ended(output) => assert_success(TEST, &output),
        Child::Skip => {}
    }
}

/// Some goroutines live on, spread over the stacks of a crowd: the memory of the others goes all the same, and theirs
/// stays.
#[test]
fn survivors_keep_their_stacks() {
    const TEST: &str = "survivors_keep_their_stacks";
    match child(TEST, &[]) {
        Child::Inside => {
            let rt = start(Runtime::builder().max_procs(2));
            let (tx, rx) = chan::bounded::<()>(0);
            let mut survivors = Vec::new();
            let before = memory();
            rt.run(|| {
                let (end, ended) = chan::bounded::<()>(0);
                for i in 0..20_000_u32 {
                    if i.is_multiple_of(100) {
                        let rx = rx.clone();
                        survivors.push(spawn(move || {
                            let numbers: [u32; 1000] = std::array::from_fn(|n| n as u32 ^ i);
                            let numbers = std::hint::black_box(numbers);
                            assert!(rx.recv().is_err());
                            numbers.iter().enumerate().all(|(n, value)| *value == n as u32 ^ i)
                        }));
                    } else {
                        let ended = ended.clone();
                        go(move || assert!(ended.recv().is_err()));
                    }
                }
                sleep(Duration::from_millis(1));
                drop(end);
            });
            until("the memory of all others went back", || metrics().stacks.trimmed >= 19_800 - 200);
            until("most of it is gone", || memory() < before + 20_000);
            // New ones on the stacks that were given back, beside the old ones.
            rt.run(|| crowd(20_000));
            drop(tx);
            assert!(survivors.into_iter().all(|s| s.join().unwrap()));
        }
        Child::Ended(output) => assert_success(TEST, &output),
        Child::Skip => {}
    }
}

/// Wakers and timers of goroutines that are no more, and whose headers read as zeros: they wake nobody, and harm nobody
/// who has the stack by then.
#[test]
fn stale_wakers_of_trimmed_goroutines_harm_nobody() {
    const TEST: &str = "stale_wakers_of_trimmed_goroutines_harm_nobody";
    match child(TEST, &[]) {
        Child::Inside => {
            let rt = start(Runtime::builder().max_procs(2));
            let wakers = Arc::new(Mutex::new(Vec::new()));
            let keep = Arc::clone(&wakers);
            rt.run(move || {
                let (tx, rx) = chan::bounded::<()>(0);
                for _ in 0..2000 {
                    let (keep, rx) = (Arc::clone(&keep), rx.clone());
                    go(move || {
                        gopark_sched::block_on(std::future::poll_fn(|cx| {
                            keep.lock().unwrap().push(cx.waker().clone());
                            Poll::Ready(())
                        }));
                        assert!(rx.recv().is_err());
                    });
                }
                while keep.lock().unwrap().len() < 2000 {
                    yield_now();
                }
                drop(tx);
            });
            until("they are given back", || metrics().stacks.trimmed >= 1900);
            let wake = || wakers.lock().unwrap().iter().for_each(Waker::wake_by_ref);
            wake();
            assert_eq!(dump_goroutines().goroutines.len(), 0, "zeros are dead goroutines");
            // On top of the marks that this has left, and while more come.
            rt.run(|| {
                let all: Vec<_> = (0..3000)
                    .map(|i| {
                        spawn(move || {
                            let begin = Instant::now();
                            let d = Duration::from_micros(500 + i % 100);
                            sleep(d);
                            assert!(begin.elapsed() >= d);
                            let mut polls = 0;
                            gopark_sched::block_on(std::future::poll_fn(|cx| {
                                polls += 1;
                                cx.waker().wake_by_ref();
                                if polls > 2 { Poll::Ready(()) } else { Poll::Pending }
                            }));
                        })
                    })
                    .collect();
                wake();
                all.into_iter().for_each(|h| h.join().unwrap());
            });
            assert_eq!(rt.shutdown(LONG), Ok(()));
        }
        Child::Ended(output) => assert_success(TEST, &output),
        Child::Skip => {}
    }
}

/// A chosen size is there to be used, is used again, and belongs to its class.
#[test]
fn stacks_of_chosen_sizes() {
    /// Uses this much stack at least.
    #[inline(never)]
    fn deep(bytes: usize) -> usize {
        let block = std::hint::black_box([1_u8; 1024]);
        if bytes < 2048 { 1 } else { deep(bytes - 1024) + usize::from(block[bytes % 1024]) }
    }
    bounded("stack sizes", || {
        for bytes in [1 << 20, 4 << 20, 3 << 20, 64 << 20, 1 << 30] {
            let used = bytes.min(8 << 20) / 3; // frames of a debug build are larger than the block
            let run = || SpawnOptions::new().stack_size(bytes).spawn(move || deep(used)).unwrap();
            assert!(run().join().unwrap() > 100);
            let reserved = metrics().stacks.reserved_bytes;
            for _ in 0..20 {
                run().join().unwrap();
            }
            // A join may return just before the stack is on the free list; so one or two more, but not twenty.
            let grown = metrics().stacks.reserved_bytes - reserved;
            assert!(grown < 10 * bytes, "{bytes}: not used again, {grown} more");
        }
        for bytes in [16 << 10, 100_000, 260 << 10] {
            SpawnOptions::new().stack_size(bytes).go(|| ()).unwrap();
        }
        for bytes in [0, 16_383, (1 << 30) + 1, usize::MAX] {
            let err = SpawnOptions::new().stack_size(bytes).spawn(|| ()).unwrap_err();
            assert!(matches!(err, SpawnError::StackSize(n) if n == bytes), "{err:?}");
            assert!(err.to_string().contains("between 16 KiB and 1 GiB"), "{err}");
            assert_eq!(std::io::Error::from(err).kind(), std::io::ErrorKind::InvalidInput);
        }
    });
}

/// Address space for the usual stacks, but not for large ones: an error that says where the limit is.
#[test]
#[cfg(target_os = "linux")]
fn no_large_stack_is_an_error_that_names_the_limit() {
    const TEST: &str = "no_large_stack_is_an_error_that_names_the_limit";
    if std::env::var_os("GOPARK_TEST_LIMITED").is_none() {
        if std::env::var_os("GOPARK_MAXPROCS").is_some() {
            return;
        }
        // 4 GiB of address space: `ulimit -v`.
        let exe = std::env::current_exe().unwrap();
        let output = std::process::Command::new("sh")
            .args(["-c", "ulimit -v 4194304 && exec \"$0\" --exact \"$1\" --nocapture --test-threads=1"])
            .arg(exe)
            .arg(TEST)
            .env("GOPARK_TEST_LIMITED", "1")
            .env("GOPARK_TEST_CHILD", TEST)
            .output()
            .unwrap();
        return assert_success(TEST, &output);
    }
    let rt = start(Runtime::builder().max_procs(2));
    let mut held = Vec::new();
    for class in [1 << 30, 256 << 20, 16 << 20] {
        let (tx, rx) = chan::bounded::<()>(0);
        let err = loop {
            let rx = rx.clone();
            match SpawnOptions::new().stack_size(class).spawn(move || assert!(rx.recv().is_err())) {
                Ok(handle) => held.push(handle),
                Err(err) => break err,
            }
            assert!(held.len() < 1000, "no limit");
        };
        assert!(matches!(err, SpawnError::NoStack(_)), "{err:?}");
        for word in ["ulimit -v", "vm.overcommit_memory", "cgroup", "smaller stacks"] {
            assert!(err.to_string().contains(word), "{class}: {err}");
        }
        drop(tx);
        held.drain(..).for_each(|h| h.join().unwrap());
    }
    // What is reserved for the usual ones is there still. (No more than that: no address space is left.)
    rt.run(|| crowd(40));
}

#[test]
fn names_are_seen_while_the_goroutine_runs() {
    bounded("names", || {
        assert_eq!(goroutine_name(), None);
        let (tx, rx) = chan::bounded::<()>(0);
        let (said, id) = chan::bounded::<u64>(1);
        let options = SpawnOptions::new().name("the resolver").stack_size(1 << 20);
        let handle = options
            .spawn(move || {
                said.send(gopark_sched::goroutine_id()).unwrap();
                assert!(rx.recv().is_err());
                goroutine_name()
            })
            .unwrap();
        let id = id.recv().unwrap();
        let dump = dump_goroutines();
        let found = dump.goroutines.iter().find(|g| g.id == id).unwrap();
        assert_eq!(found.name.as_deref(), Some("the resolver"));
        assert!(found.to_string().contains(", \"the resolver\"]:"), "{found}");
        drop(tx);
        assert_eq!(handle.join().unwrap().as_deref(), Some("the resolver"));
        assert!(dump_goroutines().goroutines.iter().all(|g| g.name.is_none()));
        // A clone of the options, and a goroutine that panics.
        let panicked = options.clone().spawn(|| panic!("expected by the test")).unwrap().join();
        assert!(panicked.is_err());
        spawn(|| assert_eq!(goroutine_name(), None)).join().unwrap();
    });
}
