//! Where concurrency-critical files take their atomics from: std's, or loom's when a model is built (`--cfg loom`).

#[cfg(loom)]
pub use loom::sync::atomic;
#[cfg(not(loom))]
pub use std::sync::atomic;
