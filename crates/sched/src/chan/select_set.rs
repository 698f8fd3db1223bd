//! `Select`: a select whose cases are known at run time only.
//!
//! # Safety
//! The value of a case lies in a [`Place`] of its own, made by `Box::into_raw` and freed when the case is removed. Its
//! type is that of the channel's values: who names a channel of that identity names the type. While a select runs,
//! which borrows the whole `Select`, only the run touches it; `full` says whether there is a value in it, before and
//! after.
#![allow(unsafe_code)]

use std::fmt;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::time::{Duration, Instant};

use super::core::{Chan, Core, Dir, Until};
use super::error::{RecvError, SelectTimeoutError, SendError, TrySelectError};
use super::select::{self, Chosen, RawCase};
use super::{Receiver, Sender, until_after, until_instant};

/// A select over cases that are added at run time, any number.
///
/// Cases have numbers, from 0 in the order in which they were added, and stay until they are removed; one `Select` can
/// be used again and again, which allocates nothing. `select!` is the simpler choice where the cases are known.
///
/// Other than in crossbeam-channel, the value to send is given when the case is added: a receiver takes it from there
/// directly, while we wait. A case whose value was sent is never ready again until it gets [another
/// one](Select::set_value).
///
/// # Examples
/// ```no_run
/// use gopark_sched::chan::{self, Select};
///
/// let _rt = unsafe { gopark_sched::Runtime::start().expect("start") };
/// let inputs: Vec<_> = (0..3).map(|_| chan::bounded::<u32>(1)).collect();
/// inputs[1].0.send(7).expect("a receiver exists");
/// let mut select = Select::new();
/// for (_, rx) in &inputs {
///     select.recv(rx);
/// }
/// let operation = select.select();
/// let index = operation.index();
/// assert_eq!((index, operation.recv(&inputs[index].1)), (1, Ok(7)));
/// ```
///
/// Go: reflect/value.go Select
#[doc(alias = "reflect.Select")]
#[derive(Default)]
pub struct Select<'a> {
    cases: Vec<RawCase<'a>>,
    slots: Vec<Slot<'a>>,
    order: Vec<usize>,
}

/// Memory for the value of one case.
struct Place<T> {
    value: MaybeUninit<T>,
    full: bool,
}

/// A [`Place`] whose type is known to itself only.
trait AnyPlace {
    fn set_full(&mut self, full: bool);
    /// Drops the value, if there is one.
    fn clear(&mut self);
}

impl<T> AnyPlace for Place<T> {
    fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    fn clear(&mut self) {
        drop(self.take());
    }
}

impl<T> Place<T> {
    fn take(&mut self) -> Option<T> {
        // SAFETY: `full` says that there is a value, and is false from now on.
        std::mem::take(&mut self.full).then(|| unsafe { self.value.assume_init_read() })
    }
}

/// What a `Select` knows of a case beside what runs.
struct Slot<'a> {
    place: Option<NonNull<dyn AnyPlace + 'a>>, // None: removed
    chan: *const Core,
    dir: Dir,
}

impl Slot<'_> {
    /// The place of a case that does `dir` with `chan`.
    #[track_caller]
    fn place<T>(&self, chan: &Chan<T>, dir: Dir) -> NonNull<Place<T>> {
        match self.place {
            Some(place) if ptr::eq(self.chan, &raw const chan.core) && self.dir == dir => place.cast(),
            _ => panic!("select: this case is not a {dir:?} on that channel"),
        }
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            // SAFETY: made by Box::into_raw, and nobody else has it any more.
            let mut place = unsafe { Box::from_raw(place.as_ptr()) };
            place.clear();
        }
    }
}

