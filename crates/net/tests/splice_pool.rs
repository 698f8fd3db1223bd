//! The pipes that copies go through: how many there are, and that none is left behind. In a process of its own, since
//! it counts descriptors. Go: `internal/poll/splice_linux_test.go` TestSplicePipePool.
#![cfg(target_os = "linux")]

mod util;

use std::sync::Arc;
use std::time::{Duration, Instant};

use gopark_net::for_tests::clear_pipes;
use gopark_net::{TcpConn, copy, spawn};
use util::{assert_blocked, join_soon};

fn pipes() -> usize {
    let fds = std::fs::read_dir("/proc/self/fd").unwrap();
    fds.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok())
        .filter(|target| target.to_string_lossy().starts_with("pipe:"))
        .count()
}

/// One test: the figures are the process's.
#[test]
fn test_splice_pipe_pool() {
    util::goroutine("copies that wait hold no pipe", copies_that_wait_hold_no_pipe);
    util::goroutine("a copy that fails closes its pipe", a_copy_that_fails_closes_its_pipe);
    if std::env::var_os("GOPARK_TEST_CHILD").is_none() {
        util::run_binary_with_procs();
    }
}

/// Go's hold one each for as long as they live.
fn copies_that_wait_hold_no_pipe() {
    const COPIES: usize = 64;
    let before = pipes();
    let copies: Vec<_> = (0..COPIES)
        .map(|_| {
            let ((client, from), (to, server)) = (util::pair(), util::pair());
            let copier = spawn(move || copy(&mut &to, &mut &from));
            client.write_all(b"hello").unwrap();
            let mut buf = [0; 5];
            std::io::Read::read_exact(&mut &server, &mut buf).unwrap();
            (client, server, copier)
        })
        .collect();
    let (clients, copiers): (Vec<_>, Vec<_>) =
        copies.into_iter().map(|(client, server, copier)| ((client, server), copier)).unzip();
    // All of them wait by the time that the last one has been seen to.
    let copiers: Vec<_> = copiers
        .into_iter()
        .rev()
        .enumerate()
        .map(|(i, c)| if i == 0 { assert_blocked(c) } else { c })
        .collect();
    let kept = (pipes() - before) / 2;
    assert!(kept <= 2 * 16, "{kept} pipes for {COPIES} silent copies");
    drop(clients);
    copiers.into_iter().for_each(|copier| assert_eq!(join_soon(copier).unwrap(), 5));
    settles(before);
}

fn a_copy_that_fails_closes_its_pipe() {
    let before = pipes();
    for _ in 0..8 {
        let ((client, from), (to, server)) = (util::pair(), util::narrow_pair());
        let to = Arc::new(to);
        let copier = spawn({
            let to: Arc<TcpConn> = Arc::clone(&to);
            move || copy(&mut &*to, &mut &from)
        });
        let sender = spawn(move || client.write_all(&vec![0; 64 << 20]));
        let copier = assert_blocked(copier);
        to.close().unwrap();
        assert!(join_soon(copier).is_err());
        assert!(join_soon(sender).is_err());
        drop(server);
    }
    settles(before);
}

/// What the pool keeps goes when it is told to, by whichever P it is kept.
fn settles(before: usize) {
    let start = Instant::now();
    loop {
        // Each P clears its own: go round them.
        (0..16).map(|_| spawn(clear_pipes)).collect::<Vec<_>>().into_iter().for_each(join_soon);
        if pipes() <= before {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{} pipes are left", pipes() - before);
    }
}
