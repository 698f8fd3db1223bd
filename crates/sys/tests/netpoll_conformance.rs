//! The contract of a poller (`gopark_sys::netpoll`), run over each backend; over the scripted fake what it can keep.
//!
//! A new backend goes into one line at the end.
#![allow(unsafe_code)]

mod util;

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use gopark_sys::Errno;
use gopark_sys::netpoll::{Backend, Event, Events, Readiness, Token};
use util::{bounded, tcp_pair};

/// Long enough for what must happen.
const SOON: Duration = Duration::from_secs(5);
/// Long enough to believe that nothing happens.
const QUIET: Duration = Duration::from_millis(10);

const TOKEN: Token = Token::new(7, 3);

/// A backend and a list for its events.
struct Rig {
    backend: Backend,
    events: Events,
}

impl Rig {
    fn new(backend: Backend) -> Rig {
        Rig { backend, events: Events::with_capacity(64) }
    }

    fn open(&self, fd: &impl AsFd, token: Token) {
        self.backend.registrar.open(fd.as_fd(), token).unwrap();
    }

    fn close(&self, fd: &impl AsFd) {
        self.backend.registrar.close(fd.as_fd()).unwrap();
    }

    /// One poll.
    fn poll(&mut self, delay: Option<Duration>) -> Vec<Event> {
        self.backend.selector.poll(delay, &mut self.events).unwrap();
        assert!(self.events.len() <= self.events.capacity());
        self.events.iter().copied().collect()
    }

    /// Polls until `token` was reported with all of `wanted`, over several events if need be.
    fn expect(&mut self, token: Token, wanted: Readiness) -> Readiness {
        let end = Instant::now() + SOON;
        let mut seen = Readiness::NONE;
        while !seen.contains(wanted) {
            assert!(Instant::now() < end, "{token:?}: {wanted:?} wanted, {seen:?} seen");
            for event in self.poll(Some(QUIET)) {
                assert_eq!(event.token, token);
                seen = seen.union(event.ready);
            }
        }
        seen
    }

    /// Polls, and finds nothing.
    fn expect_nothing(&mut self) {
        assert_eq!(self.poll(Some(QUIET)), []);
    }
}

/// A registered connection whose first edge, that of writing, is over; and its peer.
fn registered(rig: &mut Rig) -> (TcpStream, TcpStream) {
    let (conn, peer) = tcp_pair();
    rig.open(&conn, TOKEN);
    rig.expect(TOKEN, Readiness::WRITABLE);
    (conn, peer)
}

fn what_is_ready_at_registration_is_reported(backend: Backend) {
    let mut rig = Rig::new(backend);
    let (conn, mut peer) = tcp_pair();
    peer.write_all(b"x").unwrap();
    let end = Instant::now() + SOON;
    while conn.peek(&mut [0]).is_err() {
        assert!(Instant::now() < end, "the byte never came");
    }
    rig.open(&conn, TOKEN);
    let seen = rig.expect(TOKEN, Readiness::READABLE.union(Readiness::WRITABLE));
    assert!(seen.reader() && seen.writer() && !seen.spoils_hint(), "{seen:?}");
}

fn an_edge_is_reported_once(backend: Backend) {
    let mut rig = Rig::new(backend);
    let (conn, mut peer) = registered(&mut rig);
    rig.expect_nothing();
    for _ in 0..3 {
        // A byte more is a new edge, whether the last one was read or not.
        peer.write_all(b"x").unwrap();
        let seen = rig.expect(TOKEN, Readiness::READABLE);
        assert!(!seen.spoils_hint(), "{seen:?}");
        rig.expect_nothing();
    }
    drop(conn);
}

