//! The soak: everything at random for minutes. The program is `benches/src/bin/soak.rs`.

use crate::cmd;
use anyhow::{Context, Result, bail};
use std::time::Duration;

/// Beyond the length that was asked for: building, coming to rest.
const LIMIT_MORE: Duration = Duration::from_secs(10 * 60);

/// `cargo xtask soak [--minutes N] [--seed N] [--procs N]`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let mut minutes = 10.0;
    let mut passed_on = Vec::new();
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let value = words.next().with_context(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--minutes" => minutes = value.parse().context("--minutes takes a number")?,
            "--seed" | "--procs" | "--actors" | "--threads" => {
                passed_on.extend([word.clone(), value.clone()])
            }
            other => bail!(
                "no option `{other}`: --minutes N, --seed N, --procs N, --actors N and --threads N are there"
            ),
        }
    }
    if !(0.01..=10_000.0).contains(&minutes) {
        bail!("0.01 to 10,000 minutes");
    }
    let length = Duration::from_secs_f64(minutes * 60.0);
    let mut command = cmd::cargo("run --quiet --release -p gopark-benches --bin soak --");
    command.args(["--seconds", &length.as_secs_f64().to_string()]).args(passed_on);
    let again = "what does not hold is said above, with the seed, the goroutines and the scheduler's numbers";
    cmd::run(&mut command, length + LIMIT_MORE, None).context(again)
}
