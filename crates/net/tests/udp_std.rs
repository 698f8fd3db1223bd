//! A program on `std::net::UdpSocket` moves over by changing imports: the names, and what they do, are std's.

mod util;

use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket as StdSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use gopark_net::{UdpConn as UdpSocket, block_on, go, spawn};
use util::{after, ago, assert_blocked, assert_closed, assert_timeout, join_soon};

const MS: Duration = Duration::from_millis(1);

procs!();

/// What std's is.
const _: () = {
    const fn is<T: Send + Sync + Unpin + std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    is::<StdSocket>();
    is::<UdpSocket>();
};

fn local() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").expect("a free port")
}

both! {
    /// std's documentation of `UdpSocket`, as a test.
    fn std_names_do_what_they_do_in_std() {
        let (socket, other) = (local(), local());
        let mut buf = [0; 10];
        other.send_to(&[1, 2, 3], socket.local_addr().unwrap()).unwrap();
        assert_eq!(socket.peek_from(&mut buf).unwrap(), (3, other.local_addr().unwrap()));
        assert_eq!(socket.peek(&mut buf).unwrap(), 3);
        let (n, src) = socket.recv_from(&mut buf).unwrap();
        assert_eq!((&buf[..n], src), (&[1, 2, 3][..], other.local_addr().unwrap()));

        assert_eq!(socket.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
        socket.connect(other.local_addr().unwrap()).unwrap();
        assert_eq!(socket.peer_addr().unwrap(), other.local_addr().unwrap());
        assert_eq!(socket.send(&[4, 5]).unwrap(), 2);
        assert_eq!(other.recv(&mut buf).unwrap(), 2);

        socket.set_ttl(42).unwrap();
        assert_eq!(socket.ttl().unwrap(), 42);
        socket.set_broadcast(true).unwrap();
        assert!(socket.broadcast().unwrap());
        assert!(socket.take_error().unwrap().is_none());
        assert_eq!(socket.read_timeout().unwrap(), None);
        socket.set_read_timeout(Some(7 * MS)).unwrap();
        socket.set_write_timeout(Some(8 * MS)).unwrap();
        assert_eq!((socket.read_timeout().unwrap(), socket.write_timeout().unwrap()), (Some(7 * MS), Some(8 * MS)));
        assert_eq!(socket.set_read_timeout(Some(Duration::ZERO)).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_timeout(socket.recv(&mut buf));
        socket.set_nonblocking(false).unwrap();
        let err = socket.set_nonblocking(true).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Unsupported);
        assert!(err.to_string().contains("try_ calls"), "{err}");
    }

    /// A second `connect` is another peer; the names follow, and so do those of clones and of errors.
    fn a_peer_can_be_changed() {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        let (one, two) = (local(), local());
        assert_eq!(socket.local_addr().unwrap().ip(), Ipv4Addr::UNSPECIFIED);
        for peer in [&one, &two] {
            let at = peer.local_addr().unwrap();
            socket.connect(at).unwrap();
            // As in std: the address that the peer sees.
            assert_eq!(socket.local_addr().unwrap().ip(), Ipv4Addr::LOCALHOST);
            assert_eq!(socket.peer_addr().unwrap(), at);
            socket.send(b"x").unwrap();
            assert_eq!(peer.recv_from(&mut [0; 4]).unwrap().1, socket.local_addr().unwrap());
            let twin = socket.try_clone().unwrap();
            assert_eq!(twin.peer_addr().unwrap(), at);
            twin.set_deadline(ago(MS)).unwrap();
            let me = socket.local_addr().unwrap();
            assert_eq!(twin.recv(&mut [0]).unwrap_err().to_string(), format!("read udp4 {me}->{at}: i/o timeout"));
            assert_eq!(twin.write_to(b"x", at).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        // From nobody else.
        one.send_to(b"no", socket.local_addr().unwrap()).unwrap();
        two.send_to(b"yes", socket.local_addr().unwrap()).unwrap();
        let mut buf = [0; 4];
        assert_eq!(socket.recv(&mut buf).unwrap(), 3);
        let err = socket.connect("[::1]:9".parse::<SocketAddr>().unwrap()).unwrap_err();
        assert!(err.to_string().ends_with("->[::1]:9: address ::1: non-IPv4 address"), "{err}");
        assert_eq!(socket.peer_addr().unwrap(), two.local_addr().unwrap());
    }

    /// To std and back, connected or not, and by the descriptor.
    fn sockets_go_to_std_and_come_back() {
        let std_socket = StdSocket::bind("127.0.0.1:0").unwrap();
        let at = std_socket.local_addr().unwrap();
        let socket = UdpSocket::from_std(std_socket).unwrap();
        assert_eq!(socket.local_addr().unwrap(), at);
        assert!(socket.peer_addr().is_err());
        socket.send_to(b"me", at).unwrap();
        assert_eq!(socket.recv_from(&mut [0; 4]).unwrap(), (2, at));
        let std_socket = socket.into_std().unwrap();
        std_socket.connect(at).unwrap();
        std_socket.send(b"me").unwrap(); // it blocks, as std's do
        assert_eq!(std_socket.recv(&mut [0; 4]).unwrap(), 2);
        let socket = UdpSocket::from_std(std_socket).unwrap();
        assert_eq!(socket.peer_addr().unwrap(), at);
        let fd = OwnedFd::from(socket);
        let socket = UdpSocket::try_from(fd).unwrap();
        socket.send(b"me").unwrap();
        assert_eq!(socket.recv(&mut [0; 4]).unwrap(), 2);
        assert!(socket.as_raw_fd() >= 0);
        socket.close().unwrap();
        assert_closed(socket.into_std());
        // A socket of another kind is none.
        let stream = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let err = UdpSocket::try_from(OwnedFd::from(stream)).unwrap_err();
        assert_eq!(err.to_string(), "file udp: getsockopt: protocol wrong type for socket");
    }

    /// Timeouts are per call and from its beginning; a datagram in time ends the wait.
    fn timeouts_are_of_each_call() {
        let socket = local();
        socket.set_read_timeout(Some(40 * MS)).unwrap();
        for _ in 0..3 {
            let start = Instant::now();
            assert_timeout(socket.recv_from(&mut [0]));
            let took = start.elapsed();
            assert!((40 * MS..20_000 * MS).contains(&took), "{took:?}");
        }
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        assert_eq!(socket.recv(&mut [0]).unwrap(), 1);
        // A deadline replaces it; a timeout replaces the deadline.
        socket.set_read_deadline(ago(MS)).unwrap();
        assert_eq!(socket.read_timeout().unwrap(), None);
        assert_timeout(socket.recv(&mut [0]));
        socket.set_read_timeout(Some(10_000 * MS)).unwrap();
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        assert_eq!(socket.recv(&mut [0]).unwrap(), 1);
    }

    // Go: net TestReadFromTimeout
    fn test_read_from_timeout() {
        let (server, client) = (local(), local());
        server.send_to(b"READFROM TIMEOUT TEST", client.local_addr().unwrap()).unwrap();
        // Passed: a timeout although something is there. In time: what is there, and then the timeout.
        client.set_read_deadline(ago(5_000 * MS)).unwrap();
        for _ in 0..2 {
            assert_timeout(client.recv_from(&mut [0]));
        }
        client.set_read_deadline(after(50 * MS)).unwrap();
        assert_eq!(client.recv_from(&mut [0]).unwrap().0, 1);
        for _ in 0..2 {
            assert_timeout(client.recv_from(&mut [0]));
        }
    }

    // Go: net TestReadFromTimeoutFluctuation
    fn test_read_from_timeout_fluctuation() {
        let server = local();
        let client = gopark_net::dial("udp", &server.local_addr().unwrap().to_string()).unwrap();
        let udp = client.downcast_ref::<UdpSocket>().unwrap();
        for wait in [MS, 10 * MS, 100 * MS] {
            let start = Instant::now();
            udp.set_read_deadline(Some(start + wait)).unwrap();
            assert_timeout(udp.read_from(&mut [0; 256]));
            let took = start.elapsed();
            assert!((wait..wait + 20_000 * MS).contains(&took), "{wait:?} took {took:?}");
        }
    }

    // Go: net TestWriteToTimeout
    fn test_write_to_timeout() {
        let (one, two) = (local(), local());
        let to = one.local_addr().unwrap();
        two.set_write_deadline(ago(5_000 * MS)).unwrap();
        for _ in 0..2 {
            assert_timeout(two.write_to(b"WRITETO TIMEOUT TEST", to));
            assert_timeout(two.try_send_to(b"x", to));
            assert_timeout(two.write_msg(b"x", &[], Some(to.into())));
            assert_timeout(two.writable());
        }
        two.set_write_deadline(after(10 * MS)).unwrap();
        while two.write_to(b"WRITETO TIMEOUT TEST", to).is_ok() {
            gopark_net::yield_now();
        }
        assert_timeout(two.write_to(b"WRITETO TIMEOUT TEST", to));
        two.set_write_deadline(None).unwrap();
        two.write_to(b"WRITETO TIMEOUT TEST", to).unwrap();
    }

    /// The forms that do not wait, and those that wait for readiness only.
    fn try_calls_do_not_wait() {
        let socket = local();
        let me = socket.local_addr().unwrap();
        let mut buf = [0; 8];
        for kind in [
            socket.try_recv(&mut buf).unwrap_err().kind(),
            socket.try_recv_from(&mut buf).unwrap_err().kind(),
        ] {
            assert_eq!(kind, ErrorKind::WouldBlock);
        }
        socket.writable().unwrap();
        assert_eq!(socket.try_send_to(b"one", me).unwrap(), 3);
        socket.readable().unwrap();
        assert_eq!(socket.try_recv_from(&mut buf).unwrap(), (3, me));
        socket.connect(me).unwrap();
        assert_eq!(socket.try_send(b"two").unwrap(), 3);
        socket.readable().unwrap();
        assert_eq!(socket.try_recv(&mut buf).unwrap(), 3);
        // Somebody else is receiving.
        let socket = Arc::new(socket);
        let reader = spawn({
            let socket = Arc::clone(&socket);
            move || socket.recv(&mut [0; 8]).map(drop)
        });
        let reader = assert_blocked(reader);
        assert_eq!(socket.try_recv(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        socket.close().unwrap();
        assert_closed(join_soon(reader));
        assert_closed(socket.try_recv(&mut buf));
        assert_closed(socket.try_send(b"x"));
    }

    /// Futures, and a callback for what is idle.
    fn futures_and_callbacks_wait_too() {
        let (socket, other) = (local(), local());
        let (me, at) = (socket.local_addr().unwrap(), other.local_addr().unwrap());
        let echo = spawn(move || {
            let mut buf = [0; 16];
            for _ in 0..2 {
                let (n, from) = other.recv_from(&mut buf).unwrap();
                other.send_to(&buf[..n], from).unwrap();
            }
        });
        let mut buf = [0; 16];
        let got = block_on(async {
            socket.writable_async().await?;
            poll_fn(|cx| socket.poll_send_to(cx, b"hello", at)).await?;
            socket.readable_async().await?;
            poll_fn(|cx| socket.poll_recv_from(cx, &mut buf)).await
        });
        assert_eq!(got.unwrap(), (5, at));
        socket.connect(at).unwrap();
        let got = block_on(async {
            poll_fn(|cx| socket.poll_writable(cx)).await?;
            poll_fn(|cx| socket.poll_send(cx, b"again")).await?;
            poll_fn(|cx| socket.poll_readable(cx)).await?;
            poll_fn(|cx| socket.poll_recv(cx, &mut buf)).await
        });
        assert_eq!(got.unwrap(), 5);
        join_soon(echo);

        let (tell, told) = channel();
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
        let to = socket.local_addr().unwrap();
        Arc::clone(&socket).on_readable({
            let tell = tell.clone();
            move |socket, ready| tell.send(ready.and_then(|()| socket.recv(&mut [0; 16]))).unwrap()
        });
        go(move || local().send_to(b"wake", to));
        assert_eq!(told.recv_timeout(Duration::from_secs(10)).unwrap().unwrap(), 4);
        Arc::clone(&socket).on_readable(move |_, ready| tell.send(ready.map(|()| 0)).unwrap());
        socket.close().unwrap();
        assert_closed(told.recv_timeout(Duration::from_secs(10)).unwrap());
        assert_ne!(me, at);
    }
}
