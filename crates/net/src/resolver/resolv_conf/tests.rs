//! Go: `net/dnsconfig_unix_test.go`. The files are Go's test data, as facts: the same entries.

use super::*;

const HOSTNAME: &str = "host.domain.local";

/// What is to be known of a file; the rest is as without a file.
struct Want {
    servers: &'static [&'static str],
    search: &'static [&'static str],
    ndots: usize,
    timeout: u64,
    attempts: u32,
    rotate: bool,
    unknown_option: bool,
    lookup: &'static [&'static str],
    single_request: bool,
    use_tcp: bool,
}

const DEFAULT: Want = Want {
    servers: &DEFAULT_SERVERS,
    search: &["domain.local."],
    ndots: 1,
    timeout: 5,
    attempts: 2,
    rotate: false,
    unknown_option: false,
    lookup: &[],
    single_request: false,
    use_tcp: false,
};

#[track_caller]
fn check(conf: &ResolvConf, want: &Want) {
    assert_eq!(conf.servers, want.servers);
    assert_eq!(conf.search, want.search);
    assert_eq!(conf.ndots, want.ndots);
    assert_eq!(conf.timeout, Duration::from_secs(want.timeout));
    assert_eq!(conf.attempts, want.attempts);
    assert_eq!(conf.lookup, want.lookup);
    assert_eq!(
        (conf.rotate, conf.unknown_option, conf.single_request, conf.use_tcp, conf.trust_ad, conf.no_reload),
        (want.rotate, want.unknown_option, want.single_request, want.use_tcp, false, false)
    );
}

fn parsed(text: &str) -> ResolvConf {
    ResolvConf::parse(text, Some(HOSTNAME))
}

// Go: net TestDNSReadConfig
#[test]
fn test_dns_read_config() {
    let one = &["8.8.8.8:53"];
    let cases = [
        (
            "# a comment\n\ndomain localdomain\nnameserver 8.8.8.8\nnameserver 2001:4860:4860::8888\n\
             nameserver fe80::1%lo0\noptions ndots:5 timeout:10 attempts:3 rotate\noptions attempts 3\n",
            Want {
                servers: &["8.8.8.8:53", "[2001:4860:4860::8888]:53", "[fe80::1%lo0]:53"],
                search: &["localdomain."],
                ndots: 5,
                timeout: 10,
                attempts: 3,
                rotate: true,
                unknown_option: true, // the last line
                ..DEFAULT
            },
        ),
        (
            "search test invalid\ndomain localdomain\nnameserver 8.8.8.8\n",
            Want { servers: one, search: &["localdomain."], ..DEFAULT },
        ),
        (
            "domain localdomain\nsearch test invalid\nnameserver 8.8.8.8\n",
            Want { servers: one, search: &["test.", "invalid."], ..DEFAULT },
        ),
        ("domain localdomain\nsearch .\nnameserver 8.8.8.8\n", Want { servers: one, ..DEFAULT }),
        ("# nothing\n", DEFAULT),
        ("options ndots:invalid", Want { ndots: 0, ..DEFAULT }),
        ("options ndots:16", Want { ndots: 15, ..DEFAULT }),
        ("options ndots:-1", Want { ndots: 0, ..DEFAULT }),
        (
            "search c.symbolic-datum-552.internal.\nnameserver 169.254.169.254\nnameserver 10.240.0.1\n\
             lookup file bind\n",
            Want {
                servers: &["169.254.169.254:53", "10.240.0.1:53"],
                search: &["c.symbolic-datum-552.internal."],
                lookup: &["file", "bind"],
                ..DEFAULT
            },
        ),
        ("options single-request", Want { single_request: true, ..DEFAULT }),
        ("options single-request-reopen", Want { single_request: true, ..DEFAULT }),
        ("options use-vc", Want { use_tcp: true, ..DEFAULT }),
        ("options usevc", Want { use_tcp: true, ..DEFAULT }),
        ("options tcp", Want { use_tcp: true, ..DEFAULT }),
    ];
    for (text, want) in cases {
        check(&parsed(text), &want);
    }
}

#[test]
fn the_rest_of_the_options_are_known_too() {
    let conf = parsed("options trust-ad edns0 no-reload\n; a comment\n");
    assert!(conf.trust_ad && conf.no_reload && !conf.unknown_option);
    assert_eq!(conf.recheck(), Recheck::Never);
    assert!(parsed("sortlist 130.155.160.0").unknown_option);
    assert!(parsed("options inet6").unknown_option);
    assert!(parsed("options timeout").unknown_option);
}

