//! Name servers that say what a test tells them to: one in memory, which is a connection that answers, as Go's tests
//! have it, and one on the loopback, with UDP and TCP, for what needs sockets. Messages are put together by hand, so
//! that they are not checked against the code that reads them.

#![allow(dead_code)]

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use gopark_net::{Addr, Conn, DnsConn, ResolverBuilder, TcpAddr, UdpAddr};

pub(crate) const A: u16 = 1;
pub(crate) const NS: u16 = 2;
pub(crate) const CNAME: u16 = 5;
pub(crate) const PTR: u16 = 12;
pub(crate) const MX: u16 = 15;
pub(crate) const TXT: u16 = 16;
pub(crate) const AAAA: u16 = 28;
pub(crate) const SRV: u16 = 33;
pub(crate) const OPT: u16 = 41;

pub(crate) const SERVFAIL: u16 = 2;
pub(crate) const NXDOMAIN: u16 = 3;
pub(crate) const REFUSED: u16 = 5;

/// Of a block that is there for documentation: RFC 5737, RFC 3849.
pub(crate) const TEST_ADDR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const TEST_ADDR6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// What a server is asked.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) id: u16,
    /// With its dot at the end.
    pub(crate) name: String,
    pub(crate) qtype: u16,
    /// `udp` or `tcp`.
    pub(crate) network: &'static str,
    /// Whom the resolver meant.
    pub(crate) server: String,
    /// The flags of the header.
    pub(crate) flags: u16,
    /// The size of datagrams that is offered, if there is an OPT record.
    pub(crate) edns: Option<u16>,
    /// The question as it was.
    question: Vec<u8>,
    /// What the connection's deadline was when it was asked.
    pub(crate) deadline: Option<Instant>,
}

impl Query {
    /// Reads `message`, strictly: it is ours.
    pub(crate) fn parse(message: &[u8], network: &'static str, server: &str) -> Query {
        let word = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
        assert_eq!((word(4), word(6), word(8)), (1, 0, 0), "one question and nothing else");
        let (mut at, mut name) = (12, String::new());
        while message[at] != 0 {
            let len = usize::from(message[at]);
            name.push_str(std::str::from_utf8(&message[at + 1..at + 1 + len]).unwrap());
            name.push('.');
            at += 1 + len;
        }
        if name.is_empty() {
            name.push('.');
        }
        let qtype = word(at + 1);
        assert_eq!(word(at + 3), 1, "class IN");
        let end = at + 5;
        let edns = (word(10) == 1).then(|| {
            assert_eq!((message[end], word(end + 1), word(end + 9)), (0, OPT, 0), "an OPT record, empty");
            word(end + 3)
        });
        assert_eq!(message.len(), end + edns.map_or(0, |_| 11), "nothing behind");
        let question = message[12..end].to_vec();
        let (id, flags) = (word(0), word(2));
        Query { id, name, qtype, network, server: server.to_owned(), flags, edns, question, deadline: None }
    }

    /// An answer without records: recursion was possible, and all is well.
    pub(crate) fn reply(&self) -> Answer {
        Answer {
            id: self.id,
            flags: 0x8180,
            question: self.question.clone(),
            counts: [0; 3],
            body: Vec::new(),
        }
    }

    /// With the test's address of the type that was asked for, if there is one.
    pub(crate) fn addresses(&self) -> Answer {
        match self.qtype {
            A => self.reply().a(TEST_ADDR),
            AAAA => self.reply().aaaa(TEST_ADDR6),
            _ => self.reply(),
        }
    }
}

/// An answer that is put together.
#[derive(Clone)]
pub(crate) struct Answer {
    id: u16,
    flags: u16,
    question: Vec<u8>,
    counts: [u16; 3],
    body: Vec<u8>,
}

impl Answer {
    pub(crate) fn code(mut self, code: u16) -> Answer {
        self.flags = self.flags & !0xf | code & 0xf;
        self
    }

    pub(crate) fn id(mut self, id: u16) -> Answer {
        self.id = id;
        self
    }

    pub(crate) fn question(mut self, name: &str, qtype: u16) -> Answer {
        self.question = wire(name);
        self.question.extend(qtype.to_be_bytes());
        self.question.extend([0, 1]);
        self
    }

