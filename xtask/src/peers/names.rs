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
    let ours =
        ["--host-record=peer.test,127.0.0.1,::1", "--cname=alias.test,peer.test", "--local=/test/", &addn];
    let mut server = Running::start(command("dnsmasq", &[&DNSMASQ[..], &ours].concat()))?;
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
    Ok(format!(
        "`dial` finds hosts by dnsmasq: CNAME, search list, {MANY} addresses (over TCP), no such host"
    ))
}

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
