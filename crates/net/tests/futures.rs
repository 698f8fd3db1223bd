//! Connections under futures and callbacks, on goroutines and threads.

mod util;

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use futures_util::future::{Either, join, select};
use gopark_net::{
    TcpConn, TcpListener, block_on, future, go, is_closed, is_timeout, num_goroutines, spawn, yield_now,
};
use util::{after, pair};

procs!();

async fn read(conn: &TcpConn, buf: &mut [u8]) -> io::Result<usize> {
    poll_fn(|cx| conn.poll_read(cx, buf)).await
}

async fn write_all(conn: &TcpConn, mut data: &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        let n = poll_fn(|cx| conn.poll_write(cx, data)).await?;
        data = &data[n..];
    }
    Ok(())
}

/// An executor that knows nothing of us: a thread, and wakers that are not ours.
fn block_on_thread<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Unpark>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

async fn echo(conn: &TcpConn) -> io::Result<()> {
    let mut buf = [0; 1024];
    loop {
        match read(conn, &mut buf).await? {
            0 => return Ok(()),
            n => write_all(conn, &buf[..n]).await?,
        }
    }
}

async fn ping(conn: &TcpConn, rounds: usize) {
    let mut buf = [0; 64];
    for i in 0..rounds {
        let text = format!("ping {i}");
        write_all(conn, text.as_bytes()).await.unwrap();
        let mut got = 0;
        while got < text.len() {
            got += read(conn, &mut buf[got..]).await.unwrap();
        }
        assert_eq!(&buf[..got], text.as_bytes());
    }
}

