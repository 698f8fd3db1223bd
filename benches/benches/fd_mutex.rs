//! The cost of a descriptor's lock, which every read and write pays: taken and released with nobody in the way.

use criterion::{Criterion, criterion_group, criterion_main};
use gopark_poll::{FdMutex, Mode};
use std::hint::black_box;

fn fd_mutex(c: &mut Criterion) {
    let mutex: &'static FdMutex = Box::leak(Box::new(FdMutex::new()));
    c.bench_function("fd_mutex/read lock and unlock", |b| {
        b.iter(|| {
            let mutex = black_box(mutex);
            mutex.rwlock(Mode::Read).expect("nobody closes it");
            black_box(mutex.rwunlock(Mode::Read))
        });
    });
    c.bench_function("fd_mutex/reference and back", |b| {
        b.iter(|| {
            let mutex = black_box(mutex);
            mutex.incref().expect("nobody closes it");
            black_box(mutex.decref())
        });
    });
}

criterion_group!(benches, fd_mutex);
criterion_main!(benches);
