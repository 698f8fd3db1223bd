//! Asking name servers. Go: `net/dnsclient_unix_test.go`.

#[path = "util/dns.rs"]
mod dns;
mod util;

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dns::*;
use gopark_net::context::Context;
use gopark_net::{DnsError, InvalidRecords, Mx, Ns, Resolver, Srv, is_temporary, is_timeout, spawn};

procs!();

const BACKGROUND: Context = Context::background();
const NO_SUCH_HOST: &str = "no such host";
const MISBEHAVING: &str = "server misbehaving";
const INVALID_NAMES: &str = "DNS response contained records which contain invalid names";

fn ips(resolver: &Resolver, host: &str) -> io::Result<BTreeSet<String>> {
    Ok(resolver.lookup_ip(&BACKGROUND, "ip", host)?.iter().map(IpAddr::to_string).collect())
}

#[track_caller]
fn dns_error<T>(result: io::Result<T>) -> DnsError {
    let Err(err) = result else { panic!("there is no error") };
    DnsError::of(&err).unwrap_or_else(|| panic!("not a DnsError: {err:?}")).clone()
}

fn set(ips: &[&str]) -> BTreeSet<String> {
    ips.iter().map(|ip| (*ip).to_owned()).collect()
}

both! {
    // Go: net TestDNSTransportFallback, TestDNSTransportNoFallbackOnTCP; go-semantics 7.5: "TCP truncated retry"
    fn test_dns_transport_fallback() {
        let networks = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&networks);
        let fake = FakeDns::new("nameserver 192.0.2.53", move |query| {
            seen.lock().unwrap().push(query.network);
            // What does not fit into a stream is taken as it is.
            let reply = query.reply().truncated();
            if query.network == "udp" { reply } else { reply.a(TEST_ADDR) }
        });
        let found = fake.builder().build().lookup_ip(&BACKGROUND, "ip4", "com.").unwrap();
        assert_eq!(found, [TEST_ADDR]);
        assert_eq!(*networks.lock().unwrap(), ["udp", "tcp"]);
    }

    // Go: net TestSpecialDomainName
    fn test_special_domain_name() {
        let fake = FakeDns::new("nameserver 192.0.2.53", |query| match query.name.as_str() {
            "example.com." => query.addresses(),
            _ => query.reply().code(NXDOMAIN),
        });
        let resolver = fake.builder().build();
        for name in ["1.0.168.192.in-addr.arpa.", "test.", "localhost.", "invalid."] {
            assert!(dns_error(ips(&resolver, name)).is_not_found, "{name}");
        }
        assert_eq!(ips(&resolver, "example.com.").unwrap(), set(&["192.0.2.1", "2001:db8::1"]));
    }

    // Go: net TestLookupTorOnion; golang/go#13705. Go gives no address and no error.
    fn test_lookup_tor_onion() {
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        let fake = FakeDns::new("nameserver 192.0.2.53\nsearch onion.", move |query| {
            count.fetch_add(1, SeqCst);
            query.addresses()
        });
        let resolver = fake.builder().build();
        for name in ["foo.onion.", "foo.ONION", "foo.onion"] {
            assert!(dns_error(ips(&resolver, name)).is_not_found, "{name}");
            assert!(dns_error(resolver.lookup_txt(&BACKGROUND, name)).is_not_found, "{name}");
        }
        assert_eq!(asked.load(SeqCst), 0, "nobody is told of it");
    }

    // Go: net TestUpdateResolvConf, the lookups; when it is read again is tested in resolver/watched.rs
    fn test_update_resolv_conf() {
        let servers = Arc::new(Mutex::new(BTreeSet::new()));
        let seen = Arc::clone(&servers);
        let fake = FakeDns::new("nameserver 192.0.2.8\n", move |query| {
            seen.lock().unwrap().insert(query.server.clone());
            query.addresses()
        });
        let resolver = fake.builder().build();
        let all: Vec<_> = (0..10)
            .map(|_| {
                let resolver = resolver.clone();
                spawn(move || ips(&resolver, "golang.org").unwrap().len())
            })
            .collect();
        assert!(all.into_iter().all(|one| util::join_soon(one) == 2));
        assert_eq!(*servers.lock().unwrap(), BTreeSet::from(["192.0.2.8:53".to_owned()]));
    }

    // Go: net TestGoLookupIPWithResolverConfig
    fn test_go_lookup_ip_with_resolver_config() {
        let script = |query: &Query| -> Reply {
            match (query.server.as_str(), query.qtype, query.name.as_str()) {
                ("192.0.2.255:53", ..) => Reply::Silence,
                (_, A, "ipv4.google.com." | "hostname.as112.net.") => query.reply().a(TEST_ADDR).into(),
                (_, AAAA, "ipv6.google.com." | "hostname.as112.net.") => query.reply().aaaa(TEST_ADDR6).into(),
                _ => query.reply().into(),
            }
        };
        let long = "jgahvsekduiv9bw4b3qhn4ykdfgj0493iohkrjfhdvhjiu4j";
        let lookup = |conf: &str, name: &str| ips(&FakeDns::new(conf, script).builder().build(), name);

        let e = dns_error(lookup("options timeout:1 attempts:1\nnameserver 192.0.2.255", long));
        assert_eq!((e.name.as_str(), e.server.as_str()), (long, "192.0.2.255:53"));
        assert!(e.is_timeout && e.timeout() && !e.is_not_found);
        let e = dns_error(lookup("options timeout:3 attempts:1\nnameserver 192.0.2.8", long));
        assert_eq!((e.name.as_str(), e.server.as_str()), (long, "192.0.2.8:53"));
        assert!(!e.is_timeout && e.is_not_found);
        assert_eq!(e.to_string(), format!("lookup {long} on 192.0.2.8:53: no such host"));

        let servers = "nameserver 2001:db8::8\nnameserver 192.0.2.8\n";
        for search in ["", "domain golang.org\n", "search x.golang.org y.golang.org\n"] {
            let conf = format!("{search}{servers}");
            for (name, want) in [
                ("ipv4.google.com.", &["192.0.2.1"][..]),
                ("ipv4.google.com", &["192.0.2.1"]),
                ("ipv6.google.com.", &["2001:db8::1"]),
                ("ipv6.google.com", &["2001:db8::1"]),
                ("hostname.as112.net", &["192.0.2.1", "2001:db8::1"]),
            ] {
                assert_eq!(lookup(&conf, name).unwrap(), set(want), "{conf}{name}");
            }
        }
    }

    // Go: net TestGoLookupIPOrderFallbackToFile
    fn test_go_lookup_ip_order_fallback_to_file() {
        for order in ["files dns", "dns files"] {
            let fake = FakeDns::new("", |query| query.reply().code(SERVFAIL))
                .hosts("127.1.1.1\tthor\n")
                .nsswitch(&format!("hosts: {order}\n"));
            let resolver = fake.builder().build();
            assert!(ips(&resolver, "notarealhost").is_err(), "{order}");
            assert_eq!(ips(&resolver, "thor").unwrap(), set(&["127.1.1.1"]), "{order}");
            assert_eq!(resolver.lookup_host(&BACKGROUND, "thor").unwrap(), ["127.1.1.1"], "{order}");
        }
    }

    // Go: net TestErrorForOriginalNameWhenSearching; go-semantics 7.5: "wrong error identity (#71939)"
    fn test_error_for_original_name_when_searching() {
        let fqdn = "doesnotexist.domain";
        let fake = FakeDns::new("search servfail", |query| match query.name.as_str() {
            "doesnotexist.domain.servfail." => query.reply().code(SERVFAIL),
            _ => query.reply().code(NXDOMAIN),
        });
        let strict = dns_error(ips(&fake.builder().strict_errors().build(), fqdn));
        assert_eq!((strict.name.as_str(), &*strict.err), (fqdn, MISBEHAVING));
        assert!(strict.is_temporary && !strict.is_not_found);
        let lax = dns_error(ips(&fake.builder().build(), fqdn));
        assert_eq!((lax.name.as_str(), &*lax.err), (fqdn, NO_SUCH_HOST));
        assert!(!lax.is_temporary && lax.is_not_found);
    }

    // Go: net TestIgnoreLameReferrals; golang/go#15434
    // go-semantics 7.5: "lame referral false positive (#57697, #64783)"
    fn test_ignore_lame_referrals() {
        let fake = FakeDns::new("nameserver 192.0.2.1\nnameserver 192.0.2.2", |query| {
            let lame = query.reply().no_recursion();
            match (query.server.as_str(), query.qtype, query.name.as_str()) {
                ("192.0.2.2:53", A, _) => query.reply().a(TEST_ADDR),
                ("192.0.2.2:53", ..) => query.reply(),
                // Nothing, but an OPT record: not a referral.
                (_, A, "empty.com.") => lame.edns(0),
                _ => lame,
            }
        });
        let resolver = fake.builder().build();
        assert_eq!(resolver.lookup_ip(&BACKGROUND, "ip4", "www.golang.org").unwrap(), [TEST_ADDR]);
        let e = dns_error(resolver.lookup_ip(&BACKGROUND, "ip4", "empty.com"));
        assert_eq!((&*e.err, e.server.as_str()), (NO_SUCH_HOST, "192.0.2.1:53"));
        let all_lame = FakeDns::new("nameserver 192.0.2.1", |query| query.reply().no_recursion());
        assert_eq!(&*dns_error(ips(&all_lame.builder().build(), "golang.org")).err, "lame referral");
        let owner = FakeDns::new("nameserver 192.0.2.1", |query| query.reply().no_recursion().authoritative());
        assert!(dns_error(ips(&owner.builder().build(), "golang.org")).is_not_found);
    }

    // Go: net TestIgnoreDNSForgeries; go-semantics 7.5: "forgeries". Over sockets: dns_server.rs
    fn test_ignore_dns_forgeries() {
        let fake = FakeDns::new("nameserver 192.0.2.53", |query| {
            let (good, forged) = (query.reply().a(TEST_ADDR), query.reply().a([6, 6, 6, 6].into()));
            Reply::Messages(vec![
                b"garbage DNS response packet".to_vec(),
                Vec::new(),
                forged.clone().id(query.id.wrapping_add(1)).bytes(),
                forged.clone().question("www.example.org.", A).bytes(),
                forged.question("www.example.com.", TXT).bytes(),
                good.bytes(),
            ])
        });
        let found = fake.builder().build().lookup_ip(&BACKGROUND, "ip4", "www.example.com").unwrap();
        assert_eq!(found, [TEST_ADDR]);
    }

    /// go-semantics 7.5: "case-insensitive match"
    fn the_answer_may_write_the_name_in_another_case() {
        let fake = FakeDns::new("nameserver 192.0.2.53", |query| {
            query.reply().question("WWW.Example.COM.", A).a(TEST_ADDR)
        });
        let found = fake.builder().build().lookup_ip(&BACKGROUND, "ip4", "www.example.com").unwrap();
        assert_eq!(found, [TEST_ADDR]);
    }

    // Go: net TestRetryTimeout; golang/go#16865
    fn test_retry_timeout() {
        let deadlines = Arc::new(Mutex::new(Vec::<Option<Instant>>::new()));
        let seen = Arc::clone(&deadlines);
        let fake = FakeDns::new("nameserver 192.0.2.1\nnameserver 192.0.2.2", move |query| {
            seen.lock().unwrap().push(query.deadline);
            match query.server.as_str() {
                "192.0.2.1:53" => Reply::Silence,
                _ => query.reply().txt(&[b"ok"]).into(),
            }
        });
        assert_eq!(fake.builder().build().lookup_txt(&BACKGROUND, "www.golang.org").unwrap(), ["ok"]);
        let deadlines = deadlines.lock().unwrap();
        assert_eq!(deadlines.len(), 2);
        assert!(deadlines[0].expect("one") < deadlines[1].expect("another"), "each exchange has its own");
    }

    // Go: net TestRotate
    fn test_rotate() {
        for (options, want) in [
            ("", ["192.0.2.1:53", "192.0.2.1:53", "192.0.2.1:53"]),
            ("options rotate", ["192.0.2.1:53", "192.0.2.2:53", "192.0.2.1:53"]),
        ] {
            let used = Arc::new(Mutex::new(Vec::new()));
            let seen = Arc::clone(&used);
            let conf = format!("nameserver 192.0.2.1\nnameserver 192.0.2.2\n{options}\n");
            let fake = FakeDns::new(&conf, move |query| {
                seen.lock().unwrap().push(query.server.clone());
                query.reply().txt(&[b"ok"])
            });
            let resolver = fake.builder().build();
            for _ in 0..3 {
                resolver.lookup_txt(&BACKGROUND, "www.golang.org").unwrap();
            }
            assert_eq!(*used.lock().unwrap(), want, "{options}");
        }
    }

    // Go: net TestStrictErrorsLookupTXT; golang/go#17448
    fn test_strict_errors_lookup_txt() {
        let conf = "nameserver 192.0.2.53\nsearch x.golang.org y.golang.org";
        let fake = FakeDns::new(conf, |query| match query.name.as_str() {
            "test.x.golang.org." => Reply::Silence,
            "test.y.golang.org." => query.reply().txt(&[b"Hello World"]).into(),
            other => panic!("unexpected name: {other}"),
        });
        let e = dns_error(fake.builder().strict_errors().build().lookup_txt(&BACKGROUND, "test"));
        assert_eq!((e.name.as_str(), e.server.as_str(), &*e.err), ("test", "192.0.2.53:53", "i/o timeout"));
        assert!(e.is_timeout && e.is_temporary && !e.is_not_found);
        assert_eq!(fake.builder().build().lookup_txt(&BACKGROUND, "test").unwrap(), ["Hello World"]);
    }

    // Go: net TestDNSGoroutineRace
    fn test_dns_goroutine_race() {
        let fake = FakeDns::new("nameserver 192.0.2.53", |_| Reply::Silence);
        let (ctx, _cancel) = BACKGROUND.with_timeout(Duration::from_micros(2));
        let err = fake.builder().build().lookup_ip_addr(&ctx, "where.are.they.now").unwrap_err();
        assert!(is_timeout(&err), "{err}");
    }

    // Go: net TestIssue8434, TestIssueNoSuchHostExists
    fn test_issue8434() {
        let lookup = |code| {
            let fake = FakeDns::new("nameserver 192.0.2.53", move |query| query.reply().code(code));
            ips(&fake.builder().build(), "golang.org.")
        };
        let err = lookup(SERVFAIL).unwrap_err();
        assert!(is_temporary(&err) && dns_error::<()>(Err(err)).is_temporary);
        let err = lookup(NXDOMAIN).unwrap_err();
        assert_eq!(err.kind(), io::ErrorKind::NotFound);
        assert!(!is_temporary(&err) && dns_error::<()>(Err(err)).is_not_found);
        let e = dns_error(lookup(REFUSED));
        assert!(!e.is_temporary && !e.is_not_found);
        assert_eq!(&*e.err, MISBEHAVING);
    }

    // Go: net TestNoSuchHost; golang/go#12778, #25336, #27525
    fn test_no_such_host() {
        for code in [NXDOMAIN, 0] {
            let asked = Arc::new(AtomicU32::new(0));
            let count = Arc::clone(&asked);
            let fake = FakeDns::new("nameserver 192.0.2.1\nnameserver 192.0.2.2", move |query| {
                count.fetch_add(1, SeqCst);
                query.reply().no_recursion().authoritative().code(code)
            });
            let e = dns_error(fake.builder().build().lookup_txt(&BACKGROUND, "."));
            assert_eq!(asked.load(SeqCst), 1, "no other server knows more");
            assert!(e.is_not_found && e.err == NO_SUCH_HOST);
        }
    }

    // Go: net TestTXTRecordTwoStrings; golang/go#27763
    fn test_txt_record_two_strings() {
        let fake = FakeDns::new("nameserver 192.0.2.53", |query| {
            query.reply().txt(&[b"string1 ", b"string2"]).txt(&[b"onestring"]).txt(&[b"\xff\0"])
        });
        let resolver = fake.builder().build();
        let texts = resolver.lookup_txt(&BACKGROUND, "golang.org").unwrap();
        assert_eq!(texts[..2], ["string1 string2", "onestring"]);
        assert_eq!(resolver.lookup_txt_bytes(&BACKGROUND, "golang.org").unwrap()[2], [0xff, 0]);
    }

    // Go: net TestSingleRequestLookup; golang/go#29644
    fn test_single_request_lookup() {
        let running = Arc::new(AtomicU32::new(0));
        let order = Arc::new(Mutex::new(Vec::new()));
        let (count, seen) = (Arc::clone(&running), Arc::clone(&order));
        let fake = FakeDns::new("options single-request", move |query| {
            assert_eq!(count.fetch_add(1, SeqCst), 0, "one at a time");
            gopark_net::sleep(Duration::from_millis(5)); // not for ordering: time for another to come
            count.fetch_sub(1, SeqCst);
            seen.lock().unwrap().push(query.qtype);
            query.addresses()
        });
        assert_eq!(ips(&fake.builder().build(), "slowipv4.example.net").unwrap().len(), 2);
        assert_eq!(*order.lock().unwrap(), [A, AAAA]);
    }

    /// Both are on their way before either is answered.
    fn both_families_are_asked_for_at_the_same_time() {
        let (tx, rx) = gopark_net::chan::bounded::<()>(0);
        let fake = FakeDns::new("nameserver 192.0.2.53", move |query| {
            // Neither goes on without the other.
            match query.qtype {
                A => tx.send(()).unwrap(),
                _ => rx.recv().unwrap(),
            }
            query.addresses()
        });
        assert_eq!(ips(&fake.builder().build(), "both.example.net").unwrap().len(), 2);
    }

    // Go: net TestDNSUseTCP, TestDNSUseTCPTruncated; golang/go#29358
    fn test_dns_use_tcp() {
        let fake = FakeDns::new("options use-vc", |query| {
            assert_eq!(query.network, "tcp");
            query.addresses().truncated()
        });
        assert_eq!(ips(&fake.builder().build(), "com.").unwrap().len(), 2);
    }

    // Go: net TestPTRandNonPTR; golang/go#34660
    fn test_ptr_and_non_ptr() {
        let fake = FakeDns::new("nameserver 192.0.2.53", |query| {
            assert_eq!((query.name.as_str(), query.qtype), ("123.2.0.192.in-addr.arpa.", PTR));
            query.reply().name(PTR, "golang.org.").txt(&[b"PTR 8 6 60 ..."])
        });
        let resolver = fake.builder().build();
        assert_eq!(resolver.lookup_addr(&BACKGROUND, "192.0.2.123").unwrap(), ["golang.org."]);
        let err = resolver.lookup_addr(&BACKGROUND, "golang.org").unwrap_err();
        assert_eq!(err.to_string(), "lookup golang.org: unrecognized address");
    }

    // Go: net TestNullMX
    fn test_null_mx() {
        let fake = FakeDns::new("nameserver 192.0.2.53", |query| query.reply().mx(0, "."));
        let found = fake.builder().build().lookup_mx(&BACKGROUND, "golang.org").unwrap();
        assert_eq!(found, [Mx { host: ".".into(), preference: 0 }]);
    }

    // Go: net TestRootNS; golang/go#45715
    fn test_root_ns() {
        let fake = FakeDns::new("nameserver 192.0.2.53", |query| {
            assert_eq!(query.name, ".");
            query.reply().name(NS, "i.root-servers.net.")
        });
        let found = fake.builder().build().lookup_ns(&BACKGROUND, ".").unwrap();
        assert_eq!(found, [Ns { host: "i.root-servers.net.".into() }]);
    }

    // Go: net TestDNSPacketSize
    fn test_dns_packet_size() {
        for edns in [Some(1232), None] {
            let fake = FakeDns::new("nameserver 192.0.2.53", move |query| {
                assert_eq!(query.edns, edns);
                query.addresses()
            });
            let builder = if edns.is_some() { fake.builder() } else { fake.builder().without_edns() };
            ips(&builder.build(), "go.dev").unwrap();
        }
    }

    // Go: net TestLongDNSNames
    fn test_long_dns_names() {
        let fake = FakeDns::new("nameserver 192.0.2.53", |query| match query.qtype {
            TXT => query.reply().txt(&[b"."]),
            MX => query.reply().mx(0, "go.dev."),
            NS | PTR | CNAME => query.reply().name(query.qtype, "go.dev."),
            SRV => query.reply().srv([0, 0, 1], "go.dev."),
            _ => query.addresses(),
        });
        let resolver = fake.builder().build();
        let prefix = "verylongdomainlabel.".repeat(20);
        let names = [
            (format!("{}.go.dev.", &prefix[..255 - 8]), true),
            (format!("{}.go.dev.", &prefix[..254 - 8]), false),
            (format!("{}.go.dev.", &prefix[..253 - 8]), false),
            (format!("{}.go.dev", &prefix[..253 - 7]), false),
            (format!("{}.go.dev", &prefix[..254 - 7]), true),
        ];
        for (name, fails) in names {
            let results = [
                resolver.lookup_cname(&BACKGROUND, &name).err(),
                resolver.lookup_host(&BACKGROUND, &name).err(),
                resolver.lookup_ip(&BACKGROUND, "ip", &name).err(),
                resolver.lookup_ip_addr(&BACKGROUND, &name).err(),
                resolver.lookup_mx(&BACKGROUND, &name).err(),
                resolver.lookup_ns(&BACKGROUND, &name).err(),
                resolver.lookup_netip(&BACKGROUND, "ip", &name).err(),
                resolver.lookup_srv(&BACKGROUND, "", "", &name).err(),
                resolver.lookup_txt(&BACKGROUND, &name).err(),
            ];
            for (i, err) in results.into_iter().enumerate() {
                match err {
                    Some(err) if fails => {
                        let e = dns_error::<()>(Err(err));
                        assert!(e.is_not_found && e.name == name && e.server.is_empty(), "{i} {e:?}");
                    }
                    None if !fails => {}
                    other => panic!("{i} {} bytes: {other:?}", name.len()),
                }
            }
        }
    }

    // Go: net TestDNSTrustAD
    fn test_dns_trust_ad() {
        for (options, ad) in [("", false), ("options trust-ad", true)] {
            let fake = FakeDns::new(&format!("nameserver 127.0.0.1\n{options}"), move |query| {
                assert_eq!(query.flags, if ad { 0x0120 } else { 0x0100 }, "recursion is desired");
                query.addresses()
            });
            ips(&fake.builder().build(), "go.dev").unwrap();
        }
    }

    // Go: net TestLookupOrderFilesNoSuchHost
    fn test_lookup_order_files_no_such_host() {
        let fake = FakeDns::new("", |_| -> Reply { panic!("nobody is asked") }).nsswitch("hosts: files\n");
        let resolver = fake.builder().build();
        let name = "test.invalid";
        for err in [
            resolver.lookup_host(&BACKGROUND, name).err(),
            resolver.lookup_ip(&BACKGROUND, "ip", name).err(),
            resolver.lookup_ip_addr(&BACKGROUND, name).err(),
            resolver.lookup_netip(&BACKGROUND, "ip", name).err(),
            resolver.lookup_cname(&BACKGROUND, name).err(),
        ] {
            let e = dns_error::<()>(Err(err.unwrap()));
            assert_eq!(e.to_string(), "lookup test.invalid: no such host");
            assert!(e.is_not_found);
        }
        assert!(dns_error(resolver.lookup_addr(&BACKGROUND, "192.0.2.1")).is_not_found);
    }

    // Go: net TestExtendedRCode
    fn test_extended_rcode() {
        let fake = FakeDns::new("nameserver 192.0.2.53", |query| query.reply().edns(1 << 10));
        assert_eq!(&*dns_error(ips(&fake.builder().build(), "go.dev.")).err, MISBEHAVING);
    }
}

