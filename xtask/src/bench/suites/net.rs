//! Sockets between goroutines of one process: what a call of the network costs beside Go's. Each case is a process of
//! its own in each round. An area a file; each lists its operations.

mod copy;
mod tcp;
mod udp;

use super::{case, flag};
use crate::bench::Bench;
use crate::bench::build::{Contender, Kind};
use crate::bench::child::{Place, Running};
use crate::bench::measure::{Case, Column};
use crate::bench::options::Suite;
use crate::bench::target::Target;
use anyhow::{Context, Result};
use std::process::Command;
use std::time::Duration;

/// Far more than a run takes.
const RUN_MAX: Duration = Duration::from_secs(120);

const NS: &[Column] = &[Column::new("ns", "ns", 1)];

/// Those that have sockets, and goroutines to use them.
const STACKFUL: &[Kind] = &[Kind::Gopark, Kind::Base, Kind::Go];

/// An operation whose program prints its figures, `METRIC VALUE` a line, and ends.
struct Operation {
    /// On the command line, and in the report.
    name: &'static str,
    title: &'static str,
    /// One P has a core for itself; two share both cores.
    procs: usize,
    kinds: &'static [Kind],
    columns: &'static [Column],
    targets: fn() -> Vec<Target>,
}

fn operations() -> impl Iterator<Item = &'static Operation> {
    [tcp::OPERATIONS, udp::OPERATIONS, copy::OPERATIONS].into_iter().flatten()
}

pub(super) fn run(bench: &mut Bench) -> Vec<Case> {
    let mut cases = Vec::new();
    for operation in operations() {
        if bench.wants_case(operation.name) {
            cases.push(operation.measure(bench));
        }
    }
    cases
}

impl Operation {
    fn measure(&self, bench: &mut Bench) -> Case {
        let (name, title) = (self.name.to_owned(), self.title.to_owned());
        let mut case = case(Suite::Net, name, title, self.columns, (self.targets)());
        let contenders: Vec<_> =
            bench.contenders(self.kinds).into_iter().filter(|contender| contender.net.is_some()).collect();
        let failures =
            case.interleave(&contenders, bench.options.rounds, |contender| self.once(bench, contender));
        bench.failures += failures;
        case
    }

    fn once(&self, bench: &Bench, contender: &Contender) -> Result<Vec<(&'static str, f64)>> {
        let program = contender.net.as_ref().context("it has no such program")?;
        let mut command = Command::new(program);
        command.args(flag("op", self.name)).args(flag("procs", self.procs));
        let place = if self.procs == 1 { Place::Core(bench.cpus.server) } else { Place::Both };
        let running = Running::start(command, &contender.name, bench.cpus, place)?;
        let lines = running.output(RUN_MAX)?;
        let value = |column: &Column| {
            let found = lines.iter().find_map(|line| value_of(line, column.metric));
            found.map(|value| (column.metric, value)).with_context(|| format!("it printed {lines:?}"))
        };
        self.columns.iter().map(value).collect()
    }
}

/// `METRIC VALUE`, if it is that metric.
fn value_of(line: &str, metric: &str) -> Option<f64> {
    line.strip_prefix(metric)?.strip_prefix(' ')?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let names: Vec<_> = operations().map(|operation| operation.name).collect();
        for (i, name) in names.iter().enumerate() {
            assert!(!names[..i].contains(name), "{name}");
        }
    }

    #[test]
    fn a_value_belongs_to_its_metric_alone() {
        assert_eq!(value_of("ns 12.50", "ns"), Some(12.5));
        assert_eq!(value_of("nsec 12.50", "ns"), None);
        assert_eq!(value_of("ns soon", "ns"), None);
    }
}
