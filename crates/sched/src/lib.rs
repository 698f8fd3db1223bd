//! gopark-sched: who runs. Goroutines (G) on threads (M) that hold processors (P).
//!
//! A goroutine is a function on a stack of its own. It runs on a thread until it has to wait; then the thread, which
//! never waits with it, runs another. Nothing here knows of sockets: waiting is done by `gopark-poll`, which parks
//! goroutines through its `Runtime` trait, implemented here.
//!
//! Where to read on: `proc` is the scheduler's loop; `wake` has the rules for waking threads; `park` how a goroutine
//! waits; `compensate` and `sysmon` what happens to one that does not come back; `newproc` how one begins.
//!
//! | lock | guards | order |
//! | --- | --- | --- |
//! | `SCHED.lock()` | queues and lists shared by all Ms | before a heap of timers |
//! | `chan` | one channel; a select takes those of its cases in the order of their addresses | before nothing |
//! | `context` | the children of one context; the registration of one descriptor | before a descriptor's (poll) |
//! | `sync::sema` | the waiters of one lock | before nothing |
//! | `Timers` (poll) | one heap of timers | innermost |
//!
//! No user code (closures, their results, panic payloads, wakers, log subscribers) runs on g0 or under these locks.

// The models (`tests/loom_*.rs`) take the files they are about by path. The rest is built around a static scheduler,
// which loom's atomics cannot be in, and a context switch, which loom cannot see.
#![cfg(not(loom))]

// In the simulation all locks are its own; see `gopark_sys::sim`.
#[cfg(sim)]
extern crate gopark_sys as parking_lot;

mod block_on;
mod blocking;
pub mod chan;
mod coarse;
mod compensate;
pub mod context;
mod counters;
mod deadlock;
mod debug;
pub mod dump;
pub mod future;
mod g;
mod gqueue;
mod habit;
mod join;
mod joinset;
pub mod local;
mod m;
pub mod metrics;
mod newproc;
mod options;
mod os_thread;
mod overflow;
mod p;
mod p_status;
mod park;
mod proc;
mod resize;
mod rt;
mod runq;
mod sched;
mod schedtrace;
mod scope;
mod shutdown;
pub mod signal;
mod sleep;
mod span;
mod spawn;
mod stacks;
mod steal;
pub mod sync;
mod sysmon;
mod tasks;
pub mod time;
mod waitlist;
mod wake;
mod wakep;

pub use block_on::block_on;
pub use blocking::blocking;
#[doc(hidden)]
pub use debug::{DebugCounts, debug_counts, debug_refuse_threads};
pub use dump::{GoroutineDump, dump_goroutines};
pub use gopark_poll::WaitReason;
pub use join::{JoinHandle, spawn, try_spawn};
pub use joinset::{JoinSet, TrySpawnError};
pub use metrics::{Metrics, metrics};
pub use newproc::{SpawnError, catch_unwind};
pub use options::{SpawnOptions, goroutine_name};
pub use os_thread::{OsThreadGuard, lock_os_thread, unlock_os_thread};
#[doc(hidden)] // For the benchmarks: the wake-up that join and the timers use, on a slot of one's own.
pub use park::unpark;
pub use resize::{max_procs, set_max_procs};
pub use rt::{Builder, DEFAULT_MAX_THREADS, DEFAULT_STACK_SIZE, Runtime, goroutine_id, num_goroutines};
pub use scope::{Scope, scope};
pub use shutdown::{RunningGoroutine, StillRunning};
pub use sleep::{sleep, yield_now};
pub use spawn::{GoResult, go, try_go};

/// What to do about a runtime that is not started.
pub(crate) const NOT_STARTED: &str = "the gopark runtime is not started: begin main with \
     `let rt = unsafe { gopark_net::Runtime::start()? };` (its documentation says what that promises)";
