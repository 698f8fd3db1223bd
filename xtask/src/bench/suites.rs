//! The suites: what is run, and what is wanted of it. Limits are ratios to peers measured in the same rounds.

mod echo;
mod hogs;
mod idle;
mod micro;
mod million;
mod net;
mod sched;

use super::Bench;
use super::build::{Contender, Kind};
use super::child::{Place, Running};
use super::load::Outcome;
use super::measure::{Case, Column};
use super::options::Suite;
use super::target::Target;
use anyhow::Result;
use std::net::SocketAddr;
use std::process::Command;

/// Runs one suite; what failed is in the notes of its cases and counted in `bench.failures`.
pub(crate) fn run(suite: Suite, bench: &mut Bench) -> Vec<Case> {
    match suite {
        Suite::Echo => echo::pinned(bench),
        Suite::Echo2p => echo::unpinned(bench),
        Suite::Deadline => echo::deadline(bench),
        Suite::Hogs => hogs::endless_loops(bench),
        Suite::Blocking => hogs::blocking_calls(bench),
        Suite::Idle => idle::run(bench),
        Suite::Micro => micro::run(bench),
        Suite::Million => million::run(bench),
        Suite::Sched => sched::run(bench),
        Suite::Net => net::run(bench),
    }
}

/// What every echo run is judged by.
const ECHO_COLUMNS: &[Column] = &[
    Column::new("cpu_us", "CPU us/req", 2),
    Column::new("rate", "req/s", 0),
    Column::new("p50_us", "p50 us", 0),
    Column::new("p99_us", "p99 us", 0),
    Column::new("p999_us", "p99.9 us", 0),
    Column::new("slowest_tenth", "slowest tenth", 2),
    Column::new("threads", "threads", 0),
];

/// The metrics of [`ECHO_COLUMNS`].
fn echo_metrics(outcome: &Outcome) -> Vec<(&'static str, f64)> {
    vec![
        ("cpu_us", outcome.cpu_us()),
        ("rate", outcome.rate()),
        ("p50_us", outcome.p50_us),
        ("p99_us", outcome.p99_us),
        ("p999_us", outcome.p999_us),
        ("slowest_tenth", outcome.slowest_tenth),
        ("threads", outcome.server_threads.len() as f64),
    ]
}

/// A case that was not run yet.
fn case(suite: Suite, name: String, title: String, columns: &'static [Column], targets: Vec<Target>) -> Case {
    Case {
        suite: suite.name(),
        name,
        title,
        columns,
        equal_within: 0.04,
        targets,
        rows: Vec::new(),
        notes: Vec::new(),
    }
}

impl Bench {
    /// The contenders of these kinds, in the order in which they were built.
    fn contenders(&self, kinds: &[Kind]) -> Vec<Contender> {
        self.programs.contenders.iter().filter(|contender| kinds.contains(&contender.kind)).cloned().collect()
    }

    /// Whether the user wants this case.
    fn wants_case(&self, name: &str) -> bool {
        self.options.case.as_ref().is_none_or(|part| name.contains(part.as_str()))
    }

    /// Starts a contender's echo server and waits until it listens.
    fn serve(
        &self,
        contender: &Contender,
        place: Place,
        procs: usize,
        args: &[String],
    ) -> Result<(Running, SocketAddr)> {
        let mut command = Command::new(&contender.echo);
        command.args(["--addr", "127.0.0.1:0", "--procs", &procs.to_string()]).args(args);
        Running::server(command, &contender.name, self.cpus, place)
    }
}

/// `--name value` as two arguments.
fn flag(name: &str, value: impl ToString) -> [String; 2] {
    [format!("--{name}"), value.to_string()]
}
