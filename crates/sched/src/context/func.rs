//! Functions that run when a context is done. Go: `context.AfterFunc`.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::Error;
use super::node::{Child, Hook, Node};
use crate::newproc::newproc_task;

/// How long to wait before a function is tried again for which no goroutine could be started.
const RETRY: Duration = Duration::from_millis(1);

type Func = Box<dyn FnOnce() + Send>;

enum State {
    Waiting(Func),
    /// A goroutine is on its way.
    Started(Func),
    Gone,
}

struct Job {
    state: Mutex<State>,
    start: &'static Location<'static>,
}

impl Job {
    /// Takes the function out, for its goroutine.
    fn run(&self) {
        let state = std::mem::replace(&mut *self.state.lock(), State::Gone);
        if let State::Started(f) = state {
            f();
        }
    }

    /// Takes the function out if it was not started.
    fn stop(&self) -> Option<Func> {
        let mut state = self.state.lock();
        match std::mem::replace(&mut *state, State::Gone) {
            State::Waiting(f) => Some(f),
            other => {
                *state = other;
                None
            }
        }
    }
}

impl Hook for Job {
    fn canceled(self: Arc<Job>, _err: Error) {
        {
            let mut state = self.state.lock();
            match std::mem::replace(&mut *state, State::Gone) {
                State::Waiting(f) => *state = State::Started(f),
                other => {
                    *state = other;
                    return;
                }
            }
        }
        let job = Arc::clone(&self);
        // Also when the runtime shuts down: what it waits for may wait for this.
        match newproc_task(move || job.run(), self.start) {
            Ok(w) => crate::park::goready(w),
            // Not lost: timers try until there is a stack.
            Err(_) => drop(crate::time::after_func(RETRY, move || self.run())),
        }
    }
}

/// Keeps a function of [`Context::after_func`](super::Context::after_func) from running. Dropping it stops nothing.
pub struct StopFunc {
    job: Arc<Job>,
    at: Option<(Arc<Node>, u32)>,
}

impl StopFunc {
    #[track_caller]
    pub(super) fn new(node: Option<&Arc<Node>>, f: Func) -> StopFunc {
        assert!(crate::sched::SCHED.is_started(), "after_func: {}", crate::NOT_STARTED);
        let job = Arc::new(Job { state: Mutex::new(State::Waiting(f)), start: Location::caller() });
        let mut at = None;
        if let Some(node) = node {
            match node.add(Child::Hook(Arc::clone(&job) as Arc<dyn Hook>)) {
                Ok(key) => at = Some((Arc::clone(node), key)),
                Err((err, _)) => Arc::clone(&job).canceled(err),
            }
        }
        StopFunc { job, at }
    }

    /// True: the function will not run. False: it was stopped before, or its goroutine has been started; this does not
    /// wait for it.
    pub fn stop(&self) -> bool {
        let Some(f) = self.job.stop() else { return false };
        if let Some((node, key)) = &self.at {
            node.remove(*key);
        }
        drop(f);
        true
    }
}

impl fmt::Debug for StopFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopFunc").finish_non_exhaustive()
    }
}
