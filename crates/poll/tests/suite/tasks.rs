//! Futures and callbacks over real sockets.

use std::future::{Future, poll_fn};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::panic::Location;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread, ThreadId};
use std::time::{Duration, Instant};

use gopark_poll::{Error, Fd, FdKind, Mode, Sleep};
use gopark_sys::Errno;

use crate::setup;
use crate::util::*;

/// A waker that counts, and unparks the thread that made it.
struct Recorder {
    wakes: AtomicUsize,
    thread: Thread,
}

impl Recorder {
    fn new() -> Arc<Recorder> {
        Arc::new(Recorder { wakes: AtomicUsize::new(0), thread: thread::current() })
    }

    fn wakes(&self) -> usize {
        self.wakes.load(SeqCst)
    }

    /// Waits until there were `n` wakes.
    #[track_caller]
    fn until_woken(&self, n: usize) {
        until(|| self.wakes() >= n);
    }
}

impl Wake for Recorder {
    fn wake(self: Arc<Recorder>) {
        self.wakes.fetch_add(1, SeqCst);
        self.thread.unpark();
    }
}

/// Polls once with `recorder`.
fn poll_once<T>(recorder: &Arc<Recorder>, f: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    let waker = Waker::from(recorder.clone());
    f(&mut Context::from_waker(&waker))
}

/// Runs a future on this thread.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let recorder = Recorder::new();
    let mut seen = 0;
    loop {
        if let Poll::Ready(output) = poll_once(&recorder, |cx| future.as_mut().poll(cx)) {
            return output;
        }
        while recorder.wakes() == seen {
            thread::park();
        }
        seen = recorder.wakes();
    }
}

/// How many wakers of `recorder` there are.
fn wakers(recorder: &Arc<Recorder>) -> usize {
    Arc::strong_count(recorder) - 1
}

#[test]
fn a_read_is_pending_until_there_is_data() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let mut buf = [0; 8];
        for round in 0..50_u8 {
            let recorder = Recorder::new();
            assert!(poll_once(&recorder, |cx| a.poll_read(cx, &mut buf)).is_pending());
            assert_eq!((recorder.wakes(), wakers(&recorder)), (0, 1));
            far.write_all(&[round]).unwrap();
            recorder.until_woken(1);
            until(|| wakers(&recorder) == 0);
            assert_eq!(poll_once(&recorder, |cx| a.poll_read(cx, &mut buf)), Poll::Ready(Ok(1)));
            assert_eq!((buf[0], recorder.wakes(), wakers(&recorder)), (round, 1, 0));
        }
        far.write_all(b"last").unwrap();
        drop(far);
        assert_eq!(block_on(poll_fn(|cx| a.poll_read(cx, &mut buf))), Ok(4));
        assert_eq!(block_on(poll_fn(|cx| a.poll_read(cx, &mut buf))), Ok(0));
        assert_eq!(block_on(poll_fn(|cx| a.poll_read(cx, &mut []))), Ok(0));
    });
}

#[test]
fn a_write_is_pending_until_there_is_room() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let filled = fill(&a);
        let recorder = Recorder::new();
        assert!(poll_once(&recorder, |cx| a.poll_write(cx, b"x")).is_pending());
        assert!(poll_once(&recorder, |cx| a.poll_write_ready(cx)).is_pending());
        let drain = thread::spawn(move || {
            let mut sink = vec![0; filled];
            far.read_exact(&mut sink).unwrap();
            far
        });
        recorder.until_woken(1);
        assert_eq!(block_on(poll_fn(|cx| a.poll_write_ready(cx))), Ok(()));
        assert_eq!(block_on(poll_fn(|cx| a.poll_write(cx, b"x"))), Ok(1));
        let bufs = [std::io::IoSlice::new(b""), std::io::IoSlice::new(b"y"), std::io::IoSlice::new(b"z")];
        assert_eq!(block_on(poll_fn(|cx| a.poll_write_vectored(cx, &bufs))), Ok(2));
        let mut far = drain.join().unwrap();
        let mut last = [0; 3];
        far.read_exact(&mut last).unwrap();
        assert_eq!(&last, b"xyz");
    });
}

