//! Faults on demand, for tests: the next calls of a kind fail with a given error, or a function of the test's runs
//! before each and decides. Go: net/hook_unix.go, internal/socktest.
//!
//! Only on calls that happen once a connection; when nothing is armed they cost a relaxed load. Not a feature of the
//! build: what is tested should be what is shipped, and integration tests link the crate as everybody does.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::errno::{Errno, Result};

/// Runs before the call, with its descriptor (-1 for socket(2)). An error takes the place of the call.
type Probe = Arc<dyn Fn(RawFd) -> Result<()> + Send + Sync>;

/// `Fault::left` while a probe is installed.
const PROBED: u32 = u32::MAX;

/// A system call that can be made to fail.
///
/// | word | meaning |
/// | --- | --- |
/// | `left` | how many calls are still to fail; 0 = off; `PROBED` = ask `probe` |
/// | `errno` | with what; written before `left` |
/// | `probe` | what to run; none unless `left` is `PROBED` or was just a moment ago |
#[doc(hidden)]
pub struct Fault {
    left: AtomicU32,
    errno: AtomicI32,
    probe: Mutex<Option<Probe>>,
}

impl Fault {
    const fn new() -> Fault {
        Fault { left: AtomicU32::new(0), errno: AtomicI32::new(0), probe: Mutex::new(None) }
    }

    /// Makes the next `times` calls fail with `errno`. Takes a probe's place.
    pub fn arm(&self, errno: Errno, times: u32) {
        assert!(times < PROBED, "fewer failures, please");
        self.errno.store(errno.raw(), Ordering::Relaxed);
        self.left.store(times, Ordering::Release); // pairs with `take`
    }

    /// Runs `probe` before each call, with its descriptor (-1 for socket(2)), until the guard goes. What it returns
    /// takes the place of the call, unless that is `Ok`. It runs wherever the call is made, so it must not block for
    /// long; a goroutine it may wake.
    #[must_use = "the probe goes with its guard"]
    pub fn probe(&'static self, probe: impl Fn(RawFd) -> Result<()> + Send + Sync + 'static) -> Probed {
        *self.lock() = Some(Arc::new(probe));
        self.left.store(PROBED, Ordering::Release); // pairs with `take`
        Probed(self)
    }

    /// How many failures are still to come.
    pub fn left(&self) -> u32 {
        match self.left.load(Ordering::Relaxed) {
            PROBED => 0,
            left => left,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Probe>> {
        self.probe.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    fn check(&self, fd: RawFd) -> Result<()> {
        if self.left.load(Ordering::Relaxed) == 0 { Ok(()) } else { self.take(fd) }
    }

    #[cold]
    fn take(&self, fd: RawFd) -> Result<()> {
        // Acquire: pairs with `arm` and `probe`.
        let took = self.left.fetch_update(Ordering::Acquire, Ordering::Relaxed, |left| match left {
            0 | PROBED => None,
            left => Some(left - 1),
        });
        match took {
            Ok(_) => Err(Errno::from_raw(self.errno.load(Ordering::Relaxed))),
            Err(PROBED) => {
                // Run without the lock: it may make calls that are probed themselves.
                let probe = self.lock().clone();
                probe.map_or(Ok(()), |probe| probe(fd))
            }
            Err(_) => Ok(()),
        }
    }
}

/// Takes a probe away again.
#[doc(hidden)]
pub struct Probed(&'static Fault);

impl Drop for Probed {
    fn drop(&mut self) {
        self.0.left.store(0, Ordering::Release);
        let probe = self.0.lock().take();
        drop(probe);
    }
}

/// The calls, each with a static for tests and a function for the place of the call.
macro_rules! calls {
    ($($(#[$meta:meta])* $fault:ident, $check:ident;)*) => {$(
        $(#[$meta])*
        #[doc(hidden)]
        pub static $fault: Fault = Fault::new();

        #[inline]
        pub(crate) fn $check(fd: RawFd) -> Result<()> {
            $fault.check(fd)
        }
    )*};
}

calls! {
    /// socket(2).
    SOCKET, socket;
    /// bind(2).
    BIND, bind;
    /// listen(2).
    LISTEN, listen;
    /// accept4(2).
    ACCEPT, accept;
    /// connect(2).
    CONNECT, connect;
    /// getsockopt(2) of `SO_ERROR` itself fails.
    SO_ERROR, so_error;
    /// What getsockopt(2) of `SO_ERROR` reports: the connection's error and not the call's.
    PENDING_ERROR, pending_error;
    /// getsockname(2).
    LOCAL_ADDR, local_addr;
    /// getpeername(2).
    PEER_ADDR, peer_addr;
    /// fcntl(2) with `F_DUPFD_CLOEXEC`.
    DUP, dup;
    /// `SysFd::close`, not the close of a dropped cell: the descriptor is closed all the same, as after any error of
    /// close(2) on Linux.
    CLOSE, close;
}
