//! What must hold for whatever others write: files of settings, and messages. Called by `for_fuzz.rs`.

use domain::base::iana::Rtype;

use super::hosts::Hosts;
use super::message::{Question, Response};
use super::names::is_domain_name;
use super::nsswitch::Nsswitch;
use super::resolv_conf::ResolvConf;

/// The first line is a name, the rest a file.
fn name_and_file(data: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(data).into_owned();
    match text.split_once('\n') {
        Some((name, file)) => (name.to_owned(), file.to_owned()),
        None => (String::new(), text),
    }
}

/// A file like `/etc/resolv.conf`: whatever it says is within limits, and the names that are asked for under it are
/// whole.
pub fn resolv_conf(data: &[u8]) {
    let (name, file) = name_and_file(data);
    let conf = ResolvConf::parse(&file, Some("host.example.net"));
    assert!((1..=3).contains(&conf.servers.len()), "as many servers as there may be");
    assert!(conf.ndots <= 15 && (1..=5).contains(&conf.attempts), "within the limits");
    assert!((1..=30).contains(&conf.timeout.as_secs()), "within the limits");
    assert!(conf.search.len() <= 64 && conf.search.iter().all(|suffix| suffix.ends_with('.')), "rooted");
    let names = conf.name_list(&name);
    assert!(names.len() <= 65, "as many as there are suffixes, and one");
    for fqdn in names {
        assert!(fqdn.ends_with('.') && fqdn.len() <= 254, "a whole name");
        assert!(!fqdn.to_ascii_lowercase().ends_with(".onion."), "not to be given away");
        dns_query(&fqdn);
    }
}

/// A file like `/etc/hosts`: each address that a name has there leads back to it.
pub fn hosts(data: &[u8]) {
    let (host, file) = name_and_file(data);
    let hosts = Hosts::parse(&file);
    let Some(named) = hosts.lookup_host(&host) else { return };
    let plain = |name: &str| name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    for addr in &named.addrs {
        let names = hosts.lookup_addr(addr);
        assert!(names.iter().any(|name| plain(name) == plain(&host)), "{addr} leads back");
    }
    assert!(hosts.lookup_host(&named.canonical).is_some(), "the canonical name is one");
}

/// A file like `/etc/nsswitch.conf`: sources have names, and what was not understood is said.
pub fn nsswitch(data: &[u8]) {
    let conf = Nsswitch::parse(&String::from_utf8_lossy(data));
    for source in conf.sources.values().flatten() {
        assert!(!source.name.is_empty() && !source.name.contains([' ', '#']), "a source has a name");
        assert!(source.standard_criteria() || !source.criteria.is_empty(), "without any they are standard");
    }
}

/// A message from whoever sends one, as the answer to a query 1 for `www.example.com`, of each type that is asked for.
pub fn dns_message(data: &[u8]) {
    const TYPES: [Rtype; 8] =
        [Rtype::A, Rtype::AAAA, Rtype::CNAME, Rtype::NS, Rtype::PTR, Rtype::MX, Rtype::SRV, Rtype::TXT];
    for qtype in TYPES {
        let question = Question::new("www.example.com.", qtype).expect("a name");
        let Ok(response) = Response::new(data.to_vec(), 1, &question) else { continue };
        let _ = (response.is_truncated(), response.code(), response.is_lame(), response.ttl());
        let (answers, result) = response.answers(&TYPES);
        if result.is_ok() {
            let has = response.has_answer(qtype);
            assert!(has.is_ok_and(|has| !has || !answers.is_empty()), "what is there can be found");
        }
        assert!(answers.len() <= data.len() / 11, "a record is no shorter");
        assert!(answers.iter().all(|answer| answer.owner.len() <= 3 * 255), "a name is no longer");
    }
}

/// A query for `name`, if it can be one: it is no answer, and one that says it is has none.
fn dns_query(name: &str) {
    let question = Question::new(name, Rtype::A);
    assert!(question.is_some() || !is_domain_name(name), "a name can be asked for");
    let Some(question) = question else { return };
    let mut query = question.encode(1, false, true)[2..].to_vec();
    assert!(Response::new(query.clone(), 1, &question).is_err(), "a query is no answer");
    query[2] |= 0x80;
    let answer = Response::new(query, 1, &question).expect("it has our question");
    assert!(answer.answers(&[Rtype::A]).0.is_empty() && answer.has_answer(Rtype::A) == Ok(false));
}
