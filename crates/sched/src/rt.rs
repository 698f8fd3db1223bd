//! Starting and stopping the runtime, and what it is to poll.

use std::fmt;
use std::io;
use std::time::Duration;

use gopark_poll::{ParkSlot, ReadyList, Task, Timers, WaitReason, Waiter};
use gopark_sys::netpoll::Backend;
use gopark_sys::stack::StackPool;

use crate::gqueue::GQueue;
use crate::m::getm;
use crate::p::PStatus;
use crate::sched::{MAX_PROCS, SCHED};
use crate::shutdown::StillRunning;

/// The usable stack of a goroutine unless the builder says otherwise, in bytes: 65 pages.
///
/// Only touched pages cost memory. Room for what servers do in a debug build (formatting, TLS handshakes, regular
/// expressions), and an odd number of pages, since stacks at power-of-two distances compete for the same cache
/// lines.
pub const DEFAULT_STACK_SIZE: usize = 65 * 4096;

/// The most threads that run goroutines unless the builder says otherwise. Go: sched.maxmcount.
pub const DEFAULT_MAX_THREADS: usize = 10_000;

/// What a started runtime was built with.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) max_procs: usize,
    pub(crate) max_threads: usize,
    pub(crate) panic_abort: bool,
    pub(crate) deadlock_report: bool,
    pub(crate) stack_size: usize,
    pub(crate) netpoll: &'static str,
    pub(crate) schedtrace_ns: i64,
}

/// Settings for a runtime. See [`Runtime::builder`].
pub struct Builder {
    max_procs: Option<usize>,
    max_threads: usize,
    stack_size: usize,
    panic_abort: bool,
    dump_on_sigquit: bool,
    deadlock_report: bool,
    netpoll: Option<Backend>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("max_procs", &self.max_procs)
            .field("max_threads", &self.max_threads)
            .field("stack_size", &self.stack_size)
            .field("panic_abort", &self.panic_abort)
            .field("dump_on_sigquit", &self.dump_on_sigquit)
            .field("deadlock_report", &self.deadlock_report)
            .field("netpoll", &self.netpoll.as_ref().map(|b| b.name))
            .finish()
    }
}

impl Default for Builder {
    fn default() -> Builder {
        Builder {
            max_procs: None,
            max_threads: DEFAULT_MAX_THREADS,
            stack_size: DEFAULT_STACK_SIZE,
            panic_abort: false,
            dump_on_sigquit: false,
            deadlock_report: false,
            netpoll: None,
        }
    }
}

impl Builder {
    /// How many goroutines may run at the same time (GOMAXPROCS), 1 to 1,024.
    ///
    /// Default: the environment variable `GOPARK_MAXPROCS`, else the number of processors this process may use by
    /// its affinity mask and cgroup quota.
    pub fn max_procs(mut self, n: usize) -> Builder {
        self.max_procs = Some(n);
        self
    }

    /// The most threads that may run or block in goroutines; one more aborts the process with Go's "thread
    /// exhaustion". Default: 10,000.
    pub fn max_threads(mut self, n: usize) -> Builder {
        self.max_threads = n;
        self
    }

    /// The usable stack of every goroutine, in bytes; rounded up to pages. Default: [`DEFAULT_STACK_SIZE`].
    ///
    /// Address space is reserved for it, memory is used only as the stack grows into it.
    pub fn stack_size(mut self, bytes: usize) -> Builder {
        self.stack_size = bytes;
        self
    }

    /// True: a panic in any goroutine aborts the process, as Go's does. Default: it ends that goroutine alone.
    pub fn panic_abort(mut self, yes: bool) -> Builder {
        self.panic_abort = yes;
        self
    }

    /// True: SIGQUIT (Ctrl-\) writes what all goroutines do (see [`dump_goroutines`](crate::dump_goroutines)) and the
    /// scheduler's [`metrics`](crate::metrics()) to standard error and ends the process with status 2, as Go's does;
    /// unless [`signal::notify`](crate::signal::notify) wants the signal for itself. A second SIGQUIT ends it at once.
    /// Default: SIGQUIT does what it did before.
    pub fn dump_on_sigquit(mut self, yes: bool) -> Builder {
        self.dump_on_sigquit = yes;
        self
    }

    /// True: if all goroutines wait for each other while a thread waits in [`Runtime::run`], the process writes Go's
    /// "all goroutines are asleep - deadlock!" and what they wait for to standard error, and ends with status 2.
    ///
    /// It is found a tenth of a second after the last of them fell asleep, and only if nothing else could wake one: no
    /// timer is set, nobody waits on the network or in [`blocking`](crate::blocking), nobody listens to
    /// [`signals`](crate::signal), and the process has no threads but the runtime's and those in `run`. (One that has
    /// others is looked at once a second while all goroutines sleep, for they may end.) On Linux. Default: false.
    pub fn deadlock_report(mut self, yes: bool) -> Builder {
        self.deadlock_report = yes;
        self
    }

