//! Multipath TCP for dialing.

use crate::Dialer;

impl Dialer {
    /// Whether the connection may use several paths at once, if the peer can too (Multipath TCP, Linux). If either
    /// system cannot, or if it fails, it is plain TCP; see [`TcpConn::multipath_tcp`](crate::TcpConn::multipath_tcp).
    /// Off unless set.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let conn = gopark_net::Dialer::new().set_multipath_tcp(true).dial("tcp", "example.com:80")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/dial.go Dialer.SetMultipathTCP
    #[doc(alias = "SetMultipathTCP")]
    pub fn set_multipath_tcp(mut self, yes: bool) -> Dialer {
        self.multipath_tcp = yes;
        self
    }

    /// What [`Dialer::set_multipath_tcp`] has set.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(!gopark_net::Dialer::new().multipath_tcp());
    /// ```
    ///
    /// Go: net/dial.go Dialer.MultipathTCP
    #[doc(alias = "MultipathTCP")]
    pub fn multipath_tcp(&self) -> bool {
        self.multipath_tcp
    }
}
