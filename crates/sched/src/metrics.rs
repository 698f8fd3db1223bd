//! What the scheduler counts about itself.
//!
//! Counting costs the hot paths a load and a store to a cache line that their P owns (see `counters`); reading costs
//! [`metrics`] a walk over the Ps. Numbers that only grow are marked *total*; the others are what was true a moment
//! ago, and some are derived from others read at slightly different moments.

use std::fmt;
use std::time::Duration;

use gopark_poll::{PollerState, WaitReason, netpoll_batches, netpoll_open, poller};

use crate::counters::{Counters, FIRST_LATENCY, LATENCIES, OUTSIDE, read};
use crate::p::PStatus;
use crate::sched::SCHED;

/// The scheduler's numbers. See [`metrics`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// Goroutines.
    pub goroutines: Goroutines,
    /// Threads that run goroutines (Ms); not those of the program, nor the one that watches over the scheduler.
    pub threads: Threads,
    /// Rights to run goroutines (Ps).
    pub procs: Procs,
    /// Goroutines that wait for their turn.
    pub queues: Queues,
    /// Total: how often an idle P took goroutines from another's queue.
    pub steals: u64,
    /// Total: goroutines that changed hands that way.
    pub stolen: u64,
    /// Total: how often a thread began to search the other Ps for work.
    pub spins: u64,
    /// Total: how often a goroutine gave up its turn, by `yield_now` or because its budget was spent.
    pub yields: u64,
    /// Total: how often a goroutine waited, by reason.
    pub parks: Parks,
    /// Total: how many goroutines a look at the network made runnable. Looks that found none are counted too. Its sum
    /// of counts is the number of polls.
    pub poll_batches: Histogram,
    /// Total: the time in nanoseconds from when a goroutine was readied by the network or by a thread that is not ours
    /// until it ran. Of a sample: one of eight wake-ups by threads, and one goroutine of every eighth poll of an M.
    pub wake_latency: Histogram,
    /// Stacks of goroutines.
    pub stacks: Stacks,
    /// Timers that are armed: sleeps, deadlines, timeouts, tickers.
    pub timers: usize,
    /// Descriptors that are registered with the poller.
    pub open_descriptors: usize,
}

/// See [`Metrics::goroutines`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Goroutines {
    /// Those that exist: the sum of the next three.
    pub total: usize,
    /// Those that a thread runs, or that block their thread.
    pub running: usize,
    /// Those that wait for their turn.
    pub runnable: usize,
    /// Those that are parked.
    pub waiting: usize,
    /// Total: how many were started.
    pub created: u64,
    /// Finished ones whose stack and header wait for the next.
    pub dead_cached: usize,
}

/// See [`Metrics::threads`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Threads {
    /// Those that exist.
    pub total: usize,
    /// Those of them that sleep until there is work.
    pub idle: usize,
    /// Those of them that search for work.
    pub spinning: usize,
    /// Those of them that sleep in the poller: one or none.
    pub polling: usize,
    /// Total: how often one was woken from its sleep to do work. (Not from the poller.)
    pub wakeups: u64,
}

/// See [`Metrics::procs`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Procs {
    /// How many goroutines may run at the same time: GOMAXPROCS.
    pub max: usize,
    /// Ps that run or are idle: `max`, but for the moment of a change.
    pub active: usize,
    /// Those of them that nobody holds.
    pub idle: usize,
    /// Further Ps, whose goroutine does not come back, and for which others were made.
    pub stuck: usize,
    /// Further Ps, kept for the next time that one is stuck.
    pub spare: usize,
}

/// See [`Metrics::queues`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Queues {
    /// Goroutines in the global queue.
    pub global: usize,
    /// Goroutines in the queue of each P that is not spare.
    pub local: Vec<usize>,
}

/// See [`Metrics::stacks`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stacks {
    /// Address space set aside for stacks, in bytes. Only what is touched of it is memory.
    pub reserved_bytes: usize,
    /// Stacks of goroutines that exist.
    pub in_use: usize,
    /// Stacks of finished goroutines, kept for the next.
    pub cached: usize,
    /// Total: stacks whose memory was given back to the system while they were cached.
    pub trimmed: u64,
}

