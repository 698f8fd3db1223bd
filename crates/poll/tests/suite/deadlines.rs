//! Deadlines: the properties that must hold, as in Go's net/timeout_test.go.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use gopark_poll::{Error, Fd, FdKind, Mode};

use crate::setup;
use crate::util::*;

const TIMEOUT: Error = Error::DeadlineExceeded;

fn spawn_read(fd: &Arc<Fd>) -> thread::JoinHandle<Result<usize, Error>> {
    let fd = fd.clone();
    thread::spawn(move || fd.read(&mut [0; 16]))
}

// Go: net TestReadTimeout, with deadlines in the past
#[test]
fn a_past_deadline_fails_a_read_even_with_data_ready() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        far.write_all(b"data").unwrap();
        a.readable().unwrap();
        for t in [
            past(),
            Some(Instant::now()),
            Instant::now().checked_sub(Duration::from_secs(1 << 20)).or(past()),
        ] {
            a.set_read_deadline(t).unwrap();
            assert_eq!(a.read(&mut [0; 16]), Err(TIMEOUT));
            assert_eq!(a.peek(&mut [0; 16]), Err(TIMEOUT));
            assert_eq!(a.readable(), Err(TIMEOUT));
        }
        // Nothing latches.
        a.set_read_deadline(None).unwrap();
        assert_eq!(a.read(&mut [0; 16]), Ok(4));
    });
}

// Go: net TestReadTimeout
#[test]
fn a_read_fails_when_its_deadline_passes_and_not_before() {
    setup();
    bounded(|| {
        let (a, _far) = half_pair();
        for ms in [1, 5, 25] {
            let start = Instant::now();
            a.set_read_deadline(after(Duration::from_millis(ms))).unwrap();
            for _ in 0..3 {
                assert_eq!(a.read(&mut [0; 16]), Err(TIMEOUT));
                assert!(start.elapsed() >= Duration::from_millis(ms));
            }
        }
    });
}

// Go: net TestWriteTimeout
#[test]
fn a_write_fails_when_its_deadline_passes() {
    setup();
    bounded(|| {
        let (a, _far) = half_pair();
        fill(&a);
        let start = Instant::now();
        a.set_write_deadline(after(Duration::from_millis(10))).unwrap();
        assert_eq!(a.write_all(&[0; 1 << 16]), Err((0, TIMEOUT)));
        assert!(start.elapsed() >= Duration::from_millis(10));
        a.set_write_deadline(past()).unwrap();
        assert_eq!(a.write(b"x"), Err(TIMEOUT));
        assert_eq!(a.try_write(b"x"), Err(TIMEOUT));
    });
}

// Go: net TestAcceptTimeout
#[test]
fn an_accept_fails_when_its_deadline_passes_and_works_again() {
    setup();
    bounded(|| {
        let (ln, addr) = listener();
        ln.set_deadline(past()).unwrap();
        assert_eq!(ln.accept().unwrap_err(), TIMEOUT);
        ln.set_deadline(after(Duration::from_millis(5))).unwrap();
        assert_eq!(ln.accept().unwrap_err(), TIMEOUT);
        let _near = TcpStream::connect(addr).unwrap();
        assert_eq!(ln.accept().unwrap_err(), TIMEOUT, "even with a connection waiting");
        ln.set_deadline(None).unwrap();
        assert!(ln.accept().is_ok());
    });
}

#[test]
fn a_past_deadline_wakes_a_reader_at_once() {
    setup();
    bounded(|| {
        let (a, _far) = half_pair();
        let a = Arc::new(a);
        for i in 0..50 {
            let reader = spawn_read(&a);
            if i % 2 == 0 {
                until_parked(&a, Mode::Read);
            }
            a.set_read_deadline(past()).unwrap();
            assert_eq!(reader.join().unwrap(), Err(TIMEOUT));
            a.set_read_deadline(None).unwrap();
        }
    });
}

#[test]
fn an_earlier_deadline_wakes_earlier() {
    setup();
    bounded(|| {
        let (a, _far) = half_pair();
        let a = Arc::new(a);
        a.set_read_deadline(after(Duration::from_secs(3600))).unwrap();
        let reader = spawn_read(&a);
        until_parked(&a, Mode::Read);
        a.set_read_deadline(after(Duration::from_millis(10))).unwrap();
        assert_eq!(reader.join().unwrap(), Err(TIMEOUT));
    });
}

