//! What only a script can bring about: no event comes here unless a test pushes it.

use std::io::Write;
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use gopark_poll::{Error, Fd, FdKind, Mode};
use gopark_sys::netpoll::fake::Call;
use gopark_sys::netpoll::{Readiness, Token};
use gopark_sys::{Errno, rw};

use crate::setup;
use crate::util::*;

const READABLE: Readiness = Readiness::READABLE;

/// A registered descriptor with its token, and the other end.
fn scripted(kind: FdKind) -> (Arc<Fd>, Token, TcpStream) {
    let (near, far) = std_pair();
    near.set_nonblocking(true).unwrap();
    let raw = near.as_raw_fd();
    let fd = registered(near, kind);
    (Arc::new(fd), setup().token_of(raw).unwrap(), far)
}

/// Reads `len` bytes at most, on another thread.
fn spawn_read(fd: &Arc<Fd>, len: usize) -> JoinHandle<Result<usize, Error>> {
    let fd = fd.clone();
    thread::spawn(move || fd.read(&mut vec![0; len]))
}

/// Brings the hint into force: a short read, of which `event` is the cause.
fn short_read(fd: &Arc<Fd>, token: Token, far: &mut TcpStream, event: Readiness) {
    let reader = spawn_read(fd, 64);
    until_parked(fd, Mode::Read);
    far.write_all(b"warm").unwrap();
    setup().push(token, event);
    assert_eq!(reader.join().unwrap(), Ok(4));
}

#[test]
fn after_a_short_read_the_next_read_waits_for_an_event() {
    setup();
    bounded(|| {
        let (a, token, mut far) = scripted(FdKind::TCP);
        for _ in 0..20 {
            short_read(&a, token, &mut far, READABLE);
            far.write_all(b"data").unwrap();
            let reader = spawn_read(&a, 64);
            // There is data, but no event of it yet: that it parks shows that no call was made.
            until_parked(&a, Mode::Read);
            setup().push(token, READABLE);
            assert_eq!(reader.join().unwrap(), Ok(4));
            // An event that is there before the read is taken, and not discarded with the preparation.
            far.write_all(b"early").unwrap();
            setup().push(token, READABLE.union(Readiness::WRITABLE));
            assert_eq!(a.read(&mut [0; 64]), Ok(5));
        }
    });
}

#[test]
fn after_whatever_spoils_the_hint_no_read_waits_before_its_call() {
    setup();
    bounded(|| {
        for spoiler in
            [Readiness::READ_CLOSED, Readiness::WRITE_CLOSED, Readiness::ERROR, Readiness::PRIORITY]
        {
            let (a, token, mut far) = scripted(FdKind::TCP);
            short_read(&a, token, &mut far, READABLE.union(spoiler));
            for _ in 0..3 {
                far.write_all(b"data").unwrap();
                // For good: an event without the spoiler does not bring the hint back. Data on loopback is
                // there when the write returns.
                assert_eq!(a.read(&mut [0; 64]), Ok(4), "{spoiler:?}");
            }
        }
    });
}

#[test]
fn a_full_read_proves_nothing() {
    setup();
    bounded(|| {
        let (a, token, mut far) = scripted(FdKind::TCP);
        short_read(&a, token, &mut far, READABLE);
        far.write_all(b"01234567").unwrap();
        setup().push(token, READABLE);
        assert_eq!(a.read(&mut [0; 4]), Ok(4));
        assert_eq!(a.read(&mut [0; 4]), Ok(4));
    });
}

#[test]
fn only_plain_tcp_has_the_hint() {
    setup();
    bounded(|| {
        let (a, token, mut far) = scripted(FdKind::STREAM);
        short_read(&a, token, &mut far, READABLE);
        far.write_all(b"data").unwrap();
        assert_eq!(a.read(&mut [0; 64]), Ok(4));
    });
}

