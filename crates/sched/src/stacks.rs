//! Stacks by size, and the memory of those that nobody uses any more.
//!
//! Every goroutine whose stack size was not chosen has a stack of class 0, and class 0 alone is cached by the Ps. The
//! others are powers of two (the pool makes each an odd number of pages): a size that is asked for once is likely to be
//! asked for again, and may be asked for almost the same. They go through the scheduler lock, to a free list each.
//!
//! A finished goroutine keeps its stack, warm, on a free list. When a crowd has come and gone that is much memory, so
//! sysmon gives back what is *cold*: in a busy process, what has not been used for a whole second, the low-water mark
//! of the free list; in an idle one, after half a second, all but a few, the lists of the idle Ps and the room in the
//! queues included. Then it goes to sleep as ever. The header goes as well: see `g`.
//!
//! Ways not taken: trimming at once, as Go frees a stack of unusual size (a server whose load comes in waves would
//! fault every stack in again, 2 µs each, which is what starting on a cold stack costs); keeping the header's page
//! (800 MB after 200,000 goroutines); MADV_FREE, which is no cheaper and leaves the memory counted until the system
//! needs it.
//!
//! # Safety
//! What was taken from a free list is dead, and the caller's.
#![allow(unsafe_code)]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use gopark_sys::stack::{LiveCursor, Slot, StackError, StackPool};

use crate::g::G;
use crate::gqueue::GList;
use crate::newproc::SpawnError;
use crate::p::P;
use crate::sched::{SCHED, Synced};

/// The smallest stack that may be asked for, in bytes.
pub(crate) const STACK_MIN: usize = 16 << 10;
/// The largest.
pub(crate) const STACK_MAX: usize = 1 << 30;
/// Class 0, and one for each power of two from the smallest to the largest.
const CLASSES: usize = 2 + (STACK_MAX / STACK_MIN).ilog2() as usize;

/// How often the low-water marks are looked at.
const LOOK_NS: i64 = 1_000_000_000;
/// An idle process keeps its stacks for so long.
const IDLE_NS: i64 = 500_000_000;
/// So many of each class are kept, the warmest, whatever happens. As many as a P takes at a time, and again.
const KEEP: usize = 64;
/// Stacks given back in one go. A thousand neighbours take about a millisecond, in which sysmon sees nothing else.
const BATCH: usize = 512;
/// The longest that sysmon is away for stacks while all Ps are idle.
const AWAY_NS: i64 = 5_000_000;

/// The pools of all classes. Those but the first are made when first asked for.
pub(crate) struct Stacks {
    pools: [OnceLock<StackPool>; CLASSES],
    /// How many stacks were given back, ever.
    trimmed: AtomicU64,
}

/// Free lists of one class, under the scheduler lock.
pub(crate) struct Free {
    /// Dead goroutines, most recently used last.
    list: GList,
    /// The shortest that the list was since somebody looked.
    low: usize,
}

/// Free lists of the other classes, and the low-water mark of the first, whose list is `Synced::gfree`.
pub(crate) struct Lists {
    low: usize,
    sized: [Free; CLASSES - 1],
}

impl Stacks {
    pub(crate) const fn new() -> Stacks {
        Stacks { pools: [const { OnceLock::new() }; CLASSES], trimmed: AtomicU64::new(0) }
    }

    /// Sets the pool of class 0; false if somebody was first.
    pub(crate) fn set_default(&self, pool: StackPool) -> bool {
        self.pools[0].set(pool).is_ok()
    }

    /// The pool of a class, made if need be.
    fn pool(&self, class: u8) -> Result<&StackPool, StackError> {
        let cell = &self.pools[usize::from(class)];
        if let Some(pool) = cell.get() {
            return Ok(pool);
        }
        // Two may make one at the same time: a reservation that is lost, which costs address space only.
        let pool = StackPool::new(size_of_class(class))?;
        Ok(cell.get_or_init(|| pool))
    }

    fn made(&self) -> impl Iterator<Item = &StackPool> {
        self.pools.iter().filter_map(OnceLock::get)
    }

    /// Address space, in bytes; stacks given back, ever.
    pub(crate) fn counts(&self) -> (usize, u64) {
        (self.made().map(StackPool::reserved).sum(), self.trimmed.load(Ordering::Relaxed))
    }

