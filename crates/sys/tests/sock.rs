//! Descriptors and sockets: their life, their options, reading and writing.

mod util;

use std::io::{IoSlice, IoSliceMut, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::time::{Duration, Instant};

use gopark_sys::{Errno, Result, SysFd, rw, sock, sockopt};
use util::{LIMIT, bounded, tcp_pair};

const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn tcp() -> SysFd {
    SysFd::new(sock::tcp_socket(&LOCAL).unwrap())
}

/// A listener on a free port, and its address.
fn listener() -> (SysFd, SocketAddr) {
    let fd = tcp();
    sock::bind(&fd, &LOCAL).unwrap();
    sock::listen(&fd, sock::somaxconn()).unwrap();
    let addr = sock::local_addr(&fd).unwrap();
    (fd, addr)
}

/// A connection: our end, and the peer's by std.
fn connected() -> (SysFd, TcpStream) {
    let (conn, peer) = tcp_pair();
    (SysFd::new(conn.into()), peer)
}

/// Repeats what gives EAGAIN.
fn until_ready<T>(mut f: impl FnMut() -> Result<T>) -> Result<T> {
    let end = Instant::now() + LIMIT;
    loop {
        match f() {
            Err(Errno::EAGAIN) if Instant::now() < end => std::thread::yield_now(),
            other => return other,
        }
    }
}

/// A descriptor's line of flags in /proc, as a number.
#[cfg(target_os = "linux")]
fn flags(fd: i32) -> i32 {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
    i32::from_str_radix(line.trim(), 8).unwrap()
}

#[test]
fn a_descriptor_is_closed_once() {
    let (fd, mut peer) = connected();
    peer.set_nonblocking(false).unwrap();
    peer.set_read_timeout(Some(LIMIT)).unwrap();
    assert!(fd.raw() >= 0);
    assert_eq!(fd.close(), Ok(()));
    assert_eq!(peer.read(&mut [0]).unwrap(), 0, "the peer sees the end");
    assert_eq!((fd.raw(), fd.close(), fd.close()), (-1, Err(Errno::EBADF), Err(Errno::EBADF)));
    assert!(fd.take().is_none() && fd.into_owned().is_none());
}

#[test]
fn a_closed_descriptor_gives_ebadf_everywhere() {
    let (fd, _) = connected();
    fd.close().unwrap();
    let byte = &mut [0][..];
    let results = [
        rw::read(&fd, byte).map(drop),
        rw::recv(&fd, byte).map(drop),
        rw::peek(&fd, byte).map(drop),
        rw::readv(&fd, &mut [IoSliceMut::new(byte)]).map(drop),
        rw::write(&fd, b"x").map(drop),
        rw::send(&fd, b"x").map(drop),
        rw::writev(&fd, &[IoSlice::new(b"x")]).map(drop),
        sock::bind(&fd, &LOCAL),
        sock::listen(&fd, 1),
        sock::accept4(&fd).map(drop),
        sock::shutdown(&fd, Shutdown::Both),
        sock::local_addr(&fd).map(drop),
        sock::peer_addr(&fd).map(drop),
        sockopt::set_nodelay(&fd, true),
        fd.set_nonblocking(true),
        fd.dup().map(drop),
    ];
    assert_eq!(results, [Err(Errno::EBADF); 16]);
}

#[test]
fn of_two_closers_one_wins() {
    for _ in 0..100 {
        let fd = tcp();
        let closed = std::thread::scope(|scope| {
            [scope.spawn(|| fd.close()), scope.spawn(|| fd.close())].map(|thread| thread.join().unwrap())
        });
        assert_eq!(closed.iter().filter(|result| result.is_ok()).count(), 1);
    }
}

#[test]
fn a_dropped_cell_closes_and_one_given_away_does_not() {
    let (fd, mut peer) = connected();
    let raw = fd.raw();
    let owned = fd.into_owned().unwrap();
    assert_eq!(owned.as_raw_fd(), raw);
    let err = peer.read(&mut [0]).unwrap_err();
    assert_eq!(err.kind(), std::io::ErrorKind::WouldBlock, "still open");
    peer.set_nonblocking(false).unwrap();
    peer.set_read_timeout(Some(LIMIT)).unwrap();
    drop(SysFd::new(owned));
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn descriptors_are_nonblocking_and_close_on_exec() {
    const BOTH: i32 = libc::O_NONBLOCK | libc::O_CLOEXEC;
    let (listener, addr) = listener();
    assert_eq!(flags(listener.raw()) & BOTH, BOTH);
    let _peer = TcpStream::connect(addr).unwrap();
    let (accepted, _) = until_ready(|| sock::accept4(&listener)).unwrap();
    assert_eq!(flags(accepted.as_raw_fd()) & BOTH, BOTH);
    let duplicate = listener.dup().unwrap();
    assert_ne!(duplicate.as_raw_fd(), listener.raw());
    assert_eq!(flags(duplicate.as_raw_fd()) & BOTH, BOTH);
    // Non-blocking belongs to the open file, close-on-exec to the descriptor.
    listener.set_nonblocking(false).unwrap();
    listener.set_nonblocking(false).unwrap();
    assert_eq!(flags(duplicate.as_raw_fd()) & BOTH, libc::O_CLOEXEC);
    SysFd::new(duplicate).set_nonblocking(true).unwrap();
    assert_eq!(flags(listener.raw()) & BOTH, BOTH);
}

#[test]
fn a_connection_is_made_accepted_and_named() {
    let (listener, addr) = listener();
    assert_eq!(sock::accept4(&listener).unwrap_err(), Errno::EAGAIN);
    let conn = tcp();
    assert_eq!(sock::peer_addr(&conn), Err(Errno::ENOTCONN));
    match sock::connect(&conn, &addr) {
        Ok(()) => {}
        Err(errno) => assert_eq!(errno, Errno::EINPROGRESS),
    }
    let (accepted, from) = until_ready(|| sock::accept4(&listener)).unwrap();
    let accepted = SysFd::new(accepted);
    assert_eq!(from, sock::local_addr(&conn).unwrap());
    assert_eq!(sock::peer_addr(&conn).unwrap(), addr);
    assert_eq!(sock::local_addr(&accepted).unwrap(), addr);
    assert_eq!(sock::so_error(&conn), Ok(None));
    assert_eq!(sock::bind(&tcp(), &addr), Err(Errno::EADDRINUSE));
}

#[test]
fn a_refused_connection_leaves_its_error_once() {
    bounded(|| {
        let (listener, addr) = listener();
        listener.close().unwrap();
        let conn = tcp();
        match sock::connect(&conn, &addr) {
            Err(Errno::ECONNREFUSED) => return, // at once, as loopback may
            result => assert_eq!(result, Err(Errno::EINPROGRESS)),
        }
        while !rw::poll_writable(&conn).unwrap() {}
        assert_eq!(sock::so_error(&conn), Ok(Some(Errno::ECONNREFUSED)));
        assert_eq!(sock::so_error(&conn), Ok(None));
    });
}

#[test]
fn ipv6_works_where_there_is_any() {
    let addr = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    let Ok(fd) = sock::tcp_socket(&addr).map(SysFd::new) else {
        println!("SKIPPED: no IPv6 here");
        return;
    };
    sockopt::set_v6only(&fd, true).unwrap();
    if let Err(errno) = sock::bind(&fd, &addr) {
        println!("SKIPPED: no IPv6 loopback here: {errno}");
        return;
    }
    sock::listen(&fd, 1).unwrap();
    let addr = sock::local_addr(&fd).unwrap();
    assert!(addr.is_ipv6() && addr.port() != 0);
    let peer = TcpStream::connect(addr).unwrap();
    let (_, from) = until_ready(|| sock::accept4(&fd)).unwrap();
    assert_eq!(from, peer.local_addr().unwrap());
}

#[test]
fn the_backlog_limit_is_positive() {
    assert!(sock::somaxconn() >= 1);
    assert_eq!(sock::somaxconn(), sock::somaxconn());
}

#[test]
fn reads_take_what_is_there_and_peeks_leave_it() {
    let (fd, mut peer) = connected();
    let mut buf = [0; 8];
    for result in [rw::read(&fd, &mut buf), rw::recv(&fd, &mut buf), rw::peek(&fd, &mut buf)] {
        assert_eq!(result, Err(Errno::EAGAIN));
    }
    assert_eq!(rw::poll_readable(&fd), Ok(false));
    peer.write_all(b"abcdefghijk").unwrap();
    assert_eq!(until_ready(|| rw::peek(&fd, &mut buf)), Ok(8));
    assert_eq!(rw::poll_readable(&fd), Ok(true));
    assert_eq!(rw::read(&fd, &mut buf[..3]), Ok(3));
    assert_eq!(&buf, b"abcdefgh");
    let (mut first, mut second) = ([0; 2], [0; 2]);
    let mut bufs = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut []), IoSliceMut::new(&mut second)];
    assert_eq!(rw::readv(&fd, &mut bufs), Ok(4));
    assert_eq!((&first, &second), (b"de", b"fg"));
    assert_eq!(rw::recv(&fd, &mut buf), Ok(4));
    assert_eq!(&buf[..4], b"hijk");
    peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(until_ready(|| rw::recv(&fd, &mut buf)), Ok(0));
    assert_eq!(rw::read(&fd, &mut buf), Ok(0));
    assert_eq!(rw::peek(&fd, &mut buf), Ok(0));
}

