//! Requests read with httparse from our connections: the loop that small HTTP servers are made of.

mod util;

use std::io::{self, ErrorKind};

use gopark_net::{TcpConn, spawn};
use util::{after, assert_timeout, join_soon, pair};

procs!();

/// The longest head that is read, in bytes. Without a bound a peer decides how much memory it gets.
const HEAD_MAX: usize = 8 << 10;

#[derive(Debug, PartialEq, Eq)]
struct Request {
    method: String,
    path: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

/// What one connection sends: what was read and is not part of a request yet stays in the buffer, so requests may
/// come in any pieces, and several in one.
struct Requests<'a> {
    conn: &'a TcpConn,
    buf: Vec<u8>,
}

impl<'a> Requests<'a> {
    fn new(conn: &'a TcpConn) -> Requests<'a> {
        Requests { conn, buf: Vec::new() }
    }

    /// The next request, or None at the end of the connection.
    fn next(&mut self) -> io::Result<Option<Request>> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 16];
            let mut request = httparse::Request::new(&mut headers);
            let parsed = request.parse(&self.buf).map_err(|e| io::Error::new(ErrorKind::InvalidData, e))?;
            if let httparse::Status::Complete(head) = parsed {
                let mut found = Request {
                    method: request.method.unwrap().to_owned(),
                    path: request.path.unwrap().to_owned(),
                    headers: request.headers.iter().map(|h| (h.name.to_owned(), h.value.to_vec())).collect(),
                    body: Vec::new(),
                };
                let length =
                    found.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
                let length = length.map_or(0, |(_, n)| String::from_utf8_lossy(n).parse().unwrap());
                while self.buf.len() < head + length {
                    if self.fill()? == 0 {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                }
                found.body = self.buf[head..head + length].to_vec();
                self.buf.drain(..head + length);
                return Ok(Some(found));
            }
            if self.buf.len() >= HEAD_MAX {
                return Err(io::Error::new(ErrorKind::InvalidData, "the head is too long"));
            }
            if self.fill()? == 0 {
                return if self.buf.is_empty() { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 2 << 10];
        let n = self.conn.read(&mut chunk)?;
        self.buf.extend_from_slice(&chunk[..n]);
        Ok(n)
    }
}

const GET: &str = "GET /here HTTP/1.1\r\nHost: example\r\nAccept: */*\r\n\r\n";
const POST: &str = "POST /there HTTP/1.1\r\ncontent-length: 11\r\n\r\nhello world";

/// Reads all requests of a connection that sends `pieces`, and then ends.
fn requests_of(pieces: Vec<Vec<u8>>) -> io::Result<Vec<Request>> {
    let (client, server) = pair();
    let sending = spawn(move || {
        client.set_nodelay(true).unwrap();
        for piece in pieces {
            // Fails once the server has refused what came before.
            if client.write_all(&piece).is_err() {
                break;
            }
        }
    });
    let mut requests = Requests::new(&server);
    let mut all = Vec::new();
    let outcome = loop {
        match requests.next() {
            Ok(Some(request)) => all.push(request),
            Ok(None) => break Ok(all),
            Err(e) => break Err(e),
        }
    };
    drop(server);
    join_soon(sending);
    outcome
}

#[track_caller]
fn assert_get_and_post(requests: &[Request]) {
    let [get, post] = requests else { panic!("{requests:?}") };
    assert_eq!((get.method.as_str(), get.path.as_str(), &get.body[..]), ("GET", "/here", &b""[..]));
    assert_eq!(get.headers[0], ("Host".to_owned(), b"example".to_vec()));
    assert_eq!(get.headers.len(), 2);
    assert_eq!((post.method.as_str(), post.path.as_str()), ("POST", "/there"));
    assert_eq!(post.body, b"hello world");
}

both! {
    fn pipelined_requests_in_one_piece() {
        assert_get_and_post(&requests_of(vec![format!("{GET}{POST}").into_bytes()]).unwrap());
    }

    /// Each byte in a segment of its own: every possible place to stop in.
    fn requests_byte_by_byte() {
        let bytes = format!("{GET}{POST}").into_bytes();
        assert_get_and_post(&requests_of(bytes.chunks(1).map(<[u8]>::to_vec).collect()).unwrap());
    }

    fn a_connection_without_a_request_is_no_error() {
        assert_eq!(requests_of(Vec::new()).unwrap(), []);
    }

    fn an_end_in_the_middle_is_an_error() {
        for cut in [1, GET.len() - 1] {
            let err = requests_of(vec![GET.as_bytes()[..cut].to_vec()]).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::UnexpectedEof);
        }
        let err = requests_of(vec![POST.as_bytes()[..POST.len() - 1].to_vec()]).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::UnexpectedEof);
    }

    fn what_is_no_request_is_an_error() {
        for bad in ["\u{0}\u{1}", "GET\u{7f}/ HTTP/1.1\r\n\r\n", "GET / HTTP/9\r\n\r\n"] {
            let err = requests_of(vec![bad.into()]).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidData, "{bad:?}");
        }
    }

    /// A head without an end, and one with too many headers: refused, whatever the peer goes on sending.
    fn a_head_that_does_not_end_is_refused() {
        let endless = std::iter::once(b"GET / HTTP/1.1\r\nX: ".to_vec());
        let endless = endless.chain((0..64).map(|_| vec![b'x'; 1 << 10]));
        let err = requests_of(endless.collect()).unwrap_err();
        assert_eq!(err.to_string(), "the head is too long");
        let many: String = (0..17).map(|i| format!("h{i}: x\r\n")).collect();
        let err = requests_of(vec![format!("GET / HTTP/1.1\r\n{many}\r\n").into()]).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidData);
    }

    /// A request that does not come to its end in time; the deadline is for all of it, not for each read.
    fn a_slow_request_runs_into_the_deadline() {
        let (client, server) = pair();
        client.write_all(&GET.as_bytes()[..GET.len() - 1]).unwrap();
        server.set_read_deadline(after(std::time::Duration::from_millis(20))).unwrap();
        let mut requests = Requests::new(&server);
        assert_timeout(requests.next());
        // What had come is still there: with the last byte the request is whole.
        server.set_read_deadline(None).unwrap();
        client.write_all(b"\n").unwrap();
        assert_eq!(requests.next().unwrap().unwrap().path, "/here");
    }
}
