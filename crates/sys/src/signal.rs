//! Signals as something that one thread can wait for.
//!
//! The handler notes which signal came and writes a byte to a pipe; a thread that sleeps in a read of the pipe takes
//! all that were noted. What comes twice before it is taken is taken once, as the kernel itself has it with a signal
//! that is pending. While no signal comes, nobody wakes.
//!
//! Our own and not signal-hook's, because that one never gives a signal back: after its last listener has gone its
//! handler stays and swallows the signal, and a program that no longer wants Ctrl-C for itself could not be stopped by
//! it any more. Handlers that were there before ours are called by it.
//!
//! # Safety
//! The handler does what is async-signal-safe only: atomics, write(2), and the handler that was there before, with
//! errno as it found it. The words that it reads are set before it is installed.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

/// Signals have numbers from 1 to this: a word has a bit for each.
pub const SIGNAL_MAX: i32 = 64;

/// The system's numbers.
pub mod numbers {
    pub use libc::{
        SIGABRT, SIGALRM, SIGBUS, SIGCHLD, SIGCONT, SIGFPE, SIGHUP, SIGILL, SIGINT, SIGKILL, SIGPIPE,
        SIGQUIT, SIGSEGV, SIGSTOP, SIGTERM, SIGTRAP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGUSR1, SIGUSR2,
        SIGWINCH,
    };
}

/// What came and was not taken yet: bit `n - 1` for signal `n`. Set by the handler, cleared by `wait`.
static PENDING: AtomicU64 = AtomicU64::new(0);

/// The end of the pipe that the handler writes to; -1 before there is one.
static WRITE_END: AtomicI32 = AtomicI32::new(-1);

/// The other end.
static READ_END: OnceLock<Mutex<File>> = OnceLock::new();

/// What was there before our handler, for it to call: a function or 0, and whether that takes three arguments.
static CHAINED: [(AtomicUsize, AtomicBool); SIGNAL_MAX as usize] =
    [const { (AtomicUsize::new(0), AtomicBool::new(false)) }; SIGNAL_MAX as usize];

/// The actions before ours, by number - 1; none for signals that we left alone, or gave back.
static BEFORE: Mutex<[Option<libc::sigaction>; SIGNAL_MAX as usize]> =
    Mutex::new([const { None }; SIGNAL_MAX as usize]);

extern "C" fn handler(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let errno = errno_place();
    // SAFETY: the place of this thread's own errno.
    let saved = unsafe { *errno };
    let index = (signal - 1) as usize;
    PENDING.fetch_or(1 << index, Ordering::Release); // pairs with wait's swap
    let byte = 0_u8;
    // SAFETY: one readable byte. A full pipe refuses it, and has others that wake the reader.
    unsafe { libc::write(WRITE_END.load(Ordering::Relaxed), std::ptr::from_ref(&byte).cast(), 1) };
    call_chained(index, signal, info, context);
    // SAFETY: as above.
    unsafe { *errno = saved };
}

fn call_chained(index: usize, signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let (function, three) = &CHAINED[index];
    let function = function.load(Ordering::Acquire); // pairs with catch
    if function == 0 {
        return;
    }
    if three.load(Ordering::Relaxed) {
        type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
        // SAFETY: the kernel would have called it so: it was installed with SA_SIGINFO.
        let function = unsafe { std::mem::transmute::<usize, Handler>(function) };
        function(signal, info, context);
    } else {
        // SAFETY: as above, without.
        let function = unsafe { std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(function) };
        function(signal);
    }
}

#[cfg(any(target_os = "linux", target_os = "dragonfly"))]
fn errno_place() -> *mut libc::c_int {
    // SAFETY: no arguments, and valid for the life of the thread.
    unsafe { libc::__errno_location() }
}

#[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
fn errno_place() -> *mut libc::c_int {
    // SAFETY: no arguments, and valid for the life of the thread.
    unsafe { libc::__error() }
}

#[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
fn errno_place() -> *mut libc::c_int {
    // SAFETY: no arguments, and valid for the life of the thread.
    unsafe { libc::__errno() }
}

/// Whether programs may take this signal for themselves.
///
/// Not the two that nobody can have, and not those by which the processor reports a fault: the instruction would fault
/// again as soon as the handler returns, and stack overflows are told from others by their handler.
pub fn may_catch(signal: i32) -> bool {
    let refused = [
        libc::SIGKILL,
        libc::SIGSTOP,
        libc::SIGSEGV,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGILL,
        libc::SIGTRAP,
    ];
    (1..=SIGNAL_MAX).contains(&signal) && !refused.contains(&signal)
}

/// Lets `wait` return this signal from now on.
///
/// # Errors
/// EINVAL for a signal that cannot be caught; EMFILE if there is no descriptor left for the pipe.
pub fn catch(signal: i32) -> io::Result<()> {
    let index = index_of(signal)?;
    open_pipe()?;
    let mut before = BEFORE.lock();
    let present = action_of(signal)?;
    let function = match present.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => 0,
        function => function,
    };
    // Who put his handler before ours calls ours: with ours before his again the two would call each other for ever.
    if is_ours(&present) || (function != 0 && before[index].is_some()) {
        return Ok(());
    }
    CHAINED[index].1.store(present.sa_flags & libc::SA_SIGINFO != 0, Ordering::Relaxed);
    CHAINED[index].0.store(function, Ordering::Release); // pairs with call_chained
    // SAFETY: a zeroed sigaction is the default action with an empty mask.
    let mut ours: libc::sigaction = unsafe { std::mem::zeroed() };
    ours.sa_sigaction = handler as *const () as usize;
    // On the alternate stack: a goroutine's may be too small. Restarting: not every call of the program retries.
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    set_action(signal, &ours)?;
    before[index].get_or_insert(present);
    Ok(())
}

