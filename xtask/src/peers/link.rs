//! Two hosts and a link between them that delays, loses and, in the end, passes nothing: by netem, or, where the kernel
//! was built without it, by a program between two tun devices.

use super::Examples;
use super::child::{PATIENCE, Running, command, find, output, sh};
use super::plain::{pattern, run_curl};
use crate::cmd;
use anyhow::{Context, Result, bail, ensure};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Addresses that are kept for documentation, in namespaces that have no other network.
const NEAR: &str = "192.0.2.1";
const FAR: &str = "192.0.2.2";
/// Each way. A loss of 2 % in each direction makes every transfer here lose some packets.
const DELAY_MS: &str = "10";
const LOSS_PERCENT: &str = "2";

/// What is between the hosts.
enum Link {
    Netem,
    Tun(Running),
}

impl Link {
    /// This namespace is near; another, named `far`, is made.
    fn new() -> Result<Link> {
        // Where `ip netns` keeps its names; this mount is seen by nobody else.
        sh("mount", &["-t", "tmpfs", "tmpfs", "/run"])?;
        sh("ip", &["netns", "add", "far"])?;
        let link = match netem() {
            Ok(()) => Link::Netem,
            Err(e) => {
                println!("         no netem here ({e:#}): tun devices instead");
                sh("ip", &["link", "del", "near"])?;
                Link::Tun(tun()?)
            }
        };
        for (address, name) in [(NEAR, "near"), (FAR, "far")] {
            let on = |args: &[&str]| if name == "far" { far_sh(args) } else { sh("ip", args) };
            on(&["addr", "add", &format!("{address}/24"), "dev", name])?;
            on(&["link", "set", name, "up"])?;
        }
        far_sh(&["link", "set", "lo", "up"])?;
        Ok(link)
    }

    /// From now on nothing passes.
    fn cut(&mut self) -> Result<()> {
        match self {
            Link::Netem => {
                sh("tc", &["qdisc", "change", "dev", "near", "root", "netem", "loss", "100%"]).map(drop)
            }
            Link::Tun(relay) => {
                relay.send("cut\n")?;
                relay.wait_for("cut").map(drop)
            }
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Link::Netem => "netem",
            Link::Tun(_) => "tun devices, for want of netem",
        }
    }
}

/// `ip` in the far namespace.
fn far_sh(args: &[&str]) -> Result<String> {
    sh("ip", &[&["-n", "far"], args].concat())
}

fn netem() -> Result<()> {
    sh("ip", &["link", "add", "near", "type", "veth", "peer", "name", "far", "netns", "far"])?;
    let (delay, loss) = (format!("{DELAY_MS}ms"), format!("{LOSS_PERCENT}%"));
    let rule = ["root", "netem", "delay", &delay, "1ms", "loss", &loss];
    sh("tc", &[&["qdisc", "add", "dev", "near"], &rule[..]].concat())?;
    sh("tc", &[&["-n", "far", "qdisc", "add", "dev", "far"], &rule[..]].concat()).map(drop)
}

fn tun() -> Result<Running> {
    let Some(python) = find("python3") else { bail!("python3 is missing, which would be the link") };
    let script = cmd::root().join("xtask/src/peers/link.py");
    let (python, script) = (python.to_string_lossy().into_owned(), script.to_string_lossy().into_owned());
    let mut relay = Running::start(command(&python, &[&script, "near", "far", DELAY_MS, LOSS_PERCENT]))?;
    relay.wait_for("ready")?;
    sh("ip", &["link", "set", "far", "netns", "far"])?;
    Ok(relay)
}

/// One of our servers on the far host.
fn far_server(examples: &Examples, name: &str, args: &[&str]) -> Result<(Running, String)> {
    let program = examples.path(name);
    let listen = format!("{FAR}:0");
    let run = ["netns", "exec", "far", &program, "--addr", &listen, "--quiet"];
    Running::server(command("ip", &[&run[..], args].concat()))
}

pub(super) fn lossy(examples: &Examples) -> Result<String> {
    let mut link = Link::new()?;
    let (echo_server, echo) = far_server(examples, "echo", &["--idle-timeout-s", "3"])?;
    let sent = pattern(300_000);
    let back = output(command(&examples.path("dial"), &[&echo]), &sent)?;
    ensure!(back == sent, "`dial` to `echo`: {} bytes of {}", back.len(), sent.len());
    let (_http, http) = far_server(examples, "http_plain", &[])?;
    // proxy is near, what it passes on to is far.
    let args = ["--addr", "127.0.0.1:0", "--quiet", "--to", &http];
    let (_proxy, proxy) = Running::server(command(&examples.path("proxy"), &args))?;
    let echo_url = format!("http://{proxy}/echo");
    let back = run_curl(&["--data-binary", "@-", &echo_url], &sent)?;
    ensure!(back == sent, "curl to `http_plain`: {} bytes of {}", back.len(), sent.len());
    let urls = vec![format!("http://{proxy}/"); 60];
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let many = run_curl(
        &[&["--parallel", "--parallel-immediate", "--parallel-max", "30"], &urls[..]].concat(),
        b"",
    )?;
    ensure!(many == b"hello\n".repeat(60), "60 requests at a time: {} bytes", many.len());
    half_open(&mut link, &echo_server, &echo)?;
    Ok(format!(
        "{DELAY_MS} ms and {LOSS_PERCENT} % of loss each way (by {}): all arrived; peers behind a cut link end",
        link.name()
    ))
}

/// The link is cut: the server hears nothing of its peers' end, and closes them by its deadline.
fn half_open(link: &mut Link, server: &Running, addr: &str) -> Result<()> {
    let before = open_sockets(server.pid())?;
    let mut peers = Vec::new();
    for _ in 0..5 {
        let mut peer = TcpStream::connect(addr)?;
        peer.set_read_timeout(Some(PATIENCE))?;
        peer.write_all(b"hello")?;
        peer.read_exact(&mut [0; 5])?;
        peers.push(peer);
    }
    let open = open_sockets(server.pid())?;
    ensure!(open == before + 5, "{open} sockets with 5 peers, {before} without");
    link.cut()?;
    drop(peers);
    let start = Instant::now();
    while open_sockets(server.pid())? > before {
        ensure!(start.elapsed() < Duration::from_secs(30), "half-open connections stay");
        std::thread::sleep(Duration::from_millis(50)); // polling a process, not ordering a test
    }
    Ok(())
}

fn open_sockets(pid: u32) -> Result<usize> {
    let list =
        std::fs::read_dir(format!("/proc/{pid}/fd")).with_context(|| format!("descriptors of {pid}"))?;
    let is_socket = |entry: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_link(entry.ok()?.path()).ok().filter(|to| to.to_string_lossy().starts_with("socket:"))
    };
    Ok(list.filter_map(is_socket).count())
}
