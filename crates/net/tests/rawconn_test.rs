//! The descriptor below. Go: `net/rawconn_test.go`.

mod util;

use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use gopark_net::{OpError, TcpConn, raw_os_error, spawn};
use gopark_sys::Errno;
use socket2::SockRef;
use util::{
    A_WHILE, after, ago, assert_closed, assert_timeout, fill, join_soon, local_listener, narrow_pair, pair,
};

procs!();

/// What a call said; `None` is `EAGAIN`.
fn unless_again(result: io::Result<usize>) -> Option<io::Result<usize>> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => None,
        result => Some(result),
    }
}

fn raw_recv(fd: BorrowedFd<'_>, buf: &mut [u8]) -> Option<io::Result<usize>> {
    let mut place = [MaybeUninit::<u8>::uninit(); 64];
    let len = buf.len().min(place.len());
    let place = &mut place[..len];
    let n = unless_again(SockRef::from(&fd).peek(place))?;
    // Peeked and then read: socket2 gives uninitialized memory, and std reads into what is ours.
    Some(n.and_then(|n| io::Read::read(&mut &*SockRef::from(&fd), &mut buf[..n])))
}

fn raw_read(conn: &TcpConn, buf: &mut [u8]) -> io::Result<usize> {
    let mut read = Ok(0);
    conn.raw_conn().read(|fd| match raw_recv(fd, buf) {
        None => false,
        Some(result) => {
            read = result;
            true
        }
    })?;
    read
}

fn raw_write(conn: &TcpConn, data: &[u8]) -> io::Result<usize> {
    let mut written = Ok(0);
    conn.raw_conn().write(|fd| match unless_again((&*SockRef::from(&fd)).write(data)) {
        None => false,
        Some(result) => {
            written = result;
            true
        }
    })?;
    written
}

both! {
    // Go: net TestRawConnReadWrite/TCP
    fn test_raw_conn_read_write() {
        let (client, server) = pair();
        let echo = spawn(move || {
            let mut buf = [0; 64];
            let n = raw_read(&server, &mut buf).unwrap();
            assert_eq!(raw_write(&server, &buf[..n]).unwrap(), n);
            server
        });
        assert_eq!(raw_write(&client, b"HELLO-R-U-THERE").unwrap(), 15);
        let mut buf = [0; 64];
        let n = raw_read(&client, &mut buf).unwrap();
        assert_eq!(&buf[..n], b"HELLO-R-U-THERE");
        drop(join_soon(echo));
    }

    // Go: net TestRawConnReadWrite/Deadline
    fn test_raw_conn_deadline() {
        let (client, _server) = narrow_pair();
        let calls = AtomicU32::new(0);
        let never = |_: BorrowedFd<'_>| {
            calls.fetch_add(1, SeqCst);
            false
        };
        // In the past: the closure does not even run.
        client.set_deadline(ago(Duration::from_secs(1))).unwrap();
        assert_timeout(client.raw_conn().read(never));
        assert_timeout(client.raw_conn().write(never));
        assert_eq!(calls.load(SeqCst), 0);
        // Ahead: it runs, and waits, and the error names the operation and both ends.
        client.set_deadline(after(A_WHILE)).unwrap();
        let start = Instant::now();
        let err = client.raw_conn().read(never).unwrap_err();
        let (local, peer) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
        assert_eq!(err.to_string(), format!("raw-read tcp {local}->{peer}: i/o timeout"));
        assert!(start.elapsed() >= A_WHILE / 2 && calls.load(SeqCst) >= 1);
        client.set_deadline(None).unwrap();
        fill(&client);
        client.set_write_deadline(after(A_WHILE)).unwrap();
        let err = client.raw_conn().write(never).unwrap_err();
        assert_eq!(err.to_string(), format!("raw-write tcp {local}->{peer}: i/o timeout"));
        // The timeout for each call counts as well.
        client.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        assert_timeout(client.raw_conn().read(never));
    }

    // Go: net TestRawConnControl
    fn test_raw_conn_control() {
        let ln = local_listener();
        let client = TcpConn::connect(ln.local_addr().unwrap()).unwrap();
        let number = client.raw_conn().control(|fd| fd.as_raw_fd()).unwrap();
        assert_eq!(number, client.as_raw_fd());
        #[cfg(target_os = "linux")]
        assert!(ln.raw_conn().control(|fd| SockRef::from(&fd).is_listener()).unwrap().unwrap());
        client.close().unwrap();
        ln.close().unwrap();
        let err = client.raw_conn().control(|_| ()).unwrap_err();
        assert_eq!(OpError::of(&err).unwrap().op, "raw-control");
        assert_closed(Err::<(), _>(err));
        assert_closed(ln.raw_conn().control(|_| ()));
        assert_closed(client.raw_conn().read(|_| true));
        assert_closed(client.raw_conn().write(|_| true));
    }

    /// A listener's two that wait are refused, and the closure does not run (go-semantics 4.1).
    fn a_listener_has_nothing_to_read_or_write() {
        let ln = local_listener();
        for result in [ln.raw_conn().read(|_| panic!("it runs")), ln.raw_conn().write(|_| panic!("it runs"))] {
            assert_eq!(result.unwrap_err().raw_os_error(), Some(Errno::EINVAL.raw()));
        }
    }

    /// False is "not yet": the goroutine parks, an event calls the closure again; a close ends it.
    fn a_closure_that_returns_false_is_called_again_after_an_event() {
        let (client, server) = pair();
        let (client, calls) = (Arc::new(client), Arc::new(AtomicU32::new(0)));
        let reader = {
            let (client, calls) = (Arc::clone(&client), Arc::clone(&calls));
            spawn(move || {
                client.raw_conn().read(|fd| {
                    calls.fetch_add(1, SeqCst);
                    SockRef::from(&fd).peek(&mut [MaybeUninit::uninit()]).is_ok()
                })
            })
        };
        let reader = util::assert_blocked(reader);
        let before = calls.load(SeqCst);
        assert!(before >= 1, "it was tried first");
        server.write_all(b"x").unwrap();
        join_soon(reader).unwrap();
        assert!(calls.load(SeqCst) > before);
        // Nothing was taken.
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 1);
        let reader = {
            let client = Arc::clone(&client);
            spawn(move || client.raw_conn().read(|_| false))
        };
        let reader = util::assert_blocked(reader);
        client.close().unwrap();
        assert_closed(join_soon(reader));
    }

    /// What a closure reads leaves the connection's own reads right: the short-read hint is off from then on.
    fn reads_and_raw_reads_mix() {
        let (client, server) = pair();
        let mut buf = [0; 64];
        for round in 0..50_u8 {
            server.write_all(&[round; 3]).unwrap();
            assert_eq!(raw_read(&client, &mut buf[..2]).unwrap(), 2);
            assert_eq!(client.read(&mut buf).unwrap(), 1);
            assert_eq!(buf[0], round);
        }
        let err = raw_read_closed_by_peer(&client, server);
        assert_eq!(err.unwrap(), 0);
    }
}

fn raw_read_closed_by_peer(client: &TcpConn, server: TcpConn) -> io::Result<usize> {
    server.close()?;
    let n = raw_read(client, &mut [0; 8]);
    if let Err(e) = &n {
        assert_ne!(raw_os_error(e), Some(Errno::EAGAIN.raw()));
    }
    n
}
