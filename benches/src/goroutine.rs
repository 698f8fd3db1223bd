//! A runtime with one P, and criterion's timing loops run on a goroutine of it.
//!
//! # Safety
//! What the start of the runtime asks for: the operations that are timed touch no thread-local across a call that may
//! block, and the program is linked statically. Criterion itself stays on the main thread.
#![allow(unsafe_code)]

use gopark_sched::{Runtime, spawn};
use std::sync::OnceLock;
use std::time::Duration;

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// Runs `f` on a goroutine and returns what it returns; starts the runtime if need be.
///
/// One P: with more, a thief on another core decides the figure.
pub fn on_goroutine(f: impl FnOnce() -> Duration + Send + 'static) -> Duration {
    RUNTIME.get_or_init(|| {
        // SAFETY: see the head of this file.
        unsafe { Runtime::builder().max_procs(1).start() }.expect("a benchmark process starts one runtime")
    });
    spawn(f).join().expect("a timing loop does not panic")
}
