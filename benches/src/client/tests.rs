use super::*;
use std::io::{Read, Write};
use std::net::TcpListener;

/// An echo server on a thread of its own that passes every chunk through `alter`; serves one connection.
fn serve_one(alter: fn(&mut [u8])) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let addr = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        let (mut conn, _) = listener.accept().expect("the client connects");
        let mut buf = [0; 4096];
        while let Ok(count @ 1..) = conn.read(&mut buf) {
            alter(&mut buf[..count]);
            if conn.write_all(&buf[..count]).is_err() {
                break;
            }
        }
    });
    addr
}

#[test]
fn an_honest_server_is_measured() {
    let mut client = Client::new(serve_one(|_| {}), 1000, 1).expect("epoll");
    client.connect(1).expect("the server listens");
    client.round(0, Duration::from_secs(10)).expect("the echo is right");
    client.start_all().expect("still open");
    client.measure(Duration::from_millis(50)).expect("every echo is right");
    assert!(client.latency.len() > 10, "{} answers in 50 ms", client.latency.len());
    assert!(client.latency.quantile(0.5) > 0);
    assert!((client.slowest_tenth() - 1.0).abs() < 1e-9, "a single connection is fair to itself");
}

#[test]
fn a_single_wrong_byte_is_noticed_and_named() {
    let mut client = Client::new(serve_one(|chunk| chunk[17] ^= 1), 1000, 1).expect("epoll");
    client.connect(1).expect("the server listens");
    let error = client.round(0, Duration::from_secs(10)).expect_err("byte 17 is wrong");
    assert!(error.to_string().contains("byte 17 is wrong"), "{error}");
}

#[test]
fn a_server_that_does_not_answer_ends_the_round_with_a_timeout() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let mut client = Client::new(listener.local_addr().expect("bound"), 10, 1).expect("epoll");
    client.connect(2).expect("the backlog takes two");
    let error = client.round(0, Duration::from_millis(20)).expect_err("nobody accepts");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(error.to_string().contains("2 connections"), "{error}");
}

#[test]
fn the_slowest_tenth_is_compared_with_the_mean() {
    assert_eq!(slowest_tenth_of(&mut [5; 20]), 1.0);
    assert_eq!(slowest_tenth_of(&mut []), 0.0);
    let mut counts = vec![100; 18];
    counts.extend([10, 0]);
    let mean = 1810.0 / 20.0;
    assert!((slowest_tenth_of(&mut counts) - 5.0 / mean).abs() < 1e-12);
}
