//! Many datagrams of one length in one buffer. UDP_SEGMENT and UDP_GRO of Linux; elsewhere one after the other.
//!
//! Beyond Go (golang/go#45886). The system carries the buffer through its layers once and cuts it at the end, so this
//! saves more than `sendmmsg`, which saves the entry only.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed};

use gopark_poll::Error;
use gopark_sys::msg::{SEGMENT_BYTES_MAX, SEGMENTS_MAX};
use gopark_sys::{Errno, msg, rw, sockopt};

use super::{Outgoing, UdpConn};
use crate::error::{Cause, OpError};

/// Whether the system cuts messages for this socket, and into what.
///
/// | `state` | meaning | set by | cleared by |
/// |---|---|---|---|
/// | UNKNOWN | not asked yet | initial | the first call that could use it |
/// | WORKS | the system knows it | that | a device that cannot |
/// | NONE | one after the other | that, or a device that cannot | never |
///
/// `too_long`: the length of the shortest datagrams that the system would not cut a message into, being longer than the
/// path takes; so far all have been. Only falls.
///
/// Relaxed: who sees an older value asks once more, or sends in the slower way once more.
#[derive(Debug)]
pub(super) struct Gso {
    state: AtomicU8,
    too_long: AtomicUsize,
}

const UNKNOWN: u8 = 0;
const WORKS: u8 = 1;
const NONE: u8 = 2;

impl Default for Gso {
    fn default() -> Gso {
        Gso { state: AtomicU8::new(UNKNOWN), too_long: AtomicUsize::new(usize::MAX) }
    }
}

/// What became of a message to cut.
enum Cut {
    Sent,
    /// Not tried.
    Cannot,
    /// With this error, which may be for the cutting.
    Refused(Errno),
    Failed(Error),
}

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
        let each = (SEGMENT_BYTES_MAX / segment_size).clamp(1, SEGMENTS_MAX) * segment_size;
        let mut written = 0;
        for part in buf.chunks(each) {
            let fail = |n, e| failed(written + n, Cause::from_poll("sendmsg", e));
            match self.send_cut(part, segment_size, addr) {
                Cut::Sent => {}
                Cut::Failed(e) => return Err(fail(0, e)),
                Cut::Cannot => self.send_each(part, segment_size, addr).map_err(|(n, e)| fail(n, e))?,
                Cut::Refused(errno) => {
                    self.send_each(part, segment_size, addr).map_err(|(n, e)| fail(n, e))?;
                    self.note_refusal(errno, segment_size);
                }
            }
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

    /// `part` in one message that the system cuts.
    fn send_cut(&self, part: &[u8], segment_size: usize, to: Option<SocketAddr>) -> Cut {
        if part.len() <= segment_size || segment_size >= self.merge_below() {
            return Cut::Cannot;
        }
        let Ok(size) = u16::try_from(segment_size) else { return Cut::Cannot };
        match self.fd.pfd.write_with(|fd| msg::send_segments_ip(fd, part, size, to.as_ref())) {
            Ok(_) => Cut::Sent,
            Err(Error::Errno(errno)) if may_be_for_cutting(errno) => Cut::Refused(errno),
            Err(e) => Cut::Failed(e),
        }
    }

    /// `call` with the length below which datagrams are sent in one piece, and once more without, if that may have been
    /// what was wrong.
    pub(super) fn merging(
        &self,
        list: &[Outgoing<'_>],
        call: &mut dyn FnMut(usize) -> Result<usize, Error>,
    ) -> Result<usize, Error> {
        let is_alike = matches!(list, [a, b, ..] if a.to == b.to && b.bytes.len() <= a.bytes.len());
        let merge_below = if list.len() > 1 { self.merge_below() } else { 0 };
        match call(merge_below) {
            Err(Error::Errno(errno)) if is_alike && merge_below > 0 && may_be_for_cutting(errno) => {
                let sent = call(0)?;
                self.note_refusal(errno, list[0].bytes.len());
                Ok(sent)
            }
            result => result,
        }
    }

    /// The system would not cut a message into datagrams of `size` bytes.
    fn note_refusal(&self, errno: Errno, size: usize) {
        if matches!(errno, Errno::EINVAL | Errno::EMSGSIZE) {
            self.gso.too_long.fetch_min(size, Relaxed);
        } else {
            self.gso.state.store(NONE, Relaxed);
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

    /// Datagrams that are shorter than this can be sent in one piece. 0: none.
    fn merge_below(&self) -> usize {
        if self.gso.state.load(Relaxed) == UNKNOWN {
            let has = self.fd.pfd.control(sockopt::has_udp_segment).unwrap_or(false);
            self.gso.state.store(if has { WORKS } else { NONE }, Relaxed);
        }
        if self.gso.state.load(Relaxed) == WORKS { self.gso.too_long.load(Relaxed) } else { 0 }
    }

    /// For tests: sends one after the other, as where the system has no UDP_SEGMENT.
    #[doc(hidden)]
    pub fn forget_gso(&self) {
        self.gso.state.store(NONE, Relaxed);
    }
}

/// What systems say when they cannot cut a message: datagrams longer than the path takes, and a device that cannot.
fn may_be_for_cutting(errno: Errno) -> bool {
    matches!(errno, Errno::EINVAL | Errno::EMSGSIZE | Errno::EIO | Errno::EOPNOTSUPP)
}
