//! Making goroutines, and keeping the dead ones for the next.
//!
//! # Safety
//! A goroutine on a free list is dead and belongs to whoever takes it off; a fresh slot to whoever was given it. The
//! closure's type is erased once, in `newproc`, and called once, by the goroutine's first frame.
#![allow(unsafe_code)]

use gopark_sys::loom::atomic::Ordering;
use std::panic::{AssertUnwindSafe, Location};

use gopark_poll::Waiter;
use gopark_sys::stack::StackError;

use crate::counters::{OUTSIDE, add_shared};
use crate::g::{G, GStatus};
use crate::m::{M, getm};
use crate::p::{P, PStatus};
use crate::sched::SCHED;
use crate::stacks::{gfget_sized, gfget_slow, gfput_shared};

/// Why no goroutine could be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum SpawnError {
    /// The runtime is not started: `main` must begin with `let rt = unsafe { Runtime::start()? };`.
    NotStarted,
    /// `Runtime::shutdown` was called.
    ShuttingDown,
    /// No stack could be had; the text names the limit to raise.
    NoStack(StackError),
    /// A stack of so many bytes was asked for, which is too small or too large.
    StackSize(usize),
}

impl std::fmt::Display for SpawnError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SpawnError::NotStarted => f.write_str(crate::NOT_STARTED),
            SpawnError::ShuttingDown => f.write_str("the gopark runtime is shutting down: no new goroutines"),
            SpawnError::NoStack(err) => write!(f, "no stack for another goroutine: {err}"),
            SpawnError::StackSize(bytes) => {
                write!(f, "a stack of {bytes} bytes: the size must be between 16 KiB and 1 GiB")
            }
        }
    }
}

impl std::error::Error for SpawnError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SpawnError::NoStack(err) => Some(err),
            _ => None,
        }
    }
}

impl From<SpawnError> for std::io::Error {
    fn from(err: SpawnError) -> std::io::Error {
        let kind = match err {
            SpawnError::NoStack(_) => std::io::ErrorKind::OutOfMemory,
            SpawnError::StackSize(_) => std::io::ErrorKind::InvalidInput,
            _ => std::io::ErrorKind::Other,
        };
        std::io::Error::new(kind, err)
    }
}

/// The largest closure that goes to the stack as it is, in bytes: what corosensei moves there is 1 KiB at most, our own
/// wrapping included. A larger one costs an allocation.
pub(crate) const CLOSURE_MAX: usize = 768;

/// Starts a goroutine that runs `f`, to which it passes itself.
///
/// `f` goes to the top of the new stack; nothing is allocated but, now and then, a stack, or a box for a large `f`. A
/// panic in `f` ends this goroutine alone, after the panic hook has spoken.
///
/// # Safety
/// Everything `f` borrows lives until `f` has run.
///
/// Go: runtime/proc.go newproc.
#[inline]
pub(crate) unsafe fn newproc<F: FnOnce(&'static G) + Send>(
    f: F,
    start: &'static Location<'static>,
) -> Result<(), SpawnError> {
    // SAFETY: the caller's promise.
    unsafe { newproc_sized(0, f, start) }
}

/// [`newproc`] on a stack of this class: see `stacks`.
///
/// # Safety
/// As [`newproc`].
#[inline]
pub(crate) unsafe fn newproc_sized<F: FnOnce(&'static G) + Send>(
    class: u8,
    f: F,
    start: &'static Location<'static>,
) -> Result<(), SpawnError> {
    if const { std::mem::size_of::<F>() > CLOSURE_MAX } {
        let f = Box::new(f);
        // SAFETY: the caller's promise.
        return unsafe { newproc1(class, f, start) };
    }
    // SAFETY: as above.
    unsafe { newproc1(class, f, start) }
}

/// # Safety
/// As [`newproc`]; and `f` is no larger than [`CLOSURE_MAX`].
///
/// Go: runtime/proc.go newproc1.
#[inline]
unsafe fn newproc1<F: FnOnce(&'static G) + Send>(
    class: u8,
    f: F,
    start: &'static Location<'static>,
) -> Result<(), SpawnError> {
    let mp = getm();
    let pp = mp.and_then(|mp| mp.p.get());
    // The class is known where this is inlined: no branch.
    let gp = if class == 0 { gfget(pp)? } else { gfget_sized(class)? };
    if SCHED.stopping.load(Ordering::Relaxed) {
        gfput_shared(gp);
        return Err(SpawnError::ShuttingDown);
    }
    // SAFETY: gp comes from a free list, and the caller's promise.
    unsafe { prepare(gp, pp, f, start) };
    gp.casgstatus(GStatus::Dead, GStatus::Runnable);
    crate::park::ready(gp);
    if pp.is_some_and(|pp| pp.is(PStatus::Stuck)) {
        // A loop that does nothing but start goroutines was taken for a hog: its time slice is over, and this is
        // where Go would preempt it. Otherwise each goroutine it starts would have to wake a thread of its own.
        crate::yield_now();
    }
    Ok(())
}

