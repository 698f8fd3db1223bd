//! Asks for what the domain name system knows of a name: addresses, aliases, mail and name servers, services, texts.

#![allow(unsafe_code)]

use gopark_examples::flags::Flags;
use gopark_net::context::Context;
use gopark_net::{Resolver, Runtime};
use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

const HELP: &str = "\
usage: lookup [FLAGS] NAME

  --type TYPE            what to ask for: host (addresses; the default), cname, mx, ns, txt, srv (NAME is then
                         _SERVICE._PROTO.NAME), ptr (NAME is then an address)
  --server ADDR:PORT     which name server to ask (default: those of /etc/resolv.conf)
  --system               ask the system's own resolver for addresses
  --timeout-s N          give up after N seconds (default 30; 0: when all servers have been asked)
  --help                 this text

Prints one answer a line, in the order in which to try them.
";

fn main() -> std::process::ExitCode {
    gopark_examples::main("lookup", HELP, run)
}

fn run(mut flags: Flags) -> Result<(), Box<dyn Error>> {
    let kind = flags.text("--type")?.unwrap_or_else(|| "host".to_owned());
    let server = flags.text("--server")?;
    let timeout = flags.seconds("--timeout-s", 30)?;
    let system = flags.switch("--system");
    let name = flags.word().ok_or("a name is missing (see --help)")?;
    flags.finish()?;
    let mut resolver = Resolver::builder();
    if let Some(server) = server {
        let server: SocketAddr = server.parse().map_err(|_| format!("--server {server}: not ADDR:PORT"))?;
        resolver = resolver.name_servers([server]);
    }
    if system {
        resolver = resolver.prefer_system();
    }
    // SAFETY: no code here keeps a thread-local, or anything else of a thread, across a call that may block.
    unsafe { Runtime::start()? };
    // A context with a far deadline for none: a year, the longest that a flag can ask for.
    let limit = timeout.unwrap_or(Duration::from_secs(365 * 24 * 60 * 60));
    let (ctx, _cancel) = Context::background().with_timeout(limit);
    let answers = ask(&resolver.build(), &ctx, &kind, &name)?;
    Ok(io::stdout().write_all((answers.join("\n") + "\n").as_bytes())?)
}

fn ask(resolver: &Resolver, ctx: &Context, kind: &str, name: &str) -> Result<Vec<String>, Box<dyn Error>> {
    Ok(match kind {
        "host" => resolver.lookup_host(ctx, name)?,
        "cname" => vec![resolver.lookup_cname(ctx, name)?],
        "txt" => resolver.lookup_txt(ctx, name)?,
        "ptr" => resolver.lookup_addr(ctx, name)?,
        "mx" => {
            let hosts = resolver.lookup_mx(ctx, name)?;
            hosts.iter().map(|mx| format!("{} {}", mx.preference, mx.host)).collect()
        }
        "ns" => resolver.lookup_ns(ctx, name)?.into_iter().map(|ns| ns.host).collect(),
        "srv" => {
            let (_, hosts) = resolver.lookup_srv(ctx, "", "", name)?;
            let line = |s: &gopark_net::Srv| format!("{} {} {}:{}", s.priority, s.weight, s.target, s.port);
            hosts.iter().map(line).collect()
        }
        other => return Err(format!("--type {other}: host, cname, mx, ns, txt, srv or ptr").into()),
    })
}
