//! The may contender, its workers left unpinned so that the benchmark decides which cores it has.

#[path = "../../../src/flags.rs"]
#[allow(dead_code)]
mod flags;
#[path = "../../../src/server.rs"]
#[allow(dead_code)]
mod server;

use may::net::{TcpListener, TcpStream};
use server::Config;
use std::io::{self, Read, Write};

fn main() -> io::Result<()> {
    let config = Config::from_env();
    config.refuse_read_deadline();
    may::config().set_workers(config.procs).set_worker_pin(false);
    may::go!(move || serve(&config)).join().map_err(|_| io::Error::other("the accept loop panicked"))?
}

fn serve(config: &Config) -> io::Result<()> {
    let listener = TcpListener::bind(config.addr)?;
    config.announce(listener.local_addr()?);
    for _ in 0..config.hogs {
        may::go!(server::hog);
    }
    for _ in 0..config.blockers {
        let time = config.block;
        may::go!(move || loop {
            server::block(time);
            may::coroutine::yield_now();
        });
    }
    let buf_size = config.buf;
    loop {
        let (conn, _) = listener.accept()?;
        conn.set_nodelay(true)?;
        may::go!(move || echo(conn, buf_size));
    }
}

fn echo(mut conn: TcpStream, buf_size: usize) {
    let mut buf = vec![0; buf_size];
    while let Ok(count @ 1..) = conn.read(&mut buf) {
        if conn.write_all(&buf[..count]).is_err() {
            break;
        }
    }
}
