//! Faults on demand. They are the process's, so one test has them all.

use std::net::SocketAddr;

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
}
