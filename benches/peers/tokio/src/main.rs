//! The tokio contender: current_thread with one proc, multi_thread with more; a task and a buffer a connection.

#[path = "../../../src/flags.rs"]
#[allow(dead_code)]
mod flags;
#[path = "../../../src/server.rs"]
#[allow(dead_code)]
mod server;

use server::Config;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

fn main() -> io::Result<()> {
    let config = Config::from_env();
    runtime(config.procs)?.block_on(async move {
        // Accepting happens in a task, so that it runs on a worker like everything else.
        tokio::spawn(serve(config)).await.map_err(io::Error::other)?
    })
}

fn runtime(procs: usize) -> io::Result<Runtime> {
    match procs {
        1 => Builder::new_current_thread().enable_all().build(),
        _ => Builder::new_multi_thread().worker_threads(procs).enable_all().build(),
    }
}

async fn serve(config: Config) -> io::Result<()> {
    let listener = TcpListener::bind(config.addr).await?;
    config.announce(listener.local_addr()?);
    for _ in 0..config.hogs {
        tokio::spawn(async { server::hog() });
    }
    for _ in 0..config.blockers {
        let time = config.block;
        tokio::spawn(async move {
            loop {
                server::block(time);
                tokio::task::yield_now().await;
            }
        });
    }
    loop {
        let (conn, _) = listener.accept().await?;
        conn.set_nodelay(true)?;
        match config.read_deadline {
            None => tokio::spawn(echo(conn, config.buf)),
            Some(limit) => tokio::spawn(echo_with_deadline(conn, config.buf, limit)),
        };
    }
}

async fn echo(mut conn: TcpStream, buf_size: usize) {
    let mut buf = vec![0; buf_size];
    while let Ok(count @ 1..) = conn.read(&mut buf).await {
        if conn.write_all(&buf[..count]).await.is_err() {
            break;
        }
    }
}

async fn echo_with_deadline(mut conn: TcpStream, buf_size: usize, limit: Duration) {
    let mut buf = vec![0; buf_size];
    while let Ok(Ok(count @ 1..)) = tokio::time::timeout(limit, conn.read(&mut buf)).await {
        if conn.write_all(&buf[..count]).await.is_err() {
            break;
        }
    }
}
