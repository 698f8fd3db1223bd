//! Whether to wait for a lock without giving the processor up, and how.

use std::sync::OnceLock;

use crate::m::getm;
use crate::sched::SCHED;

/// How many times a waiter spins before it parks. Go: active_spin.
const SPINS: u32 = 4;

/// How many pause instructions make one spin. Go: active_spin_cnt.
const PAUSES: u32 = 30;

/// True if the holder of a lock may well let go of it sooner than a park and a wake-up would take: it runs at this
/// moment, on another P, and nobody here waits for ours.
///
/// Go: runtime/proc.go sync_runtime_canSpin
#[doc(alias = "sync_runtime_canSpin")]
pub(crate) fn can_spin(spun: u32) -> bool {
    if spun >= SPINS || !many_processors() {
        return false;
    }
    let Some(mp) = getm() else { return true };
    let Some(pp) = mp.p.get() else { return false };
    let others = SCHED.wake.npidle() + SCHED.wake.nmspinning();
    SCHED.procs() > others + 1 && pp.runq.is_empty() && !pp.has_runnext()
}

/// Lets a little time pass.
///
/// Go: runtime/proc.go sync_runtime_doSpin
#[doc(alias = "sync_runtime_doSpin")]
pub(crate) fn spin() {
    gopark_sys::thread::procyield(PAUSES);
}

fn many_processors() -> bool {
    static MANY: OnceLock<bool> = OnceLock::new();
    *MANY.get_or_init(|| gopark_sys::thread::available_procs() > 1)
}
