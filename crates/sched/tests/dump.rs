//! What a dump says of goroutines, and that they do not notice.

mod util;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use gopark_sched::dump::{DumpOptions, GoroutineInfo, GoroutineState};
use gopark_sched::sync::{Condvar, Mutex, RwLock, WaitGroup};
use gopark_sched::{
    GoroutineDump, WaitReason, blocking, chan, dump_goroutines, go, goroutine_id, lock_os_thread, sleep,
    spawn, yield_now,
};
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    run_with_1_2_and_4_procs();
}

fn find(dump: &GoroutineDump, id: u64) -> Option<&GoroutineInfo> {
    dump.goroutines.iter().find(|g| g.id == id)
}

/// Everything about one goroutine, others left out of the bounds.
fn info(id: u64) -> Option<GoroutineInfo> {
    find(&DumpOptions::new().max_backtraces(usize::MAX).max_alike(usize::MAX).dump(), id).cloned()
}

/// Starts `f` as a goroutine and returns its id.
#[track_caller]
fn started(f: impl FnOnce() + Send + 'static) -> u64 {
    let (tx, rx) = mpsc::channel();
    go(move || {
        tx.send(goroutine_id()).expect("the test waits");
        f();
    });
    rx.recv_timeout(LONG).expect("the goroutine starts")
}

/// What the dump says of goroutine `id` once it is parked for `reason`.
#[track_caller]
fn parked(id: u64, reason: WaitReason) -> GoroutineInfo {
    let mut last = None;
    until(&format!("goroutine {id} is in {reason}"), || {
        last = info(id);
        last.as_ref().is_some_and(|g| g.state == GoroutineState::Waiting(reason))
    });
    last.expect("it was there")
}

fn functions(g: &GoroutineInfo) -> Vec<&str> {
    let frames = g.backtrace.as_ref().map_or(&[][..], |b| &b.frames);
    frames.iter().filter_map(|f| f.function.as_deref()).collect()
}

#[inline(never)]
fn waits_for_a_message(rx: &chan::Receiver<()>) {
    let _ = rx.recv();
}

#[test]
fn a_parked_goroutine_shows_where_it_is_and_why() {
    let _alone = alone();
    bounded_on_thread("dump", || {
        let (tx, rx) = chan::bounded::<()>(0);
        let line = line!() + 1;
        let id = started(move || waits_for_a_message(&rx));
        let g = parked(id, WaitReason::ChanReceive);
        let names = functions(&g);
        assert!(names.iter().any(|n| n.ends_with("waits_for_a_message")), "{names:?}");
        for foreign in
            ["gopark_sched::park", "gopark_sched::g::", "corosensei", "newproc", "gopark_sched::dump"]
        {
            assert!(!names.iter().any(|n| n.contains(foreign)), "{foreign} in {names:?}");
        }
        let at = g.created_at.expect("every goroutine was started somewhere");
        // `go` is in `started`, which passes on whose line it is only as far as track_caller reaches.
        assert!(at.file().ends_with("dump.rs"), "{at} {line}");
        assert!(!g.locked_to_thread);
        let text = g.to_string();
        assert!(text.starts_with(&format!("goroutine {id} [chan receive]:\n")), "{text}");
        assert!(text.contains("waits_for_a_message\n\t"), "{text}");
        assert!(text.trim_end().lines().last().is_some_and(|l| l.starts_with("created at ")), "{text}");
        drop(tx);
        until("it has ended", || info(id).is_none());
    });
}

/// The goroutines of a test that are parked, each for its reason.
#[derive(Default)]
struct Waiters(Vec<u64>);

impl Waiters {
    #[track_caller]
    fn add(&mut self, reason: WaitReason, f: impl FnOnce() + Send + 'static) {
        let id = started(f);
        parked(id, reason);
        self.0.push(id);
    }

    /// All have come to their end.
    #[track_caller]
    fn end(self) {
        until("all have ended", || {
            let dump = DumpOptions::new().max_backtraces(0).dump();
            self.0.iter().all(|&id| find(&dump, id).is_none())
        });
    }
}

