//! The monotonic clock, in nanoseconds as an `i64`, as everything above counts.
//!
//! # Safety
//! The calls get pointers to locals.
#![allow(unsafe_code)]

use std::sync::OnceLock;
use std::time::Instant;

/// The clock that std's `Instant` reads.
#[cfg(not(target_vendor = "apple"))]
const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;
/// The clock that std's `Instant` reads: on Apple's systems CLOCK_MONOTONIC goes on while the machine sleeps, and this
/// one does not. With the other the distance between the two scales would change.
#[cfg(target_vendor = "apple")]
const CLOCK: libc::clockid_t = libc::CLOCK_UPTIME_RAW;

/// Nanoseconds of CLOCK_MONOTONIC (on macOS CLOCK_UPTIME_RAW); greater than zero.
///
/// Source: clock_gettime(2), in the vDSO: about 25 ns.
#[inline]
pub fn nanotime() -> i64 {
    #[cfg(sim)]
    return crate::sim::now();
    #[cfg(not(sim))]
    monotonic()
}

/// The kernel's.
#[cfg_attr(sim, allow(dead_code))]
#[inline]
fn monotonic() -> i64 {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: ts is a valid place to write to; the clock always exists.
    unsafe { libc::clock_gettime(CLOCK, &mut ts) };
    #[allow(clippy::unnecessary_cast, reason = "the fields are narrower on some targets")]
    let ns = ts.tv_sec as i64 * 1_000_000_000 + ts.tv_nsec as i64;
    ns.max(1)
}

/// `at` on [`nanotime`]'s scale. What lies before the clock's zero or after its end is clamped to 1 and `i64::MAX`.
///
/// Reads no clock: std's `Instant` runs with the same clock, and the distance is taken once, with the first call. It is
/// wrong by what lay between two readings, some 50 ns, to the late side: a deadline never fires early.
#[inline]
pub fn instant_to_nanotime(at: Instant) -> i64 {
    static BASE: OnceLock<(Instant, i64)> = OnceLock::new();
    let &(base, base_ns) = BASE.get_or_init(base_pair);
    let ns = match at.checked_duration_since(base) {
        Some(later) => base_ns.saturating_add(i64::try_from(later.as_nanos()).unwrap_or(i64::MAX)),
        None => base_ns.saturating_sub(i64::try_from((base - at).as_nanos()).unwrap_or(i64::MAX)),
    };
    ns.max(1)
}

/// The same moment on both scales. Of a few tries the closest: the thread may lose its processor between two readings,
/// and what that costs would make every deadline of the process late.
#[cold]
fn base_pair() -> (Instant, i64) {
    let read = |_| {
        let (before, at, after) = (nanotime(), Instant::now(), nanotime());
        (after - before, at, after)
    };
    let (_, at, after) =
        (0..4).map(read).min_by_key(|&(between, ..)| between).expect("there were four tries");
    (at, after)
}

/// Puts the thread to sleep for about `us` microseconds; the kernel's timer slack adds some 50.
pub fn usleep(us: u32) {
    #[cfg(sim)]
    crate::sim::sleep(i64::from(us) * 1000);
    #[cfg(not(sim))]
    std::thread::sleep(std::time::Duration::from_micros(u64::from(us)));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_instant_is_never_earlier_than_the_clock_said() {
        for _ in 0..100 {
            let before = nanotime();
            let at = instant_to_nanotime(Instant::now());
            let after = nanotime();
            assert!(at >= before, "{at} < {before}");
            assert!(at < after + 1_000_000, "{at} is far after {after}");
        }
    }

    #[test]
    fn instants_keep_their_distances_and_are_clamped() {
        let now = Instant::now();
        let at = instant_to_nanotime(now);
        assert_eq!(instant_to_nanotime(now + Duration::from_nanos(1_234_567)) - at, 1_234_567);
        assert_eq!(instant_to_nanotime(now + Duration::from_secs(400 * 365 * 24 * 3600)), i64::MAX);
        let mut past = now;
        while let Some(earlier) = past.checked_sub(Duration::from_secs(3600)) {
            past = earlier;
            assert!(instant_to_nanotime(past) >= 1);
            if now.duration_since(past) > Duration::from_secs(400 * 24 * 3600) {
                break;
            }
        }
        assert!(instant_to_nanotime(past) < at);
    }
}
