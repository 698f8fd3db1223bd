//! Contexts that end I/O and dials. Go: `net/dial_test.go`, and what golang/go#20280 asks for.

mod util;

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gopark_net::context::{Context, Error};
use gopark_net::{Cause, Dialer, OpError, TcpConn, is_timeout, scope, select, sleep, spawn, yield_now};
use util::{
    BlackHole, ago, assert_blocked, assert_timeout, fill, join_soon, local_listener, narrow_pair, pair,
};

const MS: Duration = Duration::from_millis(1);
const SEC: Duration = Duration::from_secs(1);

procs!();

#[track_caller]
fn assert_canceled<T: std::fmt::Debug>(result: std::io::Result<T>) {
    let err = result.expect_err("canceled");
    assert!(matches!(OpError::of(&err).expect("an OpError").err, Cause::Canceled), "{err}");
    assert!(err.to_string().ends_with(": operation was canceled"), "{err}");
    assert_eq!(err.kind(), ErrorKind::Other);
    assert!(!is_timeout(&err));
}

both! {
    fn a_cancel_ends_a_read_in_progress() {
        let (client, server) = pair();
        let server = Arc::new(server);
        let (ctx, cancel) = Context::background().with_cancel();
        let reader = spawn({
            let server = Arc::clone(&server);
            move || server.with_context(&ctx).unwrap().read(&mut [0; 8])
        });
        let reader = assert_blocked(reader);
        cancel.cancel();
        assert_canceled(join_soon(reader));
        // The context is off, and the connection works as before.
        client.write_all(b"x").unwrap();
        assert_eq!(server.read(&mut [0; 8]).unwrap(), 1);
    }

    fn a_cancel_ends_a_write_in_progress() {
        let (client, server) = narrow_pair();
        let client = Arc::new(client);
        fill(&client);
        let (ctx, cancel) = Context::background().with_cancel();
        let writer = spawn({
            let client = Arc::clone(&client);
            move || client.with_context(&ctx).unwrap().write_all(&[0; 1 << 20])
        });
        let writer = assert_blocked(writer);
        cancel.cancel();
        assert_canceled(join_soon(writer));
        drop(server);
    }

    fn a_cancel_ends_an_accept_in_progress() {
        let ln = Arc::new(local_listener());
        let (ctx, cancel) = Context::background().with_cancel();
        let accept = spawn({
            let ln = Arc::clone(&ln);
            move || ln.with_context(&ctx).unwrap().accept().map(drop)
        });
        let accept = assert_blocked(accept);
        cancel.cancel();
        assert_canceled(join_soon(accept));
        let _client = TcpConn::connect(ln.local_addr().unwrap()).unwrap();
        ln.accept().unwrap();
    }

    fn a_context_out_of_time_is_a_timeout() {
        let (_client, server) = pair();
        let begin = Instant::now();
        let (ctx, _cancel) = Context::background().with_timeout(30 * MS);
        let guarded = server.with_context(&ctx).unwrap();
        assert_timeout(guarded.read(&mut [0; 8]));
        assert!(begin.elapsed() >= 30 * MS);
        assert_timeout(guarded.write(b"x"));
        assert_eq!(guarded.detach(), Err(Error::DeadlineExceeded));
        assert_eq!(server.write(b"x").unwrap(), 1);
        let ln = local_listener();
        let (ctx, _cancel) = Context::background().with_timeout(MS);
        assert_timeout(ln.with_context(&ctx).unwrap().accept());
    }

    /// As with a deadline in the past: also what would not have to wait.
    fn a_context_that_is_done_fails_calls_that_would_not_wait() {
        let (client, server) = pair();
        client.write_all(b"data").unwrap();
        server.readable().unwrap();
        let (ctx, cancel) = Context::background().with_cancel();
        cancel.cancel();
        let guarded = server.with_context(&ctx).unwrap();
        assert_canceled(guarded.read(&mut [0; 8]));
        assert_canceled(guarded.try_read(&mut [0; 8]));
        assert_canceled(guarded.write(b"x"));
        drop(guarded);
        assert_eq!(server.read(&mut [0; 8]).unwrap(), 4, "nothing was lost");
    }

    fn deadlines_and_contexts_leave_each_other_alone() {
        let (client, server) = pair();
        server.set_read_deadline(ago(SEC)).unwrap();
        let (ctx, cancel) = Context::background().with_cancel();
        {
            let guarded = server.with_context(&ctx).unwrap();
            assert_timeout(guarded.read(&mut [0; 8]));
            cancel.cancel();
            assert_canceled(guarded.read(&mut [0; 8]));
            guarded.set_read_deadline(None).unwrap();
            assert_canceled(guarded.read(&mut [0; 8]));
            guarded.set_read_deadline(ago(SEC)).unwrap();
        }
        assert_timeout(server.read(&mut [0; 8]));
        server.set_read_deadline(None).unwrap();
        client.write_all(b"x").unwrap();
        assert_eq!(server.read(&mut [0; 8]).unwrap(), 1);
    }

    fn every_call_obeys_all_contexts_that_are_attached() {
        let (_client, server) = pair();
        let (a, cancel_a) = Context::background().with_cancel();
        let (b, _cancel_b) = Context::background().with_timeout(Duration::ZERO);
        let under_a = server.with_context(&a).unwrap();
        {
            let _under_b = server.with_context(&b).unwrap();
            assert_timeout(under_a.write(b"x"));
        }
        under_a.write(b"x").unwrap();
        cancel_a.cancel();
        let again = server.with_context(&a).unwrap();
        drop(under_a);
        assert_canceled(again.write(b"x"));
        drop(again);
        server.write(b"x").unwrap();
    }

    fn a_context_that_comes_too_late_leaves_nothing_behind() {
        let (_client, server) = pair();
        let (ctx, cancel) = Context::background().with_cancel();
        let guarded = server.with_context(&ctx).unwrap();
        assert_eq!(ctx.children(), 1);
        assert_eq!(guarded.detach(), Ok(()));
        assert_eq!(ctx.children(), 0);
        cancel.cancel();
        server.write(b"x").unwrap();
        // Nor to the next connection with the descriptor's slot.
        let (ctx, cancel) = Context::background().with_cancel();
        let guarded = server.with_context(&ctx).unwrap();
        guarded.close().unwrap();
        let (client, other) = pair();
        cancel.cancel();
        drop(guarded);
        client.write_all(b"x").unwrap();
        assert_eq!(other.read(&mut [0; 8]).unwrap(), 1);
        assert!(server.with_context(&ctx).is_err(), "it is closed");
    }

    fn std_traits_work_under_a_context() {
        let (client, server) = pair();
        let (ctx, _cancel) = Context::background().with_cancel();
        let mut under = client.with_context(&ctx).unwrap();
        Write::write_all(&mut under, b"hello").unwrap();
        under.close_write().unwrap();
        let mut text = String::new();
        server.with_context(&Context::background()).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
    }

    /// Cancels, reads that get data, detaches and closes at once: nobody hangs, nothing lasts.
    fn a_storm_of_cancels() {
        let (client, server) = pair();
        let (root, _cancel) = Context::background().with_cancel();
        let mut got = 0;
        scope(|s| {
            s.go(|| {
                for _ in 0..300 {
                    client.write_all(b"x").unwrap();
                    yield_now();
                }
            });
            while got < 300 {
                let (ctx, cancel) = root.with_cancel();
                let other = spawn(move || cancel.cancel());
                let guarded = server.with_context(&ctx).unwrap();
                match guarded.read(&mut [0; 16]) {
                    Ok(n) => got += n,
                    Err(e) => assert_canceled::<()>(Err(e)),
                }
                other.join().unwrap();
            }
        });
        assert_eq!(got, 300);
        assert_eq!(root.children(), 0);
        client.write_all(b"last").unwrap();
        assert_eq!(server.read(&mut [0; 16]).unwrap(), 4);
    }

    // Go: net TestDialCancel
    fn test_dial_cancel() {
        let hole = BlackHole::new();
        let (ctx, cancel) = Context::background().with_cancel();
        let dial = spawn({
            let (ctx, at) = (ctx.clone(), hole.addr());
            move || Dialer::new().dial_context(&ctx, "tcp", &at).map(drop)
        });
        let dial = assert_blocked(dial);
        cancel.cancel();
        assert_canceled(join_soon(dial));
        assert_eq!(ctx.children(), 0);
        // One that is done already.
        assert_canceled(Dialer::new().dial_context(&ctx, "tcp", &hole.addr()).map(drop));
        let err = Dialer::new().dial_context(&ctx, "tcp", &hole.addr()).map(drop).unwrap_err();
        assert_eq!(err.to_string(), format!("dial tcp {}: operation was canceled", hole.addr()));
    }

    // Go: net TestContextError, TestDialContext
    fn a_context_out_of_time_ends_a_dial_as_a_timeout() {
        let hole = BlackHole::new();
        let (ctx, _cancel) = Context::background().with_timeout(20 * MS);
        let begin = Instant::now();
        let err = Dialer::new().dial_context(&ctx, "tcp", &hole.addr()).map(drop).unwrap_err();
        assert!(is_timeout(&err) && err.kind() == ErrorKind::TimedOut, "{err}");
        assert!(begin.elapsed() >= 20 * MS);
    }

    /// The connection that a dial returns does not belong to its context.
    // Go: net TestDialerContext…; go-semantics 7.1: "Cancel race in dial" (#16523)
    fn a_cancel_after_or_during_a_dial_never_poisons_the_connection() {
        let ln = local_listener();
        let at = ln.addr().to_string();
        for i in 0..100_u64 {
            let (ctx, cancel) = Context::background().with_cancel();
            let other = spawn(move || {
                if i % 2 == 0 {
                    sleep(Duration::from_micros(i * 2)); // not for ordering: to hit every moment of the dial
                }
                cancel.cancel();
            });
            match Dialer::new().dial_tcp_context(&ctx, "tcp", &at) {
                Ok(conn) => {
                    other.join().unwrap();
                    conn.write_all(b"x").unwrap();
                    assert_eq!(ctx.children(), 0);
                }
                Err(e) => {
                    assert_canceled::<()>(Err(e));
                    other.join().unwrap();
                }
            }
        }
        let (ctx, cancel) = Context::background().with_cancel();
        let conn = Dialer::new().dial_tcp_context(&ctx, "tcp", &at).unwrap();
        cancel.cancel();
        conn.write_all(b"x").unwrap();
    }

    fn a_select_stops_a_server() {
        let ln = Arc::new(local_listener());
        let (ctx, cancel) = Context::background().with_cancel();
        let server = spawn({
            let (ln, ctx) = (Arc::clone(&ln), ctx.clone());
            move || {
                let ln = ln.with_context(&ctx).unwrap();
                let mut served = 0;
                while let Ok((conn, _)) = ln.accept() {
                    conn.write_all(b"x").unwrap();
                    served += 1;
                }
                served
            }
        });
        for _ in 0..5 {
            let conn = TcpConn::connect(ln.local_addr().unwrap()).unwrap();
            conn.read(&mut [0]).unwrap();
        }
        cancel.cancel();
        select! {
            recv(ctx.done()) -> _ => {}
            after(5 * SEC) => panic!("the context is done"),
        }
        assert_eq!(server.join().unwrap(), 5);
    }
}