/// Unlike Go, which takes what it reads for a number of seconds and of attempts.
#[test]
fn a_file_cannot_make_a_lookup_last_for_years() {
    let conf = parsed("options timeout:99999999999999999999 attempts:4294967296 ndots:99999999999");
    assert_eq!((conf.timeout, conf.attempts, conf.ndots), (Duration::from_secs(30), 5, 15));
    let conf = parsed("options timeout:0 attempts:0");
    assert_eq!((conf.timeout, conf.attempts), (Duration::from_secs(1), 1));
    let conf = parsed(&format!("search {}\n", "a ".repeat(100_000)));
    assert_eq!(conf.search.len(), SEARCH_MAX);
    let conf = parsed(&"nameserver 192.0.2.1\n".repeat(100));
    assert_eq!(conf.servers.len(), SERVERS_MAX);
}

// Go: net TestDNSReadMissingFile
#[test]
fn test_dns_read_missing_file() {
    let read = |kind: io::ErrorKind| ResolvConf::from_file(Err(kind.into()), Some(HOSTNAME.to_owned()));
    let missing = read(io::ErrorKind::NotFound);
    check(&missing, &DEFAULT);
    assert!(missing.is_missing && !missing.is_unreadable);
    assert!(!read(io::ErrorKind::PermissionDenied).is_unreadable);
    assert!(read(io::ErrorKind::Other).is_unreadable);
}

// Go: net TestDNSDefaultSearch
#[test]
fn test_dns_default_search() {
    for (hostname, want) in [
        (Some("host.long.domain.local"), Some("long.domain.local.")),
        (Some("host.local"), Some("local.")),
        (Some("host"), None),
        (None, None),
        (Some("foo."), None),
    ] {
        assert_eq!(default_search(hostname).as_deref(), want, "{hostname:?}");
    }
}

// Go: net TestDNSNameLength
#[test]
fn test_dns_name_length() {
    let suffix = format!("{}.", "a".repeat(63));
    let conf = parsed(&format!("nameserver 8.8.8.8\nsearch {}\n", [&*suffix; 3].join("")));
    // 3 suffixes of 64 bytes in one: 192.
    let label = "a.".repeat(127);
    for len in 1..=255 {
        let name = &label[..len];
        let list = conf.name_list(name);
        let rooted = name.ends_with('.');
        assert!(list.iter().all(|name| name.len() <= NAME_MAX && name.ends_with('.')), "{len}");
        let fits = len + 1 + 192 <= NAME_MAX;
        let want = if rooted { usize::from(len <= 254) } else { usize::from(len <= 253) + usize::from(fits) };
        assert_eq!(list.len(), want, "{len}");
        if len == 254 {
            break;
        }
    }
    assert!(conf.name_list(&"a.".repeat(128)).is_empty());
}

// Go: net TestNameListAvoidDNS
#[test]
fn test_name_list_avoid_dns() {
    let conf = parsed("search go.dev. onion.\noptions ndots:0");
    assert_eq!(conf.name_list("www"), ["www.", "www.go.dev."]);
    assert_eq!(conf.name_list("www.onion"), ["www.onion.go.dev."]);
    assert!(conf.name_list("www.onion.").is_empty());
    assert!(conf.name_list("").is_empty());
}

#[test]
fn the_number_of_dots_decides_the_order() {
    let conf = parsed("search a b\noptions ndots:2");
    assert_eq!(conf.name_list("x.y"), ["x.y.a.", "x.y.b.", "x.y."]);
    assert_eq!(conf.name_list("x.y.z"), ["x.y.z.", "x.y.z.a.", "x.y.z.b."]);
    assert_eq!(conf.name_list("x."), ["x."]);
}

#[test]
fn servers_take_turns_if_asked_to() {
    let conf = parsed("nameserver 192.0.2.1\nnameserver 192.0.2.2");
    assert_eq!([conf.server_offset(), conf.server_offset()], [0, 0]);
    let conf = parsed("nameserver 192.0.2.1\nnameserver 192.0.2.2\noptions rotate");
    assert_eq!([conf.server_offset(), conf.server_offset(), conf.server_offset()], [0, 1, 2]);
}
