//! The example programs as processes, driven by real clients: Python's sockets, curl, nc and std's TcpStream.

mod util;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};
use util::{
    CHAT, DIAL, ECHO, HELLO, HTTP_PLAIN, LOOKUP, PATIENCE, PROXY, REDIS_LIKE, Server, TLS_ECHO, UDP_ECHO,
    WS_ECHO, have, round_trip, run,
};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn echo_serves_a_python_client() {
    if !have("python3", "echo_serves_a_python_client") {
        return;
    }
    let server = Server::start(ECHO, &["--quiet"]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/client.py");
    let out = run("python3", &[script, &server.addr], b"");
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert_eq!(text(&out.stdout), "1001 messages echoed\n");
}

#[test]
fn echo_answers_while_goroutines_loop_for_ever() {
    let server = Server::start(ECHO, &["--hogs", "4", "--procs", "2", "--quiet"]);
    let mut conns: Vec<TcpStream> = (0..8).map(|_| server.connect()).collect();
    for round in 0..20 {
        for conn in &mut conns {
            round_trip(conn, format!("round {round}\n").as_bytes());
        }
    }
}

#[test]
fn echo_runs_on_one_p() {
    let server = Server::start(ECHO, &["--procs", "1", "--quiet"]);
    let mut conns: Vec<TcpStream> = (0..8).map(|_| server.connect()).collect();
    conns.iter_mut().for_each(|conn| round_trip(conn, b"one P\n"));
}

#[test]
fn echo_closes_an_idle_connection_and_keeps_a_busy_one() {
    let server = Server::start(ECHO, &["--idle-timeout-s", "1", "--quiet"]);
    let start = Instant::now();
    let (mut idle, mut busy) = (server.connect(), server.connect());
    let busy = std::thread::spawn(move || {
        while start.elapsed() < Duration::from_millis(2500) {
            round_trip(&mut busy, b"still here\n");
            std::thread::sleep(Duration::from_millis(100)); // not for ordering: the pace of a slow client
        }
    });
    assert_eq!(idle.read(&mut [0; 8]).expect("closed, not reset"), 0);
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(900), "closed after {waited:?} only");
    busy.join().expect("a connection that sends stays open");
}

#[test]
fn echo_keeps_an_idle_connection_without_a_timeout() {
    let server = Server::start(ECHO, &["--idle-timeout-s=0", "--write-timeout-s=0", "--quiet"]);
    let mut conn = server.connect();
    conn.set_read_timeout(Some(Duration::from_millis(300))).expect("not zero");
    let e = conn.read(&mut [0; 8]).expect_err("nothing was sent, so nothing comes back");
    assert!(matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut), "{e}");
    conn.set_read_timeout(Some(PATIENCE)).expect("not zero");
    round_trip(&mut conn, b"still here\n");
}

#[test]
fn echo_gives_up_on_a_peer_that_does_not_read() {
    let server = Server::start(ECHO, &["--write-timeout-s", "1", "--quiet"]);
    let mut conn = server.connect();
    let chunk = vec![7; 1 << 20];
    let start = Instant::now();
    // The socket buffers fill, the server's write waits, its deadline passes, and our write fails.
    while conn.write_all(&chunk).is_ok() {
        assert!(start.elapsed() < PATIENCE, "the server went on taking data from a peer that does not read");
    }
    assert!(start.elapsed() < PATIENCE, "our own time limit ended the write, not the server");
    round_trip(&mut server.connect(), b"others are served\n");
}

#[test]
fn a_signal_stops_echo_after_what_has_arrived_is_echoed() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start(ECHO, &["--idle-timeout-s", "0"]);
        let (mut idle, mut busy) = (server.connect(), server.connect());
        round_trip(&mut idle, b"known to the server\n");
        round_trip(&mut busy, b"known to the server\n");
        busy.write_all(b"last words\n").expect("the server takes it");
        server.signal(signal);
        let mut rest = String::new();
        busy.read_to_string(&mut rest).expect("closed, not reset");
        // Elsewhere, closing the reading side throws away what has not been read.
        if cfg!(target_os = "linux") {
            assert_eq!(rest, "last words\n", "after SIG{signal}");
        }
        assert_eq!(idle.read(&mut [0; 8]).expect("closed, not reset"), 0, "after SIG{signal}");
        let status = server.wait();
        assert_eq!(status.code(), Some(0), "after SIG{signal}");
        TcpStream::connect(&server.addr).expect_err("nobody listens any more");
    }
}

