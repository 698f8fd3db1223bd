//! Everything that the scheduler offers at random, for as long as one likes: `cargo xtask soak`.
//!
//! Actors, goroutines and some plain threads, draw one step after another: they spawn, wait, panic, loop, block,
//! sleep, send, receive, select, lock, talk over sockets. What must hold is checked all the time: a value sent arrives
//! once and in order, a lock excludes, nobody wakes early, bytes come back as they went. At the end all that was there
//! in the beginning is there again, and nothing else: goroutines, threads, descriptors, timers, memory.
//!
//! The seed decides what the actors do, not when: the same seed makes a failure likely again, not sure. When nothing
//! moves any more, or something does not hold, the program says what, shows all goroutines and the scheduler's numbers,
//! and ends with status 1.
//!
//! # Safety
//! What the start of the runtime asks for: nothing here touches a thread-local across a call that may block, and the
//! program is linked statically.
#![allow(unsafe_code)]

use gopark_benches::flags::Flags;
use gopark_benches::server::die_with_parent;
use gopark_benches::soak::{self, Settings};
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn main() -> io::Result<()> {
    die_with_parent();
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| u64::from(now.subsec_nanos()));
    let mut flags = Flags::from_env();
    let settings = Settings {
        seed: flags.take("seed", clock),
        length: Duration::from_secs_f64(flags.take("seconds", 600.0)),
        procs: flags.take("procs", 2),
        actors: flags.take("actors", 200),
        threads: flags.take("threads", 4),
    };
    flags.finish();
    // SAFETY: see the head of this file.
    let rt = unsafe { gopark_net::Runtime::builder().max_procs(settings.procs).start()? };
    soak::run(&rt, &settings)
}