/// Makes a goroutine for a task that somebody waits for: also when the runtime is shutting down. Gives `f` back if
/// there is no stack.
///
/// It is as if parked, and begins when its waiter is readied. Not queued here, since the caller may be on g0, looking
/// for something to run: it would give up a P with the goroutine in its queue.
pub(crate) fn newproc_task<F: FnOnce() + Send + 'static>(
    f: F,
    start: &'static Location<'static>,
) -> Result<Waiter, F> {
    const { assert!(std::mem::size_of::<F>() <= CLOSURE_MAX) };
    let mp = getm();
    let pp = mp.and_then(|mp| mp.p.get());
    match gfget(pp) {
        Ok(gp) => {
            // SAFETY: gp comes from a free list; F is 'static.
            unsafe { prepare(gp, pp, |_| f(), start) };
            gp.casgstatus(GStatus::Dead, GStatus::Waiting);
            Ok(gp.waiter())
        }
        Err(_) => Err(f),
    }
}

/// A dead goroutine for the caller to have.
#[inline]
fn gfget(pp: Option<&'static P>) -> Result<&'static G, SpawnError> {
    match pp.and_then(|pp| pp.gfget()) {
        Some(gp) => Ok(gp),
        None => gfget_slow(pp),
    }
}

/// Makes `gp` run `f` when it is run.
///
/// # Safety
/// `gp` is dead and the caller's; everything that `f` borrows lives until `f` has run; `f` is no larger than
/// [`CLOSURE_MAX`].
#[inline]
unsafe fn prepare<F: FnOnce(&'static G) + Send>(
    gp: &'static G,
    pp: Option<&'static P>,
    f: F,
    start: &'static Location<'static>,
) {
    let id = match pp {
        Some(pp) => pp.next_goid(),
        None => {
            add_shared(&OUTSIDE.created, 1);
            SCHED.goidgen.fetch_add(1, Ordering::Relaxed)
        }
    };
    // SAFETY: the caller's promise. `run_entry` does not unwind.
    unsafe {
        gp.set_entry(id, start, move |yielder, _mp| {
            gp.set_yielder(yielder);
            run_entry(gp, f);
        });
    }
}

/// Runs the goroutine's function; a panic ends here.
fn run_entry<F: FnOnce(&'static G)>(gp: &'static G, f: F) {
    if let Err(payload) = run(gp, move || f(gp)) {
        discard(payload);
        leave_nothing(gp); // the destructor may have used goroutine-locals, which the stack's next goroutine would find
    }
}

/// Calls a goroutine's function; what it leaves behind in the goroutine `gp`, which is the caller, is gone afterwards:
/// whoever waits for its end finds that, too.
#[inline]
pub(crate) fn run<T>(gp: &'static G, f: impl FnOnce() -> T) -> std::thread::Result<T> {
    let result = catch(f);
    leave_nothing(gp);
    result
}

/// Drops the goroutine-locals of `gp`, which is the caller, and leaves its spans.
#[inline]
fn leave_nothing(gp: &'static G) {
    if !gp.locals().get().is_null() {
        crate::local::end_of_goroutine(gp);
    }
    if crate::span::in_use() {
        crate::span::end(gp);
        // A subscriber may have made some as well.
        if !gp.locals().get().is_null() {
            crate::local::end_of_goroutine(gp);
        }
    }
}

/// Calls user code at the base of a goroutine; a panic is its error, or the end of the process if the builder was told
/// so.
pub(crate) fn catch<T>(f: impl FnOnce() -> T) -> std::thread::Result<T> {
    let result = std::panic::catch_unwind(AssertUnwindSafe(|| call(f)));
    if result.is_err() && SCHED.config().is_some_and(|c| c.panic_abort) {
        gopark_sys::throw!("a goroutine panicked, and the runtime was built with panic_abort");
    }
    result
}

/// Calls user code whose panic the caller catches.
///
/// A catch ends with a change of std's thread-local count of panics, and link-time optimisation inlines that, whatever
/// std says. With user code inlined as well, which may catch panics itself and then block, one function would touch
/// the count on both sides of a switch.
#[inline(never)]
pub(crate) fn call<T>(f: impl FnOnce() -> T) -> T {
    f()
}

/// `std::panic::catch_unwind` for code that may block.
///
/// A catch changes a thread-local count when it ends, and with optimisation the compiler may merge a function that has
/// two of them, or one in a loop, with what it calls, and use the first thread's count on the second thread: see the
/// contract of [`Runtime::start`](crate::Runtime::start). This one is never merged with anything.
///
/// While a goroutine unwinds it stays on its thread: a destructor that waits makes the thread wait.
///
/// # Errors
/// If `f` panics: the payload.
///
/// # Examples
/// ```no_run
/// # let _rt = unsafe { gopark_sched::Runtime::start().expect("start") };
/// # fn serve_one() {}
/// gopark_sched::go(|| loop {
///     if gopark_sched::catch_unwind(serve_one).is_err() {
///         eprintln!("that one failed");
///     }
/// });
/// ```
#[inline(never)]
pub fn catch_unwind<T>(f: impl FnOnce() -> T + std::panic::UnwindSafe) -> std::thread::Result<T> {
    std::panic::catch_unwind(|| call(f))
}

/// Drops a payload that nobody wants. Its destructor is user code and may panic as well; the second payload is not
/// worth a third try.
#[cold]
#[inline(never)]
pub(crate) fn discard(payload: Box<dyn std::any::Any + Send>) {
    if let Err(second) = std::panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
}

/// Puts a finished goroutine on a free list. On g0.
#[inline]
pub(crate) fn gfput(mp: &'static M, gp: &'static G) {
    match mp.p.get() {
        Some(pp) if gp.class() == 0 => pp.gfput(gp),
        _ => gfput_shared(gp),
    }
}
