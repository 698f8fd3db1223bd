//! Goroutines that are locked to their thread.
#![cfg(target_os = "linux")] // by the ids that the kernel gives to threads

mod util;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use gopark_sched::chan::{bounded as channel, unbounded};
use gopark_sched::{
    OsThreadGuard, WaitReason, blocking, go, lock_os_thread, scope, sleep, spawn, unlock_os_thread, yield_now,
};
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    run_with_1_2_and_4_procs();
}

/// The kernel's id of the calling thread.
#[inline(never)]
fn thread_id() -> u32 {
    let link = std::fs::read_link("/proc/thread-self").expect("proc");
    link.file_name().and_then(|name| name.to_str()).and_then(|id| id.parse().ok()).expect("a number")
}

fn thread_exists(id: u32) -> bool {
    std::path::Path::new(&format!("/proc/self/task/{id}")).exists()
}

/// Waits in every way there is; true if it is on the same thread all the time.
fn stays() -> bool {
    let before = thread_id();
    let mut same = true;
    for _ in 0..20 {
        yield_now();
        same &= thread_id() == before;
        sleep(Duration::from_micros(100));
        same &= thread_id() == before;
        spawn(yield_now).join().unwrap();
        same &= thread_id() == before;
        blocking(|| std::thread::sleep(Duration::from_micros(100))); // not for ordering: it blocks
        same &= thread_id() == before;
    }
    same
}

// Go: runtime TestLockOSThreadNesting
#[test]
fn lock_os_thread_nesting() {
    let _alone = alone();
    bounded("nested locks", || {
        // As many goroutines as would make each other move.
        let others: Vec<_> = (0..8).map(|_| spawn(|| (0..200).for_each(|_| yield_now()))).collect();
        let locked = || {
            let info = gopark_sched::dump::DumpOptions::new().max_backtraces(0).dump();
            let me = gopark_sched::goroutine_id();
            info.goroutines.iter().find(|g| g.id == me).expect("it runs").locked_to_thread
        };
        spawn(move || {
            unlock_os_thread(); // one too many does nothing
            assert!(!locked());
            lock_os_thread();
            lock_os_thread();
            assert!(stays() && locked());
            unlock_os_thread();
            assert!(stays() && locked(), "one of two locks is left");
            let guard = OsThreadGuard::new();
            unlock_os_thread();
            assert!(stays() && locked(), "the guard's is left");
            drop(guard);
            assert!(!locked());
            yield_now();
        })
        .join()
        .unwrap();
        others.into_iter().for_each(|h| h.join().unwrap());
    });
    until_settled();
}

// Go: runtime TestLockOSThreadExit
#[test]
fn lock_os_thread_exit() {
    let _alone = alone();
    for _ in 0..20 {
        let (id, ended) = bounded("a locked goroutine ends", || {
            spawn(|| {
                lock_os_thread();
                yield_now();
                (thread_id(), gopark_sched::goroutine_id())
            })
            .join()
            .unwrap()
        });
        assert!(ended > 0);
        until("its thread ends", || !thread_exists(id));
    }
    // And by a panic.
    let id = bounded("a locked goroutine panics", || {
        let h = spawn(|| {
            lock_os_thread();
            std::panic::resume_unwind(Box::new(thread_id()));
        });
        *h.join().unwrap_err().downcast::<u32>().unwrap()
    });
    until("its thread ends", || !thread_exists(id));
    // One that has unlocked leaves a thread to others.
    bounded("it goes on", || spawn(yield_now).join().unwrap());
    until_settled();
}

/// Threads that end so, and what the scheduler keeps of them, do not add up.
#[test]
fn locked_goroutines_come_and_go() {
    let _alone = alone();
    let counts = || gopark_sched::debug_counts().threads;
    bounded("warm up", || scope(|s| (0..8).for_each(|_| s.go(lock_os_thread))));
    until_settled();
    let before = counts();
    for _ in 0..50 {
        bounded("locked goroutines", || {
            scope(|s| {
                for i in 0..8 {
                    s.go(move || {
                        lock_os_thread();
                        if i % 2 == 0 {
                            sleep(Duration::from_micros(50));
                        }
                    });
                }
            });
        });
    }
    until("the threads have ended", || counts() <= before + procs() + 4);
    until_settled();
}

/// The slack of timers that `lock_os_thread_avoids_state_propagation` marks a thread with, in ns.
const SLACK: &str = "77777";

/// The threads that have it.
fn marked() -> Vec<u32> {
    let slack = |id: &u32| std::fs::read_to_string(format!("/proc/{id}/timerslack_ns")).unwrap_or_default();
    let tasks = std::fs::read_dir("/proc/self/task").expect("proc");
    let ids = tasks.flatten().filter_map(|task| task.file_name().to_str().and_then(|id| id.parse().ok()));
    ids.filter(|id| slack(id).trim() == SLACK).collect()
}

