//! Go: `net/conf_test.go`.

use super::*;
use Order::{Dns, DnsFiles, Files, FilesDns, System};

struct Case {
    prefer: Prefer,
    os: &'static str,
    mdns_allow: bool,
    resolv_conf: &'static str,
    is_resolv_conf_missing: bool,
    /// None: no such file.
    nsswitch: Option<&'static str>,
}

const CASE: Case = Case {
    prefer: Prefer::Auto,
    os: "linux",
    mdns_allow: false,
    resolv_conf: "",
    is_resolv_conf_missing: true,
    nsswitch: None,
};

impl Case {
    fn order(&self, host: &str, own: &str) -> Order {
        let read = if self.is_resolv_conf_missing {
            Err(io::ErrorKind::NotFound.into())
        } else {
            Ok(self.resolv_conf.to_owned())
        };
        let conf = ResolvConf::from_file(read, None);
        let nss = Nsswitch::load(self.nsswitch.map(str::to_owned).ok_or(io::ErrorKind::NotFound.into()));
        let machine = Machine {
            os: self.os,
            has_mdns_allow: &|| Ok(self.mdns_allow),
            hostname: &|| Some(own.to_owned()),
        };
        lookup_order(self.prefer, host, &conf, &nss.unwrap(), &machine)
    }

    #[track_caller]
    fn check(&self, hosts: &[(&str, Order)]) {
        for &(host, want) in hosts {
            assert_eq!(self.order(host, "myhostname"), want, "{host}, nsswitch {:?}", self.nsswitch);
        }
    }
}

fn nss(text: &'static str) -> Case {
    Case { nsswitch: Some(text), ..CASE }
}

// Go: net TestConfHostLookupOrder
#[test]
fn test_conf_host_lookup_order() {
    let force = Case { prefer: Prefer::System, ..nss("foo: bar") };
    force.check(&[("foo.local", System), ("google.com", System)]);
    let pure = |text| Case { prefer: Prefer::Pure, ..nss(text) };
    pure("hosts: dns files").check(&[("x.com", DnsFiles)]);
    pure("hosts: dns files something_custom").check(&[("x.com", DnsFiles)]);
    nss("hosts: files mdns4_minimal [NOTFOUND=return] dns mdns4").check(&[
        ("foo.local", System),
        ("foo.local.", System),
        ("foo.LOCAL", System),
        ("foo.LOCAL.", System),
        ("google.com", FilesDns),
    ]);
    Case { os: "freebsd", ..nss("foo: bar") }.check(&[("google.com", FilesDns)]);
    CASE.check(&[("google.com", FilesDns)]);
    nss("").check(&[("google.com", FilesDns)]);
    nss("hosts: files mdns dns").check(&[("x.com", FilesDns), ("x.local", System)]);
    nss("hosts: dns").check(&[
        ("x.com", Dns),
        ("x\\.com", System),     // an escape of the C library's
        ("foo.com%en0", System), // an IPv6 zone
    ]);
    Case { mdns_allow: true, ..nss("hosts: files mdns dns") }
        .check(&[("x.com", System), ("x.local", System)]);
    nss("hosts: files dns").check(&[("x.com", FilesDns), ("x", FilesDns), ("x.local", FilesDns)]);
    nss("hosts: dns files").check(&[("x.com", DnsFiles), ("x", DnsFiles), ("x.local", DnsFiles)]);
    nss("hosts: dns files something_custom").check(&[("x.com", System)]);
    nss("hosts: files myhostname mdns4_minimal [NOTFOUND=return] dns mdns4").check(&[
        ("x.com", FilesDns),
        ("somehostname", FilesDns),
        ("myhostname", System),
    ]);
    // Debian's, with all the usual criteria, and an unusual one where it changes nothing.
    nss("hosts: dns [success=return notfound=continue unavail=continue tryagain=continue] files [notfound=return]")
        .check(&[("x.com", DnsFiles), ("somehostname", DnsFiles)]);
    let unknown = Case { resolv_conf: "options what", is_resolv_conf_missing: false, ..nss("foo: bar") };
    unknown.check(&[("google.com", System)]);
    pure("").check(&[("localhost", FilesDns)]); // golang/go#24393
    pure("hosts: resolve files").check(&[("x.com", DnsFiles)]);
    pure("hosts: mymachines files dns").check(&[("x.com", FilesDns)]);
    pure("hosts: dns mymachines files").check(&[("x.com", DnsFiles)]);
    nss("hosts files").check(&[("x.com", System)]);
    pure("hosts files").check(&[("x.com", FilesDns)]);
}

// Go: net TestConfHostLookupOrder, "myhostname"
#[test]
fn the_machines_own_names_are_the_systems() {
    let case = nss("hosts: files dns myhostname");
    for name in [
        "myhostname",
        "myHostname",
        "_gateway",
        "_Gateway",
        "_outbound",
        "_Outbound",
        "localhost",
        "Localhost",
        "anything.localhost",
        "Anything.localhost",
        "localhost.localdomain",
        "Localhost.Localdomain",
        "anything.localhost.localdomain",
        "Anything.Localhost.Localdomain",
    ] {
        assert_eq!(case.order(name, "myhostname"), System, "{name}");
    }
    for name in ["myhostname.dot", "myHostname.dot"] {
        assert_eq!(case.order(name, "myhostname.dot"), System, "{name}");
    }
    case.check(&[("x.com", FilesDns), ("somehostname", FilesDns), ("notlocalhost", FilesDns)]);
}

// Go: net TestConfHostLookupOrder, "openbsd_*"
#[test]
fn openbsd_has_its_order_in_resolv_conf() {
    let case = |resolv_conf| Case { os: "openbsd", resolv_conf, is_resolv_conf_missing: false, ..CASE };
    for (lookup, want) in [
        ("lookup bind file", DnsFiles),
        ("lookup file bind", FilesDns),
        ("lookup bind", Dns),
        ("lookup file", Files),
        ("lookup file bind yp", System),
        ("lookup file foo", System),
        ("lookup", DnsFiles),
    ] {
        assert_eq!(case(lookup).order("google.com", "myhostname"), want, "{lookup}");
    }
    Case { os: "openbsd", ..CASE }.check(&[("google.com", Files)]);
}

// Go: net TestAddrLookupOrder
#[test]
fn test_addr_lookup_order() {
    nss("hosts: files myhostname dns").check(&[("", System)]);
    nss("hosts: files mdns4 dns").check(&[("", System)]);
    nss("hosts: files dns").check(&[("", FilesDns)]);
}

#[test]
fn many_unknown_sources_are_looked_through_once() {
    let sources = "x ".repeat(1 << 17);
    let nss = Nsswitch::parse(&format!("hosts: files {sources}"));
    let machine = Machine { os: "linux", has_mdns_allow: &|| Ok(false), hostname: &|| None };
    let start = std::time::Instant::now();
    let order = lookup_order(Prefer::Pure, "x.com", &ResolvConf::parse("", None), &nss, &machine);
    assert_eq!(order, FilesDns);
    // Each time for each of them, 17 thousand million times, takes minutes.
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}
