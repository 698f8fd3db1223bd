//! The command line of `cargo xtask bench`.

use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::time::Duration;

pub(crate) const HELP: &str = "\
usage: cargo xtask bench [SUITE...] [OPTIONS]

suites (none named: echo)
  echo       1 P on one core, the load on the other: 1, 64 and 1,000 connections
  echo2p     2 Ps, nothing pinned, 64 and 1,000 connections
  deadline   echo with a read deadline renewed before each read
  hogs       echo beside as many endless loops as there are Ps
  blocking   echo beside 64 goroutines that block in unannounced system calls
  idle       18,000 connections that only wait: memory and CPU
  micro      goroutines: create, join, yield, hand over, set a deadline
  million    1,000,000 parked goroutines
  sched      channels, select, locks, timers, waves of goroutines, waking; memory and wake-ups when quiet
  net        sockets: connect, echo, both directions at once, deadlines, dialing two families
  all        all of them

options
  --rounds N            rounds, each running every contender once in turn (5)
  --seconds S           measured time of one run (3)
  --quick               --rounds 1 --seconds 1: does it work at all?
  --netpoll mio|epoll   the built-in poller of gopark; given twice, both run as contenders
  --runq ring|deque     the local run queue of gopark; given twice, both run as contenders
  --base DIR            a folder with echo_gopark, micro_gopark and so on of another build, run beside as `base`
  --only A,B,...        of gopark, base, epoll, tokio, may, go run these alone
  --case TEXT           of the cases run those alone whose name contains TEXT
  --out FILE.md         where the report goes, the raw values in .csv beside it
                        (benches/results/local/latest.md)
";

/// One group of cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suite {
    Echo,
    Echo2p,
    Deadline,
    Hogs,
    Blocking,
    Idle,
    Micro,
    Million,
    Sched,
    Net,
}

impl Suite {
    pub(crate) const ALL: [Suite; 10] = [
        Suite::Echo,
        Suite::Echo2p,
        Suite::Deadline,
        Suite::Hogs,
        Suite::Blocking,
        Suite::Idle,
        Suite::Micro,
        Suite::Million,
        Suite::Sched,
        Suite::Net,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Suite::Echo => "echo",
            Suite::Echo2p => "echo2p",
            Suite::Deadline => "deadline",
            Suite::Hogs => "hogs",
            Suite::Blocking => "blocking",
            Suite::Idle => "idle",
            Suite::Micro => "micro",
            Suite::Million => "million",
            Suite::Sched => "sched",
            Suite::Net => "net",
        }
    }
}

/// What the user asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Options {
    pub(crate) suites: Vec<Suite>,
    pub(crate) rounds: usize,
    pub(crate) measure: Duration,
    /// Builds of gopark: pairs of an optional poller and an optional run queue; `None` is what the source defaults to.
    pub(crate) variants: Vec<Variant>,
    pub(crate) base: Option<PathBuf>,
    pub(crate) only: Option<Vec<String>>,
    pub(crate) case: Option<String>,
    pub(crate) out: PathBuf,
}

/// One build of gopark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Variant {
    pub(crate) netpoll: Option<String>,
    pub(crate) runq: Option<String>,
}

impl Variant {
    /// The name in the tables: `gopark`, or `gopark-epoll-ring` and the like.
    pub(crate) fn name(&self) -> String {
        let parts = [Some("gopark"), self.netpoll.as_deref(), self.runq.as_deref()];
        parts.into_iter().flatten().collect::<Vec<_>>().join("-")
    }

    /// The compiler flags that select it.
    pub(crate) fn rustflags(&self) -> String {
        let flag = |name: &str, value: &Option<String>| {
            value.as_ref().map(|value| format!("--cfg {name}=\"{value}\""))
        };
        let flags = [flag("netpoll", &self.netpoll), flag("runq", &self.runq)];
        flags.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

impl Options {
    /// Reads the words after `cargo xtask bench`.
    ///
    /// # Errors
    /// An unknown suite, option or value; the message names it.
    pub(crate) fn parse(args: &[String]) -> Result<Options> {
        let mut suites = Vec::new();
        let (mut netpolls, mut runqs) = (Vec::new(), Vec::new());
        let (mut rounds, mut seconds) = (5, 3.0);
        let (mut base, mut only, mut case) = (None, None, None);
        let mut out = crate::bench::build::root().join("benches/results/local/latest.md");
        let mut words = args.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            match word.as_str() {
                "--rounds" => rounds = value()?.parse().context("--rounds takes a number")?,
                "--seconds" => seconds = value()?.parse().context("--seconds takes a number")?,
                "--quick" => (rounds, seconds) = (1, 1.0),
                "--netpoll" => netpolls.push(Some(one_of(value()?, &["mio", "epoll"])?)),
                "--runq" => runqs.push(Some(one_of(value()?, &["ring", "deque"])?)),
                "--base" => base = Some(PathBuf::from(value()?)),
                "--only" => only = Some(value()?.split(',').map(str::to_owned).collect()),
                "--case" => case = Some(value()?.clone()),
                "--out" => out = PathBuf::from(value()?),
                "all" => suites.extend(Suite::ALL),
                name => suites.push(suite_named(name)?),
            }
        }
        if rounds == 0 || !(0.05..=600.0).contains(&seconds) {
            bail!("at least one round, and 0.05 to 600 seconds");
        }
        suites.dedup();
        Ok(Options {
            suites: if suites.is_empty() { vec![Suite::Echo] } else { suites },
            rounds,
            measure: Duration::from_secs_f64(seconds),
            variants: variants_of(netpolls, runqs),
            base,
            only,
            case,
            out,
        })
    }

    /// Whether a contender of this kind takes part.
    pub(crate) fn wants(&self, kind: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|name| name == kind))
    }
}

fn suite_named(name: &str) -> Result<Suite> {
    Suite::ALL.into_iter().find(|suite| suite.name() == name).with_context(|| {
        format!("`{name}` is neither a suite nor an option; `cargo xtask bench help` lists them")
    })
}

fn one_of(value: &str, allowed: &[&str]) -> Result<String> {
    if !allowed.contains(&value) {
        bail!("`{value}` is none of {}", allowed.join(", "));
    }
    Ok(value.to_owned())
}

/// Every poller with every run queue; what was not asked for stays at the source's default.
fn variants_of(mut netpolls: Vec<Option<String>>, mut runqs: Vec<Option<String>>) -> Vec<Variant> {
    if netpolls.is_empty() {
        netpolls.push(None);
    }
    if runqs.is_empty() {
        runqs.push(None);
    }
    let pairs = netpolls.iter().flat_map(|netpoll| runqs.iter().map(move |runq| (netpoll, runq)));
    pairs.map(|(netpoll, runq)| Variant { netpoll: netpoll.clone(), runq: runq.clone() }).collect()
}

#[cfg(test)]
mod tests;
