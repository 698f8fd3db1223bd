//! The spans of `tracing` across parks: what one goroutine has entered is current for it alone.

mod util;

use std::sync::Mutex;
use std::sync::Once;
use std::time::Duration;

use gopark_sched::sync::Mutex as GoMutex;
use gopark_sched::{SpawnOptions, blocking, chan, sleep, spawn, yield_now};
use tracing::{Span, info_span};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};
use util::*;

/// Calls of `enter` and `exit`, by span name.
static CALLS: Mutex<Vec<(bool, &str)>> = Mutex::new(Vec::new());

struct Notes;

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Notes {
    fn on_enter(&self, id: &tracing::span::Id, ctx: Context<'_, S>) {
        note(true, ctx.metadata(id).map_or("", |m| m.name()));
    }

    fn on_exit(&self, id: &tracing::span::Id, ctx: Context<'_, S>) {
        note(false, ctx.metadata(id).map_or("", |m| m.name()));
        if let Some(waits) = ctx.metadata(id).filter(|m| m.name() == "exit waits").and(Some(&ON_EXIT)) {
            let waits = waits.lock().unwrap().take();
            if let Some(waits) = waits {
                waits();
            }
        }
    }
}

/// What the next exit of a span with the name "exit waits" does.
static ON_EXIT: Mutex<Option<Box<dyn FnOnce() + Send>>> = Mutex::new(None);

fn note(enter: bool, name: &'static str) {
    if name.starts_with("noted") {
        CALLS.lock().unwrap().push((enter, name));
    }
}

fn subscribe() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing::subscriber::set_global_default(Registry::default().with(Notes))
            .expect("the only subscriber");
    });
}

#[test]
fn runs_with_1_2_and_4_procs() {
    run_with_1_2_and_4_procs();
}

fn current() -> Option<&'static str> {
    Span::current().metadata().map(|m| m.name())
}

/// Who waits for the goroutine is told of its end.
#[test]
fn a_subscriber_that_panics_at_the_end_does_not_keep_the_end_back() {
    let _alone = alone();
    subscribe();
    bounded("a panic in exit", || {
        let ended = spawn(|| {
            *ON_EXIT.lock().unwrap() = Some(Box::new(|| panic!("expected by the test")));
            std::mem::forget(info_span!("exit waits").entered());
            7
        });
        let result = ended.join_timeout(Duration::from_secs(5)).expect("it has ended");
        assert_eq!(result.expect("the panic is not the goroutine's"), 7);
    });
}

/// Goroutines that all park in spans of their own, in every way, and go on on any thread.
#[test]
fn spans_do_not_mix_over_parks_and_migration() {
    subscribe();
    bounded("spans", || {
        static LOCK: GoMutex<u32> = GoMutex::new(0);
        let all: Vec<_> = (0..16)
            .map(|i: u64| {
                spawn(move || {
                    assert_eq!(current(), None, "a goroutine begins outside of all spans");
                    let (tx, rx) = chan::bounded(0);
                    let other = spawn(move || while rx.recv().is_ok() {});
                    for round in 0..30 {
                        let outer = info_span!("outer", i);
                        let _outer = outer.enter();
                        yield_now();
                        assert_eq!(Span::current().id(), outer.id());
                        let inner = info_span!("inner", i, round);
                        inner.in_scope(|| {
                            match round % 5 {
                                0 => sleep(Duration::from_micros(20 + i)),
                                1 => tx.send(round).unwrap(),
                                2 => yield_now(),
                                3 => *LOCK.lock() += 1,
                                _ => blocking(std::thread::yield_now),
                            }
                            assert_eq!(Span::current().id(), inner.id());
                        });
                        assert_eq!(Span::current().id(), outer.id());
                    }
                    drop(tx);
                    other.join().unwrap();
                    assert_eq!(current(), None);
                })
            })
            .collect();
        all.into_iter().for_each(|h| h.join().unwrap());
    });
}

