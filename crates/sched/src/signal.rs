//! Signals of the operating system, as values in a channel.
//!
//! ```no_run
//! use gopark_sched::signal::{self, Signal};
//! # fn main() -> std::io::Result<()> {
//! let stop = signal::notify(&[Signal::SIGINT, Signal::SIGTERM])?;
//! if let Ok(signal) = stop.recv() {
//!     println!("{signal}: going");
//! }
//! # Ok(()) }
//! ```
//!
//! One thread waits for all signals and hands each to every receiver that wants it. It is started with the first
//! receiver and sleeps until a signal comes. A signal that comes again before a receiver has read it may be read once,
//! as in the kernel; but none is lost to a receiver that is slow (Go drops what does not fit into the channel).
//!
//! A signal that nobody wants any more does again what it did before.
//!
//! Go: os/signal.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::Duration;

use gopark_sys::signal as sys;
use parking_lot::Mutex;

use crate::chan::{Receiver, RecvError, RecvTimeoutError, Sender, TryRecvError, TrySendError, bounded};

mod names;

pub use names::Signal;

/// How many signals a receiver can leave unread before it may get the same ones once only.
const UNREAD: usize = 64;

/// Who wants what. Its lock is not held while something is sent.
static WANTED: Mutex<Wanted> =
    Mutex::new(Wanted { inboxes: BTreeMap::new(), next: 0, thread: false, dump_on_sigquit: false });

struct Wanted {
    inboxes: BTreeMap<u64, Arc<Inbox>>,
    /// The key of the next inbox.
    next: u64,
    /// Whether the thread is there.
    thread: bool,
    dump_on_sigquit: bool,
}

impl Wanted {
    fn anybody(&self, signal: Signal) -> bool {
        self.inboxes.values().any(|inbox| inbox.wants(signal))
    }

    /// Gives a signal back that nobody wants.
    fn let_go(&self, signal: Signal) {
        let dumps = self.dump_on_sigquit && signal == Signal::SIGQUIT;
        if !dumps && !self.anybody(signal) {
            // It was caught, so the kernel knows it.
            let _ = sys::restore(signal.as_raw());
        }
    }
}

/// Whether a signal may come that somebody is told of.
pub(crate) fn anybody_listens() -> bool {
    !WANTED.lock().inboxes.is_empty()
}

/// What goes to one receiver.
struct Inbox {
    /// A bit for each signal that it wants. Changed under the lock of `WANTED`.
    wanted: AtomicU64,
    /// A bit for each that did not fit.
    left: AtomicU64,
    sender: Sender<Signal>,
}

impl Inbox {
    fn wants(&self, signal: Signal) -> bool {
        self.wanted.load(Ordering::Relaxed) & signal.bit() != 0
    }

    fn put(&self, signal: Signal) {
        if let Err(TrySendError::Full(_)) = self.sender.try_send(signal) {
            self.left.fetch_or(signal.bit(), Ordering::Release); // pairs with refill
            self.refill(); // the room may have been made before the bit was set
        }
    }

    /// Puts in what did not fit, as long as there is room. Called by whoever sets a bit, and before each receive.
    fn refill(&self) {
        loop {
            // Pairs with itself: who sets a bit and then sees no room, and who makes room and then sees no bit, cannot
            // both be wrong.
            fence(Ordering::SeqCst);
            if self.left.load(Ordering::Relaxed) == 0 || self.sender.is_full() {
                return;
            }
            // Acquire: pairs with the setting of bits.
            for signal in each(self.left.swap(0, Ordering::Acquire)) {
                if let Err(TrySendError::Full(_)) = self.sender.try_send(signal) {
                    self.left.fetch_or(signal.bit(), Ordering::Release);
                }
            }
        }
    }
}

/// The signals whose bits are set.
fn each(set: u64) -> impl Iterator<Item = Signal> {
    (1..=sys::SIGNAL_MAX).filter(move |n| set & (1 << (n - 1)) != 0).filter_map(Signal::from_raw)
}

/// Receives signals. Dropping it ends that; a signal that no other receiver wants then does again what it did before.
///
/// Made by [`notify`].
pub struct Signals {
    key: u64,
    inbox: Arc<Inbox>,
    receiver: Receiver<Signal>,
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted: Vec<_> = each(self.inbox.wanted.load(Ordering::Relaxed)).collect();
        f.debug_struct("Signals").field("wanted", &wanted).finish_non_exhaustive()
    }
}

impl Signals {
    /// Waits for a signal. May block: see the contract of [`Runtime::start`](crate::Runtime::start).
    ///
    /// # Errors
    /// If the program has closed the channel itself.
    pub fn recv(&self) -> Result<Signal, RecvError> {
        self.receiver().recv()
    }

    /// A signal that has come already.
    ///
    /// # Errors
    /// If none has.
    pub fn try_recv(&self) -> Result<Signal, TryRecvError> {
        self.receiver().try_recv()
    }

    /// Waits for a signal, for at most `timeout`. May block: see the contract of
    /// [`Runtime::start`](crate::Runtime::start).
    ///
    /// # Errors
    /// When none came in time.
    ///
    /// # Panics
    /// Before the runtime is started, if it has to wait.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Signal, RecvTimeoutError> {
        self.receiver().recv_timeout(timeout)
    }

    /// The channel, for `select!`. Ask for it at each turn: that also puts in what did not fit before.
    pub fn receiver(&self) -> &Receiver<Signal> {
        self.inbox.refill();
        &self.receiver
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        let mut wanted = WANTED.lock();
        let inbox = wanted.inboxes.remove(&self.key);
        for signal in each(self.inbox.wanted.load(Ordering::Relaxed)) {
            wanted.let_go(signal);
        }
        drop(wanted);
        drop(inbox);
    }
}

