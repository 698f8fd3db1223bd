//! What every kind of connection has, written once: deadlines, timeouts, waiting for readiness, contexts, clones, the
//! descriptor. Go: the `conn` of `net/net.go`, which its connections embed.
//!
//! Macros, and not a struct that the types deref to: std's conventions ask for inherent methods, which is also where
//! documentation and completion look for them; and `Deref` would let a method of the inner type stand in for one that
//! a kind of connection does not have.
//!
//! A type that uses them has the fields `fd: NetFd<A>`, `read_timeout` and `write_timeout`, both [`Timeout`], and a
//! method `clone_with(&self, NetFd<A>)` that makes another of its kind of a duplicate of its descriptor.
//!
//! [`Timeout`]: crate::timeout::Timeout

/// The methods of `$conn`. `$make` is an expression for the examples, as text: something that makes a `$conn`.
///
/// | method | Go |
/// |---|---|
/// | `close`, `set_deadline`, `set_read_deadline`, `set_write_deadline` | the same of `conn` |
/// | `set_read_timeout`, `set_write_timeout`, `read_timeout`, `write_timeout`, `set_nonblocking`, `take_error` | std's |
/// | `set_read_buffer`, `set_write_buffer`, `read_buffer`, `write_buffer`, `fd`, `try_clone` | the same; `SyscallConn`, `File` |
/// | `readable`, `writable`, and their `poll_` and `_async` forms, `on_readable` | none |
/// | `with_context`, `attach_context` | none |
/// | for this crate: `net_fd`, `begin_read`, `begin_write`, `begin_poll_read`, `begin_poll_write` | |
macro_rules! conn_methods {
    ($conn:ident, $addr:ty, $make:literal) => {
        $crate::conn_methods::close_and_deadlines!($conn, $make);
        $crate::conn_methods::timeouts!($conn, $make);
        $crate::conn_methods::readiness!($conn, $make);
        $crate::conn_methods::contexts!($conn, $make);
        $crate::conn_methods::socket!($conn, $addr, $make);
        $crate::raw_conn::raw_methods!($conn, $make);
    };
}

macro_rules! close_and_deadlines {
    ($conn:ident, $make:literal) => {
        impl $conn {
            /// Closes it: every call in progress, on whichever goroutine or thread, fails with the closed error. When
            /// this returns, the descriptor is free.
            ///
            /// # Errors
            ///
            /// The closed error the second time; what close(2) says. It is closed in any case.
            ///
            /// # Examples
            ///
            /// ```no_run
            #[doc = concat!("let conn = ", $make, ";")]
            /// conn.close()?;
            /// assert!(gopark_net::is_closed(&conn.close().unwrap_err()));
            /// # std::io::Result::Ok(())
            /// ```
            ///
            /// Go: net/net.go conn.Close
            pub fn close(&self) -> ::std::io::Result<()> {
                self.fd.close()
            }

            /// The time after which reads and writes fail with `TimedOut`: those in progress too, and even if they
            /// would not have to wait. `None`: never. It stays until it is set again; a later one, or none, makes
            /// everything work again. Ends the timeouts set by `set_read_timeout` and `set_write_timeout`.
            ///
            /// # Errors
            ///
            /// It is closed.
            ///
            /// # Examples
            ///
            /// ```no_run
            /// use std::time::{Duration, Instant};
            ///
            #[doc = concat!("let conn = ", $make, ";")]
            /// conn.set_deadline(Some(Instant::now() + Duration::from_secs(10)))?;
            /// # std::io::Result::Ok(())
            /// ```
            ///
            /// Go: net/net.go conn.SetDeadline
            pub fn set_deadline(&self, t: Option<::std::time::Instant>) -> ::std::io::Result<()> {
                self.read_timeout.set(None);
                self.write_timeout.set(None);
                self.fd.pfd.set_deadline(t).map_err(|e| self.fd.local_error(e))
            }

            /// As `set_deadline`, for reads only.
            ///
            /// # Errors
            ///
            /// It is closed.
            ///
            /// # Examples
            ///
            /// ```no_run
            /// use std::time::{Duration, Instant};
            ///
            #[doc = concat!("let conn = ", $make, ";")]
            /// conn.set_read_deadline(Some(Instant::now() + Duration::from_secs(10)))?;
            /// # std::io::Result::Ok(())
            /// ```
            ///
            /// Go: net/net.go conn.SetReadDeadline
            pub fn set_read_deadline(&self, t: Option<::std::time::Instant>) -> ::std::io::Result<()> {
                self.read_timeout.set(None);
                self.fd.pfd.set_read_deadline(t).map_err(|e| self.fd.local_error(e))
            }

            /// As `set_deadline`, for writes only.
            ///
            /// # Errors
            ///
            /// It is closed.
            ///
            /// # Examples
            ///
            /// ```no_run
            /// use std::time::{Duration, Instant};
            ///
            #[doc = concat!("let conn = ", $make, ";")]
            /// conn.set_write_deadline(Some(Instant::now() + Duration::from_secs(10)))?;
            /// # std::io::Result::Ok(())
            /// ```
            ///
            /// Go: net/net.go conn.SetWriteDeadline
            pub fn set_write_deadline(&self, t: Option<::std::time::Instant>) -> ::std::io::Result<()> {
                self.write_timeout.set(None);
                self.fd.pfd.set_write_deadline(t).map_err(|e| self.fd.local_error(e))
            }
        }
    };
}