#[test]
fn accept_is_pending_until_somebody_connects() {
    setup();
    bounded(|| {
        let (ln, addr) = listener();
        let recorder = Recorder::new();
        assert!(poll_once(&recorder, |cx| ln.poll_accept(cx)).is_pending());
        let near = TcpStream::connect(addr).unwrap();
        recorder.until_woken(1);
        let (_fd, peer) = block_on(poll_fn(|cx| ln.poll_accept(cx))).unwrap();
        assert_eq!(peer, near.local_addr().unwrap());
    });
}

#[test]
fn each_direction_has_a_task_of_its_own() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let filled = fill(&a);
        let (reader, writer) = (Recorder::new(), Recorder::new());
        let mut buf = [0; 8];
        assert!(poll_once(&reader, |cx| a.poll_read(cx, &mut buf)).is_pending());
        assert!(poll_once(&writer, |cx| a.poll_write(cx, b"x")).is_pending());
        far.write_all(b"ping").unwrap();
        reader.until_woken(1);
        assert_eq!(poll_once(&reader, |cx| a.poll_read(cx, &mut buf)), Poll::Ready(Ok(4)));
        // (The event may have reported room as well: some kernels' do, of a socket half full.)
        let mut sink = vec![0; filled];
        far.read_exact(&mut sink).unwrap();
        writer.until_woken(1);
        assert_eq!(block_on(poll_fn(|cx| a.poll_write(cx, b"x"))), Ok(1));
    });
}

#[test]
fn the_last_waker_counts() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let (first, second) = (Recorder::new(), Recorder::new());
        let mut buf = [0; 8];
        assert!(poll_once(&first, |cx| a.poll_read(cx, &mut buf)).is_pending());
        assert!(poll_once(&first, |cx| a.poll_read_ready(cx)).is_pending());
        assert_eq!(wakers(&first), 1);
        // The same task with another waker, or another task: it goes without a word, as a task that gets a new waker
        // for each poll would never stop otherwise.
        assert!(poll_once(&second, |cx| a.poll_read(cx, &mut buf)).is_pending());
        assert_eq!((wakers(&first), wakers(&second)), (0, 1));
        far.write_all(b"x").unwrap();
        second.until_woken(1);
        assert_eq!(poll_once(&second, |cx| a.poll_read(cx, &mut buf)), Poll::Ready(Ok(1)));
        assert_eq!((first.wakes(), second.wakes()), (0, 1));
    });
}

#[test]
fn a_future_whose_place_is_taken_is_woken_and_comes_back() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let (first, second, third) = (Recorder::new(), Recorder::new(), Recorder::new());
        let mut one = a.ready(Mode::Read);
        let mut two = a.ready(Mode::Read);
        assert!(poll_once(&first, |cx| Pin::new(&mut one).poll(cx)).is_pending());
        // The same future with another waker.
        assert!(poll_once(&second, |cx| Pin::new(&mut one).poll(cx)).is_pending());
        assert_eq!((first.wakes(), wakers(&first), second.wakes()), (0, 0, 0));
        assert!(poll_once(&third, |cx| Pin::new(&mut two).poll(cx)).is_pending());
        second.until_woken(1);
        assert!(poll_once(&second, |cx| Pin::new(&mut one).poll(cx)).is_pending());
        third.until_woken(1);
        drop(two);
        far.write_all(b"x").unwrap();
        second.until_woken(2);
        assert_eq!(poll_once(&second, |cx| Pin::new(&mut one).poll(cx)), Poll::Ready(Ok(())));
    });
}

