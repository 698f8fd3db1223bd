//! Descriptors in and out. Go: `net/file_test.go`, the file part of `net/error_test.go`.

mod util;

use std::io::{self, Read, Write};
use std::net::{TcpListener as StdListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
use std::sync::Arc;

use gopark_net::{
    Conn, OpError, PacketConn, TcpConn, TcpListener, UdpConn, file_conn, file_listener, file_packet_conn,
    is_closed, spawn,
};
use util::{assert_closed, join_soon, local_listener, pair};

procs!();

fn opened(what: &impl AsFd) -> OwnedFd {
    what.as_fd().try_clone_to_owned().unwrap()
}

both! {
    // Go: net TestFileConn
    fn test_file_conn() {
        for dialer_closes_first in [true, false] {
            let (client, server) = pair();
            let file = client.file().unwrap();
            // Closing one does not close the other.
            if dialer_closes_first {
                client.close().unwrap();
            }
            let conn = file_conn(&file).unwrap();
            assert!(conn.downcast_ref::<TcpConn>().is_some());
            assert_eq!(conn.local_addr(), gopark_net::Conn::local_addr(&client));
            assert_eq!(conn.remote_addr(), client.remote_addr());
            drop(file);
            conn.write_all(b"FILECONN TEST").unwrap();
            let mut buf = [0; 64];
            assert_eq!(server.read(&mut buf).unwrap(), 13);
            server.write_all(b"pong").unwrap();
            assert_eq!(Conn::read(&*conn, &mut buf).unwrap(), 4);
            if !dialer_closes_first {
                client.write_all(b"x").unwrap();
                assert_eq!(server.read(&mut buf).unwrap(), 1);
            }
            conn.close().unwrap();
            assert_closed(conn.write_all(b"x"));
        }
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(socket.local_addr().unwrap()).unwrap();
        let conn = file_conn(&socket).unwrap();
        conn.write_all(b"to myself").unwrap();
        assert_eq!(Conn::read(&*conn, &mut [0; 64]).unwrap(), 9);
        assert!(conn.downcast_ref::<UdpConn>().is_some());
    }

    // Go: net TestFileListener
    fn test_file_listener() {
        let ln = local_listener();
        let file = ln.file().unwrap();
        ln.close().unwrap();
        let again = file_listener(&file).unwrap();
        drop(file);
        assert_eq!(again.addr(), ln.addr());
        let client = TcpConn::connect(ln.local_addr().unwrap()).unwrap();
        let server = again.accept().unwrap();
        server.write_all(b"x").unwrap();
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 1);
        again.close().unwrap();
        assert!(is_closed(&again.accept().unwrap_err()));
    }

    // Go: net TestFilePacketConn
    fn test_file_packet_conn() {
        let first = UdpConn::bind("127.0.0.1:0").unwrap();
        let file = first.file().unwrap();
        let conn = file_packet_conn(&file).unwrap();
        first.close().unwrap();
        drop(file);
        let to = PacketConn::local_addr(&*conn);
        assert_eq!(conn.write_to(b"FILEPACKETCONN TEST", &to).unwrap(), 19);
        let (n, from) = conn.read_from(&mut [0; 64]).unwrap();
        assert_eq!((n, from), (19, to));
    }

    // Go: net TestFileCloseRace (golang/go#24483)
    // go-semantics 7.1: "Non-blocking fd surprises": dup/close race
    fn test_file_close_race() {
        for _ in 0..100 {
            let (client, _server) = pair();
            let client = Arc::new(client);
            let racer = {
                let client = Arc::clone(&client);
                spawn(move || client.close())
            };
            // A file, or the closed error; never somebody else's descriptor.
            match client.file() {
                Ok(file) => drop(TcpStream::from(file).peer_addr().unwrap()),
                Err(e) => assert!(is_closed(&e), "{e}"),
            }
            join_soon(racer).unwrap();
        }
    }

    // Go: net TestFileError
    fn test_file_error() {
        let text = std::fs::File::open("/proc/self/status").unwrap();
        for err in [
            file_conn(&text).map(drop).unwrap_err(),
            file_listener(&text).map(drop).unwrap_err(),
            file_packet_conn(&text).map(drop).unwrap_err(),
        ] {
            let op = OpError::of(&err).unwrap();
            assert_eq!((op.op, op.net.as_ref()), ("file", "file+net"));
            assert_eq!(err.to_string(), "file file+net: getsockopt: socket operation on non-socket");
        }
        // Of the wrong kind.
        let socket = StdListener::bind("127.0.0.1:0").unwrap();
        assert!(file_packet_conn(&socket).is_err());
        assert!(file_conn(&socket).is_err(), "it is not connected");
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(file_listener(&socket).is_err());
        let (client, _server) = pair();
        let err = file_listener(client.file().unwrap()).unwrap_err();
        assert_eq!(err.to_string(), "file file+net: getsockopt: invalid argument");
        // It is closed.
        client.close().unwrap();
        let err = client.file().unwrap_err();
        let (local, peer) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
        assert_eq!(err.to_string(), format!("file tcp {local}->{peer}: use of closed network connection"));
    }

    /// The duplicate shares the mode and goes on when ours is closed; the original stays pollable
    /// (golang/go#24942 is what it must not do).
    // Go: net TestFileFdBlocks, where our duplicate is non-blocking and says so
    fn a_duplicate_leaves_the_connection_pollable() {
        let (client, server) = pair();
        let file = client.file().unwrap();
        let reader = {
            let client = Arc::new(client);
            let handle = {
                let client = Arc::clone(&client);
                spawn(move || client.read(&mut [0; 8]))
            };
            let handle = util::assert_blocked(handle);
            client.close().unwrap();
            handle
        };
        // The close reached the reader: it waits in the poller, not in the kernel.
        assert_closed(join_soon(reader));
        let mut file = TcpStream::from(file);
        assert_eq!(file.read(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        server.write_all(b"x").unwrap();
        file.set_nonblocking(false).unwrap();
        assert_eq!(file.read(&mut [0; 8]).unwrap(), 1);
    }

    /// All ways from std and to std, and to numbers.
    fn std_goes_in_and_comes_out() {
        let ln = TcpListener::try_from(StdListener::bind("127.0.0.1:0").unwrap()).unwrap();
        let std_client = TcpStream::connect(ln.local_addr().unwrap()).unwrap();
        let (server, _) = ln.accept().unwrap();
        let client = TcpConn::try_from(std_client).unwrap();
        client.write_all(b"one").unwrap();
        assert_eq!(server.read(&mut [0; 8]).unwrap(), 3);
        let mut client = client.into_std().unwrap();
        client.write_all(b"two").unwrap();
        assert_eq!(server.read(&mut [0; 8]).unwrap(), 3);
        let number = server.as_raw_fd();
        let fd = opened(&server.fd().unwrap());
        assert_eq!(server.into_raw_fd(), number);
        drop((fd, ln.into_std().unwrap().set_nonblocking(true).unwrap()));
    }
}
