//! The errors of this crate: `std::io::Error` outside, [`OpError`] with Go's text inside. Go: `net/net.go`.
//!
//! Every fallible call returns `std::io::Result`, so that `?` and `std::io`'s own adapters work, and the kind
//! is the one std would have given. What std cannot say (which operation, on which connection, how many bytes
//! were written) is in the `OpError` inside, which `io::Error::get_ref` finds; [`OpError::of`] is the short
//! form.
//!
//! An enum and not a boxed error for the cause: a deadline that expires is part of normal operation, and a third
//! allocation for each would be waste.

use std::borrow::Cow;
use std::error::Error;
use std::{fmt, io};

use gopark_sched::context;
use gopark_sys::Errno;

use crate::{Addr, ClosedPipeError};

/// What failed, on what, and why. Its text is Go's: `read tcp 127.0.0.1:4000->127.0.0.1:80: i/o timeout`.
///
/// # Examples
///
/// ```
/// use gopark_net::{Cause, OpError, listen};
///
/// let err = listen("tcp", "127.0.0.1").unwrap_err();
/// assert_eq!(err.to_string(), "listen tcp: address 127.0.0.1: missing port in address");
/// let op = OpError::of(&err).expect("an OpError inside");
/// assert_eq!(op.op, "listen");
/// assert!(matches!(op.err, Cause::Addr(_)));
/// ```
///
/// Go: net/net.go OpError
#[derive(Debug)]
#[non_exhaustive]
pub struct OpError {
    /// The operation: `dial`, `listen`, `accept`, `read`, `write`, `close`, `set`, `file`, `readfrom`, `writeto`.
    pub op: &'static str,
    /// The network, as the caller named it: `tcp`, `tcp6`.
    pub net: Cow<'static, str>,
    /// The local address, for an operation on a connection.
    pub source: Option<Addr>,
    /// The remote address for an operation on a connection; the local one for a listener and for setters.
    pub addr: Option<Addr>,
    /// Why.
    pub err: Cause,
    /// How many bytes a `write_all` had handed to the system before it failed. 0 for everything else.
    pub written: usize,
}

/// Why an operation failed.
///
/// # Examples
///
/// ```
/// use gopark_net::{Cause, OpError, UnknownNetworkError, dial};
///
/// let err = dial("sctp", "127.0.0.1:80").unwrap_err();
/// match &OpError::of(&err).unwrap().err {
///     Cause::UnknownNetwork(UnknownNetworkError(name)) => assert_eq!(name, "sctp"),
///     other => panic!("{other}"),
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The connection or listener was closed on our side, before or during the call. Go: `net.ErrClosed`.
    Closed,
    /// A deadline passed. Go: `os.ErrDeadlineExceeded`.
    Timeout,
    /// A context was canceled that the call was under: see [`is_canceled`]. Go: `context.Canceled`.
    Canceled,
    /// The runtime is not started; the text names the line to write.
    NotStarted,
    /// A write was accepted with no byte of it. Go: `io.ErrUnexpectedEOF`.
    UnexpectedEof,
    /// The address to dial, or to send to, is empty.
    MissingAddress,
    /// An address was given to send to, on a socket that is connected to a peer. Go: `net.ErrWriteToConnected`.
    #[doc(alias = "ErrWriteToConnected")]
    WriteToConnected,
    /// A system call failed.
    Syscall(SyscallError),
    /// An address that cannot be used.
    Addr(AddrError),
    /// A name that could not be resolved.
    Dns(DnsError),
    /// A network that this package does not know.
    UnknownNetwork(UnknownNetworkError),
    /// Anything else: an error from a control hook, or a state that only `gopark-poll` knows.
    Other(Box<dyn Error + Send + Sync>),
}

/// A failed system call: its name and the system's number. Text: `connect: connection refused`.
///
/// # Examples
///
/// ```
/// use gopark_net::SyscallError;
///
/// let err = SyscallError::new("connect", 111);
/// assert_eq!(err.raw_os_error(), 111);
/// # #[cfg(target_os = "linux")]
/// assert_eq!(err.to_string(), "connect: connection refused");
/// ```
///
/// Go: os/error.go SyscallError
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct SyscallError {
    /// The name of the call.
    pub syscall: &'static str,
    errno: Errno,
}

