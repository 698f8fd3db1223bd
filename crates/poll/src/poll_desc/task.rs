//! Tasks that wait for a descriptor. See `task.rs`.

use std::task::{Poll, Waker};

use super::PollDesc;
use crate::park_slot::Registered;
use crate::poll_info::{Mode, Refusal};
use crate::runtime::runtime;
use crate::task::{self, Call, Side, Task, Ticket, waiter};

impl PollDesc {
    /// Leaves `waker`, for a future that is polled: as [`PollDesc::wait`], but does not park. `Ready`: the event had
    /// come, try again. The caller holds the direction's lock now, and gives it back before he is polled again.
    pub(crate) fn poll_wait(
        &'static self,
        mode: Mode,
        waker: &Waker,
        mut ticket: Option<&mut Ticket>,
    ) -> Result<Poll<()>, Refusal> {
        self.info.load().check(mode)?;
        let slot = self.slot(mode);
        if slot.take_ready() {
            return Ok(Poll::Ready(()));
        }
        let side = task::ensure_side(self.index);
        let mut is_new = side.set_waker(mode, waker, ticket.as_deref_mut());
        loop {
            match slot.register(task::waiter(self.index, mode), || self.info.load().check(mode).is_ok()) {
                Registered::Waiting => {
                    runtime().task_waits();
                    return Ok(Poll::Pending);
                }
                Registered::Ready => {
                    if is_new {
                        side.forget(mode, waker);
                    }
                    return Ok(Poll::Ready(()));
                }
                Registered::Refused => {
                    if is_new {
                        side.forget(mode, waker);
                    } else {
                        // With the number we may have withdrawn what another future of the task waits behind.
                        side.wake_one(mode);
                    }
                    self.info.load().check(mode)?;
                    // A deadline that was moved after it had called us.
                    is_new = side.set_waker(mode, waker, ticket.as_deref_mut());
                }
            }
        }
    }

    /// Leaves a callback that waits to read. The caller has the read lock, and leaves it to the callback. A future that
    /// waited here is told, as by who parks: it looks again, and finds the lock held.
    ///
    /// From the moment that it is in the side slot the callback may run, end, and let go of the descriptor. So it goes
    /// there after the number, and nothing but a look at the word comes after: to register then might take an event
    /// that is another one's by now.
    pub(crate) fn call_when_readable(&'static self, call: Call) {
        let side = task::ensure_side(self.index);
        let (mode, number) = (Mode::Read, waiter(self.index, Mode::Read));
        match self.slot(mode).register(number, || self.info.load().check(mode).is_ok()) {
            Registered::Waiting => {}
            // The event had come, or there is an error to tell. Not here, but where it would have run otherwise.
            Registered::Ready | Registered::Refused => {
                side.wake_one(mode);
                return runtime().start_task(Task::Call(call));
            }
        }
        runtime().task_waits();
        side.set_call(call);
        // Who took the number before has found no callback, and what he had done with the side slot came before what
        // we did: then the word is known to have changed. Who takes it now finds the callback.
        if !self.slot(mode).holds(number)
            && let Some(call) = side.take_call()
        {
            runtime().start_task(Task::Call(call));
        }
    }

    /// The wakers of this descriptor, if any task ever waited for it.
    pub(crate) fn side(&self) -> Option<&'static Side> {
        task::side(self.index)
    }

    /// Takes the mark of an event that came. See `ParkSlot::take_ready`.
    pub(crate) fn take_ready(&self, mode: Mode) -> bool {
        self.slot(mode).take_ready()
    }
}
