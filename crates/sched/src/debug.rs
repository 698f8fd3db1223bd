//! A look into the scheduler, for tests and for whoever hunts a hang.

use gopark_poll::poller;

use crate::sched::SCHED;

/// The scheduler's numbers at one moment, most of them read together under the scheduler lock.
#[doc(hidden)]
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DebugCounts {
    /// GOMAXPROCS.
    pub procs: usize,
    /// Ps that run or are idle.
    pub active: usize,
    /// Ps whose goroutine does not come back.
    pub stuck: usize,
    /// Idle Ps, by the list and by the word that publishers read.
    pub idle: usize,
    #[allow(missing_docs)]
    pub npidle: usize,
    /// Ps kept for the next compensation.
    pub spare: usize,
    /// Ps ever made: running, idle, stuck and spare.
    pub allp: usize,
    /// Threads ever started to run goroutines.
    pub threads: usize,
    /// Those of them that sleep until there is work.
    pub threads_idle: usize,
    /// Threads that search for work.
    pub spinning: usize,
    /// The word that makes the next idle M search once more.
    pub needspinning: bool,
    /// Goroutines that run without a P, by their habit of blocking.
    pub alone: usize,
    /// Goroutines on the global queue.
    pub global_queue: usize,
    /// For each P: its status, the length of its queue, whether its `runnext` is taken, timers armed, ticks.
    pub ps: Vec<(u32, usize, bool, usize, u32)>,
    /// Timers of callers without a P.
    pub shared_timers: usize,
    /// What the poller does.
    pub poller: String,
    /// The names of the local run queue and of the poller's backend.
    pub runq: &'static str,
    #[allow(missing_docs)]
    pub netpoll: &'static str,
}

/// See [`DebugCounts`].
#[doc(hidden)]
pub fn debug_counts() -> DebugCounts {
    let ps = SCHED
        .all_ps()
        .map(|pp| (pp.status(), pp.runq.len(), pp.has_runnext(), pp.timers.len(), pp.schedtick()))
        .collect();
    let s = SCHED.lock();
    DebugCounts {
        procs: SCHED.procs() as usize,
        active: s.active,
        stuck: s.stuck,
        idle: s.pidle.len(),
        npidle: SCHED.wake.npidle() as usize,
        spare: s.pspare.len(),
        allp: SCHED.nallp(),
        threads: s.mcount as usize,
        threads_idle: s.midle.len(),
        spinning: SCHED.wake.nmspinning() as usize,
        needspinning: SCHED.wake.needspinning() == 1,
        alone: SCHED.alone.load(std::sync::atomic::Ordering::Relaxed) as usize,
        global_queue: s.runq.len(),
        ps,
        shared_timers: SCHED.timers.len(),
        poller: format!("{:?}", poller()),
        runq: crate::runq::NAME,
        netpoll: SCHED.config().map_or("none", |c| c.netpoll),
    }
}

/// While `yes`, no thread can be started to run goroutines, as at the limit of the system. For tests.
#[doc(hidden)]
pub fn debug_refuse_threads(yes: bool) {
    SCHED.refuse_threads.store(yes, std::sync::atomic::Ordering::Relaxed);
}