/// An address that cannot be used, and why. Text: `address 127.0.0.1: missing port in address`.
///
/// # Examples
///
/// ```
/// let err = gopark_net::split_host_port("::1:80").unwrap_err();
/// assert_eq!(err.err, "too many colons in address");
/// assert_eq!(err.to_string(), "address ::1:80: too many colons in address");
/// ```
///
/// Go: net/net.go AddrError
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AddrError {
    /// What is wrong.
    pub err: &'static str,
    /// The address; if empty, the text is only what is wrong.
    pub addr: String,
}

/// A name that could not be resolved. Text: `lookup example.invalid on 192.0.2.53:53: no such host`.
///
/// # Examples
///
/// ```
/// let err = gopark_net::dial("tcp", "127.0.0.1:no-such-service").unwrap_err();
/// assert_eq!(err.to_string(), "dial tcp: lookup tcp/no-such-service: unknown port");
/// ```
///
/// Go: net/net.go DNSError
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct DnsError {
    /// What went wrong.
    pub err: Cow<'static, str>,
    /// The name that was looked up.
    pub name: String,
    /// The name server that was asked, as `host:port`; empty if none was, or if it is not known.
    pub server: String,
    /// The lookup ran out of time. Not always known.
    pub is_timeout: bool,
    /// Trying again may succeed. Not always known.
    pub is_temporary: bool,
    /// The name does not exist.
    pub is_not_found: bool,
    /// A context was canceled that the lookup was under.
    pub is_canceled: bool,
}

/// A network that this package does not know. Text: `unknown network sctp`.
///
/// # Examples
///
/// ```
/// let err = gopark_net::UnknownNetworkError("sctp".to_owned());
/// assert_eq!(err.to_string(), "unknown network sctp");
/// ```
///
/// Go: net/net.go UnknownNetworkError
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownNetworkError(pub String);

impl OpError {
    pub(crate) fn new(op: &'static str, net: impl Into<Cow<'static, str>>, err: impl Into<Cause>) -> OpError {
        OpError { op, net: net.into(), source: None, addr: None, err: err.into(), written: 0 }
    }

    pub(crate) fn with_source(mut self, source: Option<Addr>) -> OpError {
        self.source = source;
        self
    }

    pub(crate) fn with_addr(mut self, addr: Option<Addr>) -> OpError {
        self.addr = addr;
        self
    }

    /// The `OpError` inside of `err`, if there is one.
    ///
    /// # Examples
    ///
    /// ```
    /// use gopark_net::OpError;
    ///
    /// let plain = std::io::Error::from(std::io::ErrorKind::WouldBlock);
    /// assert!(OpError::of(&plain).is_none());
    /// ```
    pub fn of(err: &io::Error) -> Option<&OpError> {
        err.get_ref()?.downcast_ref()
    }

    /// Whether the operation ran out of time: a deadline of ours, or `ETIMEDOUT` from the system.
    ///
    /// # Examples
    ///
    /// ```
    /// use gopark_net::{OpError, dial};
    ///
    /// let err = dial("tcp", "").unwrap_err();
    /// assert!(!OpError::of(&err).unwrap().timeout());
    /// ```
    ///
    /// Go: net/net.go OpError.Timeout
    pub fn timeout(&self) -> bool {
        match &self.err {
            Cause::Timeout => true,
            Cause::Syscall(e) => e.errno == Errno::EAGAIN || e.errno == Errno::ETIMEDOUT,
            Cause::Dns(e) => e.is_timeout,
            _ => false,
        }
    }

    /// Whether trying again may succeed: a timeout, an interruption, too many open files; for `accept` also a
    /// connection that was gone before it was accepted.
    ///
    /// A reset of a connection is not temporary (golang/go#24808).
    ///
    /// # Examples
    ///
    /// ```
    /// use gopark_net::{OpError, dial};
    ///
    /// let err = dial("tcp", "").unwrap_err();
    /// assert!(!OpError::of(&err).unwrap().temporary());
    /// ```
    ///
    /// Go: net/net.go OpError.Temporary
    pub fn temporary(&self) -> bool {
        match &self.err {
            Cause::Timeout => true,
            Cause::Dns(e) => e.is_timeout || e.is_temporary,
            Cause::Syscall(e) => {
                let gone = e.errno == Errno::ECONNRESET || e.errno == Errno::ECONNABORTED;
                (self.op == "accept" && gone) || errno_is_temporary(e.errno)
            }
            _ => false,
        }
    }

