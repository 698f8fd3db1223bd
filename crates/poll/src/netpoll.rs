//! The network poller above the backend: who polls, who is woken, which event belongs to whom. Go:
//! `runtime/netpoll.go`, `netpoll_epoll.go`, and the poller's part of `findRunnable`.
//!
//! # The poll word
//!
//! At most one thread is in the backend's `poll`.
//!
//! | value | meaning | set by | cleared by |
//! |---|---|---|---|
//! | FREE | nobody polls | whoever leaves | |
//! | QUICK | somebody polls without blocking | `quick`, from FREE | the same |
//! | 0 | somebody blocks, or is about to; unknown until when, or for ever | `block`, from FREE | the same |
//! | > 0 | somebody blocks until this time | `block`, once it knows | the same |
//!
//! Two values for the two kinds of polling, because a thread that wants to block must not give up when it
//! finds a quick poll: it may be the last idle one, and while the quick poller goes on to run a goroutine
//! nobody would poll. It waits the microseconds and takes over. A lock with a plain try would do just that
//! wrong (Go has two words, `lastpoll` and `pollingNet`, and has `poll(0)` beside a blocked poller).
//!
//! The time is in the same word as the state, so that a waker can never combine "blocking" of one round with
//! the time of another.
//!
//! # Waking the blocking poller
//!
//! `wake_pending` coalesces wake-ups: who finds it set does nothing, the one who set it calls the backend. It
//! is consumed only by the blocking poller, twice in a round: *before* it looks at what there is to do (the
//! timers, in `until`), and after the backend has reported the waker. Each time by a swap that sees what the
//! wakers did before theirs. A wake-up that was consumed makes the round a poll without delay.
//!
//! Why before and not only on the event: mio's waker is edge-triggered and never drained, so a quick poll can
//! swallow the event that was meant for the thread which is going to block next. The flag survives that.
//!
//! Nothing is lost between the two places: whoever sets the flag after the first swap makes an event, and
//! nobody else can swallow it while the word says BLOCKING. An event that comes late, after its flag was
//! consumed, wakes one round for nothing.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gopark_sys::netpoll::{Backend, Event, Events, Registrar, Selector, Token};
use gopark_sys::sysfd::SysFd;
use gopark_sys::{Errno, throw};

use crate::runtime::runtime;
use crate::sync::atomic::{
    AtomicBool, AtomicI64, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
};
use crate::sync::{atomic::fence, spin_loop};
use crate::{ReadyList, poll_cache};

#[cfg(all(test, not(loom)))]
mod tests;

/// Events taken from the backend at a time. Go has 128 as well; 256 and 1024 measured the same.
pub(crate) const EVENTS_MAX: usize = 128;

/// Poll word: nobody polls.
const FREE: i64 = -1;
/// Poll word: somebody polls without blocking.
const QUICK: i64 = -2;
/// Poll word: somebody blocks for ever, or does not know yet for how long.
const BLOCKING: i64 = 0;

/// How often a thread that wants to block looks at a quick poll before it starts to yield the processor: some
/// microseconds, as long as a quick poll takes.
const SPINS: u32 = 1000;

/// Not loom's: nothing depends on a count, and a model would try every order of them.
type Count = std::sync::atomic::AtomicU64;

/// Sizes of batches are counted by powers of two.
const BATCHES: usize = 10;

/// Set by `install`.
pub(crate) static NETPOLL: OnceLock<Netpoll> = OnceLock::new();

/// The poller of the process.
#[doc(hidden)]
pub struct Netpoll {
    /// See the module's text.
    word: AtomicI64,
    /// See the module's text.
    wake_pending: AtomicBool,
    /// When a poll returned last; as `nanotime`.
    last_poll: AtomicI64,
    /// Descriptors that are registered.
    open: AtomicUsize,
    /// Polls by how many became runnable: none, 1, up to 3, up to 7, and so on; the last has all above. Added to by
    /// the owner of the poll word.
    batches: [Count; BATCHES],
    registrar: Arc<dyn Registrar>,
    name: &'static str,
    /// The owner of the poll word is the only one who locks it, so it only ever tries. (No `UnsafeCell`: this
    /// crate has no `unsafe`, and the uncontended lock does not show beside the system call.)
    polling: parking_lot::Mutex<Polling>,
}

struct Polling {
    selector: Box<dyn Selector>,
    events: Events,
}

/// Which events a descriptor is registered for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Interest {
    Both,
    /// Until somebody waits to write: see `Registrar::open_to_read`.
    Reading,
}

/// What the poller was doing a moment ago.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum PollerState {
    /// Nobody polls.
    Free,
    /// Somebody polls without blocking.
    Quick,
    /// Somebody blocks in the poller, or is about to.
    Blocking {
        /// Until when, as `nanotime`; 0: not known yet, or for ever.
        until: i64,
    },
}

