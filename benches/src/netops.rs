//! The operations of suite net, an area a file. An operation runs once and gives back its figures by name; to add one,
//! write it here and in `peers/go/net`, and list it in xtask's `suites/net/`.

use std::io;
use std::time::{Duration, Instant};

use crate::procfs::CpuMark;

mod copy;
mod tcp;
mod udp;

/// Figures by the names that xtask's columns have.
pub type Figures = Vec<(&'static str, f64)>;

/// One operation: its name on the command line, and what runs it.
pub type Op = (&'static str, fn() -> io::Result<Figures>);

const AREAS: &[&[Op]] = &[tcp::OPS, udp::OPS, copy::OPS];

/// An odd number, for medians: a single neighbour on the core must not decide.
const BATCHES: usize = 9;

/// The operation of that name.
pub fn find(name: &str) -> Option<Op> {
    AREAS.iter().flat_map(|ops| ops.iter()).find(|(known, _)| *known == name).copied()
}

/// Nanoseconds for each of a batch's `count` operations: the median of several batches, after one that only warms up.
fn each_ns(count: usize, mut batch: impl FnMut() -> io::Result<Duration>) -> io::Result<Figures> {
    batch()?;
    let mut found = Vec::with_capacity(BATCHES);
    for _ in 0..BATCHES {
        found.push(batch()?.as_nanos() as f64 / count as f64);
    }
    found.sort_by(f64::total_cmp);
    Ok(vec![("ns", found[BATCHES / 2])])
}

/// Time and CPU time of a batch, for each of `ops` operations and of `packets` packets: medians.
fn measure(ops: usize, packets: usize, mut batch: impl FnMut() -> io::Result<()>) -> io::Result<Figures> {
    batch()?;
    let (mut times, mut cpu_times) = (Vec::new(), Vec::new());
    for _ in 0..BATCHES {
        let (mark, start) = (CpuMark::take(std::process::id())?, Instant::now());
        batch()?;
        let took: Duration = start.elapsed();
        let cpu_ns = CpuMark::take(std::process::id())?.since(&mark);
        times.push(took.as_nanos() as f64 / ops as f64);
        cpu_times.push(cpu_ns as f64 / packets as f64);
    }
    let median = |list: &mut Vec<f64>| {
        list.sort_by(f64::total_cmp);
        list[BATCHES / 2]
    };
    Ok(vec![("ns", median(&mut times)), ("cpu_ns", median(&mut cpu_times))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_found_by_their_unique_names() {
        let names: Vec<&str> = AREAS.iter().flat_map(|ops| ops.iter()).map(|(name, _)| *name).collect();
        for (i, name) in names.iter().enumerate() {
            assert!(!names[..i].contains(name), "{name} is there twice");
            assert_eq!(find(name).map(|(found, _)| found), Some(*name));
        }
        assert!(find("no such thing").is_none());
    }
}
