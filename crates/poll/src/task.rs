//! Tasks: those who wait without standing still. A `std::task::Waker`, or a callback that starts a goroutine.
//!
//! Neither fits into a slot's word, and to keep one there would take `unsafe`. So the word has a number (see
//! `Waiter::from_task`) that names a side slot, where the rest is. Side slots are in tables, never freed, so a number
//! that comes back late finds memory; at worst it finds another task in it, which then looks for nothing.
//!
//! # Who calls a task
//!
//! A waker is user code: to wake or drop one may do anything. Readiness is found on a scheduler's own stack, where user
//! code must not run. So whoever finds it treats a task like any waiter, passes it on, and at last the runtime, instead
//! of making it runnable, takes out what is in the side slot ([`take_task`]: that moves a value and runs nothing) and
//! sees to it that it is called where that is allowed. A waker of the runtime's own it may recognise, and ready whoever
//! is behind it at once.
//!
//! # The order that loses no wake-up
//!
//! Who waits first puts his waker into the side slot, then the number into the word. Who calls first takes the number
//! out of the word (`unblock`), then the waker out of the side slot. So a number in the word means that there is a
//! waker behind it, or that it was just called. If the number is there already when a new waker comes, from an
//! earlier wait: either the one who takes it finds the new waker, or he had been in the side slot before that, and
//! the word, looked at after the side slot's lock, is known to have changed. A callback goes in after the number, for a
//! reason of its own, and leans on that look alone (`PollDesc::call_when_readable`).
//!
//! # One for each direction
//!
//! Of the wakers that come through the `poll_` functions the last one counts, as everywhere (tokio, `AtomicWaker`):
//! they cannot tell a second task from the same one with a new waker. To wake what is replaced would save the second
//! task, which is a mistake in the program, and set the first, which is none, spinning: each poll would wake it.
//! Futures that know themselves apart ([`Ticket`]) are woken when somebody else takes their place; two that live at
//! the same time wake each other in turn.

use std::panic::Location;
use std::task::Waker;

use gopark_sys::ptr::Waiter;

use crate::poll_info::Mode;
use crate::runtime::runtime;
#[cfg(not(loom))]
use crate::slab::Slab;
use crate::sync::{Mutex, global};

/// What to do when a task is called.
#[derive(Debug)]
pub enum Task {
    /// Wake it. Where user code may run, and with no lock held.
    Wake(Waker),
    /// Start a goroutine that runs it.
    Call(Call),
}

/// A callback.
pub struct Call {
    /// What to run.
    pub run: Box<dyn FnOnce() + Send>,
    /// Where in the program it was asked for.
    pub start: &'static Location<'static>,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("start", &self.start).finish_non_exhaustive()
    }
}

/// The side slot of a poll descriptor.
pub(crate) struct Side {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    read: Entry,
    write: Entry,
    /// Waits for readability, and has the read lock. A task that finds that lock held has its waker beside.
    call: Option<Call>,
}

/// A waker of one direction.
#[derive(Default)]
struct Entry {
    waker: Option<Waker>,
    /// Who put it there. NOBODY: a `poll_` function, which cannot tell its callers apart. SHARED: several have, all
    /// with this waker, and may rely on it.
    holder: Ticket,
    /// The last ticket given out.
    issued: Ticket,
}

/// Names a future among those that wait for one direction of a descriptor, so that it takes out its own waker only.
pub(crate) type Ticket = u32;

/// The ticket of a future that has none yet.
pub(crate) const NOBODY: Ticket = 0;
const SHARED: Ticket = Ticket::MAX;

impl Entry {
    fn take(&mut self) -> Option<Waker> {
        self.holder = NOBODY;
        self.waker.take()
    }

    fn issue(&mut self) -> Ticket {
        self.issued = if self.issued >= SHARED - 1 { 1 } else { self.issued + 1 };
        self.issued
    }
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Side>() <= 80);

impl Inner {
    fn entry(&mut self, mode: Mode) -> &mut Entry {
        match mode {
            Mode::Read => &mut self.read,
            Mode::Write => &mut self.write,
        }
    }
}

impl Side {
    fn new() -> Side {
        Side { inner: Mutex::new(Inner::default()) }
    }

    /// Puts `waker` in, and wakes the one it replaces if that is somebody else's. A future passes its ticket.
    ///
    /// False: it was there. Somebody is bound to take it then, and another future of the same task may rely on that.
    pub(crate) fn set_waker(&self, mode: Mode, waker: &Waker, ticket: Option<&mut Ticket>) -> bool {
        let mut new = None;
        let replaced = loop {
            let mut inner = self.inner.lock();
            let entry = inner.entry(mode);
            let there = entry.waker.as_ref().is_some_and(|w| w.will_wake(waker));
            if !there && new.is_none() {
                drop(inner);
                // User code, so not under the lock.
                new = Some(waker.clone());
                continue;
            }
            let holder = match ticket {
                Some(ticket) => {
                    if *ticket == NOBODY {
                        *ticket = entry.issue();
                    }
                    *ticket
                }
                None => NOBODY,
            };
            if there {
                if entry.holder != holder {
                    entry.holder = SHARED;
                }
                return false;
            }
            let other = std::mem::replace(&mut entry.holder, holder) != holder;
            break std::mem::replace(&mut entry.waker, new.take()).map(|replaced| (replaced, other));
        };
        match replaced {
            Some((replaced, true)) => runtime().start_task(Task::Wake(replaced)),
            Some((replaced, false)) => drop(replaced),
            None => {}
        }
        true
    }