impl<'a> Select<'a> {
    /// A select without cases.
    pub fn new() -> Select<'a> {
        Select::default()
    }

    /// Adds a case that receives from `rx`; returns its number.
    pub fn recv<T: 'a>(&mut self, rx: &'a Receiver<T>) -> usize {
        self.add(&rx.chan, Dir::Recv, None)
    }

    /// Adds a case that sends `value` to `tx`; returns its number.
    pub fn send<T: 'a>(&mut self, tx: &'a Sender<T>, value: T) -> usize {
        self.add(&tx.chan, Dir::Send, Some(value))
    }

    fn add<T: 'a>(&mut self, chan: &'a Chan<T>, dir: Dir, value: Option<T>) -> usize {
        let full = value.is_some();
        let value = value.map_or_else(MaybeUninit::uninit, MaybeUninit::new);
        let place = Box::into_raw(Box::new(Place { value, full }));
        self.slots.push(Slot {
            place: NonNull::new(place as *mut (dyn AnyPlace + 'a)),
            chan: &raw const chan.core,
            dir,
        });
        // SAFETY: the place goes after the case; for a send there is a value.
        self.cases.push(unsafe { Select::case(place, chan, dir) });
        self.order.push(0);
        self.cases.len() - 1
    }

    /// # Safety
    /// The place exists as long as the case; for a send it is full.
    unsafe fn case<T: 'a>(place: *mut Place<T>, chan: &'a Chan<T>, dir: Dir) -> RawCase<'a> {
        // SAFETY: the place exists.
        let value = unsafe { &raw mut (*place).value };
        // SAFETY: the caller's promise.
        unsafe { RawCase::new(chan, dir, value.cast::<T>(), None) }
    }

    /// Takes out the case `index`; its number is not given to another. A value that it has not sent is dropped: see
    /// [`take_value`](Select::take_value).
    ///
    /// # Panics
    /// If there is no such case, or it was removed already.
    pub fn remove(&mut self, index: usize) {
        assert!(self.slots[index].place.is_some(), "select: case {index} was removed already");
        self.cases[index] = RawCase::disabled();
        let removed = Slot { place: None, chan: ptr::null(), dir: Dir::Recv };
        drop(std::mem::replace(&mut self.slots[index], removed));
    }

    /// Gives the case `index`, a send to `tx`, another value. The one that it has not sent is returned.
    ///
    /// # Panics
    /// If that is not what the case is.
    #[track_caller]
    pub fn set_value<T: 'a>(&mut self, index: usize, tx: &'a Sender<T>, value: T) -> Option<T> {
        let old = self.take_value(index, tx);
        let place = self.slots[index].place(&tx.chan, Dir::Send);
        // SAFETY: the place is this case's, and nobody else uses it now.
        unsafe { *place.as_ptr() = Place { value: MaybeUninit::new(value), full: true } };
        // SAFETY: as in `add`.
        self.cases[index] = unsafe { Select::case(place.as_ptr(), &*tx.chan, Dir::Send) };
        old
    }

    /// Takes the value that the case `index`, a send to `tx`, has not sent. None if it has. The case stays, and is
    /// never ready.
    ///
    /// # Panics
    /// If that is not what the case is.
    #[track_caller]
    pub fn take_value<T>(&mut self, index: usize, tx: &Sender<T>) -> Option<T> {
        let mut place = self.slots[index].place(&tx.chan, Dir::Send);
        self.cases[index] = RawCase::disabled();
        // SAFETY: as above.
        unsafe { place.as_mut() }.take()
    }

    /// Waits until one of the cases can go on, does it, and says which. If several can, one is drawn by lot.
    ///
    /// Without a case that can ever be ready it waits for ever, as Go does. May block: see the contract of
    /// [`crate::Runtime::start`].
    pub fn select(&mut self) -> SelectedOperation<'_, 'a> {
        match self.run(Until::Forever) {
            Some(chosen) => SelectedOperation { chosen, select: self },
            None => gopark_sys::throw!("select: no case was chosen"),
        }
    }

    /// Does one of the cases if that needs no waiting.
    ///
    /// # Errors
    /// If none is ready.
    pub fn try_select(&mut self) -> Result<SelectedOperation<'_, 'a>, TrySelectError> {
        match self.run(Until::Now) {
            Some(chosen) => Ok(SelectedOperation { chosen, select: self }),
            None => Err(TrySelectError),
        }
    }

    /// Like [`select`](Select::select), but waits for at most `timeout`. May block.
    ///
    /// # Errors
    /// If no case was ready in that time.
    ///
    /// # Panics
    /// Before the runtime is started.
    pub fn select_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<SelectedOperation<'_, 'a>, SelectTimeoutError> {
        self.select_until(until_after(timeout))
    }

    /// Like [`select`](Select::select), but waits until `deadline` at most. May block.
    ///
    /// # Errors
    /// If no case was ready by then.
    ///
    /// # Panics
    /// Before the runtime is started.
    pub fn select_deadline(
        &mut self,
        deadline: Instant,
    ) -> Result<SelectedOperation<'_, 'a>, SelectTimeoutError> {
        self.select_until(until_instant(deadline))
    }

    fn select_until(&mut self, until: Until) -> Result<SelectedOperation<'_, 'a>, SelectTimeoutError> {
        match self.run(until) {
            Some(chosen) => Ok(SelectedOperation { chosen, select: self }),
            None => Err(SelectTimeoutError),
        }
    }

    fn run(&mut self, until: Until) -> Option<Chosen> {
        let chosen = select::run(&mut self.cases, &mut self.order, until)?;
        let slot = &mut self.slots[chosen.index];
        if let (true, Some(mut place)) = (chosen.moved, slot.place) {
            // SAFETY: the case's own place; the run is over.
            unsafe { place.as_mut() }.set_full(slot.dir == Dir::Recv);
        }
        if slot.dir == Dir::Send {
            self.cases[chosen.index] = RawCase::disabled();
        }
        Some(chosen)
    }
}

