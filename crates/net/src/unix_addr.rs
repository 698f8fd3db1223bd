//! The addresses of Unix sockets. Go: `net/unixsock.go`, and the `SockaddrUnix` of `syscall`.

use std::ffi::OsStr;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gopark_sys::Errno;
use socket2::SockAddr;

use crate::error::UnknownNetworkError;
use crate::ipsock::Network;

/// The longest name that a system can hold; the longest of a file is one shorter, for the NUL at its end. (BSD: 104.)
#[cfg(any(target_os = "linux", target_os = "android"))]
const NAME_MAX: usize = 108;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const NAME_MAX: usize = 104;

/// The address of a Unix socket: the path of a file, an abstract name, or none; and the network it belongs to.
///
/// Names are written as in Go: one that begins with `@` (or with a NUL) is abstract, which Linux has: it is not in
/// the file system, and gone with its socket. Anything else is a path; that of a file whose name begins with `@` is
/// written `./@…`. An empty name to listen on asks Linux to choose an abstract one. A socket without a name has,
/// when the system is asked, the name `@`.
///
/// A name may be longer than the system allows (107 bytes for a path, on Linux): it is an address all the same, and
/// an error, `invalid argument`, for those who try to use it.
///
/// # Examples
///
/// ```
/// use gopark_net::UnixAddr;
///
/// let addr = UnixAddr::new("/run/app.sock");
/// assert_eq!((addr.network(), addr.to_string().as_str()), ("unix", "/run/app.sock"));
/// assert_eq!(UnixAddr::new("@app").as_abstract_name(), Some(&b"app"[..]));
/// ```
///
/// Go: net/unixsock.go UnixAddr
#[derive(Clone)]
pub struct UnixAddr {
    name: Name,
    network: Network,
}

/// Inline if it can be used, so that a datagram's sender costs no allocation. An abstract name begins with `@` here,
/// and may have NULs in it.
#[derive(Clone)]
enum Name {
    Short { len: u8, bytes: [u8; NAME_MAX] },
    Long(Arc<[u8]>),
}

impl Name {
    fn new(bytes: &[u8]) -> Name {
        if bytes.len() > NAME_MAX {
            return Name::Long(bytes.into());
        }
        let mut short = [0; NAME_MAX];
        short[..bytes.len()].copy_from_slice(bytes);
        Name::Short { len: bytes.len() as u8, bytes: short }
    }

    /// An abstract name, without its first byte.
    fn new_abstract(bytes: &[u8]) -> Name {
        if bytes.len() < NAME_MAX {
            let mut short = [0; NAME_MAX];
            short[0] = b'@';
            short[1..=bytes.len()].copy_from_slice(bytes);
            return Name::Short { len: bytes.len() as u8 + 1, bytes: short };
        }
        Name::Long([b"@", bytes].concat().into())
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Name::Short { len, bytes } => &bytes[..usize::from(*len)],
            Name::Long(bytes) => bytes,
        }
    }
}

impl UnixAddr {
    /// `name` on the network `unix`.
    ///
    /// # Examples
    ///
    /// ```
    /// use gopark_net::UnixAddr;
    ///
    /// assert_eq!(UnixAddr::new("@app").to_string(), "@app");
    /// assert_eq!(UnixAddr::new("\0app"), UnixAddr::new("@app"));
    /// ```
    pub fn new<N: AsRef<OsStr>>(name: N) -> UnixAddr {
        UnixAddr::on(Network::Unix, name.as_ref())
    }

    /// `name` on `network`: `unix`, `unixgram` or `unixpacket`.
    ///
    /// # Errors
    ///
    /// The network is none of these.
    ///
    /// # Examples
    ///
    /// ```
    /// use gopark_net::UnixAddr;
    ///
    /// assert_eq!(UnixAddr::resolve("unixgram", "@app")?.network(), "unixgram");
    /// assert!(UnixAddr::resolve("tcp", "@app").is_err());
    /// # Ok::<(), gopark_net::UnknownNetworkError>(())
    /// ```
    ///
    /// Go: net/unixsock.go ResolveUnixAddr
    #[doc(alias = "ResolveUnixAddr")]
    pub fn resolve<N: AsRef<OsStr>>(network: &str, name: N) -> Result<UnixAddr, UnknownNetworkError> {
        match Network::parse(network) {
            Ok(network) if network.is_unix() => Ok(UnixAddr::on(network, name.as_ref())),
            _ => Err(UnknownNetworkError(network.to_owned())),
        }
    }

