//! The whole scheduler in a simulated machine (`gopark_sys::sim`): real queues, wake-ups, locks, poller, timers,
//! context switches; threads that a seed interleaves. Each schedule runs one scenario on a runtime that lives on, and
//! then all must be quiet, everything done, every P idle and counted. Somebody who still waits was forgotten: a lost
//! wake-up.
//!
//! `cargo xtask sim` runs 100,000 schedules, a third each with 1, 2 and 3 Ps. `GOPARK_SIM_SCHEDULES` says how many a
//! process runs, `GOPARK_SIM_SEED` where it begins, `GOPARK_SIM_ONLY` which scenario (a part of its name). A failure
//! prints its seed; the same binary with the same number of Ps, the same first seed and the same scenarios comes to the
//! same point again.
//!
//! What this cannot see: effects of weak memory (loom's part, `tests/loom_*.rs`), and accesses that do not go through
//! `gopark_sys::loom::atomic`.
//!
//! It was tried on broken schedulers (one change each in `wake.rs`, `proc.rs`, `m.rs`, `park_slot.rs`, ...); the table
//! of what found which is in `README.md` beside this file.
#![cfg(sim)]
#![allow(missing_docs)]

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use gopark_poll::{Fd, FdKind, ParkSlot, WaitReason};
use gopark_sched::sync::{Condvar, Mutex, WaitGroup};
use gopark_sched::time::{Ticker, Timer, after_func};
use gopark_sched::{
    Runtime, blocking, chan, debug_counts, go, lock_os_thread, select, set_max_procs, sleep, spawn,
    unlock_os_thread, unpark, yield_now,
};
use gopark_sys::netpoll::Readiness;
use gopark_sys::sim;

/// How much of a scenario is done, and how much there is.
#[derive(Clone)]
struct Work(Arc<(AtomicUsize, AtomicUsize)>);

impl Work {
    fn new(parts: usize) -> Work {
        Work(Arc::new((AtomicUsize::new(0), AtomicUsize::new(parts))))
    }

    fn add(&self, parts: usize) {
        self.0.1.fetch_add(parts, SeqCst);
    }

    fn done(&self) {
        self.0.0.fetch_add(1, SeqCst);
    }

