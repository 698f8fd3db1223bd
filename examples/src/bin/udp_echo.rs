//! A UDP echo server: many datagrams a call in both directions, and as many sockets at one port as it is told.

#![allow(unsafe_code)]

use gopark_examples::flags::Flags;
use gopark_examples::{log, stop};
use gopark_net::{
    ListenConfig, Outgoing, RecvBatch, Runtime, SendBatch, UdpConn, is_closed, is_temporary, spawn,
};
use std::error::Error;
use std::io;
use std::sync::Arc;
use tracing::{info, warn};

const HELP: &str = "\
usage: udp_echo [FLAGS]

  --addr HOST:PORT       where to receive (default 127.0.0.1:9007; port 0 lets the system choose)
  --sockets N            sockets at that port, a goroutine each (default 1); the system spreads the peers over them
  --batch N              how many datagrams a call takes at most (default 32)
  --quiet                log warnings and errors only (RUST_LOG chooses in detail)
  --help                 this text

Prints `listening on ADDRESS`, then sends every datagram back to where it came from. SIGINT or SIGTERM ends it.
";

/// The longest datagram there is; also room for as many as the system puts together.
const DATAGRAM_MAX: usize = 65_535;

fn main() -> std::process::ExitCode {
    gopark_examples::main("udp_echo", HELP, run)
}

fn run(mut flags: Flags) -> Result<(), Box<dyn Error>> {
    let addr = flags.text("--addr")?.unwrap_or_else(|| "127.0.0.1:9007".to_owned());
    let sockets = flags.number("--sockets", 1..=1024)?.unwrap_or(1);
    let batch = flags.number("--batch", 1..=1024)?.unwrap_or(32) as usize;
    let quiet = flags.switch("--quiet");
    flags.finish()?;
    log::start(quiet);
    // SAFETY: no code here keeps a thread-local, or anything else of a thread, across a call that may block.
    unsafe { Runtime::start()? };
    let conns = open(&addr, sockets).map_err(|e| format!("--addr {addr}: {e}"))?;
    println!("listening on {}", conns[0].local_addr()?);
    let closing = conns.clone();
    stop::on_signal(move || {
        for conn in &closing {
            if let Err(e) = conn.close() {
                warn!("close a socket: {e}");
            }
        }
    })?;
    let goroutines: Vec<_> = conns.into_iter().map(|conn| spawn(move || serve(&conn, batch))).collect();
    let mut total = 0;
    for goroutine in goroutines {
        total += goroutine.join().map_err(|_| "a goroutine panicked")??;
    }
    info!("stopped after {total} datagrams");
    Ok(())
}

/// `count` sockets at one port. The first chooses it, if it was left to the system.
fn open(addr: &str, count: u64) -> io::Result<Vec<Arc<UdpConn>>> {
    let config = ListenConfig::new().reuse_port(count > 1);
    let first = config.listen_udp("udp", addr)?;
    let addr = first.local_addr()?.to_string();
    let mut conns = vec![Arc::new(first)];
    for _ in 1..count {
        conns.push(Arc::new(config.listen_udp("udp", &addr)?));
    }
    Ok(conns)
}

/// Echoes until the socket is closed; returns how many datagrams it has sent.
fn serve(conn: &UdpConn, count: usize) -> io::Result<u64> {
    conn.set_gro(true)?;
    let (mut received, mut sent) = (RecvBatch::new(count, DATAGRAM_MAX), SendBatch::new(count));
    let mut total = 0;
    loop {
        match conn.recv_batch(&mut received) {
            Ok(_) => {}
            Err(e) if is_closed(&e) => return Ok(total),
            Err(e) => return Err(e),
        }
        let answers: Vec<_> =
            received.iter().map(|datagram| Outgoing::to(datagram.bytes, datagram.from)).collect();
        let mut rest = &answers[..];
        while !rest.is_empty() {
            match conn.send_batch(&mut sent, rest) {
                Ok(n) => {
                    rest = &rest[n..];
                    total += n as u64;
                }
                Err(e) if is_closed(&e) => return Ok(total),
                // Of one peer, who cannot be reached; the others can.
                Err(e) => {
                    warn!("{e}");
                    if !is_temporary(&e) {
                        rest = &rest[1..];
                    }
                }
            }
        }
    }
}
