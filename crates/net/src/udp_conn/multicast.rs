//! Groups: joining them, and how to send to them. Go: `net/sockoptip_*.go`, `ListenMulticastUDP`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use gopark_poll::Error;
use gopark_sys::{Errno, sockopt};
use socket2::InterfaceIndexOrAddress;

use super::UdpConn;
use crate::error::Cause;

impl UdpConn {
    /// Joins the group `multiaddr` on the interface with the address `interface`; unspecified: the system chooses.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("0.0.0.0:0")?;
    /// conn.join_multicast_v4(&"224.0.0.251".parse().unwrap(), &std::net::Ipv4Addr::UNSPECIFIED)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn join_multicast_v4(&self, multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.fd.option("setsockopt", |socket| socket.join_multicast_v4(multiaddr, interface))
    }

    /// Joins the group `multiaddr` on the interface with the number `interface`, which need not have an IPv4 address
    /// (golang/go#70132); 0: the system chooses.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("0.0.0.0:0")?;
    /// conn.join_multicast_v4_on(&"224.0.0.251".parse().unwrap(), 1)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn join_multicast_v4_on(&self, multiaddr: &Ipv4Addr, interface: u32) -> io::Result<()> {
        let interface = InterfaceIndexOrAddress::Index(interface);
        self.fd.option("setsockopt", |socket| socket.join_multicast_v4_n(multiaddr, &interface))
    }

    /// Joins the group `multiaddr` on the interface with the number `interface`; 0: the system chooses.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("[::]:0")?;
    /// conn.join_multicast_v6(&"ff02::fb".parse().unwrap(), 1)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn join_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.fd.option("setsockopt", |socket| socket.join_multicast_v6(multiaddr, interface))
    }

    /// Leaves what [`UdpConn::join_multicast_v4`] joined.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("0.0.0.0:0")?;
    /// conn.leave_multicast_v4(&"224.0.0.251".parse().unwrap(), &std::net::Ipv4Addr::UNSPECIFIED)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn leave_multicast_v4(&self, multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.fd.option("setsockopt", |socket| socket.leave_multicast_v4(multiaddr, interface))
    }

    /// Leaves what [`UdpConn::join_multicast_v4_on`] joined.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("0.0.0.0:0")?;
    /// conn.leave_multicast_v4_on(&"224.0.0.251".parse().unwrap(), 1)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn leave_multicast_v4_on(&self, multiaddr: &Ipv4Addr, interface: u32) -> io::Result<()> {
        let interface = InterfaceIndexOrAddress::Index(interface);
        self.fd.option("setsockopt", |socket| socket.leave_multicast_v4_n(multiaddr, &interface))
    }

    /// Leaves what [`UdpConn::join_multicast_v6`] joined.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("[::]:0")?;
    /// conn.leave_multicast_v6(&"ff02::fb".parse().unwrap(), 1)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn leave_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.fd.option("setsockopt", |socket| socket.leave_multicast_v6(multiaddr, interface))
    }

    /// Whether what is sent to IPv4 groups comes back to members on this machine. It does, unless set to false; not
    /// on what [`listen_multicast_udp`](crate::listen_multicast_udp) makes.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// conn.set_multicast_loop_v4(false)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_multicast_loop_v4(&self, yes: bool) -> io::Result<()> {
        self.fd.option("setsockopt", |socket| socket.set_multicast_loop_v4(yes))
    }

    /// Whether what is sent to IPv4 groups comes back to members on this machine.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// assert!(conn.multicast_loop_v4()?);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.fd.option("getsockopt", |socket| socket.multicast_loop_v4())
    }

    /// As [`UdpConn::set_multicast_loop_v4`], for IPv6 groups.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("[::1]:0")?;
    /// conn.set_multicast_loop_v6(false)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_multicast_loop_v6(&self, yes: bool) -> io::Result<()> {
        self.fd.option("setsockopt", |socket| socket.set_multicast_loop_v6(yes))
    }

    /// As [`UdpConn::multicast_loop_v4`], for IPv6 groups.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("[::1]:0")?;
    /// assert!(conn.multicast_loop_v6()?);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.fd.option("getsockopt", |socket| socket.multicast_loop_v6())
    }

    /// Sets the time to live of what is sent to IPv4 groups. 1 unless set: it does not leave the local network.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// conn.set_multicast_ttl_v4(4)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        self.fd.option("setsockopt", |socket| socket.set_multicast_ttl_v4(ttl))
    }

    /// The time to live of what is sent to IPv4 groups.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("127.0.0.1:0")?;
    /// assert_eq!(conn.multicast_ttl_v4()?, 1);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.fd.option("getsockopt", |socket| socket.multicast_ttl_v4())
    }

    /// Sets the hop limit of what is sent to IPv6 groups. 1 unless set.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("[::1]:0")?;
    /// conn.set_multicast_hops_v6(4)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_multicast_hops_v6(&self, hops: u32) -> io::Result<()> {
        self.fd.option("setsockopt", |socket| socket.set_multicast_hops_v6(hops))
    }

    /// The hop limit of what is sent to IPv6 groups.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("[::1]:0")?;
    /// assert_eq!(conn.multicast_hops_v6()?, 1);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn multicast_hops_v6(&self) -> io::Result<u32> {
        self.fd.option("getsockopt", |socket| socket.multicast_hops_v6())
    }

    /// Sets the number of the interface that what is sent to IPv6 groups leaves by; 0: the system chooses.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("[::1]:0")?;
    /// conn.set_multicast_interface_v6(1)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_multicast_interface_v6(&self, interface: u32) -> io::Result<()> {
        self.fd.option("setsockopt", |socket| socket.set_multicast_if_v6(interface))
    }

    /// The number of the interface that what is sent to IPv6 groups leaves by.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("[::1]:0")?;
    /// assert_eq!(conn.multicast_interface_v6()?, 0);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn multicast_interface_v6(&self) -> io::Result<u32> {
        self.fd.option("getsockopt", |socket| socket.multicast_if_v6())
    }

    /// Sets the number of the interface that what is sent to IPv4 groups leaves by; 0: the system chooses.
    ///
    /// # Errors
    ///
    /// It is closed, or the system says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::UdpConn::bind("0.0.0.0:0")?;
    /// conn.set_multicast_interface_v4(1)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_multicast_interface_v4(&self, interface: u32) -> io::Result<()> {
        let set = self.fd.pfd.control(|fd| sockopt::set_multicast_interface_v4(fd, interface));
        set.and_then(|result| result.map_err(Error::Errno)).map_err(|e| self.wrap("set", "setsockopt", e))
    }

    /// What a socket for a group is made to be: it sends by `interface` and not to itself, and is a member.
    ///
    /// Go: net/udpsock_posix.go listenIPv4MulticastUDP, listenIPv6MulticastUDP
    pub(crate) fn join_alone(&self, group: IpAddr, interface: u32) -> Result<(), Cause> {
        let joined = self.fd.pfd.control(|fd| {
            let fd_ref = fd.as_fd();
            let socket = socket2::SockRef::from(&fd_ref);
            match group.to_canonical() {
                IpAddr::V4(group) => {
                    if interface != 0 {
                        sockopt::set_multicast_interface_v4(fd, interface)?;
                    }
                    socket.set_multicast_loop_v4(false)?;
                    socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(interface))
                }
                IpAddr::V6(group) => {
                    if interface != 0 {
                        socket.set_multicast_if_v6(interface)?;
                    }
                    socket.set_multicast_loop_v6(false)?;
                    socket.join_multicast_v6(&group, interface)
                }
            }
        });
        match joined {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(Cause::from_poll("setsockopt", Errno::of(&e).into())),
            Err(e) => Err(Cause::from_poll("setsockopt", e)),
        }
    }
}
