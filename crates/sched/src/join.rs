//! `spawn` and `JoinHandle`: goroutines whose result somebody waits for, with std::thread's manners.
//!
//! # Safety
//! The result cell is written once, by the goroutine, before it publishes `DONE`, and read once, by the handle,
//! after it has seen `DONE`.
#![allow(unsafe_code)]

use gopark_sys::loom::atomic::{AtomicPtr, Ordering};
use std::cell::UnsafeCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, Location};
use std::ptr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use gopark_poll::{ParkSlot, WaitReason};

use crate::newproc::{CLOSURE_MAX, SpawnError, call, discard, newproc_sized, run};
use crate::park::{Parker, unpark};

/// Shared by a goroutine and its handle.
///
/// | `state` | meaning | set by |
/// | --- | --- | --- |
/// | null | running, nobody waits | initial; `join_timeout` when it gives up |
/// | a `ParkSlot` | running, the owner of the slot waits | the handle |
/// | `DONE` | the result is there | the goroutine, last |
struct Packet<T> {
    state: AtomicPtr<ParkSlot>,
    result: UnsafeCell<Option<thread::Result<T>>>,
}

// SAFETY: the result goes from one thread to another once, through `state`; it must be Send for that.
unsafe impl<T: Send> Sync for Packet<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Packet<T> {}

/// Not a slot: the mark that the result is there.
fn done() -> *mut ParkSlot {
    ptr::without_provenance_mut(1)
}

impl<T> Packet<T> {
    fn new() -> Packet<T> {
        Packet { state: AtomicPtr::new(ptr::null_mut()), result: UnsafeCell::new(None) }
    }

    fn is_done(&self) -> bool {
        ptr::eq(self.state.load(Ordering::Acquire), done()) // pairs with complete
    }

    /// Publishes the result and wakes the waiter. By the goroutine, once.
    fn complete(&self, result: thread::Result<T>) {
        // SAFETY: nobody reads before DONE is published below.
        unsafe { *self.result.get() = Some(result) };
        // Release: publishes the result to is_done. Acquire: the waiter's slot is set up.
        let waiter = self.state.swap(done(), Ordering::AcqRel);
        if !waiter.is_null() {
            // SAFETY: the handle stored a 'static slot.
            unpark(unsafe { &*waiter });
        }
    }

    /// Waits for the result, until `deadline` (ns) if there is one; true if it is there.
    fn wait(&self, deadline: Option<i64>) -> bool {
        if self.is_done() {
            return true;
        }
        let parker = Parker::current();
        let slot = ptr::from_ref(parker.slot()).cast_mut();
        // Release: complete reads the slot. Acquire on failure: the result. Both pair with complete's swap.
        if self.state.compare_exchange(ptr::null_mut(), slot, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return true;
        }
        if let Some(when) = deadline {
            parker.timer().arm(when);
        }
        while !self.is_done() {
            if deadline.is_some_and(|when| crate::rt::nanotime() >= when) {
                // As above: pairs with complete's swap.
                let given_up =
                    self.state.compare_exchange(slot, ptr::null_mut(), Ordering::AcqRel, Ordering::Acquire);
                if given_up.is_ok() {
                    parker.timer().stop();
                    return false;
                }
                // It is done this moment: the wake-up is on its way, and must not hit a slot used for something else.
            }
            parker.park(WaitReason::Join);
        }
        if deadline.is_some() {
            parker.timer().stop();
        }
        true
    }

    /// The result. Once, by the handle, after `is_done`.
    fn take(&self) -> thread::Result<T> {
        // SAFETY: DONE was seen, so the goroutine does not touch the cell any more, and there is one handle.
        match unsafe { (*self.result.get()).take() } {
            Some(result) => result,
            None => gopark_sys::throw!("join: no result"),
        }
    }
}

impl<T> Drop for Packet<T> {
    /// Drops a result that nobody took. A panic of its destructor is nobody's: who drops the handle of a goroutine that
    /// has ended did not call it, and would be hit or not by chance, since the goroutine may be the last to hold it. So
    /// it ends here, after the panic hook has spoken. std aborts the process in this place.
    fn drop(&mut self) {
        if let Some(result) = self.result.get_mut().take() {
            drop_result(result);
        }
    }
}

