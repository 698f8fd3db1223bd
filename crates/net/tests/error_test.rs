//! The shapes of errors and their texts, which are those of a Go program. Go: `net/error_test.go`.

mod util;

use std::error::Error as _;
use std::io::{self, ErrorKind};

use gopark_net::{
    AddrError, Cause, Conn, OpError, SyscallError, TcpConn, TcpListener, UnknownNetworkError, dial,
    is_closed, is_temporary, is_timeout, listen, raw_os_error,
};
use util::{ago, local_listener, pair};

procs!();

/// The text of the error, which must be an `OpError` for `op` and not empty-handed.
fn text<T>(op: &str, result: io::Result<T>) -> String {
    let Err(err) = result else { panic!("{op}: no error") };
    let inner = OpError::of(&err).unwrap_or_else(|| panic!("not an OpError: {err}"));
    assert_eq!(inner.op, op);
    assert_eq!(inner.source().expect("a cause").to_string(), inner.err.to_string());
    err.to_string()
}

both! {
    /// Each text was printed by a Go 1.26 program.
    // Go: net TestDialError, TestDialAddrError, TestProhibitionaryDialArg
    fn test_dial_error() {
        for (network, address, want) in [
            ("sctp", "127.0.0.1:80", "dial sctp: unknown network sctp"),
            ("", "127.0.0.1:80", "dial: unknown network "),
            ("tcp:0", "127.0.0.1:80", "dial tcp:0: unknown network tcp:0"),
            ("tcp", "", "dial tcp: missing address"),
            ("tcp", "127.0.0.1", "dial tcp: address 127.0.0.1: missing port in address"),
            ("tcp", "::1:80", "dial tcp: address ::1:80: too many colons in address"),
            ("tcp", "[::1]", "dial tcp: address [::1]: missing port in address"),
            ("tcp", "[::1", "dial tcp: address [::1: missing ']' in address"),
            ("tcp", "127.0.0.1:-1", "dial tcp: address -1: invalid port"),
            ("tcp", "127.0.0.1:65536", "dial tcp: address 65536: invalid port"),
            ("tcp", "127.0.0.1:123456789", "dial tcp: address 123456789: invalid port"),
            ("tcp", "127.0.0.1:mumble", "dial tcp: lookup tcp/mumble: unknown port"),
            ("tcp4", "[::1]:80", "dial tcp4: address ::1: no suitable address found"),
            ("tcp6", "127.0.0.1:80", "dial tcp6: address 127.0.0.1: no suitable address found"),
            ("tcp6", "[::ffff:127.0.0.1]:80", "dial tcp6: address ::ffff:127.0.0.1: no suitable address found"),
            ("tcp", "127.0.0.1%lo:80", "dial tcp: lookup 127.0.0.1%lo: no such host"),
            ("tcp", "bad_host name:80", "dial tcp: lookup bad_host name: no such host"),
            ("tcp", "127.0.0.1:1", "dial tcp 127.0.0.1:1: connect: connection refused"),
            ("tcp", "[::1]:1", "dial tcp [::1]:1: connect: connection refused"),
            ("tcp4", ":1", "dial tcp4 :1: connect: connection refused"),
            ("tcp6", ":1", "dial tcp6 :1: connect: connection refused"),
            ("tcp", "[::]:1", "dial tcp [::]:1: connect: connection refused"),
            ("tcp", "[::ffff:127.0.0.1]:1", "dial tcp 127.0.0.1:1: connect: connection refused"),
            ("tcp", "[fe80::1]:1", "dial tcp [fe80::1]:1: connect: invalid argument"),
            ("tcp", "255.255.255.255:1", "dial tcp 255.255.255.255:1: connect: network is unreachable"),
        ] {
            let got = text("dial", dial(network, address));
            if address.starts_with("255") && got.ends_with("permission denied") {
                // Whether broadcast addresses have a route is the machine's business.
                continue;
            }
            assert_eq!(got, want, "{network} {address}");
        }
    }

    // Go: net TestListenError
    fn test_listen_error() {
        let ln = local_listener();
        let at = ln.addr().to_string();
        for (network, address, want) in [
            ("sctp", "127.0.0.1:80", "listen sctp: unknown network sctp".to_owned()),
            ("tcp", "127.0.0.1", "listen tcp: address 127.0.0.1: missing port in address".to_owned()),
            ("tcp", "127.0.0.1:-1", "listen tcp: address -1: invalid port".to_owned()),
            ("tcp", "127.0.0.1:mumble", "listen tcp: lookup tcp/mumble: unknown port".to_owned()),
            ("tcp4", "[::1]:0", "listen tcp4: address ::1: no suitable address found".to_owned()),
            ("tcp6", "127.0.0.1:0", "listen tcp6: address 127.0.0.1: no suitable address found".to_owned()),
            ("tcp", &at, format!("listen tcp {at}: bind: address already in use")),
            ("tcp4", &at, format!("listen tcp4 {at}: bind: address already in use")),
            ("tcp", "192.0.2.1:0", "listen tcp 192.0.2.1:0: bind: cannot assign requested address".to_owned()),
        ] {
            assert_eq!(text("listen", listen(network, address)), want, "{network} {address}");
        }
    }

    // Go: net TestCloseError
    fn test_close_error() {
        let ln = local_listener();
        let at = ln.addr();
        let client = TcpConn::connect(ln.local_addr().unwrap()).unwrap();
        let (local, peer) = (Conn::local_addr(&client), client.remote_addr());
        client.close().unwrap();
        for _ in 0..3 {
            let want = format!("close tcp {local}->{peer}: use of closed network connection");
            assert_eq!(text("close", client.close()), want);
            assert_eq!(text("close", client.close_read()), want);
            assert_eq!(text("close", client.close_write()), want);
        }
        ln.close().unwrap();
        for _ in 0..3 {
            let want = format!("close tcp {at}: use of closed network connection");
            assert_eq!(text("close", ln.close()), want);
        }
        let err = client.close().unwrap_err();
        assert!(is_closed(&err) && !is_timeout(&err) && !is_temporary(&err));
        assert_eq!(raw_os_error(&err), None);
    }

    // Go: net TestAcceptError
    fn test_accept_error() {
        let ln = local_listener();
        let at = ln.addr();
        ln.set_deadline(ago(std::time::Duration::from_secs(1))).unwrap();
        let err = ln.accept().unwrap_err();
        assert!(is_timeout(&err) && is_temporary(&err));
        assert_eq!(err.to_string(), format!("accept tcp {at}: i/o timeout"));
        ln.close().unwrap();
        let err = ln.accept().unwrap_err();
        assert!(is_closed(&err) && !is_temporary(&err));
        assert_eq!(err.to_string(), format!("accept tcp {at}: use of closed network connection"));
    }

    // Go: net TestContextError: what can be told apart
    fn test_context_error() {
        let ln = local_listener();
        let dialer = gopark_net::Dialer::new().timeout(std::time::Duration::ZERO);
        let err = dialer.dial("tcp", &ln.addr().to_string()).err().unwrap();
        assert_eq!(err.to_string(), format!("dial tcp {}: i/o timeout", ln.addr()));
        assert!(matches!(OpError::of(&err).unwrap().err, Cause::Timeout));
        assert_eq!(err.kind(), ErrorKind::TimedOut);
    }

    fn reads_and_writes_name_both_ends() {
        let (client, server) = pair();
        let (local, peer) = (Conn::local_addr(&client), client.remote_addr());
        client.set_deadline(ago(std::time::Duration::from_secs(1))).unwrap();
        assert_eq!(text("read", client.read(&mut [0])), format!("read tcp {local}->{peer}: i/o timeout"));
        assert_eq!(text("write", client.write(b"x")), format!("write tcp {local}->{peer}: i/o timeout"));
        assert_eq!(text("write", client.write_all(b"x")), format!("write tcp {local}->{peer}: i/o timeout"));
        client.set_deadline(None).unwrap();
        server.set_linger(Some(std::time::Duration::ZERO)).unwrap();
        server.close().unwrap();
        client.readable().unwrap();
        let want = format!("read tcp {local}->{peer}: read: connection reset by peer");
        assert_eq!(text("read", client.read(&mut [0])), want);
        let err = client.write_all(b"x").unwrap_err();
        assert_eq!(err.to_string(), format!("write tcp {local}->{peer}: write: broken pipe"));
        assert_eq!(err.kind(), ErrorKind::BrokenPipe);
        match &OpError::of(&err).unwrap().err {
            Cause::Syscall(e) => assert_eq!(*e, SyscallError::new("write", raw_os_error(&err).unwrap())),
            other => panic!("{other}"),
        }
        client.close().unwrap();
        let want = format!("set tcp {local}: use of closed network connection");
        assert_eq!(text("set", client.set_deadline(None)), want);
        let want = format!("set tcp {local}->{peer}: use of closed network connection");
        assert_eq!(text("set", client.set_nodelay(true)), want);
    }

    /// What is not TCP is refused with a reason.
    fn foreign_descriptors_are_refused() {
        let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(TcpConn::try_from(std::os::fd::OwnedFd::from(socket)).is_err());
        let unconnected = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let err = TcpConn::from_std(unconnected.into()).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::NotConnected, "{err}");
        assert!(err.to_string().starts_with("file tcp: getpeername: "), "{err}");
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(TcpListener::try_from(std::os::fd::OwnedFd::from(file)).is_err());
    }

    /// All of our errors go into `io::Error`s that say the same of themselves, and can be had back.
    // Go: net TestErrors
    fn test_errors() {
        fn both<E: std::error::Error + Send + Sync + Clone + PartialEq + 'static>(e: E) -> io::Error
        where
            io::Error: From<E>,
        {
            let err = io::Error::from(e.clone());
            assert_eq!(err.to_string(), e.to_string());
            assert_eq!(err.get_ref().and_then(|inner| inner.downcast_ref::<E>()), Some(&e));
            err
        }
        let addr = AddrError { err: "missing port in address", addr: "localhost".to_owned() };
        assert!(!is_timeout(&both(addr.clone())) && !is_temporary(&both(addr)));
        assert!(!is_timeout(&both(UnknownNetworkError("tcp7".to_owned()))));
        let (client, _server) = pair();
        client.set_read_deadline(ago(std::time::Duration::from_secs(1))).unwrap();
        let timeout = client.read(&mut [0]).unwrap_err();
        assert!(is_timeout(&timeout) && is_temporary(&timeout) && !is_closed(&timeout));
        client.close().unwrap();
        let closed = client.read(&mut [0]).unwrap_err();
        assert!(is_closed(&closed) && !is_timeout(&closed) && !is_temporary(&closed));
        let inner = OpError::of(&closed).unwrap();
        assert!(inner.source().is_some() && matches!(inner.err, Cause::Closed));
    }
}
