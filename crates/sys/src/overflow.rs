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
//! async-signal-safe: no allocation, no lock, no panic, and little stack. Should the report itself fault, the kernel
//! ends the process, since the signal is blocked meanwhile.
#![allow(unsafe_code)]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::stack::{Slot, guard_hit};

/// Describes the overflow of a slot by calls of its second argument. Async-signal-safe.
pub type Report = fn(slot: Slot, out: &mut dyn FnMut(&[u8]));

/// A [`Report`], or null before there is one. Written by `install_overflow_handler` only.
static REPORT: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

/// What was there before us, in the order of [`SIGNALS`]. The handler gets it without a lock: it is set first.
static PREVIOUS: OnceLock<[libc::sigaction; 2]> = OnceLock::new();

/// A guard is SIGSEGV on Linux, and SIGBUS on macOS.
const SIGNALS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// Installs the handler for SIGSEGV and SIGBUS. Once; a second call changes the report only, so that whoever put his
/// handler before ours since then keeps his place.
pub fn install_overflow_handler(report: Report) {
    REPORT.store((report as *const ()).cast_mut(), Ordering::Release); // pairs with the handler's load
    let mut first = false;
    PREVIOUS.get_or_init(|| {
        first = true;
        SIGNALS.map(|signal| {
            // SAFETY: a zeroed sigaction is the default action with an empty mask.
            let mut previous: libc::sigaction = unsafe { std::mem::zeroed() };
            // SAFETY: only asks.
            unsafe { libc::sigaction(signal, std::ptr::null(), &mut previous) };
            previous
        })
    });
    if first {
        for signal in SIGNALS {
            // SAFETY: as above.
            let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
            action.sa_sigaction = handler as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            // SAFETY: handler has the signature SA_SIGINFO asks for, and PREVIOUS is set.
            unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) };
        }
    }
}

/// True if an access to memory raised the signal, and not `kill`: only then is there an address.
fn is_fault(info: *const libc::siginfo_t) -> bool {
    // SAFETY: the kernel passes a valid siginfo to an SA_SIGINFO handler.
    unsafe { (*info).si_code > 0 }
}

extern "C" fn handler(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: as in is_fault.
    let addr = unsafe { (*info).si_addr() }.addr();
    let report = REPORT.load(Ordering::Acquire); // pairs with install
    if is_fault(info)
        && let Some(slot) = guard_hit(addr)
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

/// Passes a signal that is not ours on to the action that was there before.
fn chain(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let index = usize::from(signal == libc::SIGBUS);
    let Some(previous) = PREVIOUS.get().map(|p| p[index]) else { return by_default(signal, info) };
    match previous.sa_sigaction {
        libc::SIG_DFL => by_default(signal, info),
        // The kernel ignores only what was sent; a fault kills all the same.
        libc::SIG_IGN if is_fault(info) => by_default(signal, info),
        libc::SIG_IGN => {}
        action => {
            // What it wants blocked while it runs; the return from our handler undoes it.
            // SAFETY: the mask is valid, and the old one is not asked for.
            unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &previous.sa_mask, std::ptr::null_mut()) };
            if previous.sa_flags & libc::SA_SIGINFO != 0 {
                type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
                // SAFETY: that is the signature of an SA_SIGINFO handler.
                let handler = unsafe { std::mem::transmute::<usize, Handler>(action) };
                handler(signal, info, context);
            } else {
                // SAFETY: that is the signature of a plain handler.
                let handler = unsafe { std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(action) };
                handler(signal);
            }
        }
    }
}

/// The default: a faulting instruction runs again after the return, and this time the signal kills the process. One
/// that was sent does not come again by itself; it stays pending until the return.
fn by_default(signal: libc::c_int, info: *const libc::siginfo_t) {
    // SAFETY: SIG_DFL is a valid action.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    if !is_fault(info) {
        // SAFETY: a plain system call.
        unsafe { libc::raise(signal) };
    }
}
