//! Ending the operations of a descriptor from outside, as a deadline that passes does, and taking that back.
//!
//! A context is attached to a descriptor once, not for each call: whoever cancels it sets a bit beside those of
//! the deadlines (`poll_info.rs`) and evicts who waits. So a call under a context costs nothing more than one
//! without: the bit is in the mask that every call compares anyway. Go has no such thing; its users move the
//! deadline into the past from a goroutine that waits for the context (golang/go#20280), which destroys the
//! deadline that was set and leaves one behind if it comes too late.
//!
//! Several contexts may be attached at a time, so what is under `lock` is a count of those that are done, for
//! each direction and reason, and the bit says that it is not zero.
//!
//! Rejected: a flag of the waiting goroutine. It would need a registration for each call, and who waits on a
//! thread or through a waker has no goroutine.

use super::{PdRef, PollDesc, Synced};
use crate::Waiter;
use crate::park_slot::Unblock;
use crate::poll_info::{CancelReason, Mode};
use crate::runtime::runtime;

/// How many attached contexts are done; under `lock`. A count that reached its end stays there until the
/// descriptor is closed: rather 65,535 contexts too many than one too few.
#[derive(Copy, Clone, Default, Debug)]
pub(super) struct Cancels {
    /// By direction, then by reason.
    done: [[u16; 2]; 2],
}

impl Cancels {
    fn count(&mut self, mode: Mode, reason: CancelReason) -> &mut u16 {
        &mut self.done[usize::from(mode == Mode::Write)]
            [usize::from(reason == CancelReason::DeadlineExceeded)]
    }
}

/// A use of a descriptor, in the hands of somebody who may want its operations to end.
///
/// It is a number and a generation, not a reference: it may be kept for as long as one likes, and does nothing
/// once the descriptor is closed, whoever has its slot then.
///
/// [`Canceler::cancel`] and [`Canceler::clear`] come in pairs, with the same arguments.
#[derive(Copy, Clone, Debug)]
pub struct Canceler(pub(crate) PdRef);

impl Canceler {
    /// Makes the operations of `modes` fail, those in progress too, until as many [`Canceler::clear`]s.
    /// Nothing is undone: a read that has its data returns it.
    pub fn cancel(&self, modes: &[Mode], reason: CancelReason) {
        self.0.pd.cancel(self.0.seq, modes, reason);
    }

    /// Takes one [`Canceler::cancel`] back.
    pub fn clear(&self, modes: &[Mode], reason: CancelReason) {
        self.0.pd.clear_cancel(self.0.seq, modes, reason);
    }
}

impl PollDesc {
    /// [`Canceler::cancel`]. Without a reference to the descriptor, for the reason that
    /// [`PollDesc::set_deadline`] gives.
    pub(crate) fn cancel(&'static self, seq: u32, modes: &[Mode], reason: CancelReason) {
        let mut waiters: [Option<Waiter>; 2] = [None, None];
        {
            let mut synced = self.cold.lock.lock();
            let info = self.info.load();
            if info.seq() != seq || info.closing() {
                return;
            }
            for (mode, waiter) in modes.iter().zip(&mut waiters) {
                let count = synced.cancels.count(*mode, reason);
                *count = count.saturating_add(1);
                // Published, then unblocked: a waiter that comes between the two sees it.
                self.info.set_canceled(*mode, reason, true);
                *waiter = self.slot(*mode).unblock(Unblock::Evict);
            }
        }
        for w in waiters.into_iter().flatten() {
            runtime().goready(w);
        }
    }

    /// [`Canceler::clear`]. Wakes nobody: who was woken by the cancel and finds its bit gone goes on waiting.
    pub(crate) fn clear_cancel(&'static self, seq: u32, modes: &[Mode], reason: CancelReason) {
        let mut synced = self.cold.lock.lock();
        let info = self.info.load();
        if info.seq() != seq || info.closing() {
            return;
        }
        for mode in modes {
            if synced.uncount(*mode, reason) {
                self.info.set_canceled(*mode, reason, false);
            }
        }
    }
}

impl Synced {
    /// One context less; true if it was the last.
    fn uncount(&mut self, mode: Mode, reason: CancelReason) -> bool {
        let count = self.cancels.count(mode, reason);
        match *count {
            0 => gopark_sys::throw!("gopark: a cancel is taken back that was none"),
            u16::MAX => return false,
            _ => *count -= 1,
        }
        *count == 0
    }
}
