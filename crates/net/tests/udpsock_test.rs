//! UDP sockets. Go: `net/udpsock_test.go`, and what `net/net_test.go`, `net/listen_test.go` and `net/server_test.go`
//! have of UDP.

mod util;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gopark_net::{
    Addr, AddrError, Cause, Dialer, ListenConfig, OpError, TcpAddr, UdpAddr, UdpConn, UnknownNetworkError,
    dial, listen, listen_packet, listen_udp, raw_os_error, spawn,
};
use gopark_sys::Errno;
use util::{after, ago, assert_blocked, assert_closed, assert_timeout, join_soon};

const SEC: Duration = Duration::from_secs(1);

procs!();

fn local() -> UdpConn {
    UdpConn::bind("127.0.0.1:0").expect("a free port")
}

fn local_addr(conn: &UdpConn) -> SocketAddr {
    conn.local_addr().unwrap()
}

/// Whether this machine has an IPv6 loopback.
fn has_ipv6() -> bool {
    std::net::UdpSocket::bind("[::1]:0").is_ok()
}

#[track_caller]
fn assert_write_to_connected<T: std::fmt::Debug>(result: std::io::Result<T>) {
    let err = result.unwrap_err();
    assert!(matches!(OpError::of(&err).unwrap().err, Cause::WriteToConnected), "{err}");
    assert!(err.to_string().ends_with(": use of WriteTo with pre-connected connection"), "{err}");
}

