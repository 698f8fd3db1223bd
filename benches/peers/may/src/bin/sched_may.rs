//! What one of may's scheduling operations costs, `METRIC VALUE` a line.
//!
//! The same operations, in the same shapes and numbers, as benches/src/bin/sched_gopark.rs, as far as may has them: its
//! channels have no limit, so nothing waits for room in them, and each of its stacks takes two mappings, of which Linux
//! allows 65,530, so a crowd of 100,000 and skynet are left out.

#[path = "../../../../src/flags.rs"]
#[allow(dead_code)]
mod flags;
#[path = "../../../../src/server.rs"]
#[allow(dead_code)]
mod server;

use may::sync::{Mutex, WaitGroup, mpsc};
use std::sync::Arc;
use std::time::Instant;

const BATCHES: usize = 9;

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
