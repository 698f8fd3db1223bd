//! Many datagrams a call. Beyond Go, where golang/go#45886 asks for it.
//!
//! Both directions work on arrays that the caller keeps, since the system wants a header, an address and a place for
//! each datagram: to make them anew for each call would cost more than the calls that are saved.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use gopark_sys::msg;

use super::{UdpConn, sender};
use crate::error::Cause;

/// Enough for the length of segments, the TOS, the hop limit and where the datagram came in.
const CONTROL_SIZE: usize = 128;

/// Room for the datagrams that [`UdpConn::recv_batch`] receives.
///
/// # Examples
///
/// ```no_run
/// use gopark_net::{RecvBatch, UdpConn};
///
/// let conn = UdpConn::bind("127.0.0.1:0")?;
/// let mut batch = RecvBatch::new(64, 1500);
/// loop {
///     conn.recv_batch(&mut batch)?;
///     for datagram in &batch {
///         println!("{}: {:?}", datagram.from, datagram.bytes);
///     }
/// }
/// # #[allow(unreachable_code)]
/// # std::io::Result::Ok(())
/// ```
pub struct RecvBatch(msg::RecvBatch);

impl RecvBatch {
    /// Room for `datagrams` of up to `bytes` bytes; what is longer is cut. With [`UdpConn::set_gro`] the system puts
    /// datagrams together, and `bytes` should be 65,535.
    ///
    /// # Panics
    ///
    /// If that is more memory than there can be.
    ///
    /// # Examples
    ///
    /// ```
    /// let batch = gopark_net::RecvBatch::new(64, 1500);
    /// assert_eq!((batch.capacity(), batch.len()), (64, 0));
    /// ```
    pub fn new(datagrams: usize, bytes: usize) -> RecvBatch {
        RecvBatch(msg::RecvBatch::new(datagrams, bytes, CONTROL_SIZE))
    }

    /// How many datagrams it has room for.
    ///
    /// # Examples
    ///
    /// See [`RecvBatch::new`].
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// How many messages the last call brought. With [`UdpConn::set_gro`] each may be several datagrams.
    ///
    /// # Examples
    ///
    /// See [`RecvBatch::new`].
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the last call brought none.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(gopark_net::RecvBatch::new(64, 1500).is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The datagrams that the last call brought, in the order in which they came. What the system has put together is
    /// taken apart again.
    ///
    /// # Examples
    ///
    /// See [`RecvBatch`].
    pub fn iter(&self) -> Datagrams<'_> {
        Datagrams { batch: self, next: 0, rest: None }
    }

    fn message(&self, i: usize) -> Message<'_> {
        let size = self.0.control(i).find_map(|piece| piece.as_segment_size());
        let (from, is_truncated) = (sender(self.0.from(i)).end_point().std(), self.0.is_truncated(i));
        Message { bytes: self.0.bytes(i), size: size.unwrap_or(0), from, is_truncated }
    }
}

impl fmt::Debug for RecvBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvBatch").field("capacity", &self.capacity()).field("len", &self.len()).finish()
    }
}

impl<'a> IntoIterator for &'a RecvBatch {
    type Item = Datagram<'a>;
    type IntoIter = Datagrams<'a>;

    fn into_iter(self) -> Datagrams<'a> {
        self.iter()
    }
}

/// A datagram of a [`RecvBatch`].
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Datagram<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Who sent it.
    pub from: SocketAddr,
    /// Whether it was longer than its room; the rest is lost.
    pub is_truncated: bool,
}

/// The datagrams of a [`RecvBatch`]. See [`RecvBatch::iter`].
#[derive(Clone, Debug)]
#[must_use = "an iterator does nothing unless it is iterated"]
pub struct Datagrams<'a> {
    batch: &'a RecvBatch,
    /// The message to take apart when `rest` is at its end.
    next: usize,
    rest: Option<Message<'a>>,
}

/// What is left of a message: one datagram if `size` is 0, else as many as there are of that length.
#[derive(Copy, Clone, Debug)]
struct Message<'a> {
    bytes: &'a [u8],
    size: usize,
    from: SocketAddr,
    is_truncated: bool,
}

impl<'a> Iterator for Datagrams<'a> {
    type Item = Datagram<'a>;

