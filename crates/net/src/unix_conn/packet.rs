//! Datagrams, and whom they come from and go to.

use std::borrow::Borrow;
use std::io;
use std::path::Path;
use std::task::{Context, Poll};

use gopark_sys::{Errno, msg, rw};
use socket2::SockAddr;

use super::UnixConn;
use crate::error::Cause;
use crate::unix_addr::UnixAddr;
use crate::unix_sock::Backoff;

/// # Datagrams
///
/// | std | Go | |
/// |---|---|---|
/// | [`recv_from`](UnixConn::recv_from) | [`read_from`](UnixConn::read_from) | a sender without a name is an unnamed address, and `None` |
/// | [`send_to`](UnixConn::send_to) | [`write_to`](UnixConn::write_to) | Go's is an error on a connected socket |
/// | [`recv`](UnixConn::recv), [`send`](UnixConn::send) | [`read`](UnixConn::read), [`write`](UnixConn::write) | from and to the peer |
impl UnixConn {
    /// Waits for a datagram; returns how many bytes of it are in `buf`, and who sent it. Takes one also if `buf` is
    /// empty.
    ///
    /// # Errors
    ///
    /// As [`UnixConn::read`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UnixConn::bind("/run/app.sock")?;
    /// let mut buf = [0; 512];
    /// let (n, from) = conn.recv_from(&mut buf)?;
    /// conn.send_to_addr(&buf[..n], &from)?;
    /// # std::io::Result::Ok(())
    /// ```
    #[inline]
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, UnixAddr)> {
        let (n, from) = self.receive_from(buf)?;
        Ok((n, self.sender(from)))
    }

    /// [`UnixConn::recv_from`] with the sender as Go has it: `None` if it has no name.
    ///
    /// # Errors
    ///
    /// As [`UnixConn::read`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UnixConn::bind("/run/app.sock")?;
    /// let mut buf = [0; 512];
    /// if let (n, Some(from)) = conn.read_from(&mut buf)? {
    ///     conn.write_to(&buf[..n], &from)?;
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/unixsock.go UnixConn.ReadFromUnix
    #[doc(alias = "ReadFromUnix", alias = "ReadFrom")]
    #[inline]
    pub fn read_from(&self, buf: &mut [u8]) -> io::Result<(usize, Option<UnixAddr>)> {
        let (n, from) = self.receive_from(buf)?;
        Ok((n, Some(self.sender(from)).filter(|from| !from.is_unnamed())))
    }

    /// [`UnixConn::recv_from`] that does not wait.
    ///
    /// # Errors
    ///
    /// As [`UnixConn::try_read`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UnixConn::bind("/run/app.sock")?;
    /// println!("{:?}", conn.try_recv_from(&mut [0; 512]));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, UnixAddr)> {
        self.begin_read()?;
        let received = self.fd.pfd.try_read_with(|fd| msg::recv_from(fd, buf));
        let (n, from) = received.map_err(|e| self.wrap_try("read", "recvfrom", e))?;
        Ok((n, self.sender(from)))
    }

    /// [`UnixConn::recv_from`] for a future: see [`TcpConn`](crate::TcpConn#futures).
    ///
    /// # Errors
    ///
    /// As [`UnixConn::read`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::future::poll_fn;
    /// use gopark_net::block_on;
    ///
    /// let conn = gopark_net::UnixConn::bind("/run/app.sock")?;
    /// let mut buf = [0; 512];
    /// let (n, from) = block_on(poll_fn(|cx| conn.poll_recv_from(cx, &mut buf)))?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, UnixAddr)>> {
        self.begin_poll_read()?;
        let received = self.fd.pfd.poll_read_with(cx, |fd| msg::recv_from(fd, buf));
        received.map_ok(|(n, from)| (n, self.sender(from))).map_err(|e| self.wrap("read", "recvfrom", e))
    }

    /// What [`UnixConn::recv_from`] would give, without taking it.
    ///
    /// # Errors
    ///
    /// As [`UnixConn::read`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UnixConn::bind("/run/app.sock")?;
    /// let (_, from) = conn.peek_from(&mut [])?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, UnixAddr)> {
        self.begin_read()?;
        let peeked = self.fd.pfd.read_with(|fd| msg::peek_from(fd, buf));
        let (n, from) = peeked.map_err(|e| self.wrap("read", "recvfrom", e))?;
        Ok((n, self.sender(from)))
    }

    /// [`UnixConn::read`] under std's name, but that an empty `buf` takes a datagram too.
    ///
    /// # Errors
    ///
    /// As [`UnixConn::read`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UnixConn::bind("/run/app.sock")?;
    /// let n = conn.recv(&mut [0; 512])?;
    /// # std::io::Result::Ok(())
    /// ```
    #[inline]
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.begin_read()?;
        self.fd.pfd.read_with(|fd| rw::recv(fd, buf)).map_err(|e| self.wrap("read", "read", e))
    }

    /// [`UnixConn::write`] under std's name.
    ///
    /// # Errors
    ///
    /// As [`UnixConn::write`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UnixConn::unbound()?;
    /// conn.connect_to("/run/app.sock")?;
    /// conn.send(b"hello")?;
    /// # std::io::Result::Ok(())
    /// ```
    #[inline]
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.write(buf)
    }

    /// Sends `buf` as one datagram to the socket at `name`; waits for room. On a connected socket too: see
    /// [`UnixConn::write_to`] for Go's rule.
    ///
    /// # Errors
    ///
    /// An [`OpError`](crate::OpError): the socket is closed, the deadline passed, or what sendto(2) says (`EMSGSIZE`:
    /// longer than a datagram can be).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UnixConn::unbound()?;
    /// conn.send_to(b"hello", "/run/app.sock")?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn send_to<P: AsRef<Path>>(&self, buf: &[u8], name: P) -> io::Result<usize> {
        self.send_to_addr(buf, &UnixAddr::new(name.as_ref()))
    }

    /// As [`UnixConn::send_to`], to an address.
    ///
    /// # Errors
    ///
    /// As [`UnixConn::send_to`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UnixConn::unbound()?;
    /// conn.send_to_addr(b"hello", &"@app".into())?;
    /// # std::io::Result::Ok(())
    /// ```
    #[inline]
    pub fn send_to_addr(&self, buf: &[u8], addr: &UnixAddr) -> io::Result<usize> {
        self.begin_write()?;
        let to = self.sockaddr(addr, "sendto")?;
        self.transmit("sendto", addr, |fd| msg::send_to(fd, buf, Some(&to)))
    }

    /// [`UnixConn::send_to_addr`] as Go has it.
    ///
    /// # Errors
    ///
    /// As [`UnixConn::send_to`]. [`Cause::WriteToConnected`] on a connection or a connected socket, whose peer cannot
    /// be overruled; `EAFNOSUPPORT` if `addr` is of another network than this socket.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{UnixAddr, UnixConn};
    ///
    /// let conn = UnixConn::unbound()?;
    /// conn.write_to(b"hello", &UnixAddr::resolve("unixgram", "/run/app.sock").unwrap())?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/unixsock.go UnixConn.WriteToUnix
    #[doc(alias = "WriteToUnix", alias = "WriteTo")]
    #[inline]
    pub fn write_to(&self, buf: &[u8], addr: impl Borrow<UnixAddr>) -> io::Result<usize> {
        let addr = addr.borrow();
        if self.peer.is_connected() {
            return Err(self.send_error(addr, Cause::WriteToConnected));
        }
        self.check_network(addr)?;
        self.send_to_addr(buf, addr)
    }

    /// [`UnixConn::send_to_addr`] that does not wait.
    ///
    /// # Errors
    ///
    /// A bare `WouldBlock` (nothing is allocated) if the receiver has no room or somebody else is sending; otherwise as
    /// [`UnixConn::send_to`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UnixConn::unbound()?;
    /// println!("{:?}", conn.try_send_to_addr(b"hello", &"@app".into()));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn try_send_to_addr(&self, buf: &[u8], addr: &UnixAddr) -> io::Result<usize> {
        self.begin_write()?;
        let to = self.sockaddr(addr, "sendto")?;
        let sent = self.fd.pfd.try_write_with(|fd| msg::send_to(fd, buf, Some(&to)));
        sent.map_err(|e| match e {
            gopark_poll::Error::Errno(Errno::EAGAIN) => io::ErrorKind::WouldBlock.into(),
            e => self.send_error(addr, Cause::from_poll("sendto", e)),
        })
    }

    /// Sends by `call`, to another socket than the peer.
    ///
    /// If its queue is full, an event tells those who are connected to it when there is room, and nobody else (the
    /// kernel's `unix_dgram_peer_wake_me`). But each try that fails frees its message, which is an event of our own:
    /// who waits for events here, as Go does, spins (3/4 of a processor, measured). So it is tried again after a pause.
    #[inline]
    pub(super) fn transmit(
        &self,
        syscall: &'static str,
        to: &UnixAddr,
        mut call: impl FnMut(&gopark_sys::SysFd) -> gopark_sys::Result<usize>,
    ) -> io::Result<usize> {
        let mut backoff = Backoff::new();
        loop {
            let sent = self.fd.pfd.write_with(|fd| match call(fd) {
                Err(Errno::EAGAIN) => Ok(None),
                sent => sent.map(Some),
            });
            match sent.map_err(|e| self.send_error(to, Cause::from_poll(syscall, e)))? {
                Some(n) => return Ok(n),
                None => backoff.pause(),
            }
        }
    }

    pub(super) fn sockaddr(&self, addr: &UnixAddr, syscall: &'static str) -> io::Result<SockAddr> {
        addr.sockaddr().map_err(|e| self.send_error(addr, Cause::from_poll(syscall, e.into())))
    }

    /// Go: net/unixsock_posix.go UnixConn.writeTo
    pub(super) fn check_network(&self, addr: &UnixAddr) -> io::Result<()> {
        if addr.net() == self.fd.network {
            return Ok(());
        }
        Err(self.send_error(addr, Cause::Other(Box::new(Errno::EAFNOSUPPORT))))
    }

    #[inline]
    fn receive_from(&self, buf: &mut [u8]) -> io::Result<(usize, Option<SockAddr>)> {
        self.begin_read()?;
        let received = self.fd.pfd.read_with(|fd| msg::recv_from(fd, buf));
        received.map_err(|e| self.wrap("read", "recvfrom", e))
    }

    /// Nobody is an unnamed one.
    pub(super) fn sender(&self, from: Option<SockAddr>) -> UnixAddr {
        match from {
            Some(from) => UnixAddr::from_sockaddr(self.fd.network, &from),
            None => UnixAddr::new("").with_network(self.fd.network),
        }
    }
}
