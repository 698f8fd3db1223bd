//! What a reader or writer tells [`copy`](crate::copy()) about itself.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};

use gopark_poll::{Error, Fd};

/// A descriptor that bytes can be moved to or from without going through the program's memory.
///
/// From [`Conn::endpoint`](crate::Conn::endpoint), [`Source::read_end`] and [`Sink::write_end`].
#[derive(Copy, Clone)]
pub struct Endpoint<'a>(pub(super) Inner<'a>);

#[derive(Copy, Clone)]
pub(super) enum Inner<'a> {
    Stream(&'a dyn StreamEnd),
    File(&'a File),
}

impl<'a> Endpoint<'a> {
    pub(crate) fn stream(stream: &'a dyn StreamEnd) -> Endpoint<'a> {
        Endpoint(Inner::Stream(stream))
    }

    /// A file, at its own position.
    ///
    /// # Examples
    ///
    /// ```
    /// let file = std::fs::File::open("/dev/null")?;
    /// let end = gopark_net::Endpoint::file(&file);
    /// assert_eq!(format!("{end:?}"), "Endpoint(file)");
    /// # std::io::Result::Ok(())
    /// ```
    pub fn file(file: &'a File) -> Endpoint<'a> {
        Endpoint(Inner::File(file))
    }

    pub(crate) fn as_stream(&self) -> Option<&'a dyn StreamEnd> {
        match self.0 {
            Inner::Stream(stream) => Some(stream),
            Inner::File(_) => None,
        }
    }
}

impl std::fmt::Debug for Endpoint<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Inner::Stream(_) => "Endpoint(stream)",
            Inner::File(_) => "Endpoint(file)",
        })
    }
}

/// A stream socket of ours.
pub(crate) trait StreamEnd: Sync {
    fn fd(&self) -> &Fd;
    /// Moves the deadline, if there is a timeout.
    fn begin_read(&self) -> io::Result<()>;
    fn begin_write(&self) -> io::Result<()>;
    /// What `e` is to the user.
    fn error(&self, op: &'static str, syscall: &'static str, e: Error, written: usize) -> io::Error;
}

/// What [`copy`](crate::copy()) copies from: a reader that may stand for a descriptor.
///
/// With nothing but the defaults it is a reader like any other; [`Opaque`] makes one of any `Read`. A wrapper passes
/// [`read_end`](Source::read_end) on, and is told by [`took`](Source::took) of what went past its `read`. It is asked
/// again for each piece, so it may limit each ([`limit`](Source::limit)), and stop passing it on.
///
/// It is object-safe. Implemented for connections, their halves, files, `Box<dyn Conn>`, slices of bytes, and std's
/// `Take` (Go: `io.LimitedReader`), `BufReader` and `Cursor`.
///
/// # Examples
///
/// A reader that counts, and that [`copy`](crate::copy()) splices past all the same:
///
/// ```
/// use std::io::{self, Read};
/// use gopark_net::{Endpoint, Source};
///
/// struct Counting<R> {
///     inner: R,
///     bytes: u64,
/// }
///
/// impl<R: Source> Read for Counting<R> {
///     fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
///         let n = self.inner.read(buf)?;
///         self.bytes += n as u64;
///         Ok(n)
///     }
/// }
///
/// impl<R: Source> Source for Counting<R> {
///     fn read_end(&mut self) -> Option<Endpoint<'_>> {
///         self.inner.read_end()
///     }
///
///     fn limit(&self) -> u64 {
///         self.inner.limit()
///     }
///
///     fn took(&mut self, n: u64) {
///         self.bytes += n;
///         self.inner.took(n);
///     }
/// }
/// ```
pub trait Source: Read {
    /// What the bytes come from, if nothing is done to them on their way through `read`, and none is left over here but
    /// for [`buffered`](Source::buffered).
    fn read_end(&mut self) -> Option<Endpoint<'_>> {
        None
    }

    /// How many bytes there are at most from now on; what stops a copy before the end. Of what is buffered, too.
    fn limit(&self) -> u64 {
        u64::MAX
    }

    /// `n` bytes were taken from [`read_end`](Source::read_end), not by `read`.
    fn took(&mut self, n: u64) {
        let _ = n;
    }

    /// What was read ahead, and comes before what the descriptor has.
    fn buffered(&self) -> &[u8] {
        &[]
    }

    /// The first `n` bytes of [`buffered`](Source::buffered) were taken.
    fn consume_buffered(&mut self, n: usize) {
        let _ = n;
    }
}

/// What [`copy`](crate::copy()) copies to: a writer that may stand for a descriptor. See [`Source`].
///
/// Before anything goes past it, it is flushed.
///
/// # Examples
///
/// ```
/// use std::io::{self, Write};
/// use gopark_net::{Endpoint, Sink};
///
/// /// Sends at most so many bytes a piece.
/// struct Narrow<W>(W, usize);
///
/// impl<W: Sink> Write for Narrow<W> {
///     fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
///         let n = buf.len().min(self.1);
///         self.0.write(&buf[..n])
///     }
///
///     fn flush(&mut self) -> io::Result<()> {
///         self.0.flush()
///     }
/// }
///
/// /// With a rule of its own for each write, it does not pass the descriptor on.
/// impl<W: Sink> Sink for Narrow<W> {}
/// ```
pub trait Sink: Write {
    /// What the bytes go to, if nothing is done to them on their way through `write`.
    fn write_end(&mut self) -> Option<Endpoint<'_>> {
        None
    }

    /// `n` bytes were given to [`write_end`](Sink::write_end), not by `write`.
    fn gave(&mut self, n: u64) {
        let _ = n;
    }
}

/// Any reader or writer, as one about which [`copy`](crate::copy()) knows nothing: what comes out of `read` goes into
/// `write`.
///
/// # Examples
///
/// ```
/// use gopark_net::{Opaque, copy};
///
/// let mut text = String::new();
/// let mut chain = std::io::Read::chain(&b"hello, "[..], &b"world"[..]);
/// let mut all = Vec::new();
/// assert_eq!(copy(&mut all, &mut Opaque(&mut chain))?, 12);
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Opaque<T>(pub T);

impl<T: Read> Read for Opaque<T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.0.read_vectored(bufs)
    }
}

impl<T: Write> Write for Opaque<T> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<T: Read> Source for Opaque<T> {}
impl<T: Write> Sink for Opaque<T> {}
