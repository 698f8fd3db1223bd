//! What gopark's figures are held against.

use super::build::Kind;
use super::measure::{Case, Row};
use std::fmt;

/// A limit on one metric of gopark's: `metric <= factor x the same metric of a peer`, or an absolute one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Target {
    pub(crate) metric: &'static str,
    pub(crate) bound: Bound,
    pub(crate) limit: f64,
    /// The peer whose median the limit multiplies; `None` makes the limit absolute.
    pub(crate) versus: Option<Kind>,
}

/// Which side of the limit is the good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    AtMost,
    AtLeast,
}

impl Target {
    pub(crate) const fn at_most(metric: &'static str, limit: f64, versus: Kind) -> Target {
        Target { metric, bound: Bound::AtMost, limit, versus: Some(versus) }
    }

    pub(crate) const fn at_least(metric: &'static str, limit: f64, versus: Kind) -> Target {
        Target { metric, bound: Bound::AtLeast, limit, versus: Some(versus) }
    }

    pub(crate) const fn absolute(metric: &'static str, bound: Bound, limit: f64) -> Target {
        Target { metric, bound, limit, versus: None }
    }
}

/// How one contender did against one target.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) contender: String,
    /// The target in words.
    pub(crate) wanted: String,
    /// The value compared with the limit: a ratio, or the metric itself.
    pub(crate) found: f64,
    pub(crate) grade: Grade,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grade {
    /// On the good side.
    Pass,
    /// On the bad side by less than what counts as equal here.
    Equal,
    Miss,
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Grade::Pass => "pass",
            Grade::Equal => "equal",
            Grade::Miss => "MISS",
        })
    }
}

impl Case {
    /// Judges every build of gopark by every target whose peer took part.
    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        let judged = self.rows.iter().filter(|row| row.kind == Kind::Gopark);
        judged.flat_map(|row| self.targets.iter().filter_map(|target| self.judge(row, target))).collect()
    }

    fn judge(&self, row: &Row, target: &Target) -> Option<Verdict> {
        let own = row.median(target.metric)?;
        let title = self.columns.iter().find(|column| column.metric == target.metric)?.title;
        let sign = if target.bound == Bound::AtMost { "<=" } else { ">=" };
        let (found, wanted) = match target.versus {
            None => (own, format!("{title} {sign} {}", target.limit)),
            Some(peer) => {
                let theirs = self.row_of(peer)?.median(target.metric)?;
                let name = peer.name();
                (own / theirs, format!("{title} {sign} {} x {name}", target.limit))
            }
        };
        // An absolute limit is a promise, not a comparison of two noisy runs: nothing counts as equal to it.
        let slack = if target.versus.is_some() { self.equal_within } else { 0.0 };
        let grade = grade(found, target.bound, target.limit, slack);
        Some(Verdict { contender: row.contender.clone(), wanted, found, grade })
    }
}

fn grade(found: f64, bound: Bound, limit: f64, slack: f64) -> Grade {
    let holds = |limit: f64| match bound {
        Bound::AtMost => found <= limit,
        Bound::AtLeast => found >= limit,
    };
    let relaxed = match bound {
        Bound::AtMost => limit * (1.0 + slack),
        Bound::AtLeast => limit * (1.0 - slack),
    };
    if holds(limit) {
        Grade::Pass
    } else if holds(relaxed) {
        Grade::Equal
    } else {
        Grade::Miss
    }
}

#[cfg(test)]
mod tests;
