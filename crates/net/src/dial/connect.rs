//! One attempt to connect. Go: `netFD.connect`, `sysDialer.doDialTCP`.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use gopark_poll::{Fd, FdKind};
use gopark_sys::{Errno, sock};

use super::Attempt;
use super::race::Canceler;
use crate::TcpConn;
use crate::addr::TcpAddr;
use crate::error::Cause;
use crate::fd::NetFd;
use crate::ipsock::Use;
use crate::sock::{NewSocket, set_conn_options, start_connect};

/// How often a socket is made anew when the system chose a local port that cannot be used (Go's number).
const RETRIES: usize = 2;

impl Attempt {
    /// Connects to `raddr`.
    ///
    /// Twice more if the system's choice of a local port was unlucky: it may pick the very port that is
    /// dialed, and the socket then connects to itself (TCP's simultaneous open); and it may find no free port
    /// although there are some (golang/go#2690, #3838). Not if the program chose the port.
    ///
    /// Go: net/tcpsock_posix.go sysDialer.doDialTCPProto
    #[doc(alias = "doDialTCP")]
    pub(super) fn connect(
        &self,
        raddr: &TcpAddr,
        deadline: Option<Instant>,
        canceler: Option<&Canceler>,
    ) -> Result<TcpConn, Cause> {
        let laddr = self.dialer.local_addr;
        let any_port = laddr.is_none_or(|laddr| laddr.port == 0);
        let mut retries = if any_port { RETRIES } else { 0 };
        loop {
            let result = self.connect_once(laddr.as_ref(), raddr, deadline, canceler);
            let unlucky = match &result {
                Ok(fd) => fd.raddr == Some(fd.laddr),
                Err(cause) => cause.errno() == Some(Errno::EADDRNOTAVAIL),
            };
            if !unlucky || retries == 0 {
                return result.map(TcpConn::new);
            }
            retries -= 1;
        }
    }

    fn connect_once(
        &self,
        laddr: Option<&TcpAddr>,
        raddr: &TcpAddr,
        deadline: Option<Instant>,
        canceler: Option<&Canceler>,
    ) -> Result<NetFd, Cause> {
        let new = NewSocket::new(self.network, laddr, Some(raddr), Use::Dial)?;
        new.control(self.dialer.control.as_ref(), self.network, raddr)?;
        if let Some(laddr) = laddr {
            new.bind(laddr)?;
        }
        let family = new.family;
        let fd = OwnedFd::from(new.socket);
        set_conn_options(&fd, &self.dialer.keep_alive);
        let mut pfd = Fd::new(fd, FdKind::TCP);
        // Registered after connect(2) has begun: a socket that is not connecting reports a hang-up, which
        // would spoil the short-read hint for the life of the connection.
        let connected = start_connect(&pfd, family, raddr)?;
        pfd.init().map_err(|e| Cause::from_poll("epoll_ctl", e))?;
        let pfd = if connected { pfd } else { wait_connected(pfd, deadline, canceler)? };
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(Cause::Timeout);
        }
        // Whom we are connected to; for a wildcard that is not what was dialed.
        let peer = pfd.control(sock::peer_addr).and_then(|addr| Ok(addr?));
        let raddr = peer.map_or(*raddr, TcpAddr::from);
        NetFd::named(pfd, self.network, Some(raddr))
    }
}

/// Waits for the end of a connect(2) that has begun, no later than `deadline` and no longer than until
/// `canceler` says so. On error the socket is closed.
///
/// Go: net/fd_unix.go netFD.connect
fn wait_connected(fd: Fd, deadline: Option<Instant>, canceler: Option<&Canceler>) -> Result<Fd, Cause> {
    let failed = |e| Cause::from_poll("connect", e);
    if deadline.is_some() {
        fd.set_write_deadline(deadline).map_err(failed)?;
    }
    let (fd, result) = match canceler {
        None => {
            let result = fd.connect_wait();
            (fd, result)
        }
        Some(canceler) => {
            let shared = Arc::new(fd);
            let result = canceler.enter(&shared).then(|| shared.connect_wait());
            // From here on nobody else can reach it: a cancel that comes now is too late to leave a deadline behind
            // (golang/go#16523). One that came before fails the dial even if the connection was made.
            let canceled = canceler.leave();
            let fd = Arc::into_inner(shared).expect("only the canceler had another reference");
            match result {
                Some(result) if !canceled => (fd, result),
                _ => return Err(Cause::Canceled),
            }
        }
    };
    result.map_err(failed)?;
    if deadline.is_some() {
        fd.set_write_deadline(None).map_err(failed)?;
    }
    Ok(fd)
}
