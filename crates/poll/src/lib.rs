//! gopark-poll: everything that waits: `PollDesc`, `FdMutex`, `Fd`, deadlines, timers, netpoll.
//!
//! This crate is Go's `internal/poll` and the part of its runtime that `internal/poll` stands on: descriptors
//! whose calls look blocking, and the waiting underneath. It knows no goroutine and no scheduler. What it
//! needs from above is the trait [`Runtime`], which is installed once ([`install`]); [`ThreadRuntime`]
//! implements it with threads, so that the crate works, and is tested, alone.
//!
//! # A read, from top to bottom
//!
//! [`Fd::read`] takes the descriptor's read lock (`fd_mutex.rs`), asks its poll descriptor whether the call
//! may go on (`poll_desc.rs`, `poll_info.rs`), and makes the system call. On `EAGAIN` it blocks on the poll
//! descriptor's [`ParkSlot`], where the runtime parks it. Later some thread calls [`netpoll_block`] or
//! [`netpoll_quick`] (`netpoll.rs`); the event names the poll descriptor, its slot hands out the waiter, and
//! the caller makes it runnable. The read tries again.
//!
//! # What is where
//!
//! | file | what | Go |
//! |---|---|---|
//! | `park_slot.rs` | the word one waiter parks on | `pollDesc.rg`, `wg` |
//! | `poll_desc.rs`, `poll_info.rs`, `poll_cache.rs`, `slab.rs` | what the poller knows of a descriptor | `pollDesc`, `pollCache` |
//! | `poll_desc/deadline.rs` | deadlines | `poll_runtime_pollSetDeadline` |
//! | `poll_desc/cancel.rs` | ending operations from outside, for contexts | |
//! | `time.rs`, `time/heap.rs` | timers | `runtime/time.go` |
//! | `task.rs`, `poll_desc/task.rs`, `sleep.rs` | wakers and callbacks that wait | |
//! | `netpoll.rs`, `ready_list.rs` | who polls, who is woken | `runtime/netpoll.go` |
//! | `fd_mutex.rs`, `sema.rs` | a descriptor's locks and references | `fdMutex`, `semaRoot` |
//! | `fd.rs`, `fd/*.rs`, `error.rs` | the operations | `internal/poll.FD` |
//! | `release.rs` | waiting for a free descriptor | |
//! | `runtime.rs`, `thread_runtime.rs` | the seam upwards, and a reference for it | `runtime` |
//!
//! Invariants of absence: nothing here names a goroutine, a P, an address family, or a protocol; readiness
//! never calls up; no lock is held over a park, over `goready`, or over a system call of the poller.

#![forbid(unsafe_code)]

// In the simulation all locks are its own; see `gopark_sys::sim`.
#[cfg(sim)]
extern crate gopark_sys as parking_lot;

mod error;
mod fd;
mod fd_mutex;
#[cfg(loom)]
#[doc(hidden)]
pub mod model;
mod netpoll;
mod park_slot;
mod poll_cache;
mod poll_desc;
mod poll_info;
mod ready_list;
mod release;
mod runtime;
mod sema;
mod slab;
#[cfg(not(loom))]
mod sleep;
#[cfg(not(loom))]
mod sync;
#[cfg(loom)]
#[path = "sync_loom.rs"]
mod sync;
mod task;
#[cfg(not(any(loom, sim)))]
mod thread_runtime;
mod time;

pub use error::Error;
pub use fd::{Fd, FdGuard, FdKind, Partial, Ready, SplicePipe};
pub use fd_mutex::{Closed, FdMutex, Left, TryLockError};
pub use gopark_sys::ptr::Waiter;
#[doc(hidden)]
pub use netpoll::Netpoll;
pub use netpoll::{
    PollerState, last_poll, netpoll_any_open, netpoll_batches, netpoll_block, netpoll_break, netpoll_name,
    netpoll_open, netpoll_quick, poller,
};
pub use park_slot::{ParkSlot, Registered, Unblock};
pub use poll_desc::Canceler;
pub use poll_info::{CancelReason, Mode};
pub use ready_list::ReadyList;
pub use release::{descriptors_released, wait_for_descriptor, wait_for_descriptor_since};
#[cfg(loom)]
pub use runtime::install_for_model;
pub use runtime::{
    AlreadyInstalled, OPERATION, Runtime, WaitReason, end_thread_waits, install, is_installed,
};
#[cfg(not(loom))]
pub use sleep::{Sleep, sleeping};
pub use task::{Call, Task, take_task, tasks_waiting};
#[cfg(not(any(loom, sim)))]
pub use thread_runtime::ThreadRuntime;
pub use time::{Fire, Timer, TimerKind, Timers, WakePoller, sleep_on, when_in};