#[test]
fn waits_for_channels_goroutines_and_time_have_their_reasons() {
    let _alone = alone();
    bounded_on_thread("reasons", || {
        let mut waiters = Waiters::default();
        let (tx, rx) = chan::bounded::<()>(0);
        let (full_tx, full_rx) = chan::bounded::<()>(0);
        let (receives, selects, joins) = (rx.clone(), rx.clone(), rx);
        waiters.add(WaitReason::ChanReceive, move || {
            let _ = receives.recv();
        });
        waiters.add(WaitReason::ChanSend, move || {
            let _ = full_tx.send(());
        });
        waiters.add(WaitReason::Select, move || {
            let other = chan::never::<()>();
            gopark_sched::select! {
                recv(selects) -> _ => {}
                recv(other) -> _ => {}
            }
        });
        waiters.add(WaitReason::Join, move || {
            let _ = spawn(move || joins.recv()).join();
        });
        waiters.add(WaitReason::Sleep, || sleep(Duration::from_millis(300)));
        drop((tx, full_rx));
        waiters.end();
    });
}

#[test]
fn waits_for_locks_have_their_reasons() {
    let _alone = alone();
    bounded_on_thread("reasons", || {
        let mut waiters = Waiters::default();
        let (mutex, rw) = (Arc::new(Mutex::new(())), Arc::new(RwLock::new(())));
        let (held, read) = (mutex.lock(), rw.read());
        let theirs = Arc::clone(&mutex);
        waiters.add(WaitReason::SyncMutexLock, move || drop(theirs.lock()));
        let theirs = Arc::clone(&rw);
        waiters.add(WaitReason::SyncRwMutexLock, move || drop(theirs.write()));
        let theirs = Arc::clone(&rw); // behind the one that wants to write
        waiters.add(WaitReason::SyncRwMutexRLock, move || drop(theirs.read()));
        let wg = WaitGroup::new();
        wg.add(1);
        let theirs = wg.clone();
        waiters.add(WaitReason::SyncWaitGroupWait, move || theirs.wait());
        let cond = Arc::new((Mutex::new(false), Condvar::new()));
        let theirs = Arc::clone(&cond);
        waiters.add(WaitReason::SyncCondWait, move || {
            let mut done = theirs.0.lock();
            while !*done {
                theirs.1.wait(&mut done);
            }
        });
        drop((held, read));
        wg.done();
        *cond.0.lock() = true;
        cond.1.notify_all();
        waiters.end();
    });
}

#[test]
fn a_goroutine_that_blocks_its_thread_says_so() {
    let _alone = alone();
    bounded_on_thread("blocking", || {
        let (tx, rx) = mpsc::channel::<()>();
        let id = started(move || {
            let _ = blocking(|| rx.recv());
        });
        until("it is in blocking", || info(id).is_some_and(|g| g.state == GoroutineState::Blocking));
        assert!(info(id).is_some_and(|g| g.backtrace.is_none() && g.to_string().contains("[blocking]:")));
        drop(tx);
        until("it has ended", || info(id).is_none());
    });
}

#[test]
fn who_runs_or_waits_for_a_turn_says_so() {
    let _alone = alone();
    bounded_on_thread("running", || {
        let stop = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&stop);
        let id = started(move || {
            while !theirs.load(Relaxed) {
                yield_now();
            }
        });
        let states: Vec<_> = (0..200).filter_map(|_| info(id)).map(|g| g.state).collect();
        let moves = [GoroutineState::Running, GoroutineState::Runnable];
        assert!(states.iter().all(|s| moves.contains(s)), "{states:?}");
        stop.store(true, Relaxed);
        until("it has ended", || info(id).is_none());
    });
}

#[inline(never)]
fn dumps() -> GoroutineDump {
    dump_goroutines()
}

#[test]
fn who_makes_the_dump_comes_first_with_its_own_backtrace() {
    let _alone = alone();
    let (me, dump) = bounded("dump", || (goroutine_id(), dumps()));
    let first = &dump.goroutines[0];
    assert_eq!((first.id, first.state), (me, GoroutineState::Running));
    assert!(functions(first)[0].ends_with("::dumps"), "{:?}", functions(first));
    let ids: Vec<_> = dump.goroutines[1..].iter().map(|g| g.id).collect();
    assert!(ids.is_sorted(), "{ids:?}");
}

struct WaitsInDrop(chan::Receiver<()>);

impl Drop for WaitsInDrop {
    fn drop(&mut self) {
        let _ = self.0.recv();
    }
}

/// It waits on its thread, since that is unwinding: there is no backtrace to be had, but a reason.
#[test]
fn a_goroutine_that_waits_on_its_thread_has_a_reason() {
    let _alone = alone();
    bounded_on_thread("wait in a destructor", || {
        let (tx, rx) = chan::bounded::<()>(0);
        let id = started(move || {
            let _waits = WaitsInDrop(rx);
            std::panic::resume_unwind(Box::new(())); // no report
        });
        let g = parked(id, WaitReason::ChanReceive);
        assert!(g.backtrace.is_none());
        drop(tx);
        until("it has ended", || info(id).is_none());
    });
}

