//! What all connections and listeners have in common. Go: `net.Conn`, `net.Listener`.

use std::any::Any;
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use gopark_sched::context::Context;

use crate::{Addr, ContextGuard, Endpoint, Incoming};

/// A stream connection.
///
/// All of it by `&self`: one goroutine may read while another writes, and a third closes. Reads queue behind
/// each other, and so do writes. Share a connection with `Arc`, or borrow it in a [`scope`](crate::scope).
///
/// `&dyn Conn` and `Box<dyn Conn>` are `std::io::Read` and `std::io::Write`, so everything that takes those takes a
/// connection: `std::io::copy(&mut &*a, &mut &*b)`.
///
/// # Implementing it
///
/// 1. `read` returns `Ok(0)` at the end of the stream, and for an empty buffer; it waits for at least a byte.
/// 2. `write` takes at least a byte of a non-empty buffer; it returns an error only if it took none.
/// 3. `write_all` must not let another writer in between; override it if `write` alone cannot ensure that.
/// 4. `close` makes calls in progress, and later ones, fail with an error for which
///    [`is_closed`](crate::is_closed) holds.
/// 5. A deadline in the past makes calls in progress fail with `TimedOut`; a later one, or none, makes the
///    connection work again. A read deadline does not touch writes, nor the other way round.
///
/// # Examples
///
/// ```no_run
/// use gopark_net::Conn;
///
/// fn greet(conn: &dyn Conn) -> std::io::Result<()> {
///     conn.write_all(format!("hello, {}\n", conn.remote_addr()).as_bytes())
/// }
///
/// greet(&*gopark_net::dial("tcp", "localhost:7")?)
/// # ;std::io::Result::Ok(())
/// ```
///
/// Go: net/net.go Conn
pub trait Conn: Any + Send + Sync {
    /// Reads some bytes; waits for at least one. `Ok(0)` is the end, or `buf` is empty.
    ///
    /// # Errors
    ///
    /// The connection is closed, the deadline passed, or the system says so.
    fn read(&self, buf: &mut [u8]) -> io::Result<usize>;

    /// Writes some bytes of `buf` and returns how many; waits for room for at least one.
    ///
    /// # Errors
    ///
    /// Nothing was written. As for `read`.
    fn write(&self, buf: &[u8]) -> io::Result<usize>;

    /// Writes all of `buf`, with no other writer in between. Go: `Conn.Write`.
    ///
    /// # Errors
    ///
    /// As for `read`; part of `buf` may have been written, [`OpError::written`](crate::OpError::written) says
    /// how much.
    fn write_all(&self, buf: &[u8]) -> io::Result<()>;

    /// Closes the connection. Calls in progress fail.
    ///
    /// # Errors
    ///
    /// The connection is closed already, or the system says so; it is closed in any case.
    fn close(&self) -> io::Result<()>;

    /// The address of our end.
    fn local_addr(&self) -> Addr;

    /// The address of the peer.
    fn remote_addr(&self) -> Addr;

    /// The time after which reads and writes fail with `TimedOut`, also those in progress. `None`: never.
    ///
    /// # Errors
    ///
    /// The connection is closed.
    fn set_deadline(&self, t: Option<Instant>) -> io::Result<()>;

    /// As [`Conn::set_deadline`], for reads only.
    ///
    /// # Errors
    ///
    /// The connection is closed.
    fn set_read_deadline(&self, t: Option<Instant>) -> io::Result<()>;

    /// As [`Conn::set_deadline`], for writes only.
    ///
    /// # Errors
    ///
    /// The connection is closed.
    fn set_write_deadline(&self, t: Option<Instant>) -> io::Result<()>;

    /// Puts the connection under `ctx` for as long as the guard lives: see
    /// [`TcpConn::attach_context`](crate::TcpConn::attach_context).
    ///
    /// # Errors
    ///
    /// The connection is closed. `Unsupported`, unless the implementation overrides it: a guard comes only from a
    /// [`TcpConn`](crate::TcpConn), so one that wraps another connection passes the call on.
    fn attach_context(&self, _ctx: &Context) -> io::Result<ContextGuard> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The descriptor that this stands for, if it is a stream and nothing is done to the bytes on their way:
    /// [`copy`](crate::copy()) then moves them past the program's memory. One that wraps another passes the call on,
    /// and learns by [`Conn::note_past`] what went past it.
    fn endpoint(&self) -> Option<Endpoint<'_>> {
        None
    }

    /// So many bytes were read from, or written to, [`Conn::endpoint`], not by the methods of this connection.
    fn note_past(&self, read: u64, written: u64) {
        let _ = (read, written);
    }
}

