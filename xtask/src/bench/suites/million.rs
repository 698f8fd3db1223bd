//! A million parked goroutines at the default stack size.

use super::case;
use crate::bench::Bench;
use crate::bench::build::{Contender, Kind};
use crate::bench::child::{Place, Running};
use crate::bench::measure::{Case, Column};
use crate::bench::memory::{Memory, available};
use crate::bench::options::Suite;
use anyhow::{Context, Result, ensure};
use std::process::Command;
use std::time::Duration;

const COUNT: u64 = 1_000_000;
const PARK_MAX: Duration = Duration::from_secs(180);
/// One page and its share of the page tables for each, with room to spare.
const NEEDED: u64 = COUNT * 8192;

const COLUMNS: &[Column] = &[
    Column::new("rss", "RSS bytes each", 0),
    Column::new("page_tables", "page tables bytes each", 0),
    Column::new("maps", "mappings", 0),
    Column::new("spawn_ns", "ns to start and park each", 0),
    Column::new("threads", "threads", 0),
];

pub(super) fn run(bench: &mut Bench) -> Vec<Case> {
    let title = format!("{COUNT} goroutines parked at once, default stack size, 2 Ps");
    let mut case = case(Suite::Million, "parked".to_owned(), title, COLUMNS, Vec::new());
    let contenders: Vec<Contender> = bench
        .contenders(&[Kind::Gopark, Kind::Base, Kind::Go])
        .into_iter()
        .filter(|contender| contender.million.is_some())
        .collect();
    // A matter of memory: one round says it.
    let failures = case.interleave(&contenders, 1, |contender| one(bench, contender));
    bench.failures += failures;
    vec![case]
}

fn one(bench: &Bench, contender: &Contender) -> Result<Vec<(&'static str, f64)>> {
    let free = available()?;
    ensure!(free >= NEEDED, "{} MiB of memory are free, {} are needed", free >> 20, NEEDED >> 20);
    let program = contender.million.as_ref().context("it has no such program")?;
    let mut command = Command::new(program);
    command.args(["--count", &COUNT.to_string(), "--procs", "2"]);
    let mut running = Running::start(command, &contender.name, bench.cpus, Place::Both)?;
    running.wait_for("ready", PARK_MAX)?;
    let empty = Memory::of(running.pid())?;
    running.close_stdin();
    let line = running.wait_for("parked ", PARK_MAX)?;
    let nanos: f64 = line.trim().parse().with_context(|| format!("it said `parked {line}`"))?;
    let full = Memory::of(running.pid())?;
    let each = |bytes: u64| bytes as f64 / COUNT as f64;
    Ok(vec![
        ("rss", each(full.rss.saturating_sub(empty.rss))),
        ("page_tables", each(full.page_tables.saturating_sub(empty.page_tables))),
        ("maps", full.maps as f64),
        ("spawn_ns", nanos / COUNT as f64),
        ("threads", full.threads as f64),
    ])
}
