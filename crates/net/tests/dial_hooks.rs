//! What cannot be had from a system that works: calls that fail, and moments that are too short to hit. By faults on
//! demand and probes, which hit the whole process: these tests take turns, and this binary has no others.
//! Go: `net/dial_unix_test.go`, `internal/socktest`.

mod util;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gopark_net::context::Context;
use gopark_net::for_tests::dial_happy;
use gopark_net::{
    Dialer, ListenConfig, TcpConn, TcpListener, is_canceled, is_temporary, is_timeout, raw_os_error, spawn,
};
use gopark_sys::{Errno, hook};
use util::{join_soon, local_listener, pair};

procs!();

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs on a plain thread, since a std lock is held across calls that wait.
fn alone(name: &str, body: fn()) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner());
    util::thread(name, body);
    util::goroutine(name, body);
}

/// A cancel that comes after the connection is there and before the dial knows: the dial fails, and no connection is
/// handed out whose deadline is in the past.
// Go: net TestDialContextCancelRace
// go-semantics 7.1: "Cancel race in dial" (#16523, #15078)
#[test]
fn test_dial_context_cancel_race() {
    alone("test_dial_context_cancel_race", || {
        let ln = local_listener();
        let (ctx, cancel) = Context::background().with_cancel();
        let seen = Arc::new(AtomicU32::new(0));
        let _probe = {
            let seen = Arc::clone(&seen);
            hook::SO_ERROR.probe(move |_| {
                seen.fetch_add(1, SeqCst);
                cancel.cancel();
                Ok(())
            })
        };
        let err = Dialer::new().dial_tcp_context(&ctx, "tcp", &ln.addr().to_string()).unwrap_err();
        assert_eq!(seen.load(SeqCst), 1, "the connection was there");
        assert!(is_canceled(&err), "{err}");
        assert_eq!(err.to_string(), format!("dial tcp {}: operation was canceled", ln.addr()));
        // The socket is closed: the other end finds it so.
        let (server, _) = ln.accept().unwrap();
        server.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        assert!(matches!(server.read(&mut [0]), Ok(0) | Err(_)));
    });
}

/// The same moment, and a deadline instead: whichever wins, a connection that is handed out works.
// go-semantics 7.1: "Cancel race in dial", with a deadline
#[test]
fn a_deadline_that_passes_as_the_connection_is_there_fails_the_dial() {
    alone("a_deadline_that_passes_as_the_connection_is_there_fails_the_dial", || {
        let ln = local_listener();
        let limit = Duration::from_millis(50);
        let until = Instant::now() + limit;
        let _probe = hook::SO_ERROR.probe(move |_| {
            while Instant::now() <= until {
                std::thread::yield_now();
            }
            Ok(())
        });
        let err = Dialer::new().deadline(until).dial_tcp("tcp", &ln.addr().to_string()).unwrap_err();
        assert!(is_timeout(&err), "{err}");
    });
}

/// Many dials that are canceled at many moments: none hands out a connection to nobody.
// Go: net TestTCPSpuriousConnSetupCompletionWithCancel
// go-semantics 7.1: "Spurious connect wake" (#14548, #19289)
#[test]
fn test_tcp_spurious_conn_setup_completion_with_cancel() {
    alone("test_tcp_spurious_conn_setup_completion_with_cancel", || {
        let nobody = local_listener();
        let target = nobody.addr().to_string();
        nobody.close().unwrap();
        for i in 0..500_u64 {
            let (ctx, cancel) = Context::background().with_cancel();
            let target = target.clone();
            let dial = spawn(move || Dialer::new().dial_tcp_context(&ctx, "tcp", &target).map(drop));
            for _ in 0..i % 7 {
                std::thread::yield_now();
            }
            cancel.cancel();
            let err = join_soon(dial).unwrap_err();
            let refused = raw_os_error(&err) == Some(Errno::ECONNREFUSED.raw());
            assert!(is_canceled(&err) || refused, "{err}");
        }
    });
}

/// Dials while the first look at the new connection goes wrong as `arm` says; the server writes when it has been looked
/// at, which is another event.
fn dial_with_a_bad_first_look(arm: impl FnOnce()) {
    let ln = local_listener();
    let target = ln.addr().to_string();
    let looks = Arc::new(AtomicU32::new(0));
    arm();
    let _probe = {
        let looks = Arc::clone(&looks);
        hook::SO_ERROR.probe(move |_| {
            looks.fetch_add(1, SeqCst);
            Ok(())
        })
    };
    let server = {
        let looks = Arc::clone(&looks);
        spawn(move || {
            let (server, _) = ln.accept().unwrap();
            while looks.load(SeqCst) == 0 {
                gopark_net::yield_now();
            }
            server.write_all(b"x").unwrap();
            server
        })
    };
    let conn = Dialer::new().timeout(Duration::from_secs(20)).dial_tcp("tcp", &target).unwrap();
    assert_eq!(looks.load(SeqCst), 2, "it went on waiting after the first look");
    assert_eq!(conn.read(&mut [0; 8]).unwrap(), 1);
    drop(join_soon(server));
}