    fn key(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

fn thread(f: impl FnOnce() + 'static) {
    sim::spawn("plain".into(), f);
}

/// For who looks, and for who sets it.
fn flag() -> (Arc<AtomicBool>, Arc<AtomicBool>) {
    let flag = Arc::new(AtomicBool::new(false));
    (Arc::clone(&flag), flag)
}

fn micros(n: u64) -> Duration {
    Duration::from_micros(sim::random(n))
}

/// Goroutines that start goroutines and wait for them.
fn joins() -> Work {
    let work = Work::new(4);
    for _ in 0..4 {
        let work = work.clone();
        go(move || {
            let child = spawn(|| {
                yield_now();
                spawn(|| 2).join().unwrap()
            });
            let other = spawn(|| 3);
            assert_eq!((child.join().unwrap(), other.join().unwrap()), (2, 3));
            work.done();
        });
    }
    work
}

/// Wakes go round: each goroutine waits for its own, and wakes the next; plain threads among them.
fn ring() -> Work {
    const ROUND: usize = 5;
    let work = Work::new(ROUND);
    // A slot lives for ever: the dumps look at them. So this ring does, too, and is used again.
    static SLOTS: [ParkSlot; ROUND] = [const { ParkSlot::new() }; ROUND];
    for i in 0..ROUND {
        let work = work.clone();
        let member = move || {
            for _ in 0..3 {
                assert!(SLOTS[i].block(WaitReason::ChanReceive, || true));
                unpark(&SLOTS[(i + 1) % ROUND]);
            }
            if i == 0 {
                // The last round's wake-up of the first comes from the last.
                assert!(SLOTS[0].block(WaitReason::ChanReceive, || true));
            }
            work.done();
        };
        if sim::random(4) == 0 { thread(member) } else { go(member) }
    }
    unpark(&SLOTS[0]);
    work
}

/// Every value sent over a channel arrives once, whoever sends and receives.
fn channels() -> Work {
    let (senders, receivers, each) = (1 + sim::random(3) as usize, 1 + sim::random(3) as usize, 4);
    let work = Work::new(senders + receivers + 1);
    let (tx, rx) = chan::bounded(sim::random(3) as usize);
    let (total, all) = chan::unbounded();
    for s in 0..senders {
        let (tx, work) = (tx.clone(), work.clone());
        let sender = move || {
            (0..each).for_each(|i| tx.send(s * each + i).unwrap());
            drop(tx);
            work.done();
        };
        if sim::random(3) == 0 { thread(sender) } else { go(sender) }
    }
    for _ in 0..receivers {
        let (rx, total, work) = (rx.clone(), total.clone(), work.clone());
        let receiver = move || {
            rx.iter().for_each(|value| total.send(value).unwrap());
            drop((rx, total));
            work.done();
        };
        if sim::random(3) == 0 { thread(receiver) } else { go(receiver) }
    }
    drop((tx, rx, total));
    let end = work.clone();
    go(move || {
        let mut found: Vec<usize> = all.iter().collect();
        found.sort_unstable();
        assert_eq!(found, (0..senders * each).collect::<Vec<_>>());
        end.done();
    });
    work
}

/// A lock excludes, and nobody waits for ever for it or for a condition.
fn locks() -> Work {
    const ACTORS: usize = 4;
    let work = Work::new(ACTORS + 1);
    let shared = Arc::new((Mutex::new(0), Condvar::new(), AtomicBool::new(false)));
    for i in 0..ACTORS {
        let (shared, work) = (Arc::clone(&shared), work.clone());
        let actor = move || {
            let (lock, changed, inside) = &*shared;
            for _ in 0..3 {
                let mut count = lock.lock();
                assert!(!inside.swap(true, SeqCst), "two hold the lock");
                if sim::random(2) == 0 {
                    yield_now();
                }
                *count += 1;
                assert!(inside.swap(false, SeqCst));
                changed.notify_one();
            }
            work.done();
        };
        if i == 0 { thread(actor) } else { go(actor) }
    }
    let end = work.clone();
    go(move || {
        let mut count = shared.0.lock();
        while *count < ACTORS * 3 {
            shared.1.wait(&mut count);
        }
        end.done();
    });
    work
}

/// Sleepers wake, none early, whoever else runs.
fn sleepers() -> Work {
    let work = Work::new(6);
    for i in 0..6 {
        let (work, d) = (work.clone(), micros(300));
        let sleeper = move || {
            let start = gopark_sys::time::nanotime();
            sleep(d);
            assert!(gopark_sys::time::nanotime() - start >= d.as_nanos() as i64, "woken early");
            work.done();
        };
        if i == 0 { thread(sleeper) } else { go(sleeper) }
    }
    work
}

/// Waits that a timer ends race with what they wait for.
fn timeouts() -> Work {
    let work = Work::new(4);
    for _ in 0..4 {
        let (work, busy, limit) = (work.clone(), micros(60), micros(60));
        go(move || {
            let child = spawn(move || {
                sleep(busy);
                7
            });
            let found = child.join_timeout(limit).unwrap_or_else(|child| child.join());
            assert_eq!(found.unwrap(), 7);
            work.done();
        });
    }
    work
}

/// Timers fire or were stopped, functions that run later run once, tickers tick on.
fn timers() -> Work {
    let work = Work::new(4);
    for _ in 0..3 {
        let (work, d, before) = (work.clone(), micros(60), micros(60));
        go(move || {
            let (timer, ran) = (Timer::new(d), Arc::new(AtomicUsize::new(0)));
            let counts = Arc::clone(&ran);
            let later = after_func(d, move || _ = counts.fetch_add(1, SeqCst));
            sleep(before);
            if timer.stop() {
                assert!(timer.c().try_recv().is_err(), "stopped, and fired");
            } else if sim::random(2) == 0 {
                timer.reset(before);
                timer.c().recv().unwrap();
            }
            if later.stop() {
                assert_eq!(ran.load(SeqCst), 0, "stopped, and ran");
            } else {
                while ran.load(SeqCst) == 0 {
                    sleep(Duration::from_micros(5));
                }
            }
            work.done();
        });
    }
    let end = work.clone();
    go(move || {
        let ticker = Ticker::new(Duration::from_micros(20));
        (0..3).for_each(|_| _ = ticker.c().recv().unwrap());
        ticker.stop();
        end.done();
    });
    work
}

/// Bytes go there and back; the poller is told of each, by whoever wrote it.
fn network() -> Work {
    let work = Work::new(4);
    for _ in 0..2 {
        let ours = |s: UnixStream| {
            s.set_nonblocking(true).unwrap();
            let number = s.as_raw_fd();
            let mut fd = Fd::new(s.into(), FdKind::STREAM);
            fd.init().unwrap();
            (fd, number)
        };
        let (near, far) = UnixStream::pair().unwrap();
        let ((near, near_number), (far, far_number)) = (ours(near), ours(far));
        let echo = work.clone();
        go(move || {
            for _ in 0..3 {
                let mut byte = [0];
                assert_eq!(far.read(&mut byte).unwrap(), 1);
                far.write_all(&byte).unwrap();
                sim::ready(near_number, Readiness::READABLE);
            }
            // Closed below, by then nobody reads any more.
            echo.done();
            sleep(Duration::from_micros(1));
        });
        let work = work.clone();
        let client = move || {
            for i in 0..3 {
                let mut byte = [0];
                near.write_all(&[i]).unwrap();
                sim::ready(far_number, Readiness::READABLE);
                assert_eq!((near.read(&mut byte).unwrap(), byte), (1, [i]));
            }
            work.done();
        };
        if sim::random(3) == 0 { thread(client) } else { go(client) }
    }
    work
}

/// Announced blocking sections: whoever ends them gets to run, with one P too.
fn blocking_sections() -> Work {
    let work = Work::new(3);
    for _ in 0..3 {
        let work = work.clone();
        go(move || {
            let (open, key) = (Arc::new(AtomicBool::new(false)), work.key());
            let theirs = Arc::clone(&open);
            go(move || {
                yield_now();
                theirs.store(true, SeqCst);
                sim::wake(key);
            });
            let found = blocking(|| {
                sim::block_outside(key, || open.load(SeqCst));
                5
            });
            assert_eq!(found, 5);
            yield_now();
            work.done();
        });
    }
    work
}

/// Work is found by another M while the goroutine that made it keeps its P: it waits, its thread and all, until
/// somebody has run what it made. At most all Ps but one are kept so, so somebody can. sysmon is not there to help.
struct Keepers {
    work: Work,
    /// How many more may keep their P.
    tokens: AtomicUsize,
    /// Whether sysmon is there.
    timers: bool,
}

impl Keepers {
    /// Something that says when it ran.
    fn child(self: &Arc<Keepers>, depth: u64) -> (impl FnOnce() + Send + use<>, Arc<AtomicBool>) {
        let (keepers, (ran, says)) = (Arc::clone(self), flag());
        self.work.add(1);
        let child = move || {
            says.store(true, SeqCst);
            sim::wake(Arc::as_ptr(&says).addr());
            if depth > 0 {
                keepers.keep(depth - 1);
            }
            keepers.work.done();
        };
        (child, ran)
    }

    /// Makes work, in one of the ways there are, and keeps the P until it was run.
    fn keep(self: &Arc<Keepers>, depth: u64) {
        for _ in 0..sim::random(3) {
            match sim::random(3) {
                0 => yield_now(),
                1 => self.yield_to_a_keeper(),
                _ => assert_eq!(spawn(|| 5).join().unwrap(), 5),
            }
        }
        let (child, ran) = self.child(depth);
        // Who woke for something else and is kept busy by that polls no more: then only sysmon sees to it that timers
        // fire. (Go's rule; a thread woken to poll in its place, each time, would cost more.)
        match sim::random(if self.timers { 5 } else { 4 }) {
            0 | 1 => {
                if sim::random(2) == 0 {
                    // Before it in the queue, for the thread that is woken first: that one must wake the next.
                    let (keepers, ran) = (Arc::clone(self), Arc::clone(&ran));
                    self.work.add(1);
                    go(move || {
                        keepers.hold(&ran);
                        keepers.work.done();
                    });
                }
                go(child);
                // Takes its place as the next to run: nobody is woken for that one alone.
                self.work.add(1);
                let keepers = Arc::clone(self);
                go(move || keepers.work.done());
            }
            2 => thread(move || go(child)),
            3 => {
                let ((opens, waits), (says, there)) = (chan::bounded::<()>(0), chan::bounded(1));
                go(move || {
                    says.send(()).unwrap();
                    assert!(waits.recv().is_err());
                    child();
                });
                // While it is the next to run here, nobody looks for it.
                there.recv().unwrap();
                thread(move || drop(opens));
            }
            _ => {
                let ((says, there), d) = (chan::bounded(1), micros(50));
                go(move || {
                    says.send(()).unwrap();
                    sleep(d);
                    child();
                });
                there.recv().unwrap();
            }
        }
        self.hold(&ran);
    }

    /// Yields to somebody who keeps the P until the caller goes on; on another P then.
    fn yield_to_a_keeper(self: &Arc<Keepers>) {
        let (keepers, (ran, says)) = (Arc::clone(self), flag());
        self.work.add(1);
        go(move || {
            keepers.hold(&ran);
            keepers.work.done();
        });
        yield_now();
        says.store(true, SeqCst);
        sim::wake(Arc::as_ptr(&says).addr());
    }

    /// Keeps the P until it ran, if one more may.
    fn hold(&self, ran: &AtomicBool) {
        if self.tokens.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1)).is_ok() {
            sim::block_outside(std::ptr::from_ref(ran).addr(), || ran.load(SeqCst));
            self.tokens.fetch_add(1, SeqCst);
        }
    }
}

