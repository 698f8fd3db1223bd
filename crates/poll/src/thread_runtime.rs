//! The reference implementation of [`Runtime`]: goroutines are OS threads, and one thread polls.
//!
//! Small and correct, not fast. It makes this crate usable without a scheduler, and is what the crate is
//! tested on.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use gopark_sys::netpoll::Backend;
use gopark_sys::note::Note;
use gopark_sys::{thread, time};

use crate::slab::Slab;
use crate::{Call, ParkSlot, PollerState, ReadyList, Runtime, Task, Timers, WaitReason, Waiter};
use crate::{install, netpoll_block, netpoll_break, poller, take_task};

/// See the module's text. There is one, since there is one runtime per process.
#[derive(Debug)]
pub struct ThreadRuntime(());

static RUNTIME: ThreadRuntime = ThreadRuntime(());

/// There are no Ps, so this is the one for callers without.
static TIMERS: Timers = Timers::new();

/// Where threads park. Kept for ever: a wake-up may still be in `Note::wakeup` when the one it was for has
/// gone on.
static NOTES: Slab<Note> = Slab::new();

/// Notes that nobody parks on, and how many there are. A pool and not one for each thread, because that would
/// need a thread-local.
static FREE: parking_lot::Mutex<FreeNotes> = parking_lot::Mutex::new(FreeNotes { free: Vec::new(), len: 0 });

struct FreeNotes {
    free: Vec<u32>,
    len: u32,
}

/// Tasks on their way to the thread that calls them: it is not the poller's, which must not wait for user code.
struct Tasks {
    queue: parking_lot::Mutex<VecDeque<Task>>,
    added: parking_lot::Condvar,
}

static TASKS: Tasks =
    Tasks { queue: parking_lot::Mutex::new(VecDeque::new()), added: parking_lot::Condvar::new() };

fn call_tasks_forever() {
    loop {
        let task = {
            let mut queue = TASKS.queue.lock();
            loop {
                match queue.pop_front() {
                    Some(task) => break task,
                    None => TASKS.added.wait(&mut queue),
                }
            }
        };
        // The panic hook has spoken; a waker's is not ours to pass on, and there is nobody to pass it to.
        let _ = catch_unwind(AssertUnwindSafe(|| match task {
            Task::Wake(waker) => waker.wake(),
            Task::Call(call) => start_thread(call),
        }));
    }
}

/// Keeps at it until there is a thread to be had.
fn start_thread(call: Call) {
    let run = Arc::new(parking_lot::Mutex::new(Some(call.run)));
    loop {
        let copy = Arc::clone(&run);
        let body = move || {
            let run = copy.lock().take();
            if let Some(run) = run {
                run();
            }
        };
        if thread::spawn("gopark-call".into(), body).is_ok() {
            return;
        }
        std::thread::sleep(RETRY);
    }
}

/// How long to wait for a thread to become free.
const RETRY: Duration = Duration::from_millis(5);

impl ThreadRuntime {
    /// Installs the runtime, with `backend` for its poller, and starts the poller's thread. Once per process.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if a runtime is installed, what thread creation says.
    pub fn start(backend: Backend) -> io::Result<&'static ThreadRuntime> {
        install(&RUNTIME, backend).map_err(|e| io::Error::new(io::ErrorKind::AlreadyExists, e))?;
        thread::spawn("gopark-netpoll".into(), poll_forever)?;
        thread::spawn("gopark-tasks".into(), call_tasks_forever)?;
        Ok(&RUNTIME)
    }
}

/// Its rounds are what every scheduler's are: block, run the timers, make runnable who became ready.
fn poll_forever() {
    let mut ready = ReadyList::new();
    loop {
        // False means that there is a second poller, which there is not.
        assert!(netpoll_block(|| TIMERS.wake_time(), &mut ready), "gopark: two pollers");
        TIMERS.check(RUNTIME.nanotime(), &mut ready);
        RUNTIME.goready_all(&mut ready);
    }
}

fn take_note() -> u32 {
    let mut notes = FREE.lock();
    notes.free.pop().unwrap_or_else(|| {
        NOTES.ensure(notes.len, |_| Note::new());
        notes.len += 1;
        notes.len - 1
    })
}

fn note(index: u32) -> &'static Note {
    NOTES.get(index).expect("a waiter names a note that was taken")
}

impl Runtime for ThreadRuntime {
    fn gopark(&self, slot: &'static ParkSlot, _reason: WaitReason) {
        let index = take_note();
        let note = note(index);
        note.clear();
        // A thread can be woken from the moment its note is clear, so there is nothing to wait for.
        if slot.commit(Waiter::from_index(index as usize)) {
            note.sleep();
        }
        FREE.lock().free.push(index);
    }

    fn goready(&self, w: Waiter) {
        if w.as_task().is_some() {
            return take_task(w).map_or((), |task| self.start_task(task));
        }
        let index = w.as_index().expect("only indices were committed");
        note(index as u32).wakeup();
    }

    fn start_task(&self, task: Task) {
        TASKS.queue.lock().push_back(task);
        TASKS.added.notify_one();
    }

    fn local_timers(&self) -> &'static Timers {
        &TIMERS
    }

    fn wake_net_poller(&self, when: i64) {
        // If it does not block now it will read the timers before it does.
        if let PollerState::Blocking { until } = poller()
            && (until == 0 || when < until)
        {
            netpoll_break();
        }
    }

    fn nanotime(&self) -> i64 {
        time::nanotime()
    }

    /// Threads are preempted by the system.
    fn charge(&self, _units: u32) {}
}