    /// The kind that std gives to such an error.
    fn kind(&self) -> io::ErrorKind {
        match &self.err {
            Cause::Timeout => io::ErrorKind::TimedOut,
            Cause::UnexpectedEof => io::ErrorKind::UnexpectedEof,
            Cause::MissingAddress | Cause::Addr(_) | Cause::UnknownNetwork(_) | Cause::WriteToConnected => {
                io::ErrorKind::InvalidInput
            }
            Cause::Syscall(e) => io::Error::from_raw_os_error(e.raw_os_error()).kind(),
            Cause::Dns(e) if e.is_timeout => io::ErrorKind::TimedOut,
            Cause::Dns(e) if e.is_not_found => io::ErrorKind::NotFound,
            Cause::Other(e) => match (e.downcast_ref::<io::Error>(), e.downcast_ref::<Errno>()) {
                (Some(e), _) => e.kind(),
                (None, Some(&errno)) => io::Error::from(errno).kind(),
                (None, None) => io::ErrorKind::Other,
            },
            // std has no kind for "you closed it". Not `NotConnected`, which is the answer to a socket that
            // never was; not `Interrupted`, which std's helpers retry for ever. `is_closed` tells.
            Cause::Closed | Cause::Canceled | Cause::NotStarted | Cause::Dns(_) => io::ErrorKind::Other,
        }
    }
}

fn errno_is_temporary(e: Errno) -> bool {
    [Errno::EINTR, Errno::EMFILE, Errno::ENFILE, Errno::EAGAIN, Errno::ETIMEDOUT].contains(&e)
}

impl DnsError {
    pub(crate) fn new(err: impl Into<Cow<'static, str>>, name: &str) -> DnsError {
        DnsError {
            err: err.into(),
            name: name.to_owned(),
            server: String::new(),
            is_timeout: false,
            is_temporary: false,
            is_not_found: false,
            is_canceled: false,
        }
    }

    /// The context is done that the lookup was under.
    pub(crate) fn done(why: context::Error, name: &str) -> DnsError {
        DnsError {
            is_timeout: why.is_timeout(),
            is_temporary: why.is_timeout(),
            is_canceled: !why.is_timeout(),
            ..DnsError::new(Cause::from(why).to_string(), name)
        }
    }

    pub(crate) fn on(mut self, server: &str) -> DnsError {
        server.clone_into(&mut self.server);
        self
    }

    /// The `DnsError` that `err` is, or that is inside of it.
    ///
    /// # Examples
    ///
    /// ```
    /// use gopark_net::{DnsError, dial};
    ///
    /// let err = dial("tcp", "127.0.0.1:no-such-service").unwrap_err();
    /// assert!(DnsError::of(&err).is_some_and(|e| e.is_not_found));
    /// ```
    pub fn of(err: &io::Error) -> Option<&DnsError> {
        let inner = err.get_ref()?;
        if let Some(OpError { err: Cause::Dns(e), .. }) = inner.downcast_ref() {
            return Some(e);
        }
        inner.downcast_ref().or_else(|| inner.source()?.downcast_ref())
    }

    /// Whether the lookup is known to have run out of time.
    ///
    /// # Examples
    ///
    /// ```
    /// use gopark_net::{DnsError, dial};
    ///
    /// let err = dial("tcp", "127.0.0.1:no-such-service").unwrap_err();
    /// assert!(!DnsError::of(&err).unwrap().timeout());
    /// ```
    ///
    /// Go: net/net.go DNSError.Timeout
    pub fn timeout(&self) -> bool {
        self.is_timeout
    }

    /// Whether trying again may succeed.
    ///
    /// # Examples
    ///
    /// ```
    /// use gopark_net::{DnsError, dial};
    ///
    /// let err = dial("tcp", "127.0.0.1:no-such-service").unwrap_err();
    /// assert!(!DnsError::of(&err).unwrap().temporary());
    /// ```
    ///
    /// Go: net/net.go DNSError.Temporary
    pub fn temporary(&self) -> bool {
        self.is_timeout || self.is_temporary
    }
}

impl SyscallError {
    /// The error `raw` (an `errno` number) of the call named `syscall`.
    ///
    /// # Examples
    ///
    /// ```
    /// let err = gopark_net::SyscallError::new("read", 104);
    /// assert_eq!(err.syscall, "read");
    /// ```
    ///
    /// Go: os/error.go NewSyscallError
    #[doc(alias = "NewSyscallError")]
    pub fn new(syscall: &'static str, raw: i32) -> SyscallError {
        SyscallError { syscall, errno: Errno::from_raw(raw) }
    }

    pub(crate) fn from_errno(syscall: &'static str, errno: Errno) -> SyscallError {
        SyscallError { syscall, errno }
    }

