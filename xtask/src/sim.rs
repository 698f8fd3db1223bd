//! The whole scheduler in a simulated machine, in many schedules; see `crates/sys/src/sim.rs`.

use crate::cmd;
use anyhow::{Context, Result, bail};
use std::process::Command;
use std::time::Duration;

/// The whole run's limit.
const LIMIT: Duration = Duration::from_secs(30 * 60);
/// Schedules of `cargo xtask sim`, and of CI.
const SCHEDULES: u64 = 100_000;
pub(crate) const SCHEDULES_IN_CI: u64 = 30_000;
/// Each number of Ps is a process, and gets its share.
const PROCS: [u64; 3] = [1, 2, 3];

/// `cargo xtask sim [--schedules N] [--seed N] [--only TEXT] [--procs N]`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let (mut schedules, mut seed, mut only, mut procs) = (SCHEDULES, 1, None, None);
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} needs a value"));
        match word.as_str() {
            "--schedules" => schedules = value()?.parse().context("--schedules takes a number")?,
            "--seed" => seed = value()?.parse().context("--seed takes a number")?,
            "--only" => only = Some(value()?.clone()),
            "--procs" => procs = Some(value()?.parse().context("--procs takes a number")?),
            other => {
                bail!("no option `{other}`: --schedules N, --seed N, --only TEXT and --procs N are there")
            }
        }
    }
    run_schedules(schedules, seed, only.as_deref(), procs)
}

/// Divides `schedules` among the numbers of Ps, or gives them all to `procs`.
pub(crate) fn run_schedules(schedules: u64, seed: u64, only: Option<&str>, procs: Option<u64>) -> Result<()> {
    let all = procs.map_or(PROCS.to_vec(), |procs| vec![procs]);
    let each = schedules.div_ceil(all.len() as u64);
    for procs in all {
        let mut command = command();
        command.env("GOPARK_MAXPROCS", procs.to_string());
        command.env("GOPARK_SIM_SCHEDULES", each.to_string()).env("GOPARK_SIM_SEED", seed.to_string());
        if let Some(only) = only {
            command.env("GOPARK_SIM_ONLY", only);
        }
        let again = format!("with {procs} Ps; the report above names the seed and who waits for what");
        cmd::run(&mut command, LIMIT, None).context(again)?;
    }
    Ok(())
}

fn command() -> Command {
    let mut cmd = cmd::cargo("test --quiet --release -p gopark-sched --test sim_* -- --nocapture");
    cmd.env("CARGO_TARGET_DIR", cmd::target_dir("sim"));
    // Optimised, since there are many; not link-time optimised, since that takes longer than it saves.
    cmd.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    cmd.env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true");
    cmd::add_rustflags(&mut cmd, "--cfg sim");
    cmd
}
