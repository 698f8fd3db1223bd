//! Every way to fail gives back what it took. In a process of its own, whose descriptors are counted.

mod util;

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use gopark_net::context::Context;
use gopark_net::{
    Dialer, ListenConfig, TcpConn, TcpListener, UnixConn, UnixListener, dial, listen, sleep, spawn,
};
use util::{BlackHole, local_listener, pair};

procs!();

/// How many sockets this process has open. Not all descriptors: sysmon keeps a file for each thread it had to
/// look at.
fn open_sockets() -> usize {
    let is_socket = |entry: io::Result<std::fs::DirEntry>| {
        let target = std::fs::read_link(entry.ok()?.path()).ok()?;
        target.to_str()?.starts_with("socket:").then_some(())
    };
    std::fs::read_dir("/proc/self/fd").expect("a list").filter_map(is_socket).count()
}

/// Does `what` a few times, after which there must be as many sockets as before. What is closed in the background
/// (the loser of a race) gets some time.
#[track_caller]
fn assert_no_leak(what: &str, mut work: impl FnMut()) {
    let before = open_sockets();
    for _ in 0..10 {
        work();
    }
    let end = Instant::now() + Duration::from_secs(10);
    while open_sockets() > before {
        assert!(Instant::now() < end, "{what}: {} sockets leaked", open_sockets() - before);
        // not for ordering: the pause of a bounded loop
        sleep(Duration::from_millis(1));
    }
}

fn dialing() {
    let ln = local_listener();
    let at = ln.addr().to_string();
    let hole = BlackHole::new();
    assert_no_leak("a connection", || drop(pair()));
    assert_no_leak("a closed connection that is kept", || {
        let (client, server) = pair();
        client.close().unwrap();
        server.close().unwrap();
    });
    assert_no_leak("a refused dial", || drop(dial("tcp", "127.0.0.1:1").unwrap_err()));
    assert_no_leak("a dial that runs out of time", || {
        drop(Dialer::new().timeout(Duration::from_millis(5)).dial("tcp", &hole.addr()).unwrap_err());
    });
    assert_no_leak("a dial whose hook fails", || {
        let dialer = Dialer::new().control(|_, _, _| Err(io::Error::other("no")));
        drop(dialer.dial("tcp", &at).unwrap_err());
    });
    assert_no_leak("a dial whose hook panics", || {
        let dialer = Dialer::new().control(|_, _, _| std::panic::resume_unwind(Box::new("on purpose")));
        assert!(catch_unwind(AssertUnwindSafe(|| dialer.dial("tcp", &at))).is_err());
    });
    assert_no_leak("a dial whose local port is taken", || {
        let local: SocketAddr = at.parse().unwrap();
        drop(Dialer::new().local_addr(local).dial("tcp", &at).unwrap_err());
    });
    assert_no_leak("dials that are canceled", || {
        for at in [hole.addr(), format!("[::]:{}", hole.listener.local_addr().unwrap().port())] {
            let (ctx, cancel) = Context::background().with_cancel();
            let dialing = spawn(move || {
                let dialer = Dialer::new().fallback_delay(Some(Duration::from_nanos(1)));
                drop(dialer.dial_context(&ctx, "tcp", &at).unwrap_err());
            });
            sleep(Duration::from_millis(2)); // not for ordering: whenever it comes
            cancel.cancel();
            dialing.join().unwrap();
        }
    });
    assert_no_leak("a race that both lose", || {
        drop(Dialer::new().fallback_delay(Some(Duration::from_nanos(1))).dial("tcp", "[::]:1").unwrap_err());
    });
    assert_no_leak("a race that one wins", || {
        let at = format!("[::]:{}", ln.local_addr().unwrap().port());
        drop(Dialer::new().fallback_delay(Some(Duration::from_nanos(1))).dial("tcp", &at).unwrap());
        ln.accept().unwrap();
    });
}

fn listening() {
    let ln = local_listener();
    let at = ln.addr().to_string();
    assert_no_leak("a port that is taken", || drop(listen("tcp", &at).unwrap_err()));
    assert_no_leak("an address that is not ours", || drop(listen("tcp", "192.0.2.1:0").unwrap_err()));
    assert_no_leak("a listener whose hook fails", || {
        let config = ListenConfig::new().control(|_, _, _| Err(io::Error::other("no")));
        drop(config.listen("tcp", "127.0.0.1:0").unwrap_err());
    });
    assert_no_leak("connections that nobody accepted", || {
        let ln = local_listener();
        let client = TcpConn::connect(ln.local_addr().unwrap()).unwrap();
        ln.close().unwrap();
        drop(client);
    });
}

