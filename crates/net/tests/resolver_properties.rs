//! What holds for whatever name servers send and files say: properties, on inputs that proptest makes. The functions
//! are those of the fuzz targets, with inputs that look more like what they are meant to be.

use gopark_net::for_fuzz::{dns_message, hosts, nsswitch, resolv_conf};
use proptest::prelude::*;

/// Words that mean something in one of the files, and some that do not.
fn word() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "nameserver",
        "search",
        "domain",
        "options",
        "lookup",
        "sortlist",
        "ndots:",
        "timeout:",
        "attempts:",
        "rotate",
        "use-vc",
        "single-request",
        "no-reload",
        "hosts:",
        "files",
        "dns",
        "mdns4_minimal",
        "[NOTFOUND=return]",
        "[",
        "]",
        "[!a=b",
        "127.0.0.1",
        "::1",
        "fe80::1%lo",
        "1.2.3.256",
        "localhost",
        "a.b.",
        ".",
        "..",
        "x.onion",
        "#",
        ";",
    ]);
    prop_oneof![
        4 => known.prop_map(str::to_owned),
        1 => "[a-zA-Z0-9.:%_-]{0,70}",
        1 => "[0-9]{1,30}",
        1 => any::<String>(),
    ]
}

fn file() -> impl Strategy<Value = String> {
    let between = prop::sample::select(vec![" ", "\t", "  ", "", "\n", "\r\n", "#"]);
    prop::collection::vec((word(), between), 0..60)
        .prop_map(|words| words.into_iter().flat_map(|(word, between)| [word, between.to_owned()]).collect())
}

const QUESTION: &[u8] = b"\x03www\x07example\x03com\x00";

/// Names as one may find them in a message: with pointers to anywhere.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let label = prop_oneof![
        "[a-z0-9-]{1,10}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 1..63),
    ];
    let labels = prop::collection::vec(label, 0..5).prop_map(|labels| {
        let with_len = |label: Vec<u8>| [&[label.len() as u8][..], &label].concat();
        labels.into_iter().flat_map(with_len).collect::<Vec<u8>>()
    });
    let end = prop_oneof![
        Just(vec![0]),
        Just(vec![0xc0, 12]),
        (any::<u16>()).prop_map(|at| (at | 0xc000).to_be_bytes().to_vec()),
        (0u16..80).prop_map(|at| (at | 0xc000).to_be_bytes().to_vec()),
        Just(vec![]),
    ];
    (labels, end).prop_map(|(labels, end)| [labels, end].concat())
}

/// A record, whose length may be wrong.
fn record() -> impl Strategy<Value = Vec<u8>> {
    let rtype = prop::sample::select(vec![1u16, 2, 5, 12, 15, 16, 28, 33, 41, 99]);
    let data = prop_oneof![
        name(),
        prop::collection::vec(any::<u8>(), 0..40),
        (any::<[u8; 6]>(), name()).prop_map(|(numbers, name)| [&numbers[..], &name].concat()),
        (any::<[u8; 2]>(), name()).prop_map(|(number, name)| [&number[..], &name].concat()),
    ];
    let off = prop_oneof![9 => Just(0i32), 1 => -3i32..300];
    (name(), rtype, any::<u32>(), data, off).prop_map(|(owner, rtype, ttl, data, off)| {
        let len = (data.len() as i32 + off).max(0) as u16;
        let fixed = [&rtype.to_be_bytes()[..], &[0, 1], &ttl.to_be_bytes(), &len.to_be_bytes()].concat();
        [owner, fixed, data].concat()
    })
}

/// A message that answers the fuzz target's question, up to its records.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let counts = prop_oneof![3 => [0u16..20, 0u16..3, 0u16..3], 1 => any::<[u16; 3]>()];
    let qtype = prop::sample::select(vec![1u16, 2, 5, 12, 15, 16, 28, 33]);
    (any::<u16>(), counts, qtype, prop::collection::vec(record(), 0..25)).prop_map(
        |(flags, [answers, authorities, additionals], qtype, records)| {
            let header = [1, flags | 0x8000, 1, answers, authorities, additionals];
            let mut bytes: Vec<u8> = header.iter().flat_map(|word| word.to_be_bytes()).collect();
            bytes.extend(QUESTION);
            bytes.extend(qtype.to_be_bytes());
            bytes.extend([0, 1]);
            bytes.extend(records.concat());
            bytes
        },
    )
}

proptest! {
    #[test]
    fn a_resolv_conf_is_within_its_limits(name in ".{0,270}", file in file()) {
        resolv_conf(format!("{name}\n{file}").as_bytes());
    }

    #[test]
    fn names_of_labels_are_asked_for_whole(
        labels in prop::collection::vec("[a-zA-Z0-9_-]{1,66}", 1..8),
        search in prop::collection::vec("[a-z.]{0,90}", 0..9),
        ndots in 0..20,
    ) {
        let (name, search) = (labels.join("."), search.join(" "));
        resolv_conf(format!("{name}\nsearch {search}\noptions ndots:{ndots}\n").as_bytes());
    }

    #[test]
    fn addresses_in_a_file_of_hosts_lead_back(host in word(), file in file()) {
        hosts(format!("{host}\n{file}").as_bytes());
        hosts(format!("{host}\n{file}\n127.0.0.1 other {host} \n::1 {host}").as_bytes());
    }

    #[test]
    fn sources_have_names(file in file()) {
        nsswitch(file.as_bytes());
        nsswitch(format!("hosts: {file}").as_bytes());
    }

    #[test]
    fn messages_of_any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        dns_message(&bytes);
    }

    #[test]
    fn messages_of_any_records_never_panic(bytes in message()) {
        dns_message(&bytes);
    }

    #[test]
    fn messages_that_end_too_soon_never_panic((bytes, end) in message().prop_flat_map(|bytes| {
        let len = bytes.len();
        (Just(bytes), 0..len)
    })) {
        dns_message(&bytes[..end]);
    }
}
