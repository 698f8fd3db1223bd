//! The descriptor below a connection, with the waiting of the package. Go: `net/rawconn.go`, `syscall.RawConn`.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;

use gopark_poll::{Fd, Mode};
use gopark_sys::Errno;

use crate::error::{Cause, OpError};
use crate::fd::NetFd;
use crate::{Addr, TcpListener, UnixListener};

/// What a [`RawConn`] stands on.
pub(crate) trait RawTarget: Send + Sync {
    fn pfd(&self) -> &Fd;

    /// Before an operation that waits: the timeout for each call. An error is one of a listener, which has none.
    fn begin(&self, mode: Mode) -> io::Result<()>;

    fn raw_error(&self, op: &'static str, cause: Cause) -> io::Error;
}

/// A connection's descriptor for calls that this package does not have: with the locks, the deadlines and the waiting
/// of its own reads and writes. Made by `raw_conn` of a connection or listener.
///
/// The descriptor is non-blocking. It cannot be closed while a closure runs; `close` waits for that, so a closure must
/// not call it. From the first use on every read makes its system call: what the closure does to the socket may make a
/// short read that proves nothing.
///
/// # Examples
///
/// A call that this package does not make, as if it did:
///
/// ```no_run
/// use std::io::ErrorKind;
/// use socket2::SockRef;
///
/// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
/// let mut result = Ok(0);
/// conn.raw_conn().write(|fd| {
///     result = SockRef::from(&fd).send_out_of_band(b"!");
///     // False: not now, call again when there is room.
///     !matches!(&result, Err(e) if e.kind() == ErrorKind::WouldBlock)
/// })?;
/// println!("sent {} urgent byte", result?);
/// # std::io::Result::Ok(())
/// ```
///
/// Go: syscall.RawConn
#[derive(Copy, Clone)]
#[doc(alias = "SyscallConn")]
pub struct RawConn<'a>(&'a dyn RawTarget);

