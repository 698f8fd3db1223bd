//! A descriptor whose operations look blocking and are not. Go: `internal/poll.FD`.
//!
//! Every operation has the same shape (go/src/internal/poll/fd_unix.go): take a lock or a reference, ask the
//! poll descriptor whether it may go on, try the system call, and wait only when that says `EAGAIN`. The
//! order is what makes edge-triggered readiness safe: what `prepare` forgets, the call that follows finds
//! out.
//!
//! * `fd/read.rs`, `fd/write.rs`, `fd/accept.rs`: the operations.
//! * `fd/splice.rs`, `fd/sendfile.rs`: bytes from one descriptor to another.
//! * `fd/task.rs`, `fd/callback.rs`: the same for those who wait without standing still.
//! * `fd/hint.rs`: reading without the call that only says `EAGAIN`.
//! * `fd/arm.rs`: registering for writing when somebody waits for it.
//! * `fd/guard.rs`: references and locks that give themselves back.

use std::os::fd::{AsFd, OwnedFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Instant;

use gopark_sys::sock;
use gopark_sys::sysfd::SysFd;

use crate::fd_mutex::{FdMutex, Left};
use crate::netpoll::NETPOLL;
use crate::poll_desc::{Canceler, PdRef, PollDesc};
use crate::poll_info::{Mode, Refusal};
use crate::runtime::{is_installed, runtime};
use crate::sync::atomic::{
    AtomicBool, AtomicU8,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use crate::{Error, release, sema};

mod accept;
mod arm;
mod callback;
mod guard;
mod hint;
mod read;
mod sendfile;
mod splice;
mod task;
mod write;

use arm::Arm;
pub use guard::FdGuard;
use guard::{Lock, Ref};
use hint::Hint;
pub use splice::SplicePipe;
pub use task::Ready;
pub use write::Partial;

/// The most that one call reads or writes on a stream. Some systems fail at 2 GiB and more instead of doing
/// less (golang/go#7812, #16266).
const RW_MAX: usize = 1 << 30;

/// The most buffers that one call takes (`IOV_MAX`).
const IOV_MAX: usize = 1024;

/// What kind of descriptor it is; decides how results are read.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct FdKind {
    /// A byte stream: calls may be cut into pieces.
    pub stream: bool,
    /// Whether 0 from a read means the end. Not on datagrams, where it is an empty one.
    pub zero_read_is_eof: bool,
    /// Not a socket: the closed error speaks of a file, and `write` instead of `send` is called.
    pub is_file: bool,
    /// After a short read the next read may wait for an event before it calls. Only true of plain TCP: see
    /// `fd/hint.rs`.
    pub short_read_hint: bool,
    /// Registered for writing only once somebody has to wait for that. On sockets whose every datagram makes an event
    /// of room to write when it has left: see `fd/arm.rs`.
    pub arms_writing: bool,
}

impl FdKind {
    /// A TCP connection.
    pub const TCP: FdKind = FdKind {
        stream: true,
        zero_read_is_eof: true,
        is_file: false,
        short_read_hint: true,
        arms_writing: false,
    };
    /// Any other stream socket.
    pub const STREAM: FdKind = FdKind { short_read_hint: false, ..FdKind::TCP };
    /// A socket that listens.
    pub const LISTENER: FdKind = FdKind::STREAM;
    /// A datagram or raw socket.
    pub const DATAGRAM: FdKind =
        FdKind { stream: false, zero_read_is_eof: false, arms_writing: true, ..FdKind::STREAM };
    /// A sequenced-packet socket.
    pub const SEQPACKET: FdKind = FdKind { stream: false, ..FdKind::STREAM };
    /// A pipe, a terminal, a file.
    pub const FILE: FdKind = FdKind { is_file: true, ..FdKind::STREAM };

    /// Whether `n` from a read of a non-empty buffer is the end of the stream. The reads themselves give
    /// `Ok(0)`.
    ///
    /// Go: internal/poll/fd_posix.go eofError
    #[doc(alias = "eofError")]
    pub const fn is_eof(self, n: usize) -> bool {
        n == 0 && self.zero_read_is_eof
    }
}

/// `close_state`: nobody waits for the end.
const OPEN: u8 = 0;
/// `close_state`: `close` waits for the last user to leave.
const CLOSE_WAITS: u8 = 1;
/// `close_state`: the number is free.
const DESTROYED: u8 = 2;

/// A descriptor for many users at a time: one reader, one writer, and any number of others.
///
/// By `&self`, from any thread. Operations of one direction queue on its lock; the two directions are
/// independent.
///
/// Go: internal/poll/fd_unix.go FD
#[derive(Debug)]
#[doc(alias = "FD")]
pub struct Fd {
    /// Locks and references. Go: fdmu
    mu: FdMutex,
    /// Go: Sysfd
    sysfd: SysFd,
    /// Constant after init.
    kind: FdKind,
    hint: Hint,
    arm: Arm,
    /// Put into blocking mode by the user: `close` does not wait. Go: isBlocking
    is_blocking: AtomicBool,
    /// Go: csema. OPEN, then CLOSE_WAITS by `close`, or DESTROYED by whoever destroys; whoever of the two comes second
    /// knows of the other. DESTROYED is final.
    close_state: AtomicU8,
    /// Set by `init`. Stays when the descriptor is closed; the generation in it is stale then.
    pd: Option<PdRef>,
}

impl Fd {
    /// Wraps `fd`, which is in non-blocking mode. Until [`Fd::init`] its operations are plain system calls.
    pub fn new(fd: OwnedFd, kind: FdKind) -> Fd {
        Fd {
            mu: FdMutex::new(),
            sysfd: SysFd::new(fd),
            kind,
            hint: Hint::new(kind.short_read_hint),
            arm: Arm::new(kind.arms_writing),
            is_blocking: AtomicBool::new(false),
            close_state: AtomicU8::new(OPEN),
            pd: None,
        }
    }

    /// Registers the descriptor with the poller. A second call does nothing.
    ///
    /// By `&mut self`, so before anybody else can use it: an operation or a `close` that began without the poller would
    /// know nothing of it.
    ///
    /// # Errors
    ///
    /// [`Error::NotStarted`] before a runtime is installed; what the registration says, `EPERM` for a regular
    /// file. The descriptor works on without the poller after an error: its calls block if it is in blocking
    /// mode, and return `EAGAIN` if it is not.
    ///
    /// Go: internal/poll/fd_unix.go FD.Init
    pub fn init(&mut self) -> Result<(), Error> {
        if self.pd.is_some() {
            return Ok(());
        }
        if !is_installed() {
            return Err(Error::NotStarted);
        }
        let Some(netpoll) = NETPOLL.get() else { return Err(Error::NotStarted) };
        if self.mu.is_closed() {
            return Err(self.closing());
        }
        self.pd = Some(PollDesc::open(netpoll, &self.sysfd, self.arm.interest())?);
        Ok(())
    }

    /// What the descriptor was made as.
    pub fn kind(&self) -> FdKind {
        self.kind
    }

    /// Whether somebody was parked on the descriptor in direction `mode` a moment ago. For dumps and tests.
    pub fn is_parked(&self, mode: Mode) -> bool {
        self.pd.is_some_and(|p| p.pd.is_parked(mode))
    }

    /// Closes the descriptor: operations in progress fail with the closed error, later ones too.
    ///
    /// Waits until the last of them has left, so that after the return the number is free (a port can be
    /// listened on again, golang/go#21856). Not if the descriptor is not registered or in blocking mode: then
    /// a reader may sit in the kernel for ever (golang/go#7970). A caller who himself holds an [`FdGuard`]
    /// would wait for himself.
    ///
    /// # Errors
    ///
    /// The closed error the second time; what close(2) says if this call made it. The number is gone in any
    /// case.
    ///
    /// Go: internal/poll/fd_unix.go FD.Close
    pub fn close(&self) -> Result<(), Error> {
        self.mu.incref_and_close().map_err(|_| self.closing())?;
        if let Some(p) = self.pd {
            p.pd.evict();
        }
        let result = match self.mu.decref() {
            Left::Last => self.destroy(),
            Left::InUse | Left::TasksWait => Ok(()),
        };
        // Acquire pairs with the store in `set_blocking`.
        if self.pd.is_some() && !self.is_blocking.load(Acquire) {
            self.wait_destroyed();
        }
        result
    }

    fn wait_destroyed(&self) {
        // AcqRel: acquire pairs with the release in `destroy`.
        if self.close_state.compare_exchange(OPEN, CLOSE_WAITS, AcqRel, Acquire).is_ok() {
            sema::acquire(self.csema());
        }
    }

    fn csema(&self) -> usize {
        (&raw const self.close_state).addr()
    }

    /// The last user is gone: out of the poller, then close(2), then tell whoever waits.
    ///
    /// Go: internal/poll/fd_unix.go FD.destroy
    #[cold]
    #[inline(never)]
    fn destroy(&self) -> Result<(), Error> {
        self.deregister();
        let result = self.sysfd.close();
        release::descriptor_released();
        // Swap: the release half for the closer, the acquire half to see him.
        if self.close_state.swap(DESTROYED, AcqRel) == CLOSE_WAITS {
            sema::release(self.csema());
        }
        result.map_err(Error::from)
    }

    /// Before the number is free: a poller must never know a number that may already be somebody else's.
    fn deregister(&self) {
        if let (Some(p), Some(netpoll)) = (self.pd, NETPOLL.get()) {
            p.pd.close(netpoll, &self.sysfd);
        }
    }

    /// The descriptor by value; the poller forgets it. It stays in non-blocking mode. None if it is closed.
    pub fn into_owned(self) -> Option<OwnedFd> {
        // By value: nobody else is using it.
        self.mu.incref_and_close().ok()?;
        if let Some(p) = self.pd {
            p.pd.evict();
            self.deregister();
        }
        self.close_state.store(DESTROYED, Relaxed);
        self.sysfd.take()
    }

    /// A duplicate (`F_DUPFD_CLOEXEC`). The two share the file description: its mode, and what is read.
    ///
    /// Go: internal/poll/fd_unix.go FD.Dup
    pub fn dup(&self) -> Result<OwnedFd, Error> {
        let _ref = self.incref()?;
        self.hint.disable();
        Ok(self.sysfd.dup()?)
    }

    /// Shuts one or both directions down.
    ///
    /// Go: internal/poll/fd_posix.go FD.Shutdown
    pub fn shutdown(&self, how: std::net::Shutdown) -> Result<(), Error> {
        let _ref = self.incref()?;
        Ok(sock::shutdown(&self.sysfd, how)?)
    }

    /// Runs `f` on the descriptor, which cannot be closed meanwhile. For setting and reading options; `f`
    /// must not do anything that changes what a read returns (see [`Fd::raw_control`]).
    pub fn control<T>(&self, f: impl FnOnce(&SysFd) -> T) -> Result<T, Error> {
        let _ref = self.incref()?;
        Ok(f(&self.sysfd))
    }

    /// [`Fd::control`] for code of which nothing is known. From then on every read makes its system call: an
    /// option like kTLS or an out-of-band setting may make short reads that prove nothing.
    ///
    /// Go: internal/poll/fd_posix.go FD.RawControl
    pub fn raw_control<T>(&self, f: impl FnOnce(&SysFd) -> T) -> Result<T, Error> {
        self.hint.disable();
        self.control(f)
    }

    /// The descriptor itself, for as long as the guard lives. `close` waits for that. Like
    /// [`Fd::raw_control`], this ends the short-read hint.
    pub fn fd(&self) -> Result<FdGuard<'_>, Error> {
        self.hint.disable();
        Ok(FdGuard::new(self.incref()?))
    }

    /// Puts the descriptor into blocking mode: its operations occupy a thread from now on, and `close` does
    /// not wait for them.
    ///
    /// Go: internal/poll/fd_posix.go FD.SetBlocking
    pub fn set_blocking(&self) -> Result<(), Error> {
        // A reference and not the read lock, which a reader may hold for ever (golang/go#24481).
        let _ref = self.incref()?;
        self.is_blocking.store(true, Release); // pairs with the load in `close`
        Ok(self.sysfd.set_nonblocking(false)?)
    }

    /// Sets both deadlines; see [`Fd::set_read_deadline`].
    ///
    /// Go: internal/poll/fd_poll_runtime.go FD.SetDeadline
    pub fn set_deadline(&self, t: Option<Instant>) -> Result<(), Error> {
        self.set_deadlines(&[Mode::Read, Mode::Write], t)
    }

    /// Sets the time after which reads and accepts fail with [`Error::DeadlineExceeded`], also one in
    /// progress and even with data ready. `None`: never. A time in the past fails them at once; a later one
    /// makes them work again.
    ///
    /// Costs an uncontended lock and a comparison when it moves later, which is what an idle timeout does.
    ///
    /// # Errors
    ///
    /// The closed error; [`Error::NoDeadline`] if the descriptor is not registered.
    ///
    /// Go: internal/poll/fd_poll_runtime.go FD.SetReadDeadline
    pub fn set_read_deadline(&self, t: Option<Instant>) -> Result<(), Error> {
        self.set_deadlines(&[Mode::Read], t)
    }

    /// As [`Fd::set_read_deadline`], for writes.
    ///
    /// Go: internal/poll/fd_poll_runtime.go FD.SetWriteDeadline
    pub fn set_write_deadline(&self, t: Option<Instant>) -> Result<(), Error> {
        self.set_deadlines(&[Mode::Write], t)
    }

    #[inline]
    fn set_deadlines(&self, modes: &[Mode], t: Option<Instant>) -> Result<(), Error> {
        let Some(p) = self.pd else { return Err(self.no_deadline()) };
        // 0 is none, so a time before the clock's start becomes 1, which has passed as well.
        let when = t.map_or(0, |t| gopark_sys::time::instant_to_nanotime(t).max(1));
        // No reference is taken: see `PollDesc::set_deadline`.
        p.pd.set_deadline(p.seq, modes, when).map_err(|_| self.closing())
    }

    /// What a context needs to end this descriptor's operations.
    ///
    /// # Errors
    ///
    /// As [`Fd::set_read_deadline`].
    pub fn canceler(&self) -> Result<Canceler, Error> {
        match self.pd {
            Some(p) if !self.mu.is_closed() => Ok(Canceler(p)),
            _ => Err(self.no_deadline()),
        }
    }

    #[cold]
    fn no_deadline(&self) -> Error {
        if self.mu.is_closed() {
            self.closing()
        } else if !is_installed() {
            Error::NotStarted
        } else {
            Error::NoDeadline
        }
    }

    /// Go: internal/poll/fd.go errClosing
    #[cold]
    fn closing(&self) -> Error {
        if self.kind.is_file { Error::FileClosing } else { Error::NetClosing }
    }

    #[cold]
    fn refused(&self, refusal: Refusal) -> Error {
        match refusal {
            Refusal::Closing => self.closing(),
            Refusal::Expired => Error::DeadlineExceeded,
            Refusal::Canceled => Error::Canceled,
            Refusal::EventErr => Error::NotPollable,
        }
    }

    fn incref(&self) -> Result<Ref<'_>, Error> {
        self.mu.incref().map_err(|_| self.closing())?;
        Ok(Ref::new(self))
    }

    #[inline]
    fn lock(&self, mode: Mode) -> Result<Lock<'_>, Error> {
        match self.mu.rwlock(mode) {
            Ok(()) => Ok(Lock::new(self, mode)),
            Err(_) => Err(self.closing()),
        }
    }

    /// An operation has succeeded; if it did not park it counts against the caller's budget. Without any
    /// lock, since this may yield.
    #[inline]
    fn charge(&self, parked: bool, units: u32) {
        if !parked && is_installed() {
            runtime().charge(units);
        }
    }
}

// A panic that passes through an operation gives its lock and reference back and leaves nothing half done, so
// what catches it may go on using the descriptor, as with std's sockets.
impl UnwindSafe for Fd {}
impl RefUnwindSafe for Fd {}

impl Drop for Fd {
    /// Closes the descriptor if it is not closed. Never waits: nobody can be using what is owned. If a guard
    /// was leaked (`mem::forget`), its reference does not count.
    fn drop(&mut self) {
        let close_state = self.close_state.load(Acquire);
        if close_state == DESTROYED {
            return;
        }
        // `Err`: closed by a `close` that did not wait, with a leaked reference left.
        if self.mu.incref_and_close().is_ok()
            && let Some(p) = self.pd
        {
            p.pd.evict();
        }
        let _ = self.destroy();
    }
}

impl FdGuard<'_> {
    fn sysfd(&self) -> &SysFd {
        &self.reference().fd().sysfd
    }
}

impl AsFd for FdGuard<'_> {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.sysfd().as_fd()
    }
}