    /// The poller to use instead of the built-in one: any implementation of `gopark_sys::netpoll`'s traits.
    pub fn netpoll(mut self, backend: Backend) -> Builder {
        self.netpoll = Some(backend);
        self
    }

    /// Starts the runtime.
    ///
    /// The environment variable `GOPARK_SCHEDTRACE=ms` has it write a line about the scheduler to standard error every
    /// so many milliseconds, as Go's `schedtrace` does.
    ///
    /// # Errors
    /// If a setting (or one of the environment variables) is out of range, the poller or the first stack cannot be had,
    /// or a runtime is running already.
    ///
    /// # Safety
    /// The contract of [`Runtime::start`].
    #[allow(unsafe_code)]
    pub unsafe fn start(self) -> io::Result<Runtime> {
        let invalid = |text: String| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        let max_procs = match self.max_procs {
            Some(n) => n,
            None => default_procs()?,
        };
        if max_procs == 0 || max_procs > MAX_PROCS {
            return invalid(format!("max_procs is {max_procs}: it must be between 1 and {MAX_PROCS}"));
        }
        if self.max_threads == 0 {
            return invalid("max_threads is 0: at least one thread must run goroutines".into());
        }
        if self.stack_size < 16 * 1024 || self.stack_size > 1 << 30 {
            return invalid(format!(
                "stack_size is {}: it must be between 16 KiB and 1 GiB",
                self.stack_size
            ));
        }
        let backend = match self.netpoll {
            Some(backend) => backend,
            None => gopark_sys::netpoll::default_backend()?,
        };
        let config = Config {
            max_procs,
            max_threads: self.max_threads,
            panic_abort: self.panic_abort,
            deadlock_report: self.deadlock_report,
            stack_size: self.stack_size,
            netpoll: backend.name,
            schedtrace_ns: crate::schedtrace::interval_from_env()?,
        };
        let stacks = StackPool::new(self.stack_size).map_err(io::Error::other)?;
        let already = || io::Error::other("the gopark runtime is started already: once per process");
        if !SCHED.init(config, stacks) {
            return Err(already());
        }
        gopark_poll::install(&SchedRuntime, backend).map_err(|_| already())?;
        crate::overflow::install();
        gopark_sys::fork::install(crate::os_thread::forked);
        crate::coarse::set(nanotime());
        if self.dump_on_sigquit {
            crate::signal::dump_on_sigquit()?;
        }
        gopark_sys::thread::spawn("gopark-sysmon".into(), crate::sysmon::sysmon)?;
        SCHED.set_started();
        Ok(Runtime(()))
    }
}

/// `GOPARK_MAXPROCS`, or what the process may use.
fn default_procs() -> io::Result<usize> {
    match std::env::var("GOPARK_MAXPROCS") {
        Ok(text) => match text.trim().parse::<usize>() {
            Ok(n) if (1..=MAX_PROCS).contains(&n) => Ok(n),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("GOPARK_MAXPROCS is {text:?}: it must be a number between 1 and {MAX_PROCS}"),
            )),
        },
        Err(_) => Ok(gopark_sys::thread::available_procs().clamp(1, MAX_PROCS)),
    }
}

/// A started runtime. Dropping it does not stop anything.
#[derive(Debug)]
pub struct Runtime(());

impl Runtime {
    /// Starts the runtime with the default settings. Once per process, at the beginning of `main`.
    ///
    /// # Errors
    /// As [`Builder::start`].
    ///
    /// # Safety
    /// A goroutine may stop on one thread and go on on another, at any call that may block, and Rust's compiler and
    /// some crates do not expect that of a function. By calling this you promise, for the code that will run on
    /// goroutines, dependencies included:
    ///
    /// - No function, after inlining, touches a thread-local both before and after a call that may block. (The
    ///   compiler keeps the first thread's address.) Put such accesses behind `#[inline(never)]` functions that
    ///   return values. `std::panic::catch_unwind` touches one whenever it catches a panic: a function that blocks in
    ///   between two of them, or has one in a loop, needs it in such a function too.
    /// - Nothing bound to a thread lives across such a call: references into thread-locals, `ThreadRng`, tokio's
    ///   `EnterGuard`, `StdoutLock`, and off Linux std's `MutexGuard`.
    /// - The runtime is linked statically into the program.
    /// - Signal handlers are installed with `SA_ONSTACK`.
    /// - C code called from goroutines fits their stack and its guard of 16 KiB.
    ///
    /// Calls that may block say so in their documentation: all I/O, `sleep`, `yield_now`, `blocking`, `join`, `scope`;
    /// and whatever starts a goroutine: `go`, `spawn`.
    #[allow(unsafe_code)]
    pub unsafe fn start() -> io::Result<Runtime> {
        // SAFETY: the caller's promise.
        unsafe { Builder::default().start() }
    }

