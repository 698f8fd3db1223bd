//! `sleep` and `yield_now`.
//!
//! # Safety
//! Only the calling goroutine is suspended.
#![allow(unsafe_code)]

use std::time::Duration;

use gopark_poll::{OPERATION, WaitReason};

use crate::g::Request;
use crate::m::{M, getm};
use crate::park::{Parker, must_stay};

/// Pauses the calling goroutine (or plain thread) for at least `d`, without holding a thread.
///
/// A zero duration yields. Durations too long for the clock (292 years) end with it. May block: see the contract of
/// [`crate::Runtime::start`].
///
/// # Panics
/// On a plain thread before the runtime is started.
///
/// Go: runtime/time.go timeSleep.
pub fn sleep(d: Duration) {
    if d.is_zero() {
        return yield_now();
    }
    assert!(crate::sched::SCHED.is_started(), "sleep: {}", crate::NOT_STARTED);
    let when = crate::rt::deadline_after(d);
    let parker = Parker::current();
    parker.timer().arm(when);
    // A wake-up meant for an earlier wait may end the park early.
    while crate::rt::nanotime() < when {
        parker.park(WaitReason::Sleep);
    }
    parker.timer().stop();
}

/// Lets the other goroutines of this P run before the caller goes on.
///
/// On a thread that is not a goroutine it yields the thread.
///
/// Go: runtime.Gosched.
#[doc(alias = "Gosched")]
#[inline]
pub fn yield_now() {
    match getm() {
        Some(mp) => yield_m(mp),
        None => std::thread::yield_now(),
    }
}

fn yield_m(mp: &'static M) {
    let Some(gp) = mp.curg.get() else { return };
    if must_stay(gp) {
        return yield_wired(mp);
    }
    if crate::span::in_use() {
        return crate::span::outside(gp, || {
            // SAFETY: gp is the calling goroutine.
            unsafe { gp.suspend(Request::Yield) };
        });
    }
    // SAFETY: as above.
    unsafe { gp.suspend(Request::Yield) };
}

/// A goroutine that must stay on its thread lets the others run by leaving them its P.
#[cold]
#[inline(never)]
fn yield_wired(mp: &'static M) {
    crate::blocking::give_p_away(mp);
    std::thread::yield_now();
}

/// Counts an operation that succeeded without parking, and cost `units`; the budget spent, the caller yields.
///
/// Without it a socket that is always ready would keep its goroutine running for ever: there is no preemption.
#[inline]
pub(crate) fn charge(units: u32) {
    let Some(mp) = getm() else { return };
    let left = mp.budget.get();
    if left > units {
        mp.budget.set(left - units);
    } else {
        spent(mp);
    }
}

/// [`charge`] for a future, inside of which nobody may yield: true if its executor should.
#[inline]
pub(crate) fn charge_task() -> bool {
    let Some(mp) = getm() else { return false };
    let left = mp.budget.get();
    // Renewed here and not by the yield alone: an executor may be one that never yields to us.
    mp.budget.set(if left > OPERATION { left - OPERATION } else { crate::proc::BUDGET });
    left <= OPERATION
}

/// Takes one [`charge_task`] back.
#[inline]
pub(crate) fn refund_task() {
    let Some(mp) = getm() else { return };
    mp.budget.set((mp.budget.get() + OPERATION).min(crate::proc::BUDGET));
}

#[cold]
#[inline(never)]
fn spent(mp: &'static M) {
    mp.budget.set(crate::proc::BUDGET);
    yield_m(mp);
}
