//! What gopark's network operations cost, `METRIC VALUE` a line.
//!
//! The counterpart is `peers/go/net`: the same operations in the same shapes and numbers.
//!
//! # Safety
//! What the start of the runtime asks for: nothing here touches a thread-local across a call that may block, and the
//! program is linked statically.
#![allow(unsafe_code)]

use gopark_benches::flags::Flags;
use gopark_benches::netops;
use gopark_benches::server::die_with_parent;
use gopark_net::Runtime;
use std::io;

fn main() -> io::Result<()> {
    die_with_parent();
    let mut flags = Flags::from_env();
    let (op, procs): (String, _) = (flags.take("op", String::new()), flags.take("procs", 1));
    flags.finish();
    let Some((_, run)) = netops::find(&op) else {
        eprintln!("net_gopark: no operation {op:?}");
        std::process::exit(2);
    };
    // SAFETY: see the head of this file.
    let rt = unsafe { Runtime::builder().max_procs(procs).start()? };
    for (metric, value) in rt.run(run)? {
        println!("{metric} {value:.3}");
    }
    Ok(())
}
