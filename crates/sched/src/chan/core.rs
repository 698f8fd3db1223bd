//! The channel itself: values, waiters, and how they meet.
//!
//! As in Go, a value goes from stack to stack when somebody waits for it, and through the buffer only otherwise: there
//! are never waiting receivers and buffered values at the same time, nor waiting senders and a buffer with room. What
//! concerns the one waiter that was taken off a queue (copying his value, waking him) is done after the lock is
//! released.
//!
//! # Safety
//! `buffer` and the queues are used under `lock`. A pointer to a value that is passed in is good until the call
//! returns; whether the value was moved, the result says. `len` counts the values in the buffer.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr;

use gopark_poll::WaitReason;
use gopark_sys::loom::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::buffer::{Buffer, Spare};
use super::lock::{Guard, Lock};
use super::wait::{Case, Claimed, Node, Queue, Wait, dequeue, has_open};
use crate::park::{ArmedPark, ParkSlot, Parker};

/// Which end of a channel.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Dir {
    Recv,
    Send,
}

/// Who waits, under the lock.
pub(crate) struct Queues {
    pub(super) recv: Queue,
    pub(super) send: Queue,
}

/// The part of a channel that knows nothing of what goes through it.
///
/// The atomics are written under the lock, with plain stores; they are read without it to answer `len` and its like,
/// and to see that a locked attempt would be in vain.
pub(crate) struct Core {
    cap: Option<usize>, // constant; None = unbounded
    reason: WaitReason, // constant: why a receiver waits
    sealed: bool,       // constant: its ends do not close it, see `chan::signal`
    pub(super) lock: Lock<Queues>,
    len: AtomicUsize,
    closed: AtomicBool,
    receivers_wait: AtomicBool,
    senders_wait: AtomicBool,
}

/// How long an operation may wait.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Until {
    /// Not at all.
    Now,
    /// Until this moment of the runtime's clock, in ns.
    Deadline(i64),
    Forever,
}

/// Why nothing was sent or received.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Failed {
    /// The time was up; or it would have had to wait, and was not to.
    Timeout,
    Closed,
}

/// What became of an attempt under the lock.
pub(super) enum Attempt {
    /// The value was moved, from or to the buffer.
    Done,
    /// As `Done`, and this waiter's has been moved too: it is to be ended.
    DoneAndEnd(Claimed),
    /// The value is to be moved from or to this waiter, who is to be ended then.
    Exchange(Claimed),
    Closed,
    /// It would have to wait.
    Blocked,
}

impl Core {
    fn new(cap: Option<usize>, reason: WaitReason) -> Core {
        Core {
            cap,
            reason,
            sealed: false,
            lock: Lock::new(Queues { recv: Queue::new(), send: Queue::new() }),
            len: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            receivers_wait: AtomicBool::new(false),
            senders_wait: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_sealed(&self) -> bool {
        self.sealed
    }

    pub(crate) fn capacity(&self) -> Option<usize> {
        self.cap
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire) // pairs with nothing: keeps the loads of `maybe_ready` in order
    }

    pub(crate) fn is_full(&self) -> bool {
        self.cap.is_some_and(|cap| self.len() >= cap)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire) // pairs with `close`, for those who look here rather than under the lock
    }

    /// Whether an operation would not have had to wait a moment ago. False is exact: there was a moment, after the call
    /// began, when it would have had to. (True may be due to the leftovers of a select.)
    #[inline]
    pub(crate) fn maybe_ready(&self, dir: Dir) -> bool {
        // `closed` comes last, and the loads in order (Acquire): open at the end is open throughout.
        let waits = match dir {
            Dir::Recv => &self.senders_wait,
            Dir::Send => &self.receivers_wait,
        };
        let room = match dir {
            Dir::Recv => self.len() > 0,
            Dir::Send => !self.is_full(),
        };
        // Acquire: as in `len`.
        room || waits.load(Ordering::Acquire) || self.is_closed()
    }