/// So does one that was wired to its thread, and says that it was.
#[test]
fn a_goroutine_on_a_thread_of_its_own_says_so() {
    let _alone = alone();
    bounded_on_thread("a wired goroutine", || {
        let (tx, rx) = chan::bounded::<()>(0);
        let id = started(move || {
            lock_os_thread();
            let _ = rx.recv();
        });
        let g = parked(id, WaitReason::ChanReceive);
        assert!(g.locked_to_thread && g.backtrace.is_none() && g.waiting_for.is_some());
        assert!(
            g.to_string().starts_with(&format!("goroutine {id} [chan receive, locked to thread]:\n")),
            "{g}"
        );
        drop(tx);
        until("it has ended", || info(id).is_none());
    });
}

/// Also of a wait that begins when nobody has looked at the clock for a while.
#[test]
fn ages_are_right_to_some_milliseconds() {
    let _alone = alone();
    bounded_on_thread("ages", || {
        until_settled();
        for pause in [0, 300] {
            std::thread::sleep(Duration::from_millis(pause)); // not for ordering: the spell of quiet that this is about
            let start = Instant::now();
            let (tx, rx) = chan::bounded::<()>(0);
            let id = started(move || {
                let _ = rx.recv();
            });
            let age = |g: GoroutineInfo| g.waiting_for.expect("a parked one has an age");
            let young = age(parked(id, WaitReason::ChanReceive));
            // The clock is behind by what sysmon sleeps, and that by what the machine does beside.
            let slack = Duration::from_millis(100);
            assert!(young <= start.elapsed() + slack, "{young:?} after {:?}", start.elapsed());
            std::thread::sleep(Duration::from_millis(120)); // not for ordering: the age that is measured
            let old = age(parked(id, WaitReason::ChanReceive));
            assert!(old >= Duration::from_millis(120) && old <= start.elapsed() + slack, "{old:?}");
            drop(tx);
            until("it has ended", || info(id).is_none());
        }
    });
}

#[test]
fn a_dump_is_bounded_unless_asked_for_all() {
    const CROWD: usize = 300;
    let _alone = alone();
    bounded_on_thread("a crowd", || {
        let (tx, rx) = chan::bounded::<()>(0);
        let ids: Vec<_> = (0..CROWD)
            .map(|_| {
                let rx = rx.clone();
                started(move || {
                    let _ = rx.recv();
                })
            })
            .collect();
        parked(ids[CROWD - 1], WaitReason::ChanReceive);
        until("all are parked", || {
            let dump = DumpOptions::new().max_backtraces(0).dump();
            dump.goroutines.iter().filter(|g| g.waiting_for.is_some()).count() >= CROWD
        });
        let traced = |dump: GoroutineDump| {
            let crowd = dump.goroutines.iter().filter(|g| ids.contains(&g.id));
            let (all, traced): (Vec<_>, Vec<_>) = crowd.map(|g| (g.id, g.backtrace.is_some())).unzip();
            (all.len(), traced.iter().filter(|t| **t).count())
        };
        assert_eq!(traced(dump_goroutines()), (CROWD, 10));
        assert_eq!(traced(DumpOptions::new().max_alike(CROWD).dump()), (CROWD, 100));
        assert_eq!(traced(DumpOptions::new().max_backtraces(0).dump()), (CROWD, 0));
        let all = DumpOptions::new().max_backtraces(usize::MAX).max_alike(usize::MAX);
        assert_eq!(traced(all.dump()), (CROWD, CROWD));
        drop(tx);
        until("all have ended", || find(&dump_goroutines(), ids[0]).is_none());
    });
}

#[inline(never)]
fn descends(left: usize, rx: &chan::Receiver<()>) -> usize {
    if left == 0 {
        let _ = rx.recv();
        return 0;
    }
    // Not a tail call: the frame is needed after it.
    std::hint::black_box(descends(std::hint::black_box(left) - 1, rx)) + 1
}

