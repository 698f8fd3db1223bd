//! The repository's own tasks: one entry for what a person runs and for what CI runs.
//!
//! `cargo xtask help` lists them. yaml and shell hold no logic: they call this program.

#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
mod bench;
#[cfg(not(target_os = "linux"))]
mod bench {
    //! The benchmarks read /proc and pin processes: they run on Linux.
    pub(crate) fn run(_args: &[String]) -> anyhow::Result<()> {
        anyhow::bail!("the benchmarks measure by what /proc says: they run on Linux only")
    }
}
mod ci;
mod cmd;
mod fuzz;
mod loom;
mod peers;
mod sim;
mod soak;
mod tidy;
mod tools;

use std::process::ExitCode;

const HELP: &str = "\
usage: cargo xtask COMMAND [ARGUMENTS]

  ci [STEP...]      every check, in CI's order, with timings; with names, those steps alone
  ci --list         the steps and the command behind each
  tidy              the rules that a program can check (layers, unsafe, sizes, comments, words)
  loom [FILTER]     the loom models of the lock-free parts (FILTER: part of a test's name)
  sim [ARGS...]     the whole scheduler in a simulated machine: 100,000 schedules (--schedules N, --seed N,
                    --only SCENARIO, --procs N)
  fuzz [ARGS...]    the parsers, with inputs that libFuzzer finds (TARGET..., --seconds N for each)
  soak [ARGS...]    everything at random for ten minutes (--minutes N, --seed N, --procs N)
  peers [CHECK...]  the examples against curl, nginx, redis-benchmark, openssl, dnsmasq and a lossy link; what is
                    missing is named and skipped (--list: the checks)
  bench [ARGS...]   the benchmarks; `cargo xtask bench help` says more
  help              this text
";

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let command = if args.is_empty() { "help".to_owned() } else { args.remove(0) };
    let outcome = match command.as_str() {
        "ci" => ci::run(&args),
        "tidy" => tidy::run(&args),
        "loom" => loom::run(&args),
        "sim" => sim::run(&args),
        "fuzz" => fuzz::run(&args),
        "soak" => soak::run(&args),
        "peers" => peers::run(&args),
        "bench" => bench::run(&args),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => {
            eprint!("xtask: no command `{other}`\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("xtask {command}: {e:#}");
            ExitCode::FAILURE
        }
    }
}
