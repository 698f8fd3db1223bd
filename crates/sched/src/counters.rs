//! What the scheduler counts about itself, for `metrics`.
//!
//! Each P has a set of its own: only the M that holds it writes there, with a load and a store, so that counting costs
//! neither a locked instruction nor a cache line that another core has. What happens without a P, always beside a lock
//! or a system call, goes to one shared set. Whoever reads adds them up, and finds each number as it was at some
//! moment; none ever goes back.
//!
//! The wake latency is the time from when somebody outside of the Ps readies a goroutine (the network, a plain thread)
//! until it runs. It is taken of a sample: one in [`SAMPLE`] of those readied by threads, and one goroutine of
//! one in [`SAMPLE`] polls. The time goes where a parked goroutine keeps since when it waits, as a negative number, so
//! that all others pay one look at a word that is in the cache anyway.

use std::sync::atomic::{AtomicU64, Ordering};

use gopark_poll::WaitReason;

use crate::g::G;
use crate::gqueue::GQueue;

/// One in so many wake-ups is timed.
pub(crate) const SAMPLE: u64 = 8;

/// Room for every [`WaitReason`].
pub(crate) const REASONS: usize = 32;

const _: () = assert!(WaitReason::ALL.len() <= REASONS);

/// Latencies are counted by powers of two: up to 256 ns, up to 512 ns, and so on; the last has all above 1 s.
pub(crate) const LATENCIES: usize = 24;

/// The bound of the first of them, as a power of two.
pub(crate) const FIRST_LATENCY: u32 = 8;

/// What happens in the shared set.
pub(crate) static OUTSIDE: Counters = Counters::new();

/// One set. Public words are added to by their owner alone, except in [`OUTSIDE`].
#[repr(align(128))]
pub(crate) struct Counters {
    parks: [AtomicU64; REASONS],
    latencies: [AtomicU64; LATENCIES],
    /// Goroutines started.
    pub(crate) created: AtomicU64,
    /// Times that a goroutine gave up its turn.
    pub(crate) yields: AtomicU64,
    /// Successful thefts, and goroutines that changed hands by them.
    pub(crate) steals: AtomicU64,
    pub(crate) stolen: AtomicU64,
    /// Searches for work in the other Ps.
    pub(crate) spins: AtomicU64,
    /// Wake-ups by threads, counted for the sample. In `OUTSIDE` only.
    wakes: AtomicU64,
}

impl Counters {
    pub(crate) const fn new() -> Counters {
        Counters {
            parks: [const { AtomicU64::new(0) }; REASONS],
            latencies: [const { AtomicU64::new(0) }; LATENCIES],
            created: AtomicU64::new(0),
            yields: AtomicU64::new(0),
            steals: AtomicU64::new(0),
            stolen: AtomicU64::new(0),
            spins: AtomicU64::new(0),
            wakes: AtomicU64::new(0),
        }
    }

    /// A goroutine of the owner's has parked. `reason` is a `WaitReason`.
    #[inline]
    pub(crate) fn parked(&self, reason: u8) {
        add(&self.parks[reason as usize % REASONS], 1);
    }

    pub(crate) fn parks(&self, reason: WaitReason) -> u64 {
        read(&self.parks[reason as usize])
    }

    pub(crate) fn latency(&self, bucket: usize) -> u64 {
        read(&self.latencies[bucket])
    }
}

/// Adds to a word that nobody else writes.
#[inline]
pub(crate) fn add(word: &AtomicU64, n: u64) {
    word.store(word.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}

pub(crate) fn read(word: &AtomicU64) -> u64 {
    word.load(Ordering::Relaxed)
}

/// Adds to a word of [`OUTSIDE`]; returns what it was.
pub(crate) fn add_shared(word: &AtomicU64, n: u64) -> u64 {
    word.fetch_add(n, Ordering::Relaxed)
}

/// A goroutine has parked without a P.
#[cold]
pub(crate) fn parked_outside(reason: u8) {
    add_shared(&OUTSIDE.parks[reason as usize % REASONS], 1);
}

/// A thread without a P has readied `gp` and still owns it.
pub(crate) fn readied_outside(gp: &G) {
    if add_shared(&OUTSIDE.wakes, 1).is_multiple_of(SAMPLE) {
        gp.set_since(-crate::rt::nanotime());
    }
}

/// A poll has readied the goroutines of `list`, which the caller still owns.
#[inline]
pub(crate) fn readied_by_poll(list: &GQueue, polls: u64) {
    if polls.is_multiple_of(SAMPLE) && !list.is_empty() {
        // Which one of a batch: each at some time.
        list[(polls / SAMPLE) as usize % list.len()].set_since(-gopark_poll::last_poll());
    }
}

/// `gp`, which is in the sample, is about to run.
#[cold]
#[inline(never)]
pub(crate) fn runs(counters: Option<&Counters>, gp: &G) {
    let latency = crate::rt::nanotime() + gp.since();
    gp.set_since(0);
    let bucket = bucket_of(latency.max(0).unsigned_abs());
    match counters {
        Some(own) => add(&own.latencies[bucket], 1),
        None => drop(add_shared(&OUTSIDE.latencies[bucket], 1)),
    }
}

/// Where a latency in ns is counted.
pub(crate) fn bucket_of(ns: u64) -> usize {
    let bits = u64::BITS - (ns >> FIRST_LATENCY).leading_zeros();
    (bits as usize).min(LATENCIES - 1)
}

#[cfg(test)]
mod tests {
    use super::bucket_of;

    #[test]
    fn each_power_of_two_has_a_place() {
        let cases = [(0, 0), (255, 0), (256, 1), (511, 1), (512, 2), (1 << 20, 13), (u64::MAX, 23)];
        for (ns, bucket) in cases {
            assert_eq!(bucket_of(ns), bucket, "{ns} ns");
        }
    }
}