/// `SO_ERROR` says that it still goes on; or nothing, but there is no peer: the wake-up was spurious, so it waits on.
// go-semantics 7.1: "Spurious connect wake" (#14548, #19289)
#[test]
fn a_spurious_wake_is_not_a_connection() {
    alone("a_spurious_wake_is_not_a_connection", || {
        for errno in [Errno::EINPROGRESS, Errno::EALREADY, Errno::EINTR] {
            dial_with_a_bad_first_look(|| hook::PENDING_ERROR.arm(errno, 1));
            assert_eq!(hook::PENDING_ERROR.left(), 0);
        }
        dial_with_a_bad_first_look(|| hook::PEER_ADDR.arm(Errno::ENOTCONN, 1));
        assert_eq!(hook::PEER_ADDR.left(), 0);
    });
}

/// What `SO_ERROR` reports, and what the call itself says, is an error of connect, whose socket is closed.
// go-semantics 7.1: "Wrong errno attribution" (#19302)
#[test]
fn errors_of_a_connection_in_progress_are_connects() {
    alone("errors_of_a_connection_in_progress_are_connects", || {
        let ln = local_listener();
        let dial = || TcpConn::connect(ln.local_addr().unwrap());
        let expect = |text: &str| format!("dial tcp {}: connect: {text}", ln.addr());
        hook::PENDING_ERROR.arm(Errno::EISCONN, 1);
        drop(dial().unwrap());
        hook::PENDING_ERROR.arm(Errno::ECONNREFUSED, 1);
        assert_eq!(dial().unwrap_err().to_string(), expect("connection refused"));
        hook::SO_ERROR.arm(Errno::ENOBUFS, 1);
        assert_eq!(dial().unwrap_err().to_string(), expect("no buffer space available"));
        for errno in [Errno::EINPROGRESS, Errno::EALREADY, Errno::EINTR] {
            // The call is not made, so nothing happens; only the deadline ends it.
            hook::CONNECT.arm(errno, 1);
            let dialer = Dialer::new().timeout(Duration::from_millis(30));
            let err = dialer.dial_tcp("tcp", &ln.addr().to_string()).unwrap_err();
            assert!(is_timeout(&err), "{err}");
        }
    });
}

/// Each call's failure is named after it, and leaves no descriptor.
#[test]
fn every_call_has_its_name_in_the_error() {
    alone("every_call_has_its_name_in_the_error", || {
        let ln = local_listener();
        let (to, none) = (ln.addr().to_string(), "too many open files");
        hook::SOCKET.arm(Errno::EMFILE, 1);
        let err = Dialer::new().dial("tcp", &to).unwrap_err();
        assert_eq!(err.to_string(), format!("dial tcp {to}: socket: {none}"));
        assert!(is_temporary(&err));
        hook::SOCKET.arm(Errno::EMFILE, 1);
        let listen = || ListenConfig::new().listen("tcp", "127.0.0.1:0").map(drop).unwrap_err().to_string();
        assert_eq!(listen(), format!("listen tcp 127.0.0.1:0: socket: {none}"));
        hook::BIND.arm(Errno::EACCES, 1);
        assert_eq!(listen(), "listen tcp 127.0.0.1:0: bind: permission denied");
        hook::LISTEN.arm(Errno::EADDRINUSE, 1);
        assert_eq!(listen(), "listen tcp 127.0.0.1:0: listen: address already in use");
        hook::LOCAL_ADDR.arm(Errno::ENOBUFS, 1);
        assert_eq!(listen(), "listen tcp 127.0.0.1:0: getsockname: no buffer space available");

        let (client, _server) = pair();
        let ends = format!("{}->{}", client.local_addr().unwrap(), client.peer_addr().unwrap());
        hook::DUP.arm(Errno::EMFILE, 2);
        for err in [client.file().map(drop).unwrap_err(), client.try_clone().map(drop).unwrap_err()] {
            assert_eq!(err.to_string(), format!("file tcp {ends}: fcntl: {none}"));
        }
        hook::CLOSE.arm(Errno::EIO, 1);
        let err = client.close().unwrap_err();
        assert_eq!(err.to_string(), format!("close tcp {ends}: close: input/output error"));
        // Closed all the same.
        util::assert_closed(client.close());
    });
}

/// A new connection that cannot be taken in is closed, and it alone: the listener goes on.
// go-semantics 7.1: "Registration failure path" (#44552, #34392)
#[test]
fn a_connection_that_cannot_be_taken_in_leaves_the_listener_alone() {
    alone("a_connection_that_cannot_be_taken_in_leaves_the_listener_alone", || {
        let ln = local_listener();
        let client = TcpConn::connect(ln.local_addr().unwrap()).unwrap();
        hook::LOCAL_ADDR.arm(Errno::ENOBUFS, 1);
        let err = ln.accept().unwrap_err();
        assert_eq!(
            err.to_string(),
            format!("accept tcp {}: getsockname: no buffer space available", ln.addr())
        );
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)), "it was closed");
        let again = TcpConn::connect(ln.local_addr().unwrap()).unwrap();
        assert_eq!(ln.accept().unwrap().1, again.local_addr().unwrap());
    });
}

