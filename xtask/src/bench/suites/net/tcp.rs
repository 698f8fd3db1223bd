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
        title: "2 Ps: one byte at a time, both directions of two connections at once",
        procs: 2,
        kinds: STACKFUL,
        columns: NS,
        targets: || vec![Target::at_most("ns", 0.85, Kind::Go)],
    },
    Operation {
        name: "tcp-readwrite1",
        title: "1 P: one byte at a time, both directions of one connection at once",
        procs: 1,
        kinds: STACKFUL,
        columns: NS,
        // No target: Go lets one goroutine write for 10 ms before any other runs, whereupon the kernel makes large
        // segments of what it writes; here 64 calls that did not wait are the most at a time.
        targets: Vec::new,
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
