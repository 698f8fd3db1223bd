//! What an actor does in a step.

use super::random::Random;
use super::world::{Expected, World, serve_one};
use gopark_net::sync::{Barrier, WaitGroup};
use gopark_net::{
    JoinHandle, blocking, chan, go, is_timeout, num_goroutines, scope, select, sleep, spawn, try_go,
    yield_now,
};
use gopark_sched::time::{Timer, after_func};
use gopark_sched::{SpawnOptions, lock_os_thread, unlock_os_thread};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// More goroutines than that, and nobody starts another.
const GOROUTINES: usize = 20_000;

/// One step, on a goroutine or a plain thread; it starts others while `depth` is not 0.
pub(crate) fn step(world: &Arc<World>, r: &mut Random, depth: u32) {
    world.steps.fetch_add(1, Relaxed);
    let deep = depth > 0 && num_goroutines() < GOROUTINES;
    match r.below(if deep { 26 } else { 16 }) {
        0 => yield_now(),
        1 | 2 => nap(r),
        3 => hog(r),
        4 => silent_block(r),
        5 => {
            let time = r.micros(800);
            blocking(|| std::thread::sleep(time));
        }
        6 => world.lock.with(|| {
            if r.one_in(20) {
                yield_now();
            }
        }),
        7 => world.lock.try_with(|| {}),
        8 => table(world, r),
        9 | 10 => common(world, r),
        11 => choose(world, r),
        12 => signal(world, r),
        13 if deep && r.one_in(2) => timers(world, r),
        13 => timeouts(r),
        14 => drop(world.connections.try_acquire(1)),
        15 => nothing_comes(r),
        16 | 17 => child(world, r, depth),
        18 => detached(world, r, depth),
        19 => scoped(world, r, depth),
        20 => panics(world, r),
        21 => pipeline(world, r),
        22 => crowd(world, r),
        23 => together(world, r),
        24 => wired(world, r, depth),
        _ => talk(world, r),
    }
}

/// A goroutine that keeps its thread, or has a stack of its own size.
fn wired(world: &Arc<World>, r: &mut Random, depth: u32) {
    let (acts, mut theirs, theirs_world) = (world.begin(), r.split(), Arc::clone(world));
    if r.one_in(3) {
        go(move || {
            let _acts = acts;
            lock_os_thread();
            step(&theirs_world, &mut theirs, depth - 1);
            // Half of them end with their thread.
            if theirs.one_in(2) {
                unlock_os_thread();
                step(&theirs_world, &mut theirs, depth - 1);
            }
        });
        return;
    }
    let size = (128 * 1024) << r.below(4);
    let options = SpawnOptions::new().stack_size(size);
    let handle = options.spawn(move || {
        let _acts = acts;
        step(&theirs_world, &mut theirs, depth - 1);
    });
    assert!(handle.expect("there is room for one more").join().is_ok(), "a panic that nobody wanted");
}

/// Nobody wakes early.
fn nap(r: &mut Random) {
    let time = if r.one_in(200) { Duration::from_millis(20) } else { r.micros(1500) };
    let start = Instant::now();
    sleep(time);
    assert!(start.elapsed() >= time, "slept {:?} instead of {time:?}", start.elapsed());
}

