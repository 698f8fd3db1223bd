//! Timers: a 4-ary heap for each P, and one for callers without a P. Go: `runtime/time.go`.
//!
//! Go's heaps are lazy: a stopped or changed timer stays where it is, marked, until somebody cleans up, since
//! the one who stops it may not hold the lock of the other P's heap for long. That needs two minima, a state
//! machine for each timer and a purge, and had a series of bugs (golang/go#47329, #47762, #51654,
//! 641e61db57). Here removal is eager: every timer knows its place, so stopping one is a few swaps under a
//! lock that is nearly always free, and no heap holds anything that is not armed. Deadlines, the timers that
//! Go's scheme is for, hardly touch the heap at all (`poll_desc/deadline.rs`).
//!
//! # Who may do what
//!
//! [`Link::home`] says which heap an entry is in. It changes only under that heap's lock, or from none to a
//! heap under the new heap's lock with a compare-exchange, since two threads may arm the same timer in
//! different heaps. Who wants to change an entry reads `home`, locks that heap, and *reads `home` again*: the
//! entry may have fired, or have been moved (golang/go#44868).
//!
//! Callbacks run with the heap unlocked. The poller is woken with nothing locked.

use std::fmt;
use std::time::Duration;

use crate::ReadyList;
use crate::park_slot::{ParkSlot, Unblock};
use crate::poll_desc::PollDesc;
use crate::poll_info::Mode;
use crate::runtime::{WaitReason, runtime};
use crate::slab::Slab;
use crate::sync::atomic::{
    AtomicI64, AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use crate::sync::{Lock, const_fn};

mod heap;
#[cfg(all(test, not(loom)))]
mod tests;

use heap::{Entry, Heap};

/// Found by the number that entries name. A number and not a reference, because a reference cannot be kept in
/// an atomic word without `unsafe`.
static HEAPS: Slab<std::sync::OnceLock<&'static Timers>> = Slab::new();
static HEAPS_LEN: parking_lot::Mutex<u32> = parking_lot::Mutex::new(0);

/// Where an armed entry is. `home` and `idx` change as the module's text says.
#[derive(Debug)]
pub(crate) struct Link {
    /// Number of the heap, 0: in none.
    home: AtomicU32,
    /// Place in that heap; only under its lock.
    idx: AtomicU32,
}

impl Link {
    const_fn! {
        pub(crate) fn new() -> Link {
            Link { home: AtomicU32::new(0), idx: AtomicU32::new(0) }
        }
    }
}

/// What an entry of a heap stands for.
///
/// The links are in the target and what to do is in the entry, so that a poll descriptor holds two entries in
/// 16 bytes and fits into two cache lines.
#[derive(Copy, Clone)]
pub(crate) enum Target {
    Timer(&'static Timer),
    ReadDeadline(&'static PollDesc),
    WriteDeadline(&'static PollDesc),
}

impl Target {
    #[inline]
    fn link(self) -> &'static Link {
        match self {
            Target::Timer(t) => &t.link,
            Target::ReadDeadline(pd) => pd.link(Mode::Read),
            Target::WriteDeadline(pd) => pd.link(Mode::Write),
        }
    }

    /// Puts the entry at `when`, wherever it was. If that is now the earliest of its heap, the caller has to
    /// pass the returned time to [`wake_net_poller`] once it holds no lock.
    pub(crate) fn arm(self, when: i64) -> Option<i64> {
        // 0 is what `wake_time` uses for none (golang/go#42424).
        let when = when.max(1);
        loop {
            let armed = match home_of(self.link()) {
                Some(heap) => heap.modify(self, when),
                None => runtime().local_timers().add(self, when),
            };
            match armed {
                Armed::Earliest => return Some(when),
                Armed::Later => return None,
                Armed::Moved => {}
            }
        }
    }

    /// Takes the entry out. False: it was in no heap.
    fn disarm(self) -> bool {
        while let Some(heap) = home_of(self.link()) {
            if heap.remove(self) {
                return true;
            }
        }
        false
    }

    /// What is to be done. Asked while the entry is still in its heap: once it is not, whoever owned the timer may have
    /// ended, and the memory of the timer may be zeros (goroutines have theirs on their stacks).
    #[inline]
    fn action(self) -> Action {
        match self {
            Target::ReadDeadline(pd) => Action::Deadline(pd, Mode::Read),
            Target::WriteDeadline(pd) => Action::Deadline(pd, Mode::Write),
            Target::Timer(t) => Action::Timer(t.kind),
        }
    }
}

/// What an entry that is due does.
enum Action {
    Timer(TimerKind),
    Deadline(&'static PollDesc, Mode),
}

impl Action {
    fn run(self, now: i64, list: &mut ReadyList) {
        match self {
            Action::Deadline(pd, mode) => pd.deadline_fired(mode, now, list),
            Action::Timer(TimerKind::Wake(slot)) => {
                if let Some(w) = slot.unblock(Unblock::Ready) {
                    list.push(w);
                }
            }
            Action::Timer(TimerKind::Call(f, arg)) => f(arg, now, list),
            Action::Timer(TimerKind::Fire(target)) => target.fire(now, list),
        }
    }
}

/// The heap that `link` was in a moment ago.
#[inline]
fn home_of(link: &Link) -> Option<&'static Timers> {
    // Acquire pairs with the release of `home` under the heap's lock; the registration came before that.
    match link.home.load(Acquire) {
        0 => None,
        id => match HEAPS.get(id - 1).and_then(|cell| cell.get()) {
            Some(heap) => Some(heap),
            None => gopark_sys::throw!("gopark: a timer in an unknown heap"),
        },
    }
}

/// What a change found and did.
#[must_use]
enum Armed {
    /// Done; it is the heap's earliest now, and earlier than what was.
    Earliest,
    Later,
    /// Not done: the entry is not where it was looked for.
    Moved,
}

/// Tells the runtime of a new earliest entry, which is published. With no lock held (golang/go#38023).
///
/// The runtime asks [`poller`](crate::poller), in which is the fence that pairs with the poller's: either
/// that one reads our `wake_time` before it blocks, or the runtime sees that it blocks, and until when.
pub(crate) fn wake_net_poller(when: i64) {
    runtime().wake_net_poller(when);
}

/// What happens when a [`Timer`] fires. Runs on whoever checks the timers, which may be a scheduler's own
/// stack: it must be short and must not park, panic or drop anything of a user.
#[derive(Copy, Clone)]
pub enum TimerKind {
    /// `slot.unblock(Ready)`.
    Wake(&'static ParkSlot),
    /// A call with the given argument, the time of the check, and where to put waiters that became runnable.
    Call(fn(usize, i64, &mut ReadyList), usize),
    /// [`Fire::fire`] of an object.
    Fire(&'static dyn Fire),
}

/// Something that a [`Timer`] acts on.
pub trait Fire: Sync {
    /// The timer came due. `now` is the time of the check; whoever became runnable goes into `list`.
    ///
    /// Runs with no lock of the timers held, under the rules of [`TimerKind`]. The timer may be armed again. A call
    /// may come late: the timer was stopped or armed anew in the meantime. So look at the object's own state.
    fn fire(&'static self, now: i64, list: &mut ReadyList);
}

impl fmt::Debug for TimerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TimerKind::Wake(_) => "Wake",
            TimerKind::Call(..) => "Call",
            TimerKind::Fire(_) => "Fire",
        })
    }
}

/// A one-shot timer. Arming, moving and stopping it allocates nothing once the heaps have grown.
#[derive(Debug)]
pub struct Timer {
    link: Link,
    kind: TimerKind,
}

impl Timer {
    const_fn! {
        /// A timer that is not armed.
        pub fn new(kind: TimerKind) -> Timer {
            Timer { link: Link::new(), kind }
        }
    }

    /// Arms the timer for `when` (as [`Runtime::nanotime`](crate::Runtime::nanotime)), or moves it there,
    /// earlier or later. A new one goes to the caller's local timers. A time that has passed fires at the
    /// next check.
    ///
    /// Go: runtime/time.go timer.modify
    pub fn arm(&'static self, when: i64) {
        if let Some(when) = Target::Timer(self).arm(when) {
            wake_net_poller(when);
        }
    }

    /// [`Timer::arm`] for a caller who holds a lock: what it returns is to be woken once that is released.
    ///
    /// Telling the poller may be a system call, or start a thread (golang/go#38023).
    #[inline]
    pub fn arm_under_lock(&'static self, when: i64) -> WakePoller {
        WakePoller(Target::Timer(self).arm(when))
    }

    /// Stops the timer. True: it was armed and will not fire. False: it was not, or it fires just now, on
    /// another thread; then its effect may still come after the return.
    ///
    /// Go: runtime/time.go timer.stop
    pub fn stop(&'static self) -> bool {
        Target::Timer(self).disarm()
    }

    /// Whether the timer was armed a moment ago.
    pub fn is_armed(&self) -> bool {
        self.link.home.load(Acquire) != 0
    }
}

/// What is left to do after a timer was armed under a lock; see [`Timer::arm_under_lock`].
#[derive(Default, Debug)]
#[must_use = "the poller may sleep past the timer otherwise"]
pub struct WakePoller(Option<i64>);

impl WakePoller {
    /// Nothing is left to do.
    pub const NO: WakePoller = WakePoller(None);

    /// Tells the poller, if it has to know. With no lock held.
    #[inline]
    pub fn wake(self) {
        if let Some(when) = self.0 {
            wake_net_poller(when);
        }
    }
}

/// The timers of one P. Go: `timers`
pub struct Timers {
    /// Time of the earliest entry, 0: no entry. Written under `heap`'s lock, before it is released; read
    /// without.
    wake_time: AtomicI64,
    /// Number in `HEAPS` plus 1; 0 until the first entry. Written once, under `heap`'s lock.
    id: AtomicU32,
    heap: Lock<Heap>,
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers").field("wake_time", &self.wake_time()).finish_non_exhaustive()
    }
}

impl Default for Timers {
    fn default() -> Timers {
        Timers::new()
    }
}

impl Timers {
    const_fn! {
        /// No timers. For ever: entries name their heap, so one that was used must be a static.
        pub fn new() -> Timers {
            Timers { wake_time: AtomicI64::new(0), id: AtomicU32::new(0), heap: Lock::new(Heap::new()) }
        }
    }

    /// When the earliest timer is due (as `nanotime`); 0: there is none. One load, no lock.
    ///
    /// Go: runtime/time.go timers.wakeTime
    #[doc(alias = "wakeTime")]
    #[inline]
    pub fn wake_time(&self) -> i64 {
        // Relaxed: the poller, which must not miss a timer, has a fence before (`Netpoll::block`); any other
        // caller may see it a moment later.
        self.wake_time.load(Relaxed)
    }

    /// How many timers are armed here. Takes the lock.
    pub fn len(&self) -> usize {
        self.heap.lock().len()
    }

    /// Gives back memory that a crowd of timers has left behind. Takes the lock.
    pub fn shrink(&self) {
        self.heap.lock().shrink();
    }

    /// Whether no timer is armed here. One load.
    pub fn is_empty(&self) -> bool {
        self.wake_time() == 0
    }

    /// Runs everything that is due at `now`, adds to `ready` who became runnable, and returns when the next
    /// is due, 0 if there is none. One load when nothing is due.
    ///
    /// An entry armed by a callback for a time that has passed already may be left for the next check, in
    /// which case the returned time is not later than `now`: no callback can keep the caller here.
    ///
    /// Go: runtime/time.go timers.check
    #[inline]
    pub fn check(&self, now: i64, ready: &mut ReadyList) -> i64 {
        let next = self.wake_time();
        if next == 0 || next > now { next } else { self.run_due(now, ready) }
    }

    #[cold]
    #[inline(never)]
    fn run_due(&self, now: i64, ready: &mut ReadyList) -> i64 {
        let mut heap = self.heap.lock();
        let mut left = heap.len();
        while left > 0
            && let Some(entry) = heap.pop_due(now)
        {
            left -= 1;
            let action = entry.target.action();
            // Release: who finds the entry in no heap and arms it elsewhere comes after its removal.
            entry.target.link().home.store(0, Release);
            self.publish(&heap);
            drop(heap);
            action.run(now, ready);
            heap = self.heap.lock();
        }
        heap.earliest()
    }

    /// Moves every timer to `other`: this P is going to be idle for good or for long.
    ///
    /// Who got `self` from `local_timers` before, and is still on his way, may add an entry after this. It is
    /// as good as any, but somebody has to check `self` or move it again: a P that retires from its own
    /// thread has no such callers, one that is stuck in user code may have.
    ///
    /// Go: runtime/time.go timers.take
    pub fn move_all_to(&'static self, other: &'static Timers) {
        if std::ptr::eq(self, other) {
            return;
        }
        // Both locks, so that no entry is in neither heap for a moment; in the order of their numbers, since
        // two Ps may retire into each other.
        let (mut from, mut to);
        if self.id() < other.id() {
            from = self.heap.lock();
            to = other.heap.lock();
        } else {
            to = other.heap.lock();
            from = self.heap.lock();
        }
        let before = to.earliest();
        let id = other.id_locked();
        while let Some(entry) = from.pop_any() {
            to.push(entry);
            // After the push has set `idx`; both are under both locks anyway.
            entry.target.link().home.store(id, Release);
        }
        // The new home first: in between an entry may be counted twice, never not at all.
        other.publish(&to);
        self.publish(&from);
        let earliest = to.earliest();
        drop(from);
        drop(to);
        if earliest != 0 && (before == 0 || earliest < before) {
            wake_net_poller(earliest);
        }
    }

    /// Under `heap`'s lock.
    #[inline]
    fn publish(&self, heap: &Heap) {
        self.wake_time.store(heap.earliest(), Release);
    }

    fn id(&'static self) -> u32 {
        let _heap = self.heap.lock();
        self.id_locked()
    }

    /// The number of this heap. Under `heap`'s lock.
    fn id_locked(&'static self) -> u32 {
        match self.id.load(Relaxed) {
            0 => self.enlist(),
            id => id,
        }
    }

    #[cold]
    fn enlist(&'static self) -> u32 {
        let id = {
            let mut len = HEAPS_LEN.lock();
            let cell = HEAPS.ensure(*len, |_| std::sync::OnceLock::new());
            if cell.set(self).is_err() {
                gopark_sys::throw!("gopark: two heaps of timers with one number");
            }
            *len += 1;
            *len
        };
        self.id.store(id, Relaxed); // read under the same lock
        id
    }

    fn add(&'static self, target: Target, when: i64) -> Armed {
        let mut heap = self.heap.lock();
        let before = heap.earliest();
        let id = self.id_locked();
        // Fails if another thread has armed it in the meantime. Acquire pairs with the release of the
        // removal.
        if target.link().home.compare_exchange(0, id, AcqRel, Relaxed).is_err() {
            return Armed::Moved;
        }
        heap.push(Entry { when, target });
        self.publish(&heap);
        if before == 0 || when < before { Armed::Earliest } else { Armed::Later }
    }

    fn modify(&'static self, target: Target, when: i64) -> Armed {
        let mut heap = self.heap.lock();
        if !self.is_home_of(target) {
            return Armed::Moved;
        }
        let before = heap.earliest();
        heap.update(target, when);
        self.publish(&heap);
        if when < before { Armed::Earliest } else { Armed::Later }
    }

    /// False: it is not here any more.
    fn remove(&'static self, target: Target) -> bool {
        let mut heap = self.heap.lock();
        if !self.is_home_of(target) {
            return false;
        }
        heap.remove(target);
        target.link().home.store(0, Release); // pairs with the exchange in `add`
        self.publish(&heap);
        true
    }

    /// Under `heap`'s lock.
    fn is_home_of(&self, target: Target) -> bool {
        target.link().home.load(Relaxed) == self.id.load(Relaxed)
    }
}

/// Parks the caller for `d`, which may be longer by as much as the system takes to wake somebody up. Waits
/// for nothing if `d` is zero.
///
/// `slot` and `timer` are the caller's own, and `timer` is a [`TimerKind::Wake`] of `slot`. The timer may be
/// armed before the caller is parked: a slot remembers that it was readied. (Go's sleep arms it after.)
///
/// Go: runtime/time.go timeSleep
#[doc(alias = "timeSleep")]
pub fn sleep_on(slot: &'static ParkSlot, timer: &'static Timer, d: Duration) {
    if d.is_zero() {
        return;
    }
    timer.arm(when_in(d));
    while !slot.block(WaitReason::Sleep, || true) {}
}

/// The time `d` from now, at most `i64::MAX`, which is never.
///
/// Go: runtime/time.go when
pub fn when_in(d: Duration) -> i64 {
    let d = i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
    runtime().nanotime().saturating_add(d)
}
