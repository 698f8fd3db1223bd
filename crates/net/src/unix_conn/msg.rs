//! Messages with control data, and the descriptors that are passed with them.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{BorrowedFd, OwnedFd};

use gopark_sys::SysFd;
use gopark_sys::msg::{self, ControlBuf};

use super::UnixConn;
use crate::error::Cause;
use crate::ipsock::Network;
use crate::unix_addr::UnixAddr;

/// The most descriptors that one message can carry (`SCM_MAX_FD` of Linux).
const FDS_MAX: usize = 253;

/// What [`UnixConn::read_msg`] received.
///
/// # Examples
///
/// ```no_run
/// let (a, b) = gopark_net::UnixConn::pair()?;
/// a.write(b"hello")?;
/// let msg = b.read_msg(&mut [0; 512], 1)?;
/// assert_eq!((msg.len, msg.fds.len()), (5, 0));
/// # std::io::Result::Ok(())
/// ```
///
/// Go: the results of net/unixsock.go UnixConn.ReadMsgUnix
#[derive(Debug)]
#[non_exhaustive]
pub struct UnixMsg {
    /// How many bytes are in the buffer.
    pub len: usize,
    /// The descriptors that came with them, close-on-exec. Those that are not taken out are closed with this.
    pub fds: Vec<OwnedFd>,
    /// Who sent it, if it is a datagram and its sender has a name.
    pub from: Option<UnixAddr>,
    /// The system's flags: `MSG_TRUNC`, `MSG_CTRUNC`, `MSG_EOR`.
    pub flags: i32,
}

impl UnixMsg {
    /// The datagram or packet was longer than the buffer; the rest is lost.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UnixConn::bind("/run/app.sock")?;
    /// assert!(!conn.read_msg(&mut [0; 512], 0)?.is_truncated());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn is_truncated(&self) -> bool {
        self.flags & msg::TRUNCATED != 0
    }

    /// There were more descriptors than there was room for; the system has closed them.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UnixConn::bind("/run/app.sock")?;
    /// assert!(!conn.read_msg(&mut [0; 512], 8)?.is_control_truncated());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn is_control_truncated(&self) -> bool {
        self.flags & msg::CONTROL_TRUNCATED != 0
    }
}

impl UnixConn {
    /// [`UnixConn::read`] that also takes the descriptors which were passed along, up to `fds_max`: more are closed by
    /// the system, which [`UnixMsg::is_control_truncated`] tells. All that come are owned by the result and
    /// close-on-exec from birth; none is leaked, whatever happens.
    ///
    /// A read on a stream ends where descriptors were passed. An empty `buf` takes a datagram; of a connection it takes
    /// the descriptors and the byte that they came with, since they cannot come with none.
    ///
    /// # Errors
    ///
    /// As [`UnixConn::read`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::fs::File;
    /// use std::os::fd::AsFd;
    ///
    /// let (a, b) = gopark_net::UnixConn::pair()?;
    /// a.write_msg(b"x", &[File::open("/etc/hostname")?.as_fd()], None)?;
    /// let mut msg = b.read_msg(&mut [0], 1)?;
    /// let file = File::from(msg.fds.remove(0));
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/unixsock.go UnixConn.ReadMsgUnix
    #[doc(alias = "ReadMsgUnix", alias = "SCM_RIGHTS")]
    pub fn read_msg(&self, buf: &mut [u8], fds_max: usize) -> io::Result<UnixMsg> {
        let mut room = ControlRoom::new(fds_max);
        self.read_msg_control(buf, room.bytes()).map(|(msg, _)| msg)
    }

