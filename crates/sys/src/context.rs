//! The context switch: corosensei, behind the few names the scheduler needs.
//!
//! A [`Coroutine`] is a suspended computation on memory of the caller's. `resume` switches to it from the calling
//! thread's own stack; [`Yielder::suspend`] switches back. A pair costs about 2 ns.
//!
//! # Safety
//! corosensei's own `Stack` trait wants a guard below the stack; here that is the slot's business (`stack`). A
//! coroutine must run to its end: dropping a suspended one would have to unwind it, and corosensei, built without
//! its `unwind` feature, aborts instead.
#![allow(unsafe_code)]

use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use corosensei::stack::{Stack, StackPointer};
use corosensei::{CoroutineResult, Yielder as RawYielder};

/// Memory that somebody else owns, as a stack.
struct Region {
    base: StackPointer,
    limit: StackPointer,
}

// SAFETY: `Coroutine::new`'s caller promises that the region is usable memory with a guard below it.
unsafe impl Stack for Region {
    #[inline]
    fn base(&self) -> StackPointer {
        self.base
    }

    #[inline]
    fn limit(&self) -> StackPointer {
        self.limit
    }
}

/// The largest function that corosensei moves to a coroutine's stack: `allocate_obj_on_stack` panics beyond it.
const ON_STACK_MAX: usize = 1024;

/// Why [`Coroutine::resume`] came back.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Switch {
    /// The coroutine suspended with this word.
    Yield(usize),
    /// The coroutine's function returned.
    Return,
}

/// A computation that can be left and gone on with, on any thread, one at a time.
pub struct Coroutine {
    raw: ManuallyDrop<corosensei::Coroutine<*mut (), usize, (), Region>>,
}

impl std::fmt::Debug for Coroutine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coroutine").field("done", &self.raw.done()).finish()
    }
}

impl Coroutine {
    /// Prepares `f` to run on the memory from `limit` up to `base`; `f` itself is moved to the top of it, or to the
    /// heap if it is larger than 1 KiB.
    ///
    /// The first resume's argument is passed to `f` beside the yielder.
    ///
    /// # Safety
    /// - `base` and `limit` are 16-aligned, at least 4 KiB apart, the memory between is readable and writable, and no
    ///   other coroutine that has not returned uses it; accesses below `limit` fault.
    /// - `f` does not unwind, and what it borrows lives until it has returned.
    /// - If the coroutine is never resumed to its end, `f` is never dropped; that is safe, but leaks.
    #[inline]
    pub unsafe fn new<F: FnOnce(&Yielder, *mut ())>(
        base: NonNull<u8>,
        limit: NonNull<u8>,
        f: F,
    ) -> Coroutine {
        if const { size_of::<F>() > ON_STACK_MAX } {
            let f = Box::new(f);
            // SAFETY: the caller's promises.
            return unsafe { Coroutine::prepare(base, limit, move |yielder, input| f(yielder, input)) };
        }
        // SAFETY: as above.
        unsafe { Coroutine::prepare(base, limit, f) }
    }

    /// # Safety
    /// As [`Coroutine::new`]; `f` is no larger than [`ON_STACK_MAX`].
    #[inline]
    unsafe fn prepare<F: FnOnce(&Yielder, *mut ())>(
        base: NonNull<u8>,
        limit: NonNull<u8>,
        f: F,
    ) -> Coroutine {
        let address = |p: NonNull<u8>| match StackPointer::new(p.as_ptr().addr()) {
            Some(address) => address,
            None => crate::throw!("a stack at address zero"),
        };
        let region = Region { base: address(base), limit: address(limit) };
        // corosensei takes plain addresses: the region's provenance must be exposed for it.
        let _ = limit.as_ptr().expose_provenance();
        let entry = move |yielder: &RawYielder<*mut (), usize>, input: *mut ()| {
            f(Yielder::from_raw(yielder), input);
        };
        // SAFETY: the caller's promises are those of corosensei.
        let raw = unsafe { corosensei::Coroutine::with_stack_unchecked(region, entry) };
        Coroutine { raw: ManuallyDrop::new(raw) }
    }

    /// Runs the coroutine on the calling thread until it suspends or returns.
    ///
    /// # Safety
    /// - It has not returned yet, and no other thread runs it.
    /// - All that its frames hold may be used on this thread.
    #[inline]
    pub unsafe fn resume(&mut self, input: *mut ()) -> Switch {
        match self.raw.resume(input) {
            CoroutineResult::Yield(request) => Switch::Yield(request),
            CoroutineResult::Return(()) => Switch::Return,
        }
    }

    /// True once the function has returned.
    pub fn done(&self) -> bool {
        self.raw.done()
    }
}

/// The way out of a coroutine, for the function that runs on it.
#[repr(transparent)]
pub struct Yielder(RawYielder<*mut (), usize>);

impl std::fmt::Debug for Yielder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Yielder")
    }
}

impl Yielder {
    #[inline]
    fn from_raw(raw: &RawYielder<*mut (), usize>) -> &Yielder {
        // SAFETY: repr(transparent).
        unsafe { &*std::ptr::from_ref(raw).cast::<Yielder>() }
    }

    /// Leaves the coroutine with `request`; returns the argument of the next resume, possibly on another thread.
    ///
    /// # Safety
    /// Called on this yielder's own coroutine. Whatever the calling frames hold may be used on whichever thread
    /// resumes; see the contract of the runtime's start.
    #[inline]
    pub unsafe fn suspend(&self, request: usize) -> *mut () {
        self.0.suspend(request)
    }
}

/// Asks for the cache line at `p`, which need not be valid.
#[inline]
pub fn prefetch(p: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch never faults.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(p.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a prefetch never faults, and changes neither memory nor flags.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{p}]", p = in(reg) p, options(nostack, readonly, preserves_flags));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = p;
}
