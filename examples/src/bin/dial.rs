//! A client: standard input to the connection, the connection to standard output.

#![allow(unsafe_code)]

use gopark_examples::flags::Flags;
use gopark_net::{Dialer, Runtime, spawn};
use std::error::Error;
use std::io::{self, Write};
use std::sync::Arc;

const HELP: &str = "usage: dial HOST:PORT\n";

fn main() -> std::process::ExitCode {
    gopark_examples::main("dial", HELP, run)
}

fn run(mut flags: Flags) -> Result<(), Box<dyn Error>> {
    let addr = flags.word().ok_or("an address is missing (see --help)")?;
    flags.finish()?;
    // SAFETY: no code here keeps a thread-local, or anything else of a thread, across a call that may block: Stdout
    // takes its lock for each write, and such a write is a plain system call.
    unsafe { Runtime::start()? };
    let conn = Arc::new(Dialer::new().dial_tcp("tcp", &addr)?);
    let sending = Arc::clone(&conn);
    // Reading the terminal blocks a thread, so it gets its own; gopark's calls work there too. It ends with the
    // process if the peer finishes first.
    std::thread::spawn(move || {
        let sent = io::copy(&mut io::stdin(), &mut &*sending).and_then(|_| sending.close_write());
        if let Err(e) = sent {
            eprintln!("dial: {e}");
        }
    });
    let receiving = spawn(move || -> io::Result<()> {
        let mut out = io::stdout();
        io::copy(&mut &*conn, &mut out)?;
        out.flush()
    });
    Ok(receiving.join().map_err(|_| "the receiving goroutine panicked")??)
}
