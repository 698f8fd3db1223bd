//! The gopark contender: a goroutine and a buffer a connection, nothing but `gopark_net`'s public interface.
//!
//! # Safety
//! What the start of the runtime asks for: the handlers below touch no thread-local across a call that may block
//! (printing `hog TID` is over before the loop begins), and the program is linked statically.
#![allow(unsafe_code)]

use gopark_benches::server::{self, Config};
use gopark_net::{Runtime, TcpConn, TcpListener, go, yield_now};
use std::io;
use std::time::{Duration, Instant};

fn main() -> io::Result<()> {
    let config = Config::from_env();
    // SAFETY: see the head of this file.
    let rt = unsafe { Runtime::builder().max_procs(config.procs).start()? };
    rt.run(move || serve(&config))
}

fn serve(config: &Config) -> io::Result<()> {
    let ln = TcpListener::bind(config.addr)?;
    config.announce(ln.local_addr()?);
    for _ in 0..config.hogs {
        go(server::hog);
    }
    for _ in 0..config.blockers {
        let time = config.block;
        go(move || {
            loop {
                server::block(time);
                yield_now();
            }
        });
    }
    for conn in ln.incoming() {
        let (conn, buf_size) = (conn?, config.buf);
        match config.read_deadline {
            None => go(move || echo(conn, buf_size)),
            Some(limit) => go(move || echo_with_deadline(conn, buf_size, limit)),
        }
    }
    Ok(())
}

/// Ends when the client does; a reset is no news to anybody.
fn echo(conn: TcpConn, buf_size: usize) {
    let mut buf = vec![0; buf_size];
    while let Ok(count @ 1..) = conn.read(&mut buf) {
        if conn.write_all(&buf[..count]).is_err() {
            break;
        }
    }
}

fn echo_with_deadline(conn: TcpConn, buf_size: usize, limit: Duration) {
    let mut buf = vec![0; buf_size];
    while conn.set_read_deadline(Some(Instant::now() + limit)).is_ok() {
        let Ok(count @ 1..) = conn.read(&mut buf) else { break };
        if conn.write_all(&buf[..count]).is_err() {
            break;
        }
    }
}
