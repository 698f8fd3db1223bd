//! Options of a `UdpConn`.

use std::io;

use super::UdpConn;

impl UdpConn {
    /// Whether broadcasts may be sent. They may, unless this is set to false; std asks for it first.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("0.0.0.0:0")?;
    /// conn.set_broadcast(false)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.fd.option("setsockopt", |socket| socket.set_broadcast(broadcast))
    }

    /// Whether broadcasts may be sent.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("0.0.0.0:0")?;
    /// assert!(conn.broadcast()?);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn broadcast(&self) -> io::Result<bool> {
        self.fd.option("getsockopt", |socket| socket.broadcast())
    }

    /// Sets the time to live (hops) of IPv4 packets.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// conn.set_ttl(64)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.fd.option("setsockopt", |socket| socket.set_ttl_v4(ttl))
    }

    /// The time to live of IPv4 packets.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// println!("ttl {}", conn.ttl()?);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn ttl(&self) -> io::Result<u32> {
        self.fd.option("getsockopt", |socket| socket.ttl_v4())
    }
}