    /// Settings to start a runtime with.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Runs `f` as a goroutine and waits for it, parking the calling thread.
    ///
    /// Other goroutines go on when it returns, until the process ends.
    ///
    /// # Panics
    /// If `f` panics, with its payload; or if no goroutine can be started.
    #[track_caller]
    #[allow(unsafe_code)]
    pub fn run<F, T>(&self, f: F) -> T
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        // SAFETY: join below waits until f has run and its result is taken, on every path: it does not unwind.
        let handle = unsafe { crate::join::spawn_unchecked(f, std::panic::Location::caller()) };
        match handle {
            Ok(handle) => match crate::deadlock::in_run(|| handle.join()) {
                Ok(value) => value,
                Err(payload) => std::panic::resume_unwind(payload),
            },
            Err(err) => panic!("run: {err}"),
        }
    }

    /// Refuses new goroutines from now on and waits up to `timeout` until those there are have ended.
    ///
    /// Threads, stacks and the poller stay, and goroutines that wait for the network go on doing so. A thread that is
    /// not a goroutine cannot wait for the network any more: it gets the error of a closed connection where it would
    /// have to, also if it waits already. (So an accept loop on the main thread ends.) What else a thread may wait for,
    /// a channel, a lock, a goroutine, the end of a sleep, comes as it would. So do the functions of timers that were
    /// set before, and with them the ends of contexts. A second call waits again. Called from a goroutine, that
    /// goroutine does not count, and it may block: see the contract of [`Runtime::start`].
    ///
    /// # Errors
    /// [`StillRunning`] with what is left when the time was up. It goes on running.
    pub fn shutdown(&self, timeout: Duration) -> Result<(), StillRunning> {
        crate::shutdown::shutdown(timeout)
    }

    /// How many goroutines may run at the same time. Also [`crate::max_procs`].
    ///
    /// Go: runtime.GOMAXPROCS(0)
    pub fn max_procs(&self) -> usize {
        crate::max_procs()
    }

    /// Changes how many goroutines may run at the same time, and returns how many it was before. See
    /// [`crate::set_max_procs`].
    ///
    /// Go: runtime.GOMAXPROCS
    #[doc(alias = "GOMAXPROCS")]
    pub fn set_max_procs(&self, n: usize) -> usize {
        crate::set_max_procs(n)
    }
}

/// How many goroutines exist: running, runnable and parked. A snapshot.
///
/// Go: runtime.NumGoroutine
#[doc(alias = "NumGoroutine")]
pub fn num_goroutines() -> usize {
    SCHED.gcount()
}

/// The id of the calling goroutine; 0 on a thread that is not one.
pub fn goroutine_id() -> u64 {
    crate::m::getg().map_or(0, crate::g::G::id)
}

/// The monotonic clock in ns.
#[inline]
pub(crate) fn nanotime() -> i64 {
    gopark_sys::time::nanotime()
}

/// The moment `d` from now in ns; the end of time for what is too long.
pub(crate) fn deadline_after(d: Duration) -> i64 {
    nanotime().saturating_add(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX))
}

/// What poll needs from the layer above, by the scheduler.
struct SchedRuntime;

impl gopark_poll::Runtime for SchedRuntime {
    #[inline]
    fn gopark(&self, slot: &'static ParkSlot, reason: WaitReason) {
        crate::park::gopark(slot, reason);
    }

    fn goready(&self, w: Waiter) {
        crate::park::goready(w);
    }

    fn goready_all(&self, list: &mut ReadyList) {
        let mut goroutines = GQueue::new();
        crate::park::accept_all(list, &mut goroutines);
        crate::wakep::injectglist(getm().and_then(|mp| mp.p.get()), &mut goroutines);
    }

    fn start_task(&self, task: Task) {
        crate::tasks::start(task);
    }

    fn local_timers(&self) -> &'static Timers {
        // A goroutine does not change its P between this and its use of the heap: nothing in between parks.
        match getm().and_then(|mp| mp.p.get()) {
            // Nobody who is busy looks at the timers of a stuck P.
            Some(pp) if !pp.is(PStatus::Stuck) => &pp.timers,
            _ => &SCHED.timers,
        }
    }

    fn wake_net_poller(&self, when: i64) {
        crate::wakep::wake_net_poller(when);
    }

    fn nanotime(&self) -> i64 {
        nanotime()
    }

    /// The runtime shuts down: goroutines go on, threads do not.
    fn may_wait(&self) -> bool {
        getm().is_some()
    }

    fn charge(&self, units: u32) {
        crate::sleep::charge(units);
    }

    fn task_waits(&self) {
        // A goroutine's thread comes back to the scheduler, or is seen to be stuck.
        if getm().is_none() {
            crate::wakep::ensure_poller();
        }
    }

    fn charge_task(&self) -> bool {
        crate::sleep::charge_task()
    }

    fn refund_task(&self) {
        crate::sleep::refund_task();
    }
}