#[test]
fn close_wakes_a_task_with_the_closed_error_and_leaves_no_waker() {
    setup();
    bounded(|| {
        for round in 0..20 {
            let (a, _far) = half_pair();
            fill(&a);
            let (reader, writer) = (Recorder::new(), Recorder::new());
            let mut buf = [0; 8];
            assert!(poll_once(&reader, |cx| a.poll_read(cx, &mut buf)).is_pending());
            assert!(poll_once(&writer, |cx| a.poll_write(cx, b"x")).is_pending());
            if round % 2 == 0 {
                a.close().unwrap();
                reader.until_woken(1);
                writer.until_woken(1);
                let closed = Poll::Ready(Err(Error::NetClosing));
                assert_eq!(poll_once(&reader, |cx| a.poll_read(cx, &mut buf)), closed);
                assert_eq!(poll_once(&writer, |cx| a.poll_write(cx, b"x")), closed);
                assert_eq!(poll_once(&reader, |cx| a.poll_read(cx, &mut [])), closed);
            } else {
                drop(a);
            }
            until(|| wakers(&reader) + wakers(&writer) == 0);
        }
    });
}

#[test]
fn a_deadline_wakes_a_task_with_the_timeout() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let recorder = Recorder::new();
        let mut buf = [0; 8];
        assert!(poll_once(&recorder, |cx| a.poll_read(cx, &mut buf)).is_pending());
        a.set_read_deadline(after(Duration::from_millis(5))).unwrap();
        recorder.until_woken(1);
        let expired = Poll::Ready(Err(Error::DeadlineExceeded));
        assert_eq!(poll_once(&recorder, |cx| a.poll_read(cx, &mut buf)), expired);
        far.write_all(b"x").unwrap();
        assert_eq!(poll_once(&recorder, |cx| a.poll_read(cx, &mut buf)), expired, "even with data ready");
        until(|| wakers(&recorder) == 0);
        // Moved later it goes on, and past at once.
        a.set_read_deadline(after(LONG)).unwrap();
        assert_eq!(block_on(poll_fn(|cx| a.poll_read(cx, &mut buf))), Ok(1));
        let recorder = Recorder::new();
        assert!(poll_once(&recorder, |cx| a.poll_read(cx, &mut buf)).is_pending());
        a.set_read_deadline(past()).unwrap();
        recorder.until_woken(1);
        assert_eq!(poll_once(&recorder, |cx| a.poll_read(cx, &mut buf)), expired);
        // The other direction has its own.
        assert_eq!(block_on(poll_fn(|cx| a.poll_write(cx, b"y"))), Ok(1));
    });
}

#[test]
fn a_future_that_is_dropped_takes_its_waker_along() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let recorder = Recorder::new();
        for mode in [Mode::Read, Mode::Write] {
            if mode == Mode::Write {
                fill(&a);
            }
            for _ in 0..10 {
                let mut ready = a.ready(mode);
                assert!(poll_once(&recorder, |cx| Pin::new(&mut ready).poll(cx)).is_pending());
                assert!(poll_once(&recorder, |cx| Pin::new(&mut ready).poll(cx)).is_pending());
                assert_eq!(wakers(&recorder), 1);
                drop(ready);
                assert_eq!((recorder.wakes(), wakers(&recorder)), (0, 0));
            }
        }
        // Nobody is woken, and nothing is lost, when the event comes.
        far.write_all(b"x").unwrap();
        assert_eq!(block_on(a.ready(Mode::Read)), Ok(()));
        assert_eq!(recorder.wakes(), 0);
        assert_eq!(a.read(&mut [0; 8]), Ok(1));
        // One that ended in an error has none either.
        let mut ready = a.ready(Mode::Read);
        assert!(poll_once(&recorder, |cx| Pin::new(&mut ready).poll(cx)).is_pending());
        a.set_read_deadline(past()).unwrap();
        recorder.until_woken(1);
        let expired = Poll::Ready(Err(Error::DeadlineExceeded));
        assert_eq!(poll_once(&recorder, |cx| Pin::new(&mut ready).poll(cx)), expired);
        until(|| wakers(&recorder) == 0);
    });
}

#[test]
fn two_futures_with_one_waker_do_not_take_it_from_each_other() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let recorder = Recorder::new();
        let mut first = a.ready(Mode::Read);
        let mut second = a.ready(Mode::Read);
        assert!(poll_once(&recorder, |cx| Pin::new(&mut first).poll(cx)).is_pending());
        assert!(poll_once(&recorder, |cx| Pin::new(&mut second).poll(cx)).is_pending());
        drop(second);
        far.write_all(b"x").unwrap();
        recorder.until_woken(1);
        assert_eq!(poll_once(&recorder, |cx| Pin::new(&mut first).poll(cx)), Poll::Ready(Ok(())));
    });
}

