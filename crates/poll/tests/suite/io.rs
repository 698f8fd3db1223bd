//! Reading, writing, accepting and connecting over real sockets.

use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use gopark_poll::{Error, Fd, FdKind, Mode};
use gopark_sys::{Errno, sock};

use crate::setup;
use crate::util::*;

const EAGAIN: Error = Error::Errno(Errno::EAGAIN);

#[test]
fn what_is_written_is_read_in_both_directions() {
    setup();
    bounded(|| {
        let (a, b) = tcp_pair();
        let mut buf = [0; 16];
        for _ in 0..100 {
            assert_eq!(a.write_all(b"ping"), Ok(4));
            assert_eq!(b.read(&mut buf), Ok(4));
            assert_eq!(&buf[..4], b"ping");
            assert_eq!(b.write_all(b"pong!"), Ok(5));
            assert_eq!(a.read(&mut buf), Ok(5));
            assert_eq!(&buf[..5], b"pong!");
        }
    });
}

#[test]
fn a_reader_waits_for_its_data() {
    setup();
    bounded(|| {
        let (a, b) = tcp_pair();
        let a = Arc::new(a);
        for round in 0..50_u8 {
            let reader = {
                let a = a.clone();
                thread::spawn(move || {
                    let mut buf = [0; 8];
                    a.read(&mut buf).map(|n| buf[..n].to_vec())
                })
            };
            if round % 2 == 0 {
                until_parked(&a, Mode::Read);
            }
            b.write_all(&[round]).unwrap();
            assert_eq!(reader.join().unwrap(), Ok(vec![round]));
        }
    });
}

#[test]
fn the_end_is_zero_and_stays_zero() {
    setup();
    bounded(|| {
        let (a, b) = tcp_pair();
        b.write_all(b"last").unwrap();
        drop(b);
        let mut buf = [0; 16];
        assert_eq!(a.read(&mut buf), Ok(4));
        for _ in 0..3 {
            assert_eq!(a.read(&mut buf), Ok(0));
        }
    });
}

#[test]
fn an_empty_read_returns_at_once_but_not_on_a_closed_descriptor() {
    setup();
    bounded(|| {
        let (a, _b) = tcp_pair();
        assert_eq!(a.read(&mut []), Ok(0));
        a.set_read_deadline(past()).unwrap();
        assert_eq!(a.read(&mut []), Ok(0), "whatever the deadline");
        assert_eq!(a.readv(&mut [IoSliceMut::new(&mut [])]), Ok(0));
        a.close().unwrap();
        assert_eq!(a.read(&mut []), Err(Error::NetClosing));
    });
}

// Go: internal/poll TestEOFError
#[test]
fn test_eof_error() {
    assert!(FdKind::TCP.is_eof(0));
    assert!(FdKind::STREAM.is_eof(0));
    assert!(FdKind::SEQPACKET.is_eof(0));
    assert!(FdKind::FILE.is_eof(0));
    assert!(!FdKind::DATAGRAM.is_eof(0), "an empty datagram");
    for kind in [FdKind::TCP, FdKind::STREAM, FdKind::SEQPACKET, FdKind::FILE, FdKind::DATAGRAM] {
        assert!(!kind.is_eof(1));
    }
}

#[test]
fn write_all_waits_for_a_slow_reader_and_writes_everything() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let data: Vec<u8> = (0..8 << 20).map(|i: u32| (i % 251) as u8).collect();
        let expected = data.clone();
        let writer = thread::spawn(move || {
            let done = a.write_all(&data);
            a.close().unwrap();
            done
        });
        let mut got = Vec::new();
        far.read_to_end(&mut got).unwrap();
        assert!(got == expected);
        assert_eq!(writer.join().unwrap(), Ok(expected.len()));
    });
}

