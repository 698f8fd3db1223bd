//! `Pool`: objects to be used again, kept by the P that put them back.
//!
//! Each P has a few objects of its own, which its goroutine takes and puts back without a lock or an atomic step:
//! whoever holds the P is alone with them, and we never interrupt anybody. What does not fit there goes, half of it at
//! a time, to a depot with a lock, where Ps that have none fetch theirs; so the lock is taken once in eight times at
//! worst. Go lets Ps steal from each other instead, from queues that never give memory back by themselves: its
//! collector empties the pool in two steps, every second collection. We have no collector. The pool is bounded, and
//! what the depot did not need for a whole period is dropped when the period ends.
//!
//! Go: sync/pool.go.
//!
//! # Safety
//! A `Local` is used by the thread that holds its P, between two points at which a goroutine can switch, and no code
//! of the pool's users runs there. A P is handed over by a release/acquire pair (see `p`).
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;

use parking_lot::Mutex;

use crate::m::getm;
use crate::rt::nanotime;
use crate::sched::{MAX_COMPENSATING, MAX_PROCS};

/// How many objects a P keeps.
const LOCAL: usize = 16;

/// How many go to the depot, or come from it, at a time.
const BATCH: usize = LOCAL / 2;

/// How many objects the depot keeps, unless the pool's maker says otherwise.
const DEPOT: usize = 1024;

/// What the depot did not need for so long is dropped. Go's collector runs every two minutes at least, mostly more
/// often, and drops what was not used between two runs.
const PERIOD_NS: i64 = 10_000_000_000;

/// Locals are made in groups, each twice as large as the one before: the first has one, for P 0.
const GROUPS: usize = (MAX_PROCS + MAX_COMPENSATING + 1).ilog2() as usize + 1;

/// Objects to be used again, as Go's `sync.Pool`: for things that are costly to make and needed for a short while,
/// like buffers.
///
/// What is put back may be kept or dropped. A P's goroutines find what was last put back there, warm in the cache. The
/// pool keeps at most 16 objects for each P, and 1,024 beside (see [`Pool::with_limit`]); those that were not needed
/// for ten seconds are dropped, when the pool is next used, or by [`Pool::clear`].
///
/// Nothing here parks or yields.
///
/// Go: sync.Pool.
///
/// # Examples
/// ```no_run
/// use gopark_sched::sync::Pool;
///
/// static BUFFERS: Pool<Vec<u8>> = Pool::buffers(16 << 10);
///
/// let mut buffer = BUFFERS.get(); // empty, with room for 16 KiB
/// buffer.extend_from_slice(b"some bytes");
/// drop(buffer); // back to the pool
/// ```
pub struct Pool<T> {
    make: Make<T>,                      // constant
    recycle: fn(&mut T, usize) -> bool, // constant
    limit: usize,                       // constant
    locals: [OnceLock<Box<[Local<T>]>>; GROUPS],
    depot: Mutex<Depot<T>>,
}

/// How objects are made.
enum Make<T> {
    New(fn() -> T),
    Sized(fn(usize) -> T, usize),
}

/// What one P keeps. On cache lines of its own.
#[repr(align(128))]
struct Local<T>(UnsafeCell<Vec<T>>); // see the module

// SAFETY: see the module; objects are put in on one thread and taken out on another.
unsafe impl<T: Send> Sync for Local<T> {}

/// What all share.
struct Depot<T> {
    objects: Vec<T>,
    /// The fewest there were since the period began: as many were not needed.
    low: usize,
    /// When the period ends.
    until: i64,
}

impl<T: Send> Pool<T> {
    /// A pool of objects that `make` makes when there is none.
    pub const fn new(make: fn() -> T) -> Pool<T> {
        Pool::with_limit(make, DEPOT)
    }

    /// A pool that keeps at most `limit` objects beside those of the Ps, 16 each.
    pub const fn with_limit(make: fn() -> T, limit: usize) -> Pool<T> {
        Pool::build(Make::New(make), |_, _| true, limit)
    }

    const fn build(make: Make<T>, recycle: fn(&mut T, usize) -> bool, limit: usize) -> Pool<T> {
        Pool {
            make,
            recycle,
            limit,
            locals: [const { OnceLock::new() }; GROUPS],
            depot: Mutex::new(Depot { objects: Vec::new(), low: 0, until: 0 }),
        }
    }

    /// An object, which goes back when what this returns is dropped.
    ///
    /// Go: sync.Pool.Get.
    #[doc(alias = "Get")]
    #[inline]
    pub fn get(&self) -> Pooled<'_, T> {
        Pooled { object: Some(self.take()), pool: self }
    }

    /// An object, for good: made if there is none.
    #[inline]
    pub fn take(&self) -> T {
        match self.try_take() {
            Some(object) => object,
            None => match self.make {
                Make::New(make) => make(),
                Make::Sized(make, size) => make(size),
            },
        }
    }

    /// An object, for good, if there is one.
    #[inline]
    pub fn try_take(&self) -> Option<T> {
        match self.local() {
            Some(local) => {
                // SAFETY: we hold the P, and nothing here switches or runs foreign code.
                let objects = unsafe { &mut *local.0.get() };
                objects.pop().or_else(|| self.refill(objects))
            }
            None => self.depot.lock().take(),
        }
    }

    /// Puts an object in. It may be dropped instead.
    ///
    /// Go: sync.Pool.Put.
    #[doc(alias = "Put")]
    #[inline]
    pub fn put(&self, mut object: T) {
        let size = match self.make {
            Make::New(_) => 0,
            Make::Sized(_, size) => size,
        };
        if !(self.recycle)(&mut object, size) {
            return;
        }
        let surplus = match self.local() {
            Some(local) => {
                // SAFETY: we hold the P, and nothing here switches or runs foreign code.
                let objects = unsafe { &mut *local.0.get() };
                if objects.len() < LOCAL {
                    return objects.push(object);
                }
                self.spill(objects, object)
            }
            None => self.put_in_depot(object),
        };
        drop(surplus); // under no lock
    }

    /// Drops what the depot keeps, and what the caller's P does.
    pub fn clear(&self) {
        let own = self.local().map(|local| {
            // SAFETY: we hold the P; the objects are moved, not dropped.
            std::mem::take(unsafe { &mut *local.0.get() })
        });
        let shared = std::mem::take(&mut self.depot.lock().objects);
        drop((own, shared));
    }
}