#[test]
fn writes_gather_and_stop_when_the_buffer_is_full() {
    let (fd, mut peer) = connected();
    assert_eq!(rw::poll_writable(&fd), Ok(true));
    assert_eq!(rw::send(&fd, b"ab"), Ok(2));
    assert_eq!(rw::write(&fd, b"cd"), Ok(2));
    assert_eq!(rw::writev(&fd, &[IoSlice::new(b"e"), IoSlice::new(b""), IoSlice::new(b"fg")]), Ok(3));
    assert_eq!(rw::writev(&fd, &[]), Ok(0));
    // More buffers than the kernel takes: some are written, and that is no error.
    let many: Vec<_> = (0..2000).map(|_| IoSlice::new(b"x")).collect();
    assert_eq!(rw::writev(&fd, &many), Ok(1024));
    let mut read = [0; 7 + 1024];
    peer.set_nonblocking(false).unwrap();
    peer.set_read_timeout(Some(LIMIT)).unwrap();
    peer.read_exact(&mut read).unwrap();
    assert_eq!(&read[..8], b"abcdefgx");
    let block = vec![0; 1 << 20];
    let full = (0..1000).find_map(|_| rw::send(&fd, &block).err());
    assert_eq!(full, Some(Errno::EAGAIN));
    assert_eq!(rw::poll_writable(&fd), Ok(false));
}

