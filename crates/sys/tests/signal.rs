//! Signals that are caught, handed on, and given back.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use gopark_sys::signal;

static CALLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn somebodys_own(_signal: libc::c_int) {
    CALLED.fetch_add(1, Relaxed);
}

fn action_of(number: i32) -> libc::sigaction {
    // SAFETY: a zeroed sigaction is a valid one, and the call only asks.
    unsafe {
        let mut action = std::mem::zeroed();
        libc::sigaction(number, std::ptr::null(), &mut action);
        action
    }
}

/// To the calling thread, so that the handler has run when it returns.
fn raise(number: i32) {
    // SAFETY: all signals here have handlers.
    assert_eq!(unsafe { libc::raise(number) }, 0);
}

/// One test, since a signal and the pipe belong to the process.
#[test]
fn a_signal_is_taken_handed_on_and_given_back() {
    let number = libc::SIGUSR1;
    // SAFETY: an async-signal-safe handler of the right signature.
    unsafe { libc::signal(number, somebodys_own as *const () as usize) };
    assert!(signal::wait().is_err(), "nothing was ever to be caught");

    signal::catch(number).expect("it can be caught");
    signal::catch(libc::SIGUSR2).expect("it can be caught");
    signal::catch(number).expect("a second time changes nothing");
    assert_ne!(action_of(number).sa_flags & libc::SA_ONSTACK, 0);
    raise(number);
    assert_eq!(CALLED.load(Relaxed), 1, "who was there before is called as well");
    assert_eq!(signal::wait().expect("it came"), 1 << (number - 1));

    // Several are taken together, and each once.
    raise(libc::SIGUSR2);
    raise(number);
    raise(number);
    assert_eq!(signal::wait().expect("they came"), 1 << (number - 1) | 1 << (libc::SIGUSR2 - 1));

    signal::restore(number).expect("it was caught");
    assert_eq!(action_of(number).sa_sigaction, somebodys_own as *const () as usize);
    raise(number);
    assert_eq!(CALLED.load(Relaxed), 4);
    raise(libc::SIGUSR2);
    assert_eq!(signal::wait().expect("it came"), 1 << (libc::SIGUSR2 - 1), "the other one is given back");

    signal::ignore(number).expect("it can be ignored");
    assert!(signal::is_ignored(number));
    raise(number);
    signal::restore(number).expect("it was ignored");
    assert!(!signal::is_ignored(number));
    assert_eq!(CALLED.load(Relaxed), 4);

    the_handler_leaves_errno_alone();

    for refused in [0, 65, libc::SIGKILL, libc::SIGSTOP, libc::SIGSEGV] {
        assert!(!signal::may_catch(refused));
        assert_eq!(signal::catch(refused).expect_err("refused").raw_os_error(), Some(libc::EINVAL));
    }
}

/// Errno is as it was: the handler calls write(2), which may fail.
fn the_handler_leaves_errno_alone() {
    signal::catch(libc::SIGWINCH).expect("it can be caught");
    // SAFETY: an invalid descriptor, for its error.
    unsafe { libc::close(-1) };
    raise(libc::SIGWINCH);
    assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EBADF));
    signal::restore(libc::SIGWINCH).expect("it was caught");
}
