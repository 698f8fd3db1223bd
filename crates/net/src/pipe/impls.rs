//! `PipeConn` in the terms of std and of `Conn`.

use std::io::{self, Read, Write};
use std::time::Instant;

use gopark_sched::context::Context;

use super::PipeConn;
use crate::{Addr, Conn, ContextGuard};

impl Conn for PipeConn {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        PipeConn::read(self, buf)
    }

    fn write(&self, buf: &[u8]) -> io::Result<usize> {
        PipeConn::write(self, buf)
    }

    fn write_all(&self, buf: &[u8]) -> io::Result<()> {
        PipeConn::write_all(self, buf)
    }

    fn close(&self) -> io::Result<()> {
        PipeConn::close(self)
    }

    fn local_addr(&self) -> Addr {
        PipeConn::local_addr(self)
    }

    fn remote_addr(&self) -> Addr {
        PipeConn::remote_addr(self)
    }

    fn set_deadline(&self, t: Option<Instant>) -> io::Result<()> {
        PipeConn::set_deadline(self, t)
    }

    fn set_read_deadline(&self, t: Option<Instant>) -> io::Result<()> {
        PipeConn::set_read_deadline(self, t)
    }

    fn set_write_deadline(&self, t: Option<Instant>) -> io::Result<()> {
        PipeConn::set_write_deadline(self, t)
    }

    fn attach_context(&self, ctx: &Context) -> io::Result<ContextGuard> {
        PipeConn::attach_context(self, ctx)
    }
}

/// For `PipeConn` and for `&PipeConn`, as for a socket in std.
macro_rules! impl_read_write {
    ($($stream:ty),*) => {$(
        impl Read for $stream {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                PipeConn::read(self, buf)
            }
        }

        impl Write for $stream {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                PipeConn::write(self, buf)
            }

            fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
                PipeConn::write_all(self, buf)
            }

            /// Nothing is buffered.
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
    )*};
}

impl_read_write!(PipeConn, &PipeConn);
