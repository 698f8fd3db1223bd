//! A simulated machine: all threads of the process run in turn on one thread, and a seed decides when which does.
//!
//! Built with `--cfg sim` only, for `tests/sim_*.rs` of the scheduler. The runtime above is the real one, whole: its
//! queues, locks, poller, timers, context switches. What is replaced is below it, here: a thread is a coroutine, each
//! access to an atomic of [`crate::loom::atomic`] is a point at which another thread may go on, locks and notes block
//! in the simulation, the clock is a number, the network an event queue that a test fills. So a run is decided by its
//! seed alone, it is repeated exactly by the same seed, and a wake-up that is lost shows at once: nothing can run, and
//! somebody still waits.
//!
//! Two ways to choose the next thread, as in shuttle: at random, and PCT (Burckhardt et al., "A Randomized Scheduler
//! with Probabilistic Guarantees of Finding Bugs", 2010): threads have priorities, the highest always runs, and at a
//! few random points the one that runs becomes the lowest.
//!
//! Shuttle itself was not taken: it makes a new world for each execution, and a runtime that starts once per process
//! and keeps its threads for ever would have to be taken apart for it and put together again from parts. Here the
//! runtime stays, idle, from one schedule to the next; that is one more thing that is tested.
//!
//! Like shuttle it tries interleavings only: every access is sequentially consistent. What weaker orderings may do is
//! for the loom models.
//!
//! # Safety
//! There is one thread: the one that called [`run`]. All state is in `WORLD`, and no reference into it outlives a
//! switch. A coroutine's stack has no guard; it is large, and this is a test.
#![allow(unsafe_code, missing_docs)]

use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::lock_api::{self, GuardSend};

use crate::context::{Coroutine, Switch, Yielder};
use crate::errno::Result;
use crate::netpoll::{Backend, Event, Events, Readiness, Registrar, Selector, Token};

/// Of a thread's stack, bytes: a debug build formats a report on it.
const STACK: usize = 512 * 1024;
/// A schedule with more steps than that goes round in circles.
const STEPS_MAX: u64 = 2_000_000;
/// So many steps in a row, and PCT gives way: a thread may poll for what another one is about to do, and no real kernel
/// would keep that one away for ever.
const PATIENCE: u64 = 3000;
/// What an access takes on the simulated clock, ns.
const STEP_NS: i64 = 10;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Runnable,
    /// Until `wake` of the key, or the time, if there is one.
    Blocked {
        key: usize,
        until: Option<i64>,
    },
    /// Until nothing else can happen any more.
    Quiet,
    Done,
}

struct Task {
    name: String,
    coroutine: Option<Coroutine>,
    yielder: *const Yielder,
    stack: NonNull<u8>,
    state: State,
    timed_out: bool,
    /// Blocked by user code, which the runtime was not told.
    outside: bool,
    m: *mut (),
    cpu_ns: i64,
    priority: i64,
}

#[derive(Clone, Copy)]
enum Strategy {
    /// At each point another thread goes on with a probability of one in this.
    Random(u64),
    Pct,
}

struct World {
    tasks: Vec<Task>,
    current: usize,
    random: u64,
    strategy: Strategy,
    /// PCT: the steps at which the running thread becomes the lowest.
    changes: Vec<u64>,
    lowest: i64,
    now: i64,
    steps: u64,
    /// The step at which the running thread went on.
    since: u64,
    stacks: Vec<NonNull<u8>>,
    /// Threads that wait for `release` before they begin.
    held: Vec<(String, Box<dyn FnOnce()>)>,
    held_names: Vec<&'static str>,
    seed: u64,
    schedules: u64,
    switches: u64,
    /// Prints what the runtime knows, for a report.
    report: Option<fn()>,
}

struct Cell(UnsafeCell<Option<World>>);

// SAFETY: see the module.
unsafe impl Sync for Cell {}

static WORLD: Cell = Cell(UnsafeCell::new(None));
/// Whether a world exists. Other threads than its own (the test runner's) look before `run` and after.
static RUNNING: AtomicBool = AtomicBool::new(false);

fn running() -> bool {
    RUNNING.load(Ordering::Relaxed)
}

fn world() -> &'static mut World {
    // SAFETY: one thread, and callers keep nothing over a switch.
    unsafe { (*WORLD.0.get()).as_mut().expect("the simulation runs") }
}