fn found_by_others() -> Work {
    keepers(false)
}

fn timers_found_by_others() -> Work {
    keepers(true)
}

fn keepers(timers: bool) -> Work {
    let tokens = AtomicUsize::new(debug_counts().procs - 1);
    let keepers = Arc::new(Keepers { work: Work::new(0), tokens, timers });
    for _ in 0..1 + sim::random(3) {
        let (root, _) = keepers.child(2);
        match sim::random(3) {
            0 => thread(move || go(root)),
            _ => go(root),
        }
    }
    keepers.work.clone()
}

/// A WaitGroup, a crowd, and wakers on all sides.
fn crowds() -> Work {
    let work = Work::new(2);
    for _ in 0..2 {
        let work = work.clone();
        go(move || {
            let group = WaitGroup::new();
            for _ in 0..5 {
                group.add(1);
                let group = group.clone();
                go(move || {
                    if sim::random(2) == 0 {
                        yield_now();
                    }
                    group.done();
                });
            }
            group.wait();
            work.done();
        });
    }
    work
}

/// Threads that block without a word, with sysmon: others run on, and no P is lost or left over.
fn compensation() -> Work {
    let work = Work::new(5);
    let (open, key) = (Arc::new(AtomicBool::new(false)), work.key());
    for _ in 0..2 {
        let (work, open) = (work.clone(), Arc::clone(&open));
        go(move || {
            sim::block_outside(key, || open.load(SeqCst));
            yield_now();
            work.done();
        });
    }
    let hog = work.clone();
    go(move || {
        (0..30).for_each(|_| sim::compute(1_000_000));
        hog.done();
    });
    for _ in 0..2 {
        let (work, open) = (work.clone(), Arc::clone(&open));
        go(move || {
            yield_now();
            open.store(true, SeqCst);
            sim::wake(key);
            work.done();
        });
    }
    work
}