    /// The file at `path`, also if that begins with `@`. An empty path is no name.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is longer than the system allows, or has a NUL in it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::path::Path;
    /// use gopark_net::UnixAddr;
    ///
    /// let addr = UnixAddr::from_pathname("/run/app.sock")?;
    /// assert_eq!(addr.as_pathname(), Some(Path::new("/run/app.sock")));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn from_pathname<P: AsRef<Path>>(path: P) -> io::Result<UnixAddr> {
        let path = path.as_ref();
        let addr = match path.as_os_str().as_bytes().first() {
            Some(b'@') => UnixAddr::new(Path::new(".").join(path)),
            _ => UnixAddr::new(path),
        };
        let is_path = addr.name().is_empty() || addr.as_pathname().is_some();
        if is_path && addr.sockaddr().is_ok() {
            return Ok(addr);
        }
        let text = "a path of a Unix socket has at most 107 bytes (103 on some systems) and no NUL";
        Err(io::Error::new(io::ErrorKind::InvalidInput, text))
    }

    /// The abstract `name`, without the `@` of its text. It may have any bytes, NUL too.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is longer than the system allows.
    ///
    /// # Examples
    ///
    /// ```
    /// let addr = gopark_net::UnixAddr::from_abstract_name(b"app")?;
    /// assert_eq!(addr.to_string(), "@app");
    /// # std::io::Result::Ok(())
    /// ```
    pub fn from_abstract_name<N: AsRef<[u8]>>(name: N) -> io::Result<UnixAddr> {
        let name = name.as_ref();
        if name.len() >= NAME_MAX {
            let text = "an abstract name of a Unix socket has at most 107 bytes";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(UnixAddr { name: Name::new_abstract(name), network: Network::Unix })
    }

    pub(crate) fn on(network: Network, name: &OsStr) -> UnixAddr {
        let name = match name.as_bytes() {
            [0, rest @ ..] => Name::new_abstract(rest),
            bytes => Name::new(bytes),
        };
        UnixAddr { name, network }
    }

    /// The same name on another network.
    pub(crate) fn with_network(mut self, network: Network) -> UnixAddr {
        self.network = network;
        self
    }

    /// What the system says; none if it says nothing at all.
    ///
    /// All of an abstract name is kept, where Go cuts it at the first NUL: so it can be dialed.
    pub(crate) fn from_sockaddr(network: Network, addr: &SockAddr) -> UnixAddr {
        let name = match (addr.as_pathname(), addr.as_abstract_namespace()) {
            (Some(path), _) => {
                let bytes = path.as_os_str().as_bytes();
                Name::new(bytes.split(|b| *b == 0).next().unwrap_or_default())
            }
            (None, Some(name)) => Name::new_abstract(name),
            // Go: "@", since it looks at the first byte and not at the length.
            (None, None) => Name::new(b"@"),
        };
        UnixAddr { name, network }
    }

    /// As the system wants it.
    ///
    /// # Errors
    ///
    /// EINVAL: too long, or a path with a NUL in it, which would be that of another file.
    pub(crate) fn sockaddr(&self) -> Result<SockAddr, Errno> {
        let Name::Short { len, bytes } = &self.name else { return Err(Errno::EINVAL) };
        let (len, mut bytes) = (usize::from(*len), *bytes);
        if self.is_abstract() {
            bytes[0] = 0;
        } else if len == NAME_MAX || bytes[..len].contains(&0) {
            return Err(Errno::EINVAL);
        }
        SockAddr::unix(OsStr::from_bytes(&bytes[..len])).map_err(|_| Errno::EINVAL)
    }

    /// The name of the network: `unix`, `unixgram` or `unixpacket`.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(gopark_net::UnixAddr::new("@app").network(), "unix");
    /// ```
    ///
    /// Go: net/unixsock.go UnixAddr.Network
    pub fn network(&self) -> &'static str {
        self.network.as_str()
    }

    pub(crate) fn net(&self) -> Network {
        self.network
    }

    /// The name as it is written: an abstract one begins with `@`.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(gopark_net::UnixAddr::new("/run/app.sock").name(), "/run/app.sock");
    /// ```
    ///
    /// Go: net/unixsock.go UnixAddr.Name
    pub fn name(&self) -> &OsStr {
        OsStr::from_bytes(self.name.as_bytes())
    }

    /// The path, if it is one.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(gopark_net::UnixAddr::new("@app").as_pathname(), None);
    /// ```
    pub fn as_pathname(&self) -> Option<&Path> {
        (!self.is_wildcard() && !self.is_abstract()).then(|| Path::new(self.name()))
    }

    /// The abstract name without its `@`, if it is one.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(gopark_net::UnixAddr::new("@app").as_abstract_name(), Some(&b"app"[..]));
    /// ```
    pub fn as_abstract_name(&self) -> Option<&[u8]> {
        self.name.as_bytes().strip_prefix(b"@").filter(|rest| !rest.is_empty())
    }

    /// Whether it names nothing: empty, or the `@` that the system's answer is for a socket without a name.
    ///
    /// # Examples
    ///
    /// ```
    /// use gopark_net::UnixAddr;
    ///
    /// assert!(UnixAddr::new("").is_unnamed() && UnixAddr::new("@").is_unnamed());
    /// ```
    pub fn is_unnamed(&self) -> bool {
        matches!(self.name.as_bytes(), b"" | b"@")
    }

    /// Go: net/unixsock.go UnixAddr.isWildcard
    pub(crate) fn is_wildcard(&self) -> bool {
        self.name.as_bytes().is_empty()
    }

    fn is_abstract(&self) -> bool {
        self.name.as_bytes().first() == Some(&b'@')
    }
}

