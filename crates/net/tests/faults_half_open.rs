//! Peers that have ended one way only, or are there and say nothing: what still works works, and the rest ends by a
//! deadline. (A peer that is gone without a word is what `cargo xtask peers link` makes, by cutting the link.) In
//! processes of their own, since what they leave behind is counted.
#![cfg_attr(not(target_os = "linux"), allow(unused_imports))] // some tests are for Linux alone

#[path = "util/leaks.rs"]
mod leaks;
mod util;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use gopark_net::{TcpConn, go, is_closed, is_timeout, raw_os_error, spawn};
use gopark_sys::Errno;
use leaks::alone;
use util::{after, fill, join_soon, local_listener, pair};

procs!();

/// The peer has said all, and listens on: what it asked for arrives.
#[test]
fn a_peer_that_has_said_all_still_hears() {
    alone("a_peer_that_has_said_all_still_hears", "", || {
        let (conn, peer) = pair();
        peer.write_all(b"the question").unwrap();
        peer.close_write().unwrap();
        let answering = spawn(move || {
            let mut question = String::new();
            (&conn).read_to_string(&mut question).unwrap();
            assert_eq!(question, "the question");
            // Reading again says the same; writing goes on, also for more than the buffers hold.
            assert_eq!(conn.read(&mut [0; 8]).unwrap(), 0);
            conn.write_all(&vec![0x5a; 16 << 20]).unwrap();
            assert_eq!(conn.read(&mut [0; 8]).unwrap(), 0);
        });
        assert_eq!(io::copy(&mut &peer, &mut io::sink()).unwrap(), 16 << 20);
        join_soon(answering);
    });
}

/// We have said all, and the peer takes its time to end: our reads wait, until the deadline.
#[test]
fn a_peer_that_never_ends_its_side_runs_into_the_deadline() {
    alone("a_peer_that_never_ends_its_side_runs_into_the_deadline", "", || {
        let (conn, peer) = pair();
        conn.write_all(b"all I say").unwrap();
        conn.close_write().unwrap();
        assert_eq!(raw_os_error(&conn.write_all(b"x").unwrap_err()), Some(Errno::EPIPE.raw()));
        conn.set_read_deadline(after(Duration::from_millis(20))).unwrap();
        let err = conn.read(&mut [0; 8]).unwrap_err();
        assert!(is_timeout(&err), "{err}");
        // It is still there.
        peer.write_all(b"late").unwrap();
        conn.set_read_deadline(None).unwrap();
        assert_eq!(conn.read(&mut [0; 8]).unwrap(), 4);
    });
}

/// Connections of which nobody ever hears again: readers, writers and both end by their deadlines.
#[test]
fn silent_and_deaf_peers_end_by_the_deadline() {
    const PEERS: usize = 60;
    alone("silent_and_deaf_peers_end_by_the_deadline", "", || {
        let (conns, peers): (Vec<_>, Vec<_>) = (0..PEERS).map(|_| pair()).unzip();
        let ends: Vec<_> = conns
            .into_iter()
            .enumerate()
            .map(|(n, conn)| {
                spawn(move || {
                    let conn = Arc::new(conn);
                    let writes = n % 3 != 0;
                    if writes {
                        fill(&conn);
                    }
                    conn.set_deadline(after(Duration::from_millis(50))).unwrap();
                    let writing = writes.then(|| {
                        let conn = Arc::clone(&conn);
                        spawn(move || conn.write_all(&[0x5a; 8 << 20 >> 3]).unwrap_err())
                    });
                    let err = conn.read(&mut [0; 8]).unwrap_err();
                    assert!(is_timeout(&err), "{err}");
                    if let Some(writing) = writing {
                        let err = join_soon(writing);
                        assert!(is_timeout(&err), "{err}");
                    }
                })
            })
            .collect();
        ends.into_iter().for_each(join_soon);
        drop(peers);
    });
}

/// How many connections of this port the system keeps in CLOSE_WAIT: their peer has ended, their owner has not.
#[cfg(target_os = "linux")]
fn in_close_wait(at: SocketAddr) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let local = format!(":{:04X}", at.port());
    let rows = table.lines().skip(1).map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[1].ends_with(&local) && row[3] == "08").count()
}

/// A server's connections whose clients have ended are closed as soon as it hears of it: none is left half-open.
#[cfg(target_os = "linux")]
#[test]
fn clients_that_leave_are_not_kept() {
    const CLIENTS: usize = 200;
    alone("clients_that_leave_are_not_kept", "", || {
        let ln = Arc::new(local_listener());
        let at = ln.local_addr().unwrap();
        let accepting = spawn({
            let ln = Arc::clone(&ln);
            move || {
                for conn in ln.incoming() {
                    match conn {
                        Ok(conn) => go(move || io::copy(&mut &conn, &mut &conn).map(drop)),
                        Err(err) => {
                            assert!(is_closed(&err), "{err}");
                            return;
                        }
                    }
                }
            }
        });
        let held = leaks::Holdings::now();
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| TcpStream::connect(at).unwrap()).collect();
        for (n, client) in clients.iter_mut().enumerate() {
            client.write_all(b"hello").unwrap();
            // Each kind of half: all said, or nothing heard any more.
            client.shutdown(if n % 2 == 0 { Shutdown::Write } else { Shutdown::Both }).unwrap();
        }
        for client in clients.iter_mut().step_by(2) {
            let mut back = Vec::new();
            client.read_to_end(&mut back).unwrap();
            assert_eq!(back, b"hello");
        }
        drop(clients);
        held.assert_back("connections of clients that have left");
        assert_eq!(in_close_wait(at), 0);
        ln.close().unwrap();
        join_soon(accepting);
    });
}

/// Both ends close their writing sides at the same moment, in the middle of reads.
#[test]
fn both_sides_end_at_the_same_time() {
    alone("both_sides_end_at_the_same_time", "", || {
        for _ in 0..200 {
            let (a, b) = pair();
            let end = |conn: TcpConn| {
                spawn(move || {
                    conn.write_all(b"bye").unwrap();
                    conn.close_write().unwrap();
                    let mut got = Vec::new();
                    (&conn).read_to_end(&mut got).unwrap();
                    got
                })
            };
            let (a, b) = (end(a), end(b));
            assert_eq!((join_soon(a), join_soon(b)), (b"bye".to_vec(), b"bye".to_vec()));
        }
    });
}

/// What we no longer read the peer may still send: it is not told, and gets no error until we close.
#[test]
fn a_side_that_is_no_longer_read() {
    alone("a_side_that_is_no_longer_read", "", || {
        let (conn, peer) = pair();
        let conn = Arc::new(conn);
        let reading = spawn({
            let conn = Arc::clone(&conn);
            move || conn.read(&mut [0; 8]).unwrap()
        });
        let reading = util::assert_blocked(reading);
        conn.close_read().unwrap();
        assert_eq!(join_soon(reading), 0, "the reader hears of it");
        conn.write_all(b"one way").unwrap();
        let mut buf = [0; 7];
        (&mut &peer as &mut dyn Read).read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"one way");
        drop(conn);
        assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
    });
}