#[test]
fn a_task_waits_for_a_goroutine_that_reads() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let a = Arc::new(a);
        let reader = {
            let a = a.clone();
            thread::spawn(move || {
                let mut buf = [0; 8];
                a.read(&mut buf).map(|n| buf[..n].to_vec())
            })
        };
        until_parked(&a, Mode::Read);
        let recorder = Recorder::new();
        let mut buf = [0; 8];
        assert!(poll_once(&recorder, |cx| a.poll_read(cx, &mut buf)).is_pending());
        assert_eq!(wakers(&recorder), 1);
        far.write_all(b"first").unwrap();
        assert_eq!(reader.join().unwrap(), Ok(b"first".to_vec()));
        recorder.until_woken(1);
        assert!(poll_once(&recorder, |cx| a.poll_read(cx, &mut buf)).is_pending());
        far.write_all(b"second").unwrap();
        assert_eq!(block_on(poll_fn(|cx| a.poll_read(cx, &mut buf))), Ok(6));

        // Closed while it waits for the lock.
        let reader = {
            let a = a.clone();
            thread::spawn(move || a.read(&mut [0; 8]))
        };
        until_parked(&a, Mode::Read);
        let recorder = Recorder::new();
        assert!(poll_once(&recorder, |cx| a.poll_read_ready(cx)).is_pending());
        a.close().unwrap();
        assert_eq!(reader.join().unwrap(), Err(Error::NetClosing));
        recorder.until_woken(1);
        until(|| wakers(&recorder) == 0);
    });
}

#[test]
fn a_goroutine_takes_the_place_of_a_task_that_waits() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let a = Arc::new(a);
        let recorder = Recorder::new();
        let mut buf = [0; 8];
        assert!(poll_once(&recorder, |cx| a.poll_read(cx, &mut buf)).is_pending());
        let reader = {
            let a = a.clone();
            thread::spawn(move || {
                let mut buf = [0; 8];
                a.read(&mut buf).map(|n| buf[..n].to_vec())
            })
        };
        // Told to look again, since its place is taken.
        recorder.until_woken(1);
        let mut seen = recorder.wakes();
        while poll_once(&recorder, |cx| a.poll_read(cx, &mut buf)).is_pending() {
            if seen == 1 {
                far.write_all(b"goroutine").unwrap();
            } else {
                let _ = far.write_all(b"task");
            }
            until(|| recorder.wakes() > seen);
            seen = recorder.wakes();
        }
        assert!(!reader.join().unwrap().unwrap().is_empty());
    });
}

#[test]
fn tasks_and_goroutines_that_read_one_connection_lose_nothing() {
    const BYTES: usize = 20_000;
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let a = Arc::new(a);
        let got = Arc::new(AtomicUsize::new(0));
        let readers: Vec<_> = (0..4)
            .map(|i| {
                let (a, got) = (a.clone(), got.clone());
                thread::spawn(move || {
                    let mut buf = [0; 64];
                    loop {
                        let n = if i % 2 == 0 {
                            a.read(&mut buf).unwrap()
                        } else {
                            block_on(a.ready(Mode::Read)).unwrap();
                            match a.try_read(&mut buf) {
                                Err(Error::Errno(Errno::EAGAIN)) => continue,
                                n => n.unwrap(),
                            }
                        };
                        if n == 0 {
                            return;
                        }
                        got.fetch_add(n, SeqCst);
                    }
                })
            })
            .collect();
        for i in 0..BYTES / 10 {
            far.write_all(&[i as u8; 10]).unwrap();
            if i % 64 == 0 {
                thread::yield_now();
            }
        }
        drop(far);
        readers.into_iter().for_each(|r| r.join().unwrap());
        assert_eq!(got.load(SeqCst), BYTES);
    });
}

/// What it does when it is woken is up to the test.
struct Custom<F: Fn() + Send + Sync>(F);

