//! Models of waking: the real words (`wake.rs`) and run queues (`runq/ring.rs`), with a scheduler around them that
//! follows `proc.rs` and `wakep.rs` step by step. When all is quiet, no goroutine waits while a P is idle.
//!
//! To keep the models small an M that goes to sleep ends, and to start one is to start a thread. A goroutine never
//! comes back, unless it is in `World::quick`: it keeps its M and its P, which makes "somebody else will see to it"
//! fail.
#![cfg(loom)]
#![allow(dead_code, missing_docs, unreachable_pub)]

#[path = "util/loom.rs"]
mod util;

#[path = "../src/runq/ring.rs"]
mod ring;

#[path = "../src/wake.rs"]
mod wake;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex as StdMutex};

use gopark_sys::loom::atomic::{AtomicUsize, Ordering};
use loom::sync::{Mutex, MutexGuard};
use loom::thread::{self, JoinHandle};
use ring::RunQueue;
use util::{item, model, number};
use wake::Wake;

/// What `ring.rs` finds as its parent's.
const CAPACITY: usize = 4;

/// What the scheduler lock guards.
#[derive(Default)]
struct Synced {
    runq: VecDeque<usize>,
    pidle: Vec<usize>,
}

struct World {
    wake: Wake,
    synced: Mutex<Synced>,
    runqsize: AtomicUsize,
    /// The local queue of each P.
    queues: Vec<RunQueue<u8>>,
    /// Goroutines that end at once, rather than never.
    quick: Vec<usize>,
    /// Not part of the model: threads to wait for, and what was run.
    threads: StdMutex<Vec<JoinHandle<()>>>,
    ran: StdMutex<Vec<usize>>,
}

type W = Arc<World>;

impl World {
    /// `procs` Ps, of which the `idle` last ones are idle. The others are for the caller to hold.
    fn new(procs: usize, idle: usize, quick: &[usize]) -> W {
        let world = World {
            wake: Wake::new(),
            synced: Mutex::default(),
            runqsize: AtomicUsize::new(0),
            queues: (0..procs).map(|_| RunQueue::new()).collect(),
            quick: quick.to_vec(),
            threads: StdMutex::default(),
            ran: StdMutex::default(),
        };
        for pp in procs - idle..procs {
            world.pidleput(&mut world.lock(), pp);
        }
        Arc::new(world)
    }

