//! What has to pass over every backend; `on_mio.rs`, `on_epoll.rs` and `on_fake.rs` include it, each in a
//! process of its own, since the runtime installs once.
#![allow(missing_docs)]

mod fd_mutex;
mod timers;
