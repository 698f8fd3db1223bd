//! The local run queue behind one small type, in two makes.
//!
//! `ring` (default): a ring of 256, single producer, many thieves. `deque`: crossbeam-deque's FIFO worker with the
//! same cap. Choose with `--cfg runq="deque"`; `cargo xtask bench` tells what the choice did. The contract:
//!
//! 1. `push_back` and `pop_front` are called by the owner of the P alone; `steal_into` by anybody.
//! 2. Each goroutine that is pushed comes out exactly once.
//! 3. First in, first out for the owner. A thief takes half, rounded up, oldest first.
//! 4. `push_back` refuses when the queue is full (256); `take_half` then gives up its older half, oldest first, for
//!    the global queue.
//! 5. What `push_back` stored is visible to a thief that sees it (release, acquire).
//! 6. `is_empty` may be wrong for a queue that changes meanwhile, but never says empty of one that holds an
//!    element the whole time.

#[cfg(runq = "deque")]
mod deque;
#[cfg(any(not(runq = "deque"), test))]
mod ring;

#[cfg(runq = "deque")]
pub(crate) use deque::RunQueue;
#[cfg(not(runq = "deque"))]
pub(crate) use ring::RunQueue;

/// How many goroutines a local queue holds before half of it goes to the global queue. (4 in the models, so that they
/// get to that.)
pub(crate) const CAPACITY: usize = 256;

/// The name of the run queue this build uses, for reports.
pub(crate) const NAME: &str = if cfg!(runq = "deque") { "deque" } else { "ring" };

#[cfg(test)]
mod tests;