    fn lock(&self) -> MutexGuard<'_, Synced> {
        self.synced.lock().unwrap()
    }

    fn start(self: &Arc<World>, f: impl FnOnce(&W) + 'static) {
        let world = Arc::clone(self);
        let handle = thread::spawn(move || f(&world));
        self.threads.lock().unwrap().push(handle);
    }

    /// Waits until all is quiet, and looks whether anything was left.
    fn settle(self: &Arc<World>, goroutines: usize) {
        loop {
            let Some(handle) = self.threads.lock().unwrap().pop() else { break };
            handle.join().unwrap();
        }
        let s = self.lock();
        let mut seen = self.ran.lock().unwrap().clone();
        let mut waiting: Vec<usize> = s.runq.iter().copied().collect();
        for q in &self.queues {
            waiting.extend(std::iter::from_fn(|| q.pop_front().map(number)));
        }
        assert!(waiting.is_empty() || s.pidle.is_empty(), "{waiting:?} wait, and Ps {:?} are idle", s.pidle);
        assert_eq!(self.wake.npidle() as usize, s.pidle.len());
        assert_eq!(self.wake.nmspinning(), 0);
        seen.extend(waiting);
        seen.sort_unstable();
        assert_eq!(seen, (0..goroutines).collect::<Vec<_>>(), "lost or doubled");
    }

    // m.rs

    fn pidleput(&self, s: &mut Synced, pp: usize) {
        s.pidle.push(pp);
        self.wake.p_became_idle();
    }

    fn pidleget(&self, s: &mut Synced) -> Option<usize> {
        let pp = s.pidle.pop()?;
        self.wake.p_left_idle();
        Some(pp)
    }

    fn startm(self: &Arc<World>, pp: usize, spinning: bool) {
        self.start(move |w| M { p: Some(pp), spinning }.schedule(w));
    }

    // sched.rs

    fn globrunqput(&self, g: usize) {
        let mut s = self.lock();
        s.runq.push_back(g);
        self.runqsize.store(s.runq.len(), Ordering::Relaxed);
    }

    fn runqsize(&self) -> usize {
        self.runqsize.load(Ordering::Acquire) // pairs with globrunqget
    }

    fn globrunqget(&self, s: &mut Synced, pp: usize) -> Option<usize> {
        let size = s.runq.len();
        let first = s.runq.pop_front()?;
        for _ in 1..(size / self.queues.len() + 1).min(size) {
            let Some(g) = s.runq.pop_front() else { break };
            assert!(self.queues[pp].push_back(item(g)));
        }
        self.runqsize.store(s.runq.len(), Ordering::Release); // pairs with runqsize
        Some(first)
    }

    // wakep.rs

    fn wakep(self: &Arc<World>) {
        if self.queues.len() == 1 && self.wake.npidle() == 0 {
            return;
        }
        if self.wake.published() {
            self.start_searcher();
        }
    }

    fn start_searcher(self: &Arc<World>) {
        if !self.wake.start_searcher() {
            return;
        }
        let mut s = self.lock();
        let Some(pp) = self.pidleget(&mut s) else {
            return self.wake.cancel_searcher(true);
        };
        drop(s);
        self.startm(pp, true);
    }

    // What publishers do.

    /// A goroutine that runs on `pp` readies another.
    fn ready_on(self: &Arc<World>, pp: usize, g: usize) {
        assert!(self.queues[pp].push_back(item(g)));
        self.wakep();
    }

    /// A thread without a P does.
    fn ready_from_outside(self: &Arc<World>, g: usize) {
        self.globrunqput(g);
        self.wakep();
    }

    /// A goroutine on `pp` enters a blocking section. (Without its look at the poller.)
    fn handoffp(self: &Arc<World>, pp: usize) {
        if !self.queues[pp].is_empty() || self.runqsize() > 0 {
            return self.startm(pp, false);
        }
        if self.wake.nmspinning() + self.wake.npidle() == 0 && self.wake.start_searcher() {
            return self.startm(pp, true);
        }
        let mut s = self.lock();
        if !s.runq.is_empty() {
            drop(s);
            return self.startm(pp, false);
        }
        self.pidleput(&mut s, pp);
        drop(s);
        if self.wake.p_given_up() {
            self.wakep();
        }
    }

    /// A goroutine leaves a blocking section: it takes an idle P, ends, and its M goes on from there. Or the poller
    /// comes back for nothing. Or an M was started for the global queue.
    fn come_back(self: &Arc<World>) {
        let pp = self.pidleget(&mut self.lock());
        if let Some(pp) = pp {
            M { p: Some(pp), spinning: false }.schedule(self);
        }
    }
}

/// A thread that runs goroutines.
struct M {
    p: Option<usize>,
    spinning: bool,
}

impl M {
    /// Runs goroutines until there is none or one does not come back.
    fn schedule(mut self, w: &W) {
        while let Some(g) = self.find_runnable(w) {
            if self.spinning {
                self.spinning = false;
                w.wake.stop_spinning();
                w.wakep();
            }
            w.ran.lock().unwrap().push(g);
            if !w.quick.contains(&g) {
                return;
            }
        }
    }

    /// As `schedule`, after a search that was left out because enough others searched, and found nothing so far.
    fn schedule_without_search(mut self, w: &W) {
        if let Some(pp) = self.p
            && let Some(g) = self.drop_p_and_recheck(w, pp)
        {
            w.ran.lock().unwrap().push(g);
            return;
        }
        self.schedule(w);
    }