/// Selects on both ends of the same channels: every value arrives once.
fn selects() -> Work {
    const ACTORS: usize = 4;
    let work = Work::new(ACTORS + 1);
    let (a, b) = (chan::bounded(0), chan::bounded(1));
    let (total, all) = chan::unbounded();
    for i in 0..ACTORS {
        let (a, b, total, work) = (a.clone(), b.clone(), total.clone(), work.clone());
        let actor = move || {
            let mut left = if i % 2 == 0 { 3 } else { 0 };
            let mut got = if i % 2 == 0 { 0 } else { 3 };
            // Three sends or three receives each, on whichever channel can go on.
            while left + got > 0 {
                if left > 0 {
                    select! {
                        send(a.0, i) -> sent => sent.unwrap(),
                        send(b.0, i) -> sent => sent.unwrap(),
                    }
                    left -= 1;
                } else {
                    select! {
                        recv(a.1) -> value => total.send(value.unwrap()).unwrap(),
                        recv(b.1) -> value => total.send(value.unwrap()).unwrap(),
                    }
                    got -= 1;
                }
            }
            drop((a, b, total));
            work.done();
        };
        if sim::random(4) == 0 { thread(actor) } else { go(actor) }
    }
    drop((a, b, total));
    let end = work.clone();
    go(move || {
        let mut found: Vec<usize> = all.iter().collect();
        found.sort_unstable();
        assert_eq!(found, [0, 0, 0, 2, 2, 2]);
        end.done();
    });
    work
}

