//! What the tests share: the runtime, time limits, connections.
//!
//! A test written with `both!` runs twice: as a goroutine, and on the test's own thread, since every call
//! works on both. The runtime starts once per process, so `procs!` adds a test that runs the whole binary
//! again with 1, 2 and 4 Ps.

#![allow(dead_code)]

pub(crate) mod unix;

use std::io;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use gopark_net::{
    Dialer, JoinHandle, ListenConfig, Runtime, TcpConn, TcpListener, is_closed, is_timeout, sleep, spawn,
};

/// A test that takes longer has hung.
const LIMIT: Duration = Duration::from_secs(60);
/// The same for a whole binary.
const BINARY_LIMIT: Duration = Duration::from_secs(300);
/// Long enough to see that something does not happen (Go's tests wait as long).
pub(crate) const A_WHILE: Duration = Duration::from_millis(100);
/// Set for the runs that `procs!` starts.
const CHILD: &str = "GOPARK_TEST_CHILD";

/// Defines tests that run as a goroutine and then on a plain thread.
#[macro_export]
macro_rules! both {
    ($($(#[$meta:meta])* fn $name:ident() $body:block)*) => {$(
        $(#[$meta])*
        #[test]
        fn $name() {
            fn body() $body
            util::both(stringify!($name), body);
        }
    )*};
}

/// Adds the test that runs this binary with 1, 2 and 4 Ps.
#[macro_export]
macro_rules! procs {
    () => {
        #[test]
        fn runs_with_1_2_and_4_procs() {
            util::run_binary_with_procs();
        }
    };
}

/// The runtime, started by whoever comes first.
#[allow(unsafe_code)]
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        // SAFETY: the tests keep no thread-local and nothing that is bound to a thread across a call that may
        // block, install no signal handler, call no C code, and are linked statically.
        unsafe { Runtime::start() }.expect("the runtime starts")
    })
}

pub(crate) fn both(name: &str, body: fn()) {
    goroutine(name, body);
    thread(name, body);
}

/// Runs `body` as a goroutine.
pub(crate) fn goroutine(name: &str, body: fn()) {
    runtime();
    limited(&format!("{name} (goroutine)"), LIMIT, || {
        if let Err(panic) = spawn(body).join() {
            // Said again here: what the hook wrote went to whichever test had started that thread.
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("not a text");
            panic!("{name}, as a goroutine: {text}");
        }
    });
}

/// Runs `body` on the calling thread.
pub(crate) fn thread(name: &str, body: fn()) {
    runtime();
    limited(&format!("{name} (thread)"), LIMIT, body);
}

/// Ends the process with a message if `f` does not return in time: a test that hangs must be seen.
fn limited(name: &str, limit: Duration, f: impl FnOnce()) {
    let (done, watch) = channel::<()>();
    let name = name.to_owned();
    let dog = std::thread::spawn(move || {
        if watch.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            eprintln!("{name} hangs: not done after {limit:?}");
            std::process::abort();
        }
    });
    // Also on a panic: the sender is dropped with the frame, and the dog goes home.
    let _done = done;
    f();
    drop(_done);
    dog.join().expect("the watchdog does not panic");
}

pub(crate) fn run_binary_with_procs() {
    if std::env::var_os(CHILD).is_some() {
        return;
    }
    for procs in ["1", "2", "4"] {
        let mut command = Command::new(std::env::current_exe().expect("a path"));
        command.env("GOPARK_MAXPROCS", procs).env(CHILD, "1");
        assert_success(command, &format!("GOPARK_MAXPROCS={procs}"));
    }
}

/// Runs `command` to its end; if that is not success, or not in time, panics with what it wrote.
pub(crate) fn assert_success(mut command: Command, what: &str) {
    let child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let pid = child.id().to_string();
    let (done, watch) = channel::<()>();
    let dog = std::thread::spawn(move || {
        let hangs = watch.recv_timeout(BINARY_LIMIT) == Err(RecvTimeoutError::Timeout);
        if hangs {
            let _ = Command::new("kill").args(["-9", &pid]).status();
        }
        hangs
    });
    let output = child.wait_with_output().expect("its output");
    drop(done);
    let hung = dog.join().expect("the watchdog does not panic");
    assert!(
        output.status.success() && !hung,
        "{what}: {}{}\n--- stdout\n{}\n--- stderr\n{}",
        output.status,
        if hung { " (killed: it hung)" } else { "" },
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}

/// Whether this process was started by [`child`]: then the test is to be done here.
pub(crate) fn is_child_for(test: &str) -> bool {
    std::env::var(CHILD).is_ok_and(|of| of == test)
}

/// The command that runs `test` of this binary alone in a process of its own, after `sh` has done `before`.
pub(crate) fn child(test: &str, before: &str) -> Command {
    let exe = std::env::current_exe().expect("a path");
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{before}\nexec \"$0\" --exact --nocapture \"$1\"")).arg(exe).arg(test);
    command.env(CHILD, test);
    command
}

