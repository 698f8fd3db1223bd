//! The checks that need nothing but the loopback.

use super::Examples;
use super::child::{Running, command, free_port, output, sh, wait_until_listening};
use anyhow::{Context, Result, ensure};

/// `curl` with these arguments, no proxy from the environment, and an end.
pub(super) fn run_curl(args: &[&str], input: &[u8]) -> Result<Vec<u8>> {
    let always = ["--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time", "50"];
    output(command("curl", &[&always[..], args].concat()), input)
}

/// Bytes that show if something is lost, doubled or exchanged.
pub(super) fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).take(len).collect()
}

/// One of our servers on the loopback.
fn server(examples: &Examples, name: &str, args: &[&str]) -> Result<(Running, String)> {
    let args = [&["--addr", "127.0.0.1:0", "--quiet"], args].concat();
    Running::server(command(&examples.path(name), &args))
}

/// curl → proxy → http_plain: single, kept and parallel connections, bodies both ways.
pub(super) fn curl(examples: &Examples) -> Result<String> {
    let (_http, http) = server(examples, "http_plain", &[])?;
    let (_proxy, proxy) = server(examples, "proxy", &["--to", &http])?;
    let (hello, echo) = (format!("http://{proxy}/"), format!("http://{proxy}/echo"));
    let kept = run_curl(&["--write-out", "%{num_connects} ", &hello, &hello, &hello], b"")?;
    ensure!(kept == b"hello\n1 hello\n0 hello\n0 ", "kept connection: {}", kept.escape_ascii());
    let body = pattern(1_000_000);
    let back = run_curl(&["--data-binary", "@-", &echo], &body)?;
    ensure!(back == body, "a megabyte came back changed ({} bytes)", back.len());
    let urls = [hello.as_str(); 200];
    let many = run_curl(
        &[&["--parallel", "--parallel-immediate", "--parallel-max", "20"], &urls[..]].concat(),
        b"",
    )?;
    ensure!(many == b"hello\n".repeat(200), "200 at a time: {} bytes", many.len());
    Ok("through `proxy` to `http_plain`: kept, parallel, 1 MB there and back".to_owned())
}

/// curl → proxy → nginx's files, and curl → nginx → proxy → http_plain.
pub(super) fn nginx(examples: &Examples) -> Result<String> {
    let (_http, http) = server(examples, "http_plain", &[])?;
    let (_upstream, upstream) = server(examples, "proxy", &["--to", &http])?;
    let page = pattern(8 << 20);
    std::fs::write(examples.file("page"), &page)?;
    let port = free_port()?;
    std::fs::write(examples.file("nginx.conf"), nginx_conf(examples, port, &upstream))?;
    let config = examples.file("nginx.conf");
    let _nginx = Running::start(command("nginx", &["-e", "stderr", "-c", &config]))?;
    let nginx = format!("127.0.0.1:{port}");
    wait_until_listening(&nginx)?;
    let (_proxy, proxy) = server(examples, "proxy", &["--to", &nginx])?;
    let url = format!("http://{proxy}/page");
    ensure!(run_curl(&[&url], b"")? == page, "8 MiB from nginx came changed");
    let urls = [url.as_str(); 8];
    let four = run_curl(&[&["--parallel", "--parallel-immediate"], &urls[..]].concat(), b"")?;
    ensure!(four.len() == 8 * page.len(), "8 at a time: {} bytes", four.len());
    let range = run_curl(&["--range", "1000-1999", &url], b"")?;
    ensure!(range == page[1000..2000], "a range came changed");
    let through = format!("http://{nginx}/behind/echo");
    let back = run_curl(&["--data-binary", "@-", &through], &page[..500_000])?;
    ensure!(back == page[..500_000], "through nginx to http_plain: {} bytes", back.len());
    let hello = format!("http://{nginx}/behind/");
    let many =
        run_curl(&[&["--parallel", "--parallel-immediate"], &[hello.as_str(); 100][..]].concat(), b"")?;
    ensure!(many == b"hello\n".repeat(100), "100 through nginx: {} bytes", many.len());
    Ok("its files through `proxy` (72 MiB), and `http_plain` behind it".to_owned())
}

