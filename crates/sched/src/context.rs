//! Contexts: who is told to stop, until when, and with what values. Go: `context`.
//!
//! A context is two lists that share their tails with the contexts it was made from: the things that can be canceled
//! (`context/node.rs`), and the values (`context/value.rs`). Going down both at once, as Go does, makes a look-up of a
//! value pass every cancel on its way, and the other way round.
//!
//! A cancel goes from parent to children in the caller's own time: no goroutine, and no lock held from one to the next.
//! Parents know their children weakly, so a child that nobody holds any more takes itself out.
//!
//! # What waits for a context
//! * `select!` and everything else that takes a channel: [`Context::done`];
//! * a function: [`Context::after_func`];
//! * I/O: `with_context` of connections and listeners of gopark-net, through the descriptor's own bits.

mod func;
mod io;
mod node;
mod value;

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use gopark_poll::WaitReason;

pub use self::func::StopFunc;
#[doc(hidden)]
pub use self::io::Attached;
use self::node::Node;
use self::value::Value;
use crate::chan::{Receiver, signal};

/// Why a context was canceled: what its canceler said, or an [`Error`].
pub type Cause = Arc<dyn StdError + Send + Sync>;

/// Why a context is done.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Error {
    /// Somebody canceled it, or one of its ancestors.
    Canceled,
    /// Its time is up, or that of one of its ancestors.
    DeadlineExceeded,
}

impl Error {
    /// Whether the time was up. Go: net.Error Timeout
    pub fn is_timeout(self) -> bool {
        self == Error::DeadlineExceeded
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::Canceled => "context canceled",
            Error::DeadlineExceeded => "context deadline exceeded",
        })
    }
}

impl StdError for Error {}

impl From<Error> for std::io::Error {
    /// Of kind `TimedOut` if the time was up, else `Other`: `Interrupted` would be tried again.
    fn from(err: Error) -> std::io::Error {
        let kind = match err {
            Error::Canceled => std::io::ErrorKind::Other,
            Error::DeadlineExceeded => std::io::ErrorKind::TimedOut,
        };
        std::io::Error::new(kind, err)
    }
}

/// Tells a tree of calls and goroutines when to stop, and hands them values. Cloning is cheap; a clone is the same
/// context.
///
/// Pass it as the first argument. A child is done when its parent is, or earlier; never the other way round.
///
/// # Examples
/// ```no_run
/// use gopark_sched::context::Context;
/// use std::time::Duration;
///
/// # let _rt = unsafe { gopark_sched::Runtime::start().expect("start") };
/// let (ctx, cancel) = Context::background().with_timeout(Duration::from_secs(2));
/// let ctx2 = ctx.clone();
/// gopark_sched::go(move || {
///     let _ = ctx2.done().recv(); // returns when it is canceled, or the two seconds are over
/// });
/// cancel.cancel();
/// assert_eq!(ctx.err().unwrap().to_string(), "context canceled");
/// ```
///
/// Go: context.Context
#[derive(Clone, Default)]
pub struct Context {
    node: Option<Arc<Node>>,
    values: Option<Arc<Value>>,
}

impl Context {
    /// The root: never done, no deadline, no values.
    ///
    /// Go: context.Background
    pub const fn background() -> Context {
        Context { node: None, values: None }
    }

    /// A child, and what cancels it.
    ///
    /// Dropping the [`CancelFunc`] cancels nothing, as in Go; [`CancelFunc::on_drop`] makes it do so. Nothing leaks
    /// either: a child that nobody holds any more is forgotten by its parent.
    ///
    /// Go: context.WithCancel, context.WithCancelCause
    #[doc(alias = "with_cancel_cause")]
    pub fn with_cancel(&self) -> (Context, CancelFunc) {
        self.child(None, None)
    }

    /// A child that is done no later than `deadline`, and what cancels it earlier. If the parent's deadline is earlier
    /// that one counts. One that has passed cancels the child at once.
    ///
    /// # Panics
    /// If it needs a timer, and the runtime is not started.
    ///
    /// Go: context.WithDeadline
    pub fn with_deadline(&self, deadline: Instant) -> (Context, CancelFunc) {
        self.child(Some(deadline), None)
    }

    /// [`Context::with_deadline`], with the cause to give if it passes.
    ///
    /// # Panics
    /// If it needs a timer, and the runtime is not started.
    ///
    /// Go: context.WithDeadlineCause
    pub fn with_deadline_cause(&self, deadline: Instant, cause: impl Into<Cause>) -> (Context, CancelFunc) {
        self.child(Some(deadline), Some(cause.into()))
    }

    /// [`Context::with_deadline`], `timeout` from now. One too long for the clock never ends.
    ///
    /// # Panics
    /// If it needs a timer, and the runtime is not started.
    ///
    /// Go: context.WithTimeout
    pub fn with_timeout(&self, timeout: Duration) -> (Context, CancelFunc) {
        self.child(Some(crate::time::deadline(timeout)), None)
    }

    /// [`Context::with_timeout`], with the cause to give if the time is up.
    ///
    /// # Panics
    /// If it needs a timer, and the runtime is not started.
    ///
    /// Go: context.WithTimeoutCause
    pub fn with_timeout_cause(&self, timeout: Duration, cause: impl Into<Cause>) -> (Context, CancelFunc) {
        self.child(Some(crate::time::deadline(timeout)), Some(cause.into()))
    }

    fn child(&self, deadline: Option<Instant>, cause: Option<Cause>) -> (Context, CancelFunc) {
        let node = Node::new(self.node.clone(), deadline, cause);
        let cancel = CancelFunc { node: Arc::clone(&node) };
        (Context { node: Some(node), values: self.values.clone() }, cancel)
    }

