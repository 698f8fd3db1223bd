//! The load: one thread, one epoll, closed-loop connections, every byte of every answer checked.
//!
//! Level-triggered on purpose: the client knows how many bytes are due and never reads more than that, so it makes
//! one receive call a message whatever the server does, and its own cost is the same for all contenders.

use crate::histogram::Histogram;
use crate::pattern::Pattern;
use crate::server::clock_ns;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};
use rustix::time::ClockId::Monotonic;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// One connection in its closed loop: send a message, receive it back, send the next.
#[derive(Debug)]
struct Conn {
    fd: OwnedFd,
    /// Number of the message in flight, or of the next one when idle.
    seq: u64,
    /// Bytes of it handed to the kernel.
    sent: usize,
    /// Bytes of it that came back.
    received: usize,
    /// When its first byte was sent, nanoseconds of the monotonic clock.
    started_ns: u64,
    /// Answers completed while measuring.
    counted: u64,
    /// Whether the last send found the socket full and writability is waited for.
    wants_write: bool,
}

/// Connections to one server, and what was measured on them.
pub struct Client {
    server: SocketAddr,
    size: usize,
    sources: u8,
    pattern: Pattern,
    epoll: OwnedFd,
    conns: Vec<Conn>,
    buf: Vec<u8>,
    events: Vec<epoll::Event>,
    /// Latencies in nanoseconds, of answers that arrived while measuring.
    pub latency: Histogram,
    measuring: bool,
}

/// What happens to a connection whose answer is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    SendAgain,
    Rest,
}

impl Client {
    /// A client without connections; messages will be `size` bytes, connections spread over `sources` local addresses.
    ///
    /// # Errors
    /// The epoll descriptor could not be made.
    pub fn new(server: SocketAddr, size: usize, sources: u8) -> io::Result<Client> {
        Ok(Client {
            server,
            size,
            sources,
            pattern: Pattern::new(size),
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            conns: Vec::new(),
            buf: vec![0; size],
            events: Vec::with_capacity(256),
            latency: Histogram::new(),
            measuring: false,
        })
    }

    /// Opens `count` more connections.
    ///
    /// # Errors
    /// A connection could not be made; the message says which one.
    pub fn connect(&mut self, count: usize) -> io::Result<()> {
        for _ in 0..count {
            let index = self.conns.len();
            let fd = self
                .connect_one(index)
                .map_err(|error| io::Error::new(error.kind(), format!("connection {index}: {error}")))?;
            epoll::add(&self.epoll, &fd, epoll::EventData::new_u64(index as u64), epoll::EventFlags::IN)?;
            self.conns.push(Conn {
                fd,
                seq: 0,
                sent: 0,
                received: 0,
                started_ns: 0,
                counted: 0,
                wants_write: false,
            });
        }
        Ok(())
    }

