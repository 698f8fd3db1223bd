//! The loom models: every interleaving (up to a preemption bound) of the lock-free parts.

use crate::cmd;
use anyhow::{Context, Result};
use std::process::Command;
use std::time::Duration;

/// Loom's own advice for a bound that finds nearly every bug and still ends; an environment that
/// sets LOOM_MAX_PREEMPTIONS itself wins.
const PREEMPTIONS_MAX: &str = "3";

/// The whole run's limit.
pub(crate) const LIMIT: Duration = Duration::from_secs(15 * 60);

/// `cargo xtask loom [FILTER]`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    match command(args)? {
        Some(mut cmd) => cmd::run(&mut cmd, LIMIT, None),
        None => {
            println!("no crate has a tests/loom_*.rs");
            Ok(())
        }
    }
}

/// The command behind the models, or None while no crate has one.
pub(crate) fn command(filter: &[String]) -> Result<Option<Command>> {
    let packages = packages()?;
    if packages.is_empty() {
        return Ok(None);
    }
    let mut cmd = cmd::cargo("test --release");
    for package in packages {
        cmd.args(["-p", &package]);
    }
    cmd.args(["--test", "loom_*"]).args(filter);
    cmd.env("CARGO_TARGET_DIR", cmd::target_dir("loom"));
    // Models want optimised code, not link-time optimisation: it would cost minutes and buy nothing.
    cmd.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    cmd.env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true");
    if std::env::var_os("LOOM_MAX_PREEMPTIONS").is_none() {
        cmd.env("LOOM_MAX_PREEMPTIONS", PREEMPTIONS_MAX);
    }
    cmd::add_rustflags(&mut cmd, "--cfg loom");
    Ok(Some(cmd))
}

/// The packages that have models.
fn packages() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for layer in ["sys", "poll", "sched", "net"] {
        let dir = cmd::root().join("crates").join(layer).join("tests");
        if !dir.is_dir() {
            continue;
        }
        let entries = dir.read_dir().with_context(|| format!("read {}", dir.display()))?;
        let names = entries.map(|e| Ok(e?.file_name())).collect::<Result<Vec<_>>>()?;
        if names.iter().any(|n| n.to_string_lossy().starts_with("loom_")) {
            found.push(format!("gopark-{layer}"));
        }
    }
    Ok(found)
}
