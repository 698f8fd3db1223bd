//! Goroutines whose closures are nearly as large as their stacks, in builds without optimisation too, where every move
//! of a value leaves a copy behind.

mod util;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::channel;

use gopark_sched::{DEFAULT_STACK_SIZE, go, scope, spawn, try_go, try_spawn};
use util::*;

const LARGE: usize = 200_000;
const SUM: usize = 3 * LARGE;
const _: () = assert!(LARGE < DEFAULT_STACK_SIZE && 2 * LARGE > DEFAULT_STACK_SIZE);

#[test]
fn runs_with_1_2_and_4_procs() {
    run_with_1_2_and_4_procs();
}

/// What is captured: the sum tells that all of it came, `token` how often it was dropped.
struct Load {
    bytes: [u8; LARGE],
    token: CountDrops,
}

impl Load {
    fn new(drops: &Arc<AtomicUsize>) -> Load {
        Load { bytes: [3; LARGE], token: CountDrops(Arc::clone(drops)) }
    }

    /// By reference: a move would be a copy on the goroutine's own stack.
    fn sum(&self) -> usize {
        assert_eq!(self.token.0.load(Relaxed), 0, "dropped before its goroutine ran");
        self.bytes.iter().map(|&b| usize::from(b)).sum()
    }
}

/// From a plain thread, whose stack has room to make such a value and to move it a few times. `f` makes it where it is
/// captured: each frame it came through would keep a copy.
fn once(name: &str, f: impl FnOnce(&Arc<AtomicUsize>) -> usize + Send + 'static) {
    let drops = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&drops);
    assert_eq!(bounded_on_thread(name, move || f(&theirs)), SUM, "{name}");
    until("the closure is dropped", || drops.load(Relaxed) > 0);
    until_settled();
    assert_eq!(drops.load(Relaxed), 1, "{name}: not once");
}

#[test]
fn go_takes_one() {
    let _alone = alone();
    once("go", |drops| {
        let (load, (tx, rx)) = (Load::new(drops), channel());
        go(move || tx.send(load.sum()).unwrap());
        rx.recv().unwrap()
    });
    once("try_go", |drops| {
        let (load, (tx, rx)) = (Load::new(drops), channel());
        try_go(move || tx.send(load.sum()).unwrap()).unwrap();
        rx.recv().unwrap()
    });
}

#[test]
fn spawn_takes_one() {
    let _alone = alone();
    once("spawn", |drops| {
        let load = Load::new(drops);
        spawn(move || load.sum()).join().unwrap()
    });
    once("try_spawn", |drops| {
        let load = Load::new(drops);
        try_spawn(move || load.sum()).unwrap().join().unwrap()
    });
}

#[test]
fn a_scope_takes_one() {
    let _alone = alone();
    once("scope", |drops| {
        let sum = AtomicUsize::new(0);
        scope(|s| {
            let (load, theirs) = (Load::new(drops), &sum);
            s.go(move || theirs.store(load.sum(), Relaxed));
        });
        sum.into_inner()
    });
}

#[test]
fn run_takes_one() {
    let _alone = alone();
    once("run", |drops| {
        let load = Load::new(drops);
        runtime().run(move || load.sum())
    });
}

#[test]
fn a_panic_drops_one() {
    let _alone = alone();
    once("a panic", |drops| {
        let load = Load::new(drops);
        let handle = spawn(move || -> () { std::panic::resume_unwind(Box::new(load.sum())) });
        *handle.join().unwrap_err().downcast::<usize>().unwrap()
    });
}