    /// None: the M sleeps.
    fn find_runnable(&mut self, w: &W) -> Option<usize> {
        loop {
            let pp = self.p?;
            if let Some(g) = w.queues[pp].pop_front() {
                return Some(number(g));
            }
            if w.runqsize() > 0
                && let Some(g) = w.globrunqget(&mut w.lock(), pp)
            {
                return Some(g);
            }
            if let Some(g) = self.spin_and_steal(w, pp) {
                return Some(g);
            }
            if let Some(g) = self.drop_p_and_recheck(w, pp) {
                return Some(g);
            }
            if self.p.is_none() {
                self.stopm(w);
            }
        }
    }

    fn spin_and_steal(&mut self, w: &W, pp: usize) -> Option<usize> {
        if w.queues.len() == 1 {
            return None;
        }
        if !self.spinning {
            if !w.wake.may_spin(w.queues.len() as u32) {
                return None;
            }
            self.become_spinning(w);
        }
        let others = w.queues.iter().enumerate().filter(|&(id, _)| id != pp);
        others.map(|(_, q)| q).find_map(|q| q.steal_into(&w.queues[pp])).map(number)
    }

    fn become_spinning(&mut self, w: &W) {
        self.spinning = true;
        w.wake.become_spinning();
    }

    fn drop_p_and_recheck(&mut self, w: &W, pp: usize) -> Option<usize> {
        let mut s = w.lock();
        if let Some(g) = w.globrunqget(&mut s, pp) {
            return Some(g);
        }
        if !self.spinning && w.wake.needspinning() == 1 {
            self.become_spinning(w);
            return None;
        }
        self.p = None;
        w.pidleput(&mut s, pp);
        drop(s);
        if self.spinning {
            self.spinning = false;
            w.wake.stop_spinning();
            return self.recheck(w);
        }
        if w.wake.p_given_up() {
            self.retake_p(w, &mut w.lock());
        }
        None
    }

    fn recheck(&mut self, w: &W) -> Option<usize> {
        if w.runqsize() > 0 {
            let mut s = w.lock();
            if !s.runq.is_empty() && self.retake_p(w, &mut s) {
                return w.globrunqget(&mut s, self.p?);
            }
        }
        if w.wake.p_given_up() || w.queues.iter().any(|q| !q.is_empty()) {
            self.retake_p(w, &mut w.lock());
        }
        None
    }

    fn retake_p(&mut self, w: &W, s: &mut Synced) -> bool {
        let Some(pp) = w.pidleget(s) else {
            w.wake.need_searcher();
            return false;
        };
        self.p = Some(pp);
        self.become_spinning(w);
        true
    }

    fn stopm(&mut self, w: &W) {
        let mut s = w.lock();
        if !s.runq.is_empty() {
            self.p = w.pidleget(&mut s);
        }
    }
}

/// The simplest case: the only searcher gives up while somebody publishes.
#[test]
fn the_last_searcher_looks_again() {
    model(3, || {
        let w = World::new(2, 0, &[]);
        w.wake.become_spinning();
        w.start(|w| M { p: Some(1), spinning: true }.schedule(w));
        w.ready_on(0, 0);
        w.settle(1);
    });
}

/// The same without a P: the global queue.
#[test]
fn the_last_searcher_looks_at_the_global_queue_again() {
    model(3, || {
        let w = World::new(2, 0, &[]);
        w.wake.become_spinning();
        w.start(|w| M { p: Some(1), spinning: true }.schedule(w));
        w.ready_from_outside(0);
        w.settle(1);
    });
}

/// `needspinning`: the publisher finds no idle P, and nobody who searches.
#[test]
fn who_gives_up_its_p_without_a_search_searches_if_asked() {
    model(3, || {
        let w = World::new(2, 0, &[]);
        w.start(|w| M { p: Some(1), spinning: false }.schedule_without_search(w));
        w.ready_on(0, 0);
        w.settle(1);
    });
}

