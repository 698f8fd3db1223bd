//! `pipe`: a connection without a network. Go: `net/pipe.go`.
//!
//! Nothing is buffered: a write lends its bytes until readers have copied them all, or until it gives up. So a write
//! that has returned is one that was read, and memory does not grow with what is written.
//!
//! Go builds it of six channels and a timer for each deadline. Here a direction is a mutex and two condition
//! variables: one lock and one wake-up for a read or a write, no timer that outlives its call, and deadlines that only
//! who waits looks at.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use gopark_sched::context::Context;

use crate::error::{Cause, OpError};
use crate::{Addr, ContextGuard};

mod context;
mod flow;
mod impls;

pub(crate) use context::PipeGuard;
pub(crate) use flow::Cancel;
use flow::{Fail, Flow};

/// The one address that all pipes have. Go: pipeAddr
const PIPE: &str = "pipe";

/// Two ends of a new connection in memory.
///
/// Reads on one end are matched with writes on the other: a [`write`](PipeConn::write) waits until somebody has read
/// its bytes. There is no buffer in between.
///
/// # Examples
///
/// ```no_run
/// use gopark_net::{go, pipe};
///
/// let (client, server) = pipe();
/// go(move || server.write_all(b"hello"));
/// let mut buf = [0; 5];
/// assert_eq!(client.read(&mut buf)?, 5);
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/pipe.go Pipe
#[doc(alias = "Pipe")]
pub fn pipe() -> (PipeConn, PipeConn) {
    let (there, back) = (Arc::new(Flow::new()), Arc::new(Flow::new()));
    let client = PipeConn { incoming: Arc::clone(&there), outgoing: Arc::clone(&back) };
    (client, PipeConn { incoming: back, outgoing: there })
}

/// One end of a [`pipe`]. Dropping it closes it.
///
/// A connection like any other: every call takes `&self`, any number of goroutines and plain threads may use it, reads
/// and writes have deadlines. Between plain threads it works without a [`Runtime`](crate::Runtime), but for deadlines.
///
/// # Differences from Go
///
/// * A read into an empty buffer returns at once, as on every connection here; Go's waits for a writer.
/// * A write of nothing waits for a reader, as in Go, who does not notice: `Ok(0)` from a read means the end.
///
/// Go: net/pipe.go pipe
pub struct PipeConn {
    /// What the other end writes.
    incoming: Arc<Flow>,
    outgoing: Arc<Flow>,
}

/// A read or write on a closed pipe: on an end that was closed, or a write when the other one was.
///
/// It is inside the `io::Error`, which is of kind `BrokenPipe` if the other end was closed; if it was this one,
/// [`is_closed`](crate::is_closed) holds.
///
/// # Examples
///
/// ```no_run
/// let (a, b) = gopark_net::pipe();
/// drop(b);
/// let err = a.write(b"hello").unwrap_err();
/// assert_eq!(err.kind(), std::io::ErrorKind::BrokenPipe);
/// assert_eq!(err.to_string(), "io: read/write on closed pipe");
/// ```
///
/// Go: io/pipe.go ErrClosedPipe
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
#[doc(alias = "ErrClosedPipe")]
pub struct ClosedPipeError {
    /// How much of a `write_all` had been read.
    pub written: usize,
    /// It was this end that was closed.
    pub here: bool,
}

impl fmt::Display for ClosedPipeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("io: read/write on closed pipe")
    }
}

impl Error for ClosedPipeError {}

impl From<ClosedPipeError> for io::Error {
    fn from(e: ClosedPipeError) -> io::Error {
        io::Error::new(if e.here { io::ErrorKind::Other } else { io::ErrorKind::BrokenPipe }, e)
    }
}

