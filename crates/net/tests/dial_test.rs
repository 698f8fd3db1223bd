//! Dialing. Go: `net/dial_test.go`, `net/dial_unix_test.go`, `net/tcpsock_unix_test.go`.

mod util;

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gopark_net::{
    Cause, Dialer, KeepAliveConfig, ListenConfig, OpError, TcpAddr, TcpConn, dial, is_timeout, listen, spawn,
};
use socket2::SockRef;
use util::{BlackHole, join_soon, local_listener};

const MS: Duration = Duration::from_millis(1);

procs!();

/// The sockets of this process whose local port is `port`.
fn sockets_from(port: u16) -> usize {
    let mut found = 0;
    for table in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
        let table = std::fs::read_to_string(table).unwrap_or_default();
        // "sl local_address rem_address st ...", in hexadecimal; 0A is listening, 06 waits after a close.
        for line in table.lines().skip(1) {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let remote = fields[2].rsplit(':').next().unwrap_or_default();
            let state = fields[3];
            found += usize::from(remote == format!("{port:04X}") && state != "06" && state != "0A");
        }
    }
    found
}

both! {
    /// Without a host it is this machine.
    // Go: net TestDialLocal
    fn test_dial_local() {
        let ln = listen("tcp", ":0").unwrap();
        let port = ln.addr().socket_addr().unwrap().port();
        let conn = dial("tcp", &format!(":{port}")).unwrap();
        let peer = conn.remote_addr().socket_addr().unwrap();
        assert!(peer.ip().is_loopback() && peer.port() == port, "{peer}");
        dial("tcp4", &format!("0.0.0.0:{port}")).unwrap();
        dial("tcp6", &format!("[::]:{port}")).unwrap();
    }

    // Go: net TestDialListenerAddr
    fn test_dial_listener_addr() {
        for network in ["tcp", "tcp4", "tcp6"] {
            let ln = listen(network, ":0").unwrap();
            dial(network, &ln.addr().to_string()).unwrap();
        }
    }

    /// `[::]` is tried as `::` and as `0.0.0.0` (golang/go#18806): two families without a name.
    // Go: net TestDialerDualStack
    fn test_dialer_dual_stack() {
        for listener in ["127.0.0.1:0", "[::1]:0"] {
            let ln = listen("tcp", listener).unwrap();
            let at = format!("[::]:{}", ln.addr().socket_addr().unwrap().port());
            for delay in [None, Some(MS), Some(300 * MS)] {
                let conn = Dialer::new().fallback_delay(delay).dial("tcp", &at).unwrap();
                let peer = conn.remote_addr().socket_addr().unwrap();
                assert!(peer.ip().is_loopback(), "{peer}");
            }
        }
    }

    /// The primary hangs, the fallback wins after its delay, and the primary's socket is closed at once.
    // Go: net TestDialerDualStackFDLeak, TestDialerFallbackDelay, TestDialParallelSpuriousConnection
    fn test_dialer_dual_stack_fd_leak() {
        let (hole, ln) = loop {
            let hole = ListenConfig::new().backlog(0).listen_tcp("tcp6", "[::1]:0").unwrap();
            let at = format!("127.0.0.1:{}", hole.local_addr().unwrap().port());
            // The same port of the other family may be in use.
            if let Ok(ln) = gopark_net::TcpListener::bind(&*at) {
                break (hole, ln);
            }
        };
        let port = hole.local_addr().unwrap().port();
        let mut queued = Vec::new();
        loop {
            match Dialer::new().timeout(150 * MS).dial_tcp("tcp6", &format!("[::1]:{port}")) {
                Ok(conn) => queued.push(conn),
                Err(err) => {
                    assert!(is_timeout(&err), "{err}");
                    break;
                }
            }
        }
        let before = sockets_from(port);
        let start = Instant::now();
        let dials: Vec<_> = (0..10)
            .map(|_| {
                spawn(move || {
                    Dialer::new().fallback_delay(Some(100 * MS)).dial_tcp("tcp", &format!("[::]:{port}"))
                })
            })
            .collect();
        let conns: Vec<TcpConn> = dials.into_iter().map(|dial| join_soon(dial).unwrap()).collect();
        let took = start.elapsed();
        assert!(took >= 100 * MS && took < Duration::from_secs(5), "{took:?}");
        assert!(conns.iter().all(|conn| conn.peer_addr().unwrap().is_ipv4()));
        // Each connection has two ends, and of the ten that hung nothing is left.
        let end = Instant::now() + Duration::from_secs(5);
        while sockets_from(port) > before + conns.len() {
            assert!(Instant::now() < end, "{} sockets are left", sockets_from(port) - before - conns.len());
            // not for ordering: the pause of a bounded loop
            gopark_net::sleep(5 * MS);
        }
        drop(ln);
    }

    /// Both families answer at nearly the same time, so that each cancels the other while that one succeeds: whoever is
    /// returned has no deadline left on it (golang/go#16523).
    fn the_winner_of_a_race_is_not_poisoned() {
        let ln = listen("tcp", "[::]:0").unwrap();
        let at = format!("[::]:{}", ln.addr().socket_addr().unwrap().port());
        let server = spawn(move || {
            for conn in ln.incoming() {
                let conn = conn.unwrap();
                let mut buf = [0; 1];
                if conn.read(&mut buf).unwrap_or(0) == 1 {
                    let _ = conn.write_all(&buf);
                    if buf == [0] {
                        return;
                    }
                }
            }
        });
        for round in 0..300_u32 {
            let dialer = Dialer::new().fallback_delay(Some(Duration::from_nanos(u64::from(round % 3) * 20_000 + 1)));
            let conn = dialer.timeout(Duration::from_secs(20)).dial_tcp("tcp", &at).unwrap();
            conn.write_all(&[u8::from(round < 299)]).unwrap_or_else(|e| panic!("round {round}: {e}"));
            assert_eq!(conn.read(&mut [0]).unwrap_or_else(|e| panic!("round {round}: {e}")), 1);
        }
        join_soon(server);
    }

    // Go: net TestDialerLocalAddr
    fn test_dialer_local_addr() {
        let addr = |ip: Option<&str>| ip.map(|ip| TcpAddr {
            ip: (!ip.is_empty()).then(|| ip.parse().unwrap()),
            port: 0,
            scope_id: 0,
        });
        let none = "no suitable address found";
        for (network, remote, local, want) in [
            ("tcp4", "127.0.0.1", None, ""),
            ("tcp4", "127.0.0.1", Some(""), ""),
            ("tcp4", "127.0.0.1", Some("0.0.0.0"), ""),
            ("tcp4", "127.0.0.1", Some("::"), "address ::: non-IPv4 address"),
            ("tcp4", "127.0.0.1", Some("127.0.0.1"), ""),
            ("tcp4", "127.0.0.1", Some("::ffff:127.0.0.1"), ""),
            ("tcp4", "127.0.0.1", Some("::1"), none),
            ("tcp6", "::1", None, ""),
            ("tcp6", "::1", Some(""), ""),
            ("tcp6", "::1", Some("0.0.0.0"), ""),
            ("tcp6", "::1", Some("::"), ""),
            ("tcp6", "::1", Some("127.0.0.1"), none),
            ("tcp6", "::1", Some("::ffff:127.0.0.1"), none),
            ("tcp6", "::1", Some("::1"), ""),
            ("tcp", "127.0.0.1", None, ""),
            ("tcp", "127.0.0.1", Some(""), ""),
            ("tcp", "127.0.0.1", Some("0.0.0.0"), ""),
            ("tcp", "127.0.0.1", Some("127.0.0.1"), ""),
            ("tcp", "127.0.0.1", Some("::1"), none),
            ("tcp", "127.0.0.1", Some("::"), ""),
            ("tcp", "::1", None, ""),
            ("tcp", "::1", Some(""), ""),
            ("tcp", "::1", Some("0.0.0.0"), ""),
            ("tcp", "::1", Some("::"), ""),
            ("tcp", "::1", Some("127.0.0.1"), none),
            ("tcp", "::1", Some("::1"), ""),
        ] {
            let what = format!("{network} {local:?} -> {remote}");
            let ln = listen(network, &gopark_net::join_host_port(remote, "0")).unwrap();
            let mut dialer = Dialer::new();
            if let Some(local) = addr(local) {
                dialer = dialer.local_addr(local);
            }
            match dialer.dial_tcp(network, &ln.addr().to_string()) {
                Ok(conn) => {
                    assert_eq!(want, "", "{what}");
                    assert_eq!(conn.remote_addr(), ln.addr(), "{what}");
                }
                Err(err) => {
                    assert!(!want.is_empty() && err.to_string().contains(want), "{what}: {err}");
                    assert!(matches!(OpError::of(&err).unwrap().err, Cause::Addr(_)), "{what}");
                }
            }
        }
    }

    /// A local port of one's own choice is used, and is not tried twice.
    fn a_local_port_is_honoured() {
        let ln = local_listener();
        let free = StdListener::bind("127.0.0.1:0").unwrap();
        let local = free.local_addr().unwrap();
        let dialer = Dialer::new().local_addr(local);
        let err = dialer.dial("tcp", &ln.addr().to_string()).expect_err("the port is in use");
        assert_eq!(
            err.to_string(),
            format!("dial tcp {local}->{}: bind: address already in use", ln.addr()),
        );
        assert_eq!(err.kind(), io::ErrorKind::AddrInUse);
        drop(free);
        let conn = dialer.dial_tcp("tcp", &ln.addr().to_string()).unwrap();
        assert_eq!(conn.local_addr().unwrap(), local);
    }

    // Go: net TestDialerKeepAlive, TestDialTCPDefaultKeepAlive, TestTCPConnKeepAliveConfigDialer
    fn test_dialer_keep_alive() {
        let ln = local_listener();
        let seconds = Duration::from_secs;
        for (dialer, want) in [
            (Dialer::new(), Some((seconds(15), seconds(15), 9))),
            (Dialer::new().keep_alive(Some(Duration::ZERO)), Some((seconds(15), seconds(15), 9))),
            (Dialer::new().keep_alive(Some(seconds(5))), Some((seconds(5), seconds(15), 9))),
            (Dialer::new().keep_alive(Some(1_500 * MS)), Some((seconds(2), seconds(15), 9))),
            (Dialer::new().keep_alive(None), None),
            (
                Dialer::new().keep_alive_config(KeepAliveConfig {
                    enable: true,
                    idle: Some(seconds(7)),
                    interval: Some(Duration::ZERO),
                    count: Some(3),
                }),
                Some((seconds(7), seconds(15), 3)),
            ),
        ] {
            let conn = dialer.dial_tcp("tcp", &ln.addr().to_string()).unwrap();
            let guard = conn.fd().unwrap();
            let fd = guard.as_fd();
            let socket = SockRef::from(&fd);
            assert_eq!(socket.keepalive().unwrap(), want.is_some(), "{dialer:?}");
            if let Some(want) = want {
                let time = socket.tcp_keepalive_time().unwrap();
                let got = (time, socket.tcp_keepalive_interval().unwrap(), socket.tcp_keepalive_retries().unwrap());
                assert_eq!(got, want, "{dialer:?}");
            }
            assert!(socket.tcp_nodelay().unwrap());
        }
    }

    // Go: net TestDialerControl, TestDialerControlContext
    fn test_dialer_control() {
        for (network, at, want) in [
            ("tcp", "127.0.0.1:0", "tcp4"),
            ("tcp4", "127.0.0.1:0", "tcp4"),
            ("tcp", "[::1]:0", "tcp6"),
            ("tcp6", "[::1]:0", "tcp6"),
        ] {
            let ln = listen(network, at).unwrap();
            let at = ln.addr().to_string();
            let seen = Arc::new(Mutex::new(Vec::new()));
            let log = Arc::clone(&seen);
            let dialer = Dialer::new().control(move |network, address, fd| {
                // Neither bound nor connected yet.
                assert!(SockRef::from(&fd).peer_addr().is_err());
                SockRef::from(&fd).set_ttl_v4(42)?;
                log.lock().unwrap().push((network.to_owned(), address.to_owned()));
                Ok(())
            });
            let conn = dialer.dial_tcp(network, &at).unwrap();
            assert_eq!(*seen.lock().unwrap(), [(want.to_owned(), at)]);
            assert_eq!(conn.ttl().unwrap(), 42);
        }
    }

    /// What the hook returns is the error of the dial, kind and all.
    fn an_error_of_the_hook_fails_the_dial() {
        let ln = local_listener();
        let dialer = Dialer::new().control(|_, _, _| Err(io::Error::new(io::ErrorKind::PermissionDenied, "not today")));
        let err = dialer.dial("tcp", &ln.addr().to_string()).err().unwrap();
        assert_eq!(err.to_string(), format!("dial tcp {}: not today", ln.addr()));
        assert_eq!(err.kind(), io::ErrorKind::PermissionDenied);
    }

    /// The addresses of a list are tried in order, and the first error is the one that is returned.
    fn addresses_are_tried_in_order() {
        let refused: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let refused_too: SocketAddr = "127.0.0.1:2".parse().unwrap();
        let ln = local_listener();
        let there = ln.local_addr().unwrap();
        assert_eq!(TcpConn::connect(&[refused, there][..]).unwrap().peer_addr().unwrap(), there);
        let err = TcpConn::connect(&[refused, refused_too][..]).unwrap_err();
        assert_eq!(err.to_string(), "dial tcp 127.0.0.1:1: connect: connection refused");
        let none: &[SocketAddr] = &[];
        assert_eq!(TcpConn::connect(none).unwrap_err().to_string(), "dial tcp: missing address");
    }

    /// The first address hangs and takes its share of the time; the second still gets its try.
    fn a_deadline_is_shared_by_the_addresses() {
        let hole = BlackHole::new();
        let ln = local_listener();
        let start = Instant::now();
        let hook = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&hook);
        let dialer = Dialer::new().timeout(Duration::from_millis(2_200)).control(move |_, _, _| {
            count.fetch_add(1, SeqCst);
            Ok(())
        });
        // Its share is two seconds, the least there is.
        let addrs = [hole.listener.local_addr().unwrap(), ln.local_addr().unwrap()];
        let conn = gopark_net::for_tests::dial_addrs(&dialer, &addrs).unwrap();
        assert_eq!(conn.peer_addr().unwrap(), ln.local_addr().unwrap());
        assert!(start.elapsed() >= Duration::from_secs(2));
        assert_eq!(hook.load(SeqCst), 2);
    }

    /// A connection that is returned is connected, however short the time was.
    // Go: net TestTCPSpuriousConnSetupCompletion
    fn test_tcp_spurious_conn_setup_completion() {
        let ln = Arc::new(local_listener());
        let server = spawn({
            let ln = Arc::clone(&ln);
            move || while ln.accept().is_ok() {}
        });
        let at = ln.addr().to_string();
        let mut connected = 0;
        for round in 0..1_500u64 {
            let timeout = Duration::from_micros(round % 200 + 1);
            match Dialer::new().timeout(timeout).dial_tcp("tcp", &at) {
                Ok(conn) => {
                    connected += 1;
                    let guard = conn.fd().unwrap();
                    let fd = guard.as_fd();
                    SockRef::from(&fd).peer_addr().expect("it is connected");
                    assert!(SockRef::from(&fd).take_error().unwrap().is_none());
                }
                Err(err) => assert!(is_timeout(&err), "{err}"),
            }
        }
        assert!(connected > 0, "not one dial was fast enough");
        ln.close().unwrap();
        join_soon(server);
    }

    /// The system may give a dial to a free port of its own choosing that very port; then it is connected to
    /// itself.
    // Go: net TestSelfConnect
    fn test_self_connect() {
        let ln = local_listener();
        let at = ln.addr().to_string();
        drop(ln);
        for _ in 0..2_000 {
            match dial("tcp", &at) {
                Ok(conn) => assert_ne!(conn.local_addr(), conn.remote_addr(), "connected to itself"),
                Err(err) => assert_eq!(err.kind(), io::ErrorKind::ConnectionRefused, "{err}"),
            }
        }
    }

    /// Names that are no literals go through the resolver, with and without a deadline.
    fn a_host_name_is_resolved() {
        let ln = local_listener();
        let at = format!("localhost:{}", ln.local_addr().unwrap().port());
        dial("tcp", &at).unwrap();
        Dialer::new().timeout(Duration::from_secs(10)).dial("tcp4", &at).unwrap();
        TcpConn::connect(&*at).unwrap();
    }
}
