//! Starting the programs, talking to them, and never waiting for ever.

// Each file of tests uses a part of it.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Far beyond what any step needs, so that only a hang reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const ECHO: &str = env!("CARGO_BIN_EXE_echo");
pub(crate) const HELLO: &str = env!("CARGO_BIN_EXE_hello");
pub(crate) const PROXY: &str = env!("CARGO_BIN_EXE_proxy");
pub(crate) const CHAT: &str = env!("CARGO_BIN_EXE_chat");
pub(crate) const DIAL: &str = env!("CARGO_BIN_EXE_dial");
pub(crate) const LOOKUP: &str = env!("CARGO_BIN_EXE_lookup");
pub(crate) const TLS_ECHO: &str = env!("CARGO_BIN_EXE_tls_echo");
pub(crate) const WS_ECHO: &str = env!("CARGO_BIN_EXE_ws_echo");
pub(crate) const HTTP_PLAIN: &str = env!("CARGO_BIN_EXE_http_plain");
pub(crate) const UDP_ECHO: &str = env!("CARGO_BIN_EXE_udp_echo");
pub(crate) const REDIS_LIKE: &str = env!("CARGO_BIN_EXE_redis_like");

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) addr: String,
}

impl Server {
    /// Starts `program` on a port of the system's choosing and waits until it says where it listens.
    pub(crate) fn start(program: &str, args: &[&str]) -> Server {
        let mut child = Command::new(program)
            .args(["--addr", "127.0.0.1:0"])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("start {program}: {e}"));
        let stdout = child.stdout.take().expect("piped above");
        let (tx, rx) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let outcome = BufReader::new(stdout).read_line(&mut line).map(|_| line);
            let _ = tx.send(outcome);
        });
        let mut server = Server { child, addr: String::new() };
        let line =
            rx.recv_timeout(PATIENCE).expect("the server says where it listens").expect("its output is text");
        let addr = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{program} printed {line:?}"));
        server.addr = addr.trim_end().to_owned();
        server
    }

    /// A client that gives up instead of waiting for ever.
    pub(crate) fn connect(&self) -> TcpStream {
        let conn = TcpStream::connect(&self.addr).expect("the server accepts");
        conn.set_read_timeout(Some(PATIENCE)).expect("not zero");
        conn.set_write_timeout(Some(PATIENCE)).expect("not zero");
        conn
    }

    /// Sends a signal, by the name `kill` knows it by.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.expect("kill is part of every Unix").success());
    }

    /// The memory that the process has touched, in MiB.
    pub(crate) fn resident_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of kB") >> 10
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait(&mut self.child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only if the process has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a process, and kills it when patience ends.
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("our child") {
            return status;
        }
        if start.elapsed() > PATIENCE {
            child.kill().expect("our child");
            panic!("the process did not end within {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(5)); // not for ordering: polls a process
    }
}

/// Runs a program to its end with `input` on its standard input.
pub(crate) fn run(program: &str, args: &[&str], input: &[u8]) -> Output {
    let mut cmd = Command::new(program);
    let mut child = cmd
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("start {program}: {e}"));
    let mut stdin = child.stdin.take().expect("piped above");
    let input = input.to_vec();
    // Its own threads: a program may print before it has read everything.
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let stdout = drain(child.stdout.take().expect("piped above"));
    let stderr = drain(child.stderr.take().expect("piped above"));
    let status = wait(&mut child);
    // A program that refuses its arguments does not read its input.
    let _ = writer.join().expect("does not panic");
    Output {
        status,
        stdout: stdout.join().expect("does not panic"),
        stderr: stderr.join().expect("does not panic"),
    }
}

fn drain(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        from.read_to_end(&mut all).expect("a pipe can be read");
        all
    })
}

/// True if `program` can be started; if not, says that the test skips, past the test runner's capture.
pub(crate) fn have(program: &str, test: &str) -> bool {
    let found =
        Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        let line = format!("\nSKIPPED {test}: `{program}` is not installed; install it to run this test\n");
        std::io::stderr().write_all(line.as_bytes()).expect("standard error can be written");
    }
    found
}

/// One message there and back.
pub(crate) fn round_trip(conn: &mut TcpStream, message: &[u8]) {
    conn.write_all(message).expect("the server takes it");
    let mut back = vec![0; message.len()];
    conn.read_exact(&mut back).expect("the server sends it back");
    assert!(back == message, "echoed something else");
}