impl<'a> RawConn<'a> {
    pub(crate) fn new(target: &'a dyn RawTarget) -> RawConn<'a> {
        RawConn(target)
    }

    /// Runs `f` on the descriptor, which cannot be closed meanwhile, and returns what it returns.
    ///
    /// # Errors
    ///
    /// An [`OpError`] with op `raw-control`: it is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use socket2::SockRef;
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// let mss = conn.raw_conn().control(|fd| SockRef::from(&fd).tcp_mss())??;
    /// println!("segments of {mss} bytes");
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/rawconn.go rawConn.Control
    pub fn control<T>(&self, f: impl FnOnce(BorrowedFd<'_>) -> T) -> io::Result<T> {
        let result = self.0.pfd().raw_control(|fd| f(fd.as_fd()));
        result.map_err(|e| self.0.raw_error("raw-control", Cause::from_poll("fcntl", e)))
    }

    /// Runs `f` until it returns true, as the connection's reader: with the read lock held, within the read deadline,
    /// and between two calls waiting until the descriptor is ready to be read. So `f` should make a call that reads,
    /// and return false if that says `EAGAIN`.
    ///
    /// # Errors
    ///
    /// An [`OpError`] with op `raw-read`: it is closed, or the deadline passed, which may be before `f` has run at all.
    /// `EINVAL` on a listener, bare.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use socket2::SockRef;
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// // Waits for data, and takes none.
    /// conn.raw_conn().read(|fd| SockRef::from(&fd).peek(&mut [std::mem::MaybeUninit::uninit()]).is_ok())?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/rawconn.go rawConn.Read
    pub fn read(&self, mut f: impl FnMut(BorrowedFd<'_>) -> bool) -> io::Result<()> {
        self.0.begin(Mode::Read)?;
        let result = self.0.pfd().raw_read(|fd| f(fd.as_fd()));
        result.map_err(|e| self.0.raw_error("raw-read", Cause::from_poll("recvmsg", e)))
    }

    /// As [`RawConn::read`], as the connection's writer.
    ///
    /// # Errors
    ///
    /// An [`OpError`] with op `raw-write`, as [`RawConn::read`].
    ///
    /// # Examples
    ///
    /// See the example of [`RawConn`].
    ///
    /// Go: net/rawconn.go rawConn.Write
    pub fn write(&self, mut f: impl FnMut(BorrowedFd<'_>) -> bool) -> io::Result<()> {
        self.0.begin(Mode::Write)?;
        let result = self.0.pfd().raw_write(|fd| f(fd.as_fd()));
        result.map_err(|e| self.0.raw_error("raw-write", Cause::from_poll("sendmsg", e)))
    }
}

impl fmt::Debug for RawConn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RawConn").field(self.0.pfd()).finish()
    }
}

impl<A: Clone + Into<Addr>> NetFd<A> {
    /// Go names only our side for `Control`, and both for the two that wait.
    pub(crate) fn raw_error(&self, op: &'static str, cause: Cause) -> io::Error {
        if op != "raw-control" {
            return self.op_error(op, cause).into();
        }
        OpError::new(op, self.network.as_str(), cause).with_addr(Some(self.laddr.clone().into())).into()
    }

    /// A duplicate of the descriptor: what `file` returns.
    pub(crate) fn file(&self) -> io::Result<std::os::fd::OwnedFd> {
        self.pfd.dup().map_err(|e| self.wrap("file", "fcntl", e))
    }
}

/// A listener has nothing to read or write, and `accept` is what waits. Go: rawListener
macro_rules! raw_listeners {
    ($($listener:ty),*) => {$(
        impl RawTarget for $listener {
            fn pfd(&self) -> &Fd {
                &self.net_fd().pfd
            }

            fn begin(&self, _mode: Mode) -> io::Result<()> {
                Err(io::Error::from_raw_os_error(Errno::EINVAL.raw()))
            }

            fn raw_error(&self, op: &'static str, cause: Cause) -> io::Error {
                self.net_fd().raw_error(op, cause)
            }
        }
    )*};
}

raw_listeners!(TcpListener, UnixListener);

/// `raw_conn` and `file` of a connection that has `conn_methods!`' fields and methods.
macro_rules! raw_methods {
    ($conn:ident, $make:literal) => {
        impl $conn {
            /// The descriptor for calls that this package does not have, with its locks, deadlines and waiting.
            ///
            /// # Examples
            ///
            /// ```no_run
            #[doc = concat!("let conn = ", $make, ";")]
            /// let size = conn.raw_conn().control(|fd| socket2::SockRef::from(&fd).recv_buffer_size())??;
            /// # std::io::Result::Ok(())
            /// ```
            ///
            /// Go: net/net.go SyscallConn
            #[doc(alias = "SyscallConn")]
            pub fn raw_conn(&self) -> $crate::RawConn<'_> {
                $crate::RawConn::new(self)
            }

            /// A duplicate of the descriptor. Closing one does not close the other; what one reads the other does not
            /// see; and the mode is shared, so the duplicate is non-blocking (Go makes it blocking, and the
            /// connection with it, once its number is asked for: golang/go#24942).
            ///
            /// [`file_conn`](crate::file_conn) and [`file_packet_conn`](crate::file_packet_conn) make connections of
            /// descriptors.
            ///
            /// # Errors
            ///
            /// It is closed, or no descriptor is free.
            ///
            /// # Examples
            ///
            /// ```no_run
            #[doc = concat!("let conn = ", $make, ";")]
            /// let fd: std::os::fd::OwnedFd = conn.file()?;
            /// # std::io::Result::Ok(())
            /// ```
            ///
            /// Go: net/net.go conn.File
            pub fn file(&self) -> ::std::io::Result<::std::os::fd::OwnedFd> {
                self.fd.file()
            }
        }

        impl $crate::raw_conn::RawTarget for $conn {
            fn pfd(&self) -> &::gopark_poll::Fd {
                &self.fd.pfd
            }

            fn begin(&self, mode: ::gopark_poll::Mode) -> ::std::io::Result<()> {
                match mode {
                    ::gopark_poll::Mode::Read => self.begin_read(),
                    ::gopark_poll::Mode::Write => self.begin_write(),
                }
            }

            fn raw_error(&self, op: &'static str, cause: $crate::error::Cause) -> ::std::io::Error {
                self.fd.raw_error(op, cause)
            }
        }
    };
}
pub(crate) use raw_methods;
