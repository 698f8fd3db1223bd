//! Serves the files of a folder over HTTP/1.1: one thread for each connection, reading and writing in a straight line.

use gopark_net as thread;
use gopark_net::{TcpConn as TcpStream, TcpListener};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A client that says nothing, or takes nothing, for so long is sent away.
const IDLE: Duration = Duration::from_secs(10);
/// The longest head of a request, in bytes.
const HEAD_MAX: u64 = 8 * 1024;

/// Listens on `addr` and serves `root` for ever.
///
/// # Errors
/// What bind(2) says of `addr`.
pub fn serve(addr: &str, root: PathBuf) -> io::Result<()> {
    let listener = TcpListener::bind(addr)?;
    println!("listening on {}", listener.local_addr()?);
    let root = Arc::new(root);
    for conn in listener.incoming() {
        let conn = match conn {
            Ok(conn) => conn,
            Err(e) => {
                eprintln!("accept: {e}");
                continue;
            }
        };
        let root = Arc::clone(&root);
        drop(thread::spawn(move || {
            if let Err(e) = client(conn, &root) {
                eprintln!("{e}");
            }
        }));
    }
    Ok(())
}

/// All requests of one client.
fn client(conn: TcpStream, root: &Path) -> io::Result<()> {
    conn.set_read_timeout(Some(IDLE))?;
    conn.set_write_timeout(Some(IDLE))?;
    conn.set_nodelay(true)?;
    let mut reader = BufReader::new(conn.try_clone()?);
    let mut writer = BufWriter::new(conn);
    loop {
        let request = match Request::read(&mut reader) {
            Ok(Some(request)) => request,
            Ok(None) => break,
            // std says the one, others the other.
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(e) if e.kind() == ErrorKind::InvalidData => {
                refuse(&mut writer, "400 Bad Request", false)?;
                break;
            }
            Err(e) => return Err(e),
        };
        answer(&mut writer, &request, root)?;
        writer.flush()?;
        if !request.keep_alive {
            break;
        }
    }
    writer.flush()?;
    writer.get_ref().shutdown(Shutdown::Write)
}

struct Request {
    method: String,
    path: String,
    keep_alive: bool,
}

impl Request {
    /// Reads one; `None` if the client has closed instead.
    fn read(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
        let mut head = reader.by_ref().take(HEAD_MAX);
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let invalid = || io::Error::from(ErrorKind::InvalidData);
        let mut words = line.split_whitespace();
        let (Some(method), Some(path), Some(version)) = (words.next(), words.next(), words.next()) else {
            return Err(invalid());
        };
        let (method, path, mut keep_alive) = (method.to_owned(), path.to_owned(), version == "HTTP/1.1");
        loop {
            line.clear();
            if head.read_line(&mut line)? == 0 {
                return Err(invalid());
            }
            let header = line.trim_end();
            if header.is_empty() {
                return Ok(Some(Request { method, path, keep_alive }));
            }
            let (name, value) = header.split_once(':').ok_or_else(invalid)?;
            if name.eq_ignore_ascii_case("connection") {
                keep_alive = value.trim().eq_ignore_ascii_case("keep-alive");
            }
        }
    }

    /// The file that is asked for, if its path stays inside of `root`.
    fn file(&self, root: &Path) -> Option<PathBuf> {
        let path = self.path.split(['?', '#']).next()?.strip_prefix('/')?;
        let path = Path::new(if path.is_empty() { "index.html" } else { path });
        path.components().all(|part| matches!(part, Component::Normal(_))).then(|| root.join(path))
    }
}

fn answer(writer: &mut impl Write, request: &Request, root: &Path) -> io::Result<()> {
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        return refuse(writer, "405 Method Not Allowed", request.keep_alive);
    }
    let found = request.file(root).and_then(|path| {
        let file = File::open(&path).ok()?;
        let length = file.metadata().ok().filter(|found| found.is_file())?.len();
        Some((path, file, length))
    });
    let Some((path, file, length)) = found else {
        return refuse(writer, "404 Not Found", request.keep_alive);
    };
    head(writer, "200 OK", content_type(&path), length, request.keep_alive)?;
    if request.method == "GET" {
        // No more than was promised, should the file grow meanwhile.
        io::copy(&mut file.take(length), writer)?;
    }
    Ok(())
}

fn refuse(writer: &mut impl Write, status: &str, keep_alive: bool) -> io::Result<()> {
    let body = format!("{status}\n");
    head(writer, status, "text/plain", body.len() as u64, keep_alive)?;
    writer.write_all(body.as_bytes())
}

fn head(writer: &mut impl Write, status: &str, kind: &str, length: u64, keep_alive: bool) -> io::Result<()> {
    let connection = if keep_alive { "keep-alive" } else { "close" };
    write!(
        writer,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: {connection}\r\n\r\n"
    )
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css",
        Some("js") => "text/javascript",
        Some("json") => "application/json",
        Some("png") => "image/png",
        Some("txt" | "md") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
