//! The status word of a P, which its holder and sysmon may change at the same moment.

use gopark_sys::loom::atomic::{AtomicU32, Ordering};

/// The states of a P.
///
/// | value | meaning | set by |
/// | --- | --- | --- |
/// | `Idle` | unbound: on the idle list, or on its way to an M | `releasep` by CAS from `Running`; `publish` from `Spare` |
/// | `Running` | held by an M; counted in `active` like `Idle` | `acquirep` from `Idle`; `settle` from `Stuck` |
/// | `Stuck` | held by an M whose goroutine does not come back; no longer counted, everything in it may be stolen | `sysmon`, by CAS from `Running`, under the scheduler lock |
/// | `Spare` | nobody's; waits to be published as compensation or by a larger GOMAXPROCS | `compensate`, under the scheduler lock |
///
/// `sysmon`'s CAS is the only change by somebody who does not hold the P; so the holder leaves `Running` by CAS, and
/// whoever fails finds `Stuck`.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum PStatus {
    Idle = 0,
    Running = 1,
    Stuck = 2,
    Spare = 3,
}

/// The word. Modelled in `tests/loom_p_status.rs`, together with the counts that must agree with it.
pub(crate) struct StatusWord(AtomicU32);

impl StatusWord {
    pub(crate) fn new(status: PStatus) -> StatusWord {
        StatusWord(AtomicU32::new(status as u32))
    }

    #[inline]
    pub(crate) fn raw(&self) -> u32 {
        // Acquire: a thief that sees Stuck or Running also sees what was queued before. Pairs with set.
        self.0.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn is(&self, status: PStatus) -> bool {
        self.raw() == status as u32
    }

    /// By the holder, or whoever took the P off a list, and never from `Running`.
    pub(crate) fn set(&self, status: PStatus) {
        self.0.store(status as u32, Ordering::Release); // pairs with raw
    }

    /// From Running to `to`; false if somebody else changed it first.
    pub(crate) fn leave_running(&self, to: PStatus) -> bool {
        let from = PStatus::Running as u32;
        self.0.compare_exchange(from, to as u32, Ordering::AcqRel, Ordering::Relaxed).is_ok() // pairs with raw
    }
}
