//! The scheduler's operations, each timed over many repetitions; shared by the micro suite and the criterion benches.
//!
//! All run on a goroutine and return the time for all repetitions together.

use gopark_poll::{ParkSlot, WaitReason};
use gopark_sched::{go, spawn, yield_now};
use std::sync::atomic::{
    AtomicUsize,
    Ordering::{AcqRel, Release},
};
use std::time::{Duration, Instant};

/// Something that happens once and that one goroutine waits for.
struct Signal(&'static ParkSlot);

impl Signal {
    /// Kept for ever, as park slots must be: use one for many repetitions.
    fn new() -> Signal {
        Signal(Box::leak(Box::new(ParkSlot::new())))
    }

    fn wait(&self) {
        self.0.block(WaitReason::SyncWaitGroupWait, || true);
    }
}

/// A count that runs down to zero and wakes the one who waits for that. Go: `sync.WaitGroup`.
struct Countdown {
    left: &'static AtomicUsize,
    zero: Signal,
}

impl Countdown {
    fn new() -> Countdown {
        Countdown { left: Box::leak(Box::new(AtomicUsize::new(0))), zero: Signal::new() }
    }

    /// Something to call `count` times.
    fn start(&self, count: usize) -> impl Fn() + Copy + Send + 'static {
        let (left, zero) = (self.left, self.zero.0);
        left.store(count, Release);
        move || {
            if left.fetch_sub(1, AcqRel) == 1 {
                gopark_sched::unpark(zero);
            }
        }
    }
}

/// Starts goroutines a hundred at a time and waits for each hundred.
pub fn create(hundreds: usize) -> Duration {
    const GROUP: usize = 100;
    let countdown = Countdown::new();
    let start = Instant::now();
    for _ in 0..hundreds {
        let done = countdown.start(GROUP);
        for _ in 0..GROUP {
            go(done);
        }
        countdown.zero.wait();
    }
    start.elapsed()
}

/// Starts one goroutine and waits for its result.
pub fn join(count: usize) -> Duration {
    let start = Instant::now();
    for i in 0..count {
        let found = spawn(move || i).join();
        assert_eq!(found.ok(), Some(i), "not the goroutine's result");
    }
    start.elapsed()
}

/// Has `goroutines` do nothing but yield, `rounds` times each.
pub fn yields(goroutines: usize, rounds: usize) -> Duration {
    let countdown = Countdown::new();
    let done = countdown.start(goroutines);
    let start = Instant::now();
    for _ in 0..goroutines {
        go(move || {
            for _ in 0..rounds {
                yield_now();
            }
            done();
        });
    }
    countdown.zero.wait();
    start.elapsed()
}

/// Wakes another goroutine and is woken by it, `count` times: one round trip is two parks and two wake-ups.
pub fn ping_pong(count: usize) -> Duration {
    let slots: &'static [ParkSlot; 2] = Box::leak(Box::new([ParkSlot::new(), ParkSlot::new()]));
    let [ping, pong] = slots;
    go(move || {
        for _ in 0..count {
            ping.block(WaitReason::ChanReceive, || true);
            gopark_sched::unpark(pong);
        }
    });
    let start = Instant::now();
    for _ in 0..count {
        gopark_sched::unpark(ping);
        pong.block(WaitReason::ChanReceive, || true);
    }
    start.elapsed()
}
