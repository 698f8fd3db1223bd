//! The handler for a stack that ran into its guard.
//!
//! std's own handler knows only the guard of the thread's own stack and would leave a bare "Segmentation fault".
//! Ours recognises the guards of slots, lets the scheduler say whose it was, and aborts. Every other fault goes to
//! whoever was there before.
//!
//! Nothing can go on after an overflow: the frames below would have to be abandoned without their destructors, with
//! locks held.
//!
//! # Safety
//! The handler runs on the alternate signal stack that std gives to the threads it starts; what it calls must be
//! async-signal-safe: no allocation, no lock, no panic.
#![allow(unsafe_code)]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::stack::{Slot, guard_hit};

/// Describes the overflow of a slot by calls of its second argument. Async-signal-safe.
pub type Report = fn(slot: Slot, out: &mut dyn FnMut(&[u8]));

static REPORT: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());
static PREVIOUS: OnceLock<[libc::sigaction; 2]> = OnceLock::new();

const SIGNALS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// Installs the handler for SIGSEGV and SIGBUS. Once; a second call changes the report only.
pub fn install_overflow_handler(report: Report) {
    REPORT.store((report as *const ()).cast_mut(), Ordering::Release); // pairs with the handler's load
    PREVIOUS.get_or_init(|| {
        // SAFETY: a zeroed sigaction is the default action with an empty mask.
        let mut previous: [libc::sigaction; 2] = unsafe { std::mem::zeroed() };
        for (signal, old) in SIGNALS.iter().zip(previous.iter_mut()) {
            // SAFETY: only asks.
            unsafe { libc::sigaction(*signal, std::ptr::null(), old) };
        }
        previous
    });
    for signal in SIGNALS {
        // SAFETY: as above.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: handler has the signature SA_SIGINFO asks for, and PREVIOUS is set.
        unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) };
    }
}

extern "C" fn handler(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo to an SA_SIGINFO handler.
    let addr = unsafe { (*info).si_addr() }.addr();
    let report = REPORT.load(Ordering::Acquire); // pairs with install
    if let Some(slot) = guard_hit(addr)
        && !report.is_null()
    {
        // SAFETY: only install stores it, from a Report.
        let report: Report = unsafe { std::mem::transmute::<*mut (), Report>(report) };
        report(slot, &mut |text| {
            // SAFETY: text is readable for its length.
            unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
        });
        // SAFETY: ends the process.
        unsafe { libc::abort() };
    }
    chain(signal, info, context);
}

/// Passes a fault that is not ours on to the action that was there before.
fn chain(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let index = usize::from(signal == libc::SIGBUS);
    let previous = PREVIOUS.get().map(|p| p[index]);
    match previous {
        Some(p) if p.sa_sigaction != libc::SIG_DFL && p.sa_sigaction != libc::SIG_IGN => {
            if p.sa_flags & libc::SA_SIGINFO != 0 {
                type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
                // SAFETY: that is the signature of an SA_SIGINFO handler.
                let handler = unsafe { std::mem::transmute::<usize, Handler>(p.sa_sigaction) };
                handler(signal, info, context);
            } else {
                // SAFETY: that is the signature of a plain handler.
                let handler =
                    unsafe { std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(p.sa_sigaction) };
                handler(signal);
            }
        }
        _ => {
            // The default: the faulting instruction runs again, and this time the signal kills the process.
            // SAFETY: SIG_DFL is a valid action.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}