fn room_to_write_is_a_new_edge(backend: Backend) {
    let mut rig = Rig::new(backend);
    let (mut conn, mut peer) = registered(&mut rig);
    let full = [0; 1 << 16];
    while conn.write(&full).is_ok() {}
    while rig.poll(Some(Duration::ZERO)).iter().any(|event| event.ready.writer()) {
        while conn.write(&full).is_ok() {}
    }
    let mut sink = vec![0; 1 << 20];
    let mut seen = Readiness::NONE;
    let end = Instant::now() + SOON;
    while !seen.contains(Readiness::WRITABLE) {
        assert!(Instant::now() < end, "no room although the peer reads");
        while peer.read(&mut sink).is_ok() {}
        for event in rig.poll(Some(QUIET)) {
            seen = seen.union(event.ready);
        }
    }
}

fn the_end_of_the_peers_data_closes_reading_alone(backend: Backend) {
    let mut rig = Rig::new(backend);
    let (_conn, peer) = registered(&mut rig);
    peer.shutdown(Shutdown::Write).unwrap();
    let seen = rig.expect(TOKEN, Readiness::READ_CLOSED);
    assert!(seen.reader() && seen.spoils_hint(), "{seen:?}");
    assert!(!seen.intersects(Readiness::WRITE_CLOSED.union(Readiness::ERROR)), "{seen:?}");
}

fn a_hang_up_closes_both_directions(backend: Backend) {
    let mut rig = Rig::new(backend);
    let (conn, peer) = UnixStream::pair().unwrap();
    rig.open(&conn, TOKEN);
    rig.expect(TOKEN, Readiness::WRITABLE);
    drop(peer);
    let seen = rig.expect(TOKEN, Readiness::READ_CLOSED.union(Readiness::WRITE_CLOSED));
    assert!(seen.reader() && seen.writer() && seen.spoils_hint(), "{seen:?}");
}

fn a_reset_is_an_error_for_both_directions(backend: Backend) {
    let mut rig = Rig::new(backend);
    let (_conn, peer) = registered(&mut rig);
    socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
    let seen = rig.expect(TOKEN, Readiness::ERROR);
    assert!(seen.reader() && seen.writer() && seen.spoils_hint(), "{seen:?}");
    // A read or write tells better what happened.
    assert!(!seen.only_error(), "{seen:?}");
}

#[cfg(target_os = "linux")]
fn an_error_may_come_alone(backend: Backend) {
    let mut rig = Rig::new(backend);
    let (reader, mut writer) = std::io::pipe().unwrap();
    gopark_sys::SysFd::new(writer.try_clone().unwrap().into()).set_nonblocking(true).unwrap();
    // A full pipe whose reader is gone is not ready for anything else.
    while writer.write(&[0; 4096]).is_ok() {}
    rig.open(&writer, TOKEN);
    rig.expect_nothing();
    drop(reader);
    let seen = rig.expect(TOKEN, Readiness::ERROR);
    assert!(seen.only_error() && seen.writer() && seen.spoils_hint(), "{seen:?}");
}

#[cfg(target_os = "linux")]
fn a_write_end_without_a_reader_is_closed(backend: Backend) {
    let mut rig = Rig::new(backend);
    let (reader, writer) = std::io::pipe().unwrap();
    rig.open(&writer, TOKEN);
    rig.expect(TOKEN, Readiness::WRITABLE);
    drop(reader);
    let seen = rig.expect(TOKEN, Readiness::ERROR.union(Readiness::WRITE_CLOSED));
    assert!(seen.contains(Readiness::WRITABLE) && !seen.only_error(), "{seen:?}");
}

#[cfg(target_os = "linux")]
fn an_urgent_byte_is_priority(backend: Backend) {
    let mut rig = Rig::new(backend);
    let (_conn, peer) = registered(&mut rig);
    socket2::SockRef::from(&peer).send_out_of_band(b"!").unwrap();
    let seen = rig.expect(TOKEN, Readiness::PRIORITY);
    assert!(seen.reader() && seen.spoils_hint(), "{seen:?}");
}

