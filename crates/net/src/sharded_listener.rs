//! Several sockets that listen on one address, behind one `Listener`. Not in Go.
//!
//! A socket has one queue of connections, with one lock in the kernel, and one goroutine at a time accepts from it: on
//! many cores that is the narrow place of a server with short connections. With `SO_REUSEPORT` the kernel spreads
//! connections over several queues by a hash of both addresses. Each has an acceptor here, a goroutine that does
//! nothing else and hands over through a channel.
//!
//! A channel, and not one wait for several sockets: a goroutine parks on one thing, and `select` over descriptors would
//! be a second poller. The channel holds as many connections as there are shards, so that an acceptor need not wait for
//! a consumer on another P; the others wait in the kernel's queues, where `backlog` counts them. A program that wants
//! no handing over at all has `reuse_port` and a listener for each of its goroutines.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gopark_poll::{descriptors_released, wait_for_descriptor_since};
use gopark_sched::chan::{self, Receiver, Sender};
use gopark_sched::{JoinHandle, select, try_spawn};

use crate::error::Cause;
use crate::{Addr, Conn, Incoming, Listener, TcpConn, TcpListener, is_closed};

/// How long an acceptor waits after an error, at first and at most.
const FIRST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

type Accepted = io::Result<(TcpConn, SocketAddr)>;

/// A TCP listener of several sockets on one address, each with an acceptor of its own. Made by
/// [`ListenConfig::listen_sharded`](crate::ListenConfig::listen_sharded), or by
/// [`ListenConfig::listen`](crate::ListenConfig::listen) with [`shards`](crate::ListenConfig::shards).
///
/// It is used like one [`TcpListener`]. Two things differ. Connections are accepted ahead of the calls of `accept`, as
/// many as there are shards and one more for each. And a context cannot be attached, since what waits is no descriptor.
///
/// # Examples
///
/// ```no_run
/// use gopark_net::{ListenConfig, go};
///
/// let ln = ListenConfig::new().shards(4).listen_sharded("tcp", "127.0.0.1:8080")?;
/// for conn in ln.incoming() {
///     let conn = conn?;
///     go(move || conn.write_all(b"hello\n"));
/// }
/// # std::io::Result::Ok(())
/// ```
pub struct ShardedListener {
    shards: Vec<Arc<TcpListener>>,
    accepted: Receiver<Accepted>,
    state: Mutex<State>,
}

struct State {
    deadline: Option<Instant>,
    /// Dropped when the deadline changes, which tells those who wait.
    change: Sender<()>,
    changed: Receiver<()>,
    /// Empty once closed.
    acceptors: Vec<JoinHandle<()>>,
    closed: bool,
}

impl ShardedListener {
    /// Starts the acceptors of `shards`, of which there is at least one.
    pub(crate) fn start(shards: Vec<TcpListener>) -> io::Result<ShardedListener> {
        let shards: Vec<_> = shards.into_iter().map(Arc::new).collect();
        let (give, accepted) = chan::bounded(shards.len());
        let (change, changed) = chan::bounded(0);
        let state = State { deadline: None, change, changed, acceptors: Vec::new(), closed: false };
        let listener = ShardedListener { shards, accepted, state: Mutex::new(state) };
        for shard in &listener.shards {
            let (shard, give) = (Arc::clone(shard), give.clone());
            // Whichever way this ends: dropping `listener` ends the acceptors that are there.
            let acceptor = try_spawn(move || accept_all(&shard, &give))
                .map_err(|e| listener.error("listen", Cause::Other(Box::new(e))))?;
            listener.state().acceptors.push(acceptor);
        }
        Ok(listener)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Held for a few words, never across anything that waits.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, op: &'static str, cause: Cause) -> io::Error {
        self.shards[0].net_fd().op_error(op, cause).into()
    }

