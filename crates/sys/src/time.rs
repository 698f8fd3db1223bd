//! The monotonic clock, in nanoseconds as an `i64`, as everything above counts.
//!
//! # Safety
//! The calls get pointers to locals.
#![allow(unsafe_code)]

use std::sync::OnceLock;
use std::time::Instant;

/// Nanoseconds of CLOCK_MONOTONIC; greater than zero.
///
/// Source: clock_gettime(2), in the vDSO: about 25 ns.
#[inline]
pub fn nanotime() -> i64 {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: ts is a valid place to write to; CLOCK_MONOTONIC always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut ts) };
    #[allow(clippy::unnecessary_cast, reason = "the fields are narrower on some targets")]
    let ns = ts.tv_sec as i64 * 1_000_000_000 + ts.tv_nsec as i64;
    ns.max(1)
}

/// `at` on [`nanotime`]'s scale. What lies before the clock's zero or after its end is clamped to 1 and `i64::MAX`.
///
/// Reads no clock: std's `Instant` runs with the same clock, and the distance is taken once.
#[inline]
pub fn instant_to_nanotime(at: Instant) -> i64 {
    static BASE: OnceLock<(Instant, i64)> = OnceLock::new();
    let &(base, base_ns) = BASE.get_or_init(|| (Instant::now(), nanotime()));
    let ns = match at.checked_duration_since(base) {
        Some(later) => base_ns.saturating_add(i64::try_from(later.as_nanos()).unwrap_or(i64::MAX)),
        None => base_ns.saturating_sub(i64::try_from((base - at).as_nanos()).unwrap_or(i64::MAX)),
    };
    ns.max(1)
}

/// Puts the thread to sleep for about `us` microseconds; the kernel's timer slack adds some 50.
pub fn usleep(us: u32) {
    std::thread::sleep(std::time::Duration::from_micros(u64::from(us)));
}
