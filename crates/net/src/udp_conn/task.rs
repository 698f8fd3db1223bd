//! A `UdpConn` for those who wait without standing still, and for those who do not wait.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use gopark_sys::{msg, rw};

use super::{UdpConn, sender};
use crate::addr::UdpAddr;
use crate::error::Cause;

impl UdpConn {
    /// [`UdpConn::recv`] that does not wait.
    ///
    /// # Errors
    ///
    /// A bare `WouldBlock` (nothing is allocated) if there is no datagram or somebody else is receiving; otherwise as
    /// [`UdpConn::recv`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// println!("{:?}", conn.try_recv(&mut [0; 1500]));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        // Also here: the time of an earlier call that was timed out may have left the deadline expired.
        self.begin_read()?;
        let received = self.fd.pfd.try_read_with(|fd| rw::recv(fd, buf));
        received.map_err(|e| self.wrap_try("read", "read", e))
    }

    /// [`UdpConn::recv_from`] that does not wait.
    ///
    /// # Errors
    ///
    /// As [`UdpConn::try_recv`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// println!("{:?}", conn.try_recv_from(&mut [0; 1500]));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.begin_read()?;
        let received = self.fd.pfd.try_read_with(|fd| msg::recv_from_ip(fd, buf));
        let (n, from) = received.map_err(|e| self.wrap_try("read", "recvfrom", e))?;
        Ok((n, sender(from).end_point().std()))
    }

    /// [`UdpConn::send`] that does not wait.
    ///
    /// # Errors
    ///
    /// A bare `WouldBlock` (nothing is allocated) if there is no room or somebody else is sending; otherwise as
    /// [`UdpConn::send`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// conn.connect("127.0.0.1:7")?;
    /// println!("{:?}", conn.try_send(b"hello"));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
        self.begin_write()?;
        let sent = self.fd.pfd.try_write_with(|fd| rw::send(fd, buf));
        sent.map_err(|e| self.wrap_try("write", "write", e))
    }

    /// [`UdpConn::send_to`] that does not wait, not for a name either: `addr` is an address.
    ///
    /// # Errors
    ///
    /// As [`UdpConn::try_send`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// println!("{:?}", conn.try_send_to(b"hello", "127.0.0.1:7".parse().unwrap()));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn try_send_to(&self, buf: &[u8], addr: SocketAddr) -> io::Result<usize> {
        self.begin_write()?;
        let addr = UdpAddr::from(addr);
        let to = self.sockaddr(addr).map_err(|cause| self.send_error(Some(addr), cause))?;
        let sent = self.fd.pfd.try_write_with(|fd| msg::send_to_ip(fd, buf, &to));
        sent.map_err(|e| match e {
            gopark_poll::Error::Errno(gopark_sys::Errno::EAGAIN) => io::ErrorKind::WouldBlock.into(),
            e => self.send_error(Some(addr), Cause::from_poll("sendto", e)),
        })
    }

    /// [`UdpConn::recv`] for a future. If one is pending, the waker it was given is woken when it is worth trying
    /// again; see [`TcpConn`](crate::TcpConn#futures).
    ///
    /// # Errors
    ///
    /// As [`UdpConn::recv`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::future::poll_fn;
    /// use gopark_net::block_on;
    ///
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// let mut buf = [0; 1500];
    /// let n = block_on(poll_fn(|cx| conn.poll_recv(cx, &mut buf)))?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.begin_poll_read()?;
        let received = self.fd.pfd.poll_read_with(cx, |fd| rw::recv(fd, buf));
        received.map_err(|e| self.wrap("read", "read", e))
    }

    /// [`UdpConn::recv_from`] for a future.
    ///
    /// # Errors
    ///
    /// As [`UdpConn::recv_from`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::future::poll_fn;
    /// use gopark_net::block_on;
    ///
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// let mut buf = [0; 1500];
    /// let (n, from) = block_on(poll_fn(|cx| conn.poll_recv_from(cx, &mut buf)))?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.begin_poll_read()?;
        let received = self.fd.pfd.poll_read_with(cx, |fd| msg::recv_from_ip(fd, buf));
        received
            .map_ok(|(n, from)| (n, sender(from).end_point().std()))
            .map_err(|e| self.wrap("read", "recvfrom", e))
    }

    /// [`UdpConn::send`] for a future.
    ///
    /// # Errors
    ///
    /// As [`UdpConn::send`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::future::poll_fn;
    /// use gopark_net::block_on;
    ///
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// conn.connect("127.0.0.1:7")?;
    /// block_on(poll_fn(|cx| conn.poll_send(cx, b"hello")))?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn poll_send(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.begin_poll_write()?;
        let sent = self.fd.pfd.poll_write_with(cx, |fd| rw::send(fd, buf));
        sent.map_err(|e| self.wrap("write", "write", e))
    }

    /// [`UdpConn::send_to`] for a future; `addr` is an address.
    ///
    /// # Errors
    ///
    /// As [`UdpConn::send_to`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::future::poll_fn;
    /// use gopark_net::block_on;
    ///
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// let addr = "127.0.0.1:7".parse().unwrap();
    /// block_on(poll_fn(|cx| conn.poll_send_to(cx, b"hello", addr)))?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        addr: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.begin_poll_write()?;
        let addr = UdpAddr::from(addr);
        let to = self.sockaddr(addr).map_err(|cause| self.send_error(Some(addr), cause))?;
        let sent = self.fd.pfd.poll_write_with(cx, |fd| msg::send_to_ip(fd, buf, &to));
        sent.map_err(|e| self.send_error(Some(addr), Cause::from_poll("sendto", e)))
    }
}
