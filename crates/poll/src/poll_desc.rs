//! What the poller knows of one descriptor. Go: `pollDesc`.
//!
//! Slots are `'static` and reused, never freed; a generation tells the uses apart (`poll_info.rs`).
//! Everything that a read that parks, and the event that ends it, touch is in one cache line; the deadlines
//! are in the other.
//!
//! Go counts the goroutines that are parked on descriptors, to know whether polling is worth while. That is
//! an increment for each park and a decrement for each wake on a counter shared by all threads, and it was
//! wrong twice (golang/go#60782, #61454). We ask whether any descriptor is open instead: a poll with
//! descriptors open and nobody parked is rare and harmless, and opening costs system calls beside which a
//! counter does not show.

use gopark_sys::netpoll::{Readiness, Token};
use gopark_sys::sysfd::SysFd;
use gopark_sys::{Errno, throw};

use crate::netpoll::{Interest, Netpoll};
use crate::park_slot::{ParkSlot, Unblock};
use crate::poll_info::{Info, Mode, PollInfo, Refusal};
use crate::runtime::{WaitReason, runtime};
use crate::sync::Mutex;
use crate::time::Link;
use crate::{ReadyList, poll_cache};

mod cancel;
mod deadline;
mod task;
#[cfg(all(test, not(loom)))]
mod tests;

pub use cancel::Canceler;
use cancel::Cancels;
pub(crate) use deadline::Deadlines;

/// A slot for one open descriptor.
#[repr(C, align(64))]
pub(crate) struct PollDesc {
    /// Who waits to read. Go: rg
    rg: ParkSlot,
    /// Who waits to write. Go: wg
    wg: ParkSlot,
    /// Go: atomicInfo and fdseq
    info: PollInfo,
    /// Of this slot; constant after init.
    index: u32,
    cold: Cold,
}

/// What only opening, closing and deadlines touch.
#[repr(C, align(64))]
pub(crate) struct Cold {
    lock: Mutex<Synced>,
    /// The place of this slot's deadline entries in a heap of timers; they belong to the slot and outlive a
    /// use.
    read_link: Link,
    write_link: Link,
}

/// Under `lock`.
#[derive(Default)]
struct Synced {
    read: Deadlines,
    write: Deadlines,
    cancels: Cancels,
}

impl Synced {
    /// As of a descriptor that nobody has done anything to yet.
    fn reset(&mut self) {
        self.read.reset();
        self.write.reset();
        self.cancels = Cancels::default();
    }
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<PollDesc>() == 128);

impl std::fmt::Debug for PollDesc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PollDesc")
            .field("index", &self.index)
            .field("seq", &self.info().seq())
            .finish_non_exhaustive()
    }
}

impl PollDesc {
    pub(crate) fn new(index: u32) -> PollDesc {
        PollDesc {
            rg: ParkSlot::new(),
            wg: ParkSlot::new(),
            info: PollInfo::new(),
            index,
            cold: Cold {
                lock: Mutex::new(Synced::default()),
                read_link: Link::new(),
                write_link: Link::new(),
            },
        }
    }

    #[inline]
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    #[inline]
    pub(crate) fn info(&self) -> Info {
        self.info.load()
    }

    #[inline]
    fn slot(&self, mode: Mode) -> &ParkSlot {
        match mode {
            Mode::Read => &self.rg,
            Mode::Write => &self.wg,
        }
    }

    pub(crate) fn is_parked(&self, mode: Mode) -> bool {
        self.slot(mode).is_parked()
    }

    pub(crate) fn link(&self, mode: Mode) -> &Link {
        match mode {
            Mode::Read => &self.cold.read_link,
            Mode::Write => &self.cold.write_link,
        }
    }

    /// Takes a slot for `fd` and registers it with the poller. The generation is the caller's proof of use.
    ///
    /// # Errors
    ///
    /// The error of the registration; the slot is free again, and nothing is taken out of the poller that
    /// never was in it (golang/go#44552).
    ///
    /// Go: runtime/netpoll.go poll_runtime_pollOpen
    #[doc(alias = "poll_runtime_pollOpen")]
    pub(crate) fn open(netpoll: &Netpoll, fd: &SysFd, interest: Interest) -> Result<PdRef, Errno> {
        let pd = poll_cache::alloc();
        let info = pd.begin();
        if interest == Interest::Reading {
            pd.info.let_errors_tell();
        }
        if let Err(errno) = netpoll.register(fd, Token::new(pd.index, info.seq()), interest) {
            pd.free();
            return Err(errno);
        }
        Ok(PdRef { pd, seq: info.seq() })
    }

