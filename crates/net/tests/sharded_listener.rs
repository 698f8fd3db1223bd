//! Several sockets behind one listener.

mod util;

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gopark_net::{Conn, ListenConfig, OpError, ShardedListener, TcpConn, TcpListener, is_closed, spawn};
use util::{A_WHILE, after, ago, assert_blocked, assert_closed, assert_timeout, join_soon};

procs!();

fn sharded(n: usize) -> ShardedListener {
    ListenConfig::new().shards(n).listen_sharded("tcp", "127.0.0.1:0").expect("a free port")
}

both! {
    fn connections_come_from_all_shards() {
        const CONNS: usize = 64;
        let ln = Arc::new(sharded(4));
        let addr = ln.local_addr().unwrap();
        assert_eq!(ln.shards().len(), 4);
        assert!(ln.shards().all(|shard| shard.local_addr().unwrap() == addr));
        let server = {
            let ln = Arc::clone(&ln);
            spawn(move || {
                let accepted: Vec<TcpConn> = ln.incoming().take(CONNS).map(Result::unwrap).collect();
                accepted.iter().for_each(|conn| conn.write_all(b"hello").unwrap());
                accepted
            })
        };
        let clients: Vec<_> = (0..CONNS).map(|_| TcpConn::connect(addr).unwrap()).collect();
        let accepted = join_soon(server);
        for client in &clients {
            assert_eq!(client.read(&mut [0; 8]).unwrap(), 5);
        }
        let peers: HashSet<_> = accepted.iter().map(|conn| conn.peer_addr().unwrap()).collect();
        let ours: HashSet<_> = clients.iter().map(|conn| conn.local_addr().unwrap()).collect();
        assert_eq!(peers, ours, "each once");
    }

    fn a_listener_by_trait_is_sharded_if_asked() {
        let ln = ListenConfig::new().shards(3).listen("tcp", "127.0.0.1:0").unwrap();
        assert_eq!(ln.downcast_ref::<ShardedListener>().unwrap().shards().len(), 3);
        let client = TcpConn::connect(ln.addr().to_string()).unwrap();
        let server = ln.accept().unwrap();
        assert_eq!(server.remote_addr(), Conn::local_addr(&client));
        ln.close().unwrap();
        // One is a socket like any other.
        for n in [0, 1] {
            let ln = ListenConfig::new().shards(n).listen("tcp", "127.0.0.1:0").unwrap();
            assert!(ln.downcast_ref::<TcpListener>().is_some());
        }
        let err = ListenConfig::new().shards(2).listen_tcp("tcp", "127.0.0.1:0").unwrap_err();
        assert!(err.to_string().contains("use listen or listen_sharded"), "{err}");
        let err = ListenConfig::new().shards(2).listen_sharded("udp", "127.0.0.1:0").unwrap_err();
        assert!(err.to_string().contains("unknown network udp"), "{err}");
    }

    fn close_ends_every_accept_and_every_acceptor() {
        let ln = Arc::new(sharded(4));
        let addr = ln.local_addr().unwrap();
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let ln = Arc::clone(&ln);
                assert_blocked(spawn(move || ln.accept().map(drop)))
            })
            .collect();
        ln.close().unwrap();
        for waiting in waiting {
            let err = join_soon(waiting).unwrap_err();
            assert_eq!(err.to_string(), format!("accept tcp {addr}: use of closed network connection"));
        }
        assert_closed(ln.accept());
        assert_closed(ln.close());
        assert_closed(ln.set_deadline(None));
        assert_eq!(ln.local_addr().unwrap(), addr);
        // The port is free: no socket is left.
        let err = TcpConn::connect(addr).unwrap_err();
        assert_eq!(OpError::of(&err).unwrap().err.to_string(), "connect: connection refused");
        drop(TcpListener::bind(addr).unwrap());
    }

    /// What was accepted ahead is closed and not handed out (as a socket's own queue: golang/go#50216).
    fn what_nobody_accepted_is_closed() {
        let ln = sharded(2);
        let clients: Vec<_> = (0..16).map(|_| TcpConn::connect(ln.local_addr().unwrap()).unwrap()).collect();
        // Some of them are with the acceptors by now, some in the kernel's queues, or will be.
        ln.close().unwrap();
        assert_closed(ln.accept());
        for client in clients {
            client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            match client.read(&mut [0]) {
                Ok(n) => assert_eq!(n, 0),
                Err(e) => assert_eq!(e.kind(), io::ErrorKind::ConnectionReset, "{e}"),
            }
        }
    }

    fn dropping_closes() {
        let ln = sharded(2);
        let addr = ln.local_addr().unwrap();
        let client = TcpConn::connect(addr).unwrap();
        drop(ln);
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)));
        // An acceptor may be a moment behind; its socket is closed all the same.
        let end = Instant::now() + Duration::from_secs(10);
        while let Err(e) = TcpListener::bind(addr) {
            assert!(Instant::now() < end, "{e}");
            std::thread::yield_now();
        }
    }

    fn a_deadline_ends_accept_even_with_connections_waiting() {
        let ln = Arc::new(sharded(2));
        let _client = TcpConn::connect(ln.local_addr().unwrap()).unwrap();
        ln.set_deadline(ago(Duration::from_secs(1))).unwrap();
        for _ in 0..3 {
            assert_timeout(ln.accept());
        }
        ln.set_deadline(None).unwrap();
        drop(ln.accept().unwrap());

        let start = Instant::now();
        ln.set_deadline(after(A_WHILE)).unwrap();
        assert_timeout(ln.accept());
        assert!(start.elapsed() >= A_WHILE);

        // One in progress hears of a new deadline, and of none.
        ln.set_deadline(after(Duration::from_secs(3600))).unwrap();
        let waiting = {
            let ln = Arc::clone(&ln);
            assert_blocked(spawn(move || ln.accept().map(drop)))
        };
        ln.set_deadline(after(Duration::from_millis(20))).unwrap();
        assert_timeout(join_soon(waiting));
        ln.set_deadline(after(A_WHILE)).unwrap();
        let waiting = {
            let ln = Arc::clone(&ln);
            spawn(move || ln.accept().map(drop))
        };
        ln.set_deadline(None).unwrap();
        let waiting = assert_blocked(assert_blocked(waiting));
        ln.close().unwrap();
        assert!(is_closed(&join_soon(waiting).unwrap_err()));
    }

    fn a_taken_port_is_an_error_and_leaves_nothing() {
        let taken = util::local_listener();
        let addr = taken.addr().to_string();
        let err = ListenConfig::new().shards(4).listen_sharded("tcp", &addr).unwrap_err();
        assert_eq!(err.to_string(), format!("listen tcp {addr}: bind: address already in use"));
        taken.close().unwrap();
        drop(ListenConfig::new().shards(4).listen_sharded("tcp", &addr).unwrap());
    }

    fn a_wildcard_takes_both_families_on_every_shard() {
        let ln = ListenConfig::new().shards(2).listen_sharded("tcp", ":0").unwrap();
        let port = ln.local_addr().unwrap().port();
        drop(TcpConn::connect(("127.0.0.1", port)).unwrap());
        drop(ln.accept().unwrap());
    }
}