#[test]
fn a_later_deadline_does_not_wake_and_holds() {
    setup();
    bounded(|| {
        let (a, _far) = half_pair();
        let a = Arc::new(a);
        let start = Instant::now();
        a.set_read_deadline(after(Duration::from_millis(20))).unwrap();
        let reader = spawn_read(&a);
        a.set_read_deadline(Some(start + Duration::from_millis(120))).unwrap();
        // The first entry fires meanwhile, and finds that the deadline has moved, unless this thread stood
        // still.
        let moved_in_time = start.elapsed() < Duration::from_millis(20);
        assert_eq!(reader.join().unwrap(), Err(TIMEOUT));
        assert!(!moved_in_time || start.elapsed() >= Duration::from_millis(120));
    });
}

/// The idle-timeout idiom, and why its entry re-arms itself.
#[test]
fn a_deadline_moved_later_before_every_read_never_fires_and_fires_when_it_is_not_moved() {
    setup();
    bounded(|| while !talk_for_longer_than_the_first_deadline() {});
}

/// False: this machine stood still for so long that a deadline passed by right.
fn talk_for_longer_than_the_first_deadline() -> bool {
    let (a, b) = tcp_pair();
    let echo = thread::spawn(move || {
        let mut buf = [0; 16];
        while let Ok(n) = b.read(&mut buf)
            && n > 0
            && b.write_all(&buf[..n]).is_ok()
        {}
    });
    let idle = Duration::from_millis(250);
    let start = Instant::now();
    // So long that the first deadline's entry fires in between.
    while start.elapsed() < idle * 3 / 2 {
        let set = Instant::now();
        a.set_deadline(Some(set + idle)).unwrap();
        let done = a.write_all(b"tick").map_err(|(_, e)| e).and_then(|_| a.read(&mut [0; 16]));
        if done == Err(TIMEOUT) {
            assert!(set.elapsed() >= idle, "an earlier deadline fired");
            return false;
        }
        assert_eq!(done, Ok(4));
    }
    let last = Instant::now();
    a.set_deadline(Some(last + idle)).unwrap();
    assert_eq!(a.read(&mut [0; 16]), Err(TIMEOUT));
    assert!(last.elapsed() >= idle);
    a.close().unwrap();
    echo.join().unwrap();
    true
}

#[test]
fn no_deadline_takes_back_one_that_a_reader_waits_on() {
    setup();
    bounded(|| {
        loop {
            let (a, mut far) = half_pair();
            let a = Arc::new(a);
            let start = Instant::now();
            a.set_read_deadline(Some(start + Duration::from_millis(100))).unwrap();
            let reader = spawn_read(&a);
            a.set_read_deadline(None).unwrap();
            let in_time = start.elapsed() < Duration::from_millis(100);
            // Another descriptor's deadline, for a later time, tells when the first has passed.
            let (other, _far) = half_pair();
            other.set_read_deadline(Some(start + Duration::from_millis(110))).unwrap();
            assert_eq!(other.read(&mut [0; 1]), Err(TIMEOUT));
            if in_time {
                assert!(!reader.is_finished());
                far.write_all(b"x").unwrap();
                assert_eq!(reader.join().unwrap(), Ok(1));
                return;
            }
        }
    });
}

/// 2.6: "A waiter cancelled by a timeout whose deadline was then extended retries instead of failing."
#[test]
fn deadlines_flipped_under_a_reader_never_hang_it_or_lose_its_data() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let a = Arc::new(a);
        let reader = {
            let a = a.clone();
            thread::spawn(move || {
                let mut got = 0;
                while got < 200 {
                    match a.read(&mut [0; 1]) {
                        Ok(n) => got += n,
                        Err(e) => assert_eq!(e, TIMEOUT),
                    }
                }
            })
        };
        for i in 0..200 {
            a.set_read_deadline(past()).unwrap();
            a.set_read_deadline(if i % 2 == 0 { None } else { after(Duration::from_secs(3600)) }).unwrap();
            far.write_all(b"x").unwrap();
        }
        reader.join().unwrap();
    });
}

