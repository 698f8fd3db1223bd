//! The heap itself: four children to a node, and every entry knows where it is.
//!
//! Four and not two: half the levels, and the children of a node are in one or two cache lines (Go's choice;
//! measured in Go at about 20 % on timer-heavy programs). The time is in the entry, so that sifting does not
//! touch timers; their `idx` is written, not read.

use super::Target;
use crate::sync::atomic::Ordering::Relaxed;

const ARITY: usize = 4;

#[derive(Copy, Clone)]
pub(super) struct Entry {
    pub(super) when: i64,
    pub(super) target: Target,
}

/// Under the lock of its `Timers`.
pub(super) struct Heap {
    entries: Vec<Entry>,
}

impl Heap {
    pub(super) const fn new() -> Heap {
        Heap { entries: Vec::new() }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Keeps room for twice of what is there, or a page full.
    pub(super) fn shrink(&mut self) {
        self.entries.shrink_to((self.entries.len() * 2).max(128));
    }

    /// 0: none.
    #[inline]
    pub(super) fn earliest(&self) -> i64 {
        self.entries.first().map_or(0, |e| e.when)
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
        self.sift_up(self.entries.len() - 1);
    }

    pub(super) fn pop_due(&mut self, now: i64) -> Option<Entry> {
        let first = *self.entries.first()?;
        if first.when > now {
            return None;
        }
        self.remove_at(0);
        Some(first)
    }

    /// The cheapest to take out.
    pub(super) fn pop_any(&mut self) -> Option<Entry> {
        self.entries.pop()
    }

    pub(super) fn update(&mut self, target: Target, when: i64) {
        let at = self.place_of(target);
        let before = std::mem::replace(&mut self.entries[at].when, when);
        if when < before {
            self.sift_up(at);
        } else {
            self.sift_down(at);
        }
    }

    pub(super) fn remove(&mut self, target: Target) {
        self.remove_at(self.place_of(target));
    }

    fn place_of(&self, target: Target) -> usize {
        let at = target.link().idx.load(Relaxed) as usize;
        if at >= self.entries.len() || !std::ptr::eq(self.entries[at].target.link(), target.link()) {
            gopark_sys::throw!("gopark: a timer is not where it says it is");
        }
        at
    }

    fn remove_at(&mut self, at: usize) {
        self.entries.swap_remove(at);
        if at < self.entries.len() {
            // What came from the end may belong further up or further down. If it went up, what is here now
            // was its ancestor and stays.
            self.sift_up(at);
            self.sift_down(at);
        }
    }

    #[inline]
    fn put(&mut self, at: usize, entry: Entry) {
        self.entries[at] = entry;
        entry.target.link().idx.store(at as u32, Relaxed);
    }

    fn sift_up(&mut self, mut at: usize) {
        let entry = self.entries[at];
        while at > 0 {
            let parent = (at - 1) / ARITY;
            if self.entries[parent].when <= entry.when {
                break;
            }
            self.put(at, self.entries[parent]);
            at = parent;
        }
        self.put(at, entry);
    }

    fn sift_down(&mut self, mut at: usize) {
        let entry = self.entries[at];
        loop {
            let first = at * ARITY + 1;
            let children = first..(first + ARITY).min(self.entries.len());
            let Some(least) = children.min_by_key(|&c| self.entries[c].when) else {
                break;
            };
            if self.entries[least].when >= entry.when {
                break;
            }
            self.put(at, self.entries[least]);
            at = least;
        }
        self.put(at, entry);
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn is_sound(&self) -> bool {
        self.entries.iter().enumerate().all(|(i, e)| {
            let parent = i.saturating_sub(1) / ARITY;
            e.target.link().idx.load(Relaxed) as usize == i && self.entries[parent].when <= e.when
        })
    }
}
