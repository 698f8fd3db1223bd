//! Accepting, dialing and duplicating at the descriptor limit, all at the same time: whoever gets none hears it,
//! whoever has one is served, and nothing is lost. In processes of their own, which have few descriptors.
//!
//! What each single call says at the limit is in `fd_limit.rs`.

#[path = "util/leaks.rs"]
mod leaks;
mod util;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use gopark_net::{
    ListenConfig, TcpConn, TcpListener, go, is_closed, is_temporary, is_timeout, raw_os_error, sleep, spawn,
};
use gopark_sys::Errno;
use leaks::alone;
use util::{after, join_soon, local_listener};

procs!();

/// Enough for the process itself and a few connections.
const LOW_LIMIT: &str = "ulimit -n 36";
/// Each with one or two descriptors, and one of the server's: more than there are.
const WORKERS: usize = 16;
const ROUNDS: usize = 20;

fn is_limit(err: &io::Error) -> bool {
    raw_os_error(err) == Some(Errno::EMFILE.raw()) && is_temporary(err)
}

/// Echoes on each connection, until the listener is closed.
fn serve(ln: &Arc<TcpListener>) {
    for conn in ln.incoming() {
        let conn = match conn {
            Ok(conn) => conn,
            Err(err) if is_closed(&err) => return,
            Err(err) => panic!("incoming hands out no error of the limit: {err}"),
        };
        go(move || {
            // A client that gave up has closed, or reset.
            let mut buf = [0; 16];
            while let Ok(n @ 1..) = conn.read(&mut buf) {
                if conn.write_all(&buf[..n]).is_err() {
                    break;
                }
            }
        });
    }
}

/// One exchange, over a clone if `clones`. What went wrong, if something did.
fn exchange(at: std::net::SocketAddr, clones: bool) -> io::Result<()> {
    let conn = TcpConn::connect(at)?;
    // The server may have no descriptor for this one as long as the clients have them all.
    conn.set_deadline(after(Duration::from_millis(30)))?;
    let conn = if clones { conn.try_clone().inspect(|_| drop(conn))? } else { conn };
    conn.set_deadline(after(Duration::from_millis(30)))?;
    conn.write_all(b"x")?;
    let n = conn.read(&mut [0])?;
    assert_eq!(n, 1, "the server echoes, or the deadline passes");
    Ok(())
}

#[test]
fn accept_dial_and_dup_at_the_same_time() {
    alone("accept_dial_and_dup_at_the_same_time", LOW_LIMIT, || {
        let ln = Arc::new(local_listener());
        let at = ln.local_addr().unwrap();
        let accepting = spawn({
            let ln = Arc::clone(&ln);
            move || serve(&ln)
        });
        let refused = Arc::new(AtomicUsize::new(0));
        let end = Instant::now() + Duration::from_secs(20);
        let workers: Vec<_> = (0..WORKERS)
            .map(|id| {
                let refused = Arc::clone(&refused);
                spawn(move || {
                    let mut served = 0;
                    while served < ROUNDS {
                        match exchange(at, (id + served) % 2 == 0) {
                            Ok(()) => served += 1,
                            Err(err) => {
                                assert!(is_limit(&err) || is_timeout(&err), "{err}");
                                refused.fetch_add(1, SeqCst);
                                assert!(Instant::now() < end, "{served} of {ROUNDS} served");
                                // not for ordering: another try, a little later
                                sleep(Duration::from_millis(1));
                            }
                        }
                    }
                })
            })
            .collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        assert!(refused.load(SeqCst) > 0, "there were descriptors for all");
        // With descriptors for all again all is well.
        let end = Instant::now() + Duration::from_secs(10);
        while exchange(at, true).is_err() {
            assert!(Instant::now() < end, "the server does not recover");
        }
        ln.close().unwrap();
        join_soon(accepting);
    });
}

/// Each step of dialing and listening in turn finds no descriptor, or one more than the last: what was begun is undone.
#[test]
fn with_so_many_descriptors_left() {
    alone("with_so_many_descriptors_left", LOW_LIMIT, || {
        let ln = local_listener();
        let at = ln.local_addr().unwrap();
        let (ours, _peer) = util::pair();
        // One round first, for what is opened once and kept.
        drop(attempts(at, &ours));
        let held = leaks::Holdings::now();
        for left in 0..6 {
            let mut files = exhaust();
            files.truncate(files.len() - left);
            let outcomes = attempts(at, &ours);
            for (what, outcome) in &outcomes {
                if let Err(err) = outcome {
                    assert!(is_limit(err), "{what} with {left} left: {err}");
                }
            }
            // Not the other way round: sysmon may have taken one of those that were left.
            assert!(left > 0 || outcomes.iter().all(|(_, outcome)| outcome.is_err()));
            drop(files);
            // The connections that were dialed wait to be accepted.
            while accept_now(&ln).is_ok() {}
            held.assert_back(&format!("{left} left"));
            assert!(attempts(at, &ours).iter().all(|(_, outcome)| outcome.is_ok()));
            while accept_now(&ln).is_ok() {}
        }
    });
}

/// Accepts if there is one waiting.
fn accept_now(ln: &TcpListener) -> io::Result<(TcpConn, std::net::SocketAddr)> {
    ln.set_deadline(after(Duration::from_millis(5)))?;
    ln.accept()
}

/// A few calls that need a descriptor or two, with their results dropped.
fn attempts(at: std::net::SocketAddr, ours: &TcpConn) -> Vec<(&'static str, io::Result<()>)> {
    vec![
        ("connect", TcpConn::connect(at).map(drop)),
        ("dial", gopark_net::dial("tcp", &at.to_string()).map(drop)),
        ("listen", gopark_net::listen("tcp", "127.0.0.1:0").map(drop)),
        ("listen, all addresses", ListenConfig::new().listen_tcp("tcp", ":0").map(drop)),
        ("clone", ours.try_clone().map(drop)),
        (
            "two clones",
            ours.try_clone().and_then(|first| ours.try_clone().map(|second| drop((first, second)))),
        ),
        ("clone to std", ours.try_clone().and_then(TcpConn::into_std).map(drop)),
    ]
}

/// Takes descriptors until there are none.
fn exhaust() -> Vec<std::fs::File> {
    std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect()
}

/// The limit is met again and again while connections come: none is forgotten in the queue.
#[test]
fn a_burst_of_clients_beyond_the_limit() {
    alone("a_burst_of_clients_beyond_the_limit", LOW_LIMIT, || {
        let ln = Arc::new(local_listener());
        let at = ln.local_addr().unwrap();
        let accepting = spawn({
            let ln = Arc::clone(&ln);
            move || serve(&ln)
        });
        for _ in 0..5 {
            // For the server: the clients may take all others before it comes to accept one.
            let reserve: Vec<_> = (0..6).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
            let mut clients = Vec::new();
            while let Ok(conn) = TcpConn::connect(at) {
                clients.push(conn);
            }
            drop(reserve);
            assert!(clients.len() > 5, "{}", clients.len());
            // They leave one by one, each after its turn; that is what lets the others in.
            for conn in clients {
                conn.set_deadline(after(Duration::from_secs(20))).unwrap();
                conn.write_all(b"x").unwrap();
                assert_eq!(conn.read(&mut [0]).unwrap(), 1);
            }
        }
        ln.close().unwrap();
        join_soon(accepting);
    });
}
