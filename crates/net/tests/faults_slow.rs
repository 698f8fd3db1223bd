//! Peers that read or write a byte at a time. What they send arrives whole; how long they may take is a deadline's
//! business; waiting for them costs nothing. In processes of their own, since what they leave behind is counted.

#[path = "util/leaks.rs"]
mod leaks;
mod util;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use gopark_net::{OpError, TcpConn, go, is_closed, is_timeout, sleep, spawn};
use leaks::alone;
use util::{after, assert_timeout, join_soon, local_listener, narrow_pair, pair};

procs!();

fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i % 251) as u8).collect()
}

/// Every byte in a segment of its own, in both directions at the same time.
#[test]
fn a_byte_at_a_time_arrives_whole() {
    alone("a_byte_at_a_time_arrives_whole", "", || {
        let (conn, mut peer) = pair();
        peer.set_nodelay(true).unwrap();
        let sent = pattern(5000);
        let trickling = spawn({
            let sent = sent.clone();
            move || {
                let mut back = Vec::new();
                let mut one = [0];
                for byte in sent.chunks(1) {
                    peer.write_all(byte).unwrap();
                    peer.read_exact(&mut one).unwrap();
                    back.push(one[0]);
                }
                back
            }
        });
        let mut buf = [0; 64];
        let mut got = Vec::new();
        loop {
            match conn.read(&mut buf).unwrap() {
                0 => break,
                n => {
                    conn.write_all(&buf[..n]).unwrap();
                    got.extend_from_slice(&buf[..n]);
                }
            }
        }
        assert!(got == sent);
        assert!(join_soon(trickling) == sent);
    });
}

/// The reader on the other side takes a byte at a time out of small buffers, and the writer waits again and again.
#[test]
fn a_writer_to_a_reader_of_single_bytes_sends_all() {
    alone("a_writer_to_a_reader_of_single_bytes_sends_all", "", || {
        let (conn, mut peer) = narrow_pair();
        let sent = pattern(40_000);
        let writing = spawn({
            let sent = sent.clone();
            move || {
                conn.write_all(&sent).unwrap();
                drop(conn);
            }
        });
        let (mut got, mut one) = (Vec::new(), [0]);
        while Read::read(&mut peer, &mut one).unwrap() == 1 {
            got.push(one[0]);
        }
        assert!(got == sent);
        join_soon(writing);
    });
}

/// Sends a byte now and then, until the connection breaks or `stop`.
fn trickle(mut peer: TcpStream, stop: &AtomicBool) {
    while !stop.load(SeqCst) && peer.write_all(b"x").is_ok() {
        std::thread::sleep(Duration::from_millis(2)); // not for ordering: the pace of a slow peer
    }
}

/// Bytes keep coming, so a timeout for each read never passes; a deadline for all of them does.
#[test]
fn a_deadline_is_not_moved_by_what_arrives() {
    alone("a_deadline_is_not_moved_by_what_arrives", "", || {
        let ln = local_listener();
        let at = ln.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let peer = std::thread::spawn({
            let stop = Arc::clone(&stop);
            move || trickle(TcpStream::connect(at).unwrap(), &stop)
        });
        let (mut conn, _) = ln.accept().unwrap();
        // std's timeouts are for each call.
        conn.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        conn.read_exact(&mut [0; 40]).unwrap();
        conn.set_read_timeout(None).unwrap();
        // Go's deadlines are for all calls.
        let start = Instant::now();
        conn.set_read_deadline(after(Duration::from_millis(100))).unwrap();
        let mut line = String::new();
        let err = BufReader::new(&conn).read_line(&mut line).unwrap_err();
        let took = start.elapsed();
        assert!(is_timeout(&err), "{err}");
        assert!(took >= Duration::from_millis(100) && took < Duration::from_secs(5), "{took:?}");
        // The deadline is over for whatever comes, and moving it goes on where it stopped.
        assert_timeout(conn.read(&mut [0; 8]));
        conn.set_read_deadline(None).unwrap();
        conn.read_exact(&mut [0; 5]).unwrap();
        stop.store(true, SeqCst);
        drop(conn);
        gopark_net::blocking(|| peer.join()).unwrap();
    });
}

/// The same for a writer: its peer reads a little now and then, which makes room, but not enough in time.
#[test]
fn a_write_deadline_is_not_moved_by_what_leaves() {
    alone("a_write_deadline_is_not_moved_by_what_leaves", "", || {
        let (conn, mut peer) = narrow_pair();
        let stop = Arc::new(AtomicBool::new(false));
        let reading = std::thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                while !stop.load(SeqCst) && Read::read(&mut peer, &mut [0; 512]).is_ok() {
                    std::thread::sleep(Duration::from_millis(1)); // not for ordering: the pace of a slow peer
                }
            }
        });
        let large = vec![0x5a; 64 << 20];
        let start = Instant::now();
        conn.set_write_deadline(after(Duration::from_millis(100))).unwrap();
        let err = conn.write_all(&large).unwrap_err();
        let took = start.elapsed();
        assert!(is_timeout(&err), "{err}");
        assert!(took >= Duration::from_millis(100) && took < Duration::from_secs(5), "{took:?}");
        assert!(OpError::of(&err).unwrap().written > 0, "some of it has left");
        stop.store(true, SeqCst);
        drop(conn);
        gopark_net::blocking(|| reading.join()).unwrap();
    });
}

