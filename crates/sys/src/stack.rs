//! Goroutine stacks: slots in large reservations, each with a guard below it.
//!
//! A slot is handed out once and never unmapped: whoever gets it keeps it for ever and reuses it as he likes. So a
//! pointer into a slot is always valid, and giving stacks back to each other costs no system call.
//!
//! ```text
//!   low                                                                              high
//!   | guard, 4 pages  | usable: goroutine frames grow down ....... | header of the user |  next slot ...
//!   |                 ^ bottom                                                          ^ top
//! ```
//!
//! - Reservations are made with MAP_NORESERVE (only touched pages count) and MADV_NOHUGEPAGE (one touched stack
//!   would otherwise make 2 MiB resident).
//! - The distance between slots is an odd number of pages: at power-of-two distances the tops of all stacks compete
//!   for the same cache lines. Measured: 30 % on many live stacks.
//! - The guard is 4 pages, since C code compiled without stack probes can jump over one; a POSIX thread has 1 by
//!   default. Each page of it is a page-table entry to write when a stack is first handed out: of the 3.7 µs that a
//!   goroutine on a new stack costs, 16 pages took 0.6 µs more than 4.
//! - Guards are installed by MADV_GUARD_INSTALL (Linux 6.13), which costs no mapping per stack, so that a million fit
//!   under `vm.max_map_count`; by mprotect on older kernels, within a budget.
//!
//! # Safety
//! The memory of a slot belongs to whoever `alloc` gave it to.
#![allow(unsafe_code)]

use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::errno::Errno;

mod guard;

use guard::Guards;
pub use guard::force_mprotect_guards;

/// The guard's size in pages.
const GUARD_PAGES: usize = 4;

/// How many slots the first reservation has. The number of reservations is bounded, so that a signal handler can
/// walk them: they double in size.
const FIRST_SLAB_SLOTS: usize = 64;

/// Each reservation is twice as large as the last: more than the address space holds, even for several pools.
const SLABS_MAX: usize = 48;

/// A stack slot. Never unmapped.
#[derive(Copy, Clone, Debug)]
pub struct Slot {
    top: NonNull<u8>,
    bottom: NonNull<u8>,
}

// SAFETY: a slot is a piece of memory; who may use it is not bound to a thread.
unsafe impl Send for Slot {}
// SAFETY: as above.
unsafe impl Sync for Slot {}

impl Slot {
    /// The first address above the slot; page-aligned.
    pub fn top(&self) -> NonNull<u8> {
        self.top
    }

    /// The lowest usable address; page-aligned. Below it is the guard.
    pub fn bottom(&self) -> NonNull<u8> {
        self.bottom
    }

    /// Gives the memory below the highest `keep_top` bytes (rounded up to pages) back to the kernel. Its content is
    /// lost: on Linux it reads as zero afterwards, elsewhere the kernel may take its time. The guard stays.
    ///
    /// # Errors
    /// What madvise(2) reports: EINVAL for locked memory (mlockall), which stays as it is.
    ///
    /// # Safety
    /// The slot is the caller's, and nothing below `keep_top` is in use.
    pub unsafe fn trim(&self, keep_top: usize) -> crate::Result<()> {
        let page = page_size();
        let keep = keep_top.next_multiple_of(page);
        let len = (self.top.addr().get() - self.bottom.addr().get()).saturating_sub(keep);
        if len == 0 {
            return Ok(());
        }
        // SAFETY: inside the slot, which is the caller's.
        let rc = unsafe { libc::madvise(self.bottom.as_ptr().cast(), len, libc::MADV_DONTNEED) };
        crate::errno::check(rc).map(drop)
    }
}

/// Why no stack could be had.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum StackError {
    /// The kernel refused the reservation.
    Map(Errno),
    /// The kernel refused the guard.
    Guard(Errno),
    /// Each guard costs mappings on this kernel, and their budget is used up.
    TooManyMappings {
        /// How many stacks the budget allows.
        stacks: usize,
        /// `vm.max_map_count`.
        max_map_count: usize,
    },
}