#[test]
fn a_signal_stops_echo_even_beside_hogs() {
    let mut server = Server::start(ECHO, &["--hogs", "4", "--quiet"]);
    round_trip(&mut server.connect(), b"up\n");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn curl_reaches_hello_through_proxy() {
    if !have("curl", "curl_reaches_hello_through_proxy") {
        return;
    }
    let hello = Server::start(HELLO, &[]);
    let proxy = Server::start(PROXY, &["--to", &hello.addr, "--quiet"]);
    for _ in 0..5 {
        let url = format!("http://{}/", proxy.addr);
        let out = run("curl", &["--silent", "--show-error", "--noproxy", "*", "--max-time", "30", &url], b"");
        assert!(out.status.success(), "{}", text(&out.stderr));
        assert_eq!(text(&out.stdout), "hello\n");
    }
}

#[test]
fn nc_reaches_hello_through_proxy() {
    if !have("nc", "nc_reaches_hello_through_proxy") {
        return;
    }
    let hello = Server::start(HELLO, &[]);
    let proxy = Server::start(PROXY, &["--to", &hello.addr, "--quiet"]);
    let (host, port) = proxy.addr.rsplit_once(':').expect("host and port");
    let out = run("nc", &["-w", "30", host, port], b"GET / HTTP/1.0\r\n\r\n");
    assert!(text(&out.stdout).ends_with("\r\n\r\nhello\n"), "{}", text(&out.stdout));
}

#[test]
fn proxy_passes_each_half_close_on() {
    let echo = Server::start(ECHO, &["--quiet"]);
    let proxy = Server::start(PROXY, &["--to", &echo.addr, "--quiet"]);
    let mut conn = proxy.connect();
    conn.write_all(b"there and back").expect("the proxy takes it");
    conn.shutdown(Shutdown::Write).expect("connected");
    let mut back = String::new();
    conn.read_to_string(&mut back).expect("closed, not reset");
    assert_eq!(back, "there and back");
}

#[test]
fn proxy_closes_when_nobody_is_behind_it() {
    // A port that was free a moment ago: nobody listens there.
    let free = TcpListener::bind("127.0.0.1:0").expect("loopback").local_addr().expect("bound");
    let proxy = Server::start(PROXY, &["--to", &free.to_string(), "--quiet"]);
    assert_eq!(proxy.connect().read(&mut [0; 8]).expect("closed, not reset"), 0);
    assert_eq!(proxy.connect().read(&mut [0; 8]).expect("the proxy goes on"), 0);
}

/// A client of the chat server who has said its name, and has been told that it is in.
fn join_chat(server: &Server, name: &str, in_the_room: usize) -> BufReader<TcpStream> {
    let mut client = BufReader::new(server.connect());
    expect_line(&mut client, "your name?");
    say(&mut client, name);
    expect_line(&mut client, &format!("* {name} is here ({in_the_room} in the room)"));
    client
}

fn say(client: &mut BufReader<TcpStream>, line: &str) {
    client.get_mut().write_all(format!("{line}\n").as_bytes()).expect("the server takes it");
}

#[track_caller]
fn expect_line(client: &mut BufReader<TcpStream>, expected: &str) {
    let mut line = String::new();
    client.read_line(&mut line).expect("a line in time");
    assert_eq!(line.trim_end_matches('\n'), expected);
}

#[test]
fn chat_passes_each_line_on_to_all_in_the_same_order() {
    let server = Server::start(CHAT, &["--quiet"]);
    let mut ann = join_chat(&server, "ann", 1);
    let mut bob = join_chat(&server, "bob", 2);
    expect_line(&mut ann, "* bob is here (2 in the room)");
    for i in 0..20 {
        say(&mut ann, &format!("line {i}"));
        say(&mut bob, &format!("answer {i}"));
        let (mut first, mut second) = (String::new(), String::new());
        ann.read_line(&mut first).expect("a line in time");
        ann.read_line(&mut second).expect("a line in time");
        expect_line(&mut bob, first.trim_end());
        expect_line(&mut bob, second.trim_end());
        let mut lines = [first.trim_end(), second.trim_end()];
        lines.sort_unstable();
        assert_eq!(lines, [format!("ann: line {i}"), format!("bob: answer {i}")]);
    }
    drop(bob);
    expect_line(&mut ann, "* bob has left");
}

#[test]
fn chat_does_not_wait_for_who_does_not_read() {
    let server = Server::start(CHAT, &["--quiet"]);
    let mut ann = join_chat(&server, "ann", 1);
    let _deaf = join_chat(&server, "deaf", 2);
    expect_line(&mut ann, "* deaf is here (2 in the room)");
    let long = "x".repeat(1000);
    let (start, mut line) = (Instant::now(), String::new());
    // The buffers of its connection fill, then its outbox, and it is thrown out; the others hear everything.
    while !line.starts_with("* deaf was too slow") {
        assert!(start.elapsed() < PATIENCE, "the one that does not read is never thrown out");
        say(&mut ann, &long);
        line.clear();
        ann.read_line(&mut line).expect("a line in time");
    }
}

#[test]
fn a_signal_ends_a_chat_with_a_word() {
    let mut server = Server::start(CHAT, &["--quiet"]);
    let mut ann = join_chat(&server, "ann", 1);
    let silent = server.connect();
    server.signal("TERM");
    expect_line(&mut ann, "* the server stops");
    assert_eq!(ann.read(&mut [0; 8]).expect("closed, not reset"), 0);
    assert_eq!(server.wait().code(), Some(0));
    drop(silent);
}

#[test]
fn dial_talks_to_echo() {
    let server = Server::start(ECHO, &["--quiet"]);
    let message: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
    let out = run(DIAL, &[&server.addr], &message);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(out.stdout == message, "{} bytes came back of {}", out.stdout.len(), message.len());
}

#[test]
fn lookup_needs_no_name_server_for_an_address_or_localhost() {
    for (name, expected) in [("192.0.2.1", "192.0.2.1"), ("::1", "::1"), ("localhost", "127.0.0.1")] {
        let out = run(LOOKUP, &[name], b"");
        assert!(out.status.success(), "{name}: {}", text(&out.stderr));
        assert!(text(&out.stdout).lines().any(|line| line == expected), "{name}: {}", text(&out.stdout));
    }
}

#[test]
fn help_is_printed_and_succeeds() {
    for program in
        [ECHO, HELLO, PROXY, DIAL, CHAT, TLS_ECHO, UDP_ECHO, WS_ECHO, HTTP_PLAIN, REDIS_LIKE, LOOKUP]
    {
        let out = run(program, &["--help"], b"");
        assert_eq!(out.status.code(), Some(0), "{program}");
        assert!(text(&out.stdout).starts_with("usage: "), "{program}");
    }
}

#[test]
fn bad_input_is_one_line_on_standard_error_and_status_1() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let taken = taken.local_addr().expect("bound").to_string();
    let udp = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let taken_udp = udp.local_addr().expect("bound").to_string();
    let cases: &[(&str, &[&str], &str)] = &[
        (ECHO, &["--adr", "127.0.0.1:0"], "--adr"),
        (ECHO, &["stray"], "stray"),
        (ECHO, &["--addr"], "needs a value"),
        (ECHO, &["--addr", "nowhere"], "nowhere"),
        (ECHO, &["--addr", "127.0.0.1:99999"], "99999"),
        (ECHO, &["--addr", "127.0.0.1:0", "--addr", "127.0.0.1:0"], "twice"),
        (ECHO, &["--procs", "0"], "--procs 0"),
        (ECHO, &["--procs", "100000"], "--procs 100000"),
        (ECHO, &["--procs", "two"], "--procs two"),
        (ECHO, &["--idle-timeout-s", "-1"], "--idle-timeout-s -1"),
        (ECHO, &["--write-timeout-s", "99999999999"], "--write-timeout-s"),
        (ECHO, &["--hogs", "1025"], "--hogs 1025"),
        (ECHO, &["--quiet=yes"], "--quiet=yes"),
        (ECHO, &["--addr", &taken], "address already in use"),
        (HELLO, &["--addr", &taken], "address already in use"),
        (HELLO, &["--port", "1"], "--port"),
        (PROXY, &[], "--to is missing"),
        (PROXY, &["--to", "127.0.0.1:1", "--addr", &taken], "address already in use"),
        (CHAT, &["--addr", &taken], "address already in use"),
        (CHAT, &["--name", "me"], "--name"),
        (TLS_ECHO, &["--addr", &taken], "address already in use"),
        (TLS_ECHO, &["--cert", "somewhere"], "go together"),
        (TLS_ECHO, &["--cert", "nowhere.pem", "--key", "nowhere.pem"], "nowhere.pem"),
        (TLS_ECHO, &["--write-cert", "no/such/folder"], "no/such/folder"),
        (UDP_ECHO, &["--addr", &taken_udp], "address already in use"),
        (UDP_ECHO, &["--sockets", "0"], "--sockets 0"),
        (WS_ECHO, &["--addr", &taken], "address already in use"),
        (HTTP_PLAIN, &["--addr", &taken], "address already in use"),
        (HTTP_PLAIN, &["--timeout-s", "x"], "--timeout-s x"),
        (REDIS_LIKE, &["--addr", &taken], "address already in use"),
        (REDIS_LIKE, &["--max-memory-mib", "0"], "--max-memory-mib 0"),
        (LOOKUP, &[], "name is missing"),
        (LOOKUP, &["--type", "x", "localhost"], "--type x"),
        (LOOKUP, &["--server", "nowhere", "localhost"], "--server nowhere"),
        (LOOKUP, &["a..b"], "lookup a..b: no such host"),
        (DIAL, &[], "address is missing"),
        (DIAL, &["127.0.0.1:1", "more"], "more"),
        (DIAL, &["127.0.0.1:1"], "connection refused"),
    ];
    for (program, args, expected) in cases {
        let out = run(program, args, b"");
        let stderr = text(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{program} {args:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{program} {args:?}: {stderr}");
        assert!(stderr.contains(expected), "{program} {args:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{program} {args:?}: {stderr}");
        assert!(out.stdout.is_empty(), "{program} {args:?}: {}", text(&out.stdout));
    }
}