/// The second publisher finds `needspinning` set by the first and relies on that, while the only M that might see it
/// gives its P up and goes to sleep.
#[test]
fn a_second_publisher_may_rely_on_the_first_ones_request() {
    model(2, || {
        let w = World::new(3, 0, &[]);
        w.start(|w| M { p: Some(2), spinning: false }.schedule_without_search(w));
        w.start(|w| w.ready_on(1, 1));
        w.ready_on(0, 0);
        w.settle(2);
    });
}

/// As before, with goroutines that come from outside and go at once, so that the M comes by again and again.
#[test]
fn two_publishers_and_an_m_that_comes_and_goes() {
    model(2, || {
        let w = World::new(2, 0, &[1]);
        w.start(|w| M { p: Some(1), spinning: false }.schedule(w));
        w.start(|w| w.ready_from_outside(1));
        w.ready_on(0, 0);
        w.settle(2);
    });
}

/// A publisher has seen an idle P and counts a searcher for it, and then the P is gone; another publisher relies on
/// that searcher meanwhile.
#[test]
fn a_searcher_that_gets_no_p_leaves_word() {
    model(3, || {
        let w = World::new(1, 0, &[0]);
        w.start(|w| M { p: Some(0), spinning: false }.schedule(w));
        w.start(|w| w.ready_from_outside(0));
        w.start_searcher();
        w.settle(1);
    });
}

/// The last searcher sees work, and its P is gone, to an M that did not search because of this one.
#[test]
fn a_searcher_that_cannot_take_its_p_back_leaves_word() {
    model(2, || {
        let w = World::new(2, 0, &[]);
        w.wake.become_spinning();
        w.start(|w| M { p: Some(1), spinning: true }.schedule(w));
        w.start(World::come_back);
        w.ready_on(0, 0);
        w.settle(1);
    });
}

/// A searcher that found work wakes the next: two goroutines that do not come back, and Ps for both.
#[test]
fn a_searcher_that_finds_work_wakes_its_successor() {
    model(2, || {
        let w = World::new(3, 1, &[]);
        w.wake.become_spinning();
        w.start(|w| M { p: Some(1), spinning: true }.schedule(w));
        w.ready_on(0, 0);
        w.ready_on(0, 1);
        w.settle(2);
    });
}

/// A batch from the global queue is published by nobody when it gets to a local queue.
#[test]
fn what_moves_from_the_global_queue_to_a_local_one_is_found() {
    model(3, || {
        let w = World::new(2, 0, &[]);
        w.wake.become_spinning();
        w.start(|w| M { p: Some(1), spinning: true }.schedule(w));
        w.ready_from_outside(0);
        w.ready_from_outside(1);
        M { p: Some(0), spinning: false }.schedule(&w);
        w.settle(2);
    });
}

/// One P, and nobody but its own M who could search.
#[test]
fn with_one_p_work_from_outside_is_found() {
    model(3, || {
        let w = World::new(1, 0, &[0]);
        w.start(|w| M { p: Some(0), spinning: false }.schedule(w));
        w.ready_from_outside(0);
        w.ready_from_outside(1);
        w.settle(2);
    });
}

/// A P that is given away because its goroutine blocks.
#[test]
fn who_hands_its_p_off_leaves_nobody_waiting() {
    model(3, || {
        let w = World::new(2, 0, &[]);
        w.start(|w| w.handoffp(1));
        w.ready_on(0, 0);
        w.settle(1);
    });
}

/// The same, and a publisher from outside.
#[test]
fn two_publishers_and_a_p_that_is_handed_off() {
    model(2, || {
        let w = World::new(2, 0, &[]);
        w.start(|w| w.handoffp(1));
        w.start(|w| w.ready_from_outside(1));
        w.ready_on(0, 0);
        w.settle(2);
    });
}
