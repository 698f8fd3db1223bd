//! Connections that are gone before they are accepted, by faults on demand. They hit the whole process, so
//! this binary has no other tests, and these take turns.

mod util;

use std::future::poll_fn;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use gopark_net::{TcpConn, UnixConn, UnixListener, block_on, is_temporary, raw_os_error};
use gopark_sys::{Errno, hook};
use util::local_listener;

procs!();

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs on a plain thread, since a std lock is held across calls that wait.
fn alone(name: &str, body: fn()) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner());
    util::thread(name, body);
    util::goroutine(name, body);
}

/// Neither `accept` nor anybody else hears of it.
// Go: net TestAcceptIgnoreAbortedConnRequest
#[test]
fn test_accept_ignore_aborted_conn_request() {
    alone("test_accept_ignore_aborted_conn_request", || {
        let ln = local_listener();
        hook::ACCEPT.arm(Errno::ECONNABORTED, 2);
        let client = TcpConn::connect(ln.local_addr().unwrap()).unwrap();
        let (server, peer) = ln.accept().unwrap();
        assert_eq!(hook::ACCEPT.left(), 0);
        assert_eq!(peer, client.local_addr().unwrap());
        server.write_all(b"x").unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 1);
    });
}

/// `accept` says so, and that it is worth another try; `incoming` tries.
#[test]
fn what_is_wrong_with_one_connection_does_not_end_incoming() {
    alone("what_is_wrong_with_one_connection_does_not_end_incoming", || {
        let ln = local_listener();
        for errno in
            [Errno::ECONNRESET, Errno::EPROTO, Errno::ENETDOWN, Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS]
        {
            let _client = TcpConn::connect(ln.local_addr().unwrap()).unwrap();
            hook::ACCEPT.arm(errno, 1);
            let err = ln.accept().unwrap_err();
            assert_eq!(raw_os_error(&err), Some(errno.raw()));
            assert_eq!(err.to_string(), format!("accept tcp {}: accept4: {errno}", ln.addr()));
            let temporary = [Errno::ECONNRESET, Errno::EMFILE, Errno::ENFILE].contains(&errno);
            assert_eq!(is_temporary(&err), temporary, "{errno}");
            hook::ACCEPT.arm(errno, 2);
            ln.incoming().next().unwrap().unwrap();
            assert_eq!(hook::ACCEPT.left(), 0);
        }
    });
}

/// The same of Unix sockets: in accept, in a future, and in the loop.
#[test]
fn unix_listeners_ignore_aborted_connections_too() {
    alone("unix_listeners_ignore_aborted_connections_too", || {
        let ln = UnixListener::bind("").unwrap();
        let at = ln.local_addr().unwrap();
        let dial = || UnixConn::connect_addr(&at).unwrap();
        let _clients = [dial(), dial(), dial()];
        hook::ACCEPT.arm(Errno::ECONNABORTED, 2);
        ln.accept().unwrap();
        hook::ACCEPT.arm(Errno::ECONNABORTED, 2);
        block_on(poll_fn(|cx| ln.poll_accept(cx))).unwrap();
        hook::ACCEPT.arm(Errno::EMFILE, 1);
        let err = ln.accept().unwrap_err();
        assert_eq!(err.to_string(), format!("accept unix {at}: accept4: too many open files"));
        assert!(is_temporary(&err));
        hook::ACCEPT.arm(Errno::EMFILE, 2);
        ln.incoming().next().unwrap().unwrap();
        assert_eq!(hook::ACCEPT.left(), 0);
    });
}

/// What only says "not now" is tried again; what says more is named.
#[test]
fn connects_of_unix_sockets_try_again() {
    alone("connects_of_unix_sockets_try_again", || {
        let ln = UnixListener::bind("").unwrap();
        let at = ln.local_addr().unwrap();
        hook::CONNECT.arm(Errno::EAGAIN, 3);
        UnixConn::connect_addr(&at).unwrap();
        assert_eq!(hook::CONNECT.left(), 0, "a full queue, three times");
        hook::CONNECT.arm(Errno::EACCES, 1);
        let err = UnixConn::connect_addr(&at).unwrap_err();
        assert_eq!(err.to_string(), format!("dial unix {at}: connect: permission denied"));
    });
}

/// The waits at the limit double: four failures take at least 5 + 10 + 20 + 40 ms, and no descriptor was released.
#[test]
fn incoming_backs_off_at_the_descriptor_limit() {
    alone("incoming_backs_off_at_the_descriptor_limit", || {
        let ln = local_listener();
        let _client = TcpConn::connect(ln.local_addr().unwrap()).unwrap();
        hook::ACCEPT.arm(Errno::EMFILE, 4);
        let start = Instant::now();
        ln.incoming().next().unwrap().unwrap();
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(70) && took < Duration::from_secs(5), "{took:?}");
    });
}

/// The system's choice of a local port may be unlucky, and is tried again; other errors are named after the call.
// Go: net TestSpuriousENOTAVAIL
#[test]
fn test_spurious_enotavail() {
    alone("test_spurious_enotavail", || {
        let ln = local_listener();
        hook::CONNECT.arm(Errno::EADDRNOTAVAIL, 2);
        // The system's choice of a port was unlucky, twice.
        TcpConn::connect(ln.local_addr().unwrap()).unwrap();
        hook::CONNECT.arm(Errno::EADDRNOTAVAIL, 3);
        let err = TcpConn::connect(ln.local_addr().unwrap()).unwrap_err();
        assert_eq!(
            err.to_string(),
            format!("dial tcp {}: connect: cannot assign requested address", ln.addr())
        );
        hook::CONNECT.arm(Errno::EACCES, 1);
        let err = TcpConn::connect(ln.local_addr().unwrap()).unwrap_err();
        assert_eq!(err.to_string(), format!("dial tcp {}: connect: permission denied", ln.addr()));
        assert_eq!(hook::CONNECT.left(), 0);
    });
}
