//! Slots of one size: handing them out, and giving back to the kernel what they have cost.
//!
//! Which slots are in use is in bit maps, not in the slots themselves: a free slot costs one bit. The lowest free one
//! is handed out first, so that what is in use stays together.
//!
//! A released slot loses its pages at once. Its page tables, and the guard's entries in them, are shared with its
//! neighbours: at the default size half a KiB a slot, which is 100 MB for 200,000. So when all slots of a *group* have
//! been released, fresh memory is mapped over the group. A group is so many slots that it begins and ends with a page
//! table: any odd number of pages, times 512.
//!
//! Ways not taken. Unmapping: somebody may still hold a pointer into a slot. MADV_DONTNEED for the group: it leaves the
//! page tables before Linux 6.14, and guards keep theirs always. Mapping each slot anew: it would have to get its guard
//! again, and the tables at its ends would stay.
//!
//! # Safety
//! A slot belongs to who got it, and to the pool again once it was released. While a release works on slots without the
//! lock, their bits say that they are in use.
#![allow(unsafe_code)]

use std::ops::Range;
use std::ptr::NonNull;

use parking_lot::Mutex;

use super::guard::Guards;
use super::{GUARD_PAGES, SLABS, Slot, StackError, discard, map_again, page_size, reserve, reserve_aligned};
use crate::errno::Errno;

/// The most slots of a pool's first reservation; each further one is twice as large.
const FIRST_SLAB_SLOTS: usize = 64;

/// The most memory of a pool's first reservation. A process with little address space may want one large stack only.
const FIRST_SLAB_BYTES: usize = 64 << 20;

/// How many slots make a group: as many as a page table has entries (with pages of 4 KiB).
const GROUP: usize = 512;

/// Slots of one size.
#[derive(Debug)]
pub struct StackPool {
    slot_size: usize,
    synced: Mutex<Synced>,
}

/// What the lock guards.
#[derive(Debug)]
struct Synced {
    slabs: Vec<Slab>,
    /// No slot is free before this place: slab, word of its bit map.
    lowest: (usize, usize),
    guards: Guards,
    /// Slots that were released, ever.
    released: u64,
}

/// One reservation.
#[derive(Debug)]
struct Slab {
    start: NonNull<u8>,
    slots: usize,
    /// A bit for each slot: somebody has it, or a release is at work on it. Set for what is past the end.
    used: Box<[u64]>,
    /// A bit for each slot: its guard is in place. Whatever is used is guarded.
    guarded: Box<[u64]>,
    /// How many slots of each group somebody has.
    live: Box<[u16]>,
}

// SAFETY: the pointer is to memory that the pool owns.
unsafe impl Send for Slab {}

/// Where [`StackPool::live_slots`] goes on.
#[derive(Copy, Clone, Default, Debug)]
pub struct LiveCursor {
    slab: usize,
    index: usize,
}

impl Slab {
    fn new(start: NonNull<u8>, slots: usize) -> Slab {
        let words = slots.div_ceil(64);
        let mut used = vec![0_u64; words].into_boxed_slice();
        if !slots.is_multiple_of(64) {
            used[words - 1] = !0 << (slots % 64);
        }
        let live = vec![0; slots.div_ceil(GROUP)].into_boxed_slice();
        Slab { start, slots, used, guarded: vec![0; words].into_boxed_slice(), live }
    }

    fn at(&self, index: usize, slot_size: usize) -> NonNull<u8> {
        // SAFETY: inside the reservation, or one past its end.
        unsafe { self.start.add(index * slot_size) }
    }

    fn words_of(&self, groups: &Range<usize>) -> Range<usize> {
        groups.start * (GROUP / 64)..(groups.end * (GROUP / 64)).min(self.used.len())
    }

    fn slots_of(&self, groups: &Range<usize>) -> Range<usize> {
        groups.start * GROUP..(groups.end * GROUP).min(self.slots)
    }

    /// Marks all slots of a group as used, or as free.
    fn fill(&mut self, group: usize, free: bool) {
        for word in self.words_of(&(group..group + 1)) {
            self.used[word] = if free { 0 } else { !0 };
        }
        let last = self.used.len() - 1;
        if free && !self.slots.is_multiple_of(64) && group + 1 == self.live.len() {
            self.used[last] = !0 << (self.slots % 64);
        }
    }
}

/// What one release has to do: places in the reservations, in order.
#[derive(Default)]
struct Work {
    /// Groups of which nobody has a slot any more: slab, groups next to each other.
    groups: Vec<(usize, Range<usize>)>,
    /// The other slots: slab, slots next to each other.
    runs: Vec<(usize, Range<usize>)>,
}