#[test]
fn concurrent_writers_never_interleave() {
    setup();
    bounded(|| {
        const PIECE: usize = 1 << 20;
        let (a, mut far) = half_pair();
        let a = Arc::new(a);
        let writers: Vec<_> = (1..=4_u8)
            .map(|i| {
                let a = a.clone();
                thread::spawn(move || a.write_all(&vec![i; PIECE]))
            })
            .collect();
        let mut got = vec![0; 4 * PIECE];
        far.read_exact(&mut got).unwrap();
        for piece in got.chunks(PIECE) {
            assert!(piece.iter().all(|b| *b == piece[0]), "two writers' bytes are mixed");
        }
        for w in writers {
            assert_eq!(w.join().unwrap(), Ok(PIECE));
        }
    });
}

#[test]
fn a_write_that_fails_says_how_much_was_written() {
    setup();
    bounded(|| {
        let (a, far) = half_pair();
        let a = Arc::new(a);
        const LEN: usize = 64 << 20;
        let writer = {
            let a = a.clone();
            thread::spawn(move || a.write_all(&vec![7; LEN]))
        };
        until_parked(&a, Mode::Write);
        a.set_write_deadline(past()).unwrap();
        let (n, err) = writer.join().unwrap().unwrap_err();
        assert_eq!(err, Error::DeadlineExceeded);
        assert!(0 < n && n < LEN);
        a.close().unwrap();
        // And that is what arrives.
        let mut got = Vec::new();
        let mut far = far;
        far.read_to_end(&mut got).unwrap();
        assert_eq!(got.len(), n);
    });
}

#[test]
fn write_sends_one_chunk_and_try_write_says_when_there_is_no_room() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        assert_eq!(a.write(b"abc"), Ok(3));
        assert_eq!(a.write(b""), Ok(0));
        let filled = fill(&a);
        assert!(filled > 0);
        assert_eq!(a.try_write(b"x"), Err(EAGAIN));
        let writer = thread::spawn(move || {
            a.writable().unwrap();
            let n = a.write(&[1; 1000]).unwrap();
            a.close().unwrap();
            n
        });
        let mut got = Vec::new();
        far.read_to_end(&mut got).unwrap();
        assert_eq!(got.len(), 3 + filled + writer.join().unwrap());
    });
}

// Go: internal/poll TestConsume
#[test]
fn test_consume() {
    setup();
    bounded(|| {
        // A socket that takes little at a time, so that calls end in the middle of buffers, at their ends,
        // and among empty ones.
        let (a, mut far) = half_pair();
        a.control(|fd| socket2::SockRef::from(&fd.as_fd()).set_send_buffer_size(4096)).unwrap().unwrap();
        let chunks: Vec<Vec<u8>> = (0..900_usize).map(|i| vec![i as u8; (i * i) % 3001]).collect();
        let expected = chunks.concat();
        let (len, all) = (expected.len(), chunks.clone());
        let writer = thread::spawn(move || {
            let mut bufs: Vec<_> = all.iter().map(|c| IoSlice::new(c)).collect();
            let done = a.write_vectored_all(&mut bufs);
            (done, a)
        });
        let mut got = vec![0; len];
        far.read_exact(&mut got).unwrap();
        assert!(got == expected);
        let (done, a) = writer.join().unwrap();
        assert_eq!(done, Ok(len));

        // And when it fails the count is what has left.
        let writer = thread::spawn(move || {
            let mut bufs: Vec<_> = chunks.iter().cycle().take(50_000).map(|c| IoSlice::new(c)).collect();
            let done = a.write_vectored_all(&mut bufs);
            a.close().unwrap();
            done
        });
        far.read_exact(&mut got[..1000]).unwrap();
        drop(far);
        let (n, err) = writer.join().unwrap().unwrap_err();
        assert!(n >= 1000);
        assert!(matches!(err, Error::Errno(Errno::EPIPE | Errno::ECONNRESET)), "{err}");
    });
}

