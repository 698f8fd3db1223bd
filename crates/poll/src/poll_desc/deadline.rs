//! Deadlines of a descriptor. Go: `poll_runtime_pollSetDeadline`, `netpolldeadlineimpl`.
//!
//! The idiom that has to be cheap is the idle timeout: before every read the deadline is moved a little
//! later. Go modifies a timer each time. Here moving later only stores the new time: the entry in the timers'
//! heap stays at the earlier time, and when it fires it finds that the deadline has moved and arms itself
//! anew. A connection that reads a thousand times within its timeout touches the heap once. `None` leaves the
//! entry as well.
//!
//! Invariant, under `lock`: if `armed` is not 0, the slot's entry is in a heap at a time not later than
//! `armed`, or it has just been taken out and [`PollDesc::deadline_fired`] is on its way and will look at
//! `when`. The callback decides from `when` alone, not from which arming it belongs to: a late or doubled
//! one, also one that belongs to the slot's last user, does nothing wrong.
//!
//! Go serves equal read and write deadlines (`SetDeadline`) with one timer. Not here: with arming this rare
//! the second entry costs nothing that could be measured, and the directions stay independent.

use gopark_sys::throw;

use super::{PollDesc, Synced};
use crate::park_slot::Unblock;
use crate::poll_info::Mode;
use crate::runtime::runtime;
use crate::time::Target;
use crate::{ReadyList, Waiter};

/// The deadline of one direction; under `lock`.
///
/// Go's `rd`, `rrun`, and the time in `rt`.
#[derive(Copy, Clone, Default, Debug)]
pub(crate) struct Deadlines {
    /// 0: none. Greater: monotonic nanoseconds. [`EXPIRED`]: passed.
    pub(super) when: i64,
    /// For when the heap's entry was armed last; 0: it is not.
    pub(super) armed: i64,
}

/// `Deadlines::when` of a deadline that has passed.
const EXPIRED: i64 = -1;

impl Deadlines {
    /// No deadline; the entry in the heap, if any, stays.
    pub(super) fn reset(&mut self) {
        self.when = 0;
    }

    /// Stores `when` if that is all there is to do: the entry fires early enough and nothing has to be
    /// published.
    #[inline]
    fn moved_later(&mut self, when: i64) -> bool {
        let covered = when == 0 || self.armed != 0 && when >= self.armed;
        if covered && self.when != EXPIRED {
            self.when = when;
        }
        covered && self.when != EXPIRED
    }
}

/// What is left to do when `lock` is released.
#[derive(Default)]
struct After {
    waiters: [Option<Waiter>; 2],
    wake_at: Option<i64>,
}

impl Synced {
    #[inline]
    fn dir(&mut self, mode: Mode) -> &mut Deadlines {
        match mode {
            Mode::Read => &mut self.read,
            Mode::Write => &mut self.write,
        }
    }
}

/// The slot is closing or has another user.
#[derive(Debug)]
pub(crate) struct Gone;

impl PollDesc {
    /// Sets the deadline of `modes` to `when` (monotonic nanoseconds, 0: none; a negative time has passed) if
    /// the slot is still in its use `seq`.
    ///
    /// The comparison under `lock` is what makes it safe to call this without a reference to the descriptor,
    /// which saves two atomic operations on a shared word: a slot is freed under the same lock, so as long as
    /// the generation fits here, the deadline belongs to the caller's descriptor.
    ///
    /// The way later reads no clock, so a time that has passed, but lies later than an entry that is itself
    /// overdue, takes effect when that entry fires, and not before this returns.
    ///
    /// Go: runtime/netpoll.go poll_runtime_pollSetDeadline
    #[doc(alias = "poll_runtime_pollSetDeadline")]
    #[inline]
    pub(crate) fn set_deadline(&'static self, seq: u32, modes: &[Mode], when: i64) -> Result<(), Gone> {
        let after = {
            let mut synced = self.cold.lock.lock();
            let info = self.info.load();
            if info.seq() != seq || info.closing() {
                return Err(Gone);
            }
            let mut later = true;
            for mode in modes {
                later &= synced.dir(*mode).moved_later(when);
            }
            if later {
                return Ok(());
            }
            self.set_deadline_slow(&mut synced, modes, when)
        };
        after.run();
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn set_deadline_slow(&'static self, synced: &mut Synced, modes: &[Mode], when: i64) -> After {
        let when = if when != 0 && when <= runtime().nanotime() { EXPIRED } else { when };
        let mut after = After::default();
        for (i, mode) in modes.iter().enumerate() {
            let dir = synced.dir(*mode);
            let was_expired = dir.when == EXPIRED;
            dir.when = when;
            if when == EXPIRED {
                // Published, then unblocked: a waiter that comes between the two sees it.
                self.info.set_expired(*mode, true);
                after.waiters[i] = self.slot(*mode).unblock(Unblock::Evict);
                continue;
            }
            if was_expired {
                self.info.set_expired(*mode, false);
            }
            if when != 0 && (dir.armed == 0 || when < dir.armed) {
                after.arm(dir, self.target(*mode));
            }
        }
        after
    }

    /// The heap's entry came due; `now` is the time of the check. Runs with the heap unlocked, since it takes
    /// `lock` and who holds that arms timers (golang/go#35532).
    ///
    /// Go: runtime/netpoll.go netpolldeadlineimpl
    #[doc(alias = "netpolldeadlineimpl")]
    pub(crate) fn deadline_fired(&'static self, mode: Mode, now: i64, list: &mut ReadyList) {
        let mut after = After::default();
        {
            let mut synced = self.cold.lock.lock();
            let dir = synced.dir(mode);
            dir.armed = 0;
            if dir.when > now {
                // It was moved later meanwhile.
                after.arm(dir, self.target(mode));
            } else if dir.when > 0 {
                dir.when = EXPIRED;
                self.info.set_expired(mode, true);
                after.waiters[0] = self.slot(mode).unblock(Unblock::Evict);
            }
        }
        if let Some(w) = after.waiters[0].take() {
            list.push(w);
        }
        after.run();
    }

    fn target(&'static self, mode: Mode) -> Target {
        match mode {
            Mode::Read => Target::ReadDeadline(self),
            Mode::Write => Target::WriteDeadline(self),
        }
    }
}

impl After {
    /// Puts the entry at `dir.when`, under `lock`; the poller is told afterwards.
    fn arm(&mut self, dir: &mut Deadlines, target: Target) {
        if dir.when <= 0 {
            throw!("gopark: arming a deadline that is none");
        }
        dir.armed = dir.when;
        if let Some(when) = target.arm(dir.when) {
            self.wake_at = Some(self.wake_at.map_or(when, |earlier| earlier.min(when)));
        }
    }

    fn run(self) {
        for w in self.waiters.into_iter().flatten() {
            runtime().goready(w);
        }
        if let Some(when) = self.wake_at {
            crate::time::wake_net_poller(when);
        }
    }
}