impl<F: Fn() + Send + Sync> Wake for Custom<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

#[test]
fn a_waker_may_use_the_connection_block_and_panic() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let a = Arc::new(a);
        let (tx, rx) = channel();
        let (conn, tx) = (a.clone(), Mutex::new(tx));
        let waker = Waker::from(Arc::new(Custom(move || {
            let mut buf = [0; 8];
            // On the thread that wakes: nothing is locked, and it is not the poller's.
            let n = conn.read(&mut buf).unwrap();
            tx.lock().unwrap().send(buf[..n].to_vec()).unwrap();
            let more = conn.read(&mut buf).unwrap();
            tx.lock().unwrap().send(buf[..more].to_vec()).unwrap();
            std::panic::resume_unwind(Box::new("a waker's own"));
        })));
        assert!(a.poll_read_ready(&mut Context::from_waker(&waker)).is_pending());
        far.write_all(b"one").unwrap();
        assert_eq!(rx.recv_timeout(LONG).unwrap(), b"one");
        far.write_all(b"two").unwrap();
        assert_eq!(rx.recv_timeout(LONG).unwrap(), b"two");
        // Others are woken as before.
        far.write_all(b"three").unwrap();
        assert_eq!(block_on(poll_fn(|cx| a.poll_read(cx, &mut [0; 8]))), Ok(5));
    });
}

#[test]
fn without_a_poller_nothing_is_pending() {
    setup();
    let (near, _far) = std_pair();
    near.set_nonblocking(true).unwrap();
    let fd = Fd::new(near.into(), FdKind::TCP);
    let recorder = Recorder::new();
    let again = Poll::Ready(Err(Error::Errno(Errno::EAGAIN)));
    assert_eq!(poll_once(&recorder, |cx| fd.poll_read(cx, &mut [0; 8])), again);
    assert_eq!(wakers(&recorder), 0);
}

#[test]
fn a_slot_is_used_again_without_the_tasks_of_its_last_user() {
    setup();
    bounded(|| {
        for _ in 0..200 {
            let (a, far) = half_pair();
            let old = Recorder::new();
            assert!(poll_once(&old, |cx| a.poll_read_ready(cx)).is_pending());
            drop((a, far));
            let (b, mut far) = half_pair();
            let new = Recorder::new();
            let mut buf = [0; 8];
            let polled = poll_once(&new, |cx| b.poll_read(cx, &mut buf));
            assert!(polled.is_pending());
            far.write_all(b"x").unwrap();
            new.until_woken(1);
            assert_eq!(block_on(poll_fn(|cx| b.poll_read(cx, &mut buf))), Ok(1));
            until(|| wakers(&old) == 0);
        }
    });
}

// --- callbacks ---

type Called = (ThreadId, Arc<Fd>, Result<(), Error>);

/// Leaves a callback on `fd` that reports.
fn report(fd: &Arc<Fd>) -> Receiver<Called> {
    let (tx, rx) = channel();
    Fd::on_readable(
        fd.clone(),
        |fd| fd,
        Location::caller(),
        move |fd, result| {
            tx.send((thread::current().id(), fd, result)).unwrap();
        },
    );
    rx
}

#[test]
fn a_callback_runs_when_there_is_data_and_on_a_goroutine_of_its_own() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let a = Arc::new(a);
        for _ in 0..20 {
            let rx = report(&a);
            assert!(a.is_parked(Mode::Read) && rx.try_recv().is_err());
            far.write_all(b"x").unwrap();
            let (thread, fd, result) = rx.recv_timeout(LONG).unwrap();
            assert_ne!(thread, thread::current().id());
            assert_eq!(result, Ok(()));
            assert!(Arc::ptr_eq(&fd, &a));
            // With data there already it is not run here either.
            let rx = report(&a);
            let (thread, _, result) = rx.recv_timeout(LONG).unwrap();
            assert_ne!(thread, thread::current().id());
            assert_eq!(result, Ok(()));
            assert_eq!(a.read(&mut [0; 8]), Ok(1));
        }
        let rx = report(&a);
        drop(far);
        assert_eq!(rx.recv_timeout(LONG).unwrap().2, Ok(()), "the end can be read");
        assert_eq!(a.read(&mut [0; 8]), Ok(0));
    });
}