/// GOMAXPROCS changes while others wait for each other.
fn resizes() -> Work {
    let (before, workers) = (debug_counts().procs, 1 + sim::random(2));
    let work = joins();
    for _ in 0..workers {
        work.add(1);
        let end = work.clone();
        let worker = move || {
            for _ in 0..3 {
                set_max_procs(1 + sim::random(4) as usize);
                if sim::random(2) == 0 {
                    sleep(micros(10));
                }
            }
            end.done();
        };
        if sim::random(2) == 0 { thread(worker) } else { go(worker) }
    }
    sim::until_quiet();
    set_max_procs(before);
    work
}

/// Goroutines that keep their thread, among others.
fn wired() -> Work {
    let work = channels();
    for _ in 0..2 {
        work.add(1);
        let (work, (tx, rx)) = (work.clone(), chan::bounded(0));
        go(move || {
            lock_os_thread();
            (0..3).for_each(|i| tx.send(i).unwrap());
            if sim::random(2) == 0 {
                yield_now();
                unlock_os_thread();
                yield_now();
            }
        });
        go(move || {
            if sim::random(2) == 0 {
                lock_os_thread();
            }
            assert!(rx.iter().eq(0..3));
            work.done();
        });
    }
    work
}

/// A crowd that ends, and with it dead goroutines that move from one free list to another, while somebody counts: those
/// who live are never too few.
fn counted() -> Work {
    let work = Work::new(2);
    let (tx, rx) = chan::bounded::<()>(0);
    let (waits, counts) = (work.clone(), work.clone());
    go(move || {
        assert!(rx.recv().is_err());
        waits.done();
    });
    for _ in 0..40 + sim::random(60) {
        go(|| {});
    }
    thread(move || {
        for _ in 0..60 {
            if gopark_sched::num_goroutines() == 0 {
                sim::fail("a goroutine that waits was not counted");
            }
            sim::give_way();
        }
        drop(tx);
        counts.done();
    });
    work
}

