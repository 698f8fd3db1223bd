//! Before the runtime is started: an error that names the line to write, and no socket. The runtime is never
//! started in this binary.

use std::io;
use std::net::{TcpListener as StdListener, TcpStream};

use gopark_net::{
    Cause, Dialer, ListenConfig, OpError, TcpConn, TcpListener, dial, is_closed, is_temporary, is_timeout,
    listen,
};

#[track_caller]
fn assert_not_started<T>(result: io::Result<T>) {
    let Err(err) = result else { panic!("the runtime is not started") };
    let op = OpError::of(&err).unwrap_or_else(|| panic!("not an OpError: {err}"));
    assert!(matches!(op.err, Cause::NotStarted), "{err}");
    assert!(err.to_string().contains("Runtime::start()"), "does not name the line to write: {err}");
    assert!(!is_closed(&err) && !is_timeout(&err) && !is_temporary(&err));
}

#[test]
fn io_before_the_start_is_an_error_that_names_the_line_to_write() {
    let ln = StdListener::bind("127.0.0.1:0").unwrap();
    ln.set_nonblocking(true).unwrap();
    let at = ln.local_addr().unwrap();
    assert_not_started(listen("tcp", "127.0.0.1:0"));
    assert_not_started(ListenConfig::new().listen_tcp("tcp", ":0"));
    assert_not_started(TcpListener::bind("127.0.0.1:0"));
    assert_not_started(dial("tcp", &at.to_string()));
    assert_not_started(dial("tcp", "localhost:80"));
    assert_not_started(Dialer::new().dial_tcp("tcp", &at.to_string()));
    assert_not_started(TcpConn::connect(at));
    // Nobody has connected.
    assert_eq!(ln.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_not_started(TcpConn::from_std(TcpStream::connect(at).unwrap()));
    assert_not_started(TcpListener::from_std(StdListener::bind("127.0.0.1:0").unwrap()));
}

#[test]
fn what_is_wrong_with_the_arguments_is_said_first() {
    let err = dial("sctp", "127.0.0.1:80").err().unwrap();
    assert_eq!(err.to_string(), "dial sctp: unknown network sctp");
    let err = listen("tcp", "127.0.0.1").err().unwrap();
    assert_eq!(err.to_string(), "listen tcp: address 127.0.0.1: missing port in address");
}
