//! Goroutine stacks: slots in large reservations, each with a guard below it.
//!
//! A slot is never unmapped: whoever gets it may keep it and use it again and again, at the cost of no system call. One
//! that is given back reads as zeros at any moment from then on, and is handed out again later. So a pointer into a
//! slot is valid for ever.
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
//! The memory of a slot belongs to whoever `alloc` gave it to, until he releases it.
#![allow(unsafe_code)]

use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::errno::Errno;

mod guard;
mod pool;

pub use guard::force_mprotect_guards;
pub use pool::{LiveCursor, StackPool};

/// The guard's size in pages.
const GUARD_PAGES: usize = 4;

/// How many reservations there may be, of all pools: a signal handler walks them. Each is twice as large as the last of
/// its pool.
const SLABS_MAX: usize = 512;

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
        unsafe { discard(self.bottom.as_ptr(), len) }
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

/// Memory that is not counted before it is touched. (The BSDs not named never count it.) MAP_STACK: OpenBSD ends a
/// process whose stack pointer is elsewhere; FreeBSD's makes a mapping that grows, which a slot does not.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
const NORESERVE: libc::c_int = libc::MAP_NORESERVE | libc::MAP_STACK;
#[cfg(target_vendor = "apple")]
const NORESERVE: libc::c_int = libc::MAP_NORESERVE;
#[cfg(any(target_os = "freebsd", target_os = "dragonfly"))]
const NORESERVE: libc::c_int = 0;

fn reserve(bytes: usize) -> Result<*mut u8, Errno> {
    map(std::ptr::null_mut(), bytes, 0)
}

/// Puts untouched memory in the place of the `bytes` at `at`: no page, no guard and no page table is left of them.
///
/// # Safety
/// The range is a part of a reservation, page-aligned, and nothing in it is in use. (Whoever reads it all the same
/// finds what was there or zeros: there is no moment at which nothing is mapped.)
unsafe fn map_again(at: *mut u8, bytes: usize) -> Result<(), Errno> {
    map(at, bytes, libc::MAP_FIXED).map(drop)
}

fn map(at: *mut u8, bytes: usize, fixed: libc::c_int) -> Result<*mut u8, Errno> {
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | NORESERVE | fixed;
    // SAFETY: a fresh anonymous mapping overlaps nothing, or what `map_again`'s caller says may be lost.
    let p = unsafe { libc::mmap(at.cast(), bytes, prot, flags, -1, 0) };
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

/// [`reserve`] at a multiple of `align`, a power of two.
fn reserve_aligned(bytes: usize, align: usize) -> Result<*mut u8, Errno> {
    let more = bytes.checked_add(align).ok_or(Errno::ENOMEM)?;
    let p = reserve(more)?;
    let before = p.addr().next_multiple_of(align) - p.addr();
    let start = p.wrapping_add(before);
    for (at, len) in [(p, before), (start.wrapping_add(bytes), align - before)] {
        if len > 0 {
            // SAFETY: a part of the mapping just made, outside of what is returned.
            unsafe { libc::munmap(at.cast(), len) };
        }
    }
    Ok(start)
}

/// Gives the memory of a range back to the kernel; guards in it stay.
///
/// # Safety
/// The range is a part of a reservation, page-aligned, and nothing in it is in use.
unsafe fn discard(at: *mut u8, bytes: usize) -> crate::Result<()> {
    // SAFETY: the caller's promise.
    crate::errno::check(unsafe { libc::madvise(at.cast(), bytes, libc::MADV_DONTNEED) }).map(drop)
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
/// A slot that nobody has at the moment counts as well: its guard may not be in place, but then nothing faults there.
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
