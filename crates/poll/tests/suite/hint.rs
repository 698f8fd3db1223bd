//! The short-read hint against everything that makes a short read prove nothing, over real sockets.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use gopark_poll::{Error, Fd, Mode};
use gopark_sys::Errno;
use socket2::SockRef;

use crate::setup;
use crate::util::*;

/// Reads until `n` bytes have come.
fn read_exactly(fd: &Fd, n: usize) -> Vec<u8> {
    let mut got = Vec::new();
    while got.len() < n {
        let mut buf = [0; 64];
        let k = fd.read(&mut buf).unwrap();
        assert!(k > 0, "the end after {got:?}");
        got.extend_from_slice(&buf[..k]);
    }
    got
}

#[test]
fn an_urgent_byte_splits_reads_and_nothing_hangs() {
    setup();
    bounded(|| {
        for round in 0..100 {
            let (a, mut far) = half_pair();
            let a = Arc::new(a);
            // A short read first, so that the hint is in force.
            far.write_all(b"hello").unwrap();
            assert_eq!(read_exactly(&a, 5), b"hello");
            let reader = (round % 2 == 0).then(|| {
                let a = a.clone();
                thread::spawn(move || read_exactly(&a, 6))
            });
            if reader.is_some() {
                until_parked(&a, Mode::Read);
            }
            far.write_all(b"abc").unwrap();
            SockRef::from(&far).send_out_of_band(b"!").unwrap();
            far.write_all(b"def").unwrap();
            // The urgent byte itself is not in the stream; the read stops before it, with more behind it.
            let got = reader.map_or_else(|| read_exactly(&a, 6), |r| r.join().unwrap());
            assert_eq!(got, b"abcdef");
            far.write_all(b"more").unwrap();
            assert_eq!(read_exactly(&a, 4), b"more");
        }
    });
}

#[test]
fn a_fin_that_comes_with_the_data_is_seen() {
    setup();
    bounded(|| {
        for round in 0..200 {
            let (a, mut far) = half_pair();
            let a = Arc::new(a);
            far.write_all(b"warm").unwrap();
            assert_eq!(read_exactly(&a, 4), b"warm");
            let reader = {
                let a = a.clone();
                thread::spawn(move || {
                    let mut buf = [0; 64];
                    let n = a.read(&mut buf).unwrap();
                    (n, a.read(&mut buf))
                })
            };
            if round % 2 == 0 {
                until_parked(&a, Mode::Read);
            }
            // Data and end in one segment as far as the reader can tell.
            SockRef::from(&far).set_tcp_nodelay(false).unwrap();
            far.write_all(b"last words").unwrap();
            drop(far);
            assert_eq!(reader.join().unwrap(), (10, Ok(0)));
        }
    });
}

#[test]
fn a_reset_is_seen_after_a_short_read() {
    setup();
    bounded(|| {
        for round in 0..50 {
            let (a, mut far) = half_pair();
            let a = Arc::new(a);
            far.write_all(b"warm").unwrap();
            assert_eq!(read_exactly(&a, 4), b"warm");
            let reader = {
                let a = a.clone();
                thread::spawn(move || a.read(&mut [0; 64]))
            };
            if round % 2 == 0 {
                until_parked(&a, Mode::Read);
            }
            SockRef::from(&far).set_linger(Some(Duration::ZERO)).unwrap();
            drop(far);
            assert_eq!(reader.join().unwrap(), Err(Error::Errno(Errno::ECONNRESET)));
            assert_eq!(a.read(&mut [0; 64]), Ok(0), "the error is reported once, by the system too");
        }
    });
}

#[test]
fn a_duplicate_that_reads_does_not_strand_the_rest() {
    setup();
    bounded(|| {
        for _ in 0..50 {
            let (a, mut far) = half_pair();
            far.write_all(b"warm").unwrap();
            assert_eq!(read_exactly(&a, 4), b"warm");
            let copy = TcpStream::from(a.dup().unwrap());
            far.write_all(b"12345678").unwrap();
            a.readable().unwrap();
            // The copy takes a part; there is no further event for the rest.
            let mut part = [0; 3];
            assert_eq!(std::io::Read::read(&mut &copy, &mut part).unwrap(), 3);
            assert_eq!(read_exactly(&a, 5), b"45678");
        }
    });
}

#[test]
fn peek_and_raw_reads_between_short_reads_strand_nothing() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let mut buf = [0; 64];
        for round in 0..200 {
            far.write_all(b"0123456789").unwrap();
            match round % 4 {
                0 => assert!(a.peek(&mut buf).unwrap() > 0),
                1 => a.readable().unwrap(),
                2 => {
                    a.readable().unwrap();
                    assert!(a.try_read(&mut buf[..3]).unwrap() == 3);
                    far.write_all(b"012").unwrap();
                }
                _ => {
                    let n = a.read_with(|fd| gopark_sys::rw::read(fd, &mut buf[..2])).unwrap();
                    far.write_all(&b"01"[..n]).unwrap();
                }
            }
            read_exactly(&a, 10);
        }
    });
}

/// A ping-pong, which is what the hint is for, with messages that fill the buffer and messages that do not.
#[test]
fn messages_of_all_sizes_arrive_with_the_hint_in_force() {
    setup();
    bounded(|| {
        let (a, b) = tcp_pair();
        let echo = thread::spawn(move || {
            let mut buf = [0; 64];
            loop {
                match b.read(&mut buf).unwrap() {
                    0 => return,
                    n => assert_eq!(b.write_all(&buf[..n]), Ok(n)),
                }
            }
        });
        for round in 0..600 {
            let len = 1 + round % 150;
            let message: Vec<u8> = (0..len).map(|i| (i + round) as u8).collect();
            a.write_all(&message).unwrap();
            assert_eq!(read_exactly(&a, len), message);
        }
        a.close().unwrap();
        echo.join().unwrap();
    });
}

/// A Unix stream ends a read at passed descriptors, with data left and no event to come; it has no hint.
#[test]
fn a_unix_stream_never_skips_a_read() {
    setup();
    bounded(|| {
        let (a, b) = unix_pair();
        b.write_all(b"warm").unwrap();
        assert_eq!(read_exactly(&a, 4), b"warm");
        b.write_all(b"ab").unwrap();
        a.readable().unwrap();
        assert_eq!(a.try_read(&mut [0; 1]), Ok(1));
        assert_eq!(read_exactly(&a, 1), b"b");
    });
}
