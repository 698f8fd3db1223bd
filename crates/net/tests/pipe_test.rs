//! The connection in memory. Go: `net/pipe_test.go`; nettest's tests are in `nettest.rs`.

mod util;

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use gopark_net::context::Context;
use gopark_net::{
    Addr, ClosedPipeError, Conn, OpError, PipeConn, is_canceled, is_closed, is_timeout, pipe, spawn,
};
use util::{after, ago, assert_blocked, join_soon};

procs!();

/// A pipe for two goroutines.
fn shared() -> (Arc<PipeConn>, Arc<PipeConn>) {
    let (a, b) = pipe();
    (Arc::new(a), Arc::new(b))
}

fn closed_pipe(result: std::io::Result<usize>) -> ClosedPipeError {
    let err = result.unwrap_err();
    assert_eq!(err.to_string(), "io: read/write on closed pipe");
    *err.get_ref().unwrap().downcast_ref().unwrap()
}

both! {
    // Go: pipe_test.go TestPipeCloseError
    fn test_pipe_close_error() {
        let (c1, c2) = pipe();
        c1.close().unwrap();
        for result in [c1.read(&mut []), c1.write(&[]), c1.set_deadline(None).map(|()| 0)] {
            assert!(is_closed(result.as_ref().unwrap_err()));
            assert!(closed_pipe(result).here);
        }
        assert_eq!(c2.read(&mut []).unwrap(), 0);
        for result in [c2.write(&[]), c2.set_deadline(None).map(|()| 0)] {
            let err = result.as_ref().unwrap_err();
            assert!(!is_closed(err));
            assert_eq!(err.kind(), ErrorKind::BrokenPipe);
            assert!(!closed_pipe(result).here);
        }
        c1.close().unwrap();
    }

    fn a_write_returns_when_all_of_it_is_read() {
        let (a, b) = shared();
        let writer = spawn(move || a.write_all(b"hello, world").map(|()| a));
        let mut buf = [0; 5];
        assert_eq!(b.read(&mut buf).unwrap(), 5);
        assert_eq!(&buf, b"hello");
        let writer = assert_blocked(writer);
        let mut rest = [0; 64];
        assert_eq!(b.read(&mut rest).unwrap(), 7);
        assert_eq!(&rest[..7], b", world");
        let a = join_soon(writer).unwrap();
        drop(a);
        assert_eq!(b.read(&mut rest).unwrap(), 0);
    }

    fn a_write_of_nothing_meets_a_reader_who_does_not_notice() {
        let (a, b) = shared();
        let writer = assert_blocked(spawn(move || a.write_all(&[]).map(|()| a)));
        let reader = spawn(move || {
            let mut buf = [0; 8];
            let n = b.read(&mut buf).unwrap();
            buf[..n].to_vec()
        });
        let a = join_soon(writer).unwrap();
        let reader = assert_blocked(reader);
        assert_eq!(a.write(b"some").unwrap(), 4);
        assert_eq!(join_soon(reader), b"some");
    }

    fn writes_stay_together() {
        let (a, b) = shared();
        let writers: Vec<_> = (0..4u8)
            .map(|i| {
                let a = Arc::clone(&a);
                spawn(move || (0..50).for_each(|_| a.write_all(&[i; 1000]).unwrap()))
            })
            .collect();
        let mut all = vec![0; 4 * 50 * 1000];
        (&mut &*b).read_exact(&mut all).unwrap();
        for writer in writers {
            join_soon(writer);
        }
        for piece in all.chunks(1000) {
            assert!(piece.iter().all(|byte| *byte == piece[0]));
        }
    }

    fn readers_share_a_write() {
        let (a, b) = shared();
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let b = Arc::clone(&b);
                spawn(move || {
                    let mut sum = 0;
                    let mut buf = [0; 7];
                    loop {
                        match b.read(&mut buf).unwrap() {
                            0 => return sum,
                            n => sum += n,
                        }
                    }
                })
            })
            .collect();
        a.write_all(&[1; 10_000]).unwrap();
        a.close().unwrap();
        assert_eq!(readers.into_iter().map(join_soon).sum::<usize>(), 10_000);
    }

    fn a_deadline_ends_calls_and_says_how_much_was_read() {
        let (a, b) = shared();
        a.set_read_deadline(after(Duration::from_millis(20))).unwrap();
        let err = a.read(&mut [0]).unwrap_err();
        assert!(is_timeout(&err));
        assert_eq!(err.to_string(), "read pipe: i/o timeout");
        // The other direction does not care.
        let writer = spawn({
            let a = Arc::clone(&a);
            move || a.write_all(b"abcdef")
        });
        assert_eq!(b.read(&mut [0; 4]).unwrap(), 4);
        a.set_write_deadline(ago(Duration::from_secs(1))).unwrap();
        let err = join_soon(writer).unwrap_err();
        assert_eq!(err.to_string(), "write pipe: i/o timeout");
        assert_eq!(OpError::of(&err).unwrap().written, 4);
        // What was not read is gone with its writer, and both directions work again.
        a.set_deadline(None).unwrap();
        let writer = spawn({
            let a = Arc::clone(&a);
            move || a.write(b"gh")
        });
        let mut buf = [0; 4];
        assert_eq!(b.read(&mut buf).unwrap(), 2);
        assert_eq!(&buf[..2], b"gh");
        assert_eq!(join_soon(writer).unwrap(), 2);
    }

    fn a_write_that_was_read_in_part_returns_the_part() {
        let (a, b) = shared();
        let writer = spawn(move || (a.write(b"abcdef").unwrap(), a.write(b"g").unwrap_err().kind()));
        assert_eq!(b.read(&mut [0; 4]).unwrap(), 4);
        b.close().unwrap();
        assert_eq!(join_soon(writer), (4, ErrorKind::BrokenPipe));
    }

    fn a_write_all_that_was_read_in_part_says_so() {
        let (a, b) = shared();
        let writer = spawn(move || a.write_all(b"abcdef").map(|()| 6));
        assert_eq!(b.read(&mut [0; 4]).unwrap(), 4);
        b.close().unwrap();
        assert_eq!(closed_pipe(join_soon(writer)).written, 4);
    }

    fn close_ends_calls_in_progress() {
        let (a, b) = shared();
        let calls = [
            spawn({
                let a = Arc::clone(&a);
                move || a.read(&mut [0])
            }),
            spawn({
                let a = Arc::clone(&a);
                move || a.write(b"x")
            }),
        ];
        let calls = calls.map(assert_blocked);
        a.close().unwrap();
        for call in calls {
            assert!(closed_pipe(join_soon(call)).here);
        }
        assert_eq!(b.read(&mut [0]).unwrap(), 0);
    }

    fn a_context_ends_calls_and_is_taken_off() {
        let (a, b) = shared();
        let (ctx, cancel) = Context::background().with_cancel();
        let guard = a.attach_context(&ctx).unwrap();
        let reader = assert_blocked(spawn({
            let a = Arc::clone(&a);
            move || a.read(&mut [0])
        }));
        cancel.cancel();
        assert!(is_canceled(&join_soon(reader).unwrap_err()));
        // A context that is done already: at once.
        let second = a.attach_context(&ctx).unwrap();
        assert!(guard.detach().is_err());
        let err = a.write(b"x").unwrap_err();
        assert_eq!(err.to_string(), "write pipe: operation was canceled");
        drop(second);
        let writer = spawn(move || a.write(b"x"));
        assert_eq!(b.read(&mut [0]).unwrap(), 1);
        assert_eq!(join_soon(writer).unwrap(), 1);
    }

    fn it_is_a_conn() {
        let (a, b) = pipe();
        let (mut a, b): (Box<dyn Conn>, Box<dyn Conn>) = (Box::new(a), Box::new(b));
        assert_eq!((a.local_addr(), b.remote_addr().to_string()), (Addr::Pipe, "pipe".to_owned()));
        assert_eq!(format!("{:?}", &*b), "pipe:pipe->pipe");
        let echo = spawn(move || std::io::copy(&mut &*b, &mut &*b).map(|_| ()));
        Write::write_all(&mut a, b"ping").unwrap();
        let mut pong = [0; 4];
        a.read_exact(&mut pong).unwrap();
        assert_eq!(&pong, b"ping");
        drop(a);
        join_soon(echo).unwrap();
    }
}
