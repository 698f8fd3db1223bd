//! Shared parts of the benchmarks: flags, the load every echo server can be told to carry, a histogram, `/proc`.
//!
//! The programs that use them are in `src/bin` (the load generator and the gopark contenders) and in `peers` (the
//! contenders gopark is measured against, each a project of its own outside the workspace). `cargo xtask bench`
//! builds, runs and compares all of them; `benches/README.md` says how to read what it prints.

pub mod client;
pub mod flags;
pub mod histogram;
pub mod pattern;
pub mod procfs;
pub mod server;