macro_rules! timeouts {
    ($conn:ident, $make:literal) => {
        impl $conn {
            /// How long each read may wait, from its beginning. `None`: for ever. Replaces the read deadline.
            ///
            /// Two reads at a time share one limit, that of the later one. Futures are many calls and have none: see
            /// [`future::timeout`](crate::future::timeout).
            ///
            /// # Errors
            ///
            /// `InvalidInput` if `timeout` is zero; it is closed.
            ///
            /// # Examples
            ///
            /// ```no_run
            /// use std::time::Duration;
            ///
            #[doc = concat!("let conn = ", $make, ";")]
            /// conn.set_read_timeout(Some(Duration::from_secs(10)))?;
            /// # std::io::Result::Ok(())
            /// ```
            pub fn set_read_timeout(&self, timeout: Option<::std::time::Duration>) -> ::std::io::Result<()> {
                $crate::timeout::check_timeout(timeout)?;
                self.set_read_deadline(None)?;
                self.read_timeout.set(timeout);
                Ok(())
            }

            /// How long each write may wait, from its beginning. `None`: for ever. Replaces the write deadline.
            ///
            /// # Errors
            ///
            /// As `set_read_timeout`.
            ///
            /// # Examples
            ///
            /// ```no_run
            /// use std::time::Duration;
            ///
            #[doc = concat!("let conn = ", $make, ";")]
            /// conn.set_write_timeout(Some(Duration::from_secs(10)))?;
            /// # std::io::Result::Ok(())
            /// ```
            pub fn set_write_timeout(&self, timeout: Option<::std::time::Duration>) -> ::std::io::Result<()> {
                $crate::timeout::check_timeout(timeout)?;
                self.set_write_deadline(None)?;
                self.write_timeout.set(timeout);
                Ok(())
            }

            /// The timeout set by `set_read_timeout`.
            ///
            /// # Errors
            ///
            /// None; the result is std's.
            ///
            /// # Examples
            ///
            /// ```no_run
            #[doc = concat!("let conn = ", $make, ";")]
            /// assert_eq!(conn.read_timeout()?, None);
            /// # std::io::Result::Ok(())
            /// ```
            pub fn read_timeout(&self) -> ::std::io::Result<Option<::std::time::Duration>> {
                Ok(self.read_timeout.get())
            }

            /// The timeout set by `set_write_timeout`.
            ///
            /// # Errors
            ///
            /// None; the result is std's.
            ///
            /// # Examples
            ///
            /// ```no_run
            #[doc = concat!("let conn = ", $make, ";")]
            /// assert_eq!(conn.write_timeout()?, None);
            /// # std::io::Result::Ok(())
            /// ```
            pub fn write_timeout(&self) -> ::std::io::Result<Option<::std::time::Duration>> {
                Ok(self.write_timeout.get())
            }

            /// Before each read.
            #[inline]
            pub(crate) fn begin_read(&self) -> ::std::io::Result<()> {
                match self.read_timeout.deadline() {
                    None => Ok(()),
                    Some(deadline) => {
                        let set = self.fd.pfd.set_read_deadline(deadline);
                        set.map_err(|e| self.fd.wrap("read", "read", e))
                    }
                }
            }

            /// Before each write.
            #[inline]
            pub(crate) fn begin_write(&self) -> ::std::io::Result<()> {
                match self.write_timeout.deadline() {
                    None => Ok(()),
                    Some(deadline) => {
                        let set = self.fd.pfd.set_write_deadline(deadline);
                        set.map_err(|e| self.fd.wrap("write", "write", e))
                    }
                }
            }

            /// Before each poll of a future. A time limit for each call makes no sense there, and the time of the last
            /// call must not count.
            #[inline]
            pub(crate) fn begin_poll_read(&self) -> ::std::io::Result<()> {
                if self.read_timeout.get().is_none() {
                    return Ok(());
                }
                self.fd.pfd.set_read_deadline(None).map_err(|e| self.fd.wrap("read", "read", e))
            }

            /// As `begin_poll_read`.
            #[inline]
            pub(crate) fn begin_poll_write(&self) -> ::std::io::Result<()> {
                if self.write_timeout.get().is_none() {
                    return Ok(());
                }
                self.fd.pfd.set_write_deadline(None).map_err(|e| self.fd.wrap("write", "write", e))
            }
        }
    };
}