impl<T> Pool<T> {
    /// What the caller's P keeps; none on a plain thread, and for a goroutine that has no P at the moment.
    #[inline]
    fn local(&self) -> Option<&Local<T>> {
        let id = getm()?.p.get()?.id as usize;
        let group = (id + 1).ilog2() as usize;
        let first = (1 << group) - 1;
        let locals = match self.locals[group].get() {
            Some(locals) => locals,
            None => self.make_locals(group),
        };
        locals.get(id - first)
    }

    #[cold]
    fn make_locals(&self, group: usize) -> &[Local<T>] {
        let new = || (0..1 << group).map(|_| Local(UnsafeCell::new(Vec::with_capacity(LOCAL)))).collect();
        self.locals[group].get_or_init(new)
    }

    /// Fetches some objects from the depot, and returns one of them.
    #[cold]
    #[inline(never)]
    fn refill(&self, objects: &mut Vec<T>) -> Option<T> {
        let mut depot = self.depot.lock();
        let first = depot.take()?;
        let more = depot.objects.len().min(BATCH - 1);
        let from = depot.objects.len() - more;
        objects.extend(depot.objects.drain(from..));
        depot.low = depot.low.min(depot.objects.len());
        Some(first)
    }

    /// Moves half of a full local to the depot, and puts `object` in. What it returns is to be dropped.
    #[cold]
    #[inline(never)]
    fn spill(&self, objects: &mut Vec<T>, object: T) -> (Option<T>, Vec<T>) {
        let mut depot = self.depot.lock();
        if depot.objects.len() + BATCH > self.limit {
            return (Some(object), Vec::new());
        }
        // The coldest go.
        depot.objects.extend(objects.drain(..BATCH));
        objects.push(object);
        (None, depot.end_of_period())
    }

    /// What it returns is to be dropped.
    #[cold]
    #[inline(never)]
    fn put_in_depot(&self, object: T) -> (Option<T>, Vec<T>) {
        let mut depot = self.depot.lock();
        if depot.objects.len() >= self.limit {
            return (Some(object), Vec::new());
        }
        depot.objects.push(object);
        (None, depot.end_of_period())
    }
}

impl Pool<Vec<u8>> {
    /// A pool of empty buffers with room for `capacity` bytes.
    ///
    /// A buffer that grew to more than four times that is not kept: a single large message would cost its memory for
    /// ever. (Go's packages that pool buffers have all learnt this: golang/go#23199.) Nor is one that was shrunk.
    pub const fn buffers(capacity: usize) -> Pool<Vec<u8>> {
        Pool::build(Make::Sized(Vec::with_capacity, capacity), reuse_buffer, DEPOT)
    }
}

fn reuse_buffer(buffer: &mut Vec<u8>, capacity: usize) -> bool {
    buffer.clear();
    buffer.capacity() >= capacity && buffer.capacity() / 4 <= capacity
}

impl<T> Depot<T> {
    fn take(&mut self) -> Option<T> {
        let object = self.objects.pop();
        self.low = self.low.min(self.objects.len());
        object
    }

    /// At the end of a period, takes out what was not needed in it.
    fn end_of_period(&mut self) -> Vec<T> {
        let now = nanotime();
        if now < self.until {
            return Vec::new();
        }
        // The first period begins with the first object, when nothing can be said yet.
        let unneeded = if self.until == 0 { 0 } else { self.low };
        self.until = now + PERIOD_NS;
        let gone: Vec<T> = self.objects.drain(..unneeded).collect();
        self.low = self.objects.len();
        gone
    }
}

impl<T> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("depot", &self.depot.lock().objects.len()).finish_non_exhaustive()
    }
}

/// An object of a [`Pool`], which goes back when this is dropped.
pub struct Pooled<'a, T: Send> {
    object: Option<T>, // taken out by drop and by `detach` only
    pool: &'a Pool<T>,
}

impl<T: Send> Pooled<'_, T> {
    /// The object, which does not go back.
    pub fn detach(mut self) -> T {
        self.object.take().unwrap_or_else(|| unreachable!("there until it is dropped"))
    }
}

impl<T: Send> Deref for Pooled<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.object.as_ref().unwrap_or_else(|| unreachable!("there until it is dropped"))
    }
}

impl<T: Send> DerefMut for Pooled<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.object.as_mut().unwrap_or_else(|| unreachable!("there until it is dropped"))
    }
}

impl<T: Send> Drop for Pooled<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            self.pool.put(object);
        }
    }
}

impl<T: Send + fmt::Debug> fmt::Debug for Pooled<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pooled").field(&self.object).finish()
    }
}
