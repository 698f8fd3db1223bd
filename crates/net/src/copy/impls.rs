//! [`Source`] and [`Sink`] of the readers and writers that there are.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Cursor, Empty, Read, Take, Write};

use gopark_poll::{Error, Fd};

use super::ends::StreamEnd;
use super::{Copied, Endpoint, Ops, Sink, Source, run, send_file_at};
use crate::error::{Cause, OpError};
use crate::{
    Conn, OwnedReadHalf, OwnedWriteHalf, PipeConn, ReadHalf, TcpConn, UnixConn, WithContext, WriteHalf,
};

/// A stream socket: its descriptor, and itself.
macro_rules! stream {
    ($Conn:ident) => {
        impl StreamEnd for $Conn {
            fn fd(&self) -> &Fd {
                &self.net_fd().pfd
            }

            fn begin_read(&self) -> io::Result<()> {
                self.begin_read()
            }

            fn begin_write(&self) -> io::Result<()> {
                self.begin_write()
            }

            #[cold]
            fn error(
                &self,
                op: &'static str,
                syscall: &'static str,
                e: Error,
                written: usize,
            ) -> io::Error {
                OpError { written, ..self.stream_error(op, Cause::from_poll(syscall, e)) }.into()
            }
        }

        by_conn!($Conn, this => this);
        by_conn!(&$Conn, this => &**this);
    };
}

/// What is a `Conn`, or leads to one: by [`Conn::endpoint`].
macro_rules! by_conn {
    ($(@[$($generics:tt)*])? $Conn:ty, $this:ident => $conn:expr $(, where $($bounds:tt)*)?) => {
        impl $(<$($generics)*>)? Source for $Conn $(where $($bounds)*)? {
            fn read_end(&mut self) -> Option<Endpoint<'_>> {
                let $this = self;
                Conn::endpoint($conn)
            }

            fn took(&mut self, n: u64) {
                let $this = self;
                Conn::note_past($conn, n, 0);
            }
        }

        impl $(<$($generics)*>)? Sink for $Conn $(where $($bounds)*)? {
            fn write_end(&mut self) -> Option<Endpoint<'_>> {
                let $this = self;
                Conn::endpoint($conn)
            }

            fn gave(&mut self, n: u64) {
                let $this = self;
                Conn::note_past($conn, 0, n);
            }
        }
    };
}

stream!(TcpConn);
stream!(UnixConn);

impl TcpConn {
    pub(crate) fn stream_endpoint(&self) -> Option<Endpoint<'_>> {
        Some(Endpoint::stream(self))
    }

    fn stream_error(&self, op: &'static str, cause: Cause) -> OpError {
        self.net_fd().op_error(op, cause)
    }
}

impl UnixConn {
    /// Not of datagrams and packets, whose bounds a pipe does not keep.
    ///
    /// Go: net/splice_linux.go spliceFrom
    pub(crate) fn stream_endpoint(&self) -> Option<Endpoint<'_>> {
        self.net_fd().pfd.kind().stream.then(|| Endpoint::stream(self))
    }

    fn stream_error(&self, op: &'static str, cause: Cause) -> OpError {
        self.op_error(op, cause)
    }
}

by_conn!(PipeConn, this => this);
by_conn!(&PipeConn, this => *this);
by_conn!(&dyn Conn, this => *this);
by_conn!(Box<dyn Conn>, this => &**this);
by_conn!(@[T: Conn] WithContext<'_, T>, this => &**this, where for<'a> &'a T: Read + Write);

/// The halves of a connection stand for the connection.
macro_rules! half {
    ($Trait:ident, $end:ident, $($Half:ty),*) => {$(
        impl $Trait for $Half {
            fn $end(&mut self) -> Option<Endpoint<'_>> {
                Conn::endpoint(AsRef::<TcpConn>::as_ref(self))
            }
        }
    )*};
}

