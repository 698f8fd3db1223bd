//! Shutdown and the network. In a process of its own, as every file of tests is.
#![allow(unsafe_code)]

use std::io::Read;
use std::sync::mpsc::channel;
use std::time::Duration;

use gopark_net::{Runtime, TcpConn, TcpListener};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

/// Plain threads that wait for the network get the closed error, those that come later too, and goroutines do not.
#[test]
fn plain_threads_get_the_closed_error() {
    // SAFETY: the tests keep nothing of a thread across a call that may block.
    let rt = unsafe { Runtime::start().expect("start the runtime") };
    let ln = TcpListener::bind("127.0.0.1:0").expect("listen");
    let addr = ln.local_addr().expect("its address");
    let client = TcpConn::connect(addr).expect("connect");
    let (server, _) = ln.accept().expect("accept");
    let theirs = TcpConn::connect(addr).expect("connect");
    let (mut peer, _) = ln.accept().expect("accept");
    let echo = gopark_net::spawn(move || {
        let mut byte = [0];
        peer.read_exact(&mut byte).map(|()| byte[0])
    });
    let (tx, rx) = channel();
    let accepted = tx.clone();
    std::thread::spawn(move || {
        let err = ln.accept().expect_err("nobody connects");
        accepted.send(("accept", gopark_net::is_closed(&err))).expect("the test waits");
        // Again, without having waited before.
        let err = ln.accept().expect_err("nobody connects");
        accepted.send(("accept later", gopark_net::is_closed(&err))).expect("the test waits");
    });
    std::thread::spawn(move || {
        let err = client.read(&mut [0]).expect_err("nobody writes");
        tx.send(("read", gopark_net::is_closed(&err))).expect("the test waits");
    });
    // The two threads may or may not wait by now: it must make no difference.
    let left = rt.shutdown(Duration::from_millis(100)).expect_err("one goroutine reads");
    assert_eq!(left.goroutines, 1, "{left}");
    assert!(left.to_string().contains("[IO wait]"), "{left}");
    for _ in 0..3 {
        let (what, closed) = rx.recv_timeout(LONG).expect("the threads come back");
        assert!(closed, "{what}");
    }
    // What need not wait works, for a thread too; and the goroutine's read is served.
    theirs.write(&[9]).expect("room for a byte");
    assert_eq!(echo.join().expect("no panic").expect("a byte"), 9);
    assert_eq!(rt.shutdown(LONG), Ok(()));
    drop(server);
}
