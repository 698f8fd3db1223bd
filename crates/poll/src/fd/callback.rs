//! A callback for when there is something to read: waiting with neither a goroutine nor a stack.
//!
//! Go's programmers have asked for it since golang/go#15735. What waits is a box with the caller's closure in it; the
//! goroutine that runs it begins when the event has come.
//!
//! While it waits the callback has the read lock, and with it a reference: another reader queues, as behind a goroutine
//! that is parked in a read, and `close` ends the wait and lets the callback know.

use std::panic::Location;

use gopark_sys::{Errno, rw};

use super::{Fd, Lock};
use crate::Error;
use crate::poll_info::Mode;
use crate::runtime::runtime;
use crate::task::{Call, Task};

/// What waits. `O` owns the descriptor, which it is asked for by `fd`.
struct Pending<O, F> {
    owner: O,
    fd: fn(&O) -> &Fd,
    f: F,
    start: &'static Location<'static>,
}

impl Fd {
    /// Starts a goroutine that runs `f` when a read of the descriptor would not wait, or there is an error: it is
    /// closed, or the read deadline has passed. Never runs `f` itself.
    ///
    /// Waits for the read lock if somebody has it. If no goroutine can be started it is tried again until one can.
    pub fn on_readable<O, F>(owner: O, fd: fn(&O) -> &Fd, start: &'static Location<'static>, f: F)
    where
        O: Send + 'static,
        F: FnOnce(O, Result<(), Error>) + Send + 'static,
    {
        let pending = Pending { owner, fd, f, start };
        let looked = match fd(&pending.owner).lock(Mode::Read) {
            Err(e) => Some(Err(e)),
            Ok(lock) => {
                let looked = lock.fd().look_readable(false);
                if looked.is_none() {
                    std::mem::forget(lock);
                }
                looked
            }
        };
        let Some(result) = looked else { return pending.wait() };
        let run = Box::new(move || (pending.f)(pending.owner, result));
        runtime().start_task(Task::Call(Call { run, start }));
    }

    /// Whether a read would not wait, or why there can be none; None if there is nothing yet. With the read lock held.
    ///
    /// `called`: an event may have come. Its mark is gone if it met us when we were about to wait, so that what the
    /// hint says is of before.
    fn look_readable(&self, called: bool) -> Option<Result<(), Error>> {
        let Some(p) = self.pd else { return Some(Err(Errno::EAGAIN.into())) };
        if let Err(refusal) = p.pd.info().check(Mode::Read) {
            return Some(Err(self.refused(refusal)));
        }
        if !p.pd.take_ready(Mode::Read) && !called && self.hint.may_wait(p.pd) {
            return None;
        }
        loop {
            match rw::poll_readable(&self.sysfd) {
                Ok(true) => {
                    // The mark may be taken, the data is not.
                    self.hint.clear();
                    return Some(Ok(()));
                }
                Ok(false) => {
                    self.hint.drained();
                    return None;
                }
                Err(Errno::EINTR) => {}
                Err(errno) => return Some(Err(errno.into())),
            }
        }
    }
}

impl<O, F> Pending<O, F>
where
    O: Send + 'static,
    F: FnOnce(O, Result<(), Error>) + Send + 'static,
{
    /// Leaves the callback with the descriptor. The read lock is ours, and goes with it.
    fn wait(self) {
        let Some(p) = (self.fd)(&self.owner).pd else { return }; // looked at before
        let start = self.start;
        p.pd.call_when_readable(Call { run: Box::new(move || self.called()), start });
    }

    /// On the new goroutine: the event has come, or an error, or nothing at all.
    fn called(self) {
        let fd = (self.fd)(&self.owner);
        let Some(result) = fd.look_readable(true) else { return self.wait() };
        drop(Lock::new(fd, Mode::Read));
        (self.f)(self.owner, result);
    }
}
