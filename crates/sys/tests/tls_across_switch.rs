//! The thread-local word after a switch to another thread: right in debug and, what matters, in optimised builds
//! (`cargo test --release`, with link-time optimisation).
#![allow(unsafe_code)]

mod util;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};

use gopark_sys::context::{Coroutine, Switch, Yielder};
use gopark_sys::stack::StackPool;
use gopark_sys::tls::{current_m, set_current_m};
use util::bounded;

/// A coroutine on its way to another thread.
struct Carried(Coroutine);

// SAFETY: the bodies of the tests hold words and shared counters across switches, which any thread may use.
unsafe impl Send for Carried {}

/// The words of the two threads; only the addresses matter.
static MARKS: [u64; 2] = [0, 1];

fn mark(i: usize) -> *mut () {
    (&raw const MARKS[i]).cast_mut().cast()
}

/// Runs `body` on a coroutine that two threads resume in turn, each with its own mark as input and as its word. `ready`
/// runs on each thread before.
fn on_two_threads(ready: fn(usize), body: impl FnOnce(&Yielder, *mut ()) + Send + 'static) {
    bounded(move || {
        let pool = StackPool::new(64 << 10).unwrap();
        let slot = pool.alloc().unwrap();
        // SAFETY: the slot is ours, and the bodies count what is wrong instead of panicking.
        let coroutine = Carried(unsafe { Coroutine::new(slot.top(), slot.bottom(), body) });
        let ((to_0, at_0), (to_1, at_1)) = (mpsc::channel(), mpsc::channel());
        to_0.send(coroutine).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| resume_in_turn(0, ready, at_0, to_1));
            scope.spawn(|| resume_in_turn(1, ready, at_1, to_0));
        });
    });
}

fn resume_in_turn(i: usize, ready: fn(usize), here: Receiver<Carried>, there: Sender<Carried>) {
    ready(i);
    set_current_m(mark(i));
    // Until the other thread has seen it return, and hung up.
    for mut coroutine in here {
        // SAFETY: it came through the channel, so nobody else runs it, and it has not returned.
        if unsafe { coroutine.0.resume(mark(i)) } == Switch::Return {
            break;
        }
        there.send(coroutine).unwrap();
    }
}

#[test]
fn the_word_is_the_resuming_threads() {
    let wrong = Arc::new(AtomicUsize::new(0));
    let rounds = Arc::new(AtomicUsize::new(0));
    let (seen_wrong, seen_rounds) = (Arc::clone(&wrong), Arc::clone(&rounds));
    on_two_threads(
        |_| {},
        move |yielder, mut here| {
            for _ in 0..1000 {
                let before = current_m();
                // SAFETY: on its own coroutine; what is held across may change threads.
                let next = unsafe { yielder.suspend(0) };
                let after = current_m();
                let right = before == here && after == next && before != after && current_m() == next;
                seen_wrong.fetch_add(usize::from(!right), Ordering::Relaxed);
                seen_rounds.fetch_add(1, Ordering::Relaxed);
                here = next;
            }
        },
    );
    assert_eq!((wrong.load(Ordering::Relaxed), rounds.load(Ordering::Relaxed)), (0, 1000));
}

#[test]
fn what_is_stored_after_a_switch_is_the_resuming_threads() {
    static OTHER: u64 = 2;
    let wrong = Arc::new(AtomicUsize::new(0));
    let seen_wrong = Arc::clone(&wrong);
    on_two_threads(
        |_| {},
        move |yielder, _| {
            let other: *mut () = (&raw const OTHER).cast_mut().cast();
            for turn in 0..1000 {
                set_current_m(other);
                let stored = current_m() == other;
                // SAFETY: as above.
                let here = unsafe { yielder.suspend(0) };
                // On the second thread nothing was stored yet but its mark; later each has what the last turn left.
                let wanted = if turn == 0 { here } else { other };
                let found = current_m();
                set_current_m(here);
                let right = stored && found == wanted && current_m() == here;
                seen_wrong.fetch_add(usize::from(!right), Ordering::Relaxed);
            }
        },
    );
    assert_eq!(wrong.load(Ordering::Relaxed), 0);
}

#[test]
fn a_thread_that_never_stored_has_none() {
    set_current_m(mark(0));
    assert!(std::thread::spawn(|| current_m().is_null()).join().unwrap());
    assert_eq!(current_m(), mark(0));
}

thread_local! {
    static PROBE: Cell<u8> = const { Cell::new(0) };
}

/// Where each thread's `PROBE` is, from the thread itself.
static PROBES: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// Why there is only one thread-local, behind functions that are never inlined. Not an assertion: the compiler owes
/// nobody the wrong answer.
#[test]
fn an_observation_of_what_the_compiler_does_to_other_thread_locals() {
    let found = Arc::new([const { AtomicUsize::new(0) }; 2]);
    let seen = Arc::clone(&found);
    on_two_threads(
        |i| PROBES[i].store(PROBE.with(|cell| std::ptr::from_ref(cell).addr()), Ordering::Relaxed),
        move |yielder, _| {
            let before = PROBE.with(|cell| std::ptr::from_ref(cell).addr());
            // SAFETY: as above.
            unsafe { yielder.suspend(0) };
            let after = PROBE.with(|cell| std::ptr::from_ref(cell).addr());
            seen[0].store(before, Ordering::Relaxed);
            seen[1].store(after, Ordering::Relaxed);
        },
    );
    let [first, second] = PROBES.each_ref().map(|address| address.load(Ordering::Relaxed));
    let [before, after] = found.each_ref().map(|address| address.load(Ordering::Relaxed));
    assert_ne!(first, second);
    assert_eq!(before, first);
    let answer = match after {
        _ if after == second => "the resuming thread's",
        _ if after == first => "STALE: the first thread's",
        _ => "neither thread's",
    };
    println!("address of a thread_local! after a switch to another thread: {answer}");
}
