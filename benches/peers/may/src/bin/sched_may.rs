//! What one of may's scheduling operations costs, `METRIC VALUE` a line.
//!
//! The same operations, in the same shapes and numbers, as benches/src/bin/sched_gopark.rs, as far as may has them: its
//! channels have no limit, so nothing waits for room in them.

#[path = "../../../../src/flags.rs"]
#[allow(dead_code)]
mod flags;
#[path = "../../../../src/server.rs"]
#[allow(dead_code)]
mod server;

use may::sync::{Mutex, WaitGroup, mpsc};
use std::sync::Arc;
use std::time::{Duration, Instant};

const BATCHES: usize = 9;
const LONG_BATCHES: usize = 5;

fn main() {
    server::die_with_parent();
    let mut flags = flags::Flags::from_env();
    let op: String = flags.take("op", String::new());
    let procs: usize = flags.take("procs", 1);
    flags.finish();
    may::config().set_workers(procs).set_worker_pin(false);
    may::go!(move || one(&op)).join().expect("no benchmark panics");
}

fn one(op: &str) {
    match op {
        "chan" => report(buffered),
        "mutex" => report(mutex),
        "contended" => report(contended),
        "fanout" => report(fanout),
        "sleepers" => sleepers(),
        "skynet" => skynet(),
        other => {
            eprintln!("sched: no operation {other:?}");
            std::process::exit(2);
        }
    }
}

fn report(once: impl Fn() -> f64) {
    once();
    println!("ns {:.2}", median((0..BATCHES).map(|_| once()).collect()));
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn each(start: Instant, count: usize) -> f64 {
    start.elapsed().as_nanos() as f64 / count as f64
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Starts `count` coroutines that do `f`, and waits for all.
fn wait_for(count: usize, f: impl Fn() + Clone + Send + 'static) {
    let group = WaitGroup::new();
    for _ in 0..count {
        let (group, f) = (group.clone(), f.clone());
        may::go!(move || {
            f();
            drop(group);
        });
    }
    group.wait();
}

/// Passes numbers through a channel.
fn buffered() -> f64 {
    const COUNT: usize = 500_000;
    let (sender, numbers) = mpsc::channel();
    let start = Instant::now();
    may::go!(move || {
        for i in 0..COUNT {
            sender.send(i).expect("somebody receives");
        }
    });
    let mut sum = 0;
    while let Ok(i) = numbers.recv() {
        sum += i;
    }
    let took = each(start, COUNT);
    assert_eq!(sum, COUNT * (COUNT - 1) / 2, "numbers were lost");
    took
}

/// Locks and unlocks a mutex that nobody else wants.
fn mutex() -> f64 {
    const COUNT: usize = 1_000_000;
    let lock = Mutex::new(0);
    let start = Instant::now();
    for _ in 0..COUNT {
        *lock.lock().expect("nobody panics") += 1;
    }
    each(start, COUNT)
}

/// Has four coroutines lock and unlock the same mutex.
fn contended() -> f64 {
    const COROUTINES: usize = 4;
    const COUNT: usize = 50_000;
    let lock = Arc::new(Mutex::new(0));
    let start = Instant::now();
    let theirs = lock.clone();
    wait_for(COROUTINES, move || {
        for _ in 0..COUNT {
            *theirs.lock().expect("nobody panics") += 1;
        }
    });
    let took = each(start, COROUTINES * COUNT);
    assert_eq!(*lock.lock().expect("nobody panics"), COROUTINES * COUNT, "the lock does not exclude");
    took
}

/// Starts a hundred coroutines and waits for all.
fn fanout() -> f64 {
    const ROUNDS: usize = 1000;
    const GROUP: usize = 100;
    let start = Instant::now();
    for _ in 0..ROUNDS {
        wait_for(GROUP, || {});
    }
    each(start, ROUNDS * GROUP)
}

/// Has 100,000 coroutines sleep for a millisecond each, all started at once.
fn sleepers() {
    const COUNT: usize = 100_000;
    let once = || {
        let start = Instant::now();
        wait_for(COUNT, || may::coroutine::sleep(Duration::from_millis(1)));
        millis(start.elapsed())
    };
    once();
    println!("ms {:.3}", median((0..LONG_BATCHES).map(|_| once()).collect()));
}

/// Sums a million numbers in a tree of coroutines, ten to a node.
fn skynet() {
    let once = || {
        let start = Instant::now();
        let (sum, result) = mpsc::channel();
        may::go!(move || branch(&sum, 0, 1_000_000));
        assert_eq!(result.recv(), Ok(499_999_500_000), "not the sum");
        millis(start.elapsed())
    };
    let cold = once();
    println!("cold_ms {cold:.3}\nwarm_ms {:.3}", median((0..LONG_BATCHES).map(|_| once()).collect()));
}

fn branch(parent: &mpsc::Sender<u64>, number: u64, size: u64) {
    let sum = if size == 1 {
        number
    } else {
        let (sender, sums) = mpsc::channel();
        for i in 0..10 {
            let sender = sender.clone();
            may::go!(move || branch(&sender, number + i * (size / 10), size / 10));
        }
        (0..10).map(|_| sums.recv().expect("its children live")).sum()
    };
    parent.send(sum).expect("its parent waits");
}
