//! The last words of a goroutine whose stack overflowed.
//!
//! # Safety
//! Runs in a signal handler. A slot that faults was handed out, and its header was written before it ran.
#![allow(unsafe_code)]

use std::sync::OnceLock;

use gopark_sys::stack::Slot;

use crate::g::G;
use crate::sched::SCHED;

/// Installs the report, once.
pub(crate) fn install() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| gopark_sys::overflow::install_overflow_handler(report));
}

/// Called by the signal handler, on the alternate stack: no allocation, no lock, no panic.
fn report(slot: Slot, out: &mut dyn FnMut(&[u8])) {
    // SAFETY: only slots that were handed out have guards, and their header was written before they ran.
    let gp = unsafe { G::from_ptr(G::of_slot(&slot).as_ptr()) };
    out(b"\ngoroutine ");
    number(gp.id(), out);
    if let Some(at) = gp.start_location() {
        out(b", started at ");
        out(at.file().as_bytes());
        out(b":");
        number(u64::from(at.line()), out);
        out(b",");
    }
    out(b" has overflowed its stack of ");
    let size = slot.top().addr().get() - slot.bottom().addr().get();
    number(size as u64, out);
    if SCHED.config().is_some_and(|c| c.stack_size <= size) {
        out(b" bytes; Runtime::builder().stack_size(..) makes it larger\n");
    } else {
        out(b" bytes; SpawnOptions::stack_size(..) makes it larger\n");
    }
    out(b"fatal error: stack overflow\n");
}

fn number(mut n: u64, out: &mut dyn FnMut(&[u8])) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out(&digits[at..]);
}