fn a_wake_ends_a_poll_without_limit(backend: Backend) {
    let mut rig = Rig::new(backend);
    let registrar = Arc::clone(&rig.backend.registrar);
    let waker = std::thread::spawn(move || registrar.wake().unwrap());
    // Whether the wake comes before the poll or into it.
    let events = rig.poll(None);
    assert_eq!(events.iter().map(|event| event.token).collect::<Vec<_>>(), [Token::WAKER]);
    assert!(events[0].token.is_waker());
    waker.join().unwrap();
}

fn a_poll_without_delay_may_swallow_a_wake(backend: Backend) {
    let mut rig = Rig::new(backend);
    rig.backend.registrar.wake().unwrap();
    // The event is in one poll only, whichever comes first: who relies on wakes keeps a flag.
    assert_eq!(rig.poll(Some(Duration::ZERO)).len(), 1);
    rig.expect_nothing();
    rig.backend.registrar.wake().unwrap();
    assert_eq!(rig.poll(None).len(), 1);
}

fn many_wakes_become_one_event(backend: Backend) {
    let mut rig = Rig::new(backend);
    for _ in 0..1000 {
        rig.backend.registrar.wake().unwrap();
    }
    assert_eq!(rig.poll(Some(SOON)).len(), 1);
    rig.expect_nothing();
}

fn a_delay_of_zero_returns_at_once(backend: Backend) {
    let mut rig = Rig::new(backend);
    let start = Instant::now();
    for _ in 0..100 {
        assert_eq!(rig.poll(Some(Duration::ZERO)), []);
    }
    assert!(start.elapsed() < Duration::from_secs(1));
}

fn a_delay_is_neither_cut_short_nor_rounded_up(backend: Backend) {
    let mut rig = Rig::new(backend);
    let poll = |rig: &mut Rig, us| {
        let (delay, start) = (Duration::from_micros(us), Instant::now());
        assert_eq!(rig.poll(Some(delay)), []);
        let took = start.elapsed();
        assert!(took >= delay, "{delay:?} asked for, {took:?} waited");
        took
    };
    // The machine may be busy: once in twenty is proof that nothing rounds up to a millisecond.
    assert!((0..20).any(|_| poll(&mut rig, 200) < Duration::from_micros(900)));
    for us in [1, 999, 1_000, 1_500, 3_000] {
        poll(&mut rig, us);
    }
}

fn a_short_delay_that_an_event_ended_leaves_nothing_behind(backend: Backend) {
    let mut rig = Rig::new(backend);
    for _ in 0..20 {
        rig.backend.registrar.wake().unwrap();
        assert_eq!(rig.poll(Some(Duration::from_micros(50))).len(), 1);
        // The timer that the short delay armed must not end this one.
        let start = Instant::now();
        assert_eq!(rig.poll(Some(Duration::from_millis(2))), []);
        assert!(start.elapsed() >= Duration::from_millis(2));
    }
}

fn a_longest_delay_is_not_an_error(backend: Backend) {
    let mut rig = Rig::new(backend);
    for delay in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_millis(u64::MAX)] {
        rig.backend.registrar.wake().unwrap();
        assert_eq!(rig.poll(Some(delay)).len(), 1);
    }
}

fn what_does_not_fit_comes_with_the_next_poll(backend: Backend) {
    let mut rig = Rig::new(backend);
    let pairs: Vec<_> = (0..10).map(|_| UnixStream::pair().unwrap()).collect();
    for (i, (conn, _)) in pairs.iter().enumerate() {
        rig.open(conn, Token::new(i as u32, 0));
    }
    for capacity in [3, 1, 64] {
        rig.events = Events::with_capacity(capacity);
        for (_, peer) in &pairs {
            (&mut &*peer).write_all(b"x").unwrap();
        }
        let mut seen = HashSet::new();
        let mut polls = 0;
        while seen.len() < pairs.len() {
            let events = rig.poll(Some(SOON));
            assert!(!events.is_empty() && events.len() <= capacity, "{events:?}");
            seen.extend(events.iter().map(|event| event.token));
            polls += 1;
        }
        assert!(polls >= pairs.len().div_ceil(capacity));
        while !rig.poll(Some(Duration::ZERO)).is_empty() {}
    }
    // Room for more again after a poll with little: all in one call.
    pairs.iter().for_each(|(_, peer)| (&mut &*peer).write_all(b"x").unwrap());
    assert_eq!(rig.poll(Some(SOON)).len(), pairs.len());
}