/// Several sockets: with connections on their way, dropped and not closed, and one that cannot be bound.
fn sharding() {
    let config = ListenConfig::new().shards(3);
    assert_no_leak("shards and what they accepted ahead", || {
        let ln = config.listen_sharded("tcp", "127.0.0.1:0").unwrap();
        let clients: Vec<_> = (0..8).map(|_| TcpConn::connect(ln.local_addr().unwrap()).unwrap()).collect();
        drop(ln.accept().unwrap());
        ln.close().unwrap();
        drop(clients);
    });
    assert_no_leak("shards that are dropped", || {
        let ln = config.listen("tcp", "127.0.0.1:0").unwrap();
        drop(TcpConn::connect(ln.addr().to_string()).unwrap());
    });
    assert_no_leak("shards of which the second fails", || {
        let made = std::sync::atomic::AtomicUsize::new(0);
        let config = config.clone().control(move |_, _, _| {
            let first = made.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
            if first { Ok(()) } else { Err(io::Error::other("no")) }
        });
        drop(config.listen("tcp", "127.0.0.1:0").unwrap_err());
    });
    assert_no_leak("Multipath TCP, wherever it ends", || {
        let ln = ListenConfig::new().set_multipath_tcp(true).listen_tcp("tcp", "127.0.0.1:0").unwrap();
        let dialer = Dialer::new().set_multipath_tcp(true);
        drop(dialer.dial("tcp", &ln.addr().to_string()).unwrap());
        drop(dialer.dial("tcp", "127.0.0.1:1").unwrap_err());
    });
    assert_no_leak("duplicates", || {
        let (client, _server) = pair();
        drop(gopark_net::file_conn(client.file().unwrap()).unwrap());
        drop(gopark_net::file_listener(client.file().unwrap()).unwrap_err());
    });
}

fn handing_over() {
    assert_no_leak("clones", || {
        let (client, _server) = pair();
        let _clones = (client.try_clone().unwrap(), client.try_clone().unwrap());
        client.close().unwrap();
        assert!(client.try_clone().is_err());
    });
    assert_no_leak("from std and back", || {
        let (client, _server) = pair();
        let client = TcpConn::from_std(client.into_std().unwrap()).unwrap();
        drop(std::os::fd::OwnedFd::from(client));
        let unconnected = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        drop(TcpConn::from_std(unconnected.into()).unwrap_err());
        let file = std::fs::File::open("/dev/null").unwrap();
        drop(TcpListener::try_from(std::os::fd::OwnedFd::from(file)).unwrap_err());
    });
    assert_no_leak("a goroutine that panics", || {
        let (client, _server) = pair();
        let handle = spawn(move || {
            let _client = client;
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        assert!(handle.join().is_err());
    });
    assert_no_leak("a guard that outlives its wish to close", || {
        let (client, _server) = pair();
        let guard = client.fd().unwrap();
        drop(guard);
        client.close().unwrap();
    });
}

fn unix_sockets() {
    let name = util::unix::TempName::new();
    let ln = UnixListener::bind(name.path()).unwrap();
    assert_no_leak("Unix connections", || {
        let client = UnixConn::connect(name.path()).unwrap();
        let (server, _) = ln.accept().unwrap();
        client.close().unwrap();
        drop((client.try_clone().unwrap_err(), server.try_clone().unwrap(), server.file().unwrap()));
    });
    assert_no_leak("a name that is taken", || drop(UnixListener::bind(name.path()).unwrap_err()));
    assert_no_leak("a dial whose name is taken", || {
        let taken = gopark_net::UnixAddr::from(name.path());
        drop(Dialer::new().local_addr(taken).dial("unix", name.str()).unwrap_err());
    });
    assert_no_leak("a name at which nobody listens", || drop(dial("unix", "/no/such").unwrap_err()));
    assert_no_leak("a name that is too long", || {
        drop(dial("unix", &"x".repeat(200)).unwrap_err());
        drop(listen("unix", &"x".repeat(200)).unwrap_err());
    });
    assert_no_leak("a hook that fails", || {
        let no = |_: &str, _: &str, _: std::os::fd::BorrowedFd<'_>| Err(io::Error::other("no"));
        drop(Dialer::new().control(no).dial("unix", name.str()).unwrap_err());
        drop(ListenConfig::new().control(no).listen("unix", "@gopark-never").unwrap_err());
    });
    assert_no_leak("sockets of another kind", || {
        let (a, b) = UnixConn::pair_of("unixgram").unwrap();
        drop(a.into_std().unwrap_err());
        drop(UnixListener::try_from(std::os::fd::OwnedFd::from(b)).unwrap_err());
        let file = std::fs::File::open("/dev/null").unwrap();
        drop(UnixConn::try_from(std::os::fd::OwnedFd::from(file)).unwrap_err());
    });
    assert_no_leak("passed sockets that nobody takes", || {
        let (a, b) = UnixConn::pair().unwrap();
        let passed = UnixConn::unbound().unwrap();
        for _ in 0..4 {
            a.write_msg(b"x", &[passed.fd().unwrap().as_fd(); 3], None).unwrap();
        }
        drop(b.read_msg(&mut [0], 2).unwrap());
        drop(b.read_msg(&mut [], 0).unwrap());
        assert_eq!(b.read(&mut [0]).unwrap(), 1);
    });
    assert_no_leak("a full queue, and a dial that runs out of time", || {
        let ln = ListenConfig::new().backlog(0).listen_unix("").unwrap();
        let at = ln.addr().to_string();
        let _queued = UnixConn::connect(&at).unwrap();
        drop(Dialer::new().timeout(Duration::from_millis(2)).dial("unix", &at).unwrap_err());
    });
}

#[test]
fn nothing_leaks_on_any_way_out() {
    const NAME: &str = "nothing_leaks_on_any_way_out";
    if util::is_child_for(NAME) {
        for part in [dialing, listening, sharding, handing_over, unix_sockets] {
            util::both(NAME, part);
        }
    } else {
        util::assert_success(util::child(NAME, ""), NAME);
    }
}
