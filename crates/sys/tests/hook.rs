//! Faults on demand. They are the process's, so one test has them all.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering::Relaxed};

use gopark_sys::{Errno, SysFd, hook, sock};

#[test]
fn an_armed_fault_fails_as_often_as_told_and_then_no_more() {
    let addr = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = SysFd::new(sock::tcp_socket(&addr).unwrap());
    sock::bind(&listener, &addr).unwrap();
    sock::listen(&listener, 8).unwrap();
    let addr = sock::local_addr(&listener).unwrap();
    let accept = || sock::accept4(&listener).map(drop);
    assert_eq!((accept(), hook::ACCEPT.left()), (Err(Errno::EAGAIN), 0), "nothing is armed");

    hook::ACCEPT.arm(Errno::EMFILE, 2);
    assert_eq!(hook::ACCEPT.left(), 2);
    assert_eq!([accept(), accept(), accept()], [Err(Errno::EMFILE), Err(Errno::EMFILE), Err(Errno::EAGAIN)]);
    assert_eq!(hook::ACCEPT.left(), 0);

    // Each call has its own.
    hook::CONNECT.arm(Errno::EINTR, 1);
    hook::SO_ERROR.arm(Errno::ECONNREFUSED, 1);
    assert_eq!(accept(), Err(Errno::EAGAIN));
    let conn = SysFd::new(sock::tcp_socket(&addr).unwrap());
    assert_eq!(sock::connect(&conn, &addr), Err(Errno::EINTR));
    assert!(matches!(sock::connect(&conn, &addr), Ok(()) | Err(Errno::EINPROGRESS)));
    assert_eq!(sock::so_error(&conn), Err(Errno::ECONNREFUSED));
    assert_eq!(sock::so_error(&conn), Ok(None));

    // Taken by several threads at once, no failure is lost and none is given twice.
    hook::SO_ERROR.arm(Errno::EINVAL, 100);
    let failures = || (0..100).filter(|_| sock::so_error(&conn) == Err(Errno::EINVAL)).count();
    let total: usize = std::thread::scope(|scope| {
        [scope.spawn(failures), scope.spawn(failures)].map(|thread| thread.join().unwrap()).iter().sum()
    });
    assert_eq!((total, hook::SO_ERROR.left()), (100, 0));

    hook::ACCEPT.arm(Errno::ENFILE, 5);
    hook::ACCEPT.arm(Errno::ENFILE, 0);
    assert_eq!(accept(), Ok(()), "disarmed: the connection made above");

    probes(&listener, &conn, addr);
    other_calls(&conn, addr);
}

fn probes(listener: &SysFd, conn: &SysFd, addr: SocketAddr) {
    // What a connection reports is not what the call reports.
    hook::PENDING_ERROR.arm(Errno::EINPROGRESS, 1);
    assert_eq!(sock::so_error(conn), Ok(Some(Errno::EINPROGRESS)));
    assert_eq!(sock::so_error(conn), Ok(None));

    // A probe sees each call's descriptor and decides, until its guard goes.
    let (calls, seen) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicI32::new(0)));
    let guard = {
        let (calls, seen) = (calls.clone(), seen.clone());
        hook::LOCAL_ADDR.probe(move |fd| {
            seen.store(fd, Relaxed);
            if calls.fetch_add(1, Relaxed) == 0 { Err(Errno::ENOBUFS) } else { Ok(()) }
        })
    };
    assert_eq!(sock::local_addr(listener), Err(Errno::ENOBUFS));
    assert_eq!(sock::local_addr(listener), Ok(addr));
    assert_eq!((calls.load(Relaxed), seen.load(Relaxed), hook::LOCAL_ADDR.left()), (2, listener.raw(), 0));
    drop(guard);
    assert_eq!((sock::local_addr(listener), calls.load(Relaxed)), (Ok(addr), 2));
}

/// Each at its own call.
fn other_calls(conn: &SysFd, addr: SocketAddr) {
    hook::SOCKET.arm(Errno::EMFILE, 1);
    assert_eq!(sock::tcp_socket(&addr).map(drop), Err(Errno::EMFILE));
    hook::BIND.arm(Errno::EADDRINUSE, 1);
    let fresh = SysFd::new(sock::tcp_socket(&addr).unwrap());
    assert_eq!(sock::bind(&fresh, &SocketAddr::from(([127, 0, 0, 1], 0))), Err(Errno::EADDRINUSE));
    hook::LISTEN.arm(Errno::EADDRINUSE, 1);
    assert_eq!(sock::listen(&fresh, 1), Err(Errno::EADDRINUSE));
    hook::PEER_ADDR.arm(Errno::ENOTCONN, 1);
    assert_eq!((sock::peer_addr(conn), sock::peer_addr(conn)), (Err(Errno::ENOTCONN), Ok(addr)));
    hook::DUP.arm(Errno::EMFILE, 1);
    assert_eq!(fresh.dup().map(drop), Err(Errno::EMFILE));
    hook::CLOSE.arm(Errno::EIO, 1);
    assert_eq!((fresh.close(), fresh.raw()), (Err(Errno::EIO), -1));
}
