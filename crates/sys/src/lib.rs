//! gopark-sys: the outside world: poller backends, stacks, context switch, system calls, clock.