/// The kernel drops this signal from now on; programs started by this one inherit that.
///
/// # Errors
/// EINVAL for a signal that cannot be ignored.
pub fn ignore(signal: i32) -> io::Result<()> {
    let index = index_of(signal)?;
    let mut before = BEFORE.lock();
    let present = action_of(signal)?;
    // SAFETY: a zeroed sigaction is the default action with an empty mask.
    let mut ignoring: libc::sigaction = unsafe { std::mem::zeroed() };
    ignoring.sa_sigaction = libc::SIG_IGN;
    set_action(signal, &ignoring)?;
    before[index].get_or_insert(present);
    Ok(())
}

/// Puts back what was there before the first [`catch`] or [`ignore`], unless somebody else has put something there
/// since.
///
/// # Errors
/// EINVAL for a signal that cannot have been caught.
pub fn restore(signal: i32) -> io::Result<()> {
    let index = index_of(signal)?;
    let mut before = BEFORE.lock();
    let Some(previous) = before[index].take() else { return Ok(()) };
    let present = action_of(signal)?;
    if is_ours(&present) || present.sa_sigaction == libc::SIG_IGN {
        set_action(signal, &previous)?;
    }
    Ok(())
}

/// From now on this signal does what it does by default: end the process, for most.
///
/// # Errors
/// EINVAL for a signal that cannot be caught.
pub fn set_default(signal: i32) -> io::Result<()> {
    index_of(signal)?;
    // SAFETY: a zeroed sigaction is the default action with an empty mask.
    set_action(signal, &unsafe { std::mem::zeroed() })
}

/// Whether the kernel drops this signal.
pub fn is_ignored(signal: i32) -> bool {
    action_of(signal).is_ok_and(|action| action.sa_sigaction == libc::SIG_IGN)
}

/// Sleeps until a signal has come that was to be caught; returns all that have, bit `n - 1` for signal `n`. For one
/// thread: a second one waits for the first.
///
/// # Errors
/// If no signal was ever to be caught.
pub fn wait() -> io::Result<u64> {
    let Some(pipe) = READ_END.get() else { return Err(io::Error::from_raw_os_error(libc::EINVAL)) };
    let mut pipe = pipe.lock();
    let mut bytes = [0_u8; 64];
    loop {
        match pipe.read(&mut bytes) {
            Ok(_) => {}
            Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
            Err(err) => return Err(err),
        }
        // A byte that was read stands for a bit that was set before. Acquire pairs with the handler.
        let came = PENDING.swap(0, Ordering::Acquire);
        if came != 0 {
            return Ok(came);
        }
    }
}

/// Writes to standard error, past the lock of std's, which a thread may hold that will never let go of it. As much as
/// can be written.
pub fn write_stderr(mut text: &[u8]) {
    while !text.is_empty() {
        // SAFETY: readable for its length.
        let n = unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
        match usize::try_from(n) {
            Ok(n @ 1..) => text = &text[n..],
            Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            _ => return,
        }
    }
}

/// Ends the process at once, without what others want to do at its end: it may be in any state.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: no memory is involved.
    unsafe { libc::_exit(status) }
}

/// Sends a signal to this process.
///
/// # Errors
/// EINVAL if there is no such signal.
pub fn raise(signal: i32) -> io::Result<()> {
    // SAFETY: no memory is involved; what the signal does is the caller's wish.
    check(unsafe { libc::kill(libc::getpid(), signal) })
}

fn index_of(signal: i32) -> io::Result<usize> {
    if may_catch(signal) {
        Ok((signal - 1) as usize)
    } else {
        Err(io::Error::from_raw_os_error(libc::EINVAL))
    }
}

fn open_pipe() -> io::Result<()> {
    static OPENING: Mutex<()> = Mutex::new(());
    let _guard = OPENING.lock();
    if READ_END.get().is_some() {
        return Ok(());
    }
    let (reader, writer) = io::pipe()?;
    // SAFETY: a descriptor of ours. The handler must not wait for a reader that is slow.
    check(unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) })?;
    WRITE_END.store(writer.into_raw_fd(), Ordering::Relaxed); // before any handler is installed
    let _ = READ_END.set(Mutex::new(File::from(std::os::fd::OwnedFd::from(reader))));
    Ok(())
}

fn is_ours(action: &libc::sigaction) -> bool {
    action.sa_sigaction == handler as *const () as usize
}

fn action_of(signal: i32) -> io::Result<libc::sigaction> {
    // SAFETY: a zeroed sigaction is the default action with an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a valid place to write to; only asks.
    check(unsafe { libc::sigaction(signal, std::ptr::null(), &mut action) })?;
    Ok(action)
}

fn set_action(signal: i32, action: &libc::sigaction) -> io::Result<()> {
    // SAFETY: a whole sigaction: a handler of ours, one that was installed before, or none.
    check(unsafe { libc::sigaction(signal, action, std::ptr::null_mut()) })
}

fn check(rc: libc::c_int) -> io::Result<()> {
    if rc == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