impl World {
    fn below(&mut self, n: u64) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }

    fn runnable(&self) -> impl Iterator<Item = usize> + '_ {
        self.tasks.iter().enumerate().filter(|(_, t)| t.state == State::Runnable).map(|(i, _)| i)
    }

    /// Who runs next; none: nobody can.
    fn choose(&mut self) -> Option<usize> {
        match self.strategy {
            Strategy::Random(_) => {
                let count = self.runnable().count() as u64;
                if count == 0 {
                    return None;
                }
                let which = self.below(count) as usize;
                self.runnable().nth(which)
            }
            Strategy::Pct => self.runnable().max_by_key(|&i| self.tasks[i].priority),
        }
    }

    /// The running thread comes last from now on.
    fn lower(&mut self) {
        self.lowest -= 1;
        self.tasks[self.current].priority = self.lowest;
    }

    /// The earliest time that a thread waits for.
    fn earliest(&self) -> Option<i64> {
        let until = |task: &Task| match task.state {
            State::Blocked { until, .. } => until,
            _ => None,
        };
        self.tasks.iter().filter_map(until).min()
    }

    /// Ends the waits whose time has come.
    fn expire(&mut self) {
        for task in &mut self.tasks {
            if let State::Blocked { until: Some(until), .. } = task.state
                && until <= self.now
            {
                (task.state, task.timed_out) = (State::Runnable, true);
            }
        }
    }
}

/// Runs `main` as the first thread of a simulated machine, until it returns. The threads named in `held` begin only
/// when [`release`] is called. Once per process.
pub fn run(held: &[&'static str], report: fn(), main: impl FnOnce() + 'static) {
    let new = World {
        tasks: Vec::new(),
        current: 0,
        random: 1,
        strategy: Strategy::Random(4),
        changes: Vec::new(),
        lowest: 0,
        now: 1_000_000_000,
        steps: 0,
        since: 0,
        stacks: Vec::new(),
        held: Vec::new(),
        held_names: held.to_vec(),
        seed: 0,
        schedules: 0,
        switches: 0,
        report: Some(report),
    };
    // SAFETY: nobody else is here yet.
    unsafe { *WORLD.0.get() = Some(new) };
    RUNNING.store(true, Ordering::Relaxed);
    start("main".into(), Box::new(main));
    while world().tasks[0].state != State::Done {
        let Some(next) = next() else { fail("nobody can run, and nobody will ever wake") };
        let w = world();
        (w.current, w.since) = (next, w.steps);
        w.switches += 1;
        let task = &mut w.tasks[next];
        let Some(mut coroutine) = task.coroutine.take() else { fail("a thread runs twice") };
        // SAFETY: it has not returned, and there is one thread.
        let switch = unsafe { coroutine.resume(std::ptr::null_mut()) };
        let w = world();
        let task = &mut w.tasks[next];
        match switch {
            Switch::Yield(_) => task.coroutine = Some(coroutine),
            Switch::Return => {
                task.state = State::Done;
                let stack = task.stack;
                w.stacks.push(stack);
            }
        }
    }
    RUNNING.store(false, Ordering::Relaxed);
}

/// The next thread to run; lets time pass if need be.
fn next() -> Option<usize> {
    let w = world();
    loop {
        w.expire();
        if let Some(task) = w.choose() {
            return Some(task);
        }
        match w.earliest() {
            Some(when) => w.now = w.now.max(when),
            None => break,
        }
    }
    let quiet = w.tasks.iter().position(|task| task.state == State::Quiet)?;
    w.tasks[quiet].state = State::Runnable;
    Some(quiet)
}

fn start(name: String, f: Box<dyn FnOnce()>) {
    let w = world();
    let stack = w.stacks.pop().unwrap_or_else(|| {
        let memory: &'static mut [u128] = vec![0_u128; STACK / size_of::<u128>()].leak();
        NonNull::from(memory).cast()
    });
    let index = w.tasks.iter().position(|task| task.state == State::Done).unwrap_or(w.tasks.len());
    // SAFETY: the memory is this coroutine's alone until it returns. `f` does not unwind: see below.
    let coroutine = unsafe {
        Coroutine::new(stack.add(STACK), stack, move |yielder: &Yielder, _| {
            world().tasks[index].yielder = yielder;
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).is_err() {
                fail("a thread panicked");
            }
        })
    };
    let priority = w.below(1 << 30) as i64;
    let task = Task {
        name,
        coroutine: Some(coroutine),
        yielder: std::ptr::null(),
        stack,
        state: State::Runnable,
        timed_out: false,
        outside: false,
        m: std::ptr::null_mut(),
        cpu_ns: 0,
        priority,
    };
    if index == w.tasks.len() {
        w.tasks.push(task);
    } else {
        w.tasks[index] = task;
    }
}

/// Starts a thread.
pub fn spawn(name: String, f: impl FnOnce() + 'static) {
    let w = world();
    if w.held_names.contains(&name.as_str()) {
        return w.held.push((name, Box::new(f)));
    }
    start(name, Box::new(f));
    point();
}

