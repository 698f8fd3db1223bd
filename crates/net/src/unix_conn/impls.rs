//! `UnixConn` in the terms of std.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};

use super::UnixConn;

/// For `UnixConn` and for `&UnixConn`, as in std.
macro_rules! impl_read_write {
    ($($stream:ty),*) => {$(
        impl Read for $stream {
            #[inline]
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                UnixConn::read(self, buf)
            }

            fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                UnixConn::read_vectored(self, bufs)
            }
        }

        impl Write for $stream {
            #[inline]
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                UnixConn::write(self, buf)
            }

            fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                UnixConn::write_vectored(self, bufs)
            }

            /// Go's `Write`: with the lock held throughout, and the count in the error.
            #[inline]
            fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
                UnixConn::write_all(self, buf)
            }

            /// Nothing is buffered.
            #[inline]
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
    )*};
}

impl_read_write!(UnixConn, &UnixConn);
