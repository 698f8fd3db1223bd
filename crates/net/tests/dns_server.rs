//! Lookups over sockets: UDP and TCP on the loopback, and servers that do what they should not.

#[path = "util/dns.rs"]
mod dns;
mod util;

use std::net::{IpAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dns::*;
use gopark_net::context::Context;
use gopark_net::{DnsError, Resolver, is_canceled, is_timeout, spawn};
use util::{assert_blocked, join_soon};

procs!();

const BACKGROUND: Context = Context::background();
const SEC: Duration = Duration::from_secs(1);

/// A resolver for `server`, with these lines in its `resolv.conf`.
fn resolver(server: &DnsServer, conf: &str) -> (Resolver, Files) {
    let files = Files::new();
    files.write("resolv.conf", conf);
    (files.builder().name_servers([server.addr()]).build(), files)
}

fn ip4(resolver: &Resolver, ctx: &Context) -> std::io::Result<Vec<IpAddr>> {
    resolver.lookup_ip(ctx, "ip4", "www.example.com.")
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

both! {
    fn a_lookup_is_answered_by_udp() {
        let server = DnsServer::start(Query::addresses);
        let (resolver, _files) = resolver(&server, "");
        let mut ips = resolver.lookup_ip(&BACKGROUND, "ip", "www.example.com").unwrap();
        ips.sort();
        assert_eq!(ips, [IpAddr::V4(TEST_ADDR), IpAddr::V6(TEST_ADDR6)]);
        let queries = server.queries();
        assert_eq!(queries.len(), 2);
        assert!(queries.iter().all(|query| query.network == "udp" && query.name == "www.example.com."));
        assert!(queries.iter().all(|query| query.edns == Some(1232) && query.flags == 0x0100));
    }

    fn a_long_answer_comes_by_tcp() {
        let long = "x".repeat(250);
        let server = DnsServer::start(move |query| {
            let pieces = vec![long.as_bytes(); 200];
            if query.network == "udp" { query.reply().truncated() } else { query.reply().txt(&pieces) }
        });
        let (resolver, _files) = resolver(&server, "");
        assert_eq!(resolver.lookup_txt(&BACKGROUND, "example.com").unwrap()[0].len(), 50_000);
        let networks: Vec<_> = server.queries().iter().map(|query| query.network).collect();
        assert_eq!(networks, ["udp", "tcp"]);
    }

    /// go-semantics 7.5: "forgeries". The datagrams of another socket never arrive: ours is connected.
    fn forgeries_are_ignored() {
        let server = DnsServer::start(|query| {
            let forged = query.reply().a([6, 6, 6, 6].into());
            Reply::Messages(vec![
                b"x".to_vec(),
                forged.clone().id(!query.id).bytes(),
                forged.question("www.example.org.", A).bytes(),
                query.reply().a(TEST_ADDR).bytes(),
            ])
        });
        let (resolver, _files) = resolver(&server, "");
        assert_eq!(ip4(&resolver, &BACKGROUND).unwrap(), [TEST_ADDR]);
    }

    fn an_answer_from_elsewhere_is_none() {
        // The server's socket, by which nothing is answered; another socket sends what would be the answer.
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let files = Files::new();
        files.write("resolv.conf", "options timeout:1 attempts:1");
        let resolver = files.builder().name_servers([silent.local_addr().unwrap()]).build();
        let forger = std::thread::spawn(move || {
            let mut buf = [0; 512];
            let (n, from) = silent.recv_from(&mut buf).unwrap();
            let query = Query::parse(&buf[..n], "udp", "");
            let elsewhere = UdpSocket::bind("127.0.0.1:0").unwrap();
            elsewhere.send_to(&query.reply().a([6, 6, 6, 6].into()).bytes(), from).unwrap();
            silent
        });
        let err = ip4(&resolver, &BACKGROUND).unwrap_err();
        assert!(is_timeout(&err), "{err}");
        forger.join().unwrap();
    }

    fn a_silent_server_costs_its_time_and_no_more() {
        let server = DnsServer::start(|_| Reply::Silence);
        let (resolver, _files) = resolver(&server, "options timeout:1 attempts:2");
        let start = Instant::now();
        let err = ip4(&resolver, &BACKGROUND).unwrap_err();
        let took = start.elapsed();
        assert!((2 * SEC..20 * SEC).contains(&took), "{took:?}");
        let e = DnsError::of(&err).unwrap();
        assert!(e.is_timeout && e.is_temporary && e.server == server.addr().to_string(), "{e:?}");
        // As Go has it: the error of the read, with its addresses.
        let text = err.to_string();
        assert!(text.starts_with(&format!("lookup www.example.com. on {}: read udp ", e.server)), "{text}");
        assert!(text.ends_with(": i/o timeout"), "{text}");
        assert_eq!(server.queries().len(), 2);
    }

    fn a_refused_query_goes_to_the_next_server() {
        let server = DnsServer::start(Query::addresses);
        let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let files = Files::new();
        files.write("resolv.conf", "");
        let resolver = files.builder().name_servers([closed, server.addr()]).build();
        assert_eq!(ip4(&resolver, &BACKGROUND).unwrap(), [TEST_ADDR]);
        let alone = files.builder().name_servers([closed]).build();
        let err = ip4(&alone, &BACKGROUND).unwrap_err();
        let e = DnsError::of(&err).unwrap();
        assert!(e.is_temporary && !e.is_timeout && !e.is_not_found, "{e:?}");
        assert!(err.to_string().ends_with("read: connection refused"), "{err}");
    }

    /// All the ways in which a stream can be wrong; each ends the exchange, and none the program.
    fn hostile_streams_are_errors() {
        let replies: Vec<(Reply, &str)> = vec![
            (Reply::Raw(vec![]), "EOF"),
            (Reply::Raw(vec![0]), "unexpected EOF"),
            (Reply::Raw(vec![0, 0]), "cannot unmarshal DNS message"),
            (Reply::Raw(vec![0xff, 0xff, 1, 2, 3]), "unexpected EOF"),
            (Reply::Raw([&[0, 12][..], &[0; 12]].concat()), "cannot unmarshal DNS message"),
        ];
        for (reply, text) in replies {
            let server = DnsServer::start(move |_| reply.clone());
            let (resolver, _files) = resolver(&server, "options use-vc attempts:1");
            let err = ip4(&resolver, &BACKGROUND).unwrap_err();
            assert!(err.to_string().ends_with(text), "{err}, {text} wanted");
        }
        let server = DnsServer::start(|query| query.addresses().id(!query.id));
        let (resolver, _files) = resolver(&server, "options use-vc attempts:1");
        let err = ip4(&resolver, &BACKGROUND).unwrap_err();
        assert!(err.to_string().ends_with(": invalid DNS response"), "{err}");
    }

    /// Loops and chains of pointers, for each of many records: bounded time.
    fn hostile_messages_cost_bounded_time() {
        let server = DnsServer::start(|query| {
            let mut reply = query.reply();
            // Behind the question, a chain of pointers, each to the one before; then records that hang on its end.
            let base = 12 + wire(&query.name).len() + 4 + 12;
            let chain: Vec<u8> = (0..8000usize)
                .flat_map(|i| {
                    let to = if i == 0 { 12 } else { base + 2 * (i - 1) };
                    (0xc000 | u16::try_from(to & 0x3fff).unwrap()).to_be_bytes()
                })
                .collect();
            reply = reply.record(99, &chain);
            for _ in 0..3500 {
                reply = reply.record_of(&(0xc000u16 | 0x3f00).to_be_bytes(), NS, 60, &[0xff, 0x00]);
            }
            reply
        });
        let (resolver, _files) = resolver(&server, "options use-vc attempts:1");
        let start = Instant::now();
        let err = resolver.lookup_ns(&BACKGROUND, "example.com").unwrap_err();
        assert!(err.to_string().ends_with(": cannot unmarshal DNS message"), "{err}");
        assert!(start.elapsed() < 10 * SEC, "{:?}", start.elapsed());
    }

    /// A canceled lookup ends at once, and takes its sockets along.
    fn a_canceled_lookup_closes_its_sockets() {
        for conf in ["options timeout:30", "options timeout:30 use-vc"] {
            let server = DnsServer::start(|_| Reply::Silence);
            let (resolver, _files) = resolver(&server, conf);
            for f in [
                (|resolver, ctx| ip4(resolver, ctx).err().unwrap()) as fn(&Resolver, &Context) -> std::io::Error,
                |resolver, ctx| resolver.lookup_txt(ctx, "example.com").err().unwrap(),
            ] {
                let (ctx, cancel) = BACKGROUND.with_cancel();
                let looking = {
                    let (resolver, ctx) = (resolver.clone(), ctx.clone());
                    spawn(move || f(&resolver, &ctx))
                };
                let looking = assert_blocked(looking);
                cancel.cancel();
                let err = join_soon(looking);
                assert!(is_canceled(&err), "{err:?}");
            }
        }
    }

    /// A thousand lookups wait, and no thread with them.
    fn lookups_hold_no_thread() {
        let threads = || std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
        let server = DnsServer::start(|_| Reply::Silence);
        let (resolver, _files) = resolver(&server, "options timeout:30");
        let before = threads();
        let (ctx, cancel) = BACKGROUND.with_cancel();
        let all: Vec<_> = (0..200)
            .map(|i| {
                let (resolver, ctx) = (resolver.clone(), ctx.clone());
                spawn(move || resolver.lookup_ip(&ctx, "ip4", &format!("host{i}.example.")).is_err())
            })
            .collect();
        let deadline = Instant::now() + 20 * SEC;
        while server.queries().len() < 200 {
            assert!(Instant::now() < deadline, "{} have asked", server.queries().len());
            gopark_net::sleep(Duration::from_millis(5)); // not for ordering: nothing else says it
        }
        let with = threads();
        assert!(with < before + 50, "{before} threads before, {with} with 200 lookups");
        cancel.cancel();
        assert!(all.into_iter().all(join_soon));
    }

    /// Those who ask for the same at the same time ask once.
    fn lookups_of_the_same_are_one() {
        let asked = Arc::new(AtomicU32::new(0));
        let gate = Arc::new(Mutex::new(()));
        let (count, hold) = (Arc::clone(&asked), Arc::clone(&gate));
        let server = DnsServer::start(move |query| {
            count.fetch_add(1, SeqCst);
            drop(hold.lock().unwrap());
            query.addresses()
        });
        let (resolver, _files) = resolver(&server, "options timeout:30");
        let held = gate.lock().unwrap();
        let all: Vec<_> = (0..50)
            .map(|_| {
                let resolver = resolver.clone();
                spawn(move || ip4(&resolver, &BACKGROUND).unwrap())
            })
            .collect();
        let all: Vec<_> = all.into_iter().map(assert_started).collect();
        drop(held);
        assert!(all.into_iter().all(|one| join_soon(one) == [TEST_ADDR]));
        assert!((1..10).contains(&asked.load(SeqCst)), "asked {} times", asked.load(SeqCst));
    }
}

/// Gives everybody the time to begin; for one of many.
fn assert_started<T>(handle: T) -> T {
    gopark_net::sleep(Duration::from_millis(2)); // not for ordering: time to begin
    handle
}

/// Nothing is left of many lookups, whatever became of them.
#[test]
fn nothing_is_left() {
    fn body() {
        let server = DnsServer::start(|query| match query.name.as_str() {
            "none.example." => query.reply().code(NXDOMAIN).into(),
            "broken.example." => Reply::Raw(vec![1, 2, 3]),
            "long.example." if query.network == "udp" => query.reply().truncated().into(),
            _ => Reply::from(query.addresses()),
        });
        let (resolver, _files) = resolver(&server, "options timeout:1 attempts:1");
        let lookup = |name: &str| drop(resolver.lookup_ip(&BACKGROUND, "ip", name));
        lookup("www.example.");
        let (goroutines, before) = (gopark_net::num_goroutines(), descriptors());
        for _ in 0..100 {
            ["www.example.", "none.example.", "long.example."].into_iter().for_each(lookup);
        }
        lookup("broken.example.");
        let deadline = Instant::now() + 10 * SEC;
        while gopark_net::num_goroutines() > goroutines || descriptors() > before {
            assert!(
                Instant::now() < deadline,
                "{} goroutines, {} descriptors",
                gopark_net::num_goroutines(),
                descriptors()
            );
            std::thread::sleep(Duration::from_millis(10)); // not for ordering: nothing else says it
        }
    }
    if std::env::var_os("GOPARK_TEST_CHILD").is_none() {
        let name = "nothing_is_left";
        util::assert_success(util::child(name, ""), name);
    } else if util::is_child_for("nothing_is_left") {
        util::thread("nothing_is_left", body);
    }
}
