//! The cost of the run queue, seen through `yield_now`: to the back of it, and the next one from its front.
//!
//! 2 goroutines always find it in the cache; 200 fill the local queue of 256 without overflowing it; 1,000 overflow to
//! the global queue, and their stacks compete for the cache too. Build with `--cfg runq="deque"` to compare.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use gopark_benches::goroutine::on_goroutine;
use gopark_benches::ops;

fn runq(c: &mut Criterion) {
    let mut group = c.benchmark_group("runq/yield");
    for goroutines in [2usize, 200, 1000] {
        group.bench_function(BenchmarkId::from_parameter(goroutines), |b| {
            b.iter_custom(|iterations| {
                let rounds = (iterations as usize).div_ceil(goroutines);
                let took = on_goroutine(move || ops::yields(goroutines, rounds));
                // A whole number of rounds is rarely what was asked for: scale to it.
                took.mul_f64(iterations as f64 / (rounds * goroutines) as f64)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, runq);
criterion_main!(benches);
