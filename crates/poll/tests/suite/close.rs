//! Closing: who is woken, who waits, and when the number is free.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use gopark_poll::{Error, Fd, FdKind, Mode};

use crate::setup;
use crate::util::*;

const CLOSED: Error = Error::NetClosing;

// Go: net TestConnClose, TestCloseRead
#[test]
fn close_wakes_a_reader_a_writer_and_those_behind_them() {
    setup();
    bounded(|| {
        for round in 0..30 {
            let (a, _far) = half_pair();
            fill(&a);
            let a = Arc::new(a);
            let spawn = |f: fn(&Fd) -> Result<usize, Error>| {
                let a = a.clone();
                thread::spawn(move || f(&a))
            };
            let users: Vec<_> = (0..3)
                .flat_map(|_| {
                    [spawn(|a| a.read(&mut [0; 8])), spawn(|a| a.write(b"x")), spawn(|a| a.peek(&mut [0; 8]))]
                })
                .collect();
            if round % 2 == 0 {
                until_parked(&a, Mode::Read);
                until_parked(&a, Mode::Write);
            }
            a.close().unwrap();
            for user in users {
                assert_eq!(user.join().unwrap(), Err(CLOSED));
            }
        }
    });
}

// Go: net TestListenerClose
#[test]
fn close_wakes_an_accept() {
    setup();
    bounded(|| {
        let (ln, addr) = listener();
        let ln = Arc::new(ln);
        let accepter = {
            let ln = ln.clone();
            thread::spawn(move || ln.accept().map(|_| ()))
        };
        until_parked(&ln, Mode::Read);
        ln.close().unwrap();
        assert_eq!(accepter.join().unwrap(), Err(CLOSED));
        assert_eq!(ln.accept().map(|_| ()), Err(CLOSED));
        assert!(TcpStream::connect(addr).is_err());
    });
}

// Go: golang/go#21856: TestTCPListenAfterClose
#[test]
fn a_port_can_be_listened_on_again_right_after_close() {
    setup();
    bounded(|| {
        for _ in 0..20 {
            let (ln, addr) = listener();
            let ln = Arc::new(ln);
            let accepters: Vec<_> = (0..3)
                .map(|_| {
                    let ln = ln.clone();
                    thread::spawn(move || while ln.accept().is_ok() {})
                })
                .collect();
            until_parked(&ln, Mode::Read);
            ln.close().unwrap();
            TcpListener::bind(addr).expect("close returned, so the port is free");
            for a in accepters {
                a.join().unwrap();
            }
        }
    });
}

#[test]
fn the_second_close_says_so() {
    setup();
    let (mut a, _far) = half_pair();
    a.close().unwrap();
    assert_eq!(a.close(), Err(CLOSED));
    assert_eq!(a.fd().map(|_| ()), Err(CLOSED));
    assert_eq!(a.dup().map(|_| ()), Err(CLOSED));
    assert_eq!(a.shutdown(std::net::Shutdown::Both), Err(CLOSED));
    assert_eq!(a.control(|_| ()), Err(CLOSED));
    assert_eq!(a.writable(), Err(CLOSED));
    assert_eq!(a.wait_write(), Err(CLOSED));
    assert_eq!(a.init(), Ok(()), "it is registered, if only in the past");
}

#[test]
fn close_waits_for_whoever_holds_the_descriptor() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        let a = Arc::new(a);
        let guard = a.fd().unwrap();
        let released = Arc::new(AtomicBool::new(false));
        let closer = {
            let (a, released) = (a.clone(), released.clone());
            thread::spawn(move || {
                a.close().unwrap();
                assert!(released.load(SeqCst), "close returned while the descriptor was in use");
            })
        };
        until(|| a.fd().is_err());
        // Closed, and yet still ours.
        socket2::SockRef::from(&guard.as_fd()).send(b"alive").unwrap();
        released.store(true, SeqCst);
        drop(guard);
        closer.join().unwrap();
        let mut got = Vec::new();
        far.read_to_end(&mut got).unwrap();
        assert_eq!(got, b"alive");
    });
}

#[test]
fn a_blocking_descriptor_does_not_make_close_wait() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        a.set_blocking().unwrap();
        let a = Arc::new(a);
        let reader = {
            let a = a.clone();
            thread::spawn(move || a.read(&mut [0; 8]))
        };
        until(|| a.try_read(&mut []) == Err(Error::Errno(gopark_sys::Errno::EAGAIN)));
        a.close().unwrap();
        // The reader sits in the kernel; what it gets is data, or the end.
        far.write_all(b"late").unwrap();
        drop(far);
        assert!(matches!(reader.join().unwrap(), Ok(_) | Err(CLOSED)));
    });
}

#[test]
fn drop_closes() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        a.write_all(b"bye").unwrap();
        drop(a);
        let mut got = Vec::new();
        far.read_to_end(&mut got).unwrap();
        assert_eq!(got, b"bye");
    });
}

#[test]
fn drop_closes_also_when_a_guard_was_leaked_and_never_waits() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        std::mem::forget(a.fd().unwrap());
        drop(a);
        assert_eq!(far.read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn close_of_what_was_never_registered_does_not_wait() {
    setup();
    bounded(|| {
        let (near, mut far) = std_pair();
        near.set_nonblocking(true).unwrap();
        let a = Fd::new(near.into(), FdKind::TCP);
        let guard = a.fd().unwrap();
        a.close().unwrap();
        drop(guard);
        assert_eq!(far.read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn a_panic_in_a_callback_gives_its_lock_and_reference_back() {
    setup();
    bounded(|| {
        let (a, mut far) = half_pair();
        for _ in 0..3 {
            let panic = std::panic::catch_unwind(AssertUnwindSafe(|| {
                a.read_with(|_| -> gopark_sys::Result<()> { panic!("user") })
            }));
            assert!(panic.is_err());
        }
        far.write_all(b"x").unwrap();
        assert_eq!(a.read(&mut [0; 1]), Ok(1));
        a.close().unwrap();
    });
}

#[test]
fn a_descriptor_goes_where_stds_goes() {
    fn shared<T: Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    shared::<Fd>();
    shared::<TcpStream>();
}

/// Slots are used again at once: events and wake-ups of the one before must not hurt the next.
#[test]
fn connections_that_come_and_go_never_see_each_other() {
    setup();
    bounded(|| {
        let threads: Vec<_> = (0..4_u8)
            .map(|id| {
                thread::spawn(move || {
                    for round in 0..150_u8 {
                        let (a, b) = tcp_pair();
                        let reader = thread::spawn(move || {
                            let mut buf = [0; 8];
                            let n = a.read(&mut buf).unwrap();
                            (buf[..n].to_vec(), a.read(&mut buf))
                        });
                        b.write_all(&[id, round]).unwrap();
                        if round % 3 == 0 {
                            // A reset, with its error event.
                            b.control(|fd| {
                                socket2::SockRef::from(&fd.as_fd())
                                    .set_linger(Some(std::time::Duration::ZERO))
                            })
                            .unwrap()
                            .unwrap();
                        }
                        b.close().unwrap();
                        drop(b);
                        let (got, end) = match reader.join() {
                            Ok(seen) => seen,
                            // The reset can overtake the data.
                            Err(_) if round % 3 == 0 => continue,
                            Err(panic) => std::panic::resume_unwind(panic),
                        };
                        assert_eq!(got, [id, round]);
                        assert!(end == Ok(0) || end == Err(Error::Errno(gopark_sys::Errno::ECONNRESET)));
                    }
                })
            })
            .collect();
        for t in threads {
            t.join().unwrap();
        }
    });
}
