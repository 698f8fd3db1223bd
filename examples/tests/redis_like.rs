//! `redis_like` with clients made by hand: what redis-benchmark does, and what it would never do.

mod util;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use util::{REDIS_LIKE, Server};

/// A client with its answers buffered.
struct Client {
    conn: TcpStream,
    answers: BufReader<TcpStream>,
}

impl Client {
    fn new(server: &Server) -> Client {
        let conn = server.connect();
        let answers = BufReader::new(conn.try_clone().expect("a descriptor"));
        Client { conn, answers }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.conn.write_all(bytes).expect("the server takes it");
    }

    /// The next answer, a string's contents behind its head.
    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer in time");
        let line = line.trim_end().to_owned();
        match line.strip_prefix('$') {
            Some("-1") | None => line,
            Some(length) => {
                let mut string = vec![0; length.parse::<usize>().expect("a length") + 2];
                self.answers.read_exact(&mut string).expect("as long as announced");
                string.truncate(string.len() - 2);
                format!("${}", string.escape_ascii())
            }
        }
    }

    #[track_caller]
    fn expect(&mut self, words: &[&[u8]], answer: &str) {
        self.send(&command(words));
        assert_eq!(self.answer(), answer);
    }

    /// The server has closed.
    #[track_caller]
    fn expect_end(&mut self) {
        let mut rest = Vec::new();
        self.answers.read_to_end(&mut rest).expect("closed, not reset");
        assert!(rest.is_empty(), "{}", rest.escape_ascii());
    }
}

fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    out
}

#[test]
fn every_command_has_its_answer() {
    let server = Server::start(REDIS_LIKE, &["--quiet"]);
    let mut client = Client::new(&server);
    client.expect(&[b"PING"], "+PONG");
    client.expect(&[b"ping", b"hello"], "$hello");
    client.expect(&[b"ECHO", b"a\r\nb"], "$a\\r\\nb");
    client.expect(&[b"GET", b"k"], "$-1");
    client.expect(&[b"SET", b"k", b"one"], "+OK");
    client.expect(&[b"SET", b"k", b"another"], "+OK");
    client.expect(&[b"SET", b"\0\xff", b""], "+OK");
    client.expect(&[b"GET", b"k"], "$another");
    client.expect(&[b"GET", b"\0\xff"], "$");
    client.expect(&[b"DBSIZE"], ":2");
    client.expect(&[b"DEL", b"k", b"nothing", b"\0\xff"], ":2");
    client.expect(&[b"DBSIZE"], ":0");
    client.expect(&[b"COMMAND", b"DOCS"], "*0");
    client.expect(&[b"CONFIG", b"GET", b"save"], "*2");
    assert_eq!((client.answer(), client.answer()), ("$save".to_owned(), "$".to_owned()));
    client.expect(&[b"GET"], "-ERR wrong number of arguments for 'get' command");
    client
        .expect(&[b"SET", b"k", b"v", b"EX", b"1"], "-ERR syntax error: no options here, only SET key value");
    client.expect(&[b"F\r\nOO"], "-ERR unknown command 'F\\r\\nOO'");
    client.expect(&[b""], "-ERR unknown command ''");
    client.send(b"PING\r\n\r\n  get   k\r\n");
    assert_eq!((client.answer(), client.answer()), ("+PONG".to_owned(), "$-1".to_owned()));
    client.expect(&[b"QUIT"], "+OK");
    client.expect_end();
}

/// More commands, and more answers, than all buffers hold: both directions have to move at the same time.
#[test]
fn a_long_pipeline_is_answered_in_order() {
    const COMMANDS: usize = 20_000;
    let server = Server::start(REDIS_LIKE, &["--quiet"]);
    let mut client = Client::new(&server);
    let mut sender = client.conn.try_clone().expect("a descriptor");
    let sending = std::thread::spawn(move || {
        let mut batch = Vec::new();
        for i in 0..COMMANDS {
            let value = format!("{i:0>500}");
            batch.extend_from_slice(&command(&[
                b"SET",
                format!("key {}", i % 7).as_bytes(),
                value.as_bytes(),
            ]));
            batch.extend_from_slice(&command(&[b"GET", format!("key {}", i % 7).as_bytes()]));
        }
        sender.write_all(&batch).expect("the server takes it");
        sender.shutdown(Shutdown::Write).expect("connected");
    });
    for i in 0..COMMANDS {
        assert_eq!(client.answer(), "+OK");
        assert_eq!(client.answer(), format!("${i:0>500}"));
    }
    client.expect_end();
    sending.join().expect("does not panic");
}

