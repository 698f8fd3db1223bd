//! What a program that was written for `std::net` finds: its names, its traits, its conversions.

mod util;

use std::io::{self, BufRead, BufReader, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gopark_net::{Conn, TcpConn, TcpListener, dial, is_timeout, listen, spawn};
use socket2::SockRef;
use util::{assert_timeout, join_soon, local_listener, pair};

procs!();

fn is_send_sync<T: Send + Sync>() {}

#[test]
fn everything_can_be_shared_between_threads() {
    is_send_sync::<TcpConn>();
    is_send_sync::<TcpListener>();
    is_send_sync::<Box<dyn Conn>>();
    is_send_sync::<Box<dyn gopark_net::Listener>>();
    is_send_sync::<gopark_net::Dialer>();
    is_send_sync::<gopark_net::ListenConfig>();
    is_send_sync::<gopark_net::OpError>();
}

both! {
    fn a_connection_is_read_and_write() {
        let (mut client, server) = pair();
        let server = Arc::new(server);
        client.write_all(b"line one\nline two\n").unwrap();
        client.flush().unwrap();
        let mut lines = BufReader::new(&*server);
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        lines.read_line(&mut line).unwrap();
        assert_eq!(line, "line one\nline two\n");
        let mut by_reference = &*server;
        by_reference.write_all(b"answer").unwrap();
        writeln!(by_reference, ", formatted").unwrap();
        drop(lines);
        server.close_write().unwrap();
        let mut all = String::new();
        client.read_to_string(&mut all).unwrap();
        assert_eq!(all, "answer, formatted\n");
    }

    /// With `Read`, `Write` and `Conn` in scope, neither needs `mut`, and both work through std's helpers.
    fn a_boxed_connection_is_read_and_write() {
        let ln = listen("tcp", "127.0.0.1:0").unwrap();
        let client = dial("tcp", &ln.addr().to_string()).unwrap();
        let server = ln.accept().unwrap();
        client.write_all(b"by trait").unwrap();
        let mut buf = [0; 8];
        assert_eq!(server.read(&mut buf).unwrap(), 8);
        // `&dyn Conn` for both sides of a copy, as a proxy has it.
        let echo = spawn(move || io::copy(&mut &*server, &mut &*server).unwrap());
        let mut boxed: Box<dyn Conn> = client;
        Write::write_all(&mut boxed, b"through std").unwrap();
        let mut buf = [0; 11];
        boxed.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"through std");
        boxed.downcast_ref::<TcpConn>().unwrap().close_write().unwrap();
        assert_eq!(join_soon(echo), 11);
        // A pointer to a connection is a connection.
        let shared: Arc<dyn Conn> = Arc::from(boxed);
        assert_eq!(Conn::read(&shared, &mut buf).unwrap(), 0);
        shared.close().unwrap();
    }

    fn several_buffers_are_read_and_written() {
        let (client, server) = pair();
        let n = client.write_vectored(&[IoSlice::new(b"one, "), IoSlice::new(b""), IoSlice::new(b"two")]).unwrap();
        assert_eq!(n, 8);
        let (mut head, mut tail) = ([0; 5], [0; 10]);
        let bufs = &mut [IoSliceMut::new(&mut head), IoSliceMut::new(&mut tail)];
        assert_eq!(server.read_vectored(bufs).unwrap(), 8);
        assert_eq!((&head, &tail[..3]), (b"one, ", &b"two"[..]));
        assert_eq!(client.write_vectored(&[]).unwrap(), 0);
        client.write_all_vectored(&mut []).unwrap();
    }

    /// Each call has its own time, unlike with a deadline.
    fn timeouts_count_for_each_call() {
        let (client, server) = pair();
        let timeout = Duration::from_millis(30);
        assert_eq!(client.read_timeout().unwrap(), None);
        client.set_read_timeout(Some(timeout)).unwrap();
        assert_eq!(client.read_timeout().unwrap(), Some(timeout));
        for _ in 0..3 {
            let start = Instant::now();
            assert_timeout(client.read(&mut [0]));
            assert!(start.elapsed() >= timeout);
        }
        assert_timeout(client.peek(&mut [0]));
        assert_timeout(client.readable());
        // A call that does not wait has no time limit, and the others' is not left behind for it.
        assert_eq!(client.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        server.write_all(b"x").unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 1);

        client.set_write_timeout(Some(timeout)).unwrap();
        assert_eq!(client.write_timeout().unwrap(), Some(timeout));
        let err = client.write_all(&vec![0; 64 << 20]).unwrap_err();
        assert!(is_timeout(&err), "{err}");

        let zero = client.set_read_timeout(Some(Duration::ZERO)).unwrap_err();
        assert_eq!(zero.kind(), ErrorKind::InvalidInput);
        // Setting a deadline ends the timeout, and the other way round.
        client.set_read_deadline(None).unwrap();
        assert_eq!(client.read_timeout().unwrap(), None);
        client.set_read_deadline(util::ago(Duration::from_secs(1))).unwrap();
        client.set_read_timeout(None).unwrap();
        server.write_all(b"x").unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 1);
        client.set_read_timeout(Some(Duration::MAX)).unwrap();
        server.write_all(b"x").unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 1);
    }

    fn shutdown_works_as_in_std() {
        let (client, server) = pair();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
        server.write_all(b"x").unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 1);
        client.shutdown(Shutdown::Both).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        assert_eq!(client.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }

    // Go: net TestTCPConnSpecificMethods, TestTCPListenerSpecificMethods
    fn options_can_be_set_and_read() {
        let (client, _server) = pair();
        assert!(client.nodelay().unwrap());
        client.set_nodelay(false).unwrap();
        assert!(!client.nodelay().unwrap());
        client.set_ttl(33).unwrap();
        assert_eq!(client.ttl().unwrap(), 33);
        assert_eq!(client.linger().unwrap(), None);
        client.set_linger(Some(Duration::from_secs(3))).unwrap();
        assert_eq!(client.linger().unwrap(), Some(Duration::from_secs(3)));
        // A part of a second is not none.
        client.set_linger(Some(Duration::from_millis(1))).unwrap();
        assert_eq!(client.linger().unwrap(), Some(Duration::from_secs(1)));
        client.set_linger(None).unwrap();
        client.set_read_buffer(64 * 1024).unwrap();
        client.set_write_buffer(64 * 1024).unwrap();
        assert!(client.take_error().unwrap().is_none());

        client.set_keep_alive_period(Duration::from_secs(77)).unwrap();
        {
            let guard = client.fd().unwrap();
            let fd = guard.as_fd();
            let socket = SockRef::from(&fd);
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(77));
            assert!(socket.keepalive().unwrap());
            client.set_keep_alive(false).unwrap();
            assert!(!socket.keepalive().unwrap());
            client.set_keep_alive_period(Duration::from_secs(78)).unwrap();
            assert!(!socket.keepalive().unwrap(), "the period does not switch it on");
            client.set_keep_alive_config(gopark_net::KeepAliveConfig::default()).unwrap();
            assert!(socket.keepalive().unwrap());
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(15));
        }
        let ln = local_listener();
        ln.set_ttl(44).unwrap();
        assert_eq!(ln.ttl().unwrap(), 44);
        assert!(ln.take_error().unwrap().is_none());
    }

    fn connections_and_listeners_can_be_printed() {
        let ln = listen("tcp", "127.0.0.1:0").unwrap();
        let conn = dial("tcp", &ln.addr().to_string()).unwrap();
        assert_eq!(format!("{ln:?}"), format!("tcp:{}", ln.addr()));
        assert_eq!(format!("{conn:?}"), format!("tcp:{}->{}", conn.local_addr(), ln.addr()));
    }

    fn addresses_are_those_of_both_ends() {
        let (client, server) = pair();
        assert_eq!(client.local_addr().unwrap(), server.peer_addr().unwrap());
        assert_eq!(client.peer_addr().unwrap(), server.local_addr().unwrap());
        assert_eq!(client.remote_addr().socket_addr(), Some(client.peer_addr().unwrap()));
        client.close().unwrap();
        // Remembered.
        assert_eq!(client.local_addr().unwrap(), server.peer_addr().unwrap());
    }

    fn connections_change_between_the_crates() {
        let (client, server) = pair();
        let std_client = client.into_std().unwrap();
        server.write_all(b"to std").unwrap();
        // In blocking mode: waits by itself.
        let mut buf = [0; 6];
        (&std_client).read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"to std");
        let client = TcpConn::from_std(std_client).unwrap();
        server.write_all(b"and back").unwrap();
        assert_eq!(client.read(&mut [0; 16]).unwrap(), 8);
        let owned: OwnedFd = client.into();
        let client = TcpConn::try_from(owned).unwrap();
        server.write_all(b"once more").unwrap();
        assert_eq!(client.read(&mut [0; 16]).unwrap(), 9);
        drop(client);
        assert_eq!(server.read(&mut [0]).unwrap(), 0);

        let ln = local_listener();
        let at = ln.local_addr().unwrap();
        let std_ln = ln.into_std().unwrap();
        let _client = TcpConn::connect(at).unwrap();
        std_ln.accept().unwrap();
        let ln = TcpListener::from_std(std_ln).unwrap();
        let ln = TcpListener::try_from(OwnedFd::from(ln)).unwrap();
        let _client = TcpConn::connect(at).unwrap();
        ln.accept().unwrap();
        assert_eq!(ln.local_addr().unwrap(), at);

        let (client, _server) = pair();
        client.close().unwrap();
        assert!(gopark_net::is_closed(&client.into_std().unwrap_err()));
    }

    fn clones_are_the_same_socket() {
        let ln = local_listener();
        let other = ln.try_clone().unwrap();
        let client = TcpConn::connect(ln.local_addr().unwrap()).unwrap();
        let (server, _) = other.accept().unwrap();
        drop(other);
        let clone = client.try_clone().unwrap();
        clone.write_all(b"one").unwrap();
        client.write_all(b"two").unwrap();
        let mut buf = [0; 6];
        (&server).read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"onetwo");
        drop(client);
        clone.write_all(b"x").unwrap();
        drop(clone);
        assert_eq!(server.read(&mut buf).unwrap(), 1);
        assert_eq!(server.read(&mut buf).unwrap(), 0);
        let _third = TcpConn::connect(ln.local_addr().unwrap()).unwrap();
        ln.accept().unwrap();
    }

    /// The number cannot be freed as long as there is a guard.
    fn a_guard_holds_the_descriptor() {
        let (client, server) = pair();
        let raw = client.as_raw_fd();
        assert!(raw >= 0);
        let client = Arc::new(client);
        let guard = client.fd().unwrap();
        let close = spawn({
            let client = Arc::clone(&client);
            move || client.close()
        });
        let close = util::assert_blocked(close);
        // Still ours.
        assert_eq!(guard.as_fd().as_raw_fd(), raw);
        SockRef::from(&guard.as_fd()).local_addr().unwrap();
        drop(guard);
        join_soon(close).unwrap();
        assert_eq!(client.as_raw_fd(), -1);
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
    }

    fn try_calls_do_not_wait() {
        let (client, server) = pair();
        let err = client.try_read(&mut [0; 8]).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::WouldBlock);
        assert!(err.get_ref().is_none(), "nothing is allocated");
        assert_eq!(client.try_write(b"x").unwrap(), 1);
        util::fill(&client);
        assert_eq!(client.try_write(b"x").unwrap_err().kind(), ErrorKind::WouldBlock);
        server.readable().unwrap();
        assert!(server.try_read(&mut [0; 8]).unwrap() > 0);
        // Room again.
        let drain = spawn(move || {
            let mut buf = vec![0; 1 << 20];
            while !matches!(server.read(&mut buf), Ok(0) | Err(_)) {}
        });
        client.writable().unwrap();
        assert!(client.try_write(b"x").unwrap() > 0);
        drop(client);
        join_soon(drain);
    }

    fn connect_timeout_is_stds() {
        let ln = local_listener();
        let at = ln.local_addr().unwrap();
        TcpConn::connect_timeout(&at, Duration::from_secs(5)).unwrap();
        let err = TcpConn::connect_timeout(&at, Duration::ZERO).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidInput);
        let hole = util::BlackHole::new();
        let at = hole.listener.local_addr().unwrap();
        assert_timeout(TcpConn::connect_timeout(&at, Duration::from_millis(20)));
    }

    /// Every method of `std::net::TcpStream` and `TcpListener`, by std's names and types.
    fn every_method_of_std_is_there() {
        fn serve(ln: &TcpListener) -> io::Result<()> {
            assert!(ln.ttl()? > 0);
            ln.set_ttl(64)?;
            assert!(ln.take_error()?.is_none());
            ln.set_nonblocking(false)?;
            let refused = ln.set_nonblocking(true).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Unsupported);
            assert!(refused.to_string().contains("use the try_ calls"), "{refused}");
            assert_eq!(ln.try_clone()?.local_addr()?, ln.local_addr()?);
            for conn in ln.incoming().take(1) {
                let mut conn = conn?;
                let mut buf = [0; 4];
                conn.read_exact(&mut buf)?;
                conn.write_all(&buf)?;
                conn.shutdown(Shutdown::Write)?;
            }
            Ok(())
        }

        let ln = TcpListener::bind(&["127.0.0.1:0".parse().unwrap()][..]).unwrap();
        let addr = ln.local_addr().unwrap();
        let server = spawn(move || serve(&ln));
        let mut conn = TcpConn::connect_timeout(&addr, Duration::from_secs(10)).unwrap();
        assert_eq!((conn.peer_addr().unwrap(), conn.local_addr().unwrap().ip()), (addr, addr.ip()));
        conn.set_nodelay(false).unwrap();
        assert!(!conn.nodelay().unwrap());
        conn.set_ttl(42).unwrap();
        assert_eq!(conn.ttl().unwrap(), 42);
        let limit = Some(Duration::from_secs(20));
        conn.set_read_timeout(limit).unwrap();
        conn.set_write_timeout(limit).unwrap();
        assert_eq!((conn.read_timeout().unwrap(), conn.write_timeout().unwrap()), (limit, limit));
        assert_eq!(conn.set_read_timeout(Some(Duration::ZERO)).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert!(conn.take_error().unwrap().is_none());
        assert_eq!(conn.set_nonblocking(true).unwrap_err().kind(), ErrorKind::Unsupported);
        conn.set_nonblocking(false).unwrap();
        assert_eq!(conn.linger().unwrap(), None);
        let clone = conn.try_clone().unwrap();
        clone.write_all(b"ping").unwrap();
        assert!(conn.peek(&mut [0; 8]).unwrap() > 0);
        let mut answer = String::new();
        assert_eq!(conn.read_to_string(&mut answer).unwrap(), 4);
        assert_eq!(answer, "ping");
        conn.shutdown(Shutdown::Both).unwrap();
        join_soon(server).unwrap();

        let Ok(ln) = gopark_net::ListenConfig::new().listen_tcp("tcp6", "[::1]:0") else { return };
        assert!(ln.only_v6().unwrap());
        assert!(ln.set_only_v6(false).is_err(), "it is bound");
    }
}
