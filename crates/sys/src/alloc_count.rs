//! An allocator that counts, for tests that promise to allocate nothing. Here because an allocator is `unsafe`.
//!
//! # Safety
//! Every call is passed on unchanged to the system's allocator, which keeps the contract.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Set it as the `#[global_allocator]` of a test, and compare [`CountingAlloc::count`] before and after.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct CountingAlloc {
    /// Allocations and reallocations so far, by all threads.
    count: AtomicUsize,
}

impl CountingAlloc {
    /// One that has counted nothing.
    pub const fn new() -> CountingAlloc {
        CountingAlloc { count: AtomicUsize::new(0) }
    }

    /// How many allocations and reallocations there were so far, by all threads.
    pub fn count(&self) -> usize {
        self.count.load(Relaxed)
    }
}

// SAFETY: see the module's text.
unsafe impl GlobalAlloc for CountingAlloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.count.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        self.count.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}
