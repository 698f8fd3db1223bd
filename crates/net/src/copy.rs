//! `copy`: from a reader to a writer, past the program's memory where the system can do that. Go: `io.Copy` with
//! `net/splice_linux.go` and `net/sendfile.go`.
//!
//! * this file: the functions, and the order in which the ways are tried;
//! * `copy/ends.rs`: the traits [`Source`] and [`Sink`], by which wrappers pass on what they stand for;
//! * `copy/impls.rs`: the readers and writers of std and of this crate;
//! * `copy/splice.rs`: the pool of pipes.
//!
//! Go finds out by type assertions whether it may splice, so that any wrapper ends it (golang/go#58808 and others).
//! Here a wrapper is asked, before every piece, what it stands for, and is told what went past it. So limits, counters,
//! buffered readers and writers stay what they are, and the bytes still do not come through here.

use std::fs::File;
use std::io::{self, ErrorKind, Read};

use gopark_poll::Error;
use gopark_sched::sync::Pool;
use gopark_sys::splice::is_unsupported;

use crate::OpError;

mod ends;
mod impls;
mod splice;

pub use ends::{Endpoint, Opaque, Sink, Source};
use ends::{Inner, StreamEnd};
use splice::PooledPipe;
pub use splice::clear_pipes;

/// What goes through memory goes in pieces of this size, Go's. Twice as much was no faster in suite net, and sometimes
/// slower.
const BUFFER: usize = 32 << 10;

static BUFFERS: Pool<Box<[u8]>> = Pool::with_limit(|| vec![0; BUFFER].into_boxed_slice(), 64);

/// Copies all of `src` to `dst`, to its end, and returns how many bytes it was.
///
/// Between two connections (TCP, Unix streams) with splice(2), from a file to a connection with sendfile(2), from a
/// connection to a file with splice(2): on Linux, through wrappers that let it ([`Source`], [`Sink`]). Everything else,
/// and whatever the system refuses to do that way, is read and written.
///
/// May block: see [`Runtime::start`](crate::Runtime::start). Deadlines, timeouts, contexts and a `close` of either side
/// end it as they end a read or a write; a timeout counts for each piece. Other calls on the same connections get in
/// between the pieces; while it waits for data it holds neither a lock of `dst` nor a pipe.
///
/// The order of the arguments is Go's: destination first. std's `io::copy` has it the other way round.
///
/// # Errors
///
/// That of the side that failed: `read tcp ...` or `write tcp ...`. [`copy_counted`] says how much was copied.
///
/// # Examples
///
/// ```no_run
/// use gopark_net::{TcpConn, copy};
///
/// let conn = TcpConn::connect("127.0.0.1:8080")?;
/// let sent = copy(&mut &conn, &mut std::fs::File::open("page.html")?)?;
/// # std::io::Result::Ok(())
/// ```
///
/// Go: io.Copy
#[doc(alias = "splice", alias = "sendfile")]
pub fn copy<W, R>(dst: &mut W, src: &mut R) -> io::Result<u64>
where
    W: Sink + ?Sized,
    R: Source + ?Sized,
{
    let mut copied = Copied::default();
    copy_counted(dst, src, &mut copied)?;
    Ok(copied.written)
}

/// How far a [`copy_counted`] got.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Copied {
    /// Bytes taken from the source.
    pub read: u64,
    /// Bytes given to the destination. If that failed, it may be fewer than were taken; the rest is lost, as with any
    /// copy.
    pub written: u64,
    /// Those of `written` that never were in the program's memory.
    pub past_memory: u64,
}

/// [`copy`], adding to `copied`, which is right also after an error.
///
/// # Errors
///
/// As [`copy`].
///
/// # Examples
///
/// ```no_run
/// use gopark_net::{Copied, TcpConn, copy_counted};
///
/// let (from, to) = (TcpConn::connect("127.0.0.1:7")?, TcpConn::connect("127.0.0.1:8")?);
/// let mut copied = Copied::default();
/// if let Err(e) = copy_counted(&mut &to, &mut &from, &mut copied) {
///     eprintln!("{e} after {} bytes", copied.written);
/// }
/// # std::io::Result::Ok(())
/// ```
pub fn copy_counted<W, R>(dst: &mut W, src: &mut R, copied: &mut Copied) -> io::Result<()>
where
    W: Sink + ?Sized,
    R: Source + ?Sized,
{
    run(&mut &mut *dst, &mut &mut *src, copied, Ops { read: "read", write: "write" })
}

/// The operations that errors name.
#[derive(Copy, Clone)]
pub(crate) struct Ops {
    pub(crate) read: &'static str,
    pub(crate) write: &'static str,
}

