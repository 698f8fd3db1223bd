//! Parks many goroutines at once: prints `ready`, waits for the end of its input, parks them, prints
//! `parked NANOSECONDS`, and stays until it is killed.
//!
//! # Safety
//! What the start of the runtime asks for: nothing here touches a thread-local across a call that may block, and the
//! program is linked statically.
#![allow(unsafe_code)]

use gopark_benches::crowd::Crowd;
use gopark_benches::flags::Flags;
use gopark_benches::server::{die_with_parent, say};
use gopark_net::{Runtime, sleep};
use std::io::{self, Read as _};
use std::time::{Duration, Instant};

fn main() -> io::Result<()> {
    die_with_parent();
    let mut flags = Flags::from_env();
    let (count, procs) = (flags.take("count", 1_000_000), flags.take("procs", 2));
    flags.finish();
    // SAFETY: see the head of this file.
    let rt = unsafe { Runtime::builder().max_procs(procs).start()? };
    let crowd = Crowd::new(count);
    say("ready");
    io::stdin().read_to_end(&mut Vec::new())?;
    rt.run(move || {
        let start = Instant::now();
        crowd.gather();
        say(&format!("parked {}", start.elapsed().as_nanos()));
        loop {
            sleep(Duration::from_secs(3600));
        }
    })
}