/// A listener on a free port of the IPv4 loopback.
pub(crate) fn local_listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a free port")
}

/// Two ends of a connection: the dialed one and the accepted one.
pub(crate) fn pair() -> (TcpConn, TcpConn) {
    let ln = local_listener();
    let client = TcpConn::connect(ln.local_addr().unwrap()).expect("connect");
    let (server, _) = ln.accept().expect("accept");
    (client, server)
}

/// As [`pair`], with small buffers, so that a writer soon has to wait.
pub(crate) fn narrow_pair() -> (TcpConn, TcpConn) {
    let (client, server) = pair();
    for conn in [&client, &server] {
        conn.set_read_buffer(4096).unwrap();
        conn.set_write_buffer(4096).unwrap();
    }
    (client, server)
}

/// An address at which nobody answers: a listener whose queue is full, so the system drops what would open a
/// connection.
pub(crate) struct BlackHole {
    pub(crate) listener: TcpListener,
    pub(crate) queued: Vec<TcpConn>,
}

impl BlackHole {
    pub(crate) fn new() -> BlackHole {
        let listener = ListenConfig::new().backlog(0).listen_tcp("tcp", "127.0.0.1:0").expect("a free port");
        let addr = listener.addr().to_string();
        let dialer = Dialer::new().timeout(Duration::from_millis(150));
        let mut queued = Vec::new();
        loop {
            assert!(queued.len() < 64, "the queue of a listener with backlog 0 does not fill");
            match dialer.dial_tcp("tcp", &addr) {
                Ok(conn) => queued.push(conn),
                Err(err) if is_timeout(&err) => return BlackHole { listener, queued },
                Err(err) => panic!("{err}"),
            }
        }
    }

    pub(crate) fn addr(&self) -> String {
        self.listener.addr().to_string()
    }
}

/// Writes until there is no more room.
pub(crate) fn fill(conn: &TcpConn) {
    let chunk = [0x5a; 16 * 1024];
    loop {
        match conn.try_write(&chunk) {
            Ok(_) => {}
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => {
                // What is on its way to the peer's buffer frees room once more.
                // not for ordering: nothing says when the system has moved it
                sleep(Duration::from_millis(20));
                if conn.try_write(&chunk).is_err() {
                    return;
                }
            }
            Err(err) => panic!("{err}"),
        }
    }
}

/// The time `d` from now.
pub(crate) fn after(d: Duration) -> Option<Instant> {
    Some(Instant::now() + d)
}

/// The time `d` ago.
pub(crate) fn ago(d: Duration) -> Option<Instant> {
    Some(Instant::now().checked_sub(d).expect("the machine has been up for longer"))
}

#[track_caller]
pub(crate) fn assert_timeout<T>(result: io::Result<T>) {
    let Err(err) = result else { panic!("no timeout") };
    assert!(is_timeout(&err), "not a timeout: {err}");
    assert_eq!(err.kind(), io::ErrorKind::TimedOut, "{err}");
    assert!(err.to_string().ends_with(": i/o timeout"), "{err}");
    assert!(gopark_net::is_temporary(&err), "{err}");
}

#[track_caller]
pub(crate) fn assert_closed<T>(result: io::Result<T>) {
    let Err(err) = result else { panic!("not closed") };
    assert!(is_closed(&err), "not closed: {err}");
    assert!(err.to_string().ends_with(": use of closed network connection"), "{err}");
}

/// The goroutine is still at it after a while.
#[track_caller]
pub(crate) fn assert_blocked<T: Send + 'static>(handle: JoinHandle<T>) -> JoinHandle<T> {
    match handle.join_timeout(A_WHILE) {
        Err(handle) => handle,
        Ok(_) => panic!("it returned"),
    }
}

/// The result of a goroutine that must be done soon.
#[track_caller]
pub(crate) fn join_soon<T: Send + 'static>(handle: JoinHandle<T>) -> T {
    match handle.join_timeout(Duration::from_secs(10)) {
        Ok(Ok(value)) => value,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(_) => panic!("it does not return"),
    }
}
