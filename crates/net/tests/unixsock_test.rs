//! Unix sockets. Go: `net/unixsock_test.go`, `net/unixsock_linux_test.go`.

mod util;

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gopark_net::{
    Addr, Cause, Dialer, OpError, UnixAddr, UnixConn, UnixListener, dial, go, is_closed, listen,
    listen_packet, raw_os_error, spawn,
};
use util::unix::TempName;
use util::{A_WHILE, after, assert_blocked, assert_closed, assert_timeout, join_soon};

procs!();

fn addr(network: &str, name: &str) -> UnixAddr {
    UnixAddr::resolve(network, name).unwrap()
}

/// Sends to a socket until it takes no more, and returns how many it took.
fn fill_queue(at: &UnixAddr) -> usize {
    let filler = UnixConn::unbound().unwrap();
    for sent in 0..10_000 {
        if let Err(err) = filler.try_send_to_addr(b"x", at) {
            assert_eq!(err.kind(), ErrorKind::WouldBlock);
            return sent;
        }
    }
    panic!("the queue does not fill");
}

fn is_write_to_connected(err: &io::Error) -> bool {
    matches!(OpError::of(err).expect("an OpError").err, Cause::WriteToConnected)
}

both! {
    // Go: net TestReadUnixgramWithUnnamedSocket
    fn test_read_unixgram_with_unnamed_socket() {
        let name = TempName::new();
        let conn = UnixConn::bind(name.path()).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.send_to(&[1, 2, 3, 4, 5], name.path()).unwrap();
        conn.set_read_deadline(after(Duration::from_secs(10))).unwrap();
        let mut buf = [0; 64];
        let (n, from) = conn.read_from(&mut buf).unwrap();
        assert_eq!((&buf[..n], from), (&[1, 2, 3, 4, 5][..], None));
    }

    // Go: net TestUnixgramZeroBytePayload
    fn test_unixgram_zero_byte_payload() {
        let name = TempName::new();
        let server = UnixConn::bind(name.path()).unwrap();
        let mut client = dial("unixgram", name.str()).unwrap();
        for generic in [false, true] {
            assert_eq!(client.write(&[]).unwrap(), 0);
            server.set_read_deadline(after(Duration::from_secs(10))).unwrap();
            if generic {
                assert_eq!(server.read(&mut [0]).unwrap(), 0, "an empty datagram");
            } else {
                assert_eq!(server.read_from(&mut [0]).unwrap(), (0, None));
            }
        }
    }

    /// A read with no room for a byte returns at once, as in Go; what takes a datagram takes one of any length.
    // Go: net TestUnixgramZeroByteBuffer
    fn test_unixgram_zero_byte_buffer() {
        let name = TempName::new();
        let server = UnixConn::bind(name.path()).unwrap();
        let mut client = dial("unixgram", name.str()).unwrap();
        let text = b"UNIXGRAM ZERO BYTE BUFFER TEST";
        for generic in [false, true] {
            assert_eq!(client.write(text).unwrap(), text.len());
            server.set_read_deadline(after(Duration::from_secs(10))).unwrap();
            if generic {
                assert_eq!(server.read(&mut []).unwrap(), 0);
                assert_eq!(server.recv(&mut [0; 64]).unwrap(), text.len(), "nothing was taken");
            } else {
                assert_eq!(server.read_from(&mut []).unwrap(), (0, None));
                assert_eq!(server.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
            }
        }
    }

    // Go: net TestUnixgramWrite
    fn test_unixgram_write() {
        let name = TempName::new();
        let raddr = addr("unixgram", name.str());
        let server = listen_packet("unixgram", name.str()).unwrap();

        let conn = Dialer::new().dial_unix("unixgram", None, Some(&raddr)).unwrap();
        let text = b"CONNECTED-MODE SOCKET";
        assert!(is_write_to_connected(&conn.write_to(text, &raddr).unwrap_err()));
        let generic: &dyn gopark_net::PacketConn = &conn;
        assert!(is_write_to_connected(&generic.write_to(text, &raddr.clone().into()).unwrap_err()));
        assert!(is_write_to_connected(&conn.write_msg(text, &[], Some(&raddr)).unwrap_err()));
        assert_eq!(conn.write(text).unwrap(), text.len());

        let other = TempName::new();
        let conn = UnixConn::bind(other.path()).unwrap();
        let text = b"UNCONNECTED-MODE SOCKET";
        conn.write_to(text, &raddr).unwrap();
        (&conn as &dyn gopark_net::PacketConn).write_to(text, &raddr.clone().into()).unwrap();
        conn.write_msg(text, &[], Some(&raddr)).unwrap();
        assert_eq!(conn.write(text).unwrap_err().kind(), ErrorKind::NotConnected);

        let mut buf = [0; 64];
        for want in ["", other.str(), other.str(), other.str()] {
            let (n, from) = server.read_from(&mut buf).unwrap();
            assert!(n > 20);
            assert_eq!(from, Addr::from(addr("unixgram", want)));
        }
    }

    // Go: net TestUnixConnLocalAndRemoteNames
    fn test_unix_conn_local_and_remote_names() {
        for bound in [false, true] {
            let (name, local) = (TempName::new(), TempName::new());
            let ta = addr("unix", name.str());
            let ln = listen("unix", name.str()).unwrap();
            let la = addr("unix", if bound { local.str() } else { "" });
            let conn = Dialer::new().dial_unix("unix", Some(&la), Some(&ta)).unwrap();
            conn.write_all(b"UNIXCONN LOCAL AND REMOTE NAME TEST").unwrap();
            // A socket without a name has this one, as Go has it.
            let want = if bound { la } else { addr("unix", "@") };
            assert_eq!(ln.addr(), Addr::from(ta.clone()));
            assert_eq!(conn.local_addr().unwrap(), want);
            assert_eq!(conn.remote_addr(), Addr::from(ta.clone()));
            assert_eq!(conn.peer_addr().unwrap(), ta);
            let accepted = ln.accept().unwrap();
            assert_eq!(accepted.remote_addr(), Addr::from(want));
            assert_eq!(accepted.local_addr(), Addr::from(ta));
        }
    }

    // Go: net TestUnixgramConnLocalAndRemoteNames
    fn test_unixgram_conn_local_and_remote_names() {
        for bound in [false, true] {
            let (name, local) = (TempName::new(), TempName::new());
            let ta = addr("unixgram", name.str());
            let server = UnixConn::bind(name.path()).unwrap();
            let la = bound.then(|| addr("unixgram", local.str()));
            let client = Dialer::new().dial_unix("unixgram", la.as_ref(), Some(&ta)).unwrap();
            assert_eq!(server.local_addr().unwrap(), ta);
            assert_eq!(server.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
            assert_eq!(server.remote_addr().to_string(), "");
            assert_eq!(client.local_addr().unwrap(), la.unwrap_or(addr("unixgram", "@")));
            assert_eq!(client.remote_addr(), Addr::from(ta));
        }
    }

    /// The file goes with its listener; once, and not with one that did not make it.
    // Go: net TestUnixUnlink
    fn test_unix_unlink() {
        let name = TempName::new();
        let exists = || name.path().exists();
        let listener = || UnixListener::bind(name.path()).unwrap();
        let from_file = |ln: &UnixListener| {
            let file = std::os::fd::OwnedFd::from(ln.try_clone().unwrap());
            let ln = UnixListener::try_from(file.try_clone().unwrap()).unwrap();
            (file, ln)
        };

        let ln = listener();
        assert!(exists(), "after listening");
        ln.close().unwrap();
        assert!(!exists(), "after closing");

        drop(listener());
        assert!(!exists(), "after dropping");

        let ln = listener();
        let (file, other) = from_file(&ln);
        drop(file);
        assert!(exists(), "after the file is closed");
        other.close().unwrap();
        drop(other);
        assert!(exists(), "after the listener of a file is closed");
        ln.close().unwrap();
        assert!(!exists(), "after closing");

        let ln = listener();
        ln.close().unwrap();
        std::fs::write(name.path(), b"hello world").unwrap();
        assert_closed(ln.close());
        drop(ln);
        assert!(exists(), "only the first close removes it");
        std::fs::remove_file(name.path()).unwrap();

        for unlink in [true, false] {
            let ln = listener();
            ln.set_unlink_on_close(unlink);
            ln.close().unwrap();
            assert_eq!(exists(), !unlink, "of a listener");
            let _ = std::fs::remove_file(name.path());

            let ln = listener();
            let (_file, other) = from_file(&ln);
            other.set_unlink_on_close(unlink);
            other.close().unwrap();
            assert_eq!(exists(), !unlink, "of the listener of a file");
            ln.close().unwrap();
        }

        let ln = listener().into_std().unwrap();
        assert!(exists(), "std has it now");
        let ln = UnixListener::from_std(ln).unwrap();
        drop(std::os::fd::OwnedFd::from(ln));
        assert!(exists(), "we did not make it");
    }

    // Go: net TestUnixgramAutobind
    #[cfg(target_os = "linux")]
    fn test_unixgram_autobind() {
        let server = UnixConn::bind("").unwrap();
        let auto = server.local_addr().unwrap();
        assert!(auto.to_string().len() > 1 && auto.to_string().starts_with('@'), "{auto}");
        let client = UnixConn::connect_addr(&auto).unwrap();
        assert_eq!(client.peer_addr().unwrap(), auto);
        client.write(b"x").unwrap();
        assert_eq!(server.recv(&mut [0; 4]).unwrap(), 1);
    }

    // Go: net TestUnixAutobindClose
    #[cfg(target_os = "linux")]
    fn test_unix_autobind_close() {
        let ln = UnixListener::bind("").unwrap();
        ln.close().unwrap();
    }

    // Go: net TestUnixAbstractLongNameNulStart
    // go-semantics 7.5: "Abstract name length (#70893)"
    #[cfg(target_os = "linux")]
    fn test_unix_abstract_long_name_nul_start() {
        let mut name = format!("\0abstract_test_{}", std::process::id());
        name.push_str(&"\0".repeat(108 - name.len()));
        let ln = listen("unix", &name).unwrap();
        let at = ln.downcast_ref::<UnixListener>().unwrap().local_addr().unwrap();
        UnixConn::connect_addr(&at).expect("the name is whole, and can be dialed");
        ln.close().unwrap();
    }

    // Go: net TestUnixgramLinuxAbstractLongName
    #[cfg(target_os = "linux")]
    fn test_unixgram_linux_abstract_long_name() {
        use std::os::linux::net::SocketAddrExt;
        let mut name = format!("@abstract_test_{}", std::process::id());
        name.push_str(&"\0".repeat(108 - name.len()));
        let conn = UnixConn::bind_addr(&addr("unixgram", &name)).unwrap();
        let to = std::os::unix::net::SocketAddr::from_abstract_name(&name.as_bytes()[1..]).unwrap();
        UnixDatagram::unbound().unwrap().send_to_addr(&[1, 2, 3, 4, 5], &to).unwrap();
        let mut buf = [0; 64];
        conn.set_read_deadline(after(Duration::from_secs(10))).unwrap();
        let (n, from) = conn.read_from(&mut buf).unwrap();
        assert_eq!((&buf[..n], from), (&[1, 2, 3, 4, 5][..], None));
    }

    fn texts_are_gos() {
        let long = format!("/{}", "a".repeat(107));
        let ip: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
        let texts = [
            (listen("unix", &long).err(), format!("listen unix {long}: bind: invalid argument")),
            (dial("unix", &long).err(), format!("dial unix {long}: connect: invalid argument")),
            (listen_packet("unixgram", &long).err(), format!("listen unixgram {long}: bind: invalid argument")),
            (dial("unix", "").err(), "dial unix: missing address".into()),
            (dial("unix", "/no/such").err(), "dial unix /no/such: connect: no such file or directory".into()),
            (
                dial("unixgram", "/no/such").err(),
                "dial unixgram /no/such: connect: no such file or directory".into(),
            ),
            (
                listen("unixgram", "/no/such").err(),
                "listen unixgram /no/such: address /no/such: unexpected address type".into(),
            ),
            (
                listen_packet("unixpacket", "@x").err(),
                "listen unixpacket @x: address @x: unexpected address type".into(),
            ),
            (listen("unix", "/no/such").err(), "listen unix /no/such: bind: no such file or directory".into()),
            (dial("unixstream", "@x").err(), "dial unixstream: unknown network unixstream".into()),
            (
                Dialer::new().local_addr(addr("unixgram", "@l")).dial("unix", "@x").err(),
                "dial unix: address @l: mismatched local address type".into(),
            ),
            (
                Dialer::new().local_addr(addr("unix", "@l")).dial("tcp", "127.0.0.1:80").err(),
                "dial tcp: address @l: mismatched local address type".into(),
            ),
            (
                Dialer::new().local_addr(ip).dial("unix", "@x").err(),
                "dial unix: address 127.0.0.1:0: mismatched local address type".into(),
            ),
        ];
        for (got, want) in texts {
            assert_eq!(got.expect("an error").to_string(), want);
        }
        let (a, b) = UnixConn::pair_of("unixgram").unwrap();
        drop(b);
        assert_eq!(a.write(b"x").unwrap_err().to_string(), "write unixgram @->@: write: connection refused");
        let conn = UnixConn::unbound().unwrap();
        let err = conn.write_to(b"x", addr("unix", "@x")).unwrap_err();
        assert_eq!(err.to_string(), "write unixgram @->@x: address family not supported by protocol");
        assert_eq!(raw_os_error(&err), Some(97));
        let err = conn.write_to(b"x", addr("unixgram", "@no-such")).unwrap_err();
        assert_eq!(err.to_string(), "write unixgram @->@no-such: sendto: connection refused");
    }

    fn two_listeners_on_one_name_are_one_too_many() {
        let name = TempName::new();
        let ln = UnixListener::bind(name.path()).unwrap();
        let err = UnixListener::bind(name.path()).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::AddrInUse);
        assert!(name.path().exists(), "the one that failed removes nothing");
        UnixConn::connect(name.path()).unwrap();
        drop(ln);
        UnixListener::bind(name.path()).unwrap();
    }

    fn streams_end_in_one_direction_or_both() {
        let (a, b) = UnixConn::pair().unwrap();
        a.write_all(b"question").unwrap();
        a.close_write().unwrap();
        let mut text = String::new();
        (&b).read_to_string(&mut text).unwrap();
        assert_eq!(text, "question");
        b.write_all(b"answer").unwrap();
        b.close().unwrap();
        (&a).read_to_string(&mut text).unwrap();
        assert_eq!(text, "questionanswer");
        assert_eq!(a.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);

        let (a, b) = UnixConn::pair().unwrap();
        let a = Arc::new(a);
        let reader = spawn({
            let a = Arc::clone(&a);
            move || a.read(&mut [0])
        });
        let reader = assert_blocked(reader);
        a.close_read().unwrap();
        assert_eq!(join_soon(reader).unwrap(), 0);
        assert_eq!(b.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }

    fn packets_keep_their_bounds() {
        let ln = listen("unixpacket", "").unwrap();
        let at = ln.addr().to_string();
        let mut client = dial("unixpacket", &at).unwrap();
        let mut server = ln.accept().unwrap();
        for text in [&b"one"[..], b"three", b"seventeen"] {
            client.write_all(text).unwrap();
        }
        let mut buf = [0; 5];
        for (want, text) in [(3, "one"), (5, "three"), (5, "seven")] {
            assert_eq!(server.read(&mut buf).unwrap(), want);
            assert_eq!(&buf[..want], text.as_bytes());
        }
        client.close().unwrap();
        assert_eq!(server.read(&mut buf).unwrap(), 0, "the rest was lost, and then comes the end");
    }

    /// A listener whose queue is full keeps who dials it waiting, as in std and unlike in Go, within its time.
    fn a_dial_waits_for_room_in_the_queue() {
        let name = TempName::new();
        let ln = gopark_net::ListenConfig::new().backlog(0).listen_unix(name.path()).unwrap();
        let _queued = UnixConn::connect(name.path()).unwrap();
        let soon = Dialer::new().timeout(A_WHILE).dial("unix", name.str());
        assert_timeout(soon);
        let (ctx, cancel) = gopark_net::context::Context::background().with_cancel();
        let path = name.str().to_owned();
        let dialing = spawn(move || Dialer::new().dial_context(&ctx, "unix", &path).map(drop));
        let dialing = assert_blocked(dialing);
        cancel.cancel();
        assert!(gopark_net::is_canceled(&join_soon(dialing).unwrap_err()));
        let path = name.path().to_owned();
        let dialing = assert_blocked(spawn(move || UnixConn::connect(path)));
        ln.accept().unwrap();
        join_soon(dialing).unwrap();
        ln.accept().unwrap();
    }

    fn a_sender_waits_for_room_whether_connected_or_not() {
        for connected in [true, false] {
            let server = UnixConn::bind("").unwrap();
            let at = server.local_addr().unwrap();
            let client = Arc::new(UnixConn::unbound().unwrap());
            if connected {
                client.connect_to_addr(&at).unwrap();
            }
            let send = move |client: &UnixConn, at: &UnixAddr| {
                if connected { client.send(b"x") } else { client.send_to_addr(b"x", at) }
            };
            let sent = fill_queue(&at);
            client.set_write_deadline(after(Duration::from_millis(20))).unwrap();
            assert_timeout(send(&client, &at));
            client.set_write_deadline(None).unwrap();
            let sender = spawn({
                let (client, at) = (Arc::clone(&client), at.clone());
                move || send(&client, &at)
            });
            let sender = assert_blocked(sender);
            for _ in 0..sent {
                server.recv(&mut [0; 4]).unwrap();
            }
            assert_eq!(join_soon(sender).unwrap(), 1);
            assert_eq!(server.recv(&mut [0; 4]).unwrap(), 1);
        }
    }

    fn a_datagram_socket_can_be_connected_later_and_again() {
        let (one, two) = (UnixConn::bind("").unwrap(), UnixConn::bind("").unwrap());
        let client = UnixConn::bind("").unwrap();
        for server in [&one, &two] {
            let at = server.local_addr().unwrap();
            client.connect_to_addr(&at).unwrap();
            assert_eq!(client.peer_addr().unwrap(), at);
            client.send(b"hello").unwrap();
            let (n, from) = server.recv_from(&mut [0; 8]).unwrap();
            assert_eq!((n, &from), (5, &client.local_addr().unwrap()));
            assert!(is_write_to_connected(&client.write_to(b"x", &at).unwrap_err()));
        }
        let err = client.connect_to("/no/such").unwrap_err();
        assert!(err.to_string().ends_with("->/no/such: connect: no such file or directory"), "{err}");
        assert_eq!(client.peer_addr().unwrap(), two.local_addr().unwrap(), "nothing has changed");
    }

    fn deadlines_and_closing_end_what_waits() {
        for network in ["unix", "unixgram", "unixpacket"] {
            let (a, b) = UnixConn::pair_of(network).unwrap();
            a.set_read_deadline(after(Duration::from_millis(5))).unwrap();
            assert_timeout(a.read(&mut [0]));
            assert_timeout(a.recv_from(&mut [0]));
            assert_timeout(a.read_msg(&mut [0], 1));
            a.set_read_deadline(None).unwrap();
            a.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
            assert_timeout(a.read(&mut [0]));
            a.set_read_timeout(None).unwrap();
            let a = Arc::new(a);
            let reader = spawn({
                let a = Arc::clone(&a);
                move || a.read(&mut [0])
            });
            let reader = assert_blocked(reader);
            a.close().unwrap();
            assert_closed(join_soon(reader));
            assert_closed(a.write(b"x"));
            assert_closed(a.read_msg(&mut [0], 0));
            drop(b);
        }
        let ln = Arc::new(UnixListener::bind("").unwrap());
        ln.set_deadline(after(Duration::from_millis(5))).unwrap();
        assert_timeout(ln.accept());
        ln.set_deadline(None).unwrap();
        let accepting = spawn({
            let ln = Arc::clone(&ln);
            move || ln.accept().map(drop)
        });
        let accepting = assert_blocked(accepting);
        ln.close().unwrap();
        let err = join_soon(accepting).unwrap_err();
        assert!(is_closed(&err), "{err}");
    }

    fn a_context_ends_what_waits() {
        use gopark_net::context::Context;
        let (ctx, cancel) = Context::background().with_cancel();
        let (a, _b) = UnixConn::pair().unwrap();
        let a = Arc::new(a);
        let reader = spawn({
            let (a, ctx) = (Arc::clone(&a), ctx.clone());
            move || a.with_context(&ctx).and_then(|conn| conn.read(&mut [0]))
        });
        let ln = UnixListener::bind("").unwrap();
        let accepting = spawn(move || ln.with_context(&ctx).and_then(|ln| ln.accept().map(drop)));
        let (reader, accepting) = (assert_blocked(reader), assert_blocked(accepting));
        cancel.cancel();
        assert!(gopark_net::is_canceled(&join_soon(reader).unwrap_err()));
        assert!(gopark_net::is_canceled(&join_soon(accepting).unwrap_err()));
    }

    fn hooks_see_the_network_and_the_name() {
        let name = TempName::new();
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let hook = |seen: &Arc<std::sync::Mutex<Vec<String>>>| {
            let seen = Arc::clone(seen);
            move |network: &str, address: &str, _: std::os::fd::BorrowedFd<'_>| {
                seen.lock().unwrap().push(format!("{network} {address}"));
                Ok(())
            }
        };
        let ln = gopark_net::ListenConfig::new().control(hook(&seen)).listen("unix", name.str()).unwrap();
        Dialer::new().control(hook(&seen)).dial("unix", name.str()).unwrap();
        let want = format!("unix {}", name.str());
        assert_eq!(*seen.lock().unwrap(), [want.clone(), want]);
        ln.close().unwrap();
        let no = |_: &str, _: &str, _: std::os::fd::BorrowedFd<'_>| Err(io::Error::other("no"));
        assert!(gopark_net::ListenConfig::new().control(no).listen("unix", name.str()).is_err());
        assert!(!name.path().exists(), "the hook runs before the name is taken");
    }

    fn std_goes_in_and_comes_out() {
        let (a, mut b) = std::os::unix::net::UnixStream::pair().unwrap();
        let a = UnixConn::from_std(a).unwrap();
        assert!(a.peer_addr().unwrap().is_unnamed());
        let reader = spawn(move || {
            let mut buf = [0; 8];
            let n = a.read(&mut buf).unwrap();
            (buf[..n].to_vec(), a)
        });
        let reader = assert_blocked(reader);
        b.write_all(b"hello").unwrap();
        let (got, a) = join_soon(reader);
        assert_eq!(got, b"hello");
        let mut a = a.into_std().unwrap();
        a.write_all(b"blocking").unwrap();
        assert_eq!(b.read(&mut [0; 16]).unwrap(), 8);

        let name = TempName::new();
        let socket = UnixConn::from_std(UnixDatagram::bind(name.path()).unwrap()).unwrap();
        assert_eq!(socket.local_addr().unwrap(), addr("unixgram", name.str()));
        let socket = socket.into_std_datagram().unwrap();
        assert_eq!(socket.local_addr().unwrap().as_pathname(), Some(name.path()));
        let wrong = UnixConn::from_std(socket).unwrap().into_std().unwrap_err();
        assert_eq!(raw_os_error(&wrong), Some(91), "EPROTOTYPE: {wrong}");

        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let wrong = UnixConn::from_std(tcp).unwrap_err();
        assert!(wrong.to_string().contains("address family not supported"), "{wrong}");
        let unconnected = UnixConn::from_std(std::os::unix::net::UnixListener::bind("/dev/null/x").map_or_else(
            |_| socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap().into(),
            std::os::fd::OwnedFd::from,
        ));
        assert_eq!(unconnected.unwrap_err().kind(), ErrorKind::NotConnected);
    }

    fn the_peer_is_known() {
        let name = TempName::new();
        let ln = UnixListener::bind(name.path()).unwrap();
        let client = UnixConn::connect(name.path()).unwrap();
        let (server, _) = ln.accept().unwrap();
        for conn in [&client, &server] {
            let cred = conn.peer_cred().unwrap();
            assert_eq!(cred.pid, Some(std::process::id() as i32));
            let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap());
            assert_eq!(cred.uid, owner);
        }
        let (a, _b) = UnixConn::pair().unwrap();
        assert_eq!(a.peer_cred().unwrap().pid, Some(std::process::id() as i32));
        assert_eq!(UnixConn::unbound().unwrap().peer_cred().unwrap().uid, u32::MAX, "nobody");
    }

    fn clones_share_the_socket_and_nothing_else() {
        let (a, b) = UnixConn::pair().unwrap();
        let other = a.try_clone().unwrap();
        a.set_read_deadline(after(Duration::ZERO)).unwrap();
        assert_timeout(a.read(&mut [0]));
        b.write_all(b"x").unwrap();
        assert_eq!(other.read(&mut [0; 4]).unwrap(), 1, "it has deadlines of its own");
        a.close().unwrap();
        other.write_all(b"y").unwrap();
        assert_eq!(b.read(&mut [0; 4]).unwrap(), 1);
        drop(other);
        assert_eq!(b.read(&mut [0; 4]).unwrap(), 0);
    }

    fn many_connections_at_once() {
        let name = TempName::new();
        let ln = Arc::new(UnixListener::bind(name.path()).unwrap());
        let server = spawn({
            let ln = Arc::clone(&ln);
            move || {
                for conn in ln.incoming() {
                    match conn {
                        Ok(conn) => go(move || io::copy(&mut &conn, &mut &conn).map(drop)),
                        Err(err) => return assert!(is_closed(&err), "{err}"),
                    }
                }
            }
        });
        let clients: Vec<_> = (0..50_u8)
            .map(|n| {
                let path = name.path().to_owned();
                spawn(move || {
                    let conn = UnixConn::connect(path).unwrap();
                    let mut buf = [0; 512];
                    for _ in 0..20 {
                        conn.write_all(&[n; 512]).unwrap();
                        (&conn).read_exact(&mut buf).unwrap();
                        assert_eq!(buf, [n; 512]);
                    }
                })
            })
            .collect();
        for client in clients {
            join_soon(client);
        }
        ln.close().unwrap();
        join_soon(server);
    }
}

/// In a process of its own, whose processor time is counted. Go's goroutine spins there.
#[cfg(target_os = "linux")]
#[test]
fn who_waits_for_room_is_idle() {
    const NAME: &str = "who_waits_for_room_is_idle";
    /// In hundredths of a second.
    fn processor_time() -> u64 {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        // After the name in parentheses: state, and then utime and stime as the 12th and 13th.
        let fields = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace();
        fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }
    if !util::is_child_for(NAME) {
        return util::assert_success(util::child(NAME, ""), NAME);
    }
    util::goroutine(NAME, || {
        let server = UnixConn::bind("").unwrap();
        let at = server.local_addr().unwrap();
        fill_queue(&at);
        let before = processor_time();
        let conn = UnixConn::unbound().unwrap();
        conn.set_write_deadline(after(Duration::from_millis(500))).unwrap();
        assert_timeout(conn.send_to_addr(b"x", &at));
        let spent = processor_time() - before;
        assert!(spent < 15, "{spent} hundredths of a second of half a one");
    });
}

#[test]
fn paths_are_paths() {
    assert_eq!(UnixAddr::new("/a/b").as_pathname(), Some(Path::new("/a/b")));
}
