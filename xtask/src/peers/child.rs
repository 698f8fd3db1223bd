//! Programs as children: found, started, waited for with a limit, killed when nobody needs them any more.

use anyhow::{Context, Result, bail, ensure};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Far beyond what any step needs, so that only a hang reaches it.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Where a program lies. Servers are often outside of a user's PATH.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path);
    folders
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|p| p.is_file())
}

/// A command with these arguments.
pub(super) fn command(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(find(program).unwrap_or_else(|| Path::new(program).to_owned()));
    command.args(args);
    command
}

/// Runs a program to its end and returns what it printed.
///
/// # Errors
/// It does not start, does not end in time, or fails; then with what it said.
pub(super) fn output(mut command: Command, input: &[u8]) -> Result<Vec<u8>> {
    let shown = show(&command);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Killed(piped.spawn().with_context(|| format!("start `{shown}`"))?);
    let (stdout, stderr) = (drain(child.0.stdout.take()), drain(child.0.stderr.take()));
    let (mut stdin, input) = (child.0.stdin.take().expect("piped"), input.to_vec());
    // On its own thread: a program may print before it has read everything, and may not read at all.
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let status = child.wait(&shown)?;
    let _ = writer.join().expect("writing does not panic");
    let (stdout, stderr) =
        (stdout.join().expect("reading does not panic"), stderr.join().expect("reading does not panic"));
    ensure!(status, "`{shown}` failed: {}", String::from_utf8_lossy(&stderr).trim());
    Ok(stdout)
}

/// As [`output`], for commands whose arguments tell all.
pub(super) fn sh(program: &str, args: &[&str]) -> Result<String> {
    Ok(String::from_utf8_lossy(&output(command(program, args), b"")?).into_owned())
}

fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

fn drain(from: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    let mut from = from.expect("piped");
    std::thread::spawn(move || {
        let mut all = Vec::new();
        let _ = from.read_to_end(&mut all); // what came before an error is worth showing
        all
    })
}

/// A child that is killed when dropped.
struct Killed(Child);

impl Killed {
    /// True if it succeeded.
    fn wait(&mut self, shown: &str) -> Result<bool> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status.success());
            }
            ensure!(start.elapsed() < PATIENCE, "`{shown}` did not end within {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(5)); // polling a process, not ordering a test
        }
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program that goes on running, and the lines that it prints on both its streams.
pub(super) struct Running {
    child: Killed,
    stdin: Option<ChildStdin>,
    shown: String,
    lines: Receiver<String>,
    seen: String,
}

impl Running {
    pub(super) fn start(mut command: Command) -> Result<Running> {
        let shown = show(&command);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Killed(piped.spawn().with_context(|| format!("start `{shown}`"))?);
        let (sender, lines) = channel();
        let other = sender.clone();
        let (stdout, stderr) = (child.0.stdout.take(), child.0.stderr.take());
        let stdin = child.0.stdin.take();
        std::thread::spawn(move || pass_lines(stdout.expect("piped"), |line| sender.send(line).is_ok()));
        std::thread::spawn(move || pass_lines(stderr.expect("piped"), |line| other.send(line).is_ok()));
        Ok(Running { child, stdin, shown, lines, seen: String::new() })
    }

    /// Starts one of our servers, and returns where it listens.
    pub(super) fn server(command: Command) -> Result<(Running, String)> {
        let mut server = Running::start(command)?;
        let line = server.wait_for("listening on ")?;
        let (_, addr) = line.split_once("listening on ").expect("that was waited for");
        Ok((server, addr.to_owned()))
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// Waits for a line with `what` in it, and returns the line.
    pub(super) fn wait_for(&mut self, what: &str) -> Result<String> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(what) => return Ok(line),
                Ok(line) => self.seen += &(line + "\n"),
                Err(RecvTimeoutError::Timeout) => {
                    bail!("`{}` did not print `{what}`, but: {}", self.shown, self.seen)
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("`{}` ended before it printed `{what}`: {}", self.shown, self.seen)
                }
            }
        }
    }

    /// Writes to its standard input.
    pub(super) fn send(&mut self, text: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().context("its input is closed")?;
        stdin.write_all(text.as_bytes())?;
        Ok(stdin.flush()?)
    }

    /// Ends its input and waits for it to end.
    pub(super) fn finish(mut self) -> Result<()> {
        drop(self.stdin.take());
        let succeeded = self.child.wait(&self.shown)?;
        self.seen.extend(self.lines.iter().map(|line| line + "\n"));
        ensure!(succeeded, "`{}` failed: {}", self.shown, self.seen);
        Ok(())
    }
}

fn pass_lines(from: impl Read, mut to: impl FnMut(String) -> bool) {
    for line in BufReader::new(from).lines() {
        // The end, bytes that are no text, or nobody who listens.
        let Ok(line) = line else { return };
        if !to(line) {
            return;
        }
    }
}

/// A port that was free a moment ago, for programs that cannot be told to choose one.
pub(super) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Waits until somebody listens there.
pub(super) fn wait_until_listening(addr: &str) -> Result<()> {
    let start = Instant::now();
    while std::net::TcpStream::connect(addr).is_err() {
        ensure!(start.elapsed() < PATIENCE, "nobody listens at {addr}");
        std::thread::sleep(Duration::from_millis(10)); // polling a process, not ordering a test
    }
    Ok(())
}
