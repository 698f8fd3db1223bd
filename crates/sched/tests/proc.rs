//! The scheduler's loop: progress, parallelism, polling. The names of Go's tests where they are Go's.

mod util;

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::time::{Duration, Instant};

use gopark_poll::{Fd, FdKind};
use gopark_sched::{JoinHandle, go, num_goroutines, scope, sleep, spawn, yield_now};
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    run_with_1_2_and_4_procs();
}

/// Two connected descriptors of ours.
fn pair() -> (Fd, Fd) {
    let (a, b) = UnixStream::pair().unwrap();
    let ours = |s: UnixStream| {
        s.set_nonblocking(true).unwrap();
        let mut fd = Fd::new(s.into(), FdKind::STREAM);
        fd.init().unwrap();
        fd
    };
    (ours(a), ours(b))
}

// Go: runtime TestYieldProgress
#[test]
fn yield_progress() {
    let _alone = alone();
    bounded("a goroutine that yields beside one that yields", || {
        let stop = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&stop);
        let h = spawn(move || {
            while !theirs.load(Relaxed) {
                yield_now();
            }
        });
        for _ in 0..1000 {
            yield_now();
        }
        stop.store(true, Relaxed);
        h.join().unwrap();
    });
}

/// `procs` goroutines hand a turn around without a call into the runtime: they must all run at the same time.
fn take_turns(rounds: u32) {
    let procs = procs() as u32;
    let turn = AtomicU32::new(0);
    scope(|s| {
        for me in 0..procs {
            let turn = &turn;
            s.go(move || {
                for _ in 0..rounds {
                    while turn.load(Relaxed) % procs != me {
                        std::hint::spin_loop();
                    }
                    turn.fetch_add(1, Relaxed);
                }
            });
        }
    });
    assert_eq!(turn.into_inner(), procs * rounds);
}

// Go: runtime TestGoroutineParallelism
#[test]
fn goroutine_parallelism() {
    let _alone = alone();
    for _ in 0..5 {
        bounded("goroutines in parallel", || take_turns(10));
    }
}

/// The same after the Ps were busy with other things, and with the poller in use.
// Go: runtime TestGoroutineParallelism2
#[test]
fn goroutine_parallelism2() {
    let _alone = alone();
    for (load, poll) in [(false, false), (true, false), (false, true), (true, true)] {
        bounded(&format!("goroutines in parallel, load {load}, poller {poll}"), move || {
            let (near, far) = pair();
            let (near, far) = (Arc::new(near), Arc::new(far));
            let reader = poll.then(|| {
                let near = Arc::clone(&near);
                spawn(move || near.read(&mut [0; 8]).unwrap())
            });
            if load {
                for _ in 0..2 {
                    let all: Vec<JoinHandle<()>> = (0..4 * procs()).map(|_| spawn(yield_now)).collect();
                    all.into_iter().for_each(|h| h.join().unwrap());
                }
            }
            if poll {
                // Long enough for the others to go to sleep and one of them into the poller.
                sleep(Duration::from_millis(2));
            }
            for _ in 0..3 {
                take_turns(10);
            }
            if let Some(reader) = reader {
                far.write_all(b"end").unwrap();
                assert_eq!(reader.join().unwrap(), 3);
            }
        });
    }
}

/// A timer fires while goroutines that ready each other keep every P busy.
// Go: runtime TestTimerFairness
#[test]
fn timer_fairness() {
    let _alone = alone();
    let took = bounded("a timer beside busy goroutines", || {
        let stop = Arc::new(AtomicBool::new(false));
        let busy: Vec<_> = (0..2 * procs())
            .map(|_| {
                let stop = Arc::clone(&stop);
                spawn(move || {
                    while !stop.load(Relaxed) {
                        // The child goes to runnext: a pair that readies each other.
                        spawn(|| {}).join().unwrap();
                    }
                })
            })
            .collect();
        let start = Instant::now();
        sleep(Duration::from_millis(20));
        let took = start.elapsed();
        stop.store(true, Relaxed);
        busy.into_iter().for_each(|h| h.join().unwrap());
        took
    });
    assert!(took >= Duration::from_millis(20) && took < Duration::from_secs(1), "{took:?}");
}

