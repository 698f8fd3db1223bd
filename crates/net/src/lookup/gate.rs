//! So many at a time, and the others wait: a thread in `getaddrinfo` cannot be had back, and a name server that does
//! not answer must not cost the process all the threads it may have (ten thousand, and then it ends).
//! Go: `acquireThread`, `concurrentThreadsLimit` in `net/net.go`.

use std::collections::VecDeque;

use gopark_poll::{ParkSlot, WaitReason};
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
    waiting: VecDeque<&'static ParkSlot>,
    /// Kept for ever and used again.
    spare: Vec<&'static ParkSlot>,
}

impl Gate {
    /// Lets `permits` in at a time.
    pub const fn new(permits: usize) -> Gate {
        let state = State { free: permits, waiting: VecDeque::new(), spare: Vec::new() };
        Gate { permits, state: Mutex::new(state) }
    }

    /// Waits until there are few enough inside, and runs `f`.
    pub fn enter<T>(&self, f: impl FnOnce() -> T) -> T {
        self.acquire();
        let _permit = Permit(self);
        f()
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
            state.waiting.push_back(slot);
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
        if let Some(slot) = next {
            gopark_sched::unpark(slot);
        }
    }
}
