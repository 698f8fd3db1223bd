//! `sync.rs` on top of loom, for the models. See there.

pub(crate) use gopark_sys::loom::atomic;
pub(crate) use loom::hint::spin_loop;

/// `sync::Mutex` that loom can see.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Mutex<T> {
        Mutex(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
        self.0.lock().expect("a model does not go on after a panic")
    }
}

pub(crate) use Mutex as Lock;

macro_rules! const_fn {
    ($(#[$meta:meta])* $vis:vis fn $($rest:tt)*) => { $(#[$meta])* $vis fn $($rest)* };
}
pub(crate) use const_fn;

macro_rules! global {
    (static $name:ident: $ty:ty = $init:expr;) => {
        loom::lazy_static! { static ref $name: $ty = $init; }
    };
}
pub(crate) use global;
