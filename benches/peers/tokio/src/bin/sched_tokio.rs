//! What one of tokio's scheduling operations costs, `METRIC VALUE` a line.
//!
//! The same operations, in the same shapes and numbers, as benches/src/bin/sched_gopark.rs, as far as tokio has them:
//! its channels hold at least one message, and it has no stacks whose memory could come back.

#[path = "../../../../src/flags.rs"]
#[allow(dead_code)]
mod flags;
#[path = "../../../../src/server.rs"]
#[allow(dead_code)]
mod server;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{AcqRel, Relaxed, SeqCst},
};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, Notify, mpsc};

const BATCHES: usize = 9;
const LONG_BATCHES: usize = 5;

fn main() {
    server::die_with_parent();
    let mut flags = flags::Flags::from_env();
    let op: String = flags.take("op", String::new());
    let procs: usize = flags.take("procs", 1);
    flags.finish();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(procs)
        .enable_all()
        .build()
        .expect("a runtime starts on a quiet machine");
    // In a task, so that it runs on the workers like what it starts.
    runtime.block_on(async { tokio::spawn(one(op)).await }).expect("no benchmark panics");
}

async fn one(op: String) {
    match op.as_str() {
        "pingpong" => report(async || ping_pong().await).await,
        "chan" => report(async || buffered().await).await,
        "select" => report(async || select_of_two().await).await,
        "mutex" => report(async || mutex().await).await,
        "contended" => report(async || contended().await).await,
        "timer" => report(async || timer().await).await,
        "fanout" => report(async || fanout().await).await,
        "sleepers" => sleepers().await,
        "skynet" => skynet().await,
        "wake" => wake().await,
        other => {
            eprintln!("sched: no operation {other:?}");
            std::process::exit(2);
        }
    }
}

async fn report(once: impl AsyncFn() -> f64) {
    once().await;
    let mut found = Vec::new();
    for _ in 0..BATCHES {
        found.push(once().await);
    }
    println!("ns {:.2}", median(found));
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

/// Starts `count` tasks that do `f`, and waits for all.
async fn wait_for<F: Future<Output = ()> + Send + 'static>(count: usize, f: impl Fn() -> F) {
    let left = Arc::new((AtomicUsize::new(count), Notify::new()));
    for _ in 0..count {
        let (left, task) = (left.clone(), f());
        tokio::spawn(async move {
            task.await;
            if left.0.fetch_sub(1, AcqRel) == 1 {
                left.1.notify_one();
            }
        });
    }
    left.1.notified().await;
}

/// Hands a number to another task over a channel that holds one, and gets it back over another.
async fn ping_pong() -> f64 {
    const COUNT: usize = 50_000;
    let (ping, mut pinged) = mpsc::channel(1);
    let (pong, mut ponged) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Some(i) = pinged.recv().await {
            pong.send(i).await.expect("the other side waits");
        }
    });
    let start = Instant::now();
    for i in 0..COUNT {
        ping.send(i).await.expect("the other side waits");
        assert_eq!(ponged.recv().await, Some(i), "not the number that was sent");
    }
    each(start, COUNT)
}

/// Passes numbers through a channel with room for 128.
async fn buffered() -> f64 {
    const COUNT: usize = 500_000;
    let (sender, mut numbers) = mpsc::channel(128);
    let start = Instant::now();
    tokio::spawn(async move {
        for i in 0..COUNT {
            sender.send(i).await.expect("somebody receives");
        }
    });
    let mut sum = 0;
    while let Some(i) = numbers.recv().await {
        sum += i;
    }
    let took = each(start, COUNT);
    assert_eq!(sum, COUNT * (COUNT - 1) / 2, "numbers were lost");
    took
}

/// Receives from whichever of two channels has something, and fills the other one.
async fn select_of_two() -> f64 {
    const COUNT: usize = 200_000;
    let (to_a, mut a) = mpsc::channel(1);
    let (to_b, mut b) = mpsc::channel(1);
    to_a.send(0).await.expect("there is room");
    let start = Instant::now();
    for _ in 0..COUNT {
        tokio::select! {
            Some(i) = a.recv() => to_b.send(i).await.expect("there is room"),
            Some(i) = b.recv() => to_a.send(i).await.expect("there is room"),
        }
    }
    each(start, COUNT)
}

/// Locks and unlocks a mutex that nobody else wants.
async fn mutex() -> f64 {
    const COUNT: usize = 1_000_000;
    let lock = Mutex::new(0);
    let start = Instant::now();
    for _ in 0..COUNT {
        *lock.lock().await += 1;
    }
    let took = each(start, COUNT);
    assert_eq!(lock.into_inner(), COUNT);
    took
}

