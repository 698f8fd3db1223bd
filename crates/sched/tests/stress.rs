//! Everything at once, at random, for some seconds; afterwards everything is as it was.
//!
//! A failure prints the seed. `GOPARK_TEST_SEED` repeats the choices (not the timing), `GOPARK_TEST_SECONDS` runs
//! longer. The sleeps are not for ordering: they are blocking calls, and how often we look.

mod util;

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gopark_poll::{Fd, FdKind};
use gopark_sched::{blocking, go, num_goroutines, scope, sleep, spawn, try_go, yield_now};
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    run_with_1_2_and_4_procs();
}

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// xorshift64*: small, and the same everywhere.
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }

    fn micros(&mut self, n: u64) -> Duration {
        Duration::from_micros(self.below(n))
    }

    /// For another actor.
    fn split(&mut self) -> Random {
        Random((self.below(1 << 31) << 20 | self.below(1 << 20)) | 1)
    }
}

/// What the actors share, and what has to add up in the end.
#[derive(Default)]
struct World {
    started: AtomicUsize,
    ended: AtomicUsize,
    panicked: AtomicUsize,
    caught: AtomicUsize,
    lock: Mutex<u64>,
    steps: AtomicUsize,
}

/// Counts a goroutine's end, by a panic too.
struct Ends(Arc<World>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Relaxed);
    }
}

/// Waits while the thread unwinds.
struct Waits(Random);

impl Drop for Waits {
    fn drop(&mut self) {
        match self.0.below(3) {
            0 => yield_now(),
            1 => sleep(self.0.micros(300)),
            _ => spawn(yield_now).join().unwrap(),
        }
    }
}

fn begin(world: &Arc<World>) -> Ends {
    world.started.fetch_add(1, Relaxed);
    Ends(Arc::clone(world))
}

/// One step of an actor: on a goroutine or a plain thread.
fn step(world: &Arc<World>, r: &mut Random, depth: u32) {
    world.steps.fetch_add(1, Relaxed);
    match r.below(if depth == 0 { 8 } else { 15 }) {
        0 | 1 => yield_now(),
        2 | 3 => sleep(r.micros(400)),
        4 => hog_for(r.micros(200)),
        5 => match r.below(40) {
            0 => hog_for(Duration::from_millis(12)),
            1 => std::thread::sleep(Duration::from_millis(3)),
            _ => std::thread::sleep(r.micros(300)),
        },
        6 => blocking(|| std::thread::sleep(r.micros(500))),
        7 => *world.lock.lock().unwrap() += 1,
        8 | 9 => {
            let (ends, mut theirs) = (begin(world), r.split());
            let answer = r.below(1000);
            let handle = spawn(move || {
                (0..3).for_each(|_| step(&ends.0, &mut theirs, depth - 1));
                answer
            });
            if r.below(4) == 0 {
                match handle.join_timeout(r.micros(500)) {
                    Ok(result) => assert_eq!(result.unwrap(), answer),
                    Err(handle) => assert_eq!(handle.join().unwrap(), answer),
                }
            } else {
                assert_eq!(handle.join().unwrap(), answer);
            }
        }
        10 | 11 => {
            let (ends, mut theirs) = (begin(world), r.split());
            go(move || (0..2).for_each(|_| step(&ends.0, &mut theirs, depth - 1)));
        }
        12 => {
            let total = AtomicUsize::new(0);
            let n = r.below(6) as usize;
            scope(|s| {
                for _ in 0..n {
                    let (ends, mut theirs, total) = (begin(world), r.split(), &total);
                    s.go(move || {
                        step(&ends.0, &mut theirs, depth - 1);
                        total.fetch_add(1, Relaxed);
                    });
                }
                step(world, r, 0);
            });
            assert_eq!(total.into_inner(), n);
        }
        13 => {
            let (ends, waits, detached) = (begin(world), Waits(r.split()), r.below(2) == 0);
            world.panicked.fetch_add(1, Relaxed);
            let boom = move || {
                let (_ends, _waits) = (ends, waits);
                std::panic::panic_any(Expected);
            };
            if detached {
                try_go(boom).unwrap();
                world.caught.fetch_add(1, Relaxed);
            } else {
                let handle: gopark_sched::JoinHandle<()> = spawn(boom);
                assert!(handle.join().unwrap_err().is::<Expected>());
                world.caught.fetch_add(1, Relaxed);
            }
        }
        _ => ping_pong(world, r),
    }
}