    /// Ends all waits on the descriptor for good. Once per use.
    ///
    /// Go: runtime/netpoll.go poll_runtime_pollUnblock
    #[doc(alias = "poll_runtime_pollUnblock")]
    pub(crate) fn evict(&self) {
        let (reader, writer) = {
            let mut synced = self.cold.lock.lock();
            if self.info.load().closing() {
                throw!("gopark: a poll descriptor is evicted twice");
            }
            // The entries in the timers' heap stay: they find no deadline when they fire, and the next user
            // of the slot will likely want one.
            synced.read.reset();
            synced.write.reset();
            self.info.set_closing();
            (self.rg.unblock(Unblock::Evict), self.wg.unblock(Unblock::Evict))
        };
        for w in [reader, writer].into_iter().flatten() {
            runtime().goready(w);
        }
        // Those that wait for a lock, and what a future that was forgotten has left.
        if let Some(side) = self.side() {
            side.wake();
        }
    }

    /// Takes `fd` out of the poller and frees the slot. After `evict`, when nobody uses the descriptor any
    /// more and before its number is closed.
    ///
    /// Go: runtime/netpoll.go poll_runtime_pollClose
    #[doc(alias = "poll_runtime_pollClose")]
    pub(crate) fn close(&'static self, netpoll: &Netpoll, fd: &SysFd) {
        if !self.info.load().closing() {
            throw!("gopark: a poll descriptor is closed and was not evicted");
        }
        netpoll.deregister(fd);
        self.free();
    }

    /// Go: runtime/netpoll.go freepoll
    fn free(&'static self) {
        self.end();
        poll_cache::free(self);
    }

    /// A free slot gets a user.
    pub(crate) fn begin(&self) -> Info {
        let mut synced = self.cold.lock.lock();
        if !self.info.load().closing() {
            throw!("gopark: a poll descriptor on the free list is in use");
        }
        // Nobody is parked on a free slot, but a late event may have left a mark; it would be a spurious wake-up, and
        // is one if it comes after this.
        self.rg.reset();
        self.wg.reset();
        synced.reset();
        self.info.open()
    }

    /// A slot loses its user; from here on its events are stale.
    pub(crate) fn end(&self) {
        let mut synced = self.cold.lock.lock();
        synced.reset();
        self.info.free();
    }

    /// Before every operation: may it go on? Forgets earlier readiness, so the operation itself has to be
    /// tried before the caller waits.
    ///
    /// Go: runtime/netpoll.go poll_runtime_pollReset
    #[doc(alias = "poll_runtime_pollReset")]
    #[inline]
    pub(crate) fn prepare(&self, mode: Mode) -> Result<(), Refusal> {
        self.info.load().check(mode)?;
        self.slot(mode).take_ready();
        Ok(())
    }

    /// Waits for an event in direction `mode`. True: had to park for it; false: it had come already. The
    /// caller holds that direction's lock.
    ///
    /// Go: runtime/netpoll.go poll_runtime_pollWait
    #[doc(alias = "poll_runtime_pollWait")]
    pub(crate) fn wait(&'static self, mode: Mode) -> Result<bool, Refusal> {
        self.info.load().check(mode)?;
        let slot = self.slot(mode);
        if slot.take_ready() {
            return Ok(false);
        }
        gopark_sys::fork::check(); // nobody polls in the child of a fork
        // The recheck needs no more than what `check` reads: everything that evicts publishes it there first. So does
        // the end of all waits of plain threads, in a word of its own.
        let may = || self.info.load().check(mode).is_ok() && crate::runtime::may_wait();
        while !slot.block(WaitReason::IoWait, may) {
            self.info.load().check(mode)?;
            if !crate::runtime::may_wait() {
                return Err(Refusal::Closing);
            }
            // A deadline that was moved after it had woken us: go on waiting.
        }
        Ok(true)
    }

    /// Delivers one event. A stale one, of an earlier use of the slot, does nothing.
    ///
    /// Go: runtime/netpoll.go netpollready
    #[doc(alias = "netpollready")]
    #[inline]
    pub(crate) fn ready(&self, seq: u32, readiness: Readiness, list: &mut ReadyList) {
        let info = self.info.load();
        if info.seq() != seq {
            return;
        }
        let err = readiness.only_error() && !info.errors_tell();
        let spoils = readiness.spoils_hint();
        // Before READY is set: who takes the mark has to see this too.
        if (err != info.event_err() || spoils && !info.spoiled()) && !self.info.note_event(seq, err, spoils) {
            return;
        }
        // The slot may get a new user just now. He is woken once for nothing, and tries again.
        if readiness.reader()
            && let Some(w) = self.rg.unblock(Unblock::Ready)
        {
            list.push(w);
        }
        if readiness.writer()
            && let Some(w) = self.wg.unblock(Unblock::Ready)
        {
            list.push(w);
        }
    }
}

/// A use of a slot, as its descriptor holds it.
#[derive(Copy, Clone, Debug)]
pub(crate) struct PdRef {
    pub(crate) pd: &'static PollDesc,
    pub(crate) seq: u32,
}

impl PdRef {
    /// Under which the poller knows it.
    pub(crate) fn token(self) -> Token {
        Token::new(self.pd.index, self.seq)
    }
}
