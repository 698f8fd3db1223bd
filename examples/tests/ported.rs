//! Programs of std::net that moved over by changing imports: that nothing else changed, and that both do the same.

mod util;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use util::Server;

const FILE_SERVERS: [&str; 2] = [env!("CARGO_BIN_EXE_file_server"), env!("CARGO_BIN_EXE_file_server_std")];
const KEY_VALUES: [&str; 2] = [env!("CARGO_BIN_EXE_key_value"), env!("CARGO_BIN_EXE_key_value_std")];

/// The lines of a program, imports first and the rest after.
fn lines(source: &str) -> (Vec<&str>, Vec<&str>) {
    source.lines().partition(|line| line.starts_with("use "))
}

#[test]
fn only_imports_differ() {
    for (name, ours, std) in [
        (
            "file_server",
            include_str!("../src/ported/file_server.rs"),
            include_str!("../src/ported/file_server_std.rs"),
        ),
        (
            "key_value",
            include_str!("../src/ported/key_value.rs"),
            include_str!("../src/ported/key_value_std.rs"),
        ),
    ] {
        let ((our_uses, our_code), (std_uses, std_code)) = (lines(ours), lines(std));
        assert_eq!(our_code, std_code, "{name}");
        let changed: Vec<_> = our_uses.iter().filter(|line| !std_uses.contains(line)).collect();
        assert_eq!(
            changed,
            [&"use gopark_net as thread;", &"use gopark_net::{TcpConn as TcpStream, TcpListener};"],
            "{name}"
        );
        assert!(!ours.contains("std::net::{") && !ours.contains("std::thread"), "{name}");
        assert!(!std.contains("gopark"), "{name}");
    }
}

/// Status line, headers and body of the next answer on `conn`.
fn answer(conn: &mut BufReader<TcpStream>, has_body: bool) -> (String, Vec<u8>) {
    let (mut head, mut line) = (String::new(), String::new());
    while conn.read_line(&mut line).expect("a line") > 2 {
        head.push_str(&line);
        line.clear();
    }
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).expect("a length");
    let mut body = vec![0; if has_body { length.parse().expect("a number") } else { 0 }];
    conn.read_exact(&mut body).expect("the body");
    (head, body)
}

#[test]
fn both_file_servers_serve_the_same() {
    let root = std::env::temp_dir().join(format!("gopark-ported-{}", std::process::id()));
    std::fs::create_dir_all(root.join("sub")).expect("a folder");
    let large: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    std::fs::write(root.join("index.html"), "<p>hello").expect("a file");
    std::fs::write(root.join("sub/large.bin"), &large).expect("a file");
    std::fs::write(root.with_extension("secret"), "not for you").expect("a file");
    let secret = root.with_extension("secret");
    let secret = secret.file_name().and_then(|name| name.to_str()).expect("text");
    for program in FILE_SERVERS {
        let server = Server::start(program, &["--root", root.to_str().expect("text")]);
        let mut conn = BufReader::new(server.connect());
        let mut get = |method: &str, path: &str, extra: &str| {
            let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{extra}\r\n");
            conn.get_mut().write_all(request.as_bytes()).expect("sent");
            answer(&mut conn, method != "HEAD")
        };
        // All on one connection.
        let (head, body) = get("GET", "/", "");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/html"), "{program}: {head}");
        assert_eq!(body, b"<p>hello");
        let (head, body) = get("GET", "/sub/large.bin?x=1", "");
        assert!(head.contains("application/octet-stream"), "{program}: {head}");
        assert!(body == large, "{program}: the large file comes back whole");
        let (head, _) = get("HEAD", "/sub/large.bin", "");
        assert!(head.contains("Content-Length: 3000000\r\n"), "{program}: {head}");
        for path in
            ["/none", "/sub", &format!("/../{secret}"), &format!("/sub/../../{secret}"), "//etc/passwd"]
        {
            let (head, _) = get("GET", path, "");
            assert!(head.starts_with("HTTP/1.1 404 "), "{program} {path}: {head}");
        }
        let (head, _) = get("DELETE", "/", "");
        assert!(head.starts_with("HTTP/1.1 405 "), "{program}: {head}");
        let (head, _) = get("GET", "/", "Connection: close\r\n");
        assert!(head.contains("Connection: close"), "{program}: {head}");
        assert_eq!(conn.read(&mut [0]).expect("the end"), 0, "{program}");

        let mut bad = BufReader::new(server.connect());
        bad.get_mut().write_all(b"nonsense\r\n\r\n").expect("sent");
        assert!(answer(&mut bad, true).0.starts_with("HTTP/1.1 400 "), "{program}");
        assert_eq!(bad.read(&mut [0]).expect("the end"), 0, "{program}");
        many_at_once(&server, &large);
    }
    std::fs::remove_dir_all(&root).expect("removed");
    std::fs::remove_file(root.with_extension("secret")).expect("removed");
}

/// Clients side by side get what they asked for.
fn many_at_once(server: &Server, large: &[u8]) {
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let mut conn = server.connect();
                conn.write_all(b"GET /sub/large.bin HTTP/1.0\r\n\r\n").expect("sent");
                let mut all = Vec::new();
                conn.read_to_end(&mut all).expect("the end");
                assert!(all.ends_with(large));
            });
        }
    });
}

/// A client that talks in lines.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(server: &Server) -> Client {
        Client(BufReader::new(server.connect()))
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line in time");
        line
    }

    fn say(&mut self, line: &str) -> String {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).expect("sent");
        self.line()
    }
}

#[test]
fn both_key_value_servers_do_the_same() {
    for program in KEY_VALUES {
        let server = Server::start(program, &[]);
        let (mut one, mut two, mut watcher) =
            (Client::new(&server), Client::new(&server), Client::new(&server));
        assert_eq!(one.say("GET color"), "NONE\n", "{program}");
        assert_eq!(watcher.say("WATCH color"), "OK\n");
        assert_eq!(one.say("SET color light blue"), "OK\n");
        assert_eq!(watcher.line(), "CHANGED color light blue\n");
        assert_eq!(two.say("GET color"), "VALUE light blue\n");
        assert_eq!((two.say("SET size 7"), two.say("COUNT")), ("OK\n".to_owned(), "COUNT 2\n".to_owned()));
        assert_eq!((two.say("DEL color"), two.say("DEL color")), ("OK\n".to_owned(), "NONE\n".to_owned()));
        assert_eq!(watcher.line(), "GONE color\n");
        assert!(two.say("FLY").starts_with("ERR FLY: say SET"), "{program}");
        // One who watches goes; the others do not notice.
        assert_eq!(watcher.say("QUIT"), "", "{program}");
        assert_eq!(one.say("SET color red"), "OK\n");
        let long = "x".repeat(5000);
        assert_eq!(two.say(&format!("SET long {long}")), "ERR the line is too long\n", "{program}");
        std::thread::scope(|scope| {
            for i in 0..32 {
                let server = &server;
                scope.spawn(move || {
                    let mut client = Client::new(server);
                    assert_eq!(client.say(&format!("SET key{i} {i}")), "OK\n");
                    assert_eq!(client.say(&format!("GET key{i}")), format!("VALUE {i}\n"));
                });
            }
        });
        assert_eq!(one.say("COUNT"), "COUNT 34\n", "{program}");
    }
}
