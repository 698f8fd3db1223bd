//! The limit: an echo server that is nothing but system calls. One thread per proc, each with its own listener
//! (`SO_REUSEPORT`) and its own edge-triggered epoll, one shared read buffer a thread, no allocation while it serves.
//!
//! After a short read it does not call again to be told `EAGAIN`: the edge to come will say so.

#[path = "../../../src/flags.rs"]
#[allow(dead_code)]
mod flags;
#[path = "../../../src/server.rs"]
#[allow(dead_code)]
mod server;

use server::Config;
use std::io;
use std::mem::size_of;
use std::net::SocketAddrV4;
use std::os::fd::RawFd;

/// Events taken by one `epoll_wait`.
const BATCH: usize = 256;
/// Marks the listener among the connections' descriptors.
const LISTENER: u64 = u64::MAX;

fn main() -> io::Result<()> {
    let mut config = Config::from_env();
    config.refuse_read_deadline();
    if config.hogs + config.blockers > 0 {
        eprintln!("an event loop cannot carry endless loops or blocking calls");
        std::process::exit(2);
    }
    let mut listeners = Vec::new();
    for _ in 0..config.procs {
        let (fd, port) = listen(&config)?;
        config.addr.set_port(port);
        listeners.push(fd);
    }
    config.announce(config.addr);
    let buf = config.buf;
    let mut threads: Vec<_> =
        listeners.split_off(1).into_iter().map(|fd| std::thread::spawn(move || serve(fd, buf))).collect();
    let outcome = serve(listeners[0], buf);
    threads.drain(..).for_each(|thread| drop(thread.join()));
    outcome
}

/// A non-blocking listener on the configured address, and the port it got.
fn listen(config: &Config) -> io::Result<(RawFd, u16)> {
    let std::net::SocketAddr::V4(addr) = config.addr else {
        return Err(io::Error::other("this server listens on IPv4 only"));
    };
    let fd = check(unsafe {
        libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, 0)
    })?;
    set(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR)?;
    set(fd, libc::SOL_SOCKET, libc::SO_REUSEPORT)?;
    let mut raw = raw_addr(addr);
    let mut len = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    let pointer = (&raw mut raw).cast::<libc::sockaddr>();
    check(unsafe { libc::bind(fd, pointer, len) })?;
    check(unsafe { libc::listen(fd, 4096) })?;
    check(unsafe { libc::getsockname(fd, pointer, &mut len) })?;
    Ok((fd, u16::from_be(raw.sin_port)))
}

fn raw_addr(addr: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: addr.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(*addr.ip()).to_be() },
        sin_zero: [0; 8],
    }
}

fn set(fd: RawFd, level: i32, name: i32) -> io::Result<()> {
    let on: i32 = 1;
    check(unsafe { libc::setsockopt(fd, level, name, (&raw const on).cast(), size_of::<i32>() as u32) })
        .map(drop)
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn serve(listener: RawFd, buf_size: usize) -> io::Result<()> {
    let epoll = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    watch(epoll, listener, LISTENER)?;
    let mut buf = vec![0u8; buf_size];
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; BATCH];
    loop {
        let count = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), BATCH as i32, -1) };
        for event in &events[..count.max(0) as usize] {
            match event.u64 {
                LISTENER => accept_all(epoll, listener),
                fd => echo(fd as RawFd, &mut buf),
            }
        }
    }
}

fn watch(epoll: RawFd, fd: RawFd, data: u64) -> io::Result<()> {
    let flags = libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLET;
    let mut event = libc::epoll_event { events: flags as u32, u64: data };
    check(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &mut event) }).map(drop)
}

fn accept_all(epoll: RawFd, listener: RawFd) {
    loop {
        let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        let fd = unsafe { libc::accept4(listener, std::ptr::null_mut(), std::ptr::null_mut(), flags) };
        if fd < 0 {
            return;
        }
        let outcome =
            set(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY).and_then(|()| watch(epoll, fd, fd as u64));
        if outcome.is_err() {
            unsafe { libc::close(fd) };
        }
    }
}

/// Echoes what is there; closes the connection at its end, on an error, and when the socket takes no more (a client
/// that does not read cannot happen in a closed loop, and queueing for it would be work the others do not do).
fn echo(fd: RawFd, buf: &mut [u8]) {
    loop {
        let read = unsafe { libc::recv(fd, buf.as_mut_ptr().cast(), buf.len(), 0) };
        if read < 0 && io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock {
            return;
        }
        if read <= 0 {
            unsafe { libc::close(fd) };
            return;
        }
        let sent = unsafe { libc::send(fd, buf.as_ptr().cast(), read as usize, libc::MSG_NOSIGNAL) };
        if sent != read {
            unsafe { libc::close(fd) };
            return;
        }
        if (read as usize) < buf.len() {
            return;
        }
    }
}
