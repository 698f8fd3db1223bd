//! Options of a `UdpConn`. Those of groups are in `multicast.rs`, those of the buffers in `conn_methods.rs`.

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

    /// Sets the time to live (hops) of IPv4 packets to one host.
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

    /// The time to live of IPv4 packets to one host.
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

    /// Sets the hop limit of IPv6 packets to one host.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("[::1]:0")?;
    /// conn.set_hops_v6(64)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_hops_v6(&self, hops: u32) -> io::Result<()> {
        self.fd.option("setsockopt", |socket| socket.set_unicast_hops_v6(hops))
    }

    /// The hop limit of IPv6 packets to one host.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("[::1]:0")?;
    /// println!("{} hops", conn.hops_v6()?);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn hops_v6(&self) -> io::Result<u32> {
        self.fd.option("getsockopt", |socket| socket.unicast_hops_v6())
    }

    /// Sets the type of service of IPv4 packets: the DSCP and, in the lowest two bits, the ECN mark.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// conn.set_tos(0x10)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_tos(&self, tos: u32) -> io::Result<()> {
        self.fd.option("setsockopt", |socket| socket.set_tos_v4(tos))
    }

    /// The type of service of IPv4 packets.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// println!("tos {:#x}", conn.tos()?);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn tos(&self) -> io::Result<u32> {
        self.fd.option("getsockopt", |socket| socket.tos_v4())
    }

    /// Sets the traffic class of IPv6 packets: what [`UdpConn::set_tos`] is for IPv4.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("[::1]:0")?;
    /// conn.set_traffic_class_v6(0x10)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_traffic_class_v6(&self, class: u32) -> io::Result<()> {
        self.fd.option("setsockopt", |socket| socket.set_tclass_v6(class))
    }

    /// The traffic class of IPv6 packets.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("[::1]:0")?;
    /// println!("class {:#x}", conn.traffic_class_v6()?);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn traffic_class_v6(&self) -> io::Result<u32> {
        self.fd.option("getsockopt", |socket| socket.tclass_v6())
    }

    /// Whether [`UdpConn::read_msg`] finds the type of service of each datagram in its control data (`IP_TOS`).
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// conn.set_recv_tos(true)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_recv_tos(&self, yes: bool) -> io::Result<()> {
        self.fd.option("setsockopt", |socket| socket.set_recv_tos_v4(yes))
    }

    /// Whether [`UdpConn::read_msg`] finds the traffic class of each datagram in its control data (`IPV6_TCLASS`).
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("[::1]:0")?;
    /// conn.set_recv_traffic_class_v6(true)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_recv_traffic_class_v6(&self, yes: bool) -> io::Result<()> {
        self.fd.option("setsockopt", |socket| socket.set_recv_tclass_v6(yes))
    }

    /// Whether the socket is for IPv6 packets only; on a socket of IPv4 an error.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("[::1]:0")?;
    /// println!("{}", conn.only_v6()?);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn only_v6(&self) -> io::Result<bool> {
        self.fd.option("getsockopt", |socket| socket.only_v6())
    }
}
