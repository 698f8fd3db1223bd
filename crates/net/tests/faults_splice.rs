//! Copies from connection to connection, which the kernel makes by way of a pipe, when one of the two is reset, waits
//! or is closed. Each test in a process of its own, since what it leaves behind is counted, pipes included.

#[path = "util/leaks.rs"]
mod leaks;
mod util;

use std::io::{self, Read, Write};
use std::net::{TcpListener as StdListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle as Thread;
use std::time::Duration;

use gopark_net::{Copied, TcpConn, copy_counted, is_closed, is_timeout, raw_os_error, spawn};
use gopark_sys::Errno;
use leaks::alone;
use socket2::SockRef;
use util::{after, join_soon};

procs!();

/// More than all buffers on the way hold.
const LARGE: usize = 24 << 20;
const STEP: usize = 10_007;

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

/// A connection of ours, and the peer's end on a thread of its own that does `peer`.
fn against<T: Send + 'static>(peer: impl FnOnce(TcpStream) -> T + Send + 'static) -> (TcpConn, Thread<T>) {
    let ln = StdListener::bind("127.0.0.1:0").unwrap();
    let at = ln.local_addr().unwrap();
    let (connected, wait) = mpsc::channel::<()>();
    let peer = std::thread::spawn(move || {
        let conn = ln.accept().unwrap().0;
        wait.recv().unwrap();
        peer(conn)
    });
    let conn = TcpConn::connect(at).unwrap();
    connected.send(()).unwrap();
    conn.set_deadline(after(Duration::from_secs(20))).unwrap();
    (conn, peer)
}

fn reset(conn: TcpStream) {
    SockRef::from(&conn).set_linger(Some(Duration::ZERO)).unwrap();
    drop(conn);
}

#[track_caller]
fn assert_reset(err: &io::Error) {
    let expected = [Errno::ECONNRESET, Errno::EPIPE].map(|e| Some(e.raw()));
    assert!(expected.contains(&raw_os_error(err)), "not a reset: {err}");
}

/// Waits for a thread without holding a P.
fn join<T>(thread: Thread<T>) -> T {
    gopark_net::blocking(|| thread.join()).unwrap()
}

fn read_all(mut conn: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    conn.read_to_end(&mut all).unwrap();
    all
}

/// Copies, and closes the writing side of `to` behind it.
fn pass_on(from: &TcpConn, to: &TcpConn) -> (Copied, io::Result<()>) {
    let mut copied = Copied::default();
    let outcome = copy_counted(&mut &*to, &mut &*from, &mut copied);
    let _ = to.close_write();
    (copied, outcome)
}

/// The source is reset after so many bytes: what was said to be written has arrived, in order, and nothing else.
#[test]
fn the_source_at_every_point() {
    alone("the_source_at_every_point", "", || {
        for step in 0..40 {
            let sent = pattern(step * STEP);
            let (from, source) = against({
                let sent = sent.clone();
                move |mut conn| {
                    conn.write_all(&sent).unwrap();
                    reset(conn);
                }
            });
            let (to, sink) = against(read_all);
            let (copied, outcome) = pass_on(&from, &to);
            assert_reset(&outcome.unwrap_err());
            let arrived = join(sink);
            assert_eq!(copied.written, arrived.len() as u64);
            assert!(sent.starts_with(&arrived), "{} bytes, something else", arrived.len());
            join(source);
        }
    });
}

/// The destination is reset after it has taken so many bytes.
#[test]
fn the_destination_at_every_point() {
    alone("the_destination_at_every_point", "", || {
        let sent: Arc<[u8]> = pattern(LARGE).into();
        for step in 0..20 {
            let (from, source) = against({
                let sent = Arc::clone(&sent);
                // Fails when our end is closed.
                move |mut conn| conn.write_all(&sent).is_err()
            });
            let (to, sink) = against({
                let sent = Arc::clone(&sent);
                move |mut conn| {
                    let mut taken = vec![0; step * STEP];
                    conn.read_exact(&mut taken).unwrap();
                    assert!(sent.starts_with(&taken));
                    reset(conn);
                }
            });
            let (copied, outcome) = pass_on(&from, &to);
            assert_reset(&outcome.unwrap_err());
            assert!(copied.written >= (step * STEP) as u64 && copied.read >= copied.written);
            from.close().unwrap();
            assert!(join(source), "the source hears of it");
            join(sink);
        }
    });
}

