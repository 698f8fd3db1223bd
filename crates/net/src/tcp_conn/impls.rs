//! `TcpConn` in the terms of std and of `Conn`.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{IntoRawFd, OwnedFd, RawFd};
use std::time::Instant;

use gopark_sched::context::Context;

use super::TcpConn;
use crate::{Addr, Conn, ContextGuard, Endpoint};

impl Conn for TcpConn {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        TcpConn::read(self, buf)
    }

    fn write(&self, buf: &[u8]) -> io::Result<usize> {
        TcpConn::write(self, buf)
    }

    fn write_all(&self, buf: &[u8]) -> io::Result<()> {
        TcpConn::write_all(self, buf)
    }

    fn close(&self) -> io::Result<()> {
        TcpConn::close(self)
    }

    fn local_addr(&self) -> Addr {
        self.fd.laddr.into()
    }

    fn remote_addr(&self) -> Addr {
        TcpConn::remote_addr(self)
    }

    fn set_deadline(&self, t: Option<Instant>) -> io::Result<()> {
        TcpConn::set_deadline(self, t)
    }

    fn set_read_deadline(&self, t: Option<Instant>) -> io::Result<()> {
        TcpConn::set_read_deadline(self, t)
    }

    fn set_write_deadline(&self, t: Option<Instant>) -> io::Result<()> {
        TcpConn::set_write_deadline(self, t)
    }

    fn attach_context(&self, ctx: &Context) -> io::Result<ContextGuard> {
        TcpConn::attach_context(self, ctx)
    }

    fn endpoint(&self) -> Option<Endpoint<'_>> {
        TcpConn::stream_endpoint(self)
    }
}

/// For `TcpConn` and for `&TcpConn`, as in std.
macro_rules! impl_read_write {
    ($($stream:ty),*) => {$(
        impl Read for $stream {
            #[inline]
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                TcpConn::read(self, buf)
            }

            fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                TcpConn::read_vectored(self, bufs)
            }
        }

        impl Write for $stream {
            #[inline]
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                TcpConn::write(self, buf)
            }

            fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                TcpConn::write_vectored(self, bufs)
            }

            /// Go's `Write`: with the lock held throughout, and the count in the error.
            #[inline]
            fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
                TcpConn::write_all(self, buf)
            }

            /// Nothing is buffered.
            #[inline]
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
    )*};
}

impl_read_write!(TcpConn, &TcpConn);

/// Takes over a connected socket. See [`TcpConn::from_std`].
impl TryFrom<OwnedFd> for TcpConn {
    type Error = io::Error;

    fn try_from(fd: OwnedFd) -> io::Result<TcpConn> {
        TcpConn::from_std(fd.into())
    }
}

/// As [`TcpConn::from_std`].
impl TryFrom<std::net::TcpStream> for TcpConn {
    type Error = io::Error;

    fn try_from(conn: std::net::TcpStream) -> io::Result<TcpConn> {
        TcpConn::from_std(conn)
    }
}

/// In non-blocking mode; whoever has the number must close it.
///
/// # Panics
///
/// If the connection is closed.
impl IntoRawFd for TcpConn {
    fn into_raw_fd(self) -> RawFd {
        OwnedFd::from(self).into_raw_fd()
    }
}
