//! `WaitGroup`: waits until a number of tasks are done.
//!
//! Go: sync/waitgroup.go.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::spawn::GoResult;
use crate::sync::group_count::GroupCount;

/// Counts tasks, and waits until all are done.
///
/// A clone is another handle of the same group, for the tasks to take along.
///
/// - [`WaitGroup::go`] starts a goroutine and counts it until it ends, by a panic too (which in Go ends the process).
/// - [`WaitGroup::add`] and [`WaitGroup::done`] count by hand; a [`WaitGroupTask`] counts one until it is dropped.
/// - To bring the count below zero panics with Go's text; the count is then as it was before.
/// - A group can be used again. Go asks that all waits of one use have returned before the next begins, and panics
///   otherwise; here a wait ends when the count is found to be zero, and one that overlaps with a new use may wait for
///   that too. The first `add` must come before the `wait` that is to wait for it, as in Go: so add before you start
///   the goroutine, not in it.
///
/// Go: sync.WaitGroup.
///
/// # Examples
/// ```no_run
/// use gopark_sched::sync::WaitGroup;
///
/// let wg = WaitGroup::new();
/// for i in 0..100 {
///     wg.go(move || println!("task {i}"));
/// }
/// wg.wait();
/// ```
#[derive(Clone, Default)]
pub struct WaitGroup(Arc<GroupCount>);

impl WaitGroup {
    /// A group without tasks.
    pub fn new() -> WaitGroup {
        WaitGroup::default()
    }

    /// Adds `delta`, which may be negative, to the number of tasks. At zero, all that wait go on.
    ///
    /// # Panics
    /// If the number would be less than zero, or more than 2^31 - 1: "sync: negative WaitGroup counter".
    ///
    /// Go: sync.WaitGroup.Add.
    #[doc(alias = "Add")]
    #[inline]
    pub fn add(&self, delta: isize) {
        self.0.add(delta);
    }

    /// One task is done: what it did happens before the return of every `wait` that this ends.
    ///
    /// # Panics
    /// If there is none: "sync: negative WaitGroup counter".
    ///
    /// Go: sync.WaitGroup.Done.
    #[doc(alias = "Done")]
    #[inline]
    pub fn done(&self) {
        self.0.add(-1);
    }

    /// Waits until the number of tasks is zero. May block: see the contract of [`crate::Runtime::start`].
    ///
    /// Go: sync.WaitGroup.Wait.
    #[doc(alias = "Wait")]
    #[inline]
    pub fn wait(&self) {
        self.0.wait(None);
    }

    /// Waits until the number of tasks is zero, for at most `timeout`; true if it was zero. May block, as
    /// [`WaitGroup::wait`].
    ///
    /// # Panics
    /// If it has to wait and the runtime is not started: it has the timers.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.0.is_zero() || self.0.wait(Some(crate::sync::deadline_after(timeout)))
    }

    /// Counts one task until what it returns is dropped.
    #[inline]
    pub fn task(&self) -> WaitGroupTask {
        self.0.add(1);
        WaitGroupTask(Arc::clone(&self.0))
    }

    /// Starts a goroutine that counts as a task of the group until it ends.
    ///
    /// Like [`crate::go`] it may yield: see the contract of [`crate::Runtime::start`].
    ///
    /// # Panics
    /// As [`crate::go`]; the task is then not counted.
    ///
    /// Go: sync.WaitGroup.Go.
    #[doc(alias = "Go")]
    #[track_caller]
    pub fn go<F, R>(&self, f: F)
    where
        F: FnOnce() -> R + Send + 'static,
        R: GoResult,
    {
        let task = self.task();
        crate::go(move || {
            let _task = task;
            f()
        });
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroup").field("tasks", &self.0.tasks()).finish()
    }
}

/// One task of a [`WaitGroup`]: done when it is dropped.
#[must_use = "the task is done when this is dropped"]
pub struct WaitGroupTask(Arc<GroupCount>);

impl Drop for WaitGroupTask {
    #[inline]
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

impl fmt::Debug for WaitGroupTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroupTask").field("tasks", &self.0.tasks()).finish()
    }
}