#[test]
fn a_callback_is_told_of_a_close_and_of_a_deadline() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let a = Arc::new(a);
        let rx = report(&a);
        a.set_read_deadline(after(Duration::from_millis(5))).unwrap();
        assert_eq!(rx.recv_timeout(LONG).unwrap().2, Err(Error::DeadlineExceeded));
        assert_eq!(report(&a).recv_timeout(LONG).unwrap().2, Err(Error::DeadlineExceeded));
        a.set_read_deadline(None).unwrap();
        // A short read first, so that the hint is in force: then it is not asked again before an event.
        far.write_all(b"x").unwrap();
        assert_eq!(a.read(&mut [0; 8]), Ok(1));
        let rx = report(&a);
        assert!(rx.try_recv().is_err());
        // Close waits for the callback to let go of the descriptor.
        a.close().unwrap();
        assert_eq!(rx.recv_timeout(LONG).unwrap().2, Err(Error::NetClosing));
        assert_eq!(report(&a).recv_timeout(LONG).unwrap().2, Err(Error::NetClosing));
        until(|| Arc::strong_count(&a) == 1);
    });
}

#[test]
fn a_second_reader_queues_behind_a_callback() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let a = Arc::new(a);
        let (tx, rx) = channel();
        let seen = a.clone();
        Fd::on_readable(
            seen,
            |fd| fd,
            Location::caller(),
            move |fd, result| {
                result.unwrap();
                tx.send(fd.try_read(&mut [0; 1])).unwrap();
            },
        );
        let recorder = Recorder::new();
        assert_eq!(a.try_read(&mut [0; 8]), Err(Error::Errno(Errno::EAGAIN)));
        assert!(poll_once(&recorder, |cx| a.poll_read(cx, &mut [0; 8])).is_pending());
        let second = {
            let a = a.clone();
            thread::spawn(move || a.read(&mut [0; 1]))
        };
        // The other direction is free.
        assert_eq!(a.write_all(b"out"), Ok(3));
        far.write_all(b"xy").unwrap();
        assert_eq!(second.join().unwrap(), Ok(1));
        let first = rx.recv_timeout(LONG).unwrap();
        assert!(matches!(first, Ok(1) | Err(Error::Errno(Errno::EAGAIN))), "{first:?}");
        recorder.until_woken(1);
    });
}

#[test]
fn a_callback_that_takes_the_place_of_a_future_tells_it() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let a = Arc::new(a);
        let recorder = Recorder::new();
        let mut future = pin!(a.ready(Mode::Read));
        assert!(poll_once(&recorder, |cx| future.as_mut().poll(cx)).is_pending());
        // Which reads nothing when it is called.
        let rx = report(&a);
        recorder.until_woken(1);
        assert!(
            poll_once(&recorder, |cx| future.as_mut().poll(cx)).is_pending(),
            "it queues behind the callback"
        );
        far.write_all(b"x").unwrap();
        assert_eq!(rx.recv_timeout(LONG).unwrap().2, Ok(()));
        recorder.until_woken(2);
        assert_eq!(poll_once(&recorder, |cx| future.as_mut().poll(cx)), Poll::Ready(Ok(())));
    });
}

#[test]
fn a_callback_goes_on_waiting_when_it_was_called_for_nothing() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let a = Arc::new(a);
        let rx = report(&a);
        for _ in 0..50 {
            // Called by the deadline, which is withdrawn before it looks, or told of it.
            a.set_read_deadline(past()).unwrap();
            a.set_read_deadline(None).unwrap();
            if let Ok((_, _, result)) = rx.try_recv() {
                assert_eq!(result, Err(Error::DeadlineExceeded));
                return;
            }
        }
        far.write_all(b"x").unwrap();
        let result = rx.recv_timeout(LONG).unwrap().2;
        assert!(matches!(result, Ok(()) | Err(Error::DeadlineExceeded)), "{result:?}");
    });
}