impl fmt::Display for StackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StackError::Map(errno) => write!(
                f,
                "cannot reserve memory for stacks: {errno}; see vm.overcommit_memory, ulimit -v and the memory limit \
                 of the cgroup, or ask for smaller stacks"
            ),
            StackError::Guard(errno) => write!(
                f,
                "cannot protect a stack: {errno}; free memory, or raise vm.max_map_count (sysctl -w \
                 vm.max_map_count=1000000)"
            ),
            StackError::TooManyMappings { stacks, max_map_count } => write!(
                f,
                "{stacks} stacks are in use, the most that vm.max_map_count = {max_map_count} allows on this kernel: \
                 raise it (sysctl -w vm.max_map_count=1000000), or use Linux 6.13 or later, where stacks need no \
                 mappings"
            ),
        }
    }
}

impl std::error::Error for StackError {}

/// Slots of one size.
#[derive(Debug)]
pub struct StackPool {
    slot_size: usize,
    synced: Mutex<Synced>,
}

/// What the lock guards.
#[derive(Debug)]
struct Synced {
    /// The reservation that slots come from, and what is left of it.
    slab: *mut u8,
    slab_slots: usize,
    next: usize,
    /// Slots below this index have their guard.
    guarded: usize,
    guards: Guards,
    /// All reservations together, in slots.
    reserved: usize,
}

// SAFETY: the pointer is to memory that the pool owns.
unsafe impl Send for Synced {}

impl StackPool {
    /// A pool of slots with at least `usable` bytes each.
    ///
    /// # Errors
    /// If the first reservation cannot be had, for a size that no memory has room for as well.
    pub fn new(usable: usize) -> Result<StackPool, StackError> {
        let page = page_size();
        let pages = usable.div_ceil(page).max(2) + GUARD_PAGES;
        let slot_size = (pages | 1).checked_mul(page).ok_or(StackError::Map(Errno::ENOMEM))?; // odd
        let slab = Synced {
            slab: std::ptr::null_mut(),
            slab_slots: FIRST_SLAB_SLOTS / 2,
            next: FIRST_SLAB_SLOTS / 2,
            guarded: FIRST_SLAB_SLOTS / 2,
            guards: Guards::probe(),
            reserved: 0,
        };
        let pool = StackPool { slot_size, synced: Mutex::new(slab) };
        pool.new_slab(&mut pool.synced.lock())?;
        Ok(pool)
    }

    /// The distance between slots, in bytes.
    pub fn slot_size(&self) -> usize {
        self.slot_size
    }

    /// The usable bytes of a slot.
    pub fn usable(&self) -> usize {
        self.slot_size - GUARD_PAGES * page_size()
    }

    /// The address space of all slots, those that nobody has yet included, in bytes.
    pub fn reserved(&self) -> usize {
        self.synced.lock().reserved * self.slot_size
    }

    /// A fresh slot, its guard in place, its memory untouched.
    ///
    /// # Errors
    /// [`StackError`] says which limit was reached, and what to do.
    pub fn alloc(&self) -> Result<Slot, StackError> {
        let mut s = self.synced.lock();
        if s.next == s.slab_slots {
            self.new_slab(&mut s)?;
        }
        if s.next == s.guarded {
            let left = s.slab_slots - s.next;
            let first = self.slot_start(&s, s.next);
            s.guarded += s.guards.install(first, self.slot_size, GUARD_PAGES * page_size(), left)?;
        }
        let start = self.slot_start(&s, s.next);
        s.next += 1;
        // SAFETY: both are inside the reservation, or one past its end.
        let (bottom, top) = unsafe { (start.add(GUARD_PAGES * page_size()), start.add(self.slot_size)) };
        Ok(Slot { top, bottom })
    }

    fn slot_start(&self, s: &Synced, index: usize) -> NonNull<u8> {
        match NonNull::new(s.slab.wrapping_add(index * self.slot_size)) {
            Some(p) => p,
            None => crate::throw!("a stack reservation at address zero"),
        }
    }

    /// Reserves room for twice as many slots as last time.
    fn new_slab(&self, s: &mut Synced) -> Result<(), StackError> {
        let mut slots = s.slab_slots.saturating_mul(2).max(FIRST_SLAB_SLOTS);
        let slab = loop {
            // A product that wrapped would be reserved, and slots lie beyond it.
            let reserved = slots.checked_mul(self.slot_size).ok_or(Errno::ENOMEM).and_then(reserve);
            match reserved {
                Ok(slab) => break slab,
                // An address-space limit may still allow a smaller one.
                Err(_) if slots > FIRST_SLAB_SLOTS => slots /= 2,
                Err(errno) => return Err(StackError::Map(errno)),
            }
        };
        if !SLABS.publish(slab, slots, self.slot_size) {
            // SAFETY: just mapped, and nobody has it.
            unsafe { libc::munmap(slab.cast(), slots * self.slot_size) };
            return Err(StackError::Map(Errno::ENOMEM));
        }
        (s.slab, s.slab_slots, s.next, s.guarded) = (slab, slots, 0, 0);
        s.reserved += slots;
        Ok(())
    }
}

