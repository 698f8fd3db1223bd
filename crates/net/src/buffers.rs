//! `Buffers`: many pieces of memory, written by one system call. Go: `net.Buffers`.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read};

use crate::{Sink, Source};

/// How many pieces are listed on the stack; more take a list from the heap.
const FEW: usize = 16;

/// Pieces of memory to be written one after the other, and to be forgotten as they are.
///
/// On a stream [`write_to`](Buffers::write_to) is writev: up to 1,024 pieces a system call. What was written is gone
/// from here, also after an error, so that what is left is what was not. The pieces are anything that has bytes:
/// `&[u8]`, `Vec<u8>`, `Arc<[u8]>`.
///
/// # Examples
///
/// ```no_run
/// use gopark_net::{Buffers, TcpConn};
///
/// let mut conn = TcpConn::connect("127.0.0.1:8080")?;
/// let mut answer = Buffers::from_iter([&b"HTTP/1.0 200 OK\r\n\r\n"[..], b"hello\n"]);
/// assert_eq!(answer.write_to(&mut conn)?, 25);
/// assert!(answer.is_empty());
/// # std::io::Result::Ok(())
/// ```
///
/// Go: net/net.go Buffers
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Buffers<B> {
    /// The first is not empty, counted from `taken` on.
    pieces: VecDeque<B>,
    /// How much of the first is gone.
    taken: usize,
}

impl<B> Default for Buffers<B> {
    fn default() -> Buffers<B> {
        Buffers { pieces: VecDeque::new(), taken: 0 }
    }
}

impl<B: AsRef<[u8]>> Buffers<B> {
    /// None yet.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut buffers = gopark_net::Buffers::new();
    /// buffers.push("hello");
    /// assert_eq!(buffers.remaining(), 5);
    /// ```
    pub fn new() -> Buffers<B> {
        Buffers::default()
    }

    /// Appends a piece.
    ///
    /// # Examples
    ///
    /// See [`Buffers::new`].
    pub fn push(&mut self, piece: B) {
        self.pieces.push_back(piece);
        self.consume(0);
    }

    /// Whether everything is written.
    ///
    /// # Examples
    ///
    /// See [`Buffers`].
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// How many pieces are left, empty ones and what is left of the first included.
    ///
    /// # Examples
    ///
    /// ```
    /// let buffers = gopark_net::Buffers::from_iter(["", "foo", "bar"]);
    /// assert_eq!(buffers.len(), 2);
    /// ```
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// How many bytes are left.
    ///
    /// # Examples
    ///
    /// See [`Buffers::new`].
    pub fn remaining(&self) -> usize {
        self.pieces.iter().map(|p| p.as_ref().len()).sum::<usize>() - self.taken
    }

    /// Forgets the first `n` bytes, as if they had been written; all if there are fewer.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Read;
    ///
    /// let mut buffers = gopark_net::Buffers::from_iter(["foo", "bar"]);
    /// buffers.consume(4);
    /// let mut rest = String::new();
    /// buffers.read_to_string(&mut rest)?;
    /// assert_eq!(rest, "ar");
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/net.go Buffers.consume
    pub fn consume(&mut self, mut n: usize) {
        while let Some(first) = self.pieces.front() {
            let left = first.as_ref().len().saturating_sub(self.taken);
            if n < left {
                self.taken += n;
                return;
            }
            n -= left;
            self.taken = 0;
            // Freed here, not when all is written: pieces may be large (golang/go#45163).
            self.pieces.pop_front();
        }
    }

    /// What is left of the first piece; empty if there is none.
    fn first(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |p| p.as_ref().get(self.taken..).unwrap_or(&[]))
    }

    /// Writes all of it. Returns how many bytes that was.
    ///
    /// To a stream by writev, with no other writer in between; to anything else a piece at a time. For one datagram of
    /// many pieces there is [`UdpConn::write_vectored`](crate::UdpConn::write_vectored).
    ///
    /// # Errors
    ///
    /// Those of `w`. What was written is gone from here; on a stream
    /// [`OpError::written`](crate::OpError::written) says how much it was.
    ///
    /// # Examples
    ///
    /// See [`Buffers`].
    ///
    /// Go: net/net.go Buffers.WriteTo
    #[doc(alias = "writev", alias = "WriteTo")]
    pub fn write_to<W: Sink + ?Sized>(&mut self, w: &mut W) -> io::Result<u64> {
        if w.write_end().and_then(|end| end.as_stream()).is_some() {
            // What a buffered writer holds comes before what goes past it.
            w.flush()?;
            let (written, result) = self.writev(w);
            self.consume(written);
            w.gave(written as u64);
            return result.map(|()| written as u64);
        }
        let mut done = 0;
        while !self.is_empty() {
            match w.write(self.first()) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => {
                    self.consume(n);
                    done += n as u64;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    /// Go: internal/poll/writev.go FD.Writev
    fn writev<W: Sink + ?Sized>(&self, w: &mut W) -> (usize, io::Result<()>) {
        let Some(to) = w.write_end().and_then(|end| end.as_stream()) else { return (0, Ok(())) };
        let mut few = [IoSlice::new(&[]); FEW];
        let mut many = Vec::new();
        let rest = self.pieces.iter().skip(1).map(|p| p.as_ref());
        let pieces = std::iter::once(self.first()).chain(rest).map(IoSlice::new);
        let slices = if self.pieces.len() <= FEW {
            let used = self.pieces.len().max(1);
            few.iter_mut().zip(pieces).for_each(|(slot, piece)| *slot = piece);
            &mut few[..used]
        } else {
            many.extend(pieces);
            &mut many[..]
        };
        if let Err(e) = to.begin_write() {
            return (0, Err(e));
        }
        match to.fd().write_vectored_all(slices) {
            Ok(written) => (written, Ok(())),
            Err((written, e)) => (written, Err(to.error("writev", "writev", e, written))),
        }
    }
}

impl<B: AsRef<[u8]>> FromIterator<B> for Buffers<B> {
    fn from_iter<I: IntoIterator<Item = B>>(pieces: I) -> Buffers<B> {
        let mut buffers = Buffers { pieces: pieces.into_iter().collect(), taken: 0 };
        buffers.consume(0);
        buffers
    }
}

impl<B: AsRef<[u8]>> Extend<B> for Buffers<B> {
    fn extend<I: IntoIterator<Item = B>>(&mut self, pieces: I) {
        self.pieces.extend(pieces);
        self.consume(0);
    }
}

/// Go: net/net.go Buffers.Read
impl<B: AsRef<[u8]>> Read for Buffers<B> {
    fn read(&mut self, mut buf: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while !buf.is_empty() && !self.is_empty() {
            let first = self.first();
            let n = first.len().min(buf.len());
            buf[..n].copy_from_slice(&first[..n]);
            buf = &mut buf[n..];
            self.consume(n);
            done += n;
        }
        Ok(done)
    }
}

impl<B: AsRef<[u8]>> Source for Buffers<B> {
    fn buffered(&self) -> &[u8] {
        self.first()
    }

    fn consume_buffered(&mut self, n: usize) {
        self.consume(n);
    }
}
