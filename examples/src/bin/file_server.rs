//! `file_server_std` with other imports: see `gopark_examples::ported`. Here is the one line that it needs besides.

#![allow(unsafe_code)]

use gopark_examples::flags::Flags;
use gopark_examples::ported::file_server::serve;
use gopark_net::Runtime;
use std::error::Error;

const HELP: &str = "\
usage: file_server [--addr 127.0.0.1:8081] [--root .]

  --addr HOST:PORT    where to listen (default 127.0.0.1:8081; port 0 lets the system choose)
  --root FOLDER       what to serve (default: the current folder)
";

fn main() -> std::process::ExitCode {
    gopark_examples::main("file_server", HELP, run)
}

fn run(mut flags: Flags) -> Result<(), Box<dyn Error>> {
    let addr = flags.text("--addr")?.unwrap_or_else(|| "127.0.0.1:8081".to_owned());
    let root = flags.text("--root")?.unwrap_or_else(|| ".".to_owned());
    flags.finish()?;
    // SAFETY: no code here keeps a thread-local, or anything else of a thread, across a call that may block.
    unsafe { Runtime::start()? };
    Ok(serve(&addr, root.into())?)
}
