//! The limit: an echo server that is nothing but system calls. One thread per proc, each with its own listener
//! (`SO_REUSEPORT`) and its own edge-triggered epoll, one shared read buffer a thread, no allocation while it serves.
//!
//! After a short read it does not call again to be told `EAGAIN`: the edge to come will say so. rustix makes the calls
//! without libc in between; against the same loop over libc no difference could be measured.
#![forbid(unsafe_code)]

#[path = "../../../src/flags.rs"]
#[allow(dead_code)]
mod flags;
#[path = "../../../src/server.rs"]
#[allow(dead_code)]
mod server;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::{Errno, Result};
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};
use server::Config;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Events taken by one `epoll_wait`.
const BATCH: usize = 256;
/// Marks the listener among the connections, which are known by their descriptor's number.
const LISTENER: u64 = u64::MAX;

fn main() -> std::io::Result<()> {
    let mut config = Config::from_env();
    config.refuse_read_deadline();
    if config.hogs + config.blockers > 0 {
        eprintln!("an event loop cannot carry endless loops or blocking calls");
        std::process::exit(2);
    }
    let mut loops = Vec::new();
    for _ in 0..config.procs {
        let listener = listen(config.addr)?;
        // The first one gets a free port, the others share it.
        config.addr = SocketAddr::try_from(net::getsockname(&listener)?)?;
        loops.push(EventLoop::new(listener, config.buf)?);
    }
    config.announce(config.addr);
    let own = loops.pop();
    for other in loops {
        std::thread::spawn(move || other.serve());
    }
    match own {
        Some(own) => Err(own.serve().into()),
        None => Ok(()),
    }
}

fn listen(addr: SocketAddr) -> Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let listener = net::socket_with(family_of(addr), SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&listener, true)?;
    sockopt::set_socket_reuseport(&listener, true)?;
    net::bind(&listener, &addr)?;
    net::listen(&listener, 4096)?;
    Ok(listener)
}

fn family_of(addr: SocketAddr) -> AddressFamily {
    if addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 }
}

/// One thread's server.
struct EventLoop {
    listener: OwnedFd,
    epoll: OwnedFd,
    /// By descriptor number.
    conns: Vec<Option<OwnedFd>>,
    buf: Vec<u8>,
}

impl EventLoop {
    fn new(listener: OwnedFd, buf_size: usize) -> Result<EventLoop> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        watch(&epoll, &listener, LISTENER)?;
        Ok(EventLoop { listener, epoll, conns: Vec::new(), buf: vec![0; buf_size] })
    }

    /// Serves for ever; returns why it cannot.
    fn serve(mut self) -> Errno {
        let mut events = Vec::with_capacity(BATCH);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return errno,
            }
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.accept_all(),
                    number => self.echo(number as usize),
                }
            }
        }
    }

    fn accept_all(&mut self) {
        while let Ok(conn) = net::accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            let number = conn.as_raw_fd() as usize;
            let ready =
                sockopt::set_tcp_nodelay(&conn, true).and_then(|()| watch(&self.epoll, &conn, number as u64));
            if ready.is_ok() {
                if self.conns.len() <= number {
                    self.conns.resize_with(number + 1, || None);
                }
                self.conns[number] = Some(conn);
            }
        }
    }

    /// Echoes what is there; closes the connection at its end, on an error, and when the socket takes no more (a
    /// client that does not read cannot happen in a closed loop, and queueing for it would be work that the other
    /// contenders do not do either).
    fn echo(&mut self, number: usize) {
        let Some(conn) = self.conns.get(number).and_then(Option::as_ref) else { return };
        loop {
            let read = match net::recv(conn, &mut self.buf[..], RecvFlags::empty()) {
                Err(Errno::AGAIN) => return,
                Ok((read @ 1.., _)) => read,
                Ok(_) | Err(_) => break,
            };
            if net::send(conn, &self.buf[..read], SendFlags::NOSIGNAL) != Ok(read) {
                break;
            }
            if read < self.buf.len() {
                return;
            }
        }
        self.conns[number] = None;
    }
}

fn watch(epoll: &OwnedFd, fd: impl AsFd, data: u64) -> Result<()> {
    epoll::add(epoll, fd, EventData::new_u64(data), EventFlags::IN | EventFlags::RDHUP | EventFlags::ET)
}