/// A pair that passes a byte to and fro through the poller makes progress beside goroutines that never wait.
/// A timer fires while a few goroutines pass values on by a select that always has something to do.
// Go: runtime TestTimerFairness2
#[test]
fn timer_fairness2() {
    let _alone = alone();
    bounded("a timer beside selects", || {
        let (tx, rx) = gopark_sched::chan::bounded(1);
        let (stop, stopped) = gopark_sched::chan::bounded::<()>(0);
        let busy: Vec<_> = (0..2)
            .map(|_| {
                let (tx, rx, stopped) = (tx.clone(), rx.clone(), stopped.clone());
                spawn(move || {
                    loop {
                        gopark_sched::select! {
                            send(tx, ()) -> sent => sent.unwrap(),
                            recv(rx) -> value => value.unwrap(),
                            recv(stopped) -> _ => break,
                        }
                    }
                })
            })
            .collect();
        sleep(Duration::from_millis(10));
        drop(stop);
        busy.into_iter().for_each(|h| h.join().unwrap());
    });
}

/// The same with as many pairs that ping and pong over channels as there are Ps; the limit is in `bounded`.
// Go: runtime TestTimerFairness3
#[test]
fn timer_fairness3() {
    let _alone = alone();
    bounded("a timer beside pairs", || {
        let stop = Arc::new(AtomicBool::new(false));
        let pairs: Vec<_> = (0..procs())
            .map(|_| {
                let (stop, (ping, pinged)) = (Arc::clone(&stop), gopark_sched::chan::bounded(0));
                let (pong, ponged) = gopark_sched::chan::bounded(0);
                let other = spawn(move || pinged.iter().for_each(|()| pong.send(()).unwrap()));
                spawn(move || {
                    while !stop.load(Relaxed) {
                        ping.send(()).unwrap();
                        ponged.recv().unwrap();
                    }
                    drop(ping);
                    other.join().unwrap();
                })
            })
            .collect();
        for _ in 0..5 {
            sleep(Duration::from_millis(2));
        }
        stop.store(true, Relaxed);
        pairs.into_iter().for_each(|h| h.join().unwrap());
    });
}

/// Signals interrupt system calls, also those in which the threads of the runtime sleep.
// Go: runtime TestSpuriousWakeupsNeverHangSemasleep
#[test]
fn spurious_wakeups_never_hang_semasleep() {
    let _alone = alone();
    let signals =
        gopark_sched::signal::notify(&[gopark_sched::signal::Signal::SIGWINCH]).expect("SIGWINCH can be had");
    let storm = format!("i=0; while [ $i -lt 100 ]; do kill -WINCH {}; i=$((i+1)); done", std::process::id());
    let mut shell = std::process::Command::new("sh").args(["-c", &storm]).spawn().expect("a shell");
    bounded("sleeps beside signals", || {
        for _ in 0..20 {
            let start = Instant::now();
            sleep(Duration::from_millis(1));
            assert!(start.elapsed() >= Duration::from_millis(1));
        }
    });
    let thread_slept = bounded_on_thread("a plain thread's sleep beside signals", || {
        let start = Instant::now();
        sleep(Duration::from_millis(20));
        start.elapsed()
    });
    assert!(thread_slept >= Duration::from_millis(20));
    assert!(shell.wait().expect("the shell ends").success());
    assert!(signals.try_recv().is_ok(), "no signal came");
}

