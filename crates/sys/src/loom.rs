//! Where concurrency-critical files take their atomics from: std's, or loom's when a model is built (`--cfg loom`).

#[cfg(not(any(loom, sim)))]
pub use std::sync::atomic;

#[cfg(sim)]
pub mod atomic {
    //! std's atomics, each access to which is a point at which another simulated thread may go on.
    #![allow(missing_docs)]

    pub use std::sync::atomic::{Ordering, fence};

    use std::ops::{Deref, DerefMut};

    macro_rules! sim {
        ($name:ident $(<$t:ident>)?, $value:ty: $($method:ident($($arg:ident: $ty:ty),*) -> $ret:ty;)*) => {
            #[derive(Debug, Default)]
            pub struct $name $(<$t>)? (std::sync::atomic::$name $(<$t>)?);

            impl $(<$t>)? $name $(<$t>)? {
                #[inline]
                pub const fn new(value: $value) -> Self {
                    Self(std::sync::atomic::$name::new(value))
                }

                $(
                    #[inline]
                    pub fn $method(&self, $($arg: $ty),*) -> $ret {
                        crate::sim::point();
                        self.0.$method($($arg),*)
                    }
                )*
            }

            impl $(<$t>)? Deref for $name $(<$t>)? {
                type Target = std::sync::atomic::$name $(<$t>)?;

                fn deref(&self) -> &Self::Target {
                    &self.0
                }
            }

            impl $(<$t>)? DerefMut for $name $(<$t>)? {
                fn deref_mut(&mut self) -> &mut Self::Target {
                    &mut self.0
                }
            }
        };
    }

    macro_rules! common {
        ($name:ident $(<$t:ident>)?, $value:ty; $($more:tt)*) => {
            sim! { $name $(<$t>)?, $value:
                load(order: Ordering) -> $value;
                store(value: $value, order: Ordering) -> ();
                swap(value: $value, order: Ordering) -> $value;
                compare_exchange(old: $value, new: $value, ok: Ordering, err: Ordering) -> Result<$value, $value>;
                compare_exchange_weak(old: $value, new: $value, ok: Ordering, err: Ordering)
                    -> Result<$value, $value>;
                $($more)*
            }
        };
    }

    macro_rules! int {
        ($($name:ident: $value:ty;)*) => { $(
            common! { $name, $value;
                fetch_add(value: $value, order: Ordering) -> $value;
                fetch_sub(value: $value, order: Ordering) -> $value;
                fetch_and(value: $value, order: Ordering) -> $value;
                fetch_or(value: $value, order: Ordering) -> $value;
            }
        )* };
    }

    int! {
        AtomicU8: u8;
        AtomicU16: u16;
        AtomicU32: u32;
        AtomicU64: u64;
        AtomicI64: i64;
        AtomicUsize: usize;
    }

    common! { AtomicBool, bool; }
    common! { AtomicPtr<T>, *mut T; }
}

#[cfg(loom)]
pub mod atomic {
    //! Loom's atomics, made to try every order of any two accesses.
    //!
    //! Loom 0.7 leaves out interleavings that cannot matter, and to find out which do it remembers the last access to
    //! each atomic, and only that. A thread that loads a word and then stores it has hidden, by its own load, what
    //! another thread had loaded before: that its store may come first is never tried. (One thread that pushes onto
    //! our run queue and one that reads its length had a single execution.) So before each access comes a step that
    //! depends on all others of the same word: waking who waits on a condition on which nobody waits. It
    //! synchronises nothing, so it hides no missing ordering.

    pub use loom::sync::atomic::{Ordering, fence};

    use loom::sync::Condvar;

    /// The methods of `$inner` that `$name`, which holds one and a condition, has as well.
    macro_rules! methods {
        ($value:ty: $($method:ident($($arg:ident: $ty:ty),*) -> $ret:ty;)*) => {
            $(
                #[allow(missing_docs, reason = "std's documentation applies")]
                #[track_caller]
                pub fn $method(&self, $($arg: $ty),*) -> $ret {
                    self.step.notify_one();
                    self.word.$method($($arg),*)
                }
            )*
        };
    }

    macro_rules! common {
        ($value:ty) => {
            methods! { $value:
                load(order: Ordering) -> $value;
                store(value: $value, order: Ordering) -> ();
                swap(value: $value, order: Ordering) -> $value;
                compare_exchange(old: $value, new: $value, ok: Ordering, err: Ordering) -> Result<$value, $value>;
                compare_exchange_weak(old: $value, new: $value, ok: Ordering, err: Ordering)
                    -> Result<$value, $value>;
            }

            /// As std's, but not const.
            #[track_caller]
            pub fn new(value: $value) -> Self {
                Self { word: From::from(value), step: Condvar::new() }
            }
        };
    }

    macro_rules! int {
        ($($name:ident: $value:ty;)*) => { $(
            /// See the module.
            #[derive(Debug)]
            pub struct $name {
                word: loom::sync::atomic::$name,
                step: Condvar,
            }

            impl $name {
                common!($value);
                methods! { $value:
                    fetch_add(value: $value, order: Ordering) -> $value;
                    fetch_sub(value: $value, order: Ordering) -> $value;
                    fetch_and(value: $value, order: Ordering) -> $value;
                    fetch_or(value: $value, order: Ordering) -> $value;
                }
            }

            impl Default for $name {
                fn default() -> Self {
                    Self::new(0)
                }
            }
        )* };
    }

    int! {
        AtomicU8: u8;
        AtomicU32: u32;
        AtomicU64: u64;
        AtomicI64: i64;
        AtomicUsize: usize;
    }

    /// See the module.
    #[derive(Debug)]
    pub struct AtomicBool {
        word: loom::sync::atomic::AtomicBool,
        step: Condvar,
    }

    impl AtomicBool {
        common!(bool);
    }

    /// See the module.
    #[derive(Debug)]
    pub struct AtomicPtr<T> {
        word: loom::sync::atomic::AtomicPtr<T>,
        step: Condvar,
    }

    impl<T> AtomicPtr<T> {
        common!(*mut T);
    }
}
