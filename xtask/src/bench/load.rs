//! Running the load generator and reading what it measured.

use super::Bench;
use super::child::{Place, Running};
use anyhow::{Context, Result};
use serde_json::Value;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

/// What connecting, warming up and ending may take beyond the measured time.
const GRACE: Duration = Duration::from_secs(60);

/// What load to make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) conns: usize,
    /// Bytes a message.
    pub(crate) size: usize,
    pub(crate) place: Place,
}

/// What one run of it found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) requests: f64,
    /// The measured time, seconds.
    pub(crate) seconds: f64,
    /// Its begin and end on the monotonic clock, nanoseconds.
    pub(crate) window_ns: (u64, u64),
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    /// Rate of the slowest tenth of the connections over the mean rate.
    pub(crate) slowest_tenth: f64,
    /// CPU time of the server process in the measured time, seconds.
    pub(crate) server_cpu_s: f64,
    /// The same for each thread that was alive at the end: thread id and seconds.
    pub(crate) server_threads: Vec<(u32, f64)>,
}

impl Outcome {
    /// CPU microseconds of the server for each request; infinite when none was served.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.server_cpu_s * 1e6 / self.requests
    }

    /// Requests a second.
    pub(crate) fn rate(&self) -> f64 {
        self.requests / self.seconds
    }
}

/// Loads the server and measures for the time the user chose.
///
/// # Errors
/// The load generator failed: a byte was wrong, a connection broke, or it took too long.
pub(crate) fn run(bench: &Bench, addr: SocketAddr, server: &Running, load: Load) -> Result<Outcome> {
    let mut command = Command::new(&bench.programs.load);
    let seconds = bench.options.measure.as_secs_f64();
    command.args(["--addr", &addr.to_string()]);
    command.args(["--conns", &load.conns.to_string()]);
    command.args(["--size", &load.size.to_string()]);
    command.args(["--seconds", &seconds.to_string()]);
    // More connections take longer to reach their steady pace.
    command.args(["--warmup-s", if load.conns >= 1000 { "1" } else { "0.5" }]);
    command.args(["--server-pid", &server.pid().to_string()]);
    let running = Running::start(command, "load", bench.cpus, load.place)?;
    let lines = running.output(bench.options.measure + GRACE)?;
    let line = lines.last().context("load printed nothing")?;
    parse(line).with_context(|| format!("load printed {line:?}"))
}

fn parse(line: &str) -> Result<Outcome> {
    let value: Value = serde_json::from_str(line)?;
    let number = |name: &str| value[name].as_f64().with_context(|| format!("no {name}"));
    let nanos = |name: &str| value[name].as_u64().with_context(|| format!("no {name}"));
    let window_ns = (nanos("begin_ns")?, nanos("end_ns")?);
    let threads = value["server_threads"].as_object().context("no server_threads")?;
    Ok(Outcome {
        requests: number("requests")?,
        seconds: (window_ns.1 - window_ns.0) as f64 / 1e9,
        window_ns,
        p50_us: number("p50_us")?,
        p99_us: number("p99_us")?,
        p999_us: number("p999_us")?,
        slowest_tenth: number("slowest_tenth")?,
        server_cpu_s: number("server_cpu_ns")? / 1e9,
        server_threads: threads
            .iter()
            .filter_map(|(tid, ns)| Some((tid.parse().ok()?, ns.as_f64()? / 1e9)))
            .collect(),
    })
}

#[cfg(test)]
mod tests;
