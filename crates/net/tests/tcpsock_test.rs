//! Many connections, many bytes. Go: `net/tcpsock_test.go`.

mod util;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use gopark_net::{Dialer, TcpAddr, TcpConn, go, is_closed, spawn};
use util::{join_soon, local_listener, pair};

procs!();

/// Reads until `buf` is full.
fn read_full(mut conn: &TcpConn, buf: &mut [u8]) -> io::Result<()> {
    io::Read::read_exact(&mut conn, buf)
}

both! {
    /// Ten acceptors, a hundred dials.
    // Go: net TestTCPConcurrentAccept
    fn test_tcp_concurrent_accept() {
        const ACCEPTORS: usize = 10;
        let ln = Arc::new(local_listener());
        let accepted = Arc::new(AtomicUsize::new(0));
        let acceptors: Vec<_> = (0..ACCEPTORS)
            .map(|_| {
                let (ln, accepted) = (Arc::clone(&ln), Arc::clone(&accepted));
                spawn(move || loop {
                    match ln.accept() {
                        Ok(_) => accepted.fetch_add(1, Relaxed),
                        Err(err) => {
                            assert!(is_closed(&err), "{err}");
                            break;
                        }
                    };
                })
            })
            .collect();
        let at = ln.addr().to_string();
        let dialer = Dialer::new().timeout(Duration::from_secs(10));
        for _ in 0..10 * ACCEPTORS {
            dialer.dial("tcp", &at).unwrap();
        }
        let end = Instant::now() + Duration::from_secs(10);
        while accepted.load(Relaxed) < 10 * ACCEPTORS {
            assert!(Instant::now() < end, "{} of 100 accepted", accepted.load(Relaxed));
            // not for ordering: the pause of a bounded loop
            gopark_net::sleep(Duration::from_millis(1));
        }
        ln.close().unwrap();
        for acceptor in acceptors {
            join_soon(acceptor);
        }
    }

    /// Ten thousand round trips on each of two connections.
    // Go: net TestTCPStress
    fn test_tcp_stress() {
        const CONNECTIONS: usize = 2;
        const ROUNDS: usize = 10_000;
        const MESSAGE: usize = 512;
        let ln = Arc::new(local_listener());
        let at = ln.local_addr().unwrap();
        let server = spawn({
            let ln = Arc::clone(&ln);
            move || {
                for _ in 0..CONNECTIONS {
                    let (conn, _) = ln.accept().unwrap();
                    go(move || -> io::Result<()> {
                        let mut buf = [0; MESSAGE];
                        for _ in 0..ROUNDS {
                            read_full(&conn, &mut buf)?;
                            conn.write_all(&buf)?;
                        }
                        Ok(())
                    });
                }
            }
        });
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|n| {
                spawn(move || {
                    let conn = TcpConn::connect(at).unwrap();
                    let mut got = [0; MESSAGE];
                    for round in 0..ROUNDS {
                        let want = [(n + round) as u8; MESSAGE];
                        conn.write_all(&want).unwrap();
                        read_full(&conn, &mut got).unwrap();
                        assert!(got == want, "round {round}");
                    }
                })
            })
            .collect();
        join_soon(server);
        for client in clients {
            match client.join_timeout(Duration::from_secs(50)) {
                Ok(result) => result.unwrap(),
                Err(_) => panic!("a client hangs"),
            }
        }
    }

    /// More than any buffer of the system holds, in one call, from one buffer and from several.
    // Go: net TestTCPBig, with fewer bytes
    fn test_tcp_big() {
        const SIZE: usize = 64 << 20;
        let (client, server) = pair();
        let count = spawn(move || {
            let mut buf = vec![0; 1 << 20];
            let mut total = 0_usize;
            loop {
                match server.read(&mut buf).unwrap() {
                    0 => return total,
                    n => total += n,
                }
            }
        });
        let block = vec![1; SIZE];
        client.write_all(&block).unwrap();
        let (half, rest) = block.split_at(SIZE / 2);
        client
            .write_all_vectored(&mut [io::IoSlice::new(half), io::IoSlice::new(&[]), io::IoSlice::new(rest)])
            .unwrap();
        client.close().unwrap();
        assert_eq!(count.join().unwrap(), 2 * SIZE);
    }

    /// Two writers with `write_all`, each with a block larger than the buffers: neither gets into the other's.
    // Go: the lock of internal/poll FD.Write
    fn concurrent_writers_do_not_interleave() {
        const BLOCK: usize = 1 << 20;
        let (client, server) = pair();
        let client = Arc::new(client);
        let writers: Vec<_> = (0..4_u8)
            .map(|n| {
                let client = Arc::clone(&client);
                spawn(move || client.write_all(&vec![n; BLOCK]))
            })
            .collect();
        let mut seen = Vec::new();
        for _ in 0..4 {
            let mut block = vec![0; BLOCK];
            read_full(&server, &mut block).unwrap();
            assert!(block.iter().all(|&b| b == block[0]), "interleaved");
            seen.push(block[0]);
        }
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3]);
        for writer in writers {
            join_soon(writer).unwrap();
        }
    }

    /// Everybody who waits to read gets some of it; nobody is forgotten.
    fn concurrent_readers_share_the_stream() {
        let (client, server) = pair();
        let client = Arc::new(client);
        let readers: Vec<_> = (0..8)
            .map(|_| {
                let client = Arc::clone(&client);
                spawn(move || client.read(&mut [0; 1]).unwrap())
            })
            .collect();
        for _ in 0..8 {
            server.write_all(b"x").unwrap();
        }
        for reader in readers {
            assert_eq!(join_soon(reader), 1);
        }
    }

    /// Connections that come and go: dial, one message, close. Go: BenchmarkTCP4OneShot, as a test.
    fn one_shot_connections() {
        let ln = Arc::new(local_listener());
        let at = ln.local_addr().unwrap();
        let server = spawn({
            let ln = Arc::clone(&ln);
            move || {
                while let Ok((conn, _)) = ln.accept() {
                    go(move || -> io::Result<()> {
                        let mut buf = [0; 64];
                        read_full(&conn, &mut buf)?;
                        conn.write_all(&buf)
                    });
                }
            }
        });
        let clients: Vec<_> = (0..8_u8)
            .map(|n| {
                spawn(move || {
                    for _ in 0..50 {
                        let conn = TcpConn::connect(at).unwrap();
                        conn.write_all(&[n; 64]).unwrap();
                        let mut buf = [0; 64];
                        read_full(&conn, &mut buf).unwrap();
                        assert_eq!(buf, [n; 64]);
                        assert_eq!(conn.read(&mut buf).unwrap(), 0);
                    }
                })
            })
            .collect();
        for client in clients {
            join_soon(client);
        }
        ln.close().unwrap();
        join_soon(server);
    }

    // Go: net TestResolveTCPAddr
    fn test_resolve_tcp_addr() {
        let resolved = [
            ("tcp", "127.0.0.1:0", "127.0.0.1:0"),
            ("tcp4", "127.0.0.1:65535", "127.0.0.1:65535"),
            ("tcp", "[::1]:0", "[::1]:0"),
            ("tcp6", "[::1]:65535", "[::1]:65535"),
            ("tcp6", "[::1%911]:2", "[::1%911]:2"),
            ("", "127.0.0.1:0", "127.0.0.1:0"),
            ("", "[::1]:0", "[::1]:0"),
            ("tcp", ":12345", ":12345"),
            ("tcp", "127.0.0.1:http", "127.0.0.1:80"),
            ("tcp", "[::ffff:127.0.0.1]:http", "127.0.0.1:80"),
            ("tcp", "[2001:db8::1]:http", "[2001:db8::1]:80"),
            ("tcp4", "127.0.0.1:http", "127.0.0.1:80"),
            ("tcp4", "[::ffff:127.0.0.1]:http", "127.0.0.1:80"),
            ("tcp6", "[2001:db8::1]:http", "[2001:db8::1]:80"),
        ];
        for (network, address, want) in resolved {
            let got = TcpAddr::resolve(network, address).unwrap_or_else(|e| panic!("{network} {address}: {e}"));
            assert_eq!(got.to_string(), want, "{network} {address}");
        }
        for (network, address, want) in [
            ("http", "127.0.0.1:0", "unknown network http"),
            ("udp", "127.0.0.1:0", "unknown network udp"),
            ("unix", "/tmp/x", "unknown network unix"),
            ("tcp4", "[2001:db8::1]:http", "address 2001:db8::1: no suitable address found"),
            ("tcp6", "127.0.0.1:http", "address 127.0.0.1: no suitable address found"),
            ("tcp6", "[::ffff:127.0.0.1]:http", "address ::ffff:127.0.0.1: no suitable address found"),
        ] {
            assert_eq!(TcpAddr::resolve(network, address).unwrap_err().to_string(), want, "{network} {address}");
        }
    }

    // Go: net TestCopyPipeIntoTCP
    fn test_copy_pipe_into_tcp() {
        let (client, server) = pair();
        let receiver = spawn(move || {
            let mut received = Vec::new();
            let mut reader = &server;
            io::Read::read_to_end(&mut reader, &mut received).map(|_| received)
        });
        let (from, to) = gopark_net::pipe();
        let copier = spawn(move || io::copy(&mut &from, &mut &client));
        to.write_all(&[1]).unwrap();
        // The second piece comes when the first has long been copied.
        gopark_net::sleep(Duration::from_millis(20)); // not for ordering: either order must work
        to.write_all(&[2]).unwrap();
        to.close().unwrap();
        assert_eq!(join_soon(copier).unwrap(), 2);
        assert_eq!(join_soon(receiver).unwrap(), [1, 2]);
    }

    /// A writer that never stops is stopped by a peer that goes.
    // Go: net TestEndlessWrite
    fn test_endless_write() {
        let (client, server) = pair();
        let writer = spawn(move || {
            let chunk = [7; 16 * 1024];
            loop {
                if let Err(e) = server.write_all(&chunk) {
                    return e;
                }
            }
        });
        let mut buf = vec![0; 1 << 20];
        read_full(&client, &mut buf).unwrap();
        client.close().unwrap();
        let err = join_soon(writer);
        assert!(matches!(err.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe), "{err}");
    }
}
