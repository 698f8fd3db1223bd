//! `key_value_std` with other imports: see `gopark_examples::ported`. Here is the one line that it needs besides.

#![allow(unsafe_code)]

use gopark_examples::flags::Flags;
use gopark_examples::ported::key_value::serve;
use gopark_net::Runtime;
use std::error::Error;

const HELP: &str = "\
usage: key_value [--addr 127.0.0.1:9003]

  --addr HOST:PORT    where to listen (default 127.0.0.1:9003; port 0 lets the system choose)

Try it with `nc 127.0.0.1 9003`: SET name value, GET name, DEL name, WATCH name, COUNT, QUIT.
";

fn main() -> std::process::ExitCode {
    gopark_examples::main("key_value", HELP, run)
}

fn run(mut flags: Flags) -> Result<(), Box<dyn Error>> {
    let addr = flags.text("--addr")?.unwrap_or_else(|| "127.0.0.1:9003".to_owned());
    flags.finish()?;
    // SAFETY: no code here keeps a thread-local, or anything else of a thread, across a call that may block.
    unsafe { Runtime::start()? };
    Ok(serve(&addr)?)
}
