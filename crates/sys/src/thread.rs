//! Threads of the operating system: starting them, and looking at one from another.
//!
//! # Safety
//! The calls get pointers to locals, and a thread's clock by an id that is only a name: of an ended thread it gives an
//! error.
#![cfg_attr(target_os = "linux", allow(unsafe_code))]

use std::io;

use parking_lot::Mutex;

/// Starts a detached thread.
///
/// By std, which gives each of its threads an alternate signal stack: the overflow handler needs it.
///
/// # Errors
/// EAGAIN when the limit on threads is reached.
pub fn spawn(name: String, f: impl FnOnce() + Send + 'static) -> io::Result<()> {
    #[cfg(sim)]
    {
        crate::sim::spawn(name, f);
        Ok(())
    }
    #[cfg(not(sim))]
    {
        let body = move || {
            let _listed = Listed::new();
            f();
        };
        std::thread::Builder::new().name(name).spawn(body).map(drop)
    }
}

/// The kernel's ids of the threads that [`spawn`] has started and that have not come to their end.
static OURS: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// The kernel's ids of the threads of this process that [`spawn`] has not started; one that starts or ends at this
/// moment may be among them. None where that cannot be found out.
///
/// Not by their names: a thread that is given none has that of the one that started it.
pub fn others() -> Option<Vec<u32>> {
    let mut others = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").ok()? {
        others.push(task.ok()?.file_name().to_str()?.parse().ok()?);
    }
    // After the list was read: an id in it that is ours by now was ours then, or nobody's.
    let ours = OURS.lock();
    others.retain(|id| !ours.contains(id));
    Some(others)
}

/// The calling thread's entry in [`OURS`].
#[cfg(not(sim))]
struct Listed(u32);

#[cfg(not(sim))]
impl Listed {
    fn new() -> Listed {
        let id = imp::thread_id();
        OURS.lock().push(id);
        Listed(id)
    }
}

#[cfg(not(sim))]
impl Drop for Listed {
    fn drop(&mut self) {
        OURS.lock().retain(|id| *id != self.0);
    }
}

/// Tells the processor that the thread spins, `n` times.
#[inline]
pub fn procyield(n: u32) {
    #[cfg(sim)]
    crate::sim::give_way();
    for _ in 0..n {
        std::hint::spin_loop();
    }
}

/// Gives the processor to another thread.
#[inline]
pub fn osyield() {
    #[cfg(sim)]
    crate::sim::give_way();
    #[cfg(not(sim))]
    std::thread::yield_now();
}

/// What the kernel says a thread does.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum RunState {
    /// It runs, or waits for a processor.
    Running,
    /// It sleeps in a system call.
    Blocked,
    /// Not to be found out on this system.
    Unknown,
}

#[cfg(not(sim))]
pub use imp::ThreadClock;
#[cfg(sim)]
pub use sim_clock::ThreadClock;

#[cfg(sim)]
mod sim_clock {
    //! The simulation knows what its threads do.
    #![allow(missing_docs)]
    use super::RunState;
    use crate::sim;

    #[derive(Debug)]
    pub struct ThreadClock(usize);

    impl ThreadClock {
        #[allow(clippy::new_without_default)]
        pub fn new() -> ThreadClock {
            ThreadClock(sim::current())
        }

        pub fn cpu_time_ns(&self) -> i64 {
            sim::cpu_of(self.0)
        }

        pub fn run_state(&self) -> RunState {
            if sim::is_blocked(self.0) { RunState::Blocked } else { RunState::Running }
        }
    }
}

/// How many processors this process may use: the smaller of its affinity mask and its cgroup's CPU quota, rounded
/// up, of which at least 2.
///
/// Go: runtime/cgroup_linux.go, adjustCgroupGOMAXPROCS (since 1.25).
pub fn available_procs() -> usize {
    imp::available_procs()
}

#[cfg(target_os = "linux")]
#[cfg_attr(sim, allow(dead_code, unreachable_pub))]
mod imp {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::RunState;
    use crate::cgroup;

    /// The CPU clock and state of one thread, readable from any other.
    #[derive(Debug)]
    pub struct ThreadClock {
        clock: libc::clockid_t,
        /// Made once, so that a look allocates nothing.
        stat: std::path::PathBuf,
    }