/// Accepts stream connections.
///
/// # Implementing it
///
/// 1. `accept` waits for a connection. What is wrong with one connection must not end it; what is wrong with
///    the machine (too many open files) is an error for which [`is_temporary`](crate::is_temporary) holds.
/// 2. `close` makes calls in progress, and later ones, fail with an error for which
///    [`is_closed`](crate::is_closed) holds.
///
/// # Examples
///
/// ```no_run
/// use gopark_net::{Listener, go};
///
/// fn serve(ln: &dyn Listener) -> std::io::Result<()> {
///     for conn in ln.incoming() {
///         let conn = conn?;
///         go(move || conn.write_all(b"hello\n"));
///     }
///     Ok(())
/// }
/// # let _ = serve;
/// ```
///
/// Go: net/net.go Listener
pub trait Listener: Any + Send + Sync {
    /// Waits for a connection.
    ///
    /// # Errors
    ///
    /// The listener is closed, or the system says so.
    fn accept(&self) -> io::Result<Box<dyn Conn>>;

    /// Closes the listener. Calls in progress fail; connections that were not accepted are reset.
    ///
    /// # Errors
    ///
    /// The listener is closed already, or the system says so; it is closed in any case.
    fn close(&self) -> io::Result<()>;

    /// The address that it listens on, with the port that the system chose if it was left to it.
    fn addr(&self) -> Addr;

    /// Puts `accept` under `ctx` for as long as the guard lives: see
    /// [`TcpListener::attach_context`](crate::TcpListener::attach_context).
    ///
    /// # Errors
    ///
    /// As [`Conn::attach_context`].
    fn attach_context(&self, _ctx: &Context) -> io::Result<ContextGuard> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl dyn Conn {
    /// The concrete connection, if it is a `T`: to get at what not every connection has.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::TcpConn;
    ///
    /// let conn = gopark_net::dial("tcp", "localhost:7")?;
    /// if let Some(tcp) = conn.downcast_ref::<TcpConn>() {
    ///     tcp.set_nodelay(false)?;
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn downcast_ref<T: Conn>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref()
    }
}

impl dyn Listener {
    /// The concrete listener, if it is a `T`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::TcpListener;
    ///
    /// let ln = gopark_net::listen("tcp", "localhost:0")?;
    /// assert!(ln.downcast_ref::<TcpListener>().is_some());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn downcast_ref<T: Listener>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref()
    }

    /// The connections that arrive, one after the other; see
    /// [`TcpListener::incoming`](crate::TcpListener::incoming).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::listen("tcp", ":8080")?;
    /// for conn in ln.incoming() {
    ///     println!("{} is here", conn?.remote_addr());
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn incoming(&self) -> Incoming<'_, dyn Listener> {
        Incoming::new(self)
    }
}

/// The network and both addresses: `tcp:127.0.0.1:4000->127.0.0.1:80`.
impl fmt::Debug for dyn Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.local_addr();
        write!(f, "{}:{local}->{}", local.network(), self.remote_addr())
    }
}

/// The network and the address: `tcp:127.0.0.1:80`.
impl fmt::Debug for dyn Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addr = self.addr();
        write!(f, "{}:{addr}", addr.network())
    }
}

/// Passes every method on to what a smart pointer points to. So `Box<dyn Conn>` is itself a connection, and
/// with both this trait and `std::io::Read` in scope `conn.read(..)` needs no `mut`.
macro_rules! forward {
    ($($pointer:ident),*) => {$(
        impl<C: Conn + ?Sized> Conn for $pointer<C> {
            fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
                (**self).read(buf)
            }

            fn write(&self, buf: &[u8]) -> io::Result<usize> {
                (**self).write(buf)
            }

            fn write_all(&self, buf: &[u8]) -> io::Result<()> {
                (**self).write_all(buf)
            }

            fn close(&self) -> io::Result<()> {
                (**self).close()
            }

            fn local_addr(&self) -> Addr {
                (**self).local_addr()
            }

            fn remote_addr(&self) -> Addr {
                (**self).remote_addr()
            }

            fn set_deadline(&self, t: Option<Instant>) -> io::Result<()> {
                (**self).set_deadline(t)
            }

            fn set_read_deadline(&self, t: Option<Instant>) -> io::Result<()> {
                (**self).set_read_deadline(t)
            }

            fn set_write_deadline(&self, t: Option<Instant>) -> io::Result<()> {
                (**self).set_write_deadline(t)
            }

            fn attach_context(&self, ctx: &Context) -> io::Result<ContextGuard> {
                (**self).attach_context(ctx)
            }

            fn endpoint(&self) -> Option<Endpoint<'_>> {
                (**self).endpoint()
            }

            fn note_past(&self, read: u64, written: u64) {
                (**self).note_past(read, written);
            }
        }
    )*};
}

forward!(Box, Arc);

/// std's stream traits. Nothing is buffered, so `flush` has nothing to do.
macro_rules! impl_read_write {
    ($($stream:ty),*) => {$(
        impl Read for $stream {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                Conn::read(&**self, buf)
            }
        }

        impl Write for $stream {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                Conn::write(&**self, buf)
            }

            fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
                Conn::write_all(&**self, buf)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
    )*};
}

impl_read_write!(&dyn Conn, Box<dyn Conn>);
