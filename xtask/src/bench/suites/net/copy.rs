//! Many bytes: between connections, from files, of many pieces.

use super::{Operation, STACKFUL};
use crate::bench::build::Kind;
use crate::bench::measure::Column;
use crate::bench::target::Target;

const NS_AND_CPU: &[Column] = &[Column::new("ns", "ns/MiB", 0), Column::new("cpu_ns", "CPU ns/MiB", 0)];

const fn operation(name: &'static str, title: &'static str, targets: fn() -> Vec<Target>) -> Operation {
    Operation { name, title, procs: 1, kinds: STACKFUL, columns: NS_AND_CPU, targets }
}

/// No more than Go's time and CPU time, which is its throughput the other way round.
fn as_go() -> Vec<Target> {
    vec![Target::at_most("ns", 1.0, Kind::Go), Target::at_most("cpu_ns", 1.0, Kind::Go)]
}

pub(super) const OPERATIONS: &[Operation] = &[
    operation("copy-splice", "1 P: a proxy that splices, its client and its server; a MiB", as_go),
    operation("copy-memory", "1 P: the same, read and written; a MiB", Vec::new),
    operation("copy-sendfile", "1 P: a file in the page cache to a connection that is read; a MiB", as_go),
    operation("copy-writev", "1 P: 64 pieces of 1 KiB a call, and their reader; a MiB", as_go),
];
