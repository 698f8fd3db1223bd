//! A TCP proxy: two copies a connection, each end's half-close passed on to the other.

#![allow(unsafe_code)]

use gopark_examples::flags::Flags;
use gopark_examples::log;
use gopark_net::{ListenConfig, Runtime, TcpConn, copy, go, scope};
use std::error::Error;
use tracing::{info, warn};

const HELP: &str = "\
usage: proxy --to HOST:PORT [--addr 127.0.0.1:9001] [--quiet]

  --to HOST:PORT      where connections are passed on to
  --addr HOST:PORT    where to listen (default 127.0.0.1:9001; port 0 lets the system choose)
  --quiet             log warnings and errors only (RUST_LOG chooses in detail)
";

fn main() -> std::process::ExitCode {
    gopark_examples::main("proxy", HELP, run)
}

fn run(mut flags: Flags) -> Result<(), Box<dyn Error>> {
    let addr = flags.text("--addr")?.unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let to = flags.text("--to")?.ok_or("--to is missing (see --help)")?;
    let quiet = flags.switch("--quiet");
    flags.finish()?;
    log::start(quiet);
    // SAFETY: no code here keeps a thread-local, or anything else of a thread, across a call that may block.
    unsafe { Runtime::start()? };
    let listener = ListenConfig::new().listen_tcp("tcp", &addr).map_err(|e| format!("--addr {addr}: {e}"))?;
    println!("listening on {}", listener.local_addr()?);
    for conn in listener.incoming() {
        let (conn, to) = (conn?, to.clone());
        go(move || match TcpConn::connect(&to) {
            Ok(upstream) => pass_on(&conn, &upstream),
            Err(e) => warn!("{e}"),
        });
    }
    Ok(())
}

/// Copies both ways, past this program's memory where the system can (splice), until both ends have sent everything, or
/// one way fails.
fn pass_on(client: &TcpConn, upstream: &TcpConn) {
    scope(|s| {
        s.go(|| one_way(client, upstream));
        one_way(upstream, client);
    });
}

fn one_way(from: &TcpConn, to: &TcpConn) {
    let copied = copy(&mut &*to, &mut &*from).and_then(|n| to.close_write().map(|()| n));
    match copied {
        Ok(n) => info!("{} to {}: {n} bytes", from.remote_addr(), to.remote_addr()),
        Err(e) => {
            info!("{e}");
            // The other direction must not wait for a connection that is broken. A second close only says so.
            let _ = from.close();
            let _ = to.close();
        }
    }
}