/// Not inlined: see `call`.
#[inline(never)]
fn drop_result<T>(result: thread::Result<T>) {
    if std::mem::needs_drop::<T>() || result.is_err() {
        let dropped = std::panic::catch_unwind(AssertUnwindSafe(|| call(|| drop(result))));
        if let Err(payload) = dropped {
            discard(payload);
        }
    }
}

/// A goroutine that can be waited for. Dropping the handle detaches it; its result is dropped then, and a panic in that
/// is reported by the panic hook and goes no further.
pub struct JoinHandle<T> {
    packet: Arc<Packet<T>>,
}

impl<T> JoinHandle<T> {
    /// Waits for the goroutine to finish and returns its result.
    ///
    /// From a goroutine this parks the goroutine, from a plain thread the thread. May block: see the contract of
    /// [`crate::Runtime::start`].
    ///
    /// # Errors
    /// If the goroutine panicked: the payload, as `std::thread::JoinHandle::join` returns it.
    pub fn join(self) -> thread::Result<T> {
        self.packet.wait(None);
        self.packet.take()
    }

    /// Waits for at most `timeout`; gives the handle back if the goroutine has not finished by then.
    ///
    /// # Errors
    /// The handle, to try again.
    pub fn join_timeout(self, timeout: Duration) -> Result<thread::Result<T>, JoinHandle<T>> {
        let when = crate::rt::deadline_after(timeout);
        if self.packet.wait(Some(when)) { Ok(self.packet.take()) } else { Err(self) }
    }

    /// True if the goroutine has finished: `join` would return at once.
    pub fn is_finished(&self) -> bool {
        self.packet.is_done()
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("finished", &self.is_finished()).finish()
    }
}

/// Starts a goroutine whose result can be waited for.
///
/// Like [`crate::go`] it may yield: see the contract of [`crate::Runtime::start`].
///
/// # Panics
/// As [`crate::go`] does.
///
/// # Examples
/// ```no_run
/// let _rt = unsafe { gopark_sched::Runtime::start().expect("start") };
/// let sum = gopark_sched::spawn(|| (1..=10).sum::<u32>());
/// assert_eq!(sum.join().expect("no panic"), 55);
/// ```
#[track_caller]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    if const { std::mem::size_of::<F>() > CLOSURE_MAX } {
        // Before it is moved any further: without optimisation each move leaves a copy on a stack.
        let f: Box<dyn FnOnce() -> T + Send> = Box::new(f);
        return spawn(f);
    }
    match try_spawn(f) {
        Ok(handle) => handle,
        Err(err) => panic!("spawn: {err}"),
    }
}

/// Like [`spawn`], but returns an error when no goroutine can be started.
///
/// # Errors
/// [`SpawnError`] says what is missing, and what to do.
#[track_caller]
pub fn try_spawn<F, T>(f: F) -> Result<JoinHandle<T>, SpawnError>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    // SAFETY: F is 'static.
    unsafe { spawn_unchecked(f, Location::caller()) }
}

/// # Safety
/// Everything `f` and its result borrow lives until the result was taken or dropped, and the packet is gone.
pub(crate) unsafe fn spawn_unchecked<F, T>(
    f: F,
    start: &'static Location<'static>,
) -> Result<JoinHandle<T>, SpawnError>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    // SAFETY: the caller's promise.
    unsafe { spawn_sized(0, f, start) }
}

/// [`spawn_unchecked`] on a stack of this class.
///
/// # Safety
/// As [`spawn_unchecked`].
#[inline]
pub(crate) unsafe fn spawn_sized<F, T>(
    class: u8,
    f: F,
    start: &'static Location<'static>,
) -> Result<JoinHandle<T>, SpawnError>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    if const { std::mem::size_of::<F>() > CLOSURE_MAX } {
        // Before it is moved any further: without optimisation each move leaves a copy on a stack.
        let f: Box<dyn FnOnce() -> T + Send + '_> = Box::new(f);
        // SAFETY: the caller's promise.
        return unsafe { spawn_sized(class, f, start) };
    }
    let packet = Arc::new(Packet::new());
    let theirs = Arc::clone(&packet);
    // SAFETY: the caller's promise.
    unsafe {
        newproc_sized(
            class,
            move |gp| {
                theirs.complete(run(gp, f));
            },
            start,
        )?;
    }
    Ok(JoinHandle { packet })
}
