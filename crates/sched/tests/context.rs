//! Contexts. The names of Go's tests where they are Go's.

mod util;

use std::error::Error as _;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gopark_sched::chan::{self, TryRecvError};
use gopark_sched::context::{CancelFunc, Cause, Context, Error};
use gopark_sched::{JoinSet, scope, select, sleep, spawn, yield_now};
use util::*;

const MS: Duration = Duration::from_millis(1);
/// Long enough to see that something does not happen.
const A_WHILE: Duration = Duration::from_millis(20);

#[test]
fn runs_with_1_2_and_4_procs() {
    run_with_1_2_and_4_procs();
}

/// Runs `f` as a goroutine and on a plain thread.
fn both(name: &str, f: impl Fn() + Send + Sync + Clone + 'static) {
    let _alone = alone();
    bounded(name, f.clone());
    bounded_on_thread(name, f);
}

#[track_caller]
fn assert_done(ctx: &Context, err: Error) {
    assert_eq!(ctx.done().try_recv(), Err(TryRecvError::Disconnected));
    assert_eq!(ctx.err(), Some(err));
    assert!(ctx.cause().is_some());
}

#[track_caller]
fn assert_not_done(ctx: &Context) {
    assert_eq!(ctx.done().try_recv(), Err(TryRecvError::Empty));
    assert_eq!(ctx.err(), None);
    assert!(ctx.cause().is_none());
}

