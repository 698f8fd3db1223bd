//! What only sockets for connections have: Multipath TCP, and several sockets for one address.

use std::io;

use gopark_sys::Errno;

use super::{ListenConfig, resolve, unknown};
use crate::addr::TcpAddr;
use crate::error::{Cause, OpError};
use crate::ipsock::Network;
use crate::sock::{ListenOptions, listen_stream};
use crate::{ShardedListener, TcpListener};

impl ListenConfig {
    /// Whether connections may use several paths at once, where the peer does too (Multipath TCP, Linux). If the system
    /// cannot, it is plain TCP without a word; see [`TcpConn::multipath_tcp`](crate::TcpConn::multipath_tcp).
    ///
    /// Off unless set. Go has it on for listeners since 1.24; here it is asked for, since it costs each connection some
    /// calls and options that plain TCP has are missing (a control hook that sets TCP_MD5SIG fails, golang/go#74643).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::ListenConfig::new().set_multipath_tcp(true).listen("tcp", ":8080")?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// Go: net/dial.go ListenConfig.SetMultipathTCP
    #[doc(alias = "SetMultipathTCP")]
    pub fn set_multipath_tcp(mut self, yes: bool) -> ListenConfig {
        self.multipath_tcp = yes;
        self
    }

    /// What [`ListenConfig::set_multipath_tcp`] has set.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(!gopark_net::ListenConfig::new().multipath_tcp());
    /// ```
    ///
    /// Go: net/dial.go ListenConfig.MultipathTCP
    #[doc(alias = "MultipathTCP")]
    pub fn multipath_tcp(&self) -> bool {
        self.multipath_tcp
    }

    /// How many sockets listen on the address, each with a goroutine that accepts from it: see [`ShardedListener`],
    /// which is what [`ListenConfig::listen`] then returns. 0 and 1, the default: one socket and no goroutine. As many
    /// as there are Ps is enough for everybody.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use gopark_net::{ListenConfig, go, max_procs};
    ///
    /// let ln = ListenConfig::new().shards(max_procs()).listen("tcp", ":8080")?;
    /// for conn in ln.incoming() {
    ///     let conn = conn?;
    ///     go(move || conn.write_all(b"hello\n"));
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn shards(mut self, sockets: usize) -> ListenConfig {
        self.shards = sockets;
        self
    }

    /// Listens on `address` of `network`, a TCP one, with as many sockets as [`ListenConfig::shards`] has set.
    ///
    /// # Errors
    ///
    /// As [`listen`](crate::listen); with [`Cause::Other`] no goroutine could be started.
    ///
    /// # Panics
    ///
    /// If the control hook does; it runs for each socket.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let ln = gopark_net::ListenConfig::new().shards(2).listen_sharded("tcp", "localhost:0")?;
    /// println!("{} sockets on {}", ln.shards().len(), ln.addr());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn listen_sharded(&self, network: &str, address: &str) -> io::Result<ShardedListener> {
        match resolve(network, address)? {
            (net, laddr) if net.is_tcp() => self.shards_on(net, laddr),
            _ => Err(unknown(network)),
        }
    }

    pub(super) fn shards_on(&self, network: Network, laddr: TcpAddr) -> io::Result<ShardedListener> {
        let config = self.clone().reuse_port(true);
        let first = config.listen_on(network, laddr)?;
        let port = first.local_addr()?.port();
        let mut shards = vec![first];
        for _ in 1..self.shards {
            shards.push(config.listen_on(network, TcpAddr { port, ..laddr })?);
        }
        ShardedListener::start(shards)
    }

    /// Refuses what one socket cannot be.
    pub(super) fn one_socket(&self, network: &str) -> io::Result<()> {
        if self.shards <= 1 {
            return Ok(());
        }
        let text = "a TcpListener is one socket: use listen or listen_sharded for several shards";
        let e = io::Error::new(io::ErrorKind::InvalidInput, text);
        Err(OpError::new("listen", network.to_owned(), Cause::Other(Box::new(e))).into())
    }

    pub(super) fn listen_on(&self, network: Network, laddr: TcpAddr) -> io::Result<TcpListener> {
        let listen = |options: &ListenOptions<'_>| -> Result<TcpListener, Cause> {
            let (fd, inherited) = listen_stream(network, &laddr, options)?;
            Ok(TcpListener::new(fd, (!inherited).then_some(self.keep_alive), options.multipath_tcp))
        };
        let result = match listen(&self.options()) {
            // It may be Multipath TCP alone that the system, or an option of the hook's, will not have.
            Err(cause) if self.multipath_tcp && cause.errno() != Some(Errno::EADDRINUSE) => {
                listen(&ListenOptions { multipath_tcp: false, ..self.options() })
            }
            result => result,
        };
        result.map_err(|cause| {
            OpError::new("listen", network.as_str(), cause).with_addr(Some(laddr.into())).into()
        })
    }
}
