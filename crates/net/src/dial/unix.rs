//! Dialing Unix sockets. Go: `net/unixsock.go`.

use std::io;
use std::os::fd::BorrowedFd;

use gopark_sched::context::Context;

use super::{Dialer, mismatched};
use crate::error::{Cause, OpError};
use crate::ipsock::Network;
use crate::sock::ControlRef;
use crate::unix_sock::Connect;
use crate::{UnixAddr, UnixConn, UnknownNetworkError};

impl Dialer {
    /// Connects a Unix socket of `network` (`unix`, `unixgram` or `unixpacket`) from `local`, or without a name, to
    /// `remote`. For datagrams there may be no `remote`: that is a socket that talks to anybody.
    ///
    /// If the listener's queue is full it waits, as std does, until there is room, the time is up or the context is
    /// done. (Go fails then.)
    ///
    /// # Errors
    ///
    /// An [`OpError`]: what connect(2) says; `TimedOut` if the time is up; the address or network is not one.
    ///
    /// # Panics
    ///
    /// If the control hook does.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::Dialer;
    ///
    /// let conn = Dialer::new().dial_unix("unix", None, Some(&"/run/app.sock".into()))?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/unixsock.go DialUnix, net/dial.go Dialer.DialUnix
    #[doc(alias = "DialUnix")]
    pub fn dial_unix(
        &self,
        network: &str,
        local: Option<&UnixAddr>,
        remote: Option<&UnixAddr>,
    ) -> io::Result<UnixConn> {
        self.dial_unix_context(&Context::background(), network, local, remote)
    }

    /// A dial by name, from the local address of the dialer.
    pub(super) fn dial_unix_name(
        &self,
        ctx: &Context,
        network: Network,
        address: &str,
    ) -> io::Result<UnixConn> {
        let failed = |cause| Err(OpError::new("dial", network.as_str(), cause).into());
        if address.is_empty() {
            return failed(Cause::MissingAddress);
        }
        match (&self.local_unix, self.local_addr) {
            (Some(local), _) if local.net() != network => failed(mismatched(local.to_string())),
            (None, Some(local)) => failed(mismatched(local.to_string())),
            (local, _) => {
                let remote = UnixAddr::on(network, address.as_ref());
                self.dial_unix_context(ctx, network.as_str(), local.as_ref(), Some(&remote))
            }
        }
    }

    /// As [`Dialer::dial_unix`], no longer than until `ctx` is done.
    ///
    /// # Errors
    ///
    /// As [`Dialer::dial_unix`]; if the context is canceled, one for which [`is_canceled`](crate::is_canceled) holds.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use gopark_net::Dialer;
    /// use gopark_net::context::Context;
    ///
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_secs(3));
    /// let conn = Dialer::new().dial_unix_context(&ctx, "unix", None, Some(&"/run/app.sock".into()))?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/dial.go Dialer.DialUnix
    #[doc(alias = "DialUnix")]
    pub fn dial_unix_context(
        &self,
        ctx: &Context,
        network: &str,
        local: Option<&UnixAddr>,
        remote: Option<&UnixAddr>,
    ) -> io::Result<UnixConn> {
        let deadline = self.deadline_under(ctx);
        let dialed = match Network::parse(network) {
            Ok(net) if net.is_unix() => {
                let control = self.control.as_ref().map(|control| {
                    move |network: &str, address: &str, fd: BorrowedFd<'_>| control(ctx, network, address, fd)
                });
                let control = control.as_ref().map(|control| control as ControlRef<'_>);
                Connect { network: net, laddr: local, raddr: remote, control, deadline, ctx }.run()
            }
            _ => Err(UnknownNetworkError(network.to_owned()).into()),
        };
        dialed.map(UnixConn::new).map_err(|cause| {
            let addr = |addr: Option<&UnixAddr>| addr.map(|addr| addr.clone().into());
            OpError::new("dial", network.to_owned(), cause)
                .with_source(addr(local))
                .with_addr(addr(remote))
                .into()
        })
    }
}