/// Delivers these signals to the receiver that is returned, in addition to those that others get, and instead of what
/// they do by default.
///
/// From any thread or goroutine; also before the runtime is started, as far as receiving on a plain thread goes.
/// Several receivers may want the same signal, and each gets it.
///
/// # Errors
/// InvalidInput for an empty list, and for signals that no program can have for itself: SIGKILL and SIGSTOP, and those
/// by which the processor reports a fault (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP). Others if there is no descriptor
/// or no thread to be had; then nothing has changed.
///
/// Go: os/signal.Notify.
#[doc(alias = "Notify")]
pub fn notify(signals: &[Signal]) -> io::Result<Signals> {
    let set = checked(signals)?;
    let (sender, receiver) = bounded(UNREAD);
    let inbox = Arc::new(Inbox { wanted: AtomicU64::new(set), left: AtomicU64::new(0), sender });
    let mut wanted = WANTED.lock();
    for signal in each(set) {
        if let Err(err) = sys::catch(signal.as_raw()) {
            each(set).for_each(|signal| wanted.let_go(signal));
            return Err(err);
        }
    }
    if let Err(err) = start_thread(&mut wanted) {
        each(set).for_each(|signal| wanted.let_go(signal));
        return Err(err);
    }
    let key = wanted.next;
    wanted.next += 1;
    wanted.inboxes.insert(key, Arc::clone(&inbox));
    drop(wanted);
    Ok(Signals { key, inbox, receiver })
}

/// Makes the kernel drop these signals: no receiver gets them any more. Programs started by this one inherit that.
///
/// # Errors
/// InvalidInput, as [`notify`].
///
/// Go: os/signal.Ignore.
#[doc(alias = "Ignore")]
pub fn ignore(signals: &[Signal]) -> io::Result<()> {
    let set = checked(signals)?;
    let wanted = WANTED.lock();
    forget(&wanted, set);
    each(set).try_for_each(|signal| sys::ignore(signal.as_raw()))
}

/// Undoes what [`notify`] and [`ignore`] did with these signals: no receiver gets them any more, and they do again what
/// they did before.
///
/// # Errors
/// InvalidInput, as [`notify`].
///
/// Go: os/signal.Reset.
#[doc(alias = "Reset")]
pub fn reset(signals: &[Signal]) -> io::Result<()> {
    let set = checked(signals)?;
    let wanted = WANTED.lock();
    forget(&wanted, set);
    each(set).for_each(|signal| wanted.let_go(signal));
    Ok(())
}

/// Whether the kernel drops this signal: by [`ignore`], or because who started this program wanted it so (nohup does,
/// for SIGHUP).
///
/// Go: os/signal.Ignored.
#[doc(alias = "Ignored")]
pub fn is_ignored(signal: Signal) -> bool {
    sys::is_ignored(signal.as_raw())
}

/// Whether somebody waits for signals: then a process in which all goroutines sleep is not dead.
#[allow(dead_code, reason = "for the report of deadlocks")]
pub(crate) fn in_use() -> bool {
    !WANTED.lock().inboxes.is_empty()
}

fn forget(wanted: &Wanted, set: u64) {
    for inbox in wanted.inboxes.values() {
        inbox.wanted.fetch_and(!set, Ordering::Relaxed);
    }
}

fn checked(signals: &[Signal]) -> io::Result<u64> {
    let invalid = |text: String| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    if signals.is_empty() {
        return invalid("no signals: name those that are meant".into());
    }
    match signals.iter().find(|signal| !sys::may_catch(signal.as_raw())) {
        Some(signal) => invalid(format!("{signal:?} cannot be caught, only those that no fault raises can")),
        None => Ok(signals.iter().fold(0, |set, signal| set | signal.bit())),
    }
}

/// SIGQUIT writes all goroutines to standard error and ends the process, from now on. For `Builder::start`.
pub(crate) fn dump_on_sigquit() -> io::Result<()> {
    let mut wanted = WANTED.lock();
    sys::catch(Signal::SIGQUIT.as_raw())?;
    start_thread(&mut wanted)?;
    wanted.dump_on_sigquit = true;
    Ok(())
}

fn start_thread(wanted: &mut Wanted) -> io::Result<()> {
    if !wanted.thread {
        gopark_sys::thread::spawn("gopark-signals".into(), deliver)?;
        wanted.thread = true;
    }
    Ok(())
}

/// The life of the thread that waits for signals.
fn deliver() {
    let _never = crate::m::NoUnwind;
    loop {
        match sys::wait() {
            Ok(set) => each(set).for_each(deliver_one),
            Err(err) => gopark_sys::throw!("waiting for signals: {err}"),
        }
    }
}

fn deliver_one(signal: Signal) {
    let wanted = WANTED.lock();
    let inboxes: Vec<_> = wanted.inboxes.values().filter(|i| i.wants(signal)).map(Arc::clone).collect();
    let dump = wanted.dump_on_sigquit && signal == Signal::SIGQUIT && inboxes.is_empty();
    drop(wanted);
    if dump {
        dump_and_exit();
    }
    inboxes.iter().for_each(|inbox| inbox.put(signal));
}

/// Go: runtime/signal_unix.go sighandler, fatalsignal.
fn dump_and_exit() -> ! {
    // Should the dump hang, because a thread was stopped at a bad moment, a second signal ends the process anyway.
    let _ = sys::set_default(Signal::SIGQUIT.as_raw());
    let dump = crate::dump_goroutines();
    let text = format!("SIGQUIT: quit\n\n{dump}\n{}\n", crate::metrics());
    sys::write_stderr(text.as_bytes());
    sys::exit_now(2)
}
