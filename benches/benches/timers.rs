//! The cost of timers: arming and stopping one among many, and moving the deadline of a connection later.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use gopark_benches::goroutine::on_goroutine;
use gopark_net::{TcpConn, TcpListener};
use gopark_poll::{ParkSlot, Timer, TimerKind};
use std::time::{Duration, Instant};

/// Far enough away never to fire while this runs.
const AWAY: Duration = Duration::from_secs(3600);

fn timers(c: &mut Criterion) {
    let mut group = c.benchmark_group("timers/arm and stop");
    for others in [0usize, 10_000] {
        group.bench_function(BenchmarkId::new("beside", others), |b| {
            b.iter_custom(|iterations| on_goroutine(move || arm_and_stop(others, iterations)));
        });
    }
    group.finish();
    c.bench_function("timers/set_read_deadline later", |b| {
        b.iter_custom(|iterations| on_goroutine(move || move_deadline(iterations)));
    });
}

/// Timers live for ever, so each call leaks its own; criterion makes few calls.
fn new_timer() -> &'static Timer {
    let slot: &'static ParkSlot = Box::leak(Box::new(ParkSlot::new()));
    Box::leak(Box::new(Timer::new(TimerKind::Wake(slot))))
}

fn arm_and_stop(others: usize, iterations: u64) -> Duration {
    let when = gopark_poll::when_in(AWAY);
    let others: Vec<&'static Timer> = (0..others).map(|_| new_timer()).collect();
    // Spread out, so that the one in question sinks to the middle of the heap.
    others.iter().enumerate().for_each(|(index, timer)| timer.arm(when + index as i64 * 1000));
    let timer = new_timer();
    let middle = when + others.len() as i64 * 500;
    let start = Instant::now();
    for _ in 0..iterations {
        timer.arm(middle);
        timer.stop();
    }
    let took = start.elapsed();
    others.iter().for_each(|timer| {
        timer.stop();
    });
    took
}

fn move_deadline(iterations: u64) -> Duration {
    let ln = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let conn = TcpConn::connect(ln.local_addr().expect("bound")).expect("it listens");
    let start = Instant::now();
    for _ in 0..iterations {
        conn.set_read_deadline(Some(Instant::now() + AWAY)).expect("the connection is open");
    }
    start.elapsed()
}

criterion_group!(benches, timers);
criterion_main!(benches);