/// Goroutines that keep their thread when the one that would start others for them cannot be had at once. Once
/// started it stays, and then this is as `wired` is; so to look for faults there takes many processes, each with a seed
/// of its own, a few schedules, and this scenario alone.
fn wired_without_threads() -> Work {
    let work = Work::new(4);
    for _ in 0..4 {
        let work = work.clone();
        go(move || {
            yield_now();
            gopark_sched::debug_refuse_threads(true);
            lock_os_thread();
            gopark_sched::debug_refuse_threads(false);
            go(yield_now);
            sleep(micros(5));
            unlock_os_thread();
            gopark_sched::debug_refuse_threads(false);
            work.done();
        });
    }
    work
}

/// A scenario, and whether sysmon must be there.
type Scenario = (&'static str, fn() -> Work);

const ALONE: &[Scenario] = &[
    ("joins", joins),
    ("ring", ring),
    ("channels", channels),
    ("locks", locks),
    ("sleepers", sleepers),
    ("timeouts", timeouts),
    ("timers", timers),
    ("network", network),
    ("blocking_sections", blocking_sections),
    ("found_by_others", found_by_others),
    ("crowds", crowds),
    ("selects", selects),
    ("resizes", resizes),
    ("wired", wired),
    ("counted", counted),
    ("found_by_others", found_by_others),
];

const WITH_SYSMON: &[Scenario] = &[
    ("compensation", compensation),
    ("timers_found_by_others", timers_found_by_others),
    ("network", network),
    ("blocking_sections", blocking_sections),
    ("channels", channels),
    ("resizes", resizes),
    ("wired_without_threads", wired_without_threads),
    ("wired", wired),
];

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn one((name, scenario): Scenario, seed: u64) {
    sim::begin(seed);
    let work = scenario();
    sim::until_quiet();
    let (done, parts) = (work.0.0.load(SeqCst), work.0.1.load(SeqCst));
    if done != parts {
        sim::fail(&format!(
            "{name}: {done} of {parts} are done, and nobody will ever wake: a wake-up was lost"
        ));
    }
    let c = debug_counts();
    let busy = c.ps.iter().filter(|p| p.1 > 0 || p.2).count();
    let found = (c.active, c.stuck, c.idle, c.npidle, c.spinning, c.alone, c.global_queue, busy);
    if found != (c.procs, 0, c.procs, c.procs, 0, 0, 0, 0) || gopark_sched::num_goroutines() != 0 {
        sim::fail(&format!("{name}: the counts are off: {found:?}"));
    }
}

fn report() {
    eprintln!("{:#?}", debug_counts());
}

#[test]
#[allow(unsafe_code)]
fn no_wake_up_is_lost() {
    let (count, first) =
        (from_env("GOPARK_SIM_SCHEDULES").unwrap_or(2000), from_env("GOPARK_SIM_SEED").unwrap_or(1));
    let only = std::env::var("GOPARK_SIM_ONLY").unwrap_or_default();
    sim::run(&["gopark-sysmon"], report, move || {
        sim::begin(first);
        // SAFETY: the scenarios keep nothing of a thread across a call that may block.
        let rt = unsafe { Runtime::start() }.expect("start the runtime");
        let wanted = |scenarios: &[Scenario]| -> Vec<Scenario> {
            scenarios.iter().copied().filter(|(name, _)| name.contains(&only)).collect()
        };
        // The last third with sysmon, which would find much of what was lost before, only later.
        for (scenarios, from, to) in
            [(wanted(ALONE), 0, count - count / 3), (wanted(WITH_SYSMON), count - count / 3, count)]
        {
            if from > 0 {
                sim::release("gopark-sysmon");
            }
            if scenarios.is_empty() {
                continue;
            }
            for i in from..to {
                one(scenarios[i as usize % scenarios.len()], first + i);
            }
        }
        let (schedules, switches) = sim::totals();
        println!("{} Ps: {schedules} schedules, {switches} switches", rt.max_procs());
    });
}
