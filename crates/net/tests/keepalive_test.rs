//! Keep-alive, field by field. Go: `net/tcpconn_keepalive_test.go`.

mod util;

use std::os::fd::AsFd;
use std::time::Duration;

use gopark_net::{Dialer, KeepAliveConfig, ListenConfig, TcpConn};
use socket2::SockRef;
use util::{local_listener, pair};

procs!();

/// Probes are sent; idle time, interval, count.
type Settings = (bool, Duration, Duration, u32);

fn settings(conn: &TcpConn) -> Settings {
    conn.raw_conn()
        .control(|fd| {
            let fd = fd.as_fd();
            let socket = SockRef::from(&fd);
            let enabled = socket.keepalive().unwrap();
            let idle = socket.tcp_keepalive_time().unwrap();
            (enabled, idle, socket.tcp_keepalive_interval().unwrap(), socket.tcp_keepalive_retries().unwrap())
        })
        .unwrap()
}

const S: Duration = Duration::from_secs(1);

/// Go's table: what is set, zero for the default, and what is left alone.
fn configs() -> Vec<KeepAliveConfig> {
    let (none, zero) = ((None, None, None), Some(Duration::ZERO));
    let fields = [
        (Some(5 * S), Some(3 * S), Some(10)),
        (zero, zero, Some(0)),
        none,
        (None, Some(3 * S), Some(10)),
        (Some(5 * S), None, Some(10)),
        (Some(5 * S), Some(3 * S), None),
        (None, None, Some(10)),
        (None, Some(3 * S), None),
        (Some(5 * S), None, None),
        (zero, Some(3 * S), Some(10)),
        (Some(5 * S), zero, Some(10)),
        (Some(5 * S), Some(3 * S), Some(0)),
        // Rounded up, never down to less than was asked for.
        (Some(Duration::from_millis(1001)), Some(Duration::from_nanos(1)), Some(1)),
    ];
    fields
        .into_iter()
        .map(|(idle, interval, count)| KeepAliveConfig { enable: true, idle, interval, count })
        .collect()
}

/// What a socket that had `old` should have after `config`.
fn expected(old: Settings, config: &KeepAliveConfig) -> Settings {
    let time = |new: Option<Duration>, old| match new {
        None => old,
        Some(Duration::ZERO) => 15 * S,
        Some(d) => S * u32::try_from(d.as_millis().div_ceil(1000).max(1)).unwrap(),
    };
    let count = match config.count {
        None => old.3,
        Some(0) => 9,
        Some(n) => n,
    };
    (config.enable, time(config.idle, old.1), time(config.interval, old.2), count)
}

/// What the system gives a socket that nobody has touched.
fn untouched() -> Settings {
    let ln = local_listener();
    let conn = Dialer::new().keep_alive(None).dial_tcp("tcp", &ln.addr().to_string()).unwrap();
    settings(&conn)
}

both! {
    // Go: net TestTCPConnKeepAliveConfigDialer
    fn test_tcp_conn_keep_alive_config_dialer() {
        let (ln, old) = (local_listener(), untouched());
        for config in configs() {
            let dialer = Dialer::new().keep_alive_config(config);
            let conn = dialer.dial_tcp("tcp", &ln.addr().to_string()).unwrap();
            assert_eq!(settings(&conn), expected(old, &config), "{config:?}");
        }
    }

    // Go: net TestTCPConnKeepAliveConfigListener
    fn test_tcp_conn_keep_alive_config_listener() {
        let old = untouched();
        for config in configs() {
            let ln = ListenConfig::new().keep_alive_config(config).listen_tcp("tcp", "127.0.0.1:0").unwrap();
            let _client = TcpConn::connect(ln.local_addr().unwrap()).unwrap();
            let (conn, _) = ln.accept().unwrap();
            assert_eq!(settings(&conn), expected(old, &config), "{config:?}");
        }
    }

    // Go: net TestTCPConnKeepAliveConfig
    // go-semantics 7.5: "Keep-alive rounding, negative values" (#62254 family)
    fn test_tcp_conn_keep_alive_config() {
        for config in configs() {
            let (conn, _server) = pair();
            let old = settings(&conn);
            conn.set_keep_alive_config(config).unwrap();
            assert_eq!(settings(&conn), expected(old, &config), "{config:?}");
            assert_eq!(conn.keep_alive().unwrap(), Some(settings(&conn).1));
            // Switched off, and the numbers stay.
            conn.set_keep_alive_config(KeepAliveConfig { enable: false, ..config }).unwrap();
            assert_eq!(conn.keep_alive().unwrap(), None);
            let now = settings(&conn);
            assert_eq!((now.1, now.2, now.3), (expected(old, &config).1, expected(old, &config).2, now.3));
            // The period alone does not switch it on: Go's SetKeepAlivePeriod.
            conn.set_keep_alive_period(7 * S).unwrap();
            assert_eq!((conn.keep_alive().unwrap(), settings(&conn).1), (None, 7 * S));
            conn.set_keep_alive(true).unwrap();
            assert_eq!(conn.keep_alive().unwrap(), Some(7 * S));
        }
    }
}
