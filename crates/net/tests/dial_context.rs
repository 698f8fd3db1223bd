//! Dials, connections and listeners under a context. Go: `net/dial_test.go`, `net/lookup_test.go`, the parts with a
//! context; what golang/go#20280 asks for.

mod util;

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use gopark_net::context::Context;
use gopark_net::for_tests::hold_lookups;
use gopark_net::{
    Cause, Dialer, OpError, Resolver, is_canceled, is_closed, is_timeout, listen, spawn, yield_now,
};
use util::{BlackHole, assert_blocked, assert_timeout, join_soon, local_listener};

const MS: Duration = Duration::from_millis(1);
const SEC: Duration = Duration::from_secs(1);

procs!();

#[track_caller]
fn assert_canceled<T>(result: io::Result<T>) {
    let Err(err) = result else { panic!("not canceled") };
    assert!(is_canceled(&err), "not canceled: {err}");
    assert!(!is_timeout(&err) && !is_closed(&err), "{err}");
    assert!(matches!(OpError::of(&err), Some(OpError { err: Cause::Canceled, .. })), "{err:?}");
    assert!(err.to_string().ends_with(": operation was canceled"), "{err}");
    // Not one that std's helpers try again.
    assert_eq!(err.kind(), ErrorKind::Other);
}

/// A context whose deadline has passed.
fn overdue() -> Context {
    Context::background().with_deadline(Instant::now()).0
}

fn canceled() -> Context {
    let (ctx, cancel) = Context::background().with_cancel();
    cancel.cancel();
    ctx
}

