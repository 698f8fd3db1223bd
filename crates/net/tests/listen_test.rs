//! Listening. Go: `net/listen_test.go`, `net/tcpsock_test.go`.

mod util;

use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gopark_net::{
    Conn, KeepAliveConfig, ListenConfig, Listener, TcpConn, TcpListener, dial, join_host_port, listen, spawn,
};
use socket2::SockRef;
use std::os::fd::AsFd;
use util::{assert_closed, local_listener};

procs!();

fn port(ln: &dyn Listener) -> u16 {
    ln.addr().socket_addr().unwrap().port()
}

both! {
    /// The same address cannot be listened on twice.
    // Go: net TestTCPListener
    fn test_tcp_listener() {
        for (network, host) in [
            ("tcp", ""),
            ("tcp", "0.0.0.0"),
            ("tcp", "::ffff:0.0.0.0"),
            ("tcp", "::"),
            ("tcp", "127.0.0.1"),
            ("tcp", "::ffff:127.0.0.1"),
            ("tcp", "::1"),
            ("tcp4", ""),
            ("tcp4", "0.0.0.0"),
            ("tcp4", "::ffff:0.0.0.0"),
            ("tcp4", "127.0.0.1"),
            ("tcp4", "::ffff:127.0.0.1"),
            ("tcp6", ""),
            ("tcp6", "::"),
            ("tcp6", "::1"),
        ] {
            // Between the close and the next listen another program may be given the port; not ten times in a row.
            let again = (0..10).any(|_| {
                let first =
                    listen(network, &join_host_port(host, "0")).unwrap_or_else(|e| panic!("{network} {host}: {e}"));
                let at = join_host_port(host, &port(&*first).to_string());
                let err = listen(network, &at).err().unwrap_or_else(|| panic!("{network} {at}: listens twice"));
                assert_eq!(err.kind(), ErrorKind::AddrInUse, "{network} {at}: {err}");
                first.close().unwrap();
                listen(network, &at).is_ok()
            });
            assert!(again, "{network} {host}: a closed listener's port cannot be listened on again");
        }
    }

    /// Which pairs of listeners may share a port (Linux).
    // Go: net TestDualStackTCPListener
    fn test_dual_stack_tcp_listener() {
        let wildcards = ["", "0.0.0.0", "::ffff:0.0.0.0", "::"];
        let mut cases = Vec::new();
        // A wildcard on "tcp" takes both families.
        for first in wildcards {
            for second in wildcards {
                cases.push(("tcp", first, "tcp", second, false));
            }
        }
        cases.extend([
            ("tcp4", "", "tcp6", "", true),
            ("tcp6", "", "tcp4", "", true),
            ("tcp4", "0.0.0.0", "tcp6", "::", true),
            ("tcp6", "::", "tcp4", "0.0.0.0", true),
            ("tcp", "127.0.0.1", "tcp", "::1", true),
            ("tcp", "::1", "tcp", "127.0.0.1", true),
            ("tcp4", "127.0.0.1", "tcp6", "::1", true),
            ("tcp6", "::1", "tcp4", "127.0.0.1", true),
        ]);
        for (network1, host1, network2, host2, both) in cases {
            let what = format!("{network1} {host1:?}, {network2} {host2:?}");
            // The port is free in the first family; another program may have it in the second.
            let free = (0..10).any(|_| {
                let first = listen(network1, &join_host_port(host1, "0")).unwrap_or_else(|e| panic!("{what}: {e}"));
                match listen(network2, &join_host_port(host2, &port(&*first).to_string())) {
                    Ok(_) => true,
                    Err(err) => {
                        assert_eq!(err.kind(), ErrorKind::AddrInUse, "{what}: {err}");
                        false
                    }
                }
            });
            assert_eq!(free, both, "{what}");
        }
    }

    // Go: net TestWildWildcardListener
    fn test_wild_wildcard_listener() {
        for network in ["tcp", "tcp4", "tcp6"] {
            for address in ["", ":", ":0"] {
                let ln = listen(network, address).unwrap_or_else(|e| panic!("{network} {address:?}: {e}"));
                assert_ne!(port(&*ln), 0);
            }
        }
    }

    /// A wildcard listener takes both families, and gives IPv4 peers IPv4 addresses.
    fn a_wildcard_takes_both_families() {
        let ln = listen("tcp", ":0").unwrap();
        assert!(ln.addr().to_string().starts_with("[::]:"), "{}", ln.addr());
        for (network, host) in [("tcp4", "127.0.0.1"), ("tcp6", "::1")] {
            let conn = dial(network, &join_host_port(host, &port(&*ln).to_string())).unwrap();
            let peer = ln.accept().unwrap();
            assert_eq!(peer.remote_addr(), conn.local_addr());
            assert_eq!(peer.local_addr(), conn.remote_addr());
        }
    }

    /// std's name binds as std does: an IPv4 wildcard is IPv4 only.
    fn bind_keeps_to_the_family_it_was_given() {
        let v4 = TcpListener::bind("0.0.0.0:0").unwrap();
        assert!(v4.local_addr().unwrap().is_ipv4());
        let at = join_host_port("::1", &v4.local_addr().unwrap().port().to_string());
        assert_eq!(dial("tcp", &at).expect_err("not listened on").kind(), ErrorKind::ConnectionRefused);
        let any = TcpListener::bind("[::]:0").unwrap();
        for host in ["127.0.0.1", "::1"] {
            dial("tcp", &join_host_port(host, &any.local_addr().unwrap().port().to_string())).unwrap();
        }
        let in_use = TcpListener::bind(v4.local_addr().unwrap()).unwrap_err();
        assert_eq!(in_use.kind(), ErrorKind::AddrInUse);
        assert_eq!(in_use.to_string(), format!("listen tcp4 {}: bind: address already in use", v4.addr()));
        // The first address that works.
        let taken = v4.local_addr().unwrap();
        let free = "127.0.0.1:0".parse().unwrap();
        assert_ne!(TcpListener::bind(&[taken, free][..]).unwrap().local_addr().unwrap(), taken);
    }

    // Go: net TestListenConfigControl
    fn test_listen_config_control() {
        for (network, host, want) in [
            ("tcp", "", "tcp6"),
            ("tcp", "127.0.0.1", "tcp4"),
            ("tcp4", "", "tcp4"),
            ("tcp4", "127.0.0.1", "tcp4"),
            ("tcp6", "", "tcp6"),
            ("tcp6", "::1", "tcp6"),
        ] {
            let seen = Arc::new(Mutex::new(Vec::new()));
            let log = Arc::clone(&seen);
            let config = ListenConfig::new().control(move |network, address, fd| {
                assert!(SockRef::from(&fd).reuse_address()?, "Go sets it before the hook");
                log.lock().unwrap().push((network.to_owned(), address.to_owned()));
                Ok(())
            });
            let at = join_host_port(host, "0");
            config.listen(network, &at).unwrap();
            assert_eq!(*seen.lock().unwrap(), [(want.to_owned(), at)], "{network} {host:?}");
        }
        let failing = ListenConfig::new().control(|_, _, _| Err(std::io::Error::other("not today")));
        let err = failing.listen("tcp", "127.0.0.1:0").err().unwrap();
        assert_eq!(err.to_string(), "listen tcp 127.0.0.1:0: not today");
    }

    /// After a close there is no connection to be had, also not those that were in the queue.
    // Go: net TestTCPListenAfterClose
    fn test_tcp_listen_after_close() {
        for _ in 0..5 {
            let ln = Arc::new(local_listener());
            let _queued: Vec<TcpConn> =
                (0..3).map(|_| TcpConn::connect(ln.local_addr().unwrap()).unwrap()).collect();
            let accepts: Vec<_> = (0..6)
                .map(|_| {
                    let ln = Arc::clone(&ln);
                    gopark_net::spawn(move || ln.accept().map(drop))
                })
                .collect();
            ln.close().unwrap();
            for accept in accepts {
                if let Err(err) = util::join_soon(accept) {
                    assert!(gopark_net::is_closed(&err), "{err}");
                }
            }
            assert_closed(ln.accept());
        }
    }

    // Go: net TestTCPListenerName
    fn test_tcp_listener_name() {
        for (network, at) in [("tcp4", "127.0.0.1:0"), ("tcp6", "[::1]:0"), ("tcp", "127.0.0.1:0")] {
            let ln = listen(network, at).unwrap();
            assert_ne!(port(&*ln), 0);
            assert_eq!(ln.addr().network(), "tcp");
        }
    }

    /// A link-local address with its zone, from the listener's text to the peer's.
    // Go: net TestIPv6LinkLocalUnicastTCP
    fn test_ipv6_link_local_unicast_tcp() {
        // "fe80... 04 40 20 80 eth0": address, interface, prefix, scope (20 is link-local), flags (40 is
        // tentative).
        let interfaces = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
        for line in interfaces.lines() {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let flags = u8::from_str_radix(fields[4], 16).unwrap();
            if fields[3] != "20" || flags & 0x40 != 0 {
                continue;
            }
            let ip = std::net::Ipv6Addr::from_bits(u128::from_str_radix(fields[0], 16).unwrap());
            let host = format!("{ip}%{}", fields[5]);
            let ln = listen("tcp6", &join_host_port(&host, "0")).unwrap();
            let at = ln.addr().to_string();
            assert!(at.starts_with(&format!("[{host}]:")), "{at}");
            let conn = dial("tcp", &at).unwrap();
            let peer = ln.accept().unwrap();
            assert_eq!((conn.remote_addr(), peer.remote_addr()), (ln.addr(), conn.local_addr()));
            // By number as well.
            let number = u32::from_str_radix(fields[1], 16).unwrap();
            dial("tcp", &at.replace(fields[5], &number.to_string())).unwrap();
        }
    }

    fn ports_can_be_shared_when_all_say_so() {
        let shared = ListenConfig::new().reuse_port(true);
        let one = shared.listen_tcp("tcp", "127.0.0.1:0").unwrap();
        let at = one.addr().to_string();
        let other = shared.listen_tcp("tcp", &at).unwrap();
        assert_eq!(one.addr(), other.addr());
        assert_eq!(listen("tcp", &at).expect_err("it did not say so").kind(), ErrorKind::AddrInUse);
    }

    // Go: net TestTCPConnKeepAliveConfigListener
    fn accepted_connections_get_the_listeners_keep_alive() {
        let seconds = Duration::from_secs;
        for (config, want) in [
            (ListenConfig::new(), Some((seconds(15), seconds(15), 9))),
            (ListenConfig::new().keep_alive(Some(seconds(40))), Some((seconds(40), seconds(15), 9))),
            (ListenConfig::new().keep_alive(None), None),
            (ListenConfig::new().keep_alive_config(KeepAliveConfig::DISABLED), None),
        ] {
            let ln = config.listen_tcp("tcp", "127.0.0.1:0").unwrap();
            let _client = TcpConn::connect(ln.local_addr().unwrap()).unwrap();
            let (conn, _) = ln.accept().unwrap();
            let guard = conn.fd().unwrap();
            let fd = guard.as_fd();
            let socket = SockRef::from(&fd);
            assert!(socket.tcp_nodelay().unwrap());
            assert_eq!(socket.keepalive().unwrap(), want.is_some(), "{config:?}");
            if let Some(want) = want {
                let time = socket.tcp_keepalive_time().unwrap();
                let got = (time, socket.tcp_keepalive_interval().unwrap(), socket.tcp_keepalive_retries().unwrap());
                assert_eq!(got, want, "{config:?}");
            }
        }
    }

    /// An iterator that ends with the listener, and not before.
    fn incoming_ends_after_the_error_of_a_closed_listener() {
        let ln = Arc::new(local_listener());
        let served = gopark_net::spawn({
            let ln = Arc::clone(&ln);
            move || {
                let mut results = Vec::new();
                for conn in &*ln {
                    results.push(conn.map(|conn| conn.write_all(b"x").unwrap()).map_err(|e| e.to_string()));
                }
                results
            }
        });
        for _ in 0..3 {
            let conn = TcpConn::connect(ln.local_addr().unwrap()).unwrap();
            assert_eq!(conn.read(&mut [0]).unwrap(), 1);
        }
        ln.close().unwrap();
        let results = util::join_soon(served);
        assert_eq!(results[..3], [Ok(()), Ok(()), Ok(())]);
        let closed = format!("accept tcp {}: use of closed network connection", ln.addr());
        assert_eq!(results[3..], [Err(closed)]);

        // The same by trait, and a deadline is no end.
        let ln: Box<dyn Listener> = Box::new(local_listener());
        let tcp = ln.downcast_ref::<TcpListener>().unwrap();
        tcp.set_deadline(util::ago(Duration::from_secs(1))).unwrap();
        let mut incoming = ln.incoming();
        assert!(gopark_net::is_timeout(&incoming.next().unwrap().err().unwrap()));
        tcp.set_deadline(None).unwrap();
        let client: Box<dyn Conn> = dial("tcp", &ln.addr().to_string()).unwrap();
        let server = incoming.next().unwrap().unwrap();
        client.write_all(b"hello").unwrap();
        assert_eq!(server.read(&mut [0; 16]).unwrap(), 5);
    }

    // Go: net TestClosingListener
    // go-semantics 7.5: "Port reuse after Close"
    fn test_closing_listener() {
        for _ in 0..20 {
            let ln = Arc::new(util::local_listener());
            let addr = ln.addr().to_string();
            let acceptor = {
                let ln = Arc::clone(&ln);
                spawn(move || while ln.accept().is_ok() {})
            };
            ln.close().unwrap();
            // Whether or not the acceptor was in its call by then.
            listen("tcp", &addr).unwrap().close().unwrap();
            util::join_soon(acceptor);
        }
    }

    // Go: net TestTCP4ListenZero
    fn test_tcp4_listen_zero() {
        let ln = listen("tcp4", ":0").unwrap();
        assert!(ln.addr().to_string().starts_with("0.0.0.0:"), "{}", ln.addr());
        let ln = TcpListener::bind("0.0.0.0:0").unwrap();
        assert!(ln.local_addr().unwrap().is_ipv4());
    }

    // Go: net TestMaxAckBacklog, where the kernel clamps and not we
    fn test_max_ack_backlog() {
        let max = gopark_sys::sock::somaxconn();
        if let Ok(text) = std::fs::read_to_string("/proc/sys/net/core/somaxconn") {
            assert_eq!(max, text.trim().parse::<i32>().unwrap());
        }
        // More than the system allows is as much as it allows.
        drop(ListenConfig::new().backlog(u32::MAX).listen("tcp", "127.0.0.1:0").unwrap());
    }
}