impl fmt::Debug for Select<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select").field("cases", &self.cases).finish_non_exhaustive()
    }
}

/// The operation that a [`Select`] has done. Ask it for the result, by the end of the channel that its case has; a
/// value nobody asks for is dropped.
#[must_use = "the result of the operation is in here: a value received, or one given back"]
pub struct SelectedOperation<'s, 'a> {
    select: &'s mut Select<'a>,
    chosen: Chosen,
}

impl SelectedOperation<'_, '_> {
    /// The number of the case.
    pub fn index(&self) -> usize {
        self.chosen.index
    }

    /// What was received from `rx`.
    ///
    /// # Errors
    /// If the channel is closed and empty.
    ///
    /// # Panics
    /// If the case is another.
    #[track_caller]
    pub fn recv<T>(self, rx: &Receiver<T>) -> Result<T, RecvError> {
        // SAFETY: the case's own place; the run is over.
        let place = unsafe { self.select.slots[self.chosen.index].place(&rx.chan, Dir::Recv).as_mut() };
        place.take().ok_or(RecvError)
    }

    /// What became of the value that was to be sent to `tx`.
    ///
    /// # Errors
    /// If the channel is closed: the value.
    ///
    /// # Panics
    /// If the case is another.
    #[track_caller]
    pub fn send<T>(self, tx: &Sender<T>) -> Result<(), SendError<T>> {
        // SAFETY: as above.
        let place = unsafe { self.select.slots[self.chosen.index].place(&tx.chan, Dir::Send).as_mut() };
        match place.take() {
            Some(value) => Err(SendError(value)),
            None => Ok(()),
        }
    }
}

impl Drop for SelectedOperation<'_, '_> {
    fn drop(&mut self) {
        if let Some(mut place) = self.select.slots[self.chosen.index].place {
            // SAFETY: as above.
            unsafe { place.as_mut() }.clear();
        }
    }
}

impl fmt::Debug for SelectedOperation<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelectedOperation").field("index", &self.chosen.index).finish_non_exhaustive()
    }
}
