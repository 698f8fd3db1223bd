//! Contexts that end the calls on connections and listeners: what golang/go#20280 and #67622 ask for.

mod util;

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gopark_net::context::{self, Context};
use gopark_net::{
    Cause, Conn, Listener, OpError, block_on, dial, is_canceled, is_closed, is_timeout, listen, scope, sleep,
    spawn, yield_now,
};
use util::{
    after, ago, assert_blocked, assert_closed, assert_timeout, fill, join_soon, local_listener, narrow_pair,
    pair,
};

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

both! {
    fn a_cancel_ends_reads_and_writes_in_progress_and_later_ones() {
        let (client, _server) = narrow_pair();
        let client = Arc::new(client);
        fill(&client);
        let (ctx, cancel) = Context::background().with_cancel();
        let guard = client.attach_context(&ctx).unwrap();
        let reader = { let conn = Arc::clone(&client); spawn(move || conn.read(&mut [0])) };
        let writer = { let conn = Arc::clone(&client); spawn(move || conn.write_all(&[0; 100_000])) };
        let (reader, writer) = (assert_blocked(reader), assert_blocked(writer));
        cancel.cancel();
        assert_canceled(join_soon(reader));
        assert_canceled(join_soon(writer));
        assert_canceled(client.read(&mut [0]));
        assert_canceled(client.write(&[0]));
        assert_canceled(client.readable());
        assert_canceled(client.try_read(&mut [0]));
        assert_eq!(guard.detach(), Err(context::Error::Canceled));
        assert_eq!(client.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    fn a_deadline_of_a_context_is_a_timeout() {
        let (client, server) = pair();
        let begin = Instant::now();
        let (ctx, _cancel) = Context::background().with_timeout(20 * MS);
        let guard = client.attach_context(&ctx).unwrap();
        assert_timeout(client.read(&mut [0]));
        assert!((20 * MS..5 * SEC).contains(&begin.elapsed()));
        assert_timeout(client.write(&[0]));
        assert_eq!(guard.detach(), Err(context::Error::DeadlineExceeded));
        client.write_all(b"x").unwrap();
        assert_eq!(server.read(&mut [0]).unwrap(), 1);
    }

    /// One that is done already stops even a read that need not wait, as a deadline in the past does.
    fn attaching_a_context_that_is_done() {
        let (client, server) = pair();
        server.write_all(b"x").unwrap();
        client.readable().unwrap();
        let (ctx, cancel) = Context::background().with_cancel();
        cancel.cancel();
        let guard = client.attach_context(&ctx).unwrap();
        assert_canceled(client.read(&mut [0]));
        drop(guard);
        assert_eq!(client.read(&mut [0]).unwrap(), 1);
        // The root is never done.
        let guard = client.attach_context(&Context::background()).unwrap();
        server.write_all(b"x").unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 1);
        assert_eq!(guard.detach(), Ok(()));
    }

    /// Taken off before it is done, it does nothing; and it leaves nothing behind.
    fn a_context_that_was_taken_off_does_nothing() {
        let (client, server) = pair();
        let (ctx, cancel) = Context::background().with_cancel();
        let guard = client.attach_context(&ctx).unwrap();
        assert_eq!(ctx.children(), 1);
        drop(guard);
        assert_eq!(ctx.children(), 0);
        cancel.cancel();
        server.write_all(b"x").unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 1);
    }

    /// Each ends its own; the calls work again when the last that is done was taken off.
    fn several_contexts_at_a_time() {
        let (client, _server) = pair();
        let (parent, cancel) = Context::background().with_cancel();
        let (child, cancel_child) = parent.with_cancel();
        let (late, _cancel) = parent.with_deadline(Instant::now());
        let (a, b) = (client.attach_context(&parent).unwrap(), client.attach_context(&child).unwrap());
        assert_eq!(client.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        cancel_child.cancel();
        assert_canceled(client.read(&mut [0]));
        cancel.cancel();
        drop(b);
        assert_canceled(client.read(&mut [0]));
        let c = client.attach_context(&late).unwrap();
        assert_canceled(client.read(&mut [0]));
        drop(a);
        assert_timeout(client.read(&mut [0]));
        drop(c);
        assert_eq!(client.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    /// What was set stays, and counts as before: neither knows of the other.
    fn deadlines_and_timeouts_are_left_alone() {
        let (client, _server) = pair();
        client.set_read_deadline(ago(SEC)).unwrap();
        let (ctx, cancel) = Context::background().with_cancel();
        let guard = client.attach_context(&ctx).unwrap();
        assert_timeout(client.read(&mut [0]));
        cancel.cancel();
        assert_canceled(client.read(&mut [0]));
        client.set_deadline(None).unwrap();
        assert_canceled(client.read(&mut [0]));
        client.set_deadline(after(3600 * SEC)).unwrap();
        assert_canceled(client.read(&mut [0]));
        client.set_read_timeout(Some(20 * MS)).unwrap();
        assert_canceled(client.read(&mut [0]));
        drop(guard);
        assert_timeout(client.read(&mut [0]));
    }

    fn a_context_ends_accept() {
        let ln = Arc::new(local_listener());
        let (ctx, cancel) = Context::background().with_cancel();
        let guard = ln.attach_context(&ctx).unwrap();
        let accepting = { let ln = Arc::clone(&ln); spawn(move || ln.accept()) };
        let accepting = assert_blocked(accepting);
        cancel.cancel();
        let err = join_soon(accepting).unwrap_err();
        assert_eq!(err.to_string(), format!("accept tcp {}: operation was canceled", ln.addr()));
        assert_canceled(ln.accept());
        assert!(!gopark_net::is_temporary(&err), "a loop that accepts must end");
        drop(guard);
        let dialing = { let at = ln.addr().to_string(); spawn(move || dial("tcp", &at).unwrap()) };
        let (conn, _) = ln.accept().unwrap();
        join_soon(dialing);
        // What is accepted under a context is not under it itself.
        drop(conn);
        let (ctx, _cancel) = Context::background().with_timeout(20 * MS);
        let _guard = ln.attach_context(&ctx).unwrap();
        assert_timeout(ln.accept());
    }

    fn through_the_traits() {
        let ln: Box<dyn Listener> = listen("tcp", "127.0.0.1:0").unwrap();
        let client: Box<dyn Conn> = dial("tcp", &ln.addr().to_string()).unwrap();
        let server: Arc<dyn Conn> = ln.accept().unwrap().into();
        let (ctx, cancel) = Context::background().with_cancel();
        let _guard = ln.attach_context(&ctx).unwrap();
        let _guards = (client.attach_context(&ctx).unwrap(), server.attach_context(&ctx).unwrap());
        cancel.cancel();
        assert_canceled(ln.accept());
        assert_canceled(client.read(&mut [0]));
        assert_canceled(server.read(&mut [0]));
    }

    /// A close wins over a cancel, a guard may outlive its connection, and the next descriptor in the same slot is not
    /// touched.
    fn a_guard_outlives_its_connection() {
        for round in 0..100 {
            let (client, server) = pair();
            let (ctx, cancel) = Context::background().with_cancel();
            let guard = client.attach_context(&ctx).unwrap();
            if round % 2 == 0 {
                cancel.cancel();
            }
            client.close().unwrap();
            assert_closed(client.read(&mut [0]));
            assert_closed(client.attach_context(&ctx));
            drop((client, server));
            let (client, server) = pair();
            if round % 2 == 1 {
                cancel.cancel();
            }
            assert_eq!(client.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
            drop(guard);
            server.write_all(b"x").unwrap();
            assert_eq!(client.read(&mut [0]).unwrap(), 1);
            assert_eq!(ctx.children(), 0);
        }
    }

    /// A future that waits is woken as well.
    fn a_context_ends_a_future_that_waits() {
        let (client, _server) = pair();
        let (ctx, cancel) = Context::background().with_cancel();
        let _guard = client.attach_context(&ctx).unwrap();
        let canceler = spawn(move || {
            sleep(20 * MS); // not for ordering: long enough that the future probably waits
            cancel.cancel();
        });
        assert_canceled(block_on(poll_fn(|cx| client.poll_read(cx, &mut [0]))));
        join_soon(canceler);
    }

    /// Attaching, cancelling and taking off against reads, at any moment: a read gives its byte or fails as canceled,
    /// none is lost, and in the end the connection is as it was.
    fn a_cancel_at_any_moment_of_a_read() {
        let (client, server) = pair();
        let mut next = 0_u8;
        for round in 0..400_u32 {
            let (ctx, cancel) = Context::background().with_cancel();
            let guard = client.attach_context(&ctx).unwrap();
            scope(|s| {
                s.go(|| {
                    (0..round % 7).for_each(|_| yield_now());
                    cancel.cancel();
                });
                s.go(|| {
                    (0..round % 5).for_each(|_| yield_now());
                    server.write_all(&[next]).unwrap();
                });
                let mut byte = [0];
                let got = client.read(&mut byte);
                let done = guard.detach();
                match got {
                    Ok(n) => assert_eq!(n, 1),
                    Err(err) => {
                        assert!(is_canceled(&err), "{err}");
                        assert_eq!(done, Err(context::Error::Canceled));
                        assert_eq!(client.read(&mut byte).unwrap(), 1, "what was not read is still there");
                    }
                }
                assert_eq!(byte, [next]);
            });
            next = next.wrapping_add(1);
        }
        assert_eq!(client.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    /// A long-lived context, as a server has it, and connections that come and go.
    fn nothing_is_left_with_a_long_lived_context() {
        let (root, cancel) = Context::background().with_cancel();
        for _ in 0..200 {
            let (client, server) = pair();
            let (request, _cancel) = root.with_timeout(60 * SEC);
            let _guards = (client.attach_context(&root).unwrap(), server.attach_context(&request).unwrap());
            client.write_all(b"x").unwrap();
            assert_eq!(server.read(&mut [0]).unwrap(), 1);
        }
        assert_eq!(root.children(), 0);
        cancel.cancel();
    }
}