// Go: net TestReadWriteDeadlineRace, TestConcurrentSetDeadline
#[test]
fn read_and_write_deadlines_are_independent() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        a.set_read_deadline(past()).unwrap();
        assert_eq!(a.write_all(b"w"), Ok(1));
        assert_eq!(a.read(&mut [0; 1]), Err(TIMEOUT));
        a.set_read_deadline(None).unwrap();
        a.set_write_deadline(past()).unwrap();
        far.write_all(b"r").unwrap();
        assert_eq!(a.read(&mut [0; 1]), Ok(1));
        assert_eq!(a.write(b"w"), Err(TIMEOUT));
        a.set_deadline(past()).unwrap();
        assert_eq!((a.read(&mut [0; 1]), a.write(b"w")), (Err(TIMEOUT), Err(TIMEOUT)));
        a.set_deadline(None).unwrap();
        assert_eq!(a.write(b"w"), Ok(1));
    });
}

#[test]
fn one_deadline_for_both_directions_wakes_both() {
    setup();
    bounded(|| {
        let (a, _far) = half_pair();
        fill(&a);
        let a = Arc::new(a);
        let reader = spawn_read(&a);
        let writer = {
            let a = a.clone();
            thread::spawn(move || a.write(b"x"))
        };
        until_parked(&a, Mode::Read);
        until_parked(&a, Mode::Write);
        a.set_deadline(after(Duration::from_millis(5))).unwrap();
        assert_eq!(reader.join().unwrap(), Err(TIMEOUT));
        assert_eq!(writer.join().unwrap(), Err(TIMEOUT));
    });
}

#[test]
fn a_deadline_beyond_the_clock_is_never() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let mut ages = Duration::from_secs(1 << 40);
        let never = loop {
            match Instant::now().checked_add(ages) {
                Some(t) => break t,
                None => ages /= 2,
            }
        };
        a.set_deadline(Some(never)).unwrap();
        far.write_all(b"x").unwrap();
        assert_eq!(a.read(&mut [0; 1]), Ok(1));
        assert_eq!(a.write(b"x"), Ok(1));
    });
}

#[test]
fn a_slots_next_user_does_not_inherit_its_deadlines() {
    setup();
    bounded(|| {
        for _ in 0..50 {
            let (a, _far) = half_pair();
            a.set_deadline(after(Duration::from_millis(1))).unwrap();
            drop(a);
            let (b, mut far) = half_pair();
            let writer = thread::spawn(move || {
                // A fresh timer behind the old one: when it has fired, so has that.
                let (slot, timer) = {
                    let slot: &'static gopark_poll::ParkSlot = Box::leak(Box::default());
                    let wake = gopark_poll::TimerKind::Wake(slot);
                    (slot, &*Box::leak(Box::new(gopark_poll::Timer::new(wake))))
                };
                gopark_poll::sleep_on(slot, timer, Duration::from_millis(3));
                far.write_all(b"x").unwrap();
                far
            });
            assert_eq!(b.read(&mut [0; 1]), Ok(1));
            drop(writer.join().unwrap());
        }
    });
}

#[test]
fn a_closed_descriptor_has_no_deadlines() {
    setup();
    let (a, _far) = half_pair();
    a.close().unwrap();
    for t in [None, past(), after(Duration::from_secs(1))] {
        assert_eq!(a.set_read_deadline(t), Err(Error::NetClosing));
    }
    // Also when the slot has a new user by now.
    let (_b, _far) = half_pair();
    assert_eq!(a.set_deadline(past()), Err(Error::NetClosing));
}

// Go: net TestConcurrentSetDeadline
#[test]
fn deadlines_set_by_many_threads_while_others_close() {
    setup();
    bounded(|| {
        for _ in 0..20 {
            let (a, _far) = half_pair();
            let a = Arc::new(a);
            let setters: Vec<_> = (0..4_u64)
                .map(|i| {
                    let a = a.clone();
                    thread::spawn(move || {
                        for j in 0..300 {
                            let t = match (i + j) % 4 {
                                0 => None,
                                1 => past(),
                                2 => after(Duration::from_micros(j)),
                                _ => after(Duration::from_secs(60)),
                            };
                            let set = if j % 2 == 0 { a.set_deadline(t) } else { a.set_read_deadline(t) };
                            if let Err(e) = set {
                                assert_eq!(e, Error::NetClosing);
                                return;
                            }
                        }
                    })
                })
                .collect();
            let reader = {
                let a = a.clone();
                thread::spawn(move || {
                    loop {
                        match a.read(&mut [0; 1]) {
                            Err(TIMEOUT) => thread::yield_now(),
                            end => return end,
                        }
                    }
                })
            };
            // In the middle of it all.
            until(|| a.try_read(&mut [0; 1]) == Err(TIMEOUT) || setters.iter().all(|s| s.is_finished()));
            a.close().unwrap();
            assert_eq!(reader.join().unwrap(), Err(Error::NetClosing));
            for s in setters {
                s.join().unwrap();
            }
        }
    });
}

