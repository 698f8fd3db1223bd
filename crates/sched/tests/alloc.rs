//! What a warm scheduler does without the allocator: starting, yielding, sleeping, parking and readying.
//!
//! # Safety
//! The allocator passes everything on to the system's; it only counts.
#![allow(unsafe_code)]

mod util;

use std::alloc::{GlobalAlloc, Layout, System};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use gopark_poll::{Fd, FdKind};
use gopark_sched::chan::{Select, bounded as channel, never, unbounded};
use gopark_sched::sync::{Barrier, Condvar, Mutex, Pool, RwLock, Semaphore, WaitGroup};
use gopark_sched::{blocking, go, scope, select, sleep, yield_now};
use util::*;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: as the system's allocator, to which every call goes unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn runs_with_1_2_and_4_procs() {
    // Not beside the counting.
    let _alone = alone();
    run_with_1_2_and_4_procs();
}

/// Calls `f` on a goroutine, some times to warm up, and then until one call allocates nothing anywhere in the process.
///
/// Other threads (sysmon, a thread that compensation starts, the test harness) allocate now and then, which is not what
/// is counted here: what `f` does itself it does every time.
fn allocates_nothing(name: &str, f: fn()) {
    let counts: Vec<usize> = bounded(name, move || {
        (0..10).for_each(|_| f());
        let mut counts = Vec::with_capacity(20);
        while counts.len() < 20 && counts.last() != Some(&0) {
            let before = ALLOCATIONS.load(Relaxed);
            f();
            counts.push(ALLOCATIONS.load(Relaxed) - before);
        }
        counts
    });
    assert_eq!(counts.last(), Some(&0), "{name}: allocations of each call: {counts:?}");
}

#[test]
fn a_warm_scheduler_allocates_nothing() {
    let _alone = alone();
    runtime();
    if gopark_sched::debug_counts().runq == "deque" {
        return; // it allocates whenever its length swings by four: known, and a reason for the ring
    }
    allocates_nothing("yield", || (0..200).for_each(|_| yield_now()));
    allocates_nothing("go", || {
        static RAN: AtomicUsize = AtomicUsize::new(0);
        RAN.store(0, Relaxed);
        for _ in 0..200 {
            go(|| {
                RAN.fetch_add(1, Relaxed);
            });
        }
        while RAN.load(Relaxed) < 200 {
            yield_now();
        }
    });
    allocates_nothing("sleep", || (0..10).for_each(|_| sleep(Duration::from_micros(50))));
    allocates_nothing("scope, with goroutines that sleep and yield", || {
        scope(|s| {
            for _ in 0..50 {
                s.go(|| {
                    sleep(Duration::from_micros(20));
                    yield_now();
                });
            }
        });
    });
    allocates_nothing("blocking", || (0..20).for_each(|_| blocking(|| ())));
}

/// Channels, once made: handing over, buffering, waiting, waiting with a timeout, selecting; a list of blocks too, as
/// long as it stays short.
#[test]
fn channels_allocate_nothing() {
    let _alone = alone();
    runtime();
    for (name, cap) in [("rendezvous", Some(0)), ("bounded", Some(3)), ("unbounded", None)] {
        let pair = || cap.map_or_else(unbounded::<usize>, channel::<usize>);
        let ((tx, requests), (answer, rx)) = (pair(), pair());
        go(move || {
            while let Ok(i) = requests.recv_timeout(LONG) {
                select! {
                    send(answer, i) -> res => res.unwrap(),
                    after(LONG) => panic!("nobody receives"),
                }
            }
        });
        let counts = bounded(name, move || {
            let nobody = never::<usize>();
            let mut set = Select::new();
            set.recv(&rx);
            set.recv(&nobody);
            let mut counts = Vec::with_capacity(30);
            for _ in 0..30 {
                let before = ALLOCATIONS.load(Relaxed);
                for i in 0..40 {
                    match i % 4 {
                        0 => tx.send(i).unwrap(),
                        1 => tx.send_timeout(i, LONG).unwrap(),
                        2 => select! { send(tx, i) -> res => res.unwrap(), recv(nobody) -> _ => {} },
                        _ => select! { send(tx, i) -> res => res.unwrap(), after(LONG) => {} },
                    }
                    let got = match i % 5 {
                        0 => rx.recv().ok(),
                        1 => rx.recv_timeout(LONG).ok(),
                        2 => select! { recv(nobody) -> _ => None, recv(rx) -> msg => msg.ok() },
                        3 => select! { recv(rx) -> msg => msg.ok(), after(LONG) => None },
                        _ => set.select().recv(&rx).ok(),
                    };
                    assert_eq!(got, Some(i));
                }
                counts.push(ALLOCATIONS.load(Relaxed) - before);
            }
            counts
        });
        assert!(counts[10..].contains(&0), "{name}: allocations of each forty: {counts:?}");
    }
}

