//! Goroutines with the habit of blocking their thread.
//!
//! Compensation (see `compensate`) finds a blocked thread after a fraction of a millisecond, and for that long its P
//! stands still: too long where many goroutines do it again and again. So a goroutine that sysmon has caught twice is
//! run, from then on, as if it had announced itself by `blocking`: its M gives the P away first. A goroutine that
//! comes back quickly a few times loses the habit.
//!
//! | `habit`, 0 to `FIRM` | |
//! | --- | --- |
//! | + `CAUGHT` | sysmon found it blocked |
//! | > `CAUGHT` | runs without a P |
//! | `FIRM` | it blocked again while it ran without one |
//! | - 1 | it came back within `QUICK_NS` when run without one |

use gopark_sys::loom::atomic::Ordering;

use crate::blocking::give_p_away;
use crate::g::G;
use crate::m::M;
use crate::p::PStatus;
use crate::sched::{MAX_COMPENSATING, SCHED};

/// What being caught adds: twice makes a habit.
const CAUGHT: u8 = 4;
/// The most there is.
const FIRM: u8 = 8;
/// A turn shorter than this, in ns, did not block. What giving the P away costs is about 10 µs.
const QUICK_NS: i64 = 50_000;

/// One turn of a goroutine on an M.
pub(crate) struct Turn {
    /// When it began, in ns, if it runs without a P because of its habit.
    alone_since: Option<i64>,
}

impl Turn {
    /// Before the goroutine runs.
    #[inline]
    pub(crate) fn begin(mp: &'static M, gp: &G) -> Turn {
        if gp.habit() <= CAUGHT { Turn { alone_since: None } } else { Turn::begin_alone(mp) }
    }

    #[cold]
    #[inline(never)]
    fn begin_alone(mp: &'static M) -> Turn {
        // No more threads than compensation may use; past that they take their turns with a P, as all do.
        if SCHED.alone.fetch_add(1, Ordering::Relaxed) >= MAX_COMPENSATING as u32 {
            SCHED.alone.fetch_sub(1, Ordering::Relaxed);
            return Turn { alone_since: None };
        }
        give_p_away(mp);
        Turn { alone_since: Some(crate::rt::nanotime()) }
    }

    /// After the goroutine is back, while it is still ours.
    #[inline]
    pub(crate) fn end(&mut self, mp: &'static M, gp: &G) {
        if self.alone_since.is_some() {
            self.end_alone(gp);
        } else if mp.p.get().is_some_and(|pp| pp.is(PStatus::Stuck) && pp.was_blocked()) {
            gp.set_habit((gp.habit() + CAUGHT).min(FIRM));
        }
    }

    #[cold]
    #[inline(never)]
    fn end_alone(&mut self, gp: &G) {
        let Some(since) = self.alone_since.take() else { return };
        SCHED.alone.fetch_sub(1, Ordering::Relaxed);
        let quick = crate::rt::nanotime() - since < QUICK_NS;
        gp.set_habit(if quick { gp.habit() - 1 } else { FIRM });
    }
}
