//! Many goroutines parked at once.

use gopark_poll::{ParkSlot, WaitReason};
use gopark_sched::{go, yield_now};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Places for goroutines to park on; kept for ever, as all slots must be.
#[derive(Debug)]
pub struct Crowd {
    slots: &'static [ParkSlot],
    parked: &'static AtomicUsize,
    gone: &'static AtomicUsize,
}

impl Crowd {
    /// Places for `count` goroutines.
    pub fn new(count: usize) -> Crowd {
        Crowd {
            slots: (0..count).map(|_| ParkSlot::new()).collect::<Vec<_>>().leak(),
            parked: Box::leak(Box::new(AtomicUsize::new(0))),
            gone: Box::leak(Box::new(AtomicUsize::new(0))),
        }
    }

    /// Starts one goroutine for each place and returns when all have come to park. Call it on a goroutine.
    pub fn gather(&self) {
        self.parked.store(0, Relaxed);
        self.gone.store(0, Relaxed);
        let (parked, gone) = (self.parked, self.gone);
        for slot in self.slots {
            go(move || {
                parked.fetch_add(1, Relaxed);
                slot.block(WaitReason::ChanReceive, || true);
                gone.fetch_add(1, Relaxed);
            });
        }
        while self.parked.load(Relaxed) < self.slots.len() {
            yield_now();
        }
    }

    /// Wakes them all and returns when they are gone.
    pub fn dismiss(&self) {
        self.slots.iter().for_each(gopark_sched::unpark);
        while self.gone.load(Relaxed) < self.slots.len() {
            yield_now();
        }
    }
}
