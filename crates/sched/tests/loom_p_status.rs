//! Models of the status word of a P (`p_status.rs`): sysmon may take its holder for stuck at any moment. Whatever the
//! holder does then, there are as many Ps as GOMAXPROCS in the end, and each is in one place. The same while GOMAXPROCS
//! is changed.
//!
//! Follows `releasep` and `acquirep` in `m.rs`, `compensate`, `settle` and `retire_stuck` in `compensate.rs`,
//! `set_max_procs` and `settle` in `resize.rs`.
#![cfg(loom)]
#![allow(dead_code, missing_docs, unreachable_pub)]

#[path = "util/loom.rs"]
mod util;

#[path = "../src/p_status.rs"]
mod p_status;

use std::sync::Arc;

use gopark_sys::loom::atomic::{AtomicUsize, Ordering};
use loom::sync::{Mutex, MutexGuard};
use loom::thread;
use p_status::{PStatus, StatusWord};
use util::model;

/// Ps there are at most: one is stuck, one in its place.
const PS: usize = 3;

#[derive(Default)]
struct Synced {
    pidle: Vec<usize>,
    pspare: Vec<usize>,
    active: usize,
    stuck: usize,
    procs: usize,
    surplus: bool,
}

struct P {
    status: StatusWord,
    /// The number of the M that holds it, 0 if none.
    m: AtomicUsize,
    tick: AtomicUsize,
}

struct World {
    ps: Vec<P>,
    synced: Mutex<Synced>,
}

/// An M; its number is not 0.
struct M {
    id: usize,
    p: Option<usize>,
}

impl World {
    /// `procs` Ps are idle, the rest spare.
    fn new(procs: usize) -> Arc<World> {
        let new = |id| P {
            status: StatusWord::new(if id < procs { PStatus::Idle } else { PStatus::Spare }),
            m: AtomicUsize::new(0),
            tick: AtomicUsize::new(0),
        };
        let synced = Synced {
            pidle: (0..procs).collect(),
            pspare: (procs..PS).collect(),
            active: procs,
            stuck: 0,
            procs,
            surplus: false,
        };
        Arc::new(World { ps: (0..PS).map(new).collect(), synced: Mutex::new(synced) })
    }

    fn lock(&self) -> MutexGuard<'_, Synced> {
        self.synced.lock().unwrap()
    }

    fn pidleput(&self, s: &mut Synced, pp: usize) {
        assert!(self.ps[pp].status.is(PStatus::Idle), "pidleput: not idle");
        s.pidle.push(pp);
    }

    fn retire(&self, pp: usize) {
        self.ps[pp].status.set(PStatus::Spare);
        self.lock().pspare.push(pp);
    }

    fn retire_stuck(&self, pp: usize) {
        let mut s = self.lock();
        s.stuck -= 1;
        if s.active < s.procs {
            s.active += 1;
            self.ps[pp].status.set(PStatus::Idle);
            self.pidleput(&mut s, pp);
        } else {
            drop(s);
            self.retire(pp);
        }
    }

    /// sysmon: M `m` has held `pp` since `tick`, as it saw before. The new P goes to an M that finds nothing to do.
    fn compensate(&self, pp: usize, m: usize, tick: usize) {
        let mut s = self.lock();
        let p = &self.ps[pp];
        let held = p.m.load(Ordering::Acquire) == m; // pairs with acquirep
        if !held || p.tick.load(Ordering::Relaxed) != tick || !p.status.leave_running(PStatus::Stuck) {
            return;
        }
        s.stuck += 1;
        s.active -= 1;
        if s.active < s.procs {
            assert!(self.publish(&mut s), "a spare P");
        }
    }

    /// A spare P becomes idle.
    fn publish(&self, s: &mut Synced) -> bool {
        let Some(fresh) = s.pspare.pop() else { return false };
        self.ps[fresh].status.set(PStatus::Idle);
        s.active += 1;
        self.pidleput(s, fresh);
        true
    }

    fn set_max_procs(&self, n: usize) {
        let mut s = self.lock();
        s.procs = n;
        while s.active < n && self.publish(&mut s) {}
        drop(s);
        self.settle_surplus();
    }

    /// Also sysmon's, while `surplus` says so.
    fn settle_surplus(&self) {
        let mut idle = Vec::new();
        let mut s = self.lock();
        while s.active > s.procs {
            let Some(pp) = s.pidle.pop() else { break };
            s.active -= 1;
            idle.push(pp);
        }
        for p in &self.ps {
            if s.active <= s.procs {
                break;
            }
            if p.status.is(PStatus::Running) && p.status.leave_running(PStatus::Stuck) {
                s.stuck += 1;
                s.active -= 1;
            }
        }
        s.surplus = s.active > s.procs;
        drop(s);
        idle.into_iter().for_each(|pp| self.retire(pp));
    }

    /// Nobody runs any more: the books must be right.
    fn check(&self) {
        if self.lock().surplus {
            self.settle_surplus(); // sysmon
        }
        let s = self.lock();
        assert_eq!((s.active, s.stuck), (s.procs, 0));
        assert_eq!(s.pidle.len(), s.procs);
        let mut all = [s.pidle.as_slice(), s.pspare.as_slice()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..PS).collect::<Vec<_>>(), "a P is lost, or in two places");
        assert!(s.pidle.iter().all(|&pp| self.ps[pp].status.is(PStatus::Idle)));
        assert!(s.pspare.iter().all(|&pp| self.ps[pp].status.is(PStatus::Spare)));
    }
}

