//! Echo: the whole path from the socket to the handler and back.

use super::{ECHO_COLUMNS, case, echo_metrics, flag};
use crate::bench::Bench;
use crate::bench::build::Kind;
use crate::bench::child::Place;
use crate::bench::load::{self, Load};
use crate::bench::measure::Case;
use crate::bench::options::Suite;
use crate::bench::target::{Bound, Target};

const EVERYBODY: &[Kind] = &[Kind::Gopark, Kind::Base, Kind::Epoll, Kind::Tokio, Kind::May, Kind::Go];
/// Those with a deadline that can be renewed before each read.
const WITH_DEADLINE: &[Kind] = &[Kind::Gopark, Kind::Base, Kind::Tokio, Kind::Go];

/// At a thousand connections runs differ more from each other, so that more counts as equal.
const EQUAL_WITHIN_AT_1000: f64 = 0.08;

/// One echo comparison.
struct Shape {
    suite: Suite,
    name: &'static str,
    title: &'static str,
    kinds: &'static [Kind],
    procs: usize,
    conns: usize,
    size: usize,
    read_deadline_s: Option<u32>,
    targets: Vec<Target>,
}

/// One P on one core, the load on the other.
pub(super) fn pinned(bench: &mut Bench) -> Vec<Case> {
    let shape = |name, title, conns, size, targets| Shape {
        suite: Suite::Echo,
        name,
        title,
        kinds: EVERYBODY,
        procs: 1,
        conns,
        size,
        read_deadline_s: None,
        targets,
    };
    let at_64 = vec![
        Target::at_most("cpu_us", 1.06, Kind::Epoll),
        Target::at_most("cpu_us", 1.03, Kind::Tokio),
        Target::at_most("cpu_us", 0.85, Kind::Go),
    ];
    let at_1000 = vec![
        Target::at_most("cpu_us", 1.15, Kind::Epoll),
        Target::at_most("cpu_us", 0.85, Kind::Go),
        Target::at_most("p99_us", 1.0, Kind::Epoll),
        Target::absolute("slowest_tenth", Bound::AtLeast, 0.5),
    ];
    let shapes = [
        shape("1x64", "1 P pinned beside the load, 1 connection, 64 B", 1, 64, vec![]),
        shape("64x1k", "1 P pinned beside the load, 64 connections, 1 KiB", 64, 1024, at_64),
        shape("1000x1k", "1 P pinned beside the load, 1,000 connections, 1 KiB", 1000, 1024, at_1000),
        shape("64x16k", "1 P pinned beside the load, 64 connections, 16 KiB", 64, 16 * 1024, vec![]),
    ];
    run_all(bench, shapes)
}

/// Two Ps, server and load anywhere on two cores.
pub(super) fn unpinned(bench: &mut Bench) -> Vec<Case> {
    let shape = |name, title, conns, versus_tokio| Shape {
        suite: Suite::Echo2p,
        name,
        title,
        kinds: EVERYBODY,
        procs: 2,
        conns,
        size: 1024,
        read_deadline_s: None,
        targets: vec![
            Target::at_most("cpu_us", versus_tokio, Kind::Tokio),
            Target::at_most("cpu_us", 0.9, Kind::Go),
            Target::at_most("p99_us", 1.0, Kind::Tokio),
            Target::at_most("p99_us", 1.0, Kind::Go),
        ],
    };
    let shapes = [
        shape("64x1k", "2 Ps, nothing pinned, 64 connections, 1 KiB", 64, 1.0),
        shape("1000x1k", "2 Ps, nothing pinned, 1,000 connections, 1 KiB", 1000, 1.1),
    ];
    run_all(bench, shapes)
}

/// The idle-timeout idiom: a deadline set anew before each read.
pub(super) fn deadline(bench: &mut Bench) -> Vec<Case> {
    let shape = Shape {
        suite: Suite::Deadline,
        name: "64x1k",
        title: "1 P pinned beside the load, 64 connections, 1 KiB, read deadline of 30 s renewed before each read",
        kinds: WITH_DEADLINE,
        procs: 1,
        conns: 64,
        size: 1024,
        read_deadline_s: Some(30),
        targets: vec![Target::at_most("cpu_us", 0.85, Kind::Go)],
    };
    run_all(bench, [shape])
}

fn run_all(bench: &mut Bench, shapes: impl IntoIterator<Item = Shape>) -> Vec<Case> {
    let mut cases = Vec::new();
    for shape in shapes {
        if bench.wants_case(shape.name) {
            cases.push(run(bench, shape));
        }
    }
    cases
}

fn run(bench: &mut Bench, shape: Shape) -> Case {
    let (server_place, load_place) = match shape.procs {
        1 => (Place::Core(bench.cpus.server), Place::Core(bench.cpus.load)),
        _ => (Place::Both, Place::Both),
    };
    // Everybody reads into 4 KiB, or a whole message if that is larger.
    let mut args = flag("buf", shape.size.max(4096)).to_vec();
    args.extend(shape.read_deadline_s.map(|seconds| flag("read-deadline-s", seconds)).into_iter().flatten());
    let load = Load { conns: shape.conns, size: shape.size, place: load_place };
    let mut case =
        case(shape.suite, shape.name.to_owned(), shape.title.to_owned(), ECHO_COLUMNS, shape.targets);
    if shape.conns >= 1000 {
        case.equal_within = EQUAL_WITHIN_AT_1000;
    }
    let contenders = bench.contenders(shape.kinds);
    let failures = case.interleave(&contenders, bench.options.rounds, |contender| {
        let (server, addr) = bench.serve(contender, server_place, shape.procs, &args)?;
        Ok(echo_metrics(&load::run(bench, addr, &server, load)?))
    });
    bench.failures += failures;
    case
}