    /// The kernel's id of the calling thread.
    #[cfg(not(sim))]
    pub(super) fn thread_id() -> u32 {
        // SAFETY: gettid has no arguments and cannot fail.
        unsafe { libc::gettid() }.unsigned_abs()
    }

    impl ThreadClock {
        /// Of the calling thread.
        #[allow(clippy::new_without_default, reason = "a default would hide that it is about the caller")]
        pub fn new() -> ThreadClock {
            // SAFETY: gettid has no arguments and cannot fail.
            let tid = unsafe { libc::gettid() };
            // The kernel's number for "CPU time of thread tid": what pthread_getcpuclockid(3) computes.
            let clock = (!tid << 3) | 6;
            ThreadClock { clock, stat: format!("/proc/self/task/{tid}/stat").into() }
        }

        /// The CPU time the thread has used, in ns; once it is gone 0, or that of a thread that got its id since. About
        /// 0.4 µs.
        pub fn cpu_time_ns(&self) -> i64 {
            let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: ts is a valid place to write to; a clock that is gone is an error, and ts stays zero.
            unsafe { libc::clock_gettime(self.clock, &mut ts) };
            ts.tv_sec * 1_000_000_000 + ts.tv_nsec
        }

        /// What the thread does at the moment. About 7 µs: its stat file is opened for each look.
        ///
        /// Keeping it open would save half of that. But in a program at its descriptor limit, a file opened with some
        /// first look takes the one descriptor that a connection has just let go, and keeps it while an accept waits
        /// for one. Without a free descriptor the answer is Unknown.
        pub fn run_state(&self) -> RunState {
            let mut text = [0_u8; 256];
            let read = File::open(&self.stat).and_then(|file| file.read_at(&mut text, 0));
            read.map_or(RunState::Unknown, |len| parse_state(&text[..len]))
        }
    }

    /// The state in the line of a stat file, "tid (name) S ...": proc_pid_stat(5). The name may hold anything, a
    /// parenthesis too, but what follows it holds none.
    pub(super) fn parse_state(stat: &[u8]) -> RunState {
        let Some(end) = stat.iter().rposition(|&c| c == b')') else { return RunState::Unknown };
        match stat.get(end + 2) {
            Some(b'R') => RunState::Running,
            Some(b'S' | b'D') => RunState::Blocked,
            _ => RunState::Unknown,
        }
    }

    pub(super) fn available_procs() -> usize {
        // std's own answer is for where we cannot ask: it rounds quotas down, and Go up.
        let std = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        cgroup::procs(affinity().unwrap_or_else(std), cgroup::cpu_quota())
    }

    /// Processors in the affinity mask: sched_getaffinity(2).
    pub(super) fn affinity() -> Option<usize> {
        // 8,192 bits, the most that Linux can be built for: it refuses a mask shorter than its own number of
        // processors, and a cpu_set_t has 1,024.
        let mut mask = [0_u64; 128];
        // SAFETY: mask is a valid place of the size given; the kernel writes whole words of it.
        let rc = unsafe { libc::sched_getaffinity(0, size_of_val(&mask), mask.as_mut_ptr().cast()) };
        (rc == 0).then(|| mask.iter().map(|word| word.count_ones() as usize).sum())
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::RunState;

    /// The CPU clock and state of one thread; here it knows neither, and who asks has time alone to go by.
    #[derive(Debug)]
    pub struct ThreadClock(());

    /// No such ids here.
    #[cfg(not(sim))]
    pub(super) fn thread_id() -> u32 {
        0
    }

    impl ThreadClock {
        /// Of the calling thread.
        #[allow(clippy::new_without_default, reason = "a default would hide that it is about the caller")]
        pub fn new() -> ThreadClock {
            ThreadClock(())
        }

        /// Wall time in ns: as if the thread had run all the time.
        pub fn cpu_time_ns(&self) -> i64 {
            crate::time::nanotime()
        }

        /// Not known here.
        pub fn run_state(&self) -> RunState {
            RunState::Unknown
        }
    }

    pub(super) fn available_procs() -> usize {
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
