//! tungstenite (WebSockets) over our connections, unchanged, plain and over rustls.
//!
//! A client's frames are masked with random numbers, which rand takes from a thread-local, before the frame is written:
//! what we say, and in [`receive`] the answer to a ping. [`open`], [`send`], [`receive`] and [`close`] keep each such
//! touch in a function of its own, as the contract of `Runtime::start` asks. Servers do not mask.

#[path = "util/tls.rs"]
mod tls;
mod util;

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use gopark_net::{SpawnOptions, TcpConn, TcpListener, is_timeout, spawn};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{Error, HandshakeError, Message, WebSocket};
use util::{after, join_soon, pair};

procs!();

/// Sends one message: see above.
#[inline(never)]
fn send<S: Read + Write>(socket: &mut WebSocket<S>, message: Message) -> tungstenite::Result<()> {
    socket.send(message)
}

/// Receives one message, likewise.
#[inline(never)]
fn receive<S: Read + Write>(socket: &mut WebSocket<S>) -> tungstenite::Result<Message> {
    socket.read()
}

/// Says goodbye, likewise.
#[inline(never)]
fn close<S: Read + Write>(socket: &mut WebSocket<S>, goodbye: CloseFrame) -> tungstenite::Result<()> {
    socket.close(Some(goodbye))
}

/// The handshake, likewise: the client's key is random.
#[inline(never)]
fn open<S: Read + Write>(stream: S) -> WebSocket<S> {
    match tungstenite::client("ws://localhost/chat", stream) {
        Ok((socket, response)) => {
            assert_eq!(response.status(), 101);
            socket
        }
        Err(HandshakeError::Failure(e)) => panic!("{e}"),
        Err(HandshakeError::Interrupted(_)) => panic!("our connections do not say WouldBlock"),
    }
}

/// Echoes messages until the client closes. Returns how many.
fn echo<S: Read + Write>(stream: S) -> tungstenite::Result<usize> {
    let mut socket = match tungstenite::accept(stream) {
        Ok(socket) => socket,
        Err(HandshakeError::Failure(e)) => return Err(e),
        Err(HandshakeError::Interrupted(_)) => panic!("our connections do not say WouldBlock"),
    };
    let mut count = 0;
    loop {
        match socket.read() {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                socket.send(message)?;
                count += 1;
            }
            Ok(_) => {} // pings and the close are answered by tungstenite
            Err(Error::ConnectionClosed) => return Ok(count),
            Err(e) => return Err(e),
        }
    }
}

/// Closes, and waits for the other side's answer.
fn finish<S: Read + Write>(mut socket: WebSocket<S>) {
    let goodbye = CloseFrame { code: CloseCode::Normal, reason: "done".into() };
    close(&mut socket, goodbye.clone()).unwrap();
    assert_eq!(receive(&mut socket).unwrap(), Message::Close(Some(goodbye)));
    match receive(&mut socket).unwrap_err() {
        Error::ConnectionClosed => {}
        // tungstenite's server ends TCP without an end of TLS; both have said goodbye by then.
        Error::Io(e) => assert_eq!(e.kind(), ErrorKind::UnexpectedEof, "{e}"),
        e => panic!("{e}"),
    }
}

fn conversation<S: Read + Write>(socket: &mut WebSocket<S>) {
    for i in 0..20 {
        send(socket, Message::text(format!("message {i}"))).unwrap();
        assert_eq!(receive(socket).unwrap(), Message::text(format!("message {i}")));
    }
    send(socket, Message::Ping("are you there?".into())).unwrap();
    assert_eq!(receive(socket).unwrap(), Message::Pong("are you there?".into()));
}

