//! Channels, locks, timers, waves of goroutines: what the scheduler gives its users, beside Go's and, where they have
//! the same thing, tokio's and may's. Each case is a process of its own in each round.

use super::{case, flag};
use crate::bench::Bench;
use crate::bench::build::{Contender, Kind};
use crate::bench::child::{Place, Running};
use crate::bench::measure::{Case, Column};
use crate::bench::memory::{Memory, available, switches};
use crate::bench::options::Suite;
use crate::bench::target::{Bound, Target};
use anyhow::{Context, Result, ensure};
use std::process::Command;
use std::time::{Duration, Instant};

/// Far more than a run takes.
const RUN_MAX: Duration = Duration::from_secs(120);

const EVERYBODY: &[Kind] = &[Kind::Gopark, Kind::Base, Kind::Tokio, Kind::May, Kind::Go];
const WITHOUT_MAY: &[Kind] = &[Kind::Gopark, Kind::Base, Kind::Tokio, Kind::Go];
const STACKFUL: &[Kind] = &[Kind::Gopark, Kind::Base, Kind::Go];

const NS: &[Column] = &[Column::new("ns", "ns", 1)];
const MS: &[Column] = &[Column::new("ms", "ms", 1)];
const SKYNET: &[Column] = &[Column::new("cold_ms", "first ms", 0), Column::new("warm_ms", "later ms", 0)];
const WAKE: &[Column] = &[Column::new("p50_us", "p50 us", 1), Column::new("p99_us", "p99 us", 1)];

/// An operation whose program prints its figures and ends.
struct Operation {
    name: &'static str,
    title: &'static str,
    op: &'static str,
    /// One P has a core for itself; two share both cores with everybody.
    procs: usize,
    kinds: &'static [Kind],
    columns: &'static [Column],
    /// Ratios to Go's.
    limits: &'static [(&'static str, f64)],
}

const OPERATIONS: &[Operation] = &[
    Operation {
        name: "pingpong",
        title: "1 P: there and back over unbuffered channels",
        op: "pingpong",
        procs: 1,
        kinds: WITHOUT_MAY,
        columns: NS,
        limits: &[("ns", 0.4)],
    },
    Operation {
        name: "pingpong2",
        title: "2 Ps: there and back over unbuffered channels",
        op: "pingpong",
        procs: 2,
        kinds: WITHOUT_MAY,
        columns: NS,
        limits: &[("ns", 0.5)],
    },
    Operation {
        name: "chan",
        title: "1 P: one element through a channel with room for 128",
        op: "chan",
        procs: 1,
        kinds: EVERYBODY,
        columns: NS,
        limits: &[("ns", 0.6)],
    },
    Operation {
        name: "select",
        title: "1 P: select of two receives, and a send",
        op: "select",
        procs: 1,
        kinds: WITHOUT_MAY,
        columns: NS,
        limits: &[("ns", 0.8)],
    },
    Operation {
        name: "mutex",
        title: "1 P: lock and unlock, nobody else there",
        op: "mutex",
        procs: 1,
        kinds: EVERYBODY,
        columns: NS,
        limits: &[("ns", 1.0)],
    },
    Operation {
        name: "contended",
        title: "2 Ps: lock and unlock, four goroutines",
        op: "contended",
        procs: 2,
        kinds: EVERYBODY,
        columns: NS,
        limits: &[("ns", 1.0)],
    },
    Operation {
        name: "timer",
        title: "1 P: start a timer and stop it",
        op: "timer",
        procs: 1,
        kinds: WITHOUT_MAY,
        columns: NS,
        limits: &[("ns", 0.5)],
    },
    Operation {
        name: "fanout",
        title: "1 P: spawn 100 and wait for their WaitGroup, each",
        op: "fanout",
        procs: 1,
        kinds: EVERYBODY,
        columns: NS,
        limits: &[("ns", 0.45)],
    },
    Operation {
        name: "sleepers",
        title: "2 Ps: 100,000 goroutines that sleep 1 ms",
        op: "sleepers",
        procs: 2,
        kinds: WITHOUT_MAY,
        columns: MS,
        limits: &[("ms", 0.5)],
    },
    Operation {
        name: "wake",
        title: "2 Ps: from ready to running on a thread that slept",
        op: "wake",
        procs: 2,
        kinds: WITHOUT_MAY,
        columns: WAKE,
        limits: &[("p50_us", 1.0), ("p99_us", 1.0)],
    },
    Operation {
        name: "skynet",
        title: "2 Ps: sum a million numbers in a tree of goroutines",
        op: "skynet",
        procs: 2,
        kinds: WITHOUT_MAY,
        columns: SKYNET,
        limits: &[("cold_ms", 1.0), ("warm_ms", 0.5)],
    },
];

