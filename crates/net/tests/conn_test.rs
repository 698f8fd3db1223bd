//! What every stream connection must do, over TCP. Go: `golang.org/x/net/nettest`, `conntest.go`.
//!
//! Each test takes its connections as `Box<dyn Conn>`, so that another kind of connection can be put to the
//! same test.

mod util;

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gopark_net::{Conn, JoinHandle, spawn};
use util::{after, ago, assert_closed, assert_timeout, join_soon};

procs!();

type Pair = (Arc<dyn Conn>, Arc<dyn Conn>);

fn tcp() -> Pair {
    let (client, server) = util::pair();
    (Arc::new(client), Arc::new(server))
}

/// Deterministic noise.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

fn read_full(conn: &dyn Conn, buf: &mut [u8]) -> io::Result<()> {
    let mut conn = conn;
    Read::read_exact(&mut conn, buf)
}

/// Reads until it fails.
fn drain(conn: Arc<dyn Conn>) -> JoinHandle<io::Error> {
    spawn(move || {
        let mut buf = [0; 4096];
        loop {
            match conn.read(&mut buf) {
                Ok(0) => return io::ErrorKind::UnexpectedEof.into(),
                Ok(_) => {}
                Err(err) => return err,
            }
        }
    })
}

/// Writes until it fails.
fn flood(conn: Arc<dyn Conn>) -> JoinHandle<io::Error> {
    spawn(move || {
        let chunk = [0x55; 64 * 1024];
        loop {
            if let Err(err) = conn.write_all(&chunk) {
                return err;
            }
        }
    })
}

/// Sends a megabyte back and forth a few times: what a connection that was in trouble must be able to do again.
fn resynchronise(pair: &Pair) {
    let (a, b) = pair;
    for conn in [a, b] {
        conn.set_deadline(None).unwrap();
    }
    // Whatever was on its way is thrown away, up to a mark.
    let mark = noise(64);
    let reader = spawn({
        let (b, mark) = (Arc::clone(b), mark.clone());
        move || {
            let mut seen = Vec::new();
            let mut buf = [0; 4096];
            while !seen.ends_with(&mark) {
                let n = b.read(&mut buf).unwrap();
                assert_ne!(n, 0);
                seen.extend_from_slice(&buf[..n]);
            }
        }
    });
    a.write_all(&mark).unwrap();
    join_soon(reader);
    a.write_all(b"ping").unwrap();
    let mut buf = [0; 4];
    read_full(&**b, &mut buf).unwrap();
    b.write_all(&buf).unwrap();
    read_full(&**a, &mut buf).unwrap();
    assert_eq!(&buf, b"ping");
}