// Go: net TestBuffers_consume
#[test]
fn vectored_writes_skip_what_is_empty() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let mut bufs = [
            IoSlice::new(b""),
            IoSlice::new(b"ab"),
            IoSlice::new(b""),
            IoSlice::new(b"c"),
            IoSlice::new(b""),
        ];
        assert_eq!(a.write_vectored(&bufs), Ok(3));
        assert_eq!(a.write_vectored_all(&mut bufs), Ok(3));
        assert_eq!(a.write_vectored_all(&mut []), Ok(0));
        assert_eq!(a.write_vectored_all(&mut [IoSlice::new(b"")]), Ok(0));
        assert_eq!(a.write_vectored(&[IoSlice::new(b"")]), Ok(0));
        a.close().unwrap();
        let mut got = Vec::new();
        far.read_to_end(&mut got).unwrap();
        assert_eq!(got, b"abcabc");
    });
}

// Go: net TestBuffers_WriteTo
#[test]
fn more_buffers_than_one_call_takes_are_all_written() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let chunks: Vec<Vec<u8>> = (0..5_000_usize).map(|i| vec![i as u8; i % 700]).collect();
        let expected = chunks.concat();
        let len = expected.len();
        let writer = thread::spawn(move || {
            let mut bufs: Vec<_> = chunks.iter().map(|c| IoSlice::new(c)).collect();
            let done = a.write_vectored_all(&mut bufs);
            a.close().unwrap();
            done
        });
        let mut got = Vec::new();
        far.read_to_end(&mut got).unwrap();
        assert!(got == expected);
        assert_eq!(writer.join().unwrap(), Ok(len));
    });
}

#[test]
fn readv_fills_several_buffers() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        far.write_all(b"hello world").unwrap();
        let (mut x, mut y) = ([0; 6], [0; 16]);
        assert_eq!(a.readv(&mut [IoSliceMut::new(&mut x), IoSliceMut::new(&mut y)]), Ok(11));
        assert_eq!((&x[..], &y[..5]), (&b"hello "[..], &b"world"[..]));
    });
}

#[test]
fn peek_leaves_what_it_sees() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let mut buf = [0; 8];
        for _ in 0..3 {
            far.write_all(b"peekaboo").unwrap();
            assert_eq!(a.peek(&mut buf[..4]), Ok(4));
            assert_eq!(a.peek(&mut buf[..4]), Ok(4));
            assert_eq!(a.read(&mut buf[..3]), Ok(3));
            assert_eq!(a.peek(&mut buf[..1]), Ok(1));
            assert_eq!(a.read(&mut buf), Ok(5));
            assert_eq!(&buf[..5], b"kaboo");
        }
        assert_eq!(a.peek(&mut []), Ok(0));
    });
}

#[test]
fn try_read_says_that_there_is_nothing_and_never_waits() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let mut buf = [0; 8];
        assert_eq!(a.try_read(&mut buf), Err(EAGAIN));
        far.write_all(b"x").unwrap();
        a.readable().unwrap();
        assert_eq!(a.try_read(&mut buf), Ok(1));
        assert_eq!(a.try_read(&mut buf), Err(EAGAIN));
        a.set_read_deadline(past()).unwrap();
        assert_eq!(a.try_read(&mut buf), Err(Error::DeadlineExceeded));
        a.set_read_deadline(None).unwrap();
        drop(far);
        a.readable().unwrap();
        assert_eq!(a.try_read(&mut buf), Ok(0));
    });
}

#[test]
fn try_read_does_not_wait_for_a_reader_either() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let a = Arc::new(a);
        let reader = {
            let a = a.clone();
            thread::spawn(move || a.read(&mut [0; 1]))
        };
        until_parked(&a, Mode::Read);
        assert_eq!(a.try_read(&mut [0; 1]), Err(EAGAIN));
        far.write_all(b"x").unwrap();
        assert_eq!(reader.join().unwrap(), Ok(1));
    });
}

