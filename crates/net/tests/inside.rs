//! What dumps and metrics say of goroutines that wait for the network.

mod util;

use std::sync::Arc;
use std::time::{Duration, Instant};

use gopark_net::dump::{DumpOptions, GoroutineInfo, GoroutineState};
use gopark_net::{WaitReason, metrics, signal, spawn};
use util::{join_soon, local_listener, pair};

procs!();

/// Those whose backtrace has a function of this name, once there are `count` and they wait for the network.
fn waiting_in(function: &str, count: usize) -> Vec<GoroutineInfo> {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let mut all = DumpOptions::new().max_backtraces(usize::MAX).max_alike(usize::MAX).dump().goroutines;
        all.retain(|g| {
            let frames = g.backtrace.as_ref().map_or(&[][..], |b| &b.frames);
            frames.iter().any(|f| f.function.as_ref().is_some_and(|name| name.ends_with(function)))
        });
        if all.len() == count && all.iter().all(|g| g.state == GoroutineState::Waiting(WaitReason::IoWait)) {
            return all;
        }
        assert!(Instant::now() < end, "{all:?}");
        // not for ordering: the pause of a bounded loop
        gopark_net::sleep(Duration::from_millis(1));
    }
}

#[inline(never)]
fn accepts_for_the_dump(ln: &gopark_net::TcpListener) {
    let _ = ln.accept();
}

#[inline(never)]
fn reads_for_the_dump(conn: &gopark_net::TcpConn) -> usize {
    conn.read(&mut [0; 8]).unwrap_or(0)
}

both! {
    fn who_waits_for_the_network_is_in_io_wait() {
        let ln = Arc::new(local_listener());
        let theirs = Arc::clone(&ln);
        let acceptor = spawn(move || accepts_for_the_dump(&theirs));
        let text = waiting_in("accepts_for_the_dump", 1)[0].to_string();
        assert!(text.contains(" [IO wait]:\n") && text.contains("TcpListener"), "{text}");
        ln.close().unwrap();
        join_soon(acceptor);

        let (client, server) = pair();
        let before = metrics();
        assert!(before.open_descriptors >= 2, "{before}");
        let reader = spawn(move || reads_for_the_dump(&server));
        waiting_in("reads_for_the_dump", 1);
        client.write(b"hello").unwrap();
        assert_eq!(join_soon(reader), 5);
        let after = metrics();
        assert!(after.parks.of(WaitReason::IoWait) > before.parks.of(WaitReason::IoWait), "{after}");
        assert!(after.poll_batches.count() > before.poll_batches.count(), "{after}");
    }

    /// Reads and writes while each goroutine is looked at again and again.
    fn dumps_do_not_disturb_a_conversation() {
        let (client, server) = pair();
        let echo = spawn(move || {
            let mut buf = [0; 64];
            while let Ok(n @ 1..) = server.read(&mut buf) {
                server.write(&buf[..n]).unwrap();
            }
        });
        let talk = spawn(move || {
            let mut buf = [0; 64];
            for i in 0..2000_u32 {
                client.write(&i.to_le_bytes()).unwrap();
                let n = client.read(&mut buf).unwrap();
                assert_eq!(buf[..n], i.to_le_bytes());
            }
        });
        while !talk.is_finished() {
            assert!(DumpOptions::new().max_backtraces(0).dump().goroutines.len() < 100_000);
            gopark_net::yield_now();
        }
        join_soon(talk);
        join_soon(echo);
    }

    fn signals_are_there_for_users_of_net() {
        let usr2 = signal::notify(&[signal::Signal::SIGUSR2]).unwrap();
        assert!(usr2.try_recv().is_err());
    }
}