macro_rules! readiness {
    ($conn:ident, $make:literal) => {
        impl $conn {
            /// Waits until a read would not wait. Without a buffer, so that what is idle needs none (golang/go#15735).
            ///
            /// # Errors
            ///
            /// It is closed, or the deadline passed.
            ///
            /// # Examples
            ///
            /// ```no_run
            #[doc = concat!("let conn = ", $make, ";")]
            /// conn.readable()?;
            /// # std::io::Result::Ok(())
            /// ```
            pub fn readable(&self) -> ::std::io::Result<()> {
                self.begin_read()?;
                self.fd.pfd.readable().map_err(|e| self.fd.wrap("read", "poll", e))
            }

            /// Waits until a write would not wait.
            ///
            /// # Errors
            ///
            /// It is closed, or the deadline passed.
            ///
            /// # Examples
            ///
            /// ```no_run
            #[doc = concat!("let conn = ", $make, ";")]
            /// conn.writable()?;
            /// # std::io::Result::Ok(())
            /// ```
            pub fn writable(&self) -> ::std::io::Result<()> {
                self.begin_write()?;
                self.fd.pfd.writable().map_err(|e| self.fd.wrap("write", "poll", e))
            }

            /// `readable` for a future. Of several wakers that of the last call counts; for more about this and the
            /// other methods that begin with `poll_`, see [`TcpConn`](crate::TcpConn#futures).
            ///
            /// # Errors
            ///
            /// As `readable`.
            ///
            /// # Examples
            ///
            /// ```no_run
            /// use std::future::poll_fn;
            /// use gopark_net::block_on;
            ///
            #[doc = concat!("let conn = ", $make, ";")]
            /// block_on(poll_fn(|cx| conn.poll_readable(cx)))?;
            /// # std::io::Result::Ok(())
            /// ```
            pub fn poll_readable(
                &self,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                self.begin_poll_read()?;
                self.fd.pfd.poll_read_ready(cx).map_err(|e| self.fd.wrap("read", "poll", e))
            }

            /// `writable` for a future.
            ///
            /// # Errors
            ///
            /// As `writable`.
            ///
            /// # Examples
            ///
            /// ```no_run
            /// use std::future::poll_fn;
            /// use gopark_net::block_on;
            ///
            #[doc = concat!("let conn = ", $make, ";")]
            /// block_on(poll_fn(|cx| conn.poll_writable(cx)))?;
            /// # std::io::Result::Ok(())
            /// ```
            pub fn poll_writable(
                &self,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                self.begin_poll_write()?;
                self.fd.pfd.poll_write_ready(cx).map_err(|e| self.fd.wrap("write", "poll", e))
            }

            /// `readable` as a future. Dropping it ends the wait and leaves nothing behind.
            ///
            /// # Errors
            ///
            /// As `readable`.
            ///
            /// # Examples
            ///
            /// ```no_run
            /// use gopark_net::block_on;
            ///
            #[doc = concat!("let conn = ", $make, ";")]
            /// block_on(conn.readable_async())?;
            /// # std::io::Result::Ok(())
            /// ```
            pub async fn readable_async(&self) -> ::std::io::Result<()> {
                self.begin_poll_read()?;
                let ready = self.fd.pfd.ready(::gopark_poll::Mode::Read).await;
                ready.map_err(|e| self.fd.wrap("read", "poll", e))
            }

            /// `writable` as a future. Dropping it ends the wait and leaves nothing behind.
            ///
            /// # Errors
            ///
            /// As `writable`.
            ///
            /// # Examples
            ///
            /// ```no_run
            /// use gopark_net::block_on;
            ///
            #[doc = concat!("let conn = ", $make, ";")]
            /// block_on(conn.writable_async())?;
            /// # std::io::Result::Ok(())
            /// ```
            pub async fn writable_async(&self) -> ::std::io::Result<()> {
                self.begin_poll_write()?;
                let ready = self.fd.pfd.ready(::gopark_poll::Mode::Write).await;
                ready.map_err(|e| self.fd.wrap("write", "poll", e))
            }

            /// Starts a goroutine that runs `f` when a read would not wait. Until then what waits costs neither a
            /// goroutine nor a stack. `f` gets an error if it was closed or the read deadline has passed. See
            /// [`TcpConn::on_readable`](crate::TcpConn::on_readable).
            ///
            /// # Examples
            ///
            /// ```no_run
            /// use std::sync::Arc;
            ///
            #[doc = concat!("let conn = Arc::new(", $make, ");")]
            /// conn.on_readable(|conn, ready| println!("{conn:?}: {ready:?}"));
            /// # std::io::Result::Ok(())
            /// ```
            #[track_caller]
            pub fn on_readable<F>(self: ::std::sync::Arc<Self>, f: F)
            where
                F: FnOnce(::std::sync::Arc<Self>, ::std::io::Result<()>) + Send + 'static,
            {
                fn fd(conn: &::std::sync::Arc<$conn>) -> &::gopark_poll::Fd {
                    &conn.fd.pfd
                }
                // An error says that it is closed, and so will the descriptor.
                let _ = self.begin_poll_read();
                let caller = ::std::panic::Location::caller();
                ::gopark_poll::Fd::on_readable(self, fd, caller, move |conn, result| {
                    let result = result.map_err(|e| conn.fd.wrap("read", "poll", e));
                    f(conn, result);
                });
            }
        }
    };
}