fn a_closed_descriptor_is_not_reported(backend: Backend) {
    let mut rig = Rig::new(backend);
    let (conn, mut peer) = registered(&mut rig);
    rig.close(&conn);
    peer.write_all(b"x").unwrap();
    rig.expect_nothing();
    let again = rig.backend.registrar.close(conn.as_fd());
    // kqueue does not say.
    assert!(again == Err(Errno::ENOENT) || again == Ok(()) && !cfg!(target_os = "linux"), "{again:?}");
    // Registered again under another token, it is reported under that.
    let again = Token::new(7, 4);
    rig.open(&conn, again);
    rig.expect(again, Readiness::READABLE);
}

fn tokens_come_back_whole(backend: Backend) {
    let mut rig = Rig::new(backend);
    let tokens =
        [(0, 0), (1, 0), (0, 1), (0, Token::SEQ_MAX), (u32::MAX - 1, Token::SEQ_MAX), (u32::MAX, 1 << 30)];
    for (index, seq) in tokens {
        let token = Token::new(index, seq);
        assert_eq!((token.index(), token.seq(), token.is_waker()), (index, seq, false));
        let (conn, _peer) = tcp_pair();
        rig.open(&conn, token);
        rig.expect(token, Readiness::WRITABLE);
        rig.close(&conn);
    }
}

/// Why descriptors are deregistered before they are closed: epoll(7), "Will closing a file descriptor cause it to be
/// removed".
#[cfg(target_os = "linux")]
fn a_duplicate_keeps_the_registration_of_a_closed_descriptor(backend: Backend) {
    let mut rig = Rig::new(backend);
    let (conn, mut peer) = registered(&mut rig);
    let duplicate = conn.try_clone().unwrap();
    drop(conn);
    peer.write_all(b"x").unwrap();
    rig.expect(TOKEN, Readiness::READABLE);
    assert_eq!(rig.backend.registrar.close(duplicate.as_fd()), Err(Errno::ENOENT));
    drop(duplicate);
    let _ = peer.write(b"x"); // may meet the reset already
    rig.expect_nothing();
}

#[cfg(target_os = "linux")]
fn a_regular_file_cannot_be_registered(backend: Backend) {
    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    assert_eq!(backend.registrar.open(file.as_fd(), TOKEN), Err(Errno::EPERM));
}

#[cfg(target_os = "linux")]
/// Room to write that was there all along is reported when writing is added, and so is what there is to read.
fn writing_can_be_added_later(backend: Backend) {
    let mut rig = Rig::new(backend);
    let (conn, mut peer) = tcp_pair();
    rig.backend.registrar.open_to_read(conn.as_fd(), TOKEN).unwrap();
    rig.expect_nothing();
    peer.write_all(b"x").unwrap();
    let seen = rig.expect(TOKEN, Readiness::READABLE);
    assert!(!seen.contains(Readiness::WRITABLE));
    rig.backend.registrar.widen(conn.as_fd(), TOKEN).unwrap();
    rig.expect(TOKEN, Readiness::WRITABLE.union(Readiness::READABLE));
    rig.expect_nothing();
    rig.close(&conn);
    assert_eq!(rig.backend.registrar.widen(conn.as_fd(), TOKEN), Err(Errno::ENOENT));
}

#[cfg(target_os = "linux")]
fn a_second_registration_is_refused(backend: Backend) {
    let (conn, _peer) = tcp_pair();
    backend.registrar.open(conn.as_fd(), TOKEN).unwrap();
    assert_eq!(backend.registrar.open(conn.as_fd(), Token::new(8, 1)), Err(Errno::EEXIST));
}