/// Answers do not wait for the rest of a command that has begun: its client may wait for them first.
#[test]
fn a_command_in_pieces_holds_no_answer_back() {
    let server = Server::start(REDIS_LIKE, &["--quiet"]);
    let mut client = Client::new(&server);
    let ping = command(&[b"PING"]);
    for cut in 0..ping.len() {
        let mut bytes = ping.clone();
        bytes.extend_from_slice(&ping[..cut]);
        client.send(&bytes);
        assert_eq!(client.answer(), "+PONG", "cut at {cut}");
        client.send(&ping[cut..]);
        assert_eq!(client.answer(), "+PONG", "cut at {cut}");
    }
}

#[test]
fn what_is_not_the_protocol_is_answered_and_ends_the_connection() {
    let server = Server::start(REDIS_LIKE, &["--quiet"]);
    for (bytes, answer) in [
        ("*1\r\n$999999999999\r\n", "-ERR Protocol error: invalid bulk length"),
        ("*2000000000\r\n", "-ERR Protocol error: invalid multibulk length"),
        ("*1\r\nPING\r\n", "-ERR Protocol error: expected '$'"),
    ] {
        let mut client = Client::new(&server);
        // What came before is answered, what comes after is not looked at.
        client.send(format!("PING\r\n{bytes}PING\r\n").as_bytes());
        assert_eq!(client.answer(), "+PONG");
        assert_eq!(client.answer(), answer);
        client.expect_end();
    }
    let mut client = Client::new(&server);
    client.send(&vec![b'x'; 100 << 10]);
    assert_eq!(client.answer(), "-ERR Protocol error: too big inline request");
    client.expect_end();
}

/// A hundred connections that announce all they may: the server's memory does not follow.
#[cfg(target_os = "linux")] // where /proc tells
#[test]
fn what_is_announced_is_not_allocated() {
    let server = Server::start(REDIS_LIKE, &["--quiet"]);
    let clients: Vec<Client> = (0..100)
        .map(|_| {
            let mut client = Client::new(&server);
            client.send(b"PING\r\n*2\r\n$3\r\nGET\r\n$8388605\r\nabc");
            // The answer shows that the rest has been looked at: nothing is sent before more has to be read.
            assert_eq!(client.answer(), "+PONG");
            client
        })
        .collect();
    let resident = server.resident_mib();
    assert!(resident < 60, "{resident} MiB for {} connections", clients.len());
}

#[test]
fn the_store_is_bounded() {
    let server = Server::start(REDIS_LIKE, &["--quiet", "--max-memory-mib", "1"]);
    let mut client = Client::new(&server);
    let large = vec![b'x'; 400 << 10];
    client.expect(&[b"SET", b"a", &large], "+OK");
    client.expect(&[b"SET", b"b", &large], "+OK");
    client.send(&command(&[b"SET", b"c", &large]));
    assert!(client.answer().starts_with("-OOM"));
    // The refused one took nothing, and what is deleted or replaced gives its room back.
    client.expect(&[b"DBSIZE"], ":2");
    client.expect(&[b"SET", b"a", &large], "+OK");
    client.expect(&[b"SET", b"b", b"small"], "+OK");
    client.expect(&[b"SET", b"c", &large], "+OK");
    client.expect(&[b"DEL", b"a", b"b", b"c"], ":3");
    client.expect(&[b"SET", b"d", &vec![b'x'; (1 << 20) - 1000]], "+OK");
}

#[test]
fn clients_at_the_same_time_see_one_store() {
    let server = Server::start(REDIS_LIKE, &["--quiet"]);
    std::thread::scope(|s| {
        for id in 0..16 {
            let server = &server;
            s.spawn(move || {
                let mut client = Client::new(server);
                for round in 0..100 {
                    let (key, value) = (format!("{id} {round}"), format!("value {id} {round}"));
                    client.expect(&[b"SET", key.as_bytes(), value.as_bytes()], "+OK");
                    client.expect(&[b"GET", key.as_bytes()], &format!("${value}"));
                }
            });
        }
    });
    let mut client = Client::new(&server);
    client.expect(&[b"DBSIZE"], ":1600");
    client.expect(&[b"GET", b"3 99"], "$value 3 99");
}

#[test]
fn a_silent_client_is_closed() {
    let server = Server::start(REDIS_LIKE, &["--quiet", "--idle-timeout-s", "1"]);
    let mut client = Client::new(&server);
    client.send(b"*1\r\n");
    let mut rest = Vec::new();
    client.answers.read_to_end(&mut rest).expect("closed, not reset");
}