pub(super) fn run(bench: &mut Bench) -> Vec<Case> {
    let mut cases = Vec::new();
    for operation in OPERATIONS {
        if bench.wants_case(operation.name) {
            cases.push(operation.measure(bench));
        }
    }
    if bench.wants_case("burst") {
        cases.push(burst(bench));
    }
    for (name, sockets) in [("quiet", 0), ("quiet-sockets", 100)] {
        if bench.wants_case(name) {
            cases.push(quiet(bench, name, sockets));
        }
    }
    cases
}

impl Operation {
    fn measure(&self, bench: &mut Bench) -> Case {
        let targets =
            self.limits.iter().map(|&(metric, limit)| Target::at_most(metric, limit, Kind::Go)).collect();
        let mut case = case(Suite::Sched, self.name.to_owned(), self.title.to_owned(), self.columns, targets);
        let contenders = with_program(bench, self.kinds);
        let failures =
            case.interleave(&contenders, bench.options.rounds, |contender| self.once(bench, contender));
        bench.failures += failures;
        case
    }

    fn once(&self, bench: &Bench, contender: &Contender) -> Result<Vec<(&'static str, f64)>> {
        let place = if self.procs == 1 { Place::Core(bench.cpus.server) } else { Place::Both };
        let running = start(bench, contender, self.op, self.procs, &[], place)?;
        let lines = running.output(RUN_MAX)?;
        let value = |column: &Column| {
            let found = lines.iter().find_map(|line| value_of(line, column.metric));
            found.map(|value| (column.metric, value)).with_context(|| format!("it printed {lines:?}"))
        };
        self.columns.iter().map(value).collect()
    }
}

fn with_program(bench: &Bench, kinds: &[Kind]) -> Vec<Contender> {
    bench.contenders(kinds).into_iter().filter(|contender| contender.sched.is_some()).collect()
}

fn start(
    bench: &Bench,
    contender: &Contender,
    op: &str,
    procs: usize,
    args: &[String],
    place: Place,
) -> Result<Running> {
    let program = contender.sched.as_ref().context("it has no such program")?;
    let mut command = Command::new(program);
    command.args(flag("op", op)).args(flag("procs", procs)).args(args);
    Running::start(command, &contender.name, bench.cpus, place)
}

/// `METRIC VALUE`, if it is that metric.
fn value_of(line: &str, metric: &str) -> Option<f64> {
    line.strip_prefix(metric)?.strip_prefix(' ')?.trim().parse().ok()
}

/// Goroutines alive at once in a burst.
const BURST: u64 = 200_000;
/// What they need at most, in bytes: two pages of stack and page tables for each.
const BURST_NEEDS: u64 = BURST * 12_288;
/// So long after the burst its memory should be back.
const BACK_AFTER: Duration = Duration::from_secs(10);
const BURST_MAX: Duration = Duration::from_secs(60);

const BURST_COLUMNS: &[Column] = &[
    Column::new("left", "memory after 10 s/before", 2),
    Column::new("before_kib", "before KiB", 0),
    Column::new("peak_kib", "after the burst KiB", 0),
    Column::new("after_kib", "10 s later KiB", 0),
    Column::new("threads", "threads", 0),
];

/// Resident memory and page tables before a burst of goroutines and ten seconds after it.
fn burst(bench: &mut Bench) -> Case {
    let title = format!("2 Ps: memory after {BURST} goroutines were alive at once");
    let targets = vec![Target::absolute("left", Bound::AtMost, 1.1)];
    let mut case = case(Suite::Sched, "burst".to_owned(), title, BURST_COLUMNS, targets);
    let contenders = with_program(bench, STACKFUL);
    // A matter of memory: one round says it.
    let failures = case.interleave(&contenders, 1, |contender| one_burst(bench, contender));
    bench.failures += failures;
    case
}