both! {
    /// A megabyte through both ends, unchanged.
    // Go: x/net/nettest testBasicIO
    fn test_basic_io() {
        let (a, b) = tcp();
        let want = noise(1 << 20);
        let write = spawn({
            let (a, want) = (Arc::clone(&a), want.clone());
            move || io::copy(&mut &want[..], &mut (&*a)).unwrap()
        });
        let echo = spawn(move || {
            let mut buf = vec![0; 1 << 20];
            read_full(&*b, &mut buf).unwrap();
            b.write_all(&buf).unwrap();
            b.close().unwrap();
        });
        let mut got = Vec::new();
        (&*a).read_to_end(&mut got).unwrap();
        assert!(got == want, "not what was sent");
        assert_eq!(join_soon(write), 1 << 20);
        join_soon(echo);
    }

    /// Two ends that take turns, with a counter that both check.
    // Go: x/net/nettest testPingPong
    fn test_ping_pong() {
        fn player(conn: Arc<dyn Conn>) -> JoinHandle<u64> {
            spawn(move || {
                let mut buf = [0; 8];
                let mut previous = 0;
                loop {
                    if read_full(&*conn, &mut buf).is_err() {
                        return previous;
                    }
                    let n = u64::from_le_bytes(buf);
                    assert!(previous == 0 || n == previous + 2, "{n} after {previous}");
                    previous = n;
                    if conn.write_all(&(n + 1).to_le_bytes()).is_err() || n >= 999 {
                        conn.close().unwrap();
                        return n;
                    }
                }
            })
        }
        let (a, b) = tcp();
        let (left, right) = (player(Arc::clone(&a)), player(b));
        a.write_all(&1_u64.to_le_bytes()).unwrap();
        let (left, right) = (join_soon(left), join_soon(right));
        assert!(left.max(right) >= 999, "{left} {right}");
    }

    /// Readers and writers on both ends, and another who moves the deadlines: nobody hangs, nothing breaks.
    // Go: x/net/nettest testRacyRead, testRacyWrite
    fn test_racy_deadlines() {
        let (a, b) = tcp();
        let echo = spawn({
            let b = Arc::clone(&b);
            move || {
                let mut buf = [0; 1024];
                while let Ok(n @ 1..) = b.read(&mut buf) {
                    if b.write_all(&buf[..n]).is_err() {
                        break;
                    }
                }
            }
        });
        let workers: Vec<_> = (0..10)
            .map(|i| {
                let a = Arc::clone(&a);
                spawn(move || {
                    let mut buf = [0; 1024];
                    for _ in 0..50 {
                        a.set_read_deadline(after(Duration::from_millis(1))).unwrap();
                        a.set_write_deadline(after(Duration::from_millis(1))).unwrap();
                        let result = if i % 2 == 0 { a.read(&mut buf) } else { a.write(&buf) };
                        if let Err(err) = result {
                            assert!(gopark_net::is_timeout(&err), "{err}");
                        }
                    }
                })
            })
            .collect();
        for worker in workers {
            join_soon(worker);
        }
        a.close().unwrap();
        b.close().unwrap();
        join_soon(echo);
    }

    /// The deadline of reads does not touch writes.
    // Go: x/net/nettest testReadTimeout
    fn test_read_timeout() {
        let (a, b) = tcp();
        let sink = drain(Arc::clone(&b));
        a.set_read_deadline(ago(Duration::from_secs(1))).unwrap();
        assert_timeout(a.read(&mut [0; 1024]));
        a.write_all(&[0; 1024]).unwrap();
        a.close().unwrap();
        assert_eq!(join_soon(sink).kind(), io::ErrorKind::UnexpectedEof);
    }

    /// The deadline of writes does not touch reads.
    // Go: x/net/nettest testWriteTimeout
    fn test_write_timeout() {
        let (a, b) = tcp();
        let source = spawn(move || b.write_all(&[7; 1024]));
        a.set_write_deadline(ago(Duration::from_secs(1))).unwrap();
        assert_timeout(a.write(&[0; 1024]));
        read_full(&*a, &mut [0; 1024]).unwrap();
        join_soon(source).unwrap();
    }

    /// Fails at once, and works again after.
    // Go: x/net/nettest testPastTimeout
    fn test_past_timeout() {
        let pair = tcp();
        let (a, b) = &pair;
        let echo = spawn({
            let b = Arc::clone(b);
            move || {
                let mut buf = [0; 1024];
                let n = b.read(&mut buf).unwrap();
                b.write_all(&buf[..n]).unwrap();
            }
        });
        a.set_deadline(ago(Duration::from_secs(1))).unwrap();
        let start = Instant::now();
        assert_timeout(a.write(&[0; 1024]));
        assert_timeout(a.read(&mut [0; 1024]));
        assert!(start.elapsed() < Duration::from_secs(5));
        a.set_deadline(None).unwrap();
        a.write_all(b"still there?").unwrap();
        assert_eq!(a.read(&mut [0; 64]).unwrap(), 12);
        join_soon(echo);
        resynchronise(&pair);
    }

    /// A deadline in the past stops those who wait.
    // Go: x/net/nettest testPresentTimeout
    fn test_present_timeout() {
        let pair = tcp();
        let (a, b) = &pair;
        let reader = drain(Arc::clone(a));
        let writer = flood(Arc::clone(a));
        // not for ordering: gives both the time to fill and to wait
        gopark_net::sleep(util::A_WHILE);
        a.set_read_deadline(ago(Duration::from_secs(1))).unwrap();
        a.set_write_deadline(ago(Duration::from_secs(1))).unwrap();
        assert_timeout::<()>(Err(join_soon(reader)));
        assert_timeout::<()>(Err(join_soon(writer)));
        // What the flood left is read, and then all is well.
        let sink = drain(Arc::clone(b));
        b.set_read_deadline(after(util::A_WHILE)).unwrap();
        assert_timeout::<()>(Err(join_soon(sink)));
        resynchronise(&pair);
    }

    /// A deadline ahead stops those who wait when it comes.
    // Go: x/net/nettest testFutureTimeout
    fn test_future_timeout() {
        let pair = tcp();
        let (a, b) = &pair;
        let start = Instant::now();
        a.set_deadline(Some(start + util::A_WHILE)).unwrap();
        let reader = drain(Arc::clone(a));
        let writer = flood(Arc::clone(a));
        assert_timeout::<()>(Err(join_soon(reader)));
        assert_timeout::<()>(Err(join_soon(writer)));
        assert!(start.elapsed() >= util::A_WHILE);
        let sink = drain(Arc::clone(b));
        b.set_read_deadline(after(util::A_WHILE)).unwrap();
        assert_timeout::<()>(Err(join_soon(sink)));
        resynchronise(&pair);
    }

    /// Our own close stops our own reads and writes.
    // Go: x/net/nettest testCloseTimeout
    fn test_close_timeout() {
        let (a, _b) = tcp();
        let reader = drain(Arc::clone(&a));
        let writer = flood(Arc::clone(&a));
        // not for ordering: gives both the time to fill and to wait
        gopark_net::sleep(util::A_WHILE);
        a.close().unwrap();
        assert_closed::<()>(Err(join_soon(reader)));
        assert_closed::<()>(Err(join_soon(writer)));
    }

    /// Every method from many goroutines at once.
    // Go: x/net/nettest testConcurrentMethods
    fn test_concurrent_methods() {
        let (a, b) = tcp();
        let workers: Vec<_> = (0..20)
            .map(|_| {
                let (a, b) = (Arc::clone(&a), Arc::clone(&b));
                spawn(move || {
                    for conn in [&a, &b] {
                        conn.set_read_deadline(after(Duration::from_millis(5))).unwrap();
                        conn.set_write_deadline(after(Duration::from_millis(5))).unwrap();
                        let _ = conn.write(b"x");
                        let _ = conn.read(&mut [0; 1]);
                        conn.set_deadline(after(Duration::from_millis(5))).unwrap();
                        let _ = (conn.local_addr(), conn.remote_addr());
                    }
                })
            })
            .collect();
        for worker in workers {
            join_soon(worker);
        }
        a.close().unwrap();
        b.close().unwrap();
    }
}