    /// The system's number.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(gopark_net::SyscallError::new("read", 104).raw_os_error(), 104);
    /// ```
    pub fn raw_os_error(&self) -> i32 {
        self.errno.raw()
    }
}

impl Cause {
    /// What `e` of poll means here; the name of the call is added to a bare number.
    pub(crate) fn from_poll(syscall: &'static str, e: gopark_poll::Error) -> Cause {
        match e {
            gopark_poll::Error::NetClosing | gopark_poll::Error::FileClosing => Cause::Closed,
            gopark_poll::Error::DeadlineExceeded => Cause::Timeout,
            gopark_poll::Error::Canceled => Cause::Canceled,
            gopark_poll::Error::UnexpectedEof => Cause::UnexpectedEof,
            gopark_poll::Error::NotStarted => Cause::NotStarted,
            gopark_poll::Error::Errno(errno) => Cause::Syscall(SyscallError { syscall, errno }),
            e => Cause::Other(Box::new(e)),
        }
    }

    /// An error of std or socket2: a bare number gets the name of the call.
    pub(crate) fn from_io(syscall: &'static str, e: io::Error) -> Cause {
        match e.raw_os_error() {
            Some(raw) => Cause::Syscall(SyscallError::new(syscall, raw)),
            None => Cause::Other(Box::new(e)),
        }
    }

    /// The number, if the system gave one.
    pub(crate) fn errno(&self) -> Option<Errno> {
        match self {
            Cause::Syscall(e) => Some(e.errno),
            Cause::Other(e) => match e.downcast_ref::<Errno>() {
                Some(&errno) => Some(errno),
                None => e.downcast_ref::<io::Error>()?.raw_os_error().map(Errno::from_raw),
            },
            _ => None,
        }
    }
}

impl fmt::Display for OpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.op)?;
        if !self.net.is_empty() {
            write!(f, " {}", self.net)?;
        }
        if let Some(source) = &self.source {
            write!(f, " {source}")?;
        }
        if let Some(addr) = &self.addr {
            write!(f, "{}{addr}", if self.source.is_some() { "->" } else { " " })?;
        }
        write!(f, ": {}", self.err)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Closed => f.write_str("use of closed network connection"),
            Cause::Timeout => f.write_str("i/o timeout"),
            Cause::Canceled => f.write_str("operation was canceled"),
            Cause::NotStarted => gopark_poll::Error::NotStarted.fmt(f),
            Cause::UnexpectedEof => f.write_str("unexpected EOF"),
            Cause::MissingAddress => f.write_str("missing address"),
            Cause::WriteToConnected => f.write_str("use of WriteTo with pre-connected connection"),
            Cause::Syscall(e) => e.fmt(f),
            Cause::Addr(e) => e.fmt(f),
            Cause::Dns(e) => e.fmt(f),
            Cause::UnknownNetwork(e) => e.fmt(f),
            Cause::Other(e) => e.fmt(f),
        }
    }
}

impl fmt::Display for SyscallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.syscall, self.errno)
    }
}

impl fmt::Display for AddrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.addr.is_empty() {
            write!(f, "address {}: ", self.addr)?;
        }
        f.write_str(self.err)
    }
}

impl fmt::Display for DnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lookup {}", self.name)?;
        if !self.server.is_empty() {
            write!(f, " on {}", self.server)?;
        }
        write!(f, ": {}", self.err)
    }
}

impl fmt::Display for UnknownNetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown network {}", self.0)
    }
}

impl Error for OpError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.err)
    }
}

impl Error for Cause {
    /// What lies below the error that this one stands for; its own text is that error's.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Cause::Other(e) => e.source(),
            _ => None,
        }
    }
}

impl Error for SyscallError {}
impl Error for AddrError {}
impl Error for DnsError {}
impl Error for UnknownNetworkError {}

impl From<SyscallError> for Cause {
    fn from(e: SyscallError) -> Cause {
        Cause::Syscall(e)
    }
}

impl From<context::Error> for Cause {
    /// Go: net/net.go mapErr
    fn from(e: context::Error) -> Cause {
        if e.is_timeout() { Cause::Timeout } else { Cause::Canceled }
    }
}

impl From<AddrError> for Cause {
    fn from(e: AddrError) -> Cause {
        Cause::Addr(e)
    }
}

impl From<DnsError> for Cause {
    fn from(e: DnsError) -> Cause {
        Cause::Dns(e)
    }
}

