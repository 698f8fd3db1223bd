//! gopark-poll: everything that waits: PollDesc, FdMutex, Fd, deadlines, timers, netpoll.