/// Readable, with the mark of readiness in every state in which an earlier operation can have left it.
#[test]
fn readable_sees_data_that_an_earlier_read_left() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let mut buf = [0; 4];
        far.write_all(b"0123456789").unwrap();
        assert_eq!(a.read(&mut buf), Ok(4));
        a.readable().unwrap();
        a.readable().unwrap();
        assert_eq!(a.try_read(&mut buf), Ok(4));
        a.readable().unwrap();
        assert_eq!(a.read(&mut buf), Ok(2));
        for _ in 0..20 {
            far.write_all(b"ab").unwrap();
            a.readable().unwrap();
            assert_eq!(a.try_read(&mut buf[..1]), Ok(1));
            a.readable().unwrap();
            assert_eq!(a.read(&mut buf), Ok(1));
        }
    });
}

#[test]
fn accept_waits_and_retries_what_was_aborted() {
    setup();
    bounded(|| {
        let (ln, addr) = listener();
        let ln = Arc::new(ln);
        let accepter = {
            let ln = ln.clone();
            thread::spawn(move || ln.accept())
        };
        until_parked(&ln, Mode::Read);
        let near = TcpStream::connect(addr).unwrap();
        let (_, peer) = accepter.join().unwrap().unwrap();
        assert_eq!(peer, near.local_addr().unwrap());
    });
}

#[test]
fn connect_reports_success_and_refusal() {
    setup();
    bounded(|| {
        let (ln, addr) = listener();
        let fd = registered(sock::tcp_socket(&addr).unwrap(), FdKind::TCP);
        fd.connect(&addr).unwrap();
        let (far, _) = ln.accept().unwrap();
        let far = registered(far, FdKind::TCP);
        fd.write_all(b"hi").unwrap();
        assert_eq!(far.read(&mut [0; 8]), Ok(2));

        let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let fd = registered(sock::tcp_socket(&unused).unwrap(), FdKind::TCP);
        assert_eq!(fd.connect(&unused), Err(Error::Errno(Errno::ECONNREFUSED)));
    });
}

/// Go: golang/go#14548, #19289: a wake-up proves nothing.
#[test]
fn a_deadline_ends_a_connect() {
    setup();
    bounded(|| {
        // Nobody accepts from a full backlog, so the handshake does not end.
        let (ln, addr) = listener();
        ln.control(|fd| sock::listen(fd, 0)).unwrap().unwrap();
        let mut last = Ok(());
        let mut kept = Vec::new();
        for _ in 0..8 {
            let fd = registered(sock::tcp_socket(&addr).unwrap(), FdKind::TCP);
            fd.set_write_deadline(after(Duration::from_millis(30))).unwrap();
            last = fd.connect(&addr);
            kept.push(fd);
            if last.is_err() {
                break;
            }
        }
        assert_eq!(last, Err(Error::DeadlineExceeded));
    });
}

#[test]
fn datagrams_keep_their_bounds_and_may_be_empty() {
    setup();
    bounded(|| {
        let far = UdpSocket::bind("127.0.0.1:0").unwrap();
        let near = UdpSocket::bind("127.0.0.1:0").unwrap();
        near.set_nonblocking(true).unwrap();
        near.connect(far.local_addr().unwrap()).unwrap();
        let to: SocketAddr = near.local_addr().unwrap();
        let fd = registered(near, FdKind::DATAGRAM);
        for payload in [&b"one"[..], b"", b"three"] {
            far.send_to(payload, to).unwrap();
            let mut buf = [0; 16];
            let n = fd.read(&mut buf).unwrap();
            assert_eq!(&buf[..n], payload);
        }
        assert_eq!(fd.write(b""), Ok(0));
        let mut buf = [0; 16];
        assert_eq!(far.recv(&mut buf).unwrap(), 0);
    });
}