both! {
    // Go: net TestDialCancel
    fn test_dial_cancel() {
        let hole = BlackHole::new();
        let at = hole.addr();
        let (ctx, cancel) = Context::background().with_cancel();
        let dialing = {
            let (ctx, at) = (ctx.clone(), at.clone());
            spawn(move || Dialer::new().dial_context(&ctx, "tcp", &at))
        };
        let dialing = assert_blocked(dialing);
        cancel.cancel();
        let err = join_soon(dialing).expect_err("nobody answers");
        assert_eq!(err.to_string(), format!("dial tcp {at}: operation was canceled"));
        assert_canceled::<()>(Err(err));
        assert_eq!(ctx.children(), 0, "nothing of the dial is left with the context");
    }

    /// Nothing is even tried.
    fn a_dial_under_a_context_that_is_done_fails_at_once() {
        let ln = local_listener();
        let at = ln.addr().to_string();
        let tried = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&tried);
        let dialer = Dialer::new().control(move |_, _, _| {
            count.fetch_add(1, SeqCst);
            Ok(())
        });
        assert_canceled(dialer.dial_context(&canceled(), "tcp", &at));
        assert_timeout(dialer.dial_context(&overdue(), "tcp", &at));
        assert_eq!(tried.load(SeqCst), 0);
        // Also between the beginning and the end of an attempt that needs no waiting.
        let (ctx, cancel) = Context::background().with_cancel();
        let dialer = Dialer::new().control(move |_, _, _| {
            cancel.cancel();
            Ok(())
        });
        assert_canceled(dialer.dial_context(&ctx, "tcp", &at));
    }

    /// Of the time limits of the dialer and of the context the earliest counts; what the error says is the same.
    // Go: net TestDialTimeout with a context, golang/go#35594
    fn the_earliest_time_limit_counts() {
        let hole = BlackHole::new();
        let at = hole.addr();
        let hour = 3600 * SEC;
        for (dialer, limit) in [
            (Dialer::new(), 20 * MS),
            (Dialer::new().timeout(hour), 20 * MS),
            (Dialer::new().timeout(20 * MS), hour),
            (Dialer::new().deadline(Instant::now() + hour).timeout(hour), 20 * MS),
        ] {
            let begin = Instant::now();
            let (ctx, _cancel) = Context::background().with_timeout(limit);
            let err = dialer.dial_context(&ctx, "tcp", &at).expect_err("nobody answers");
            assert!((20 * MS..5 * SEC).contains(&begin.elapsed()), "{dialer:?} {limit:?}");
            assert_eq!(err.to_string(), format!("dial tcp {at}: i/o timeout"));
            assert_timeout::<()>(Err(err));
        }
    }

    /// A cancel that comes after the dial has succeeded does nothing to the connection (golang/go#15078, #16523).
    // Go: net TestCancelAfterDial
    fn test_cancel_after_dial() {
        let ln = local_listener();
        let at = ln.addr().to_string();
        let server = spawn(move || {
            for _ in 0..100 {
                let (conn, _) = ln.accept().unwrap();
                let mut buf = [0; 5];
                let n = conn.read(&mut buf).unwrap();
                conn.write_all(&buf[..n]).unwrap();
            }
        });
        for round in 0..100 {
            let (ctx, cancel) = Context::background().with_timeout(60 * SEC);
            let conn = Dialer::new().timeout(30 * SEC).dial_tcp_context(&ctx, "tcp", &at).unwrap();
            cancel.cancel();
            if round % 2 == 0 {
                yield_now();
            }
            conn.write_all(b"echo!").unwrap();
            let mut buf = [0; 5];
            conn.read(&mut buf).unwrap();
            assert_eq!(&buf, b"echo!");
            assert_eq!(conn.read(&mut buf).unwrap(), 0, "and the end");
        }
        join_soon(server);
    }

    /// The cancel comes at any moment of a dial that would succeed: it fails as canceled, or the connection is good.
    // go-semantics 7.1: "Cancel race in dial (#16523, #15078)"
    fn a_cancel_at_any_moment_of_a_dial() {
        let ln = Arc::new(listen("tcp", "[::]:0").unwrap());
        let port = ln.addr().socket_addr().unwrap().port();
        let server = spawn({
            let ln = Arc::clone(&ln);
            move || while let Ok(conn) = ln.accept() {
                let _ = conn.write_all(b"!"); // who was canceled is gone
            }
        });
        let (mut good, mut failed) = (0, 0);
        for round in 0..400_u32 {
            // One address, and two families that race.
            let at = format!("{}:{port}", if round % 2 == 0 { "127.0.0.1" } else { "[::]" });
            let (ctx, cancel) = Context::background().with_cancel();
            let canceler = spawn(move || {
                for _ in 0..round % 16 {
                    yield_now();
                }
                cancel.cancel();
            });
            let dialer = Dialer::new().fallback_delay(Some(Duration::from_nanos(1)));
            match dialer.dial_tcp_context(&ctx, "tcp", &at) {
                Ok(conn) => {
                    join_soon(canceler);
                    assert_eq!(conn.read(&mut [0]).unwrap_or_else(|e| panic!("round {round}: {e}")), 1);
                    conn.write_all(b"?").unwrap_or_else(|e| panic!("round {round}: {e}"));
                    good += 1;
                }
                Err(err) => {
                    assert!(is_canceled(&err), "round {round}: {err}");
                    join_soon(canceler);
                    failed += 1;
                }
            }
        }
        assert_eq!(good + failed, 400);
        ln.close().unwrap();
        join_soon(server);
    }

    /// Both families hang; neither stays behind.
    fn a_cancel_ends_both_sides_of_a_race() {
        let hole = BlackHole::new();
        let port = hole.listener.local_addr().unwrap().port();
        // `[::]` is tried as `::`, which hangs in its hook, and as `0.0.0.0`, where nobody answers.
        let (ctx, cancel) = Context::background().with_cancel();
        let entered = Arc::new(AtomicU32::new(0));
        let dialing = {
            let (ctx, entered, begun) = (ctx.clone(), Arc::clone(&entered), ctx.clone());
            spawn(move || {
                let dialer = Dialer::new().fallback_delay(Some(MS)).control(move |network, _, _| {
                    entered.fetch_add(1, SeqCst);
                    if network == "tcp6" {
                        let _ = begun.done().recv();
                    }
                    Ok(())
                });
                dialer.dial_context(&ctx, "tcp", &format!("[::]:{port}"))
            })
        };
        let dialing = assert_blocked(dialing);
        assert_eq!(entered.load(SeqCst), 2);
        cancel.cancel();
        // Not whose error it is: the primary may be refused before it looks at its context.
        assert!(join_soon(dialing).is_err());
        let end = Instant::now() + 10 * SEC;
        while ctx.children() > 0 {
            assert!(Instant::now() < end, "something is left with the context");
            yield_now();
        }
    }

    /// The hook of the fallback panics while the primary is connecting: that one does not go on for ever.
    fn a_panic_in_one_racer_ends_the_other() {
        let hole = BlackHole::new();
        let port = hole.listener.local_addr().unwrap().port();
        // The primary is `::`: it says when it ends.
        let (ctx, _cancel) = Context::background().with_cancel();
        let (ended, end) = gopark_net::chan::bounded::<()>(0);
        let at = ctx.clone();
        let dialing = spawn(move || {
            gopark_net::for_tests::race(&at, MS, move |who, ctx| {
                if who == gopark_net::for_tests::Racer::Fallback {
                    std::panic::resume_unwind(Box::new("on purpose"));
                }
                let _ended = ended.clone();
                Dialer::new().dial_tcp_context(ctx, "tcp4", &format!("127.0.0.1:{port}"))
            })
        });
        let panic = match dialing.join_timeout(10 * SEC) {
            Ok(Err(panic)) => panic,
            other => panic!("no panic: {other:?}"),
        };
        assert_eq!(panic.downcast_ref(), Some(&"on purpose"));
        assert!(end.recv_timeout(10 * SEC).is_err_and(|e| !e.is_timeout()), "the primary is still dialing");
        assert!(ctx.err().is_none(), "the caller's context is not touched");
    }

    // Go: net TestDialContext, TestDialerControlContext, TestDialWithNonZeroDeadline
    fn test_dial_context() {
        let ln = local_listener();
        let at = ln.addr().to_string();
        let background = Context::background();
        let contexts =
            [background.clone(), background.with_value(7_u32), background.with_timeout(60 * SEC).0.without_cancel()];
        for ctx in contexts {
            Dialer::new().dial_context(&ctx, "tcp", &at).unwrap();
        }
        // The hook gets the values of the context, in a race too.
        let seen = Arc::new(AtomicU32::new(0));
        let log = Arc::clone(&seen);
        let dialer = Dialer::new().control_context(move |ctx, _, _, _| {
            log.store(*ctx.value::<u32>().expect("a value"), SeqCst);
            Ok(())
        });
        let ports = [at.clone(), format!("[::]:{}", ln.local_addr().unwrap().port())];
        for (at, id) in ports.iter().zip(1..) {
            dialer.dial_context(&background.with_value::<u32>(id), "tcp", at).unwrap();
            assert_eq!(seen.load(SeqCst), id);
        }
        let err = Dialer::new().dial_context(&background, "tcp", "").err().unwrap();
        assert_eq!(err.to_string(), "dial tcp: missing address");
    }
}