// Go: runtime TestPingPongHog
#[test]
fn ping_pong_hog() {
    let _alone = alone();
    bounded("ping-pong beside yielding hogs", || {
        let stop = Arc::new(AtomicBool::new(false));
        let hogs: Vec<_> = (0..procs())
            .map(|_| {
                let stop = Arc::clone(&stop);
                spawn(move || {
                    while !stop.load(Relaxed) {
                        hog_for(Duration::from_micros(50));
                        yield_now();
                    }
                })
            })
            .collect();
        let (near, far) = pair();
        let echo = spawn(move || {
            let mut byte = [0];
            while far.read(&mut byte).unwrap() == 1 {
                far.write_all(&byte).unwrap();
            }
        });
        for i in 0..100 {
            let mut byte = [0];
            near.write_all(&[i]).unwrap();
            assert_eq!(near.read(&mut byte).unwrap(), 1);
            assert_eq!(byte, [i]);
        }
        near.close().unwrap();
        echo.join().unwrap();
        stop.store(true, Relaxed);
        hogs.into_iter().for_each(|h| h.join().unwrap());
    });
}

/// Two that ready each other for ever do not keep a third from its turn, although runnext is theirs.
#[test]
fn runnext_does_not_starve_the_queue() {
    let _alone = alone();
    bounded("a third beside a pair that readies each other", || {
        let stop = Arc::new(AtomicBool::new(false));
        let pairs: Vec<_> = (0..procs())
            .map(|_| {
                let stop = Arc::clone(&stop);
                spawn(move || {
                    while !stop.load(Relaxed) {
                        spawn(|| {}).join().unwrap();
                    }
                })
            })
            .collect();
        for _ in 0..50 {
            spawn(yield_now).join().unwrap();
            yield_now();
        }
        stop.store(true, Relaxed);
        pairs.into_iter().for_each(|h| h.join().unwrap());
    });
}

// Go: runtime TestNumGoroutine
#[test]
fn num_goroutine() {
    const N: usize = 300;
    let _alone = alone();
    bounded("counting goroutines", || {
        // Those of the tests before this have all ended but for their last act, on their threads' stacks.
        while num_goroutines() != 1 {
            yield_now();
        }
        let stop = Arc::new(AtomicBool::new(false));
        let all: Vec<_> = (0..N)
            .map(|_| {
                let stop = Arc::clone(&stop);
                spawn(move || {
                    while !stop.load(Relaxed) {
                        sleep(Duration::from_millis(1));
                    }
                })
            })
            .collect();
        assert_eq!(num_goroutines(), 1 + N);
        stop.store(true, Relaxed);
        all.into_iter().for_each(|h| h.join().unwrap());
        while num_goroutines() != 1 {
            yield_now();
        }
    });
}

/// Everybody asleep and one thread in the poller for a minute: what a plain thread starts runs at once all the same.
// Go: runtime TestNetpollBreak
#[test]
fn netpoll_break() {
    let _alone = alone();
    bounded_on_thread("waking the poller", || {
        let (near, far) = pair();
        let reader = spawn(move || near.read(&mut [0; 8]).unwrap());
        // Something to wait for until long after the test.
        let patient = spawn(move || reader.join_timeout(Duration::from_secs(60)).unwrap().unwrap());
        for round in 0..20 {
            until("the poller blocks", || gopark_sched::debug_counts().poller.starts_with("Blocking"));
            let start = Instant::now();
            if round % 2 == 0 {
                spawn(|| ()).join().unwrap();
            } else {
                sleep(Duration::from_millis(1));
            }
            let took = start.elapsed();
            assert!(took < Duration::from_millis(500), "round {round}: {took:?}");
        }
        far.write_all(b"end").unwrap();
        assert_eq!(patient.join().unwrap(), 3);
    });
}

