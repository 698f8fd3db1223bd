//! The seam to the kernel's poller: two safe, object-safe traits, and what travels through them.
//!
//! # The contract of a backend
//!
//! 1. `Registrar::open` registers a descriptor once, for reading, writing, the peer's half close and urgent data,
//!    edge-triggered: each change of readiness is reported once, and what is ready at registration is reported too.
//! 2. `Selector::poll` fills `events` with at most its capacity of events and blocks for at most `delay`
//!    (`None`: until there is one). What does not fit comes with the next call. A delay under a millisecond is
//!    honoured where the kernel can. It may return early with no event. EINTR is an error like others; the caller
//!    knows.
//! 3. `Registrar::wake`, from any thread, makes the present or the next `poll` return with [`Token::WAKER`]. Several
//!    wakes may become one event. A poll with a delay of zero may swallow it: who relies on it keeps a flag.
//! 4. `Registrar::close` ends the events of a descriptor, but one already collected may still come: tokens carry a
//!    generation, and the caller drops what is stale. So a wrong token is at worst a spurious wake-up.
//! 5. `open_to_read` is `open` without writing, until `widen` adds it; what the descriptor is ready for then is
//!    reported, even if it was before. A backend may leave both as they are, and report writing all along.
//! 6. `open` and `close` may be called from any thread, also while another is inside `poll`.
//!
//! How to write one: implement both traits, put them into a [`Backend`], and run `tests/netpoll_conformance.rs` over
//! it. Everything subtle (who polls, coalescing of wakes, generations) is done once, above, in `gopark-poll`.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use crate::errno::Result;

#[cfg(target_os = "linux")]
mod epoll;
#[doc(hidden)]
pub mod fake;
mod mio;
#[cfg(target_os = "linux")]
mod timerfd;

/// Names a registered descriptor: slab index (32 bits), generation (31 bits), and one bit for the waker.
///
/// | bits | meaning |
/// | --- | --- |
/// | 0 | the waker |
/// | 1..=31 | generation |
/// | 32..=63 | index |
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Token(u64);

impl Token {
    /// The token of wake events.
    pub const WAKER: Token = Token(1);
    /// The largest generation.
    pub const SEQ_MAX: u32 = (1 << 31) - 1;

    /// A token; the generation's highest bit is dropped.
    pub const fn new(index: u32, seq: u32) -> Token {
        Token((index as u64) << 32 | ((seq & Token::SEQ_MAX) as u64) << 1)
    }

    /// The slab index.
    pub const fn index(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The generation.
    pub const fn seq(self) -> u32 {
        (self.0 as u32) >> 1
    }

    /// True for [`Token::WAKER`].
    pub const fn is_waker(self) -> bool {
        self.0 & 1 == 1
    }

    /// The word, for a backend to keep in the kernel.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The token of such a word.
    pub const fn from_u64(word: u64) -> Token {
        Token(word)
    }
}

/// What a descriptor is ready for: a set of bits.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Default)]
pub struct Readiness(u8);

impl Readiness {
    /// Nothing.
    pub const NONE: Readiness = Readiness(0);
    /// Data, or a connection to accept.
    pub const READABLE: Readiness = Readiness(1);
    /// Room to write.
    pub const WRITABLE: Readiness = Readiness(2);
    /// The peer will send no more.
    pub const READ_CLOSED: Readiness = Readiness(4);
    /// Writing is over: hang-up.
    pub const WRITE_CLOSED: Readiness = Readiness(8);
    /// An error is pending.
    pub const ERROR: Readiness = Readiness(16);
    /// Urgent data.
    pub const PRIORITY: Readiness = Readiness(32);

    /// Both sets.
    pub const fn union(self, other: Readiness) -> Readiness {
        Readiness(self.0 | other.0)
    }

    /// This set, with `other` if `yes`.
    pub const fn with(self, other: Readiness, yes: bool) -> Readiness {
        if yes { self.union(other) } else { self }
    }

    /// True if all of `other` is in it.
    pub const fn contains(self, other: Readiness) -> bool {
        self.0 & other.0 == other.0
    }

    /// True if any of `other` is in it.
    pub const fn intersects(self, other: Readiness) -> bool {
        self.0 & other.0 != 0
    }

    /// True if a reader should look: data, urgent data, end, hang-up or error.
    pub const fn reader(self) -> bool {
        const MASK: u8 = Readiness::READABLE.0 | Readiness::READ_CLOSED.0 | Readiness::ERROR.0;
        self.0 & (MASK | Readiness::PRIORITY.0) != 0
    }

    /// True if a writer should look: room, hang-up or error.
    pub const fn writer(self) -> bool {
        const MASK: u8 = Readiness::WRITABLE.0 | Readiness::WRITE_CLOSED.0 | Readiness::ERROR.0;
        self.0 & MASK != 0
    }

    /// True if the error is all there is; with anything else a read or write tells better (golang/go#30624).
    pub const fn only_error(self) -> bool {
        self.0 & !Readiness::WRITE_CLOSED.0 == Readiness::ERROR.0
    }

