//! What the tests share. Each test file is a program of its own and uses a part of it.
#![allow(dead_code, unsafe_code, reason = "no single test program uses everything")]

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::mpsc;
use std::time::Duration;

/// What takes longer than this hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// Runs `f` on a thread of its own and returns its result.
///
/// # Panics
/// With `f`, and if `f` takes longer than [`LIMIT`].
pub(crate) fn bounded<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let _ = done.send(f());
    });
    match result.recv_timeout(LIMIT) {
        Ok(value) => value,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("still not finished after {LIMIT:?}"),
        Err(mpsc::RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("it sends before it ends"),
        },
    }
}

/// Two ends of a TCP connection over loopback, both non-blocking: who dialled, and who accepted.
pub(crate) fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let dialled = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    for conn in [&dialled, &accepted] {
        conn.set_nonblocking(true).unwrap();
        conn.set_nodelay(true).unwrap();
    }
    (dialled, accepted)
}

const CHILD: &str = "GOPARK_TEST_CHILD";

/// Runs the test `name` of this program alone in a child process, on its main thread, where [`in_child`] is true.
pub(crate) fn run_child(name: &str, env: &[(&str, &str)]) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, name)
        .env_remove("RUST_BACKTRACE")
        .envs(env.iter().copied())
        .output()
        .unwrap()
}

/// True in the child that [`run_child`] started. Such a process leaves no core file, and ends itself if it hangs.
pub(crate) fn in_child() -> bool {
    let child = std::env::var_os(CHILD).is_some();
    if child {
        // SAFETY: plain system calls on valid arguments.
        unsafe {
            libc::alarm(LIMIT.as_secs() as u32);
            let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            libc::setrlimit(libc::RLIMIT_CORE, &none);
        }
    }
    child
}

/// Lets this process have `n` descriptors, no more.
pub(crate) fn limit_descriptors(n: u64) {
    let limit = libc::rlimit { rlim_cur: n, rlim_max: n };
    // SAFETY: a plain system call on a valid argument.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
}

/// What the child wrote to standard error.
pub(crate) fn stderr_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
