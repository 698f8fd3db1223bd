//! Echo beside handlers that do what handlers should not: loop for ever, or block without a word.

use super::{case, echo_metrics, flag};
use crate::bench::Bench;
use crate::bench::build::{Contender, Kind};
use crate::bench::child::{Place, Running};
use crate::bench::load::{self, Load, Outcome};
use crate::bench::measure::{Case, Column};
use crate::bench::options::Suite;
use crate::bench::target::{Bound, Target};
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::time::Duration;

/// Ps, cores used, and endless loops.
const PROCS: usize = 2;
const CONNS: usize = 16;
/// Goroutines in unannounced blocking calls.
const BLOCKERS: usize = 64;

const HOG_COLUMNS: &[Column] = &[
    Column::new("rate", "req/s", 0),
    Column::new("cpu_us", "CPU us/req", 2),
    Column::new("p50_us", "p50 us", 0),
    Column::new("p99_us", "p99 us", 0),
    Column::new("p999_us", "p99.9 us", 0),
    Column::new("hog_share", "hogs' share of their fair CPU", 2),
    Column::new("hog_thread_share", "by thread", 2),
    Column::new("threads", "threads", 0),
];

/// As many endless loops as Ps.
///
/// The hogs' fair share: what each would get if the kernel dealt the cores evenly among the hogs, one serving thread
/// and the load. It is taken twice: from the units of work the loops count (any runtime), and from the CPU time of
/// the threads they run on (where a loop stays on its thread; a Go loop does not).
pub(super) fn endless_loops(bench: &mut Bench) -> Vec<Case> {
    let title = format!("{PROCS} Ps, {PROCS} endless loops, {CONNS} connections, 1 KiB");
    let targets = vec![
        Target::at_least("rate", 4.0, Kind::Go),
        Target::at_most("p99_us", 0.15, Kind::Go),
        Target::absolute("hog_share", Bound::AtLeast, 0.8),
    ];
    let mut case = case(Suite::Hogs, format!("{PROCS}x{CONNS}"), title, HOG_COLUMNS, targets);
    let contenders = bench.contenders(&[Kind::Gopark, Kind::Base, Kind::Tokio, Kind::May, Kind::Go]);
    let failures =
        case.interleave(&contenders, bench.options.rounds, |contender| beside_hogs(bench, contender));
    bench.failures += failures;
    case.notes.push("a rate of 0 means: not one request was served".to_owned());
    vec![case]
}

fn beside_hogs(bench: &Bench, contender: &Contender) -> Result<Vec<(&'static str, f64)>> {
    let (mut server, addr) = bench.serve(contender, Place::Both, PROCS, &flag("hogs", PROCS))?;
    let outcome = load::run(bench, addr, &server, load_beside())?;
    let stats = Stats::of(&server_stats(&mut server)?, outcome.window_ns)?;
    let cores = PROCS as f64;
    let fair_s = cores * outcome.seconds * PROCS as f64 / (PROCS as f64 + 2.0);
    let mut metrics = echo_metrics(&outcome);
    metrics.push(("hog_share", stats.hog_cpu_s / fair_s));
    if let Some(hogs_s) = hog_threads(&mut server, &outcome) {
        metrics.push(("hog_thread_share", hogs_s / fair_s));
    }
    if outcome.requests == 0.0 {
        // Without an answer there is no latency; zero would read as the best of all.
        metrics.retain(|(metric, _)| !matches!(*metric, "p50_us" | "p99_us" | "p999_us" | "cpu_us"));
    }
    Ok(metrics)
}

/// CPU seconds of the threads that said `hog TID`, if the contender says so and none of them ended.
fn hog_threads(server: &mut Running, outcome: &Outcome) -> Option<f64> {
    let hogs: BTreeSet<u32> =
        server.lines().iter().filter_map(|line| line.strip_prefix("hog ")?.parse().ok()).collect();
    let threads = outcome.server_threads.iter().filter(|(tid, _)| hogs.contains(tid));
    (!hogs.is_empty() && threads.clone().count() == hogs.len())
        .then(|| threads.map(|(_, seconds)| seconds).sum())
}

const BLOCKING_COLUMNS: &[Column] = &[
    Column::new("p99_us", "p99 us", 0),
    Column::new("quiet_p99_us", "quiet p99 us", 0),
    Column::new("p99_over_quiet", "p99/quiet", 2),
    Column::new("blocked_share", "blockers' rate/possible", 2),
    Column::new("rate", "req/s", 0),
    Column::new("cpu_us", "CPU us/req", 2),
    Column::new("threads", "threads", 0),
];

