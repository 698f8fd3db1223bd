//! gopark-net: Go's `net` package on std's conventions.
//!
//! Calls look blocking, goroutines do the waiting, and no thread is held while they do. One goroutine for
//! each connection, a straight line of code in each, `std::io::Read` and `Write` throughout.
//!
//! ```no_run
//! use gopark_net::{Runtime, go, listen};
//!
//! fn main() -> std::io::Result<()> {
//!     // SAFETY: see `Runtime::start` for what is promised here.
//!     let _rt = unsafe { Runtime::start()? };
//!     let ln = listen("tcp", "127.0.0.1:8080")?;
//!     for conn in ln.incoming() {
//!         let conn = conn?;
//!         go(move || std::io::copy(&mut &*conn, &mut &*conn));
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # What is where
//!
//! | | | Go |
//! |---|---|---|
//! | [`listen`], [`dial`], [`ListenConfig`], [`Dialer`] | by network and address, as text | `net.Listen`, `net.Dial` |
//! | [`TcpListener`], [`TcpConn`] | the concrete types, with std's names too | `TCPListener`, `TCPConn` |
//! | [`listen_packet`], [`listen_multicast_udp`], [`UdpConn`] | datagrams, one or many a call | `net.ListenPacket`, `UDPConn` |
//! | [`UnixListener`], [`UnixConn`], [`UnixAddr`] | Unix sockets: streams, datagrams, packets; passed descriptors | `UnixListener`, `UnixConn` |
//! | [`IpConn`], [`listen_ip`] | raw sockets | `IPConn` |
//! | [`Listener`], [`Conn`], [`PacketConn`] | what they have in common, object-safe | the same |
//! | [`pipe`], [`PipeConn`] | a connection in memory | `net.Pipe` |
//! | [`Resolver`], [`lookup_host`], [`lookup_ip`] and so on | names, by files and name servers | `net.Resolver` |
//! | [`copy`], [`Source`], [`Sink`], [`Buffers`] | many bytes with few copies: splice, sendfile, writev | `io.Copy`, `net.Buffers` |
//! | [`OpError`], [`is_timeout`], [`is_canceled`], [`is_closed`], [`is_temporary`], [`raw_os_error`] | what went wrong | `OpError`, `Error` |
//! | [`block_on`], [`future`] | futures on goroutines | |
//! | [`Runtime`], [`go`], [`spawn`], [`scope`], [`sleep`], [`blocking`] | goroutines | the `go` statement, `time.Sleep` |
//!
//! # Errors
//!
//! All are `std::io::Error`, with the kind that std gives; inside is an [`OpError`] with Go's text. Before
//! [`Runtime::start`] every call that needs the runtime fails with an error that names the line to write.
//!
//! # Inside
//!
//! This crate has no `unsafe` and no event loop: it makes sockets (`sock.rs`), chooses addresses
//! (`ipsock.rs`, `dial.rs`), resolves names (`resolver.rs`, and `lookup.rs` for the system's way), and gives names
//! to errors (`error.rs`, `fd.rs`). Waiting is done by `gopark-poll`, running by `gopark-sched`.

#![forbid(unsafe_code)]

mod activation;
mod addr;
mod buffers;
mod cidr;
mod conn;
mod conn_methods;
mod copy;
mod dial;
mod error;
mod fd;
mod file;
#[doc(hidden)]
pub mod for_fuzz;
mod hardware_addr;
mod incoming;
mod interface;
mod ip_conn;
mod ipsock;
mod keepalive;
mod listen;
mod lookup;
mod packet_conn;
mod pipe;
mod port;
mod protocol;
mod raw_conn;
mod resolve_addr;
mod resolver;
mod sharded_listener;
mod sock;
mod tcp_conn;
mod tcp_listener;
mod timeout;
mod udp_conn;
mod unix_addr;
mod unix_conn;
mod unix_listener;
mod unix_sock;
mod with_context;
mod zone;

