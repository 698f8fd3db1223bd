//! Semaphores that are nothing but an address. Go: `semaRoot`, as far as `fdMutex` needs it.
//!
//! `FdMutex` counts its waiters in its own word, and for each one that it takes off that count there is
//! exactly one `release`; each waiter that was counted does exactly one `acquire`. So a semaphore is only
//! ever touched when somebody waits, and needs no word of its own in every descriptor: the permits that are
//! on their way are kept in the table too.
//!
//! A permit is given to the waiter who is first in line. That is not the descriptor's lock: he has to compete
//! for it like anybody else (Go's non-handoff form).

use gopark_sys::throw;

use crate::park_slot::{ParkSlot, Unblock};
use crate::runtime::{WaitReason, runtime};
use crate::sync::{Mutex, global};

/// A prime, so that addresses with a common factor spread (Go's number).
#[cfg(not(loom))]
const BUCKETS: usize = 251;
#[cfg(loom)]
const BUCKETS: usize = 2;

/// End of a list of nodes.
const END: u32 = u32::MAX;

global! {
    static TABLE: Table = Table::new();
}

struct Table {
    buckets: [Bucket; BUCKETS],
}

#[repr(align(64))]
struct Bucket(Mutex<Lists>);

/// Under its bucket's lock. All memory here is kept and used again.
struct Lists {
    /// The addresses that somebody waits on, or for which permits are on their way. Few: they are only here
    /// while there is contention.
    semas: Vec<Sema>,
    /// Nodes for waiters, in use or not.
    nodes: Vec<Node>,
    /// The first free node.
    free: u32,
}

/// One address.
struct Sema {
    addr: usize,
    permits: u32,
    /// Waiters, first in first out; a list of its own for each address, so that a thousand waiters on one
    /// descriptor do not slow down those of another in the same bucket.
    head: u32,
    tail: u32,
}

struct Node {
    slot: &'static ParkSlot,
    next: u32,
}

impl Table {
    #[cfg(not(loom))]
    const fn new() -> Table {
        Table { buckets: [const { Bucket(Mutex::new(Lists::new())) }; BUCKETS] }
    }

    #[cfg(loom)]
    fn new() -> Table {
        Table { buckets: std::array::from_fn(|_| Bucket(Mutex::new(Lists::new()))) }
    }
}

impl Lists {
    const fn new() -> Lists {
        Lists { semas: Vec::new(), nodes: Vec::new(), free: END }
    }

    fn sema_mut(&mut self, addr: usize) -> &mut Sema {
        let at = match self.semas.iter().position(|s| s.addr == addr) {
            Some(at) => at,
            None => {
                self.semas.push(Sema { addr, permits: 0, head: END, tail: END });
                self.semas.len() - 1
            }
        };
        &mut self.semas[at]
    }

    /// Forgets `addr` if there is nothing left to remember.
    fn tidy(&mut self, addr: usize) {
        self.semas.retain(|s| s.addr != addr || s.permits > 0 || s.head != END);
    }

    fn alloc(&mut self) -> u32 {
        if self.free == END {
            // For good: a late wake-up must find its memory. As many as ever waited at a time.
            self.nodes.push(Node { slot: Box::leak(Box::new(ParkSlot::new())), next: END });
            return (self.nodes.len() - 1) as u32;
        }
        let node = self.free;
        self.free = std::mem::replace(&mut self.nodes[node as usize].next, END);
        node
    }

    fn enqueue(&mut self, addr: usize, node: u32) {
        let sema = self.sema_mut(addr);
        let tail = std::mem::replace(&mut sema.tail, node);
        if tail == END {
            sema.head = node;
        } else {
            self.nodes[tail as usize].next = node;
        }
    }

    fn dequeue(&mut self, addr: usize) -> Option<u32> {
        let sema = self.semas.iter().position(|s| s.addr == addr && s.head != END)?;
        let node = self.semas[sema].head;
        let next = std::mem::replace(&mut self.nodes[node as usize].next, END);
        let sema = &mut self.semas[sema];
        sema.head = next;
        if next == END {
            sema.tail = END;
        }
        Some(node)
    }
}

fn bucket(addr: usize) -> &'static Mutex<Lists> {
    // The low bits of an address are the same for many; Go shifts by three as well.
    &TABLE.buckets[(addr >> 3) % BUCKETS].0
}

/// Waits for a permit of `addr`.
///
/// Go: runtime/sema.go semacquire1
#[doc(alias = "semacquire")]
#[cold]
#[inline(never)]
pub(crate) fn acquire(addr: usize) {
    let (node, slot) = {
        let mut lists = bucket(addr).lock();
        let sema = lists.sema_mut(addr);
        if sema.permits > 0 {
            sema.permits -= 1;
            lists.tidy(addr);
            return;
        }
        let node = lists.alloc();
        lists.enqueue(addr, node);
        (node, lists.nodes[node as usize].slot)
    };
    if !slot.block(WaitReason::Semacquire, || true) {
        // Nobody evicts from here.
        throw!("gopark: a semaphore's waiter woke without a permit");
    }
    let mut lists = bucket(addr).lock();
    lists.nodes[node as usize].next = lists.free;
    lists.free = node;
}

/// Gives one permit to `addr`: to the first in line or, if the waiter is not there yet, for him to find.
///
/// Go: runtime/sema.go semrelease1
#[doc(alias = "semrelease")]
#[cold]
#[inline(never)]
pub(crate) fn release(addr: usize) {
    let slot = {
        let mut lists = bucket(addr).lock();
        match lists.dequeue(addr) {
            Some(node) => {
                lists.tidy(addr);
                lists.nodes[node as usize].slot
            }
            None => {
                lists.sema_mut(addr).permits += 1;
                return;
            }
        }
    };
    // The node is not free before its waiter has consumed this.
    if let Some(w) = slot.unblock(Unblock::Ready) {
        runtime().goready(w);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn busy(addr: usize) -> bool {
        bucket(addr).lock().semas.iter().any(|s| s.addr == addr)
    }

    #[test]
    fn a_permit_waits_for_its_waiter_and_nothing_is_left() {
        // Not the address of anything, so no other test's.
        let addr = usize::MAX - 8;
        assert!(!busy(addr));
        release(addr);
        release(addr);
        assert!(busy(addr));
        acquire(addr);
        assert!(busy(addr));
        acquire(addr);
        assert!(!busy(addr));
    }
}
