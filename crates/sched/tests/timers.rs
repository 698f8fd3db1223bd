//! Timers, tickers and functions that run later. The names of Go's tests where they are Go's.

mod util;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use gopark_sched::chan;
use gopark_sched::time::{Ticker, Timer, after, after_func, sleep, tick, timeout};
use gopark_sched::{go, select, yield_now};
use util::*;

const LONG: Duration = Duration::from_secs(3600);
const MS: Duration = Duration::from_millis(1);

#[test]
fn runs_with_1_2_and_4_procs() {
    run_with_1_2_and_4_procs();
}

// Go: time TestAfter
#[test]
fn after_is_not_early() {
    let _alone = alone();
    bounded("after", || {
        let begin = Instant::now();
        let at = after(10 * MS).recv().unwrap();
        assert!(begin.elapsed() >= 10 * MS);
        assert!(at >= begin + 10 * MS, "the time that was sent is that of the firing");
    });
}

// Go: time TestAfterQueuing
#[test]
fn after_queuing() {
    let _alone = alone();
    bounded("timers of many lengths", || {
        let (tx, rx) = chan::unbounded();
        let begin = Instant::now();
        for slot in [5u32, 3, 6, 6, 6, 1, 1, 2, 7, 9, 4, 8, 0] {
            let tx = tx.clone();
            go(move || {
                let at = after(slot * 5 * MS).recv().unwrap();
                tx.send((slot, at)).unwrap();
            });
        }
        drop(tx);
        let mut fired: Vec<_> = rx.iter().collect();
        assert_eq!(fired.len(), 13);
        fired.sort_by_key(|&(_, at)| at);
        for &(slot, at) in &fired {
            assert!(at - begin >= slot * 5 * MS, "slot {slot} is early");
        }
    });
}

// Go: time TestAfterStop, TestTimerStopStress
#[test]
fn stop_says_whether_it_was_in_time() {
    let _alone = alone();
    bounded("stop", || {
        let timer = Timer::new(LONG);
        assert!(timer.stop());
        assert!(!timer.stop(), "twice");
        let fired = Timer::new(MS);
        fired.c().recv().unwrap();
        assert!(!fired.stop(), "received");
        let unread = Timer::new(Duration::ZERO);
        while unread.c().is_empty() {
            yield_now();
        }
        assert!(unread.stop(), "fired, but nobody has received: as if it had not (Go 1.23)");
        assert!(unread.c().try_recv().is_err(), "nothing is left to receive");
    });
}

// Go: time TestReset, TestTimerModifiedEarlier
#[test]
fn reset_moves_it_either_way() {
    let _alone = alone();
    bounded("reset", || {
        let timer = Timer::new(LONG);
        let begin = Instant::now();
        assert!(timer.reset(10 * MS), "it was set");
        timer.c().recv().unwrap();
        assert!(begin.elapsed() >= 10 * MS);
        assert!(!timer.reset(LONG), "it had fired");
        assert!(timer.c().try_recv().is_err());
        assert!(timer.reset(MS));
        timer.c().recv().unwrap();
    });
}

// go-semantics 7.4: "Stop/Reset racing a firing timer: return value (#69312) and stale delivery".
// Go: time TestStopResult, TestResetResult
#[test]
fn nothing_stale_after_stop_or_reset() {
    let _alone = alone();
    bounded("stop and reset against the firing", || {
        for i in 0..3000u32 {
            let timer = Timer::new(Duration::from_nanos(u64::from(i % 100) * 100));
            if i % 3 == 0 {
                yield_now();
            }
            let pending = if i % 2 == 0 { timer.stop() } else { timer.reset(LONG) };
            assert!(timer.c().try_recv().is_err(), "a stale value");
            assert!(pending, "nobody has received, so it was pending");
        }
    });
}

// Go: time TestTicker
#[test]
fn ticker_ticks() {
    let _alone = alone();
    bounded("a ticker", || {
        let begin = Instant::now();
        let ticker = Ticker::new(2 * MS);
        let ticks: Vec<_> = ticker.c().iter().take(5).collect();
        assert!(begin.elapsed() >= 10 * MS);
        assert!(ticks.windows(2).all(|w| w[0] < w[1]));
        ticker.stop();
        assert!(ticker.c().try_recv().is_err());
        assert_eq!(ticker.c().recv_timeout(10 * MS), Err(chan::RecvTimeoutError::Timeout), "it is stopped");
        ticker.reset(MS);
        ticker.c().recv().unwrap();
    });
}

// Go: time TestTeardown; the rule "next = when + period * (1 + late / period)".
#[test]
fn a_slow_receiver_misses_ticks() {
    let _alone = alone();
    bounded("a slow receiver", || {
        let begin = Instant::now();
        let ticker = Ticker::new(5 * MS);
        ticker.c().recv().unwrap();
        sleep(32 * MS);
        let waiting = ticker.c().try_iter().count();
        assert!(waiting <= 1, "{waiting} ticks piled up");
        let next = ticker.c().recv().unwrap();
        assert!((next - begin).as_micros() >= 5_000);
    });
}

// Go: time TestNewTickerLtZeroDuration, TestTick
#[test]
fn a_ticker_needs_an_interval() {
    let _alone = alone();
    for f in [|| drop(Ticker::new(Duration::ZERO)), || drop(tick(Duration::ZERO))] {
        let text = std::panic::catch_unwind(f).unwrap_err();
        assert!(text.downcast_ref::<String>().unwrap().starts_with("non-positive interval for"));
    }
    bounded("a ticker whose period overflows, and one nobody holds", || {
        let huge = Ticker::new(Duration::MAX);
        assert!(huge.c().try_recv().is_err());
        assert_eq!(tick(MS).iter().take(3).count(), 3);
    });
}