macro_rules! contexts {
    ($conn:ident, $make:literal) => {
        impl $conn {
            /// The connection under `ctx`: once that is done, reads and writes fail, those in progress too, until what
            /// this returns is dropped. See [`TcpConn::with_context`](crate::TcpConn::with_context).
            ///
            /// # Errors
            ///
            /// It is closed.
            ///
            /// # Examples
            ///
            /// ```no_run
            /// use gopark_net::context::Context;
            ///
            /// let (ctx, _cancel) = Context::background().with_timeout(std::time::Duration::from_secs(2));
            #[doc = concat!("let conn = ", $make, ";")]
            /// let conn = conn.with_context(&ctx)?;
            /// conn.readable()?; // in two seconds
            /// # std::io::Result::Ok(())
            /// ```
            pub fn with_context(
                &self,
                ctx: &::gopark_sched::context::Context,
            ) -> ::std::io::Result<$crate::WithContext<'_, Self>> {
                Ok($crate::WithContext::new(self, self.attach_context(ctx)?))
            }

            /// As `with_context`, without the borrow: see [`TcpConn::attach_context`](crate::TcpConn::attach_context).
            ///
            /// # Errors
            ///
            /// It is closed.
            ///
            /// # Examples
            ///
            /// ```no_run
            /// use gopark_net::context::Context;
            ///
            /// let (ctx, cancel) = Context::background().with_cancel();
            #[doc = concat!("let conn = ", $make, ";")]
            /// let _guard = conn.attach_context(&ctx)?;
            /// conn.readable()?;
            /// # drop(cancel);
            /// # std::io::Result::Ok(())
            /// ```
            pub fn attach_context(
                &self,
                ctx: &::gopark_sched::context::Context,
            ) -> ::std::io::Result<$crate::ContextGuard> {
                use ::gopark_poll::Mode;
                $crate::ContextGuard::new(&self.fd, ctx, &[Mode::Read, Mode::Write])
            }
        }
    };
}

