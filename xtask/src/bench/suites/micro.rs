//! What the scheduler's own operations cost, beside Go's and, where it has the same thing, tokio's.

use super::case;
use crate::bench::Bench;
use crate::bench::build::{Contender, Kind};
use crate::bench::child::{Place, Running};
use crate::bench::measure::{Case, Column, Row};
use crate::bench::options::Suite;
use crate::bench::target::Target;
use anyhow::{Context, Result};
use std::process::Command;
use std::time::Duration;

/// Far more than a run takes.
const RUN_MAX: Duration = Duration::from_secs(120);

const COLUMNS: &[Column] = &[Column::new("ns", "ns", 1)];

/// Name in the programs' output, words for the table, and the wanted ratio to Go's.
const OPERATIONS: &[(&str, &str, f64)] = &[
    ("create", "create and run, 100 at a time", 0.4),
    ("join", "spawn and join one", 0.4),
    ("yield2", "yield, 2 goroutines", 0.6),
    ("yield1000", "yield, 1,000 goroutines", 0.6),
    ("pingpong", "hand over and back (Go: unbuffered channels)", 0.4),
    ("deadline", "set a read deadline 30 s ahead", 0.45),
    ("cold50k", "50,000 alive at once, first time, each", 1.0),
    ("warm50k", "50,000 alive at once, again, each", 0.5),
];

pub(super) fn run(bench: &mut Bench) -> Vec<Case> {
    // All operations come from one process a run, so they are interleaved as one case and taken apart afterwards.
    let mut all = case(Suite::Micro, "all".to_owned(), String::new(), COLUMNS, Vec::new());
    let contenders: Vec<Contender> = bench
        .contenders(&[Kind::Gopark, Kind::Base, Kind::Tokio, Kind::Go])
        .into_iter()
        .filter(|contender| contender.micro.is_some())
        .collect();
    let failures = all.interleave(&contenders, bench.options.rounds, |contender| once(bench, contender));
    bench.failures += failures;
    let mut cases = Vec::new();
    for (name, title, limit) in OPERATIONS {
        let targets = vec![Target::at_most("ns", *limit, Kind::Go)];
        let mut case = case(Suite::Micro, (*name).to_owned(), (*title).to_owned(), COLUMNS, targets);
        case.rows = all.rows.iter().filter_map(|row| row_of(row, name)).collect();
        if bench.wants_case(name) {
            cases.push(case);
        }
    }
    if let Some(last) = cases.last_mut() {
        last.notes = all.notes;
    }
    cases
}

fn row_of(row: &Row, name: &str) -> Option<Row> {
    let values = row.samples.get(name)?.clone();
    Some(Row { samples: [("ns", values)].into_iter().collect(), ..row.clone() })
}

fn once(bench: &Bench, contender: &Contender) -> Result<Vec<(&'static str, f64)>> {
    let program = contender.micro.as_ref().context("it has no micro suite")?;
    let command = Command::new(program);
    let running = Running::start(command, &contender.name, bench.cpus, Place::Core(bench.cpus.server))?;
    let lines = running.output(RUN_MAX)?;
    let metrics: Vec<_> = lines.iter().filter_map(|line| metric_of(line)).collect();
    anyhow::ensure!(!metrics.is_empty(), "{} printed no figure", program.display());
    Ok(metrics)
}

/// `NAME NANOSECONDS`, if the name is a known one.
fn metric_of(line: &str) -> Option<(&'static str, f64)> {
    let (name, value) = line.split_once(' ')?;
    let (name, ..) = OPERATIONS.iter().find(|(known, ..)| *known == name)?;
    Some((name, value.trim().parse().ok()?))
}

#[cfg(test)]
mod tests;
