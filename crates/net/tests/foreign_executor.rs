//! An executor of another make on plain threads, in a process without a single goroutine: somebody polls all the same.

mod util;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use gopark_net::{future, num_goroutines};

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

#[test]
fn wakers_are_woken_without_goroutines() {
    util::thread("foreign executor", || {
        assert_eq!(num_goroutines(), 0);
        let (client, server) = util::pair();
        let reader = thread::spawn(move || {
            let mut buf = [0; 8];
            block_on_thread(poll_fn(|cx| client.poll_read(cx, &mut buf))).map(|n| buf[..n].to_vec())
        });
        block_on_thread(future::sleep(Duration::from_millis(5))); // not for ordering: so that the reader waits
        server.write_all(b"data").unwrap();
        assert_eq!(reader.join().unwrap().unwrap(), b"data");

        let (client, server) = util::pair();
        let (tx, rx) = channel();
        Arc::new(client).on_readable(move |conn, ready| {
            ready.unwrap();
            tx.send(conn.read(&mut [0; 8]).unwrap()).unwrap();
        });
        server.write_all(b"more").unwrap();
        assert_eq!(rx.recv().unwrap(), 4);
    });
}
