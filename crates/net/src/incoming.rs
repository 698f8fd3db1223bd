//! The accept loop that survives the descriptor limit. Not in Go, where each server has one of its own
//! (`net/http.Server.Serve`), which sleeps.

use std::io;
use std::time::Duration;

use gopark_poll::{descriptors_released, wait_for_descriptor_since};
use gopark_sys::Errno;

use crate::{
    Conn, Listener, ShardedListener, TcpConn, TcpListener, UnixConn, UnixListener, is_closed, raw_os_error,
};

/// The first wait at the descriptor limit, and the longest (those of Go's servers).
const FIRST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// An iterator over the connections of a listener; see [`TcpListener::incoming`].
///
/// # Examples
///
/// ```no_run
/// let ln = gopark_net::TcpListener::bind("127.0.0.1:8080")?;
/// for conn in ln.incoming() {
///     println!("{} is here", conn?.remote_addr());
/// }
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
#[must_use = "an iterator does nothing unless it is iterated"]
pub struct Incoming<'a, L: ?Sized = TcpListener> {
    listener: &'a L,
    /// The error of a closed listener was handed out: the end.
    ended: bool,
}

impl<'a, L: ?Sized> Incoming<'a, L> {
    pub(crate) fn new(listener: &'a L) -> Incoming<'a, L> {
        Incoming { listener, ended: false }
    }

    fn next_with<C>(&mut self, accept: impl Fn(&L) -> io::Result<C>) -> Option<io::Result<C>> {
        if self.ended {
            return None;
        }
        let mut wait = FIRST_WAIT;
        loop {
            // Read before the call: a descriptor that is closed between the call and the wait ends the wait.
            let released = descriptors_released();
            let err = match accept(self.listener) {
                Ok(conn) => return Some(Ok(conn)),
                Err(err) => err,
            };
            match raw_os_error(&err).map(Errno::from_raw) {
                // The connection stays in the queue; trying again at once would spin.
                Some(errno @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM)) => {
                    tracing::debug!(wait_ms = wait.as_millis() as u64, "waiting to accept: {err}");
                    // Without memory it may have been accepted and closed again, which is no news.
                    let at_limit = errno == Errno::EMFILE || errno == Errno::ENFILE;
                    let since = if at_limit { released } else { descriptors_released() };
                    wait_for_descriptor_since(since, wait);
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
                // What Linux reports of the new connection and not of the listener: accept(2) says to try again.
                Some(Errno::ECONNRESET | Errno::EPROTO | Errno::EHOSTUNREACH | Errno::ENETUNREACH) => {}
                Some(Errno::ENETDOWN | Errno::EHOSTDOWN | Errno::ENOPROTOOPT) => {}
                _ => {
                    self.ended = is_closed(&err);
                    return Some(Err(err));
                }
            }
        }
    }
}

impl Iterator for Incoming<'_, TcpListener> {
    type Item = io::Result<TcpConn>;

    fn next(&mut self) -> Option<io::Result<TcpConn>> {
        self.next_with(|ln| ln.accept().map(|(conn, _)| conn))
    }
}

impl Iterator for Incoming<'_, UnixListener> {
    type Item = io::Result<UnixConn>;

    fn next(&mut self) -> Option<io::Result<UnixConn>> {
        self.next_with(|ln| ln.accept().map(|(conn, _)| conn))
    }
}

impl Iterator for Incoming<'_, ShardedListener> {
    type Item = io::Result<TcpConn>;

    fn next(&mut self) -> Option<io::Result<TcpConn>> {
        self.next_with(|ln| ln.accept().map(|(conn, _)| conn))
    }
}

impl Iterator for Incoming<'_, dyn Listener> {
    type Item = io::Result<Box<dyn Conn>>;

    fn next(&mut self) -> Option<io::Result<Box<dyn Conn>>> {
        self.next_with(|ln| ln.accept())
    }
}