/// By the system's resolver, which can be held up; not beside others that ask it: it lets nobody do so.
// Go: net TestLookupContextCancel, TestLookupHostCancel
#[test]
fn test_lookup_context_cancel() {
    fn body() {
        let ln = local_listener();
        let at = format!("localhost:{}", ln.local_addr().unwrap().port());
        let held = hold_lookups();
        let system = Dialer::new().resolver(Resolver::builder().prefer_system().build());
        let (ctx, cancel) = Context::background().with_cancel();
        let dialing = {
            let (dialer, ctx, at) = (system.clone(), ctx.clone(), at.clone());
            spawn(move || dialer.dial_context(&ctx, "tcp", &at))
        };
        let dialing = assert_blocked(dialing);
        cancel.cancel();
        let err = join_soon(dialing).expect_err("canceled");
        assert_eq!(err.to_string(), "dial tcp: lookup localhost: operation was canceled");
        assert!(is_canceled(&err) && !is_timeout(&err));
        assert!(matches!(&OpError::of(&err).unwrap().err, Cause::Dns(e) if e.is_canceled && !e.is_not_found));
        // Done before: the same.
        assert!(is_canceled(&system.dial_context(&ctx, "tcp", &at).err().unwrap()));
        let (late, _cancel) = Context::background().with_timeout(10 * MS);
        for (dialer, ctx) in
            [(system.clone(), late), (system.clone().timeout(10 * MS), Context::background())]
        {
            let err = dialer.dial_context(&ctx, "tcp", &at).err().unwrap();
            assert_eq!(err.to_string(), "dial tcp: lookup localhost: i/o timeout");
            assert!(is_timeout(&err) && !is_canceled(&err));
        }
        drop(held);
        let (ctx, _cancel) = Context::background().with_cancel();
        system.dial_context(&ctx, "tcp", &at).unwrap();
    }
    util::both("test_lookup_context_cancel", body);
}