both! {
    fn an_echo_of_futures_on_both_sides() {
        let ln = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = ln.local_addr().unwrap();
        let server = spawn(move || {
            for _ in 0..8 {
                let (conn, _) = block_on(poll_fn(|cx| ln.poll_accept(cx))).unwrap();
                go(move || block_on(echo(&conn)));
            }
        });
        let clients: Vec<_> = (0..8)
            .map(|_| spawn(move || block_on(ping(&TcpConn::connect(addr).unwrap(), 200))))
            .collect();
        clients.into_iter().for_each(|c| c.join().unwrap());
        server.join().unwrap();
    }

    fn a_foreign_executor_drives_our_connections() {
        let (client, server) = pair();
        let server = thread::spawn(move || block_on_thread(echo(&server)));
        block_on_thread(ping(&client, 200));
        // And beside a goroutine on the other end.
        client.close_write().unwrap();
        server.join().unwrap().unwrap();
        let (client, server) = pair();
        go(move || block_on(echo(&server)));
        block_on_thread(ping(&client, 200));
    }

    fn a_connection_is_read_and_written_by_one_task_at_a_time() {
        const BYTES: usize = 1 << 20;
        let (client, server) = pair();
        let other = spawn(move || {
            // Sends while it receives, so that neither side may do one after the other.
            block_on(join(send(&server, BYTES), receive(&server, BYTES)));
        });
        block_on(join(send(&client, BYTES), receive(&client, BYTES)));
        other.join().unwrap();
    }

    fn futures_of_the_two_directions_may_be_on_two_goroutines() {
        const BYTES: usize = 1 << 18;
        let (client, server) = pair();
        let (client, server) = (Arc::new(client), Arc::new(server));
        let tasks: Vec<_> = [&client, &server]
            .into_iter()
            .flat_map(|conn| {
                let (reader, writer) = (conn.clone(), conn.clone());
                [
                    spawn(move || block_on(receive(&reader, BYTES))),
                    spawn(move || block_on(send(&writer, BYTES))),
                ]
            })
            .collect();
        tasks.into_iter().for_each(|t| t.join().unwrap());
    }

    fn errors_are_those_of_the_calls_that_wait() {
        let (client, _server) = pair();
        client.set_read_deadline(after(Duration::from_millis(5))).unwrap();
        let e = block_on(read(&client, &mut [0; 8])).unwrap_err();
        assert!(is_timeout(&e) && e.kind() == ErrorKind::TimedOut, "{e}");
        assert!(e.to_string().contains("i/o timeout"), "{e}");
        let e = block_on(client.readable_async()).unwrap_err();
        assert!(is_timeout(&e), "{e}");
        client.set_read_deadline(None).unwrap();
        let client = Arc::new(client);
        let reader = {
            let client = client.clone();
            spawn(move || block_on(read(&client, &mut [0; 8])))
        };
        let waiting = {
            let client = client.clone();
            spawn(move || client.readable())
        };
        yield_now();
        client.close().unwrap();
        assert!(is_closed(&reader.join().unwrap().unwrap_err()));
        assert!(is_closed(&waiting.join().unwrap().unwrap_err()));
        assert!(is_closed(&block_on(poll_fn(|cx| client.poll_writable(cx))).unwrap_err()));
    }

    fn a_timeout_of_std_counts_for_calls_and_not_for_futures() {
        let (client, server) = pair();
        client.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        assert!(is_timeout(&client.read(&mut [0; 8]).unwrap_err()));
        let start = Instant::now();
        let late = spawn(move || {
            gopark_net::sleep(Duration::from_millis(10)); // not for ordering: longer than the timeout
            server.write_all(b"late").unwrap();
            server
        });
        assert_eq!(block_on(read(&client, &mut [0; 8])).unwrap(), 4);
        assert!(start.elapsed() >= Duration::from_millis(5));
        drop(late.join().unwrap());
    }

    fn a_read_is_given_up_for_a_timeout_and_nothing_is_lost() {
        let (client, server) = pair();
        for i in 0..20_u8 {
            let over = block_on(future::timeout(Duration::from_micros(200), read(&client, &mut [0; 8])));
            assert!(over.is_err());
            let ready = pin!(client.readable_async());
            let limit = future::sleep(Duration::from_micros(50)); // not for ordering: what it is given up for
            let over = block_on(select(ready, limit));
            assert!(matches!(over, Either::Right(_)));
            drop(over);
            server.write_all(&[i]).unwrap();
            let mut buf = [0; 8];
            let n = block_on(future::timeout(Duration::from_secs(60), read(&client, &mut buf)));
            assert_eq!((n.unwrap().unwrap(), buf[0]), (1, i));
        }
    }

    fn sleeping_futures_take_their_time_and_leave_nothing() {
        let start = Instant::now();
        block_on(future::sleep(Duration::from_millis(3))); // not for ordering: what is tested
        assert!(start.elapsed() >= Duration::from_millis(3));
        block_on(future::sleep_until(start));
        let sleeps: Vec<_> = (0..100)
            .map(|i| {
                let sleep = future::sleep(Duration::from_micros(i * 20)); // not for ordering: what is tested
                spawn(move || block_on(sleep))
            })
            .collect();
        sleeps.into_iter().for_each(|s| s.join().unwrap());
        let e = io::Error::from(block_on(future::timeout(Duration::ZERO, std::future::pending::<()>())).unwrap_err());
        assert_eq!(e.kind(), ErrorKind::TimedOut);
    }

    fn callbacks_serve_connections_without_goroutines() {
        const CONNS: usize = 50;
        let ln = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = ln.local_addr().unwrap();
        let served = Arc::new(AtomicUsize::new(0));
        let acceptor = {
            let served = served.clone();
            spawn(move || {
                for _ in 0..CONNS {
                    let (conn, _) = ln.accept().unwrap();
                    let served = served.clone();
                    Arc::new(conn).on_readable(move |conn, ready| serve(conn, ready, served));
                }
            })
        };
        let clients: Vec<_> = (0..CONNS).map(|_| TcpConn::connect(addr).unwrap()).collect();
        acceptor.join().unwrap();
        for round in 0..10_u8 {
            for client in &clients {
                client.write_all(&[round; 16]).unwrap();
            }
            for client in &clients {
                let mut buf = [0; 16];
                std::io::Read::read_exact(&mut &*client, &mut buf).unwrap();
                assert_eq!(buf, [round; 16]);
            }
        }
        drop(clients);
        until("all callbacks have seen the end", || served.load(SeqCst) == CONNS);
    }

    fn a_callback_is_told_of_a_close_a_deadline_and_the_end() {
        let (client, server) = pair();
        let client = Arc::new(client);
        let (tx, rx) = channel();
        let report = |conn: &Arc<TcpConn>| {
            let tx = tx.clone();
            conn.clone().on_readable(move |_, ready| tx.send(ready).unwrap());
        };
        // The watchdog looks after this wait: a goroutine must not wait on std's channel for long.
        let receive = || loop {
            match rx.try_recv() {
                Ok(ready) => return ready,
                Err(_) => gopark_net::sleep(Duration::from_micros(100)), // not for ordering: how often we look
            }
        };
        client.set_read_deadline(after(Duration::from_millis(2))).unwrap();
        report(&client);
        assert!(is_timeout(&receive().unwrap_err()));
        client.set_read_deadline(None).unwrap();
        report(&client);
        drop(server);
        receive().unwrap();
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
        let (other, _far) = pair();
        let other = Arc::new(other);
        report(&other);
        other.close().unwrap();
        assert!(is_closed(&receive().unwrap_err()));
        report(&other);
        assert!(is_closed(&receive().unwrap_err()));
    }
}

