//! What tokio's own operations cost with one worker thread, one `NAME NANOSECONDS` a line.
//!
//! The same operations, in the same numbers, as benches/src/bin/micro_gopark.rs, as far as tokio has them: it has no
//! deadline that is set on a connection, and a task that waits has no stack that could be made cold.

#[path = "../../../../src/flags.rs"]
#[allow(dead_code)]
mod flags;
#[path = "../../../../src/server.rs"]
#[allow(dead_code)]
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::AcqRel};
use std::time::Instant;
use tokio::sync::{Notify, mpsc};

const BATCHES: usize = 9;

fn main() {
    server::die_with_parent();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime starts on a quiet machine");
    // In a task, so that it runs on the worker like what it starts.
    runtime.block_on(async { tokio::spawn(all()).await }).expect("no benchmark panics");
}

async fn all() {
    report("create", async || create().await).await;
    report("join", async || join().await).await;
    report("yield2", async || yield_with(2).await).await;
    report("yield1000", async || yield_with(1000).await).await;
    report("pingpong", async || ping_pong().await).await;
}

async fn report(name: &str, once: impl AsyncFn() -> f64) {
    once().await;
    let mut found = Vec::new();
    for _ in 0..BATCHES {
        found.push(once().await);
    }
    found.sort_by(f64::total_cmp);
    println!("{name} {:.2}", found[BATCHES / 2]);
}

fn each(start: Instant, count: usize) -> f64 {
    start.elapsed().as_nanos() as f64 / count as f64
}

/// Starts tasks a hundred at a time and waits for each hundred.
async fn create() -> f64 {
    const ROUNDS: usize = 1000;
    const GROUP: usize = 100;
    let start = Instant::now();
    for _ in 0..ROUNDS {
        let left = Arc::new((AtomicUsize::new(GROUP), Notify::new()));
        for _ in 0..GROUP {
            let left = left.clone();
            tokio::spawn(async move {
                if left.0.fetch_sub(1, AcqRel) == 1 {
                    left.1.notify_one();
                }
            });
        }
        left.1.notified().await;
    }
    each(start, ROUNDS * GROUP)
}

/// Starts one task and waits for its result.
async fn join() -> f64 {
    const COUNT: usize = 50_000;
    let start = Instant::now();
    for i in 0..COUNT {
        assert_eq!(tokio::spawn(async move { i }).await.expect("it does not panic"), i);
    }
    each(start, COUNT)
}

/// Has a number of tasks do nothing but yield.
async fn yield_with(tasks: usize) -> f64 {
    let rounds = 200_000 / tasks;
    let start = Instant::now();
    let handles: Vec<_> = (0..tasks)
        .map(|_| {
            tokio::spawn(async move {
                for _ in 0..rounds {
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for handle in handles {
        handle.await.expect("it does not panic");
    }
    each(start, tasks * rounds)
}

/// Hands a word to another task and back.
async fn ping_pong() -> f64 {
    const COUNT: usize = 50_000;
    let (ping, mut pinged) = mpsc::channel::<()>(1);
    let (pong, mut ponged) = mpsc::channel::<()>(1);
    tokio::spawn(async move {
        while pinged.recv().await.is_some() {
            let _ = pong.send(()).await;
        }
    });
    let start = Instant::now();
    for _ in 0..COUNT {
        let _ = ping.send(()).await;
        ponged.recv().await;
    }
    each(start, COUNT)
}