    /// The same values, but never done and with no deadline.
    ///
    /// Go: context.WithoutCancel
    pub fn without_cancel(&self) -> Context {
        Context { node: None, values: self.values.clone() }
    }

    /// A child with one more value, which hides the parent's of the same type. The type is the key: make one for the
    /// purpose, so that nobody else's is found by mistake.
    ///
    /// # Examples
    /// ```
    /// use gopark_sched::context::Context;
    ///
    /// struct RequestId(u64);
    /// let ctx = Context::background().with_value(RequestId(7));
    /// assert_eq!(ctx.value::<RequestId>().map(|id| id.0), Some(7));
    /// assert!(ctx.value::<String>().is_none());
    /// ```
    ///
    /// Go: context.WithValue
    pub fn with_value<T: Any + Send + Sync>(&self, value: T) -> Context {
        let values = Value::new(self.values.clone(), value);
        Context { node: self.node.clone(), values: Some(Arc::new(values)) }
    }

    /// The value of type `T` that was added last.
    ///
    /// Go: Context.Value
    pub fn value<T: Any + Send + Sync>(&self) -> Option<&T> {
        Value::find(self.values.as_deref())
    }

    /// A channel that is closed when the context is done; nothing is ever sent on it. Of one that is never done it is
    /// never closed. For `select!`.
    ///
    /// A clone of the channel does not keep the context: it is closed as well when nobody holds the context any more.
    /// [`Receiver::close`] does nothing to it.
    ///
    /// Go: Context.Done
    pub fn done(&self) -> &Receiver<()> {
        static NEVER: LazyLock<Receiver<()>> = LazyLock::new(|| signal(WaitReason::ChanReceiveNil));
        match &self.node {
            Some(node) => node.done(),
            None => &NEVER,
        }
    }

    /// Whether it is known that the context will never be done: nobody can cancel it, and it has no deadline.
    pub fn never_done(&self) -> bool {
        self.node.is_none()
    }

    /// Why the context is done; None: it is not. One load.
    ///
    /// Go: Context.Err
    #[inline]
    pub fn err(&self) -> Option<Error> {
        self.node.as_ref()?.err()
    }

    /// What the canceler gave as the reason; [`Context::err`] if it gave none; None: the context is not done.
    ///
    /// Go: context.Cause
    pub fn cause(&self) -> Option<Cause> {
        self.node.as_ref()?.cause()
    }

    /// When the context will be done at the latest, if there is such a time.
    ///
    /// Go: Context.Deadline
    pub fn deadline(&self) -> Option<Instant> {
        self.node.as_ref()?.deadline()
    }

    /// Calls `f` on a fresh goroutine once the context is done; if it is, at once.
    ///
    /// If no goroutine can be started (no stack can be had) it is tried again. Dropping the [`StopFunc`] stops nothing.
    /// If everybody lets go of the context before it is done, it never will be, and `f` is dropped: keep the context,
    /// its [`CancelFunc`] or the [`StopFunc`]. What `f` holds lives as long as it may still run; if that is the context
    /// itself, until it is done or `f` is stopped.
    ///
    /// # Panics
    /// If the runtime is not started.
    ///
    /// Go: context.AfterFunc
    #[track_caller]
    pub fn after_func(&self, f: impl FnOnce() + Send + 'static) -> StopFunc {
        StopFunc::new(self.node.as_ref(), Box::new(f))
    }

    /// Lets the context end the operations of a descriptor; see gopark-net's `with_context`.
    #[doc(hidden)]
    pub fn attach(&self, canceler: gopark_poll::Canceler, modes: &'static [gopark_poll::Mode]) -> Attached {
        Attached::new(self.node.as_ref(), canceler, modes)
    }

    /// How many children, functions and descriptors the context knows. For tests.
    #[doc(hidden)]
    pub fn children(&self) -> usize {
        self.node.as_ref().map_or(0, |node| node.children())
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("err", &self.err())
            .field("deadline", &self.deadline())
            .finish_non_exhaustive()
    }
}

/// Cancels a context. Clones cancel the same one; only the first call of any does something. Dropping it cancels
/// nothing: see [`CancelFunc::on_drop`].
///
/// Go: context.CancelFunc, context.CancelCauseFunc
#[derive(Clone)]
pub struct CancelFunc {
    node: Arc<Node>,
}

impl CancelFunc {
    /// Cancels the context and its descendants; who waits for them is awake when this returns. If somebody else is just
    /// doing so it returns at once: the context is done then, its descendants will be.
    pub fn cancel(&self) {
        self.node.cancel(Error::Canceled, None);
    }

    /// [`CancelFunc::cancel`], and says why: see [`Context::cause`].
    ///
    /// Go: context.CancelCauseFunc
    pub fn cancel_cause(&self, cause: impl Into<Cause>) {
        self.node.cancel(Error::Canceled, Some(cause.into()));
    }

    /// Cancels the context at the end of the scope. Go: `defer cancel()`
    pub fn on_drop(self) -> CancelOnDrop {
        CancelOnDrop { cancel: self }
    }
}

impl fmt::Debug for CancelFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelFunc").field("err", &self.node.err()).finish_non_exhaustive()
    }
}

/// Cancels a context when it is dropped; see [`CancelFunc::on_drop`].
#[derive(Debug)]
#[must_use = "it cancels the context when it is dropped, which is now"]
pub struct CancelOnDrop {
    cancel: CancelFunc,
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}