    fn connect_one(&self, index: usize) -> io::Result<OwnedFd> {
        let fd = net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        if self.sources > 1 {
            // One local address has some 28,000 ports towards one server; more connections need more addresses.
            let host = 1 + (index % usize::from(self.sources)) as u8;
            net::bind(&fd, &SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, host), 0))?;
        }
        net::connect(&fd, &self.server)?;
        sockopt::set_tcp_nodelay(&fd, true)?;
        // Closing resets: thousands of connections in TIME_WAIT would be there for the next run.
        sockopt::set_socket_linger(&fd, Some(Duration::ZERO))?;
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok(fd)
    }

    /// How many connections are open.
    pub fn len(&self) -> usize {
        self.conns.len()
    }

    /// Whether no connection is open.
    pub fn is_empty(&self) -> bool {
        self.conns.is_empty()
    }

    /// Runs one message over each connection from `first` on and waits until all are back.
    ///
    /// # Errors
    /// A connection failed, a byte was wrong, or not all answers came within `limit`.
    pub fn round(&mut self, first: usize, limit: Duration) -> io::Result<()> {
        for index in first..self.conns.len() {
            self.start(index, now_ns())?;
        }
        let mut missing = self.conns.len() - first;
        let end_ns = now_ns() + limit.as_nanos() as u64;
        while missing > 0 {
            if now_ns() >= end_ns {
                let message = format!("{missing} connections had no answer within {limit:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            missing -= self.step(end_ns, Next::Rest)?;
        }
        Ok(())
    }

    /// Sends the first message on every connection; [`Client::run`] keeps them going.
    ///
    /// # Errors
    /// A connection failed.
    pub fn start_all(&mut self) -> io::Result<()> {
        (0..self.conns.len()).try_for_each(|index| self.start(index, now_ns()))
    }

    /// Keeps every connection in its closed loop for `time`, without recording; for warming up.
    ///
    /// # Errors
    /// A connection failed or a byte was wrong.
    pub fn run(&mut self, time: Duration) -> io::Result<()> {
        let end_ns = now_ns() + time.as_nanos() as u64;
        while now_ns() < end_ns {
            self.step(end_ns, Next::SendAgain)?;
        }
        Ok(())
    }

    /// The same, recording every answer that arrives.
    ///
    /// # Errors
    /// A connection failed or a byte was wrong.
    pub fn measure(&mut self, time: Duration) -> io::Result<()> {
        self.latency.clear();
        self.conns.iter_mut().for_each(|conn| conn.counted = 0);
        self.measuring = true;
        let outcome = self.run(time);
        self.measuring = false;
        outcome
    }

    /// The mean rate of the slowest tenth of the connections divided by the mean rate of all; 1 is perfectly fair.
    pub fn slowest_tenth(&self) -> f64 {
        let mut counts: Vec<u64> = self.conns.iter().map(|conn| conn.counted).collect();
        slowest_tenth_of(&mut counts)
    }

    /// Waits for events until `end_ns` at most and handles them; returns how many answers became complete.
    fn step(&mut self, end_ns: u64, next: Next) -> io::Result<usize> {
        let wait_ns = end_ns.saturating_sub(now_ns());
        let timeout =
            Timespec { tv_sec: (wait_ns / 1_000_000_000) as i64, tv_nsec: (wait_ns % 1_000_000_000) as _ };
        self.events.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), Some(&timeout)) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(0),
            Err(error) => return Err(error.into()),
        }
        let events = std::mem::take(&mut self.events);
        let mut complete = 0;
        for event in &events {
            complete += usize::from(self.handle(*event, next)?);
        }
        self.events = events;
        Ok(complete)
    }

    /// Returns whether the connection's answer became complete.
    fn handle(&mut self, event: epoll::Event, next: Next) -> io::Result<bool> {
        let index = event.data.u64() as usize;
        let flags = event.flags;
        if flags.contains(epoll::EventFlags::OUT) {
            self.push(index)?;
        }
        if !flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR) {
            return Ok(false);
        }
        if !self.pull(index)? {
            return Ok(false);
        }
        let now_ns = now_ns();
        let conn = &mut self.conns[index];
        if self.measuring {
            conn.counted += 1;
            self.latency.record(now_ns - conn.started_ns);
        }
        conn.seq += 1;
        if next == Next::SendAgain {
            self.start(index, now_ns)?;
        }
        Ok(true)
    }

    /// Begins the connection's next message.
    fn start(&mut self, index: usize, now_ns: u64) -> io::Result<()> {
        let conn = &mut self.conns[index];
        conn.sent = 0;
        conn.received = 0;
        conn.started_ns = now_ns;
        self.push(index)
    }

    /// Sends what is left of the connection's message, as far as the socket takes it.
    fn push(&mut self, index: usize) -> io::Result<()> {
        let conn = &mut self.conns[index];
        let message = self.pattern.message(index, conn.seq, self.size);
        while conn.sent < self.size {
            match net::send(&conn.fd, &message[conn.sent..], SendFlags::NOSIGNAL) {
                Ok(count) => conn.sent += count,
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(failed(index, conn.seq, "send", error.into())),
            }
        }
        let wants_write = conn.sent < self.size;
        if wants_write != conn.wants_write {
            conn.wants_write = wants_write;
            let flags = if wants_write {
                epoll::EventFlags::IN | epoll::EventFlags::OUT
            } else {
                epoll::EventFlags::IN
            };
            epoll::modify(&self.epoll, &conn.fd, epoll::EventData::new_u64(index as u64), flags)?;
        }
        Ok(())
    }

    /// Receives and checks; returns whether the whole message is back.
    fn pull(&mut self, index: usize) -> io::Result<bool> {
        let conn = &mut self.conns[index];
        let due = self.size - conn.received;
        if due == 0 {
            // Readable though nothing is due: the server closed, or sent bytes that nobody asked for.
            return Err(failed(
                index,
                conn.seq,
                "receive",
                io::Error::other("unexpected data or end of stream"),
            ));
        }
        let count = match net::recv(&conn.fd, &mut self.buf[..due], RecvFlags::empty()) {
            Ok((0, _)) => {
                let error = io::Error::from(io::ErrorKind::UnexpectedEof);
                return Err(failed(index, conn.seq, "receive", error));
            }
            Ok((count, _)) => count,
            Err(Errno::AGAIN) => return Ok(false),
            Err(error) => return Err(failed(index, conn.seq, "receive", error.into())),
        };
        let expected = &self.pattern.message(index, conn.seq, self.size)[conn.received..][..count];
        if self.buf[..count] != *expected {
            let wrong = expected.iter().zip(&self.buf).take_while(|(a, b)| a == b).count() + conn.received;
            return Err(failed(index, conn.seq, "check", io::Error::other(format!("byte {wrong} is wrong"))));
        }
        conn.received += count;
        Ok(conn.received == self.size)
    }
}

fn failed(index: usize, seq: u64, what: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: connection {index}, message {seq}: {error}"))
}

fn now_ns() -> u64 {
    clock_ns(Monotonic)
}

fn slowest_tenth_of(counts: &mut [u64]) -> f64 {
    let total: u64 = counts.iter().sum();
    if total == 0 {
        return 0.0;
    }
    counts.sort_unstable();
    let tenth = counts.len().div_ceil(10);
    let slowest: u64 = counts[..tenth].iter().sum();
    (slowest as f64 / tenth as f64) / (total as f64 / counts.len() as f64)
}

#[cfg(test)]
mod tests;
