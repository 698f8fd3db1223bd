//! A small server that speaks Redis's protocol: PING, ECHO, SET, GET, DEL, DBSIZE, and what redis-benchmark asks first.
//!
//! Pipelining needs no thought here: answers gather until more has to be read, and then go out in one write.

#![allow(unsafe_code)]

use gopark_examples::flags::Flags;
use gopark_examples::resp::{self, Command};
use gopark_examples::{log, stop};
use gopark_net::sync::Mutex;
use gopark_net::{ListenConfig, Runtime, TcpConn, go, is_closed};
use std::collections::HashMap;
use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tracing::{info, warn};

const HELP: &str = "\
usage: redis_like [FLAGS]

  --addr HOST:PORT      where to listen (default 127.0.0.1:6379; port 0 lets the system choose)
  --procs N             how many threads may run goroutines at once (default: the CPUs this process may use)
  --idle-timeout-s N    close a connection that is silent, or takes no answers, for N seconds (default 300; 0: never)
  --max-memory-mib N    refuse to store more than N MiB of keys and values (default 256)
  --quiet               log warnings and errors only (RUST_LOG chooses in detail)
  --help                this text

Prints `listening on ADDRESS`. Try it with `redis-cli`, or with `redis-benchmark -t ping,set,get -P 16`.
";

/// More shards than threads will ever contend.
const SHARDS: usize = 64;
/// What an entry costs beside its key and value, in bytes: about what the table and the allocator add.
const ENTRY: usize = 96;
/// Answers wait for the next read, or until there are so many bytes of them.
const ANSWERS_MAX: usize = 64 << 10;

fn main() -> std::process::ExitCode {
    gopark_examples::main("redis_like", HELP, run)
}

fn run(mut flags: Flags) -> Result<(), Box<dyn Error>> {
    let addr = flags.text("--addr")?.unwrap_or_else(|| "127.0.0.1:6379".to_owned());
    let procs = flags.number("--procs", 1..=1024)?;
    let idle = flags.seconds("--idle-timeout-s", 300)?;
    let memory_max = (flags.number("--max-memory-mib", 1..=1 << 20)?.unwrap_or(256) as usize) << 20;
    let quiet = flags.switch("--quiet");
    flags.finish()?;
    log::start(quiet);
    let mut builder = Runtime::builder();
    if let Some(n) = procs {
        builder = builder.max_procs(n as usize);
    }
    // SAFETY: no code here keeps a thread-local, or anything else of a thread, across a call that may block. (The
    // tables' hash keys come from one, when they are made, before anything waits.)
    unsafe { builder.start()? };
    let listener = ListenConfig::new().listen_tcp("tcp", &addr).map_err(|e| format!("--addr {addr}: {e}"))?;
    let listener = Arc::new(listener);
    println!("listening on {}", listener.local_addr()?);
    let closing = Arc::clone(&listener);
    stop::on_signal(move || {
        if let Err(e) = closing.close() {
            warn!("close the listener: {e}");
        }
    })?;
    let store = Arc::new(Store::new(memory_max));
    for conn in listener.incoming() {
        let conn = match conn {
            Ok(conn) => conn,
            Err(e) if is_closed(&e) => break,
            Err(e) => return Err(e.into()),
        };
        let store = Arc::clone(&store);
        go(move || {
            let peer = conn.remote_addr();
            match serve(conn, &store, idle) {
                Ok(()) => info!("{peer} done"),
                Err(e) => info!("{peer}: {e}"),
            }
        });
    }
    Ok(())
}

/// Answers a connection's commands until it ends.
fn serve(conn: TcpConn, store: &Store, idle: Option<Duration>) -> Result<(), resp::Error> {
    let mut link = BufReader::with_capacity(16 << 10, Link { conn, answers: Vec::new(), idle });
    let mut command = Command::default();
    loop {
        let open = match command.read(&mut link) {
            Ok(open) => open && answer(&command, store, &mut link.get_mut().answers),
            Err(resp::Error::Protocol(what)) => {
                resp::error(&mut link.get_mut().answers, &format!("ERR Protocol error: {what}"));
                false
            }
            Err(e) => return Err(e),
        };
        if !open {
            return Ok(link.get_mut().hang_up()?);
        }
        if link.get_ref().answers.len() >= ANSWERS_MAX {
            link.get_mut().flush()?;
        }
    }
}

/// A connection that sends its answers before it waits for more to do: a client may wait for them.
struct Link {
    conn: TcpConn,
    answers: Vec<u8>,
    idle: Option<Duration>,
}

impl Link {
    fn flush(&mut self) -> io::Result<()> {
        if self.answers.is_empty() {
            return Ok(());
        }
        if let Some(idle) = self.idle {
            self.conn.set_write_deadline(Some(Instant::now() + idle))?;
        }
        self.conn.write_all(&self.answers)?;
        self.answers.clear();
        self.answers.shrink_to(2 * ANSWERS_MAX);
        Ok(())
    }