/// While the copy waits: for data, or for room.
#[test]
fn either_while_the_copy_waits() {
    alone("either_while_the_copy_waits", "", || {
        for source_is_reset in [true, false, true, false] {
            let (go_on, wait) = mpsc::channel::<()>();
            let (from, source) = against(move |mut conn| {
                if source_is_reset {
                    conn.write_all(b"a little").unwrap();
                    wait.recv().unwrap();
                    reset(conn);
                } else {
                    let _ = conn.write_all(&vec![0x5a; LARGE]);
                    drop(wait);
                }
            });
            let (done, end) = mpsc::channel::<()>();
            let (to, sink) = against(move |conn| {
                // Deaf, until it is over.
                end.recv().unwrap();
                reset(conn);
            });
            let from = Arc::new(from);
            let copying = spawn({
                let from = Arc::clone(&from);
                move || pass_on(&from, &to)
            });
            let copying = util::assert_blocked(copying);
            if source_is_reset {
                go_on.send(()).unwrap();
            } else {
                done.send(()).unwrap();
            }
            let (copied, outcome) = join_soon(copying);
            assert_reset(&outcome.unwrap_err());
            assert!(copied.written > 0);
            from.close().unwrap();
            // Fails in the other case, where the thread has ended.
            let _ = done.send(());
            join(source);
            join(sink);
        }
    });
}

/// A deadline, or a close, on either side of a copy that waits on it. Bytes that were in the pipe are lost then, as
/// `Copied` says; the pipe with them is not kept.
#[test]
fn a_deadline_or_a_close_of_either_side() {
    alone("a_deadline_or_a_close_of_either_side", "", || {
        for round in 0..24 {
            let (by_deadline, waits_for_room) = (round % 2 == 0, round % 4 < 2);
            let (from, source) = against(move |mut conn| {
                let len = if waits_for_room { LARGE } else { 10 };
                let _ = conn.write_all(&vec![0x5a; len]);
                // Until our end is closed.
                let _ = conn.read(&mut [0]);
            });
            let (over, end) = mpsc::channel::<()>();
            let (to, sink) = against(move |conn| {
                // Deaf, but there.
                end.recv().unwrap();
                drop(conn);
            });
            let (from, to) = (Arc::new(from), Arc::new(to));
            let copying = spawn({
                let (from, to) = (Arc::clone(&from), Arc::clone(&to));
                move || {
                    let mut copied = Copied::default();
                    let outcome = copy_counted(&mut &*to, &mut &*from, &mut copied);
                    (copied, outcome)
                }
            });
            gopark_net::sleep(Duration::from_millis(5)); // not for ordering: so that mostly it waits
            let waits_on = if waits_for_room { &to } else { &from };
            if by_deadline {
                waits_on.set_deadline(after(Duration::from_millis(5))).unwrap();
            } else {
                waits_on.close().unwrap();
            }
            let (copied, outcome) = join_soon(copying);
            let err = outcome.unwrap_err();
            assert!(if by_deadline { is_timeout(&err) } else { is_closed(&err) }, "{err}");
            assert!(copied.read >= copied.written);
            over.send(()).unwrap();
            drop((from, to));
            join(source);
            join(sink);
        }
    });
}

/// Many copies at the same time, both ways, that end in every manner.
#[test]
fn a_crowd_of_copies() {
    alone("a_crowd_of_copies", "", || {
        let crowd: Vec<_> = (0..24)
            .map(|n: usize| {
                spawn(move || {
                    for round in 0..3 {
                        let len = (n * 3 + round) * STEP;
                        let (from, source) = against(move |mut conn| {
                            let _ = conn.write_all(&pattern(len));
                            if n.is_multiple_of(2) { reset(conn) } else { drop(conn) }
                        });
                        let (to, sink) = against(move |mut conn| {
                            if n.is_multiple_of(3) {
                                let _ = conn.read(&mut [0; 100]);
                                reset(conn);
                            } else {
                                let _ = io::copy(&mut conn, &mut io::sink());
                            }
                        });
                        if let (_, Err(err)) = pass_on(&from, &to) {
                            assert_reset(&err);
                        } else {
                            assert!(!n.is_multiple_of(2), "the source was reset");
                        }
                        drop((from, to));
                        join(source);
                        join(sink);
                    }
                })
            })
            .collect();
        crowd.into_iter().for_each(join_soon);
    });
}