/// Handlers that block in system calls of 0.2, 1 and 5 ms without telling the runtime.
pub(super) fn blocking_calls(bench: &mut Bench) -> Vec<Case> {
    let mut cases = Vec::new();
    for block_ms in [0.2, 1.0, 5.0] {
        let name = format!("{BLOCKERS}x{block_ms}ms");
        if !bench.wants_case(&name) {
            continue;
        }
        let title =
            format!("{PROCS} Ps, {BLOCKERS} goroutines blocking {block_ms} ms, {CONNS} connections, 1 KiB");
        let mut targets = vec![Target::absolute("p99_over_quiet", Bound::AtMost, 3.0)];
        if block_ms == 5.0 {
            targets.push(Target::absolute("blocked_share", Bound::AtLeast, 0.4));
        }
        let mut case = case(Suite::Blocking, name, title, BLOCKING_COLUMNS, targets);
        let contenders = bench.contenders(&[Kind::Gopark, Kind::Base, Kind::Go]);
        let failures = case.interleave(&contenders, bench.options.rounds, |contender| {
            beside_blockers(bench, contender, Duration::from_secs_f64(block_ms / 1000.0))
        });
        bench.failures += failures;
        cases.push(case);
    }
    cases
}

/// A quiet run and one beside the blockers, one right after the other.
fn beside_blockers(
    bench: &Bench,
    contender: &Contender,
    block: Duration,
) -> Result<Vec<(&'static str, f64)>> {
    let quiet = {
        let (server, addr) = bench.serve(contender, Place::Both, PROCS, &[])?;
        load::run(bench, addr, &server, load_beside())?
    };
    let args = [flag("blockers", BLOCKERS), flag("block-ms", block.as_secs_f64() * 1000.0)].concat();
    let (mut server, addr) = bench.serve(contender, Place::Both, PROCS, &args)?;
    let outcome = load::run(bench, addr, &server, load_beside())?;
    let stats = Stats::of(&server_stats(&mut server)?, outcome.window_ns)?;
    let possible = BLOCKERS as f64 / block.as_secs_f64();
    let mut metrics = echo_metrics(&outcome);
    metrics.push(("blocked_share", stats.blocked_per_s / possible));
    metrics.push(("quiet_p99_us", quiet.p99_us));
    metrics.push(("p99_over_quiet", outcome.p99_us / quiet.p99_us));
    Ok(metrics)
}

fn load_beside() -> Load {
    Load { conns: CONNS, size: 1024, place: Place::Both }
}

/// One `stat` line of a server.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stat {
    now_ns: f64,
    blocked: f64,
    hog_cpu_ns: f64,
}

/// All `stat` lines so far.
fn server_stats(server: &mut Running) -> Result<Vec<Stat>> {
    let lines = server.lines().iter().filter_map(|line| line.strip_prefix("stat "));
    lines.map(|line| stat_of(line).with_context(|| format!("cannot read `stat {line}`"))).collect()
}

fn stat_of(line: &str) -> Option<Stat> {
    let mut numbers = line.split_whitespace().map(|word| word.parse().ok());
    Some(Stat { now_ns: numbers.next()??, blocked: numbers.next()??, hog_cpu_ns: numbers.next()?? })
}

/// What the extra load got done in the measured time.
#[derive(Debug, PartialEq)]
struct Stats {
    blocked_per_s: f64,
    hog_cpu_s: f64,
}

impl Stats {
    /// From the reports inside the window, stretched to its whole length: they come every 50 ms, not at its ends.
    fn of(stats: &[Stat], window_ns: (u64, u64)) -> Result<Stats> {
        let (begin, end) = (window_ns.0 as f64, window_ns.1 as f64);
        let mut inside = stats.iter().filter(|stat| stat.now_ns >= begin && stat.now_ns <= end);
        let first = inside.next().context("the server reported nothing while it was measured")?;
        let last = inside.next_back().context("the server reported only once while it was measured")?;
        let seconds = (last.now_ns - first.now_ns) / 1e9;
        Ok(Stats {
            blocked_per_s: (last.blocked - first.blocked) / seconds,
            hog_cpu_s: (last.hog_cpu_ns - first.hog_cpu_ns) / 1e9 * ((end - begin) / 1e9) / seconds,
        })
    }
}

#[cfg(test)]
mod tests;
