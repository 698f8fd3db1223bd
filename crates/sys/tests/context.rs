//! Coroutines on one thread: what passes in and out, what survives a switch, what becomes of the function.
//! (`tls_across_switch.rs` has those that change threads.)
#![allow(unsafe_code)]

mod util;

use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::without_provenance_mut;
use std::rc::Rc;

use gopark_sys::context::{Coroutine, Switch, Yielder, prefetch};
use gopark_sys::stack::{Slot, StackPool};

fn slot() -> Slot {
    StackPool::new(64 << 10).unwrap().alloc().unwrap()
}

/// A coroutine on the whole of `slot`.
fn coroutine(slot: Slot, f: impl FnOnce(&Yielder, *mut ())) -> Coroutine {
    // SAFETY: each test has its slots to itself and lets one coroutine return before it makes the next on the same;
    // the functions do not unwind, and what they borrow outlives them.
    unsafe { Coroutine::new(slot.top(), slot.bottom(), f) }
}

fn resume(coroutine: &mut Coroutine, input: usize) -> Switch {
    assert!(!coroutine.done());
    // SAFETY: it has not returned; all of a test is on one thread.
    unsafe { coroutine.resume(without_provenance_mut(input)) }
}

fn suspend(yielder: &Yielder, request: usize) -> usize {
    // SAFETY: the tests call it on the yielder's own coroutine, and stay on one thread.
    unsafe { yielder.suspend(request) }.addr()
}

#[test]
fn words_pass_both_ways() {
    let mut echo = coroutine(slot(), |yielder, first| {
        let mut word = first.addr();
        while word != 0 {
            word = suspend(yielder, !word);
        }
    });
    for word in [1, 2, 1 << 63, usize::MAX, usize::MAX >> 1] {
        assert_eq!(resume(&mut echo, word), Switch::Yield(!word));
        assert!(!echo.done());
    }
    assert_eq!(resume(&mut echo, 0), Switch::Return);
    assert!(echo.done());
}

#[test]
fn the_function_is_dropped_when_it_returns() {
    let shared = Rc::new(());
    let held = Rc::clone(&shared);
    let mut co = coroutine(slot(), move |yielder, _| {
        suspend(yielder, 0);
        drop(held);
    });
    assert_eq!(Rc::strong_count(&shared), 2);
    resume(&mut co, 0);
    {
        let _suspended = co; // at its end forgotten, not unwound
    }
    assert_eq!(Rc::strong_count(&shared), 2);

    let held = Rc::clone(&shared);
    let mut co = coroutine(slot(), move |yielder, _| {
        let _held = held;
        suspend(yielder, 0);
    });
    resume(&mut co, 0);
    assert_eq!(Rc::strong_count(&shared), 3);
    assert_eq!(resume(&mut co, 0), Switch::Return);
    assert_eq!(Rc::strong_count(&shared), 2);
}

#[test]
fn a_slot_serves_one_coroutine_after_another() {
    let slot = slot();
    let sum = Cell::new(0);
    for i in 0..1000 {
        let mut co = coroutine(slot, |yielder, _| sum.set(sum.get() + suspend(yielder, i)));
        assert_eq!(resume(&mut co, 0), Switch::Yield(i));
        assert_eq!(resume(&mut co, i), Switch::Return);
    }
    assert_eq!(sum.get(), 999 * 1000 / 2);
}

#[test]
fn a_large_and_aligned_function_arrives_whole() {
    #[repr(align(64))]
    struct Aligned<const N: usize>([u8; N]);
    fn check<const N: usize>() {
        let aligned = Aligned([7_u8; N]);
        let seen = Cell::new((usize::MAX, 0));
        let result = &seen;
        let mut co = coroutine(slot(), move |yielder, _| {
            suspend(yielder, 0);
            let aligned = black_box(aligned);
            let sum = aligned.0.iter().map(|&byte| usize::from(byte)).sum::<usize>();
            result.set(((&raw const aligned).addr() % 64, sum));
        });
        assert_eq!(resume(&mut co, 0), Switch::Yield(0));
        assert_eq!(resume(&mut co, 0), Switch::Return);
        assert_eq!(seen.get(), (0, 7 * N), "{N}");
    }
    // The last ones are too large for the top of the stack.
    check::<1>();
    check::<900>();
    check::<1024>();
    check::<5000>();
}

/// Computes with more values than there are registers, integers and floats, leaving before each step.
fn compute(leave: &dyn Fn(), rounds: u64) -> (u64, f64) {
    let mut ints: [u64; 12] = std::array::from_fn(|i| i as u64 + 1);
    let mut floats: [f64; 12] = std::array::from_fn(|i| i as f64 + 0.5);
    for round in 0..rounds {
        leave();
        for i in 0..12 {
            ints[i] =
                ints[i].wrapping_mul(6_364_136_223_846_793_005).wrapping_add(ints[(i + 1) % 12] ^ round);
            floats[i] = (floats[i] * 1.5 + floats[(i + 5) % 12]) % 1e9;
        }
    }
    (ints.iter().fold(0, |a, b| a ^ b), floats.iter().sum())
}