/// A connection that runs something when a callback is about to wait for it.
struct Hooked {
    fd: Fd,
    asked: AtomicUsize,
    about_to_wait: Box<dyn Fn() + Send + Sync>,
}

impl Hooked {
    fn fd(&self) -> &Fd {
        // Once to look, once to wait.
        if self.asked.fetch_add(1, SeqCst) == 1 {
            (self.about_to_wait)();
        }
        &self.fd
    }
}

#[test]
fn an_event_between_the_look_and_the_wait_of_a_callback_is_not_lost() {
    setup();
    bounded(|| {
        for _ in 0..20 {
            let (fd, far) = half_pair();
            let (other, other_far) = half_pair();
            // So that its next read needs an event, which comes after that of `fd`.
            (&other_far).write_all(b"x").unwrap();
            assert_eq!(other.read(&mut [0; 8]), Ok(1));
            let about_to_wait = Box::new(move || {
                (&far).write_all(b"x").unwrap();
                (&other_far).write_all(b"x").unwrap();
                assert_eq!(other.read(&mut [0; 8]), Ok(1));
            });
            let (tx, rx) = channel();
            let owner = Hooked { fd, asked: AtomicUsize::new(0), about_to_wait };
            Fd::on_readable(owner, Hooked::fd, Location::caller(), move |owner, result| {
                tx.send((result, owner.fd.try_read(&mut [0; 8]))).unwrap();
            });
            assert_eq!(rx.recv_timeout(LONG).unwrap(), (Ok(()), Ok(1)));
        }
    });
}

#[test]
fn a_callback_may_own_its_connection() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let (tx, rx) = channel();
        Fd::on_readable(
            a,
            |fd| fd,
            Location::caller(),
            move |fd, result| {
                result.unwrap();
                let mut buf = [0; 8];
                let n = fd.read(&mut buf).unwrap();
                fd.write_all(&buf[..n]).unwrap();
                tx.send(()).unwrap();
            },
        );
        far.write_all(b"echo").unwrap();
        let mut buf = [0; 4];
        far.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"echo");
        rx.recv_timeout(LONG).unwrap();
        assert_eq!(far.read(&mut buf).unwrap(), 0, "closed with the end of the callback");
    });
}

// --- sleeping ---

#[test]
fn a_sleep_is_over_when_its_time_has_come() {
    setup();
    bounded(|| {
        for d in [Duration::ZERO, Duration::from_micros(300), Duration::from_millis(5)] {
            let start = Instant::now();
            block_on(Sleep::until(start + d));
            assert!(start.elapsed() >= d);
        }
        let mut sleep = Sleep::until(Instant::now());
        block_on(&mut sleep);
        let start = Instant::now();
        sleep.reset(start + Duration::from_millis(2));
        block_on(&mut sleep);
        assert!(start.elapsed() >= Duration::from_millis(2));
    });
}

#[test]
fn a_sleep_wakes_the_last_waker_and_takes_it_along_when_dropped() {
    setup();
    bounded(|| {
        let (first, second) = (Recorder::new(), Recorder::new());
        let mut sleep = Sleep::until(Instant::now() + Duration::from_millis(20));
        assert!(poll_once(&first, |cx| Pin::new(&mut sleep).poll(cx)).is_pending());
        assert!(poll_once(&second, |cx| Pin::new(&mut sleep).poll(cx)).is_pending());
        assert_eq!((wakers(&first), wakers(&second)), (0, 1));
        second.until_woken(1);
        assert_eq!(poll_once(&second, |cx| Pin::new(&mut sleep).poll(cx)), Poll::Ready(()));
        assert_eq!(first.wakes(), 0);
        for _ in 0..100 {
            let recorder = Recorder::new();
            let mut sleep = Sleep::until(Instant::now() + LONG);
            assert!(poll_once(&recorder, |cx| Pin::new(&mut sleep).poll(cx)).is_pending());
            assert_eq!(wakers(&recorder), 1);
            drop(sleep);
            assert_eq!((recorder.wakes(), wakers(&recorder)), (0, 0));
        }
    });
}
