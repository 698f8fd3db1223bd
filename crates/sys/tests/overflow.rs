//! The end of a coroutine that runs into its guard, and that all other faults end as before. Each in a child process.
#![allow(unsafe_code)]

mod util;

use std::os::unix::process::ExitStatusExt;
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};

use gopark_sys::context::Coroutine;
use gopark_sys::overflow::install_overflow_handler;
use gopark_sys::stack::{Slot, StackPool};
use util::{in_child, run_child, stderr_of};

/// The slot that overflows.
static EXPECTED: AtomicUsize = AtomicUsize::new(0);

fn report(slot: Slot, out: &mut dyn FnMut(&[u8])) {
    let same = slot.bottom().addr().get() == EXPECTED.load(Ordering::Relaxed);
    out(b"reported: ");
    out(if same { b"the right slot\n" } else { b"another slot\n" });
}

fn another_report(_: Slot, out: &mut dyn FnMut(&[u8])) {
    out(b"the other report\n");
}

#[inline(never)]
fn recurse(n: u64) -> u64 {
    let frame = std::hint::black_box([n; 64]);
    if n == u64::MAX { 0 } else { recurse(n + 1) + std::hint::black_box(frame)[n as usize % 64] }
}

fn overflow() {
    std::hint::black_box(recurse(0));
}

/// Runs `f` on a coroutine, on the calling thread.
fn on_a_coroutine(f: impl FnOnce()) {
    let pool = StackPool::new(64 << 10).unwrap();
    let slot = (0..3).map(|_| pool.alloc().unwrap()).last().unwrap();
    EXPECTED.store(slot.bottom().addr().get(), Ordering::Relaxed);
    // SAFETY: the slot is ours, and the function does not unwind: it returns, or the process dies.
    let mut coroutine = unsafe { Coroutine::new(slot.top(), slot.bottom(), |_, _| f()) };
    // SAFETY: it has not run yet.
    unsafe { coroutine.resume(std::ptr::null_mut()) };
}

/// An access that no guard explains.
fn read_a_low_address() {
    // SAFETY: none; the process is to die of it.
    unsafe { std::ptr::without_provenance::<u8>(16).read_volatile() };
}

fn died_of(output: &Output, signal: i32) -> String {
    let text = stderr_of(output);
    assert_eq!(output.status.signal(), Some(signal), "{:?}: {text}", output.status);
    text
}

#[test]
fn an_overflow_is_reported_and_aborts() {
    if in_child() {
        install_overflow_handler(report);
        let thread = std::thread::spawn(|| on_a_coroutine(overflow));
        thread.join().unwrap();
        return;
    }
    for guard in ["", "mprotect"] {
        let output = run_child("an_overflow_is_reported_and_aborts", &[("GOPARK_STACK_GUARD", guard)]);
        let text = died_of(&output, libc::SIGABRT);
        assert!(text.contains("reported: the right slot\n"), "{text}");
    }
}

#[test]
fn an_overflow_on_the_main_thread_is_reported_too() {
    if in_child() {
        install_overflow_handler(report);
        on_a_coroutine(overflow);
        return;
    }
    let output = run_child("an_overflow_on_the_main_thread_is_reported_too", &[]);
    let text = died_of(&output, libc::SIGABRT);
    assert!(text.contains("reported: the right slot\n"), "{text}");
}

#[test]
fn a_wild_pointer_is_not_claimed() {
    if in_child() {
        install_overflow_handler(report);
        match std::env::var("WHERE").unwrap().as_str() {
            "coroutine" => on_a_coroutine(read_a_low_address),
            "thread" => std::thread::spawn(read_a_low_address).join().unwrap(),
            _ => read_a_low_address(),
        }
        return;
    }
    for place in ["coroutine", "thread", "main"] {
        let output = run_child("a_wild_pointer_is_not_claimed", &[("WHERE", place)]);
        let text = died_of(&output, libc::SIGSEGV);
        assert!(!text.contains("reported"), "{place}: {text}");
    }
}

