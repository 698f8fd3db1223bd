//! A small HTTP/1.1 server: httparse reads the requests, the rest is a loop. Connections are kept, requests may be
//! pipelined, and what a peer may send is bounded in length and time.

#![allow(unsafe_code)]

use gopark_examples::flags::Flags;
use gopark_examples::{log, stop};
use gopark_net::{ListenConfig, Runtime, TcpConn, go, is_closed};
use std::error::Error;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{info, warn};

const HELP: &str = "\
usage: http_plain [FLAGS]

  --addr HOST:PORT       where to listen (default 127.0.0.1:8081; port 0 lets the system choose)
  --timeout-s N          the longest that a request, and its answer, may take to pass (default 30; 0: no limit)
  --quiet                log warnings and errors only (RUST_LOG chooses in detail)
  --help                 this text

Prints `listening on ADDRESS`. GET / says hello, POST /echo sends the body back (at most 1 MiB).
";

/// The longest head, in bytes.
const HEAD_MAX: usize = 8 << 10;
const HEADERS_MAX: usize = 64;
/// The longest body, in bytes.
const BODY_MAX: usize = 1 << 20;

fn main() -> std::process::ExitCode {
    gopark_examples::main("http_plain", HELP, run)
}

fn run(mut flags: Flags) -> Result<(), Box<dyn Error>> {
    let addr = flags.text("--addr")?.unwrap_or_else(|| "127.0.0.1:8081".to_owned());
    let timeout = flags.seconds("--timeout-s", 30)?;
    let quiet = flags.switch("--quiet");
    flags.finish()?;
    log::start(quiet);
    // SAFETY: no code here keeps a thread-local, or anything else of a thread, across a call that may block.
    unsafe { Runtime::start()? };
    let listener = ListenConfig::new().listen_tcp("tcp", &addr).map_err(|e| format!("--addr {addr}: {e}"))?;
    let listener = Arc::new(listener);
    println!("listening on {}", listener.local_addr()?);
    let closing = Arc::clone(&listener);
    stop::on_signal(move || {
        if let Err(e) = closing.close() {
            warn!("close the listener: {e}");
        }
    })?;
    for conn in listener.incoming() {
        let conn = match conn {
            Ok(conn) => conn,
            Err(e) if is_closed(&e) => break,
            Err(e) => return Err(e.into()),
        };
        go(move || {
            let peer = conn.remote_addr();
            match serve(&conn, timeout) {
                Ok(count) => info!("{peer} done, {count} requests"),
                Err(e) => info!("{peer} failed: {e}"),
            }
        });
    }
    Ok(())
}

/// Answers requests until the peer has no more, or one that says it is the last.
fn serve(conn: &TcpConn, timeout: Option<Duration>) -> io::Result<u64> {
    let mut input = Input { conn, buf: Vec::new() };
    let mut count = 0;
    loop {
        // For the whole request and its answer, so that a peer gains nothing by sending a byte at a time.
        conn.set_deadline(timeout.map(|timeout| Instant::now() + timeout))?;
        match input.next(count == 0)? {
            Next::End => return Ok(count),
            Next::Refused(status) => {
                respond(conn, status, b"", Keep::No)?;
                conn.close_write()?;
                return Ok(count);
            }
            Next::Request(request) => {
                count += 1;
                answer(conn, &request)?;
                if request.keep == Keep::No {
                    return Ok(count);
                }
            }
        }
    }
}

fn answer(conn: &TcpConn, request: &Request) -> io::Result<()> {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/") => respond(conn, "200 OK", b"hello\n", request.keep),
        ("POST", "/echo") => respond(conn, "200 OK", &request.body, request.keep),
        (_, "/" | "/echo") => respond(conn, "405 Method Not Allowed", b"", request.keep),
        _ => respond(conn, "404 Not Found", b"", request.keep),
    }
}

/// Head and body in one write.
fn respond(conn: &TcpConn, status: &str, body: &[u8], keep: Keep) -> io::Result<()> {
    let connection = if keep == Keep::Yes { "keep-alive" } else { "close" };
    let mut out = Vec::with_capacity(128 + body.len());
    write!(out, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n", body.len())?;
    out.extend_from_slice(body);
    conn.write_all(&out)
}

/// Whether the connection stays after the answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Yes,
    No,
}