    /// The last answers, and the end. What the peer sent and nobody read would turn the close into a reset, which can
    /// overtake the answers, so a little more is read; a peer that goes on and on is cut off.
    fn hang_up(&mut self) -> io::Result<()> {
        self.flush()?;
        self.conn.close_write()?;
        self.conn.set_read_deadline(Some(Instant::now() + Duration::from_secs(1)))?;
        let mut left = [0; 4 << 10];
        for _ in 0..256 {
            if matches!(self.conn.read(&mut left), Ok(0) | Err(_)) {
                break;
            }
        }
        Ok(())
    }
}

impl Read for Link {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.flush()?;
        if let Some(idle) = self.idle {
            self.conn.set_read_deadline(Some(Instant::now() + idle))?;
        }
        self.conn.read(buf)
    }
}

/// Appends the answer to a command. False if it was the connection's last.
fn answer(command: &Command, store: &Store, out: &mut Vec<u8>) -> bool {
    let mut words = command.words();
    let name = words.next().unwrap_or_default().to_ascii_uppercase();
    let count = words.len();
    match (name.as_slice(), count) {
        (b"PING", 0) => resp::simple(out, "PONG"),
        (b"PING" | b"ECHO", 1) => resp::bulk(out, words.next()),
        (b"GET", 1) => store.get(words.next().unwrap_or_default(), |value| resp::bulk(out, value)),
        (b"SET", 2) => {
            let (key, value) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            match store.set(key, value) {
                Ok(()) => resp::simple(out, "OK"),
                Err(Full) => resp::error(
                    out,
                    "OOM command not allowed when used memory > 'maxmemory' (--max-memory-mib)",
                ),
            }
        }
        (b"SET", 3..) => resp::error(out, "ERR syntax error: no options here, only SET key value"),
        (b"DEL", 1..) => resp::integer(out, words.filter(|key| store.delete(key)).count() as u64),
        (b"DBSIZE", 0) => resp::integer(out, store.len() as u64),
        // redis-cli asks for documentation, redis-benchmark for settings: there are none.
        (b"COMMAND", _) => resp::array(out, 0),
        (b"CONFIG", 2) if words.next().is_some_and(|word| word.eq_ignore_ascii_case(b"GET")) => {
            resp::array(out, 2);
            resp::bulk(out, words.next());
            resp::bulk(out, Some(b""));
        }
        (b"QUIT", _) => {
            resp::simple(out, "OK");
            return false;
        }
        (b"PING" | b"ECHO" | b"GET" | b"SET" | b"DEL" | b"DBSIZE", _) => {
            let name = String::from_utf8_lossy(&name).to_ascii_lowercase();
            resp::error(out, &format!("ERR wrong number of arguments for '{name}' command"));
        }
        _ => {
            let name = name[..name.len().min(64)].escape_ascii();
            resp::error(out, &format!("ERR unknown command '{name}'"));
        }
    }
    true
}

/// The store is full.
struct Full;

type Shard = Mutex<HashMap<Box<[u8]>, Box<[u8]>>>;

/// Keys and values, in shards of their own locks. No lock is held while a connection waits.
struct Store {
    shards: Vec<Shard>,
    hasher: RandomState,
    bytes: AtomicUsize,
    bytes_max: usize,
}

impl Store {
    fn new(bytes_max: usize) -> Store {
        Store {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            bytes: AtomicUsize::new(0),
            bytes_max,
        }
    }

    fn shard(&self, key: &[u8]) -> &Shard {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }

    fn get(&self, key: &[u8], found: impl FnOnce(Option<&[u8]>)) {
        found(self.shard(key).lock().get(key).map(|value| &value[..]));
    }

    fn set(&self, key: &[u8], value: &[u8]) -> Result<(), Full> {
        let mut shard = self.shard(key).lock();
        let (less, entry) = match shard.get(key) {
            Some(old) => (old.len(), 0),
            None => (0, key.len() + ENTRY),
        };
        let more = entry + value.len();
        // Taken first and given back after, so that two at a time cannot pass the limit together.
        if self.bytes.fetch_add(more, Relaxed) + more > self.bytes_max + less {
            self.bytes.fetch_sub(more, Relaxed);
            return Err(Full);
        }
        self.bytes.fetch_sub(less, Relaxed);
        match shard.get_mut(key) {
            // The usual length again: no allocation.
            Some(old) if old.len() == value.len() => old.copy_from_slice(value),
            Some(old) => *old = value.into(),
            None => drop(shard.insert(key.into(), value.into())),
        }
        Ok(())
    }

    fn delete(&self, key: &[u8]) -> bool {
        let removed = self.shard(key).lock().remove(key);
        if let Some(value) = &removed {
            self.bytes.fetch_sub(key.len() + value.len() + ENTRY, Relaxed);
        }
        removed.is_some()
    }

    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }
}