/// Two addresses, one of each family, at which somebody listens.
fn both_families() -> Option<([SocketAddr; 2], [TcpListener; 2])> {
    let (Ok(v6), v4) = (TcpListener::bind("[::1]:0"), local_listener()) else {
        eprintln!("skipped: no IPv6 here");
        return None;
    };
    Some(([v6.local_addr().unwrap(), v4.local_addr().unwrap()], [v6, v4]))
}

/// The sockets of IPv6 that were made last; see `note_family`.
static V6: Mutex<Vec<i32>> = Mutex::new(Vec::new());

fn is_v6(fd: i32) -> bool {
    V6.lock().unwrap().contains(&fd)
}

/// Remembers which sockets are of IPv6, for probes of connect.
fn note_family(network: &str, _: &str, fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut v6 = V6.lock().unwrap();
    v6.retain(|&known| known != fd.as_raw_fd());
    if network == "tcp6" {
        v6.push(fd.as_raw_fd());
    }
    Ok(())
}

/// The family of the first address fails: the other is tried at once and not after the delay; the error, if that fails
/// too, is the first one's.
#[test]
fn a_family_that_fails_hands_over_at_once() {
    alone("a_family_that_fails_hands_over_at_once", || {
        let Some((addrs, _listeners)) = both_families() else { return };
        let dialer = Dialer::new().fallback_delay(Some(Duration::from_secs(3600))).control(note_family);
        let start = Instant::now();
        {
            let _probe = hook::CONNECT.probe(|fd| if is_v6(fd) { Err(Errno::ENETUNREACH) } else { Ok(()) });
            let conn = dial_happy(&dialer, &addrs).unwrap();
            assert_eq!(conn.peer_addr().unwrap(), addrs[1]);
        }
        let _probe =
            hook::CONNECT.probe(|fd| Err(if is_v6(fd) { Errno::ENETUNREACH } else { Errno::ECONNREFUSED }));
        let err = dial_happy(&dialer, &addrs).unwrap_err();
        assert_eq!(err.to_string(), format!("dial tcp {}: connect: network is unreachable", addrs[0]));
        assert!(start.elapsed() < Duration::from_secs(20));
    });
}

/// A family of which nothing is heard: the other is there after the delay, and that is all it costs.
// go-semantics 4.5: Happy Eyeballs; the figure of a dial to a black-holed family
#[test]
fn a_black_holed_family_costs_the_delay() {
    alone("a_black_holed_family_costs_the_delay", || {
        let Some((addrs, _listeners)) = both_families() else { return };
        // Not connected, and not failed: nothing comes of it.
        let _probe = hook::CONNECT.probe(|fd| if is_v6(fd) { Err(Errno::EINPROGRESS) } else { Ok(()) });
        // A busy machine may be late, but not every time.
        let mut took = Duration::MAX;
        for _ in 0..10 {
            let start = Instant::now();
            let conn = dial_happy(&Dialer::new().control(note_family), &addrs).unwrap();
            assert_eq!(conn.peer_addr().unwrap(), addrs[1]);
            took = start.elapsed();
            assert!(took >= Duration::from_millis(300), "{took:?}");
            if took <= Duration::from_millis(320) {
                return;
            }
        }
        panic!("{took:?}");
    });
}

/// What a socket of several says goes to whoever accepts, and the others go on.
#[test]
fn errors_of_a_shard_pass() {
    alone("errors_of_a_shard_pass", || {
        let ln = ListenConfig::new().shards(2).listen_sharded("tcp", "127.0.0.1:0").unwrap();
        hook::ACCEPT.arm(Errno::EMFILE, 1);
        let _client = TcpConn::connect(ln.local_addr().unwrap()).unwrap();
        let err = ln.accept().unwrap_err();
        assert_eq!(err.to_string(), format!("accept tcp {}: accept4: too many open files", ln.addr()));
        assert!(is_temporary(&err));
        // The connection stayed in its queue.
        drop(ln.accept().unwrap());
        // One that is gone is no news; what `incoming` waits for it waits for here too.
        hook::ACCEPT.arm(Errno::ECONNABORTED, 3);
        let _client = TcpConn::connect(ln.local_addr().unwrap()).unwrap();
        drop(ln.accept().unwrap());
        hook::ACCEPT.arm(Errno::ENFILE, 2);
        let _client = TcpConn::connect(ln.local_addr().unwrap()).unwrap();
        drop(ln.incoming().next().unwrap().unwrap());
        ln.close().unwrap();
        util::assert_closed(ln.accept());
    });
}
