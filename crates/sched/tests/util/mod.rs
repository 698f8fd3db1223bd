//! What the tests of the scheduler share.
//!
//! The runtime starts once per process, so every test binary starts it here, in the same way, and runs itself again
//! with other numbers of Ps: see [`run_with_1_2_and_4_procs`]. Tests that end a process, or want another
//! configuration, run in a child: see [`child`].
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use gopark_sched::Runtime;

/// Says which test a child process runs.
const CHILD: &str = "GOPARK_TEST_CHILD";

/// Longer than anything here takes on a loaded machine with two cores.
pub const LONG: Duration = Duration::from_secs(20);

/// The runtime of this process, started with the first use.
#[allow(unsafe_code)]
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        // SAFETY: the tests keep nothing of a thread across a call that may block.
        unsafe { Runtime::start() }.expect("start the runtime")
    })
}

/// How many goroutines run at a time in this process.
pub fn procs() -> usize {
    runtime().max_procs()
}

/// Runs `f` on a goroutine; fails with a look into the process if it takes longer than [`LONG`].
#[track_caller]
pub fn bounded<T: Send + 'static>(name: &str, f: impl FnOnce() -> T + Send + 'static) -> T {
    bounded_by(name, LONG, f)
}

/// [`bounded`] with a limit of its own. The watching thread trusts nothing of the runtime: it waits on std's channel.
#[track_caller]
pub fn bounded_by<T: Send + 'static>(
    name: &str,
    limit: Duration,
    f: impl FnOnce() -> T + Send + 'static,
) -> T {
    runtime();
    let (tx, rx) = channel();
    gopark_sched::go(move || drop(tx.send(catch_unwind(AssertUnwindSafe(f)))));
    wait_for(name, limit, &rx)
}

/// Runs `f` on a plain thread, bounded like [`bounded`]: for what is tested from outside of goroutines.
#[track_caller]
pub fn bounded_on_thread<T: Send + 'static>(name: &str, f: impl FnOnce() -> T + Send + 'static) -> T {
    runtime();
    let (tx, rx) = channel();
    std::thread::spawn(move || drop(tx.send(catch_unwind(AssertUnwindSafe(f)))));
    wait_for(name, LONG, &rx)
}

#[track_caller]
fn wait_for<T>(name: &str, limit: Duration, rx: &std::sync::mpsc::Receiver<std::thread::Result<T>>) -> T {
    match rx.recv_timeout(limit) {
        Ok(Ok(value)) => value,
        Ok(Err(payload)) => resume_unwind(payload),
        Err(RecvTimeoutError::Timeout) => panic!("{name} takes longer than {limit:?}\n{}", dump()),
        Err(RecvTimeoutError::Disconnected) => panic!("{name} ended without a result\n{}", dump()),
    }
}

/// One test of a binary at a time, for those that count threads or occupy all Ps.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns when `condition` holds. No sleep stands for an order: it is only how often we look. From a plain thread.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LONG, "{what}: never came true\n{}", dump());
        std::thread::sleep(Duration::from_micros(500)); // not for ordering: how often we look
    }
}

/// Returns when nobody runs any more and the scheduler's counts are what they were in the beginning: every P active and
/// idle, none stuck, nobody searching. From a plain thread.
#[track_caller]
pub fn until_settled() {
    until("all Ps are idle and none is stuck", || {
        let c = gopark_sched::debug_counts();
        let busy = c.ps.iter().filter(|p| p.1 > 0 || p.2).count();
        (c.active, c.stuck, c.idle, c.npidle, c.spinning, c.alone, c.global_queue, busy)
            == (c.procs, 0, c.procs, c.procs, 0, 0, 0, 0)
            && c.procs + c.spare == c.allp
    });
}

/// How many goroutines are parked for `reason` at the moment.
pub fn parked(reason: gopark_sched::WaitReason) -> usize {
    let dump = gopark_sched::dump::DumpOptions::new().max_backtraces(0).dump();
    let state = gopark_sched::dump::GoroutineState::Waiting(reason);
    dump.goroutines.iter().filter(|g| g.state == state).count()
}

/// Keeps the thread busy without a call into the runtime.
pub fn hog_for(d: Duration) {
    let start = Instant::now();
    while start.elapsed() < d {
        std::hint::spin_loop();
    }
}

/// Threads of this process.
pub fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// The scheduler's numbers, and what the kernel says of every thread.
pub fn dump() -> String {
    let counts = gopark_sched::debug_counts();
    format!("{counts:#?}\ngoroutines: {}\n{}", gopark_sched::num_goroutines(), dump_of("self"))
}