both! {
    fn messages_there_and_back() {
        let (client, server) = pair();
        let served = spawn(move || echo(server).unwrap());
        let mut socket = open(client);
        conversation(&mut socket);
        finish(socket);
        assert_eq!(join_soon(served), 20);
    }

    /// The whole tower: WebSocket, TLS, TCP, each a synchronous crate that knows nothing of the next.
    fn messages_over_tls() {
        let (client, server) = pair();
        let served = spawn(move || echo(tls::server(&tls::server_config(), server)).unwrap());
        let mut socket = open(tls::client(&tls::client_config(rustls::DEFAULT_VERSIONS), client));
        conversation(&mut socket);
        finish(socket);
        assert_eq!(join_soon(served), 20);
    }

    /// Larger than all buffers, in one frame.
    fn a_large_message_each_way() {
        let (client, server) = pair();
        let served = spawn(move || echo(server).unwrap());
        let mut socket = open(client);
        let large = Message::binary((0..4 << 20_u32).map(|i| (i % 251) as u8).collect::<Vec<_>>());
        send(&mut socket, large.clone()).unwrap();
        assert!(receive(&mut socket).unwrap() == large);
        finish(socket);
        assert_eq!(join_soon(served), 1);
    }

    fn many_clients() {
        const CLIENTS: usize = 24;
        let ln = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = ln.local_addr().unwrap();
        let served = spawn(move || {
            let workers: Vec<_> = (0..CLIENTS)
                .map(|_| {
                    let (conn, _) = ln.accept().unwrap();
                    spawn(move || echo(conn).unwrap())
                })
                .collect();
            workers.into_iter().map(join_soon).sum::<usize>()
        });
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                spawn(move || {
                    let mut socket = open(TcpConn::connect(at).unwrap());
                    conversation(&mut socket);
                    finish(socket);
                })
            })
            .collect();
        clients.into_iter().for_each(join_soon);
        assert_eq!(join_soon(served), 20 * CLIENTS);
    }

    /// A message that is cut off by a deadline is read to its end afterwards.
    fn a_deadline_passes_and_the_socket_goes_on() {
        let (client, server) = pair();
        let served = spawn(move || echo(server).unwrap());
        let mut socket = open(client);
        for _ in 0..3 {
            socket.get_mut().set_read_deadline(after(Duration::from_millis(5))).unwrap();
            match receive(&mut socket).unwrap_err() {
                Error::Io(e) => assert!(is_timeout(&e), "{e}"),
                e => panic!("{e}"),
            }
            socket.get_mut().set_read_deadline(None).unwrap();
            send(&mut socket, Message::text("again")).unwrap();
            assert_eq!(receive(&mut socket).unwrap(), Message::text("again"));
        }
        finish(socket);
        assert_eq!(join_soon(served), 3);
    }

    /// The peer decides what it sends; the bound of the configuration decides what we take.
    fn a_message_that_is_too_long_is_refused() {
        let (client, server) = pair();
        let served = spawn(move || {
            let config = WebSocketConfig::default().max_message_size(Some(1000)).max_frame_size(Some(1000));
            let mut socket = tungstenite::accept_with_config(server, Some(config)).unwrap();
            socket.read().unwrap_err()
        });
        let mut socket = open(client);
        // The server goes away without reading all of it.
        let _ = send(&mut socket, Message::binary(vec![0; 1001]));
        assert!(matches!(join_soon(served), Error::Capacity(_)));
        assert!(receive(&mut socket).is_err());
    }

    fn what_is_no_handshake_is_refused() {
        let (client, server) = pair();
        let served = spawn(move || echo(server).unwrap_err());
        client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        assert!(matches!(join_soon(served), Error::Protocol(_)));
    }

    fn an_end_without_a_goodbye_is_an_error() {
        let (client, server) = pair();
        let served = spawn(move || echo(server).unwrap_err());
        drop(open(client));
        assert!(matches!(join_soon(served), Error::Protocol(_)));
    }
}

/// Half of the usual stack is enough for each side of WebSockets over TLS, in a debug build too.
#[test]
fn half_of_the_usual_stack_is_enough() {
    util::runtime();
    let half = || SpawnOptions::new().stack_size(128 << 10);
    let (client, server) = pair();
    let served = half().spawn(move || echo(tls::server(&tls::server_config(), server)).unwrap()).unwrap();
    let client = half().spawn(move || {
        let mut socket = open(tls::client(&tls::client_config(rustls::DEFAULT_VERSIONS), client));
        conversation(&mut socket);
        finish(socket);
    });
    join_soon(client.unwrap());
    assert_eq!(join_soon(served), 20);
}
