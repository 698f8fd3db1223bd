//! A chat server: each line that a client sends goes to all. The room is a goroutine that owns its members; everybody
//! else talks to it through channels, so there is no lock.

#![allow(unsafe_code)]

use gopark_examples::flags::Flags;
use gopark_examples::{log, stop};
use gopark_net::chan::{self, Receiver, Sender, TrySendError};
use gopark_net::{ListenConfig, Runtime, TcpConn, go, is_closed, select, spawn};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{info, warn};

const HELP: &str = "\
usage: chat [--addr 127.0.0.1:9002] [--quiet]

  --addr HOST:PORT    where to listen (default 127.0.0.1:9002; port 0 lets the system choose)
  --quiet             log warnings and errors only (RUST_LOG chooses in detail)

Try it with `nc 127.0.0.1 9002`, twice: the first line is your name. SIGINT or SIGTERM tells everybody, and exits 0.
";

/// The longest line, its end included, in bytes.
const LINE_MAX: u64 = 1024;
/// Lines that wait for one client. Who falls further behind is thrown out, rather than make the others wait.
const OUTBOX: usize = 64;
/// How long a client may take to take one line, or to say its name.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a silent room says in the log that it is there.
const SILENCE: Duration = Duration::from_secs(60);

fn main() -> std::process::ExitCode {
    gopark_examples::main("chat", HELP, run)
}

fn run(mut flags: Flags) -> Result<(), Box<dyn Error>> {
    let addr = flags.text("--addr")?.unwrap_or_else(|| "127.0.0.1:9002".to_owned());
    let quiet = flags.switch("--quiet");
    flags.finish()?;
    log::start(quiet);
    // SAFETY: no code here keeps a thread-local, or anything else of a thread, across a call that may block. tracing's
    // fmt layer uses one to build a line, but writes it with a plain system call and returns.
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

    let (door, inside) = door();
    let (quit, stop) = chan::bounded(0);
    let room = spawn(move || Room::default().run(&inside, &stop));
    for (id, conn) in (0..).zip(listener.incoming()) {
        let conn = match conn {
            Ok(conn) => Arc::new(conn),
            Err(e) if is_closed(&e) => break,
            Err(e) => return Err(e.into()),
        };
        let door = door.clone();
        go(move || {
            if let Err(e) = client(id, &conn, &door) {
                info!("{}: {e}", conn.remote_addr());
            }
        });
    }
    drop(quit);
    let writers = room.join().map_err(|_| "the room has panicked")?;
    let deadline = Instant::now() + PATIENCE;
    for written in writers {
        if written.recv_deadline(deadline).is_err_and(|e| e.is_timeout()) {
            warn!("stopped with a connection still open");
        }
    }
    Ok(())
}

/// How the clients talk to the room. All three are without a buffer: who has sent has been heard, so what one client
/// says arrives in order even though it takes different ways.
#[derive(Clone)]
struct Door {
    enter: Sender<(u64, Member)>,
    say: Sender<(u64, String)>,
    leave: Sender<u64>,
}

/// The room's side of it.
struct Inside {
    enter: Receiver<(u64, Member)>,
    say: Receiver<(u64, String)>,
    leave: Receiver<u64>,
}

fn door() -> (Door, Inside) {
    let ((enter, e), (say, s), (leave, l)) = (chan::bounded(0), chan::bounded(0), chan::bounded(0));
    (Door { enter, say, leave }, Inside { enter: e, say: s, leave: l })
}

/// Somebody in the room.
struct Member {
    name: String,
    outbox: Sender<Arc<str>>,
    /// Closed when everything from the outbox is written.
    written: Receiver<()>,
}

#[derive(Default)]
struct Room {
    members: BTreeMap<u64, Member>,
}

impl Room {
    /// Serves the door until `stop` is closed, and never waits for a single client. Returns what tells when the
    /// members' last lines are written.
    fn run(mut self, inside: &Inside, stop: &Receiver<()>) -> Vec<Receiver<()>> {
        loop {
            select! {
                recv(inside.enter) -> msg => if let Ok((id, member)) = msg {
                    let name = member.name.clone();
                    self.members.insert(id, member);
                    self.tell_all(&format!("* {name} is here ({} in the room)\n", self.members.len()));
                },
                recv(inside.say) -> msg => if let Ok((id, line)) = msg
                    && let Some(member) = self.members.get(&id)
                {
                    self.tell_all(&format!("{}: {line}\n", member.name));
                },
                recv(inside.leave) -> msg => if let Ok(id) = msg
                    && let Some(member) = self.members.remove(&id)
                {
                    self.tell_all(&format!("* {} has left\n", member.name));
                },
                recv(stop) -> _ => {
                    self.tell_all("* the server stops\n");
                    return self.members.into_values().map(|member| member.written).collect();
                }
                after(SILENCE) => info!("{} in the room, and nobody says anything", self.members.len()),
            }
        }
    }

    fn tell_all(&mut self, line: &str) {
        let line: Arc<str> = line.into();
        let mut too_slow = Vec::new();
        self.members.retain(|_, member| match member.outbox.try_send(Arc::clone(&line)) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                too_slow.push(member.name.clone());
                false
            }
            // Its writer has gone; it will say itself that it leaves.
            Err(TrySendError::Disconnected(_)) => true,
        });
        for name in too_slow {
            info!("{name} is too slow");
            self.tell_all(&format!("* {name} was too slow\n"));
        }
    }
}

/// Serves one connection: this goroutine reads, another writes.
fn client(id: u64, conn: &Arc<TcpConn>, door: &Door) -> io::Result<()> {
    let mut lines = BufReader::new(&**conn);
    conn.set_read_deadline(Some(Instant::now() + PATIENCE))?;
    conn.write_all(b"your name?\n")?;
    let Some(name) = read_line(&mut lines)? else { return Ok(()) };
    conn.set_read_deadline(None)?;
    let (outbox, to_write) = chan::bounded(OUTBOX);
    let (done, written) = chan::bounded(0);
    let theirs = Arc::clone(conn);
    go(move || {
        if let Err(e) = write_lines(&theirs, &to_write) {
            info!("{}: {e}", theirs.remote_addr());
        }
        // Wakes the reader. Fails only if it has closed first.
        let _ = theirs.close();
        drop::<Sender<()>>(done);
    });
    // Fails only when the room is closed; then the outbox is gone with it, and the writer ends.
    if door.enter.send((id, Member { name, outbox, written })).is_err() {
        return Ok(());
    }
    let outcome = loop {
        match read_line(&mut lines) {
            Ok(Some(line)) => {
                if door.say.send((id, line)).is_err() {
                    break Ok(());
                }
            }
            Ok(None) => break Ok(()),
            Err(e) if is_closed(&e) => break Ok(()),
            Err(e) => break Err(e),
        }
    };
    // As above.
    let _ = door.leave.send(id);
    outcome
}

/// Writes what comes into the outbox, until the room drops its end.
fn write_lines(conn: &TcpConn, outbox: &Receiver<Arc<str>>) -> io::Result<()> {
    for line in outbox {
        conn.set_write_deadline(Some(Instant::now() + PATIENCE))?;
        conn.write_all(line.as_bytes())?;
    }
    Ok(())
}

/// The next line without its end; None at the end of the stream.
fn read_line(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    let n = from.by_ref().take(LINE_MAX).read_line(&mut line)?;
    if n as u64 == LINE_MAX && !line.ends_with('\n') {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a line of more than {LINE_MAX} bytes"),
        ));
    }
    line.truncate(line.trim_end().len());
    Ok((n > 0).then_some(line))
}