struct Request {
    method: String,
    path: String,
    body: Vec<u8>,
    keep: Keep,
}

enum Next {
    Request(Request),
    /// Not to be answered otherwise; what follows it cannot be told apart.
    Refused(&'static str),
    End,
}

/// What the peer sends. The buffer holds what was read and is not part of a request yet.
struct Input<'a> {
    conn: &'a TcpConn,
    buf: Vec<u8>,
}

impl Input<'_> {
    fn next(&mut self, first: bool) -> io::Result<Next> {
        loop {
            match head(&self.buf) {
                Head::Whole { length, body: Ok(body), mut request } => {
                    if body > BODY_MAX {
                        return Ok(Next::Refused("413 Content Too Large"));
                    }
                    while self.buf.len() < length + body {
                        if self.fill()? == 0 {
                            return Err(io::ErrorKind::UnexpectedEof.into());
                        }
                    }
                    request.body = self.buf[length..length + body].to_vec();
                    self.buf.drain(..length + body);
                    return Ok(Next::Request(request));
                }
                Head::Whole { body: Err(status), .. } | Head::Wrong(status) => {
                    return Ok(Next::Refused(status));
                }
                Head::Partial if self.buf.len() >= HEAD_MAX => {
                    return Ok(Next::Refused("431 Request Header Fields Too Large"));
                }
                Head::Partial => match self.fill() {
                    Ok(0) if self.buf.is_empty() => return Ok(Next::End),
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(_) => {}
                    // A kept connection on which no further request comes is no failure.
                    Err(e) if gopark_net::is_timeout(&e) && self.buf.is_empty() && !first => {
                        return Ok(Next::End);
                    }
                    Err(e) => return Err(e),
                },
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 4 << 10];
        let n = self.conn.read(&mut chunk)?;
        self.buf.extend_from_slice(&chunk[..n]);
        Ok(n)
    }
}

enum Head {
    /// `length` bytes of head, and `body` bytes behind it, or the status that says why not.
    Whole {
        length: usize,
        body: Result<usize, &'static str>,
        request: Request,
    },
    Partial,
    Wrong(&'static str),
}

fn head(buf: &[u8]) -> Head {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let length = match parsed.parse(buf) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Head::Partial,
        Err(httparse::Error::TooManyHeaders) => return Head::Wrong("431 Request Header Fields Too Large"),
        Err(_) => return Head::Wrong("400 Bad Request"),
    };
    let find =
        |name: &str| parsed.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value);
    let says = |value: &[u8]| find("connection").is_some_and(|v| v.eq_ignore_ascii_case(value));
    let keep = match parsed.version {
        Some(1) if !says(b"close") => Keep::Yes,
        Some(0) if says(b"keep-alive") => Keep::Yes,
        _ => Keep::No,
    };
    let request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: parsed.path.unwrap_or_default().to_owned(),
        body: Vec::new(),
        keep,
    };
    Head::Whole { length, body: body_length(parsed.headers), request }
}

/// Two lengths that differ, or one that is no number, would let two servers in a row disagree on where the next request
/// begins: refused.
fn body_length(headers: &[httparse::Header<'_>]) -> Result<usize, &'static str> {
    if headers.iter().any(|h| h.name.eq_ignore_ascii_case("transfer-encoding")) {
        return Err("501 Not Implemented");
    }
    let mut length = None;
    for header in headers.iter().filter(|h| h.name.eq_ignore_ascii_case("content-length")) {
        let digits = std::str::from_utf8(header.value).ok().filter(|v| v.bytes().all(|b| b.is_ascii_digit()));
        let n: usize = digits.and_then(|v| v.parse().ok()).ok_or("400 Bad Request")?;
        if length.replace(n).is_some_and(|before| before != n) {
            return Err("400 Bad Request");
        }
    }
    Ok(length.unwrap_or(0))
}