    /// Collects the headers of up to `max` slots that somebody has; among them dead ones. `at` says where to begin (at
    /// first the default), and then where to go on; false: that was all.
    pub(crate) fn headers(&self, at: &mut (usize, LiveCursor), max: usize, into: &mut GList) -> bool {
        while at.0 < CLASSES {
            let more = self.pools[at.0].get().and_then(|pool| {
                let left = max - into.len();
                pool.live_slots(at.1, left, |slot| {
                    let gp = G::of_slot(&slot).as_ptr();
                    // SAFETY: a header, a dead one, or zeros, which are one as well.
                    into.push(unsafe { G::from_ptr(gp) });
                })
            });
            match more {
                Some(next) => {
                    at.1 = next;
                    return true;
                }
                None => *at = (at.0 + 1, LiveCursor::default()),
            }
        }
        false
    }
}

/// Calls `f` for every goroutine there is, dead ones among them, until it returns false; true if it never did.
pub(crate) fn all_goroutines(mut f: impl FnMut(&'static G) -> bool) -> bool {
    const CHUNK: usize = 256;
    let mut chunk = GList::with_capacity(CHUNK);
    let (mut at, mut more) = ((0, LiveCursor::default()), true);
    while more {
        more = crate::sched::SCHED.stacks.headers(&mut at, CHUNK, &mut chunk);
        while let Some(gp) = chunk.pop() {
            if !f(gp) {
                return false;
            }
        }
    }
    true
}

impl Lists {
    pub(crate) const fn new() -> Lists {
        Lists { low: 0, sized: [const { Free { list: GList::new(), low: 0 } }; CLASSES - 1] }
    }

    /// Goroutines on the lists of the other classes.
    pub(crate) fn len(&self) -> usize {
        self.sized.iter().map(|free| free.list.len()).sum()
    }
}

/// The bytes that a class other than the first has at least.
fn size_of_class(class: u8) -> usize {
    STACK_MIN << (class - 1)
}

/// The class of stacks for `bytes`, which are within the limits.
pub(crate) fn class_of(bytes: usize) -> u8 {
    let class = 1 + (bytes.max(STACK_MIN).div_ceil(STACK_MIN).next_power_of_two().ilog2() as u8);
    // A stack of the usual size is likely to be warm already; unless it is much larger.
    let usual = SCHED.config().map_or(0, |config| config.stack_size);
    if usual >= bytes && usual <= 2 * size_of_class(class) { 0 } else { class }
}

/// A dead goroutine of class 0, when the cache of the P is empty: from the free list, or on a new stack.
#[cold]
#[inline(never)]
pub(crate) fn gfget_slow(pp: Option<&'static P>) -> Result<&'static G, SpawnError> {
    gopark_sys::fork::check(); // before a lock that a thread of the parent may hold for ever
    let mut s = SCHED.lock();
    let Synced { gfree, lists, .. } = &mut *s;
    let found = match pp {
        Some(pp) => {
            pp.gfrefill(gfree);
            pp.gfget()
        }
        None => gfree.pop(),
    };
    lists.low = lists.low.min(gfree.len());
    drop(s);
    match found {
        Some(gp) => Ok(gp),
        None => fresh(0),
    }
}

/// A dead goroutine of another class.
#[cold]
#[inline(never)]
pub(crate) fn gfget_sized(class: u8) -> Result<&'static G, SpawnError> {
    gopark_sys::fork::check();
    let mut s = SCHED.lock();
    let free = &mut s.lists.sized[usize::from(class) - 1];
    let found = free.list.pop();
    free.low = free.low.min(free.list.len());
    drop(s);
    match found {
        Some(gp) => Ok(gp),
        None => fresh(class),
    }
}

/// A goroutine on a new stack.
fn fresh(class: u8) -> Result<&'static G, SpawnError> {
    if !SCHED.is_started() {
        return Err(SpawnError::NotStarted);
    }
    let slot = SCHED.stacks.pool(class).and_then(StackPool::alloc).map_err(SpawnError::NoStack)?;
    // SAFETY: the slot has just been handed out to us.
    let gp = unsafe { G::init(slot, class) };
    SCHED.lock().gcount += 1;
    Ok(gp)
}