pub(crate) fn run(dst: &mut dyn Sink, src: &mut dyn Source, copied: &mut Copied, ops: Ops) -> io::Result<()> {
    let mut copy = Copy { dst, src, copied, ops, may_splice: true, may_send: true };
    while copy.piece()? {}
    Ok(())
}

/// A copy in progress.
struct Copy<'a> {
    dst: &'a mut dyn Sink,
    src: &'a mut dyn Source,
    copied: &'a mut Copied,
    ops: Ops,
    /// Not refused yet.
    may_splice: bool,
    may_send: bool,
}

/// Which way the next piece goes.
enum Way {
    Splice,
    Send,
    Memory,
}

impl Copy<'_> {
    /// Copies a piece. False: that was the end.
    fn piece(&mut self) -> io::Result<bool> {
        let limit = self.src.limit();
        if limit == 0 {
            return Ok(false);
        }
        if !self.src.buffered().is_empty() {
            return self.buffered_piece(limit).map(|()| true);
        }
        match self.way() {
            Way::Splice => self.splice(limit),
            Way::Send => self.send(limit),
            Way::Memory => self.through_memory(limit),
        }
    }

    fn way(&mut self) -> Way {
        let (Some(to), Some(from)) = (self.dst.write_end(), self.src.read_end()) else { return Way::Memory };
        match (to.0, from.0) {
            (Inner::Stream(_), Inner::Stream(_)) if self.may_splice => Way::Splice,
            (Inner::Stream(_), Inner::File(_)) if self.may_send => Way::Send,
            (Inner::File(file), Inner::Stream(_)) if self.may_splice && is_regular(file) => Way::Splice,
            _ => Way::Memory,
        }
    }

    /// What the source has read ahead.
    fn buffered_piece(&mut self, limit: u64) -> io::Result<()> {
        let buffered = self.src.buffered();
        let len = buffered.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
        let (written, result) = write_counted(self.dst, &buffered[..len]);
        self.src.consume_buffered(written);
        self.copied.read += written as u64;
        self.copied.written += written as u64;
        result
    }

    /// Go: io.copyBuffer
    fn through_memory(&mut self, limit: u64) -> io::Result<bool> {
        let mut buffer = BUFFERS.get();
        let len = buffer.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
        let n = loop {
            match self.src.read(&mut buffer[..len]) {
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        if n == 0 {
            return Ok(false);
        }
        self.copied.read += n as u64;
        let (written, result) = write_counted(self.dst, &buffer[..n]);
        self.copied.written += written as u64;
        result.map(|()| true)
    }

    /// Go: internal/poll/splice_linux.go Splice
    fn splice(&mut self, limit: u64) -> io::Result<bool> {
        let max = usize::try_from(limit).unwrap_or(usize::MAX);
        let Some(Endpoint(Inner::Stream(from))) = self.src.read_end() else { return Ok(true) };
        from.begin_read()?;
        let (mut pipe, n) = match from.fd().splice_to(max, PooledPipe::get) {
            Ok(filled) => filled,
            // Of the first piece only, and then nothing was taken. Also if there is no descriptor for a pipe.
            Err(e) if is_refused(e) => {
                self.may_splice = false;
                return Ok(true);
            }
            Err(e) => return Err(from.error(self.ops.read, "splice", e, 0)),
        };
        if n == 0 {
            return Ok(false);
        }
        self.src.took(n as u64);
        self.copied.read += n as u64;
        // What a buffered writer holds comes before what goes past it.
        self.dst.flush()?;
        let (sent, result) = self.empty(&mut pipe);
        self.dst.gave(sent as u64);
        self.copied.written += sent as u64;
        self.copied.past_memory += sent as u64;
        match result {
            Ok(()) => Ok(true),
            Err(Some(e)) => Err(e),
            Err(None) => {
                self.may_splice = false;
                self.rescue(&mut pipe).map(|()| true)
            }
        }
    }

    /// From the pipe to the destination. Err(None): it must be written.
    fn empty(&mut self, pipe: &mut PooledPipe) -> (usize, Result<(), Option<io::Error>>) {
        let write = self.ops.write;
        let (sent, e, error) = match self.dst.write_end() {
            None => return (0, Err(None)),
            Some(Endpoint(Inner::Stream(to))) => {
                if let Err(e) = to.begin_write() {
                    return (0, Err(Some(e)));
                }
                match to.fd().splice_from(pipe.as_mut()) {
                    Ok(sent) => return (sent, Ok(())),
                    Err((sent, e)) => (sent, e, to.error(write, "splice", e, sent)),
                }
            }
            Some(Endpoint(Inner::File(file))) => match pipe.as_mut().empty_to_file(file) {
                Ok(sent) => return (sent, Ok(())),
                Err((sent, e)) => (sent, e, e.into()),
            },
        };
        (sent, Err(Some(error).filter(|_| !is_refused(e))))
    }

    /// The destination does not take what is in the pipe: it is read and written.
    fn rescue(&mut self, pipe: &mut PooledPipe) -> io::Result<()> {
        let mut buffer = BUFFERS.get();
        while pipe.as_mut().held() > 0 {
            let n = pipe.as_mut().read(&mut buffer)?;
            let (written, result) = write_counted(self.dst, &buffer[..n]);
            self.copied.written += written as u64;
            result?;
        }
        Ok(())
    }

    /// Go: net/sendfile.go sendFile
    fn send(&mut self, limit: u64) -> io::Result<bool> {
        self.dst.flush()?;
        let (Some(Endpoint(Inner::Stream(to))), Some(Endpoint(Inner::File(file)))) =
            (self.dst.write_end(), self.src.read_end())
        else {
            return Ok(true);
        };
        let (sent, result) = send_file(to, file, None, limit, self.ops.write);
        self.src.took(sent);
        self.dst.gave(sent);
        self.copied.read += sent;
        self.copied.written += sent;
        self.copied.past_memory += sent;
        match result {
            // A file that ends at once may be one that the system makes up as it is read: a read tells.
            Ok(()) if sent > 0 => Ok(sent == limit),
            Ok(()) | Err(None) => {
                self.may_send = false;
                Ok(true)
            }
            Err(Some(e)) => Err(e),
        }
    }
}

/// With sendfile(2). Err(None): it must be read and written from there on.
fn send_file(
    to: &dyn StreamEnd,
    file: &File,
    offset: Option<&mut u64>,
    len: u64,
    op: &'static str,
) -> (u64, Result<(), Option<io::Error>>) {
    if let Err(e) = to.begin_write() {
        return (0, Err(Some(e)));
    }
    // A timeout is for a piece, not for a file of any length. If the connection is closed the next wait says so.
    let renew = |_| drop(to.begin_write());
    match to.fd().send_file(file, offset, len, renew) {
        Ok(sent) => (sent, Ok(())),
        Err((sent, e)) => {
            let error = || to.error(op, "sendfile", e, usize::try_from(sent).unwrap_or(usize::MAX));
            (sent, Err((!is_refused(e)).then(error)))
        }
    }
}

/// `len` bytes of `file` from `offset` on, whatever its position. Returns how many there were.
pub(crate) fn send_file_at(
    to: &dyn StreamEnd,
    dst: &mut dyn Sink,
    file: &File,
    mut offset: u64,
    len: u64,
) -> io::Result<u64> {
    let (sent, result) = send_file(to, file, Some(&mut offset), len, "sendfile");
    match result {
        Ok(()) if sent > 0 || len == 0 => Ok(sent),
        Err(Some(e)) => Err(e),
        Ok(()) | Err(None) => {
            // Whether there is anything to read there is for the read to say.
            let mut rest = At { file, offset }.take(len - sent);
            let mut copied = Copied { written: sent, ..Copied::default() };
            match copy_counted(&mut &mut *dst, &mut Opaque(&mut rest), &mut copied) {
                Ok(()) => Ok(copied.written),
                Err(e) => Err(with_written(e, copied.written)),
            }
        }
    }
}

/// `e`, with the count of a whole call and not of its last piece.
fn with_written(mut e: io::Error, written: u64) -> io::Error {
    if let Some(op) = e.get_mut().and_then(|e| e.downcast_mut::<OpError>()) {
        op.written = usize::try_from(written).unwrap_or(usize::MAX);
    }
    e
}

/// A file from an offset on, its position left alone.
struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = std::os::unix::fs::FileExt::read_at(self.file, buf, self.offset)?;
        self.offset += n as u64;
        Ok(n)
    }
}

/// That it cannot be done this way, or that there is no pipe to do it with.
fn is_refused(e: Error) -> bool {
    let Some(errno) = e.errno() else { return false };
    is_unsupported(errno) || errno == gopark_sys::Errno::EMFILE || errno == gopark_sys::Errno::ENFILE
}

/// Where splice(2) to a file does what write(2) does. Pipes and terminals have limits of their own, at which it would
/// hold the thread up (golang/go#59041).
fn is_regular(file: &File) -> bool {
    file.metadata().is_ok_and(|m| m.is_file())
}

/// Writes all of `buf`; how much was, in any case. Not `write_all`, which does not say.
fn write_counted(dst: &mut dyn Sink, buf: &[u8]) -> (usize, io::Result<()>) {
    let mut done = 0;
    while done < buf.len() {
        match dst.write(&buf[done..]) {
            Ok(0) => return (done, Err(ErrorKind::WriteZero.into())),
            Ok(n) => done += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return (done, Err(e)),
        }
    }
    (done, Ok(()))
}