/// The payload of the panics that belong to the test.
struct Expected;

fn ping_pong(world: &Arc<World>, r: &mut Random) {
    let (a, b) = UnixStream::pair().unwrap();
    let ours = |s: UnixStream| {
        s.set_nonblocking(true).unwrap();
        let mut fd = Fd::new(s.into(), FdKind::STREAM);
        fd.init().unwrap();
        fd
    };
    let (near, far) = (ours(a), ours(b));
    let ends = begin(world);
    let echo = spawn(move || {
        let (_ends, mut byte) = (ends, [0]);
        while far.read(&mut byte).unwrap() == 1 {
            far.write_all(&byte).unwrap();
        }
    });
    for i in 0..1 + r.below(5) as u8 {
        let mut byte = [0];
        near.write_all(&[i]).unwrap();
        assert_eq!((near.read(&mut byte).unwrap(), byte), (1, [i]));
    }
    near.close().unwrap();
    echo.join().unwrap();
}

#[test]
fn everything_at_once_leaves_nothing_behind() {
    const GOROUTINES: usize = 24;
    const THREADS: usize = 4;
    // The runs with other numbers of Ps are shorter: all of them together should not take long.
    let short = std::env::var_os("GOPARK_MAXPROCS").is_some();
    let limit = from_env("GOPARK_TEST_SECONDS")
        .map_or(Duration::from_millis(if short { 1000 } else { 2500 }), Duration::from_secs);
    let seed = from_env("GOPARK_TEST_SEED").unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        u64::from(now.subsec_nanos()) | 1
    });
    println!("GOPARK_TEST_SEED={seed}");
    // The panics that belong to the test say nothing.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !info.payload().is::<Expected>() {
            hook(info);
        }
    }));
    runtime();
    let (world, mut random, end) = (Arc::new(World::default()), Random(seed | 1), Instant::now() + limit);
    let act = |world: &Arc<World>, mut r: Random| {
        let world = Arc::clone(world);
        move || {
            while Instant::now() < end {
                step(&world, &mut r, 3);
            }
        }
    };
    let threads_act: Vec<_> = (0..THREADS).map(|_| std::thread::spawn(act(&world, random.split()))).collect();
    let handles: Vec<_> = (0..GOROUTINES).map(|_| spawn(act(&world, random.split()))).collect();
    let mut most = 0;
    while Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
        most = most.max(threads());
    }
    let name = format!("the actors (seed {seed})");
    bounded_on_thread(&name, move || {
        handles.into_iter().for_each(|h| h.join().unwrap());
        threads_act.into_iter().for_each(|t| t.join().unwrap());
    });
    until("every goroutine has ended", || world.started.load(Relaxed) == world.ended.load(Relaxed));
    until("none is left", || num_goroutines() == 0);
    until_settled();
    assert_eq!(world.panicked.load(Relaxed), world.caught.load(Relaxed));
    assert!(world.steps.load(Relaxed) > 200, "only {} steps", world.steps.load(Relaxed));
    // Each goroutine may block its thread at the same moment, and each actor has a few; far more would be a leak.
    assert!(most < 400, "{most} threads");
    let timers: usize = gopark_sched::debug_counts().ps.iter().map(|p| p.3).sum();
    assert_eq!((timers, gopark_sched::debug_counts().shared_timers), (0, 0), "timers are left");
    println!(
        "{} steps, {} goroutines, {most} threads",
        world.steps.load(Relaxed),
        world.started.load(Relaxed)
    );
}
