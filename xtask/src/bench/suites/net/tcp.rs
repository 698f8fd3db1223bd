//! TCP.

use super::{NS, Operation, STACKFUL};
use crate::bench::build::Kind;
use crate::bench::measure::Column;
use crate::bench::target::{Bound, Target};

const MS: &[Column] = &[Column::new("ms", "ms", 0)];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "tcp-oneshot",
        title: "1 P: connect, accept, close on both sides",
        procs: 1,
        kinds: STACKFUL,
        columns: NS,
        targets: || vec![Target::at_most("ns", 0.7, Kind::Go)],
    },
    Operation {
        name: "tcp-pingpong",
        title: "1 P: 512 bytes there and back over one connection",
        procs: 1,
        kinds: STACKFUL,
        columns: NS,
        targets: || vec![Target::at_most("ns", 0.85, Kind::Go)],
    },
    Operation {
        name: "tcp-readwrite",
        title: "1 P: one byte at a time, both directions of one connection at once",
        procs: 1,
        kinds: STACKFUL,
        columns: NS,
        targets: || vec![Target::at_most("ns", 0.85, Kind::Go)],
    },
    Operation {
        name: "tcp-deadline",
        title: "1 P: move a read deadline, without reading the clock for it",
        procs: 1,
        kinds: STACKFUL,
        columns: NS,
        targets: || vec![Target::at_most("ns", 0.4, Kind::Go)],
    },
    Operation {
        name: "tcp-blackhole",
        title: "1 P: dial two families of which the first never answers",
        procs: 1,
        // Go has no door for two addresses but a resolver, and waits the same 300 ms.
        kinds: &[Kind::Gopark, Kind::Base],
        columns: MS,
        targets: || vec![Target::absolute("ms", Bound::AtMost, 320.0)],
    },
];
