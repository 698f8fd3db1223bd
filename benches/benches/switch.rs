//! The cost of the context switch alone: into a coroutine and back, no scheduler around it.
//!
//! # Safety
//! The stack comes from the pool and is never given back, the coroutine never unwinds and is never dropped.
#![allow(unsafe_code)]

use criterion::{Criterion, criterion_group, criterion_main};
use gopark_sys::context::{Coroutine, Switch};
use gopark_sys::stack::StackPool;
use std::hint::black_box;
use std::mem::ManuallyDrop;
use std::ptr::null_mut;

fn switch(c: &mut Criterion) {
    let pool = StackPool::new(64 * 1024).expect("address space for a few stacks");
    let slot = pool.alloc().expect("a first stack");
    // SAFETY: the slot is fresh, as long-lived as the process, and nothing else runs on it; within, the yielder is
    // used on the coroutine that it belongs to.
    let coroutine = unsafe {
        Coroutine::new(slot.top(), slot.bottom(), |yielder, _| {
            loop {
                yielder.suspend(black_box(1));
            }
        })
    };
    let mut coroutine = ManuallyDrop::new(coroutine);
    c.bench_function("switch/resume and suspend", |b| {
        b.iter(|| {
            // SAFETY: it is suspended, and on this thread only.
            let switch = unsafe { coroutine.resume(null_mut()) };
            debug_assert!(matches!(switch, Switch::Yield(1)));
        });
    });
}

criterion_group!(benches, switch);
criterion_main!(benches);
