//! gopark-sys: the outside world: poller backends, stacks, context switch, system calls, clock.

#[doc(hidden)]
pub mod alloc_count;
pub mod context;
pub mod errno;
#[doc(hidden)]
pub mod hook;
pub mod loom;
pub mod netpoll;
pub mod note;
pub mod overflow;
pub mod ptr;
pub mod rw;
pub mod sock;
pub mod sockopt;
pub mod stack;
pub mod sysfd;
pub mod thread;
pub mod throw;
pub mod time;
pub mod tls;

pub use errno::{Errno, Result};
pub use sysfd::SysFd;
