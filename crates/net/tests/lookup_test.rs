//! Lookups as programs make them: who shares one, who gives up, what is remembered. Go: `net/lookup_test.go`, without
//! the tests that need the Internet.

#[path = "util/dns.rs"]
mod dns;
mod util;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dns::*;
use gopark_net::context::{self, Context};
use gopark_net::{
    Dialer, DnsConn, DnsError, OpError, Resolver, ResolverBuilder, chan, is_canceled, is_timeout,
    lookup_host, lookup_ip, spawn,
};
use util::{assert_blocked, join_soon, local_listener};

procs!();

const BACKGROUND: Context = Context::background();
const MS: Duration = Duration::from_millis(1);

/// A server whose answers wait until the sender is dropped, and how often it was asked.
fn held() -> (FakeDns, chan::Sender<()>, Arc<AtomicU32>) {
    let (release, gate) = chan::bounded::<()>(0);
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let fake = FakeDns::new("nameserver 192.0.2.53", move |query| {
        count.fetch_add(1, SeqCst);
        let _ = gate.recv();
        query.addresses()
    });
    (fake, release, asked)
}

/// Waits until `asked` is `n`: somebody is on his way.
#[track_caller]
fn wait_for(asked: &AtomicU32, n: u32) {
    for _ in 0..5000 {
        if asked.load(SeqCst) == n {
            return;
        }
        gopark_net::sleep(MS); // not for ordering: nothing else says it
    }
    panic!("asked {} times, not {n}", asked.load(SeqCst));
}

fn lookup(resolver: &Resolver, ctx: &Context, host: &str) -> gopark_net::JoinHandle<std::io::Result<usize>> {
    let (resolver, ctx, host) = (resolver.clone(), ctx.clone(), host.to_owned());
    spawn(move || resolver.lookup_ip_addr(&ctx, &host).map(|addrs| addrs.len()))
}