#[derive(Debug)]
struct Why(&'static str);

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Why {}

fn why(text: &'static str) -> Cause {
    Arc::new(Why(text))
}

fn cause_of(ctx: &Context) -> String {
    ctx.cause().map_or_else(String::new, |cause| cause.to_string())
}

// Go: context TestBackground
#[test]
fn test_background() {
    let ctx = Context::background();
    assert_not_done(&ctx);
    assert_eq!(ctx.deadline(), None);
    assert!(ctx.value::<u32>().is_none());
}

// Go: context TestWithCancel
#[test]
fn test_with_cancel() {
    both("with_cancel", || {
        let (parent, cancel_parent) = Context::background().with_cancel();
        let with_value = parent.with_value(1_u8);
        let (child, cancel_child) = with_value.with_cancel();
        for ctx in [&parent, &with_value, &child] {
            assert_not_done(ctx);
        }
        assert_eq!(child.deadline(), None);
        cancel_parent.cancel();
        for ctx in [&parent, &with_value, &child] {
            assert_done(ctx, Error::Canceled);
        }
        // Again, and too late: nothing changes.
        cancel_parent.cancel();
        cancel_child.cancel();
        assert_eq!(child.err().unwrap().to_string(), "context canceled");
    });
}

// Go: context TestParentFinishesChild
#[test]
fn test_parent_finishes_child() {
    both("parent_finishes_child", || {
        let (parent, cancel) = Context::background().with_cancel();
        let (cancel_child, _stop) = parent.with_cancel();
        let value_child = parent.with_value("value");
        let (timer_child, _stop_timer) = value_child.with_timeout(Duration::from_secs(3600));
        let (parents, values) = (parent.children(), value_child.children());
        assert_eq!((parents, values), (2, 2), "values are no contexts of their own to a parent");
        for ctx in [&parent, &cancel_child, &value_child, &timer_child] {
            assert_not_done(ctx);
        }
        cancel.cancel();
        for ctx in [&parent, &cancel_child, &value_child, &timer_child] {
            assert_done(ctx, Error::Canceled);
            assert_eq!(ctx.children(), 0);
        }
        // A child of one that is done is done.
        let (late, _stop) = parent.with_value("late").with_cancel();
        assert_done(&late, Error::Canceled);
    });
}

// Go: context TestChildFinishesFirst
#[test]
fn test_child_finishes_first() {
    both("child_finishes_first", || {
        let (cancelable, _cancel) = Context::background().with_cancel();
        for parent in [Context::background(), cancelable] {
            let (child, cancel) = parent.with_cancel();
            assert_not_done(&parent);
            cancel.cancel();
            assert_done(&child, Error::Canceled);
            assert_not_done(&parent);
            assert_eq!(parent.children(), 0);
        }
    });
}

// Go: context TestCancelRemoves
#[test]
fn test_cancel_removes() {
    both("cancel_removes", || {
        let (ctx, _cancel) = Context::background().with_cancel();
        assert_eq!(ctx.children(), 0);
        let (_child, cancel) = ctx.with_cancel();
        assert_eq!(ctx.children(), 1);
        cancel.cancel();
        assert_eq!(ctx.children(), 0);
        let (_child, cancel) = ctx.with_timeout(Duration::from_secs(60));
        assert_eq!(ctx.children(), 1);
        cancel.cancel();
        assert_eq!(ctx.children(), 0);
        let stop = ctx.after_func(|| ());
        assert_eq!(ctx.children(), 1);
        assert!(stop.stop());
        assert_eq!(ctx.children(), 0);
    });
}

/// What nobody holds any more is forgotten, with no cancel: a long-lived parent does not grow.
#[test]
fn a_parent_forgets_children_that_are_dropped() {
    both("dropped children", || {
        let armed = || {
            let counts = gopark_sched::debug_counts();
            counts.ps.iter().map(|p| p.3).sum::<usize>() + counts.shared_timers
        };
        let (parent, _cancel) = Context::background().with_cancel();
        let before = armed();
        for _ in 0..1000 {
            let (child, _cancel) = parent.with_timeout(Duration::from_secs(3600));
            let (_grandchild, _cancel) = child.with_value(7_u64).with_cancel();
            assert_eq!(parent.children(), 1);
        }
        assert_eq!(parent.children(), 0);
        assert!(armed() <= before, "{} timers more than before", armed() - before);
    });
}

// Go: context TestDeadline
#[test]
fn test_deadline() {
    both("deadline", || {
        let at = Instant::now() + 20 * MS;
        let (ctx, _cancel) = Context::background().with_deadline(at);
        assert_eq!(ctx.deadline(), Some(at));
        assert!(ctx.done().recv().is_err());
        assert!(Instant::now() >= at, "too early");
        assert_done(&ctx, Error::DeadlineExceeded);

        // Through a value, and one that has passed.
        let (ctx, _cancel) = Context::background().with_deadline(Instant::now() + 10 * MS);
        let ctx = ctx.with_value(1_i8);
        assert!(ctx.done().recv().is_err());
        assert_done(&ctx, Error::DeadlineExceeded);
        let (ctx, _cancel) = Context::background().with_deadline(Instant::now());
        assert_done(&ctx, Error::DeadlineExceeded);
    });
}

// Go: context TestTimeout
#[test]
fn test_timeout() {
    both("timeout", || {
        let (ctx, _cancel) = Context::background().with_timeout(10 * MS);
        assert!(ctx.done().recv().is_err());
        assert_done(&ctx, Error::DeadlineExceeded);
        // The child's time is longer, so the parent's counts.
        let (parent, _cancel) = Context::background().with_timeout(10 * MS);
        let (child, _cancel) = parent.with_timeout(Duration::from_secs(3600));
        assert_eq!(child.deadline(), parent.deadline());
        assert!(child.done().recv().is_err());
        assert_done(&child, Error::DeadlineExceeded);
        // Ages, and nothing.
        let (ctx, cancel) = Context::background().with_timeout(Duration::MAX);
        assert_not_done(&ctx);
        cancel.cancel();
        let (ctx, _cancel) = Context::background().with_timeout(Duration::ZERO);
        assert_done(&ctx, Error::DeadlineExceeded);
    });
}

// Go: context TestCanceledTimeout
#[test]
fn test_canceled_timeout() {
    both("canceled_timeout", || {
        let (ctx, _cancel) = Context::background().with_timeout(Duration::from_secs(1));
        let (ctx, cancel) = ctx.with_timeout(Duration::from_secs(2));
        cancel.cancel();
        assert_done(&ctx, Error::Canceled);
    });
}

// Go: context TestValues
#[test]
fn test_values() {
    #[derive(PartialEq, Debug)]
    struct K1(&'static str);
    #[derive(PartialEq, Debug)]
    struct K2(&'static str);
    let check = |ctx: &Context, v1: Option<&'static str>, v2: Option<&'static str>| {
        assert_eq!(ctx.value::<K1>().map(|v| v.0), v1);
        assert_eq!(ctx.value::<K2>().map(|v| v.0), v2);
    };
    let c0 = Context::background();
    check(&c0, None, None);
    let c1 = c0.with_value(K1("c1k1"));
    check(&c1, Some("c1k1"), None);
    let c2 = c1.with_value(K2("c2k2"));
    check(&c2, Some("c1k1"), Some("c2k2"));
    let (c3, _cancel) = c2.with_cancel();
    let c3 = c3.with_value(K1("c3k1"));
    check(&c3, Some("c3k1"), Some("c2k2"));
    check(&c2, Some("c1k1"), Some("c2k2"));
    check(&c3.without_cancel(), Some("c3k1"), Some("c2k2"));
}

// Go: context TestSimultaneousCancels
#[test]
fn test_simultaneous_cancels() {
    both("simultaneous_cancels", || {
        let (root, cancel) = Context::background().with_cancel();
        let mut all = vec![(root, cancel)];
        // A tree of a hundred, each the child of one before.
        for i in 0..99 {
            let child = all[i / 3].0.with_cancel();
            all.push(child);
        }
        scope(|s| {
            for (_, cancel) in &all {
                s.go(move || cancel.cancel());
            }
            for (ctx, _) in &all {
                s.go(move || assert!(ctx.done().recv().is_err()));
            }
        });
        for (ctx, _) in &all {
            assert_done(ctx, Error::Canceled);
            assert_eq!(ctx.children(), 0);
        }
    });
}

// Go: context TestInterlockedCancels
#[test]
fn test_interlocked_cancels() {
    both("interlocked_cancels", || {
        let (parent, cancel_parent) = Context::background().with_cancel();
        let (child, cancel_child) = parent.with_cancel();
        let waits = spawn({
            let parent = parent.clone();
            move || {
                assert!(parent.done().recv().is_err());
                cancel_child.cancel();
            }
        });
        cancel_parent.cancel();
        assert!(child.done().recv().is_err());
        waits.join().unwrap();
    });
}

/// A tall tower of every kind of layer, canceled in the middle.
// Go: context TestLayersCancel, TestLayersTimeout
#[test]
fn test_layers() {
    both("layers", || {
        for timeout in [None, Some(10 * MS)] {
            let mut ctx = Context::background();
            let mut below: Vec<(Context, CancelFunc)> = Vec::new();
            let mut seed = 12345_u32;
            for i in 0..60_u32 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                match seed >> 30 {
                    0 => ctx = ctx.with_value(i),
                    1 => {
                        let made = ctx.with_cancel();
                        ctx = made.0.clone();
                        below.push(made);
                    }
                    _ => {
                        let made = ctx.with_timeout(Duration::from_secs(3600));
                        ctx = made.0.clone();
                        below.push(made);
                    }
                }
            }
            let middle = below.len() / 2;
            assert_not_done(&ctx);
            let err = match timeout {
                None => {
                    below[middle].1.cancel();
                    Error::Canceled
                }
                Some(t) => {
                    let (top, _cancel) = ctx.with_timeout(t);
                    assert!(top.done().recv().is_err());
                    assert_done(&top, Error::DeadlineExceeded);
                    assert_not_done(&ctx);
                    below[middle].1.cancel();
                    Error::Canceled
                }
            };
            assert_done(&ctx, err);
            assert!(below[..middle].iter().all(|(ctx, _)| ctx.err().is_none()));
            assert!(below[middle..].iter().all(|(ctx, _)| ctx.err() == Some(err)));
            assert!(ctx.value::<u32>().is_some());
        }
    });
}

// Go: context TestWithCancelCanceledParent
#[test]
fn test_with_cancel_canceled_parent() {
    both("a parent that is done", || {
        let (parent, cancel) = Context::background().with_cancel();
        cancel.cancel_cause(why("because"));
        let (child, _cancel) = parent.with_cancel();
        let (late, _cancel) = parent.with_timeout(Duration::from_secs(3600));
        for ctx in [&child, &late] {
            assert!(ctx.done().is_closed());
            assert_done(ctx, Error::Canceled);
            assert_eq!(cause_of(ctx), "because");
        }
        assert_eq!(parent.children(), 0);
    });
}

// Go: golang.org/x/sync/errgroup TestWithContext
#[test]
fn the_first_failure_of_a_group_cancels_its_context() {
    both("a group under a context", || {
        let (ctx, cancel) = Context::background().with_cancel();
        let set = JoinSet::new().on_failure(move || cancel.cancel_cause(why("one failed")));
        for i in 0..10 {
            let ctx = ctx.clone();
            set.spawn(move || {
                if i == 7 {
                    return Err("seven".to_owned());
                }
                let _ = ctx.done().recv();
                Err(cause_of(&ctx))
            });
        }
        assert_eq!(set.try_join_all(), Err::<Vec<()>, _>("seven".to_owned()));
        assert_eq!(cause_of(&ctx), "one failed");
    });
}

// Go: context TestWithCancelSimultaneouslyCanceledParent
#[test]
fn test_with_cancel_simultaneously_canceled_parent() {
    both("simultaneously canceled parent", || {
        for _ in 0..200 {
            let (parent, cancel) = Context::background().with_cancel();
            let other = spawn(move || cancel.cancel());
            let (child, _cancel) = parent.with_cancel();
            assert!(child.done().recv().is_err());
            assert_done(&child, Error::Canceled);
            other.join().unwrap();
        }
    });
}

// Go: context TestDeadlineExceededSupportsTimeout, TestDeadlineExceededIsNetError
#[test]
fn test_deadline_exceeded_is_a_timeout() {
    assert!(Error::DeadlineExceeded.is_timeout() && !Error::Canceled.is_timeout());
    let e = std::io::Error::from(Error::DeadlineExceeded);
    assert_eq!(e.kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(e.to_string(), "context deadline exceeded");
    let e = std::io::Error::from(Error::Canceled);
    assert_eq!(e.kind(), std::io::ErrorKind::Other);
    assert_eq!(e.get_ref().and_then(|e| e.downcast_ref::<Error>()), Some(&Error::Canceled));
    assert!(Error::Canceled.source().is_none());
}

// Go: context TestCause
#[test]
fn test_cause() {
    both("cause", || {
        let bg = Context::background();
        let (ctx, cancel) = bg.with_cancel();
        cancel.cancel_cause(why("first"));
        cancel.cancel_cause(why("second"));
        assert_done(&ctx, Error::Canceled);
        assert_eq!(cause_of(&ctx), "first");
        // None given.
        let (ctx, cancel) = bg.with_cancel();
        cancel.cancel();
        assert_eq!(cause_of(&ctx), "context canceled");
        // The parent's goes down; the child's own stays when the parent's comes later.
        let (parent, cancel_parent) = bg.with_cancel();
        let (child, _cancel) = parent.with_cancel();
        let (early, cancel_early) = parent.with_cancel();
        cancel_early.cancel_cause(why("early"));
        cancel_parent.cancel_cause(why("parent"));
        assert_eq!((cause_of(&child), cause_of(&early)), ("parent".into(), "early".into()));
        let (late, _cancel) = parent.with_timeout_cause(Duration::from_secs(1), why("late"));
        assert_eq!(cause_of(&late), "parent");
        // Deadlines.
        let (ctx, _cancel) = bg.with_timeout_cause(MS, why("too slow"));
        assert!(ctx.done().recv().is_err());
        assert_done(&ctx, Error::DeadlineExceeded);
        assert_eq!(cause_of(&ctx), "too slow");
        let (ctx, cancel) = bg.with_timeout_cause(Duration::from_secs(3600), why("too slow"));
        cancel.cancel();
        assert_eq!(cause_of(&ctx), "context canceled");
        let (ctx, _cancel) = bg.with_deadline_cause(Instant::now(), why("over"));
        assert_eq!(cause_of(&ctx), "over");
        assert!(ctx.without_cancel().cause().is_none());
    });
}

// Go: context TestCauseRace
#[test]
fn test_cause_race() {
    both("cause_race", || {
        for _ in 0..200 {
            let (ctx, cancel) = Context::background().with_cancel();
            let other = spawn(move || cancel.cancel_cause(why("raced")));
            while ctx.err().is_none() {
                yield_now();
            }
            assert_eq!(cause_of(&ctx), "raced");
            other.join().unwrap();
        }
    });
}

// Go: context TestWithoutCancel
#[test]
fn test_without_cancel() {
    both("without_cancel", || {
        let (parent, cancel) = Context::background().with_value(5_u16).with_timeout(Duration::from_secs(9));
        let ctx = parent.without_cancel();
        cancel.cancel();
        assert_not_done(&ctx);
        assert_eq!(ctx.deadline(), None);
        assert_eq!(ctx.value::<u16>(), Some(&5));
    });
}

// Go: context TestAfterFuncCalledAfterCancel, TestAfterFuncCalledAfterTimeout, TestAfterFuncCalledImmediately
#[test]
fn test_after_func_called() {
    both("after_func called", || {
        let (tx, rx) = chan::unbounded();
        let tell = || {
            let tx = tx.clone();
            move || tx.send(gopark_sched::goroutine_id()).unwrap()
        };
        let (ctx, cancel) = Context::background().with_cancel();
        let stop = ctx.after_func(tell());
        assert!(rx.recv_timeout(A_WHILE).is_err());
        cancel.cancel();
        assert_ne!(rx.recv().unwrap(), gopark_sched::goroutine_id(), "on a goroutine of its own");
        assert!(!stop.stop(), "it has run");
        let (ctx, _cancel) = Context::background().with_timeout(MS);
        ctx.after_func(tell());
        rx.recv().unwrap();
        ctx.after_func(tell());
        rx.recv().unwrap();
        assert!(rx.try_recv().is_err(), "once each");
    });
}

// Go: context TestAfterFuncNotCalledAfterStop
#[test]
fn test_after_func_not_called_after_stop() {
    both("after_func stopped", || {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (tx, rx) = chan::unbounded::<()>();
        let (ctx, cancel) = Context::background().with_cancel();
        let held = CountDrops(Arc::clone(&dropped));
        let stop = ctx.after_func(move || drop((tx.send(()), held)));
        assert!(stop.stop());
        assert_eq!(dropped.load(SeqCst), 1, "what it held is free at once");
        cancel.cancel();
        assert!(rx.recv().is_err(), "nobody can send");
        assert!(!stop.stop());
    });
}

// Go: context TestAfterFuncCalledAsynchronously
#[test]
fn test_after_func_called_asynchronously() {
    both("after_func asynchronously", || {
        let (ctx, cancel) = Context::background().with_cancel();
        let (tx, rx) = chan::bounded(0);
        let (held, go_on) = chan::bounded::<()>(0);
        ctx.after_func(move || {
            tx.send(()).unwrap();
            let _ = go_on.recv();
        });
        // Returns although the function does not.
        cancel.cancel();
        rx.recv().unwrap();
        drop(held);
    });
}

/// Stop and cancel at once: it ran, or stop says that it did not. Never both, never neither.
#[test]
fn a_stop_and_a_cancel_at_once_agree_on_what_happened() {
    both("stop against cancel", || {
        for _ in 0..300 {
            let (ctx, cancel) = Context::background().with_cancel();
            let (tx, rx) = chan::bounded(1);
            let stop = ctx.after_func(move || tx.send(()).unwrap());
            let other = spawn(move || cancel.cancel());
            let stopped = stop.stop();
            other.join().unwrap();
            assert_eq!(rx.recv().is_err(), stopped);
        }
    });
}

// Go: context TestContextErrDoneRace (golang/go#75533)
#[test]
fn test_context_err_done_race() {
    both("err and done", || {
        for _ in 0..100 {
            let (ctx, cancel) = Context::background().with_cancel();
            let done = ctx.done().clone();
            let canceler = spawn(move || cancel.cancel());
            while ctx.err().is_none() {
                yield_now();
            }
            assert!(done.is_closed(), "err is there, and done is open");
            canceler.join().unwrap();
        }
    });
}

#[test]
fn who_sees_that_it_is_done_sees_why() {
    both("done, then err", || {
        for _ in 0..100 {
            let (ctx, cancel) = Context::background().with_cancel();
            let waits: Vec<_> = (0..3)
                .map(|_| {
                    let ctx = ctx.clone();
                    spawn(move || {
                        assert!(ctx.done().recv().is_err());
                        assert_eq!(ctx.err(), Some(Error::Canceled));
                    })
                })
                .collect();
            cancel.cancel();
            waits.into_iter().for_each(|h| h.join().unwrap());
        }
    });
}

/// The channel is everybody's, and only the context closes it.
#[test]
fn a_receiver_cannot_close_the_channel() {
    both("close", || {
        let (ctx, cancel) = Context::background().with_cancel();
        for ctx in [&ctx, &Context::background()] {
            assert!(!ctx.done().close());
            assert!(!ctx.done().is_closed());
            drop(ctx.done().clone());
            assert!(ctx.done().try_recv().is_err_and(|e| e.is_empty()));
        }
        cancel.cancel();
        assert!(ctx.done().is_closed());
    });
}

#[test]
fn a_select_waits_for_a_context() {
    both("select", || {
        let (ctx, cancel) = Context::background().with_cancel();
        let (tx, rx) = chan::bounded::<u32>(0);
        let waits = spawn(move || {
            let mut sum = 0;
            loop {
                select! {
                    recv(rx) -> value => sum += value.unwrap(),
                    recv(ctx.done()) -> _ => return sum,
                }
            }
        });
        (1..=10).for_each(|i| tx.send(i).unwrap());
        cancel.cancel();
        assert_eq!(waits.join().unwrap(), 55);
    });
}

#[test]
fn a_guard_cancels_at_the_end_of_its_scope() {
    let (ctx, cancel) = Context::background().with_cancel();
    {
        let _cancel = cancel.clone().on_drop();
        assert_not_done(&ctx);
    }
    assert_done(&ctx, Error::Canceled);
    drop(cancel);
    let (ctx, cancel) = Context::background().with_cancel();
    drop(cancel);
    assert_not_done(&ctx);
}

/// One after the other, and not one inside the other: a goroutine's stack would not do.
#[test]
fn a_very_deep_tree_is_canceled_and_dropped() {
    let _alone = alone();
    bounded("deep tree", || {
        for cancel_it in [true, false] {
            let (root, cancel) = Context::background().with_cancel();
            let mut leaf = root.clone();
            for i in 0..100_000_u32 {
                leaf = leaf.with_value(i).with_cancel().0;
            }
            if cancel_it {
                cancel.cancel();
                assert_done(&leaf, Error::Canceled);
            }
            drop(leaf);
            assert_eq!(root.children(), 0);
        }
    });
}

/// What a context holds is dropped by its users, on goroutines or threads: a destructor may wait.
#[test]
fn destructors_of_values_and_causes_may_wait() {
    struct Waits;
    impl Drop for Waits {
        fn drop(&mut self) {
            sleep(MS);
        }
    }
    both("destructors that wait", || {
        let (ctx, _cancel) = Context::background().with_value(Waits).with_timeout(2 * MS);
        let held = Waits;
        ctx.after_func(move || drop(held));
        let held = Waits;
        let stop = Context::background().with_cancel().0.after_func(move || drop(held));
        assert!(ctx.done().recv().is_err());
        drop(ctx);
        stop.stop();
    });
}

/// Contexts come and go, with children, timers and functions, while others are canceled: nothing is left over.
#[test]
fn nothing_is_left_over() {
    both("storm of contexts", || {
        let (root, _cancel) = Context::background().with_cancel();
        let ran = Arc::new(AtomicUsize::new(0));
        let expected = Mutex::new(0);
        scope(|s| {
            for g in 0..8_u64 {
                let (root, ran, expected) = (&root, &ran, &expected);
                s.go(move || {
                    for i in 0..200_u64 {
                        let (ctx, cancel) =
                            root.with_timeout(Duration::from_micros(1 + (g * 131 + i * 37) % 500));
                        let (child, _c) = ctx.with_cancel();
                        let ran = Arc::clone(ran);
                        let stop = child.after_func(move || {
                            ran.fetch_add(1, SeqCst);
                        });
                        if i % 3 == 0 {
                            cancel.cancel();
                        }
                        if i % 5 == 0 {
                            assert!(child.done().recv().is_err());
                        }
                        if !stop.stop() {
                            *expected.lock().unwrap() += 1;
                        }
                    }
                });
            }
        });
        assert_eq!(root.children(), 0);
        let expected = *expected.lock().unwrap();
        while ran.load(SeqCst) != expected {
            yield_now();
        }
    });
}
