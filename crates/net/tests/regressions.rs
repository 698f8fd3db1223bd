//! Readiness that is easily lost: what must not happen with the short-read hint, and other old acquaintances.

mod util;

use std::io::Read;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use gopark_net::{TcpConn, spawn};
use socket2::SockRef;
use util::{after, assert_blocked, assert_timeout, join_soon, pair};

procs!();

/// A read with more room than there is data: the next one may wait for an event.
fn short_read(conn: &TcpConn) {
    let mut buf = [0; 64];
    let n = conn.read(&mut buf).unwrap();
    assert!(n > 0 && n < 64, "{n}");
}

both! {
    /// TCP stops a read at an urgent byte, and gives no second edge for what lies behind.
    fn an_urgent_byte_does_not_hide_what_follows() {
        let (client, server) = pair();
        client.set_read_deadline(after(Duration::from_secs(20))).unwrap();
        for round in 0..20 {
            let guard = server.fd().unwrap();
            let fd = guard.as_fd();
            let socket = SockRef::from(&fd);
            socket.send(b"before").unwrap();
            socket.send_out_of_band(b"!").unwrap();
            socket.send(b"after").unwrap();
            let mut seen = Vec::new();
            let mut buf = [0; 64];
            while !seen.ends_with(b"after") {
                let n = client.read(&mut buf).unwrap_or_else(|e| panic!("round {round}, after {seen:?}: {e}"));
                assert_ne!(n, 0);
                seen.extend_from_slice(&buf[..n]);
            }
            assert!(seen.starts_with(b"before"), "{seen:?}");
        }
    }

    /// The end that comes with the data, in one segment, gives no edge of its own.
    fn the_end_that_comes_with_the_data_is_seen() {
        for wait in [false, true] {
            for _ in 0..50 {
                let (client, server) = pair();
                client.set_read_deadline(after(Duration::from_secs(20))).unwrap();
                // One edge for both, where the system can be told to wait.
                #[cfg(target_os = "linux")]
                server.fd().map(|guard| SockRef::from(&guard.as_fd()).set_tcp_cork(true)).unwrap().unwrap();
                server.write_all(b"the last words").unwrap();
                server.close().unwrap();
                if wait {
                    client.readable().unwrap();
                }
                short_read(&client);
                assert_eq!(client.read(&mut [0; 64]).unwrap(), 0);
                assert_eq!(client.read(&mut [0; 64]).unwrap(), 0);
            }
        }
    }

    /// The same with a reader that is waiting already.
    fn the_end_that_comes_with_the_data_wakes_a_waiting_reader() {
        for _ in 0..20 {
            let (client, server) = pair();
            let read = spawn(move || {
                let mut all = Vec::new();
                (&client).read_to_end(&mut all).unwrap();
                all
            });
            gopark_net::yield_now();
            server.write_all(b"the last words").unwrap();
            drop(server);
            assert_eq!(join_soon(read), b"the last words");
        }
    }

    /// A reset after a short read is seen.
    fn a_reset_after_a_short_read_is_seen() {
        for _ in 0..20 {
            let (client, server) = pair();
            client.set_read_deadline(after(Duration::from_secs(20))).unwrap();
            server.write_all(b"x").unwrap();
            short_read(&client);
            server.set_linger(Some(Duration::ZERO)).unwrap();
            server.close().unwrap();
            let err = client.read(&mut [0; 64]).unwrap_err();
            assert_eq!(err.kind(), std::io::ErrorKind::ConnectionReset, "{err}");
        }
    }

    /// A deadline that passes between two reads leaves nothing behind, and what arrived meanwhile is there.
    fn a_timeout_after_a_short_read_loses_nothing() {
        let (client, server) = pair();
        for _ in 0..20 {
            server.write_all(b"one").unwrap();
            short_read(&client);
            client.set_read_deadline(after(Duration::from_millis(2))).unwrap();
            assert_timeout(client.read(&mut [0; 64]));
            server.write_all(b"two").unwrap();
            assert_timeout(client.read(&mut [0; 64]));
            client.set_read_deadline(None).unwrap();
            short_read(&client);
        }
    }

    /// `try_read`, `peek` and `readable` between reads: none takes the others' event.
    fn every_way_to_read_sees_the_data() {
        let (client, server) = pair();
        client.set_read_deadline(after(Duration::from_secs(20))).unwrap();
        let mut buf = [0; 64];
        for _ in 0..50 {
            assert_eq!(client.try_read(&mut buf).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
            server.write_all(b"one").unwrap();
            client.readable().unwrap();
            assert_eq!(client.peek(&mut buf).unwrap(), 3);
            client.readable().unwrap();
            short_read(&client);
            server.write_all(b"two").unwrap();
            assert_eq!(client.peek(&mut buf).unwrap(), 3);
            assert_eq!(client.try_read(&mut buf).unwrap(), 3);
            server.write_all(b"three").unwrap();
            short_read(&client);
        }
    }

    /// Two handles for one connection: what one reads is not missed by the other, which waits for more.
    fn a_clone_that_reads_does_not_starve_the_other() {
        let (client, server) = pair();
        let clone = client.try_clone().unwrap();
        clone.set_read_deadline(after(Duration::from_secs(20))).unwrap();
        client.set_read_deadline(after(Duration::from_secs(20))).unwrap();
        for _ in 0..50 {
            server.write_all(b"one").unwrap();
            short_read(&client);
            server.write_all(b"two").unwrap();
            short_read(&clone);
        }
        // One is closed, the connection is not.
        drop(client);
        server.write_all(b"three").unwrap();
        short_read(&clone);
        drop(clone);
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
    }

    /// Data that arrives just as a reader goes to sleep, many times over.
    fn no_wakeup_is_lost() {
        let (client, server) = pair();
        let (client, server) = (Arc::new(client), Arc::new(server));
        let ping = spawn(move || {
            let mut buf = [0; 1];
            for n in 0..20_000_u32 {
                if n % 3 == 0 {
                    gopark_net::yield_now();
                }
                client.write_all(&[n as u8]).unwrap();
                client.read(&mut buf).unwrap();
                assert_eq!(buf[0], n as u8);
            }
        });
        let pong = spawn(move || {
            let mut buf = [0; 16];
            while let Ok(n @ 1..) = server.read(&mut buf) {
                server.write_all(&buf[..n]).unwrap();
            }
        });
        match ping.join_timeout(Duration::from_secs(40)) {
            Ok(result) => result.unwrap(),
            Err(_) => panic!("a wake-up is lost"),
        }
        join_soon(pong);
    }

    /// A connection that is passed from goroutine to goroutine, and from a thread to a goroutine.
    fn a_connection_can_change_hands() {
        let (mut client, server) = pair();
        let echo = spawn(move || {
            let mut buf = [0; 16];
            while let Ok(n @ 1..) = server.read(&mut buf) {
                server.write_all(&buf[..n]).unwrap();
            }
        });
        for n in 0..20_u8 {
            let work = move || {
                client.write_all(&[n]).unwrap();
                let mut buf = [0];
                client.read(&mut buf).unwrap();
                assert_eq!(buf, [n]);
                client
            };
            client = if n % 2 == 0 {
                join_soon(spawn(work))
            } else {
                std::thread::spawn(work).join().unwrap()
            };
        }
        drop(client);
        join_soon(echo);
    }

    /// Many who wait, on as many connections, and one who wakes them all.
    fn a_thousand_readers_wake() {
        let pairs: Vec<_> = (0..200).map(|_| pair()).collect();
        let (readers, writers): (Vec<_>, Vec<_>) = pairs
            .into_iter()
            .map(|(client, server)| (spawn(move || client.read(&mut [0; 8]).unwrap()), server))
            .unzip();
        let readers: Vec<_> = readers
            .into_iter()
            .enumerate()
            .map(|(n, reader)| if n == 0 { assert_blocked(reader) } else { reader })
            .collect();
        for writer in &writers {
            writer.write_all(b"wake up!").unwrap();
        }
        for reader in readers {
            assert_eq!(join_soon(reader), 8);
        }
    }
}