both! {
    // Go: net TestResolveUDPAddr
    fn test_resolve_udp_addr() {
        let ok = |ip: &str, port, scope_id| Ok(UdpAddr { ip: Some(ip.parse().unwrap()), port, scope_id });
        let unsuitable = |addr: &str| Err(format!("address {addr}: no suitable address found"));
        for (network, text, want) in [
            ("udp", "127.0.0.1:0", ok("127.0.0.1", 0, 0)),
            ("udp4", "127.0.0.1:65535", ok("127.0.0.1", 65535, 0)),
            ("udp", "[::1]:0", ok("::1", 0, 0)),
            ("udp6", "[::1]:65535", ok("::1", 65535, 0)),
            ("udp6", "[::1%911]:2", ok("::1", 2, 911)),
            ("", "127.0.0.1:0", ok("127.0.0.1", 0, 0)),
            ("", "[::1]:0", ok("::1", 0, 0)),
            ("udp", ":12345", Ok(UdpAddr { ip: None, port: 12345, scope_id: 0 })),
            ("http", "127.0.0.1:0", Err("unknown network http".to_owned())),
            ("tcp", "127.0.0.1:0", Err("unknown network tcp".to_owned())),
            ("udp", "127.0.0.1:domain", ok("127.0.0.1", 53, 0)),
            ("udp", "[2001:db8::1]:domain", ok("2001:db8::1", 53, 0)),
            ("udp4", "127.0.0.1:domain", ok("127.0.0.1", 53, 0)),
            ("udp6", "[2001:db8::1]:domain", ok("2001:db8::1", 53, 0)),
            ("udp4", "[2001:db8::1]:domain", unsuitable("2001:db8::1")),
            ("udp6", "127.0.0.1:domain", unsuitable("127.0.0.1")),
            ("udp6", "[::ffff:127.0.0.1]:domain", unsuitable("::ffff:127.0.0.1")),
        ] {
            let got = UdpAddr::resolve(network, text).map_err(|e| e.to_string());
            assert_eq!(got, want, "{network:?} {text}");
            if let Ok(addr) = got {
                assert_eq!(UdpAddr::resolve("udp", &addr.to_string()).unwrap(), addr);
            }
        }
        // Mapped into IPv6 it is the same address, and prints as the same.
        for network in ["udp", "udp4"] {
            let mapped = UdpAddr::resolve(network, "[::ffff:127.0.0.1]:domain").unwrap();
            assert_eq!(mapped.to_string(), "127.0.0.1:53");
        }
        assert_eq!(TcpAddr::resolve("", "127.0.0.1:http").unwrap().port, 80);
        assert_eq!(TcpAddr::resolve("udp", "127.0.0.1:0").unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    // Go: net TestWriteToUDP
    fn test_write_to_udp() {
        let peer = local();
        let to = UdpAddr::from(local_addr(&peer));

        let connected = Dialer::new().dial_udp("udp", &to.to_string()).unwrap();
        let bytes = b"CONNECTED-MODE SOCKET";
        assert_write_to_connected(connected.write_to(bytes, to));
        assert_write_to_connected(gopark_net::PacketConn::write_to(&connected, bytes, &to.into()));
        assert_write_to_connected(connected.write_msg(bytes, &[], Some(to)));
        let err = connected.write_to(bytes, to).unwrap_err();
        let me = local_addr(&connected);
        assert_eq!(
            err.to_string(),
            format!("write udp {me}->{to}: use of WriteTo with pre-connected connection")
        );
        assert_eq!(connected.write(bytes).unwrap(), bytes.len());
        assert_eq!(connected.write_msg(bytes, &[], None).unwrap(), (bytes.len(), 0));
        // std's name has std's rule: the system decides, and Linux sends.
        assert_eq!(connected.send_to(bytes, local_addr(&peer)).unwrap(), bytes.len());

        let free = local();
        let bytes = b"UNCONNECTED-MODE SOCKET";
        free.write_to(bytes, to).unwrap();
        gopark_net::PacketConn::write_to(&free, bytes, &to.into()).unwrap();
        let err = free.write(bytes).unwrap_err();
        assert_eq!(raw_os_error(&err), Some(Errno::EDESTADDRREQ.raw()), "{err}");
        let err = free.write_msg(bytes, &[], None).unwrap_err();
        assert_eq!(err.to_string(), format!("write udp {}: missing address", local_addr(&free)));
        let nowhere = UdpAddr { ip: None, port: 1, scope_id: 0 };
        assert!(matches!(
            OpError::of(&free.write_to(bytes, nowhere).unwrap_err()).unwrap().err,
            Cause::MissingAddress
        ));
        free.write_msg(bytes, &[], Some(to)).unwrap();
    }

    // Go: net TestUDPConnLocalName
    fn test_udp_conn_local_name() {
        for address in ["127.0.0.1:0", ":0", ""] {
            let conn = listen_udp("udp4", address).unwrap();
            assert_ne!(local_addr(&conn).port(), 0, "{address}");
            assert!(local_addr(&conn).is_ipv4(), "{address}");
        }
    }

    // Go: net TestUDPConnLocalAndRemoteNames
    fn test_udp_conn_local_and_remote_names() {
        for laddr in [None, Some(SocketAddr::from(([127, 0, 0, 1], 0)))] {
            let c1 = local();
            let dialer = laddr.map_or(Dialer::new(), |laddr| Dialer::new().local_addr(laddr));
            let c2 = dialer.dial_udp("udp", &local_addr(&c1).to_string()).unwrap();
            assert_ne!(local_addr(&c1).port(), 0);
            assert_eq!(c1.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
            assert_ne!(local_addr(&c2).port(), 0);
            assert_eq!(c2.peer_addr().unwrap(), local_addr(&c1));
            assert_eq!(c2.remote_addr(), Addr::Udp(local_addr(&c1).into()));
        }
    }

    // Go: net TestUDPZeroBytePayload
    // go-semantics 3.3: "zero-length buffers do go to the kernel (a datagram is consumed); ZeroReadIsEOF=false"
    fn test_udp_zero_byte_payload() {
        let conn = local();
        let to = local_addr(&conn);
        conn.set_read_deadline(after(30 * SEC)).unwrap();
        let mut byte = [7];
        assert_eq!(conn.send_to(&[], to).unwrap(), 0);
        assert_eq!(conn.recv_from(&mut byte).unwrap(), (0, to));
        assert_eq!(conn.send_to(&[], to).unwrap(), 0);
        assert_eq!(conn.read(&mut byte).unwrap(), 0);
        assert_eq!(conn.write_msg(&[], &[], Some(to.into())).unwrap(), (0, 0));
        let got = conn.read_msg(&mut byte, &mut []).unwrap();
        assert_eq!((got.len, got.from), (0, to.into()));
        // To the peer of a connected socket, also by the name that streams have, where nothing would be nothing to do.
        conn.connect(to).unwrap();
        assert_eq!(conn.write(&[]).unwrap(), 0);
        conn.write_all(&[]).unwrap();
        assert_eq!(conn.recv(&mut byte).unwrap(), 0);
        assert_eq!(conn.recv(&mut byte).unwrap(), 0);
        assert_eq!(byte, [7]);
        assert_eq!(conn.try_recv(&mut byte).unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    // Go: net TestUDPZeroByteBuffer
    fn test_udp_zero_byte_buffer() {
        let conn = local();
        let to = local_addr(&conn);
        conn.set_read_deadline(after(30 * SEC)).unwrap();
        conn.send_to(b"one", to).unwrap();
        conn.send_to(b"two", to).unwrap();
        // Read takes nothing and does not wait; the others take a datagram.
        assert_eq!(conn.read(&mut []).unwrap(), 0);
        assert_eq!(conn.peek_from(&mut []).unwrap(), (0, to));
        assert_eq!(conn.recv_from(&mut []).unwrap(), (0, to));
        assert_eq!(conn.recv(&mut []).unwrap(), 0);
        assert_eq!(conn.read(&mut []).unwrap(), 0);
        assert_eq!(conn.try_recv(&mut []).unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    // Go: net TestUDPReadSizeError
    // go-semantics 7.5: "truncated UDP payload returned 0 (79fe895112)"
    fn test_udp_read_size_error() {
        let c1 = local();
        let c2 = dial("udp", &local_addr(&c1).to_string()).unwrap();
        let bytes = b"READ SIZE ERROR TEST";
        let mut short = [0; 19];
        c1.set_read_deadline(after(30 * SEC)).unwrap();
        for _ in 0..3 {
            assert_eq!(c2.write(bytes).unwrap(), bytes.len());
        }
        assert_eq!(c1.read(&mut short).unwrap(), 19);
        assert_eq!(c1.recv_from(&mut short).unwrap().0, 19);
        assert_eq!(&short, b"READ SIZE ERROR TES");
        let got = c1.read_msg(&mut short, &mut []).unwrap();
        assert_eq!((got.len, got.is_truncated(), got.is_control_truncated()), (19, true, false));
    }

    // Go: net TestUDPReadTimeout
    fn test_udp_read_timeout() {
        let conn = local();
        conn.set_deadline(ago(Duration::from_millis(1))).unwrap();
        let mut byte = [0];
        assert_timeout(conn.recv_from(&mut byte));
        let err = conn.read_from(&mut byte).unwrap_err();
        assert_eq!(err.to_string(), format!("read udp {}: i/o timeout", local_addr(&conn)));
        // Even with something there.
        conn.set_write_deadline(None).unwrap();
        conn.send_to(b"x", local_addr(&conn)).unwrap();
        assert_timeout(conn.recv_from(&mut byte));
        assert_timeout(conn.read(&mut byte));
        assert_timeout(conn.read_msg(&mut byte, &mut []));
        assert_timeout(conn.peek_from(&mut byte));
        assert_timeout(conn.readable());
        conn.set_read_deadline(None).unwrap();
        assert_eq!(conn.recv(&mut byte).unwrap(), 1);
    }

    // Go: net TestUDPIPVersionReadMsg
    fn test_udpip_version_read_msg() {
        let conn = local();
        let to = local_addr(&conn);
        let mut buf = [0; 8];
        for _ in 0..2 {
            conn.write_to(&buf, to).unwrap();
        }
        assert!(conn.read_msg(&mut buf, &mut []).unwrap().from.ip.unwrap().is_ipv4());
        assert!(conn.recv_from(&mut buf).unwrap().1.is_ipv4());
    }

    // Go: net TestIPv6WriteMsgUDPAddrPortTargetAddrIPVersion
    fn test_ipv6_write_msg_udp_addr_port_target_addr_ip_version() {
        if !has_ipv6() {
            return;
        }
        let conn = listen_udp("udp", "").unwrap();
        let port = local_addr(&conn).port();
        let mut buf = [0; 8];
        conn.set_read_deadline(after(30 * SEC)).unwrap();
        for to in ["127.0.0.1", "::ffff:127.0.0.1", "::1"] {
            let to = SocketAddr::new(to.parse().unwrap(), port);
            conn.write_msg(&buf, &[], Some(to.into())).unwrap();
            // What came by IPv4 is an address of IPv4, and can be answered.
            let (_, from) = conn.recv_from(&mut buf).unwrap();
            assert_eq!(from, SocketAddr::new(to.ip().to_canonical(), port));
            conn.send_to(&buf, from).unwrap();
            assert_eq!(conn.recv_from(&mut buf).unwrap().1, from);
        }
    }

    // Go: net TestIPv4WriteMsgUDPAddrPortTargetAddrIPVersion
    fn test_ipv4_write_msg_udp_addr_port_target_addr_ip_version() {
        let conn = local();
        let to = |ip: &str| Some(UdpAddr { ip: Some(ip.parse().unwrap()), port: 12345, scope_id: 0 });
        conn.write_msg(b"x", &[], to("127.0.0.1")).unwrap();
        conn.write_msg(b"x", &[], to("::ffff:127.0.0.1")).unwrap();
        let err = conn.write_msg(b"x", &[], to("::1")).unwrap_err();
        let me = local_addr(&conn);
        assert_eq!(err.to_string(), format!("write udp {me}->[::1]:12345: address ::1: non-IPv4 address"));
        let Cause::Addr(AddrError { addr, .. }) = &OpError::of(&err).unwrap().err else { panic!("{err}") };
        assert_eq!(addr, "::1");
    }

    // Go: net TestReadWriteMsgUDPAddrPortEmptyCmsg
    // go-semantics 7.5 has no row for golang/go#77875: control data that is there and empty is none.
    fn test_read_write_msg_udp_addr_port_empty_cmsg() {
        let conn = local();
        let mut room = [0; 8];
        assert_eq!(conn.write_msg(b"eight by", &[], Some(local_addr(&conn).into())).unwrap(), (8, 0));
        assert_eq!(conn.read_msg(&mut room, &mut []).unwrap().control_len, 0);
    }

    /// What the system says beside a datagram is found, and what is said to it is heeded.
    fn control_data_comes_and_goes() {
        let (a, b) = (local(), local());
        b.set_recv_tos(true).unwrap();
        let mut control = gopark_sys::msg::ControlBuf::new();
        control.push(0, 1, &0x20i32.to_ne_bytes()); // IPPROTO_IP, IP_TOS
        let to = UdpAddr::from(local_addr(&b));
        assert_eq!(a.write_msg(b"x", control.as_bytes(), Some(to)).unwrap(), (1, control.as_bytes().len()));
        let mut room = [0; 64];
        let got = b.read_msg(&mut [0; 1], &mut room).unwrap();
        let tos = gopark_sys::msg::Control::new(&room[..got.control_len])
            .find(|piece| (piece.level, piece.kind) == (0, 1))
            .expect("an IP_TOS");
        assert_eq!(tos.data[0], 0x20);
        a.write_msg(b"x", &[], Some(to)).unwrap();
        let got = b.read_msg(&mut [0; 1], &mut room[..8]).unwrap();
        assert!(got.is_control_truncated() && !got.is_truncated());
    }

    // Go: net TestCloseUnblocksReadUDP
    fn test_close_unblocks_read_udp() {
        let conn = Arc::new(local());
        let reader = spawn({
            let conn = Arc::clone(&conn);
            move || conn.recv_from(&mut []).map(drop)
        });
        let reader = assert_blocked(reader);
        conn.close().unwrap();
        assert_closed(join_soon(reader));
        assert_closed(conn.close());
    }

    // Go: net TestPacketConnClose
    fn test_packet_conn_close() {
        let conn = listen_packet("udp", "127.0.0.1:0").unwrap();
        let me = conn.local_addr();
        conn.close().unwrap();
        let err = conn.read_from(&mut [0]).unwrap_err();
        assert_eq!(err.to_string(), format!("read udp {me}: use of closed network connection"));
        assert_closed(conn.write_to(b"x", &me));
        assert_closed(conn.set_deadline(None));
        assert_eq!(conn.close().unwrap_err().to_string(), format!("close udp {me}: use of closed network connection"));
        assert_eq!(conn.local_addr(), me);
    }

    // Go: net TestUDPListener
    fn test_udp_listener() {
        for (network, address) in [
            ("udp", ""),
            ("udp", "0.0.0.0"),
            ("udp", "::ffff:0.0.0.0"),
            ("udp", "::"),
            ("udp", "127.0.0.1"),
            ("udp", "::ffff:127.0.0.1"),
            ("udp", "::1"),
            ("udp4", ""),
            ("udp4", "0.0.0.0"),
            ("udp4", "::ffff:0.0.0.0"),
            ("udp4", "127.0.0.1"),
            ("udp4", "::ffff:127.0.0.1"),
            ("udp6", ""),
            ("udp6", "::"),
            ("udp6", "::1"),
        ] {
            if !has_ipv6() && (network == "udp6" || address.starts_with("::")) {
                continue;
            }
            let at = |port: &str| gopark_net::join_host_port(address, port);
            let c1 = listen_packet(network, &at("0")).unwrap_or_else(|e| panic!("{network} {address}: {e}"));
            let port = c1.local_addr().socket_addr().unwrap().port();
            let err = listen_packet(network, &at(&port.to_string())).expect_err("the port is taken");
            assert_eq!(raw_os_error(&err), Some(Errno::EADDRINUSE.raw()), "{err}");
            c1.close().unwrap();
            listen_packet(network, &at(&port.to_string())).unwrap();
        }
    }

    // Go: net TestDualStackUDPListener
    fn test_dual_stack_udp_listener() {
        if !has_ipv6() {
            return;
        }
        // The wildcard takes both families; any one of the two does not, and leaves the port to the other.
        for (network1, address1, network2, address2, is_taken) in [
            ("udp", "", "udp", "", true),
            ("udp", "", "udp", "0.0.0.0", true),
            ("udp", "0.0.0.0", "udp", "", true),
            ("udp", "::", "udp", "0.0.0.0", true),
            ("udp", "", "udp4", "", true),
            ("udp", "", "udp6", "", true),
            ("udp4", "", "udp6", "", false),
            ("udp6", "", "udp4", "", false),
            ("udp", "127.0.0.1", "udp", "::1", false),
            ("udp", "::1", "udp", "127.0.0.1", false),
            ("udp4", "127.0.0.1", "udp6", "::1", false),
        ] {
            let c1 = listen_packet(network1, &gopark_net::join_host_port(address1, "0")).unwrap();
            let port = c1.local_addr().socket_addr().unwrap().port().to_string();
            let second = listen_packet(network2, &gopark_net::join_host_port(address2, &port));
            assert_eq!(second.is_err(), is_taken, "{network1} {address1:?}, {network2} {address2:?}: {second:?}");
        }
    }

    // Go: net TestUDPServer
    fn test_udp_server() {
        for (net, listen_at, dial_net, host) in [
            ("udp", ":0", "udp", "127.0.0.1"),
            ("udp", "0.0.0.0:0", "udp", "127.0.0.1"),
            ("udp", "127.0.0.1:0", "udp", "127.0.0.1"),
            ("udp", ":0", "udp4", "127.0.0.1"),
            ("udp4", ":0", "udp", "127.0.0.1"),
            ("udp", "[::]:0", "udp", "::1"),
            ("udp", "[::1]:0", "udp6", "::1"),
            ("udp6", ":0", "udp", "::1"),
            ("udp", "[::ffff:0.0.0.0]:0", "udp", "127.0.0.1"),
        ] {
            if !has_ipv6() && (net == "udp6" || host == "::1" || listen_at == ":0" || listen_at == "[::]:0") {
                continue;
            }
            let server = listen_packet(net, listen_at).unwrap_or_else(|e| panic!("{net} {listen_at}: {e}"));
            let port = server.local_addr().socket_addr().unwrap().port().to_string();
            let echo = spawn(move || {
                let mut buf = [0; 256];
                let (n, from) = server.read_from(&mut buf).unwrap();
                server.write_to(&buf[..n], &from).unwrap();
            });
            let client = dial(dial_net, &gopark_net::join_host_port(host, &port)).unwrap();
            client.set_deadline(after(30 * SEC)).unwrap();
            assert_eq!(client.write(b"UDP SERVER TEST").unwrap(), 15);
            let mut buf = [0; 256];
            assert_eq!(client.read(&mut buf).unwrap(), 15);
            assert_eq!(&buf[..15], b"UDP SERVER TEST");
            join_soon(echo);
        }
    }

    // Go: net TestListenConfigControl, TestDialerControl
    fn test_listen_config_control_packet() {
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        CALLS.store(0, Ordering::Relaxed);
        let config = ListenConfig::new().control(|network, address, socket| {
            assert_eq!((network, address), ("udp4", "127.0.0.1:0"));
            CALLS.fetch_add(1, Ordering::Relaxed);
            socket2::SockRef::from(&socket).set_recv_buffer_size(64 * 1024)
        });
        let conn = config.listen_udp("udp", "127.0.0.1:0").unwrap();
        assert!(conn.read_buffer().unwrap() >= 64 * 1024);
        let to = local_addr(&conn).to_string();
        let dialer = Dialer::new().control(move |network, address, socket| {
            assert_eq!(network, "udp4");
            assert!(address.starts_with("127.0.0.1:"), "{address}");
            CALLS.fetch_add(1, Ordering::Relaxed);
            socket2::SockRef::from(&socket.as_fd()).set_ttl_v4(7)
        });
        let client = dialer.dial_udp("udp", &to).unwrap();
        assert_eq!((client.ttl().unwrap(), CALLS.load(Ordering::Relaxed)), (7, 2));
        let refusing = ListenConfig::new().control(|_, _, _| Err(std::io::Error::other("no")));
        let err = refusing.listen_packet("udp", "127.0.0.1:0").unwrap_err();
        assert_eq!(err.to_string(), "listen udp 127.0.0.1:0: no");
    }

    /// Several sockets at one port: each datagram goes to one of them.
    fn sockets_that_say_so_share_a_port() {
        let shared = ListenConfig::new().reuse_port(true);
        let one = shared.listen_udp("udp", "127.0.0.1:0").unwrap();
        let at = local_addr(&one);
        let other = shared.listen_udp("udp", &at.to_string()).unwrap();
        let got = Arc::new(AtomicUsize::new(0));
        let readers = [one, other].map(|conn| {
            let (conn, got) = (Arc::new(conn), Arc::clone(&got));
            let reader = spawn({
                let conn = Arc::clone(&conn);
                move || while conn.recv_from(&mut [0; 8]).is_ok() { got.fetch_add(1, Ordering::Relaxed); }
            });
            (conn, reader)
        });
        for _ in 0..64 {
            local().send_to(b"x", at).unwrap();
        }
        while got.load(Ordering::Relaxed) < 64 {
            gopark_net::yield_now();
        }
        for (conn, reader) in readers {
            conn.close().unwrap();
            join_soon(reader);
        }
    }

    // Go: net TestListenPacketError, TestListenError, TestDialError (the rows of networks)
    fn test_networks_that_do_not_fit() {
        let text = |result: std::io::Result<()>| result.unwrap_err().to_string();
        assert_eq!(
            text(listen_packet("tcp", "127.0.0.1:0").map(drop)),
            "listen tcp 127.0.0.1:0: address 127.0.0.1:0: unexpected address type"
        );
        assert_eq!(
            text(listen("udp", "127.0.0.1:0").map(drop)),
            "listen udp 127.0.0.1:0: address 127.0.0.1:0: unexpected address type"
        );
        assert_eq!(text(listen_udp("tcp", "127.0.0.1:0").map(drop)), "listen tcp: unknown network tcp");
        assert_eq!(
            text(ListenConfig::new().listen_tcp("udp", "127.0.0.1:0").map(drop)),
            "listen udp: unknown network udp"
        );
        assert_eq!(text(Dialer::new().dial_udp("tcp", "127.0.0.1:1").map(drop)), "dial tcp: unknown network tcp");
        assert_eq!(text(Dialer::new().dial_tcp("udp", "127.0.0.1:1").map(drop)), "dial udp: unknown network udp");
        assert_eq!(text(dial("udp", "").map(drop)), "dial udp: missing address");
        assert_eq!(
            text(listen_packet("udp", "127.0.0.1").map(drop)),
            "listen udp: address 127.0.0.1: missing port in address"
        );
        assert_eq!(
            text(listen_packet("udp", "127.0.0.1:nope").map(drop)),
            "listen udp: lookup udp/nope: unknown port"
        );
        assert_eq!(
            text(dial("udp6", "127.0.0.1:1").map(drop)),
            "dial udp6: address 127.0.0.1: no suitable address found"
        );
        let err = dial("udq", "127.0.0.1:1").unwrap_err();
        assert!(matches!(&OpError::of(&err).unwrap().err, Cause::UnknownNetwork(UnknownNetworkError(n)) if n == "udq"));
        // An address of another kind.
        let conn = listen_packet("udp", "127.0.0.1:0").unwrap();
        let tcp = Addr::from(TcpAddr::from(SocketAddr::from(([127, 0, 0, 1], 9))));
        let err = conn.write_to(b"x", &tcp).unwrap_err();
        assert_eq!(err.to_string(), format!("write udp {}->127.0.0.1:9: invalid argument", conn.local_addr()));
        assert_eq!((err.kind(), raw_os_error(&err)), (ErrorKind::InvalidInput, Some(Errno::EINVAL.raw())));
    }

    /// Nobody is there: the system says so at the next call, and the call after that works.
    fn a_port_nobody_listens_on_is_refused() {
        let dead = local();
        let at = local_addr(&dead);
        dead.close().unwrap();
        let conn = dial("udp", &at.to_string()).unwrap();
        conn.set_read_deadline(after(30 * SEC)).unwrap();
        conn.write(b"x").unwrap();
        let err = conn.read(&mut [0]).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::ConnectionRefused, "{err}");
        assert_eq!(err.to_string(), format!("read udp {}->{at}: read: connection refused", conn.local_addr()));
        assert!(!gopark_net::is_temporary(&err) && !gopark_net::is_timeout(&err));
        conn.write(b"x").unwrap();
    }

    /// Several buffers are one datagram, and one datagram fills several buffers; none of them is an empty one.
    fn several_buffers_are_one_datagram() {
        use std::io::{IoSlice, IoSliceMut};

        let conn = local();
        conn.connect(local_addr(&conn)).unwrap();
        conn.set_read_deadline(after(30 * SEC)).unwrap();
        assert_eq!(conn.write_vectored(&[IoSlice::new(b""), IoSlice::new(b"hel"), IoSlice::new(b"lo")]).unwrap(), 5);
        let (mut x, mut y) = ([0; 2], [0; 8]);
        assert_eq!(conn.read_vectored(&mut [IoSliceMut::new(&mut x), IoSliceMut::new(&mut y)]).unwrap(), 5);
        assert_eq!((&x, &y[..3]), (b"he", &b"llo"[..]));
        assert_eq!(conn.write_vectored(&[]).unwrap(), 0);
        assert_eq!(conn.recv(&mut x).unwrap(), 0);
        let many = vec![IoSlice::new(b"x"); 1025];
        assert_eq!(raw_os_error(&conn.write_vectored(&many).unwrap_err()), Some(Errno::EMSGSIZE.raw()));
        assert_eq!(conn.write_vectored(&many[..1024]).unwrap(), 1024);
    }

    /// One datagram is one datagram: too long is an error and nothing is sent.
    fn a_datagram_that_is_too_long_is_refused() {
        let (a, b) = (local(), local());
        let err = a.send_to(&vec![0; 65_508], local_addr(&b)).unwrap_err();
        assert_eq!(raw_os_error(&err), Some(Errno::EMSGSIZE.raw()), "{err}");
        let longest = vec![5; 65_507];
        assert_eq!(a.send_to(&longest, local_addr(&b)).unwrap(), 65_507);
        let mut buf = vec![0; 70_000];
        assert_eq!(b.recv(&mut buf).unwrap(), 65_507);
        assert_eq!(buf[..65_507], longest);
    }

    /// Datagrams wait for whoever reads; readers share them, and writers do not mix theirs.
    fn readers_and_writers_share_a_socket() {
        let server = Arc::new(local());
        let at = local_addr(&server);
        server.set_read_buffer(1 << 20).unwrap();
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let server = Arc::clone(&server);
                spawn(move || {
                    let (mut buf, mut count) = ([0; 64], 0);
                    while let Ok((n, from)) = server.recv_from(&mut buf) {
                        assert!(buf[..n].iter().all(|b| *b == buf[0]) && n == 32, "{:?}", &buf[..n]);
                        server.send_to(&buf[..n], from).unwrap();
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        let writers: Vec<_> = (1..=8u8)
            .map(|id| {
                spawn(move || {
                    let conn = dial("udp", &at.to_string()).unwrap();
                    conn.set_deadline(after(30 * SEC)).unwrap();
                    let mut buf = [0; 64];
                    for _ in 0..50 {
                        conn.write(&[id; 32]).unwrap();
                        assert_eq!(conn.read(&mut buf).unwrap(), 32);
                        assert_eq!(&buf[..32], &[id; 32]);
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(join_soon);
        server.close().unwrap();
        assert_eq!(readers.into_iter().map(join_soon).sum::<u32>(), 400);
    }

    /// A broadcast needs no permission of the program's, as in Go.
    fn broadcasts_are_allowed() {
        let conn = UdpConn::bind("0.0.0.0:0").unwrap();
        assert!(conn.broadcast().unwrap());
        let broadcast = SocketAddr::from((Ipv4Addr::new(127, 255, 255, 255), local_addr(&conn).port()));
        conn.send_to(b"all", broadcast).unwrap();
        let mut buf = [0; 8];
        conn.set_read_deadline(after(30 * SEC)).unwrap();
        assert_eq!(conn.recv(&mut buf).unwrap(), 3);
        conn.set_broadcast(false).unwrap();
        let err = conn.send_to(b"all", broadcast).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::PermissionDenied, "{err}");
    }

    // Go: net TestUDPConnSpecificMethods
    fn test_udp_conn_specific_methods() {
        let conn = local();
        conn.set_deadline(after(SEC)).unwrap();
        conn.set_read_deadline(after(SEC)).unwrap();
        conn.set_write_deadline(after(SEC)).unwrap();
        conn.set_read_buffer(2048).unwrap();
        conn.set_write_buffer(2048).unwrap();
        assert!(conn.read_buffer().unwrap() >= 2048 && conn.write_buffer().unwrap() >= 2048);
        let to = UdpAddr::from(local_addr(&conn));
        let mut room = [0; 64];
        conn.write_to(b"UDPCONN TEST", to).unwrap();
        conn.read_from(&mut room).unwrap();
        conn.write_msg(b"UDPCONN TEST", &[], Some(to)).unwrap();
        conn.read_msg(&mut room, &mut []).unwrap();
        let twin = conn.try_clone().unwrap();
        assert_eq!(local_addr(&twin), local_addr(&conn));
        conn.fd().unwrap();
        twin.send_to(b"x", local_addr(&conn)).unwrap();
        conn.close().unwrap();
        assert_eq!(twin.recv(&mut room).unwrap(), 1);
        assert_eq!(std::os::fd::AsRawFd::as_raw_fd(&conn), -1);
    }
}
