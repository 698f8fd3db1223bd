//! What every implementation below has to pass; `on_mio.rs`, `on_epoll.rs` and `on_fake.rs` include it, each in a process of
//! its own, since the runtime installs once.
#![allow(missing_docs)]

pub mod fd_mutex;
pub mod timers;
