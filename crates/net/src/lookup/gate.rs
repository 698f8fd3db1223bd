//! So many at a time, and the others wait: a thread in `getaddrinfo` cannot be had back, and a name server that does
//! not answer must not cost the process all the threads it may have (ten thousand, and then it ends).
//! Go: `acquireThread`, `concurrentThreadsLimit` in `net/net.go`.

use std::collections::VecDeque;

use gopark_poll::{ParkSlot, WaitReason};
use gopark_sched::context::{Context, Error};
use gopark_sched::{chan, select};
use parking_lot::Mutex;

/// See the module's text.
#[derive(Debug)]
pub struct Gate {
    permits: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// First in, first out. Whoever takes one out hands it his permit.
    waiting: VecDeque<Waiter>,
    /// Of those who wait under a context: a number is given once.
    next_ticket: u64,
    /// Kept for ever and used again.
    spare: Vec<&'static ParkSlot>,
}

#[derive(Debug)]
enum Waiter {
    /// Waits for as long as it takes.
    Slot(&'static ParkSlot),
    /// May give up, and then takes himself out by his number.
    Under(u64, chan::Sender<()>),
}

impl Gate {
    /// Lets `permits` in at a time.
    pub const fn new(permits: usize) -> Gate {
        let state = State { free: permits, waiting: VecDeque::new(), next_ticket: 0, spare: Vec::new() };
        Gate { permits, state: Mutex::new(state) }
    }

    /// Waits until there are few enough inside, and runs `f`.
    pub fn enter<T>(&self, f: impl FnOnce() -> T) -> T {
        self.acquire();
        let _permit = Permit(self);
        f()
    }

    /// As [`Gate::enter`], if `ctx` is not done before it is his turn. Who is not waited for any more must not stay in
    /// the queue: while lookups hang, each that is given up and tried again would leave a goroutine there.
    ///
    /// # Errors
    ///
    /// Why `ctx` is done.
    ///
    /// Go: net/net.go acquireThread
    pub fn enter_under<T>(&self, ctx: &Context, f: impl FnOnce() -> T) -> Result<T, Error> {
        self.acquire_under(ctx)?;
        let _permit = Permit(self);
        // He may have got it in the very moment.
        if let Some(done) = ctx.err() { Err(done) } else { Ok(f()) }
    }

    fn acquire_under(&self, ctx: &Context) -> Result<(), Error> {
        if ctx.never_done() {
            self.acquire();
            return Ok(());
        }
        let (tx, rx) = chan::bounded(1);
        let ticket = {
            let mut state = self.state.lock();
            if state.free > 0 {
                state.free -= 1;
                return Ok(());
            }
            let ticket = state.next_ticket;
            state.next_ticket += 1;
            state.waiting.push_back(Waiter::Under(ticket, tx));
            ticket
        };
        select! {
            recv(rx) -> _ => return Ok(()),
            recv(ctx.done()) -> _ => {},
        }
        let mut state = self.state.lock();
        let place =
            state.waiting.iter().position(|one| matches!(one, Waiter::Under(other, _) if *other == ticket));
        match place {
            Some(place) => drop(state.waiting.remove(place)),
            // Handed over meanwhile: the next one's.
            None => {
                drop(state);
                drop(Permit(self));
            }
        }
        Err(ctx.err().unwrap_or(Error::Canceled))
    }

    /// Takes all permits, for a test; waits until everybody is out.
    pub(super) fn fill(&'static self) -> impl Drop {
        struct Filled(&'static Gate, usize);
        impl Drop for Filled {
            fn drop(&mut self) {
                (0..self.1).for_each(|_| drop(Permit(self.0)));
            }
        }
        let permits = self.permits;
        (0..permits).for_each(|_| self.acquire());
        Filled(self, permits)
    }

    fn acquire(&self) {
        let slot = {
            let mut state = self.state.lock();
            if state.free > 0 {
                state.free -= 1;
                return;
            }
            let slot = state.spare.pop().unwrap_or_else(|| Box::leak(Box::new(ParkSlot::new())));
            state.waiting.push_back(Waiter::Slot(slot));
            slot
        };
        while !slot.block(WaitReason::Semacquire, || true) {}
        self.state.lock().spare.push(slot);
    }
}

/// The right to be inside; goes to who has waited longest.
struct Permit<'a>(&'a Gate);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let next = {
            let mut state = self.0.state.lock();
            let next = state.waiting.pop_front();
            if next.is_none() {
                state.free += 1;
            }
            next
        };
        match next {
            Some(Waiter::Slot(slot)) => gopark_sched::unpark(slot),
            // There is room for it, and he who waits is there: he would have taken himself out.
            Some(Waiter::Under(_, tx)) => drop(tx.try_send(())),
            None => {}
        }
    }
}
