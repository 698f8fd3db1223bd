//! The soak: who acts, who watches, and what must be true in the end. See `src/bin/soak.rs`.

mod actor;
mod random;
mod world;

use gopark_net::{Runtime, go};
use gopark_sched::{debug_counts, dump::dump_goroutines, metrics::metrics};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use world::{Expected, World};

use self::random::Random;

/// Nothing moved for so long: it hangs.
const STILL: Duration = Duration::from_secs(30);
/// Everything goes back to what it was within this: compensating threads retire, memory is given back.
const SETTLE: Duration = Duration::from_secs(60);
const REPORT_EVERY: Duration = Duration::from_secs(30);
/// Beside those of the beginning: what the runtime may keep of the threads it once needed.
const SPARE_THREADS: usize = 8;
/// Descriptors that the actors together may hold.
const DESCRIPTORS: usize = 10_000;
/// Memory that may be left, bytes: the cache of stacks, channels' and heaps' capacity.
const MEMORY_LEFT: u64 = 64 << 20;

/// What to do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Decides what the actors do.
    pub seed: u64,
    /// How long.
    pub length: Duration,
    /// GOMAXPROCS.
    pub procs: usize,
    /// Goroutines that act; each has a few more at times.
    pub actors: usize,
    /// Plain threads that act.
    pub threads: usize,
}

/// What the process holds at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holdings {
    goroutines: usize,
    threads: usize,
    descriptors: usize,
    timers: usize,
    rss: u64,
}

impl Holdings {
    fn now() -> Holdings {
        let count = |folder| std::fs::read_dir(folder).map_or(0, Iterator::count);
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let rss = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
        let counts = debug_counts();
        Holdings {
            goroutines: gopark_net::num_goroutines(),
            threads: count("/proc/self/task"),
            // Without the one that reads the folder.
            descriptors: count("/proc/self/fd").saturating_sub(1),
            timers: counts.shared_timers + counts.ps.iter().map(|p| p.3).sum::<usize>(),
            rss: rss.unwrap_or(0_u64) * 1024,
        }
    }

    /// What is more than it was; empty: nothing is.
    fn beyond(&self, before: &Holdings) -> Vec<String> {
        let mut found = Vec::new();
        let mut compare = |what: &str, now: u64, was: u64, spare: u64| {
            if now > was + spare {
                found.push(format!("{what}: {now}, in the beginning {was}, at most {spare} more"));
            }
        };
        compare("goroutines", self.goroutines as u64, before.goroutines as u64, 0);
        compare("threads", self.threads as u64, before.threads as u64, SPARE_THREADS as u64);
        compare("descriptors", self.descriptors as u64, before.descriptors as u64, 0);
        compare("timers", self.timers as u64, before.timers as u64, 0);
        compare("resident bytes", self.rss, before.rss, MEMORY_LEFT);
        found
    }
}

/// Runs it, from the main thread.
///
/// # Errors
/// The descriptor limit, or a thread that cannot be started. What does not hold ends the process with status 1.
pub fn run(rt: &Runtime, settings: &Settings) -> io::Result<()> {
    println!("soak: {settings:?}; again: cargo xtask soak --seed {}", settings.seed);
    limit_descriptors()?;
    quiet_about_expected_panics();
    // Threads, stacks and the first of everything come to life once, before anybody counts.
    let warm = Arc::new(World::new());
    rt.run(|| {
        let mut random = Random::new(settings.seed);
        (0..200).for_each(|_| actor::step(&warm, &mut random, 2));
    });
    wait_until_over(&warm, "the warm-up");
    std::thread::sleep(Duration::from_millis(200)); // not for ordering: let what is left go
    let before = Holdings::now();
    println!("soak: in the beginning {before:?}");

    let world = Arc::new(World::new());
    let end = Instant::now() + settings.length;
    let mut seeds = Random::new(settings.seed);
    let act = |mut random: Random| {
        let world = Arc::clone(&world);
        move || {
            let _acts = world.begin();
            while Instant::now() < end {
                actor::step(&world, &mut random, 3);
            }
        }
    };
    (0..settings.actors).for_each(|_| go(act(seeds.split())));
    let threads: Vec<_> = (0..settings.threads)
        .map(|_| std::thread::Builder::new().name("actor".into()).spawn(act(seeds.split())))
        .collect::<io::Result<_>>()?;
    watch(&world, end);
    wait_until_over(&world, "the actors");
    threads.into_iter().for_each(|thread| assert!(thread.join().is_ok(), "a plain thread panicked"));
    world.check_ledger();
    println!("soak: {}", world.summary());
    settle(&before);
    println!("soak: all is as it was: {:?}", Holdings::now());
    Ok(())
}

/// A share of the descriptors that there are, so that a leak shows before the machine suffers.
fn limit_descriptors() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let most = getrlimit(Resource::Nofile).maximum;
    let current = Some(most.unwrap_or(u64::MAX).min(2 * DESCRIPTORS as u64));
    Ok(setrlimit(Resource::Nofile, Rlimit { current, maximum: most })?)
}

fn quiet_about_expected_panics() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !info.payload().is::<Expected>() {
            hook(info);
            failed("a panic that nobody wanted; it is above");
        }
    }));
}

/// Sees to it that things move, and says how they do.
fn watch(world: &World, end: Instant) {
    let mut next_report = Instant::now() + REPORT_EVERY;
    let (mut steps, mut since) = (0, Instant::now());
    while Instant::now() < end {
        std::thread::sleep(Duration::from_millis(100)); // how often we look
        let now = world.steps.load(Relaxed);
        if now != steps {
            (steps, since) = (now, Instant::now());
        }
        if since.elapsed() > STILL {
            failed(&format!("no actor has finished a step for {STILL:?}"));
        }
        let holdings = Holdings::now();
        if holdings.descriptors > DESCRIPTORS {
            failed(&format!("{} descriptors are open: more than the actors can hold", holdings.descriptors));
        }
        if Instant::now() >= next_report {
            next_report += REPORT_EVERY;
            println!("soak: {steps} steps; {holdings:?}");
        }
    }
}

/// Waits until all that began has ended.
fn wait_until_over(world: &World, what: &str) {
    let start = Instant::now();
    while !world.is_over() {
        if start.elapsed() > STILL {
            failed(&format!("{what}: {}; not all have ended", world.summary()));
        }
        std::thread::sleep(Duration::from_millis(10)); // how often we look
    }
}

/// Waits until the process holds no more than it did.
fn settle(before: &Holdings) {
    let start = Instant::now();
    loop {
        let beyond = Holdings::now().beyond(before);
        if beyond.is_empty() {
            return;
        }
        if start.elapsed() > SETTLE {
            failed(&format!(
                "{SETTLE:?} after the end there is more than in the beginning: {}",
                beyond.join("; ")
            ));
        }
        std::thread::sleep(Duration::from_millis(100)); // how often we look
    }
}

/// Says what is wrong, shows what there is to see, and ends the process.
pub(crate) fn failed(what: &str) -> ! {
    eprintln!("soak: FAILED: {what}");
    eprintln!("{:#?}\n{:#?}", debug_counts(), metrics());
    // Last: it takes the most to work.
    eprintln!("{}", dump_goroutines());
    std::process::exit(1)
}