impl PipeConn {
    /// Reads some bytes of what is being written; waits for a writer. `Ok(0)` is the end, or `buf` is empty.
    ///
    /// # Errors
    ///
    /// This end is closed ([`ClosedPipeError`]); the deadline passed.
    ///
    /// # Examples
    ///
    /// See [`pipe`].
    ///
    /// Go: net/pipe.go pipe.Read
    pub fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.incoming.read(buf).map_err(|fail| error("read", fail, 0))
    }

    /// Writes `buf`, and waits until all of it is read, or until that will not happen: then it returns how much was, or
    /// an error if there was nothing.
    ///
    /// # Errors
    ///
    /// One of the ends is closed ([`ClosedPipeError`]); the deadline passed. Nothing was read.
    ///
    /// # Examples
    ///
    /// See [`pipe`].
    pub fn write(&self, buf: &[u8]) -> io::Result<usize> {
        match self.outgoing.write(buf) {
            Ok(()) => Ok(buf.len()),
            Err((0, fail)) => Err(error("write", fail, 0)),
            Err((written, _)) => Ok(written),
        }
    }

    /// Writes all of `buf`, with no other writer in between; waits until all of it is read.
    ///
    /// # Errors
    ///
    /// As [`PipeConn::write`], but part of it may have been read: [`ClosedPipeError::written`] or
    /// [`OpError::written`] says how much.
    ///
    /// # Examples
    ///
    /// See [`pipe`].
    ///
    /// Go: net/pipe.go pipe.Write
    pub fn write_all(&self, buf: &[u8]) -> io::Result<()> {
        self.outgoing.write(buf).map_err(|(written, fail)| error("write", fail, written))
    }

    /// Closes this end. Calls in progress on it fail; the other end finds the end of the stream, and its writes fail.
    /// Closing it again does nothing.
    ///
    /// # Errors
    ///
    /// None.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let (a, b) = gopark_net::pipe();
    /// a.close()?;
    /// assert!(gopark_net::is_closed(&a.read(&mut [0]).unwrap_err()));
    /// assert_eq!(b.read(&mut [0])?, 0);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/pipe.go pipe.Close
    pub fn close(&self) -> io::Result<()> {
        self.incoming.close_reader();
        self.outgoing.close_writer();
        Ok(())
    }

    /// `pipe`, for both ends.
    pub fn local_addr(&self) -> Addr {
        Addr::Pipe
    }

    /// `pipe`, for both ends.
    pub fn remote_addr(&self) -> Addr {
        Addr::Pipe
    }

    /// The time after which reads and writes fail with `TimedOut`, also those in progress. `None`: never. A later one,
    /// or none, makes everything work again.
    ///
    /// # Errors
    ///
    /// One of the ends is closed ([`ClosedPipeError`]); the runtime is not started.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::{Duration, Instant};
    ///
    /// let (a, _b) = gopark_net::pipe();
    /// a.set_deadline(Some(Instant::now() + Duration::from_secs(1)))?;
    /// assert_eq!(a.read(&mut [0; 8]).unwrap_err().to_string(), "read pipe: i/o timeout");
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/pipe.go pipe.SetDeadline
    pub fn set_deadline(&self, t: Option<Instant>) -> io::Result<()> {
        self.set_read_deadline(t)?;
        self.set_write_deadline(t)
    }

    /// As [`PipeConn::set_deadline`], for reads only.
    ///
    /// # Errors
    ///
    /// As [`PipeConn::set_deadline`].
    ///
    /// # Examples
    ///
    /// See [`PipeConn::set_deadline`].
    ///
    /// Go: net/pipe.go pipe.SetReadDeadline
    pub fn set_read_deadline(&self, t: Option<Instant>) -> io::Result<()> {
        check_started(t.is_some())?;
        self.incoming.set_read_deadline(t).map_err(|fail| error("set", fail, 0))
    }

    /// As [`PipeConn::set_deadline`], for writes only.
    ///
    /// # Errors
    ///
    /// As [`PipeConn::set_deadline`].
    ///
    /// # Examples
    ///
    /// See [`PipeConn::set_deadline`].
    ///
    /// Go: net/pipe.go pipe.SetWriteDeadline
    pub fn set_write_deadline(&self, t: Option<Instant>) -> io::Result<()> {
        check_started(t.is_some())?;
        self.outgoing.set_write_deadline(t).map_err(|fail| error("set", fail, 0))
    }

    /// Puts this end under `ctx` for as long as the guard lives: see
    /// [`TcpConn::attach_context`](crate::TcpConn::attach_context).
    ///
    /// # Errors
    ///
    /// This end is closed; the runtime is not started.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::context::Context;
    ///
    /// let (a, _b) = gopark_net::pipe();
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// let _guard = a.attach_context(&ctx)?;
    /// cancel.cancel();
    /// assert!(gopark_net::is_canceled(&a.read(&mut [0]).unwrap_err()));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn attach_context(&self, ctx: &Context) -> io::Result<ContextGuard> {
        self.incoming.check_reader().map_err(|fail| error("set", fail, 0))?;
        check_started(!ctx.never_done())?;
        Ok(ContextGuard::of_pipe(ctx, Cancel::new(&self.incoming, &self.outgoing)))
    }
}

impl Drop for PipeConn {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

/// Both ends look the same, so there is nothing more to say than which states they are in.
impl fmt::Debug for PipeConn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeConn")
            .field("closed", &self.incoming.check_reader().is_err())
            .finish_non_exhaustive()
    }
}

/// Without the runtime there is nobody who looks at the clock, or runs what a context starts.
fn check_started(needed: bool) -> io::Result<()> {
    if !needed || gopark_poll::is_installed() {
        return Ok(());
    }
    Err(OpError::new("set", PIPE, Cause::NotStarted).into())
}

/// A closed pipe is bare, everything else is an `OpError`, as in Go.
#[cold]
fn error(op: &'static str, fail: Fail, written: usize) -> io::Error {
    let cause = match fail {
        Fail::ClosedHere => return ClosedPipeError { written, here: true }.into(),
        Fail::ClosedThere => return ClosedPipeError { written, here: false }.into(),
        Fail::Timeout => Cause::Timeout,
        Fail::Canceled => Cause::Canceled,
    };
    OpError { written, ..OpError::new(op, PIPE, cause) }.into()
}
