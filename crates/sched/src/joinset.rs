//! `JoinSet`: a group of goroutines that are waited for together. Go: golang.org/x/sync/errgroup.
//!
//! Results travel through a channel, so that they come out in the order in which the goroutines ended, and whoever
//! waits is woken once for each. The limit is a semaphore. Nothing here ends a goroutine: the first failure calls what
//! the program has given for that, which tells the others to stop.

use std::fmt;
use std::panic::{Location, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use parking_lot::Mutex;

use crate::chan::{Receiver, Sender, unbounded};
use crate::newproc::{SpawnError, catch, discard, newproc, run};
use crate::sync::{ArcSemaphorePermit, Semaphore};

/// A group of goroutines whose results somebody waits for.
///
/// May be shared by reference: goroutines of the set can add others. Dropping it detaches those that still run.
///
/// Go: golang.org/x/sync/errgroup.Group.
///
/// # Examples
/// All must succeed, four at a time; the first error tells the others to stop:
/// ```no_run
/// use gopark_sched::JoinSet;
/// use gopark_sched::context::Context;
///
/// fn fetch(ctx: &Context, page: u32) -> std::io::Result<String> {
///     match ctx.err() {
///         Some(err) => Err(err.into()),
///         None => Ok(format!("page {page}")),
///     }
/// }
///
/// # let _rt = unsafe { gopark_sched::Runtime::start()? };
/// let (ctx, cancel) = Context::background().with_cancel();
/// let set = JoinSet::new().limit(4).on_failure(move || cancel.cancel());
/// for page in 0..100 {
///     let ctx = ctx.clone();
///     set.spawn(move || fetch(&ctx, page));
/// }
/// let pages = set.try_join_all()?;
/// # std::io::Result::Ok(())
/// ```
#[doc(alias = "errgroup")]
pub struct JoinSet<T> {
    shared: Arc<Shared<T>>,
    results: Receiver<Option<Ended<T>>>,
    limit: Option<Arc<Semaphore>>,
}

struct Shared<T> {
    /// None: the start of a goroutine has failed whose result somebody waited for already.
    results: Sender<Option<Ended<T>>>,
    /// Goroutines whose results nobody has taken or waits for.
    unclaimed: AtomicUsize,
    /// Until the first failure. The lock is held to put it there and to take it.
    on_failure: Mutex<Option<OnFailure<T>>>,
}

/// What a goroutine of the set has come to.
struct Ended<T> {
    result: thread::Result<T>,
    /// It was the first to fail, and has called `on_failure`. Those that it made fail may have ended before.
    is_first: bool,
}

struct OnFailure<T> {
    is_failure: fn(&thread::Result<T>) -> bool,
    call: Box<dyn FnOnce() + Send>,
}

/// Why [`JoinSet::try_spawn`] has started nothing.
#[derive(Debug)]
#[non_exhaustive]
pub enum TrySpawnError {
    /// As many goroutines of the set are running as its limit allows.
    LimitReached,
    /// No goroutine can be started.
    Spawn(SpawnError),
}

impl fmt::Display for TrySpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrySpawnError::LimitReached => {
                f.write_str("the limit of the set is reached: wait for one to end")
            }
            TrySpawnError::Spawn(err) => err.fmt(f),
        }
    }
}

impl std::error::Error for TrySpawnError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            TrySpawnError::LimitReached => None,
            TrySpawnError::Spawn(err) => Some(err),
        }
    }
}

impl<T: Send + 'static> Default for JoinSet<T> {
    fn default() -> JoinSet<T> {
        JoinSet::new()
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = self.shared.unclaimed.load(Ordering::Relaxed);
        f.debug_struct("JoinSet").field("len", &left).finish_non_exhaustive()
    }
}

