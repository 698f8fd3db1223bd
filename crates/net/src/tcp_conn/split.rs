//! A connection in two halves, to read in one place and write in another.
//!
//! `&TcpConn` and `Arc<TcpConn>` do as well, and are what to use unless the end of the writer is to be the end of the
//! stream. Model: tokio's `TcpStream::split` and `into_split`.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::sync::Arc;

use super::TcpConn;

/// The reading half of a borrowed connection. See [`TcpConn::split`].
#[derive(Debug)]
pub struct ReadHalf<'a>(&'a TcpConn);

/// The writing half of a borrowed connection. See [`TcpConn::split`].
#[derive(Debug)]
pub struct WriteHalf<'a>(&'a TcpConn);

/// The reading half of a connection. See [`TcpConn::into_split`].
#[derive(Debug)]
pub struct OwnedReadHalf(Arc<TcpConn>);

/// The writing half of a connection. When it is dropped the peer finds the end of the stream. See
/// [`TcpConn::into_split`].
#[derive(Debug)]
pub struct OwnedWriteHalf(Option<Arc<TcpConn>>);

/// The halves given to [`OwnedReadHalf::reunite`] are not of one connection. Gives them back.
#[derive(Debug)]
pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the halves are of different connections")
    }
}

impl std::error::Error for ReuniteError {}

impl TcpConn {
    /// Two halves for as long as the connection is borrowed. Dropping them does nothing.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// let (mut from, mut to) = conn.split();
    /// std::io::copy(&mut from, &mut to)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn split(&self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        (ReadHalf(self), WriteHalf(self))
    }

    /// Two halves that can go to different goroutines. Dropping the writing half shuts down writing, as
    /// [`TcpConn::close_write`] does; dropping the reading half does nothing by itself; when both are gone the
    /// connection is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::io::{Read, Write};
    ///
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// let (mut from, mut to) = conn.into_split();
    /// let sent = gopark_net::spawn(move || to.write_all(b"question")); // and then the end
    /// let mut answer = Vec::new();
    /// from.read_to_end(&mut answer)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        let conn = Arc::new(self);
        (OwnedReadHalf(Arc::clone(&conn)), OwnedWriteHalf(Some(conn)))
    }
}

impl OwnedReadHalf {
    /// Puts a connection together again. Nothing is shut down.
    ///
    /// # Errors
    ///
    /// If the halves are of different connections.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::TcpConn::connect("127.0.0.1:7")?;
    /// let (from, to) = conn.into_split();
    /// let conn = from.reunite(to).expect("halves of one connection");
    /// # std::io::Result::Ok(())
    /// ```
    pub fn reunite(self, mut write: OwnedWriteHalf) -> Result<TcpConn, ReuniteError> {
        if !write.0.as_ref().is_some_and(|conn| Arc::ptr_eq(conn, &self.0)) {
            return Err(ReuniteError(self, write));
        }
        drop(write.0.take());
        // There are two references at most, one in each half, and neither can be cloned.
        Ok(Arc::into_inner(self.0).expect("the only reference is ours"))
    }
}

impl OwnedWriteHalf {
    /// Drops the half without the end of the stream: the connection stays open for writing until it is closed.
    pub fn forget(mut self) {
        drop(self.0.take());
    }
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        if let Some(conn) = self.0.take() {
            // It may be closed, or reset by the peer: then there is nothing to shut down.
            let _ = conn.close_write();
        }
    }
}

impl AsRef<TcpConn> for ReadHalf<'_> {
    fn as_ref(&self) -> &TcpConn {
        self.0
    }
}

impl AsRef<TcpConn> for WriteHalf<'_> {
    fn as_ref(&self) -> &TcpConn {
        self.0
    }
}

/// For addresses, deadlines and options; it reads and writes, too.
impl AsRef<TcpConn> for OwnedReadHalf {
    fn as_ref(&self) -> &TcpConn {
        &self.0
    }
}

/// For addresses, deadlines and options; it reads and writes, too.
impl AsRef<TcpConn> for OwnedWriteHalf {
    fn as_ref(&self) -> &TcpConn {
        self.0.as_ref().expect("taken only by what consumes the half")
    }
}

macro_rules! impl_read {
    ($($half:ty),*) => {$(
        impl Read for $half {
            #[inline]
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.as_ref().read(buf)
            }

            fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.as_ref().read_vectored(bufs)
            }
        }
    )*};
}

macro_rules! impl_write {
    ($($half:ty),*) => {$(
        impl Write for $half {
            #[inline]
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                self.as_ref().write(buf)
            }

            fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                self.as_ref().write_vectored(bufs)
            }

            /// As [`TcpConn::write_all`].
            #[inline]
            fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
                self.as_ref().write_all(buf)
            }

            /// Nothing is buffered.
            #[inline]
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
    )*};
}

impl_read!(ReadHalf<'_>, OwnedReadHalf);
impl_write!(WriteHalf<'_>, OwnedWriteHalf);