/// Such a socket is not registered for writing until somebody waits; he is woken all the same, and so is the next.
#[test]
fn a_writer_of_datagrams_waits_for_room() {
    setup();
    bounded(|| {
        let (near, far) = UnixDatagram::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let fd = Arc::new(registered(near, FdKind::DATAGRAM));
        for round in 0..3 {
            let mut sent = 0;
            while fd.try_write(b"full") == Ok(4) {
                sent += 1;
            }
            let writer = {
                let fd = fd.clone();
                thread::spawn(move || fd.write(b"more!"))
            };
            until_parked(&fd, Mode::Write);
            let mut buf = [0; 16];
            for _ in 0..sent {
                assert_eq!(far.recv(&mut buf).unwrap(), 4, "round {round}");
            }
            assert_eq!(writer.join().unwrap(), Ok(5));
            assert_eq!(far.recv(&mut buf).unwrap(), 5);
        }
        // A deadline ends such a wait, on a socket that has never waited too.
        let (near, _far) = UnixDatagram::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let fd = registered(near, FdKind::DATAGRAM);
        while fd.try_write(b"full") == Ok(4) {}
        fd.set_write_deadline(Some(Instant::now() + Duration::from_millis(20))).unwrap();
        assert_eq!(fd.write(b"more!"), Err(Error::DeadlineExceeded));
        assert_eq!(fd.writable(), Err(Error::DeadlineExceeded));
    });
}

/// The error of an earlier datagram comes alone, without room to write: the reader gets it, once, and works on.
#[test]
fn an_error_that_comes_alone_ends_a_wait_for_datagrams() {
    setup();
    bounded(|| {
        let dead = UdpSocket::bind("127.0.0.1:0").unwrap();
        let near = UdpSocket::bind("127.0.0.1:0").unwrap();
        near.set_nonblocking(true).unwrap();
        near.connect(dead.local_addr().unwrap()).unwrap();
        let to = near.local_addr().unwrap();
        let (at, fd) = (dead.local_addr().unwrap(), Arc::new(registered(near, FdKind::DATAGRAM)));
        drop(dead);
        for _ in 0..3 {
            let reader = {
                let fd = fd.clone();
                thread::spawn(move || fd.read(&mut [0; 8]))
            };
            until_parked(&fd, Mode::Read);
            fd.write(b"nobody").unwrap();
            assert_eq!(reader.join().unwrap(), Err(Error::Errno(Errno::ECONNREFUSED)));
        }
        let alive = UdpSocket::bind(at).unwrap();
        let reader = {
            let fd = fd.clone();
            thread::spawn(move || fd.read(&mut [0; 8]))
        };
        until_parked(&fd, Mode::Read);
        alive.send_to(b"hello", to).unwrap();
        assert_eq!(reader.join().unwrap(), Ok(5));
    });
}

#[test]
fn pipes_work_as_files() {
    setup();
    bounded(|| {
        let (rx, tx) = std::io::pipe().unwrap();
        let (rx, tx) = (std::os::fd::OwnedFd::from(rx), std::os::fd::OwnedFd::from(tx));
        let (mut rx, mut tx) = (Fd::new(rx, FdKind::FILE), Fd::new(tx, FdKind::FILE));
        for fd in [&mut rx, &mut tx] {
            fd.control(|fd| fd.set_nonblocking(true)).unwrap().unwrap();
            fd.init().unwrap();
        }
        let rx = Arc::new(rx);
        let reader = {
            let rx = rx.clone();
            thread::spawn(move || {
                let mut buf = [0; 8];
                rx.read(&mut buf).map(|n| buf[..n].to_vec())
            })
        };
        until_parked(&rx, Mode::Read);
        tx.write_all(b"pipe").unwrap();
        assert_eq!(reader.join().unwrap(), Ok(b"pipe".to_vec()));
        let mut bufs = [IoSlice::new(b"a"), IoSlice::new(b"bc")];
        assert_eq!(tx.write_vectored_all(&mut bufs), Ok(3));
        rx.readable().unwrap();
        assert_eq!(rx.try_read(&mut [0; 8]), Ok(3));
        drop(tx);
        assert_eq!(rx.read(&mut [0; 8]), Ok(0));
        rx.close().unwrap();
        assert_eq!(rx.read(&mut [0; 8]), Err(Error::FileClosing));
    });
}

