//! Closing, in all its forms, and the ends of streams. Go: `net/net_test.go`.

mod util;

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gopark_net::{
    Conn, JoinHandle, TcpConn, TcpListener, dial, is_closed, is_temporary, is_timeout, listen, raw_os_error,
    spawn,
};
use util::{ago, assert_blocked, assert_closed, fill, join_soon, local_listener, narrow_pair, pair};

procs!();

/// After a while, none of them has returned.
fn all_blocked<T: Send + 'static>(mut handles: Vec<JoinHandle<T>>) -> Vec<JoinHandle<T>> {
    let last = handles.pop().expect("at least one");
    handles.push(assert_blocked(last));
    assert!(handles.iter().all(|handle| !handle.is_finished()), "one returned");
    handles
}

both! {
    // Go: net TestCloseRead
    fn test_close_read() {
        let (client, server) = pair();
        client.close_read().unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        // The other direction goes on.
        client.write_all(b"x").unwrap();
        assert_eq!(server.read(&mut [0]).unwrap(), 1);
    }

    /// Half-closed: the peer sees the end, and can still answer.
    // Go: net TestCloseWrite
    fn test_close_write() {
        let (client, server) = pair();
        let answer = spawn(move || {
            let mut buf = [0; 16];
            assert_eq!(server.read(&mut buf).unwrap(), 0);
            server.write_all(b"HALF OPEN").unwrap();
            server.close_write().unwrap();
            server.close().unwrap();
        });
        client.close_write().unwrap();
        let mut buf = [0; 16];
        assert_eq!(client.read(&mut buf).unwrap(), 9);
        assert_eq!(&buf[..9], b"HALF OPEN");
        assert_eq!(client.read(&mut buf).unwrap(), 0);
        join_soon(answer);
        let err = client.write(b"x").unwrap_err();
        assert_eq!(err.kind(), ErrorKind::BrokenPipe, "{err}");
    }

    // Go: net TestConnClose
    fn test_conn_close() {
        let (client, _server) = pair();
        client.close().unwrap();
        assert_closed(client.read(&mut [0]));
        assert_closed(client.write(b"x"));
        assert_closed(client.write_all(b"x"));
        assert_closed(client.peek(&mut [0]));
        assert_closed(client.try_read(&mut [0]));
        assert_closed(client.try_write(b"x"));
        assert_closed(client.readable());
        assert_closed(client.writable());
        assert_closed(client.set_deadline(None));
        assert_closed(client.set_read_timeout(None));
        assert_closed(client.set_nodelay(true));
        assert_closed(client.take_error());
        assert_closed(client.fd());
        assert_closed(client.try_clone());
        assert_closed(client.close());
        // Also without anything to read or write.
        assert_closed(client.read(&mut []));
        assert_closed(client.write(&[]));
    }

    // Go: net TestListenerClose
    fn test_listener_close() {
        let ln = local_listener();
        let at = ln.addr().to_string();
        ln.close().unwrap();
        assert_closed(ln.accept());
        assert_closed(ln.set_deadline(None));
        assert_closed(ln.close());
        let err = dial("tcp", &at).expect_err("nobody listens");
        assert_eq!(err.kind(), ErrorKind::ConnectionRefused, "{err}");
    }

    /// When `close` has returned, the port is free.
    // Go: net TestListenCloseListen
    fn test_listen_close_listen() {
        let mut free = 0;
        for _ in 0..10 {
            let ln = local_listener();
            let at = ln.addr().to_string();
            let ln = Arc::new(ln);
            let accept = spawn({
                let ln = Arc::clone(&ln);
                move || ln.accept().map(drop)
            });
            ln.close().unwrap();
            match listen("tcp", &at) {
                Ok(again) => {
                    again.close().unwrap();
                    free += 1;
                }
                // Somebody else, another test say, was given the port in the meantime.
                Err(err) => assert_eq!(err.kind(), ErrorKind::AddrInUse, "{err}"),
            }
            assert_closed(join_soon(accept));
        }
        assert!(free > 0, "the port was never free again");
    }

    // Go: net TestZeroByteRead
    fn test_zero_byte_read() {
        let (client, server) = pair();
        let start = Instant::now();
        assert_eq!(client.read(&mut []).unwrap(), 0);
        assert_eq!(server.read(&mut []).unwrap(), 0);
        assert!(start.elapsed() < Duration::from_secs(5));
        assert_eq!(client.write(&[]).unwrap(), 0);
        client.write_all(&[]).unwrap();
        // It was no end.
        server.write_all(b"x").unwrap();
        assert_eq!(client.read(&mut []).unwrap(), 0);
        assert_eq!(client.read(&mut [0; 2]).unwrap(), 1);
    }

    // Go: net TestReadTimeoutUnblocksRead
    fn test_read_timeout_unblocks_read() {
        let (client, _server) = pair();
        let client = Arc::new(client);
        let read = spawn({
            let client = Arc::clone(&client);
            move || client.read(&mut [0])
        });
        let read = assert_blocked(read);
        client.set_read_deadline(ago(Duration::from_secs(1))).unwrap();
        assert!(is_timeout(&join_soon(read).unwrap_err()));
    }

    // Go: net TestCloseUnblocksRead
    fn test_close_unblocks_read() {
        let (client, server) = pair();
        let read = assert_blocked(spawn(move || client.read(&mut [0])));
        server.close().unwrap();
        assert_eq!(join_soon(read).unwrap(), 0);
    }

    /// A reset is not the end of the stream, and trying again is no use.
    // Go: net TestNotTemporaryRead
    fn test_not_temporary_read() {
        let (client, server) = pair();
        let reset = spawn(move || {
            server.write_all(b"x").unwrap();
            server.set_linger(Some(Duration::ZERO)).unwrap();
            server.close().unwrap();
        });
        join_soon(reset);
        let err = loop {
            match client.read(&mut [0; 16]) {
                Ok(0) => panic!("the end of the stream instead of a reset"),
                Ok(_) => {}
                Err(err) => break err,
            }
        };
        assert_eq!(err.kind(), ErrorKind::ConnectionReset, "{err}");
        assert!(!is_temporary(&err) && !is_timeout(&err) && !is_closed(&err));
        let (local, peer) = (client.local_addr().unwrap(), client.remote_addr());
        assert_eq!(err.to_string(), format!("read tcp {local}->{peer}: read: connection reset by peer"));
    }

    /// The peer resets the connection while we wait for room: the write fails with what it had written.
    fn a_peer_that_resets_mid_write_is_an_error_with_a_count() {
        let (client, server) = narrow_pair();
        let client = Arc::new(client);
        let write = spawn({
            let client = Arc::clone(&client);
            move || client.write_all(&vec![7; 16 << 20])
        });
        let write = assert_blocked(write);
        server.set_linger(Some(Duration::ZERO)).unwrap();
        server.close().unwrap();
        let err = join_soon(write).unwrap_err();
        assert!(matches!(err.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{err}");
        let written = gopark_net::OpError::of(&err).unwrap().written;
        assert!(written > 0 && written < 16 << 20, "{written}");
        assert!(raw_os_error(&err).is_some());
    }

    /// One close, and everybody who waits on the connection or for its locks gets the closed error.
    fn close_wakes_everybody() {
        let (client, _server) = narrow_pair();
        let client = Arc::new(client);
        fill(&client);
        let mut waiting = Vec::new();
        for _ in 0..4 {
            let conn = Arc::clone(&client);
            waiting.push(spawn(move || conn.read(&mut [0]).map(drop)));
            let conn = Arc::clone(&client);
            waiting.push(spawn(move || conn.write_all(&vec![0; 16 << 20])));
            let conn = Arc::clone(&client);
            waiting.push(spawn(move || conn.readable()));
            let conn = Arc::clone(&client);
            waiting.push(spawn(move || conn.peek(&mut [0]).map(drop)));
        }
        let waiting = all_blocked(waiting);
        // Plain threads as well.
        let conn = Arc::clone(&client);
        let thread = std::thread::spawn(move || conn.read(&mut [0]).map(drop));
        gopark_net::sleep(Duration::from_millis(20)); // not for ordering: the same error before the call and in it
        client.close().unwrap();
        for handle in waiting {
            assert_closed(join_soon(handle));
        }
        assert_closed(thread.join().unwrap());

        let ln = Arc::new(local_listener());
        let accepts = (0..4).map(|_| {
            let ln = Arc::clone(&ln);
            spawn(move || ln.accept().map(drop))
        });
        let accepts = all_blocked(accepts.collect());
        ln.close().unwrap();
        for accept in accepts {
            assert_closed(join_soon(accept));
        }
    }

    fn drop_closes() {
        let (client, server) = pair();
        drop(client);
        assert_eq!(server.read(&mut [0]).unwrap(), 0);

        let ln = local_listener();
        let at = ln.local_addr().unwrap();
        drop(ln);
        assert_eq!(TcpConn::connect(at).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        TcpListener::bind(at).expect("the port is free again");

        let (client, server) = pair();
        let boxed: Box<dyn Conn> = Box::new(client);
        drop(boxed);
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
    }

    /// A destructor that does I/O runs while its goroutine unwinds: the I/O works, the panic goes where it belongs.
    fn a_drop_that_does_io_works_while_panicking() {
        struct SayGoodbye(TcpConn);

        impl Drop for SayGoodbye {
            fn drop(&mut self) {
                self.0.write_all(b"goodbye").unwrap();
                // Waits for the answer: parks in the middle of an unwinding.
                let mut buf = [0; 16];
                assert_eq!(self.0.read(&mut buf).unwrap(), 2);
            }
        }

        let (client, server) = pair();
        let handle = spawn(move || {
            let _goodbye = SayGoodbye(client);
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        let mut buf = [0; 16];
        assert_eq!(server.read(&mut buf).unwrap(), 7);
        // The goroutine is waiting now. It must be possible to start and end others meanwhile.
        assert_eq!(spawn(|| 5).join().unwrap(), 5);
        server.write_all(b"ok").unwrap();
        let payload = match handle.join_timeout(Duration::from_secs(10)) {
            Ok(Err(payload)) => payload,
            Ok(Ok(())) => panic!("it did not panic"),
            Err(_) => panic!("it hangs"),
        };
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"on purpose"));
        assert_eq!(server.read(&mut buf).unwrap(), 0);
    }
}
