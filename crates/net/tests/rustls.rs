//! rustls over our connections, unchanged: its `StreamOwned` asks for `Read` and `Write`, and that is what they have.
//!
//! On goroutines with the usual stack. How much of it rustls needs is measured too, since a debug build needs most.

#[path = "util/tls.rs"]
mod tls;
mod util;

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use gopark_net::{SpawnOptions, TcpConn, TcpListener, chan, is_closed, is_timeout, spawn};
use rustls::SupportedProtocolVersion;
use util::{after, join_soon, pair};

procs!();

/// Echoes what comes, in pieces, until the end.
fn echo(mut stream: tls::TlsServer) -> io::Result<u64> {
    let mut buf = [0; 8 << 10];
    let mut total = 0;
    loop {
        let n = stream.read(&mut buf)?;
        if n == 0 {
            stream.conn.send_close_notify();
            stream.conn.complete_io(&mut stream.sock)?;
            return Ok(total);
        }
        stream.write_all(&buf[..n])?;
        total += n as u64;
    }
}

/// Says that no more comes, and reads what is left.
fn finish(stream: &mut tls::TlsClient) -> Vec<u8> {
    stream.conn.send_close_notify();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    rest
}

/// A handshake, a few messages there and back, and an end that both sides see.
fn conversation(version: &'static SupportedProtocolVersion) {
    let (client, server) = pair();
    let served = spawn(move || echo(tls::server(&tls::server_config(), server)));
    let mut client = tls::client(&tls::client_config(&[version]), client);
    let mut back = [0; 64];
    for i in 0..20 {
        let message = format!("message {i}");
        client.write_all(message.as_bytes()).unwrap();
        client.read_exact(&mut back[..message.len()]).unwrap();
        assert_eq!(&back[..message.len()], message.as_bytes());
    }
    assert_eq!(client.conn.protocol_version(), Some(version.version));
    assert_eq!(finish(&mut client), b"");
    assert!(join_soon(served).unwrap() > 100);
}

