//! The load generator against gopark's echo server: what `cargo xtask bench` runs, for a moment.

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A server that is killed when the test ends, however it ends.
struct Server {
    child: Child,
    addr: String,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Server {
    fn start(args: &[&str]) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_echo_gopark"));
        let mut child = command.args(args).stdout(Stdio::piped()).spawn().expect("the server starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("the server says where it listens");
        let addr = line.trim().strip_prefix("listening ").expect("that is its first line").to_owned();
        Server { child, addr, stdout }
    }

    /// Reads on until a line begins with `prefix`; returns the rest of it.
    fn line(&mut self, prefix: &str) -> String {
        for line in (&mut self.stdout).lines() {
            let line = line.expect("the server prints text");
            if let Some(rest) = line.strip_prefix(prefix) {
                return rest.to_owned();
            }
        }
        panic!("the server ended before it printed `{prefix}`")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the load generator; its own limits bound it.
fn load(server: &Server, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_load"));
    command.args(["--addr", &server.addr, "--server-pid", &server.child.id().to_string()]).args(args);
    command.stdin(Stdio::null()).output().expect("the load generator runs")
}

/// A number in the line that the load generator printed.
fn number(output: &Output, name: &str) -> f64 {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let rest = text.split_once(&format!("\"{name}\":")).unwrap_or_else(|| panic!("no {name} in {text}")).1;
    let end = rest.find([',', '}']).unwrap_or(rest.len());
    rest[..end].parse().unwrap_or_else(|_| panic!("{name} is no number in {text}"))
}

#[test]
fn every_byte_comes_back_and_the_servers_cpu_time_is_counted() {
    let server = Server::start(&["--procs", "2"]);
    let args = ["--conns", "64", "--size", "1024", "--seconds", "0.2", "--warmup-s", "0.05"];
    let output = load(&server, &args);
    assert!(number(&output, "requests") > 64.0);
    assert!(number(&output, "server_cpu_ns") > 0.0);
    assert!(number(&output, "p50_us") <= number(&output, "p99_us"));
}

#[test]
fn messages_larger_than_the_buffer_are_echoed_piece_by_piece() {
    let server = Server::start(&["--procs", "1", "--buf", "1000"]);
    let output = load(&server, &["--conns", "4", "--size", "16384", "--seconds", "0.1", "--warmup-s", "0"]);
    assert!(number(&output, "requests") > 0.0);
}

#[test]
fn a_renewed_read_deadline_does_not_end_a_busy_connection() {
    let server = Server::start(&["--procs", "1", "--read-deadline-s", "30"]);
    let output = load(&server, &["--conns", "8", "--seconds", "0.1", "--warmup-s", "0"]);
    assert!(number(&output, "requests") > 8.0);
}

#[test]
fn endless_loops_on_every_processor_do_not_stop_the_echo() {
    let mut server = Server::start(&["--procs", "1", "--hogs", "1"]);
    assert!(server.line("hog ").parse::<u32>().is_ok(), "the loop says on which thread it runs");
    let output = load(&server, &["--conns", "4", "--seconds", "0.5", "--warmup-s", "0.1"]);
    assert!(number(&output, "requests") > 0.0);
    let stat: Vec<u64> =
        server.line("stat ").split(' ').map(|word| word.parse().expect("a number")).collect();
    assert_eq!(stat.len(), 3);
}

#[test]
fn held_connections_still_answer_when_they_are_let_go() {
    let server = Server::start(&["--procs", "1"]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_load"));
    command.args([
        "--addr",
        &server.addr,
        "--hold",
        "yes",
        "--conns",
        "200",
        "--size",
        "64",
        "--sources",
        "3",
    ]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the load generator starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    assert_eq!(lines.next().expect("a line").expect("of text"), "holding 200");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.flush().expect("it still reads");
    drop(stdin);
    assert_eq!(lines.next().expect("a line").expect("of text"), "alive");
    let start = Instant::now();
    assert!(child.wait().expect("it can be waited for").success());
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_flag_nobody_knows_is_refused() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_echo_gopark")).args(["--prox", "2"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("unknown flag --prox"));
}
