//! Keeps values under names, and tells who watches one of them: a line of text each, one thread for each client.
//!
//! `SET name value`, `GET name`, `DEL name`, `COUNT`, `WATCH name`, `QUIT`; the answers are `OK`, `VALUE value`,
//! `NONE`, `COUNT n`, `ERR why`, and to watchers `CHANGED name value` or `GONE name`.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The longest line, its end included, in bytes.
const LINE_MAX: u64 = 4096;
/// A client may be silent for so long.
const IDLE: Duration = Duration::from_secs(300);
/// A client that takes no line for so long is not told any more.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Store {
    values: HashMap<String, String>,
    watchers: HashMap<String, Vec<Arc<TcpStream>>>,
}

/// The store, shared. Never locked while anything is read or written.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Store>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens on `addr` and serves for ever.
///
/// # Errors
/// What bind(2) says of `addr`.
pub fn serve(addr: &str) -> io::Result<()> {
    let listener = TcpListener::bind(addr)?;
    println!("listening on {}", listener.local_addr()?);
    let shared = Shared::default();
    for conn in listener.incoming() {
        let conn = match conn {
            Ok(conn) => conn,
            Err(e) => {
                eprintln!("accept: {e}");
                continue;
            }
        };
        let shared = shared.clone();
        drop(thread::spawn(move || {
            let peer = conn.peer_addr();
            match client(conn, &shared) {
                Ok(()) => {}
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(e) => eprintln!("{peer:?}: {e}"),
            }
        }));
    }
    Ok(())
}

fn client(conn: TcpStream, shared: &Shared) -> io::Result<()> {
    conn.set_read_timeout(Some(IDLE))?;
    conn.set_write_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(conn.try_clone()?);
    let conn = Arc::new(conn);
    let mut line = String::new();
    loop {
        line.clear();
        let length = lines.by_ref().take(LINE_MAX).read_line(&mut line)?;
        if length == 0 {
            break;
        }
        if !line.ends_with('\n') {
            send(&*conn, "ERR the line is too long\n")?;
            break;
        }
        let answer = match line.trim_end() {
            "QUIT" => break,
            words => command(words, shared, &conn),
        };
        send(&*conn, &answer)?;
    }
    // Watching holds the connection too, so its end must be said.
    forget(shared, &conn);
    conn.shutdown(Shutdown::Both)
}

fn send(mut to: impl Write, text: &str) -> io::Result<()> {
    to.write_all(text.as_bytes())
}

/// Does what the line says; the answer, with its end.
fn command(line: &str, shared: &Shared, conn: &Arc<TcpStream>) -> String {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    match (verb, rest.split_once(' ').unwrap_or((rest, ""))) {
        ("SET", (name, value)) if !name.is_empty() => {
            shared.lock().values.insert(name.to_owned(), value.to_owned());
            tell(shared, name, &format!("CHANGED {name} {value}\n"));
            "OK\n".to_owned()
        }
        ("GET", (name, "")) if !name.is_empty() => match shared.lock().values.get(name) {
            Some(value) => format!("VALUE {value}\n"),
            None => "NONE\n".to_owned(),
        },
        ("DEL", (name, "")) if !name.is_empty() => {
            if shared.lock().values.remove(name).is_none() {
                return "NONE\n".to_owned();
            }
            tell(shared, name, &format!("GONE {name}\n"));
            "OK\n".to_owned()
        }
        ("WATCH", (name, "")) if !name.is_empty() => {
            shared.lock().watchers.entry(name.to_owned()).or_default().push(Arc::clone(conn));
            "OK\n".to_owned()
        }
        ("COUNT", ("", "")) => format!("COUNT {}\n", shared.lock().values.len()),
        _ => format!("ERR {verb}: say SET name value, GET name, DEL name, WATCH name, COUNT or QUIT\n"),
    }
}

/// Writes `line` to all who watch `name`; who does not take it is sent away.
fn tell(shared: &Shared, name: &str, line: &str) {
    let watchers = shared.lock().watchers.get(name).cloned().unwrap_or_default();
    for watcher in watchers {
        if send(&*watcher, line).is_err() {
            forget(shared, &watcher);
            let _ = watcher.shutdown(Shutdown::Both);
        }
    }
}

fn forget(shared: &Shared, conn: &Arc<TcpStream>) {
    let mut store = shared.lock();
    for watchers in store.watchers.values_mut() {
        watchers.retain(|watcher| !Arc::ptr_eq(watcher, conn));
    }
    store.watchers.retain(|_, watchers| !watchers.is_empty());
}
