//! The first thing a program does is a connection, before any goroutine ran, from several threads at once: the poller
//! comes up with it. A binary of its own: the runtime of the others is up already.

// Go: runtime TestNetpollDeadlock (golang/go#35353)
#[test]
#[allow(unsafe_code)]
fn netpoll_deadlock() {
    // SAFETY: nothing here touches a thread-local across a call that may block.
    let _rt = unsafe { gopark_net::Runtime::start() }.expect("start the runtime");
    let (tx, rx) = std::sync::mpsc::channel();
    for _ in 0..4 {
        let tx = tx.clone();
        std::thread::spawn(move || {
            let ln = gopark_net::TcpListener::bind("127.0.0.1:0").expect("listen");
            let addr = ln.local_addr().expect("it listens");
            let near = gopark_net::TcpConn::connect(addr).expect("connect");
            let (far, _) = ln.accept().expect("accept");
            let reader = std::thread::spawn(move || far.read(&mut [0]).expect("read"));
            near.write_all(&[1]).expect("write");
            tx.send(reader.join().expect("the reader does not panic")).expect("the test waits");
        });
    }
    for _ in 0..4 {
        let read = rx.recv_timeout(std::time::Duration::from_secs(20)).expect("a first connection hangs");
        assert_eq!(read, 1);
    }
}