both! {
    // Go: net TestLookupContextCancel; golang/go#22724
    fn test_lookup_context_cancel() {
        let (fake, release, asked) = held();
        let resolver = fake.builder().build();
        let (ctx, cancel) = BACKGROUND.with_cancel();
        let first = assert_blocked(lookup(&resolver, &ctx, "golang.org"));
        let second = assert_blocked(lookup(&resolver, &BACKGROUND, "golang.org"));
        cancel.cancel();
        let err = join_soon(first).unwrap_err();
        assert_eq!(err.to_string(), "lookup golang.org: operation was canceled");
        assert!(is_canceled(&err) && !is_timeout(&err));
        assert!(DnsError::of(&err).unwrap().is_canceled);
        // Who began it has gone; who joined gets what it brings.
        let second = assert_blocked(second);
        assert_eq!(asked.load(SeqCst), 2, "one question of each type");
        drop(release);
        assert_eq!(join_soon(second).unwrap(), 2);
    }

    // Go: net TestLookupHostCancel; golang/go#24178
    fn test_lookup_host_cancel() {
        let fake = FakeDns::new("nameserver 192.0.2.53", |query| query.addresses());
        let (ctx, cancel) = BACKGROUND.with_cancel();
        cancel.cancel();
        for resolver in [fake.builder().build(), Resolver::builder().prefer_system().build()] {
            for _ in 0..600 {
                let err = resolver.lookup_host(&ctx, "invalid.invalid").unwrap_err();
                assert!(is_canceled(&err), "{err}");
            }
        }
        assert_eq!(fake.builder().build().lookup_host(&BACKGROUND, "golang.org").unwrap().len(), 2);
    }

    /// Beyond Go: a lookup that everybody has left is canceled, and the next one begins anew.
    fn a_lookup_that_nobody_waits_for_ends() {
        let (tx, ended) = chan::bounded::<()>(16);
        let resolver = Resolver::builder()
            .name_servers(["192.0.2.53:53".parse().unwrap()])
            .dial(move |ctx, _, _| {
                let _ = ctx.done().recv();
                let _ = tx.try_send(());
                Err(ctx.err().unwrap().into())
            })
            .build();
        let (ctx, cancel) = BACKGROUND.with_cancel();
        let waiting = [0; 3].map(|_| assert_blocked(lookup(&resolver, &ctx, "golang.org")));
        cancel.cancel();
        for one in waiting {
            assert!(is_canceled(&join_soon(one).unwrap_err()));
        }
        // Long before the five seconds of an exchange.
        assert!(ended.recv_timeout(Duration::from_secs(3)).is_ok());
    }

    // Go: net TestDNSTimeout
    fn test_dns_timeout() {
        let (fake, release, _) = held();
        let resolver = fake.builder().build();
        let (ctx, _cancel) = BACKGROUND.with_timeout(MS);
        let all = [0; 2].map(|_| lookup(&resolver, &ctx, "golang2.org"));
        for one in all {
            let err = join_soon(one).unwrap_err();
            assert_eq!(err.to_string(), "lookup golang2.org: i/o timeout");
            let e = DnsError::of(&err).unwrap();
            assert!(e.is_timeout && e.timeout() && e.temporary() && is_timeout(&err));
        }
        drop(release);
    }

    // Go: net TestLookupIPAddrConcurrentCallsForNetworks; golang/go#30521
    fn test_lookup_ip_addr_concurrent_calls_for_networks() {
        let (fake, release, asked) = held();
        let resolver = fake.builder().build();
        let one = |network: &'static str| {
            let resolver = resolver.clone();
            spawn(move || {
                let mut ips = resolver.lookup_ip(&BACKGROUND, network, "golang.org").unwrap();
                ips.sort();
                ips
            })
        };
        let all = ["ip", "ip4", "ip6", "ip", "ip"].map(|network| (network, one(network)));
        wait_for(&asked, 4); // A and AAAA, A, AAAA
        drop(release);
        for (network, lookup) in all {
            let want: &[IpAddr] = match network {
                "ip4" => &[IpAddr::V4(TEST_ADDR)],
                "ip6" => &[IpAddr::V6(TEST_ADDR6)],
                _ => &[IpAddr::V4(TEST_ADDR), IpAddr::V6(TEST_ADDR6)],
            };
            assert_eq!(join_soon(lookup), want, "{network}");
        }
    }

    // Go: net TestLookupIPAddrPreservesContextValues; golang/go#28600
    fn test_lookup_ip_addr_preserves_context_values() {
        let fake = FakeDns::new("nameserver 192.0.2.53", |query| query.addresses());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&seen);
        let resolver = fake.builder().dial(move |ctx, _, _| {
            keep.lock().unwrap().push((ctx.value::<u32>().copied(), ctx.deadline().is_some()));
            Err(std::io::Error::other("not today"))
        });
        let err = resolver.build().lookup_ip_addr(&BACKGROUND.with_value::<u32>(137), "golang.org").unwrap_err();
        assert!(err.to_string().ends_with(": not today"), "{err}");
        let seen = seen.lock().unwrap();
        assert!(!seen.is_empty() && seen.iter().all(|&seen| seen == (Some(137), true)), "{seen:?}");
    }

    // Go: net TestDNSErrorUnwrap
    fn test_dns_error_unwrap() {
        let failing = |why: context::Error| Resolver::builder().dial(move |_, _, _| Err(why.into())).build();
        let err = failing(context::Error::DeadlineExceeded).lookup_host(&BACKGROUND, "test.go.dev").unwrap_err();
        assert!(is_timeout(&err) && err.to_string().ends_with(": i/o timeout"), "{err}");
        let err = failing(context::Error::Canceled).lookup_host(&BACKGROUND, "test.go.dev").unwrap_err();
        assert!(is_canceled(&err) && err.to_string().ends_with(": operation was canceled"), "{err}");
    }

    // Go: net TestResolverLookupIPWithEmptyHost, TestLookupNonLDH, TestLookupNullByte
    fn test_lookup_of_what_is_no_name() {
        for host in ["", "!!!.###.bogus..domain.", "foo\0bar", "127.1", "1.2.3.4.", "a b", "-a.example"] {
            for result in [lookup_host(host).err(), lookup_ip(host).err()] {
                let err = result.unwrap();
                assert_eq!(err.to_string(), format!("lookup {host}: no such host"));
                assert!(DnsError::of(&err).unwrap().is_not_found);
            }
            let err = Resolver::new().lookup_ip(&BACKGROUND, "ip", host).unwrap_err();
            assert!(DnsError::of(&err).unwrap().is_not_found, "{host:?}");
        }
        let err = Resolver::new().lookup_ip(&BACKGROUND, "tcp", "localhost").unwrap_err();
        assert_eq!(err.to_string(), "unknown network tcp");
    }

    /// A literal never touches a file or a server.
    fn a_literal_is_its_own_address() {
        let fake = FakeDns::new("nameserver 192.0.2.53", |_| -> Reply { panic!("nobody is asked") });
        let resolver = fake.builder().build();
        assert_eq!(resolver.lookup_host(&BACKGROUND, "fe80::1%lo").unwrap(), ["fe80::1%lo"]);
        let ip: IpAddr = "192.0.2.7".parse().unwrap();
        assert_eq!(resolver.lookup_ip(&BACKGROUND, "ip", "192.0.2.7").unwrap(), [ip]);
        // golang/go#18806
        assert_eq!(resolver.lookup_ip(&BACKGROUND, "ip", "::").unwrap().len(), 2);
        let err = resolver.lookup_ip(&BACKGROUND, "ip6", "192.0.2.7").unwrap_err();
        assert_eq!(err.to_string(), "address 192.0.2.7: no suitable address found");
        let addrs = resolver.lookup_ip_addr(&BACKGROUND, "fe80::1%7").unwrap();
        assert_eq!(addrs, ["[fe80::1%7]:0".parse().unwrap()]);
    }

    // Go: net TestLookupDotsWithLocalSource
    fn test_lookup_dots_with_local_source() {
        let fake = FakeDns::new("nameserver 192.0.2.53", |_| -> Reply { panic!("nobody is asked") })
            .hosts("127.0.0.1 localhost localhost.localdomain\nfe80::1%eth7 router.example\n");
        let resolver = fake.builder().build();
        let names = resolver.lookup_addr(&BACKGROUND, "127.0.0.1").unwrap();
        assert_eq!(names, ["localhost", "localhost.localdomain."]);
        assert_eq!(resolver.lookup_host(&BACKGROUND, "LocalHost").unwrap(), ["127.0.0.1"]);
        // The interface need not be there.
        assert_eq!(resolver.lookup_host(&BACKGROUND, "router.example").unwrap(), ["fe80::1%eth7"]);
        assert_eq!(resolver.lookup_ip(&BACKGROUND, "ip6", "router.example.").unwrap().len(), 1);
        let err = resolver.lookup_ip(&BACKGROUND, "ip4", "router.example").unwrap_err();
        assert_eq!(err.to_string(), "address router.example: no suitable address found");
    }

    // Go: net TestDNSDialTCP; golang/go#26573: what the hook returns is what counts.
    fn test_dns_dial_tcp() {
        let server = DnsServer::start(|query| query.addresses());
        let at = server.addr().to_string();
        let resolver = Resolver::builder()
            .dial(move |ctx, _, _| Ok(DnsConn::Stream(Dialer::new().dial_context(ctx, "tcp", &at)?)))
            .build();
        assert_eq!(resolver.lookup_ip(&BACKGROUND, "ip", "golang.org").unwrap().len(), 2);
        assert!(server.queries().iter().all(|query| query.network == "tcp"));
    }

    // Go: net TestConcurrentPreferGoResolversDial
    fn test_concurrent_prefer_go_resolvers_dial() {
        let servers = [0; 2].map(|_| DnsServer::start(|query| query.addresses()));
        let all = [0, 1].map(|i| {
            let resolver = Resolver::builder().name_servers([servers[i].addr()]).build();
            lookup(&resolver, &BACKGROUND, "golang.org")
        });
        for one in all {
            assert_eq!(join_soon(one).unwrap(), 2);
        }
        assert!(servers.iter().all(|server| server.queries().len() == 2));
    }

    /// Go: net/dnsclient_unix.go exchange, which cancels it when it has the answer.
    fn the_hooks_context_lasts_as_long_as_the_exchange() {
        let fake = FakeDns::new("nameserver 192.0.2.53", |query| query.addresses());
        let ended = Arc::new(Mutex::new(Vec::new()));
        let (seen, given) = (Arc::clone(&ended), Arc::new(Mutex::new(Vec::<Context>::new())));
        let kept = Arc::clone(&given);
        let script: Arc<dyn Fn(&Query) -> Reply + Send + Sync> = Arc::new(move |query| {
            seen.lock().unwrap().push(given.lock().unwrap().last().unwrap().err());
            query.addresses().into()
        });
        let dialed = Arc::clone(&kept);
        let resolver = fake
            .builder()
            .dial(move |ctx, _, server| {
                dialed.lock().unwrap().push(ctx.clone());
                Ok(DnsConn::Datagrams(Box::new(FakeConn::new("udp", server, Arc::clone(&script)))))
            })
            .build();
        assert_eq!(resolver.lookup_ip(&BACKGROUND, "ip4", "golang.org").unwrap().len(), 1);
        assert_eq!(*ended.lock().unwrap(), [None], "while it was asked");
        assert!(kept.lock().unwrap().iter().all(|ctx| ctx.err().is_some()), "afterwards");
    }

    /// A connection that ends is not one that sends datagrams without anything in them.
    fn the_end_of_a_connection_ends_the_exchange() {
        let fake = FakeDns::new("nameserver 192.0.2.53", |query| query.addresses());
        let resolver = fake
            .builder()
            .dial(|_, _, _| {
                let (ours, theirs) = gopark_net::pipe();
                gopark_net::go(move || {
                    let _ = theirs.read(&mut [0; 512]);
                });
                Ok(DnsConn::Datagrams(Box::new(ours)))
            })
            .build();
        let asking = spawn(move || resolver.lookup_ip(&BACKGROUND, "ip4", "golang.org"));
        let err = join_soon(asking).unwrap_err();
        assert_eq!(err.to_string(), "lookup golang.org on 192.0.2.53:53: EOF");
    }

    /// A panic of the program's hook is not the end of those who wait.
    fn a_panic_in_the_hook_is_an_error() {
        let resolver = Resolver::builder().dial(|_, _, _| std::panic::resume_unwind(Box::new(()))).build();
        let err = resolver.lookup_ip_addr(&BACKGROUND, "golang.org").unwrap_err();
        assert_eq!(err.to_string(), "lookup golang.org: the lookup panicked");
    }

    fn a_dialer_asks_its_own_resolver() {
        let ln = local_listener();
        let fake = FakeDns::new("nameserver 192.0.2.53", |query| match (query.name.as_str(), query.qtype) {
            ("ours.example.", A) => query.reply().a([127, 0, 0, 1].into()),
            _ => query.reply().code(NXDOMAIN),
        });
        let dialer = Dialer::new().resolver(fake.builder().build());
        let port = ln.local_addr().unwrap().port();
        let conn = dialer.dial_tcp("tcp", &format!("ours.example:{port}")).unwrap();
        assert_eq!(conn.peer_addr().unwrap(), ln.local_addr().unwrap());
        for network in ["tcp", "udp"] {
            let err = dialer.dial(network, "theirs.example:1").unwrap_err();
            assert_eq!(
                err.to_string(),
                format!("dial {network}: lookup theirs.example on 192.0.2.53:53: no such host")
            );
            assert!(DnsError::of(&err).unwrap().is_not_found && OpError::of(&err).is_some());
        }
        // Only what the network can use is asked for.
        let err = dialer.dial("tcp6", &format!("ours.example:{port}")).unwrap_err();
        assert!(DnsError::of(&err).unwrap().is_not_found, "{err}");
    }

    fn a_dial_that_ends_ends_its_lookup() {
        let (fake, release, _) = held();
        let dialer = Dialer::new().resolver(fake.builder().build());
        let err = dialer.clone().timeout(10 * MS).dial("tcp", "slow.example:80").unwrap_err();
        assert_eq!(err.to_string(), "dial tcp: lookup slow.example: i/o timeout");
        assert!(is_timeout(&err));
        let (ctx, cancel) = BACKGROUND.with_cancel();
        let dialing = {
            let ctx = ctx.clone();
            spawn(move || dialer.dial_context(&ctx, "tcp", "slow.example:80").map(|_| ()))
        };
        let dialing = assert_blocked(dialing);
        cancel.cancel();
        let err = join_soon(dialing).unwrap_err();
        assert_eq!(err.to_string(), "dial tcp: lookup slow.example: operation was canceled");
        drop(release);
    }

    /// What a program asked for is asked once while it lasts; other types, and what does not exist, are asked for.
    fn a_cache_remembers_what_there_is() {
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        let fake = FakeDns::new("nameserver 192.0.2.53", move |query| {
            count.fetch_add(1, SeqCst);
            match query.name.to_ascii_lowercase().as_str() {
                "www.example." => query.addresses(),
                "short.example." => query.reply().record_of(&wire("short.example"), TXT, 0, b"\x01x"),
                _ => query.reply().code(NXDOMAIN),
            }
        });
        let asks = |f: &dyn Fn()| {
            let before = asked.load(SeqCst);
            f();
            asked.load(SeqCst) - before
        };
        let resolver = fake.builder().cache(10).build();
        let www = || assert_eq!(resolver.lookup_ip(&BACKGROUND, "ip", "WWW.example.").unwrap().len(), 2);
        let short = || assert_eq!(resolver.lookup_txt(&BACKGROUND, "short.example.").unwrap(), ["x"]);
        let none = || assert!(resolver.lookup_txt(&BACKGROUND, "none.example.").is_err());
        assert_eq!([asks(&www), asks(&www), asks(&www)], [2, 0, 0]);
        assert_eq!([asks(&short), asks(&short)], [1, 1], "a TTL of 0 is not to be remembered");
        assert_eq!([asks(&none), asks(&none)], [1, 1]);
        let without = fake.builder().build();
        let www = || assert_eq!(without.lookup_ip(&BACKGROUND, "ip4", "www.example.").unwrap().len(), 1);
        assert_eq!([asks(&www), asks(&www)], [1, 1], "unless asked to, nothing is");
    }

    // Go: net TestLookupCNAME, TestLookupGoogleSRV, TestLookupGmailMX, against a server of ours
    fn records_come_in_their_order() {
        let fake = FakeDns::new("nameserver 192.0.2.53", |query| {
            let reply = query.reply();
            match query.qtype {
                A => {
                    let alias = reply.name(CNAME, "cdn.example.net.");
                    alias.record_of(&wire("cdn.example.net"), A, 60, &TEST_ADDR.octets())
                }
                CNAME => reply.name(CNAME, "cdn.example.net."),
                SRV => {
                    let last = reply.srv([20, 1, 5270], "c.example.");
                    last.srv([10, 0, 5269], "b.example.").srv([10, 9, 5269], "a.example.")
                }
                MX => reply.mx(20, "b.example.").mx(10, "a.example."),
                NS => reply.name(NS, "ns1.example.").name(NS, "ns2.example."),
                _ => reply,
            }
        });
        let r = fake.builder().build();
        assert_eq!(r.lookup_cname(&BACKGROUND, "www.example.com").unwrap(), "cdn.example.net.");
        let (name, hosts) = r.lookup_srv(&BACKGROUND, "xmpp-server", "tcp", "example.com").unwrap();
        assert_eq!(name, "_xmpp-server._tcp.example.com.");
        let hosts: Vec<_> = hosts.iter().map(|srv| (srv.target.as_str(), srv.port)).collect();
        assert_eq!(hosts, [("a.example.", 5269), ("b.example.", 5269), ("c.example.", 5270)]);
        assert_eq!(r.lookup_srv(&BACKGROUND, "", "", "_x._tcp.example.com").unwrap().0, "_x._tcp.example.com.");
        let mx: Vec<_> = r.lookup_mx(&BACKGROUND, "example.com").unwrap().into_iter().map(|mx| mx.host).collect();
        assert_eq!(mx, ["a.example.", "b.example."]);
        assert_eq!(r.lookup_ns(&BACKGROUND, "example.com").unwrap().len(), 2);
        assert_eq!(r.lookup_port(&BACKGROUND, "tcp", "https").unwrap(), 443);
    }

    /// A source that only the C library's modules know: then it is asked, and not our files.
    fn what_ours_cannot_do_is_the_systems() {
        let files = Files::new();
        files.write("hosts", "127.9.9.9 localhost\n");
        files.write("resolv.conf", "");
        files.write("nsswitch.conf", "hosts: files somebody_else dns\n");
        let lookup = |builder: ResolverBuilder| {
            builder.build().lookup_ip(&BACKGROUND, "ip4", "localhost").unwrap()
        };
        let ours: IpAddr = "127.9.9.9".parse().unwrap();
        assert_eq!(lookup(files.builder()), [ours]);
        assert_ne!(lookup(files.builder().prefer_system()), [ours]);
        // Neither preferred: as the files say. (Elsewhere than on Linux it is always the system's.)
        let auto = || files.builder_for_either();
        if cfg!(target_os = "linux") && std::env::var_os("LOCALDOMAIN").is_none() {
            assert_ne!(lookup(auto()), [ours]);
            files.write("nsswitch.conf", "hosts: files [success=return] dns\n");
            assert_eq!(lookup(auto()), [ours]);
            files.write("resolv.conf", "options something-new\n");
            assert_ne!(lookup(auto()), [ours]);
        }
    }

    /// The system's resolver knows the same files.
    fn the_systems_resolver_knows_this_machine() {
        let resolver = Resolver::builder().prefer_system().build();
        let loopback = |ip: &IpAddr| ip.is_loopback();
        assert!(resolver.lookup_ip(&BACKGROUND, "ip", "localhost").unwrap().iter().all(loopback));
        assert!(lookup_ip("localhost").unwrap().iter().all(loopback));
        let err = resolver.lookup_ip(&BACKGROUND, "ip", "127.1").unwrap_err();
        assert!(DnsError::of(&err).unwrap().is_not_found, "{err}");
    }
}
