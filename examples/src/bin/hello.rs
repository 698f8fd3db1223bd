//! The smallest server: answers every HTTP request with "hello". Try it with `curl 127.0.0.1:8080`.

#![allow(unsafe_code)]

use gopark_examples::flags::Flags;
use gopark_net::{Runtime, TcpConn, TcpListener, go};
use std::error::Error;
use std::io::{self, BufRead, BufReader};

const HELP: &str = "usage: hello [--addr 127.0.0.1:8080]\n";

fn main() -> std::process::ExitCode {
    gopark_examples::main("hello", HELP, run)
}

fn run(mut flags: Flags) -> Result<(), Box<dyn Error>> {
    let addr = flags.text("--addr")?.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    flags.finish()?;
    // SAFETY: no code here keeps a thread-local, or anything else of a thread, across a call that may block.
    unsafe { Runtime::start()? };
    let listener = TcpListener::bind(&addr)?;
    println!("listening on {}", listener.local_addr()?);
    for conn in listener.incoming() {
        let conn = conn?;
        go(move || hello(&conn));
    }
    Ok(())
}

fn hello(conn: &TcpConn) -> io::Result<()> {
    // The request ends with an empty line; closing before it is read would reset the connection.
    for line in BufReader::new(conn).lines() {
        if line?.is_empty() {
            break;
        }
    }
    conn.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n")
}
