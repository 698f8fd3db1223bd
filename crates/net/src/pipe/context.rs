//! A pipe under a context. What `gopark_sched::context` does with a descriptor's bits is a count here.

use std::sync::Arc;

use gopark_sched::context::{Context, Error, StopFunc};
use gopark_sched::sync::Mutex;

use super::Cancel;

#[derive(Copy, Clone, PartialEq, Eq)]
enum State {
    Attached,
    Canceled(Error),
    /// Whatever the context does now comes too late.
    Detached,
}

/// A context is attached to an end of a pipe for as long as this lives.
pub(crate) struct PipeGuard {
    cancel: Cancel,
    /// Held while the counts are changed: they go up before they go down, and not after. Ours and not parking_lot's:
    /// changing them may park.
    state: Arc<Mutex<State>>,
    /// None if the context was done already, or never will be.
    stop: Option<StopFunc>,
}

impl PipeGuard {
    pub(crate) fn new(ctx: &Context, cancel: Cancel) -> PipeGuard {
        let state = Arc::new(Mutex::new(State::Attached));
        // Not by the function alone, which runs on a goroutine: the very next call must fail.
        if let Some(err) = ctx.err() {
            end(&cancel, &state, err);
            return PipeGuard { cancel, state, stop: None };
        }
        if ctx.never_done() {
            return PipeGuard { cancel, state, stop: None };
        }
        let stop = ctx.after_func({
            let (ctx, cancel, state) = (ctx.clone(), cancel.clone(), Arc::clone(&state));
            move || end(&cancel, &state, ctx.err().unwrap_or(Error::Canceled))
        });
        PipeGuard { cancel, state, stop: Some(stop) }
    }

    /// Takes the context off. Err: it was done before this, and why.
    pub(crate) fn take_off(&mut self) -> Result<(), Error> {
        if let Some(stop) = self.stop.take() {
            stop.stop();
        }
        let mut state = self.state.lock();
        match std::mem::replace(&mut *state, State::Detached) {
            State::Canceled(err) => {
                self.cancel.clear(err);
                Err(err)
            }
            State::Attached | State::Detached => Ok(()),
        }
    }
}

fn end(cancel: &Cancel, state: &Mutex<State>, err: Error) {
    let mut state = state.lock();
    if *state == State::Attached {
        *state = State::Canceled(err);
        cancel.cancel(err);
    }
}

impl Drop for PipeGuard {
    fn drop(&mut self) {
        let _ = self.take_off();
    }
}
