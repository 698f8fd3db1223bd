//! The cost of waiting and being woken: two goroutines on one P wake each other in turn.
//!
//! One iteration is a round trip: two parks, two wake-ups, two switches to the scheduler and back.

use criterion::{Criterion, criterion_group, criterion_main};
use gopark_benches::goroutine::on_goroutine;
use gopark_benches::ops;

fn park_unpark(c: &mut Criterion) {
    c.bench_function("park_unpark/round trip", |b| {
        b.iter_custom(|iterations| on_goroutine(move || ops::ping_pong(iterations as usize)));
    });
}

criterion_group!(benches, park_unpark);
criterion_main!(benches);
