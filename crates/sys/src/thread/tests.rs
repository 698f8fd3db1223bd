use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::imp::{affinity, parse_state, quota_of};
use super::*;

/// Asks until the answer is `wanted`.
fn expect(clock: &ThreadClock, wanted: RunState) {
    let end = Instant::now() + Duration::from_secs(10);
    while clock.run_state() != wanted {
        assert!(Instant::now() < end, "{:?}, not {wanted:?}", clock.run_state());
        osyield();
    }
}

#[test]
fn a_thread_that_runs_is_told_from_one_that_sleeps_and_one_that_is_gone() {
    let (give, clock) = mpsc::channel();
    let (go, gone) = mpsc::channel::<()>();
    let (stop, stopped) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        give.send(ThreadClock::new()).unwrap();
        let _ = gone.recv(); // sleeps
        while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
            procyield(100); // runs
        }
    });
    let clock = clock.recv().unwrap();
    expect(&clock, RunState::Blocked);
    let asleep = clock.cpu_time_ns();
    assert!(asleep > 0);
    drop(go);
    expect(&clock, RunState::Running);
    let end = Instant::now() + Duration::from_secs(10);
    while clock.cpu_time_ns() < asleep + 1_000_000 {
        assert!(Instant::now() < end, "it runs, and its clock stands still");
        osyield();
    }
    drop(stop);
    thread.join().unwrap();
    // joined, the thread has ended for us, but the kernel may still be at it
    expect(&clock, RunState::Unknown);
}

#[test]
fn the_state_follows_the_name_whatever_that_is() {
    assert_eq!(parse_state(b"12 (x) R 1 2"), RunState::Running);
    assert_eq!(parse_state(b"12 (a) S) b) D 1 2"), RunState::Blocked);
    assert_eq!(parse_state(b"12 (x) S 1 2"), RunState::Blocked);
    assert_eq!(parse_state(b"12 (x) Z 1 2"), RunState::Unknown);
    for cut in [&b""[..], b"12", b"12 (x", b"12 (x)", b"12 (x) "] {
        assert_eq!(parse_state(cut), RunState::Unknown);
    }
}

#[test]
fn a_spawned_thread_has_its_name_and_detaches() {
    let (give, name) = mpsc::channel();
    spawn("gopark-name".to_owned(), move || {
        give.send(std::thread::current().name().map(str::to_owned)).unwrap();
    })
    .unwrap();
    assert_eq!(name.recv_timeout(Duration::from_secs(10)).unwrap().as_deref(), Some("gopark-name"));
}

#[test]
fn there_is_a_processor_for_us() {
    let procs = available_procs();
    assert!(procs >= 1);
    let mask = affinity().expect("the mask can be read");
    assert!(procs <= mask, "{procs} of {mask}");
}

/// A tree of cgroup files, removed at the end.
struct Tree(std::path::PathBuf);

impl Tree {
    fn new(name: &str, files: &[(&str, &str)]) -> Tree {
        let root = std::env::temp_dir().join(format!("gopark-{name}-{}", std::process::id()));
        for (path, text) in files {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Tree(root)
    }

    fn quota(&self, groups: &str) -> Option<f64> {
        quota_of(groups, Path::to_str(&self.0).unwrap())
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_tightest_quota_of_a_version_2_group_and_its_parents_holds() {
    let tree = Tree::new(
        "v2",
        &[
            ("cpu.max", "max 100000\n"),
            ("a/cpu.max", "150000 100000\n"),
            ("a/b/cpu.max", "400000 100000\n"),
            ("a/free/cpu.max", "max 100000\n"),
            ("odd/cpu.max", "12\n"),
        ],
    );
    assert_eq!(tree.quota("0::/a/b\n"), Some(1.5));
    assert_eq!(tree.quota("0::/a/free\n"), Some(1.5));
    assert_eq!(tree.quota("0::/\n"), None);
    assert_eq!(tree.quota("0::/odd\n"), None);
    // A container that sees its own group as the root, but its name from outside.
    assert_eq!(tree.quota("0::/a/not/here\n"), Some(1.5));
    // Outside of what is mounted, and nonsense.
    assert_eq!(tree.quota("0::/../else\n"), None);
    for text in ["", "\n", "0", "0::", "nonsense\n"] {
        assert_eq!(tree.quota(text), None, "{text:?}");
    }
}

#[test]
fn a_version_1_quota_is_read_from_the_cpu_controller() {
    let tree = Tree::new(
        "v1",
        &[
            ("cpu/g/cpu.cfs_quota_us", "50000\n"),
            ("cpu/g/cpu.cfs_period_us", "100000\n"),
            ("cpu/unlimited/cpu.cfs_quota_us", "-1\n"),
            ("cpu/unlimited/cpu.cfs_period_us", "100000\n"),
        ],
    );
    let groups = |name: &str| format!("5:memory:/m\n4:cpu,cpuacct:/{name}\n3:cpuset:/g\n");
    assert_eq!(tree.quota(&groups("g")), Some(0.5));
    assert_eq!(tree.quota(&groups("unlimited")), None);
    assert_eq!(tree.quota("3:cpuset:/g\n"), None);
}