/// The name, an abstract one up to its first NUL, as Go has it.
impl fmt::Display for UnixAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.name.as_bytes();
        let shown = if self.is_abstract() { bytes.split(|b| *b == 0).next() } else { None };
        String::from_utf8_lossy(shown.unwrap_or(bytes)).fmt(f)
    }
}

impl fmt::Debug for UnixAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:?}", self.network(), self.name())
    }
}

impl PartialEq for UnixAddr {
    fn eq(&self, other: &UnixAddr) -> bool {
        self.network == other.network && self.name.as_bytes() == other.name.as_bytes()
    }
}

impl Eq for UnixAddr {}

impl Hash for UnixAddr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.network().hash(state);
        self.name.as_bytes().hash(state);
    }
}

impl From<&str> for UnixAddr {
    fn from(name: &str) -> UnixAddr {
        UnixAddr::new(name)
    }
}

impl From<String> for UnixAddr {
    fn from(name: String) -> UnixAddr {
        UnixAddr::new(name)
    }
}

impl From<&Path> for UnixAddr {
    fn from(name: &Path) -> UnixAddr {
        UnixAddr::new(name)
    }
}

impl From<PathBuf> for UnixAddr {
    fn from(name: PathBuf) -> UnixAddr {
        UnixAddr::new(name)
    }
}

impl From<&PathBuf> for UnixAddr {
    fn from(name: &PathBuf) -> UnixAddr {
        UnixAddr::new(name)
    }
}

impl From<&UnixAddr> for UnixAddr {
    fn from(addr: &UnixAddr) -> UnixAddr {
        addr.clone()
    }
}

/// On the network `unix`.
impl From<SocketAddr> for UnixAddr {
    fn from(addr: SocketAddr) -> UnixAddr {
        UnixAddr::from(&addr)
    }
}

/// On the network `unix`.
impl From<&SocketAddr> for UnixAddr {
    fn from(addr: &SocketAddr) -> UnixAddr {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(name) = std::os::linux::net::SocketAddrExt::as_abstract_name(addr) {
            return UnixAddr { name: Name::new_abstract(name), network: Network::Unix };
        }
        match addr.as_pathname() {
            // As in `from_pathname`: std's path is one whatever it begins with.
            Some(path) if path.as_os_str().as_bytes().starts_with(b"@") => {
                UnixAddr::new(Path::new(".").join(path))
            }
            Some(path) => UnixAddr::new(path),
            None => UnixAddr::new("@"),
        }
    }
}

