//! What works, and what is said, before a runtime is installed. A process of its own.
#![cfg(not(loom))]

mod util;

use std::io::Write;

use gopark_poll::{Error, Fd, FdKind, ThreadRuntime, is_installed, netpoll_any_open, poller};
use gopark_sys::Errno;

#[test]
fn io_before_the_start_says_which_line_is_missing() {
    assert!(!is_installed());
    let (near, mut far) = util::std_pair();
    near.set_nonblocking(true).unwrap();
    let mut fd = Fd::new(near.into(), FdKind::TCP);
    assert_eq!(fd.init(), Err(Error::NotStarted));
    assert!(Error::NotStarted.to_string().contains("Runtime::start()"));
    assert_eq!(fd.set_deadline(None), Err(Error::NotStarted));
    // Unregistered it is a plain non-blocking descriptor.
    assert_eq!(fd.read(&mut [0; 4]), Err(Error::Errno(Errno::EAGAIN)));
    far.write_all(b"x").unwrap();
    util::until(|| fd.read(&mut [0; 4]) == Ok(1));
    assert_eq!(fd.write(b"y"), Ok(1));
    gopark_poll::wait_for_descriptor(util::LONG);
    gopark_poll::netpoll_break();
    assert!(!netpoll_any_open());
    assert_eq!(poller(), gopark_poll::PollerState::Free);

    // Starting makes the same descriptor work in full, and a second start is refused.
    ThreadRuntime::start(gopark_sys::netpoll::default_backend().unwrap()).unwrap();
    fd.init().unwrap();
    fd.init().unwrap();
    assert!(netpoll_any_open());
    fd.set_deadline(None).unwrap();
    let again = ThreadRuntime::start(gopark_sys::netpoll::default_backend().unwrap());
    assert_eq!(again.unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    fd.close().unwrap();
    assert!(!netpoll_any_open());
}
