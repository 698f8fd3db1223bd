//! A program of std::net and threads, to be compared with `file_server`: see `gopark_examples::ported`.

use gopark_examples::flags::Flags;
use gopark_examples::ported::file_server_std::serve;
use std::error::Error;

const HELP: &str = "\
usage: file_server_std [--addr 127.0.0.1:8081] [--root .]

  --addr HOST:PORT    where to listen (default 127.0.0.1:8081; port 0 lets the system choose)
  --root FOLDER       what to serve (default: the current folder)
";

fn main() -> std::process::ExitCode {
    gopark_examples::main("file_server_std", HELP, run)
}

fn run(mut flags: Flags) -> Result<(), Box<dyn Error>> {
    let addr = flags.text("--addr")?.unwrap_or_else(|| "127.0.0.1:8081".to_owned());
    let root = flags.text("--root")?.unwrap_or_else(|| ".".to_owned());
    flags.finish()?;
    Ok(serve(&addr, root.into())?)
}
