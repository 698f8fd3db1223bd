//! Where the figures were measured: without that they mean nothing.

use super::build::root;
use super::child::Cpus;
use std::fs::read_to_string;
use std::process::Command;

/// More runnable tasks than this at the start, and the machine is not quiet.
const LOAD_QUIET_MAX: f64 = 0.5;

/// A few lines about machine, kernel, toolchains and commit.
pub(crate) fn describe(cpus: &Cpus) -> String {
    let cpuinfo = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    let model = model.trim_start_matches([' ', '\t', ':']);
    let count = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let changed = if first_line("git", &["status", "--porcelain"]).is_empty() { "" } else { " with changes" };
    [
        format!("date     {}", first_line("date", &["-u", "+%F %H:%M UTC"])),
        format!(
            "machine  {model}, {count} CPUs (used: {} and {}), Linux {}",
            cpus.load,
            cpus.server,
            kernel.trim()
        ),
        format!("rust     {}", first_line("rustc", &["--version"])),
        format!("go       {}", first_line("go", &["version"])),
        format!("commit   {}{changed}", first_line("git", &["rev-parse", "--short=12", "HEAD"])),
    ]
    .join("\n")
}

/// A warning if other work runs on this machine now.
pub(crate) fn busy_warning() -> Option<String> {
    let text = read_to_string("/proc/loadavg").ok()?;
    let load: f64 = text.split_whitespace().next()?.parse().ok()?;
    (load > LOAD_QUIET_MAX).then(|| {
        format!(
            "warning: load average {load}: other work is or was just running, so judge no figure by this run"
        )
    })
}

/// The first line a program prints, or an empty one.
fn first_line(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).current_dir(root()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}