impl StackPool {
    /// A pool of slots with at least `usable` bytes each.
    ///
    /// # Errors
    /// If the first reservation cannot be had, for a size that no memory has room for as well.
    pub fn new(usable: usize) -> Result<StackPool, StackError> {
        let page = page_size();
        let pages = usable.div_ceil(page).max(2) + GUARD_PAGES;
        let slot_size = (pages | 1).checked_mul(page).ok_or(StackError::Map(Errno::ENOMEM))?; // odd
        let synced = Synced { slabs: Vec::new(), lowest: (0, 0), guards: Guards::probe(), released: 0 };
        let pool = StackPool { slot_size, synced: Mutex::new(synced) };
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

    /// The address space of all slots, those that nobody has included, in bytes.
    pub fn reserved(&self) -> usize {
        self.synced.lock().slabs.iter().map(|slab| slab.slots * self.slot_size).sum()
    }

    /// How many slots were released, ever.
    pub fn released(&self) -> u64 {
        self.synced.lock().released
    }

    /// A slot, its guard in place, its memory untouched.
    ///
    /// Untouched memory reads as zero, but for a slot that somebody has released: who kept a pointer into it may have
    /// written there since, and systems other than Linux may keep what was there before.
    ///
    /// # Errors
    /// [`StackError`] says which limit was reached, and what to do.
    pub fn alloc(&self) -> Result<Slot, StackError> {
        let mut s = self.synced.lock();
        let (slab, word) = match s.lowest_free() {
            Some(place) => place,
            None => {
                self.new_slab(&mut s)?;
                (s.slabs.len() - 1, 0)
            }
        };
        s.lowest = (slab, word);
        let Synced { slabs, guards, .. } = &mut *s;
        let slab = &mut slabs[slab];
        let bit = slab.used[word].trailing_ones();
        let index = word * 64 + bit as usize;
        if slab.guarded[word] >> bit & 1 == 0 {
            // As many as follow without one, in this word.
            let n =
                ((slab.guarded[word] >> bit).trailing_zeros().min(64 - bit) as usize).min(slab.slots - index);
            let (first, guard) = (slab.at(index, self.slot_size), GUARD_PAGES * page_size());
            let n = guards.install(first, self.slot_size, guard, n)?;
            slab.guarded[word] |= !0 >> (64 - n) << bit;
        }
        slab.used[word] |= 1 << bit;
        slab.live[index / GROUP] += 1;
        Ok(self.slot(slab, index))
    }

    fn slot(&self, slab: &Slab, index: usize) -> Slot {
        let start = slab.at(index, self.slot_size);
        // SAFETY: both are inside the reservation, or one past its end.
        let (bottom, top) = unsafe { (start.add(GUARD_PAGES * page_size()), start.add(self.slot_size)) };
        Slot { top, bottom }
    }

    /// Takes slots back, and gives their memory back to the kernel. Their order is changed.
    ///
    /// A few system calls for slots next to each other. Locked memory (mlockall) stays as it is, content included.
    ///
    /// # Safety
    /// The slots are of this pool and the caller's, and each is there once. Nothing in them is in use; but that
    /// pointers into them are kept, and even used, is allowed: see [`StackPool::alloc`].
    pub unsafe fn release(&self, slots: &mut [Slot]) {
        slots.sort_unstable_by_key(|slot| slot.top.addr());
        let work = self.synced.lock().begin(slots, self.slot_size);
        let mut mapped = Vec::with_capacity(work.groups.len());
        for (slab, groups) in &work.groups {
            let (at, bytes) = self.synced.lock().range(*slab, |s| s.slots_of(groups), self.slot_size);
            // Locked memory refuses to be discarded, and what is mapped in its place would be made resident at once.
            // SAFETY: nobody has any slot of these groups, and no one gets one before `end`.
            mapped.push(unsafe { discard(at, page_size()).is_ok() && map_again(at, bytes).is_ok() });
            if mapped.last() == Some(&false) {
                // SAFETY: as above.
                let _ = unsafe { discard(at, bytes) };
            }
        }
        for (slab, run) in &work.runs {
            let (at, bytes) = self.synced.lock().range(*slab, |_| run.clone(), self.slot_size);
            // SAFETY: the caller's slots. It fails for locked memory only, which stays.
            let _ = unsafe { discard(at, bytes) };
        }
        let mut s = self.synced.lock();
        s.end(&work, &mapped);
        s.released += slots.len() as u64;
    }

    /// Calls `f` with up to `max` slots that somebody has, in no order that means anything, beginning at `from`;
    /// returns where to go on, or none at the end.
    ///
    /// One that was handed out this moment may be among them, and one that was released.
    pub fn live_slots(&self, from: LiveCursor, max: usize, mut f: impl FnMut(Slot)) -> Option<LiveCursor> {
        let s = self.synced.lock();
        let (mut at, mut left) = (from, max);
        while let Some(slab) = s.slabs.get(at.slab) {
            while at.index < slab.slots {
                let rest = slab.used[at.index / 64] >> (at.index % 64);
                if rest == 0 {
                    at.index = (at.index / 64 + 1) * 64;
                    continue;
                }
                at.index += rest.trailing_zeros() as usize;
                if at.index >= slab.slots {
                    break;
                }
                if left == 0 {
                    return Some(at);
                }
                left -= 1;
                f(self.slot(slab, at.index));
                at.index += 1;
            }
            at = LiveCursor { slab: at.slab + 1, index: 0 };
        }
        None
    }

    /// Reserves room for twice as many slots as last time.
    fn new_slab(&self, s: &mut Synced) -> Result<(), StackError> {
        let least = (FIRST_SLAB_BYTES / self.slot_size).clamp(1, FIRST_SLAB_SLOTS);
        let mut slots = s.slabs.last().map_or(least, |slab| slab.slots.saturating_mul(2));
        // The span of a page table.
        let align = page_size() * (page_size() / size_of::<u64>());
        let start = loop {
            // A product that wrapped would be reserved, and slots lie beyond it.
            let bytes = slots.checked_mul(self.slot_size).ok_or(Errno::ENOMEM);
            let reserved =
                bytes.and_then(|n| if slots >= GROUP { reserve_aligned(n, align) } else { reserve(n) });
            match reserved {
                Ok(start) => break start,
                // An address-space limit may still allow a smaller one.
                Err(_) if slots > least => slots /= 2,
                Err(errno) => return Err(StackError::Map(errno)),
            }
        };
        let slab = NonNull::new(start).filter(|_| SLABS.publish(start, slots, self.slot_size));
        let Some(start) = slab else {
            // SAFETY: just mapped, and nobody has it.
            unsafe { libc::munmap(start.cast(), slots * self.slot_size) };
            return Err(StackError::Map(Errno::ENOMEM));
        };
        s.slabs.push(Slab::new(start, slots));
        Ok(())
    }
}

impl Synced {
    /// The lowest place that has a free slot: slab and word.
    fn lowest_free(&self) -> Option<(usize, usize)> {
        let (first, mut word) = self.lowest;
        for (i, slab) in self.slabs.iter().enumerate().skip(first) {
            if let Some(found) = slab.used[word..].iter().position(|w| *w != !0) {
                return Some((i, word + found));
            }
            word = 0;
        }
        None
    }

