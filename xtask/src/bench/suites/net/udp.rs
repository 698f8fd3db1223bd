//! UDP.

use super::{Operation, STACKFUL};
use crate::bench::build::Kind;
use crate::bench::measure::Column;
use crate::bench::target::Target;

const NS_AND_CPU: &[Column] = &[Column::new("ns", "ns", 0), Column::new("cpu_ns", "CPU ns/packet", 0)];

const fn operation(name: &'static str, title: &'static str, targets: fn() -> Vec<Target>) -> Operation {
    Operation { name, title, procs: 1, kinds: STACKFUL, columns: NS_AND_CPU, targets }
}

/// For each packet at most this share of Go's time and of its CPU time.
fn at_most(share: f64) -> Vec<Target> {
    vec![Target::at_most("ns", share, Kind::Go), Target::at_most("cpu_ns", share, Kind::Go)]
}

pub(super) const OPERATIONS: &[Operation] = &[
    operation("udp-ping", "1 P: a datagram of 64 bytes there and back", || at_most(0.8)),
    operation("udp-self", "1 P: a datagram of 64 bytes to its sender", || at_most(0.8)),
    operation("udp-single", "1 P: bursts of 64 datagrams of 64 bytes, a call for each; a datagram", Vec::new),
    operation("udp-batch", "1 P: the same in batches, Go a call for each; a datagram", || at_most(0.4)),
    operation(
        "udp-segments",
        "1 P: 64 times 1200 bytes, GSO and GRO, Go a call for each; a datagram",
        || at_most(0.4),
    ),
];
