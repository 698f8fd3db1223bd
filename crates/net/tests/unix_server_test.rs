//! Unix sockets where Go's tests treat all networks alike. Go: `net/server_test.go`, `net/net_test.go`,
//! `net/conn_test.go`, `net/packetconn_test.go`, `net/protoconn_test.go`, `net/file_test.go`.

mod util;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use gopark_net::{
    Addr, Dialer, UnixAddr, UnixConn, UnixListener, dial, file_conn, file_listener, file_packet_conn,
    is_timeout, listen, listen_packet, spawn,
};
use util::unix::TempName;
use util::{after, ago, assert_blocked, assert_closed, assert_timeout, join_soon};

procs!();

const STREAMS: [&str; 2] = ["unix", "unixpacket"];

/// Two ends of a connection, by a path.
fn connected(network: &str) -> (UnixConn, UnixConn, TempName) {
    let name = TempName::new();
    let addr = UnixAddr::resolve(network, name.path()).unwrap();
    let ln = UnixListener::bind_addr(&addr).unwrap();
    let client = UnixConn::connect_addr(&addr).unwrap();
    (client, ln.accept().unwrap().0, name)
}

both! {
    // Go: net TestUnixAndUnixpacketServer
    fn test_unix_and_unixpacket_server() {
        for network in STREAMS {
            let name = TempName::new();
            let id = std::process::id();
            for address in [name.str(), &format!("@gopark/{id}/{network}")] {
                const CLIENTS: usize = 3;
                let ln: Arc<dyn gopark_net::Listener> = listen(network, address).unwrap().into();
                assert_eq!(ln.addr().network(), network);
                let server = spawn({
                    let ln = Arc::clone(&ln);
                    move || {
                        for _ in 0..CLIENTS {
                            let conn = ln.accept().unwrap();
                            conn.set_deadline(after(Duration::from_secs(10))).unwrap();
                            let mut buf = [0; 256];
                            let n = conn.read(&mut buf).unwrap();
                            conn.write_all(&buf[..n]).unwrap();
                        }
                    }
                });
                for n in 0..CLIENTS {
                    let local = TempName::new();
                    let mut dialer = Dialer::new().timeout(Duration::from_secs(10));
                    if n > 0 {
                        dialer = dialer.local_addr(UnixAddr::resolve(network, local.path()).unwrap());
                    }
                    let conn = dialer.dial(network, &ln.addr().to_string()).unwrap();
                    let want = if n > 0 { local.str() } else { "@" };
                    assert_eq!(conn.local_addr().to_string(), want);
                    conn.write_all(b"UNIX AND UNIXPACKET SERVER TEST").unwrap();
                    let mut buf = [0; 256];
                    assert_eq!(conn.read(&mut buf).unwrap(), 31);
                }
                join_soon(server);
                ln.close().unwrap();
            }
            assert!(!name.path().exists());
        }
    }

    // Go: net TestUnixgramServer
    fn test_unixgram_server() {
        let id = std::process::id();
        for (abstracted, with_dial) in [(false, false), (false, true), (true, false), (true, true)] {
            let (saddr, caddr) = (TempName::new(), TempName::new());
            let (saddr, caddr) = match abstracted {
                true => (format!("@gopark/{id}/server"), format!("@gopark/{id}/client")),
                false => (saddr.str().to_owned(), caddr.str().to_owned()),
            };
            let server = listen_packet("unixgram", &saddr).unwrap();
            assert_eq!(server.local_addr().to_string(), saddr);
            let echo = spawn(move || {
                let mut buf = [0; 256];
                server.set_read_deadline(after(Duration::from_secs(10))).unwrap();
                let (n, from) = server.read_from(&mut buf).unwrap();
                server.write_to(&buf[..n], &from).unwrap();
            });
            let local = UnixAddr::resolve("unixgram", &caddr).unwrap();
            let mut buf = [0; 256];
            if with_dial {
                let conn = Dialer::new().local_addr(local).dial("unixgram", &saddr).unwrap();
                conn.write_all(b"UNIXGRAM SERVER TEST").unwrap();
                conn.set_read_deadline(after(Duration::from_secs(10))).unwrap();
                assert_eq!(conn.read(&mut buf).unwrap(), 20);
            } else {
                let conn = listen_packet("unixgram", &caddr).unwrap();
                let to = Addr::from(UnixAddr::resolve("unixgram", &saddr).unwrap());
                conn.write_to(b"UNIXGRAM SERVER TEST", &to).unwrap();
                conn.set_read_deadline(after(Duration::from_secs(10))).unwrap();
                assert_eq!(conn.read_from(&mut buf).unwrap(), (20, to));
            }
            join_soon(echo);
            let _ = std::fs::remove_file(&saddr);
            let _ = std::fs::remove_file(&caddr);
        }
    }

    // Go: net TestCloseRead
    fn test_close_read() {
        for network in STREAMS {
            let (client, _server, _name) = connected(network);
            client.close_read().unwrap();
            assert_eq!(client.read(&mut [0]).unwrap(), 0);
            assert_eq!(client.recv_from(&mut [0]).unwrap().0, 0);
        }
    }

    // Go: net TestCloseWrite
    fn test_close_write() {
        for network in STREAMS {
            let (client, server, _name) = connected(network);
            client.set_deadline(after(Duration::from_secs(10))).unwrap();
            server.set_deadline(after(Duration::from_secs(10))).unwrap();
            let other = spawn(move || {
                assert_eq!(server.read(&mut [0]).unwrap(), 0, "the end");
                server.close_write().unwrap();
                assert_eq!(server.write(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
                server
            });
            client.close_write().unwrap();
            assert_eq!(client.read(&mut [0]).unwrap(), 0);
            assert_eq!(client.write(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
            drop(join_soon(other));
        }
    }

    // Go: net TestConnClose
    fn test_conn_close() {
        for network in STREAMS {
            let (client, server, _name) = connected(network);
            client.close().unwrap();
            let mut buf = [0];
            assert_closed(client.read(&mut buf));
            assert_closed(client.write(&buf));
            assert_closed(client.close());
            assert_eq!(server.read(&mut buf).unwrap(), 0);
        }
    }

    /// A name can be listened on again as soon as its listener is closed, and what waits in accept is told.
    // Go: net TestListenerClose
    fn test_listener_close() {
        for network in STREAMS {
            let name = TempName::new();
            for _ in 0..3 {
                let ln: Arc<dyn gopark_net::Listener> = listen(network, name.str()).unwrap().into();
                let accepting = spawn({
                    let ln = Arc::clone(&ln);
                    move || ln.accept().map(drop)
                });
                ln.close().unwrap();
                assert_closed(join_soon(accepting));
                assert!(dial(network, name.str()).is_err());
                assert_closed(ln.close());
            }
        }
    }

    // Go: net TestPacketConnClose
    fn test_packet_conn_close() {
        let conn: Arc<dyn gopark_net::PacketConn> = listen_packet("unixgram", "").unwrap().into();
        let reader = spawn({
            let conn = Arc::clone(&conn);
            move || conn.read_from(&mut [0]).map(drop)
        });
        let reader = assert_blocked(reader);
        conn.close().unwrap();
        assert_closed(join_soon(reader));
        assert_closed(conn.read_from(&mut [0]));
        assert_closed(conn.write_to(b"x", &conn.local_addr()));
    }

    // Go: net TestConnAndListener
    fn test_conn_and_listener() {
        for network in STREAMS {
            let name = TempName::new();
            let ln = listen(network, name.str()).unwrap();
            assert_eq!((ln.addr().network(), ln.addr().to_string().as_str()), (network, name.str()));
            let client = Dialer::new().timeout(Duration::from_secs(10)).dial(network, name.str()).unwrap();
            let server = ln.accept().unwrap();
            for (conn, remote) in [(&client, name.str()), (&server, "@")] {
                assert_eq!(conn.local_addr().network(), network);
                assert_eq!(conn.remote_addr().to_string(), remote);
                conn.set_deadline(after(Duration::from_secs(10))).unwrap();
                conn.set_read_deadline(after(Duration::from_secs(10))).unwrap();
                conn.set_write_deadline(after(Duration::from_secs(10))).unwrap();
            }
            client.write_all(b"CONN AND LISTENER TEST").unwrap();
            let mut buf = [0; 128];
            assert_eq!(server.read(&mut buf).unwrap(), 22);
            server.write_all(&buf[..22]).unwrap();
            assert_eq!(client.read(&mut buf).unwrap(), 22);
        }
    }

    // Go: net TestConnAndPacketConn
    fn test_conn_and_packet_conn() {
        let (one, two) = (listen_packet("unixgram", "").unwrap(), TempName::new());
        one.set_deadline(after(Duration::from_secs(10))).unwrap();
        let local = UnixAddr::resolve("unixgram", two.path()).unwrap();
        let client = Dialer::new().local_addr(local).dial("unixgram", &one.local_addr().to_string()).unwrap();
        client.set_deadline(after(Duration::from_secs(10))).unwrap();
        client.write_all(b"CONN AND PACKETCONN TEST").unwrap();
        let mut buf = [0; 128];
        let (n, from) = one.read_from(&mut buf).unwrap();
        assert_eq!((n, from.to_string().as_str()), (24, two.str()));
        one.write_to(&buf[..n], &from).unwrap();
        assert_eq!(client.read(&mut buf).unwrap(), 24);
        let tcp = Addr::from("127.0.0.1:80".parse::<std::net::SocketAddr>().unwrap());
        let err = one.write_to(b"x", &tcp).unwrap_err();
        assert!(err.to_string().ends_with("->127.0.0.1:80: invalid argument"), "{err}");
    }

    // Go: net TestUnixListenerSpecificMethods
    fn test_unix_listener_specific_methods() {
        let name = TempName::new();
        let ln = UnixListener::bind(name.path()).unwrap();
        assert_eq!(ln.addr().to_string(), name.str());
        ln.set_deadline(after(Duration::from_nanos(30))).unwrap();
        for _ in 0..2 {
            assert!(is_timeout(&ln.accept().unwrap_err()));
        }
        drop(ln.file().unwrap());
        #[cfg(target_os = "linux")]
        assert!(ln.raw_conn().control(|fd| socket2::SockRef::from(&fd).is_listener()).unwrap().unwrap());
        assert!(ln.raw_conn().read(|_| true).is_err(), "accept is what waits");
        assert!(ln.take_error().unwrap().is_none());
        assert!(ln.set_nonblocking(true).is_err());
        assert!(ln.fd().is_ok());
    }

    // Go: net TestUnixConnSpecificMethods
    fn test_unix_conn_specific_methods() {
        let names = [TempName::new(), TempName::new(), TempName::new()];
        let [a1, a2, a3] = [0, 1, 2].map(|n: usize| UnixAddr::resolve("unixgram", names[n].path()).unwrap());
        let dialer = Dialer::new();
        let c1 = dialer.dial_unix("unixgram", Some(&a1), None).unwrap();
        let c2 = dialer.dial_unix("unixgram", Some(&a2), None).unwrap();
        let c3 = UnixConn::bind_addr(&a3).unwrap();
        for (conn, addr) in [(&c1, &a1), (&c2, &a2), (&c3, &a3)] {
            assert_eq!(&conn.local_addr().unwrap(), addr);
            assert!(conn.peer_addr().is_err());
            conn.set_deadline(after(Duration::from_secs(10))).unwrap();
            conn.set_read_buffer(8192).unwrap();
            conn.set_write_buffer(8192).unwrap();
            assert!(conn.read_buffer().unwrap() >= 8192 && conn.write_buffer().unwrap() >= 8192);
        }
        let text = b"UNIXCONN TEST";
        let mut buf = [0; 128];
        c1.write_msg(text, &[], Some(&a2)).unwrap();
        assert_eq!(c2.read_msg(&mut buf, 0).unwrap().from, Some(a1.clone()));
        for (from, from_addr, to, to_addr) in
            [(&c2, &a2, &c1, &a1), (&c3, &a3, &c1, &a1), (&c2, &a2, &c3, &a3), (&c3, &a3, &c2, &a2)]
        {
            assert_eq!(from.write_to(text, to_addr).unwrap(), text.len());
            assert_eq!(to.read_from(&mut buf).unwrap(), (text.len(), Some(from_addr.clone())));
        }
        drop(c1.try_clone().unwrap());
        c3.set_deadline(ago(Duration::from_secs(1))).unwrap();
        assert_timeout(c3.write_to(text, &a1));
        assert_timeout(c3.read_from(&mut buf));
    }

    // Go: net TestFileConn
    fn test_file_conn() {
        for network in STREAMS {
            let (client, server, _name) = connected(network);
            let addr = client.local_addr().unwrap();
            let file = client.file().unwrap();
            client.close().unwrap();
            let client = file_conn(&file).unwrap();
            drop(file);
            client.write_all(b"FILECONN TEST").unwrap();
            assert_eq!(client.local_addr(), Addr::from(addr));
            assert_eq!(server.read(&mut [0; 64]).unwrap(), 13);
        }
    }

    // Go: net TestFileListener
    fn test_file_listener() {
        for network in STREAMS {
            let name = TempName::new();
            let ln = UnixListener::bind_addr(&UnixAddr::resolve(network, name.path()).unwrap()).unwrap();
            let file = ln.file().unwrap();
            let second = file_listener(&file).unwrap();
            drop(file);
            assert_eq!(second.addr(), ln.addr());
            let path = name.str().to_owned();
            let dialing = spawn(move || dial(network, &path).map(drop));
            second.accept().unwrap();
            join_soon(dialing).unwrap();
        }
        let err = UnixListener::try_from(OwnedFd::from(UnixConn::unbound().unwrap())).unwrap_err();
        assert!(err.to_string().contains("not supported"), "{err}");
    }

    // Go: net TestFilePacketConn
    fn test_file_packet_conn() {
        let name = TempName::new();
        let conn = UnixConn::bind(name.path()).unwrap();
        let addr = conn.local_addr().unwrap();
        let file = conn.file().unwrap();
        conn.close().unwrap();
        let conn = file_packet_conn(&file).unwrap();
        drop(file);
        let addr = Addr::from(addr);
        conn.write_to(b"FILEPACKETCONN TEST", &addr).unwrap();
        assert_eq!(conn.local_addr(), addr);
        assert_eq!(conn.read_from(&mut [0; 64]).unwrap(), (19, addr));
    }
}
