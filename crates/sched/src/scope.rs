//! Goroutines that borrow from the one that started them. Model: std::thread::scope.
//!
//! # Safety
//! `scope` does not return, by a panic neither, before every goroutine of the scope has ended; so what they borrow
//! from outside of it outlives them. A goroutine's last act is to count itself out, after its closure is dropped.
#![allow(unsafe_code)]

use gopark_sys::loom::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};

use gopark_poll::WaitReason;

use crate::newproc::{CLOSURE_MAX, call, discard, newproc, run};
use crate::park::{Parker, unpark};

/// Hands out goroutines that may borrow what lives for `'env`. See [`scope`].
pub struct Scope<'scope, 'env: 'scope> {
    data: Data,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// | word | meaning | who changes it |
/// | --- | --- | --- |
/// | `running` | goroutines of the scope that have not ended, plus one for the body | `go` adds, each end subtracts |
/// | `panicked` | one of them panicked | the goroutine, before it counts itself out |
struct Data {
    running: AtomicUsize,
    panicked: AtomicBool,
    owner: &'static gopark_poll::ParkSlot,
}

impl Data {
    /// One less; the last one wakes the owner, and touches the data no more.
    fn count_out(&self) {
        let owner = self.owner;
        // AcqRel: all that the goroutines did happens before the owner sees zero.
        if self.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            unpark(owner);
        }
    }
}

impl<'scope> Scope<'scope, '_> {
    /// Starts a goroutine in this scope. It may borrow from outside of the scope; the scope waits for it.
    ///
    /// Like [`crate::go`] it may yield: see the contract of [`crate::Runtime::start`].
    ///
    /// # Panics
    /// If no goroutine can be started, as [`crate::go`] does.
    #[track_caller]
    pub fn go<F>(&'scope self, f: F)
    where
        F: FnOnce() + Send + 'scope,
    {
        if const { std::mem::size_of::<F>() > CLOSURE_MAX } {
            // Before it is moved any further: without optimisation each move leaves a copy on a stack.
            let f: Box<dyn FnOnce() + Send + 'scope> = Box::new(f);
            return self.go(f);
        }
        let data: &'scope Data = &self.data;
        data.running.fetch_add(1, Ordering::Relaxed); // the body still counts, so this is not the first
        let out = CountOut(data);
        // SAFETY: `scope` waits for count_out, which runs after f is consumed.
        let started = unsafe {
            newproc(
                move |gp| {
                    let out = out;
                    if let Err(payload) = run(gp, f) {
                        out.0.panicked.store(true, Ordering::Relaxed); // published by count_out
                        discard(payload);
                    }
                },
                Location::caller(),
            )
        };
        if let Err(err) = started {
            panic!("scope: {err}"); // `out` was dropped with the closure and has counted itself out
        }
    }
}

struct CountOut<'a>(&'a Data);

impl Drop for CountOut<'_> {
    fn drop(&mut self) {
        self.0.count_out();
    }
}

/// Not inlined, since the caller may catch panics as well: see [`call`].
#[inline(never)]
fn run_body<T>(f: impl FnOnce() -> T) -> std::thread::Result<T> {
    catch_unwind(AssertUnwindSafe(|| call(f)))
}

/// Runs `f` with a scope whose goroutines may borrow local variables; returns when all of them have ended.
///
/// # Panics
/// If `f` panics, or one of the goroutines did; in both cases after all have ended.
///
/// # Examples
/// ```no_run
/// let _rt = unsafe { gopark_sched::Runtime::start().expect("start") };
/// let words = ["a", "b"];
/// gopark_sched::scope(|s| {
///     for w in &words {
///         s.go(move || println!("{w}"));
///     }
/// });
/// ```
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    let parker = Parker::current();
    let scope = Scope {
        data: Data { running: AtomicUsize::new(1), panicked: AtomicBool::new(false), owner: parker.slot() },
        scope: PhantomData,
        env: PhantomData,
    };
    let result = run_body(|| f(&scope));
    // Acquire in both: pairs with count_out.
    if scope.data.running.fetch_sub(1, Ordering::Acquire) != 1 {
        while scope.data.running.load(Ordering::Acquire) != 0 {
            parker.park(WaitReason::Join);
        }
    }
    match result {
        Err(payload) => resume_unwind(payload),
        Ok(_) if scope.data.panicked.load(Ordering::Relaxed) => panic!("a goroutine of the scope panicked"),
        Ok(value) => value,
    }
}
