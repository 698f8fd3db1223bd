//! System calls that fail on demand. The faults are the process's, so there is one test in it, and one thread
//! of it.
#![cfg(not(loom))]

mod util;

use std::net::TcpStream;
use std::time::{Duration, Instant};

use gopark_poll::{Error, FdKind, ThreadRuntime, descriptors_released, wait_for_descriptor_since};
use gopark_sys::{Errno, hook, sock};
use util::*;

#[test]
fn faults_are_retried_waited_for_or_reported() {
    ThreadRuntime::start(gopark_sys::netpoll::default_backend().unwrap()).unwrap();
    accept_retries_what_was_aborted_or_interrupted();
    accept_reports_the_descriptor_limit_and_a_close_ends_the_wait_for_it();
    a_connect_in_progress_is_waited_for();
    connect_reports_the_pending_error();
}

// Go: internal/poll FD.Accept (ECONNABORTED, EINTR)
fn accept_retries_what_was_aborted_or_interrupted() {
    let (ln, addr) = listener();
    for errno in [Errno::ECONNABORTED, Errno::EINTR] {
        let near = TcpStream::connect(addr).unwrap();
        hook::ACCEPT.arm(errno, 3);
        let (_, peer) = ln.accept().unwrap();
        assert_eq!(peer, near.local_addr().unwrap());
        assert_eq!(hook::ACCEPT.left(), 0);
    }
}

fn accept_reports_the_descriptor_limit_and_a_close_ends_the_wait_for_it() {
    let (ln, addr) = listener();
    let _near = TcpStream::connect(addr).unwrap();
    let (spare, _far) = half_pair();
    for errno in [Errno::EMFILE, Errno::ENFILE] {
        let since = descriptors_released();
        hook::ACCEPT.arm(errno, 1);
        assert_eq!(ln.accept().unwrap_err(), Error::Errno(errno));
        if errno == Errno::EMFILE {
            // Closed after the failure and before the wait: the wait must not miss it.
            spare.close().unwrap();
            let start = Instant::now();
            wait_for_descriptor_since(since, Duration::from_secs(3600));
            assert!(start.elapsed() < LONG);
        }
    }
    assert!(ln.accept().is_ok());
}

fn a_connect_in_progress_is_waited_for() {
    let (ln, addr) = listener();
    let fd = registered(sock::tcp_socket(&addr).unwrap(), FdKind::TCP);
    // As after EINTR: the attempt goes on, and the caller only waits.
    let begun = fd.control(|fd| sock::connect(fd, &addr)).unwrap();
    assert!(matches!(begun, Ok(()) | Err(Errno::EINPROGRESS)));
    fd.connect_wait().unwrap();
    ln.accept().unwrap();
}

fn connect_reports_the_pending_error() {
    let (_ln, addr) = listener();
    let fd = registered(sock::tcp_socket(&addr).unwrap(), FdKind::TCP);
    hook::CONNECT.arm(Errno::from_raw(101), 1);
    assert_eq!(fd.connect(&addr), Err(Error::Errno(Errno::from_raw(101))));
    assert_eq!(hook::CONNECT.left(), 0);
    fd.connect(&addr).unwrap();
}
