//! Choosing one of several channel operations: what `select!` and `Select` stand on.
//!
//! First the cases are looked at without a lock; of those that seem ready one is drawn and tried, under its channel's
//! lock alone. Only when none seems ready all channels are locked, in the order of their addresses, so that "none" is
//! true of one moment (a `default` must not be taken because two channels were looked at one after the other), and so
//! that from that same moment on a node in each queue stands for the select. Who takes one of them off ends the wait,
//! if he wins its claim (see `wait`); the others are taken out afterwards.
//!
//! Go locks all channels each time. Rejected too: to register with one channel after the other and look again
//! (crossbeam-channel): it takes as many locks, twice, and no moment is common to all.
//!
//! # Safety
//! The pointers of a case are made by `Receiving`, `Sending` and `Select`, which outlive the run and leave the value
//! alone until it ends.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr;

use gopark_poll::WaitReason;

use super::core::{Attempt, Chan, Core, Dir, Queues, Until, after_success};
use super::lock::Guard;
use super::wait::{Case, Node, Wait};
use crate::park::{ArmedPark, ParkSlot, Parker};

/// A channel whose type of values is known to itself only.
pub(super) trait Channel {
    /// One attempt under no lock. None: it would have to wait; else whether a value was moved.
    ///
    /// # Safety
    /// `value` is as for `Chan::try_send`, or `Chan::try_recv`.
    unsafe fn attempt(&self, dir: Dir, value: *mut ()) -> Option<bool>;

    /// One attempt under this channel's lock.
    ///
    /// # Safety
    /// As `attempt`; `q` is this channel's, and it is bounded if this is a send.
    unsafe fn attempt_locked(&self, dir: Dir, q: &mut Queues, value: *mut ()) -> Attempt;

    /// What is left of `attempt_locked`, when the locks are released.
    ///
    /// # Safety
    /// As `Chan::finish`.
    unsafe fn finish(&self, attempt: Attempt, dir: Dir, value: *mut ()) -> bool;
}

impl<T> Channel for Chan<T> {
    unsafe fn attempt(&self, dir: Dir, value: *mut ()) -> Option<bool> {
        // SAFETY: the caller's promise.
        unsafe { self.attempt_once(dir, value.cast()) }
    }

    unsafe fn attempt_locked(&self, dir: Dir, q: &mut Queues, value: *mut ()) -> Attempt {
        let mut spare = None;
        match dir {
            // SAFETY: the caller's promise; a bounded channel needs no block.
            Dir::Send => unsafe { self.try_send(q, value.cast()) },
            // SAFETY: the caller's promise. (`spare` frees a block under the lock: once in 32 values, and only if all
            // came between the look without lock and this one.)
            Dir::Recv => unsafe { self.try_recv(q, value.cast(), &mut spare) },
        }
    }

    unsafe fn finish(&self, attempt: Attempt, dir: Dir, value: *mut ()) -> bool {
        // SAFETY: the caller's promise.
        unsafe { Chan::<T>::finish(attempt, dir, value.cast()) }
    }
}

/// One case while a select runs. Without a channel it is never ready.
#[doc(hidden)]
pub struct RawCase<'a> {
    chan: Option<&'a dyn Channel>,
    core: Option<&'a Core>,
    dir: Dir,
    value: *mut (),
    /// Where to leave whether a value was moved, if this case is chosen.
    outcome: Option<&'a Cell<Option<bool>>>,
    /// While all are locked: the lock, if this is the first of the cases with this channel.
    guard: Cell<Option<Guard<'a, Queues>>>,
    /// While all are locked: the case that has the lock of this one's channel.
    holder: Cell<usize>,
    node: Option<Node>,
}

impl std::fmt::Debug for RawCase<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawCase").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// The case that was chosen.
pub(super) struct Chosen {
    pub(super) index: usize,
    /// False: its channel is closed.
    pub(super) moved: bool,
}

