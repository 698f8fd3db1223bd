//! Faults on demand, for tests: the next calls of a kind fail with a given error. Go: net/hook_unix.go, socktest.
//!
//! Only on calls that happen once a connection; when nothing is armed they cost a relaxed load.

use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use crate::errno::{Errno, Result};

/// A system call that can be made to fail.
///
/// | word | meaning |
/// | --- | --- |
/// | `left` | how many calls are still to fail; 0 = off |
/// | `errno` | with what; written before `left` |
#[doc(hidden)]
#[derive(Debug)]
pub struct Fault {
    left: AtomicU32,
    errno: AtomicI32,
}

impl Fault {
    const fn new() -> Fault {
        Fault { left: AtomicU32::new(0), errno: AtomicI32::new(0) }
    }

    /// Makes the next `times` calls fail with `errno`.
    pub fn arm(&self, errno: Errno, times: u32) {
        self.errno.store(errno.raw(), Ordering::Relaxed);
        self.left.store(times, Ordering::Release); // pairs with `check`
    }

    /// How many failures are still to come.
    pub fn left(&self) -> u32 {
        self.left.load(Ordering::Relaxed)
    }

    #[inline]
    fn check(&self) -> Result<()> {
        if self.left.load(Ordering::Relaxed) == 0 { Ok(()) } else { self.take() }
    }

    #[cold]
    fn take(&self) -> Result<()> {
        // Acquire: pairs with `arm`.
        let took = self.left.fetch_update(Ordering::Acquire, Ordering::Relaxed, |left| left.checked_sub(1));
        if took.is_ok() { Err(Errno::from_raw(self.errno.load(Ordering::Relaxed))) } else { Ok(()) }
    }
}

/// accept4.
#[doc(hidden)]
pub static ACCEPT: Fault = Fault::new();
/// connect.
#[doc(hidden)]
pub static CONNECT: Fault = Fault::new();
/// getsockopt(SO_ERROR).
#[doc(hidden)]
pub static SO_ERROR: Fault = Fault::new();
/// `SysFd::close`, not the close of a dropped cell: the descriptor is closed all the same, as after any error of
/// close(2) on Linux.
#[doc(hidden)]
pub static CLOSE: Fault = Fault::new();

pub(crate) fn accept() -> Result<()> {
    ACCEPT.check()
}

pub(crate) fn close() -> Result<()> {
    CLOSE.check()
}

pub(crate) fn connect() -> Result<()> {
    CONNECT.check()
}

pub(crate) fn so_error() -> Result<()> {
    SO_ERROR.check()
}
