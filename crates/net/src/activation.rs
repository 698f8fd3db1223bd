//! Sockets that a service manager has opened: systemd's socket activation. Not in Go's standard library.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use gopark_sys::inherited;

use crate::file::owned_listener;
use crate::{Listener, TcpListener};

/// The first descriptor that is passed (`SD_LISTEN_FDS_START`).
const FIRST: RawFd = 3;
/// A number that is no mistake: descriptors are limited to as many by default.
const MOST: usize = 1024 * 1024;
/// What a socket is called that has no name (systemd's word).
const UNKNOWN: &str = "unknown";

/// A socket that this process was started with. See [`listen_fds`].
///
/// Dropping it closes it.
#[derive(Debug)]
pub struct ActivatedSocket {
    name: String,
    fd: OwnedFd,
}

impl ActivatedSocket {
    /// The name that the service manager gave it (`FileDescriptorName=`, else the name of the unit); `unknown` if it
    /// gave none.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let sockets = gopark_net::listen_fds()?;
    /// let http = sockets.into_iter().find(|socket| socket.name() == "http");
    /// # std::io::Result::Ok(())
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    /// It as a listener, of whichever network it is.
    ///
    /// # Errors
    ///
    /// An [`OpError`](crate::OpError) with op `file`: it does not listen (a socket for datagrams, or one connection:
    /// `Accept=yes`), or is of a kind that this package does not know. It is closed then.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// for socket in gopark_net::listen_fds()? {
    ///     let ln = socket.into_listener()?;
    ///     println!("listening on {}", ln.addr());
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn into_listener(self) -> io::Result<Box<dyn Listener>> {
        owned_listener(self.fd)
    }

    /// It as a TCP listener.
    ///
    /// # Errors
    ///
    /// As [`TcpListener::from_std`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let first = gopark_net::listen_fds()?.into_iter().next();
    /// let ln = match first {
    ///     Some(socket) => socket.into_tcp_listener()?,
    ///     None => gopark_net::TcpListener::bind("127.0.0.1:8080")?,
    /// };
    /// # std::io::Result::Ok(())
    /// ```
    pub fn into_tcp_listener(self) -> io::Result<TcpListener> {
        self.fd.try_into()
    }
}

/// The socket itself, for kinds that have no method here.
impl From<ActivatedSocket> for OwnedFd {
    fn from(socket: ActivatedSocket) -> OwnedFd {
        socket.fd
    }
}

impl AsFd for ActivatedSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The sockets that this process was started with: those of systemd's socket activation, by `LISTEN_FDS`, `LISTEN_PID`
/// and `LISTEN_FDNAMES`. None if there is no such variable, or if `LISTEN_PID` is another process.
///
/// All of them are set close-on-exec, so that no program started from here inherits them. The environment is left as it
/// is: changing it is not safe once there are threads (see [`std::env::remove_var`]), and harmless as it is, since a
/// child has another number than the one that `LISTEN_PID` names. A program that executes another in its own place
/// should remove the three variables first.
///
/// # Errors
///
/// `InvalidData` if a variable does not say what it should; `AlreadyExists` the second time, since the sockets belong
/// to whoever called first; what fcntl(2) says of a descriptor that is not open.
///
/// # Examples
///
/// ```no_run
/// use gopark_net::{Listener, TcpListener};
///
/// // By the service manager if it started us, by ourselves otherwise.
/// let ln: Box<dyn Listener> = match gopark_net::listen_fds()?.pop() {
///     Some(socket) => socket.into_listener()?,
///     None => Box::new(TcpListener::bind("127.0.0.1:8080")?),
/// };
/// # std::io::Result::Ok(())
/// ```
#[doc(alias = "LISTEN_FDS")]
#[doc(alias = "sd_listen_fds")]
pub fn listen_fds() -> io::Result<Vec<ActivatedSocket>> {
    let var = |name| std::env::var(name).ok();
    let names = var("LISTEN_FDNAMES");
    let count = count(var("LISTEN_PID").as_deref(), var("LISTEN_FDS").as_deref(), std::process::id())?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let names = names_of(names.as_deref(), count)?;
    let fds = inherited::take(FIRST, count).map_err(|errno| {
        let text = format!("LISTEN_FDS={count}, but not all of these descriptors are open: {errno}");
        io::Error::new(io::Error::from(errno).kind(), text)
    })?;
    let Some(fds) = fds else {
        let text =
            "the sockets of LISTEN_FDS were taken before: keep what the first call of listen_fds returned";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    };
    Ok(names.into_iter().zip(fds).map(|(name, fd)| ActivatedSocket { name, fd }).collect())
}

/// How many sockets are there for process `me`.
fn count(pid: Option<&str>, fds: Option<&str>, me: u32) -> io::Result<usize> {
    let (Some(pid), Some(fds)) = (pid, fds) else { return Ok(0) };
    let pid: u32 = pid.parse().map_err(|_| invalid("LISTEN_PID", pid, "a process number"))?;
    if pid != me {
        return Ok(0);
    }
    let count = fds.parse().ok().filter(|&count| count <= MOST);
    count.ok_or_else(|| invalid("LISTEN_FDS", fds, "a number of descriptors"))
}

/// The names, one for each socket.
fn names_of(names: Option<&str>, count: usize) -> io::Result<Vec<String>> {
    let Some(names) = names else { return Ok(vec![UNKNOWN.to_owned(); count]) };
    let found: Vec<String> = names.split(':').map(str::to_owned).collect();
    if found.len() != count {
        return Err(invalid("LISTEN_FDNAMES", names, &format!("{count} names with colons in between")));
    }
    Ok(found)
}

fn invalid(variable: &str, value: &str, wanted: &str) -> io::Error {
    let text =
        format!("{variable} is {value:?}, not {wanted}: it is set by the service manager, so leave it alone");
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_ours_only_if_our_number_is_named() {
        assert_eq!(count(Some("7"), Some("2"), 7).unwrap(), 2);
        assert_eq!(count(Some("8"), Some("2"), 7).unwrap(), 0);
        assert_eq!(count(None, Some("2"), 7).unwrap(), 0);
        assert_eq!(count(Some("7"), None, 7).unwrap(), 0);
        assert_eq!(count(Some("7"), Some("0"), 7).unwrap(), 0);
    }

    #[test]
    fn what_is_no_number_is_said() {
        let text = |result: io::Result<usize>| result.unwrap_err().to_string();
        assert!(
            text(count(Some("me"), Some("2"), 7)).starts_with("LISTEN_PID is \"me\", not a process number")
        );
        for fds in ["", "-1", "two", "99999999999999999999", "1048577"] {
            assert!(text(count(Some("7"), Some(fds), 7)).contains("a number of descriptors"), "{fds}");
        }
    }

    #[test]
    fn names_are_as_many_as_sockets() {
        assert_eq!(names_of(None, 2).unwrap(), ["unknown", "unknown"]);
        assert_eq!(names_of(Some("http:admin"), 2).unwrap(), ["http", "admin"]);
        assert_eq!(names_of(Some(""), 1).unwrap(), [""]);
        assert!(names_of(Some("http"), 2).is_err());
        assert!(names_of(Some("a:b:c"), 2).is_err());
    }
}
