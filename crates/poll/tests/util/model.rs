//! What the loom models stand on: a runtime and a poller's backend made of loom's parts.
//!
//! A wake-up that is lost leaves a thread parked for ever, which loom reports as a deadlock.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::os::fd::BorrowedFd;
use std::sync::Mutex as StdMutex;
use std::time::Duration;

use gopark_poll::{Netpoll, ParkSlot, PollerState, Runtime, Task, Timers, WaitReason, Waiter, take_task};
use gopark_sys::Result;
use gopark_sys::netpoll::{Backend, Event, Events, Readiness, Registrar, Selector, Token};
use loom::sync::{Condvar, Mutex};
use loom::thread::{self, Thread};

/// Never dropped, as everything that a waiter may name.
pub fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// One set for each execution of a model.
pub struct World {
    threads: StdMutex<Vec<Thread>>,
    pub timers: &'static Timers,
    pub netpoll: &'static Netpoll,
}

loom::lazy_static! {
    pub static ref WORLD: World = World {
        threads: StdMutex::new(Vec::new()),
        timers: leak(Timers::new()),
        netpoll: leak(Netpoll::new(backend())),
    };
}

pub struct ModelRuntime;

static RUNTIME: ModelRuntime = ModelRuntime;

impl Runtime for ModelRuntime {
    fn gopark(&self, slot: &'static ParkSlot, _reason: WaitReason) {
        let index = {
            let mut threads = WORLD.threads.lock().unwrap();
            threads.push(thread::current());
            threads.len() - 1
        };
        if slot.commit(Waiter::from_index(index)) {
            thread::park();
        }
    }

    fn goready(&self, w: Waiter) {
        if w.as_task().is_some() {
            return take_task(w).map_or((), |task| self.start_task(task));
        }
        let thread = WORLD.threads.lock().unwrap()[w.as_index().unwrap()].clone();
        thread.unpark();
    }

    /// On the thread that found it: the models' callers hold no lock.
    fn start_task(&self, task: Task) {
        match task {
            Task::Wake(waker) => waker.wake(),
            Task::Call(call) => (call.run)(),
        }
    }

    fn local_timers(&self) -> &'static Timers {
        WORLD.timers
    }

    fn wake_net_poller(&self, when: i64) {
        if let PollerState::Blocking { until } = WORLD.netpoll.state()
            && (until == 0 || when < until)
        {
            WORLD.netpoll.wake();
        }
    }

    /// So late that a timer at 10 is due, and one at 1,000 is not and never will be.
    fn nanotime(&self) -> i64 {
        10
    }

    fn charge(&self, _units: u32) {}
}

/// Checks `f` in every interleaving that takes at most `preemptions` forced switches.
pub fn model(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    gopark_poll::install_for_model(&RUNTIME);
    let mut builder = loom::model::Builder::new();
    // LOOM_MAX_PREEMPTIONS wins.
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.check(f);
}

/// The waker's edge: one event for any number of wake-ups, and taken by whoever polls first.
struct Edge {
    set: Mutex<bool>,
    changed: Condvar,
}

struct ModelRegistrar(std::sync::Arc<Edge>);
struct ModelSelector(std::sync::Arc<Edge>);

fn backend() -> Backend {
    let edge = std::sync::Arc::new(Edge { set: Mutex::new(false), changed: Condvar::new() });
    Backend {
        name: "model",
        registrar: std::sync::Arc::new(ModelRegistrar(edge.clone())),
        selector: Box::new(ModelSelector(edge)),
    }
}

impl Registrar for ModelRegistrar {
    fn open(&self, _fd: BorrowedFd<'_>, _token: Token) -> Result<()> {
        unreachable!("the models have no descriptors")
    }

    fn close(&self, _fd: BorrowedFd<'_>) -> Result<()> {
        unreachable!("the models have no descriptors")
    }

    fn wake(&self) -> Result<()> {
        *self.0.set.lock().unwrap() = true;
        self.0.changed.notify_all();
        Ok(())
    }
}

impl Selector for ModelSelector {
    /// Any delay but zero is for ever: who relies on its end has lost a wake-up.
    fn poll(&mut self, delay: Option<Duration>, events: &mut Events) -> Result<()> {
        events.clear();
        let mut set = self.0.set.lock().unwrap();
        while !*set && delay != Some(Duration::ZERO) {
            set = self.0.changed.wait(set).unwrap();
        }
        if std::mem::replace(&mut *set, false) {
            events.push(Event { token: Token::WAKER, ready: Readiness::READABLE });
        }
        Ok(())
    }
}
