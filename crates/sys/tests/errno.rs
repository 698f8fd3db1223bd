//! Error numbers: their texts, which are Go's, and their ways from and to std.

use std::io;

use gopark_sys::Errno;

#[test]
fn texts_are_go_s() {
    for (errno, text) in [
        (Errno::ECONNREFUSED, "connection refused"),
        (Errno::EADDRINUSE, "address already in use"),
        (Errno::EPIPE, "broken pipe"),
        (Errno::ENOENT, "no such file or directory"),
        (Errno::ECONNRESET, "connection reset by peer"),
        (Errno::EMFILE, "too many open files"),
        (Errno::ENFILE, "too many open files in system"),
        (Errno::ENETUNREACH, "network is unreachable"),
        (Errno::EHOSTUNREACH, "no route to host"),
        (Errno::EADDRNOTAVAIL, "cannot assign requested address"),
        (Errno::EACCES, "permission denied"),
        (Errno::EINVAL, "invalid argument"),
        (Errno::ETIMEDOUT, "connection timed out"),
        (Errno::EAGAIN, "resource temporarily unavailable"),
        (Errno::EBADF, "bad file descriptor"),
        (Errno::ENOTCONN, "transport endpoint is not connected"),
        (Errno::EISCONN, "transport endpoint is already connected"),
        (Errno::EAFNOSUPPORT, "address family not supported by protocol"),
        (Errno::EINTR, "interrupted system call"),
        (Errno::from_raw(libc::ENOEXEC), "exec format error"),
        (Errno::from_raw(libc::EIO), "input/output error"),
    ] {
        if cfg!(target_os = "linux") {
            assert_eq!(errno.to_string(), text);
        }
        assert!(!errno.to_string().contains("os error"), "{errno}");
    }
}

#[test]
fn debug_gives_the_name_and_a_number_without_one() {
    assert_eq!(format!("{:?}", Errno::ECONNREFUSED), "ECONNREFUSED");
    assert_eq!(format!("{:?}", Errno::from_raw(4095)), "Errno(4095)");
    assert!(!Errno::from_raw(4095).to_string().is_empty());
}

#[test]
fn std_errors_keep_their_number_and_kind() {
    let err = io::Error::from(Errno::ECONNREFUSED);
    assert_eq!(
        (err.kind(), err.raw_os_error()),
        (io::ErrorKind::ConnectionRefused, Some(libc::ECONNREFUSED))
    );
    assert_eq!(Errno::of(&err), Errno::ECONNREFUSED);
    assert_eq!(Errno::of(&io::Error::other("no number")), Errno::EINVAL);
    assert_eq!(Errno::from_raw(Errno::EPIPE.raw()), Errno::EPIPE);
}

#[test]
fn last_is_the_last_failure_of_this_thread() {
    assert!(std::fs::File::open("there/is/no/such/file").is_err());
    assert_eq!(Errno::last(), Errno::ENOENT);
}
