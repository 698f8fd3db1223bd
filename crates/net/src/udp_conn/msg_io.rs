//! Datagrams with control data. Go: `UDPConn.ReadMsgUDP`, `UDPConn.WriteMsgUDP`.

use std::io::{self, IoSlice, IoSliceMut};

use gopark_sys::msg;
use socket2::SockAddr;

use super::{UdpConn, sender};
use crate::addr::UdpAddr;
use crate::error::Cause;

/// What [`UdpConn::read_msg`] found.
///
/// # Examples
///
/// ```no_run
/// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
/// let got = conn.read_msg(&mut [0; 100], &mut [0; 64])?;
/// if got.is_truncated() {
///     println!("{} has sent more than 100 bytes", got.from);
/// }
/// # std::io::Result::Ok(())
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ReceivedMsg {
    /// Bytes of the datagram in the buffer.
    pub len: usize,
    /// Bytes of control data in its buffer.
    pub control_len: usize,
    /// The system's flags: `MSG_TRUNC`, `MSG_CTRUNC`.
    pub flags: i32,
    /// Who sent it.
    pub from: UdpAddr,
}

impl ReceivedMsg {
    /// Whether the datagram was longer than the buffer; the rest is lost.
    ///
    /// # Examples
    ///
    /// See [`ReceivedMsg`].
    pub fn is_truncated(&self) -> bool {
        self.flags & msg::TRUNCATED != 0
    }

    /// Whether there was more control data than room for it.
    ///
    /// # Examples
    ///
    /// As [`ReceivedMsg::is_truncated`].
    pub fn is_control_truncated(&self) -> bool {
        self.flags & msg::CONTROL_TRUNCATED != 0
    }
}

impl UdpConn {
    /// Waits for a datagram, with the control data that the system adds to it if it was asked to (where it came in, its
    /// TOS). What is in `control` has the form of cmsg(3).
    ///
    /// # Errors
    ///
    /// As [`UdpConn::recv_from`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// let (mut buf, mut control) = ([0; 1500], [0; 64]);
    /// let got = conn.read_msg(&mut buf, &mut control)?;
    /// println!("{}: {:?} {:?}", got.from, &buf[..got.len], &control[..got.control_len]);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/udpsock.go UDPConn.ReadMsgUDP, UDPConn.ReadMsgUDPAddrPort
    #[doc(alias = "ReadMsgUDP", alias = "ReadMsgUDPAddrPort")]
    pub fn read_msg(&self, buf: &mut [u8], control: &mut [u8]) -> io::Result<ReceivedMsg> {
        self.begin_read()?;
        let received = self.fd.pfd.read_with(|fd| msg::recv_msg(fd, &mut [IoSliceMut::new(buf)], control, 0));
        let got = received.map_err(|e| self.wrap("read", "recvmsg", e))?;
        let from = sender(got.from.as_ref().and_then(SockAddr::as_socket));
        Ok(ReceivedMsg { len: got.len, control_len: got.control_len, flags: got.flags, from })
    }

    /// Sends `buf` as one datagram with `control`, which has the form of cmsg(3) and may be empty; returns the two
    /// lengths. To `addr`, or on a connected socket, where there must be none, to the peer.
    ///
    /// # Errors
    ///
    /// As [`UdpConn::write_to`]; [`Cause::MissingAddress`] without an address on a socket that is not connected.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::UdpAddr;
    ///
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// let to = UdpAddr::from("127.0.0.1:7".parse::<std::net::SocketAddr>().unwrap());
    /// conn.write_msg(b"hello", &[], Some(to))?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/udpsock.go UDPConn.WriteMsgUDP, UDPConn.WriteMsgUDPAddrPort
    #[doc(alias = "WriteMsgUDP", alias = "WriteMsgUDPAddrPort")]
    pub fn write_msg(&self, buf: &[u8], control: &[u8], addr: Option<UdpAddr>) -> io::Result<(usize, usize)> {
        self.begin_write()?;
        let to = self.target(addr).map_err(|cause| self.send_error(addr, cause))?;
        let sent = self.fd.pfd.write_with(|fd| msg::send_msg(fd, &[IoSlice::new(buf)], control, to.as_ref()));
        let n = sent.map_err(|e| self.send_error(addr, Cause::from_poll("sendmsg", e)))?;
        Ok((n, control.len()))
    }

    /// Go: net/udpsock_posix.go UDPConn.writeMsg
    fn target(&self, addr: Option<UdpAddr>) -> Result<Option<SockAddr>, Cause> {
        match (addr, self.peer.is_connected()) {
            (Some(_), true) => Err(Cause::WriteToConnected),
            (None, false) => Err(Cause::MissingAddress),
            (None, true) => Ok(None),
            (Some(addr), false) => Ok(Some(self.sockaddr(addr)?.into())),
        }
    }
}
