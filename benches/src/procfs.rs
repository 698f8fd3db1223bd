//! The CPU time of another process, from `/proc`.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

/// CPU time of each thread of a process at one moment, and the process' total as the kernel keeps it.
#[derive(Clone, Debug, Default)]
pub struct CpuMark {
    /// Thread id to nanoseconds on a CPU.
    pub threads: BTreeMap<u32, u64>,
    /// User and system time of the process, exited threads included; in steps of one tick, usually 10 ms.
    pub total_ns: u64,
}

impl CpuMark {
    /// Takes a mark of process `pid`.
    ///
    /// # Errors
    /// The process is gone, or `/proc` is not what Linux says it is.
    pub fn take(pid: u32) -> io::Result<CpuMark> {
        let mut threads = BTreeMap::new();
        for entry in std::fs::read_dir(format!("/proc/{pid}/task"))? {
            let entry = entry?;
            let Some(tid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            // A thread that ends between the listing and the reading is no error.
            if let Some(ns) = thread_ns(entry.path()) {
                threads.insert(tid, ns);
            }
        }
        Ok(CpuMark { threads, total_ns: total_ns(pid)? })
    }

    /// CPU time since `earlier`: to the nanosecond while no thread has ended, else to the kernel's tick.
    pub fn since(&self, earlier: &CpuMark) -> u64 {
        if earlier.threads.keys().all(|tid| self.threads.contains_key(tid)) {
            self.threads_since(earlier).values().sum()
        } else {
            self.total_ns.saturating_sub(earlier.total_ns)
        }
    }

    /// CPU time since `earlier`, for each thread alive now.
    pub fn threads_since(&self, earlier: &CpuMark) -> BTreeMap<u32, u64> {
        self.threads
            .iter()
            .map(|(tid, ns)| (*tid, ns.saturating_sub(earlier.threads.get(tid).copied().unwrap_or(0))))
            .collect()
    }
}

/// First word of `schedstat`: nanoseconds on a CPU.
fn thread_ns(task: PathBuf) -> Option<u64> {
    let text = std::fs::read_to_string(task.join("schedstat")).ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// `utime + stime` of `/proc/PID/stat`, proc_pid_stat(5).
fn total_ns(pid: u32) -> io::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let ticks = ticks_of(&text)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat: {text:?}")))?;
    Ok(ticks * 1_000_000_000 / rustix::param::clock_ticks_per_second())
}

fn ticks_of(stat: &str) -> Option<u64> {
    // The second field is the program's name in parentheses and may hold blanks and parentheses itself.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
    let user: u64 = fields.nth(11)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests;
