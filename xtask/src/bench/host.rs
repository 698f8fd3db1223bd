//! Where the figures were measured: without that they mean nothing.

use super::build::root;
use super::child::Cpus;
use std::fs::read_to_string;
use std::process::Command;

/// A hundredth of the machine for others shifts the figures less than two equal runs differ.
const OTHERS_QUIET_MAX: f64 = 0.02;
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

/// CPU time of the whole machine and of this benchmark, in the kernel's ticks, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    /// All modes together, idle included.
    all: f64,
    /// User, nice and system time of everybody.
    busy: f64,
    /// Time in which the hypervisor ran something else.
    stolen: f64,
    /// User and system time of this process and its children that have ended.
    own: f64,
}

impl Usage {
    /// Reads it; zeros where `/proc` says nothing.
    pub(crate) fn now() -> Usage {
        let machine = read_to_string("/proc/stat").unwrap_or_default();
        let process = read_to_string("/proc/self/stat").unwrap_or_default();
        Usage::parse(&machine, &process)
    }

    fn parse(machine: &str, process: &str) -> Usage {
        let ticks = |text: &str| -> Vec<f64> {
            text.split_whitespace().map(|word| word.parse().unwrap_or(0.0)).collect()
        };
        // proc_stat(5): user nice system idle iowait irq softirq steal; guests are part of user.
        let modes = ticks(machine.lines().next().unwrap_or_default().trim_start_matches("cpu"));
        let mode = |index: usize| modes.get(index).copied().unwrap_or(0.0);
        // proc_pid_stat(5): behind the name, utime stime cutime cstime are the 12th to the 15th.
        let fields = ticks(process.rsplit(')').next().unwrap_or_default());
        Usage {
            all: modes.iter().take(8).sum(),
            busy: mode(0) + mode(1) + mode(2),
            stolen: mode(7),
            own: fields.iter().skip(11).take(4).sum(),
        }
    }

    /// What others took of the machine since `earlier`, in words, and a warning if it was too much.
    pub(crate) fn others_since(&self, earlier: &Usage) -> (String, Option<String>) {
        let all = (self.all - earlier.all).max(1.0);
        let others = ((self.busy - earlier.busy) - (self.own - earlier.own)).max(0.0) / all;
        let stolen = (self.stolen - earlier.stolen) / all;
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        let line = format!("others   other processes {}, hypervisor {}", percent(others), percent(stolen));
        let warning = (others + stolen > OTHERS_QUIET_MAX).then(|| {
            let share = percent(others + stolen);
            format!(
                "warning: {share} of the machine went to other work meanwhile: judge no figure by this run"
            )
        });
        (line, warning)
    }
}

/// The first line a program prints, or an empty one.
fn first_line(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).current_dir(root()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