/// For this crate's tests in `tests/`, which may start the runtime. Unit tests may not: that is `unsafe`.
#[doc(hidden)]
pub mod for_tests {
    pub use crate::copy::clear_pipes;
    pub use crate::dial::race::{Racer, race};
    pub use crate::lookup::gate::Gate;
    pub use crate::lookup::hold_lookups;

    /// Dials a list of addresses, as a name that resolves to them would.
    pub fn dial_addrs(
        dialer: &crate::Dialer,
        addrs: &[std::net::SocketAddr],
    ) -> std::io::Result<crate::TcpConn> {
        dialer.dial_resolved(addrs)
    }

    /// [`dial_addrs`] as network `tcp` does it: two families, if there are two, side by side.
    pub fn dial_happy(
        dialer: &crate::Dialer,
        addrs: &[std::net::SocketAddr],
    ) -> std::io::Result<crate::TcpConn> {
        dialer.dial_raced(addrs)
    }
}

pub use activation::{ActivatedSocket, listen_fds};
pub use addr::{Addr, TcpAddr, UdpAddr};
pub use buffers::Buffers;
pub use cidr::{ParseError, parse_cidr};
pub use conn::{Conn, Listener};
pub use copy::{Copied, Endpoint, Opaque, Sink, Source, copy, copy_counted};
pub use dial::{Dialer, dial, dial_timeout};
pub use error::{
    AddrError, Cause, DnsError, OpError, SyscallError, UnknownNetworkError, is_canceled, is_closed,
    is_temporary, is_timeout, raw_os_error,
};
pub use file::{file_conn, file_listener, file_packet_conn};
pub use hardware_addr::HardwareAddr;
pub use incoming::Incoming;
pub use interface::{
    Interface, InterfaceFlags, interface_addrs, interface_by_index, interface_by_name, interfaces,
};
pub use ip_conn::{IpConn, IpMsg, IpSockAddr, listen_ip};
pub use ipnet::{IpNet, Ipv4Net, Ipv6Net};
pub use ipsock::{join_host_port, split_host_port};
pub use keepalive::KeepAliveConfig;
pub use listen::{ListenConfig, listen, listen_multicast_udp, listen_packet, listen_udp};
pub use packet_conn::PacketConn;
pub use pipe::{ClosedPipeError, PipeConn, pipe};
pub use raw_conn::RawConn;
pub use resolver::{
    DnsConn, InvalidRecords, Mx, Ns, Resolver, ResolverBuilder, Srv, lookup_addr, lookup_cname, lookup_host,
    lookup_ip, lookup_mx, lookup_ns, lookup_srv, lookup_txt,
};
pub use sharded_listener::ShardedListener;
pub use tcp_conn::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, TcpConn, WriteHalf};
pub use tcp_listener::TcpListener;
pub use udp_conn::{Datagram, Datagrams, Outgoing, ReceivedMsg, RecvBatch, SendBatch, UdpConn};
pub use unix_addr::UnixAddr;
pub use unix_conn::{UnixConn, UnixCred, UnixMsg};
pub use unix_listener::UnixListener;
pub use with_context::{ContextGuard, WithContext};

pub use port::lookup_port;
pub use protocol::lookup_protocol;

pub use gopark_poll::FdGuard;
pub use gopark_sched::{
    Builder, GoResult, GoroutineDump, JoinHandle, JoinSet, Metrics, OsThreadGuard, RunningGoroutine, Runtime,
    Scope, SpawnError, SpawnOptions, StillRunning, TrySpawnError, WaitReason, block_on, blocking,
    catch_unwind, chan, context, dump, dump_goroutines, future, go, goroutine_id, goroutine_local,
    goroutine_name, local, lock_os_thread, max_procs, metrics, num_goroutines, scope, select, set_max_procs,
    signal, sleep, spawn, sync, time, try_go, try_spawn, unlock_os_thread, yield_now,
};

/// The programs of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod readme {}