impl From<UnknownNetworkError> for Cause {
    fn from(e: UnknownNetworkError) -> Cause {
        Cause::UnknownNetwork(e)
    }
}

impl From<OpError> for io::Error {
    fn from(e: OpError) -> io::Error {
        io::Error::new(e.kind(), e)
    }
}

impl From<AddrError> for io::Error {
    fn from(e: AddrError) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidInput, e)
    }
}

impl From<UnknownNetworkError> for io::Error {
    fn from(e: UnknownNetworkError) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidInput, e)
    }
}

impl From<DnsError> for io::Error {
    fn from(e: DnsError) -> io::Error {
        let kind = match (e.is_not_found, e.is_timeout) {
            (true, _) => io::ErrorKind::NotFound,
            (_, true) => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, e)
    }
}

/// Whether `err` says that a deadline passed or a connection timed out.
///
/// A bare `WouldBlock` of the `try_` calls is none: nobody waited.
///
/// # Examples
///
/// ```
/// use std::io::{Error, ErrorKind};
///
/// assert!(gopark_net::is_timeout(&Error::from(ErrorKind::TimedOut)));
/// assert!(!gopark_net::is_timeout(&Error::from(ErrorKind::WouldBlock)));
/// ```
pub fn is_timeout(err: &io::Error) -> bool {
    match OpError::of(err) {
        Some(e) => e.timeout(),
        None => err.kind() == io::ErrorKind::TimedOut,
    }
}

/// Whether `err` says that the connection or listener was closed on our side, before or during the call.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// let ln = gopark_net::listen("tcp", "127.0.0.1:0")?;
/// ln.close()?;
/// let err = ln.accept().err().expect("the listener is closed");
/// assert!(gopark_net::is_closed(&err));
/// # Ok(())
/// # }
/// ```
///
/// Go: net/net.go ErrClosed
#[doc(alias = "ErrClosed")]
pub fn is_closed(err: &io::Error) -> bool {
    match OpError::of(err) {
        Some(e) => matches!(e.err, Cause::Closed),
        None => err.get_ref().and_then(|e| e.downcast_ref::<ClosedPipeError>()).is_some_and(|e| e.here),
    }
}

/// Whether `err` says that a context was canceled that the call was under; a context out of time is [`is_timeout`].
///
/// # Examples
///
/// ```no_run
/// use gopark_net::context::Context;
/// use gopark_net::{Dialer, is_canceled};
///
/// let (ctx, cancel) = Context::background().with_cancel();
/// cancel.cancel();
/// let err = Dialer::new().dial_context(&ctx, "tcp", "127.0.0.1:80").unwrap_err();
/// assert!(is_canceled(&err));
/// assert_eq!(err.to_string(), "dial tcp 127.0.0.1:80: operation was canceled");
/// ```
pub fn is_canceled(err: &io::Error) -> bool {
    match OpError::of(err) {
        Some(OpError { err: Cause::Dns(e), .. }) => e.is_canceled,
        Some(e) => matches!(e.err, Cause::Canceled),
        None => match DnsError::of(err) {
            Some(e) => e.is_canceled,
            None => err.get_ref().and_then(|e| e.downcast_ref()) == Some(&context::Error::Canceled),
        },
    }
}

/// Whether trying again may succeed, by Go's rule: see [`OpError::temporary`].
///
/// # Examples
///
/// ```
/// let interrupted = std::io::Error::from_raw_os_error(4);
/// assert!(gopark_net::is_temporary(&interrupted));
/// ```
pub fn is_temporary(err: &io::Error) -> bool {
    match OpError::of(err) {
        Some(e) => e.temporary(),
        None => match (err.raw_os_error(), DnsError::of(err)) {
            (Some(raw), _) => errno_is_temporary(Errno::from_raw(raw)),
            (None, Some(e)) => e.temporary(),
            (None, None) => matches!(err.kind(), io::ErrorKind::TimedOut | io::ErrorKind::Interrupted),
        },
    }
}

/// The system's number for `err`, whether it is bare or inside an [`OpError`] (where `io::Error::raw_os_error` does
/// not look).
///
/// # Examples
///
/// ```
/// let bare = std::io::Error::from_raw_os_error(111);
/// assert_eq!(gopark_net::raw_os_error(&bare), Some(111));
/// ```
pub fn raw_os_error(err: &io::Error) -> Option<i32> {
    match OpError::of(err) {
        Some(e) => e.err.errno().map(Errno::raw),
        None => err.raw_os_error(),
    }
}

#[cfg(test)]
mod tests;