    fn next(&mut self) -> Option<Datagram<'a>> {
        let message = match self.rest.take() {
            Some(rest) => rest,
            None if self.next < self.batch.len() => {
                self.next += 1;
                self.batch.message(self.next - 1)
            }
            None => return None,
        };
        let Message { bytes, size, from, is_truncated } = message;
        if size == 0 || bytes.len() <= size {
            return Some(Datagram { bytes, from, is_truncated });
        }
        let (first, rest) = bytes.split_at(size);
        self.rest = Some(Message { bytes: rest, ..message });
        Some(Datagram { bytes: first, from, is_truncated: false })
    }
}

/// Room for the headers of the datagrams that [`UdpConn::send_batch`] sends. Keep it for the next call.
///
/// # Examples
///
/// ```no_run
/// use gopark_net::{Outgoing, SendBatch, UdpConn};
///
/// let conn = UdpConn::bind("127.0.0.1:0")?;
/// let to = "127.0.0.1:7".parse().unwrap();
/// let mut batch = SendBatch::new(64);
/// conn.send_batch(&mut batch, &[Outgoing::to(b"hello", to), Outgoing::to(b"world", to)])?;
/// # std::io::Result::Ok(())
/// ```
pub struct SendBatch(msg::SendBatch);

impl SendBatch {
    /// Room for `datagrams` a call of the system; more are sent in several. A few dozen have most of the gain.
    ///
    /// # Panics
    ///
    /// If it is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(gopark_net::SendBatch::new(64).capacity(), 64);
    /// ```
    pub fn new(datagrams: usize) -> SendBatch {
        assert!(datagrams > 0, "a batch that can send nothing: give it room for a datagram");
        SendBatch(msg::SendBatch::new(datagrams))
    }

    /// How many datagrams go into one call of the system.
    ///
    /// # Examples
    ///
    /// See [`SendBatch::new`].
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl fmt::Debug for SendBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendBatch").field("capacity", &self.capacity()).finish()
    }
}

/// A datagram to send: its bytes, and to whom.
///
/// # Examples
///
/// ```
/// use gopark_net::Outgoing;
///
/// let to = "127.0.0.1:7".parse().unwrap();
/// assert_eq!(Outgoing::to(b"hello", to).to, Some(to));
/// assert_eq!(Outgoing::new(b"hello").to, None); // the peer
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Outgoing<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// To whom; `None`: the peer of a connected socket.
    pub to: Option<SocketAddr>,
}

impl<'a> Outgoing<'a> {
    /// To the peer of a connected socket.
    ///
    /// # Examples
    ///
    /// See [`Outgoing`].
    pub fn new(bytes: &'a [u8]) -> Outgoing<'a> {
        Outgoing { bytes, to: None }
    }

    /// To `addr`.
    ///
    /// # Examples
    ///
    /// See [`Outgoing`].
    pub fn to(bytes: &'a [u8], addr: SocketAddr) -> Outgoing<'a> {
        Outgoing { bytes, to: Some(addr) }
    }
}

impl UdpConn {
    /// Waits for a datagram, and takes as many as are there and `batch` has room for, in one call of the system
    /// (recvmmsg(2); elsewhere than on Linux, in one for each). Returns [`RecvBatch::len`].
    ///
    /// # Errors
    ///
    /// As [`UdpConn::recv_from`]; `batch` is empty then.
    ///
    /// # Examples
    ///
    /// See [`RecvBatch`].
    pub fn recv_batch(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        self.begin_read()?;
        let received = self.fd.pfd.read_with(|fd| batch.0.recv(fd));
        received.map_err(|e| self.wrap("read", "recvmmsg", e))
    }

    /// [`UdpConn::recv_batch`] that does not wait.
    ///
    /// # Errors
    ///
    /// As [`UdpConn::try_recv`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{RecvBatch, UdpConn};
    ///
    /// let conn = UdpConn::bind("127.0.0.1:0")?;
    /// println!("{:?}", conn.try_recv_batch(&mut RecvBatch::new(64, 1500)));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn try_recv_batch(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        self.begin_read()?;
        let received = self.fd.pfd.try_read_with(|fd| batch.0.recv(fd));
        received.map_err(|e| self.wrap_try("read", "recvmmsg", e))
    }

    /// [`UdpConn::recv_batch`] for a future.
    ///
    /// # Errors
    ///
    /// As [`UdpConn::recv_batch`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::future::poll_fn;
    /// use gopark_net::{RecvBatch, UdpConn, block_on};
    ///
    /// let conn = UdpConn::bind("127.0.0.1:0")?;
    /// let mut batch = RecvBatch::new(64, 1500);
    /// let n = block_on(poll_fn(|cx| conn.poll_recv_batch(cx, &mut batch)))?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn poll_recv_batch(&self, cx: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<usize>> {
        self.begin_poll_read()?;
        let received = self.fd.pfd.poll_read_with(cx, |fd| batch.0.recv(fd));
        received.map_err(|e| self.wrap("read", "recvmmsg", e))
    }

