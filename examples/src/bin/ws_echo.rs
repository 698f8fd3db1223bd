//! A WebSocket echo server: tungstenite as it is, on a connection that reads and writes.

#![allow(unsafe_code)]

use gopark_examples::flags::Flags;
use gopark_examples::{log, stop};
use gopark_net::{ListenConfig, Runtime, TcpConn, go, is_closed};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{HandshakeError, Message, accept_with_config};

const HELP: &str = "\
usage: ws_echo [FLAGS]

  --addr HOST:PORT       where to listen (default 127.0.0.1:9080; port 0 lets the system choose)
  --idle-timeout-s N     close a connection that sends nothing, or takes nothing, for N seconds (default 30; 0: never)
  --quiet                log warnings and errors only (RUST_LOG chooses in detail)
  --help                 this text

Prints `listening on ADDRESS`, then echoes text and binary messages of at most 1 MiB. Try it from a browser's console:
new WebSocket(\"ws://127.0.0.1:9080\").
";

/// The longest message taken, in bytes: a peer must not decide how much memory it gets.
const MESSAGE_MAX: usize = 1 << 20;

fn main() -> std::process::ExitCode {
    gopark_examples::main("ws_echo", HELP, run)
}

fn run(mut flags: Flags) -> Result<(), Box<dyn Error>> {
    let addr = flags.text("--addr")?.unwrap_or_else(|| "127.0.0.1:9080".to_owned());
    let idle = flags.seconds("--idle-timeout-s", 30)?;
    let quiet = flags.switch("--quiet");
    flags.finish()?;
    log::start(quiet);
    // SAFETY: no code here keeps a thread-local, or anything else of a thread, across a call that may block. Nor does
    // tungstenite's server; its client takes random numbers from one, see tests/tungstenite.rs of gopark-net.
    unsafe { Runtime::start()? };
    let listener = ListenConfig::new().listen_tcp("tcp", &addr).map_err(|e| format!("--addr {addr}: {e}"))?;
    let listener = Arc::new(listener);
    println!("listening on {}", listener.local_addr()?);
    let closing = Arc::clone(&listener);
    stop::on_signal(move || {
        if let Err(e) = closing.close() {
            warn!("close the listener: {e}");
        }
    })?;
    for conn in listener.incoming() {
        let conn = match conn {
            Ok(conn) => conn,
            Err(e) if is_closed(&e) => break,
            Err(e) => return Err(e.into()),
        };
        go(move || {
            let peer = conn.remote_addr();
            match echo(&conn, idle) {
                Ok(count) => info!("{peer} done, {count} messages"),
                Err(e) => info!("{peer} failed: {e}"),
            }
        });
    }
    Ok(())
}

/// Echoes messages until the peer closes. Pings and the close itself are answered by tungstenite.
fn echo(conn: &TcpConn, idle: Option<Duration>) -> tungstenite::Result<u64> {
    // For each read and write of tungstenite's, so a peer that sends a byte now and then stays; as does one that pings.
    conn.set_read_timeout(idle)?;
    conn.set_write_timeout(idle)?;
    let config =
        WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX)).max_frame_size(Some(MESSAGE_MAX));
    let mut socket = match accept_with_config(conn, Some(config)) {
        Ok(socket) => socket,
        Err(HandshakeError::Failure(e)) => return Err(e),
        // Only a stream in non-blocking mode says that it would block.
        Err(HandshakeError::Interrupted(_)) => unreachable!("the calls of a connection wait"),
    };
    let mut count = 0;
    loop {
        match socket.read() {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                socket.send(message)?;
                count += 1;
            }
            Ok(_) => {}
            Err(tungstenite::Error::ConnectionClosed) => return Ok(count),
            Err(e) => return Err(e),
        }
    }
}