    /// Waits for a connection on any of the sockets.
    ///
    /// May block: see the contract of [`Runtime::start`](crate::Runtime::start).
    ///
    /// # Errors
    ///
    /// As [`TcpListener::accept`]; what one of the sockets says, while the others go on.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::ListenConfig::new().shards(2).listen_sharded("tcp", "127.0.0.1:8080")?;
    /// let (conn, peer) = ln.accept()?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn accept(&self) -> io::Result<(TcpConn, SocketAddr)> {
        loop {
            let (deadline, changed) = {
                let state = self.state();
                if state.closed {
                    return Err(self.error("accept", Cause::Closed));
                }
                (state.deadline, state.changed.clone())
            };
            let left = match deadline.map(|t| t.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => return Err(self.error("accept", Cause::Timeout)),
                left => left.unwrap_or(Duration::MAX),
            };
            select! {
                recv(self.accepted) -> accepted => match accepted {
                    Ok(accepted) => return accepted,
                    Err(_) => return Err(self.error("accept", Cause::Closed)),
                },
                // Closed, or another deadline: look again.
                recv(changed) -> _ => {}
                after(left) => {}
            }
        }
    }

    /// The connections that arrive, one after the other; see [`TcpListener::incoming`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::ListenConfig::new().shards(2).listen_sharded("tcp", "127.0.0.1:8080")?;
    /// for conn in ln.incoming() {
    ///     println!("{} is here", conn?.remote_addr());
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn incoming(&self) -> Incoming<'_, ShardedListener> {
        Incoming::new(self)
    }

    /// The address that all of the sockets listen on. Never fails.
    ///
    /// # Errors
    ///
    /// None; the result is std's.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::ListenConfig::new().shards(2).listen_sharded("tcp", "127.0.0.1:0")?;
    /// assert_ne!(ln.local_addr()?.port(), 0);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.shards[0].local_addr()
    }

    /// The address that all of the sockets listen on.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::ListenConfig::new().shards(2).listen_sharded("tcp", "127.0.0.1:0")?;
    /// println!("listening on {}", ln.addr());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn addr(&self) -> Addr {
        self.shards[0].addr()
    }

    /// The sockets, to set their options. Who accepts from them takes connections from the acceptors.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::ListenConfig::new().shards(2).listen_sharded("tcp", "127.0.0.1:0")?;
    /// assert_eq!(ln.shards().count(), 2);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn shards(&self) -> impl ExactSizeIterator<Item = &TcpListener> {
        self.shards.iter().map(|shard| &**shard)
    }

    /// The time after which `accept` fails with `TimedOut`, also one in progress and even with a connection waiting.
    /// `None`: never. The acceptors go on.
    ///
    /// # Errors
    ///
    /// The listener is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::{Duration, Instant};
    ///
    /// let ln = gopark_net::ListenConfig::new().shards(2).listen_sharded("tcp", "127.0.0.1:0")?;
    /// ln.set_deadline(Some(Instant::now() + Duration::from_millis(100)))?;
    /// assert!(gopark_net::is_timeout(&ln.accept().unwrap_err()));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_deadline(&self, t: Option<Instant>) -> io::Result<()> {
        let told = {
            let mut state = self.state();
            if state.closed {
                return Err(self.error("set", Cause::Closed));
            }
            state.deadline = t;
            state.renew()
        };
        drop(told);
        Ok(())
    }

    /// Closes all of the sockets: every `accept` in progress fails with the closed error, and connections that were not
    /// handed out are closed. When this returns the acceptors have ended and the port is free again.
    ///
    /// # Errors
    ///
    /// The closed error the second time; the first error of a socket, all of which are closed in any case.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::ListenConfig::new().shards(2).listen_sharded("tcp", "127.0.0.1:0")?;
    /// ln.close()?;
    /// assert!(gopark_net::is_closed(&ln.accept().unwrap_err()));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn close(&self) -> io::Result<()> {
        let Some((acceptors, result)) = self.shut() else { return Err(self.error("close", Cause::Closed)) };
        for acceptor in acceptors {
            if let Err(panic) = acceptor.join() {
                std::panic::resume_unwind(panic);
            }
        }
        result
    }

    /// Closes everything and waits for nothing. `None`: it was closed.
    fn shut(&self) -> Option<(Vec<JoinHandle<()>>, io::Result<()>)> {
        let (acceptors, told) = {
            let mut state = self.state();
            if std::mem::replace(&mut state.closed, true) {
                return None;
            }
            (std::mem::take(&mut state.acceptors), state.renew())
        };
        drop(told);
        let mut result = Ok(());
        for shard in &self.shards {
            let closed = shard.close();
            result = result.and(closed);
        }
        // An acceptor that waits for room gets its connection back, and what is in the channel is nobody's any more.
        self.accepted.close();
        while self.accepted.try_recv().is_ok() {}
        Some((acceptors, result))
    }
}

impl State {
    /// Begins a new time of waiting; the old one ends when what this returns is dropped.
    fn renew(&mut self) -> Sender<()> {
        let (change, changed) = chan::bounded(0);
        self.changed = changed;
        std::mem::replace(&mut self.change, change)
    }
}

/// An acceptor. After an error of its socket it waits, so as not to spin at the limit of descriptors.
fn accept_all(shard: &TcpListener, give: &Sender<Accepted>) {
    let mut wait = FIRST_WAIT;
    loop {
        let released = descriptors_released();
        let accepted = shard.accept();
        match &accepted {
            Err(e) if is_closed(e) => return,
            Ok(_) => wait = FIRST_WAIT,
            Err(_) => {}
        }
        let failed = accepted.is_err();
        if give.send(accepted).is_err() {
            return;
        }
        if failed {
            wait_for_descriptor_since(released, wait);
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

impl Drop for ShardedListener {
    fn drop(&mut self) {
        let _ = self.shut();
    }
}

impl Listener for ShardedListener {
    fn accept(&self) -> io::Result<Box<dyn Conn>> {
        Ok(Box::new(ShardedListener::accept(self)?.0))
    }

    fn close(&self) -> io::Result<()> {
        ShardedListener::close(self)
    }

    fn addr(&self) -> Addr {
        ShardedListener::addr(self)
    }
}

impl fmt::Debug for ShardedListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardedListener").field("shards", &self.shards).finish_non_exhaustive()
    }
}
