//! What all sockets for datagrams have in common. Go: `net.PacketConn`.

use std::any::Any;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use gopark_sched::context::Context;

use crate::{Addr, ContextGuard};

/// A socket for datagrams that talks to anybody.
///
/// All of it by `&self`, as with [`Conn`](crate::Conn). A datagram that is longer than the buffer is cut; one of no
/// bytes is a datagram like any other.
///
/// # Implementing it
///
/// 1. `read_from` waits for a datagram and returns how many bytes of it are in the buffer, and who sent it. `Ok` with 0
///    bytes is an empty datagram and not an end.
/// 2. `write_to` sends the whole buffer as one datagram, or fails; it fails for an address of another kind.
/// 3. `close` makes calls in progress, and later ones, fail with an error for which
///    [`is_closed`](crate::is_closed) holds.
/// 4. A deadline in the past makes calls in progress fail with `TimedOut`; a later one, or none, makes the socket work
///    again. A read deadline does not touch writes, nor the other way round.
///
/// # Examples
///
/// ```no_run
/// use gopark_net::PacketConn;
///
/// fn echo(conn: &dyn PacketConn) -> std::io::Result<()> {
///     let mut buf = [0; 1500];
///     loop {
///         let (n, from) = conn.read_from(&mut buf)?;
///         conn.write_to(&buf[..n], &from)?;
///     }
/// }
///
/// echo(&*gopark_net::listen_packet("udp", ":7")?)
/// # ;std::io::Result::Ok(())
/// ```
///
/// Go: net/net.go PacketConn
pub trait PacketConn: Any + Send + Sync {
    /// Waits for a datagram; returns how many bytes of it are in `buf`, and who sent it.
    ///
    /// # Errors
    ///
    /// The socket is closed, the deadline passed, or the system says so.
    fn read_from(&self, buf: &mut [u8]) -> io::Result<(usize, Addr)>;

    /// Sends `buf` as one datagram to `addr`, and returns its length.
    ///
    /// # Errors
    ///
    /// As for `read_from`; the address is of another kind; the socket is connected.
    fn write_to(&self, buf: &[u8], addr: &Addr) -> io::Result<usize>;

    /// Closes the socket. Calls in progress fail.
    ///
    /// # Errors
    ///
    /// It is closed already, or the system says so; it is closed in any case.
    fn close(&self) -> io::Result<()>;

    /// The address that it is bound to.
    fn local_addr(&self) -> Addr;

    /// The time after which calls fail with `TimedOut`, also those in progress. `None`: never.
    ///
    /// # Errors
    ///
    /// The socket is closed.
    fn set_deadline(&self, t: Option<Instant>) -> io::Result<()>;

    /// As [`PacketConn::set_deadline`], for reads only.
    ///
    /// # Errors
    ///
    /// The socket is closed.
    fn set_read_deadline(&self, t: Option<Instant>) -> io::Result<()>;

    /// As [`PacketConn::set_deadline`], for writes only.
    ///
    /// # Errors
    ///
    /// The socket is closed.
    fn set_write_deadline(&self, t: Option<Instant>) -> io::Result<()>;

    /// Puts the socket under `ctx` for as long as the guard lives: see
    /// [`UdpConn::attach_context`](crate::UdpConn::attach_context).
    ///
    /// # Errors
    ///
    /// The socket is closed. `Unsupported`, unless the implementation overrides it.
    fn attach_context(&self, _ctx: &Context) -> io::Result<ContextGuard> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl dyn PacketConn {
    /// The concrete socket, if it is a `T`: to get at what not every one has.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::UdpConn;
    ///
    /// let conn = gopark_net::listen_packet("udp", ":0")?;
    /// if let Some(udp) = conn.downcast_ref::<UdpConn>() {
    ///     udp.set_ttl(1)?;
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn downcast_ref<T: PacketConn>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref()
    }
}

/// The network and the address: `udp:127.0.0.1:53`.
impl fmt::Debug for dyn PacketConn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addr = self.local_addr();
        write!(f, "{}:{addr}", addr.network())
    }
}

/// Passes every method on to what a smart pointer points to.
macro_rules! forward {
    ($($pointer:ident),*) => {$(
        impl<C: PacketConn + ?Sized> PacketConn for $pointer<C> {
            fn read_from(&self, buf: &mut [u8]) -> io::Result<(usize, Addr)> {
                (**self).read_from(buf)
            }

            fn write_to(&self, buf: &[u8], addr: &Addr) -> io::Result<usize> {
                (**self).write_to(buf, addr)
            }

            fn close(&self) -> io::Result<()> {
                (**self).close()
            }

            fn local_addr(&self) -> Addr {
                (**self).local_addr()
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
        }
    )*};
}

forward!(Box, Arc);
