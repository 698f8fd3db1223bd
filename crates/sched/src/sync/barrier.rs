//! `Barrier`: lets a number of goroutines begin something together.

use std::fmt;

use gopark_poll::WaitReason;

use crate::sync::sema::Waiters;

/// Lets `n` goroutines or threads begin something together, as `std::sync::Barrier`, and again.
///
/// # Examples
/// ```no_run
/// use gopark_sched::sync::Barrier;
///
/// static START: Barrier = Barrier::new(4);
///
/// for _ in 0..4 {
///     gopark_sched::go(|| {
///         START.wait();
///     });
/// }
/// ```
pub struct Barrier {
    n: usize, // constant
    waiters: Waiters,
}

/// What [`Barrier::wait`] returns.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// True for one of the `n`: the one that came last.
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

impl Barrier {
    /// A barrier for `n`; for none it is as for one.
    pub const fn new(n: usize) -> Barrier {
        Barrier { n, waiters: Waiters::new() }
    }

    /// Waits until `n` wait here. May block: see the contract of [`crate::Runtime::start`].
    pub fn wait(&self) -> BarrierWaitResult {
        let mut leader = false;
        self.waiters.wait(
            WaitReason::Semacquire,
            None,
            |queue| {
                if queue.len() + 1 < self.n {
                    return queue.last();
                }
                // Ended in the same step: who comes next begins the next round.
                queue.end_all();
                leader = true;
                None
            },
            || {},
            |_| {},
        );
        if leader {
            self.waiters.tell();
        }
        BarrierWaitResult(leader)
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").field("n", &self.n).field("waiting", &self.waiters.lock().len()).finish()
    }
}