impl<T: Send + 'static> JoinSet<T> {
    /// An empty set without a limit.
    pub fn new() -> JoinSet<T> {
        let (tx, results) = unbounded();
        let shared = Shared { results: tx, unclaimed: AtomicUsize::new(0), on_failure: Mutex::new(None) };
        JoinSet { shared: Arc::new(shared), results, limit: None }
    }

    /// At most `n` goroutines of the set run at a time.
    ///
    /// # Panics
    /// If `n` is 0 or more than [`Semaphore::MAX`]; if the set has started goroutines already.
    ///
    /// Go: errgroup.Group.SetLimit
    #[doc(alias = "SetLimit")]
    pub fn limit(mut self, n: usize) -> JoinSet<T> {
        assert!(n > 0, "JoinSet::limit: with 0 nothing could ever run");
        assert!(self.is_empty(), "JoinSet::limit: the set has started goroutines already");
        self.limit = Some(Arc::new(Semaphore::new(n)));
        self
    }

    /// How many goroutines of the set have results that nobody has taken: those that run, and those that have ended.
    pub fn len(&self) -> usize {
        self.shared.unclaimed.load(Ordering::Relaxed)
    }

    /// Whether all results were taken.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Starts a goroutine in the set. While the limit is reached, waits until one has ended.
    ///
    /// A goroutine of the set that adds another may wait for ever if all of them do so; use [`JoinSet::try_spawn`]
    /// there. May block: see the contract of [`crate::Runtime::start`].
    ///
    /// # Panics
    /// If no goroutine can be started, as [`crate::spawn`] does.
    #[track_caller]
    pub fn spawn<F>(&self, f: F)
    where
        F: FnOnce() -> T + Send + 'static,
    {
        let permit = self.limit.as_ref().map(|limit| limit.acquire_arc(1));
        if let Err(err) = self.start(f, permit, Location::caller()) {
            panic!("JoinSet: {err}");
        }
    }

    /// Starts a goroutine in the set, unless its limit is reached.
    ///
    /// # Errors
    /// If the limit is reached, or no goroutine can be started.
    ///
    /// Go: errgroup.Group.TryGo
    #[doc(alias = "TryGo")]
    #[track_caller]
    pub fn try_spawn<F>(&self, f: F) -> Result<(), TrySpawnError>
    where
        F: FnOnce() -> T + Send + 'static,
    {
        let permit = match &self.limit {
            None => None,
            Some(limit) => Some(limit.try_acquire_arc(1).ok_or(TrySpawnError::LimitReached)?),
        };
        self.start(f, permit, Location::caller()).map_err(TrySpawnError::Spawn)
    }

    #[allow(unsafe_code)]
    fn start<F>(
        &self,
        f: F,
        permit: Option<ArcSemaphorePermit>,
        start: &'static Location<'static>,
    ) -> Result<(), SpawnError>
    where
        F: FnOnce() -> T + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        // Before it can end. Relaxed: the results themselves go through the channel.
        self.shared.unclaimed.fetch_add(1, Ordering::Relaxed);
        // SAFETY: F is 'static.
        let started = unsafe {
            newproc(
                move |gp| {
                    let result = run(gp, f);
                    // First: who has taken the result may start the next.
                    drop(permit);
                    shared.finish(result);
                },
                start,
            )
        };
        if started.is_err() && !self.claim() {
            // Somebody has claimed what will not come. The channel is open: a receiver is here.
            let _ = self.shared.results.send(None);
        }
        started
    }

    /// Waits for the next goroutine of the set to end, and returns its result, or the payload of its panic. None if all
    /// results were taken.
    ///
    /// May block: see the contract of [`crate::Runtime::start`].
    pub fn join_next(&self) -> Option<thread::Result<T>> {
        self.next().map(|ended| ended.result)
    }

    fn next(&self) -> Option<Ended<T>> {
        while self.claim() {
            match self.results.recv() {
                Ok(Some(ended)) => return Some(ended),
                Ok(None) => {}
                // `shared`, which is here, has a sender.
                Err(_) => gopark_sys::throw!("JoinSet: the channel of results is closed"),
            }
        }
        None
    }

    /// Takes one off the count of goroutines whose results nobody waits for; false if there is none.
    fn claim(&self) -> bool {
        let less = |left: usize| left.checked_sub(1);
        self.shared.unclaimed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    /// Waits for all, and returns what they returned, in the order in which they ended.
    ///
    /// May block: see the contract of [`crate::Runtime::start`].
    ///
    /// # Panics
    /// With the payload of the first that panicked, once all have ended.
    pub fn join_all(self) -> Vec<T> {
        let (mut values, mut panicked) = (Vec::with_capacity(self.len()), None);
        while let Some(result) = self.join_next() {
            match result {
                Ok(value) => values.push(value),
                Err(payload) if panicked.is_none() => panicked = Some(payload),
                Err(payload) => discard(payload),
            }
        }
        match panicked {
            Some(payload) => resume_unwind(payload),
            None => values,
        }
    }
}

impl<T: Send + 'static, E: Send + 'static> JoinSet<Result<T, E>> {
    /// Calls `f` when the first goroutine of the set returns an error, or panics: to tell the others to stop, by
    /// cancelling a context, closing a channel or the connections they use. Goroutines are never ended from outside.
    ///
    /// It is called once, by that goroutine, before its result can be taken; a panic in it is reported by the panic
    /// hook and goes no further.
    ///
    /// Go: errgroup.WithContext
    #[doc(alias = "WithContext")]
    pub fn on_failure(self, f: impl FnOnce() + Send + 'static) -> JoinSet<Result<T, E>> {
        let is_failure = |result: &thread::Result<Result<T, E>>| !matches!(result, Ok(Ok(_)));
        let before = self.shared.on_failure.lock().replace(OnFailure { is_failure, call: Box::new(f) });
        drop(before);
        self
    }

    /// Waits for all, and returns what they returned, in the order in which they ended; or the error of the first that
    /// failed.
    ///
    /// May block: see the contract of [`crate::Runtime::start`].
    ///
    /// # Errors
    /// That of the first, once all have ended.
    ///
    /// # Panics
    /// If one panicked: with the payload of the first that did, once all have ended.
    ///
    /// Go: errgroup.Group.Wait
    #[doc(alias = "Wait")]
    pub fn try_join_all(self) -> Result<Vec<T>, E> {
        let (mut values, mut failed, mut panicked) = (Vec::with_capacity(self.len()), None, None);
        while let Some(Ended { result, is_first }) = self.next() {
            match result {
                Ok(Ok(value)) => values.push(value),
                Ok(Err(err)) if is_first || failed.is_none() => failed = Some(err),
                Ok(Err(_)) => {}
                Err(payload) if panicked.is_none() => panicked = Some(payload),
                Err(payload) => discard(payload),
            }
        }
        match (panicked, failed) {
            (Some(payload), _) => resume_unwind(payload),
            (None, Some(err)) => Err(err),
            (None, None) => Ok(values),
        }
    }
}

impl<T> Shared<T> {
    fn finish(&self, result: thread::Result<T>) {
        let mut on_failure = self.on_failure.lock();
        let taken = on_failure.take_if(|on| (on.is_failure)(&result));
        drop(on_failure);
        let is_first = taken.is_some();
        if let Some(on) = taken
            && let Err(payload) = catch(on.call)
        {
            discard(payload);
        }
        // Nobody is interested any more: the result ends here.
        if let Err(unwanted) = self.results.send(Some(Ended { result, is_first }))
            && let Err(payload) = catch(move || drop(unwanted))
        {
            discard(payload);
        }
    }
}
