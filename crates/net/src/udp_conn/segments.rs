//! Many datagrams of one length in one buffer. UDP_SEGMENT and UDP_GRO of Linux; elsewhere one after the other.
//!
//! Beyond Go (golang/go#45886). The system carries the buffer through its layers once and cuts it at the end, so this
//! saves more than `sendmmsg`, which saves the entry only.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use gopark_poll::Error;
use gopark_sys::{Errno, msg, rw, sockopt};

use super::UdpConn;
use crate::error::{Cause, OpError};

/// The most that Linux cuts one message into (64 before 6.9, 128 since).
const SEGMENTS_MAX: usize = 64;
/// The most bytes of a message: what an IPv4 packet takes, less the headers.
const BYTES_MAX: usize = 65_507;

/// Whether the system cuts messages for this socket.
///
/// | value | meaning | set by | cleared by |
/// |---|---|---|---|
/// | UNKNOWN | not asked yet | initial | the first `send_segments` |
/// | WORKS | the system knows it | that | a device that cannot |
/// | NONE | one after the other | that, or a device that cannot | never |
///
/// Relaxed: who sees an older value asks once more, or sends in the slower way once more.
#[derive(Debug, Default)]
pub(super) struct Gso(AtomicU8);

const UNKNOWN: u8 = 0;
const WORKS: u8 = 1;
const NONE: u8 = 2;

impl UdpConn {
    /// Sends `buf` as datagrams of `segment_size` bytes each, the last one maybe shorter: to `to`, or to the peer of a
    /// connected socket. With UDP_SEGMENT where the system has it, otherwise one after the other.
    ///
    /// A `segment_size` that makes packets longer than the path takes is an error or leads to fragments, as the system
    /// sees fit. A write timeout counts for the whole. An empty `buf` sends nothing.
    ///
    /// # Errors
    ///
    /// As [`UdpConn::send_to`]; [`OpError::written`] says how many bytes were sent before. `InvalidInput` if
    /// `segment_size` is 0.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// let to = "127.0.0.1:7".parse().unwrap();
    /// conn.send_segments(&[7; 12_000], 1200, Some(to))?; // ten datagrams
    /// # std::io::Result::Ok(())
    /// ```
    pub fn send_segments(&self, buf: &[u8], segment_size: usize, to: Option<SocketAddr>) -> io::Result<()> {
        if segment_size == 0 {
            let text = "segments of no bytes: give the length of a datagram";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        self.begin_write()?;
        let failed = |written: usize, cause: Cause| {
            let addr = to.map(|to| crate::UdpAddr::from(to).into());
            let e = OpError { written, ..self.op_error("write", cause) };
            io::Error::from(if addr.is_some() { e.with_addr(addr) } else { e })
        };
        let addr = to.map(|to| self.sockaddr(to.into())).transpose().map_err(|cause| failed(0, cause))?;
        let each = (BYTES_MAX / segment_size).clamp(1, SEGMENTS_MAX) * segment_size;
        let mut written = 0;
        for part in buf.chunks(each) {
            let sent = match self.send_cut(part, segment_size, addr) {
                None => self.send_each(part, segment_size, addr),
                Some(result) => result.map_err(|e| (0, e)),
            };
            sent.map_err(|(n, e)| failed(written + n, Cause::from_poll("sendmsg", e)))?;
            written += part.len();
        }
        Ok(())
    }

    /// Whether the system may put datagrams together that come one after the other from one sender (UDP_GRO). Returns
    /// whether it can; if not, nothing has changed.
    ///
    /// Receive with [`UdpConn::recv_batch`] then, which takes them apart; all other calls return what has been put
    /// together in one piece.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{RecvBatch, UdpConn};
    ///
    /// let conn = UdpConn::bind("127.0.0.1:0")?;
    /// let bytes = if conn.set_gro(true)? { 65_535 } else { 1500 };
    /// let mut batch = RecvBatch::new(16, bytes);
    /// conn.recv_batch(&mut batch)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_gro(&self, on: bool) -> io::Result<bool> {
        let set = self.fd.pfd.control(|fd| sockopt::set_udp_gro(fd, on));
        set.and_then(|result| result.map_err(Error::Errno)).map_err(|e| self.wrap("set", "setsockopt", e))
    }

    /// `part` in one message that the system cuts. None: it cannot.
    fn send_cut(
        &self,
        part: &[u8],
        segment_size: usize,
        to: Option<SocketAddr>,
    ) -> Option<Result<(), Error>> {
        if part.len() <= segment_size || !self.has_gso() {
            return None;
        }
        let segment_size = u16::try_from(segment_size).ok()?;
        match self.fd.pfd.write_with(|fd| msg::send_segments_ip(fd, part, segment_size, to.as_ref())) {
            Ok(_) => Some(Ok(())),
            // A device that cannot, although the system could: for good.
            Err(Error::Errno(Errno::EIO | Errno::EOPNOTSUPP)) => {
                self.gso.0.store(NONE, Relaxed);
                None
            }
            // Longer segments than the path takes; one by one they are fragmented, or the error is theirs.
            Err(Error::Errno(Errno::EINVAL | Errno::EMSGSIZE)) => None,
            Err(e) => Some(Err(e)),
        }
    }

    /// `part` one datagram after the other. The error comes with how many bytes were sent.
    fn send_each(
        &self,
        part: &[u8],
        segment_size: usize,
        to: Option<SocketAddr>,
    ) -> Result<(), (usize, Error)> {
        let mut written = 0;
        for segment in part.chunks(segment_size) {
            let sent = self.fd.pfd.write_with(|fd| match &to {
                Some(to) => msg::send_to_ip(fd, segment, to),
                None => rw::send(fd, segment),
            });
            written += sent.map_err(|e| (written, e))?;
        }
        Ok(())
    }

    fn has_gso(&self) -> bool {
        if self.gso.0.load(Relaxed) == UNKNOWN {
            let has = self.fd.pfd.control(sockopt::has_udp_segment).unwrap_or(false);
            self.gso.0.store(if has { WORKS } else { NONE }, Relaxed);
        }
        self.gso.0.load(Relaxed) == WORKS
    }

    /// For tests: sends one after the other, as where the system has no UDP_SEGMENT.
    #[doc(hidden)]
    pub fn forget_gso(&self) {
        self.gso.0.store(NONE, Relaxed);
    }
}
