//! What was measured: cases, their rows, and the medians over the rounds.

use super::build::{Contender, Kind};
use super::target::Target;
use anyhow::Result;
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};

/// One comparison: the same thing done by several contenders.
pub(crate) struct Case {
    pub(crate) suite: &'static str,
    /// Short name, unique in its suite.
    pub(crate) name: String,
    /// What is done, in words.
    pub(crate) title: String,
    /// The metrics shown; the first one is the one that ratios are given for.
    pub(crate) columns: &'static [Column],
    /// Ratios this close to a limit count as equal to it: 0.04 is 4 %.
    pub(crate) equal_within: f64,
    pub(crate) targets: Vec<Target>,
    pub(crate) rows: Vec<Row>,
    /// Failures and remarks.
    pub(crate) notes: Vec<String>,
}

/// A metric as it is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) metric: &'static str,
    pub(crate) title: &'static str,
    pub(crate) decimals: usize,
}

impl Column {
    pub(crate) const fn new(metric: &'static str, title: &'static str, decimals: usize) -> Column {
        Column { metric, title, decimals }
    }
}

/// One contender's values.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) contender: String,
    pub(crate) kind: Kind,
    /// Each metric's values, one a round.
    pub(crate) samples: BTreeMap<&'static str, Vec<f64>>,
}

impl Row {
    /// The median of a metric over the rounds.
    pub(crate) fn median(&self, metric: &str) -> Option<f64> {
        median(self.samples.get(metric)?)
    }

    /// The smallest and the largest value of a metric.
    pub(crate) fn spread(&self, metric: &str) -> Option<(f64, f64)> {
        let values = self.samples.get(metric)?;
        let least = values.iter().copied().reduce(f64::min)?;
        let most = values.iter().copied().reduce(f64::max)?;
        Some((least, most))
    }
}

/// The middle value, or the mean of the two middle ones.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        count if count % 2 == 1 => Some(sorted[middle]),
        // Two infinities have a sum but no difference: halve after adding.
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

impl Case {
    /// The row of the first contender of a kind.
    pub(crate) fn row_of(&self, kind: Kind) -> Option<&Row> {
        self.rows.iter().find(|row| row.kind == kind)
    }

    /// Runs every contender once a round, in an order that rotates, and collects the metrics `once` returns.
    ///
    /// A run that fails leaves a note and takes no further part; returns how many did.
    pub(crate) fn interleave(
        &mut self,
        contenders: &[Contender],
        rounds: usize,
        mut once: impl FnMut(&Contender) -> Result<Vec<(&'static str, f64)>>,
    ) -> usize {
        let mut rows: Vec<Row> = contenders.iter().map(empty_row).collect();
        let mut failed = vec![false; contenders.len()];
        for round in 0..rounds {
            for place in 0..contenders.len() {
                let index = (place + round) % contenders.len();
                if failed[index] {
                    continue;
                }
                let contender = &contenders[index];
                progress(&format!(
                    "{}/{} round {}/{rounds}: {}",
                    self.suite,
                    self.name,
                    round + 1,
                    contender.name
                ));
                match once(contender) {
                    Ok(metrics) => add(&mut rows[index], metrics),
                    Err(error) => {
                        failed[index] = true;
                        self.notes.push(format!(
                            "{} failed in round {}: {error:#}",
                            contender.name,
                            round + 1
                        ));
                    }
                }
            }
        }
        progress("");
        self.rows = rows.into_iter().filter(|row| !row.samples.is_empty()).collect();
        failed.iter().filter(|failed| **failed).count()
    }
}

fn empty_row(contender: &Contender) -> Row {
    Row { contender: contender.name.clone(), kind: contender.kind, samples: BTreeMap::new() }
}

fn add(row: &mut Row, metrics: Vec<(&'static str, f64)>) {
    for (metric, value) in metrics {
        row.samples.entry(metric).or_default().push(value);
    }
}

/// Shows what is going on in one line of the terminal; nothing when the output is kept in a file.
fn progress(text: &str) {
    let mut err = std::io::stderr();
    if err.is_terminal() {
        let _ = write!(err, "\r\x1b[K{text}");
        let _ = err.flush();
    }
}

#[cfg(test)]
mod tests;