/// `InvalidInput` if it is longer than the system allows.
impl TryFrom<&UnixAddr> for SocketAddr {
    type Error = io::Error;

    fn try_from(addr: &UnixAddr) -> io::Result<SocketAddr> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(name) = addr.as_abstract_name() {
            return <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name);
        }
        SocketAddr::from_pathname(addr.as_pathname().unwrap_or(Path::new("")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(name: &str) -> Result<UnixAddr, Errno> {
        Ok(UnixAddr::from_sockaddr(Network::Unix, &UnixAddr::new(name).sockaddr()?))
    }

    #[test]
    fn names_go_to_the_system_and_come_back() {
        let longest = "a".repeat(NAME_MAX - 1);
        for name in ["/run/app.sock", "app", "./@app", "@app", &longest, &format!("@{longest}")] {
            let addr = UnixAddr::new(name);
            assert_eq!(round_trip(name), Ok(addr.clone()), "{name}");
            assert_eq!(addr.to_string(), name);
            let std_addr = SocketAddr::try_from(&addr).unwrap();
            assert_eq!(UnixAddr::from(std_addr), addr, "{name}");
        }
        assert_eq!(round_trip(""), Ok(UnixAddr::new("@")), "the system knows no name");
        assert_eq!(round_trip("\0app"), Ok(UnixAddr::new("@app")));
        assert!(SocketAddr::try_from(&UnixAddr::new("@")).unwrap().is_unnamed());
    }

    #[test]
    fn what_the_system_cannot_hold_is_invalid() {
        for name in ["a".repeat(NAME_MAX), "a".repeat(NAME_MAX + 1), format!("@{}", "a".repeat(NAME_MAX))] {
            let addr = UnixAddr::new(&name);
            assert_eq!(addr.to_string(), name, "the text is all of it");
            assert_eq!(addr.sockaddr().unwrap_err(), Errno::EINVAL);
            assert!(UnixAddr::from_pathname(&name).is_err());
        }
        assert_eq!(UnixAddr::new("a\0b").sockaddr().unwrap_err(), Errno::EINVAL);
        assert!(UnixAddr::from_pathname("a\0b").is_err());
        assert!(UnixAddr::from_pathname("\0a").is_err(), "an abstract name is no path");
        assert!(UnixAddr::from_abstract_name(vec![b'a'; NAME_MAX]).is_err());
    }

    // go-semantics 7.5: "Abstract name length (#70893)"
    #[test]
    fn an_abstract_name_may_take_all_the_room_and_have_nuls_in_it() {
        let mut padded = String::from("\0abstract_test");
        padded.push_str(&"\0".repeat(NAME_MAX - padded.len()));
        let addr = UnixAddr::new(&padded);
        assert_eq!(addr.sockaddr().unwrap().as_abstract_namespace(), Some(&padded.as_bytes()[1..]));
        assert_eq!(addr.to_string(), "@abstract_test", "Go's text");
        assert_eq!(round_trip(&padded), Ok(addr), "and yet all of it");
    }

    #[test]
    fn the_three_kinds_are_told_apart() {
        let (path, name, none) = (UnixAddr::new("x"), UnixAddr::new("@x"), UnixAddr::new(""));
        assert!(path.as_pathname().is_some() && path.as_abstract_name().is_none() && !path.is_unnamed());
        assert!(name.as_pathname().is_none() && name.as_abstract_name().is_some() && !name.is_unnamed());
        assert!(none.as_pathname().is_none() && none.as_abstract_name().is_none() && none.is_unnamed());
        assert_eq!(UnixAddr::from_pathname("@x").unwrap().as_pathname(), Some(Path::new("./@x")));
        assert!(UnixAddr::from_pathname("").unwrap().is_unnamed());
        assert_ne!(UnixAddr::resolve("unixgram", "x").unwrap(), path, "the network counts");
        assert_eq!(format!("{path:?}"), "unix:\"x\"");
    }
}