/// Calls `f` on several goroutines at a time.
fn together(f: fn()) {
    scope(|s| (0..8).for_each(|_| s.go(f)));
}

#[test]
fn waiting_for_locks_allocates_nothing() {
    let _alone = alone();
    runtime();
    if gopark_sched::debug_counts().runq == "deque" {
        return; // as above
    }
    static MUTEX: Mutex<usize> = Mutex::new(0);
    static RWLOCK: RwLock<usize> = RwLock::new(0);
    static SEMAPHORE: Semaphore = Semaphore::new(2);
    static CHANGED: Condvar = Condvar::new();
    static BARRIER: Barrier = Barrier::new(8);
    static POOL: Pool<Vec<u8>> = Pool::buffers(64);
    static GROUP: std::sync::LazyLock<WaitGroup> = std::sync::LazyLock::new(WaitGroup::new);
    allocates_nothing("mutex", || {
        together(|| {
            let mut guard = MUTEX.lock();
            yield_now();
            *guard += 1;
            drop(guard);
            drop(MUTEX.try_lock_for(Duration::from_micros(20)));
        });
    });
    allocates_nothing("reader-writer lock", || {
        together(|| {
            let guard = RWLOCK.read();
            yield_now();
            drop(guard);
            let mut guard = RWLOCK.write();
            yield_now();
            *guard += 1;
        });
    });
    allocates_nothing("semaphore", || {
        together(|| {
            let permit = SEMAPHORE.acquire(2);
            yield_now();
            drop(permit);
            drop(SEMAPHORE.acquire_timeout(1, Duration::from_micros(20)));
        });
    });
    allocates_nothing("condition variable", || {
        let before = *MUTEX.lock();
        GROUP.add(1);
        go(|| {
            yield_now();
            *MUTEX.lock() += 1;
            CHANGED.notify_all();
            GROUP.done();
        });
        let mut guard = MUTEX.lock();
        CHANGED.wait_while(&mut guard, |now| *now == before);
        drop(guard);
        GROUP.wait();
    });
    allocates_nothing("wait group", || {
        (0..100).for_each(|_| GROUP.go(yield_now));
        GROUP.wait();
    });
    allocates_nothing("barrier", || together(|| _ = BARRIER.wait()));
    allocates_nothing("pool", || {
        together(|| {
            let mut buffers: [_; 4] = std::array::from_fn(|_| POOL.get());
            buffers[0].extend_from_slice(&[1; 64]);
            yield_now();
        });
    });
}

/// Two goroutines that wait for each other through the poller.
#[test]
fn parking_and_readying_allocate_nothing() {
    let _alone = alone();
    runtime();
    let (a, b) = UnixStream::pair().unwrap();
    let ours = |s: UnixStream| {
        s.set_nonblocking(true).unwrap();
        let mut fd = Fd::new(s.into(), FdKind::STREAM);
        fd.init().unwrap();
        Arc::new(fd)
    };
    let (near, far) = (ours(a), ours(b));
    go(move || {
        let mut byte = [0];
        while far.read(&mut byte).unwrap() == 1 {
            far.write_all(&byte).unwrap();
        }
    });
    let counts = bounded("ping-pong", move || {
        let mut counts = Vec::with_capacity(30);
        for _ in 0..30 {
            let before = ALLOCATIONS.load(Relaxed);
            for i in 0..50 {
                let mut byte = [0];
                near.write_all(&[i]).unwrap();
                assert_eq!((near.read(&mut byte).unwrap(), byte), (1, [i]));
            }
            counts.push(ALLOCATIONS.load(Relaxed) - before);
        }
        near.close().unwrap();
        counts
    });
    assert!(counts[10..].contains(&0), "allocations of each fifty: {counts:?}");
}