fn nginx_conf(examples: &Examples, port: u16, upstream: &str) -> String {
    let dir = examples.scratch.display();
    // As root its workers would else become a user who may not read the folder.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    format!(
        "{user} daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log stderr warn;
         events {{ worker_connections 256; }}
         http {{
             access_log off; default_type application/octet-stream; client_max_body_size 8m;
             client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxied; fastcgi_temp_path {dir}/fastcgi;
             uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
             upstream ours {{ server {upstream}; keepalive 8; }}
             server {{
                 listen 127.0.0.1:{port};
                 root {dir};
                 location /behind/ {{
                     proxy_pass http://ours/; proxy_http_version 1.1; proxy_set_header Connection \"\";
                 }}
             }}
         }}\n"
    )
}

/// redis-cli and redis-benchmark, with and without pipelining.
pub(super) fn redis(examples: &Examples) -> Result<String> {
    let (_redis, redis) = server(examples, "redis_like", &[])?;
    let port = redis.rsplit_once(':').context("host and port")?.1;
    let cli = |args: &[&str]| sh("redis-cli", &[&["-h", "127.0.0.1", "-p", port], args].concat());
    ensure!(cli(&["SET", "greeting", "hello there"])? == "OK\n", "SET");
    ensure!(cli(&["GET", "greeting"])? == "hello there\n", "GET");
    ensure!(cli(&["DEL", "greeting"])? == "1\n", "DEL");
    ensure!(cli(&["GET", "greeting"])? == "\n", "GET of what is gone");
    let mut rates = Vec::new();
    for pipeline in ["1", "32"] {
        let args =
            ["-h", "127.0.0.1", "-p", port, "-t", "ping,set,get", "-n", "20000", "-c", "50", "-r", "1000"];
        let csv = sh("redis-benchmark", &[&args[..], &["-d", "100", "-P", pipeline, "--csv"]].concat())?;
        for test in ["PING_INLINE", "PING_MBULK", "SET", "GET"] {
            let line = csv.lines().find(|line| line.starts_with(&format!("\"{test}\"")));
            let line = line.with_context(|| format!("{test} with -P {pipeline} is not in: {csv}"))?;
            let rate = line.split(',').nth(1).and_then(|n| n.trim_matches('"').parse::<f64>().ok());
            let rate = rate.with_context(|| format!("a rate in {line}"))?;
            ensure!(rate > 0.0, "{line}");
            if test == "GET" {
                rates.push(format!("{rate:.0}/s with -P {pipeline}"));
            }
        }
    }
    let size: usize = cli(&["DBSIZE"])?.trim().parse()?;
    ensure!((1..=1000).contains(&size), "{size} keys of 1000");
    Ok(format!("`redis_like` with 50 clients; GET {} in this debug build", rates.join(", ")))
}

/// s_client to tls_echo, to it through proxy, and to s_server through proxy.
pub(super) fn openssl(examples: &Examples) -> Result<String> {
    let (cert, key) = (examples.file("cert.pem"), examples.file("key.pem"));
    let made =
        ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    let subject =
        ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", &key, "-out", &cert];
    sh("openssl", &[&made[..], &subject].concat())?;
    let (_tls, tls) = server(examples, "tls_echo", &["--cert", &cert, "--key", &key])?;
    let (_proxy, proxy) = server(examples, "proxy", &["--to", &tls])?;
    for version in ["-tls1_2", "-tls1_3"] {
        for addr in [&tls, &proxy] {
            talk(&cert, addr, version, "hello through TLS", "hello through TLS")?;
        }
    }
    let port = free_port()?;
    let accept = format!("127.0.0.1:{port}");
    // It answers each line turned round.
    let args = ["s_server", "-accept", &accept, "-cert", &cert, "-key", &key, "-quiet", "-rev"];
    let _theirs = Running::start(command("openssl", &args))?;
    wait_until_listening(&accept)?;
    let (_proxy, proxy) = server(examples, "proxy", &["--to", &accept])?;
    for version in ["-tls1_2", "-tls1_3"] {
        talk(&cert, &proxy, version, "there and back", "kcab dna ereht")?;
    }
    Ok("s_client with `tls_echo`, both ends through `proxy`, TLS 1.2 and 1.3".to_owned())
}

/// A line there and its answer back, then the end of the input, which ends the connection.
fn talk(cert: &str, addr: &str, version: &str, line: &str, answer: &str) -> Result<()> {
    let args = ["s_client", "-connect", addr, "-servername", "localhost", version, "-CAfile", cert];
    let quiet = ["-verify_hostname", "localhost", "-verify_return_error", "-quiet", "-no_ign_eof"];
    let mut client = Running::start(command("openssl", &[&args[..], &quiet].concat()))?;
    client.send(&format!("{line}\n"))?;
    client.wait_for(answer).with_context(|| format!("{version} to {addr}"))?;
    client.finish()
}
