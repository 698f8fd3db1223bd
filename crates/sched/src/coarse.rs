//! A clock that costs its readers one load: kept by sysmon, behind by as much as that sleeps, 10 ms at most.
//!
//! While sysmon sleeps for longer, because all Ps are idle, nobody is there to read it; whoever ends that sleep sets
//! it first.

use gopark_sys::loom::atomic::{AtomicI64, Ordering};

/// On a cache line of its own: all Ps read it, and one thread writes.
#[repr(align(128))]
struct Coarse(AtomicI64);

static NOW: Coarse = Coarse(AtomicI64::new(0));

/// The time in ns, as `nanotime`.
#[inline]
pub(crate) fn now() -> i64 {
    NOW.0.load(Ordering::Relaxed)
}

/// Sets the clock.
pub(crate) fn set(now: i64) {
    NOW.0.store(now, Ordering::Relaxed);
}