#[test]
fn a_deep_stack_is_cut() {
    let _alone = alone();
    bounded_on_thread("a deep stack", || {
        let (tx, rx) = chan::bounded::<()>(0);
        let id = started(move || assert_eq!(descends(150, &rx), 150));
        let g = parked(id, WaitReason::ChanReceive);
        let backtrace = g.backtrace.as_ref().expect("a parked one has a backtrace");
        assert!(backtrace.is_cut && backtrace.frames.len() >= 80, "{}", backtrace.frames.len());
        assert!(g.to_string().contains("...additional frames elided..."));
        drop(tx);
        until("it has ended", || info(id).is_none());
    });
}

/// Waits with less than 32 KiB of stack left.
#[inline(never)]
fn fills(start: usize, rx: &chan::Receiver<()>) {
    let mut block = [1_u8; 1024];
    let here = std::hint::black_box(&mut block).as_ptr().addr();
    if start - here < gopark_sched::DEFAULT_STACK_SIZE - 28 * 1024 {
        fills(start, rx);
    } else {
        let _ = rx.recv();
    }
    std::hint::black_box(&mut block);
}

/// With too little of its stack left the goroutine is not made to run on it.
#[test]
fn a_full_stack_is_left_alone() {
    let _alone = alone();
    bounded_on_thread("a full stack", || {
        let (tx, rx) = chan::bounded::<()>(0);
        let id = started(move || {
            let start = 0_u8;
            fills(std::ptr::from_ref(&start).addr(), &rx);
        });
        let g = parked(id, WaitReason::ChanReceive);
        assert!(g.backtrace.is_none(), "{g}");
        drop(tx);
        until("it has ended", || info(id).is_none());
    });
}

/// Goroutines that park and wake each other all the time, while dump after dump claims them. Nobody is lost, and
/// nobody is resumed twice: the sums are right, and all come to their end.
#[test]
fn a_thousand_at_full_speed_do_not_notice() {
    const PAIRS: usize = 500;
    let _alone = alone();
    bounded_on_thread("a thousand", || {
        let stop = Arc::new(AtomicBool::new(false));
        let sums = Arc::new(AtomicU64::new(0));
        let lock = Arc::new(Mutex::new(0_u64));
        let pairs: Vec<_> = (0..PAIRS)
            .map(|i| {
                let (tx, rx) = chan::bounded::<u64>(i % 3);
                let (stop, sums, lock) = (Arc::clone(&stop), Arc::clone(&sums), Arc::clone(&lock));
                let sender = spawn(move || {
                    let mut sent = 0;
                    while !stop.load(Relaxed) {
                        sent += 1;
                        tx.send(sent).expect("the receiver stays");
                        match sent % 64 {
                            0 => sleep(Duration::from_micros(50)),
                            1 => *lock.lock() += 1,
                            2 => yield_now(),
                            _ => {}
                        }
                    }
                    sent
                });
                let receiver = spawn(move || {
                    let mut last = 0;
                    for n in rx {
                        assert_eq!(n, last + 1);
                        last = n;
                    }
                    sums.fetch_add(last, Relaxed);
                });
                (sender, receiver)
            })
            .collect();
        let dumper = {
            let stop = Arc::clone(&stop);
            spawn(move || {
                let mut dumps = 0;
                while !stop.load(Relaxed) {
                    assert!(DumpOptions::new().max_backtraces(0).dump().goroutines.len() > PAIRS);
                    dumps += 1;
                }
                dumps
            })
        };
        let end = Instant::now() + Duration::from_millis(1500);
        let all = DumpOptions::new().max_backtraces(usize::MAX).max_alike(usize::MAX);
        let mut parked = 0;
        while Instant::now() < end {
            let dump = all.dump();
            assert!(dump.goroutines.len() >= PAIRS, "{} left", dump.goroutines.len());
            parked += dump.goroutines.iter().filter(|g| g.backtrace.is_some()).count();
        }
        assert!(parked > 0, "nobody was ever found parked");
        stop.store(true, Relaxed);
        let mut sent = 0;
        for (sender, receiver) in pairs {
            sent += sender.join().expect("no panic");
            receiver.join().expect("no panic");
        }
        assert!(dumper.join().expect("no panic") > 0);
        assert_eq!(sums.load(Relaxed), sent);
    });
}

#[test]
fn before_the_start_a_dump_is_empty() {
    match child("before_the_start_a_dump_is_empty", &[]) {
        Child::Inside => {
            assert!(dump_goroutines().goroutines.is_empty());
            assert_eq!(dump_goroutines().to_string(), "");
            assert_eq!(gopark_sched::metrics().goroutines.total, 0);
        }
        Child::Ended(output) => assert!(output.status.success(), "{}", text_of(&output)),
        Child::Skip => {}
    }
}