impl Netpoll {
    #[doc(hidden)]
    pub fn new(backend: Backend) -> Netpoll {
        Netpoll {
            word: AtomicI64::new(FREE),
            wake_pending: AtomicBool::new(false),
            last_poll: AtomicI64::new(0),
            open: AtomicUsize::new(0),
            batches: [const { Count::new(0) }; BATCHES],
            registrar: backend.registrar,
            name: backend.name,
            polling: parking_lot::Mutex::new(Polling {
                selector: backend.selector,
                events: Events::with_capacity(EVENTS_MAX),
            }),
        }
    }

    pub(crate) fn register(&self, fd: &SysFd, token: Token, interest: Interest) -> Result<(), Errno> {
        gopark_sys::fork::check(); // the poller is the parent's, and would serve it our descriptors
        // Counted first: a scheduler that does not poll because nothing is open must not miss the first.
        self.open.fetch_add(1, Relaxed);
        let done = match interest {
            Interest::Both => self.registrar.open(fd.as_fd(), token),
            Interest::Reading => self.registrar.open_to_read(fd.as_fd(), token),
        };
        if done.is_err() {
            self.open.fetch_sub(1, Relaxed);
        }
        done
    }

    /// What was registered for reading is registered for both.
    pub(crate) fn widen(&self, fd: &SysFd, token: Token) -> Result<(), Errno> {
        gopark_sys::fork::check(); // as above
        self.registrar.widen(fd.as_fd(), token)
    }

    pub(crate) fn deregister(&self, fd: &SysFd) {
        if gopark_sys::fork::is_child() {
            return; // it would be taken out of the parent's poller
        }
        // An error has no one to go to, and closing the number takes it out of the poller anyway unless it
        // was duplicated; then its events carry a stale generation.
        let _ = self.registrar.close(fd.as_fd());
        self.open.fetch_sub(1, Relaxed);
    }

    #[doc(hidden)]
    pub fn state(&self) -> PollerState {
        // Pairs with the fence in `block` between its becoming the blocking poller and `until`: either that
        // sees what our caller has published, or we see that it blocks. Here and not with the callers, so
        // that none forgets it.
        fence(SeqCst);
        // Acquire: nothing is read that depends on it; it keeps what follows behind the decision.
        match self.word.load(Acquire) {
            FREE => PollerState::Free,
            QUICK => PollerState::Quick,
            until => PollerState::Blocking { until },
        }
    }

    /// See [`netpoll_quick`].
    #[doc(hidden)]
    pub fn quick(&self, ready: &mut ReadyList) -> bool {
        // Load first: on a busy machine many ask and one polls.
        if self.word.load(Relaxed) != FREE
            || self.word.compare_exchange(FREE, QUICK, Acquire, Relaxed).is_err()
        {
            return false;
        }
        // The waker's event may be among those swallowed; `wake_pending` stays for the blocking poller.
        self.poll(Some(Duration::ZERO), ready);
        self.release();
        true
    }

    /// See [`netpoll_block`].
    #[doc(hidden)]
    pub fn block(&self, until: impl FnOnce() -> i64, ready: &mut ReadyList) -> bool {
        if !self.become_blocking() {
            return false;
        }
        // AcqRel pairs with the swap in `wake`: everything done before a wake-up that is consumed here is
        // seen by `until` and by whatever the caller looks at after the return.
        let woken = self.wake_pending.swap(false, AcqRel);
        // Pairs with the fence in `state`: either `until` sees the new timer, or its owner sees BLOCKING.
        fence(SeqCst);
        let when = until();
        let delay = if woken {
            Some(Duration::ZERO)
        } else if when == 0 {
            None
        } else {
            // Published for the wakers of later timers, who need not wake us. Release: nothing depends on it.
            self.word.store(when.max(1), Release);
            Some(Duration::from_nanos(when.saturating_sub(runtime().nanotime()).max(0).unsigned_abs()))
        };
        if self.poll(delay, ready) {
            // Everything done before a wake-up that is consumed here is seen by the caller, who looks at
            // everything again.
            self.wake_pending.swap(false, AcqRel);
        }
        self.release();
        true
    }

    /// False: somebody else is the blocking poller.
    fn become_blocking(&self) -> bool {
        let mut spins = 0;
        loop {
            match self.word.compare_exchange(FREE, BLOCKING, Acquire, Relaxed) {
                Ok(_) => return true,
                Err(QUICK) if spins < SPINS => {
                    spins += 1;
                    spin_loop();
                }
                // The quick poller has lost its processor.
                Err(QUICK) => gopark_sys::thread::osyield(),
                // The exchange may fail although nobody polls any more: once more.
                Err(FREE) => {}
                Err(_) => return false,
            }
        }
    }

    fn release(&self) {
        // Release pairs with the acquire of the next owner: the lock on `polling` is free for him.
        self.word.store(FREE, Release);
    }

