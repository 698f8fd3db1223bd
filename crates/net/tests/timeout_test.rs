//! Deadlines on everything. Go: `net/timeout_test.go`.

mod util;

use std::sync::Arc;
use std::time::{Duration, Instant};

use gopark_net::{Dialer, dial_timeout, go, is_timeout, sleep, spawn};
use util::{
    BlackHole, after, ago, assert_blocked, assert_closed, assert_timeout, fill, join_soon, local_listener,
    narrow_pair, pair,
};

const MS: Duration = Duration::from_millis(1);
const SEC: Duration = Duration::from_secs(1);

procs!();

both! {
    /// Timeouts and deadlines, passed or short, end in a timeout, and not before their time.
    // Go: net TestDialTimeout
    fn test_dial_timeout() {
        let hole = BlackHole::new();
        let at = hole.addr();
        let dialer = Dialer::new;
        let now = Instant::now();
        let soon = now + 10 * MS;
        let passed = now - 5 * SEC;
        for (dialer, least) in [
            (dialer().timeout(Duration::ZERO), Duration::ZERO),
            (dialer().timeout(10 * MS), 10 * MS),
            (dialer().deadline(passed), Duration::ZERO),
            (dialer().deadline(soon), Duration::ZERO),
            (dialer().timeout(Duration::ZERO).deadline(passed), Duration::ZERO),
            (dialer().timeout(10 * MS).deadline(now + 20 * SEC), 10 * MS),
            (dialer().timeout(20 * SEC).deadline(passed), Duration::ZERO),
            (dialer().timeout(20 * SEC).deadline(soon), Duration::ZERO),
        ] {
            let start = Instant::now();
            let err = dialer.dial("tcp", &at).err().unwrap_or_else(|| panic!("{dialer:?}: connected"));
            let took = start.elapsed();
            assert_eq!(err.to_string(), format!("dial tcp {at}: i/o timeout"));
            assert!(is_timeout(&err), "{dialer:?}: {err}");
            assert!(took >= least && took < 5 * SEC, "{dialer:?}: took {took:?}");
        }
        assert_timeout(dial_timeout("tcp", &at, MS));
    }

    // Go: net TestDialTimeoutMaxDuration
    fn test_dial_timeout_max_duration() {
        let ln = local_listener();
        let at = ln.addr().to_string();
        for dialer in [
            Dialer::new().timeout(Duration::MAX),
            Dialer::new().timeout(Duration::from_nanos(i64::MAX as u64)),
            Dialer::new().timeout(Duration::from_secs(u32::MAX.into())),
            Dialer::new().timeout(Duration::MAX).deadline(Instant::now() + 60 * SEC),
        ] {
            dialer.dial("tcp", &at).unwrap_or_else(|err| panic!("{dialer:?}: {err}"));
        }
    }

    /// A deadline in the past fails an accept even with a connection in the queue.
    // Go: net TestAcceptTimeout
    fn test_accept_timeout() {
        for (deadline, first) in [(ago(5 * SEC), true), (after(50 * MS), false)] {
            let ln = local_listener();
            let _queued = first.then(|| gopark_net::TcpConn::connect(ln.local_addr().unwrap()).unwrap());
            ln.set_deadline(deadline).unwrap();
            for _ in 0..2 {
                let err = ln.accept().unwrap_err();
                assert_eq!(err.to_string(), format!("accept tcp {}: i/o timeout", ln.addr()));
                assert!(is_timeout(&err));
            }
            // Nothing latches.
            ln.set_deadline(None).unwrap();
            if first {
                ln.accept().unwrap();
            }
        }
    }

    // Go: net TestAcceptTimeoutMustReturn
    fn test_accept_timeout_must_return() {
        let ln = local_listener();
        ln.set_deadline(None).unwrap();
        ln.set_deadline(after(10 * MS)).unwrap();
        let start = Instant::now();
        assert_timeout(ln.accept());
        assert!(start.elapsed() < 5 * SEC);
    }

    // Go: net TestAcceptTimeoutMustNotReturn
    fn test_accept_timeout_must_not_return() {
        let ln = Arc::new(local_listener());
        ln.set_deadline(ago(5 * SEC)).unwrap();
        ln.set_deadline(None).unwrap();
        let accept = spawn({
            let ln = Arc::clone(&ln);
            move || ln.accept().map(drop)
        });
        let accept = assert_blocked(accept);
        ln.close().unwrap();
        assert_closed(join_soon(accept));
    }

    /// A deadline in the past fails a read although there is data; one ahead lets the data through first.
    // Go: net TestReadTimeout
    fn test_read_timeout() {
        let (client, server) = pair();
        server.write_all(b"READ TIMEOUT TEST").unwrap();
        client.readable().unwrap();
        let mut buf = [0; 256];

        client.set_read_deadline(ago(5 * SEC)).unwrap();
        for _ in 0..2 {
            assert_timeout(client.read(&mut buf));
        }
        client.set_read_deadline(after(50 * MS)).unwrap();
        assert_eq!(client.read(&mut buf).unwrap(), 17);
        for _ in 0..2 {
            assert_timeout(client.read(&mut buf));
        }
    }

    // Go: net TestReadTimeoutMustNotReturn
    fn test_read_timeout_must_not_return() {
        let (client, server) = pair();
        let client = Arc::new(client);
        client.set_deadline(ago(5 * SEC)).unwrap();
        client.set_write_deadline(ago(5 * SEC)).unwrap();
        client.set_read_deadline(None).unwrap();
        let read = spawn({
            let client = Arc::clone(&client);
            move || client.read(&mut [0])
        });
        let read = assert_blocked(read);
        server.close().unwrap();
        assert_eq!(join_soon(read).unwrap(), 0);
    }

    // Go: net TestReadTimeoutFluctuation
    fn test_read_timeout_fluctuation() {
        let (client, _server) = pair();
        let mut late = 0;
        for round in 0..10 {
            let timeout = (round + 1) * 5 * MS;
            let start = Instant::now();
            client.set_read_deadline(after(timeout)).unwrap();
            assert_timeout(client.read(&mut [0; 256]));
            let took = start.elapsed();
            assert!(took + MS >= timeout, "round {round}: {took:?}");
            late += usize::from(took > timeout + 100 * MS);
        }
        assert!(late <= 2, "{late} of 10 were late by more than 100 ms");
    }

    /// A deadline in the past fails a write although there is room.
    // Go: net TestWriteTimeout
    fn test_write_timeout() {
        let (client, _server) = pair();
        client.set_write_deadline(ago(5 * SEC)).unwrap();
        for _ in 0..2 {
            assert_timeout(client.write(b"WRITE TIMEOUT TEST"));
            assert_timeout(client.write_all(b"WRITE TIMEOUT TEST"));
        }
        client.set_write_deadline(after(50 * MS)).unwrap();
        let chunk = [0; 64 * 1024];
        let err = loop {
            if let Err(err) = client.write_all(&chunk) {
                break err;
            }
        };
        assert!(is_timeout(&err), "{err}");
        for _ in 0..2 {
            assert_timeout(client.write(b"x"));
        }
    }

    // Go: net TestWriteTimeoutMustNotReturn
    fn test_write_timeout_must_not_return() {
        let (client, server) = narrow_pair();
        let client = Arc::new(client);
        client.set_deadline(ago(5 * SEC)).unwrap();
        client.set_read_deadline(ago(5 * SEC)).unwrap();
        client.set_write_deadline(None).unwrap();
        fill(&client);
        let write = spawn({
            let client = Arc::clone(&client);
            move || client.write_all(&vec![0; 16 << 20])
        });
        let write = assert_blocked(write);
        server.set_linger(Some(Duration::ZERO)).unwrap();
        server.close().unwrap();
        let err = join_soon(write).unwrap_err();
        assert!(!is_timeout(&err), "{err}");
    }

    // Go: net TestWriteTimeoutFluctuation
    fn test_write_timeout_fluctuation() {
        let (client, _server) = narrow_pair();
        fill(&client);
        for round in 0..10 {
            let timeout = (round + 1) * 5 * MS;
            let start = Instant::now();
            client.set_write_deadline(after(timeout)).unwrap();
            let err = client.write_all(&vec![0; 4 << 20]).unwrap_err();
            assert!(is_timeout(&err), "{err}");
            assert!(start.elapsed() + MS >= timeout, "round {round}");
        }
    }

    /// From a nanosecond to a second: the peer sends without end, and reading ends in a timeout all the same.
    // Go: net TestVariousDeadlines, TestVariousDeadlines1Proc, TestVariousDeadlines4Proc
    fn test_various_deadlines() {
        let ln = Arc::new(local_listener());
        let server = spawn({
            let ln = Arc::clone(&ln);
            move || {
                while let Ok((conn, _)) = ln.accept() {
                    go(move || {
                        let chunk = [0x61; 16 * 1024];
                        while conn.write_all(&chunk).is_ok() {}
                    });
                }
            }
        });
        for timeout in [
            Duration::from_nanos(1),
            Duration::from_nanos(100),
            Duration::from_micros(1),
            Duration::from_micros(50),
            Duration::from_micros(200),
            Duration::from_micros(700),
            MS,
            2 * MS,
            5 * MS,
            15 * MS,
            50 * MS,
            150 * MS,
        ] {
            for run in 0..2 {
                let conn = Dialer::new().dial_tcp("tcp", &ln.addr().to_string()).unwrap();
                let start = Instant::now();
                conn.set_deadline(Some(start + timeout)).unwrap();
                let mut buf = vec![0; 64 * 1024];
                let err = loop {
                    if let Err(err) = conn.read(&mut buf) {
                        break err;
                    }
                };
                let took = start.elapsed();
                assert!(is_timeout(&err), "{timeout:?}, run {run}: {err}");
                assert!(took >= timeout, "{timeout:?}, run {run}: after {took:?}");
                assert!(took < timeout + 5 * SEC, "{timeout:?}, run {run}: after {took:?}");
            }
        }
        ln.close().unwrap();
        join_soon(server);
    }

    /// Reader and writer of one connection set their deadlines all the time.
    // Go: net TestReadWriteProlongedTimeout
    fn test_read_write_prolonged_timeout() {
        let (client, server) = pair();
        let (client, server) = (Arc::new(client), Arc::new(server));
        let reader = spawn({
            let server = Arc::clone(&server);
            move || {
                let mut buf = [0; 1];
                let mut total = 0;
                loop {
                    server.set_read_deadline(after(5 * SEC)).unwrap();
                    match server.read(&mut buf).unwrap() {
                        0 => return total,
                        n => total += n,
                    }
                }
            }
        });
        let writer = spawn({
            let server = Arc::clone(&server);
            move || {
                for _ in 0..1000 {
                    server.set_write_deadline(after(5 * SEC)).unwrap();
                    server.write_all(b"S").unwrap();
                }
            }
        });
        let drain = spawn({
            let client = Arc::clone(&client);
            move || {
                let mut buf = [0; 512];
                let mut total = 0;
                while total < 1000 {
                    total += client.read(&mut buf).unwrap();
                }
            }
        });
        for _ in 0..1000 {
            client.write_all(b"C").unwrap();
        }
        client.close_write().unwrap();
        assert_eq!(join_soon(reader), 1000);
        join_soon(writer);
        join_soon(drain);
    }

    /// Setting a deadline while another goroutine waits: later does not wake it, earlier does.
    fn a_deadline_moves_under_a_waiting_reader() {
        let (client, _server) = pair();
        let client = Arc::new(client);
        client.set_read_deadline(after(60 * MS)).unwrap();
        let read = spawn({
            let client = Arc::clone(&client);
            move || client.read(&mut [0])
        });
        client.set_read_deadline(after(60 * SEC)).unwrap();
        let read = assert_blocked(read);
        client.set_read_deadline(after(20 * MS)).unwrap();
        assert_timeout(join_soon(read));
    }

    /// Hours in the past is not another case than a moment in the past: nothing wraps around.
    fn a_deadline_hours_in_the_past_has_passed() {
        let (client, server) = pair();
        let hours_ago = Instant::now()
            .checked_sub(Duration::from_secs(4 * 3600))
            // The clock may have started later than that; then the earliest time there is.
            .or_else(|| (0..4 * 3600).rev().find_map(|s| Instant::now().checked_sub(Duration::from_secs(s))));
        let client = Arc::new(client);
        let read = spawn({
            let client = Arc::clone(&client);
            move || client.read(&mut [0])
        });
        let read = assert_blocked(read);
        client.set_deadline(hours_ago).unwrap();
        assert_timeout(join_soon(read));
        assert_timeout(client.write(b"x"));
        client.set_deadline(None).unwrap();
        server.write_all(b"y").unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 1);

        let ln = local_listener();
        ln.set_deadline(hours_ago).unwrap();
        assert_timeout(ln.accept());
        let long_ago = Dialer::new().deadline(hours_ago.unwrap());
        assert_timeout(long_ago.dial("tcp", &ln.addr().to_string()));
    }

    /// The deadline of a dial is gone once it has succeeded: the connection is not poisoned.
    // Go: net TestCancelAfterDial, with a deadline for the context
    fn test_cancel_after_dial() {
        let ln = local_listener();
        for _ in 0..10 {
            let conn = Dialer::new().timeout(50 * MS).dial_tcp("tcp", &ln.addr().to_string()).unwrap();
            let (peer, _) = ln.accept().unwrap();
            sleep(60 * MS); // not for ordering: past the deadline of the dial
            conn.write_all(b"still there").unwrap();
            peer.write_all(b"me too").unwrap();
            assert_eq!(conn.read(&mut [0; 64]).unwrap(), 6);
        }
    }

    /// The time is up while the connection is being made.
    // Go: net TestDialCancel, with a deadline for the channel
    fn test_dial_cancel() {
        let hole = BlackHole::new();
        let start = Instant::now();
        assert_timeout(Dialer::new().deadline(start + 50 * MS).dial("tcp", &hole.addr()));
        let took = start.elapsed();
        assert!(took >= 50 * MS && took < 5 * SEC, "{took:?}");
    }
}