impl M {
    fn with_p(w: &World, id: usize) -> M {
        let mut mp = M { id, p: None };
        assert!(mp.take_idle(w));
        mp
    }

    /// False: no P is idle.
    fn take_idle(&mut self, w: &World) -> bool {
        let Some(pp) = w.lock().pidle.pop() else { return false };
        self.acquirep(w, pp);
        true
    }

    fn acquirep(&mut self, w: &World, pp: usize) {
        let p = &w.ps[pp];
        assert!(self.p.is_none() && p.m.load(Ordering::Relaxed) == 0 && p.status.is(PStatus::Idle));
        self.p = Some(pp);
        p.status.set(PStatus::Running);
        p.m.store(self.id, Ordering::Release); // pairs with compensate
    }

    fn releasep(&mut self, w: &World) -> Option<usize> {
        let pp = self.p.take()?;
        let p = &w.ps[pp];
        p.m.store(0, Ordering::Release); // pairs with compensate
        if p.status.leave_running(PStatus::Idle) {
            return Some(pp);
        }
        w.retire_stuck(pp);
        None
    }

    /// Another goroutine is run.
    fn execute(&self, w: &World) {
        let tick = &w.ps[self.p.expect("a P")].tick;
        tick.store(tick.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// A goroutine enters a blocking section.
    fn give_p_away(&mut self, w: &World) {
        if let Some(pp) = self.releasep(w) {
            w.pidleput(&mut w.lock(), pp);
        }
    }

    /// `find_runnable`, up to the point where the M sleeps.
    fn find_nothing(&mut self, w: &World) {
        while let Some(pp) = self.p {
            if !w.ps[pp].status.is(PStatus::Running) {
                self.settle(w, pp);
                continue;
            }
            let mut s = w.lock();
            if w.ps[pp].status.is(PStatus::Running) {
                let pp = self.releasep(w).expect("nobody becomes stuck while the lock is held");
                w.pidleput(&mut s, pp);
            }
        }
    }

    fn settle(&mut self, w: &World, pp: usize) {
        let mut s = w.lock();
        let mut surplus = None;
        if s.active < s.procs {
            s.active += 1;
        } else {
            surplus = s.pidle.pop();
            if surplus.is_none() {
                drop(s);
                assert_eq!(self.releasep(w), None, "settle: not stuck");
                return;
            }
        }
        s.stuck -= 1;
        w.ps[pp].status.set(PStatus::Running);
        drop(s);
        if let Some(idle) = surplus {
            w.retire(idle);
        }
    }
}

#[test]
fn a_goroutine_blocks_while_it_is_taken_for_stuck() {
    model(3, || {
        let w = World::new(1);
        let mut mp = M::with_p(&w, 1);
        let theirs = Arc::clone(&w);
        let sysmon = thread::spawn(move || theirs.compensate(0, 1, 0));
        mp.give_p_away(&w);
        sysmon.join().unwrap();
        w.check();
    });
}

#[test]
fn a_goroutine_parks_while_it_is_taken_for_stuck() {
    model(3, || {
        let w = World::new(1);
        let mut mp = M::with_p(&w, 1);
        let theirs = Arc::clone(&w);
        let sysmon = thread::spawn(move || theirs.compensate(0, 1, 0));
        mp.find_nothing(&w);
        sysmon.join().unwrap();
        w.check();
    });
}

/// It gives its P away and takes it back, so that sysmon finds the M it saw before, and the tick.
#[test]
fn a_goroutine_blocks_twice_while_it_is_taken_for_stuck() {
    model(3, || {
        let w = World::new(1);
        let mut mp = M::with_p(&w, 1);
        let theirs = Arc::clone(&w);
        let sysmon = thread::spawn(move || theirs.compensate(0, 1, 0));
        mp.give_p_away(&w);
        if mp.take_idle(&w) {
            mp.give_p_away(&w);
        }
        sysmon.join().unwrap();
        w.check();
    });
}

/// The P of a goroutine that blocks goes to another M; it is not the other one that was stuck.
#[test]
fn a_p_changes_hands_while_its_holder_is_taken_for_stuck() {
    model(2, || {
        let w = World::new(1);
        let mut mp = M::with_p(&w, 1);
        let theirs = Arc::clone(&w);
        let sysmon = thread::spawn(move || theirs.compensate(0, 1, 0));
        let theirs = Arc::clone(&w);
        let other = thread::spawn(move || {
            let mut mp = M { id: 2, p: None };
            if mp.take_idle(&theirs) {
                mp.execute(&theirs);
                mp.find_nothing(&theirs);
            }
        });
        mp.give_p_away(&w);
        if mp.take_idle(&w) {
            mp.find_nothing(&w);
        }
        sysmon.join().unwrap();
        other.join().unwrap();
        w.check();
    });
}

/// The one taken for stuck comes back while the P in its place is in use, or while that becomes idle.
#[test]
fn who_was_stuck_comes_back_beside_its_replacement() {
    model(2, || {
        let w = World::new(1);
        let mut mp = M::with_p(&w, 1);
        w.compensate(0, 1, 0);
        let theirs = Arc::clone(&w);
        let replacement = thread::spawn(move || {
            let mut mp = M { id: 2, p: None };
            if mp.take_idle(&theirs) {
                mp.execute(&theirs);
                mp.find_nothing(&theirs);
            }
        });
        mp.find_nothing(&w);
        replacement.join().unwrap();
        w.check();
    });
}

/// GOMAXPROCS falls while one M gives its P away, the other finds nothing to do.
#[test]
fn fewer_ps_while_they_change_hands() {
    model(2, || {
        let w = World::new(2);
        let mut mp = M::with_p(&w, 1);
        let theirs = Arc::clone(&w);
        let other = thread::spawn(move || {
            let mut mp = M { id: 2, p: None };
            if mp.take_idle(&theirs) {
                mp.execute(&theirs);
                mp.find_nothing(&theirs);
            }
        });
        let theirs = Arc::clone(&w);
        let resizer = thread::spawn(move || theirs.set_max_procs(1));
        mp.give_p_away(&w);
        if mp.take_idle(&w) {
            mp.find_nothing(&w);
        }
        other.join().unwrap();
        resizer.join().unwrap();
        w.check();
    });
}

/// It falls and rises again while its holder comes and goes.
#[test]
fn fewer_ps_and_then_more() {
    model(3, || {
        let w = World::new(2);
        let mut mp = M::with_p(&w, 1);
        let theirs = Arc::clone(&w);
        let resizer = thread::spawn(move || {
            theirs.set_max_procs(1);
            theirs.set_max_procs(2);
        });
        mp.find_nothing(&w);
        if mp.take_idle(&w) {
            mp.give_p_away(&w);
        }
        resizer.join().unwrap();
        w.check();
    });
}

/// Also while sysmon takes a holder for stuck.
#[test]
fn fewer_ps_while_one_is_taken_for_stuck() {
    model(2, || {
        let w = World::new(2);
        let mut mp = M::with_p(&w, 1);
        let pp = mp.p.expect("a P");
        let theirs = Arc::clone(&w);
        let sysmon = thread::spawn(move || theirs.compensate(pp, 1, 0));
        let theirs = Arc::clone(&w);
        let resizer = thread::spawn(move || theirs.set_max_procs(1));
        mp.find_nothing(&w);
        sysmon.join().unwrap();
        resizer.join().unwrap();
        w.check();
    });
}
