//! Memory and threads of another process, from `/proc`.

use anyhow::{Context, Result};

/// What a process holds at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Resident pages, bytes. From `smaps_rollup`: `VmRSS` lags behind by the kernel's per-CPU counters.
    pub(crate) rss: u64,
    /// Page tables, bytes; not part of the resident size.
    pub(crate) page_tables: u64,
    /// Mappings.
    pub(crate) maps: u64,
    pub(crate) threads: u64,
}

impl Memory {
    /// Reads it for process `pid`.
    ///
    /// # Errors
    /// The process is gone.
    pub(crate) fn of(pid: u32) -> Result<Memory> {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
        };
        let status = read("status")?;
        Ok(Memory {
            rss: field(&read("smaps_rollup")?, "Rss:").context("smaps_rollup has no Rss")? * 1024,
            page_tables: field(&status, "VmPTE:").context("status has no VmPTE")? * 1024,
            maps: read("maps")?.lines().count() as u64,
            threads: field(&status, "Threads:").context("status has no Threads")?,
        })
    }
}

/// CPU time of all threads alive, nanoseconds: `utime` and `stime` come in steps too coarse for an idle process.
pub(crate) fn cpu_ns(pid: u32) -> Result<u64> {
    let folder = format!("/proc/{pid}/task");
    let mut total = 0;
    for task in std::fs::read_dir(&folder).with_context(|| format!("cannot read {folder}"))? {
        // A thread that ends meanwhile is no error.
        if let Ok(text) = std::fs::read_to_string(task?.path().join("schedstat")) {
            total += text.split_whitespace().next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Ok(total)
}

/// How often the threads of process `pid` have left a CPU so far, of their own will or not: each time, they had been
/// woken. Only the threads alive now; a process that makes or ends threads is not quiet anyway.
pub(crate) fn switches(pid: u32) -> Result<u64> {
    let folder = format!("/proc/{pid}/task");
    let mut total = 0;
    for task in std::fs::read_dir(&folder).with_context(|| format!("cannot read {folder}"))? {
        let Ok(text) = std::fs::read_to_string(task?.path().join("status")) else { continue };
        for name in ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"] {
            total += field(&text, name).with_context(|| format!("no {name} in the status of a thread"))?;
        }
    }
    Ok(total)
}

/// Memory that can be had without swapping, bytes.
pub(crate) fn available() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    Ok(field(&text, "MemAvailable:").context("/proc/meminfo has no MemAvailable")? * 1024)
}

/// The first number on the line that begins with `name`.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests;