    /// True if from now on a short read does not mean that the next event is a new one: an end, an error or an
    /// urgent byte may have come with the data, and gives no second edge.
    pub const fn spoils_hint(self) -> bool {
        const MASK: u8 = Readiness::READ_CLOSED.0 | Readiness::WRITE_CLOSED.0 | Readiness::ERROR.0;
        self.0 & (MASK | Readiness::PRIORITY.0) != 0
    }
}

impl std::fmt::Debug for Readiness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const NAMES: [&str; 6] = ["READABLE", "WRITABLE", "READ_CLOSED", "WRITE_CLOSED", "ERROR", "PRIORITY"];
        let mut set = f.debug_set();
        for (bit, name) in NAMES.iter().enumerate() {
            if self.0 & 1 << bit != 0 {
                set.entry(&format_args!("{name}"));
            }
        }
        set.finish()
    }
}

/// A descriptor became ready, or the waker fired.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Whose.
    pub token: Token,
    /// For what.
    pub ready: Readiness,
}

/// A bounded list of events, filled by [`Selector::poll`].
#[derive(Debug)]
pub struct Events {
    list: Vec<Event>,
    capacity: usize,
}

impl Events {
    /// An empty list with room for `capacity` events, at least one.
    pub fn with_capacity(capacity: usize) -> Events {
        let capacity = capacity.max(1);
        Events { list: Vec::with_capacity(capacity), capacity }
    }

    /// How many events it takes.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.list.clear();
    }

    /// Adds one; false if the list is full.
    pub fn push(&mut self, event: Event) -> bool {
        let room = self.list.len() < self.capacity;
        if room {
            self.list.push(event);
        }
        room
    }

    /// The events, oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, Event> {
        self.list.iter()
    }
}

impl<'a> IntoIterator for &'a Events {
    type Item = &'a Event;
    type IntoIter = std::slice::Iter<'a, Event>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Registers descriptors, and wakes the poller. Shared by all threads.
pub trait Registrar: Send + Sync {
    /// Registers a descriptor under `token`.
    ///
    /// # Errors
    /// EPERM for what cannot be polled (a regular file); EEXIST for what is registered; ENOSPC at the kernel's limit.
    fn open(&self, fd: BorrowedFd<'_>, token: Token) -> Result<()>;

    /// Registers a descriptor under `token` for everything but writing. For sockets of which each datagram that leaves
    /// would be an event of room to write, which nobody waits for.
    ///
    /// # Errors
    /// As [`Registrar::open`].
    fn open_to_read(&self, fd: BorrowedFd<'_>, token: Token) -> Result<()> {
        self.open(fd, token)
    }

    /// Makes what [`Registrar::open_to_read`] registered under `token` what [`Registrar::open`] would have.
    ///
    /// # Errors
    /// ENOENT if it is not registered; ENOMEM.
    fn widen(&self, _fd: BorrowedFd<'_>, _token: Token) -> Result<()> {
        Ok(())
    }

    /// Ends the registration.
    ///
    /// # Errors
    /// ENOENT if it is not registered.
    fn close(&self, fd: BorrowedFd<'_>) -> Result<()>;

    /// Makes the present or the next poll return.
    ///
    /// # Errors
    /// What the kernel reports; a wake that is already pending is not an error.
    fn wake(&self) -> Result<()>;
}

/// Waits for events. Used by one thread at a time.
pub trait Selector: Send {
    /// Waits up to `delay` for events.
    ///
    /// # Errors
    /// EINTR when a signal came; anything else is a broken poller.
    fn poll(&mut self, delay: Option<Duration>, events: &mut Events) -> Result<()>;
}

/// A poller: its two halves, and a name for reports.
pub struct Backend {
    /// For reports.
    pub name: &'static str,
    /// The shared half.
    pub registrar: Arc<dyn Registrar>,
    /// The half of the thread that polls.
    pub selector: Box<dyn Selector>,
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backend").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The poller over mio: epoll on Linux, kqueue on macOS and the BSDs. The default.
///
/// # Errors
/// EMFILE, ENFILE at the descriptor limits.
pub fn mio() -> Result<Backend> {
    mio::backend()
}

/// The poller over epoll(7) itself.
///
/// # Errors
/// EMFILE, ENFILE at the descriptor limits.
#[cfg(target_os = "linux")]
pub fn epoll() -> Result<Backend> {
    epoll::backend()
}

/// The built-in poller: mio, or epoll in a build with `--cfg netpoll="epoll"`.
///
/// # Errors
/// EMFILE, ENFILE at the descriptor limits.
pub fn default_backend() -> Result<Backend> {
    #[cfg(sim)]
    return Ok(crate::sim::backend());
    #[cfg(not(sim))]
    built_in()
}

#[cfg_attr(sim, allow(dead_code))]
fn built_in() -> Result<Backend> {
    #[cfg(all(netpoll = "epoll", target_os = "linux"))]
    return epoll();
    #[cfg(not(all(netpoll = "epoll", target_os = "linux")))]
    mio()
}
