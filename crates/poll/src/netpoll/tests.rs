//! The poll word and wake-ups, over a fake of the test's own. `block` needs the time from a runtime only when
//! there is a timer, and stores when it polled, so one is installed for the process.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Once};
use std::thread;

use gopark_sys::netpoll::fake::{Call, Fake};

use super::*;
use crate::ThreadRuntime;

fn poller() -> (Fake, Arc<Netpoll>) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        ThreadRuntime::start(Fake::new().backend()).unwrap();
    });
    let fake = Fake::new();
    let netpoll = Arc::new(Netpoll::new(fake.backend()));
    (fake, netpoll)
}

fn wakes(fake: &Fake) -> usize {
    fake.calls().iter().filter(|c| **c == Call::Wake).count()
}

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

#[test]
fn a_wake_up_before_the_block_makes_it_a_quick_poll() {
    let (fake, np) = poller();
    np.wake();
    np.wake();
    assert_eq!(wakes(&fake), 1, "coalesced");
    // The event is swallowed, the flag is not.
    assert!(np.quick(&mut ReadyList::new()));
    assert!(np.block(|| 0, &mut ReadyList::new()));
    assert_eq!(fake.polls(), [Some(Duration::ZERO), Some(Duration::ZERO)]);
    np.wake();
    assert_eq!(wakes(&fake), 2, "consumed, so the next one counts again");
}

#[test]
fn until_is_asked_after_wake_ups_were_consumed() {
    let (fake, np) = poller();
    np.wake();
    assert!(np.block(
        || {
            // Whoever wakes from now on makes an event of his own.
            np.wake();
            0
        },
        &mut ReadyList::new()
    ));
    assert_eq!(wakes(&fake), 2);
}

#[test]
fn a_blocked_poller_is_woken_and_says_until_when_it_sleeps() {
    let (fake, np) = poller();
    let far = runtime().nanotime() + 3_600_000_000_000;
    let blocked = {
        let np = np.clone();
        thread::spawn(move || np.block(|| far, &mut ReadyList::new()))
    };
    until(|| np.state() == PollerState::Blocking { until: far });
    assert!(!np.block(|| 0, &mut ReadyList::new()), "there is one");
    assert!(!np.quick(&mut ReadyList::new()));
    np.wake();
    assert!(blocked.join().unwrap());
    assert_eq!(np.state(), PollerState::Free);
    assert_eq!(fake.polls().len(), 1);
    assert!(np.last_poll.load(Relaxed) > 0);
}

#[test]
fn the_delay_is_what_is_left_until_the_timer_and_never_negative() {
    let (fake, np) = poller();
    assert!(np.block(|| 1, &mut ReadyList::new()));
    assert!(np.block(|| runtime().nanotime() + 2_000_000, &mut ReadyList::new()));
    let polls = fake.polls();
    assert_eq!(polls[0], Some(Duration::ZERO));
    assert!(polls[1] <= Some(Duration::from_millis(2)) && polls[1] > Some(Duration::ZERO));
}

/// The last idle thread must not go to sleep because another is in a quick poll.
#[test]
fn who_wants_to_block_takes_over_from_a_quick_poll() {
    let (_, np) = poller();
    np.word.store(QUICK, Relaxed);
    let asked = Arc::new(AtomicUsize::new(0));
    let blocker = {
        let (np, asked) = (np.clone(), asked.clone());
        thread::spawn(move || {
            np.block(
                || {
                    asked.fetch_add(1, Relaxed);
                    1
                },
                &mut ReadyList::new(),
            )
        })
    };
    assert_eq!(np.state(), PollerState::Quick);
    np.release();
    assert!(blocker.join().unwrap());
    assert_eq!(asked.load(Relaxed), 1);
}

#[test]
fn an_interrupted_poll_returns_an_empty_list() {
    let (fake, np) = poller();
    fake.fail_poll(Errno::EINTR);
    let mut ready = ReadyList::new();
    assert!(np.block(|| 0, &mut ready));
    assert!(ready.is_empty());
    assert_eq!(np.state(), PollerState::Free);
}

#[test]
fn open_descriptors_are_counted_and_failed_ones_are_not() {
    let (fake, np) = poller();
    let (a, _b) = std::os::unix::net::UnixStream::pair().unwrap();
    let fd = SysFd::new(a.into());
    np.register(&fd, Token::new(1, 1), Interest::Both).unwrap();
    fake.fail_open(Errno::from_raw(28));
    np.register(&fd, Token::new(2, 1), Interest::Reading).unwrap_err();
    assert_eq!(np.open.load(Relaxed), 1);
    np.deregister(&fd);
    assert_eq!(np.open.load(Relaxed), 0);
}
