//! Verbs that the tests share.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use gopark_poll::{Fd, FdKind, Mode};

/// Longer than anything here takes on a loaded machine.
pub const LONG: Duration = Duration::from_secs(20);

/// Runs `f` on a thread of its own and fails if it takes longer than [`LONG`].
#[track_caller]
pub fn bounded<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let (tx, rx) = mpsc::channel();
    let thread = thread::spawn(move || {
        let value = f();
        let _ = tx.send(());
        value
    });
    if let Err(mpsc::RecvTimeoutError::Timeout) = rx.recv_timeout(LONG) {
        panic!("the test hangs");
    }
    match thread.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// A connected pair over loopback: what was connected, what was accepted.
pub fn std_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    // Small messages must not wait for acknowledgements that come 40 ms late.
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    (near, far)
}

pub fn registered(fd: impl Into<OwnedFd>, kind: FdKind) -> Fd {
    let mut fd = Fd::new(fd.into(), kind);
    fd.init().unwrap();
    fd
}

/// [`std_pair`] as descriptors of ours.
pub fn tcp_pair() -> (Fd, Fd) {
    let (near, far) = std_pair();
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    (registered(near, FdKind::TCP), registered(far, FdKind::TCP))
}

/// One end of ours and one of std's, which blocks.
pub fn half_pair() -> (Fd, TcpStream) {
    let (near, far) = std_pair();
    near.set_nonblocking(true).unwrap();
    far.set_read_timeout(Some(LONG)).unwrap();
    far.set_write_timeout(Some(LONG)).unwrap();
    (registered(near, FdKind::TCP), far)
}

pub fn unix_pair() -> (Fd, Fd) {
    let (a, b) = std::os::unix::net::UnixStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    b.set_nonblocking(true).unwrap();
    (registered(a, FdKind::STREAM), registered(b, FdKind::STREAM))
}

pub fn listener() -> (Fd, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let addr = listener.local_addr().unwrap();
    (registered(listener, FdKind::LISTENER), addr)
}

/// Returns when somebody is parked on `fd`. No sleep stands for an order: it is only how often we look.
pub fn until_parked(fd: &Fd, mode: Mode) {
    until(|| fd.is_parked(mode));
}

#[track_caller]
pub fn until(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LONG, "the condition never came true");
        thread::sleep(Duration::from_micros(200)); // not for ordering: how often we look
    }
}

/// A time that has passed.
pub fn past() -> Option<Instant> {
    Some(Instant::now().checked_sub(Duration::from_secs(1)).unwrap())
}

pub fn after(d: Duration) -> Option<Instant> {
    Some(Instant::now() + d)
}

/// Fills the socket's buffers until a write would wait.
pub fn fill(fd: &Fd) -> usize {
    let chunk = [0x5a; 65536];
    let mut total = 0;
    while let Ok(n) = fd.try_write(&chunk) {
        total += n;
    }
    total
}