fn one_burst(bench: &Bench, contender: &Contender) -> Result<Vec<(&'static str, f64)>> {
    let free = available()?;
    ensure!(free >= BURST_NEEDS, "{} MiB of memory are free, {} are needed", free >> 20, BURST_NEEDS >> 20);
    let mut running = start(bench, contender, "burst", 2, &flag("count", BURST), Place::Both)?;
    running.wait_for("ready", BURST_MAX)?;
    let before = Memory::of(running.pid())?;
    running.close_stdin();
    running.wait_for("done", BURST_MAX)?;
    let peak = Memory::of(running.pid())?;
    std::thread::sleep(BACK_AFTER);
    let after = Memory::of(running.pid())?;
    let kib = |memory: &Memory| (memory.rss + memory.page_tables) as f64 / 1024.0;
    Ok(vec![
        ("left", kib(&after) / kib(&before)),
        ("before_kib", kib(&before)),
        ("peak_kib", kib(&peak)),
        ("after_kib", kib(&after)),
        ("threads", after.threads as f64),
    ])
}

/// Quiet for so long before anybody counts.
const QUIET_FIRST: Duration = Duration::from_secs(1);
const QUIET_WATCHED: Duration = Duration::from_secs(5);

const QUIET_COLUMNS: &[Column] = &[
    Column::new("wakeups_s", "wake-ups a second", 1),
    Column::new("cpu_us_s", "CPU us a second", 1),
    Column::new("threads", "threads", 0),
];

/// How often the threads of a process in which nothing happens run all the same.
fn quiet(bench: &mut Bench, name: &str, sockets: usize) -> Case {
    let title = format!("2 Ps: nothing to do for a second, {sockets} open connections");
    let targets = vec![Target::absolute("wakeups_s", Bound::AtMost, 0.0)];
    let mut case = case(Suite::Sched, name.to_owned(), title, QUIET_COLUMNS, targets);
    let contenders = with_program(bench, STACKFUL);
    let failures = case.interleave(&contenders, bench.options.rounds.min(2), |contender| {
        one_quiet(bench, contender, sockets)
    });
    bench.failures += failures;
    case
}

fn one_quiet(bench: &Bench, contender: &Contender, sockets: usize) -> Result<Vec<(&'static str, f64)>> {
    let mut running = start(bench, contender, "quiet", 2, &flag("sockets", sockets), Place::Both)?;
    running.wait_for("quiet", RUN_MAX)?;
    std::thread::sleep(QUIET_FIRST);
    let (cpu, before, begin) =
        (crate::bench::memory::cpu_ns(running.pid())?, switches(running.pid())?, Instant::now());
    std::thread::sleep(QUIET_WATCHED);
    let woken = switches(running.pid())?.saturating_sub(before);
    let cpu = crate::bench::memory::cpu_ns(running.pid())?.saturating_sub(cpu);
    let seconds = begin.elapsed().as_secs_f64();
    Ok(vec![
        ("wakeups_s", woken as f64 / seconds),
        ("cpu_us_s", cpu as f64 / 1000.0 / seconds),
        ("threads", Memory::of(running.pid())?.threads as f64),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_belongs_to_its_metric_alone() {
        assert_eq!(value_of("ns 12.50", "ns"), Some(12.5));
        assert_eq!(value_of("nsec 12.50", "ns"), None);
        assert_eq!(value_of("p50_us 3", "p99_us"), None);
        assert_eq!(value_of("ns soon", "ns"), None);
    }

    #[test]
    fn names_are_unique_and_limits_are_of_shown_columns() {
        for (i, operation) in OPERATIONS.iter().enumerate() {
            assert!(OPERATIONS[..i].iter().all(|other| other.name != operation.name), "{}", operation.name);
            for (metric, _) in operation.limits {
                let shown = operation.columns.iter().any(|column| column.metric == *metric);
                assert!(shown, "{} has no {metric}", operation.name);
            }
        }
    }
}
