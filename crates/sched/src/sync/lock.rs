//! The lock around a list of waiters. A file of its own, so that the models can put loom's in its place.

pub(crate) use parking_lot::{Mutex, MutexGuard};
