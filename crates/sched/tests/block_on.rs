//! Futures on goroutines and threads: `block_on`, its waker, and the types of other crates inside of it.
#![cfg(not(loom))]

mod util;

use std::future::{Future, pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures_util::future::{Either, join, join_all, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use gopark_sched::{block_on, go, goroutine_id, spawn, yield_now};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    let _alone = alone();
    run_with_1_2_and_4_procs();
}

/// Runs `f` on a goroutine, then on a plain thread.
#[track_caller]
fn on_both(name: &'static str, f: fn()) {
    bounded(name, f);
    bounded_on_thread(name, f);
}

/// Gives its waker to whoever asks, and is ready when it was told so.
#[derive(Clone, Default)]
struct Gate(Arc<Mutex<(bool, Option<Waker>)>>);

impl Gate {
    fn open(&self) {
        let waker = {
            let mut gate = self.0.lock().unwrap();
            gate.0 = true;
            gate.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn has_waiter(&self) -> bool {
        self.0.lock().unwrap().1.is_some()
    }
}

impl Future for Gate {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut gate = self.0.lock().unwrap();
        if gate.0 {
            return Poll::Ready(());
        }
        gate.1 = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[test]
fn a_ready_future_is_polled_once() {
    on_both("ready", || {
        assert_eq!(block_on(ready(7)), 7);
        let mut polls = 0;
        block_on(poll_fn(|_| {
            polls += 1;
            Poll::Ready(())
        }));
        assert_eq!(polls, 1);
    });
}

#[test]
fn a_wake_from_a_goroutine_or_a_thread_ends_the_wait() {
    on_both("wake", || {
        for round in 0..200 {
            let gate = Gate::default();
            let opener = gate.clone();
            if round % 2 == 0 {
                go(move || opener.open());
            } else {
                std::thread::spawn(move || opener.open());
            }
            block_on(gate);
        }
    });
}

#[test]
fn the_thread_is_free_while_the_future_waits() {
    bounded("parked", || {
        let gates: Vec<Gate> = (0..100).map(|_| Gate::default()).collect();
        let waiting: Vec<_> = gates
            .iter()
            .map(|gate| {
                let gate = gate.clone();
                spawn(move || block_on(gate))
            })
            .collect();
        // With fewer threads than waiters this only comes true if a waiter gives its thread back.
        while !gates.iter().all(Gate::has_waiter) {
            yield_now();
        }
        gates.iter().for_each(Gate::open);
        waiting.into_iter().for_each(|w| w.join().unwrap());
    });
}

#[test]
fn a_future_that_wakes_itself_lets_others_run() {
    bounded("yield", || {
        static STOP: AtomicBool = AtomicBool::new(false);
        STOP.store(false, SeqCst);
        go(|| STOP.store(true, SeqCst));
        block_on(poll_fn(|cx| {
            if STOP.load(SeqCst) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }));
    });
}

#[test]
fn wakes_after_the_end_harm_nobody() {
    on_both("late wakes", || {
        for _ in 0..100 {
            let mut kept = None;
            block_on(poll_fn(|cx| {
                kept = Some(cx.waker().clone());
                Poll::Ready(())
            }));
            let kept = kept.unwrap();
            let late = std::thread::spawn(move || {
                for _ in 0..100 {
                    kept.wake_by_ref();
                }
            });
            // The slot's next users: another future, a lock's wait, a join.
            let gate = Gate::default();
            let opener = gate.clone();
            let handle = spawn(move || opener.open());
            block_on(gate);
            handle.join().unwrap();
            late.join().unwrap();
        }
    });
}

#[test]
fn a_waker_outlives_its_goroutine() {
    let waker = bounded("short life", || {
        let waker = Arc::new(Mutex::new(None));
        let to = waker.clone();
        spawn(move || {
            block_on(poll_fn(|cx| {
                *to.lock().unwrap() = Some(cx.waker().clone());
                Poll::Ready(())
            }));
        })
        .join()
        .unwrap();
        waker.lock().unwrap().take().unwrap()
    });
    // The goroutine's slot may have gone to another one by now, which waits for something else.
    bounded("the next ones", move || {
        let gates: Vec<Gate> = (0..50).map(|_| Gate::default()).collect();
        let waiting: Vec<_> = gates
            .iter()
            .map(|gate| {
                let gate = gate.clone();
                spawn(move || block_on(gate))
            })
            .collect();
        for gate in &gates {
            waker.wake_by_ref();
            gate.open();
        }
        waiting.into_iter().for_each(|w| w.join().unwrap());
    });
}

#[test]
fn a_wake_is_not_lost_in_a_wait_inside_of_poll() {
    on_both("a wait inside", || {
        for _ in 0..200 {
            let mut polls = 0;
            block_on(poll_fn(|cx| {
                polls += 1;
                if polls > 1 {
                    return Poll::Ready(());
                }
                let waker = cx.waker().clone();
                // The wake comes while this poll waits on the goroutine's other slot.
                spawn(move || waker.wake()).join().unwrap();
                Poll::Pending
            }));
            assert_eq!(polls, 2);
        }
    });
}

#[test]
fn block_on_may_be_nested_and_the_outer_wake_is_not_lost() {
    on_both("nested", || {
        for _ in 0..100 {
            let outer = Gate::default();
            let opener = outer.clone();
            let mut waited = false;
            let mut outer = outer;
            block_on(poll_fn(|cx| {
                let result = Pin::new(&mut outer).poll(cx);
                if !waited {
                    waited = true;
                    let inner = Gate::default();
                    let (first, second) = (opener.clone(), inner.clone());
                    go(move || {
                        first.open();
                        second.open();
                    });
                    block_on(inner);
                }
                result
            }));
        }
    });
}

#[test]
fn a_panic_in_poll_passes_through_and_the_slot_is_free_again() {
    on_both("panic", || {
        for _ in 0..10 {
            let caught = catch_unwind(|| block_on(async { std::panic::resume_unwind(Box::new("boom")) }));
            let payload = caught.unwrap_err();
            assert_eq!(*payload.downcast::<&str>().unwrap(), "boom");
            assert_eq!(block_on(ready(1)), 1);
        }
    });
}

#[test]
fn the_future_is_dropped_before_block_on_returns_or_unwinds() {
    on_both("drop", || {
        let drops = Arc::new(AtomicUsize::new(0));
        let token = CountDrops(drops.clone());
        block_on(async move {
            let _token = token;
        });
        assert_eq!(drops.load(SeqCst), 1);
        let token = CountDrops(drops.clone());
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            block_on(async move {
                let _token = token;
                std::panic::resume_unwind(Box::new(()));
            });
        }));
        assert!(unwound.is_err());
        assert_eq!(drops.load(SeqCst), 2);
    });
}

#[test]
fn a_future_need_not_be_send() {
    bounded("Rc", || {
        let value = Rc::new(5);
        let copy = value.clone();
        let sum = block_on(async move {
            let (tx, rx) = oneshot::channel();
            go(move || tx.send(1).unwrap());
            *copy + rx.await.unwrap()
        });
        assert_eq!(sum, 6);
        assert_eq!(Rc::strong_count(&value), 1);
    });
}

#[test]
fn many_wakers_of_one_future_wake_it_at_least_once() {
    bounded("many wakers", || {
        for _ in 0..50 {
            let left = Arc::new(AtomicUsize::new(16));
            let mut started = false;
            block_on(poll_fn(|cx| {
                if !started {
                    started = true;
                    for _ in 0..16 {
                        let (left, waker) = (left.clone(), cx.waker().clone());
                        go(move || {
                            left.fetch_sub(1, SeqCst);
                            waker.wake();
                        });
                    }
                }
                if left.load(SeqCst) == 0 { Poll::Ready(()) } else { Poll::Pending }
            }));
        }
    });
}

// --- tokio's types ---

#[test]
fn tokio_mpsc_between_goroutines_and_threads() {
    on_both("mpsc", || {
        let (tx, mut rx) = mpsc::channel(4);
        for producer in 0..4_u64 {
            let tx = tx.clone();
            let produce = move || {
                block_on(async {
                    for i in 0..500 {
                        tx.send(producer * 1_000 + i).await.unwrap();
                    }
                });
            };
            if producer % 2 == 0 {
                go(produce);
            } else {
                std::thread::spawn(produce);
            }
        }
        drop(tx);
        let (mut count, mut next) = (0, [0; 4]);
        while let Some(value) = block_on(rx.recv()) {
            let producer = value as usize / 1_000;
            assert_eq!(value % 1_000, next[producer], "in order");
            next[producer] += 1;
            count += 1;
        }
        assert_eq!(count, 2_000);
    });
}

#[test]
fn tokio_oneshot_and_a_sender_that_is_dropped() {
    on_both("oneshot", || {
        for i in 0..200 {
            let (tx, rx) = oneshot::channel();
            go(move || tx.send(i).unwrap());
            assert_eq!(block_on(rx), Ok(i));
            let (tx, rx) = oneshot::channel::<u32>();
            go(move || drop(tx));
            assert!(block_on(rx).is_err());
        }
    });
}

#[test]
fn tokio_notify_wakes_one_and_all() {
    bounded("notify", || {
        let notify = Arc::new(Notify::new());
        let woken = Arc::new(AtomicUsize::new(0));
        let waiting: Vec<_> = (0..8)
            .map(|_| {
                let (notify, woken) = (notify.clone(), woken.clone());
                spawn(move || {
                    block_on(notify.notified());
                    woken.fetch_add(1, SeqCst);
                })
            })
            .collect();
        notify.notify_one();
        while woken.load(SeqCst) == 0 {
            yield_now();
        }
        while woken.load(SeqCst) < 8 {
            notify.notify_waiters();
            yield_now();
        }
        waiting.into_iter().for_each(|w| w.join().unwrap());
    });
}

#[test]
fn tokio_semaphore_limits_goroutines() {
    bounded("semaphore", || {
        let semaphore = Arc::new(Semaphore::new(3));
        let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let workers: Vec<_> = (0..20)
            .map(|_| {
                let (semaphore, inside, most) = (semaphore.clone(), inside.clone(), most.clone());
                spawn(move || {
                    for _ in 0..20 {
                        let _permit = block_on(semaphore.acquire()).unwrap();
                        most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                        yield_now();
                        inside.fetch_sub(1, SeqCst);
                    }
                })
            })
            .collect();
        workers.into_iter().for_each(|w| w.join().unwrap());
        assert!(most.load(SeqCst) <= 3);
        assert_eq!(semaphore.available_permits(), 3);
    });
}

// --- futures' combinators ---

#[test]
fn select_and_join_poll_all_their_parts() {
    on_both("combinators", || {
        let (tx, rx) = oneshot::channel();
        go(move || tx.send(1).unwrap());
        match block_on(select(rx, pending::<()>())) {
            Either::Left((value, _)) => assert_eq!(value, Ok(1)),
            Either::Right(_) => unreachable!("never ready"),
        }
        let (a, b) = (Gate::default(), Gate::default());
        let (first, second) = (a.clone(), b.clone());
        go(move || {
            second.open();
            go(move || first.open());
        });
        block_on(join(a, b));
        let gates: Vec<Gate> = (0..32).map(|_| Gate::default()).collect();
        let openers = gates.clone();
        go(move || openers.iter().rev().for_each(Gate::open));
        block_on(join_all(gates));
    });
}

/// Its wakers are its own, made of ours: a chain of two.
#[test]
fn futures_unordered_with_wakers_of_its_own() {
    on_both("unordered", || {
        let senders: Vec<_> = (0..32).map(|i| (i, oneshot::channel::<u32>())).collect();
        let mut unordered = FuturesUnordered::new();
        let mut txs = Vec::new();
        for (i, (tx, rx)) in senders {
            txs.push((i, tx));
            unordered.push(rx);
        }
        go(move || txs.into_iter().rev().for_each(|(i, tx)| tx.send(i).unwrap()));
        let sum = block_on(async {
            let mut sum = 0;
            while let Some(value) = unordered.next().await {
                sum += value.unwrap();
            }
            sum
        });
        assert_eq!(sum, (0..32).sum::<u32>());
    });
}

#[test]
fn the_goroutine_stays_the_same_over_a_wait() {
    bounded("id", || {
        let id = goroutine_id();
        for _ in 0..20 {
            let gate = Gate::default();
            let opener = gate.clone();
            go(move || opener.open());
            block_on(async {
                gate.await;
                assert_eq!(goroutine_id(), id);
            });
        }
    });
}
