//! `udp_echo` with std's sockets: other people's code at the other end.

mod util;

use std::net::UdpSocket;
use util::{PATIENCE, Server, UDP_ECHO};

fn client(server: &Server) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.connect(&server.addr).expect("an address");
    socket.set_read_timeout(Some(PATIENCE)).expect("not zero");
    socket
}

#[test]
fn every_datagram_comes_back_whole() {
    let server = Server::start(UDP_ECHO, &["--quiet"]);
    let socket = client(&server);
    let mut buf = vec![0; 70_000];
    for len in [0, 1, 2, 100, 1200, 1500, 9000, 65_507] {
        let sent: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        socket.send(&sent).expect("room");
        let n = socket.recv(&mut buf).expect("an answer");
        assert_eq!(&buf[..n], &sent[..], "{len} bytes");
    }
}

#[test]
fn many_clients_are_served_by_many_sockets() {
    let server = Server::start(UDP_ECHO, &["--sockets", "3", "--batch", "4", "--quiet"]);
    let clients: Vec<_> = (0..8u8).map(|id| (id, client(&server))).collect();
    for round in 0..50u8 {
        for (id, socket) in &clients {
            socket.send(&[*id, round, 7]).expect("room");
        }
        for (id, socket) in &clients {
            let mut buf = [0; 16];
            assert_eq!(socket.recv(&mut buf).expect("an answer"), 3);
            assert_eq!(buf[..3], [*id, round, 7]);
        }
    }
}

#[test]
fn bursts_come_back_in_order() {
    let server = Server::start(UDP_ECHO, &["--quiet"]);
    let socket = client(&server);
    for round in 0..20u8 {
        for i in 0..16u8 {
            socket.send(&[round, i]).expect("room");
        }
        for i in 0..16u8 {
            let mut buf = [0; 16];
            assert_eq!(socket.recv(&mut buf).expect("an answer"), 2);
            assert_eq!(buf[..2], [round, i]);
        }
    }
}

#[test]
fn a_peer_that_is_gone_harms_nobody() {
    let server = Server::start(UDP_ECHO, &["--quiet"]);
    for _ in 0..10 {
        // Gone before the answer comes: the server's system is told that nobody is there.
        client(&server).send(b"hit and run").expect("room");
    }
    let socket = client(&server);
    socket.send(b"still there?").expect("room");
    let mut buf = [0; 32];
    assert_eq!(socket.recv(&mut buf).expect("an answer"), 12);
}

#[test]
fn a_signal_ends_it() {
    let mut server = Server::start(UDP_ECHO, &["--sockets", "2", "--quiet"]);
    let socket = client(&server);
    socket.send(b"up").expect("room");
    socket.recv(&mut [0; 8]).expect("an answer");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}
