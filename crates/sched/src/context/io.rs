//! Descriptors whose operations a context ends: registered once, not for each call.

use std::sync::Arc;

use gopark_poll::{CancelReason, Canceler, Mode};
use parking_lot::Mutex;

use super::Error;
use super::node::{Child, Hook, Node};

#[derive(Copy, Clone, PartialEq, Eq)]
enum State {
    Attached,
    /// The descriptor's bits are set, for this reason.
    Canceled(CancelReason),
    /// Whatever the context does now comes too late.
    Detached,
}

struct Descriptor {
    canceler: Canceler,
    modes: &'static [Mode],
    /// Held while the bits are changed: they are set before they are cleared, and not after.
    state: Mutex<State>,
}

impl Hook for Descriptor {
    fn canceled(self: Arc<Descriptor>, err: Error) {
        let reason = match err {
            Error::Canceled => CancelReason::Canceled,
            Error::DeadlineExceeded => CancelReason::DeadlineExceeded,
        };
        let mut state = self.state.lock();
        if *state == State::Attached {
            *state = State::Canceled(reason);
            self.canceler.cancel(self.modes, reason);
        }
    }
}

/// A context is attached to a descriptor for as long as this lives.
pub struct Attached(Option<(Arc<Node>, u32, Arc<Descriptor>)>);

impl Attached {
    pub(super) fn new(node: Option<&Arc<Node>>, canceler: Canceler, modes: &'static [Mode]) -> Attached {
        let Some(node) = node else { return Attached(None) };
        let descriptor = Arc::new(Descriptor { canceler, modes, state: Mutex::new(State::Attached) });
        let key = match node.add(Child::Hook(Arc::clone(&descriptor) as Arc<dyn Hook>)) {
            Ok(key) => key,
            Err((err, _)) => {
                Arc::clone(&descriptor).canceled(err);
                0 // not looked at: the node is done
            }
        };
        Attached(Some((Arc::clone(node), key, descriptor)))
    }

    /// Takes the context off. Err: it was done before this, and why; the operations may have failed for that, and the
    /// descriptor is as if they had not.
    pub fn detach(mut self) -> Result<(), Error> {
        self.take_off()
    }

    fn take_off(&mut self) -> Result<(), Error> {
        let Some((node, key, descriptor)) = self.0.take() else { return Ok(()) };
        let state = {
            let mut state = descriptor.state.lock();
            if let State::Canceled(reason) = *state {
                descriptor.canceler.clear(descriptor.modes, reason);
            }
            std::mem::replace(&mut *state, State::Detached)
        };
        node.remove(key);
        match state {
            State::Canceled(CancelReason::DeadlineExceeded) => Err(Error::DeadlineExceeded),
            State::Canceled(CancelReason::Canceled) => Err(Error::Canceled),
            State::Attached | State::Detached => Ok(()),
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let _ = self.take_off();
    }
}

impl std::fmt::Debug for Attached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attached").finish_non_exhaustive()
    }
}