fn serve(conn: Arc<TcpConn>, ready: io::Result<()>, served: Arc<AtomicUsize>) {
    let mut buf = [0; 512];
    match ready.and_then(|()| conn.read(&mut buf)).unwrap() {
        0 => {
            served.fetch_add(1, SeqCst);
        }
        n => {
            conn.write_all(&buf[..n]).unwrap();
            conn.on_readable(move |conn, ready| serve(conn, ready, served));
        }
    }
}

/// Returns when `condition` holds. No sleep stands for an order: it is only how often we look.
fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}: never came true");
        gopark_net::sleep(Duration::from_micros(200)); // not for ordering: how often we look
    }
}

async fn send(conn: &TcpConn, bytes: usize) {
    let chunk = [7; 4096];
    for _ in 0..bytes / chunk.len() {
        write_all(conn, &chunk).await.unwrap();
    }
}

async fn receive(conn: &TcpConn, bytes: usize) {
    let (mut got, mut buf) = (0, [0; 1500]);
    while got < bytes {
        let n = read(conn, &mut buf).await.unwrap();
        assert!(n > 0, "the end after {got} bytes");
        got += n;
    }
}

/// A task that never has to wait lets the others of its P run now and then.
#[test]
fn a_future_that_is_always_ready_gives_way() {
    util::goroutine("gives way", || {
        let (client, server) = pair();
        let ran = Arc::new(AtomicUsize::new(0));
        let others = ran.clone();
        go(move || {
            others.fetch_add(1, SeqCst);
        });
        block_on(async {
            // Far more polls than the budget, none of them pending for want of data.
            let mut polls = 0;
            while ran.load(SeqCst) == 0 {
                server.write_all(b"x").unwrap();
                assert_eq!(read(&client, &mut [0; 1]).await.unwrap(), 1);
                polls += 1;
                assert!(polls < 100_000, "the other goroutine never ran");
            }
        });
    });
}

/// What is pending costs nothing of the budget: a task with more connections than that sleeps, and serves them all.
#[test]
fn a_future_of_many_connections_waits_and_leaves_none_out() {
    util::goroutine("many connections", || {
        let conns: Vec<_> = (0..100).map(|_| pair()).collect();
        for target in [0, 62, 63, 64, 99] {
            let late = conns[target].1.try_clone().unwrap();
            go(move || late.write_all(b"x").unwrap());
            let mut polls = 0;
            let served = block_on(poll_fn(|cx| {
                polls += 1;
                assert!(polls < 100, "it is polled and polled");
                let ready = conns.iter().map(|(conn, _)| conn.poll_readable(cx).is_ready());
                // All of them, so that each has its waker.
                let ready: Vec<_> = ready.collect();
                ready.iter().position(|&ready| ready).map_or(Poll::Pending, Poll::Ready)
            }));
            assert_eq!(served, target);
            assert_eq!(conns[target].0.read(&mut [0; 8]).unwrap(), 1);
        }
    });
}

/// No goroutine and no stack stands behind a connection that waits with a callback.
#[test]
fn a_waiting_callback_is_no_goroutine() {
    util::thread("no goroutine", || {
        let (client, _server) = pair();
        let client = Arc::new(client);
        let before = num_goroutines();
        let conns: Vec<_> = (0..20).map(|_| pair()).collect();
        for (conn, server) in conns {
            // The other end stays open for as long as the callback is there.
            Arc::new(conn).on_readable(move |_, _| drop(server));
        }
        client.clone().on_readable(|_, _| ());
        // Other tests of this process come and go.
        until("none is left", || num_goroutines() <= before + 5);
    });
}