impl<'a> RawCase<'a> {
    /// # Safety
    /// As long as the case is used, `value` is a value to send, or memory for one to receive, of the type of the
    /// channel, and nobody else touches it during a run.
    pub(super) unsafe fn new<T>(
        chan: &'a Chan<T>,
        dir: Dir,
        value: *mut T,
        outcome: Option<&'a Cell<Option<bool>>>,
    ) -> RawCase<'a> {
        let mut case = RawCase::disabled();
        case.chan = Some(chan);
        case.core = Some(&chan.core);
        case.dir = dir;
        case.value = value.cast();
        case.outcome = outcome;
        case
    }

    /// A case that is never ready.
    pub(super) fn disabled() -> RawCase<'a> {
        RawCase {
            chan: None,
            core: None,
            dir: Dir::Recv,
            value: ptr::null_mut(),
            outcome: None,
            guard: Cell::new(None),
            holder: Cell::new(0),
            node: None,
        }
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.core.is_some()
    }

    /// See [`Core::maybe_ready`].
    #[inline]
    fn maybe_ready(&self) -> bool {
        self.core.is_some_and(|core| core.maybe_ready(self.dir))
    }

    fn address(&self) -> *const Core {
        self.core.map_or(ptr::null(), ptr::from_ref)
    }
}