/// A loop without a call.
fn hog(r: &mut Random) {
    let time = if r.one_in(300) { Duration::from_millis(15) } else { r.micros(100) };
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// A blocking call of which nobody is told.
fn silent_block(r: &mut Random) {
    let time = if r.one_in(50) { Duration::from_millis(3) } else { r.micros(200) };
    std::thread::sleep(time);
}

/// Writers change all of it at once, readers see that.
fn table(world: &World, r: &mut Random) {
    if r.one_in(4) {
        let mut table = world.table.write();
        let next = table[0] + 1;
        for word in table.iter_mut() {
            *word = next;
            if r.one_in(100) {
                yield_now();
            }
        }
    } else {
        let table = world.table.read();
        if r.one_in(10) {
            yield_now();
        }
        assert!(table.iter().all(|word| *word == table[0]), "a reader beside a writer");
    }
}

/// Something over a channel that everybody uses. With a limit of time, since there may be no partner.
fn common(world: &World, r: &mut Random) {
    let common = &world.common[r.below(3) as usize];
    let (value, time) = (r.below(1 << 30), r.micros(800));
    let received = match r.below(4) {
        0 => common.sender.send_timeout(value, time).is_ok().then(|| common.note_sent(value)).and(None),
        1 => common.sender.try_send(value).is_ok().then(|| common.note_sent(value)).and(None),
        2 => common.receiver.try_recv().ok(),
        _ => common.receiver.recv_timeout(time).ok(),
    };
    if let Some(value) = received {
        common.note_received(value);
    }
    // What nobody takes from the one without a limit would be memory.
    if common.receiver.len() > 1000
        && let Ok(value) = common.receiver.try_recv()
    {
        common.note_received(value);
    }
}

/// A select over all common channels, sends and receives.
fn choose(world: &World, r: &mut Random) {
    let [a, b, c] = &world.common;
    let (value, time) = (r.below(1 << 30), r.micros(500));
    select! {
        recv(a.receiver) -> got => a.note_received(got.expect("it is never closed")),
        recv(b.receiver) -> got => b.note_received(got.expect("it is never closed")),
        recv(c.receiver) -> got => c.note_received(got.expect("it is never closed")),
        send(a.sender, value) -> sent => {
            sent.expect("it is never closed");
            a.note_sent(value);
        }
        after(time) => {}
    }
}

/// A condition, with a limit of time.
fn signal(world: &World, r: &mut Random) {
    let (lock, changed) = &world.signal;
    let mut count = lock.lock();
    match r.below(3) {
        0 => {
            *count += 1;
            drop(count);
            changed.notify_one();
        }
        1 => {
            *count += 1;
            drop(count);
            changed.notify_all();
        }
        _ => {
            let time = r.micros(500);
            let _ = changed.wait_for(&mut count, time);
        }
    }
}

/// A receive that times out, not before its time.
fn timeouts(r: &mut Random) {
    let (_keep, never) = chan::bounded::<()>(0);
    let (time, start) = (r.micros(600), Instant::now());
    assert!(never.recv_timeout(time).is_err_and(|error| error.is_timeout()));
    assert!(start.elapsed() >= time, "timed out early");
}

/// Timers fire once and not early, or were stopped; a function that runs later runs once.
fn timers(world: &Arc<World>, r: &mut Random) {
    let (time, start) = (r.micros(600), Instant::now());
    let timer = Timer::new(time);
    if r.one_in(2) {
        sleep(r.micros(600));
        if timer.stop() {
            assert!(timer.c().try_recv().is_err(), "stopped, and fired");
        }
    } else {
        timer.c().recv().expect("it fires");
        assert!(start.elapsed() >= time && !timer.stop(), "fired early, or twice");
    }
    let acts = std::sync::Mutex::new(Some(world.begin()));
    let later = after_func(r.micros(400), move || {
        assert!(acts.lock().expect("nobody panics here").take().is_some(), "ran twice");
    });
    if r.one_in(2) {
        later.stop();
    }
}

/// A select in which nothing is ready takes its default.
fn nothing_comes(r: &mut Random) {
    let (_keep, never) = chan::bounded::<()>(r.below(2) as usize);
    select! {
        recv(never) -> got => panic!("{got:?} from a channel nobody sends on"),
        default => {}
    }
}

fn child(world: &Arc<World>, r: &mut Random, depth: u32) {
    let (acts, mut theirs, theirs_world) = (world.begin(), r.split(), Arc::clone(world));
    let answer = r.below(1000);
    let handle: JoinHandle<u64> = spawn(move || {
        let _acts = acts;
        (0..3).for_each(|_| step(&theirs_world, &mut theirs, depth - 1));
        answer
    });
    let result = if r.one_in(3) {
        handle.join_timeout(r.micros(500)).unwrap_or_else(|handle| handle.join())
    } else {
        handle.join()
    };
    assert!(result.is_ok_and(|found| found == answer), "not the goroutine's result");
}

fn detached(world: &Arc<World>, r: &mut Random, depth: u32) {
    let (acts, mut theirs, theirs_world) = (world.begin(), r.split(), Arc::clone(world));
    go(move || {
        let _acts = acts;
        (0..2).for_each(|_| step(&theirs_world, &mut theirs, depth - 1));
    });
}

fn scoped(world: &Arc<World>, r: &mut Random, depth: u32) {
    let (total, count) = (AtomicUsize::new(0), r.below(6) as usize);
    scope(|s| {
        for _ in 0..count {
            let (mut theirs, total) = (r.split(), &total);
            s.go(move || {
                step(world, &mut theirs, depth - 1);
                total.fetch_add(1, Relaxed);
            });
        }
    });
    assert_eq!(total.into_inner(), count, "the scope ended before its goroutines");
}

/// A panic ends one goroutine alone, and is found by whoever joins it.
fn panics(world: &Arc<World>, r: &mut Random) {
    let acts = world.begin();
    let boom = move || {
        let _acts = acts;
        std::panic::panic_any(Expected);
    };
    if r.one_in(2) {
        try_go(boom).expect("there is room for one more");
    } else {
        let handle: JoinHandle<()> = spawn(boom);
        assert!(handle.join().is_err_and(|payload| payload.is::<Expected>()), "not the panic's payload");
    }
}

/// Values go through three channels, each to be found at the end once and in order.
fn pipeline(world: &Arc<World>, r: &mut Random) {
    let count = r.below(50);
    let (first, mut last) = chan::bounded(r.below(4) as usize);
    for _ in 0..2 {
        let (tx, rx) = chan::bounded(r.below(4) as usize);
        let (from, acts) = (std::mem::replace(&mut last, rx), world.begin());
        go(move || {
            let _acts = acts;
            from.iter().for_each(|value: u64| tx.send(value).expect("the next stage receives"));
        });
    }
    let acts = world.begin();
    go(move || {
        let _acts = acts;
        (0..count).for_each(|value| first.send(value).expect("the next stage receives"));
    });
    assert!(last.iter().eq(0..count), "values were lost, doubled or out of order");
}

/// A wave of goroutines, all alive at once.
fn crowd(world: &Arc<World>, r: &mut Random) {
    let count = if r.one_in(100) { 2000 } else { r.below(100) } as usize;
    let group = WaitGroup::new();
    let (release, released) = chan::bounded::<()>(0);
    for _ in 0..count {
        let (released, group, acts) = (released.clone(), group.clone(), world.begin());
        group.add(1);
        go(move || {
            let _acts = acts;
            assert!(released.recv().is_err(), "nobody sends");
            group.done();
        });
    }
    drop(release);
    group.wait();
}

/// All arrive before any goes on.
fn together(world: &Arc<World>, r: &mut Random) {
    let count = 2 + r.below(4) as usize;
    let state = Arc::new((Barrier::new(count), AtomicUsize::new(0)));
    let meet = move |state: &(Barrier, AtomicUsize)| {
        state.1.fetch_add(1, Relaxed);
        state.0.wait();
        assert_eq!(state.1.load(Relaxed), count, "the barrier let somebody through early");
    };
    for _ in 1..count {
        let (state, acts) = (Arc::clone(&state), world.begin());
        go(move || {
            let _acts = acts;
            meet(&state);
        });
    }
    meet(&state);
}

/// Bytes go to a server of one's own and come back as they went; at times nothing comes, and a deadline says so.
fn talk(world: &Arc<World>, r: &mut Random) {
    let Some(_permit) = world.connections.try_acquire(1) else { return };
    let conn = serve_one(world).expect("there are descriptors");
    for _ in 0..1 + r.below(4) {
        let message: Vec<u8> = (0..1 + r.below(2000)).map(|_| r.below(256) as u8).collect();
        let mut back = vec![0; message.len()];
        conn.write_all(&message).expect("the server lives");
        let mut have = 0;
        while have < back.len() {
            let count = conn.read(&mut back[have..]).expect("the server lives");
            assert!(count > 0, "the server hung up");
            have += count;
        }
        assert!(message == back, "other bytes came back");
    }
    if r.one_in(3) {
        let time = r.micros(1000);
        let start = Instant::now();
        conn.set_read_deadline(Some(start + time)).expect("the connection is open");
        let error = conn.read(&mut [0]).expect_err("nothing was sent");
        assert!(is_timeout(&error) && start.elapsed() >= time, "{error} after {:?}", start.elapsed());
    }
}