/// What a server does with a question of Go's TestStrictErrorsLookupIP.
#[derive(Copy, Clone, PartialEq)]
enum Which {
    Ok,
    SocketError,
    Servfail,
    Timeout,
}

const SEARCH_X: &str = "test-issue19592.x.golang.org.";
const SEARCH_Y: &str = "test-issue19592.y.golang.org.";

fn strict_fake(which: fn(&Query) -> Which) -> FakeDns {
    FakeDns::new("nameserver 192.0.2.53\nsearch x.golang.org y.golang.org", move |query| match which(query) {
        Which::Ok if query.name == SEARCH_Y => query.addresses().into(),
        Which::Ok => query.reply().code(NXDOMAIN).into(),
        Which::SocketError => Reply::Broken,
        Which::Servfail => query.reply().code(SERVFAIL).into(),
        Which::Timeout => Reply::Silence,
    })
}

both! {
    // Go: net TestStrictErrorsLookupIP; golang/go#17448
    fn test_strict_errors_lookup_ip() {
        const NAME: &str = "test-issue19592";
        let timeout = Some("i/o timeout");
        type Case = (fn(&Query) -> Which, Option<&'static str>, Option<&'static str>, &'static [&'static str]);
        let both: &[&str] = &["192.0.2.1", "2001:db8::1"];
        // What happens; the error if strict, and if not; the addresses where there is none.
        let cases: [Case; 7] = [
            (|_| Which::Ok, None, None, both),
            (|q| if q.name == SEARCH_X { Which::Timeout } else { Which::Ok }, timeout, None, both),
            (
                |q| if q.name == SEARCH_X && q.qtype == A { Which::Timeout } else { Which::Ok },
                timeout,
                None,
                both,
            ),
            (
                |q| if q.name == SEARCH_X && q.qtype == AAAA { Which::Servfail } else { Which::Ok },
                Some(MISBEHAVING),
                None,
                both,
            ),
            (|q| if q.name == SEARCH_Y { Which::Timeout } else { Which::Ok }, timeout, Some(NO_SUCH_HOST), &[]),
            (
                |q| if q.name == SEARCH_Y && q.qtype == A { Which::Timeout } else { Which::Ok },
                timeout,
                None,
                &["2001:db8::1"],
            ),
            (
                |q| if q.name == SEARCH_Y && q.qtype == AAAA { Which::Timeout } else { Which::Ok },
                timeout,
                None,
                &["192.0.2.1"],
            ),
        ];
        for (i, (which, strict_err, lax_err, want)) in cases.into_iter().enumerate() {
            let fake = strict_fake(which);
            for (builder, err) in [(fake.builder().strict_errors(), strict_err), (fake.builder(), lax_err)] {
                let found = ips(&builder.build(), NAME);
                match err {
                    None => assert_eq!(found.unwrap(), set(want), "case {i}"),
                    Some(text) => {
                        let e = dns_error(found);
                        assert_eq!((&*e.err, e.name.as_str(), e.server.as_str()), (text, NAME, "192.0.2.53:53"));
                        assert_eq!(e.is_timeout, text == "i/o timeout", "case {i}");
                        assert_eq!(e.is_not_found, text == NO_SUCH_HOST, "case {i}");
                        assert_eq!(e.temporary(), text != NO_SUCH_HOST, "case {i}");
                    }
                }
            }
        }
        // Go: "searchY IPv4-only socket error": ours is one only if it is an OpError, as Go's.
        let fake = strict_fake(|q| if q.name == SEARCH_Y && q.qtype == A { Which::SocketError } else { Which::Ok });
        assert_eq!(ips(&fake.builder().build(), NAME).unwrap(), set(&["2001:db8::1"]));
    }

    // Go: net TestCVE202133195
    fn test_cve_2021_33195() {
        const BAD: &str = "<html>.golang.org.";
        const GOOD: &str = "good.golang.org.";
        let fake = FakeDns::new("nameserver 192.0.2.53", |query| {
            let reply = query.reply();
            match query.qtype {
                A => reply.record_of(&wire(BAD), A, 60, &[192, 0, 2, 1]),
                SRV if query.name == "_hdr._tcp.golang.org." => {
                    reply.record_of(&wire(BAD), SRV, 60, &[&[0; 6][..], &wire(GOOD)].concat())
                }
                SRV => reply.srv([0, 0, 0], BAD).srv([0, 0, 0], GOOD),
                MX => {
                    let label = |text: &str| {
                        let len = u8::try_from(text.len()).unwrap();
                        [&[0, 0, len][..], text.as_bytes(), &[0]].concat()
                    };
                    reply
                        .mx(0, BAD)
                        .mx(0, GOOD)
                        .mx(0, "127.0.0.1.")
                        .mx(0, "1.2.3.4.5.")
                        .record(MX, &label("2001:4860:0:2001::68"))
                        .record(MX, &label("2001:4860:0:2001::68%zone"))
                }
                NS | PTR => reply.name(query.qtype, BAD).name(query.qtype, GOOD),
                _ => reply,
            }
        });
        let r = fake.builder().build();
        let text = |name: &str| format!("lookup {name}: {INVALID_NAMES}");

        assert_eq!(r.lookup_cname(&BACKGROUND, "golang.org").unwrap_err().to_string(), text("golang.org"));

        let err = r.lookup_srv(&BACKGROUND, "target", "tcp", "golang.org").unwrap_err();
        assert_eq!(err.to_string(), text("golang.org"));
        let rest = InvalidRecords::<Srv>::of(&err).unwrap();
        assert_eq!(rest.valid, [Srv { target: GOOD.into(), port: 0, priority: 0, weight: 0 }]);
        let err = r.lookup_srv(&BACKGROUND, "hdr", "tcp", "golang.org.").unwrap_err();
        assert_eq!(err.to_string(), "lookup golang.org.: SRV header name is invalid");

        let err = r.lookup_mx(&BACKGROUND, "golang.org").unwrap_err();
        assert_eq!(err.to_string(), text("golang.org"));
        let valid = &InvalidRecords::<Mx>::of(&err).unwrap().valid;
        let hosts: BTreeSet<_> = valid.iter().map(|mx| mx.host.as_str()).collect();
        assert_eq!(hosts, BTreeSet::from(["127.0.0.1.", "2001:4860:0:2001::68.", GOOD]));

        let err = r.lookup_ns(&BACKGROUND, "golang.org").unwrap_err();
        assert_eq!(err.to_string(), text("golang.org"));
        assert_eq!(InvalidRecords::<Ns>::of(&err).unwrap().valid, [Ns { host: GOOD.into() }]);

        let err = r.lookup_addr(&BACKGROUND, "192.0.2.42").unwrap_err();
        assert_eq!(err.to_string(), text("192.0.2.42"));
        assert_eq!(InvalidRecords::<String>::of(&err).unwrap().valid, [GOOD]);
        assert_eq!(&*DnsError::of(&err).unwrap().err, INVALID_NAMES);
    }

    // Go: net TestGoLookupIPCNAMEOrderHostsAliasesFilesOnlyMode, …FilesDNSMode, …DNSFilesMode
    fn test_go_lookup_ip_cname_order_hosts_aliases() {
        let aliases = "127.0.0.1 test\n127.0.0.2 test2.example.com 2.test\n127.0.0.3 3.test test3.example.com\n\
                       127.0.1.1 invalid.test invalid.invalid\n";
        let names = [
            ("2.test", "test2.example.com."),
            ("test3.example.com", "3.test."),
            ("invalid.invalid", "invalid.test."),
        ];
        for order in ["files", "files dns", "dns files"] {
            let fake = FakeDns::new("nameserver 192.0.2.53", move |query| {
                assert_eq!(order, "dns files", "nobody else is asked");
                query.reply()
            });
            let fake = fake.hosts(aliases).nsswitch(&format!("hosts: {order}\n"));
            let resolver = fake.builder().build();
            for (name, want) in names {
                for name in [name.to_owned(), format!("{name}."), name.to_uppercase()] {
                    assert_eq!(resolver.lookup_cname(&BACKGROUND, &name).unwrap(), want, "{order}: {name}");
                }
            }
        }
    }
}