/// Of every thread of a process: its name, state, where it sleeps, CPU ticks used.
fn dump_of(pid: &str) -> String {
    let mut text = String::new();
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return text };
    for task in tasks.flatten() {
        let read = |name: &str| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let stat = read("stat");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        let field = |i: usize| fields.get(i).copied().unwrap_or("?");
        let _ = writeln!(
            text,
            "thread {} {:16} {} {} utime {} stime {}",
            task.file_name().to_string_lossy(),
            read("comm").trim(),
            field(0),
            read("wchan"),
            field(11),
            field(12)
        );
    }
    text
}

/// Runs every test of this binary again with one, two and four Ps.
///
/// Not when `GOPARK_MAXPROCS` is set already: then this process is such a run, started from here or by hand.
#[track_caller]
pub fn run_with_1_2_and_4_procs() {
    if std::env::var_os("GOPARK_MAXPROCS").is_some() {
        return;
    }
    for procs in ["1", "2", "4"] {
        let output = run(&[], &[("GOPARK_MAXPROCS", procs)]);
        assert!(output.status.success(), "with {procs} Ps:\n{}", text_of(&output));
        // A filter that matches nothing would pass as well.
        assert!(!text_of(&output).contains("running 0 tests"), "with {procs} Ps nothing ran");
    }
}

/// For tests in a child process: in the parent, runs the calling test (by its full name) in a child with `env`, and
/// returns what came of it; in the child None, and the test goes on to do it.
///
/// Runs with another number of Ps leave such tests out: the child chooses its own. Then None is not returned either,
/// but [`Child::Skip`].
pub fn child(test: &str, env: &[(&str, &str)]) -> Child {
    match std::env::var(CHILD) {
        Ok(name) if name == test => return Child::Inside,
        Ok(_) => return Child::Skip,
        Err(_) => {}
    }
    if std::env::var_os("GOPARK_MAXPROCS").is_some() {
        return Child::Skip;
    }
    let env: Vec<(&str, &str)> = env.iter().copied().chain([(CHILD, test)]).collect();
    Child::Ended(run(&["--exact", test, "--nocapture", "--test-threads=1"], &env))
}

/// What [`child`] found.
#[derive(Debug)]
pub enum Child {
    /// This is the child.
    Inside,
    /// The child has ended.
    Ended(Output),
    /// Not in this run.
    Skip,
}

/// Runs this binary again, for at most a minute.
fn run(args: &[&str], env: &[(&str, &str)]) -> Output {
    let exe = std::env::current_exe().expect("the test knows its own path");
    let mut command = Command::new(exe);
    command.args(args).env_remove("GOPARK_MAXPROCS").envs(env.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("run the test binary again");
    let pid = child.id();
    let (tx, rx) = channel();
    std::thread::spawn(move || drop(tx.send(child.wait_with_output())));
    match rx.recv_timeout(Duration::from_secs(60)) {
        Ok(output) => output.expect("wait for the test binary"),
        Err(_) => {
            // Its own dump would have come by now: look from outside, before it goes.
            let threads = dump_of(&pid.to_string());
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
            let text = rx
                .recv()
                .map_or_else(|e| e.to_string(), |o| o.map_or_else(|e| e.to_string(), |o| text_of(&o)));
            panic!("{args:?} {env:?} hangs:\n{threads}\n{text}");
        }
    }
}

/// Standard output and error of a child.
pub fn text_of(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{}\n{out}\n{err}", output.status)
}

/// The child was killed by SIGABRT, and said `words` before.
#[track_caller]
pub fn assert_aborted(output: &Output, words: &[&str]) {
    let text = text_of(output);
    assert!(!output.status.success(), "did not abort: {text}");
    assert!(aborted(output), "ended otherwise than by abort: {text}");
    for word in words {
        assert!(text.contains(word), "does not say {word:?}: {text}");
    }
}

fn aborted(output: &Output) -> bool {
    use std::os::unix::process::ExitStatusExt;
    output.status.signal() == Some(6)
}

/// A value that counts its drops.
#[derive(Clone, Debug)]
pub struct CountDrops(pub std::sync::Arc<std::sync::atomic::AtomicUsize>);

impl Drop for CountDrops {
    fn drop(&mut self) {
        // A counter of a test: the strongest ordering, so that nothing is in doubt.
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}
