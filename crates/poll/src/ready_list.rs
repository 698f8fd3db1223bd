//! The waiters that became runnable, on their way from the poller and the timers to the scheduler.

use crate::Waiter;

/// How many waiters fit before the list allocates: both directions of a full batch of events.
const CAPACITY: usize = 2 * crate::netpoll::EVENTS_MAX;

/// A list of waiters that its owner reuses, so that a poll allocates nothing.
///
/// Readiness never calls up: the poller and the timers only fill such a list, and who asked them decides
/// where its goroutines go.
#[derive(Debug, Default)]
pub struct ReadyList {
    waiters: Vec<Waiter>,
}

impl ReadyList {
    /// An empty list with room for one poll.
    pub fn new() -> ReadyList {
        ReadyList { waiters: Vec::with_capacity(CAPACITY) }
    }

    /// Appends `w`. Grows past the first capacity only when a great many timers fire at once.
    #[inline]
    pub fn push(&mut self, w: Waiter) {
        self.waiters.push(w);
    }

    /// Takes the one that was pushed last.
    #[inline]
    pub fn pop(&mut self) -> Option<Waiter> {
        self.waiters.pop()
    }

    /// Takes them all, in the order in which they became ready.
    pub fn drain(&mut self) -> impl ExactSizeIterator<Item = Waiter> + DoubleEndedIterator + '_ {
        self.waiters.drain(..)
    }

    /// The waiters, in the order in which they became ready.
    pub fn as_slice(&self) -> &[Waiter] {
        &self.waiters
    }

    /// How many there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Forgets them all. Only for a list whose waiters were woken by other means.
    pub fn clear(&mut self) {
        self.waiters.clear();
    }
}