macro_rules! socket {
    ($conn:ident, $addr:ty, $make:literal) => {
        impl $conn {
            /// Another handle for the same socket, as in std: what one reads the other does not see, and it ends when
            /// both are closed. Each has deadlines, timeouts and locks of its own. To share one between goroutines an
            /// `Arc` is cheaper: no descriptor.
            ///
            /// # Errors
            ///
            /// It is closed, or no descriptor is free.
            ///
            /// # Examples
            ///
            /// ```no_run
            #[doc = concat!("let conn = ", $make, ";")]
            /// let other = conn.try_clone()?;
            /// # std::io::Result::Ok(())
            /// ```
            ///
            /// Go: net/net.go conn.File
            pub fn try_clone(&self) -> ::std::io::Result<Self> {
                let fd = self.fd.pfd.dup().map_err(|e| self.fd.wrap("file", "fcntl", e))?;
                // No hint: two descriptors that read from one socket take data from under each other.
                let kind = ::gopark_poll::FdKind { short_read_hint: false, ..self.fd.pfd.kind() };
                let fd = $crate::fd::NetFd::<$addr>::register_twin(fd, kind, &self.fd)
                    .map_err(|cause| self.fd.op_error("file", cause))?;
                let clone = self.clone_with(fd);
                clone.read_timeout.set(self.read_timeout.get());
                clone.write_timeout.set(self.write_timeout.get());
                Ok(clone)
            }

            /// Only here to say that it cannot be: every socket of this package is non-blocking below and looks
            /// blocking above, where a goroutine waits and no thread.
            ///
            /// # Errors
            ///
            /// `Unsupported` for `true`, with what to use instead. `false` is what it is already.
            ///
            /// # Examples
            ///
            /// ```no_run
            #[doc = concat!("let conn = ", $make, ";")]
            /// conn.set_nonblocking(false)?;
            /// assert!(conn.set_nonblocking(true).is_err());
            /// # std::io::Result::Ok(())
            /// ```
            pub fn set_nonblocking(&self, nonblocking: bool) -> ::std::io::Result<()> {
                $crate::conn_methods::check_nonblocking(nonblocking)
            }

            /// The pending error of the socket, which is cleared.
            ///
            /// # Errors
            ///
            /// It is closed.
            ///
            /// # Examples
            ///
            /// ```no_run
            #[doc = concat!("let conn = ", $make, ";")]
            /// assert!(conn.take_error()?.is_none());
            /// # std::io::Result::Ok(())
            /// ```
            pub fn take_error(&self) -> ::std::io::Result<Option<::std::io::Error>> {
                self.fd.option("getsockopt", |socket| socket.take_error())
            }

            /// Sets the size of the system's receive buffer, in bytes. The system may change it (Linux doubles it).
            ///
            /// # Errors
            ///
            /// It is closed, or the system says so.
            ///
            /// # Examples
            ///
            /// ```no_run
            #[doc = concat!("let conn = ", $make, ";")]
            /// conn.set_read_buffer(64 * 1024)?;
            /// # std::io::Result::Ok(())
            /// ```
            ///
            /// Go: net/net.go conn.SetReadBuffer
            pub fn set_read_buffer(&self, bytes: usize) -> ::std::io::Result<()> {
                self.fd.option("setsockopt", |socket| socket.set_recv_buffer_size(bytes))
            }

            /// Sets the size of the system's send buffer, in bytes. The system may change it (Linux doubles it).
            ///
            /// # Errors
            ///
            /// It is closed, or the system says so.
            ///
            /// # Examples
            ///
            /// ```no_run
            #[doc = concat!("let conn = ", $make, ";")]
            /// conn.set_write_buffer(64 * 1024)?;
            /// # std::io::Result::Ok(())
            /// ```
            ///
            /// Go: net/net.go conn.SetWriteBuffer
            pub fn set_write_buffer(&self, bytes: usize) -> ::std::io::Result<()> {
                self.fd.option("setsockopt", |socket| socket.set_send_buffer_size(bytes))
            }

            /// The size of the system's receive buffer, in bytes.
            ///
            /// # Errors
            ///
            /// It is closed, or the system says so.
            ///
            /// # Examples
            ///
            /// ```no_run
            #[doc = concat!("let conn = ", $make, ";")]
            /// assert!(conn.read_buffer()? > 0);
            /// # std::io::Result::Ok(())
            /// ```
            pub fn read_buffer(&self) -> ::std::io::Result<usize> {
                self.fd.option("getsockopt", |socket| socket.recv_buffer_size())
            }

            /// The size of the system's send buffer, in bytes.
            ///
            /// # Errors
            ///
            /// It is closed, or the system says so.
            ///
            /// # Examples
            ///
            /// ```no_run
            #[doc = concat!("let conn = ", $make, ";")]
            /// assert!(conn.write_buffer()? > 0);
            /// # std::io::Result::Ok(())
            /// ```
            pub fn write_buffer(&self) -> ::std::io::Result<usize> {
                self.fd.option("getsockopt", |socket| socket.send_buffer_size())
            }

            /// The descriptor, for calls that this crate does not have. It cannot be closed as long as the guard lives:
            /// `close` waits for that, so do not call it from the goroutine that holds the guard. The descriptor is
            /// non-blocking.
            ///
            /// There is no `AsFd` on the connection itself, since `close(&self)` could free the number under a
            /// `BorrowedFd`.
            ///
            /// # Errors
            ///
            /// It is closed.
            ///
            /// # Examples
            ///
            /// ```no_run
            /// use std::os::fd::AsFd;
            ///
            #[doc = concat!("let conn = ", $make, ";")]
            /// let guard = conn.fd()?;
            /// let fd = guard.as_fd();
            /// # std::io::Result::Ok(())
            /// ```
            ///
            /// Go: net/net.go conn.SyscallConn
            pub fn fd(&self) -> ::std::io::Result<::gopark_poll::FdGuard<'_>> {
                self.fd.pfd.fd().map_err(|e| self.fd.wrap("raw-control", "fd", e))
            }
        }

        /// The number, or -1 once it is closed. Another goroutine may close it at any time, and the number may then be
        /// somebody else's: `fd` is safe from that.
        impl ::std::os::fd::AsRawFd for $conn {
            fn as_raw_fd(&self) -> ::std::os::fd::RawFd {
                self.fd.raw()
            }
        }

        /// In non-blocking mode.
        ///
        /// # Panics
        ///
        /// If it is closed; `into_std` returns an error instead.
        impl From<$conn> for ::std::os::fd::OwnedFd {
            fn from(conn: $conn) -> ::std::os::fd::OwnedFd {
                conn.fd.pfd.into_owned().expect("the connection is not closed")
            }
        }
    };
}

