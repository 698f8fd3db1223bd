//! One direction of a pipe: any number of readers at one end, one writer at a time at the other.

use std::sync::Arc;
use std::time::Instant;

use gopark_sched::context;
use gopark_sched::sync::{Condvar, Mutex, MutexGuard};
use gopark_sys::lend::Loan;

/// Why a call failed. The order in which a call looks at the reasons is Go's: its own end, the other end, the deadline.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Fail {
    ClosedHere,
    /// For a writer. A reader finds the end.
    ClosedThere,
    Timeout,
    Canceled,
}

/// What a writer is after.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Offer {
    /// Nobody writes, or who does has given up.
    None,
    /// The loan is open.
    Open,
    /// All of it is taken; the writer has not looked yet.
    Taken,
}

/// One end of the direction.
#[derive(Debug, Default)]
struct End {
    closed: bool,
    deadline: Option<Instant>,
    /// How many contexts are done that are attached, by reason: canceled, out of time.
    canceled: [u32; 2],
}

impl End {
    /// Go: the switch before the select of pipe.read and pipe.write
    fn check(&self) -> Option<Fail> {
        if self.canceled[1] > 0 || self.deadline.is_some_and(|t| t <= Instant::now()) {
            Some(Fail::Timeout)
        } else if self.canceled[0] > 0 {
            Some(Fail::Canceled)
        } else {
            None
        }
    }
}

#[derive(Debug)]
struct State {
    offer: Offer,
    reader: End,
    writer: End,
}

/// A direction.
///
/// Lock order: `writers`, `state`, the loan's.
pub(super) struct Flow {
    /// Held by who writes, so that the whole of it stays together. Go: wrMu
    writers: Mutex<()>,
    state: Mutex<State>,
    /// The writer's bytes. Taken with `state` locked, and while the offer is open.
    loan: Loan,
    /// For readers: an offer was made, or something that they look at has changed.
    offered: Condvar,
    /// For the writer: his offer is taken, or something has changed.
    taken: Condvar,
}

impl Flow {
    pub(super) fn new() -> Flow {
        let state = State { offer: Offer::None, reader: End::default(), writer: End::default() };
        Flow {
            writers: Mutex::new(()),
            state: Mutex::new(state),
            loan: Loan::new(),
            offered: Condvar::new(),
            taken: Condvar::new(),
        }
    }

    /// Go: net/pipe.go pipe.read
    pub(super) fn read(&self, buf: &mut [u8]) -> Result<usize, Fail> {
        let mut state = self.state.lock();
        loop {
            if state.reader.closed {
                return Err(Fail::ClosedHere);
            }
            if state.writer.closed {
                return Ok(0);
            }
            if let Some(fail) = state.reader.check() {
                return Err(fail);
            }
            if buf.is_empty() {
                return Ok(0);
            }
            if state.offer == Offer::Open {
                let n = self.loan.take(buf).unwrap_or(0);
                if self.loan.left().unwrap_or(0) == 0 {
                    state.offer = Offer::Taken;
                    self.taken.notify_one();
                } else {
                    // For the next reader, who was not told of it.
                    self.offered.notify_one();
                }
                if n > 0 {
                    return Ok(n);
                }
                // A write of nothing has met its reader; to him it would look like the end.
            }
            let deadline = state.reader.deadline;
            wait(&self.offered, &mut state, deadline);
        }
    }

    /// Lends `buf` until all of it is taken. Err: how much was, and why it is over.
    ///
    /// Go: net/pipe.go pipe.write
    pub(super) fn write(&self, buf: &[u8]) -> Result<(), (usize, Fail)> {
        // Before the lock too: who cannot write need not wait for others.
        self.check_writer(&self.state.lock()).map_err(|fail| (0, fail))?;
        let _alone = self.writers.lock();
        match self.loan.lend(buf, || self.offer()) {
            (_, Ok(())) => Ok(()),
            (taken, Err(fail)) => Err((taken, fail)),
        }
    }

    /// Offers what is lent, until it is taken.
    fn offer(&self) -> Result<(), Fail> {
        let mut state = self.state.lock();
        let mut result = self.check_writer(&state);
        if result.is_ok() {
            state.offer = Offer::Open;
            self.offered.notify_one();
        }
        while result.is_ok() && state.offer == Offer::Open {
            let deadline = state.writer.deadline;
            wait(&self.taken, &mut state, deadline);
            if state.offer == Offer::Open {
                result = self.check_writer(&state);
            }
        }
        // With the lock held: from here on nobody takes anything.
        state.offer = Offer::None;
        result
    }

    fn check_writer(&self, state: &State) -> Result<(), Fail> {
        if state.writer.closed {
            Err(Fail::ClosedHere)
        } else if state.reader.closed {
            Err(Fail::ClosedThere)
        } else {
            state.writer.check().map_or(Ok(()), Err)
        }
    }

    pub(super) fn check_reader(&self) -> Result<(), Fail> {
        if self.state.lock().reader.closed { Err(Fail::ClosedHere) } else { Ok(()) }
    }

    pub(super) fn close_reader(&self) {
        self.change(|state| state.reader.closed = true);
    }

    pub(super) fn close_writer(&self) {
        self.change(|state| state.writer.closed = true);
    }

    pub(super) fn set_read_deadline(&self, t: Option<Instant>) -> Result<(), Fail> {
        self.set_deadline(t, |state| (&mut state.reader, state.writer.closed))
    }

    pub(super) fn set_write_deadline(&self, t: Option<Instant>) -> Result<(), Fail> {
        self.set_deadline(t, |state| (&mut state.writer, state.reader.closed))
    }

    /// `end`: ours, and whether the other one is closed.
    fn set_deadline(
        &self,
        t: Option<Instant>,
        end: impl FnOnce(&mut State) -> (&mut End, bool),
    ) -> Result<(), Fail> {
        self.change(|state| match end(state) {
            (End { closed: true, .. }, _) => Err(Fail::ClosedHere),
            (_, true) => Err(Fail::ClosedThere),
            (ours, false) => {
                ours.deadline = t;
                Ok(())
            }
        })
    }

    /// Who waits looks again. All of them: the deadline is everybody's, and a close too.
    fn change<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        let value = f(&mut self.state.lock());
        self.offered.notify_all();
        self.taken.notify_all();
        value
    }
}

fn wait(condvar: &Condvar, state: &mut MutexGuard<'_, State>, deadline: Option<Instant>) {
    match deadline {
        None => condvar.wait(state),
        Some(t) => {
            condvar.wait_until(state, t);
        }
    }
}

/// What a context needs to end the calls on one end of a pipe.
#[derive(Clone)]
pub(crate) struct Cancel {
    incoming: Arc<Flow>,
    outgoing: Arc<Flow>,
}

impl Cancel {
    pub(super) fn new(incoming: &Arc<Flow>, outgoing: &Arc<Flow>) -> Cancel {
        Cancel { incoming: Arc::clone(incoming), outgoing: Arc::clone(outgoing) }
    }

    /// Makes reads and writes fail, until as many [`Cancel::clear`]s.
    pub(crate) fn cancel(&self, why: context::Error) {
        self.change(why, |count| *count += 1);
    }

    /// Takes one [`Cancel::cancel`] back.
    pub(crate) fn clear(&self, why: context::Error) {
        self.change(why, |count| *count -= 1);
    }

    fn change(&self, why: context::Error, f: impl Fn(&mut u32)) {
        let i = usize::from(why.is_timeout());
        self.incoming.change(|state| f(&mut state.reader.canceled[i]));
        self.outgoing.change(|state| f(&mut state.writer.canceled[i]));
    }
}
