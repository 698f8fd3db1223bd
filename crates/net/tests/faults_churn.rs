//! Ten thousand connections, each reset at some point of its short life. Afterwards there is nothing left of them. In a
//! process of its own, since what it leaves behind is counted.

#[path = "util/leaks.rs"]
mod leaks;
mod util;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use gopark_net::{TcpConn, TcpListener, go, is_closed, raw_os_error, spawn, sync::WaitGroup};
use gopark_sys::Errno;
use leaks::alone;
use util::{after, join_soon, local_listener};

procs!();

const DIALERS: usize = 16;

/// Ten thousand; fewer in the runs with 1, 2 and 4 Ps, which come on top.
fn connections() -> usize {
    if std::env::var_os("GOPARK_MAXPROCS").is_some() { 2_400 } else { 10_000 }
}

/// Closes with a reset.
fn reset(conn: &TcpConn) {
    conn.set_linger(Some(Duration::ZERO)).unwrap();
    conn.close().unwrap();
}

/// The errors that a reset may give, by the call that meets it.
fn is_reset(err: &io::Error) -> bool {
    let expected = [Errno::ECONNRESET, Errno::EPIPE, Errno::ECONNABORTED].map(|e| Some(e.raw()));
    expected.contains(&raw_os_error(err))
}

/// Echoes until the end, or resets when it is told to by an `R`.
fn serve(conn: &TcpConn) -> io::Result<()> {
    let mut buf = [0; 64];
    loop {
        let n = conn.read(&mut buf)?;
        if n == 0 {
            return Ok(());
        }
        if buf[..n].contains(&b'R') {
            reset(conn);
            return Ok(());
        }
        conn.write_all(&buf[..n])?;
    }
}

/// One connection's life, of six kinds.
fn live(kind: usize, at: std::net::SocketAddr) -> io::Result<()> {
    let conn = TcpConn::connect(at)?;
    conn.set_deadline(after(Duration::from_secs(20)))?;
    let mut buf = [0; 64];
    match kind {
        // Reset before a word.
        0 => reset(&conn),
        // With words under way.
        1 => {
            conn.write_all(b"words that nobody may read")?;
            reset(&conn);
        }
        // By the server, while a read waits.
        2 => {
            conn.write_all(b"R")?;
            conn.read(&mut buf)?;
        }
        // By the server, under a writer.
        3 => {
            conn.write_all(b"R")?;
            while conn.write_all(&[b'x'; 1024]).is_ok() {}
        }
        // By another goroutine of ours, while a read waits.
        4 => {
            let conn = Arc::new(conn);
            let reading = spawn({
                let conn = Arc::clone(&conn);
                move || conn.read(&mut [0; 8])
            });
            reset(&conn);
            let err = join_soon(reading).unwrap_err();
            assert!(is_closed(&err), "{err}");
        }
        // After an exchange that went well.
        _ => {
            conn.write_all(b"hello")?;
            conn.read(&mut buf)?;
            reset(&conn);
        }
    }
    Ok(())
}

fn accept_all(ln: &TcpListener, served: &Arc<AtomicUsize>, all: &WaitGroup) {
    for conn in ln.incoming() {
        let conn = match conn {
            Ok(conn) => conn,
            Err(err) => {
                assert!(is_closed(&err), "{err}");
                return;
            }
        };
        conn.set_deadline(after(Duration::from_secs(20))).unwrap();
        let served = Arc::clone(served);
        let done = all.clone();
        done.add(1);
        go(move || {
            if let Err(err) = serve(&conn) {
                assert!(is_reset(&err), "{err}");
            }
            served.fetch_add(1, SeqCst);
            drop(conn);
            done.done();
        });
    }
}

#[test]
fn ten_thousand_connects_and_resets() {
    alone("ten_thousand_connects_and_resets", "", || {
        let each = connections() / DIALERS;
        let ln = Arc::new(local_listener());
        let at = ln.local_addr().unwrap();
        let served = Arc::new(AtomicUsize::new(0));
        let all = WaitGroup::new();
        let accepting = spawn({
            let (ln, served, all) = (Arc::clone(&ln), Arc::clone(&served), all.clone());
            move || accept_all(&ln, &served, &all)
        });
        let dialers: Vec<_> = (0..DIALERS)
            .map(|id| {
                spawn(move || {
                    for n in 0..each {
                        if let Err(err) = live((id + n) % 6, at) {
                            assert!(is_reset(&err), "{err}");
                        }
                    }
                })
            })
            .collect();
        dialers.into_iter().for_each(|dialer| dialer.join().unwrap());
        // One more, that goes well: the server lives, and all before it have been accepted.
        let last = TcpConn::connect(at).unwrap();
        last.write_all(b"still there?").unwrap();
        let mut buf = [0; 12];
        (&mut &last as &mut dyn io::Read).read_exact(&mut buf).unwrap();
        drop(last);
        all.wait();
        assert_eq!(served.load(SeqCst), each * DIALERS + 1);
        ln.close().unwrap();
        join_soon(accepting);
    });
}