#[test]
fn whatever_takes_readiness_without_emptying_the_queue_clears_the_hint() {
    setup();
    bounded(|| {
        type Op = fn(&Fd);
        let ops: [(&str, Op); 7] = [
            ("peek", |a| assert_eq!(a.peek(&mut [0; 2]), Ok(2))),
            ("readable", |a| a.readable().unwrap()),
            ("try_read", |a| assert_eq!(a.try_read(&mut [0; 2]), Ok(2))),
            ("read_with", |a| assert_eq!(a.read_with(|fd| rw::read(fd, &mut [0; 2])), Ok(2))),
            ("raw_read", |a| a.raw_read(|_| true).unwrap()),
            ("readv", |a| {
                let mut buf = [0; 2];
                assert_eq!(a.readv(&mut [std::io::IoSliceMut::new(&mut buf)]), Ok(2));
            }),
            ("try_read_with", |a| assert_eq!(a.try_read_with(|fd| rw::read(fd, &mut [0; 2])), Ok(2))),
        ];
        for (name, op) in ops {
            let (a, token, mut far) = scripted(FdKind::TCP);
            short_read(&a, token, &mut far, READABLE);
            far.write_all(b"data").unwrap();
            setup().push(token, READABLE);
            op(&a);
            // One event for all of it, and that may be gone.
            let n = a.read(&mut [0; 64]).unwrap();
            assert!(n == 2 || n == 4, "{name}");
        }
    });
}

#[test]
fn whatever_lets_others_at_the_socket_ends_the_hint_for_good() {
    setup();
    bounded(|| {
        type Op = fn(&Fd);
        let ops: [Op; 5] = [
            |a| drop(a.dup().unwrap()),
            |a| a.raw_control(|_| ()).unwrap(),
            |a| drop(a.fd().unwrap()),
            |a| a.raw_read(|_| true).unwrap(),
            |a| a.raw_write(|_| true).unwrap(),
        ];
        for op in ops {
            let (a, token, mut far) = scripted(FdKind::TCP);
            short_read(&a, token, &mut far, READABLE);
            op(&a);
            for _ in 0..2 {
                far.write_all(b"data").unwrap();
                assert_eq!(a.read(&mut [0; 64]), Ok(4));
            }
        }
        // Setting an option does not.
        let (a, token, mut far) = scripted(FdKind::TCP);
        short_read(&a, token, &mut far, READABLE);
        a.control(|_| ()).unwrap();
        let reader = spawn_read(&a, 64);
        until_parked(&a, Mode::Read);
        far.write_all(b"x").unwrap();
        setup().push(token, READABLE);
        assert_eq!(reader.join().unwrap(), Ok(1));
    });
}

/// 7.1: "Stale error on reused desc" (golang/go#59545, #60133).
#[test]
fn a_stale_error_does_not_hurt_the_slots_next_user() {
    setup();
    bounded(|| {
        let mut reused = 0;
        for _ in 0..20 {
            let (a, old, _far) = scripted(FdKind::STREAM);
            a.close().unwrap();
            let (b, new, mut far) = scripted(FdKind::STREAM);
            // Other tests may have taken the slot; usually it is the last one freed.
            reused += (old.index() == new.index()) as usize;
            assert_ne!(old, new);
            let reader = spawn_read(&b, 8);
            until_parked(&b, Mode::Read);
            setup().push(old, Readiness::ERROR);
            setup().push(old, READABLE);
            far.write_all(b"x").unwrap();
            setup().push(new, READABLE);
            assert_eq!(reader.join().unwrap(), Ok(1));
        }
        assert!(reused > 0, "the test tests nothing");
    });
}

/// 7.1: "False error masks" (golang/go#30624).
#[test]
fn an_error_alone_stops_readers_and_an_error_with_data_does_not() {
    setup();
    bounded(|| {
        let (a, token, mut far) = scripted(FdKind::STREAM);
        let reader = spawn_read(&a, 8);
        until_parked(&a, Mode::Read);
        far.write_all(b"x").unwrap();
        setup().push(token, READABLE.union(Readiness::ERROR));
        assert_eq!(reader.join().unwrap(), Ok(1));

        setup().push(token, Readiness::ERROR);
        until(|| a.read(&mut []).is_ok() && a.peek(&mut [0; 1]) == Err(Error::NotPollable));
        assert_eq!(a.read(&mut [0; 1]), Err(Error::NotPollable));
        assert_eq!(a.write(b"w"), Ok(1), "a write will say more");
        setup().push(token, Readiness::WRITABLE);
        far.write_all(b"y").unwrap();
        until(|| a.try_read(&mut [0; 1]) == Ok(1));
    });
}

