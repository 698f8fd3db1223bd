//! The outside world: poller backends, stack memory, the context switch, system calls, clocks.
//!
//! The lowest of gopark's four layers. Everything here is a thin, typed face on something the operating system or
//! the processor does, and nearly all of the project's `unsafe` is here, so that the layers above need none or little.
//!
//! # What it promises
//!
//! - A function makes the one system call it is named after, or the few its documentation lists, and reports failure as
//!   an [`Errno`]. It neither retries nor logs: loops over EINTR and EAGAIN are poll's, who knows what waiting means.
//! - Descriptors are close-on-exec, and sockets non-blocking, from birth.
//! - Nothing unwinds across a context switch. A state that cannot be ends the process, by [`throw!`].
//! - What others build on is a trait or a small opaque type: [`netpoll`] for pollers, [`context`] and [`stack`] for
//!   coroutines, [`note`] for sleeping threads. Each says its contract in prose.
//!
//! # What it never knows
//!
//! Goroutines and deadlines. That a coroutine is a goroutine, that a token names a poll descriptor, and why somebody
//! wants to be woken at a certain time, is the business of those above; nothing here calls up to them, but for
//! the function that describes a stack overflow ([`overflow`]), which they pass in.
//!
//! # Map
//!
//! | | |
//! | --- | --- |
//! | [`errno`] | the one error type of this layer |
//! | [`sysfd`], [`rw`] | the descriptor in a cell; reading and writing it |
//! | [`splice`] | moving bytes between descriptors, past the program |
//! | [`sock`], [`sockopt`], [`cred`] | sockets, their options, who is at the other end, a function each |
//! | [`netpoll`] | the seam to the poller, and the backends: mio, raw epoll, a scripted fake |
//! | [`note`] | one event that a thread can sleep until |
//! | [`time`], [`thread`] | clocks; threads, what they do, how many processors there are for them |
//! | [`context`], [`stack`], [`overflow`] | coroutines, their memory, the report when it does not suffice |
//! | [`lend`] | bytes that one call lends to others |
//! | [`tls`] | the one thread-local word of the project |
//! | [`ptr`], [`lock`], [`loom`] | tagged words; a lock for a few instructions; where models take their atomics from |
//!
//! # Systems
//!
//! 64-bit Unix. Linux is complete. macOS and the BSDs have mio's kqueue poller, guards by mprotect, and a note over a
//! lock; what they lack is said where it is missing (`thread::ThreadClock`, urgent data in [`netpoll`]).

#![deny(missing_docs)]

#[cfg(not(unix))]
compile_error!("gopark needs a Unix system: its poller, stacks and sockets are POSIX calls");
#[cfg(not(target_pointer_width = "64"))]
compile_error!("gopark needs a 64-bit system: neither a poll token nor the room for stacks fits otherwise");

#[doc(hidden)]
pub mod alloc_count;
pub mod backtrace;
#[cfg(target_os = "linux")]
mod cgroup;
pub mod context;
pub mod cred;
pub mod errno;
pub mod fork;
#[doc(hidden)]
pub mod hook;
pub mod inherited;
pub mod interface;
#[cfg(not(loom))]
pub mod lend;
#[cfg(not(loom))]
pub mod lock;
pub mod loom;
pub mod mptcp;
pub mod msg;
pub mod netpoll;
pub mod note;
pub mod overflow;
pub mod ptr;
pub mod rw;
pub mod signal;
#[cfg(sim)]
pub mod sim;
pub mod sock;
pub mod sockopt;
pub mod splice;
pub mod stack;
pub mod sysfd;
pub mod thread;
pub mod throw;
pub mod time;
pub mod tls;

pub use errno::{Errno, Result};
pub use sysfd::SysFd;

/// `parking_lot`'s names on the simulation's lock: those above write `extern crate gopark_sys as parking_lot`.
#[cfg(sim)]
#[doc(hidden)]
pub type Mutex<T> = parking_lot::lock_api::Mutex<sim::RawLock, T>;
/// See [`Mutex`].
#[cfg(sim)]
#[doc(hidden)]
pub type MutexGuard<'a, T> = parking_lot::lock_api::MutexGuard<'a, sim::RawLock, T>;