/// Memory that is not counted before it is touched. (The BSDs not named never count it.) MAP_STACK: OpenBSD ends a
/// process whose stack pointer is elsewhere; FreeBSD's makes a mapping that grows, which a slot does not.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
const NORESERVE: libc::c_int = libc::MAP_NORESERVE | libc::MAP_STACK;
#[cfg(target_vendor = "apple")]
const NORESERVE: libc::c_int = libc::MAP_NORESERVE;
#[cfg(any(target_os = "freebsd", target_os = "dragonfly"))]
const NORESERVE: libc::c_int = 0;

fn reserve(bytes: usize) -> Result<*mut u8, Errno> {
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | NORESERVE;
    // SAFETY: a fresh anonymous mapping overlaps nothing.
    let p = unsafe { libc::mmap(std::ptr::null_mut(), bytes, prot, flags, -1, 0) };
    if p == libc::MAP_FAILED {
        return Err(Errno::last());
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    // SAFETY: the mapping just made. A kernel without huge pages refuses, which is as good.
    unsafe {
        libc::madvise(p, bytes, libc::MADV_NOHUGEPAGE);
    }
    Ok(p.cast())
}

/// The page size in bytes.
pub fn page_size() -> usize {
    static SIZE: AtomicUsize = AtomicUsize::new(0);
    match SIZE.load(Ordering::Relaxed) {
        0 => {
            // SAFETY: no arguments to get wrong.
            let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
            SIZE.store(size, Ordering::Relaxed);
            size
        }
        size => size,
    }
}

/// All reservations, for the signal handler: entries are written once, then `len` counts them.
struct Slabs {
    len: AtomicUsize,
    start: [AtomicPtr<u8>; SLABS_MAX],
    slots: [AtomicUsize; SLABS_MAX],
    slot_size: [AtomicUsize; SLABS_MAX],
    lock: Mutex<()>,
}

static SLABS: Slabs = Slabs {
    len: AtomicUsize::new(0),
    start: [const { AtomicPtr::new(std::ptr::null_mut()) }; SLABS_MAX],
    slots: [const { AtomicUsize::new(0) }; SLABS_MAX],
    slot_size: [const { AtomicUsize::new(0) }; SLABS_MAX],
    lock: Mutex::new(()),
};

impl Slabs {
    fn publish(&self, start: *mut u8, slots: usize, slot_size: usize) -> bool {
        let _guard = self.lock.lock();
        let i = self.len.load(Ordering::Relaxed);
        if i == SLABS_MAX {
            return false;
        }
        self.start[i].store(start, Ordering::Relaxed);
        self.slots[i].store(slots, Ordering::Relaxed);
        self.slot_size[i].store(slot_size, Ordering::Relaxed);
        self.len.store(i + 1, Ordering::Release); // pairs with guard_hit
        true
    }
}

/// The slot whose guard holds `addr`, if one does. Async-signal-safe.
///
/// A slot that nobody has yet counts as well: its guard may not be in place, but then nothing faults there.
pub fn guard_hit(addr: usize) -> Option<Slot> {
    for i in 0..SLABS.len.load(Ordering::Acquire) {
        let start = SLABS.start[i].load(Ordering::Relaxed); // pairs with publish, by len
        let size = SLABS.slot_size[i].load(Ordering::Relaxed);
        let guard = GUARD_PAGES * page_size(); // known since the reservation was made: no system call
        let offset = addr.wrapping_sub(start.addr());
        if offset >= SLABS.slots[i].load(Ordering::Relaxed) * size {
            continue;
        }
        if offset % size >= guard {
            return None;
        }
        let slot = start.wrapping_add(offset / size * size);
        return Some(Slot {
            bottom: NonNull::new(slot.wrapping_add(guard))?,
            top: NonNull::new(slot.wrapping_add(size))?,
        });
    }
    None
}