/// `impl Conn` by the methods of the same names of `$conn`: `read`, `write`, `write_all`, `remote_addr`, and those of
/// [`conn_methods`]; `conn_addr` is the address of its end. A stream also
/// names the method that gives its [`Endpoint`](crate::Endpoint).
macro_rules! impl_conn {
    ($conn:ident $(, $endpoint:ident)?) => {
        impl $crate::Conn for $conn {
            fn read(&self, buf: &mut [u8]) -> ::std::io::Result<usize> {
                $conn::read(self, buf)
            }

            fn write(&self, buf: &[u8]) -> ::std::io::Result<usize> {
                $conn::write(self, buf)
            }

            fn write_all(&self, buf: &[u8]) -> ::std::io::Result<()> {
                $conn::write_all(self, buf)
            }

            fn close(&self) -> ::std::io::Result<()> {
                $conn::close(self)
            }

            fn local_addr(&self) -> $crate::Addr {
                $conn::conn_addr(self)
            }

            fn remote_addr(&self) -> $crate::Addr {
                $conn::remote_addr(self)
            }

            fn set_deadline(&self, t: Option<::std::time::Instant>) -> ::std::io::Result<()> {
                $conn::set_deadline(self, t)
            }

            fn set_read_deadline(&self, t: Option<::std::time::Instant>) -> ::std::io::Result<()> {
                $conn::set_read_deadline(self, t)
            }

            fn set_write_deadline(&self, t: Option<::std::time::Instant>) -> ::std::io::Result<()> {
                $conn::set_write_deadline(self, t)
            }

            fn attach_context(
                &self,
                ctx: &::gopark_sched::context::Context,
            ) -> ::std::io::Result<$crate::ContextGuard> {
                $conn::attach_context(self, ctx)
            }

            $(fn endpoint(&self) -> Option<$crate::Endpoint<'_>> {
                $conn::$endpoint(self)
            })?
        }
    };
}

