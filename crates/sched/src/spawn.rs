//! What users start goroutines with.

use std::fmt::Display;
use std::panic::Location;

use crate::newproc::{CLOSURE_MAX, SpawnError, newproc};

/// What a detached goroutine may return: nothing, or a `Result` whose error is logged.
///
/// A handler that ends in `Ok(())` can use `?` throughout.
pub trait GoResult {
    /// Reports what nobody waits for.
    fn report(self, start: &'static Location<'static>);
}

impl GoResult for () {
    #[inline]
    fn report(self, _start: &'static Location<'static>) {}
}

/// Names `!`, which stable Rust does not let one write as a type.
trait Returns {
    type Value;
}

impl<R> Returns for fn() -> R {
    type Value = R;
}

/// A goroutine that never returns: `go(|| loop { .. })` has this type since edition 2024.
#[expect(private_interfaces, reason = "the trait only spells the type; nobody has to name it")]
impl GoResult for <fn() -> ! as Returns>::Value {
    fn report(self, _start: &'static Location<'static>) {
        self
    }
}

impl<T, E: Display> GoResult for Result<T, E> {
    fn report(self, start: &'static Location<'static>) {
        if let Err(err) = self {
            tracing::warn!(goroutine = crate::goroutine_id(), %start, "goroutine failed: {err}");
        }
    }
}

/// Starts a goroutine that runs `f`, and forgets it.
///
/// The cheapest way to start one. An `Err` that `f` returns is logged through `tracing` at level warn; a panic is
/// reported by the panic hook and ends this goroutine alone. The goroutine begins when the scheduler gets to it,
/// usually as soon as the caller parks. May be called from any thread. A caller that has used up its time slice yields:
/// see the contract of [`crate::Runtime::start`].
///
/// # Panics
/// If the runtime is not started, is shutting down, or no stack can be had, as `std::thread::spawn` does; use
/// [`try_go`] to get an error instead.
///
/// # Examples
/// ```no_run
/// # fn serve() {}
/// let _rt = unsafe { gopark_sched::Runtime::start().expect("start") };
/// gopark_sched::go(|| serve());
/// ```
///
/// Go: the `go` statement.
#[track_caller]
#[inline]
pub fn go<F, R>(f: F)
where
    F: FnOnce() -> R + Send + 'static,
    R: GoResult,
{
    if const { std::mem::size_of::<F>() > CLOSURE_MAX } {
        // Before it is moved any further: without optimisation each move leaves a copy on a stack.
        let start = Location::caller();
        let f: Box<dyn FnOnce() + Send> = Box::new(move || f().report(start));
        if let Err(err) = go_at(f, start) {
            go_failed(err);
        }
        return;
    }
    if let Err(err) = try_go(f) {
        go_failed(err);
    }
}

#[cold]
#[inline(never)]
#[track_caller]
fn go_failed(err: SpawnError) -> ! {
    panic!("go: {err}")
}

/// Like [`go`], but returns an error when no goroutine can be started.
///
/// # Errors
/// [`SpawnError`] says what is missing, and what to do.
#[track_caller]
#[inline]
pub fn try_go<F, R>(f: F) -> Result<(), SpawnError>
where
    F: FnOnce() -> R + Send + 'static,
    R: GoResult,
{
    let start = Location::caller();
    if const { std::mem::size_of::<F>() > CLOSURE_MAX } {
        // Before it is moved any further: without optimisation each move leaves a copy on a stack.
        let f: Box<dyn FnOnce() + Send> = Box::new(move || f().report(start));
        return go_at(f, start);
    }
    go_at(f, start)
}

/// [`try_go`], for a goroutine that somebody else asked for at `start`.
#[inline]
#[allow(unsafe_code)]
pub(crate) fn go_at<F, R>(f: F, start: &'static Location<'static>) -> Result<(), SpawnError>
where
    F: FnOnce() -> R + Send + 'static,
    R: GoResult,
{
    // SAFETY: F is 'static.
    unsafe { newproc(move |_| f().report(start), start) }
}