/// Runs a select: one of the cases, or None when `until` has come first.
pub(super) fn run(cases: &mut [RawCase<'_>], order: &mut [usize], until: Until) -> Option<Chosen> {
    while let Some(index) = pick(cases, |case| case.maybe_ready()) {
        let case = &cases[index];
        let Some(chan) = case.chan else { break };
        // SAFETY: what `RawCase::new` was promised.
        if let Some(moved) = unsafe { chan.attempt(case.dir, case.value) } {
            after_success(until);
            return Some(chosen(cases, index, moved));
        }
        // Somebody else was first. Each time round means that another operation has succeeded.
    }
    // That one channel is not ready has been true of a moment already.
    if until == Until::Now && cases.len() < 2 {
        return None;
    }
    run_locked(cases, order, until)
}

fn chosen(cases: &[RawCase<'_>], index: usize, moved: bool) -> Chosen {
    if let Some(outcome) = cases[index].outcome {
        outcome.set(Some(moved));
    }
    Chosen { index, moved }
}

/// Draws one of the cases for which `ready` holds, each with the same probability.
#[inline]
fn pick(cases: &[RawCase<'_>], ready: impl Fn(&RawCase<'_>) -> bool) -> Option<usize> {
    let (mut picked, mut count) = (None, 0);
    for (i, case) in cases.iter().enumerate() {
        if ready(case) {
            count += 1;
            // The nth takes the place of the one picked so far with probability 1/n.
            if count == 1 || (u64::from(crate::m::cheaprand()) * count) >> 32 == 0 {
                picked = Some(i);
            }
        }
    }
    picked
}

/// The rest of `run`: looks at all channels at once, and waits for one of them.
#[inline(never)]
fn run_locked(cases: &mut [RawCase<'_>], order: &mut [usize], until: Until) -> Option<Chosen> {
    // Not under the locks: a thread's parker may have to be made.
    let parker = match until {
        // A time that is past leaves room for one look, not for a wait.
        Until::Deadline(when) => Some(Parker::current()).filter(|parker| !parker.is_past(when)),
        Until::Now | Until::Forever => None,
    };
    let order = lock_all(cases, order);
    while let Some(index) = pick(cases, |case| is_ready(cases, case)) {
        let case = &cases[index];
        let Some(chan) = case.chan else { break };
        let attempt = with_lock(cases, case, |q, _| {
            // SAFETY: locked; what `RawCase::new` was promised; an unbounded channel is always ready to be sent to, so
            // that `run` did not give up on it.
            unsafe { chan.attempt_locked(case.dir, q, case.value) }
        });
        match attempt {
            // The one that waited there has been claimed for another of its cases, and is out of this queue now.
            Some(Attempt::Blocked) | None => {}
            Some(attempt) => {
                unlock_all(cases, order);
                // SAFETY: as above, and not blocked.
                let moved = unsafe { chan.finish(attempt, case.dir, case.value) };
                after_success(until);
                return Some(chosen(cases, index, moved));
            }
        }
    }
    match (until, parker) {
        (Until::Deadline(when), Some(parker)) => wait_until(cases, order, when, &parker),
        (Until::Forever, _) => Some(wait_forever(cases, order)),
        _ => {
            unlock_all(cases, order);
            None
        }
    }
}

/// Locks the channels of all cases, each once; returns the part of `order` that says which cases have one, by address.
fn lock_all<'o>(cases: &[RawCase<'_>], order: &'o mut [usize]) -> &'o [usize] {
    let mut enabled = 0;
    for (i, _) in cases.iter().enumerate().filter(|(_, case)| case.is_enabled()) {
        order[enabled] = i;
        enabled += 1;
    }
    let order = &mut order[..enabled];
    order.sort_unstable_by_key(|&i| cases[i].address());
    let mut last: Option<&RawCase<'_>> = None;
    for &i in order.iter() {
        let case = &cases[i];
        match last {
            Some(last) if last.address() == case.address() => case.holder.set(last.holder.get()),
            _ => {
                case.guard.set(case.core.map(|core| core.lock.lock()));
                case.holder.set(i);
            }
        }
        last = Some(case);
    }
    order
}

fn unlock_all(cases: &[RawCase<'_>], order: &[usize]) {
    for &i in order {
        drop(cases[i].guard.take());
    }
}

/// Calls `f` with what the lock of a case's channel guards, while all are locked. None for a case without channel.
fn with_lock<R>(
    cases: &[RawCase<'_>],
    case: &RawCase<'_>,
    f: impl FnOnce(&mut Queues, &Core) -> R,
) -> Option<R> {
    let core = case.core?;
    let holder = &cases[case.holder.get()].guard;
    let mut guard = holder.take();
    let result = guard.as_mut().map(|q| f(q, core));
    holder.set(guard);
    result
}

/// Whether a case could go on, while all are locked.
fn is_ready(cases: &[RawCase<'_>], case: &RawCase<'_>) -> bool {
    with_lock(cases, case, |q, core| core.is_ready(q, case.dir)).unwrap_or(false)
}

/// Queues a node for each case, then unlocks. From here on the cases are shared with whoever finds a node.
///
/// # Safety
/// `dequeue_all` is called, after the wait was ended or given up and before `cases` and `wait` go.
unsafe fn enqueue_all(cases: &[RawCase<'_>], order: &[usize]) {
    for &i in order {
        let case = &cases[i];
        let Some(node) = &case.node else { continue };
        // SAFETY: the caller's promise.
        with_lock(cases, case, |q, core| unsafe { core.enqueue(q, case.dir, node) });
    }
    unlock_all(cases, order);
}

/// Takes all nodes out of their queues, but that of the case `chosen`, which somebody has taken out.
fn dequeue_all(cases: &[RawCase<'_>], chosen: Option<usize>) {
    for (i, case) in cases.iter().enumerate() {
        if let (Some(core), Some(node), true) = (case.core, &case.node, chosen != Some(i)) {
            core.dequeue_self(&mut core.lock.lock(), case.dir, node);
        }
    }
}

fn make_nodes(cases: &mut [RawCase<'_>], slot: &'static ParkSlot, wait: &Wait) {
    for (i, case) in cases.iter_mut().enumerate() {
        case.node = case.core.map(|_| Node::new(slot, Case::of_select(wait, case.value, i)));
    }
}

/// Waits, with all channels locked, until one of the cases is chosen.
fn wait_forever(cases: &mut [RawCase<'_>], order: &[usize]) -> Chosen {
    if order.is_empty() {
        forever();
    }
    let wait = Wait::new();
    let own = ParkSlot::armed();
    // SAFETY: `own` is left only after its one unpark, whose last access to it is what ends the wait below; and nothing
    // parks before that.
    let park = unsafe { ArmedPark::new(&own) };
    make_nodes(cases, park.slot(), &wait);
    let cases = &*cases;
    // SAFETY: see below.
    unsafe { enqueue_all(cases, order) };
    park.wait(WaitReason::Select);
    dequeue_all(cases, Some(wait.chosen()));
    chosen(cases, wait.chosen(), !wait.closed())
}

/// `wait_forever`, but until `when` at most.
fn wait_until(cases: &mut [RawCase<'_>], order: &[usize], when: i64, parker: &Parker) -> Option<Chosen> {
    let wait = Wait::new();
    make_nodes(cases, parker.slot(), &wait);
    let cases = &*cases;
    // SAFETY: see below.
    unsafe { enqueue_all(cases, order) };
    parker.arm(when);
    let mut in_time = true;
    while !wait.is_done() {
        if in_time && parker.is_past(when) {
            in_time = false;
            if wait.give_up() {
                parker.disarm();
                dequeue_all(cases, None);
                return None;
            }
            // A channel was first: its end is about to come.
            continue;
        }
        parker.park(WaitReason::Select);
    }
    parker.disarm();
    dequeue_all(cases, Some(wait.chosen()));
    Some(chosen(cases, wait.chosen(), !wait.closed()))
}

/// Waits for ever: a select without cases.
///
/// Go: runtime/select.go block
#[doc(hidden)]
pub fn forever() -> ! {
    let parker = Parker::current();
    loop {
        parker.park(WaitReason::SelectNoCases);
    }
}