half!(Source, read_end, ReadHalf<'_>, OwnedReadHalf);
half!(Sink, write_end, WriteHalf<'_>, OwnedWriteHalf);

macro_rules! files {
    ($($File:ty, $this:ident => $file:expr);*) => {$(
        impl Source for $File {
            fn read_end(&mut self) -> Option<Endpoint<'_>> {
                let $this = self;
                Some(Endpoint::file($file))
            }
        }

        impl Sink for $File {
            fn write_end(&mut self) -> Option<Endpoint<'_>> {
                let $this = self;
                Some(Endpoint::file($file))
            }
        }
    )*};
}

files!(File, this => this; &File, this => *this);

impl<T: Source + ?Sized> Source for &mut T {
    fn read_end(&mut self) -> Option<Endpoint<'_>> {
        (**self).read_end()
    }

    fn limit(&self) -> u64 {
        (**self).limit()
    }

    fn took(&mut self, n: u64) {
        (**self).took(n);
    }

    fn buffered(&self) -> &[u8] {
        (**self).buffered()
    }

    fn consume_buffered(&mut self, n: usize) {
        (**self).consume_buffered(n);
    }
}

impl<T: Sink + ?Sized> Sink for &mut T {
    fn write_end(&mut self) -> Option<Endpoint<'_>> {
        (**self).write_end()
    }

    fn gave(&mut self, n: u64) {
        (**self).gave(n);
    }
}

/// Go: io.LimitedReader
impl<T: Source> Source for Take<T> {
    fn read_end(&mut self) -> Option<Endpoint<'_>> {
        self.get_mut().read_end()
    }

    fn limit(&self) -> u64 {
        Take::limit(self).min(self.get_ref().limit())
    }

    fn took(&mut self, n: u64) {
        self.set_limit(Take::limit(self).saturating_sub(n));
        self.get_mut().took(n);
    }

    fn buffered(&self) -> &[u8] {
        let buffered = self.get_ref().buffered();
        &buffered[..buffered.len().min(usize::try_from(Take::limit(self)).unwrap_or(usize::MAX))]
    }

    fn consume_buffered(&mut self, n: usize) {
        self.set_limit(Take::limit(self).saturating_sub(n as u64));
        self.get_mut().consume_buffered(n);
    }
}

/// First what it has read ahead; after that it stands for what it reads from.
impl<T: Source> Source for BufReader<T> {
    fn read_end(&mut self) -> Option<Endpoint<'_>> {
        // What lies ahead of the reader below comes first, but `buffered` can show only one piece.
        if self.get_ref().buffered().is_empty() { self.get_mut().read_end() } else { None }
    }

    fn limit(&self) -> u64 {
        self.get_ref().limit().saturating_add(self.buffer().len() as u64)
    }

    fn took(&mut self, n: u64) {
        self.get_mut().took(n);
    }

    fn buffered(&self) -> &[u8] {
        self.buffer()
    }

    fn consume_buffered(&mut self, n: usize) {
        self.consume(n);
    }
}

impl<T: Sink> Sink for BufWriter<T> {
    fn write_end(&mut self) -> Option<Endpoint<'_>> {
        self.get_mut().write_end()
    }

    fn gave(&mut self, n: u64) {
        self.get_mut().gave(n);
    }
}

impl Source for &[u8] {
    fn buffered(&self) -> &[u8] {
        self
    }

    fn consume_buffered(&mut self, n: usize) {
        *self = &self[n..];
    }
}

impl<T: AsRef<[u8]>> Source for Cursor<T> {
    fn buffered(&self) -> &[u8] {
        let bytes = self.get_ref().as_ref();
        &bytes[usize::try_from(self.position()).unwrap_or(usize::MAX).min(bytes.len())..]
    }

    fn consume_buffered(&mut self, n: usize) {
        self.set_position(self.position() + n as u64);
    }
}