    pub(crate) fn truncated(mut self) -> Answer {
        self.flags |= 0x0200;
        self
    }

    pub(crate) fn authoritative(mut self) -> Answer {
        self.flags |= 0x0400;
        self
    }

    pub(crate) fn no_recursion(mut self) -> Answer {
        self.flags &= !0x0080;
        self
    }

    /// A record in the answer section, whose owner is what was asked for.
    pub(crate) fn record(self, rtype: u16, data: &[u8]) -> Answer {
        self.record_of(&[0xc0, 12], rtype, 60, data)
    }

    pub(crate) fn record_of(mut self, owner: &[u8], rtype: u16, ttl: u32, data: &[u8]) -> Answer {
        assert_eq!(self.counts[1..], [0, 0], "answers come first");
        self.counts[0] += 1;
        self.push(owner, rtype, 1, ttl, data);
        self
    }

    /// An OPT record with the upper bits of the code.
    pub(crate) fn edns(mut self, code: u16) -> Answer {
        self.counts[2] += 1;
        self.push(&[0], OPT, 1232, u32::from(code >> 4) << 24, &[]);
        self.code(code & 0xf)
    }

    fn push(&mut self, owner: &[u8], rtype: u16, class: u16, ttl: u32, data: &[u8]) {
        self.body.extend(owner);
        self.body.extend(rtype.to_be_bytes());
        self.body.extend(class.to_be_bytes());
        self.body.extend(ttl.to_be_bytes());
        self.body.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        self.body.extend(data);
    }

    pub(crate) fn a(self, ip: Ipv4Addr) -> Answer {
        self.record(A, &ip.octets())
    }

    pub(crate) fn aaaa(self, ip: Ipv6Addr) -> Answer {
        self.record(AAAA, &ip.octets())
    }

    pub(crate) fn name(self, rtype: u16, name: &str) -> Answer {
        self.record(rtype, &wire(name))
    }

    pub(crate) fn mx(self, preference: u16, host: &str) -> Answer {
        self.record(MX, &[&preference.to_be_bytes()[..], &wire(host)].concat())
    }

    pub(crate) fn srv(self, [priority, weight, port]: [u16; 3], target: &str) -> Answer {
        let numbers = [priority.to_be_bytes(), weight.to_be_bytes(), port.to_be_bytes()].concat();
        self.record(SRV, &[&numbers[..], &wire(target)].concat())
    }

    pub(crate) fn txt(self, pieces: &[&[u8]]) -> Answer {
        let data: Vec<u8> = pieces
            .iter()
            .flat_map(|piece| [&[u8::try_from(piece.len()).unwrap()], *piece].concat())
            .collect();
        self.record(TXT, &data)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let [answers, authorities, additionals] = self.counts;
        let header = [self.id, self.flags, 1, answers, authorities, additionals];
        let header = header.iter().flat_map(|word| word.to_be_bytes());
        header.chain(self.question.iter().copied()).chain(self.body.iter().copied()).collect()
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Reply {
        Reply::Messages(vec![answer.bytes()])
    }
}

/// `name` on the wire, whatever is in it; an empty one is the root, and so is a dot.
pub(crate) fn wire(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let labels = labels.flat_map(|label| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat());
    labels.chain([0]).collect()
}

/// What a server does about a query.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Sends these, one after the other; usually it is one.
    Messages(Vec<Vec<u8>>),
    /// Sends these bytes and closes, without a length before them. By UDP it is a datagram.
    Raw(Vec<u8>),
    /// Says nothing. In memory the deadline has come at once.
    Silence,
    /// In memory, the connection breaks.
    Broken,
}

type Script = Arc<dyn Fn(&Query) -> Reply + Send + Sync>;

/// A resolver's files, and servers in memory that follow a script.
pub(crate) struct FakeDns {
    files: Files,
    script: Script,
}

impl FakeDns {
    /// `resolv_conf`: the file's lines. Hosts are not known, and the order is `files dns`.
    pub(crate) fn new<R: Into<Reply>>(
        resolv_conf: &str,
        script: impl Fn(&Query) -> R + Send + Sync + 'static,
    ) -> FakeDns {
        let files = Files::new();
        files.write("resolv.conf", resolv_conf);
        FakeDns { files, script: Arc::new(move |query| script(query).into()) }
    }

