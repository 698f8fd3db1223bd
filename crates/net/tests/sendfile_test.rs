//! Files to connections. Go: `net/sendfile_test.go`. On systems without sendfile(2) the same, through memory.

mod util;

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use gopark_net::{Copied, JoinHandle, OpError, UnixConn, copy, copy_counted, is_timeout, spawn};
use util::{after, ago, assert_closed, join_soon};

procs!();

/// The length of the file that Go's tests send.
const SIZE: u64 = 567_198;

fn contents(len: u64) -> Vec<u8> {
    (0..len).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}

/// `len` zeros, which take no room.
fn sparse_file(len: u64) -> File {
    let file = empty_file();
    file.set_len(len).unwrap();
    file
}

/// A file without a name.
fn empty_file() -> File {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("gopark-sendfile-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
    let path = std::env::temp_dir().join(name);
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file
}

fn file(bytes: &[u8]) -> File {
    let mut file = empty_file();
    file.write_all(bytes).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file
}

fn receive(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    spawn(move || {
        let mut all = Vec::new();
        from.read_to_end(&mut all).unwrap();
        all
    })
}

/// That it went past memory, where the system can do that.
#[track_caller]
fn assert_sent(copied: Copied, n: u64) {
    let past = if cfg!(target_os = "linux") { n } else { 0 };
    assert_eq!((copied.read, copied.written, copied.past_memory), (n, n, past));
}

both! {
    // Go: sendfile_test.go TestSendfile, TestSendfileWithExactLimit, TestSendfileWithLimitLargerThanFile
    fn test_sendfile() {
        for limit in [None, Some(SIZE), Some(SIZE * 2)] {
            let (mut a, b) = util::pair();
            let received = receive(b);
            let mut source = file(&contents(SIZE));
            let mut copied = Copied::default();
            match limit {
                None => copy_counted(&mut a, &mut source, &mut copied).unwrap(),
                Some(limit) => copy_counted(&mut a, &mut (&source).take(limit), &mut copied).unwrap(),
            }
            assert_sent(copied, SIZE);
            assert_eq!(source.stream_position().unwrap(), SIZE);
            drop(a);
            assert!(join_soon(received) == contents(SIZE));
        }
    }

    fn to_unix_streams_too() {
        let (a, b) = UnixConn::pair().unwrap();
        let received = receive(b);
        assert_eq!(a.copy_from(&mut file(&contents(SIZE))).unwrap(), SIZE);
        assert_eq!(a.send_file(&file(&contents(SIZE)), SIZE - 10, 100).unwrap(), 10);
        drop(a);
        let want = contents(SIZE);
        assert!(join_soon(received) == [&want[..], &want[want.len() - 10..]].concat());
    }

    // Go: sendfile_test.go TestSendfileParts
    fn test_sendfile_parts() {
        let (mut a, b) = util::pair();
        let source = file(b"Produced by Suzanne Shell");
        for _ in 0..3 {
            assert_eq!(copy(&mut a, &mut (&source).take(3)).unwrap(), 3);
        }
        drop(a);
        assert_eq!(join_soon(receive(b)), b"Produced ");
    }

    // Go: sendfile_test.go TestSendfileSeeked
    fn test_sendfile_seeked() {
        let (a, b) = util::pair();
        let mut source = file(&contents(SIZE));
        source.seek(SeekFrom::Start(65 << 10)).unwrap();
        assert_eq!(a.read_from(&mut (&source).take(10 << 10)).unwrap(), 10 << 10);
        drop(a);
        assert!(join_soon(receive(b)) == contents(SIZE)[65 << 10..75 << 10]);
    }

    // Go: sendfile_test.go TestSendfileWithLargeFile: beyond what one call takes, of a file that takes no room.
    fn test_sendfile_with_large_file() {
        let end = (4u64 << 30) + 5;
        let source = sparse_file(end);
        let (a, b) = util::pair();
        let received = spawn(move || b.copy_to_nowhere());
        // The last part of it: all of it would be a second of zeros for each of the runs.
        assert_eq!(a.send_file(&source, end - (8 << 20), u64::MAX).unwrap(), 8 << 20);
        drop(a);
        assert_eq!(join_soon(received), 8 << 20);
    }

    // Go: sendfile_test.go TestSendfilePipe: what is no regular file is read, and can still be read afterwards.
    fn test_sendfile_pipe() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut source = File::from(std::os::fd::OwnedFd::from(reader));
        let (mut a, b) = util::pair();
        writer.write_all(b"some more").unwrap();
        let mut copied = Copied::default();
        copy_counted(&mut a, &mut (&source).take(5), &mut copied).unwrap();
        assert_eq!((copied.written, copied.past_memory), (5, 0));
        let mut rest = [0; 4];
        source.read_exact(&mut rest).unwrap();
        assert_eq!(&rest, b"more");
        drop(a);
        assert_eq!(join_soon(receive(b)), b"some ");
    }

    // Go: tcpsock_test.go TestCopyPipeIntoTCP: the second half comes later.
    fn test_copy_pipe_into_tcp() {
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        let (mut a, b) = util::pair();
        let copier = std::thread::spawn(move || copy(&mut a, &mut reader));
        writer.write_all(b"1").unwrap();
        let mut buf = [0; 100];
        assert_eq!(b.read(&mut buf).unwrap(), 1);
        writer.write_all(b"2").unwrap();
        assert_eq!(b.read(&mut buf).unwrap(), 1);
        drop(writer);
        assert_eq!(copier.join().unwrap().unwrap(), 2);
        assert_eq!(b.read(&mut buf).unwrap(), 0);
    }

    // Go: sendfile_test.go TestSendfileOnWriteTimeoutExceeded
    // go-semantics 7.2: "sendfile ignoring expired deadline (#43822)"
    fn test_sendfile_on_write_timeout_exceeded() {
        let (mut a, b) = util::pair();
        a.set_write_deadline(ago(Duration::from_secs(1))).unwrap();
        let mut source = file(&contents(SIZE));
        let mut copied = Copied::default();
        let err = copy_counted(&mut a, &mut source, &mut copied).unwrap_err();
        assert!(is_timeout(&err) && err.kind() == ErrorKind::TimedOut, "{err}");
        assert_eq!((copied.written, source.stream_position().unwrap()), (0, 0));
        assert!(is_timeout(&a.send_file(&source, 0, SIZE).unwrap_err()));
        drop(a);
        assert_eq!(join_soon(receive(b)), b"");
    }

    // go-semantics 7.2: "\"0 bytes\" seen as unhandled (#53658)": the end of the file is the end of the copy.
    fn an_empty_file_is_nothing() {
        let (mut a, _b) = util::pair();
        assert_eq!(copy(&mut a, &mut file(b"")).unwrap(), 0);
        let source = file(b"abc");
        assert_eq!(a.send_file(&source, 3, 10).unwrap(), 0);
        assert_eq!(a.send_file(&source, 100, 10).unwrap(), 0);
        assert_eq!(a.send_file(&source, 0, 0).unwrap(), 0);
    }

    #[cfg(target_os = "linux")]
    fn a_file_that_the_system_makes_up_is_read() {
        let (mut a, b) = util::pair();
        let want = std::fs::read("/proc/self/status").unwrap().len();
        let n = copy(&mut a, &mut File::open("/proc/self/status").unwrap()).unwrap();
        // Its figures may have grown a digit since.
        assert!(n.abs_diff(want as u64) < 100, "{n} of {want}");
        drop(a);
        assert_eq!(join_soon(receive(b)).len() as u64, n);
    }

    fn a_deadline_in_the_middle_says_how_far_it_came() {
        let (a, b) = util::narrow_pair();
        let source = sparse_file(32 << 20);
        a.set_write_deadline(after(Duration::from_millis(50))).unwrap();
        let err = a.send_file(&source, 0, u64::MAX).unwrap_err();
        assert!(is_timeout(&err), "{err}");
        assert!(err.to_string().starts_with("sendfile tcp "), "{err}");
        let written = OpError::of(&err).unwrap().written;
        assert!(0 < written && written < 32 << 20);
        drop(a);
        assert_eq!(join_soon(receive(b)).len(), written);
    }

    fn a_timeout_is_for_a_piece() {
        let (a, b) = util::pair();
        a.set_write_timeout(Some(Duration::from_millis(250))).unwrap();
        let source = sparse_file(24 << 20);
        let sender = spawn(move || a.send_file(&source, 0, u64::MAX));
        let mut buf = vec![0; 4 << 20];
        for _ in 0..6 {
            // not for ordering: longer altogether than the timeout, each time shorter
            gopark_net::sleep(Duration::from_millis(100));
            (&mut &b).read_exact(&mut buf).unwrap();
        }
        assert_eq!(join_soon(sender).unwrap(), 24 << 20);
    }

    fn close_ends_it() {
        let (a, b) = util::narrow_pair();
        let a = Arc::new(a);
        let sender = util::assert_blocked(spawn({
            let a = Arc::clone(&a);
            move || a.send_file(&sparse_file(32 << 20), 0, u64::MAX)
        }));
        a.close().unwrap();
        assert_closed(join_soon(sender));
        drop(b);
    }

    fn many_send_one_file() {
        let source = Arc::new(file(&contents(SIZE)));
        let senders: Vec<_> = (0..4u64)
            .map(|i| {
                let source = Arc::clone(&source);
                spawn(move || {
                    let (a, b) = util::pair();
                    let received = receive(b);
                    assert_eq!(a.send_file(&source, i * 1000, 100_000).unwrap(), 100_000);
                    drop(a);
                    let at = usize::try_from(i).unwrap() * 1000;
                    assert!(join_soon(received) == contents(SIZE)[at..at + 100_000]);
                })
            })
            .collect();
        senders.into_iter().for_each(join_soon);
        assert_eq!((&*source).stream_position().unwrap(), 0);
    }
}

/// Counts what arrives.
trait ToNowhere {
    fn copy_to_nowhere(&self) -> u64;
}

impl ToNowhere for gopark_net::TcpConn {
    fn copy_to_nowhere(&self) -> u64 {
        self.write_to(&mut std::io::sink()).unwrap()
    }
}
