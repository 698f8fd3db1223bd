//! gopark-sys: the outside world: poller backends, stacks, context switch, system calls, clock.

pub mod loom;
pub mod ptr;