/// Has four tasks lock and unlock the same mutex.
async fn contended() -> f64 {
    const TASKS: usize = 4;
    const COUNT: usize = 50_000;
    let lock = Arc::new(Mutex::new(0));
    let start = Instant::now();
    let theirs = lock.clone();
    wait_for(TASKS, move || {
        let lock = theirs.clone();
        async move {
            for _ in 0..COUNT {
                *lock.lock().await += 1;
            }
        }
    })
    .await;
    let took = each(start, TASKS * COUNT);
    assert_eq!(*lock.lock().await, TASKS * COUNT, "the lock does not exclude");
    took
}

/// Starts a timer and stops it: a sleep that is polled once, which arms it, and dropped.
async fn timer() -> f64 {
    const COUNT: usize = 200_000;
    let mut context = Context::from_waker(Waker::noop());
    let start = Instant::now();
    for _ in 0..COUNT {
        let sleep = pin!(tokio::time::sleep(Duration::from_secs(1)));
        assert!(sleep.poll(&mut context).is_pending(), "it fired");
    }
    each(start, COUNT)
}

/// Starts a hundred tasks and waits for all.
async fn fanout() -> f64 {
    const ROUNDS: usize = 1000;
    const GROUP: usize = 100;
    let start = Instant::now();
    for _ in 0..ROUNDS {
        wait_for(GROUP, async || {}).await;
    }
    each(start, ROUNDS * GROUP)
}

/// Has 100,000 tasks sleep for a millisecond each, all started at once.
async fn sleepers() {
    const COUNT: usize = 100_000;
    let mut found = Vec::new();
    for _ in 0..=LONG_BATCHES {
        let start = Instant::now();
        wait_for(COUNT, || tokio::time::sleep(Duration::from_millis(1))).await;
        found.push(millis(start.elapsed()));
    }
    println!("ms {:.3}", median(found.split_off(1)));
}

/// Sums a million numbers in a tree of tasks, ten to a node.
async fn skynet() {
    let mut found = Vec::new();
    for _ in 0..=LONG_BATCHES {
        let start = Instant::now();
        let (sum, mut result) = mpsc::channel(1);
        tokio::spawn(branch(sum, 0, 1_000_000));
        assert_eq!(result.recv().await, Some(499_999_500_000), "not the sum");
        found.push(millis(start.elapsed()));
    }
    let warm = median(found.split_off(1));
    println!("cold_ms {:.3}\nwarm_ms {warm:.3}", found[0]);
}

/// Boxed, since a future cannot hold itself.
fn branch(parent: mpsc::Sender<u64>, number: u64, size: u64) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let sum = if size == 1 {
            number
        } else {
            let (sender, mut sums) = mpsc::channel(10);
            for i in 0..10 {
                tokio::spawn(branch(sender.clone(), number + i * (size / 10), size / 10));
            }
            let mut sum = 0;
            for _ in 0..10 {
                sum += sums.recv().await.expect("its children live");
            }
            sum
        };
        parent.send(sum).await.expect("its parent waits");
    })
}

/// Readies two tasks at a moment at which the other thread sleeps, and looks how long it takes until one of them runs
/// there.
async fn wake() {
    const ROUNDS: usize = 2000;
    const LOST: u64 = 20_000_000;
    let running = Arc::new(AtomicU64::new(0));
    let begin = Instant::now();
    let since_begin = move || begin.elapsed().as_nanos() as u64;
    let doors = [(); 2].map(|()| {
        let (door, mut opened) = mpsc::channel(1);
        let running = running.clone();
        tokio::spawn(async move {
            while opened.recv().await.is_some() {
                let _ = running.compare_exchange(0, since_begin(), SeqCst, Relaxed);
            }
        });
        door
    });
    let mut found = Vec::new();
    for _ in 0..ROUNDS {
        // Long enough for everybody else to go to sleep.
        tokio::time::sleep(Duration::from_micros(500)).await;
        running.store(0, SeqCst);
        let start = since_begin();
        for door in &doors {
            door.send(()).await.expect("somebody waits behind each door");
        }
        // The caller keeps its thread busy: who runs now runs on the other.
        let mut ran = 0;
        while ran == 0 && since_begin() - start < LOST {
            ran = running.load(SeqCst);
        }
        let end = if ran == 0 { since_begin() } else { ran };
        found.push((end - start) as f64 / 1000.0);
    }
    found.sort_by(f64::total_cmp);
    println!("p50_us {:.2}\np99_us {:.2}", found[ROUNDS / 2], found[ROUNDS * 99 / 100]);
}
