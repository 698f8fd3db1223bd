//! `SpawnOptions`: goroutines with a name, or a stack of another size. Model: std::thread::Builder.
//!
//! Names are in a table, by goroutine id, and not in the goroutines: few have one, and a dump, which reads it from
//! another thread, can take the lock of a table. A name is there while the goroutine runs its function.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::join::JoinHandle;
use crate::newproc::SpawnError;
use crate::spawn::GoResult;
use crate::stacks::{STACK_MAX, STACK_MIN, class_of};

/// By goroutine id. (A BTreeMap, since a HashMap cannot be made in a static.)
static NAMES: Mutex<BTreeMap<u64, Arc<str>>> = Mutex::new(BTreeMap::new());

/// How a goroutine is started: its name, the size of its stack, the span it is in.
///
/// [`go`](crate::go) and [`spawn`](crate::spawn) start one with the defaults. Named `SpawnOptions` and not `Builder` as
/// in `std::thread`, since [`Builder`](crate::Builder) makes runtimes.
///
/// # Examples
/// ```no_run
/// use gopark_sched::SpawnOptions;
///
/// let _rt = unsafe { gopark_sched::Runtime::start().expect("start") };
/// let parse = SpawnOptions::new().name("parser").stack_size(4 << 20);
/// let depth = parse.spawn(|| 42).expect("a stack of 4 MiB");
/// assert_eq!(depth.join().expect("no panic"), 42);
/// ```
#[derive(Clone, Default)]
#[must_use = "options start nothing by themselves"]
pub struct SpawnOptions {
    name: Option<Arc<str>>,
    stack_size: Option<usize>,
    span: Option<tracing::Span>,
}

impl fmt::Debug for SpawnOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnOptions")
            .field("name", &self.name)
            .field("stack_size", &self.stack_size)
            .field("span", &self.span.as_ref().and_then(tracing::Span::metadata).map(|m| m.name()))
            .finish()
    }
}

impl SpawnOptions {
    /// The defaults: no name, the stack size of the runtime, no span.
    pub fn new() -> SpawnOptions {
        SpawnOptions::default()
    }

    /// A name, for dumps and for [`goroutine_name`]; when the goroutine panics it is logged through `tracing`, at level
    /// error, since the panic hook of std knows the names of threads only.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> SpawnOptions {
        self.name = Some(name.into());
        self
    }

    /// The usable stack in bytes, at least: from 16 KiB to 1 GiB. What is asked for is rounded up to a power of two, so
    /// that such stacks are used again; one that is not much smaller than the runtime's usual ones is a usual one.
    ///
    /// Address space is reserved for it, memory is used only as the stack grows into it.
    pub fn stack_size(mut self, bytes: usize) -> SpawnOptions {
        self.stack_size = Some(bytes);
        self
    }

    /// The goroutine begins inside the `tracing` span that is current now. Without, it begins outside of all spans: it
    /// may outlive that of its creator.
    pub fn in_current_span(mut self) -> SpawnOptions {
        self.span = Some(tracing::Span::current());
        self
    }

    /// Starts a goroutine that runs `f`, and forgets it; like [`go`](crate::go).
    ///
    /// # Errors
    /// [`SpawnError`] says what is missing, and what to do; [`SpawnError::StackSize`] for a size out of range.
    #[track_caller]
    #[allow(unsafe_code)]
    pub fn go<F, R>(&self, f: F) -> Result<(), SpawnError>
    where
        F: FnOnce() -> R + Send + 'static,
        R: GoResult,
    {
        let (start, class) = (Location::caller(), self.class()?);
        let f = self.wrap(f);
        // SAFETY: F is 'static.
        unsafe { crate::newproc::newproc_sized(class, move |_gp| f().report(start), start) }
    }

    /// Starts a goroutine whose result can be waited for; like [`spawn`](crate::spawn).
    ///
    /// # Errors
    /// As [`SpawnOptions::go`].
    #[track_caller]
    #[allow(unsafe_code)]
    pub fn spawn<F, T>(&self, f: F) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let class = self.class()?;
        // SAFETY: F is 'static.
        unsafe { crate::join::spawn_sized(class, self.wrap(f), Location::caller()) }
    }

    fn class(&self) -> Result<u8, SpawnError> {
        match self.stack_size {
            None => Ok(0),
            Some(bytes @ STACK_MIN..=STACK_MAX) => Ok(class_of(bytes)),
            Some(bytes) => Err(SpawnError::StackSize(bytes)),
        }
    }

    fn wrap<T>(&self, f: impl FnOnce() -> T + Send + 'static) -> impl FnOnce() -> T + Send + 'static {
        let (name, span) = (self.name.clone(), self.span.clone());
        move || {
            let _named = name.map(Named::new);
            match span {
                Some(span) => span.in_scope(f),
                None => f(),
            }
        }
    }
}

/// Has its goroutine's name in the table.
struct Named {
    id: u64,
    name: Arc<str>,
}

impl Named {
    fn new(name: Arc<str>) -> Named {
        let id = crate::goroutine_id();
        NAMES.lock().insert(id, Arc::clone(&name));
        Named { id, name }
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(goroutine = self.id, name = &*self.name, "goroutine panicked");
        }
        let entry = NAMES.lock().remove(&self.id);
        drop(entry);
    }
}

/// The name of the goroutine with this id.
pub(crate) fn name_of(id: u64) -> Option<Arc<str>> {
    let names = NAMES.lock();
    if names.is_empty() { None } else { names.get(&id).cloned() }
}

/// The name of the calling goroutine; none if it was given none, and on a plain thread.
pub fn goroutine_name() -> Option<Arc<str>> {
    name_of(crate::m::getg()?.id())
}