/// Hundreds of peers that send a byte now and then and never finish: all are sent away by the deadline of their
/// request, and a good client beside them does not notice.
#[test]
fn a_crowd_of_slow_peers_is_sent_away() {
    const SLOW: usize = 300;
    alone("a_crowd_of_slow_peers_is_sent_away", "", || {
        let ln = Arc::new(local_listener());
        let at = ln.local_addr().unwrap();
        let accepting = spawn({
            let ln = Arc::clone(&ln);
            move || {
                for conn in ln.incoming() {
                    match conn {
                        Ok(conn) => go(move || answer_a_line(&conn)),
                        Err(err) => {
                            assert!(is_closed(&err), "{err}");
                            return;
                        }
                    }
                }
            }
        });
        let slow: Vec<_> = (0..SLOW)
            .map(|_| {
                spawn(move || {
                    let conn = TcpConn::connect(at).unwrap();
                    let start = Instant::now();
                    // Fails when the server has closed.
                    while conn.write_all(b"x").is_ok() {
                        assert!(start.elapsed() < Duration::from_secs(20), "still served");
                        sleep(Duration::from_millis(10)); // not for ordering: the pace of a slow peer
                    }
                })
            })
            .collect();
        // On a busy machine even this one may be late once.
        let start = Instant::now();
        while good_exchange(at).ok().as_deref() != Some("HELLO\n") {
            assert!(start.elapsed() < Duration::from_secs(5), "a good client is not served");
        }
        slow.into_iter().for_each(join_soon);
        ln.close().unwrap();
        join_soon(accepting);
    });
}

fn good_exchange(at: std::net::SocketAddr) -> std::io::Result<String> {
    let conn = TcpConn::connect(at)?;
    conn.set_deadline(after(Duration::from_secs(5)))?;
    conn.write_all(b"hello\n")?;
    let mut back = String::new();
    BufReader::new(&conn).read_line(&mut back)?;
    Ok(back)
}

/// A request is a line, and has to be there in time.
fn answer_a_line(conn: &TcpConn) {
    conn.set_read_deadline(after(Duration::from_millis(200))).unwrap();
    let mut line = String::new();
    if BufReader::new(conn).read_line(&mut line).is_ok() {
        // A client that gave up hears nothing.
        let _ = conn.write_all(line.to_uppercase().as_bytes());
    }
}

/// The processor time that this process has used.
#[cfg(target_os = "linux")]
fn cpu_time(stat: &std::fs::File) -> Duration {
    use std::os::unix::fs::FileExt;
    let mut buf = [0; 1024];
    let n = stat.read_at(&mut buf, 0).unwrap();
    let stat = String::from_utf8_lossy(&buf[..n]).into_owned();
    // After the command's name, which is in brackets: user and system time are fields 14 and 15, in 1/100 s.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_ascii_whitespace().collect();
    Duration::from_millis((fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10)
}

/// Readers of silent peers and writers to deaf ones: nothing turns round while nothing happens.
#[cfg(target_os = "linux")]
#[test]
fn waiting_for_slow_peers_costs_nothing() {
    alone("waiting_for_slow_peers_costs_nothing", "", || {
        let (waiting, peers): (Vec<_>, Vec<_>) = (0..100).map(|_| narrow_pair()).unzip();
        let waiting: Vec<_> = waiting
            .into_iter()
            .enumerate()
            .map(|(n, conn)| {
                let full = vec![0x5a; if n % 2 == 0 { 1 << 20 } else { 0 }];
                spawn(move || {
                    if conn.write_all(&full).is_ok() {
                        let _ = conn.read(&mut [0; 8]);
                    }
                })
            })
            .collect();
        sleep(Duration::from_millis(100)); // not for ordering: until the buffers have filled
        let stat = std::fs::File::open("/proc/self/stat").unwrap();
        let (cpu, start) = (cpu_time(&stat), Instant::now());
        sleep(Duration::from_millis(400)); // not for ordering: the time in which a spinning loop would burn
        let (used, took) = (cpu_time(&stat) - cpu, start.elapsed());
        assert!(used < took / 8, "{used:?} of processor time in {took:?}");
        drop(peers);
        waiting.into_iter().for_each(join_soon);
    });
}
