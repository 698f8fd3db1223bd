//! Many bytes from one connection to another, and from a file to a connection, over the loopback interface.

use std::fs::File;
use std::io::{self, Seek, Write};

use gopark_net::{Buffers, Opaque, TcpConn, TcpListener, copy, scope};

use super::{Figures, Op, measure};

pub(super) const OPS: &[Op] = &[
    ("copy-splice", spliced),
    ("copy-memory", through_memory),
    ("copy-sendfile", file),
    ("copy-writev", pieces),
];

const MIB: usize = 1 << 20;
/// What one batch moves.
const BATCH: usize = 256;
/// What the writer at one end writes, and the reader at the other reads, at a time.
const CHUNK: usize = 256 << 10;

fn pair() -> io::Result<(TcpConn, TcpConn)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let client = TcpConn::connect(listener.local_addr()?)?;
    Ok((client, listener.accept()?.0))
}

/// Reads `len` bytes.
fn discard(conn: &TcpConn, len: usize) -> io::Result<()> {
    let mut buf = vec![0; CHUNK];
    let mut left = len;
    while left > 0 {
        let n = conn.read(&mut buf)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        left -= n;
    }
    Ok(())
}

/// Runs `write` on a goroutine while this one reads what it writes.
fn with(server: &TcpConn, write: impl FnOnce() -> io::Result<()> + Send) -> io::Result<()> {
    let mut written = Ok(());
    scope(|s| {
        s.go(|| written = write());
        discard(server, BATCH * MIB)
    })?;
    written
}

/// A proxy: one goroutine writes, one copies from connection to connection, one reads. Each MiB.
fn proxy(copy_all: fn(&TcpConn, &TcpConn) -> io::Result<u64>) -> io::Result<Figures> {
    let ((client, from), (to, server)) = (pair()?, pair()?);
    scope(|s| {
        // It owns both ends: if it fails, whoever reads or writes at the others finds out.
        s.go(move || drop(copy_all(&to, &from)));
        let chunk = vec![7; CHUNK];
        let figures = measure(BATCH, BATCH, || {
            with(&server, || (0..BATCH * MIB / CHUNK).try_for_each(|_| client.write_all(&chunk)))
        });
        client.close()?;
        figures
    })
}

fn spliced() -> io::Result<Figures> {
    proxy(|mut to, mut from| copy(&mut to, &mut from))
}

fn through_memory() -> io::Result<Figures> {
    proxy(|to, from| copy(&mut Opaque(to), &mut Opaque(from)))
}

/// A file that is in the page cache. Each MiB.
fn file() -> io::Result<Figures> {
    let path = std::env::temp_dir().join(format!("gopark-bench-{}", std::process::id()));
    let mut source = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    for _ in 0..BATCH {
        source.write_all(&vec![7; MIB])?;
    }
    let (to, server) = pair()?;
    measure(BATCH, BATCH, || {
        with(&server, || {
            (&source).rewind()?;
            to.read_from(&mut &source).map(drop)
        })
    })
}

/// 64 pieces of 1 KiB a call. Each MiB.
fn pieces() -> io::Result<Figures> {
    const PIECES: usize = 64;
    let (to, server) = pair()?;
    let piece = vec![7; 1024];
    measure(BATCH, BATCH, || {
        with(&server, || {
            (0..BATCH * MIB / (PIECES * piece.len())).try_for_each(|_| {
                let mut buffers: Buffers<&[u8]> = std::iter::repeat_n(&piece[..], PIECES).collect();
                buffers.write_to(&mut &to).map(drop)
            })
        })
    })
}