    /// Whether an operation need not wait, exactly, except that a select that another channel ends this moment may
    /// seem to be waiting still.
    pub(super) fn is_ready(&self, q: &Queues, dir: Dir) -> bool {
        if self.closed.load(Ordering::Relaxed) {
            return true;
        }
        match dir {
            Dir::Recv => self.len.load(Ordering::Relaxed) > 0 || has_open(&q.send),
            Dir::Send => {
                self.cap.is_none_or(|cap| self.len.load(Ordering::Relaxed) < cap) || has_open(&q.recv)
            }
        }
    }

    /// Queues a waiter.
    ///
    /// # Safety
    /// - `q` is this channel's.
    /// - The node stays where it is until `dequeue_self` was called for it or its wait was ended.
    pub(super) unsafe fn enqueue(&self, q: &mut Queues, dir: Dir, node: &Node) {
        // Relaxed: under the lock; readers without it only want to know.
        match dir {
            Dir::Recv => {
                // SAFETY: the caller's promise.
                unsafe { q.recv.push_back(node) };
                self.receivers_wait.store(true, Ordering::Relaxed);
            }
            Dir::Send => {
                // SAFETY: as above.
                unsafe { q.send.push_back(node) };
                self.senders_wait.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Takes a waiter's own node out again; false if it is out already.
    pub(super) fn dequeue_self(&self, q: &mut Queues, dir: Dir, node: &Node) -> bool {
        let removed = match dir {
            Dir::Recv => q.recv.remove(node),
            Dir::Send => q.send.remove(node),
        };
        self.note_queue(q, dir);
        removed
    }

    /// The first receiver that waits, off its queue.
    #[inline]
    fn take_receiver(&self, q: &mut Queues) -> Option<Claimed> {
        if q.recv.is_empty() {
            return None;
        }
        let claimed = dequeue(&mut q.recv);
        self.note_queue(q, Dir::Recv);
        claimed
    }

    #[inline]
    fn take_sender(&self, q: &mut Queues) -> Option<Claimed> {
        if q.send.is_empty() {
            return None;
        }
        let claimed = dequeue(&mut q.send);
        self.note_queue(q, Dir::Send);
        claimed
    }

    #[inline]
    fn note_queue(&self, q: &Queues, dir: Dir) {
        match dir {
            Dir::Recv => self.receivers_wait.store(!q.recv.is_empty(), Ordering::Relaxed),
            Dir::Send => self.senders_wait.store(!q.send.is_empty(), Ordering::Relaxed),
        }
    }

    /// Closes the channel: whoever waits, and whoever comes, is told. False: it was closed.
    pub(crate) fn close(&self) -> bool {
        {
            let _q = self.lock.lock();
            if self.closed.load(Ordering::Relaxed) {
                return false;
            }
            self.closed.store(true, Ordering::Release); // pairs with `is_closed`
        }
        // Nobody queues any more, and nobody is taken off by others: see `try_send` and `try_recv`. One by one, since
        // waking needs the lock released, and a node that is off its queue must not be linked into another.
        loop {
            let waiter = {
                let mut q = self.lock.lock();
                self.take_receiver(&mut q).or_else(|| self.take_sender(&mut q))
            };
            match waiter {
                Some(waiter) => waiter.end(true),
                None => return true,
            }
        }
    }
}

/// A channel.
///
/// Go: runtime/chan.go hchan
#[doc(alias = "hchan")]
pub(crate) struct Chan<T> {
    pub(super) core: Core,
    buffer: UnsafeCell<Buffer<T>>, // under core.lock
    pub(super) senders: AtomicUsize,
    pub(super) receivers: AtomicUsize,
}

// SAFETY: values go from one thread to another, under the lock; no two threads see the same one.
unsafe impl<T: Send> Sync for Chan<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Chan<T> {}

impl<T> Chan<T> {
    pub(crate) fn new(cap: Option<usize>, buffer: Buffer<T>, reason: WaitReason) -> Chan<T> {
        Chan {
            core: Core::new(cap, reason),
            buffer: UnsafeCell::new(buffer),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
        }
    }

    /// Before anybody else has it: see `chan::signal`.
    pub(crate) fn sealed(mut self) -> Chan<T> {
        self.core.sealed = true;
        self
    }

    /// One attempt to send the value at `from`.
    ///
    /// Inlined by order, as `try_recv` and `finish`: left to itself the compiler makes calls of them, with the results
    /// in memory, which costs a sixth of a buffered element.
    ///
    /// # Safety
    /// - `q` is this channel's.
    /// - `from` is a value of the caller's. It is moved if, and only if, the result is `Done` (or `Exchange`, by
    ///   [`Chan::finish`]).
    /// - The channel has room for a push: `with_block` was called under this lock.
    #[inline(always)]
    pub(super) unsafe fn try_send(&self, q: &mut Queues, from: *const T) -> Attempt {
        // Relaxed, here and below: under the lock.
        if self.core.closed.load(Ordering::Relaxed) {
            return Attempt::Closed;
        }
        if let Some(receiver) = self.core.take_receiver(q) {
            return Attempt::Exchange(receiver);
        }
        let len = self.core.len.load(Ordering::Relaxed);
        if self.core.cap.is_some_and(|cap| len >= cap) {
            return Attempt::Blocked;
        }
        // SAFETY: under the lock; there is room; the caller's promise.
        unsafe { (*self.buffer.get()).push(from) };
        self.core.len.store(len + 1, Ordering::Relaxed);
        Attempt::Done
    }

    /// One attempt to receive a value to `to`. A block that it leaves over goes to `spare`.
    ///
    /// # Safety
    /// - `q` is this channel's.
    /// - `to` is memory for one. It is written if, and only if, the result is `Done` or `DoneAndEnd` (or `Exchange`, by
    ///   [`Chan::finish`]).
    #[inline(always)]
    pub(super) unsafe fn try_recv(&self, q: &mut Queues, to: *mut T, spare: &mut Spare<T>) -> Attempt {
        let len = self.core.len.load(Ordering::Relaxed);
        let closed = self.core.closed.load(Ordering::Relaxed);
        if len > 0 {
            let buffer = self.buffer.get();
            // SAFETY: under the lock; there is a value; the caller's promise.
            *spare = unsafe { (*buffer).pop(to) };
            // A sender that waits for room gets what was just made. (After a close its value goes back to it.)
            if !closed && let Some(sender) = self.core.take_sender(q) {
                // SAFETY: as above, and the sender's value is its claimant's.
                unsafe { (*buffer).push(sender.value().cast()) };
                return Attempt::DoneAndEnd(sender);
            }
            self.core.len.store(len - 1, Ordering::Relaxed);
            return Attempt::Done;
        }
        if closed {
            return Attempt::Closed;
        }
        // With an empty buffer senders wait only if there is none.
        match self.core.take_sender(q) {
            Some(sender) => Attempt::Exchange(sender),
            None => Attempt::Blocked,
        }
    }

    /// Does what is left of an attempt once the locks are released. True: a value was moved; false: closed.
    ///
    /// # Safety
    /// `value` is what was passed to the attempt, which was not `Blocked`.
    #[inline(always)]
    pub(super) unsafe fn finish(attempt: Attempt, dir: Dir, value: *mut T) -> bool {
        match attempt {
            Attempt::Done => true,
            Attempt::DoneAndEnd(waiter) => {
                waiter.end(false);
                true
            }
            Attempt::Exchange(waiter) => {
                let theirs = waiter.value().cast::<T>();
                let (from, to) = match dir {
                    Dir::Send => (value, theirs),
                    Dir::Recv => (theirs, value),
                };
                // SAFETY: the waiter is claimed, so its value, or the memory for one, is ours until the end; and the
                // caller's promise.
                unsafe { ptr::copy_nonoverlapping(from, to, 1) };
                waiter.end(false);
                true
            }
            Attempt::Closed => false,
            Attempt::Blocked => gopark_sys::throw!("chan: finished an attempt that was blocked"),
        }
    }

    /// Takes the lock, with memory for one more value. `spare` keeps what was not needed, to be dropped after
    /// unlocking.
    #[inline]
    pub(super) fn lock_to_send(&self, spare: &mut Spare<T>) -> Guard<'_, Queues> {
        let guard = self.core.lock.lock();
        // SAFETY: under the lock.
        if unsafe { (*self.buffer.get()).wants_block() } {
            drop(guard);
            return self.lock_with_block(spare);
        }
        guard
    }

    #[cold]
    #[inline(never)]
    fn lock_with_block(&self, spare: &mut Spare<T>) -> Guard<'_, Queues> {
        *spare = Some(Box::new_uninit());
        let guard = self.core.lock.lock();
        // SAFETY: under the lock.
        unsafe { (*self.buffer.get()).give_block(spare) };
        guard
    }

    /// Sends `value`; gives it back if that failed.
    #[inline]
    pub(crate) fn send(&self, value: T, until: Until) -> Result<(), (T, Failed)> {
        let mut value = MaybeUninit::new(value);
        // SAFETY: the value is ours; it is not used again unless it was not moved.
        match unsafe { self.send_from(value.as_mut_ptr(), until) } {
            Ok(()) => Ok(()),
            // SAFETY: it was not moved.
            Err(failed) => Err((unsafe { value.assume_init() }, failed)),
        }
    }

    /// # Safety
    /// `from` is a value of the caller's, which is moved if the result is `Ok`.
    #[inline]
    unsafe fn send_from(&self, from: *mut T, until: Until) -> Result<(), Failed> {
        if until == Until::Now && !self.core.maybe_ready(Dir::Send) {
            return Err(Failed::Timeout);
        }
        let mut spare = None;
        let mut q = self.lock_to_send(&mut spare);
        // SAFETY: locked, with room for a value; `from` is the caller's.
        let attempt = unsafe { self.try_send(&mut q, from) };
        if matches!(attempt, Attempt::Blocked) {
            return self.wait(q, Dir::Send, from, until);
        }
        drop(q);
        // SAFETY: not blocked.
        let sent = unsafe { Chan::finish(attempt, Dir::Send, from) };
        after_success(until);
        if sent { Ok(()) } else { Err(Failed::Closed) }
    }

    /// Receives a value.
    #[inline]
    pub(crate) fn recv(&self, until: Until) -> Result<T, Failed> {
        if until == Until::Now && !self.core.maybe_ready(Dir::Recv) {
            return Err(Failed::Timeout);
        }
        let mut value = MaybeUninit::<T>::uninit();
        let mut spare = None;
        let mut q = self.core.lock.lock();
        // SAFETY: locked; there is memory for a value.
        let attempt = unsafe { self.try_recv(&mut q, value.as_mut_ptr(), &mut spare) };
        if matches!(attempt, Attempt::Blocked) {
            self.wait(q, Dir::Recv, value.as_mut_ptr(), until)?;
        } else {
            drop(q);
            // SAFETY: not blocked.
            let received = unsafe { Chan::finish(attempt, Dir::Recv, value.as_mut_ptr()) };
            after_success(until);
            if !received {
                return Err(Failed::Closed);
            }
        }
        // SAFETY: a value was moved there.
        Ok(unsafe { value.assume_init() })
    }

    /// Waits for somebody who takes the value at `value`, or puts one there.
    #[inline]
    fn wait(&self, q: Guard<'_, Queues>, dir: Dir, value: *mut T, until: Until) -> Result<(), Failed> {
        match until {
            Until::Now => Err(Failed::Timeout),
            Until::Forever => self.core.wait_forever(q, dir, value.cast()),
            Until::Deadline(when) => {
                // A parker may have to be made, which is nothing to do under the lock.
                drop(q);
                self.wait_until(dir, value, when)
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn wait_until(&self, dir: Dir, value: *mut T, when: i64) -> Result<(), Failed> {
        let parker = Parker::current();
        if parker.is_past(when) {
            return Err(Failed::Timeout); // there was an attempt just now
        }
        let mut spare = None;
        let mut q = match dir {
            Dir::Send => self.lock_to_send(&mut spare),
            Dir::Recv => self.core.lock.lock(),
        };
        let mut left_over = None;
        let attempt = match dir {
            // SAFETY: locked, with room for a value; `value` is as for `wait`.
            Dir::Send => unsafe { self.try_send(&mut q, value) },
            // SAFETY: as above.
            Dir::Recv => unsafe { self.try_recv(&mut q, value, &mut left_over) },
        };
        if !matches!(attempt, Attempt::Blocked) {
            drop(q);
            // SAFETY: not blocked.
            return if unsafe { Chan::finish(attempt, dir, value) } { Ok(()) } else { Err(Failed::Closed) };
        }
        self.core.wait_until(q, dir, value.cast(), when, &parker)
    }

    /// One attempt, for a select. None: it would have to wait; else whether a value was moved.
    ///
    /// # Safety
    /// `value` is as for `try_send`, or `try_recv`.
    #[inline]
    pub(super) unsafe fn attempt_once(&self, dir: Dir, value: *mut T) -> Option<bool> {
        let mut spare = None;
        let attempt = match dir {
            Dir::Send => {
                let mut q = self.lock_to_send(&mut spare);
                // SAFETY: locked, with room for a value; the caller's promise.
                unsafe { self.try_send(&mut q, value) }
            }
            Dir::Recv => {
                let mut q = self.core.lock.lock();
                // SAFETY: locked; the caller's promise.
                unsafe { self.try_recv(&mut q, value, &mut spare) }
            }
        };
        if matches!(attempt, Attempt::Blocked) {
            return None;
        }
        // SAFETY: not blocked.
        Some(unsafe { Chan::finish(attempt, dir, value) })
    }

    /// Takes out what nobody will receive, and drops it, under no lock.
    pub(super) fn discard(&self) {
        while let Ok(value) = self.recv(Until::Now) {
            // If its destructor panics the others are dropped all the same.
            let rest = DiscardRest(self);
            drop(value);
            std::mem::forget(rest);
        }
    }
}

struct DiscardRest<'a, T>(&'a Chan<T>);

impl<T> Drop for DiscardRest<'_, T> {
    fn drop(&mut self) {
        self.0.discard();
    }
}

impl<T> Drop for Chan<T> {
    fn drop(&mut self) {
        self.discard();
    }
}

/// An operation that was to wait, and did not have to, counts against the caller's turn.
#[inline]
pub(super) fn after_success(until: Until) {
    if until != Until::Now {
        crate::sleep::charge(1); // a hundredth of what a read of a socket takes
    }
}

impl Core {
    pub(super) fn reason(&self, dir: Dir) -> WaitReason {
        match dir {
            Dir::Recv => self.reason,
            Dir::Send => WaitReason::ChanSend,
        }
    }

    fn wait_forever(&self, mut q: Guard<'_, Queues>, dir: Dir, value: *mut ()) -> Result<(), Failed> {
        let wait = Wait::new();
        let own = ParkSlot::armed();
        // SAFETY: `own` is left only after its one unpark, whose last access to it is what ends the wait below; and
        // nothing parks before that.
        let park = unsafe { ArmedPark::new(&own) };
        let node = Node::new(park.slot(), Case::single(&wait, value));
        // SAFETY: the node stays until the wait is ended.
        unsafe { self.enqueue(&mut q, dir, &node) };
        drop(q);
        park.wait(self.reason(dir));
        if wait.closed() { Err(Failed::Closed) } else { Ok(()) }
    }

    fn wait_until(
        &self,
        mut q: Guard<'_, Queues>,
        dir: Dir,
        value: *mut (),
        when: i64,
        parker: &Parker,
    ) -> Result<(), Failed> {
        let wait = Wait::new();
        let node = Node::new(parker.slot(), Case::single(&wait, value));
        // SAFETY: the node stays until the wait is ended or the node was taken out below.
        unsafe { self.enqueue(&mut q, dir, &node) };
        drop(q);
        parker.arm(when);
        let mut in_time = true;
        while !wait.is_done() {
            if in_time && parker.is_past(when) {
                in_time = false;
                // Not in the queue any more: somebody has it in hand, and `done` is about to come.
                if self.dequeue_self(&mut self.lock.lock(), dir, &node) {
                    parker.disarm();
                    return Err(Failed::Timeout);
                }
                continue;
            }
            parker.park(self.reason(dir));
        }
        parker.disarm();
        if wait.closed() { Err(Failed::Closed) } else { Ok(()) }
    }
}
