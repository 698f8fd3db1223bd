//! The loom models: every interleaving (up to a preemption bound) of the lock-free parts.
//!
//! Each model chooses its bound; LOOM_MAX_PREEMPTIONS in the environment changes it for all.

use crate::cmd;
use anyhow::{Context, Result};
use std::process::Command;
use std::time::Duration;

/// The whole run's limit.
pub(crate) const LIMIT: Duration = Duration::from_secs(15 * 60);

/// `cargo xtask loom [FILTER]`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    run_bounded(args, None)
}

/// With at most `preemptions` forced switches in every model, unless the environment says otherwise.
pub(crate) fn run_bounded(args: &[String], preemptions: Option<u32>) -> Result<()> {
    match command(args, preemptions)? {
        Some(mut cmd) => cmd::run(&mut cmd, LIMIT, None),
        None => {
            println!("no crate has a tests/loom_*.rs");
            Ok(())
        }
    }
}

/// The command behind the models, or None while no crate has one.
pub(crate) fn command(filter: &[String], preemptions: Option<u32>) -> Result<Option<Command>> {
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
    if let (Some(n), None) = (preemptions, std::env::var_os("LOOM_MAX_PREEMPTIONS")) {
        cmd.env("LOOM_MAX_PREEMPTIONS", n.to_string());
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
