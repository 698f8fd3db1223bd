//! A program of std::net and threads, to be compared with `key_value`: see `gopark_examples::ported`.

use gopark_examples::flags::Flags;
use gopark_examples::ported::key_value_std::serve;
use std::error::Error;

const HELP: &str = "\
usage: key_value_std [--addr 127.0.0.1:9003]

  --addr HOST:PORT    where to listen (default 127.0.0.1:9003; port 0 lets the system choose)

Try it with `nc 127.0.0.1 9003`: SET name value, GET name, DEL name, WATCH name, COUNT, QUIT.
";

fn main() -> std::process::ExitCode {
    gopark_examples::main("key_value_std", HELP, run)
}

fn run(mut flags: Flags) -> Result<(), Box<dyn Error>> {
    let addr = flags.text("--addr")?.unwrap_or_else(|| "127.0.0.1:9003".to_owned());
    flags.finish()?;
    Ok(serve(&addr)?)
}
