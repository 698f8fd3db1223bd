//! A server whose clients are silent does not wake up, with one, two and four Ps: goroutines and a plain thread that
//! accept, goroutines that read and one that sleeps. Each run has a process of its own.
#![cfg(target_os = "linux")]

mod util;

use std::io::Read;
use std::process::Command;
use std::time::{Duration, Instant};

use gopark_net::dump::{DumpOptions, GoroutineState};
use gopark_net::{TcpConn, TcpListener, WaitReason, sleep, spawn};

/// Set in the processes that are watched.
const WATCHED: &str = "GOPARK_IDLE_TEST";
/// Connections, with a goroutine each.
const CONNS: usize = 20;
/// After the last event; sysmon falls asleep, and threads that nobody needs end.
const QUIET: Duration = Duration::from_millis(1_500);
/// How long nothing may happen then.
const WATCH: Duration = Duration::from_secs(3);

#[test]
fn a_silent_server_does_not_wake_up() {
    if std::env::var_os(WATCHED).is_some() {
        return util::thread("a silent server", silent_server);
    }
    for procs in ["1", "2", "4"] {
        let mut command = Command::new(std::env::current_exe().expect("a path"));
        command.args(["--exact", "a_silent_server_does_not_wake_up", "--nocapture", "--test-threads=1"]);
        command.env("GOPARK_MAXPROCS", procs).env(WATCHED, "1");
        util::assert_success(command, &format!("GOPARK_MAXPROCS={procs}"));
    }
}

/// Whoever waits in it stays: it is made in processes that end with the test.
struct Server {
    clients: Vec<TcpConn>,
}

/// Serves [`CONNS`] connections that were just opened.
fn serve() -> Server {
    let ln = TcpListener::bind("127.0.0.1:0").expect("listen");
    let addr = ln.local_addr().expect("it listens");
    spawn(move || {
        while let Ok((conn, _)) = ln.accept() {
            spawn(move || {
                let mut buf = [0; 16];
                while let Ok(n @ 1..) = conn.read(&mut buf) {
                    conn.write_all(&buf[..n]).expect("echo");
                }
            });
        }
    });
    Server { clients: (0..CONNS).map(|_| TcpConn::connect(addr).expect("connect")).collect() }
}

impl Server {
    /// Once around on every connection.
    fn echo(&self) {
        for client in &self.clients {
            client.write_all(b"ping").expect("write");
            let mut buf = [0; 4];
            (&*client).read_exact(&mut buf).expect("read");
            assert_eq!(&buf, b"ping");
        }
    }
}

fn silent_server() {
    let server = spawn(serve).join().expect("it serves");
    server.echo();
    std::thread::spawn(|| TcpListener::bind("127.0.0.1:0").expect("listen").accept());
    spawn(|| sleep(Duration::from_secs(3600))); // not for ordering: one of those that wait
    let start = Instant::now();
    while (waiting(WaitReason::IoWait), waiting(WaitReason::Sleep)) != (CONNS + 1, 1) {
        assert!(start.elapsed() < Duration::from_secs(20), "they do not come to rest");
        std::thread::sleep(Duration::from_millis(5)); // not for ordering: how often we look
    }

    std::thread::sleep(QUIET); // not for ordering: the time that is allowed
    let before = switches();
    std::thread::sleep(WATCH); // not for ordering: the time that is watched
    let after = switches();
    assert_eq!(before, after, "threads woke up: (name, switches) of each, before and after");
    // It only slept.
    server.echo();
}

/// Goroutines that wait for this.
fn waiting(reason: WaitReason) -> usize {
    let dump = DumpOptions::new().max_backtraces(0).dump();
    dump.goroutines.iter().filter(|g| g.state == GoroutineState::Waiting(reason)).count()
}

/// Of every thread but the calling one: its id, its name, and how often it gave up a processor of its own accord. (Not
/// of its own accord needs a thread that runs.)
fn switches() -> Vec<(String, String, u64)> {
    let me = std::fs::read_link("/proc/thread-self").expect("proc");
    let mut all: Vec<_> = std::fs::read_dir("/proc/self/task")
        .expect("proc")
        .flatten()
        .filter(|task| Some(task.file_name().as_os_str()) != me.file_name())
        .map(|task| {
            let status = std::fs::read_to_string(task.path().join("status")).expect("its status");
            let field = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                line.expect("the kernel tells").trim().to_owned()
            };
            let count = field("voluntary_ctxt_switches:").parse().expect("a number");
            (task.file_name().to_string_lossy().into_owned(), field("Name:"), count)
        })
        .collect();
    all.sort();
    all
}