    /// [`UnixConn::read_msg`] with the control data as the system gives it, in `control`, and how much of it there is:
    /// for credentials and the like. The numbers of descriptors in it are those of [`UnixMsg::fds`].
    ///
    /// # Errors
    ///
    /// As [`UnixConn::read`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UnixConn::bind("/run/app.sock")?;
    /// let mut control = [0; 256];
    /// let (msg, control_len) = conn.read_msg_control(&mut [0; 512], &mut control)?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/unixsock.go UnixConn.ReadMsgUnix
    pub fn read_msg_control(&self, buf: &mut [u8], control: &mut [u8]) -> io::Result<(UnixMsg, usize)> {
        self.begin_read()?;
        // A stream gives control data with bytes only.
        let dummy = buf.is_empty() && !control.is_empty() && self.fd.network != Network::Unixgram;
        let mut one = [0];
        let received = self.fd.pfd.read_with(|fd| {
            let bytes = if dummy { &mut one[..] } else { &mut *buf };
            msg::recv_msg(fd, &mut [IoSliceMut::new(bytes)], control, 0)
        });
        let received = received.map_err(|e| self.wrap("read", "recvmsg", e))?;
        let from = received.from.map(|from| self.sender(Some(from))).filter(|from| !from.is_unnamed());
        let len = if dummy { 0 } else { received.len };
        let msg = UnixMsg { len, fds: received.fds, from, flags: received.flags };
        Ok((msg, received.control_len))
    }

    /// Sends `buf` and `fds` as one message, to `to` or to the peer, and returns how many bytes of `buf` were taken; on
    /// a stream that may be less than all, and the descriptors have gone with them. The receiver gets duplicates; the
    /// originals can be closed at once. An empty `buf` with descriptors is a byte of zero on a stream, since they
    /// cannot go without.
    ///
    /// # Errors
    ///
    /// As [`UnixConn::write`] and [`UnixConn::write_to`]; `EINVAL` for more than 253 descriptors. Nothing was sent.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::os::fd::AsFd;
    ///
    /// let (a, _b) = gopark_net::UnixConn::pair()?;
    /// a.write_msg(b"x", &[std::io::stdout().as_fd()], None)?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/unixsock.go UnixConn.WriteMsgUnix
    #[doc(alias = "WriteMsgUnix", alias = "SCM_RIGHTS")]
    pub fn write_msg(&self, buf: &[u8], fds: &[BorrowedFd<'_>], to: Option<&UnixAddr>) -> io::Result<usize> {
        let mut control = ControlBuf::new();
        if !fds.is_empty() {
            control.push_rights(fds);
        }
        self.write_msg_control(buf, control.as_bytes(), to)
    }

    /// [`UnixConn::write_msg`] with control data as the system wants it (cmsg(3)).
    ///
    /// # Errors
    ///
    /// As [`UnixConn::write_msg`]; `EINVAL` if it is not well-formed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let (a, _b) = gopark_net::UnixConn::pair()?;
    /// a.write_msg_control(b"hello", &[], None)?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/unixsock.go UnixConn.WriteMsgUnix
    pub fn write_msg_control(&self, buf: &[u8], control: &[u8], to: Option<&UnixAddr>) -> io::Result<usize> {
        let datagrams = self.fd.network == Network::Unixgram;
        if let Some(to) = to {
            if datagrams && self.peer.is_connected() {
                return Err(self.send_error(to, Cause::WriteToConnected));
            }
            self.check_network(to)?;
        }
        self.begin_write()?;
        let dummy = buf.is_empty() && !control.is_empty() && !datagrams;
        let bytes: &[u8] = if dummy { &[0] } else { buf };
        let sent = match to {
            Some(to) => {
                let addr = self.sockaddr(to, "sendmsg")?;
                let call = |fd: &SysFd| msg::send_msg(fd, &[IoSlice::new(bytes)], control, Some(&addr));
                self.transmit("sendmsg", to, call)?
            }
            None => {
                let sent =
                    self.fd.pfd.write_with(|fd| msg::send_msg(fd, &[IoSlice::new(bytes)], control, None));
                sent.map_err(|e| self.wrap("write", "sendmsg", e))?
            }
        };
        Ok(if dummy { 0 } else { sent })
    }
}

/// Room for the control data of some descriptors. On the stack for a few.
enum ControlRoom {
    Few([u8; 64], usize),
    Many(Vec<u8>),
}

impl ControlRoom {
    fn new(fds: usize) -> ControlRoom {
        let len = if fds == 0 { 0 } else { msg::rights_len(fds.min(FDS_MAX)) };
        if len <= 64 { ControlRoom::Few([0; 64], len) } else { ControlRoom::Many(vec![0; len]) }
    }

    fn bytes(&mut self) -> &mut [u8] {
        match self {
            ControlRoom::Few(bytes, len) => &mut bytes[..*len],
            ControlRoom::Many(bytes) => bytes,
        }
    }
}
