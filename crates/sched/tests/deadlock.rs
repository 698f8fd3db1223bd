//! The report of deadlocks, and when there must be none. Each case has a process of its own, and its main thread: the
//! harness of Rust's tests would be one thread too many, so this is a program without it.

use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use gopark_sched::chan::{bounded as channel, unbounded};
use gopark_sched::{Runtime, blocking, go, lock_os_thread, signal, sleep, spawn, sync, yield_now};

/// Says which case a child runs.
const CHILD: &str = "GOPARK_TEST_CHILD";

/// What Go says, and its exit status.
const TEXT: &str = "fatal error: all goroutines are asleep - deadlock!";

/// Longer than it takes to find a deadlock.
const A_WHILE: Duration = Duration::from_millis(700);

/// Longer than a case takes.
const LONG: Duration = Duration::from_secs(30);

/// A case, and what its process must say: none if it must end well.
type Case = (&'static str, fn(), Option<&'static [&'static str]>);

const CASES: &[Case] = &[
    // Go: runtime TestSimpleDeadlock
    ("simple_deadlock", || run(wait_for_ever), Some(&["[chan receive]", "created at", "deadlock.rs"])),
    ("a_deadlock_of_several", || run(several), Some(&["[chan send]", "[sync.Mutex.Lock]", "[join]"])),
    // Go: runtime TestLockedDeadlock
    ("locked_deadlock", || run(locked), Some(&["locked to thread"])),
    // Go: runtime TestLockedDeadlock2
    ("locked_deadlock2", || run(locked_beside), Some(&["locked to thread"])),
    ("a_deadlock_after_another_thread", || run(after_a_thread), Some(&[])),
    ("a_deadlock_after_signals", || run(after_signals), Some(&[])),
    ("sleepers_are_no_deadlock", || run(sleepers), None),
    ("blocking_sections_are_no_deadlock", || run(blockers), None),
    ("other_threads_are_no_deadlock", || run(other_threads), None),
    ("listening_to_signals_is_no_deadlock", || run(listening), None),
    ("locked_goroutines_are_no_deadlock", || run(locked_ping_pong), None),
    ("without_run_there_is_no_report", without_run, None),
    ("it_is_opt_in", opt_in, None),
];

fn main() {
    if let Ok(name) = std::env::var(CHILD) {
        let (_, case, words) = CASES.iter().find(|(case, ..)| *case == name).expect("a case");
        case();
        // One that must not come here; or the end of the process, whatever waits.
        std::process::exit(if words.is_some() { 99 } else { 0 });
    }
    if !cfg!(target_os = "linux") {
        return;
    }
    // Some of them together: they sleep for the most part.
    let (tx, rx) = mpsc::channel();
    for (name, _, words) in CASES {
        let tx = tx.clone();
        std::thread::spawn(move || tx.send((*name, *words, child(name))));
    }
    drop(tx);
    let mut failed = 0;
    for (name, words, output) in rx {
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let ok = match words {
            Some(words) => {
                output.status.code() == Some(2) && [TEXT].iter().chain(words).all(|word| text.contains(word))
            }
            None => output.status.success() && !text.contains(TEXT),
        };
        println!("test {name} ... {}", if ok { "ok" } else { "FAILED" });
        if !ok {
            println!("{}\n{text}", output.status);
            failed += 1;
        }
    }
    assert_eq!(failed, 0, "of {} cases", CASES.len());
}

fn child(name: &str) -> Output {
    let mut command = Command::new(std::env::current_exe().expect("the test knows its own path"));
    command.env(CHILD, name).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("a child");
    let start = Instant::now();
    while start.elapsed() < LONG && child.try_wait().expect("its status").is_none() {
        std::thread::sleep(Duration::from_millis(10)); // not for ordering: how often we look
    }
    let _ = child.kill(); // fails if it has ended
    child.wait_with_output().expect("its output")
}

#[allow(unsafe_code)]
fn start() -> Runtime {
    let procs = std::env::var("GOPARK_MAXPROCS").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
    // SAFETY: the tests keep nothing of a thread across a call that may block.
    unsafe { Runtime::builder().max_procs(procs).deadlock_report(true).start() }.expect("start the runtime")
}

fn run(f: fn()) {
    start().run(f);
}

/// Nobody sends.
fn wait_for_ever() {
    let (_tx, rx) = channel::<()>(0);
    let _ = rx.recv();
}

/// With goroutines that have ended, that have slept, and that wait for each other.
fn several() {
    (0..100).map(|_| spawn(yield_now)).for_each(|h| h.join().unwrap());
    sleep(Duration::from_millis(1));
    let (tx, _rx) = channel(0);
    go(move || tx.send(()).unwrap_or(()));
    let lock = Arc::new(sync::Mutex::new(()));
    let held = lock.lock();
    let theirs = Arc::clone(&lock);
    let h = spawn(move || drop(theirs.lock()));
    h.join().unwrap();
    drop(held);
}

fn locked() {
    lock_os_thread();
    wait_for_ever();
}

fn locked_beside() {
    go(locked);
    sleep(Duration::from_millis(1));
    wait_for_ever();
}

/// A thread that could have ended it has ended.
fn after_a_thread() {
    std::thread::spawn(|| std::thread::sleep(A_WHILE)); // not for ordering: it is there for a while
    wait_for_ever();
}

/// Who listens to signals may be woken, until he no longer does.
fn after_signals() {
    drop(signal::notify(&[signal::Signal::SIGUSR1]).expect("listen"));
    wait_for_ever();
}

fn listening() {
    let signals = signal::notify(&[signal::Signal::SIGUSR1]).expect("listen");
    go(wait_for_ever);
    assert!(signals.recv_timeout(A_WHILE).is_err());
    let pid = std::process::id().to_string();
    Command::new("sh")
        .args(["-c", "(sleep 0.7; kill -USR1 $0) >/dev/null 2>&1 &", &pid])
        .status()
        .expect("sh");
    assert!(signals.recv().is_ok());
}

fn sleepers() {
    let (tx, rx) = channel(0);
    go(move || {
        sleep(A_WHILE);
        tx.send(()).unwrap();
    });
    assert_eq!(rx.recv(), Ok(()));
    let start = Instant::now();
    let (_tx, rx) = channel::<()>(0);
    assert!(rx.recv_timeout(A_WHILE).is_err() && start.elapsed() >= A_WHILE);
}

fn blockers() {
    let (tx, rx) = channel(0);
    go(move || {
        blocking(|| std::thread::sleep(A_WHILE)); // not for ordering: it blocks
        tx.send(()).unwrap();
    });
    assert_eq!(rx.recv(), Ok(()));
    // And one that has not said so.
    let h = spawn(|| std::thread::sleep(A_WHILE)); // not for ordering: it blocks
    h.join().unwrap();
}

fn other_threads() {
    let (tx, rx) = unbounded();
    std::thread::spawn(move || {
        std::thread::sleep(2 * A_WHILE); // not for ordering: it takes its time
        tx.send(()).unwrap();
    });
    assert_eq!(rx.recv(), Ok(()));
}

/// Locked goroutines run without a P: with all Ps idle they may still be at it, and one of them waits at any time.
fn locked_ping_pong() {
    let (ping, pinged) = channel(0);
    let (pong, ponged) = channel(0);
    go(move || {
        lock_os_thread();
        pinged.iter().for_each(|i: u32| pong.send(i).unwrap());
    });
    lock_os_thread();
    let start = Instant::now();
    let mut i = 0;
    while start.elapsed() < 2 * A_WHILE {
        ping.send(i).unwrap();
        assert_eq!(ponged.recv(), Ok(i));
        i += 1;
    }
}

/// A thread that waits by itself, without `run`, may be woken by what we know nothing of.
fn without_run() {
    let _rt = start();
    go(wait_for_ever);
    std::thread::sleep(A_WHILE); // not for ordering: time for a report
}

/// Nor is there one when nobody asked for it.
#[allow(unsafe_code)]
fn opt_in() {
    // SAFETY: as in `start`.
    let rt = unsafe { Runtime::start() }.expect("start the runtime");
    rt.run(|| {
        let (tx, rx) = channel::<()>(0);
        std::thread::spawn(move || {
            std::thread::sleep(A_WHILE); // not for ordering: time for a report
            drop(tx);
        });
        assert!(rx.recv().is_err());
    });
}
