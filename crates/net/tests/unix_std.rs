//! What a program that was written for `std::os::unix::net` finds; and Unix sockets under futures and callbacks.

mod util;

use std::future::poll_fn;
use std::io::{self, BufRead, BufReader, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use gopark_net::{UnixConn, UnixListener, block_on, is_closed, spawn};
use util::unix::TempName;
use util::{after, join_soon};

procs!();

/// A program for streams and one for datagrams, in the words that std and this package share: what differs between the
/// two is the imports.
macro_rules! programs {
    ($name:ident, $($import:tt)*) => {
        mod $name {
            $($import)*
            use super::*;

            /// Answers lines in capitals until the listener is gone, or `most` have come.
            fn shout(ln: UnixListener, most: usize) -> io::Result<()> {
                for stream in ln.incoming().take(most) {
                    let stream = stream?;
                    let mut to = stream.try_clone()?;
                    for line in BufReader::new(&stream).lines() {
                        writeln!(to, "{}", line?.to_uppercase())?;
                    }
                    to.shutdown(Shutdown::Both)?;
                }
                Ok(())
            }

            pub(crate) fn streams(name: &TempName) -> io::Result<()> {
                let ln = UnixListener::bind(name.path())?;
                assert_eq!(ln.local_addr()?.as_pathname(), Some(name.path()));
                assert!(ln.take_error()?.is_none());
                let server = std::thread::spawn(move || shout(ln, 2));
                for _ in 0..2 {
                    let mut stream = UnixStream::connect(name.path())?;
                    assert!(stream.local_addr()?.is_unnamed());
                    assert_eq!(stream.peer_addr()?.as_pathname(), Some(name.path()));
                    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
                    assert_eq!(stream.read_timeout()?, Some(Duration::from_secs(10)));
                    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
                    assert_eq!(stream.write_timeout()?, Some(Duration::from_secs(10)));
                    stream.write_all(b"one\ntwo\n")?;
                    stream.shutdown(Shutdown::Write)?;
                    let mut answer = String::new();
                    stream.read_to_string(&mut answer)?;
                    assert_eq!(answer, "ONE\nTWO\n");
                }
                server.join().unwrap()?;
                let (a, b) = UnixStream::pair()?;
                Write::write_vectored(&mut &a, &[IoSlice::new(b"he"), IoSlice::new(b"llo")])?;
                let (mut x, mut y) = ([0; 1], [0; 8]);
                let n = Read::read_vectored(&mut &b, &mut [IoSliceMut::new(&mut x), IoSliceMut::new(&mut y)])?;
                assert_eq!((n, &x, &y[..4]), (5, b"h", &b"ello"[..]));
                Ok(())
            }

            pub(crate) fn datagrams(one: &TempName, two: &TempName) -> io::Result<()> {
                let (a, b) = (UnixDatagram::bind(one.path())?, UnixDatagram::bind(two.path())?);
                a.send_to(b"hello", two.path())?;
                let mut buf = [0; 16];
                let (n, from) = b.recv_from(&mut buf)?;
                assert_eq!((&buf[..n], from.as_pathname()), (&b"hello"[..], Some(one.path())));
                UnixDatagram::unbound()?.send_to(b"x", two.path())?;
                assert!(b.recv_from(&mut buf)?.1.is_unnamed());
                assert_eq!(b.send(b"x").unwrap_err().kind(), ErrorKind::NotConnected);
                assert_eq!(b.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
                Ok(())
            }
        }
    };
}

programs! { with_std, use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream}; }
programs! { with_gopark, use gopark_net::{UnixConn as UnixDatagram, UnixConn as UnixStream, UnixListener}; }

both! {
    fn programs_of_std_run_by_changing_imports() {
        let (one, two) = (TempName::new(), TempName::new());
        with_gopark::streams(&one).unwrap();
        with_gopark::datagrams(&one, &two).unwrap();
    }

    fn connections_work_under_futures() {
        for network in ["unix", "unixgram", "unixpacket"] {
            let (a, b) = UnixConn::pair_of(network).unwrap();
            let echo = async {
                let mut buf = [0; 64];
                b.readable_async().await?;
                let n = poll_fn(|cx| b.poll_read(cx, &mut buf)).await?;
                b.writable_async().await?;
                poll_fn(|cx| b.poll_write(cx, &buf[..n])).await
            };
            let ask = async {
                let bufs = [IoSlice::new(b"hello, "), IoSlice::new(b"world")];
                poll_fn(|cx| a.poll_write_vectored(cx, &bufs)).await?;
                let mut buf = [0; 64];
                let n = poll_fn(|cx| a.poll_read(cx, &mut buf)).await?;
                io::Result::Ok(buf[..n].to_vec())
            };
            let (echoed, answer) = block_on(join(echo, ask));
            assert_eq!((echoed.unwrap(), answer.unwrap().as_slice()), (12, &b"hello, world"[..]));
        }
        let (server, client) = (UnixConn::bind("").unwrap(), UnixConn::bind("").unwrap());
        let at = server.local_addr().unwrap();
        let mut buf = [0; 8];
        let receive = poll_fn(|cx| server.poll_recv_from(cx, &mut buf));
        let send = async { client.send_to_addr(b"x", &at) };
        let (received, _) = block_on(join(receive, send));
        assert_eq!(received.unwrap(), (1, client.local_addr().unwrap()));

        let ln = UnixListener::bind("").unwrap();
        let at = ln.local_addr().unwrap();
        let dialing = spawn(move || UnixConn::connect_addr(&at));
        let (conn, peer) = block_on(poll_fn(|cx| ln.poll_accept(cx))).unwrap();
        assert!(peer.is_unnamed());
        join_soon(dialing).unwrap().write_all(b"x").unwrap();
        assert_eq!(conn.read(&mut [0; 8]).unwrap(), 1);
        ln.close().unwrap();
        assert!(is_closed(&block_on(poll_fn(|cx| ln.poll_accept(cx))).unwrap_err()));
    }

    /// A connection on which nothing happens costs no goroutine, and is called when something does.
    fn a_callback_waits_for_a_unix_connection() {
        let (client, server) = UnixConn::pair().unwrap();
        client.set_read_deadline(after(Duration::from_secs(10))).unwrap();
        fn serve(conn: Arc<UnixConn>, ready: io::Result<()>) {
            let mut buf = [0; 64];
            match ready.and_then(|()| conn.read(&mut buf)) {
                Ok(n) if n > 0 && conn.write_all(&buf[..n]).is_ok() => conn.on_readable(serve),
                _ => {} // dropped, and closed with that
            }
        }
        Arc::new(server).on_readable(serve);
        let mut buf = [0; 64];
        for round in 0..20 {
            client.write_all(&[round; 8]).unwrap();
            assert_eq!(client.read(&mut buf).unwrap(), 8);
            assert_eq!(buf[..8], [round; 8]);
        }
        client.close_write().unwrap();
        assert_eq!(client.read(&mut buf).unwrap(), 0);
    }

    fn what_is_tried_does_not_wait() {
        let (a, b) = UnixConn::pair().unwrap();
        let would_block = |result: io::Result<usize>| result.unwrap_err().kind() == ErrorKind::WouldBlock;
        assert!(would_block(b.try_read(&mut [0])));
        assert!(would_block(b.try_recv_from(&mut [0]).map(|(n, _)| n)));
        let mut sent = 0;
        while let Ok(n) = a.try_write(&[7; 4096]) {
            sent += n;
            assert!(sent < 64 << 20, "it does not fill");
        }
        assert!(would_block(a.try_write(b"x")));
        let reader = spawn(move || {
            let mut buf = vec![0; 1 << 16];
            while sent > 0 {
                sent -= b.read(&mut buf).unwrap();
            }
            b
        });
        a.writable().unwrap();
        assert_eq!(a.try_write(b"x").unwrap(), 1);
        drop(join_soon(reader));
    }
}

/// The same programs with std: or the claim would be worth nothing.
#[test]
fn and_they_are_programs_of_std() {
    let (one, two) = (TempName::new(), TempName::new());
    with_std::streams(&one).unwrap();
    std::fs::remove_file(one.path()).unwrap();
    with_std::datagrams(&one, &two).unwrap();
}

#[test]
fn one_packet_takes_no_more_buffers_than_a_call() {
    util::runtime();
    let (a, b) = UnixConn::pair_of("unixpacket").unwrap();
    let bufs = vec![IoSlice::new(b"x"); 1025];
    assert_eq!(a.write_vectored(&bufs[..1024]).unwrap(), 1024);
    assert_eq!(b.read(&mut [0; 2048]).unwrap(), 1024, "one packet");
    let err = a.write_vectored(&bufs).unwrap_err();
    assert_eq!(gopark_net::raw_os_error(&err), Some(90), "EMSGSIZE: {err}");
}
