//! What every echo server of the comparison shares: its command line, its announcement, and the extra load it can be
//! told to carry (endless loops, unannounced blocking calls) with counters to see how much of that load got done.
//!
//! The peers include this file, so the extra load is the same machine code in all Rust contenders; the Go peer does
//! the same work in Go.
//!
//! A server prints, line by line on its standard output:
//! - `listening ADDR` once it accepts;
//! - `hog TID` for each endless loop, from the thread that runs it;
//! - every 50 ms, if it carries extra load, `stat NOW_NS BLOCKED HOG_CPU_NS`: the monotonic clock, blocking calls
//!   finished so far, and CPU time the endless loops have had so far, counted in calibrated units of work.

use crate::flags::Flags;
use std::hint::black_box;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Units of work done by all endless loops. Statistics only.
static HOG_UNITS: AtomicU64 = AtomicU64::new(0);
/// Unannounced blocking calls that have returned. Statistics only.
static BLOCKED: AtomicU64 = AtomicU64::new(0);

/// What a server was told on its command line.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub addr: SocketAddr,
    /// Threads that run handlers: GOMAXPROCS, worker threads, or event loops.
    pub procs: usize,
    /// Handlers that loop for ever without calling anything.
    pub hogs: usize,
    /// Handlers that call a blocking system call again and again without telling the runtime.
    pub blockers: usize,
    /// How long each such call blocks.
    pub block: Duration,
    /// A deadline set anew before each read.
    pub read_deadline: Option<Duration>,
    /// Size of each connection's read buffer, in bytes.
    pub buf: usize,
}

impl Config {
    /// Reads the command line and ties the process' life to its parent's; ends the process when a flag is wrong.
    pub fn from_env() -> Config {
        die_with_parent();
        let mut flags = Flags::from_env();
        let config = Config {
            addr: flags.take("addr", SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            procs: flags.take("procs", 1),
            hogs: flags.take("hogs", 0),
            blockers: flags.take("blockers", 0),
            block: Duration::from_secs_f64(flags.take("block-ms", 1.0) / 1000.0),
            read_deadline: flags.take_opt("read-deadline-s").map(Duration::from_secs_f64),
            buf: flags.take("buf", 4096),
        };
        flags.finish();
        config
    }

    /// Ends the process when it was asked for something this contender has no counterpart of.
    pub fn refuse_read_deadline(&self) {
        if self.read_deadline.is_some() {
            eprintln!("this server has no read deadline that could be renewed before each read");
            std::process::exit(2);
        }
    }

    /// Says where the server listens, and starts to report on the extra load if there is any.
    ///
    /// Call it before the first hog or blocker is started: the calibration wants an undisturbed core.
    pub fn announce(&self, addr: SocketAddr) {
        if self.hogs > 0 || self.blockers > 0 {
            let unit_ns = calibrate();
            // A plain thread of the system: a report must come out even if every worker of the runtime is stuck.
            std::thread::Builder::new()
                .name("stat".into())
                .spawn(move || report_for_ever(unit_ns))
                .expect("a server starts with threads to spare");
        }
        say(&format!("listening {addr}"));
    }
}

/// Kills this process when the thread that started it ends, so that nothing outlives an interrupted benchmark.
pub fn die_with_parent() {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .expect("the kernel has supported this since 2.1");
}

/// Loops for ever without a call that a runtime could notice; announces the thread it starts on.
pub fn hog() {
    say(&format!("hog {}", rustix::thread::gettid().as_raw_nonzero()));
    loop {
        work_unit();
        HOG_UNITS.fetch_add(1, Relaxed);
    }
}

/// Blocks the thread in the kernel for `time` without telling the runtime; counts the call once it has returned.
pub fn block(time: Duration) {
    std::thread::sleep(time);
    BLOCKED.fetch_add(1, Relaxed);
}

/// Some 20 µs of arithmetic that the compiler can neither drop nor shorten.
#[inline(never)]
fn work_unit() {
    let mut x = black_box(0x9E37_79B9_7F4A_7C15_u64);
    for _ in 0..20_000 {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    black_box(x);
}

/// The CPU time of one unit of work in nanoseconds: the fastest of several batches, so that a neighbour on the same
/// core makes the loops look no busier than they are.
fn calibrate() -> f64 {
    const BATCHES: u32 = 10;
    const UNITS: u32 = 100;
    let mut best_ns = f64::INFINITY;
    for _ in 0..BATCHES {
        let start = clock_ns(rustix::time::ClockId::ThreadCPUTime);
        for _ in 0..UNITS {
            work_unit();
        }
        let taken = clock_ns(rustix::time::ClockId::ThreadCPUTime) - start;
        best_ns = best_ns.min(taken as f64 / f64::from(UNITS));
    }
    best_ns
}

fn report_for_ever(unit_ns: f64) {
    loop {
        std::thread::sleep(Duration::from_millis(50));
        let now = clock_ns(rustix::time::ClockId::Monotonic);
        let hog_ns = (HOG_UNITS.load(Relaxed) as f64 * unit_ns) as u64;
        say(&format!("stat {now} {} {hog_ns}", BLOCKED.load(Relaxed)));
    }
}

/// A clock in nanoseconds.
pub fn clock_ns(clock: rustix::time::ClockId) -> u64 {
    let time = rustix::time::clock_gettime(clock);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Prints one line and sends it on its way at once; a closed pipe is no reason to stop serving.
pub fn say(line: &str) {
    let mut out = std::io::stdout();
    let _ = out.write_all(format!("{line}\n").as_bytes());
    let _ = out.flush();
}