/// `impl PacketConn` by the methods of the same names of `$conn`; `$kind` is the variant of [`Addr`](crate::Addr) that
/// it talks to, `$read_from` the method that says who sent a datagram.
macro_rules! impl_packet_conn {
    ($conn:ident, $kind:ident, $read_from:ident) => {
        impl $crate::PacketConn for $conn {
            fn read_from(&self, buf: &mut [u8]) -> ::std::io::Result<(usize, $crate::Addr)> {
                let (n, from) = $conn::$read_from(self, buf)?;
                Ok((n, from.into()))
            }

            fn write_to(&self, buf: &[u8], addr: &$crate::Addr) -> ::std::io::Result<usize> {
                match addr {
                    $crate::Addr::$kind(addr) => $conn::write_to(self, buf, addr.clone()),
                    other => {
                        // Go's text, which names no system call: none was made.
                        let cause = $crate::error::Cause::Other(Box::new(::gopark_sys::Errno::EINVAL));
                        Err(self.fd.op_error("write", cause).with_addr(Some(other.clone())).into())
                    }
                }
            }

            fn close(&self) -> ::std::io::Result<()> {
                $conn::close(self)
            }

            fn local_addr(&self) -> $crate::Addr {
                $crate::Conn::local_addr(self)
            }

            fn set_deadline(&self, t: Option<::std::time::Instant>) -> ::std::io::Result<()> {
                $conn::set_deadline(self, t)
            }

            fn set_read_deadline(&self, t: Option<::std::time::Instant>) -> ::std::io::Result<()> {
                $conn::set_read_deadline(self, t)
            }

            fn set_write_deadline(&self, t: Option<::std::time::Instant>) -> ::std::io::Result<()> {
                $conn::set_write_deadline(self, t)
            }

            fn attach_context(
                &self,
                ctx: &::gopark_sched::context::Context,
            ) -> ::std::io::Result<$crate::ContextGuard> {
                $conn::attach_context(self, ctx)
            }
        }
    };
}

pub(crate) use {close_and_deadlines, conn_methods, contexts, readiness, socket, timeouts};
pub(crate) use {impl_conn, impl_packet_conn};

/// What `set_nonblocking` says.
pub(crate) fn check_nonblocking(nonblocking: bool) -> std::io::Result<()> {
    if !nonblocking {
        return Ok(());
    }
    let text = "gopark's sockets cannot be set non-blocking, since a goroutine that waits holds no thread: use the \
                try_ calls, readable() and writable(), or a deadline";
    Err(std::io::Error::new(std::io::ErrorKind::Unsupported, text))
}
