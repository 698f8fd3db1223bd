//! An echo server: one goroutine a connection, deadlines, logging, a clean stop.

#![allow(unsafe_code)]

use gopark_examples::flags::Flags;
use gopark_examples::{log, stop};
use gopark_net::{ListenConfig, Runtime, TcpConn, go, is_closed, is_timeout};
use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use tracing::{info, warn};

const HELP: &str = "\
usage: echo [FLAGS]

  --addr HOST:PORT       where to listen (default 127.0.0.1:9000; port 0 lets the system choose)
  --procs N              how many threads may run goroutines at once (default: the CPUs this process may use)
  --idle-timeout-s N     close a connection that sends nothing for N seconds (default 30; 0: never)
  --write-timeout-s N    close a connection that takes nothing for N seconds (default 10; 0: never)
  --hogs N               start N goroutines that loop for ever without a call (default 0): the server still answers
  --quiet                log warnings and errors only (RUST_LOG chooses in detail)
  --help                 this text

Prints `listening on ADDRESS`, then echoes. SIGINT or SIGTERM stops accepting, echoes what has arrived, and exits 0.
";

/// How long a stopping server waits for its connections.
const DRAIN: Duration = Duration::from_secs(10);

struct Options {
    addr: String,
    procs: Option<u64>,
    idle: Option<Duration>,
    write: Option<Duration>,
    hogs: u64,
}

fn main() -> std::process::ExitCode {
    gopark_examples::main("echo", HELP, run)
}

fn run(mut flags: Flags) -> Result<(), Box<dyn Error>> {
    let options = Options {
        addr: flags.text("--addr")?.unwrap_or_else(|| "127.0.0.1:9000".to_owned()),
        procs: flags.number("--procs", 1..=1024)?,
        idle: flags.seconds("--idle-timeout-s", 30)?,
        write: flags.seconds("--write-timeout-s", 10)?,
        hogs: flags.number("--hogs", 0..=1024)?.unwrap_or(0),
    };
    let quiet = flags.switch("--quiet");
    flags.finish()?;
    log::start(quiet);
    serve(&options)
}

fn serve(options: &Options) -> Result<(), Box<dyn Error>> {
    let mut builder = Runtime::builder();
    if let Some(n) = options.procs {
        builder = builder.max_procs(n as usize);
    }
    // SAFETY: no code here keeps a thread-local, or anything else of a thread, across a call that may block. tracing's
    // fmt layer uses one to build a line, but writes it with a plain system call and returns.
    unsafe { builder.start()? };
    let listener = ListenConfig::new()
        .listen_tcp("tcp", &options.addr)
        .map_err(|e| format!("--addr {}: {e}", options.addr))?;
    let listener = Arc::new(listener);
    println!("listening on {}", listener.local_addr()?);
    let closing = Arc::clone(&listener);
    stop::on_signal(move || {
        if let Err(e) = closing.close() {
            warn!("close the listener: {e}");
        }
    })?;
    for _ in 0..options.hogs {
        go(hog);
    }
    let open = Arc::new(Open::default());
    let (idle, write) = (options.idle, options.write);
    for conn in listener.incoming() {
        let conn = match conn {
            Ok(conn) => Arc::new(conn),
            Err(e) if is_closed(&e) => break,
            Err(e) => return Err(e.into()),
        };
        let open = Arc::clone(&open);
        let id = open.add(&conn);
        go(move || {
            report(&conn, echo(&conn, idle, write));
            open.remove(id);
        });
    }
    match open.drain() {
        0 => info!("stopped"),
        n => warn!("stopped with {n} connections still open"),
    }
    Ok(())
}

/// Echoes until the peer has sent everything. Returns the number of bytes.
fn echo(conn: &TcpConn, idle: Option<Duration>, write: Option<Duration>) -> io::Result<u64> {
    let mut buf = [0; 4096];
    let mut total = 0;
    loop {
        // Moving a deadline later is cheap, so each read simply gets a new one.
        if let Some(idle) = idle {
            conn.set_read_deadline(Some(Instant::now() + idle))?;
        }
        let n = conn.read(&mut buf)?;
        if n == 0 {
            return Ok(total);
        }
        if let Some(write) = write {
            conn.set_write_deadline(Some(Instant::now() + write))?;
        }
        conn.write_all(&buf[..n])?;
        total += n as u64;
    }
}

fn report(conn: &TcpConn, outcome: io::Result<u64>) {
    let peer = conn.remote_addr();
    match outcome {
        Ok(total) => info!("{peer} done, {total} bytes"),
        Err(e) if is_timeout(&e) => info!("{peer} timed out: {e}"),
        Err(e) => info!("{peer} failed: {e}"),
    }
}

/// Never calls anything: only sysmon's compensation keeps the others going beside it.
fn hog() {
    let mut n = 0u64;
    loop {
        n = std::hint::black_box(n.wrapping_add(1));
    }
}

/// The open connections, so that a stopping server can tell them.
#[derive(Default)]
struct Open {
    conns: Mutex<(u64, HashMap<u64, Arc<TcpConn>>)>,
    changed: Condvar,
}

impl Open {
    fn add(&self, conn: &Arc<TcpConn>) -> u64 {
        let mut conns = self.conns.lock().expect("no panic while locked");
        conns.0 += 1;
        let id = conns.0;
        conns.1.insert(id, Arc::clone(conn));
        id
    }

    fn remove(&self, id: u64) {
        // The connection is dropped after the lock is released: dropping closes.
        let removed = self.conns.lock().expect("no panic while locked").1.remove(&id);
        drop(removed);
        self.changed.notify_all();
    }

    /// Tells every connection that no more will be read: what has arrived is still echoed, then comes the end of
    /// the stream. Waits for them, for a while; returns how many are left.
    fn drain(&self) -> usize {
        let conns = self.conns.lock().expect("no panic while locked");
        for conn in conns.1.values() {
            // Fails only if the peer is gone already.
            let _ = conn.close_read();
        }
        let busy = |conns: &mut (u64, HashMap<_, _>)| !conns.1.is_empty();
        let (conns, _) = self.changed.wait_timeout_while(conns, DRAIN, busy).expect("no panic while locked");
        conns.1.len()
    }
}
