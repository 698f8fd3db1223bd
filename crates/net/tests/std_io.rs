//! std's own readers and writers over our connections.

mod util;

use std::io::{self, BufRead, BufReader, BufWriter, Cursor, ErrorKind, LineWriter, Read, Write};
use std::time::Duration;

use gopark_net::{TcpConn, is_closed, is_timeout, spawn};
use util::{after, join_soon, pair};

procs!();

fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i % 251) as u8).collect()
}

both! {
    /// `io::copy` there and back, more than all buffers hold, with the half-close that ends each way.
    fn io_copy_echoes_until_the_end() {
        let (client, server) = pair();
        let served = spawn(move || {
            let n = io::copy(&mut &server, &mut &server).unwrap();
            server.close_write().unwrap();
            n
        });
        let sent = pattern(8 << 20);
        let (client, wanted) = (std::sync::Arc::new(client), sent.clone());
        let writing = spawn({
            let client = client.clone();
            move || {
                assert_eq!(io::copy(&mut Cursor::new(sent), &mut &*client).unwrap(), 8 << 20);
                client.close_write().unwrap();
            }
        });
        let mut back = Vec::new();
        assert_eq!(io::copy(&mut &*client, &mut back).unwrap(), 8 << 20);
        assert!(back == wanted);
        join_soon(writing);
        assert_eq!(join_soon(served), 8 << 20);
    }

    fn io_copy_into_a_sink_and_with_take() {
        let (client, server) = pair();
        client.write_all(&pattern(1000)).unwrap();
        drop(client);
        let mut first = Vec::new();
        assert_eq!(io::copy(&mut (&server).take(100), &mut first).unwrap(), 100);
        assert!(first == pattern(100));
        assert_eq!(io::copy(&mut &server, &mut io::sink()).unwrap(), 900);
    }

    /// An error in the middle comes out as it is.
    fn io_copy_returns_the_connections_error() {
        let (client, server) = pair();
        client.write_all(b"something").unwrap();
        server.set_read_deadline(after(Duration::from_millis(10))).unwrap();
        let mut got = Vec::new();
        let err = io::copy(&mut &server, &mut got).unwrap_err();
        assert!(is_timeout(&err), "{err}");
        assert_eq!(got, b"something");
        server.close().unwrap();
        assert!(is_closed(&io::copy(&mut &server, &mut got).unwrap_err()));
    }

    fn a_buf_reader_finds_lines_whatever_the_pieces() {
        let (client, server) = pair();
        let text = "one\n\ntwo words\r\nthe last without an end";
        let sending = spawn(move || {
            client.set_nodelay(true).unwrap();
            text.as_bytes().chunks(3).for_each(|piece| client.write_all(piece).unwrap());
        });
        let lines: Vec<String> = BufReader::with_capacity(4, server).lines().map(Result::unwrap).collect();
        assert_eq!(lines, ["one", "", "two words", "the last without an end"]);
        join_soon(sending);
    }

    /// The two handles that an echo of lines needs, borrowed from one connection.
    fn a_buf_reader_and_a_buf_writer_share_a_connection() {
        let (client, server) = pair();
        let served = spawn(move || {
            let (mut from, mut to) = (BufReader::new(&server), BufWriter::new(&server));
            let mut line = String::new();
            while from.read_line(&mut line).unwrap() > 0 {
                to.write_all(line.to_uppercase().as_bytes()).unwrap();
                // What is pipelined is answered in one write.
                if from.buffer().is_empty() {
                    to.flush().unwrap();
                }
                line.clear();
            }
        });
        client.write_all("a\nb\nc\n".repeat(100).as_bytes()).unwrap();
        client.close_write().unwrap();
        let mut back = String::new();
        (&client).read_to_string(&mut back).unwrap();
        assert_eq!(back, "A\nB\nC\n".repeat(100));
        join_soon(served);
    }

    /// What the writer could not write it keeps, and says so; nothing is written twice.
    fn a_buf_writer_keeps_what_a_deadline_cut_off() {
        // More than the system's buffers grow to.
        const LARGE: usize = 16 << 20;
        let (client, server) = pair();
        let wanted = pattern(LARGE);
        let mut to = BufWriter::with_capacity(LARGE + 1, &client);
        to.write_all(&wanted).unwrap();
        client.set_write_deadline(after(Duration::from_millis(50))).unwrap();
        let err = to.flush().unwrap_err();
        assert!(is_timeout(&err), "{err}");
        assert!(!to.buffer().is_empty() && to.buffer().len() < LARGE, "some of it is gone");
        client.set_write_deadline(None).unwrap();
        let reading = spawn(move || {
            let mut all = Vec::new();
            (&server).read_to_end(&mut all).unwrap();
            all
        });
        to.flush().unwrap();
        drop(to);
        drop(client);
        assert!(join_soon(reading) == wanted);
    }

    fn formatted_lines_through_a_line_writer() {
        let (client, server) = pair();
        let mut to = LineWriter::new(client);
        write!(to, "{}-{}", 1, 2).unwrap();
        writeln!(to, "-{:03}", 3).unwrap();
        let mut from = BufReader::new(server);
        let mut line = String::new();
        from.read_line(&mut line).unwrap();
        assert_eq!(line, "1-2-003\n");
    }

    fn exact_reads_and_their_unexpected_end() {
        let (mut client, mut server) = pair();
        Write::write_all(&mut client, b"12345678").unwrap();
        let mut buf = [0; 4];
        Read::read_exact(&mut server, &mut buf).unwrap();
        assert_eq!(&buf, b"1234");
        drop(client);
        let err = Read::read_exact(&mut server, &mut [0; 5]).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::UnexpectedEof);
    }

    /// A generic function that knows nothing of us, by value, by reference, boxed.
    fn a_connection_is_a_reader_and_a_writer_in_every_form() {
        fn greet(mut to: impl Write, mut from: impl Read) {
            to.write_all(b"hello").unwrap();
            to.flush().unwrap();
            let mut back = [0; 5];
            from.read_exact(&mut back).unwrap();
            assert_eq!(&back, b"hello");
        }
        let (client, server) = pair();
        greet(&client, &server);
        greet(&mut &client, server.try_clone().unwrap());
        let boxed: (Box<dyn Write + Send>, Box<dyn Read + Send>) = (Box::new(client), Box::new(server));
        greet(boxed.0, boxed.1);
    }

    fn chained_and_vectored() {
        let (client, server) = pair();
        let bufs = [io::IoSlice::new(b"head "), io::IoSlice::new(b"and body")];
        assert_eq!(client.write_vectored(&bufs).unwrap(), 13);
        drop(client);
        let mut all = String::new();
        b"before: ".chain(&server).read_to_string(&mut all).unwrap();
        assert_eq!(all, "before: head and body");
    }
}

/// A std program's way to share a connection: a clone for each direction.
#[test]
fn clones_read_and_write_at_the_same_time() {
    fn pump(mut from: TcpConn, mut to: TcpConn) -> io::Result<u64> {
        let n = io::copy(&mut from, &mut to)?;
        to.shutdown(std::net::Shutdown::Write)?;
        Ok(n)
    }
    util::goroutine("clones_read_and_write_at_the_same_time", || {
        let ((a, left), (right, b)) = (pair(), pair());
        let there = spawn({
            let (left, right) = (left.try_clone().unwrap(), right.try_clone().unwrap());
            move || pump(left, right).unwrap()
        });
        let back = spawn(move || pump(right, left).unwrap());
        a.write_all(b"there").unwrap();
        b.write_all(b"and back").unwrap();
        a.close_write().unwrap();
        b.close_write().unwrap();
        let (mut at_a, mut at_b) = (String::new(), String::new());
        (&a).read_to_string(&mut at_a).unwrap();
        (&b).read_to_string(&mut at_b).unwrap();
        assert_eq!((at_a.as_str(), at_b.as_str()), ("and back", "there"));
        assert_eq!((join_soon(there), join_soon(back)), (5, 8));
    });
}