#[test]
fn closing_takes_the_descriptor_out_of_the_poller_once() {
    setup();
    let (a, token, _far) = scripted(FdKind::TCP);
    let raw = a.fd().unwrap().as_fd().as_raw_fd();
    a.close().unwrap();
    let calls = setup().calls();
    let open =
        calls.iter().rposition(|c| matches!(c, Call::Open(fd, t) if *fd == raw && *t == token)).unwrap();
    let closes = calls[open..].iter().filter(|c| **c == Call::Close(raw)).count();
    // The number may have been used and closed again by another test.
    assert!(closes >= 1);
}

#[test]
fn an_interrupted_poll_goes_on() {
    setup();
    bounded(|| {
        let (a, token, mut far) = scripted(FdKind::TCP);
        let reader = spawn_read(&a, 8);
        until_parked(&a, Mode::Read);
        setup().fail_poll(Errno::EINTR);
        far.write_all(b"x").unwrap();
        setup().push(token, READABLE);
        assert_eq!(reader.join().unwrap(), Ok(1));
    });
}

#[test]
fn a_wrong_token_is_ignored() {
    setup();
    bounded(|| {
        for token in [Token::new(u32::MAX, 1), Token::new(5_000_000, 7), Token::from_u64(0)] {
            setup().push(token, Readiness::READABLE.union(Readiness::ERROR));
        }
        let (a, token, mut far) = scripted(FdKind::TCP);
        let reader = spawn_read(&a, 8);
        until_parked(&a, Mode::Read);
        setup().push(token, Readiness::WRITABLE);
        far.write_all(b"x").unwrap();
        setup().push(token, READABLE);
        assert_eq!(reader.join().unwrap(), Ok(1));
    });
}

/// 7.1: "ET reset rule": what was ready before the call is forgotten, what becomes ready after it is not.
#[test]
fn a_wake_up_for_nothing_waits_again() {
    setup();
    bounded(|| {
        let (a, token, mut far) = scripted(FdKind::STREAM);
        let reader = spawn_read(&a, 8);
        for _ in 0..10 {
            until_parked(&a, Mode::Read);
            setup().push(token, READABLE);
        }
        far.write_all(b"x").unwrap();
        setup().push(token, READABLE);
        assert_eq!(reader.join().unwrap(), Ok(1));
    });
}

/// A mark may be of data that an earlier read has taken: `readable` must not go by it.
#[test]
fn readable_waits_when_the_mark_was_of_data_that_is_gone() {
    setup();
    bounded(|| {
        let (a, token, mut far) = scripted(FdKind::TCP);
        short_read(&a, token, &mut far, READABLE);
        // As when data arrives between a read's preparation and its call, which then finds all of it.
        // The readers' mark is set before the writers'.
        setup().push(token, READABLE.union(Readiness::WRITABLE));
        a.wait_write().unwrap();
        let waiter = {
            let a = a.clone();
            thread::spawn(move || a.readable().map(|()| a.try_read(&mut [0; 64])))
        };
        until(|| a.is_parked(Mode::Read) || waiter.is_finished());
        far.write_all(b"data").unwrap();
        setup().push(token, READABLE);
        assert_eq!(waiter.join().unwrap(), Ok(Ok(4)));
    });
}

/// Both use the mark of the writers, so the one has to wait for the other.
#[test]
fn a_connect_beside_a_waiting_writer_is_no_double_wait() {
    setup();
    bounded(|| {
        let (a, token, far) = scripted(FdKind::TCP);
        let addr = far.local_addr().unwrap();
        let writer = {
            let a = a.clone();
            thread::spawn(move || a.wait_write())
        };
        until_parked(&a, Mode::Write);
        let connector = {
            let a = a.clone();
            thread::spawn(move || a.connect(&addr))
        };
        thread::sleep(std::time::Duration::from_millis(20)); // not for ordering: without the wait it aborts
        setup().push(token, Readiness::WRITABLE);
        assert_eq!(writer.join().unwrap(), Ok(()));
        assert_eq!(connector.join().unwrap(), Ok(()), "it is connected already");
    });
}