    /// One call of the backend. True: it reported the waker. By the owner of the poll word.
    fn poll(&self, delay: Option<Duration>, ready: &mut ReadyList) -> bool {
        let Some(mut polling) = self.polling.try_lock() else {
            throw!("gopark: two threads in the poller");
        };
        let Polling { selector, events } = &mut *polling;
        let mut waker = false;
        let before = ready.as_slice().len();
        match selector.poll(delay, events) {
            Ok(()) => {
                for event in events.iter() {
                    waker |= deliver(event, ready);
                }
            }
            // An empty list, so that the caller works out anew how long to wait.
            Err(Errno::EINTR) => {}
            Err(errno) => poll_failed(errno),
        }
        let count = &self.batches[batch_of(ready.as_slice().len() - before)];
        count.store(count.load(Relaxed) + 1, Relaxed);
        drop(polling);
        self.last_poll.store(runtime().nanotime(), Relaxed);
        waker
    }

    /// See [`netpoll_break`].
    #[doc(hidden)]
    pub fn wake(&self) {
        // AcqRel: release pairs with the poller's swaps. Who finds the flag set has nothing to do: the poller
        // has yet to consume it, and will see what came before this.
        if self.wake_pending.swap(true, AcqRel) {
            return;
        }
        if let Err(errno) = self.registrar.wake() {
            wake_failed(errno);
        }
    }
}

/// Where a batch of `n` is counted.
fn batch_of(n: usize) -> usize {
    ((usize::BITS - n.leading_zeros()) as usize).min(BATCHES - 1)
}

/// True: it was the waker's.
#[inline]
fn deliver(event: &Event, ready: &mut ReadyList) -> bool {
    if event.token.is_waker() {
        return true;
    }
    if let Some(pd) = poll_cache::get(event.token.index()) {
        pd.ready(event.token.seq(), event.ready, ready);
    }
    false
}

/// Going on would be an endless loop (golang/go#11498).
#[cold]
fn poll_failed(errno: Errno) -> ! {
    throw!("gopark: netpoll failed with errno {}", errno.raw());
}

#[cold]
fn wake_failed(errno: Errno) -> ! {
    throw!("gopark: waking the poller failed with errno {}", errno.raw());
}

/// Polls without blocking and adds to `ready` who became runnable. False: somebody else is polling, nothing
/// done.
///
/// Go: runtime/netpoll_epoll.go netpoll, with delay 0
#[doc(alias = "netpoll")]
pub fn netpoll_quick(ready: &mut ReadyList) -> bool {
    NETPOLL.get().is_some_and(|np| np.quick(ready))
}

/// Becomes the blocking poller, if nobody is; blocks until an event, a [`netpoll_break`] or the time that
/// `until` returns (0: none), and adds to `ready` who became runnable.
///
/// `until` is called when wake-ups can no longer be missed: work and timers that it sees or that are
/// published after it ran both lead to a return. A time that has passed, 1 for example, makes it a poll
/// without delay; so a caller that finds something else to do in `until` need not wait. After the return the
/// caller has to look at everything again.
///
/// False: another thread is the blocking poller and nothing was done; the caller may go to sleep.
///
/// Go: runtime/netpoll_epoll.go netpoll, and runtime/proc.go findRunnable
#[doc(alias = "netpoll")]
pub fn netpoll_block(until: impl FnOnce() -> i64, ready: &mut ReadyList) -> bool {
    NETPOLL.get().is_some_and(|np| np.block(until, ready))
}

/// Makes the blocking poller return, or the next one not block. Cheap when it was called already.
///
/// Go: runtime/netpoll_epoll.go netpollBreak
#[doc(alias = "netpollBreak")]
pub fn netpoll_break() {
    if let Some(np) = NETPOLL.get() {
        np.wake();
    }
}

/// What the poller was doing a moment ago. To decide on a [`netpoll_break`] call this after the publication:
/// a poller that is not reported as blocking then sees what was published before it blocks.
pub fn poller() -> PollerState {
    NETPOLL.get().map_or(PollerState::Free, Netpoll::state)
}

/// When a poll returned last, as `nanotime`; 0: never. Go: sched.lastpoll
#[doc(alias = "lastpoll")]
pub fn last_poll() -> i64 {
    NETPOLL.get().map_or(0, |np| np.last_poll.load(Relaxed))
}

/// Whether any descriptor is registered, so that polling may bring something. Go: netpollAnyWaiters
#[doc(alias = "netpollAnyWaiters")]
pub fn netpoll_any_open() -> bool {
    NETPOLL.get().is_some_and(|np| np.open.load(Relaxed) > 0)
}

/// How many descriptors are registered.
pub fn netpoll_open() -> usize {
    NETPOLL.get().map_or(0, |np| np.open.load(Relaxed))
}

/// How many polls there were, by how many each made runnable: none, 1, up to 3, up to 7, and so on, and the last has
/// all above.
pub fn netpoll_batches() -> impl Iterator<Item = u64> {
    NETPOLL.get().into_iter().flat_map(|np| np.batches.iter().map(|count| count.load(Relaxed)))
}

/// The name of the backend, for messages and measurements.
pub fn netpoll_name() -> &'static str {
    NETPOLL.get().map_or("none", |np| np.name)
}
