//! An echo server over TLS: rustls as it is, on a connection that reads and writes.

#![allow(unsafe_code)]

use gopark_examples::flags::Flags;
use gopark_examples::{log, stop};
use gopark_net::{ListenConfig, Runtime, TcpConn, go, is_closed};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::error::Error;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{info, warn};

const HELP: &str = "\
usage: tls_echo [FLAGS]

  --addr HOST:PORT       where to listen (default 127.0.0.1:9443; port 0 lets the system choose)
  --cert FILE            the certificates to show, in PEM (default: one made for this run, for localhost)
  --key FILE             the key of the first certificate, in PEM
  --write-cert FILE      write the certificate made for this run to FILE, so that clients can trust it
  --idle-timeout-s N     close a connection that sends nothing, or takes nothing, for N seconds (default 30; 0: never)
  --quiet                log warnings and errors only (RUST_LOG chooses in detail)
  --help                 this text

Prints `listening on ADDRESS`, then echoes. Try it with `openssl s_client -connect 127.0.0.1:9443`.
";

fn main() -> std::process::ExitCode {
    gopark_examples::main("tls_echo", HELP, run)
}

fn run(mut flags: Flags) -> Result<(), Box<dyn Error>> {
    let addr = flags.text("--addr")?.unwrap_or_else(|| "127.0.0.1:9443".to_owned());
    let identity = match (flags.text("--cert")?, flags.text("--key")?, flags.text("--write-cert")?) {
        (Some(cert), Some(key), None) => read_identity(&cert, &key)?,
        (None, None, file) => make_identity(file.as_deref())?,
        (Some(_), Some(_), Some(_)) => {
            return Err("--write-cert writes the certificate made without --cert".into());
        }
        _ => return Err("--cert and --key go together".into()),
    };
    let idle = flags.seconds("--idle-timeout-s", 30)?;
    let quiet = flags.switch("--quiet");
    flags.finish()?;
    log::start(quiet);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(identity.certs, identity.key)?;
    serve(&addr, &Arc::new(config), idle)
}

fn serve(addr: &str, config: &Arc<ServerConfig>, idle: Option<Duration>) -> Result<(), Box<dyn Error>> {
    // SAFETY: no code here keeps a thread-local, or anything else of a thread, across a call that may block, and rustls
    // and ring have none. ring's C and assembly calls nothing and fits the stack (tests/rustls.rs of gopark-net
    // measures it).
    unsafe { Runtime::start()? };
    let listener = ListenConfig::new().listen_tcp("tcp", addr).map_err(|e| format!("--addr {addr}: {e}"))?;
    let listener = Arc::new(listener);
    println!("listening on {}", listener.local_addr()?);
    let closing = Arc::clone(&listener);
    stop::on_signal(move || {
        if let Err(e) = closing.close() {
            warn!("close the listener: {e}");
        }
    })?;
    for conn in listener.incoming() {
        let conn = match conn {
            Ok(conn) => conn,
            Err(e) if is_closed(&e) => break,
            Err(e) => return Err(e.into()),
        };
        let tls = ServerConnection::new(Arc::clone(config))?;
        go(move || {
            let peer = conn.remote_addr();
            match echo(StreamOwned::new(tls, conn), idle) {
                Ok(total) => info!("{peer} done, {total} bytes"),
                Err(e) => info!("{peer} failed: {e}"),
            }
        });
    }
    Ok(())
}

/// Echoes until the peer's end of TLS, and answers it with ours. The handshake happens in the first read.
fn echo(mut stream: StreamOwned<ServerConnection, TcpConn>, idle: Option<Duration>) -> io::Result<u64> {
    let mut buf = [0; 4096];
    let mut total = 0;
    loop {
        if let Some(idle) = idle {
            // For both directions: a handshake writes while it reads.
            stream.sock.set_deadline(Some(Instant::now() + idle))?;
        }
        let n = stream.read(&mut buf)?;
        if n == 0 {
            stream.conn.send_close_notify();
            stream.conn.complete_io(&mut stream.sock)?;
            return Ok(total);
        }
        stream.write_all(&buf[..n])?;
        total += n as u64;
    }
}

/// Who we are: certificates, and the key of the first.
struct Identity {
    certs: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

fn read_identity(cert: &str, key: &str) -> Result<Identity, String> {
    let certs = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect);
    let certs: Vec<_> = certs.map_err(|e| format!("--cert {cert}: {e}"))?;
    if certs.is_empty() {
        return Err(format!("--cert {cert}: no certificate in PEM in it"));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|e| format!("--key {key}: {e}"))?;
    Ok(Identity { certs, key })
}

fn make_identity(write_to: Option<&str>) -> Result<Identity, Box<dyn Error>> {
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names)?;
    if let Some(file) = write_to {
        std::fs::write(file, made.cert.pem()).map_err(|e| format!("--write-cert {file}: {e}"))?;
    }
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    Ok(Identity { certs: vec![made.cert.into()], key })
}