/// See [`Metrics::parks`].
#[derive(Clone, Debug, Default)]
pub struct Parks {
    counts: Vec<u64>,
}

impl Parks {
    /// How often a goroutine waited for this reason.
    pub fn of(&self, reason: WaitReason) -> u64 {
        self.counts.get(reason as usize).copied().unwrap_or(0)
    }

    /// How often a goroutine waited.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Each reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (WaitReason, u64)> + '_ {
        WaitReason::ALL.iter().map(|&reason| (reason, self.of(reason)))
    }
}

/// How many of something were found in each range of values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// The bound that the values of each range stay below, and how many there were.
    buckets: Vec<(u64, u64)>,
}

impl Histogram {
    /// For each range, in order: the number that its values are less than (they are not less than that of the range
    /// before), and how many there were. The last range is open: its bound is `u64::MAX`.
    pub fn buckets(&self) -> &[(u64, u64)] {
        &self.buckets
    }

    /// How many there were in all.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }

    /// The bound of the range in which the value is that this part of all is not above: 0.5 for the median, 0.99 for
    /// the 99th percentile. None if there were none.
    pub fn quantile(&self, part: f64) -> Option<u64> {
        let count = self.count();
        let wanted = ((count as f64 * part.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut seen = 0;
        self.buckets.iter().find_map(|&(bound, n)| {
            seen += n;
            (seen >= wanted).then_some(bound)
        })
    }

    fn powers_of_two(first: u32, counts: impl Iterator<Item = u64>) -> Histogram {
        let mut buckets: Vec<_> = counts.zip(first..).map(|(n, power)| (1 << power, n)).collect();
        if let Some((bound, _)) = buckets.last_mut() {
            *bound = u64::MAX;
        }
        Histogram { buckets }
    }
}

/// The scheduler's numbers at this moment; zeros before the runtime is started.
///
/// From any thread or goroutine. It takes the scheduler lock for a moment, and some ten nanoseconds for each P.
///
/// Go: runtime/metrics.Read, the `/sched` part.
pub fn metrics() -> Metrics {
    let mut m = Metrics::default();
    read_shared(&mut m);
    add_counters(&mut m);
    m.poll_batches = Histogram::powers_of_two(0, netpoll_batches());
    m.timers = SCHED.timers.len() + SCHED.all_ps().map(|pp| pp.timers.len()).sum::<usize>();
    m.open_descriptors = netpoll_open();
    m
}

/// What the scheduler lock guards, and what follows from it.
fn read_shared(m: &mut Metrics) {
    let polling = matches!(poller(), PollerState::Blocking { .. });
    let s = SCHED.lock();
    m.procs = Procs {
        max: SCHED.procs() as usize,
        active: s.active,
        idle: s.pidle.len(),
        stuck: s.stuck,
        spare: s.pspare.len(),
    };
    m.threads = Threads {
        total: s.mcount as usize,
        idle: s.midle.len(),
        spinning: SCHED.wake.nmspinning() as usize,
        polling: polling.into(),
        wakeups: s.mwakes,
    };
    m.queues.global = s.runq.len();
    let in_use = SCHED.all_ps().filter(|pp| !pp.is(PStatus::Spare));
    m.queues.local = in_use.map(|pp| pp.runq.len() + usize::from(pp.has_runnext())).collect();
    let (dead, all) = (SCHED.gfree_len(&s), s.gcount);
    drop(s);
    let total = all.saturating_sub(dead);
    // Whoever has a thread that neither sleeps nor searches runs a goroutine, with a P or without.
    let t = &m.threads;
    let running = t.total.saturating_sub(t.idle + t.spinning + t.polling).min(total);
    let runnable = (m.queues.global + m.queues.local.iter().sum::<usize>()).min(total - running);
    let waiting = total - running - runnable;
    m.goroutines = Goroutines { total, running, runnable, waiting, created: 0, dead_cached: dead };
    let (reserved_bytes, trimmed) = SCHED.stacks.counts();
    m.stacks = Stacks { in_use: total, cached: dead, reserved_bytes, trimmed };
}

/// What each P counts for itself, and what is counted without one.
fn add_counters(m: &mut Metrics) {
    m.parks.counts = vec![0; WaitReason::ALL.len()];
    let mut latencies = [0; LATENCIES];
    for c in SCHED.all_ps().map(|pp| &pp.counters).chain([&OUTSIDE]) {
        let Counters { created, yields, steals, stolen, spins, .. } = c;
        m.goroutines.created += read(created);
        m.yields += read(yields);
        m.steals += read(steals);
        m.stolen += read(stolen);
        m.spins += read(spins);
        for &reason in WaitReason::ALL {
            m.parks.counts[reason as usize] += c.parks(reason);
        }
        for (bucket, sum) in latencies.iter_mut().enumerate() {
            *sum += c.latency(bucket);
        }
    }
    m.wake_latency = Histogram::powers_of_two(FIRST_LATENCY, latencies.into_iter());
}

impl fmt::Display for Metrics {
    /// A line for each group, for people: it may change.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Metrics { goroutines: g, threads: t, procs: p, queues: q, stacks: s, .. } = self;
        writeln!(
            f,
            "goroutines: {} (running {}, runnable {}, waiting {}), {} created, {} dead cached",
            g.total, g.running, g.runnable, g.waiting, g.created, g.dead_cached
        )?;
        writeln!(
            f,
            "threads: {} (idle {}, spinning {}, polling {}), {} wake-ups",
            t.total, t.idle, t.spinning, t.polling, t.wakeups
        )?;
        writeln!(
            f,
            "procs: max {}, active {} (idle {}), stuck {}, spare {}",
            p.max, p.active, p.idle, p.stuck, p.spare
        )?;
        writeln!(f, "queues: global {}, local {:?}", q.global, q.local)?;
        writeln!(
            f,
            "steals: {} of {} goroutines, {} searches; yields: {}",
            self.steals, self.stolen, self.spins, self.yields
        )?;
        write!(f, "parks: {}", self.parks.total())?;
        for (reason, count) in self.parks.iter().filter(|(_, count)| *count > 0) {
            write!(f, ", {reason} {count}")?;
        }
        writeln!(f)?;
        writeln!(f, "polls: {}, readied: {}", self.poll_batches.count(), self.poll_batches)?;
        let quantile = |part| self.wake_latency.quantile(part).map_or(Duration::ZERO, Duration::from_nanos);
        writeln!(
            f,
            "wake latency: {} timed, p50 < {:?}, p99 < {:?}",
            self.wake_latency.count(),
            quantile(0.5),
            quantile(0.99)
        )?;
        writeln!(
            f,
            "stacks: {} in use, {} cached, {} trimmed, {} KiB reserved",
            s.in_use,
            s.cached,
            s.trimmed,
            s.reserved_bytes / 1024
        )?;
        write!(f, "timers: {}, descriptors: {}", self.timers, self.open_descriptors)
    }
}

impl fmt::Display for Histogram {
    /// Ranges that are not empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut from = 0;
        let mut comma = "";
        for &(bound, count) in &self.buckets {
            let range = from..bound;
            from = bound;
            match range {
                _ if count == 0 => continue,
                r if r.end == u64::MAX => write!(f, "{comma}{}..: {count}", r.start)?,
                r if r.end - r.start == 1 => write!(f, "{comma}{}: {count}", r.start)?,
                r => write!(f, "{comma}{}..{}: {count}", r.start, r.end)?,
            }
            comma = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Histogram;

    #[test]
    fn quantiles_are_bounds_of_ranges() {
        let h = Histogram::powers_of_two(1, [90, 9, 0, 1].into_iter());
        assert_eq!(h.buckets(), [(2, 90), (4, 9), (8, 0), (u64::MAX, 1)]);
        assert_eq!(h.count(), 100);
        assert_eq!(h.quantile(0.5), Some(2));
        assert_eq!(h.quantile(0.99), Some(4));
        assert_eq!(h.quantile(1.0), Some(u64::MAX));
        assert_eq!(h.to_string(), "0..2: 90, 2..4: 9, 8..: 1");
        assert_eq!(Histogram::default().quantile(0.5), None);
    }
}