/// Lets a thread begin that was held.
pub fn release(name: &str) {
    let w = world();
    let index = w.held.iter().position(|(held, _)| held == name).expect("a thread of that name is held");
    let (name, f) = w.held.remove(index);
    start(name, f);
}

/// Begins a schedule: what happens from here on follows from `seed`. Odd ones are by PCT.
pub fn begin(seed: u64) {
    let w = world();
    (w.seed, w.random) = (seed, seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    (w.steps, w.since) = (0, 0);
    (0..8).for_each(|_| _ = w.below(2));
    w.schedules += 1;
    w.lowest = 0;
    w.changes.clear();
    if seed.is_multiple_of(2) {
        w.strategy = Strategy::Random([1, 2, 4, 8, 32][w.below(5) as usize]);
        return;
    }
    w.strategy = Strategy::Pct;
    for i in 0..w.tasks.len() {
        w.tasks[i].priority = w.below(1 << 30) as i64;
    }
    // Within the length of a scenario: the later ones of longer ones go without.
    let (depth, length) = (1 + w.below(5), [200, 1000, 4000][w.below(3) as usize]);
    for _ in 0..depth {
        let at = w.below(length);
        w.changes.push(at);
    }
}

fn switch() {
    let w = world();
    let yielder = w.tasks[w.current].yielder;
    // SAFETY: the coroutine runs, so its yielder is alive; the frames hold nothing of the world.
    unsafe { (*yielder).suspend(0) };
}

/// Another thread may go on here.
#[inline]
pub fn point() {
    if !running() {
        return;
    }
    let w = world();
    w.steps += 1;
    w.now += STEP_NS;
    w.tasks[w.current].cpu_ns += STEP_NS;
    if w.steps > STEPS_MAX {
        fail("too many steps: somebody goes round in circles");
    }
    if w.steps.is_multiple_of(64)
        && w.below(8) == 0
        && let Some(when) = w.earliest()
    {
        // Now and then time flies.
        w.now = w.now.max(when);
    }
    w.expire();
    let go = match w.strategy {
        Strategy::Random(n) => w.below(n) == 0,
        Strategy::Pct => {
            if w.changes.contains(&w.steps) || w.steps - w.since > PATIENCE {
                w.lower();
            }
            let own = w.tasks[w.current].priority;
            w.runnable().any(|i| w.tasks[i].priority > own)
        }
    };
    if go {
        switch();
    }
}

/// Everybody else who can run comes first: the caller spins.
pub fn give_way() {
    if !running() {
        return std::thread::yield_now();
    }
    point();
    let w = world();
    w.lower();
    // The random choice may be the caller again, but not for ever.
    switch();
}

/// Blocks the calling thread until [`wake`] of the key; true: until the time came instead.
pub fn block(key: usize, until: Option<i64>) -> bool {
    let w = world();
    let task = &mut w.tasks[w.current];
    (task.state, task.timed_out) = (State::Blocked { key, until }, false);
    switch();
    let w = world();
    w.tasks[w.current].timed_out
}

/// Wakes the threads that are blocked on the key.
pub fn wake(key: usize) {
    for task in &mut world().tasks {
        if matches!(task.state, State::Blocked { key: its, .. } if its == key) {
            task.state = State::Runnable;
        }
    }
    point();
}

/// Blocks the calling thread, in the eyes of the runtime a goroutine in some system call, until `condition`; another
/// thread that makes it true calls [`wake`] with the key.
pub fn block_outside(key: usize, condition: impl Fn() -> bool) {
    while !condition() {
        let w = world();
        w.tasks[w.current].outside = true;
        block(key, None);
        let w = world();
        w.tasks[w.current].outside = false;
    }
}

/// Computes for `ns` on the simulated clock.
pub fn compute(ns: i64) {
    let w = world();
    w.now += ns;
    w.tasks[w.current].cpu_ns += ns;
    point();
}

/// Returns when no other thread can run, ever, unless the caller does something.
pub fn until_quiet() {
    let w = world();
    w.tasks[w.current].state = State::Quiet;
    switch();
}

/// A number for a scenario's own choices.
pub fn random(n: u64) -> u64 {
    world().below(n)
}

/// Schedules and switches between threads so far.
pub fn totals() -> (u64, u64) {
    (world().schedules, world().switches)
}

/// Says what is wrong, in which schedule, and who is where; ends the process.
pub fn fail(what: &str) -> ! {
    describe(what);
    let report = world().report.take();
    RUNNING.store(false, Ordering::Relaxed);
    if let Some(report) = report {
        report();
    }
    std::process::abort()
}

/// What went wrong, and what everybody does.
pub(crate) fn describe(what: &str) {
    if !running() {
        return;
    }
    let w = world();
    eprintln!("sim: {what}: seed {}, schedule {}, step {}, at {} ns", w.seed, w.schedules, w.steps, w.now);
    for (index, task) in w.tasks.iter().enumerate() {
        let mark = if index == w.current { " (runs)" } else { "" };
        eprintln!("  {} {:?}{mark}", task.name, task.state);
    }
}

// What the rest of this crate uses.

pub(crate) fn now() -> i64 {
    if running() {
        point();
        world().now
    } else {
        1
    }
}

pub(crate) fn sleep(ns: i64) {
    if running() {
        let until = world().now + ns;
        block(0, Some(until));
    }
}

pub(crate) fn current_m() -> *mut () {
    if !running() {
        return std::ptr::null_mut();
    }
    let w = world();
    w.tasks[w.current].m
}

pub(crate) fn set_current_m(m: *mut ()) {
    let w = world();
    w.tasks[w.current].m = m;
}

pub(crate) fn current() -> usize {
    world().current
}

pub(crate) fn cpu_of(task: usize) -> i64 {
    world().tasks[task].cpu_ns
}

pub(crate) fn is_blocked(task: usize) -> bool {
    let task = &world().tasks[task];
    task.outside && matches!(task.state, State::Blocked { .. })
}

/// A lock of the simulation, for `parking_lot`'s types.
#[derive(Debug)]
pub struct RawLock(AtomicBool);

// SAFETY: `lock` returns only when it has changed the word from false to true, in one step of the simulation.
unsafe impl lock_api::RawMutex for RawLock {
    #[allow(clippy::declare_interior_mutable_const, reason = "that is what the trait asks for")]
    const INIT: RawLock = RawLock(AtomicBool::new(false));
    type Guard = GuardSend;

    fn lock(&self) -> GuardSend {
        point();
        // Acquire, Release: as a lock's, though there is one thread. Pairs with `unlock`.
        // A report is made by the machine itself, to which nobody gives a lock back any more.
        while self.0.swap(true, Ordering::Acquire) && running() {
            block(std::ptr::from_ref(self).addr(), None);
        }
        GuardSend::new()
    }

    fn try_lock(&self) -> Option<GuardSend> {
        point();
        // Acquire pairs with `unlock`.
        (!self.0.swap(true, Ordering::Acquire)).then(GuardSend::new)
    }

    unsafe fn unlock(&self, _guard: GuardSend) {
        self.0.store(false, Ordering::Release); // pairs with `lock`
        if running() {
            wake(std::ptr::from_ref(self).addr());
        }
    }

    fn is_locked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The network: what was told to come, in order.
#[derive(Clone, Default)]
struct Network(Arc<parking_lot::Mutex<Wire>>);

#[derive(Default)]
struct Wire {
    events: VecDeque<Event>,
    open: Vec<(RawFd, Token)>,
}

static NETWORK: std::sync::OnceLock<Network> = std::sync::OnceLock::new();

fn network() -> &'static Network {
    NETWORK.get_or_init(Network::default)
}

impl Network {
    fn key(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    fn push(&self, event: Event) {
        self.0.lock().events.push_back(event);
        wake(self.key());
    }
}

/// The simulated poller.
pub(crate) fn backend() -> Backend {
    let net = network();
    Backend { name: "sim", registrar: Arc::new(net.clone()), selector: Box::new(net.clone()) }
}

/// Something happened at a descriptor.
pub fn ready(fd: RawFd, ready: Readiness) {
    let net = network();
    let token = net.0.lock().open.iter().find(|(open, _)| *open == fd).map(|&(_, token)| token);
    if let Some(token) = token {
        net.push(Event { token, ready });
    }
}

impl Registrar for Network {
    fn open(&self, fd: BorrowedFd<'_>, token: Token) -> Result<()> {
        self.0.lock().open.push((fd.as_raw_fd(), token));
        // As a fresh registration: what is there already is an event.
        self.push(Event { token, ready: Readiness::WRITABLE });
        Ok(())
    }

    fn close(&self, fd: BorrowedFd<'_>) -> Result<()> {
        self.0.lock().open.retain(|(open, _)| *open != fd.as_raw_fd());
        Ok(())
    }

    fn wake(&self) -> Result<()> {
        self.push(Event { token: Token::WAKER, ready: Readiness::READABLE });
        Ok(())
    }
}

impl Selector for Network {
    fn poll(&mut self, delay: Option<Duration>, events: &mut Events) -> Result<()> {
        point();
        events.clear();
        let until = delay.map(|delay| world().now.saturating_add(delay.as_nanos() as i64));
        loop {
            let mut wire = self.0.lock();
            while events.len() < events.capacity()
                && let Some(event) = wire.events.pop_front()
            {
                events.push(event);
            }
            drop(wire);
            if !events.is_empty() || delay == Some(Duration::ZERO) || block(self.key(), until) {
                return Ok(());
            }
        }
    }
}
