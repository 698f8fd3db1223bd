//! Connections that the peer resets, at every point of a transfer and under every kind of call. Each test in a process
//! of its own, since what it leaves behind is counted.

#[path = "util/leaks.rs"]
mod leaks;
mod util;

use std::io::{self, Read, Write};
use std::net::{TcpListener as StdListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle as Thread;
use std::time::Duration;

use gopark_net::{OpError, TcpConn, block_on, chan, raw_os_error, spawn};
use gopark_sys::Errno;
use leaks::alone;
use socket2::SockRef;
use std::future::poll_fn;
use std::pin::Pin;
use util::{after, join_soon, local_listener, pair};

procs!();

const REQUEST: &[u8; 24] = b"a request of some length";
const RESPONSE: &[u8; 40] = b"a response that is a little longer, too.";

/// Ends a connection with a reset instead of a goodbye.
fn reset(conn: TcpStream) {
    SockRef::from(&conn).set_linger(Some(Duration::ZERO)).unwrap();
    drop(conn);
}

/// What a reset looks like from this side: the first call says ECONNRESET, a write after it EPIPE.
#[track_caller]
fn assert_reset(err: &io::Error) {
    let errno = raw_os_error(err);
    let expected = [Errno::ECONNRESET, Errno::EPIPE].map(|e| Some(e.raw()));
    assert!(expected.contains(&errno), "not a reset: {err}");
}

/// A connection of ours, and the peer's end on a thread of its own that does `peer`. It begins when we are connected: a
/// reset before that is the dial's error.
fn against<T: Send + 'static>(peer: impl FnOnce(TcpStream) -> T + Send + 'static) -> (TcpConn, Thread<T>) {
    let ln = StdListener::bind("127.0.0.1:0").unwrap();
    let at = ln.local_addr().unwrap();
    let (connected, wait) = std::sync::mpsc::channel::<()>();
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

/// As [`against`], with the roles of who dials exchanged.
fn against_dialer<T: Send + 'static>(
    peer: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (TcpConn, Thread<T>) {
    let ln = local_listener();
    let at = ln.local_addr().unwrap();
    let peer = std::thread::spawn(move || peer(TcpStream::connect(at).unwrap()));
    let conn = ln.accept().unwrap().0;
    conn.set_deadline(after(Duration::from_secs(20))).unwrap();
    (conn, peer)
}

/// Waits for a thread without holding a P.
fn join<T>(thread: Thread<T>) -> T {
    gopark_net::blocking(|| thread.join()).unwrap()
}

/// The peer's part of an exchange, up to step `until`: reads that many bytes of the request, or, beyond it, writes so
/// many of the response. Then it resets.
fn exchange_until(mut peer: TcpStream, until: usize) {
    let read = until.min(REQUEST.len());
    peer.read_exact(&mut vec![0; read]).unwrap();
    // Fails if our side is gone already.
    let _ = peer.write_all(&RESPONSE[..until - read]);
    reset(peer);
}

/// Our part. What was read of the response, and how it ended.
fn exchange(conn: &TcpConn) -> (Vec<u8>, io::Result<()>) {
    let mut got = Vec::new();
    let outcome = (|| {
        // In pieces, so that the reset meets writes as well.
        for piece in REQUEST.chunks(5) {
            conn.write_all(piece)?;
        }
        let mut buf = [0; 16];
        while got.len() < RESPONSE.len() {
            match conn.read(&mut buf)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => got.extend_from_slice(&buf[..n]),
            }
        }
        Ok(())
    })();
    (got, outcome)
}

/// Whatever had come before the reset may be read, and nothing else; then the call says what happened. No call hangs.
#[test]
fn at_every_point_of_an_exchange() {
    alone("at_every_point_of_an_exchange", "", || {
        let all = REQUEST.len() + RESPONSE.len();
        for until in 0..=all {
            for dials in [true, false] {
                let peer = move |conn| exchange_until(conn, until);
                let (conn, peer) = if dials { against(peer) } else { against_dialer(peer) };
                let (got, outcome) = exchange(&conn);
                let sent = until.saturating_sub(REQUEST.len());
                assert!(RESPONSE[..sent].starts_with(&got), "until {until}: {}", got.escape_ascii());
                match outcome {
                    Ok(()) => assert_eq!(until, all),
                    Err(err) => assert_reset(&err),
                }
                // From here on it is over, and stays over.
                join(peer);
                let mut buf = [0; 8];
                let again = conn.read(&mut buf);
                assert!(matches!(again, Ok(0)) || again.is_err(), "until {until}: {again:?}");
                assert_reset(&conn.write_all(b"more").and_then(|()| conn.write_all(b"more")).unwrap_err());
            }
        }
    });
}

/// A transfer larger than all buffers, so that the writer waits when the reset comes.
#[test]
fn while_a_writer_waits() {
    alone("while_a_writer_waits", "", || {
        for taken in [0, 1, 1000, 70_000, 1 << 20] {
            let (conn, peer) = against(move |mut peer| {
                peer.read_exact(&mut vec![0; taken]).unwrap();
                reset(peer);
            });
            let err = conn.write_all(&vec![0x5a; 32 << 20]).unwrap_err();
            assert_reset(&err);
            let written = OpError::of(&err).unwrap().written;
            assert!(written >= taken && written < 32 << 20, "{written} written, {taken} taken");
            join(peer);
        }
    });
}