    fn range(
        &self,
        slab: usize,
        slots: impl FnOnce(&Slab) -> Range<usize>,
        slot_size: usize,
    ) -> (*mut u8, usize) {
        let slab = &self.slabs[slab];
        let slots = slots(slab);
        (slab.at(slots.start, slot_size).as_ptr(), slots.len() * slot_size)
    }

    /// Finds out what is to be done for the sorted `slots`. All of it stays marked as used.
    fn begin(&mut self, slots: &[Slot], slot_size: usize) -> Work {
        let mut work = Work::default();
        let mut runs: Vec<(usize, Range<usize>)> = Vec::new();
        for slot in slots {
            let top = slot.top.addr().get();
            let holds = |slab: &Slab| {
                (1..=slab.slots * slot_size).contains(&top.wrapping_sub(slab.start.addr().get()))
            };
            let Some(i) = self.slabs.iter().position(holds) else {
                crate::throw!("a stack slot that is not of this pool");
            };
            let index = (top - self.slabs[i].start.addr().get()) / slot_size - 1;
            let live = &mut self.slabs[i].live[index / GROUP];
            *live = match live.checked_sub(1) {
                Some(left) => left,
                None => crate::throw!("a stack slot was released twice"),
            };
            match runs.last_mut() {
                // Not over the end of a group: that may be somebody else's to do.
                Some((slab, run)) if *slab == i && run.end == index && !index.is_multiple_of(GROUP) => {
                    run.end += 1
                }
                _ => runs.push((i, index..index + 1)),
            }
        }
        for (i, run) in runs {
            let group = run.start / GROUP;
            if self.slabs[i].live[group] > 0 {
                work.runs.push((i, run));
                continue;
            }
            match work.groups.last_mut() {
                Some((slab, groups)) if *slab == i && groups.contains(&group) => continue,
                Some((slab, groups)) if *slab == i && groups.end == group => groups.end += 1,
                _ => work.groups.push((i, group..group + 1)),
            }
            self.slabs[i].fill(group, false);
        }
        work
    }

    /// The work is done; for each range of groups, whether fresh memory was mapped.
    fn end(&mut self, work: &Work, mapped: &[bool]) {
        let mut lowest = self.lowest;
        for ((i, groups), mapped) in work.groups.iter().zip(mapped) {
            let slab = &mut self.slabs[*i];
            groups.clone().for_each(|group| slab.fill(group, true));
            if *mapped {
                let words = slab.words_of(groups);
                let words = &mut slab.guarded[words];
                self.guards.removed(words.iter().map(|w| w.count_ones() as usize).sum());
                words.fill(0);
            }
            lowest = lowest.min((*i, groups.start * (GROUP / 64)));
        }
        for (i, run) in &work.runs {
            for index in run.clone() {
                self.slabs[*i].used[index / 64] &= !(1 << (index % 64));
            }
            lowest = lowest.min((*i, run.start / 64));
        }
        self.lowest = lowest;
    }
}