#[test]
fn registers_and_locals_survive_switches_on_both_sides() {
    let wanted = compute(&|| (), 500);
    let results = RefCell::new(Vec::new());
    let mut others: Vec<_> = (0..3)
        .map(|_| {
            coroutine(slot(), |yielder, _| {
                let result = compute(&|| assert_eq!(suspend(yielder, 0), 0), 500);
                results.borrow_mut().push(result);
            })
        })
        .collect();
    let cell = RefCell::new(&mut others);
    // The host computes the same, and runs each of them for a step before each of its own.
    let ours = compute(
        &|| {
            for co in cell.borrow_mut().iter_mut() {
                assert_eq!(resume(co, 0), Switch::Yield(0));
            }
        },
        500,
    );
    assert_eq!(ours, wanted);
    for co in &mut others {
        assert_eq!(resume(co, 0), Switch::Return);
    }
    assert_eq!(*results.borrow(), [wanted; 3]);
}

#[test]
fn it_can_be_left_from_deep_down() {
    fn down(yielder: &Yielder, depth: usize) -> usize {
        if depth == 0 { suspend(yielder, 1) } else { 1 + down(yielder, black_box(depth - 1)) }
    }
    let depth = Cell::new(0);
    let mut co = coroutine(slot(), |yielder, _| depth.set(down(yielder, 200)));
    assert_eq!(resume(&mut co, 0), Switch::Yield(1));
    assert_eq!(resume(&mut co, 1000), Switch::Return);
    assert_eq!(depth.get(), 1200);
}

#[test]
fn a_coroutine_may_resume_another() {
    let trace = RefCell::new(Vec::new());
    let mut inner = coroutine(slot(), |yielder, _| {
        trace.borrow_mut().push("inner 1");
        suspend(yielder, 10);
        trace.borrow_mut().push("inner 2");
    });
    let mut outer = coroutine(slot(), |yielder, _| {
        assert_eq!(resume(&mut inner, 0), Switch::Yield(10));
        trace.borrow_mut().push("outer 1");
        suspend(yielder, 20);
        assert_eq!(resume(&mut inner, 0), Switch::Return);
        trace.borrow_mut().push("outer 2");
    });
    assert_eq!(resume(&mut outer, 0), Switch::Yield(20));
    assert_eq!(resume(&mut outer, 0), Switch::Return);
    assert_eq!(*trace.borrow(), ["inner 1", "outer 1", "inner 2", "outer 2"]);
}

#[test]
fn a_panic_that_is_caught_inside_stays_inside() {
    let message = RefCell::new(String::new());
    let mut co = coroutine(slot(), |yielder, _| {
        let caught = catch_unwind(AssertUnwindSafe(|| {
            suspend(yielder, 1);
            panic!("thrown on a coroutine");
        }));
        let payload = caught.expect_err("it panicked");
        *message.borrow_mut() = payload.downcast_ref::<&str>().copied().unwrap_or_default().to_owned();
        suspend(yielder, 2);
    });
    assert_eq!(resume(&mut co, 0), Switch::Yield(1));
    assert_eq!(resume(&mut co, 0), Switch::Yield(2));
    assert!(!std::thread::panicking());
    assert_eq!(resume(&mut co, 0), Switch::Return);
    assert_eq!(*message.borrow(), "thrown on a coroutine");
}

#[test]
fn a_panic_that_leaves_the_function_ends_the_process() {
    if util::in_child() {
        let mut co = coroutine(slot(), |_, _| panic!("not caught"));
        let _ = catch_unwind(AssertUnwindSafe(|| resume(&mut co, 0)));
        eprintln!("survived");
        return;
    }
    use std::os::unix::process::ExitStatusExt;
    let output = util::run_child("a_panic_that_leaves_the_function_ends_the_process", &[]);
    let text = util::stderr_of(&output);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{text}");
    assert!(text.contains("not caught") && !text.contains("survived"), "{text}");
}

#[inline(never)]
fn the_host_that_resumes(co: &mut Coroutine) {
    black_box(resume(co, 0));
}

#[test]
fn a_backtrace_leads_to_whoever_resumed() {
    let trace = RefCell::new(String::new());
    let mut co = coroutine(slot(), |_, _| *trace.borrow_mut() = Backtrace::force_capture().to_string());
    the_host_that_resumes(&mut co);
    let trace = trace.into_inner();
    assert!(trace.contains("the_host_that_resumes"), "{trace}");
}

#[test]
fn any_address_may_be_prefetched() {
    for address in [0, 1, 4096, usize::MAX, 1 << 47] {
        prefetch(std::ptr::without_provenance(address));
    }
}