/// More than all local queues hold, from outside and from inside: each runs once.
#[test]
fn many_goroutines_run_once_each() {
    const N: usize = 20_000;
    let _alone = alone();
    runtime();
    for inside in [true, false] {
        let ran = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&ran);
        let start_all = move || {
            for _ in 0..N {
                let ran = Arc::clone(&theirs);
                go(move || {
                    ran.fetch_add(1, Relaxed);
                });
            }
        };
        if inside {
            bounded("start goroutines", start_all);
        } else {
            start_all();
        }
        until("all have run", || ran.load(Relaxed) == N);
    }
}

/// What comes from outside gets its turn beside goroutines that only yield, and then these go on without the scheduler
/// lock: through the global queue each yield would take it, and that queue would never be empty again.
#[test]
fn yields_empty_the_global_queue_and_do_not_fill_it() {
    const N: usize = 64;
    let _alone = alone();
    runtime();
    let stop = Arc::new(AtomicBool::new(false));
    let yielders: Vec<JoinHandle<()>> = (0..8 * procs())
        .map(|_| {
            let stop = Arc::clone(&stop);
            spawn(move || {
                while !stop.load(Relaxed) {
                    yield_now();
                }
            })
        })
        .collect();
    for _ in 0..5 {
        let ran = Arc::new(AtomicUsize::new(0));
        for _ in 0..N {
            let ran = Arc::clone(&ran);
            go(move || {
                ran.fetch_add(1, Relaxed);
            });
        }
        until("what came from outside ran", || ran.load(Relaxed) == N);
        let empty = (0..100).filter(|_| gopark_sched::debug_counts().global_queue == 0).count();
        assert!(empty > 50, "the global queue was empty in {empty} of 100 looks");
    }
    stop.store(true, Relaxed);
    bounded_on_thread("the yielders", || yielders.into_iter().for_each(|h| h.join().unwrap()));
}

/// A tree of goroutines, each of which waits for its children: deep joins and a wide queue at once.
#[test]
fn a_tree_of_joins_comes_back() {
    fn tree(depth: u32) -> u64 {
        if depth == 0 {
            return 1;
        }
        let (left, right) = (spawn(move || tree(depth - 1)), spawn(move || tree(depth - 1)));
        left.join().unwrap() + right.join().unwrap()
    }
    let _alone = alone();
    assert_eq!(bounded("a tree of joins", || tree(11)), 1 << 11);
}

/// Ids are unique, and the goroutine's own throughout.
#[test]
fn goroutine_ids_are_unique_and_stay() {
    let _alone = alone();
    assert_eq!(gopark_sched::goroutine_id(), 0, "this is a plain thread");
    let ids = bounded("ids", || {
        let all: Vec<_> = (0..500)
            .map(|_| {
                spawn(|| {
                    let id = gopark_sched::goroutine_id();
                    yield_now();
                    sleep(Duration::from_micros(100));
                    assert_eq!(id, gopark_sched::goroutine_id());
                    id
                })
            })
            .collect();
        all.into_iter().map(|h| h.join().unwrap()).collect::<std::collections::BTreeSet<u64>>()
    });
    assert_eq!(ids.len(), 500);
    assert!(!ids.contains(&0));
}

/// More Ps than anybody has processors.
// Go: runtime TestBigGOMAXPROCS
#[test]
fn big_gomaxprocs() {
    const TEST: &str = "big_gomaxprocs";
    match child(TEST, &[("GOPARK_MAXPROCS", "1024")]) {
        Child::Inside => {
            assert_eq!(procs(), 1024);
            let ran = Arc::new(AtomicUsize::new(0));
            let theirs = Arc::clone(&ran);
            bounded("goroutines on 1,024 Ps", move || {
                scope(|s| {
                    for _ in 0..3_000 {
                        s.go(|| {
                            yield_now();
                            theirs.fetch_add(1, SeqCst); // read by the plain thread below
                        });
                    }
                });
            });
            assert_eq!(ran.load(SeqCst), 3_000);
        }
        Child::Ended(output) => assert!(output.status.success(), "{}", text_of(&output)),
        Child::Skip => {}
    }
}