fn a_descriptor_opened_during_a_poll_is_reported_by_it(backend: Backend) {
    let mut rig = Rig::new(backend);
    let registrar = Arc::clone(&rig.backend.registrar);
    let (conn, _peer) = tcp_pair();
    let opener = std::thread::spawn(move || {
        registrar.open(conn.as_fd(), TOKEN).unwrap();
        conn
    });
    assert_eq!(rig.poll(None).first().map(|event| event.token), Some(TOKEN));
    rig.close(&opener.join().unwrap());
}

/// EINTR belongs to the caller, who knows whether the time has come.
fn a_signal_ends_a_poll_with_eintr(backend: Backend) {
    use std::os::unix::thread::JoinHandleExt;
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: the handler does nothing, and no SA_RESTART: even so poll calls are never restarted.
    unsafe { libc::signal(libc::SIGUSR1, nothing as *const () as libc::sighandler_t) };
    let mut rig = Rig::new(backend);
    let (done, result) = mpsc::channel();
    let poller = std::thread::spawn(move || {
        let _ = done.send(rig.backend.selector.poll(Some(SOON), &mut rig.events));
    });
    let polled = loop {
        // SAFETY: the thread is not joined yet, so its handle is valid. A signal before the poll is lost; so many.
        unsafe { libc::pthread_kill(poller.as_pthread_t() as _, libc::SIGUSR1) };
        match result.recv_timeout(Duration::from_millis(1)) {
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            other => break other.unwrap(),
        }
    };
    poller.join().unwrap();
    assert_eq!(polled, Err(Errno::EINTR));
}

/// One test for each case, over the backend that `$make` makes.
macro_rules! cases {
    ($make:expr; $($case:ident)*) => { $(
        #[test]
        fn $case() {
            super::bounded(|| super::$case($make))
        }
    )* };
}

/// What needs descriptors.
macro_rules! kernel_cases {
    ($make:expr) => {
        cases! { $make;
            what_is_ready_at_registration_is_reported an_edge_is_reported_once room_to_write_is_a_new_edge
            the_end_of_the_peers_data_closes_reading_alone a_hang_up_closes_both_directions
            a_reset_is_an_error_for_both_directions what_does_not_fit_comes_with_the_next_poll
            a_closed_descriptor_is_not_reported tokens_come_back_whole
            a_descriptor_opened_during_a_poll_is_reported_by_it a_signal_ends_a_poll_with_eintr
        }
        #[cfg(target_os = "linux")]
        cases! { $make;
            an_error_may_come_alone a_write_end_without_a_reader_is_closed an_urgent_byte_is_priority
            a_duplicate_keeps_the_registration_of_a_closed_descriptor a_regular_file_cannot_be_registered
            a_second_registration_is_refused writing_can_be_added_later
        }
    };
}

/// What every poller keeps, the fake too.
macro_rules! common_cases {
    ($make:expr) => {
        cases! { $make;
            a_wake_ends_a_poll_without_limit a_poll_without_delay_may_swallow_a_wake many_wakes_become_one_event
            a_delay_of_zero_returns_at_once a_delay_is_neither_cut_short_nor_rounded_up
            a_short_delay_that_an_event_ended_leaves_nothing_behind a_longest_delay_is_not_an_error
        }
    };
}

mod mio {
    common_cases!(gopark_sys::netpoll::mio().unwrap());
    kernel_cases!(gopark_sys::netpoll::mio().unwrap());
}

#[cfg(target_os = "linux")]
mod epoll {
    common_cases!(gopark_sys::netpoll::epoll().unwrap());
    kernel_cases!(gopark_sys::netpoll::epoll().unwrap());
}

mod fake {
    common_cases!(gopark_sys::netpoll::fake::Fake::new().backend());
}