    /// Puts `call` in, and wakes the future whose place it takes.
    pub(crate) fn set_call(&self, call: Call) {
        let (old, waker) = {
            let mut inner = self.inner.lock();
            (inner.call.replace(call), inner.read.take())
        };
        if old.is_some() {
            gopark_sys::throw!("gopark: two callbacks wait for one descriptor");
        }
        if let Some(waker) = waker {
            runtime().start_task(Task::Wake(waker));
        }
    }

    pub(crate) fn take_call(&self) -> Option<Call> {
        self.inner.lock().call.take()
    }

    fn take_waker(&self, mode: Mode) -> Option<Waker> {
        self.inner.lock().entry(mode).take()
    }

    /// What an event of direction `mode` is for: the callback, or else the waker.
    fn take(&self, mode: Mode) -> Option<Task> {
        let mut inner = self.inner.lock();
        if mode == Mode::Read
            && let Some(call) = inner.call.take()
        {
            return Some(Task::Call(call));
        }
        inner.entry(mode).take().map(Task::Wake)
    }

    /// The future that waits with `ticket` has ended. A waker that others rely on stays.
    pub(crate) fn cancel(&self, mode: Mode, ticket: Ticket) {
        self.remove_if(mode, |entry| entry.holder == ticket);
    }

    /// A wait that put `waker` in has come to nothing: takes it out if it is there and nobody else relies on it.
    pub(crate) fn forget(&self, mode: Mode, waker: &Waker) {
        let ours = |w: &Waker| w.will_wake(waker);
        self.remove_if(mode, |entry| entry.holder != SHARED && entry.waker.as_ref().is_some_and(ours));
    }

    fn remove_if(&self, mode: Mode, condition: impl FnOnce(&Entry) -> bool) {
        let waker = {
            let mut inner = self.inner.lock();
            let entry = inner.entry(mode);
            if condition(entry) { entry.take() } else { None }
        };
        // User code again, with nothing locked.
        drop(waker);
    }

    /// Wakes the wakers of both directions: a lock was given back, or the descriptor is closed.
    pub(crate) fn wake(&self) {
        self.wake_one(Mode::Read);
        self.wake_one(Mode::Write);
    }

    pub(crate) fn wake_one(&self, mode: Mode) {
        if let Some(waker) = self.take_waker(mode) {
            runtime().start_task(Task::Wake(waker));
        }
    }

    /// How many tasks wait here.
    fn count(&self) -> usize {
        let inner = self.inner.lock();
        [inner.read.waker.is_some(), inner.write.waker.is_some(), inner.call.is_some()]
            .iter()
            .filter(|there| **there)
            .count()
    }
}

global! {
    static SIDES: Table = Table::new();
}

/// Side slots, by the index of their poll descriptors. Made when the first task of a descriptor, or of one near it,
/// waits: a program without any has none.
#[cfg(not(loom))]
struct Table(Slab<Side>);

#[cfg(not(loom))]
impl Table {
    const fn new() -> Table {
        Table(Slab::new())
    }

    fn get(&'static self, index: u32) -> Option<&'static Side> {
        self.0.get(index)
    }

    fn ensure(&'static self, index: u32) -> &'static Side {
        match self.0.get(index) {
            Some(side) => side,
            None => self.0.ensure(index, |_| Side::new()),
        }
    }
}

/// A model's descriptors all have the index 0.
#[cfg(loom)]
struct Table(Side);

#[cfg(loom)]
impl Table {
    fn new() -> Table {
        Table(Side::new())
    }

    fn get(&'static self, _index: u32) -> Option<&'static Side> {
        Some(&self.0)
    }

    fn ensure(&'static self, _index: u32) -> &'static Side {
        &self.0
    }
}

/// The side slot of the descriptor with this index, if there ever was a task.
#[inline]
pub(crate) fn side(index: u32) -> Option<&'static Side> {
    SIDES.get(index)
}

/// As [`side`]; makes it.
pub(crate) fn ensure_side(index: u32) -> &'static Side {
    SIDES.ensure(index)
}

/// The waiter that stands for the task of a descriptor.
pub(crate) fn waiter(index: u32, mode: Mode) -> Waiter {
    Waiter::from_task((index as usize) << KIND_BITS | usize::from(mode == Mode::Write))
}

/// The waiter that stands for a sleeping future.
#[cfg(not(loom))]
pub(crate) fn sleep_waiter(index: u32) -> Waiter {
    Waiter::from_task((index as usize) << KIND_BITS | SLEEP)
}

/// The low bits of the number say what it is the number of: 0 a reader, 1 a writer.
const KIND_BITS: u32 = 2;
#[cfg(not(loom))]
const SLEEP: usize = 2;

/// What to do for `w`, a task's waiter that was handed out. None: nothing, its task has gone.
///
/// Runs no user code, so it may be called on a scheduler's own stack.
pub fn take_task(w: Waiter) -> Option<Task> {
    let Some(payload) = w.as_task() else { gopark_sys::throw!("gopark: a waiter that is no task") };
    let index = (payload >> KIND_BITS) as u32;
    match payload & ((1 << KIND_BITS) - 1) {
        0 => side(index)?.take(Mode::Read),
        1 => side(index)?.take(Mode::Write),
        #[cfg(not(loom))]
        SLEEP => crate::sleep::take_waker(index).map(Task::Wake),
        _ => gopark_sys::throw!("gopark: a waiter of an unknown kind"),
    }
}

/// How many tasks wait for descriptors. Looks at all of them; for tests.
#[doc(hidden)]
#[cfg(not(loom))]
pub fn tasks_waiting() -> usize {
    (0..crate::poll_cache::len()).filter_map(side).map(Side::count).sum()
}

#[cfg(loom)]
#[doc(hidden)]
pub fn tasks_waiting() -> usize {
    SIDES.0.count()
}
