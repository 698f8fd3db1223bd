//! The cost of a goroutine that does nothing: made, run, and gone again, on a stack from the pool.
//!
//! Not measured here: the first use of a stack (suite micro, `cold50k`), and anything a goroutine does.

use criterion::{Criterion, criterion_group, criterion_main};
use gopark_benches::goroutine::on_goroutine;
use gopark_benches::ops;

fn spawn(c: &mut Criterion) {
    // 100 for each iteration: divide by that.
    c.bench_function("spawn/100 and wait", |b| {
        b.iter_custom(|iterations| on_goroutine(move || ops::create(iterations as usize)));
    });
    c.bench_function("spawn/one and join", |b| {
        b.iter_custom(|iterations| on_goroutine(move || ops::join(iterations as usize)));
    });
}

criterion_group!(benches, spawn);
criterion_main!(benches);
