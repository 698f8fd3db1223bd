//! Names, with dnsmasq as the server and a resolv.conf of our own.

use super::Examples;
use super::child::{Running, command, output, sh};
use anyhow::{Context, Result, ensure};
use std::fmt::Write;

/// So many addresses that the answer does not fit a datagram.
const MANY: usize = 120;

/// `dial` finds `echo` by names that only dnsmasq knows: an address, an alias, a name completed from the search list,
/// and one whose answer is too long for UDP.
pub(super) fn dnsmasq(examples: &Examples) -> Result<String> {
    let resolv_conf = examples.file("resolv.conf");
    std::fs::write(&resolv_conf, "nameserver 127.0.0.1\nsearch test\noptions timeout:5\n")?;
    sh("mount", &["--bind", &resolv_conf, "/etc/resolv.conf"])?;
    let mut hosts = String::new();
    (1..=MANY).for_each(|n| writeln!(hosts, "127.0.1.{n} many.test").expect("a String takes it"));
    let hosts_file = examples.file("hosts");
    std::fs::write(&hosts_file, hosts)?;
    let addn = format!("--addn-hosts={hosts_file}");
    let records = RECORDS.map(|(option, ..)| option);
    let ours =
        ["--host-record=peer.test,127.0.0.1,::1", "--cname=alias.test,peer.test", "--local=/test/", &addn];
    let mut server = Running::start(command("dnsmasq", &[&DNSMASQ[..], &ours, &records].concat()))?;
    server.wait_for("started")?;
    let args = ["--addr", ":0", "--quiet"];
    let (_echo, echo) = Running::server(command(&examples.path("echo"), &args))?;
    let port = echo.rsplit_once(':').context("host and port")?.1;
    let dial = examples.path("dial");
    for name in ["peer.test", "alias.test", "peer", "many.test", "PEER.test."] {
        let said = format!("hello, {name}\n");
        let back = output(command(&dial, &[&format!("{name}:{port}")]), said.as_bytes())?;
        ensure!(back == said.as_bytes(), "{name}: {}", back.escape_ascii());
    }
    let refused = output(command(&dial, &[&format!("nobody.test:{port}")]), b"");
    let said = refused.err().context("nobody.test has an address?")?.to_string();
    ensure!(said.contains("no such host"), "nobody.test: {said}");
    server.wait_for("query[A] many.test").context("dnsmasq was asked")?;
    lookups(examples)?;
    Ok(format!(
        "`dial` and `lookup` ask dnsmasq: search list, {MANY} addresses (over TCP), no such host; CNAME, MX, NS, SRV, \
         TXT, PTR"
    ))
}

/// What `lookup` says of each record, and of addresses with and without the system's resolver.
fn lookups(examples: &Examples) -> Result<()> {
    let ask = |args: &[&str]| output(command(&examples.path("lookup"), args), b"");
    for (_, kind, name, expected) in RECORDS {
        let said = ask(&["--type", kind, name])?;
        ensure!(said == expected.as_bytes(), "{kind} of {name}: {}", said.escape_ascii());
    }
    let said = ask(&["--type", "cname", "alias.test"])?;
    ensure!(said == b"peer.test.\n", "cname of alias.test: {}", said.escape_ascii());
    let sorted = |args: &[&str]| -> Result<Vec<String>> {
        let said = String::from_utf8(ask(args)?)?;
        let mut lines: Vec<_> = said.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        Ok(lines)
    };
    let many = sorted(&["--server", "127.0.0.1:53", "many.test"])?;
    ensure!(many.len() == MANY, "{} addresses of many.test", many.len());
    ensure!(many == sorted(&["--system", "many.test"])?, "the system's resolver finds others");
    let both = sorted(&["peer.test"])?;
    ensure!(both == ["127.0.0.1", "::1"], "peer.test has {both:?}");
    Ok(())
}

/// dnsmasq's option, what to ask for, the name, and what `lookup` prints.
const RECORDS: [(&str, &str, &str, &str); 6] = [
    ("--mx-host=peer.test,second.test,20", "mx", "peer.test", "20 second.test.\n"),
    ("--mx-host=mail.test,only.test,5", "mx", "mail.test", "5 only.test.\n"),
    (
        "--srv-host=_web._tcp.peer.test,web.test,8080,1,2",
        "srv",
        "_web._tcp.peer.test",
        "1 2 web.test.:8080\n",
    ),
    ("--txt-record=peer.test,one text", "txt", "peer.test", "one text\n"),
    ("--ptr-record=9.2.0.192.in-addr.arpa,peer.test", "ptr", "192.0.2.9", "peer.test.\n"),
    // NS, as it goes over the wire: two labels and the root.
    ("--dns-rr=peer.test,2,02:6e:73:04:74:65:73:74:00", "ns", "peer.test", "ns.test.\n"),
];

/// In the foreground, with nothing from the system's configuration.
const DNSMASQ: [&str; 10] = [
    "--keep-in-foreground",
    "--conf-file=/dev/null",
    "--listen-address=127.0.0.1",
    "--bind-interfaces",
    "--no-resolv",
    "--no-hosts",
    "--user=root",
    "--pid-file=",
    "--log-queries",
    "--log-facility=-",
];