both! {
    fn a_conversation_in_tls_1_3() {
        conversation(&rustls::version::TLS13);
    }

    fn a_conversation_in_tls_1_2() {
        conversation(&rustls::version::TLS12);
    }

    /// More than all buffers hold, so that both sides wait in the middle of records.
    fn a_large_transfer_each_way() {
        let (client, server) = pair();
        let large: Arc<[u8]> = (0..2 << 20_u32).map(|i| (i % 251) as u8).collect();
        let sent = Arc::clone(&large);
        let served = spawn(move || {
            let mut server = tls::server(&tls::server_config(), server);
            let mut all = vec![0; sent.len()];
            server.read_exact(&mut all).unwrap();
            assert!(all == *sent, "changed on the way there");
            server.write_all(&all).unwrap();
            assert_eq!(server.read(&mut [0; 8]).unwrap(), 0, "the client's end");
        });
        let mut client = tls::client(&tls::client_config(rustls::DEFAULT_VERSIONS), client);
        client.write_all(&large).unwrap();
        let mut back = vec![0; large.len()];
        client.read_exact(&mut back).unwrap();
        assert!(back == *large, "changed on the way back");
        client.conn.send_close_notify();
        client.conn.complete_io(&mut client.sock).unwrap();
        join_soon(served);
    }

    /// As a server does it: a goroutine a connection, lines through a buffered reader on top.
    fn many_clients_of_a_server_of_lines() {
        const CLIENTS: usize = 16;
        let ln = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = ln.local_addr().unwrap();
        let (server, trust) = (tls::server_config(), tls::client_config(rustls::DEFAULT_VERSIONS));
        let served = spawn(move || {
            let workers: Vec<_> = (0..CLIENTS)
                .map(|_| {
                    let stream = tls::server(&server, ln.accept().unwrap().0);
                    spawn(move || {
                        let mut lines = BufReader::new(stream);
                        let mut line = String::new();
                        while lines.read_line(&mut line).unwrap() > 0 {
                            lines.get_mut().write_all(line.to_uppercase().as_bytes()).unwrap();
                            line.clear();
                        }
                    })
                })
                .collect();
            workers.into_iter().for_each(join_soon);
        });
        let clients: Vec<_> = (0..CLIENTS)
            .map(|id| {
                let trust = Arc::clone(&trust);
                spawn(move || {
                    let mut client = BufReader::new(tls::client(&trust, TcpConn::connect(at).unwrap()));
                    let mut line = String::new();
                    for round in 0..10 {
                        writeln!(client.get_mut(), "client {id} round {round}").unwrap();
                        client.read_line(&mut line).unwrap();
                        assert_eq!(line, format!("CLIENT {id} ROUND {round}\n"));
                        line.clear();
                    }
                    client.get_mut().conn.send_close_notify();
                    let client = client.get_mut();
                    client.conn.complete_io(&mut client.sock).unwrap();
                })
            })
            .collect();
        clients.into_iter().for_each(join_soon);
        join_soon(served);
    }

    /// The deadline's error comes through rustls as it is, and the stream goes on after it: nothing was lost.
    fn a_deadline_passes_and_the_stream_goes_on() {
        let (client, server) = pair();
        let served = spawn(move || echo(tls::server(&tls::server_config(), server)));
        let mut client = tls::client(&tls::client_config(rustls::DEFAULT_VERSIONS), client);
        client.write_all(b"x").unwrap();
        client.read_exact(&mut [0]).unwrap();
        for _ in 0..3 {
            client.sock.set_read_deadline(after(Duration::from_millis(5))).unwrap();
            let err = client.read(&mut [0; 8]).unwrap_err();
            assert!(is_timeout(&err), "{err}");
            client.sock.set_read_deadline(None).unwrap();
            client.write_all(b"again").unwrap();
            let mut back = [0; 5];
            client.read_exact(&mut back).unwrap();
            assert_eq!(&back, b"again");
        }
        finish(&mut client);
        join_soon(served).unwrap();
    }

    /// A handshake with a peer that says nothing ends at the deadline.
    fn a_handshake_ends_at_its_deadline() {
        let (client, _silent) = pair();
        client.set_deadline(after(Duration::from_millis(20))).unwrap();
        let mut client = tls::client(&tls::client_config(rustls::DEFAULT_VERSIONS), client);
        let err = client.write_all(b"x").unwrap_err();
        assert!(is_timeout(&err), "{err}");
    }

    /// Closing the connection under a stream that reads: the way to end somebody else's conversation.
    fn closing_the_connection_ends_a_read() {
        let (client, server) = pair();
        let (served, served_one) = chan::bounded(1);
        let server = spawn(move || {
            let mut server = tls::server(&tls::server_config(), server);
            server.read_exact(&mut [0]).unwrap();
            served.send(()).unwrap();
            assert!(server.read(&mut [0; 8]).is_err(), "cut off, without a goodbye");
        });
        let mut tls = rustls::ClientConnection::new(
            tls::client_config(rustls::DEFAULT_VERSIONS),
            tls::server_name(),
        )
        .unwrap();
        let client = Arc::new(client);
        let reading = spawn({
            let client = Arc::clone(&client);
            move || {
                let mut sock = &*client;
                let mut stream = rustls::Stream::new(&mut tls, &mut sock);
                stream.write_all(b"x").unwrap();
                stream.read(&mut [0; 8]).unwrap_err()
            }
        });
        served_one.recv().unwrap();
        let reading = util::assert_blocked(reading);
        client.close().unwrap();
        let err = join_soon(reading);
        assert!(is_closed(&err), "{err}");
        join_soon(server);
    }

    /// A connection that ends without TLS's own end is an error, as rustls has it: data may be missing.
    fn an_end_without_a_goodbye_is_an_error() {
        let (client, server) = pair();
        let served = spawn(move || echo(tls::server(&tls::server_config(), server)));
        let mut client = tls::client(&tls::client_config(rustls::DEFAULT_VERSIONS), client);
        client.write_all(b"x").unwrap();
        client.read_exact(&mut [0]).unwrap();
        client.sock.close_write().unwrap();
        let err = join_soon(served).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::UnexpectedEof, "{err}");
    }

    /// Both ends hear why there is no conversation.
    fn a_certificate_that_nobody_vouches_for_is_refused() {
        let (client, server) = pair();
        let served = spawn(move || echo(tls::server(&tls::server_config(), server)));
        let mut client = tls::client(&tls::distrustful_client_config(), client);
        let err = client.write_all(b"x").and_then(|()| client.read(&mut [0])).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidData);
        assert!(err.to_string().contains("invalid peer certificate"), "{err}");
        drop(client);
        let err = join_soon(served).unwrap_err();
        assert!(err.to_string().contains("UnknownCA") || err.to_string().contains("UnknownCa"), "{err}");
    }

    /// A peer that does not speak TLS at all.
    fn garbage_instead_of_a_handshake_is_an_error() {
        let (client, server) = pair();
        let served = spawn(move || echo(tls::server(&tls::server_config(), server)));
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let err = join_soon(served).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidData, "{err}");
    }
}

/// Half of the usual stack is enough for a whole conversation on each side, in a debug build too: so the usual one has
/// as much again for the program that calls rustls. An overflow would end this process.
#[test]
fn half_of_the_usual_stack_is_enough() {
    util::runtime();
    let half = || SpawnOptions::new().stack_size(128 << 10);
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let (client, server) = pair();
        let served = half().spawn(move || echo(tls::server(&tls::server_config(), server))).unwrap();
        let client = half().spawn(move || {
            let mut client = tls::client(&tls::client_config(&[version]), client);
            client.write_all(b"small").unwrap();
            client.read_exact(&mut [0; 5]).unwrap();
            assert_eq!(client.conn.protocol_version(), Some(version.version));
            finish(&mut client);
        });
        join_soon(client.unwrap());
        assert_eq!(join_soon(served).unwrap(), 5);
    }
}
