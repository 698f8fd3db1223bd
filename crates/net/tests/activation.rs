//! Sockets of a service manager. Each case is a process of its own, started as systemd would: with a socket at
//! descriptor 3 and variables that name the process.

mod util;

use std::io::ErrorKind;
use std::net::{TcpListener as StdListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Command, Stdio};

use gopark_net::{Listener, TcpConn, TcpListener, UdpConn, listen_fds};
use util::{child, is_child_for};

/// Runs `test` in a child with `fd` as descriptor 3, and the variables that `before` sets (`$$` is the child's number,
/// since the shell executes it in its own place).
fn activate(test: &str, before: &str, fd: OwnedFd) -> std::process::Output {
    let mut command: Command = child(test, &format!("exec 3<&0 0</dev/null\n{before}"));
    command.stdin(Stdio::from(fd)).output().expect("sh runs")
}

#[track_caller]
fn assert_ok(output: &std::process::Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr));
}

#[test]
fn a_listener_is_taken_over_by_its_name() {
    const NAME: &str = "a_listener_is_taken_over_by_its_name";
    if is_child_for(NAME) {
        util::thread(NAME, || {
            let mut sockets = listen_fds().unwrap();
            assert_eq!(sockets.len(), 1);
            let socket = sockets.remove(0);
            assert_eq!((socket.name(), socket.as_fd().as_raw_fd()), ("http", 3));
            let flags = std::fs::read_to_string("/proc/self/fdinfo/3").unwrap();
            let flags = flags.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
            let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
            assert_ne!(flags & 0o2_000_000, 0, "close-on-exec is set");
            // The sockets have an owner now.
            let again = listen_fds().unwrap_err();
            assert_eq!(again.kind(), ErrorKind::AlreadyExists);
            assert!(again.to_string().contains("keep what the first call"), "{again}");
            let ln: Box<dyn Listener> = socket.into_listener().unwrap();
            assert!(ln.downcast_ref::<TcpListener>().is_some());
            let client = TcpConn::connect(ln.addr().to_string()).unwrap();
            ln.accept().unwrap().write_all(b"up").unwrap();
            assert_eq!(client.read(&mut [0; 8]).unwrap(), 2);
        });
        return;
    }
    let socket = StdListener::bind("127.0.0.1:0").unwrap();
    let before = "export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=http";
    assert_ok(&activate(NAME, before, socket.into()));
}

#[test]
fn without_the_variables_or_for_another_process_there_is_none() {
    const NAME: &str = "without_the_variables_or_for_another_process_there_is_none";
    if is_child_for(NAME) {
        assert!(listen_fds().unwrap().is_empty());
        return;
    }
    for before in ["unset LISTEN_PID LISTEN_FDS", "export LISTEN_PID=1 LISTEN_FDS=1", "export LISTEN_FDS=1"] {
        let socket = StdListener::bind("127.0.0.1:0").unwrap();
        assert_ok(&activate(NAME, before, socket.into()));
    }
}

#[test]
fn what_does_not_listen_is_refused_and_can_be_had_as_it_is() {
    const NAME: &str = "what_does_not_listen_is_refused_and_can_be_had_as_it_is";
    if is_child_for(NAME) {
        util::thread(NAME, || {
            let socket = listen_fds().unwrap().remove(0);
            assert_eq!(socket.name(), "unknown");
            let twin = socket.as_fd().try_clone_to_owned().unwrap();
            let err = socket.into_listener().unwrap_err();
            assert_eq!(err.to_string(), "file file+net: getsockopt: invalid argument");
            let conn = UdpConn::try_from(twin).unwrap();
            assert_ne!(conn.local_addr().unwrap().port(), 0);
        });
        return;
    }
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    assert_ok(&activate(NAME, "export LISTEN_PID=$$ LISTEN_FDS=1", socket.into()));
}

#[test]
fn more_sockets_than_there_are_is_an_error() {
    const NAME: &str = "more_sockets_than_there_are_is_an_error";
    if is_child_for(NAME) {
        // Whatever number a test binary has open, it is not so many.
        let err = listen_fds().unwrap_err();
        assert!(err.to_string().contains("not all of these descriptors are open"), "{err}");
        return;
    }
    let socket = StdListener::bind("127.0.0.1:0").unwrap();
    assert_ok(&activate(NAME, "export LISTEN_PID=$$ LISTEN_FDS=900", socket.into()));
}