impl Source for Empty {}
impl Source for io::Stdin {}
impl Source for io::StdinLock<'_> {}
impl Source for std::process::ChildStdout {}
impl Source for std::process::ChildStderr {}
impl Source for io::PipeReader {}
impl Sink for Vec<u8> {}
impl Sink for io::Sink {}
impl Sink for io::Stdout {}
impl Sink for io::StdoutLock<'_> {}
impl Sink for std::process::ChildStdin {}
impl Sink for io::PipeWriter {}

/// Copying to and from a stream, and `send_file`.
macro_rules! transfers {
    ($Conn:ident, $from:ident, $to:ident, $make:literal) => {
        impl $Conn {
            /// Writes all of `src` to the connection, to its end: [`copy`](crate::copy()) with this as its
            /// destination. Returns how many bytes it was.
            ///
            /// # Errors
            ///
            /// Those of [`copy`](crate::copy()); if it is this side that failed, [`OpError::written`](crate::OpError)
            /// says how much had been written, and the operation is `readfrom`.
            ///
            /// # Examples
            ///
            /// ```no_run
            #[doc = concat!("let conn = ", $make, ";")]
            #[doc = concat!("let sent = conn.", stringify!($from), "(&mut std::fs::File::open(\"page.html\")?)?;")]
            /// # std::io::Result::Ok(())
            /// ```
            ///
            /// Go: net/tcpsock.go TCPConn.ReadFrom
            #[doc(alias = "ReadFrom")]
            pub fn $from<R: Source + ?Sized>(&self, src: &mut R) -> io::Result<u64> {
                let mut copied = Copied::default();
                run(&mut &*self, &mut &mut *src, &mut copied, Ops { read: "read", write: "readfrom" })?;
                Ok(copied.written)
            }

            /// Reads the connection to its end, and writes it to `dst`: [`copy`](crate::copy()) with this as its
            /// source. Returns how many bytes it was.
            ///
            /// # Errors
            ///
            /// Those of [`copy`](crate::copy()); if it is this side that failed, the operation is `writeto`.
            ///
            /// # Examples
            ///
            /// ```no_run
            #[doc = concat!("let conn = ", $make, ";")]
            #[doc = concat!("let got = conn.", stringify!($to), "(&mut std::fs::File::create(\"page.html\")?)?;")]
            /// # std::io::Result::Ok(())
            /// ```
            ///
            /// Go: net/tcpsock.go TCPConn.WriteTo
            #[doc(alias = "WriteTo")]
            pub fn $to<W: Sink + ?Sized>(&self, dst: &mut W) -> io::Result<u64> {
                let mut copied = Copied::default();
                run(&mut &mut *dst, &mut &*self, &mut copied, Ops { read: "writeto", write: "write" })?;
                Ok(copied.written)
            }

            /// Sends `len` bytes of `file`, from `offset` on, or as many as there are; returns how many that was. With
            /// sendfile(2) on Linux, no other writer in between, and the file's own position left alone: many may send
            /// one file at a time. What the system refuses to send that way is read and written in pieces.
            ///
            /// # Errors
            ///
            /// Those of `write_all`, with the same count.
            ///
            /// # Examples
            ///
            /// ```no_run
            #[doc = concat!("let conn = ", $make, ";")]
            /// let file = std::fs::File::open("film.mkv")?;
            /// let sent = conn.send_file(&file, 1 << 20, 64 << 10)?;
            /// # std::io::Result::Ok(())
            /// ```
            ///
            /// Go: internal/poll/sendfile_unix.go SendFile
            #[doc(alias = "sendfile")]
            pub fn send_file(&self, file: &File, offset: u64, len: u64) -> io::Result<u64> {
                send_file_at(self, &mut &*self, file, offset, len)
            }
        }
    };
}

transfers!(TcpConn, read_from, write_to, "gopark_net::TcpConn::connect(\"127.0.0.1:8080\")?");
// `read_from` and `write_to` are of datagrams there, in Go as here.
transfers!(UnixConn, copy_from, copy_to, "gopark_net::UnixConn::connect(\"/run/app.sock\")?");