#[test]
fn spans_are_left_innermost_first_and_entered_again_in_reverse() {
    subscribe();
    let _alone = alone();
    bounded("order", || {
        CALLS.lock().unwrap().clear();
        info_span!("noted outer").in_scope(|| info_span!("noted inner").in_scope(yield_now));
        let (enter, exit) = (true, false);
        let once =
            [(enter, "noted outer"), (enter, "noted inner"), (exit, "noted inner"), (exit, "noted outer")];
        assert_eq!(*CALLS.lock().unwrap(), [once, once].concat());
    });
}

#[test]
fn a_goroutine_begins_in_the_current_span_if_asked_to() {
    subscribe();
    bounded("in_current_span", || {
        let span = info_span!("creator");
        let id = span.id();
        let handle = span.in_scope(|| {
            SpawnOptions::new().in_current_span().spawn(|| {
                yield_now();
                Span::current().id()
            })
        });
        assert_eq!(handle.unwrap().join().unwrap(), id);
        span.in_scope(|| spawn(|| assert_eq!(current(), None)).join()).unwrap();
        assert_eq!(current(), None);
    });
}

/// A span that a goroutine never leaves is not the next one's, nor is one that it was in when it panicked.
#[test]
fn what_is_not_left_ends_with_the_goroutine() {
    subscribe();
    bounded("leaked spans", || {
        for panics in [false, true] {
            for _ in 0..20 {
                let leaks = spawn(move || {
                    std::mem::forget(info_span!("leaked").entered());
                    let _dropped = info_span!("left by unwinding").entered();
                    yield_now();
                    assert_eq!(current(), Some("left by unwinding"));
                    assert!(!panics, "expected by the test");
                });
                assert_eq!(leaks.join().is_err(), panics);
                spawn(|| assert_eq!(current(), None)).join().unwrap();
            }
        }
    });
}

/// A destructor that parks while its goroutine unwinds waits on the thread, and keeps the spans.
#[test]
fn spans_stay_while_unwinding() {
    subscribe();
    bounded("unwinding", || {
        struct Parks;
        impl Drop for Parks {
            fn drop(&mut self) {
                sleep(Duration::from_millis(1));
                assert_eq!(current(), Some("unwinds"));
            }
        }
        let result = spawn(|| {
            info_span!("unwinds").in_scope(|| {
                let _parks = Parks;
                panic!("expected by the test");
            })
        })
        .join();
        assert_eq!(result.unwrap_err().downcast_ref::<&str>(), Some(&"expected by the test"));
    });
}

/// A subscriber that waits by the very means by which its caller is about to: without a word the channel would find the
/// caller's wait ended by the wake-up of the other.
#[test]
fn a_subscriber_that_waits_for_a_channel_like_its_caller_is_found_out() {
    match child("a_subscriber_that_waits_for_a_channel_like_its_caller_is_found_out", &[]) {
        Child::Inside => {
            subscribe();
            let _rt = runtime();
            let (_tx, rx) = chan::bounded::<Box<u32>>(0);
            *ON_EXIT.lock().unwrap() = Some(Box::new(|| {
                let (tx, rx) = chan::bounded(0);
                spawn(move || tx.send(()).unwrap());
                rx.recv().unwrap();
            }));
            let reader = spawn(move || info_span!("exit waits").in_scope(|| rx.recv().map(|value| *value)));
            let _ = reader.join_timeout(Duration::from_secs(5));
        }
        Child::Ended(output) => {
            assert!(
                !output.status.success() && text_of(&output).contains("double wait"),
                "{}",
                text_of(&output)
            );
        }
        Child::Skip => {}
    }
}

/// It may take the wake-up that its caller was sent just now.
#[test]
fn a_subscriber_that_sleeps_takes_nobodys_wake_up() {
    subscribe();
    let _alone = alone();
    bounded("sleeping subscriber", || {
        let lock = std::sync::Arc::new(GoMutex::new(()));
        let held = lock.lock_arc();
        *ON_EXIT.lock().unwrap() = Some(Box::new(move || {
            drop(held); // the one who exits waits for it, and is woken
            sleep(Duration::from_millis(1));
        }));
        spawn(move || info_span!("exit waits").in_scope(|| drop(lock.lock()))).join().unwrap();
    });
}
