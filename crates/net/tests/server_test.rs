//! Servers on every kind of address, with clients of every network. Go: `net/server_test.go`.

mod util;

use std::sync::Arc;
use std::time::Duration;

use gopark_net::{Dialer, join_host_port, listen, raw_os_error, spawn, split_host_port};
use gopark_sys::Errno;
use util::join_soon;

procs!();

/// Server network and address, client network and host.
const TCP: &[(&str, &str, &str, &str)] = &[
    ("tcp", ":0", "tcp", "127.0.0.1"),
    ("tcp", "0.0.0.0:0", "tcp", "127.0.0.1"),
    ("tcp", "[::ffff:0.0.0.0]:0", "tcp", "127.0.0.1"),
    ("tcp", "[::]:0", "tcp", "::1"),
    ("tcp", ":0", "tcp", "::1"),
    ("tcp", "0.0.0.0:0", "tcp", "::1"),
    ("tcp", "[::ffff:0.0.0.0]:0", "tcp", "::1"),
    ("tcp", "[::]:0", "tcp", "127.0.0.1"),
    ("tcp", ":0", "tcp4", "127.0.0.1"),
    ("tcp", "0.0.0.0:0", "tcp4", "127.0.0.1"),
    ("tcp", "[::ffff:0.0.0.0]:0", "tcp4", "127.0.0.1"),
    ("tcp", "[::]:0", "tcp6", "::1"),
    ("tcp", ":0", "tcp6", "::1"),
    ("tcp", "0.0.0.0:0", "tcp6", "::1"),
    ("tcp", "[::ffff:0.0.0.0]:0", "tcp6", "::1"),
    ("tcp", "[::]:0", "tcp4", "127.0.0.1"),
    ("tcp", "127.0.0.1:0", "tcp", "127.0.0.1"),
    ("tcp", "[::ffff:127.0.0.1]:0", "tcp", "127.0.0.1"),
    ("tcp", "[::1]:0", "tcp", "::1"),
    ("tcp4", ":0", "tcp4", "127.0.0.1"),
    ("tcp4", "0.0.0.0:0", "tcp4", "127.0.0.1"),
    ("tcp4", "[::ffff:0.0.0.0]:0", "tcp4", "127.0.0.1"),
    ("tcp4", "127.0.0.1:0", "tcp4", "127.0.0.1"),
    ("tcp6", ":0", "tcp6", "::1"),
    ("tcp6", "[::]:0", "tcp6", "::1"),
    ("tcp6", "[::1]:0", "tcp6", "::1"),
];

const WORDS: &[u8] = b"TCP SERVER TEST";
const PEERS: usize = 3;

both! {
    // Go: net TestTCPServer
    fn test_tcp_server() {
        let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
        for &(server_net, server_addr, client_net, host) in TCP {
            let case = format!("{server_net} {server_addr} <- {client_net} {host}");
            if !has_ipv6 && (server_net == "tcp6" || host == "::1" || server_addr.starts_with("[::1")) {
                eprintln!("skipped, no IPv6 here: {case}");
                continue;
            }
            let ln = Arc::new(listen(server_net, server_addr).unwrap_or_else(|e| panic!("{case}: {e}")));
            let servers: Vec<_> = (0..PEERS)
                .map(|_| {
                    let ln = Arc::clone(&ln);
                    spawn(move || {
                        let conn = ln.accept().unwrap();
                        assert_eq!(conn.local_addr().network(), "tcp");
                        let mut buf = [0; 64];
                        let n = gopark_net::Conn::read(&*conn, &mut buf).unwrap();
                        conn.write_all(&buf[..n]).unwrap();
                    })
                })
                .collect();
            let addr = ln.addr().to_string();
            let target = join_host_port(host, split_host_port(&addr).unwrap().1);
            let clients: Vec<_> = (0..PEERS)
                .map(|_| {
                    let (target, case) = (target.clone(), case.clone());
                    spawn(move || {
                        let dialer = Dialer::new().timeout(Duration::from_secs(10));
                        let conn = dialer.dial(client_net, &target).unwrap_or_else(|e| panic!("{case}: {e}"));
                        conn.write_all(WORDS).unwrap();
                        let mut buf = [0; 64];
                        let n = gopark_net::Conn::read(&*conn, &mut buf).unwrap();
                        assert_eq!(&buf[..n], WORDS, "{case}");
                    })
                })
                .collect();
            clients.into_iter().chain(servers).for_each(join_soon);
        }
    }

    // Go: net TestDialClosedPortFailFast
    fn test_dial_closed_port_fail_fast() {
        let ln = util::local_listener();
        let target = ln.addr().to_string();
        ln.close().unwrap();
        for network in ["tcp", "tcp4"] {
            // Without a limit: it is refused, and not given up.
            let err = Dialer::new().dial(network, &target).unwrap_err();
            assert_eq!(raw_os_error(&err), Some(Errno::ECONNREFUSED.raw()));
        }
    }
}
