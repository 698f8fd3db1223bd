use super::*;
use std::net::SocketAddr;

use crate::TcpAddr;

fn addr(text: &str) -> Option<Addr> {
    Some(TcpAddr::from(text.parse::<SocketAddr>().unwrap()).into())
}

fn op(name: &'static str, raw: i32) -> OpError {
    OpError::new(name, "tcp", SyscallError::new(name, raw))
}

#[test]
fn texts_are_gos() {
    let e =
        op("read", Errno::ECONNRESET.raw()).with_source(addr("127.0.0.1:1")).with_addr(addr("127.0.0.1:2"));
    assert_eq!(e.to_string(), "read tcp 127.0.0.1:1->127.0.0.1:2: read: connection reset by peer");
    let e = OpError::new("accept", "tcp", Cause::Closed).with_addr(addr("[::]:80"));
    assert_eq!(e.to_string(), "accept tcp [::]:80: use of closed network connection");
    let e = OpError::new("dial", "", Cause::MissingAddress);
    assert_eq!(e.to_string(), "dial: missing address");
    assert_eq!(Cause::Canceled.to_string(), "operation was canceled");
    assert_eq!(Cause::Timeout.to_string(), "i/o timeout");
    assert_eq!(Cause::UnexpectedEof.to_string(), "unexpected EOF");
    let no_addr = AddrError { err: "invalid port", addr: String::new() };
    assert_eq!(no_addr.to_string(), "invalid port");
}

#[test]
fn an_op_error_survives_the_trip_through_io_error() {
    let err = io::Error::from(op("connect", Errno::ECONNREFUSED.raw()));
    assert_eq!(err.kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(err.raw_os_error(), None);
    assert_eq!(raw_os_error(&err), Some(Errno::ECONNREFUSED.raw()));
    let inner = err.get_ref().unwrap().downcast_ref::<OpError>().unwrap();
    assert!(matches!(inner.err, Cause::Syscall(e) if e.syscall == "connect"));
    let source = inner.source().unwrap();
    assert_eq!(source.to_string(), "connect: connection refused");
    assert!(source.downcast_ref::<Cause>().is_some());
}

#[test]
fn kinds_are_stds() {
    let kind = |cause| io::Error::from(OpError::new("read", "tcp", cause)).kind();
    assert_eq!(kind(Cause::Timeout), io::ErrorKind::TimedOut);
    assert_eq!(kind(Cause::MissingAddress), io::ErrorKind::InvalidInput);
    assert_eq!(kind(Cause::UnknownNetwork(UnknownNetworkError("x".into()))), io::ErrorKind::InvalidInput);
    assert_eq!(
        kind(Cause::Other(Box::new(io::Error::from(io::ErrorKind::NotFound)))),
        io::ErrorKind::NotFound
    );
    let denied = Cause::Syscall(SyscallError::new("bind", Errno::EACCES.raw()));
    assert_eq!(kind(denied), io::ErrorKind::PermissionDenied);
}

#[test]
fn timeouts_are_timeouts_and_nothing_else_is() {
    let is = |cause| is_timeout(&OpError::new("read", "tcp", cause).into());
    assert!(is(Cause::Timeout));
    assert!(is(SyscallError::new("read", Errno::ETIMEDOUT.raw()).into()));
    assert!(!is(SyscallError::new("read", Errno::ECONNRESET.raw()).into()));
    assert!(!is(Cause::Closed));
    assert!(!is(Cause::Canceled));
}

/// Go: net TestNotTemporaryRead, as far as the classification goes; golang/go#24808, golang/go#6163.
#[test]
fn a_reset_is_temporary_only_for_accept() {
    for raw in [Errno::ECONNRESET.raw(), Errno::ECONNABORTED.raw()] {
        assert!(!is_temporary(&op("read", raw).into()));
        assert!(is_temporary(&op("accept", raw).into()));
    }
    for raw in [Errno::EMFILE.raw(), Errno::ENFILE.raw(), Errno::EINTR.raw(), Errno::ETIMEDOUT.raw()] {
        assert!(is_temporary(&op("read", raw).into()));
        assert!(is_temporary(&io::Error::from_raw_os_error(raw)));
    }
    assert!(!is_temporary(&op("connect", Errno::ECONNREFUSED.raw()).into()));
}
