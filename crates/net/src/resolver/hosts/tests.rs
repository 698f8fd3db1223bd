//! Go: `net/hosts_test.go`. The files are Go's test data, as facts: the same entries.

use super::*;

const HOSTS: &str = "\
255.255.255.255\tbroadcasthost
127.0.0.2\todin
127.0.0.3\todin  # inline comment
::2             odin
127.1.1.1\tthor
# aliases
127.1.1.2\tullr ullrhost
fe80::1%lo0\tlocalhost
# what must be passed over
123.123.123\tloki
321.321.321.321
";
const IPV4: &str = "\
# a comment

127.0.0.1\tlocalhost\t# after a tab
127.0.0.2\tlocalhost   # after a space

127.0.0.3\tlocalhost\tlocalhost.localdomain
";
const IPV6: &str = "\
::1\t\t\t\tlocalhost\t# after a tab
fe80:0000:0000:0000:0000:0000:0000:0001\t\tlocalhost       # after a space
fe80:0000:0000:0000:0000:0000:0000:0002%lo0\tlocalhost
fe80::3%lo0\t\t\tlocalhost\tlocalhost.localdomain
";
const SINGLE_LINE: &str = "127.0.0.2\todin";
const CASE: &str = "127.0.0.1\tPreserveMe\tPreserveMe.local\n::1\t\tPreserveMe\tPreserveMe.local\n";
const ALIASES: &str = "\
127.0.0.1 test
127.0.0.2 test2.example.com 2.test
127.0.0.3 3.test test3.example.com
127.0.0.4 example.com
127.0.0.5 test4.example.com 4.test 5.test test5.example.com
";

// Go: net TestLookupStaticHost
#[test]
fn test_lookup_static_host() {
    for (file, entries) in [
        (
            HOSTS,
            &[
                ("odin", &["127.0.0.2", "127.0.0.3", "::2"][..]),
                ("thor", &["127.1.1.1"]),
                ("ullr", &["127.1.1.2"]),
                ("ullrhost", &["127.1.1.2"]),
                ("localhost", &["fe80::1%lo0"]),
            ][..],
        ),
        (SINGLE_LINE, &[("odin", &["127.0.0.2"])]),
        (
            IPV4,
            &[
                ("localhost", &["127.0.0.1", "127.0.0.2", "127.0.0.3"]),
                ("localhost.localdomain", &["127.0.0.3"]),
            ],
        ),
        (
            IPV6,
            &[
                ("localhost", &["::1", "fe80::1", "fe80::2%lo0", "fe80::3%lo0"]),
                ("localhost.localdomain", &["fe80::3%lo0"]),
            ],
        ),
        (CASE, &[("PreserveMe", &["127.0.0.1", "::1"]), ("PreserveMe.local", &["127.0.0.1", "::1"])]),
    ] {
        let hosts = Hosts::parse(file);
        for (name, want) in entries {
            let spellings = [
                (*name).to_owned(),
                abs_domain_name((*name).to_owned()),
                name.to_lowercase(),
                name.to_uppercase(),
            ];
            for name in spellings {
                assert_eq!(hosts.lookup_host(&name).expect(&name).addrs, *want, "{name}");
            }
        }
    }
    let hosts = Hosts::parse(HOSTS);
    for absent in ["loki", "", ".", "321.321.321.321", "aliases"] {
        assert_eq!(hosts.lookup_host(absent), None, "{absent}");
    }
}

// Go: net TestLookupStaticAddr
#[test]
fn test_lookup_static_addr() {
    for (file, entries) in [
        (
            HOSTS,
            &[
                ("255.255.255.255", &["broadcasthost"][..]),
                ("127.0.0.2", &["odin"]),
                ("127.0.0.3", &["odin"]),
                ("::2", &["odin"]),
                ("127.1.1.1", &["thor"]),
                ("127.1.1.2", &["ullr", "ullrhost"]),
                ("fe80::1%lo0", &["localhost"]),
            ][..],
        ),
        (SINGLE_LINE, &[("127.0.0.2", &["odin"])]),
        (
            IPV4,
            &[
                ("127.0.0.1", &["localhost"]),
                ("127.0.0.2", &["localhost"]),
                ("127.0.0.3", &["localhost", "localhost.localdomain."]),
            ],
        ),
        (
            IPV6,
            &[
                ("::1", &["localhost"]),
                ("0:0::1", &["localhost"]),
                ("fe80::1", &["localhost"]),
                ("fe80::2%lo0", &["localhost"]),
                ("fe80::3%lo0", &["localhost", "localhost.localdomain."]),
            ],
        ),
        (
            CASE,
            &[
                ("127.0.0.1", &["PreserveMe", "PreserveMe.local."]),
                ("::1", &["PreserveMe", "PreserveMe.local."]),
            ],
        ),
    ] {
        let hosts = Hosts::parse(file);
        for (addr, want) in entries {
            assert_eq!(hosts.lookup_addr(addr), *want, "{addr}");
        }
    }
    assert!(Hosts::parse(HOSTS).lookup_addr("odin").is_empty());
}

// Go: net TestLookupStaticHostAliases
#[test]
fn test_lookup_static_host_aliases() {
    let hosts = Hosts::parse(ALIASES);
    for (name, canonical) in [
        ("test", "test"),
        ("test2.example.com", "test2.example.com."),
        ("2.test", "test2.example.com."),
        ("test3.example.com", "3.test."),
        ("3.test", "3.test."),
        ("example.com", "example.com."),
        ("test5.example.com", "test4.example.com."),
        ("5.test", "test4.example.com."),
        ("4.test", "test4.example.com."),
        ("test4.example.com", "test4.example.com."),
    ] {
        for name in [name.to_owned(), abs_domain_name(name.to_owned()), name.to_uppercase()] {
            assert_eq!(hosts.lookup_host(&name).expect(&name).canonical.as_ref(), canonical, "{name}");
        }
    }
}

/// A file that is not there has no hosts; one that cannot be read now is as it was.
#[test]
fn a_file_that_cannot_be_read_is_as_it_was() {
    let load = |kind: io::ErrorKind| Hosts::load(Err(kind.into()));
    assert!(load(io::ErrorKind::NotFound).unwrap().by_name.is_empty());
    assert!(load(io::ErrorKind::PermissionDenied).unwrap().by_name.is_empty());
    assert!(load(io::ErrorKind::Other).is_none());
    assert_eq!(Hosts::default().recheck(), Recheck::Always);
    assert_eq!(Hosts::parse(SINGLE_LINE).recheck(), Recheck::Sometimes);
}

/// What one line costs is in proportion to its length, whatever of it is long.
#[test]
fn long_names_and_zones_are_not_copied_for_each_name() {
    let names: String = (0..20_000).map(|i| format!(" n{i}")).collect();
    for line in [
        format!("127.0.0.1 {}{names}", "c".repeat(1 << 20)),
        format!("fe80::1%{}{names}", "z".repeat(1 << 20)),
        format!("fe80::2%7 {}{names}", "c".repeat(200)),
    ] {
        let hosts = Hosts::parse(&line);
        let kept: usize = hosts.by_name.values().map(|named| named.addrs[0].len()).sum();
        assert!(kept <= 20_001 * ADDR_MAX);
        // Names of one line have one canonical name, and share it.
        let shared = hosts.by_name.values().all(|named| Arc::strong_count(&named.canonical) >= 20_000);
        assert!(shared);
    }
    assert_eq!(Hosts::parse("fe80::1%eth0 a").lookup_host("a").unwrap().addrs, ["fe80::1%eth0"]);
}