/// Puts a dead goroutine on the free list of its class.
#[cold]
#[inline(never)]
pub(crate) fn gfput_shared(gp: &'static G) {
    let mut s = SCHED.lock();
    match gp.class() {
        0 => s.gfree.push(gp),
        class => s.lists.sized[usize::from(class) - 1].list.push(gp),
    }
}

/// Sysmon's memory of what it has to give back.
pub(crate) struct Trimmer {
    /// When it looks at the low-water marks next.
    look_at: i64,
    /// Dead goroutines on their way to the kernel, by class and place. No list has them.
    cold: GList,
    slots: Vec<Slot>,
}

impl Trimmer {
    pub(crate) fn new() -> Trimmer {
        Trimmer { look_at: 0, cold: GList::new(), slots: Vec::new() }
    }

    /// In every round in which some P is busy.
    pub(crate) fn busy(&mut self, now: i64) {
        if now >= self.look_at {
            self.look_at = now + LOOK_NS;
            self.collect(|len, low| low.min(len.saturating_sub(KEEP)));
        }
        self.release_some();
    }

    /// In every round in which all Ps have been idle for `idle` ns. False: there is nothing to do until one is not.
    pub(crate) fn idle(&mut self, idle: i64, now: i64, still_idle: impl Fn() -> bool) -> bool {
        if self.cold.is_empty() {
            if !has_more_than_is_kept() {
                return false;
            }
            if idle < IDLE_NS {
                return true;
            }
            empty_the_idle();
            self.collect(|len, _low| len.saturating_sub(KEEP));
        }
        while !self.cold.is_empty() && still_idle() && crate::rt::nanotime() - now < AWAY_NS {
            self.release_some();
        }
        true
    }

    /// Takes from each free list as many of the coldest as `how_many` says, of its length and low-water mark.
    fn collect(&mut self, how_many: impl Fn(usize, usize) -> usize) {
        if !self.cold.is_empty() {
            return; // those first
        }
        let mut s = SCHED.lock();
        let Synced { gfree, lists: Lists { low, sized }, gcount, .. } = &mut *s;
        let sized = sized.iter_mut().map(|free| (&mut free.list, &mut free.low));
        for (list, low) in std::iter::once((gfree, low)).chain(sized) {
            let n = how_many(list.len(), *low);
            if n > 0 {
                // Not drained from the front: what stays is short, and the large allocation goes.
                let warm = list.split_off(n);
                let cold = std::mem::replace(list, warm);
                *gcount -= cold.len();
                if self.cold.is_empty() { self.cold = cold } else { self.cold.extend(cold) }
            }
            *low = list.len();
        }
        drop(s);
        // Neighbours together: they share system calls, and page tables. From the end, so the highest first.
        self.cold.sort_unstable_by_key(|gp| std::ptr::from_ref(*gp));
    }

    /// Gives back a batch of one class.
    fn release_some(&mut self) {
        let Some(last) = self.cold.last() else { return };
        let class = last.class();
        while self.slots.len() < BATCH
            && let Some(gp) = self.cold.pop_if(|gp| gp.class() == class)
        {
            self.slots.push(gp.slot());
        }
        if let Ok(pool) = SCHED.stacks.pool(class) {
            // SAFETY: the stacks of dead goroutines that are on no list; what others still do to the headers is what
            // the text of `g` allows.
            unsafe { pool.release(&mut self.slots) };
            SCHED.stacks.trimmed.fetch_add(self.slots.len() as u64, Ordering::Relaxed);
        }
        self.slots.clear();
        if self.cold.is_empty() {
            self.cold = GList::new(); // its room, too
        }
    }
}

fn has_more_than_is_kept() -> bool {
    let s = SCHED.lock();
    let cached: usize = s.pidle.iter().map(|pp| pp.ngfree()).sum();
    s.gfree.len() + cached > KEEP || s.lists.sized.iter().any(|free| free.list.len() > KEEP)
}

/// Moves the caches of the idle Ps to the free list, and gives back the room that a crowd has left in the queues.
fn empty_the_idle() {
    let mut s = SCHED.lock();
    let Synced { gfree, pidle, runq, .. } = &mut *s;
    // An idle P belongs to whoever holds the lock.
    pidle.iter().for_each(|pp| pp.gfpurge(gfree));
    runq.shrink_to(256);
    drop(s);
    SCHED.all_ps().map(|pp| &pp.timers).chain([&SCHED.timers]).for_each(gopark_poll::Timers::shrink);
}