/// What a locked goroutine does to its thread is inherited by no other.
///
/// Go: runtime TestLockOSThreadAvoidsStatePropagation, with the slack of timers for the working directory.
#[test]
fn lock_os_thread_avoids_state_propagation() {
    let _alone = alone();
    let own = bounded("a goroutine that changes its thread", move || {
        spawn(move || {
            lock_os_thread();
            let own = thread_id();
            if std::fs::write(format!("/proc/{own}/timerslack_ns"), SLACK).is_err() {
                return None; // not on this kernel
            }
            // It gives its P away, from its thread, to more threads than there are.
            let block = || std::thread::sleep(Duration::from_millis(20)); // not for ordering: it blocks
            let many: Vec<_> = (0..procs() + 20).map(|_| spawn(move || blocking(block))).collect();
            many.into_iter().for_each(|h| h.join().unwrap());
            sleep(Duration::from_millis(1));
            assert_eq!(marked(), [own]);
            Some(own)
        })
        .join()
        .unwrap()
    });
    if let Some(own) = own {
        until("the marked thread ends", || !thread_exists(own));
        assert_eq!(marked(), [0_u32; 0]);
    }
    until_settled();
}

// Go: runtime TestYieldLocked
#[test]
fn yield_locked() {
    let _alone = alone();
    bounded("a locked goroutine that yields and sleeps", || {
        let (tx, rx) = channel(0);
        go(move || {
            lock_os_thread();
            for _ in 0..10 {
                yield_now();
                sleep(Duration::from_millis(1));
            }
            tx.send(true).unwrap();
        });
        assert_eq!(rx.recv(), Ok(true));
    });
    until_settled();
}

// Go: runtime TestBlockLocked
#[test]
fn block_locked() {
    let _alone = alone();
    bounded("a locked goroutine that sends", || {
        let (tx, rx) = channel(0);
        let h = spawn(move || {
            lock_os_thread();
            (0..10).for_each(|i| tx.send(i).unwrap());
            unlock_os_thread();
        });
        assert_eq!(rx.iter().collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
        h.join().unwrap();
    });
    until_settled();
}

/// One that yields all the time does not starve who would stop it.
///
/// Go: runtime TestYieldLockedProgress
#[test]
fn yield_locked_progress() {
    let _alone = alone();
    bounded("a locked goroutine that yields until it is told", || {
        let (tx, rx) = unbounded();
        let (ack, acked) = channel(0);
        go(move || {
            lock_os_thread();
            while rx.try_recv().is_err() {
                yield_now();
            }
            ack.send(()).unwrap();
        });
        sleep(Duration::from_millis(10));
        tx.send(()).unwrap();
        acked.recv().unwrap();
    });
    until_settled();
}

/// Locked goroutines are woken by others, wake others, and pass channels' values in both directions.
#[test]
fn locked_and_unlocked_ping_pong() {
    let _alone = alone();
    for both in [false, true] {
        bounded("ping-pong", move || {
            let (ping, pinged) = channel(0);
            let (pong, ponged) = channel(0);
            let h = spawn(move || {
                let _here = both.then(OsThreadGuard::new);
                pinged.iter().for_each(|i: u32| pong.send(i + 1).unwrap());
            });
            lock_os_thread();
            for i in 0..500 {
                ping.send(i).unwrap();
                assert_eq!(ponged.recv(), Ok(i + 1));
            }
            drop(ping);
            h.join().unwrap();
            unlock_os_thread();
            yield_now();
        });
    }
    until_settled();
}

/// `scope`, `join`, panics, blocking sections and `run` with a locked goroutine.
#[test]
fn locked_everywhere() {
    let _alone = alone();
    let id = runtime().run(|| {
        lock_os_thread();
        let here = thread_id();
        let mut sum = 0;
        scope(|s| s.go(|| sum = (0..10).map(|i| spawn(move || i).join().unwrap()).sum()));
        assert_eq!(sum, 45);
        assert!(spawn(|| panic!("expected")).join().is_err());
        blocking(|| {
            // Waiting as a goroutine in the middle of it, and a lock that is taken and released there.
            lock_os_thread();
            sleep(Duration::from_millis(1));
            unlock_os_thread();
        });
        blocking(lock_os_thread);
        unlock_os_thread();
        assert_eq!(thread_id(), here);
        here
    });
    until("its thread ends", || !thread_exists(id));
    // In a blocking section that begins unlocked.
    bounded("a lock inside of a blocking section", || {
        spawn(|| {
            let id = blocking(|| {
                lock_os_thread();
                let id = thread_id();
                sleep(Duration::from_millis(1));
                id
            });
            assert_eq!(thread_id(), id);
            unlock_os_thread();
        })
        .join()
        .unwrap();
    });
    until_settled();
}

/// It is shown as what it is.
#[test]
fn a_locked_goroutine_waits_for_a_reason() {
    let _alone = alone();
    let (tx, rx) = channel::<()>(0);
    let ended = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&ended);
    runtime();
    go(move || {
        lock_os_thread();
        assert!(rx.recv().is_err());
        theirs.store(true, Relaxed);
    });
    until("it is seen", || {
        let dump = gopark_sched::dump::DumpOptions::new().max_backtraces(0).dump();
        dump.goroutines.iter().any(|g| {
            g.locked_to_thread
                && g.state == gopark_sched::dump::GoroutineState::Waiting(WaitReason::ChanReceive)
        })
    });
    drop(tx);
    until("it ends", || ended.load(Relaxed));
    until_settled();
}

#[test]
fn plain_threads_may_lock_as_well() {
    bounded_on_thread("a plain thread", || {
        lock_os_thread();
        let _here = OsThreadGuard::new();
        sleep(Duration::from_millis(1));
        unlock_os_thread();
    });
}
