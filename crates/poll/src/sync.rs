//! The building blocks of everything that is shared, as they are outside a model.
//!
//! `sync_loom.rs` has the same names on top of loom; `lib.rs` chooses the file. Concurrency-critical modules
//! take their atomics and locks from here only, so that the models run the real types.

pub(crate) use gopark_sys::loom::atomic;

/// Tells the processor that we spin.
#[inline]
pub(crate) fn spin_loop() {
    gopark_sys::thread::procyield(1);
}

/// A short lock without poisoning. It is never held over a park.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(parking_lot::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Mutex<T> {
        Mutex(parking_lot::Mutex::new(value))
    }

    #[inline]
    pub(crate) fn lock(&self) -> parking_lot::MutexGuard<'_, T> {
        self.0.lock()
    }
}

/// A lock for a few instructions, released by a store; for what is locked at every turn and hardly ever fought for.
pub(crate) use gopark_sys::lock::Lock;

/// Declares a function that is `const` here and plain under loom, whose atomics have no `const` constructor.
macro_rules! const_fn {
    ($(#[$meta:meta])* $vis:vis fn $($rest:tt)*) => { $(#[$meta])* $vis const fn $($rest)* };
}
pub(crate) use const_fn;

/// Declares a shared static; under loom it is made afresh for every execution of a model.
macro_rules! global {
    (static $name:ident: $ty:ty = $init:expr;) => {
        static $name: $ty = $init;
    };
}
pub(crate) use global;