    pub(crate) fn hosts(self, text: &str) -> FakeDns {
        self.files.write("hosts", text);
        self
    }

    pub(crate) fn nsswitch(self, text: &str) -> FakeDns {
        self.files.write("nsswitch.conf", text);
        self
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        self.files.write(file, text);
    }

    pub(crate) fn builder(&self) -> ResolverBuilder {
        let script = Arc::clone(&self.script);
        self.files.builder().dial(move |_ctx, network, server| {
            let network = if network == "tcp" { "tcp" } else { "udp" };
            let conn = Box::new(FakeConn::new(network, server, Arc::clone(&script)));
            Ok(if network == "tcp" { DnsConn::Stream(conn) } else { DnsConn::Datagrams(conn) })
        })
    }
}

/// A folder with files of settings, for as long as it lives.
pub(crate) struct Files(PathBuf);

impl Files {
    pub(crate) fn new() -> Files {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("gopark-dns-{}-{}", std::process::id(), COUNT.fetch_add(1, SeqCst));
        let files = Files(std::env::temp_dir().join(name));
        fs::create_dir_all(&files.0).expect("a folder");
        files.write("hosts", "");
        files.write("nsswitch.conf", "hosts: files dns\n");
        files
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join(file), text).expect("a file");
    }

    /// A resolver that looks into these, and asks nobody else's.
    pub(crate) fn builder(&self) -> ResolverBuilder {
        self.builder_for_either().prefer_pure()
    }

    /// A resolver that looks into these unless they are beyond it.
    pub(crate) fn builder_for_either(&self) -> ResolverBuilder {
        gopark_net::Resolver::builder()
            .hosts_file(self.0.join("hosts"))
            .resolv_conf_file(self.0.join("resolv.conf"))
            .nsswitch_file(self.0.join("nsswitch.conf"))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A connection to a server in memory. Go: fakeDNSConn
pub(crate) struct FakeConn {
    network: &'static str,
    server: String,
    script: Script,
    state: Mutex<FakeState>,
}

#[derive(Default)]
struct FakeState {
    deadline: Option<Instant>,
    /// Datagrams, or pieces of the stream.
    coming: VecDeque<Vec<u8>>,
    end: Option<Reply>,
}

impl FakeConn {
    pub(crate) fn new(network: &'static str, server: &str, script: Script) -> FakeConn {
        FakeConn { network, server: server.to_owned(), script, state: Mutex::default() }
    }
}

impl Conn for FakeConn {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state.lock().unwrap();
        let Some(mut piece) = state.coming.pop_front() else {
            return match state.end {
                Some(Reply::Silence) => Err(io::Error::new(io::ErrorKind::TimedOut, "i/o timeout")),
                Some(Reply::Broken) => Err(io::Error::new(io::ErrorKind::BrokenPipe, "socket on fire")),
                _ if self.network == "tcp" => Ok(0),
                _ => Err(io::Error::new(io::ErrorKind::TimedOut, "i/o timeout")),
            };
        };
        let n = piece.len().min(buf.len());
        buf[..n].copy_from_slice(&piece[..n]);
        if self.network == "tcp" && n < piece.len() {
            state.coming.push_front(piece.split_off(n));
        }
        Ok(n)
    }

    fn write(&self, buf: &[u8]) -> io::Result<usize> {
        let is_stream = self.network == "tcp";
        let message = if is_stream { &buf[2..] } else { buf };
        let deadline = self.state.lock().unwrap().deadline;
        let query = Query { deadline, ..Query::parse(message, self.network, &self.server) };
        // Not under the lock: a script may wait for other queries.
        let reply = (self.script)(&query);
        let mut state = self.state.lock().unwrap();
        match reply {
            Reply::Messages(messages) if is_stream => {
                state.coming = messages.iter().map(|m| framed(m)).collect()
            }
            Reply::Messages(messages) => state.coming = messages.into(),
            Reply::Raw(bytes) => state.coming = [bytes].into(),
            end => state.end = Some(end),
        }
        Ok(buf.len())
    }

    fn write_all(&self, buf: &[u8]) -> io::Result<()> {
        self.write(buf).map(|_| ())
    }

    fn close(&self) -> io::Result<()> {
        Ok(())
    }

    fn local_addr(&self) -> Addr {
        let none = TcpAddr { ip: None, port: 0, scope_id: 0 };
        if self.network == "tcp" { none.into() } else { UdpAddr::from(none).into() }
    }

    fn remote_addr(&self) -> Addr {
        self.local_addr()
    }

    fn set_deadline(&self, t: Option<Instant>) -> io::Result<()> {
        self.state.lock().unwrap().deadline = t;
        Ok(())
    }

    fn set_read_deadline(&self, t: Option<Instant>) -> io::Result<()> {
        self.set_deadline(t)
    }

    fn set_write_deadline(&self, t: Option<Instant>) -> io::Result<()> {
        self.set_deadline(t)
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

/// A server on a free port of the loopback, UDP and TCP, until it is dropped.
pub(crate) struct DnsServer {
    addr: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<thread::JoinHandle<()>>,
}

struct Shared {
    script: Script,
    queries: Mutex<Vec<Query>>,
    stop: AtomicBool,
    /// Connections that are to stay open and silent.
    open: Mutex<HashMap<u32, TcpStream>>,
}

impl DnsServer {
    pub(crate) fn start<R: Into<Reply>>(script: impl Fn(&Query) -> R + Send + Sync + 'static) -> DnsServer {
        let (udp, tcp) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
            // The same port may be taken for UDP.
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
                break (udp, tcp);
            }
        };
        let addr = udp.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Arc::new(move |query| script(query).into()),
            queries: Mutex::default(),
            stop: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let threads = vec![
            thread::spawn({
                let shared = Arc::clone(&shared);
                move || shared.serve_udp(&udp, addr)
            }),
            thread::spawn({
                let shared = Arc::clone(&shared);
                move || shared.serve_tcp(&tcp, addr)
            }),
        ];
        DnsServer { addr, shared, threads }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What it was asked, in order.
    pub(crate) fn queries(&self) -> Vec<Query> {
        self.shared.queries.lock().unwrap().clone()
    }
}

impl Shared {
    fn reply(&self, query: Query) -> Reply {
        let reply = (self.script)(&query);
        self.queries.lock().unwrap().push(query);
        reply
    }

    fn serve_udp(&self, socket: &UdpSocket, addr: SocketAddr) {
        let mut buf = [0; 4096];
        loop {
            let (n, from) = socket.recv_from(&mut buf).expect("a datagram");
            if self.stop.load(SeqCst) {
                return;
            }
            match self.reply(Query::parse(&buf[..n], "udp", &addr.to_string())) {
                Reply::Messages(messages) => {
                    for message in messages {
                        let _ = socket.send_to(&message, from); // he may be gone
                    }
                }
                Reply::Raw(bytes) => drop(socket.send_to(&bytes, from)),
                Reply::Silence | Reply::Broken => {}
            }
        }
    }

    fn serve_tcp(&self, listener: &TcpListener, addr: SocketAddr) {
        for (i, conn) in (0..).zip(listener.incoming()) {
            let mut conn = conn.expect("a connection");
            if self.stop.load(SeqCst) {
                return;
            }
            conn.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let mut len = [0; 2];
            if conn.read_exact(&mut len).is_err() {
                continue;
            }
            let mut message = vec![0; u16::from_be_bytes(len).into()];
            if conn.read_exact(&mut message).is_err() {
                continue;
            }
            match self.reply(Query::parse(&message, "tcp", &addr.to_string())) {
                Reply::Messages(messages) => {
                    let all: Vec<u8> = messages.iter().flat_map(|message| framed(message)).collect();
                    let _ = conn.write_all(&all); // he may be gone
                }
                Reply::Raw(bytes) => drop(conn.write_all(&bytes)),
                Reply::Silence => drop(self.open.lock().unwrap().insert(i, conn)),
                Reply::Broken => {}
            }
        }
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        // One of each, to be seen by threads that wait for one.
        let _ = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(&[0], self.addr));
        let _ = TcpStream::connect(self.addr);
        for thread in self.threads.drain(..) {
            let result = thread.join();
            assert!(thread::panicking() || result.is_ok(), "the server has panicked");
        }
    }
}
