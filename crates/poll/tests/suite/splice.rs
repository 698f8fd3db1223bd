//! Bytes from one descriptor to another. Go: `internal/poll/splice_linux_test.go`, `sendfile_unix.go`.

use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use gopark_poll::{Error, Fd, Mode, SplicePipe};
use gopark_sys::{Errno, splice::is_unsupported};

use crate::setup;
use crate::util::*;

/// A pipe to lend to one call.
struct Lent(SplicePipe);

impl AsMut<SplicePipe> for Lent {
    fn as_mut(&mut self) -> &mut SplicePipe {
        &mut self.0
    }
}

fn lend() -> gopark_sys::Result<Lent> {
    SplicePipe::new().map(Lent).map_err(|e| e.errno().unwrap())
}

fn file(bytes: &[u8]) -> std::fs::File {
    let path =
        std::env::temp_dir().join(format!("gopark-poll-{}-{:?}", std::process::id(), thread::current().id()));
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file.write_all(bytes).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file
}

#[test]
fn what_arrives_goes_through_a_pipe_to_another() {
    setup();
    bounded(|| {
        let ((a, from), (to, mut b)) = (tcp_pair(), half_pair());
        assert_eq!(a.write_all(b"hello"), Ok(5));
        let (mut pipe, n) = from.splice_to(3, lend).unwrap();
        assert_eq!((n, pipe.0.held()), (3, 3));
        assert_eq!(to.splice_from(&mut pipe.0), Ok(3));
        assert_eq!(pipe.0.held(), 0);
        // An empty pipe is nothing to do.
        assert_eq!(to.splice_from(&mut pipe.0), Ok(0));
        let mut buf = [0; 3];
        b.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"hel");
        a.close().unwrap();
        assert_eq!(from.splice_to(100, lend).unwrap().1, 2);
        assert_eq!(from.splice_to(100, lend).unwrap().1, 0);
    });
}

#[test]
fn who_waits_for_a_silent_peer_holds_no_pipe() {
    setup();
    bounded(|| {
        struct Watched(SplicePipe, #[expect(dead_code, reason = "only counted")] Arc<()>);
        impl AsMut<SplicePipe> for Watched {
            fn as_mut(&mut self) -> &mut SplicePipe {
                &mut self.0
            }
        }
        let (a, from) = tcp_pair();
        let (from, held) = (Arc::new(from), Arc::new(()));
        let reader = {
            let (from, held) = (Arc::clone(&from), Arc::clone(&held));
            thread::spawn(move || {
                from.splice_to(10, || Ok(Watched(SplicePipe::new().unwrap(), Arc::clone(&held)))).unwrap().1
            })
        };
        until_parked(&from, Mode::Read);
        assert_eq!(Arc::strong_count(&held), 2, "ours and the closure's");
        a.write_all(b"x").unwrap();
        assert_eq!(reader.join().unwrap(), 1);
    });
}

#[test]
fn each_half_waits_under_its_own_lock_and_ends_by_close_and_deadline() {
    setup();
    bounded(|| {
        let ((a, from), (to, _b)) = (tcp_pair(), tcp_pair());
        let (from, to) = (Arc::new(from), Arc::new(to));
        let reader = {
            let from = Arc::clone(&from);
            thread::spawn(move || from.splice_to(10, lend).map(|(_, n)| n))
        };
        until_parked(&from, Mode::Read);
        // A reader of the source; whoever writes to the destination is not held up.
        assert_eq!(to.write_all(b"x"), Ok(1));
        from.close().unwrap();
        assert_eq!(reader.join().unwrap(), Err(Error::NetClosing));
        drop(a);

        let (a, from) = tcp_pair();
        fill(&to);
        a.write_all(&[7; 1000]).unwrap();
        let (mut pipe, n) = from.splice_to(1000, lend).unwrap();
        assert!(n > 0);
        to.set_write_deadline(after(Duration::from_millis(20))).unwrap();
        assert_eq!(to.splice_from(&mut pipe.0), Err((0, Error::DeadlineExceeded)));
        // What was not sent is there, and can be had.
        assert_eq!(pipe.0.held(), n);
        let mut buf = [0; 2000];
        assert_eq!(pipe.0.read(&mut buf), Ok(n));
        assert!(buf[..n].iter().all(|b| *b == 7));
        assert_eq!(pipe.0.held(), 0);
    });
}

#[test]
fn a_pipe_that_cannot_be_had_is_an_error_and_takes_nothing() {
    setup();
    bounded(|| {
        let (a, from) = tcp_pair();
        a.write_all(b"x").unwrap();
        let none = || Err::<Lent, _>(Errno::EMFILE);
        assert_eq!(from.splice_to(10, none).map(|(_, n)| n), Err(Error::Errno(Errno::EMFILE)));
        assert_eq!(from.read(&mut [0; 4]), Ok(1));
    });
}

#[test]
fn a_file_is_sent_from_an_offset_or_from_where_it_is() {
    setup();
    bounded(|| {
        let (to, mut b) = half_pair();
        let mut source = file(b"0123456789");
        source.seek(SeekFrom::Start(2)).unwrap();
        let mut pieces = 0;
        assert_eq!(to.send_file(&source, None, 3, |n| pieces += n), Ok(3));
        assert_eq!((pieces, source.stream_position().unwrap()), (3, 5));
        let mut at = 8;
        assert_eq!(to.send_file(&source, Some(&mut at), u64::MAX, |_| {}), Ok(2));
        assert_eq!((at, source.stream_position().unwrap()), (10, 5));
        to.close().unwrap();
        let mut all = String::new();
        b.read_to_string(&mut all).unwrap();
        assert_eq!(all, "23489");
    });
}

// go-semantics 7.2: "sendfile ignoring expired deadline (#43822)"
#[test]
fn sendfile_looks_at_the_deadline_before_it_sends() {
    setup();
    bounded(|| {
        let (to, _b) = tcp_pair();
        to.set_write_deadline(past()).unwrap();
        let source = file(b"x");
        assert_eq!(to.send_file(&source, None, 1, |_| {}), Err((0, Error::DeadlineExceeded)));
        assert_eq!(to.send_file(&source, None, 0, |_| {}), Err((0, Error::DeadlineExceeded)));
    });
}

// go-semantics 7.2: "ENOTSUP not treated like EOPNOTSUPP (#70763)"
#[test]
fn what_cannot_be_sent_says_so() {
    setup();
    bounded(|| {
        let (to, _b) = tcp_pair();
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"x").unwrap();
        let Err((0, Error::Errno(errno))) = to.send_file(&reader, None, 1, |_| {}) else {
            panic!("a pipe can be sent as a file here: the copy must be tried with it");
        };
        assert!(is_unsupported(errno), "{errno}");
        assert!(is_unsupported(Errno::ENOSYS) && is_unsupported(Errno::EOPNOTSUPP));
        assert!(!is_unsupported(Errno::EPIPE));
    });
}

#[test]
fn a_sender_waits_for_room_and_sends_all() {
    setup();
    bounded(|| {
        let (to, mut b) = half_pair();
        let want: Vec<u8> = (0..32 << 20).map(|i: usize| (i >> 9) as u8).collect();
        let source = file(&want);
        let to: Arc<Fd> = Arc::new(to);
        let sender = {
            let to = Arc::clone(&to);
            thread::spawn(move || to.send_file(&source, None, u64::MAX, |_| {}))
        };
        until_parked(&to, Mode::Write);
        let mut all = vec![0; want.len()];
        b.read_exact(&mut all).unwrap();
        assert!(all == want);
        assert_eq!(sender.join().unwrap(), Ok(32 << 20));
    });
}
