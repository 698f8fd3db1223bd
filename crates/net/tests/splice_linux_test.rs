//! Copying between connections past the program's memory. Go: `net/splice_linux_test.go`,
//! `internal/poll/splice_linux_test.go`.
#![cfg(target_os = "linux")]

mod util;

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::time::Duration;

use gopark_net::context::Context;
use gopark_net::{
    Conn, Copied, Endpoint, JoinHandle, OpError, Opaque, Sink, Source, UnixConn, copy, copy_counted,
    is_canceled, is_closed, is_timeout, pipe, spawn,
};
use util::{after, assert_blocked, join_soon};

procs!();

type Ends = (Box<dyn Conn>, Box<dyn Conn>);
type Make = fn() -> Ends;

fn tcp() -> Ends {
    let (a, b) = util::pair();
    (Box::new(a), Box::new(b))
}

fn unix() -> Ends {
    let (a, b) = UnixConn::pair().unwrap();
    (Box::new(a), Box::new(b))
}

/// Both networks on both sides; Go has no Unix to Unix.
const NETWORKS: [(Make, Make); 4] = [(tcp, tcp), (unix, tcp), (tcp, unix), (unix, unix)];

fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..len.div_ceil(8)).flat_map(|_| next().to_le_bytes()).take(len).collect()
}

fn send(to: Box<dyn Conn>, bytes: Vec<u8>, chunk: usize) -> JoinHandle<()> {
    spawn(move || bytes.chunks(chunk).for_each(|piece| to.write_all(piece).unwrap()))
}

fn receive(mut from: Box<dyn Conn>) -> JoinHandle<Vec<u8>> {
    spawn(move || {
        let mut all = Vec::new();
        from.read_to_end(&mut all).unwrap();
        all
    })
}

/// A file without a name.
fn file(options: &mut OpenOptions) -> File {
    let path = std::env::temp_dir().join(format!("gopark-splice-{}-{:p}", std::process::id(), &options));
    let file = options.create_new(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file
}

/// A reader that knows what passed it, by `read` and past it.
struct Counting<R> {
    inner: R,
    read: u64,
    past: u64,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.read += n as u64;
        Ok(n)
    }
}

impl<R: Source> Source for Counting<R> {
    fn read_end(&mut self) -> Option<Endpoint<'_>> {
        self.inner.read_end()
    }

    fn took(&mut self, n: u64) {
        self.past += n;
        self.inner.took(n);
    }
}

