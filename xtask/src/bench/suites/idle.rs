//! What a connection costs that only waits: each handler is parked in a plain read into its own 4 KiB buffer.

use super::case;
use crate::bench::Bench;
use crate::bench::build::{Contender, Kind};
use crate::bench::child::{Place, Running};
use crate::bench::measure::{Case, Column};
use crate::bench::memory::{Memory, cpu_ns};
use crate::bench::options::Suite;
use crate::bench::target::{Bound, Target};
use anyhow::Result;
use std::process::Command;
use std::time::{Duration, Instant};

/// Fits into 20,000 descriptors on either side.
const CONNS: usize = 18_000;
/// Local addresses of the client; one has some 28,000 ports towards one server.
const SOURCES: usize = 4;
/// Opening them all, one echo on each.
const OPEN_MAX: Duration = Duration::from_secs(120);
/// Before memory is read: caches settle, Go's collector comes to rest.
const SETTLE: Duration = Duration::from_secs(2);
const WATCH_MIN: Duration = Duration::from_secs(3);

const COLUMNS: &[Column] = &[
    Column::new("rss", "RSS bytes/conn", 0),
    Column::new("page_tables", "page tables bytes/conn", 0),
    Column::new("idle_cpu_pct", "idle CPU %", 3),
    Column::new("maps", "mappings", 0),
    Column::new("threads", "threads", 0),
    Column::new("open_us", "CPU us to open, echo", 1),
];

pub(super) fn run(bench: &mut Bench) -> Vec<Case> {
    let title = format!("{CONNS} connections, one echo on each, then silence; 2 Ps");
    let targets =
        vec![Target::at_most("rss", 1.12, Kind::Go), Target::absolute("idle_cpu_pct", Bound::AtMost, 0.1)];
    let mut case = case(Suite::Idle, format!("{CONNS}"), title, COLUMNS, targets);
    let contenders =
        bench.contenders(&[Kind::Gopark, Kind::Base, Kind::Epoll, Kind::Tokio, Kind::May, Kind::Go]);
    // Memory varies little from run to run, and a run takes long.
    let rounds = bench.options.rounds.min(3);
    let failures = case.interleave(&contenders, rounds, |contender| one(bench, contender));
    bench.failures += failures;
    vec![case]
}

fn one(bench: &Bench, contender: &Contender) -> Result<Vec<(&'static str, f64)>> {
    let (server, addr) = bench.serve(contender, Place::Both, 2, &[])?;
    let pid = server.pid();
    let (empty, opening) = (Memory::of(pid)?, cpu_ns(pid)?);
    let mut command = Command::new(&bench.programs.load);
    command.args(["--addr", &addr.to_string(), "--hold", "yes", "--size", "64"]);
    command.args(["--conns", &CONNS.to_string(), "--sources", &SOURCES.to_string()]);
    let mut load = Running::start(command, "load", bench.cpus, Place::Both)?;
    load.wait_for("holding ", OPEN_MAX)?;
    let opened = cpu_ns(pid)?;
    std::thread::sleep(SETTLE);
    let full = Memory::of(pid)?;

    let (before, start) = (cpu_ns(pid)?, Instant::now());
    std::thread::sleep(bench.options.measure.max(WATCH_MIN));
    let idle = cpu_ns(pid)?.saturating_sub(before) as f64 / start.elapsed().as_nanos() as f64;
    // A connection that got lost would have been cheap: each must still answer.
    load.close_stdin();
    load.wait_for("alive", OPEN_MAX)?;

    let each = |bytes: u64| bytes as f64 / CONNS as f64;
    Ok(vec![
        ("rss", each(full.rss.saturating_sub(empty.rss))),
        ("page_tables", each(full.page_tables.saturating_sub(empty.page_tables))),
        ("idle_cpu_pct", idle * 100.0),
        ("maps", full.maps as f64),
        ("threads", full.threads as f64),
        ("open_us", each(opened.saturating_sub(opening)) / 1000.0),
    ])
}
