//! Namespaces of a check's own: networks without a way out, which end with the check, whatever becomes of it.

use super::child::{command, sh};
use super::{Check, Examples, INSIDE, LIMIT};
use crate::cmd;
use anyhow::{Context, Result, ensure};
use std::process::{Command, Stdio};

/// New network, mounts and processes; all processes are killed when the first ends.
const UNSHARE: [&str; 6] = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];

/// Why there can be none here, or None.
pub(super) fn not_permitted() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("network namespaces need root (sudo cargo xtask peers)".to_owned());
    }
    match sh("unshare", &[&UNSHARE[..], &["ip", "link", "set", "lo", "up"]].concat()) {
        Ok(_) => None,
        Err(e) => Some(format!("network namespaces are not permitted here ({e:#})")),
    }
}

/// Runs this program again in namespaces of its own, for this check alone.
pub(super) fn run(check: &Check) -> Result<String> {
    let this = std::env::current_exe().context("where is this program?")?;
    let report = cmd::target_dir("peers").join(format!("{}.report", check.name));
    // Of an earlier run.
    let _ = std::fs::remove_file(&report);
    let mut command: Command = command("unshare", &UNSHARE);
    command.arg(this).args(["peers", INSIDE, check.name]).stdin(Stdio::null());
    cmd::run(&mut command, LIMIT, None)?;
    std::fs::read_to_string(&report).with_context(|| format!("read {}", report.display()))
}

/// The other side of [`run`]: makes the check, and leaves what it says in a file.
pub(super) fn enter(check: &Check) -> Result<()> {
    // Process 1 of these namespaces, or `--inside` was written by hand: then networks of the machine would be changed.
    ensure!(std::process::id() == 1, "{INSIDE} is for `cargo xtask peers` itself");
    let examples = Examples::find()?;
    sh("ip", &["link", "set", "lo", "up"])?;
    let said = (check.run)(&examples)?;
    let report = examples.file(&format!("{}.report", check.name));
    std::fs::write(&report, said).with_context(|| format!("write {report}"))
}