// Go: time TestAfterFunc
#[test]
fn after_func_runs_it_again_and_again() {
    let _alone = alone();
    bounded("a function that sets itself again", || {
        let (tx, rx) = chan::unbounded();
        for i in 0..10u32 {
            let tx = tx.clone();
            let _ = after_func(i % 3 * MS, move || tx.send(i).unwrap());
        }
        drop(tx);
        let mut got: Vec<_> = rx.iter().collect();
        got.sort_unstable();
        assert_eq!(got, (0..10).collect::<Vec<_>>(), "each ran once, and was dropped");
    });
}

// Go: time TestAfterFuncStarvation
#[test]
fn after_func_is_not_starved() {
    let _alone = alone();
    bounded("a function beside goroutines that hand a value around", || {
        let (a, b) = (chan::bounded(0), chan::bounded(0));
        let (stop, stopped) = chan::bounded::<()>(0);
        let (ping, pong) = (a.1.clone(), b.0.clone());
        go(move || {
            while let Ok(()) = ping.recv() {
                if pong.send(()).is_err() {
                    break;
                }
            }
        });
        let _timer = after_func(5 * MS, move || {
            stop.close();
        });
        loop {
            a.0.send(()).unwrap();
            b.1.recv().unwrap();
            select! {
                recv(stopped) -> _ => break,
                default => {},
            }
        }
        a.0.close();
    });
}

#[test]
fn after_func_can_be_stopped_and_set_again() {
    let _alone = alone();
    bounded("stop and reset of a function", || {
        let runs = Arc::new(AtomicU32::new(0));
        let theirs = Arc::clone(&runs);
        let (tx, rx) = chan::unbounded();
        let func = after_func(LONG, move || {
            theirs.fetch_add(1, SeqCst);
            tx.send(()).unwrap();
        });
        assert!(func.stop() && !func.stop());
        assert!(!func.reset(MS), "it was stopped");
        rx.recv().unwrap();
        assert!(!func.stop(), "it has run");
        func.reset(Duration::ZERO);
        rx.recv().unwrap();
        drop(func);
        assert!(rx.recv().is_err(), "the function is dropped with its handle, once it cannot run any more");
        assert_eq!(runs.load(SeqCst), 2);
    });
}

#[test]
fn a_panic_in_a_function_is_its_own() {
    let _alone = alone();
    bounded("a function that panics", || {
        let (tx, rx) = chan::unbounded::<()>();
        let _ = after_func(MS, move || {
            let _tx = &tx;
            panic!("on purpose");
        });
        assert!(rx.recv().is_err(), "the function, and its sender with it, is gone");
    });
}

/// User code must not run on the scheduler's stack: what a function holds may park when it is dropped.
#[test]
fn what_a_function_holds_is_dropped_on_a_goroutine() {
    struct ParksInDrop(chan::Sender<u64>);
    impl Drop for ParksInDrop {
        fn drop(&mut self) {
            sleep(MS);
            self.0.send(gopark_sched::goroutine_id()).unwrap();
        }
    }
    let _alone = alone();
    bounded("destructors", || {
        let (tx, rx) = chan::unbounded();
        for _ in 0..100 {
            let held = ParksInDrop(tx.clone());
            let _ = after_func(Duration::ZERO, move || {
                let _ = &held;
            });
        }
        drop(tx);
        assert_eq!(rx.iter().filter(|&id| id != 0).count(), 100);
    });
}

// Go: time TestOverflowSleep, TestOverflowPeriodRuntimeTimer
#[test]
fn durations_that_are_too_long() {
    let _alone = alone();
    bounded("the longest duration", || {
        let never = Timer::new(Duration::MAX);
        let forever = after(Duration::MAX);
        sleep(5 * MS);
        assert!(never.c().is_empty() && forever.is_empty());
        assert!(never.stop());
        assert!(timeout(Duration::MAX, |until| until > Instant::now()));
    });
}

#[test]
fn a_time_limit_for_several_calls() {
    let _alone = alone();
    bounded("timeout", || {
        let (_tx, rx) = chan::bounded::<()>(0);
        let begin = Instant::now();
        let results = timeout(20 * MS, |until| [rx.recv_deadline(until), rx.recv_deadline(until)]);
        assert_eq!(results, [Err(chan::RecvTimeoutError::Timeout); 2]);
        assert!(begin.elapsed() >= 20 * MS && begin.elapsed() < 10 * Duration::from_secs(1));
    });
}

#[test]
fn from_plain_threads() {
    let _alone = alone();
    runtime();
    let at = Instant::now();
    after(5 * MS).recv().unwrap();
    assert!(at.elapsed() >= 5 * MS);
    let (tx, rx) = chan::bounded(1);
    let _ = after_func(MS, move || tx.send(gopark_sched::goroutine_id()).unwrap());
    assert_ne!(rx.recv().unwrap(), 0, "on a goroutine");
}

// Go: time TestMultiWakeupTimer, TestMultiWakeupTicker
#[test]
fn many_timers_of_many_goroutines() {
    let _alone = alone();
    bounded("a thousand timers", || {
        let fired = Arc::new(AtomicUsize::new(0));
        let (tx, rx) = chan::bounded::<()>(0);
        for i in 0..1000u64 {
            let (fired, tx) = (Arc::clone(&fired), tx.clone());
            go(move || {
                let timer = Timer::new(Duration::from_micros(i % 50 * 100));
                if i % 7 == 0 {
                    timer.reset(Duration::from_micros(50));
                }
                timer.c().recv().unwrap();
                fired.fetch_add(1, SeqCst);
                drop(tx);
            });
        }
        drop(tx);
        assert!(rx.recv().is_err());
        assert_eq!(fired.load(SeqCst), 1000);
    });
}