/// SIGPIPE would end the process; Rust's runtime ignores it, so that only where it does not would the difference show.
#[test]
fn a_write_to_a_closed_peer_is_an_error() {
    let (fd, peer) = connected();
    drop(peer);
    let errno = bounded(move || {
        loop {
            if let Err(errno) = rw::send(&fd, b"x").and_then(|_| rw::writev(&fd, &[IoSlice::new(b"x")])) {
                return errno;
            }
        }
    });
    assert!(matches!(errno, Errno::EPIPE | Errno::ECONNRESET), "{errno}");
}

#[test]
fn shutdown_ends_one_direction() {
    let (fd, mut peer) = connected();
    sock::shutdown(&fd, Shutdown::Write).unwrap();
    assert_eq!(rw::send(&fd, b"x"), Err(Errno::EPIPE));
    peer.write_all(b"y").unwrap();
    assert_eq!(until_ready(|| rw::read(&fd, &mut [0])), Ok(1));
}

#[test]
fn options_come_back_as_set() {
    let (fd, _peer) = connected();
    for on in [true, false, true] {
        sockopt::set_nodelay(&fd, on).unwrap();
        assert_eq!(sockopt::nodelay(&fd), Ok(on));
        sockopt::set_keepalive(&fd, on).unwrap();
        assert_eq!(sockopt::keepalive(&fd), Ok(on));
        sockopt::set_reuse_addr(&fd, on).unwrap();
        sockopt::set_reuse_port(&fd, on).unwrap();
    }
    // Whole seconds, rounded up: the kernel refuses a zero.
    let (idle, interval) = (Duration::from_millis(14_001), Duration::from_nanos(1));
    sockopt::set_keepalive_params(&fd, Some(idle), Some(interval), Some(7)).unwrap();
    assert_eq!(sockopt::keepalive_idle(&fd), Ok(Duration::from_secs(15)));
    assert_eq!(sockopt::keepalive_interval(&fd), Ok(Duration::from_secs(1)));
    assert_eq!(sockopt::keepalive_count(&fd), Ok(7));
    sockopt::set_keepalive_params(&fd, None, Some(Duration::from_secs(3)), None).unwrap();
    assert_eq!(sockopt::keepalive_idle(&fd), Ok(Duration::from_secs(15)));
    assert_eq!(sockopt::keepalive_interval(&fd), Ok(Duration::from_secs(3)));
    for linger in [Some(Duration::from_secs(3)), Some(Duration::ZERO), None] {
        sockopt::set_linger(&fd, linger).unwrap();
        assert_eq!(sockopt::linger(&fd), Ok(linger));
    }
    sockopt::set_ttl(&fd, 9).unwrap();
    assert_eq!(sockopt::ttl(&fd), Ok(9));
    // The kernel adds room for its own bookkeeping.
    sockopt::set_recv_buffer(&fd, 8192).unwrap();
    sockopt::set_send_buffer(&fd, 8192).unwrap();
    assert!((8192..=32768).contains(&sockopt::recv_buffer(&fd).unwrap()));
    assert!((8192..=32768).contains(&sockopt::send_buffer(&fd).unwrap()));
}

#[test]
fn options_of_what_is_no_socket_fail() {
    let file: OwnedFd = std::fs::File::open(std::env::current_exe().unwrap()).unwrap().into();
    let fd = SysFd::new(file);
    assert_eq!(sockopt::set_nodelay(&fd, true), Err(Errno::ENOTSOCK));
    assert_eq!(sock::listen(&fd, 1), Err(Errno::ENOTSOCK));
    assert_eq!(rw::send(&fd, b"x"), Err(Errno::ENOTSOCK));
    assert!(matches!(rw::read(&fd, &mut [0; 4]), Ok(4)));
}

#[test]
fn a_number_out_of_a_cell_is_the_callers() {
    let fd = tcp();
    let raw = fd.raw();
    let taken = fd.take().unwrap();
    assert_eq!(taken.into_raw_fd(), raw);
    drop(fd); // closes nothing
    let again = tcp();
    assert_ne!(again.raw(), raw, "the number is still in use");
}
