//! `goroutine_local!`. Beside std's tests of `thread_local!`: tests/thread_local/tests.rs.

mod util;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gopark_sched::local::AccessError;
use gopark_sched::{goroutine_local, sleep, spawn, yield_now};
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    run_with_1_2_and_4_procs();
}

fn from_both(name: &str, f: fn()) {
    bounded(&format!("{name}, from a goroutine"), f);
    bounded_on_thread(&format!("{name}, from a thread"), f);
}

goroutine_local! {
    static NUMBER: Cell<usize> = const { Cell::new(0) };
    /// With a comment, and no semicolon at the end.
    pub static LIST: RefCell<Vec<usize>> = RefCell::new(vec![1])
}

#[test]
fn each_has_its_own_over_parks_and_threads() {
    from_both("own", || {
        let all: Vec<_> = (1..50)
            .map(|i| {
                spawn(move || {
                    for round in 0..20 {
                        assert_eq!(NUMBER.get(), i * round);
                        NUMBER.set(NUMBER.get() + i);
                        LIST.with_borrow_mut(|list| list.push(i));
                        if round % 2 == 0 { yield_now() } else { sleep(Duration::from_micros(50)) }
                    }
                    // A reference may be held while the goroutine parks.
                    NUMBER.with(|n| {
                        n.set(1);
                        sleep(Duration::from_micros(50));
                        n.set(n.get() + 1);
                    });
                    assert_eq!((NUMBER.replace(5), NUMBER.take(), NUMBER.get()), (2, 5, 0));
                    assert_eq!(LIST.take().len(), 21);
                    LIST.set(vec![]);
                    assert!(LIST.with_borrow(Vec::is_empty));
                })
            })
            .collect();
        all.into_iter().for_each(|h| h.join().unwrap());
    });
}

/// What was dropped, in order.
static DROPPED: Mutex<Vec<&str>> = Mutex::new(Vec::new());

struct Tells(&'static str);

impl Drop for Tells {
    fn drop(&mut self) {
        yield_now(); // a destructor may park
        DROPPED.lock().unwrap().push(self.0);
    }
}

goroutine_local! {
    static FIRST: Tells = Tells("first");
    static SECOND: Tells = Tells("second");
}

#[test]
fn values_end_with_their_goroutine_before_join_returns() {
    let _alone = alone();
    bounded("destructors", || {
        for thread in [false, true] {
            DROPPED.lock().unwrap().clear();
            let f = || {
                FIRST.with(|t| assert_eq!(t.0, "first"));
                SECOND.with(|_| ());
                assert!(DROPPED.lock().unwrap().is_empty());
            };
            if thread {
                std::thread::spawn(f).join().unwrap()
            } else {
                spawn(f).join().unwrap()
            }
            assert_eq!(*DROPPED.lock().unwrap(), ["second", "first"]);
        }
        // Also when the goroutine panics.
        DROPPED.lock().unwrap().clear();
        let panicked = spawn(|| FIRST.with(|_| panic!("expected by the test"))).join();
        assert!(panicked.is_err());
        assert_eq!(*DROPPED.lock().unwrap(), ["first"]);
    });
}

static SEEN: AtomicUsize = AtomicUsize::new(0);

struct UsesItself;

impl Drop for UsesItself {
    fn drop(&mut self) {
        let refused: Result<(), AccessError> = SELFISH.try_with(|_| ());
        assert!(refused.is_err());
        // One that was not used before is made for the destructor, and dropped after it.
        LATE.with(|_| SEEN.fetch_add(1, SeqCst));
        panic!("expected by the test: goes no further");
    }
}

goroutine_local! {
    static SELFISH: UsesItself = UsesItself;
    static LATE: CountDrops = CountDrops(LATE_DROPS.lock().unwrap().clone());
}

static LATE_DROPS: std::sync::LazyLock<Mutex<Arc<AtomicUsize>>> = std::sync::LazyLock::new(Default::default);

#[test]
fn destructors_find_what_is_left_and_may_panic() {
    let _alone = alone();
    bounded("destructors that use others", || {
        spawn(|| SELFISH.with(|_| ())).join().unwrap();
        assert_eq!(SEEN.load(SeqCst), 1);
        assert_eq!(LATE_DROPS.lock().unwrap().load(SeqCst), 1);
    });
}

/// The panic's payload is dropped when the goroutine's variables have gone already.
#[test]
fn nothing_is_left_for_the_next_goroutine_by_a_payload() {
    struct Payload(Arc<AtomicUsize>);
    impl Drop for Payload {
        fn drop(&mut self) {
            NUMBER.set(7);
            self.0.fetch_add(1, SeqCst);
        }
    }
    let _alone = alone();
    bounded("payloads", || {
        const N: usize = 20;
        let dropped = Arc::new(AtomicUsize::new(0));
        for _ in 0..N {
            let payload = Payload(Arc::clone(&dropped));
            gopark_sched::go(move || std::panic::resume_unwind(Box::new(payload)));
        }
        while dropped.load(SeqCst) < N {
            yield_now();
        }
        for _ in 0..4 * N {
            // Stacks are used again at once, the last one first.
            assert_eq!(spawn(|| NUMBER.get()).join().unwrap(), 0);
        }
        let all: Vec<_> = (0..4 * N).map(|_| spawn(|| NUMBER.get())).collect();
        all.into_iter().for_each(|h| assert_eq!(h.join().unwrap(), 0));
    });
}

goroutine_local! {
    static RECURSIVE: usize = RECURSIVE.with(|n| n + 1);
    static UNRELIABLE: usize = {
        assert!(NUMBER.get() > 0, "expected by the test");
        NUMBER.get()
    };
    static NOT_SEND: Rc<Cell<u32>> = Rc::default();
}

#[test]
fn initialisers_that_fail() {
    from_both("initialisers", || {
        let recursion = spawn(|| RECURSIVE.with(|n| *n)).join().unwrap_err();
        assert_eq!(
            recursion.downcast_ref::<&str>(),
            Some(&"the initialiser of a goroutine-local uses it itself")
        );
        spawn(|| {
            assert!(std::panic::catch_unwind(|| UNRELIABLE.with(|n| *n)).is_err());
            NUMBER.set(3);
            assert_eq!(UNRELIABLE.with(|n| *n), 3, "the next use tries again");
            NOT_SEND.with(|rc| rc.set(1));
            yield_now();
            assert_eq!(NOT_SEND.with(Rc::clone).get(), 1);
        })
        .join()
        .unwrap();
    });
}

#[test]
fn a_stack_that_is_used_again_has_no_values_left() {
    bounded("reuse", || {
        for _ in 0..500 {
            spawn(|| assert_eq!(NUMBER.replace(9), 0)).join().unwrap();
        }
    });
}
