//! The operations of suite `sched`, in the shapes in which the peers have them too; see `benches/README.md`.
//!
//! All run on a goroutine. Those that return a number return nanoseconds for each of what they repeat.

use gopark_sched::sync::{Mutex, WaitGroup};
use gopark_sched::time::Timer;
use gopark_sched::{chan, go, select, sleep, yield_now};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};
use std::time::{Duration, Instant};

fn each(start: Instant, count: usize) -> f64 {
    start.elapsed().as_nanos() as f64 / count as f64
}

/// Hands a number to another goroutine over an unbuffered channel, and gets it back over another.
pub fn ping_pong() -> f64 {
    const COUNT: usize = 50_000;
    let (ping, pinged) = chan::bounded(0);
    let (pong, ponged) = chan::bounded(0);
    go(move || {
        for i in &pinged {
            pong.send(i).expect("the other side waits");
        }
    });
    let start = Instant::now();
    for i in 0..COUNT {
        ping.send(i).expect("the other side waits");
        assert_eq!(ponged.recv(), Ok(i), "not the number that was sent");
    }
    let took = each(start, COUNT);
    drop(ping);
    assert!(ponged.recv().is_err(), "the other side has ended");
    took
}

/// Passes numbers through a channel with room for 128.
pub fn buffered() -> f64 {
    const COUNT: usize = 500_000;
    let (sender, numbers) = chan::bounded(128);
    let start = Instant::now();
    go(move || {
        for i in 0..COUNT {
            sender.send(i).expect("somebody receives");
        }
    });
    let mut sum = 0;
    for i in &numbers {
        sum += i;
    }
    let took = each(start, COUNT);
    assert_eq!(sum, COUNT * (COUNT - 1) / 2, "numbers were lost");
    took
}

/// Receives from whichever of two channels has something, and fills the other one.
pub fn select_of_two() -> f64 {
    const COUNT: usize = 200_000;
    let (to_a, a) = chan::bounded(1);
    let (to_b, b) = chan::bounded(1);
    to_a.send(0).expect("there is room");
    let start = Instant::now();
    for _ in 0..COUNT {
        select! {
            recv(a) -> i => to_b.send(i.expect("its sender lives")).expect("there is room"),
            recv(b) -> i => to_a.send(i.expect("its sender lives")).expect("there is room"),
        }
    }
    each(start, COUNT)
}

/// Locks and unlocks a mutex that nobody else wants.
pub fn mutex() -> f64 {
    const COUNT: usize = 1_000_000;
    let lock = Mutex::new(0);
    let start = Instant::now();
    for _ in 0..COUNT {
        *lock.lock() += 1;
    }
    let took = each(start, COUNT);
    assert_eq!(lock.into_inner(), COUNT);
    took
}

/// Has four goroutines lock and unlock the same mutex.
pub fn contended() -> f64 {
    const GOROUTINES: usize = 4;
    const COUNT: usize = 50_000;
    let lock = Arc::new(Mutex::new(0));
    let group = WaitGroup::new();
    group.add(GOROUTINES as isize);
    let start = Instant::now();
    for _ in 0..GOROUTINES {
        let (lock, group) = (Arc::clone(&lock), group.clone());
        go(move || {
            for _ in 0..COUNT {
                *lock.lock() += 1;
            }
            group.done();
        });
    }
    group.wait();
    let took = each(start, GOROUTINES * COUNT);
    assert_eq!(*lock.lock(), GOROUTINES * COUNT, "the lock does not exclude");
    took
}

/// Starts a timer and stops it.
pub fn timer() -> f64 {
    const COUNT: usize = 200_000;
    let start = Instant::now();
    for _ in 0..COUNT {
        assert!(Timer::new(Duration::from_secs(1)).stop(), "it fired");
    }
    each(start, COUNT)
}

/// Starts `count` goroutines that do `f`, and waits for all.
fn wait_for(count: usize, f: impl Fn() + Copy + Send + 'static) {
    let group = WaitGroup::new();
    group.add(count as isize);
    for _ in 0..count {
        let group = group.clone();
        go(move || {
            f();
            group.done();
        });
    }
    group.wait();
}

/// Has 100,000 goroutines sleep for a millisecond each, all started at once.
pub fn sleepers() -> Duration {
    const COUNT: usize = 100_000;
    let start = Instant::now();
    wait_for(COUNT, || sleep(Duration::from_millis(1)));
    start.elapsed()
}

/// Starts a hundred goroutines and waits for all.
pub fn fanout() -> f64 {
    const ROUNDS: usize = 1000;
    const GROUP: usize = 100;
    let start = Instant::now();
    for _ in 0..ROUNDS {
        wait_for(GROUP, || {});
    }
    each(start, ROUNDS * GROUP)
}

/// Sums a million numbers in a tree of goroutines, ten to a node.
pub fn skynet() -> Duration {
    let start = Instant::now();
    let (sum, result) = chan::bounded(1);
    go(move || branch(&sum, 0, 1_000_000));
    assert_eq!(result.recv(), Ok(499_999_500_000), "not the sum");
    start.elapsed()
}

fn branch(parent: &chan::Sender<u64>, number: u64, size: u64) {
    let sum = if size == 1 {
        number
    } else {
        let (sender, sums) = chan::bounded(10);
        for i in 0..10 {
            let sender = sender.clone();
            go(move || branch(&sender, number + i * (size / 10), size / 10));
        }
        (0..10).map(|_| sums.recv().expect("its children live")).sum()
    };
    parent.send(sum).expect("its parent waits");
}

/// Has `count` goroutines alive at once, that wait for a channel to be closed.
pub fn crowd(count: usize) {
    let (release, released) = chan::bounded::<()>(0);
    let parked = Arc::new(AtomicUsize::new(0));
    let (ended, all_ended) = chan::bounded::<()>(0);
    for _ in 0..count {
        let (released, parked, ended) = (released.clone(), Arc::clone(&parked), ended.clone());
        go(move || {
            parked.fetch_add(1, Relaxed);
            assert!(released.recv().is_err(), "nobody sends");
            drop(ended);
        });
    }
    drop(ended);
    while parked.load(Relaxed) < count {
        yield_now();
    }
    drop(release);
    assert!(all_ended.recv().is_err(), "nobody sends");
}

/// Readies two goroutines at a moment at which the other thread sleeps, and returns how long it takes until one of them
/// runs there; many times.
pub fn wake() -> Vec<Duration> {
    const ROUNDS: usize = 2000;
    const LOST: Duration = Duration::from_millis(20);
    let running = Arc::new(AtomicU64::new(0));
    let begin = Instant::now();
    let since_begin = move || begin.elapsed().as_nanos() as u64;
    let doors = [(); 2].map(|()| {
        let (door, opened) = chan::bounded(1);
        let running = Arc::clone(&running);
        go(move || {
            for () in &opened {
                // Strong orderings here and below, so that the measurement is in no doubt; they cost the same in Go.
                let _ = running.compare_exchange(0, since_begin(), SeqCst, Relaxed);
            }
        });
        door
    });
    let mut found = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        // Long enough for everybody else to go to sleep.
        sleep(Duration::from_micros(500));
        running.store(0, SeqCst);
        let start = since_begin();
        for door in &doors {
            door.send(()).expect("somebody waits behind each door");
        }
        // The caller keeps its thread busy: who runs now runs on the other.
        let mut ran = 0;
        while ran == 0 && since_begin() - start < LOST.as_nanos() as u64 {
            ran = running.load(SeqCst);
        }
        let end = if ran == 0 { since_begin() } else { ran };
        found.push(Duration::from_nanos(end - start));
    }
    found
}
