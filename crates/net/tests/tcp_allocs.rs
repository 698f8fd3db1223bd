//! Reading and writing allocate nothing once they are under way. Go: `net` TestTCPReadWriteAllocs.

mod util;

use std::future::{Future, poll_fn};
use std::io::{ErrorKind, Read};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use gopark_net::{TcpConn, block_on, future, go};
use gopark_sys::alloc_count::CountingAlloc;
use util::{after, pair};

procs!();

#[global_allocator]
static ALLOCATOR: CountingAlloc = CountingAlloc::new();

/// Runs `round` a thousand times, and again until it was not disturbed.
///
/// The count is of the whole process, and the test harness prints now and then. What allocates by itself does so in
/// every attempt.
fn assert_no_allocations(what: &str, mut round: impl FnMut()) {
    // Queues and lists grow to their size.
    for _ in 0..200 {
        round();
    }
    let mut least = usize::MAX;
    for _ in 0..10 {
        let before = ALLOCATOR.count();
        for _ in 0..1000 {
            round();
        }
        least = least.min(ALLOCATOR.count() - before);
        if least == 0 {
            return;
        }
    }
    panic!("{what}: {least} allocations in 1000 rounds");
}

/// What the future says to its first poll.
async fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

fn read_full(mut conn: &TcpConn, buf: &mut [u8]) {
    conn.read_exact(buf).unwrap();
}

both! {
    /// With deadlines that move, as servers have them, and both ends waiting for each other all the time.
    // Go: net TestTCPReadWriteAllocs
    fn test_tcp_read_write_allocs() {
        let (client, server) = pair();
        let mut buf = [0; 128];
        assert_no_allocations("write, read", || {
            client.write_all(&[1; 128]).unwrap();
            read_full(&server, &mut buf);
        });

        go(move || {
            let mut buf = [0; 128];
            while let Ok(n @ 1..) = server.read(&mut buf) {
                server.write_all(&buf[..n]).unwrap();
            }
        });
        assert_no_allocations("a round trip that waits", || {
            client.write_all(&[1; 128]).unwrap();
            read_full(&client, &mut buf);
        });
        assert_no_allocations("a round trip with a deadline", || {
            client.set_deadline(after(Duration::from_secs(60))).unwrap();
            client.write_all(&[1; 128]).unwrap();
            read_full(&client, &mut buf);
        });
        client.set_deadline(None).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        client.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
        assert_no_allocations("a round trip with timeouts", || {
            client.write_all(&[1; 128]).unwrap();
            read_full(&client, &mut buf);
        });
        client.set_read_timeout(None).unwrap();
        client.set_write_timeout(None).unwrap();
        assert_no_allocations("a round trip of futures", || {
            let mut got = 0;
            assert_eq!(block_on(poll_fn(|cx| client.poll_write(cx, &[1; 128]))).unwrap(), 128);
            while got < 128 {
                got += block_on(poll_fn(|cx| client.poll_read(cx, &mut buf[got..]))).unwrap();
            }
        });
        assert_no_allocations("futures that are pending and dropped", || {
            let ready = block_on(async { poll_once(client.readable_async()).await });
            assert!(ready.is_none());
            let over = block_on(future::timeout(Duration::ZERO, client.readable_async()));
            assert!(over.is_err());
        });
        assert_no_allocations("a future that sleeps", || {
            block_on(future::sleep(Duration::from_micros(1))); // not for ordering: it is what is measured
        });
        assert_no_allocations("a read that would block", || {
            let err = client.try_read(&mut buf).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::WouldBlock);
        });
    }
}
