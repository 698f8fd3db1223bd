//! gopark-sched: G, M, P: goroutines on a work-stealing scheduler with sysmon.
