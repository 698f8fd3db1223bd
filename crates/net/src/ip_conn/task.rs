//! An `IpConn` for those who wait without standing still, and for those who do not wait.

use std::io;
use std::task::{Context, Poll};

use gopark_poll::Error;
use gopark_sys::{Errno, msg};

use super::{IpConn, IpSockAddr, received};
use crate::error::Cause;

impl IpConn {
    /// [`IpConn::read_from`] that does not wait.
    ///
    /// # Errors
    ///
    /// A bare `WouldBlock` (nothing is allocated) if there is no packet or somebody else is receiving; otherwise as
    /// [`IpConn::read`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::listen_ip("ip4:icmp", "127.0.0.1")?;
    /// println!("{:?}", conn.try_read_from(&mut [0; 1500]));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn try_read_from(&self, buf: &mut [u8]) -> io::Result<(usize, IpSockAddr)> {
        self.begin_read()?;
        match self.fd.pfd.try_read_with(|fd| msg::recv_from_ip(fd, buf)) {
            Ok((n, from)) => Ok(received(n, from, buf)),
            Err(e) => Err(self.fd.wrap_try("read", "recvfrom", e)),
        }
    }

    /// [`IpConn::write_to`] that does not wait.
    ///
    /// # Errors
    ///
    /// A bare `WouldBlock` (nothing is allocated) if there is no room or somebody else is sending; otherwise as
    /// [`IpConn::write_to`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::net::IpAddr;
    ///
    /// let conn = gopark_net::listen_ip("ip4:icmp", "127.0.0.1")?;
    /// println!("{:?}", conn.try_write_to(&[8, 0, 0xf7, 0xff, 0, 0, 0, 0], IpAddr::from([127, 0, 0, 1])));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn try_write_to(&self, buf: &[u8], addr: impl Into<IpSockAddr>) -> io::Result<usize> {
        let addr = addr.into();
        self.begin_write()?;
        let to = self.sockaddr(addr).map_err(|cause| self.send_error(addr, cause))?;
        self.fd.pfd.try_write_with(|fd| msg::send_to_ip(fd, buf, &to)).map_err(|e| match e {
            Error::Errno(Errno::EAGAIN) => io::ErrorKind::WouldBlock.into(),
            e => self.send_error(addr, Cause::from_poll("sendto", e)),
        })
    }

    /// [`IpConn::read_from`] for a future: see [`TcpConn`](crate::TcpConn#futures).
    ///
    /// # Errors
    ///
    /// As [`IpConn::read`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::future::poll_fn;
    /// use gopark_net::block_on;
    ///
    /// let conn = gopark_net::listen_ip("ip4:icmp", "127.0.0.1")?;
    /// let mut buf = [0; 1500];
    /// let (n, from) = block_on(poll_fn(|cx| conn.poll_read_from(cx, &mut buf)))?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn poll_read_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, IpSockAddr)>> {
        self.begin_poll_read()?;
        match self.fd.pfd.poll_read_with(cx, |fd| msg::recv_from_ip(fd, buf)) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok((n, from))) => Poll::Ready(Ok(received(n, from, buf))),
            Poll::Ready(Err(e)) => Poll::Ready(Err(self.fd.wrap("read", "recvfrom", e))),
        }
    }

    /// [`IpConn::write_to`] for a future.
    ///
    /// # Errors
    ///
    /// As [`IpConn::write_to`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::future::poll_fn;
    /// use std::net::IpAddr;
    /// use gopark_net::block_on;
    ///
    /// let conn = gopark_net::listen_ip("ip4:icmp", "127.0.0.1")?;
    /// let local = IpAddr::from([127, 0, 0, 1]);
    /// block_on(poll_fn(|cx| conn.poll_write_to(cx, &[8, 0, 0xf7, 0xff, 0, 0, 0, 0], local)))?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn poll_write_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        addr: impl Into<IpSockAddr>,
    ) -> Poll<io::Result<usize>> {
        let addr = addr.into();
        self.begin_poll_write()?;
        let to = self.sockaddr(addr).map_err(|cause| self.send_error(addr, cause))?;
        let sent = self.fd.pfd.poll_write_with(cx, |fd| msg::send_to_ip(fd, buf, &to));
        sent.map_err(|e| self.send_error(addr, Cause::from_poll("sendto", e)))
    }
}
