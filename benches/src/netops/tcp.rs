//! TCP between goroutines of one process over the loopback interface.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use gopark_net::{Dialer, ListenConfig, TcpConn, TcpListener, chan, max_procs, scope};

use super::{Figures, Op, each_ns};

pub(super) const OPS: &[Op] = &[
    ("tcp-oneshot", one_shot),
    ("tcp-pingpong", ping_pong),
    ("tcp-readwrite", read_write),
    ("tcp-readwrite1", read_write),
    ("tcp-deadline", deadline),
    ("tcp-blackhole", black_hole),
];

const LOCALHOST: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Connect, accept, close on both sides. The server closes first and the client waits for that: so no queue builds up.
fn one_shot() -> io::Result<Figures> {
    const COUNT: usize = 2_000;
    let ln = TcpListener::bind(LOCALHOST)?;
    let addr = ln.local_addr()?;
    let dialer = Dialer::new();
    scope(|s| {
        s.go(|| {
            while let Ok((conn, _)) = ln.accept() {
                drop(conn);
            }
        });
        let target = addr.to_string();
        let figures = each_ns(COUNT, || {
            let start = Instant::now();
            for _ in 0..COUNT {
                let conn = dialer.dial_tcp("tcp", &target)?;
                conn.read(&mut [0])?;
            }
            Ok(start.elapsed())
        });
        ln.close()?;
        figures
    })
}

/// A connection and its other end.
fn pair() -> io::Result<(TcpConn, TcpConn)> {
    let ln = TcpListener::bind(LOCALHOST)?;
    let client = TcpConn::connect(ln.local_addr()?)?;
    Ok((client, ln.accept()?.0))
}

/// 512 bytes there and back over a connection that lives on.
fn ping_pong() -> io::Result<Figures> {
    const COUNT: usize = 20_000;
    let (client, server) = pair()?;
    scope(|s| {
        s.go(move || {
            let mut buf = [0; 512];
            while let Ok(()) = read_full(&server, &mut buf) {
                if server.write_all(&buf).is_err() {
                    break;
                }
            }
        });
        let mut buf = [7; 512];
        let figures = each_ns(COUNT, || {
            let start = Instant::now();
            for _ in 0..COUNT {
                client.write_all(&buf)?;
                read_full(&client, &mut buf)?;
            }
            Ok(start.elapsed())
        });
        client.close()?;
        figures
    })
}

fn read_full(mut conn: &TcpConn, buf: &mut [u8]) -> io::Result<()> {
    io::Read::read_exact(&mut conn, buf)
}

/// A byte of one connection for each P. Go: BenchmarkTCP4ConcurrentReadWrite.
fn read_write() -> io::Result<Figures> {
    const COUNT: usize = 20_000;
    let pairs = max_procs();
    each_ns(COUNT * pairs, || {
        let conns: Vec<_> = (0..pairs).map(|_| pair()).collect::<Result<_, _>>()?;
        let start = Instant::now();
        scope(|s| {
            for (client, server) in &conns {
                s.go(move || both_ways(client, server, COUNT));
            }
        });
        Ok(start.elapsed())
    })
}

/// One byte at a time in both directions at once: a writer and a reader at either end, the server's joined by a
/// channel.
fn both_ways(client: &TcpConn, server: &TcpConn, count: usize) {
    let (give, take) = chan::bounded::<u8>(128);
    scope(|s| {
        s.go(move || {
            for i in 0..count {
                client.write_all(&[i as u8]).expect("the server reads");
            }
        });
        s.go(move || {
            let mut byte = [0];
            for _ in 0..count {
                read_full(server, &mut byte).expect("the client writes");
                give.send(byte[0]).expect("the writer takes it");
            }
        });
        s.go(move || {
            for byte in take {
                server.write_all(&[byte]).expect("the client reads");
            }
        });
        let mut byte = [0];
        for i in 0..count {
            read_full(client, &mut byte).expect("the server writes");
            assert_eq!(byte[0], i as u8, "bytes come back in order");
        }
    });
}

/// Moves the read deadline of a connection, a nanosecond at a time as Go's benchmark does; no clock is read here.
fn deadline() -> io::Result<Figures> {
    const COUNT: usize = 200_000;
    let (client, _server) = pair()?;
    client.set_write_deadline(Some(Instant::now() + Duration::from_secs(7200)))?;
    let hour = Instant::now() + Duration::from_secs(3600);
    each_ns(COUNT, || {
        let mut when = hour;
        let start = Instant::now();
        for _ in 0..COUNT {
            client.set_read_deadline(Some(when))?;
            when += Duration::from_nanos(1);
        }
        Ok(start.elapsed())
    })
}

/// A dial to two families of which the first never answers: its listener's queue is full, so its system drops what
/// arrives.
fn black_hole() -> io::Result<Figures> {
    let hole = ListenConfig::new().backlog(0).listen_tcp("tcp6", "[::1]:0")?;
    let hole_addr = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), hole.local_addr()?.port());
    let fill = Dialer::new().timeout(Duration::from_millis(200));
    let mut queued = Vec::new();
    while let Ok(conn) = fill.dial_tcp("tcp6", &hole_addr.to_string()) {
        queued.push(conn);
    }
    let open = TcpListener::bind(LOCALHOST)?;
    let addrs = [hole_addr, open.local_addr()?];
    let start = Instant::now();
    gopark_net::for_tests::dial_happy(&Dialer::new(), &addrs)?;
    Ok(vec![("ms", start.elapsed().as_secs_f64() * 1000.0)])
}