/// One goroutine reads, another writes, both wait: the reset wakes both.
#[test]
fn while_a_reader_and_a_writer_wait() {
    alone("while_a_reader_and_a_writer_wait", "", || {
        for _ in 0..20 {
            let (go_on, waits) = std::sync::mpsc::channel::<()>();
            let (conn, peer) = against(move |peer| {
                waits.recv().unwrap();
                reset(peer);
            });
            let conn = Arc::new(conn);
            let reading = spawn({
                let conn = Arc::clone(&conn);
                move || conn.read(&mut [0; 8]).map(drop)
            });
            let writing = spawn({
                let conn = Arc::clone(&conn);
                move || conn.write_all(&vec![0x5a; 32 << 20])
            });
            gopark_net::yield_now();
            go_on.send(()).unwrap();
            // One of the two takes the error from the socket; the other sees an end, or EPIPE.
            let read = join_soon(reading);
            assert_reset(&join_soon(writing).unwrap_err());
            if let Err(err) = read {
                assert_reset(&err);
            }
            join(peer);
        }
    });
}

/// Futures that wait, a context's and a callback's wait: all hear of it.
#[test]
fn while_a_future_or_a_callback_waits() {
    alone("while_a_future_or_a_callback_waits", "", || {
        for _ in 0..20 {
            let (go_on, waits) = std::sync::mpsc::channel::<()>();
            let (mut conn, peer) = against(move |peer| {
                waits.recv().unwrap();
                reset(peer);
            });
            let future = spawn(move || {
                block_on(poll_fn(|cx| Pin::new(&mut conn).get_mut().poll_read(cx, &mut [0; 8]))).unwrap_err()
            });
            gopark_net::yield_now();
            go_on.send(()).unwrap();
            assert_reset(&join_soon(future));
            join(peer);

            let (go_on, waits) = std::sync::mpsc::channel::<()>();
            let (conn, peer) = against(move |peer| {
                waits.recv().unwrap();
                reset(peer);
            });
            let (tell, told) = chan::bounded(1);
            Arc::new(conn).on_readable(move |conn, ready| {
                ready.unwrap();
                tell.send(conn.read(&mut [0; 8]).unwrap_err()).unwrap();
            });
            go_on.send(()).unwrap();
            assert_reset(&told.recv().unwrap());
            join(peer);
        }
    });
}

/// A connection that is reset while it waits to be accepted is handed out all the same, as Linux does, and is over.
#[test]
fn before_accept() {
    alone("before_accept", "", || {
        let ln = local_listener();
        for said in [0, 5] {
            for _ in 0..50 {
                let mut peer = TcpStream::connect(ln.local_addr().unwrap()).unwrap();
                peer.write_all(&b"hello"[..said]).unwrap();
                reset(peer);
                let (conn, _) = ln.accept().unwrap();
                let mut got = Vec::new();
                let err = (&conn).read_to_end(&mut got).unwrap_err();
                assert_reset(&err);
                assert!(b"hello"[..said].starts_with(&got));
                // Options of a connection that is over do no harm.
                let _ = (conn.set_nodelay(false), conn.set_linger(None), conn.peer_addr(), conn.take_error());
            }
        }
    });
}

/// A proxy between two peers: the reset of one ends both copies, at whatever point it comes.
#[test]
fn on_one_side_of_a_proxy() {
    fn one_way(from: &TcpConn, to: &TcpConn) {
        let copied = io::copy(&mut &*from, &mut &*to).and_then(|_| to.close_write());
        if copied.is_err() {
            let _ = from.close();
            let _ = to.close();
        }
    }
    alone("on_one_side_of_a_proxy", "", || {
        for until in 0..=REQUEST.len() + RESPONSE.len() {
            let ln = local_listener();
            let at = ln.local_addr().unwrap();
            let (upstream, far) = against(move |conn| exchange_until(conn, until));
            let proxied = spawn(move || {
                let (conn, _) = ln.accept().unwrap();
                gopark_net::scope(|s| {
                    s.go(|| one_way(&conn, &upstream));
                    one_way(&upstream, &conn);
                });
            });
            let near = TcpConn::connect(at).unwrap();
            near.set_deadline(after(Duration::from_secs(20))).unwrap();
            let (got, outcome) = exchange(&near);
            assert!(RESPONSE.starts_with(&got));
            if let Err(err) = outcome {
                // The proxy closes; if we were writing, its system answers that with a reset.
                let closed = err.kind() == io::ErrorKind::UnexpectedEof;
                assert!(closed || raw_os_error(&err).is_some(), "{err}");
            }
            drop(near);
            join_soon(proxied);
            join(far);
        }
    });
}

/// We reset, under our own reader and writer: they see a close, the peer a reset, and nothing waits for it.
#[test]
fn by_ourselves() {
    alone("by_ourselves", "", || {
        for _ in 0..50 {
            let (conn, peer) = pair();
            let conn = Arc::new(conn);
            let reading = spawn({
                let conn = Arc::clone(&conn);
                move || conn.read(&mut [0; 8]).unwrap_err()
            });
            conn.set_linger(Some(Duration::ZERO)).unwrap();
            gopark_net::yield_now();
            conn.close().unwrap();
            assert!(gopark_net::is_closed(&join_soon(reading)));
            peer.set_deadline(after(Duration::from_secs(20))).unwrap();
            assert_reset(&peer.read(&mut [0; 8]).unwrap_err());
        }
    });
}
