//! Shared parts of the benchmarks: flags, the load every echo server can be told to carry, a histogram, `/proc`, and
//! gopark's operations in timing loops.
//!
//! The programs that use them are in `src/bin` (the load generator and the gopark contenders), `benches` (criterion,
//! one cost a file) and `peers` (the contenders gopark is measured against, each a project of its own outside the
//! workspace). `cargo xtask bench` builds, runs and compares all programs; `README.md` says how to read what it
//! prints.

pub mod client;
pub mod crowd;
pub mod flags;
pub mod goroutine;
pub mod histogram;
pub mod netops;
pub mod ops;
pub mod pattern;
pub mod procfs;
pub mod server;
pub mod shapes;
pub mod soak;
