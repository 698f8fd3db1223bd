//! The servers that are made with crates of others, `tls_echo`, `ws_echo` and `http_plain`, with those crates' clients
//! over std's sockets, and with curl and openssl.

mod util;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tungstenite::{Error, Message};
use util::{HTTP_PLAIN, Server, TLS_ECHO, WS_ECHO, have, run};

/// A file of this test process, deleted when dropped.
struct Temporary(String);

impl Temporary {
    fn new(name: &str) -> Temporary {
        let file = std::env::temp_dir().join(format!("gopark-{}-{name}", std::process::id()));
        Temporary(file.to_str().expect("UTF-8").to_owned())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn tls_client(cert: &Temporary, conn: TcpStream) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&cert.0).expect("PEM")).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("ring has what they need").with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").expect("an address");
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).expect("a configuration"), conn)
}

#[test]
fn tls_echo_serves_rustls_clients() {
    let cert = Temporary::new("rustls.pem");
    let server = Server::start(TLS_ECHO, &["--quiet", "--write-cert", &cert.0]);
    std::thread::scope(|s| {
        for id in 0..8 {
            let (server, cert) = (&server, &cert);
            s.spawn(move || {
                let mut client = tls_client(cert, server.connect());
                for round in 0..20 {
                    let message = format!("client {id} round {round}");
                    client.write_all(message.as_bytes()).expect("the server takes it");
                    let mut back = vec![0; message.len()];
                    client.read_exact(&mut back).expect("an echo");
                    assert_eq!(back, message.as_bytes());
                }
                client.conn.send_close_notify();
                assert_eq!(client.read(&mut [0; 8]).expect("the server's end of TLS, too"), 0);
            });
        }
    });
}

#[test]
fn tls_echo_serves_openssl() {
    if !have("openssl", "tls_echo_serves_openssl") {
        return;
    }
    let cert = Temporary::new("openssl.pem");
    let server = Server::start(TLS_ECHO, &["--quiet", "--write-cert", &cert.0]);
    for version in ["-tls1_2", "-tls1_3"] {
        // Quiet, so that input is data only; the connection ends with the input's end.
        let args = ["s_client", "-quiet", "-no_ign_eof", "-verify_return_error", "-CAfile", &cert.0, version];
        let out = run("openssl", &[&args[..], &["-connect", &server.addr]].concat(), b"");
        let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{version}: {stderr}");
        assert!(!stderr.contains("verify error"), "{version}: {stderr}");
    }
}

#[test]
fn tls_echo_ends_a_handshake_that_does_not_come() {
    let server = Server::start(TLS_ECHO, &["--quiet", "--idle-timeout-s", "1"]);
    let (mut silent, mut noisy) = (server.connect(), server.connect());
    assert_eq!(silent.read(&mut [0; 8]).expect("closed, not reset"), 0);
    // An alert, and the end.
    noisy.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("the server takes it");
    let mut alert = Vec::new();
    let end = noisy.read_to_end(&mut alert);
    assert!(end.is_ok() || end.is_err_and(|e| e.kind() == ErrorKind::ConnectionReset));
}

#[test]
fn ws_echo_serves_tungstenite() {
    let server = Server::start(WS_ECHO, &["--quiet"]);
    let (mut socket, _) =
        tungstenite::client(format!("ws://{}/", server.addr), server.connect()).expect("a handshake");
    for message in [Message::text("text"), Message::binary(vec![0, 255]), Message::text("x".repeat(1 << 20))]
    {
        socket.send(message.clone()).expect("the server takes it");
        assert!(socket.read().expect("an echo") == message);
    }
    socket.send(Message::Ping("?".into())).expect("the server takes it");
    assert_eq!(socket.read().expect("an answer"), Message::Pong("?".into()));
    socket.close(None).expect("the server takes it");
    assert!(matches!(socket.read(), Ok(Message::Close(_))));
    assert!(matches!(socket.read(), Err(Error::ConnectionClosed)));
}

#[test]
fn ws_echo_refuses_what_is_too_long() {
    let server = Server::start(WS_ECHO, &["--quiet"]);
    let (mut socket, _) =
        tungstenite::client(format!("ws://{}/", server.addr), server.connect()).expect("a handshake");
    // The server hangs up without reading all of it.
    let _ = socket.send(Message::binary(vec![0; (1 << 20) + 1]));
    assert!(socket.read().is_err());
}

#[test]
fn http_plain_serves_curl_on_one_connection() {
    if !have("curl", "http_plain_serves_curl_on_one_connection") {
        return;
    }
    let server = Server::start(HTTP_PLAIN, &["--quiet"]);
    let (hello, echo) = (format!("http://{}/", server.addr), format!("http://{}/echo", server.addr));
    let always = ["--silent", "--show-error", "--noproxy", "*", "--max-time", "30"];
    let out = run("curl", &[&always[..], &["--write-out", "%{num_connects} ", &hello, &hello]].concat(), b"");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(String::from_utf8_lossy(&out.stdout), "hello\n1 hello\n0 ");
    let body: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
    let out = run("curl", &[&always[..], &["--data-binary", "@-", &echo]].concat(), &body);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(out.stdout == body);
}

/// What the server sends to a client that sends `request` and nothing more.
fn answer_to(server: &Server, request: &[u8]) -> String {
    let mut conn = server.connect();
    // The server may refuse before it has read all of it.
    let _ = conn.write_all(request);
    let _ = conn.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let end = conn.read_to_end(&mut answer);
    assert!(end.is_ok() || end.is_err_and(|e| e.kind() == ErrorKind::ConnectionReset));
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn http_plain_answers_pipelined_requests_in_order() {
    let server = Server::start(HTTP_PLAIN, &["--quiet"]);
    let requests = "GET / HTTP/1.1\r\n\r\nPOST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /no HTTP/1.1\r\n\r\n\
                    DELETE / HTTP/1.1\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    let ok = |body: &str| {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: keep-alive\r\n\r\n{body}", body.len())
    };
    let expected = ok("hello\n")
        + &ok("abc")
        + "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"
        + "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    assert_eq!(answer_to(&server, requests.as_bytes()), expected);
}

#[test]
fn http_plain_refuses_what_is_wrong_or_too_much() {
    let server = Server::start(HTTP_PLAIN, &["--quiet"]);
    for (request, status) in [
        ("\0\r\n\r\n".to_owned(), "400 "),
        ("GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_owned(), "400 "),
        ("GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n".to_owned(), "400 "),
        ("GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n".to_owned(), "400 "),
        ("POST /echo HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n".to_owned(), "413 "),
        ("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(), "501 "),
        (format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(8 << 10)), "431 "),
        (format!("GET / HTTP/1.1\r\n{}\r\n", "X: x\r\n".repeat(65)), "431 "),
    ] {
        let answer = answer_to(&server, request.as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request:.60}: {answer}");
    }
}

/// A byte now and then keeps no connection: the time is for the whole request.
#[test]
fn http_plain_ends_a_request_that_takes_too_long() {
    let server = Server::start(HTTP_PLAIN, &["--quiet", "--timeout-s", "1"]);
    let mut conn = server.connect();
    let start = Instant::now();
    conn.set_read_timeout(Some(Duration::from_millis(50))).expect("not zero");
    loop {
        // Fails once the server has closed, as does the read.
        let _ = conn.write_all(b"G");
        match conn.read(&mut [0; 8]) {
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                assert!(start.elapsed() < Duration::from_secs(20), "still open");
            }
            _ => break,
        }
    }
    assert!(start.elapsed() > Duration::from_millis(900), "{:?}", start.elapsed());
}