    /// Sends `datagrams` in order, [`SendBatch::capacity`] of them a call of the system (sendmmsg(2); elsewhere than on
    /// Linux, in one for each), and returns how many. Waits for room whenever the system has none.
    ///
    /// Datagrams that go to one address one after the other and have one length are handed to the system in one piece,
    /// which it cuts (UDP_SEGMENT), where it can: that is where most of the gain is, since a datagram costs the system
    /// far more than a call. So keep those of one peer together.
    ///
    /// If it returns fewer than there are, something is wrong with the next one: it is the error of a call that begins
    /// with it. A write timeout counts for the whole.
    ///
    /// # Errors
    ///
    /// As [`UdpConn::send_to`]: none was sent.
    ///
    /// # Examples
    ///
    /// See [`SendBatch`].
    pub fn send_batch(&self, batch: &mut SendBatch, datagrams: &[Outgoing<'_>]) -> io::Result<usize> {
        self.begin_write()?;
        let mut sent = 0;
        while let [first, ..] = datagrams[sent..] {
            match self.send_some(batch, &datagrams[sent..]) {
                Ok(n) => sent += n,
                Err(cause) if sent == 0 => return Err(self.send_error(first.to.map(Into::into), cause)),
                Err(_) => break,
            }
        }
        Ok(sent)
    }

    fn send_some(&self, batch: &mut SendBatch, datagrams: &[Outgoing<'_>]) -> Result<usize, Cause> {
        let list = self.sendable(datagrams)?;
        let mut call = |merge_below| {
            self.fd
                .pfd
                .write_with(|fd| batch.0.send(fd, list.len(), merge_below, |i| self.outgoing(&list[i])))
        };
        let sent = self.merging(list, &mut call);
        sent.map_err(|e| Cause::from_poll("sendmmsg", e))
    }

    /// [`UdpConn::send_batch`] that does not wait, with one call of the system.
    ///
    /// # Errors
    ///
    /// As [`UdpConn::try_send`]: none was sent.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{Outgoing, SendBatch, UdpConn};
    ///
    /// let conn = UdpConn::bind("127.0.0.1:0")?;
    /// conn.connect("127.0.0.1:7")?;
    /// println!("{:?}", conn.try_send_batch(&mut SendBatch::new(64), &[Outgoing::new(b"hello")]));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn try_send_batch(&self, batch: &mut SendBatch, datagrams: &[Outgoing<'_>]) -> io::Result<usize> {
        self.begin_write()?;
        let Some(first) = datagrams.first() else { return Ok(0) };
        let failed = |cause| self.send_error(first.to.map(Into::into), cause);
        let list = self.sendable(datagrams).map_err(failed)?;
        let mut call = |merge_below| {
            let fd = &self.fd.pfd;
            fd.try_write_with(|fd| batch.0.send(fd, list.len(), merge_below, |i| self.outgoing(&list[i])))
        };
        self.merging(list, &mut call).map_err(|e| match e {
            gopark_poll::Error::Errno(gopark_sys::Errno::EAGAIN) => io::ErrorKind::WouldBlock.into(),
            e => failed(Cause::from_poll("sendmmsg", e)),
        })
    }

    /// The first of `datagrams`, up to one whose address is of a family that the socket is not for.
    fn sendable<'a, 'b>(&self, datagrams: &'a [Outgoing<'b>]) -> Result<&'a [Outgoing<'b>], Cause> {
        for (i, datagram) in datagrams.iter().enumerate() {
            match datagram.to.map(|to| self.sockaddr(to.into())) {
                Some(Err(cause)) if i == 0 => return Err(cause),
                Some(Err(_)) => return Ok(&datagrams[..i]),
                _ => {}
            }
        }
        Ok(datagrams)
    }

    /// What sys wants to know of a datagram that is sendable.
    fn outgoing<'a>(&self, datagram: &Outgoing<'a>) -> msg::Outgoing<'a> {
        let to = datagram.to.and_then(|to| self.sockaddr(to.into()).ok());
        msg::Outgoing { bytes: datagram.bytes, to }
    }
}