#[test]
fn a_regular_file_cannot_be_registered_and_works_without() {
    setup();
    let file = std::fs::File::open("/proc/self/exe").unwrap();
    let mut fd = Fd::new(file.into(), FdKind::FILE);
    assert_eq!(fd.init(), Err(Error::Errno(Errno::from_raw(1))), "EPERM");
    let mut magic = [0; 4];
    assert_eq!(fd.read(&mut magic), Ok(4));
    assert_eq!(&magic, b"\x7fELF");
    assert_eq!(fd.set_deadline(past()), Err(Error::NoDeadline));
    fd.close().unwrap();
}

#[test]
fn a_descriptor_without_a_poller_returns_eagain() {
    setup();
    let (near, _far) = std_pair();
    near.set_nonblocking(true).unwrap();
    let fd = Fd::new(near.into(), FdKind::TCP);
    assert_eq!(fd.read(&mut [0; 1]), Err(EAGAIN));
    assert_eq!(fd.set_read_deadline(None), Err(Error::NoDeadline));
}

#[test]
fn shutdown_of_a_direction_ends_that_direction() {
    setup();
    bounded(|| {
        let (a, b) = tcp_pair();
        a.shutdown(Shutdown::Write).unwrap();
        assert_eq!(b.read(&mut [0; 4]), Ok(0));
        assert_eq!(a.write(b"x"), Err(Error::Errno(Errno::EPIPE)));
        b.write_all(b"still").unwrap();
        assert_eq!(a.read(&mut [0; 8]), Ok(5));
    });
}

// Go: net TestCloseRead
#[test]
fn test_close_read() {
    setup();
    bounded(|| {
        for (a, b) in [tcp_pair(), unix_pair()] {
            let a = Arc::new(a);
            let reader = {
                let a = a.clone();
                thread::spawn(move || a.read(&mut [0; 8]))
            };
            until_parked(&a, Mode::Read);
            a.shutdown(Shutdown::Read).unwrap();
            assert_eq!(reader.join().unwrap(), Ok(0));
            assert_eq!(a.read(&mut [0; 8]), Ok(0));
            assert_eq!(a.write(b"x"), Ok(1));
            assert_eq!(b.read(&mut [0; 8]), Ok(1));
        }
    });
}

#[test]
fn dup_and_the_guard_name_the_same_socket() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let copy = TcpStream::from(a.dup().unwrap());
        (&copy).write_all(b"dup").unwrap();
        let mut buf = [0; 3];
        far.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"dup");
        let guard = a.fd().unwrap();
        let peer = socket2::SockRef::from(&guard.as_fd()).peer_addr().unwrap();
        assert_eq!(peer.as_socket(), Some(far.local_addr().unwrap()));
    });
}

#[test]
fn raw_read_and_write_wait_between_calls() {
    setup();
    bounded(|| {
        let (a, b) = tcp_pair();
        let reader = thread::spawn(move || {
            let mut got = Vec::new();
            a.raw_read(|fd| {
                // To the end of what is there: a call that leaves something is not made again for it.
                let mut buf = [0; 1];
                while let Ok(n) = gopark_sys::rw::read(fd, &mut buf) {
                    assert_eq!(n, 1);
                    got.push(buf[0]);
                }
                got.len() >= 3
            })
            .unwrap();
            got
        });
        for byte in *b"abc" {
            let mut sent = false;
            b.raw_write(|fd| {
                sent = gopark_sys::rw::send(fd, &[byte]) == Ok(1);
                sent
            })
            .unwrap();
            assert!(sent);
        }
        assert_eq!(reader.join().unwrap(), b"abc");
    });
}

#[test]
fn into_owned_gives_the_socket_back() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        a.write_all(b"1").unwrap();
        let near = TcpStream::from(a.into_owned().unwrap());
        near.set_nonblocking(false).unwrap();
        (&near).write_all(b"2").unwrap();
        let mut buf = [0; 2];
        far.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"12");
        // And registers again.
        near.set_nonblocking(true).unwrap();
        let again = registered(near, FdKind::TCP);
        far.write_all(b"3").unwrap();
        assert_eq!(again.read(&mut buf), Ok(1));
        again.close().unwrap();
        assert!(again.into_owned().is_none());
    });
}