#[test]
fn a_listener_shares_nothing_with_what_it_accepts() {
    setup();
    bounded(|| {
        let (ln, addr) = listener();
        let _near = TcpStream::connect(addr).unwrap();
        let conn = registered(ln.accept().unwrap().0, FdKind::TCP);
        ln.set_deadline(past()).unwrap();
        assert_eq!(conn.write(b"x"), Ok(1));
    });
}

// Go: net TestAcceptTimeoutMustNotReturn
#[test]
fn test_accept_timeout_must_not_return() {
    setup();
    bounded(|| {
        let (ln, _) = listener();
        let ln = Arc::new(ln);
        ln.set_deadline(past()).unwrap();
        assert_eq!(ln.accept().unwrap_err(), TIMEOUT);
        ln.set_deadline(None).unwrap();
        let accepter = {
            let ln = ln.clone();
            thread::spawn(move || ln.accept().map(|_| ()))
        };
        until_parked(&ln, Mode::Read);
        ln.close().unwrap();
        assert_eq!(accepter.join().unwrap(), Err(Error::NetClosing));
    });
}

// Go: net TestReadTimeoutMustNotReturn
#[test]
fn test_read_timeout_must_not_return() {
    setup();
    bounded(|| {
        let (a, _far) = half_pair();
        let a = Arc::new(a);
        a.set_deadline(past()).unwrap();
        a.set_write_deadline(past()).unwrap();
        a.set_read_deadline(None).unwrap();
        let reader = spawn_read(&a);
        until_parked(&a, Mode::Read);
        a.close().unwrap();
        assert_eq!(reader.join().unwrap(), Err(Error::NetClosing));
    });
}

// Go: net TestWriteTimeoutMustNotReturn
#[test]
fn test_write_timeout_must_not_return() {
    setup();
    bounded(|| {
        let (a, _far) = half_pair();
        fill(&a);
        let a = Arc::new(a);
        a.set_deadline(past()).unwrap();
        a.set_read_deadline(past()).unwrap();
        a.set_write_deadline(None).unwrap();
        let writer = {
            let a = a.clone();
            thread::spawn(move || a.write(b"x"))
        };
        until_parked(&a, Mode::Write);
        a.close().unwrap();
        assert_eq!(writer.join().unwrap(), Err(Error::NetClosing));
    });
}

// Go: net TestVariousDeadlines
#[test]
fn test_various_deadlines() {
    setup();
    bounded(|| {
        for timeout in [1, 2, 5, 50, 500, 5_000, 50_000, 500_000, 1_000_000, 5_000_000, 25_000_000_u64] {
            for _ in 0..3 {
                let (a, mut far) = half_pair();
                // A peer that never stops: data is ready all the time.
                let peer = thread::spawn(move || while far.write_all(&[0; 1 << 14]).is_ok() {});
                a.set_read_deadline(after(Duration::from_nanos(timeout))).unwrap();
                let mut buf = [0; 1 << 14];
                let end = loop {
                    match a.read(&mut buf) {
                        Ok(n) => assert!(n > 0),
                        Err(e) => break e,
                    }
                };
                assert_eq!(end, TIMEOUT);
                drop(a);
                peer.join().unwrap();
            }
        }
    });
}

// Go: net TestReadWriteProlongedTimeout
#[test]
fn test_read_write_prolonged_timeout() {
    setup();
    bounded(|| {
        let (a, b) = tcp_pair();
        let a = Arc::new(a);
        let echo = thread::spawn(move || {
            let mut buf = [0; 64];
            while let Ok(n) = b.read(&mut buf)
                && n > 0
                && b.write_all(&buf[..n]).is_ok()
            {}
        });
        let reader = {
            let a = a.clone();
            thread::spawn(move || {
                let mut left = 500 * 7;
                while left > 0 {
                    a.set_read_deadline(after(Duration::from_secs(3600))).unwrap();
                    left -= a.read(&mut [0; 64]).unwrap();
                }
            })
        };
        for _ in 0..500 {
            a.set_write_deadline(after(Duration::from_secs(3600))).unwrap();
            a.write_all(b"1234567").unwrap();
        }
        reader.join().unwrap();
        a.close().unwrap();
        echo.join().unwrap();
    });
}