#[test]
fn the_overflow_of_a_threads_own_stack_is_still_std_s_to_report() {
    if in_child() {
        install_overflow_handler(report);
        match std::env::var("WHERE").unwrap().as_str() {
            "thread" => drop(std::thread::spawn(overflow).join()),
            _ => overflow(),
        }
        return;
    }
    for place in ["thread", "main"] {
        let name = "the_overflow_of_a_threads_own_stack_is_still_std_s_to_report";
        let output = run_child(name, &[("WHERE", place)]);
        let text = died_of(&output, libc::SIGABRT);
        assert!(text.contains("has overflowed its stack"), "{place}: {text}");
        assert!(!text.contains("reported"), "{place}: {text}");
    }
}

extern "C" fn plain(_: libc::c_int) {
    // SAFETY: ends the process.
    unsafe { libc::_exit(41) };
}

extern "C" fn with_info(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the handler before us passed on what the kernel gave it; then the process ends.
    unsafe { libc::_exit(if (*info).si_addr().addr() == 16 { 42 } else { 1 }) };
}

/// Makes `action` the action for SIGSEGV; returns the one before.
fn set_action(action: usize, flags: libc::c_int) -> usize {
    // SAFETY: zeroed sigactions are valid, and the actions the tests pass have the signature their flags say.
    unsafe {
        let (mut new, mut old): (libc::sigaction, libc::sigaction) = std::mem::zeroed();
        (new.sa_sigaction, new.sa_flags) = (action, flags | libc::SA_ONSTACK);
        assert_eq!(libc::sigaction(libc::SIGSEGV, &new, &mut old), 0);
        old.sa_sigaction
    }
}

#[test]
fn another_fault_goes_to_the_handler_before_ours() {
    if in_child() {
        match std::env::var("HANDLER").unwrap().as_str() {
            "plain" => set_action(plain as *const () as usize, 0),
            _ => set_action(with_info as *const () as usize, libc::SA_SIGINFO),
        };
        install_overflow_handler(report);
        read_a_low_address();
        return;
    }
    for (handler, code) in [("plain", 41), ("info", 42)] {
        let output = run_child("another_fault_goes_to_the_handler_before_ours", &[("HANDLER", handler)]);
        assert_eq!(output.status.code(), Some(code), "{handler}: {}", stderr_of(&output));
    }
}

#[test]
fn a_signal_that_was_sent_does_what_it_did_before() {
    if in_child() {
        let action = std::env::var("ACTION").unwrap();
        set_action(if action == "default" { libc::SIG_DFL } else { libc::SIG_IGN }, 0);
        install_overflow_handler(report);
        // SAFETY: a plain system call.
        unsafe { libc::raise(libc::SIGSEGV) };
        eprintln!("survived");
        if action == "ignore, then fault" {
            read_a_low_address();
        }
        return;
    }
    let name = "a_signal_that_was_sent_does_what_it_did_before";
    let text = died_of(&run_child(name, &[("ACTION", "default")]), libc::SIGSEGV);
    assert!(!text.contains("survived"), "{text}");
    let output = run_child(name, &[("ACTION", "ignore")]);
    assert!(output.status.success(), "{:?}: {}", output.status, stderr_of(&output));
    let text = died_of(&run_child(name, &[("ACTION", "ignore, then fault")]), libc::SIGSEGV);
    assert!(text.contains("survived"), "{text}");
}

#[test]
fn a_second_call_changes_the_report_and_nothing_else() {
    if in_child() {
        install_overflow_handler(report);
        let ours = set_action(libc::SIG_DFL, 0);
        install_overflow_handler(another_report);
        assert_eq!(set_action(ours, libc::SA_SIGINFO), libc::SIG_DFL, "it came before somebody else");
        on_a_coroutine(overflow);
        return;
    }
    let output = run_child("a_second_call_changes_the_report_and_nothing_else", &[]);
    let text = died_of(&output, libc::SIGABRT);
    assert!(text.contains("the other report\n") && !text.contains("reported:"), "{text}");
}
