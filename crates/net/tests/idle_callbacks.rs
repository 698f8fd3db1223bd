//! What an idle connection costs that waits with a callback: no goroutine, no stack, no buffer.
//!
//! A binary of its own, since nothing else may use memory meanwhile.
#![cfg(target_os = "linux")]

mod util;

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::channel;

use gopark_net::{TcpConn, num_goroutines};
use util::local_listener;

/// As many as fit beside each other under a common descriptor limit, at two for each.
const CONNS: usize = 400;
/// The most each may cost, in bytes. Less than a quarter of the smallest stack, which is a page.
const LIMIT: usize = 1_000;

/// Resident memory. Not `VmRSS`, which lags behind by the kernel's counters of each processor.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = text.lines().find(|line| line.starts_with("Rss:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// Connections that wait, and their other ends.
fn idle(n: usize) -> Vec<TcpStream> {
    let ln = local_listener();
    let addr = ln.local_addr().unwrap();
    (0..n)
        .map(|_| {
            let far = TcpStream::connect(addr).unwrap();
            let (conn, _) = ln.accept().unwrap();
            Arc::new(conn).on_readable(|_: Arc<TcpConn>, ready| ready.unwrap());
            far
        })
        .collect()
}

#[test]
fn an_idle_connection_with_a_callback_costs_no_stack() {
    util::thread("idle callbacks", || {
        // What is made once: tables, the code's own pages.
        let warm = idle(20);
        let before = resident();
        let conns = idle(CONNS);
        let each = resident().saturating_sub(before) / CONNS;
        eprintln!("{each} bytes for each idle connection");
        assert!(each < LIMIT, "{each} bytes for each idle connection");
        assert_eq!(num_goroutines(), 0);
        drop((warm, conns));
        // The end of the other side is told to a callback like everything else.
        let (client, server) = util::pair();
        let (tx, rx) = channel();
        Arc::new(client).on_readable(move |conn, ready| {
            tx.send(ready.and_then(|()| conn.read(&mut [0; 8])).unwrap()).unwrap();
        });
        drop(server);
        assert_eq!(rx.recv().unwrap(), 0);
    });
}