both! {
    // Go: splice_linux_test.go TestSplice, testSplice: simple, multipleWrite, big
    fn test_splice() {
        for (up, down) in NETWORKS {
            for (chunk, total) in [(128, 128), (1000, 100_000), (5 << 10, 8 << 20)] {
                let ((client, from), (to, server)) = (up(), down());
                let want = noise(total);
                let sender = send(client, want.clone(), chunk);
                let received = receive(server);
                let mut copied = Copied::default();
                copy_counted(&mut &*to, &mut &*from, &mut copied).unwrap();
                assert_eq!((copied.read, copied.written), (total as u64, total as u64));
                assert_eq!(copied.past_memory, total as u64, "it went through memory");
                drop(to);
                assert!(join_soon(received) == want);
                join_soon(sender);
            }
        }
    }

    // Go: splice_linux_test.go TestSplice, honorsLimitedReader, updatesLimitedReaderN, limitedReaderAtLimit
    fn test_splice_honors_limited_reader() {
        for (up, down) in NETWORKS {
            let ((client, mut from), (mut to, mut server)) = (up(), down());
            client.write_all(&noise(8000)).unwrap();
            let mut limited = (&mut from).take(5000);
            assert_eq!(copy(&mut to, &mut limited).unwrap(), 5000);
            assert_eq!(limited.limit(), 0);
            // At its limit it gives nothing more, and does not wait.
            assert_eq!(copy(&mut to, &mut limited).unwrap(), 0);
            // The end before the limit.
            drop(client);
            let mut limited = (&mut from).take(5000);
            assert_eq!(copy(&mut to, &mut limited).unwrap(), 3000);
            assert_eq!(limited.limit(), 2000);
            drop(to);
            let mut got = Vec::new();
            server.read_to_end(&mut got).unwrap();
            assert!(got == noise(8000));
        }
    }

    // Go: splice_linux_test.go TestSplice, readerAtEOF
    fn test_splice_reader_at_eof() {
        for (up, down) in NETWORKS {
            let ((client, mut from), (mut to, _server)) = (up(), down());
            drop(client);
            assert_eq!(copy(&mut to, &mut from).unwrap(), 0);
            assert_eq!(copy(&mut to, &mut from).unwrap(), 0);
        }
    }

    // Go: splice_linux_test.go TestSplice, issue25985: two copies between the same two connections in opposite
    // directions, and both connections closed. go-semantics 7.2: "Double lock hold across splice (#25985)"
    fn test_splice_issue_25985() {
        for (up, down) in NETWORKS {
            let ((client, front), (back, server)) = (up(), down());
            let (front, back): (Arc<dyn Conn>, Arc<dyn Conn>) = (front.into(), back.into());
            let ways = [(&front, &back), (&back, &front)].map(|(from, to)| {
                let (from, to) = (Arc::clone(from), Arc::clone(to));
                spawn(move || {
                    let result = copy(&mut &*to, &mut &*from);
                    let _ = from.close();
                    let _ = to.close();
                    result
                })
            });
            client.write_all(b"foo").unwrap();
            let mut foo = [0; 3];
            (&mut &*server).read_exact(&mut foo).unwrap();
            assert_eq!(&foo, b"foo");
            drop(server);
            ways.into_iter().for_each(|way| drop(join_soon(way)));
            drop(client);
        }
    }

    // Go: splice_linux_test.go TestSplice, noUnixpacket and noUnixgram: their bounds would be lost.
    fn test_splice_no_unixpacket_no_unixgram() {
        for network in ["unixpacket", "unixgram"] {
            let (client, mut from) = UnixConn::pair_of(network).unwrap();
            let (mut to, server) = util::pair();
            assert!(Source::read_end(&mut from).is_none());
            client.write(b"some").unwrap();
            assert_eq!(copy(&mut to, &mut (&mut from).take(4)).unwrap(), 4);
            assert_eq!(server.read(&mut [0; 16]).unwrap(), 4);
        }
    }

    // Go: splice_linux_test.go TestSplice, testSpliceToFile
    fn test_splice_to_file() {
        for ends in [tcp, unix] {
            let (client, mut from) = ends();
            let want = noise(3 << 20);
            let sender = send(client, want.clone(), 64 << 10);
            let mut to = file(OpenOptions::new().read(true).write(true));
            let mut copied = Copied::default();
            copy_counted(&mut to, &mut from, &mut copied).unwrap();
            assert_eq!((copied.written, copied.past_memory), (3 << 20, 3 << 20));
            join_soon(sender);
            to.seek(SeekFrom::Start(0)).unwrap();
            let mut got = Vec::new();
            to.read_to_end(&mut got).unwrap();
            assert!(got == want);
        }
    }

    // The system refuses, and finds out when the bytes are in the pipe: none of them may be lost.
    fn a_file_open_to_append_is_written() {
        let (client, mut from) = tcp();
        let want = noise(300_000);
        let sender = send(client, want.clone(), 300_000);
        let mut to = file(OpenOptions::new().read(true).append(true));
        let mut copied = Copied::default();
        copy_counted(&mut to, &mut from, &mut copied).unwrap();
        assert_eq!((copied.read, copied.written, copied.past_memory), (300_000, 300_000, 0));
        join_soon(sender);
        to.seek(SeekFrom::Start(0)).unwrap();
        let mut got = Vec::new();
        to.read_to_end(&mut got).unwrap();
        assert!(got == want);
    }

    fn wrappers_pass_it_on_and_count() {
        let ((client, from), (to, server)) = (tcp(), tcp());
        let received = receive(server);
        client.write_all(b"head and the first of the body").unwrap();
        let mut from = Counting { inner: BufReader::new(from), read: 0, past: 0 };
        // What was read ahead stays ahead.
        let mut head = [0; 5];
        from.inner.read_exact(&mut head).unwrap();
        let rest = noise(200_000);
        let sender = send(client, rest.clone(), 200_000);
        let mut to = BufWriter::new(to);
        to.write_all(b"sent: ").unwrap();
        let mut copied = Copied::default();
        copy_counted(&mut to, &mut from.inner, &mut copied).unwrap();
        assert_eq!((copied.written, copied.past_memory), (200_025, 200_000));
        join_soon(sender);
        drop(to);
        assert!(join_soon(received) == [b"sent: and the first of the body", &rest[..]].concat());

        let ((client, from), (mut to, server)) = (tcp(), tcp());
        let sender = send(client, rest.clone(), 1000);
        let received = receive(server);
        let mut from = Counting { inner: from, read: 0, past: 0 };
        assert_eq!(copy(&mut to, &mut from).unwrap(), 200_000);
        assert_eq!((from.read, from.past), (0, 200_000));
        drop(to);
        assert!(join_soon(received) == rest);
        join_soon(sender);
    }

    fn what_knows_nothing_of_it_is_read_and_written() {
        let ((client, from), (mut to, server)) = (tcp(), tcp());
        let (client, want) = (client, noise(200_000));
        let sender = send(client, want.clone(), 1000);
        let received = receive(server);
        let mut copied = Copied::default();
        copy_counted(&mut to, &mut Opaque(from), &mut copied).unwrap();
        assert_eq!((copied.written, copied.past_memory), (200_000, 0));
        drop(to);
        assert!(join_soon(received) == want);
        join_soon(sender);
        // A pipe has no descriptor, at either end.
        let ((a, mut b), (client, from)) = (pipe(), tcp());
        let copier = spawn(move || copy(&mut &a, &mut &*from));
        client.write_all(b"through").unwrap();
        let mut buf = [0; 7];
        b.read_exact(&mut buf).unwrap();
        drop(client);
        assert_eq!((&buf, join_soon(copier).unwrap()), (b"through", 7));
    }

    fn a_deadline_ends_either_side() {
        let ((_client, mut from), (mut to, _server)) = (tcp(), tcp());
        from.set_read_deadline(after(Duration::from_millis(20))).unwrap();
        let err = copy(&mut to, &mut from).unwrap_err();
        assert!(is_timeout(&err) && err.to_string().starts_with("read tcp "), "{err}");

        let ((client, mut from), (a, _b)) = (tcp(), util::narrow_pair());
        // More than all buffers on the way hold.
        let sender = spawn(move || client.write_all(&vec![0; 64 << 20]));
        a.set_write_deadline(after(Duration::from_millis(100))).unwrap();
        let mut copied = Copied::default();
        let err = copy_counted(&mut &a, &mut from, &mut copied).unwrap_err();
        assert!(is_timeout(&err) && err.to_string().starts_with("write tcp "), "{err}");
        // What is lost with the pipe is known.
        assert!(copied.read > copied.written, "{copied:?}");
        assert!(OpError::of(&err).unwrap().written as u64 <= copied.written);
        drop(from);
        assert!(join_soon(sender).is_err());
    }

    fn a_timeout_is_for_a_piece() {
        let ((client, from), (mut to, server)) = (util::pair(), tcp());
        from.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let received = receive(server);
        let sender = spawn(move || {
            for _ in 0..6 {
                client.write_all(b"tick").unwrap();
                // not for ordering: longer altogether than the timeout, each time shorter
                gopark_net::sleep(Duration::from_millis(50));
            }
            client
        });
        let err = copy(&mut to, &mut &from).unwrap_err();
        assert!(is_timeout(&err), "{err}");
        drop(to);
        assert_eq!(join_soon(received).len(), 24);
        join_soon(sender);
    }

    fn close_and_a_context_end_it() {
        for close_source in [true, false] {
            let ((client, from), (to, _server)) = (util::pair(), util::narrow_pair());
            let (from, to) = (Arc::new(from), Arc::new(to));
            let copier = spawn({
                let (from, to) = (Arc::clone(&from), Arc::clone(&to));
                move || copy(&mut &*to, &mut &*from)
            });
            if close_source {
                let copier = assert_blocked(copier);
                from.close().unwrap();
                assert!(is_closed(&join_soon(copier).unwrap_err()));
            } else {
                let sender = spawn(move || client.write_all(&vec![0; 64 << 20]));
                let copier = assert_blocked(copier);
                to.close().unwrap();
                assert!(is_closed(&join_soon(copier).unwrap_err()));
                from.close().unwrap();
                assert!(join_soon(sender).is_err());
            }
        }
        let ((_client, from), (mut to, _server)) = (util::pair(), tcp());
        let (ctx, cancel) = Context::background().with_cancel();
        let copier = spawn(move || {
            let mut from = from.with_context(&ctx).unwrap();
            copy(&mut to, &mut from)
        });
        let copier = assert_blocked(copier);
        cancel.cancel();
        assert!(is_canceled(&join_soon(copier).unwrap_err()));
    }

    fn an_error_names_the_side_and_the_call() {
        let ((client, mut from), (mut to, server)) = (tcp(), tcp());
        drop(server);
        let sender = spawn(move || while client.write_all(&[0; 1000]).is_ok() {});
        let err = copy(&mut to, &mut from).unwrap_err();
        let text = err.to_string();
        assert!(text.starts_with("write tcp "), "{text}");
        assert!(text.ends_with("broken pipe") || text.ends_with("connection reset by peer"), "{text}");
        drop(from);
        join_soon(sender);

        let (client, from) = util::pair();
        let (to, server) = util::pair();
        drop(server);
        let sender = spawn(move || while client.write_all(&[0; 1000]).is_ok() {});
        let err = to.read_from(&mut &from).unwrap_err();
        assert!(err.to_string().starts_with("readfrom tcp "), "{err}");
        drop(from);
        join_soon(sender);
    }

    fn a_connection_to_itself_echoes() {
        let (client, server) = util::pair();
        let echo = spawn(move || copy(&mut &server, &mut &server));
        let want = noise(1 << 20);
        let client = Arc::new(client);
        let received = receive(Box::new(Arc::clone(&client)));
        client.write_all(&want).unwrap();
        client.close_write().unwrap();
        assert!(join_soon(received) == want);
        assert_eq!(join_soon(echo).unwrap(), 1 << 20);
    }

    // A sink that takes no more of the descriptor after a while.
    fn a_wrapper_may_stop_passing_it_on() {
        struct Fickle<W>(W, u32);
        impl<W: Write> Write for Fickle<W> {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                self.0.write(buf)
            }
            fn flush(&mut self) -> io::Result<()> {
                self.0.flush()
            }
        }
        impl<W: Sink> Sink for Fickle<W> {
            fn write_end(&mut self) -> Option<Endpoint<'_>> {
                self.1 += 1;
                // Between the two halves of the second piece.
                if self.1 == 4 { None } else { self.0.write_end() }
            }
        }
        let ((client, mut from), (to, server)) = (tcp(), tcp());
        let want = noise(4 << 20);
        let sender = send(client, want.clone(), 1 << 20);
        let received = receive(server);
        let mut to = Fickle(to, 0);
        let mut copied = Copied::default();
        copy_counted(&mut to, &mut from, &mut copied).unwrap();
        assert!(0 < copied.past_memory && copied.past_memory < copied.written, "{copied:?}");
        drop(to);
        assert!(join_soon(received) == want);
        join_soon(sender);
    }
}
