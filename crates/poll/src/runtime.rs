//! What poll needs from above: one trait, implemented by the scheduler and installed once per process.
//!
//! [`ThreadRuntime`](crate::ThreadRuntime) is the reference implementation, with threads for goroutines.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use gopark_sys::netpoll::Backend;

use crate::netpoll::{NETPOLL, Netpoll};
use crate::{ParkSlot, ReadyList, Task, Timers, Waiter};

/// Why somebody is parked. The texts are Go's, as in its goroutine dumps, where it has the thing.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum WaitReason {
    /// On a descriptor.
    IoWait,
    /// On a semaphore: the lock of a descriptor, the end of a close.
    Semacquire,
    /// In `sleep`.
    Sleep,
    /// Receiving from a channel.
    ChanReceive,
    /// Sending on a channel.
    ChanSend,
    /// Receiving from a channel that never delivers.
    ChanReceiveNil,
    /// Sending on a channel that never receives.
    ChanSendNil,
    /// In a select.
    Select,
    /// In a select without cases.
    SelectNoCases,
    /// On a `sync::Mutex`.
    SyncMutexLock,
    /// On a `sync::RwLock`, to read.
    SyncRwMutexRLock,
    /// On a `sync::RwLock`, to write.
    SyncRwMutexLock,
    /// On a `sync::WaitGroup`.
    SyncWaitGroupWait,
    /// On a `sync::Cond`.
    SyncCondWait,
    /// For the end of another goroutine.
    Join,
    /// For a future.
    BlockOn,
    /// Preempted. The last one: see [`WaitReason::ALL`].
    Preempted,
}

// A new reason is missing in the list.
const _: () = assert!(WaitReason::ALL.len() == WaitReason::Preempted as usize + 1);

impl WaitReason {
    /// All of them, each at the place of its number.
    pub const ALL: &[WaitReason] = &[
        WaitReason::IoWait,
        WaitReason::Semacquire,
        WaitReason::Sleep,
        WaitReason::ChanReceive,
        WaitReason::ChanSend,
        WaitReason::ChanReceiveNil,
        WaitReason::ChanSendNil,
        WaitReason::Select,
        WaitReason::SelectNoCases,
        WaitReason::SyncMutexLock,
        WaitReason::SyncRwMutexRLock,
        WaitReason::SyncRwMutexLock,
        WaitReason::SyncWaitGroupWait,
        WaitReason::SyncCondWait,
        WaitReason::Join,
        WaitReason::BlockOn,
        WaitReason::Preempted,
    ];

    /// Go's text.
    pub const fn as_str(self) -> &'static str {
        match self {
            WaitReason::IoWait => "IO wait",
            WaitReason::Semacquire => "semacquire",
            WaitReason::Sleep => "sleep",
            WaitReason::ChanReceive => "chan receive",
            WaitReason::ChanSend => "chan send",
            WaitReason::ChanReceiveNil => "chan receive (nil chan)",
            WaitReason::ChanSendNil => "chan send (nil chan)",
            WaitReason::Select => "select",
            WaitReason::SelectNoCases => "select (no cases)",
            WaitReason::SyncMutexLock => "sync.Mutex.Lock",
            WaitReason::SyncRwMutexRLock => "sync.RWMutex.RLock",
            WaitReason::SyncRwMutexLock => "sync.RWMutex.Lock",
            WaitReason::SyncWaitGroupWait => "sync.WaitGroup.Wait",
            WaitReason::SyncCondWait => "sync.Cond.Wait",
            WaitReason::Join => "join",
            WaitReason::BlockOn => "block_on",
            WaitReason::Preempted => "preempted",
        }
    }
}

impl std::fmt::Display for WaitReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What most operations cost of a goroutine's budget: see [`Runtime::charge`].
pub const OPERATION: u32 = 16;

/// Who runs. See the module's text; every method may be called from any thread.
///
/// `local_timers` and `nanotime` are called with a short lock of this crate held, so they must not park,
/// yield or call back into it. The others are called with none.
pub trait Runtime: Sync {
    /// Parks the calling goroutine or thread on `slot`.
    ///
    /// Once the caller is parked so far that another thread may wake it, the implementation calls
    /// `slot.commit(waiter)`, from memory that outlives the wait. False: do not park, return at once.
    /// Otherwise it returns after `goready` was called with that waiter, and never before.
    fn gopark(&self, slot: &'static ParkSlot, reason: WaitReason);

    /// Makes `w`, handed out by `unblock`, runnable. Called exactly once for each time it was handed out.
    ///
    /// For a task ([`Waiter::as_task`]) that is to take it ([`take_task`](crate::take_task)) and start it
    /// ([`Runtime::start_task`]).
    fn goready(&self, w: Waiter);

    /// Has a task called, soon, and where user code may run: on a goroutine, or on a thread that has nothing else to
    /// do. The caller may be on a scheduler's own stack.
    ///
    /// A waker of the runtime's own need not be called: whoever it stands for can be made runnable at once. If no
    /// goroutine can be started it is tried again until one can.
    fn start_task(&self, task: Task);

    /// `goready` for a whole list, which is empty afterwards.
    fn goready_all(&self, list: &mut ReadyList) {
        for w in list.drain() {
            self.goready(w);
        }
    }

    /// The timers of the caller's P; the shared heap for callers without one.
    ///
    /// The heap must be one that is being checked: not that of a P that has retired (see
    /// [`Timers::move_all_to`]).
    fn local_timers(&self) -> &'static Timers;

    /// A timer at `when` (see [`Runtime::nanotime`]) was added. If somebody is blocked in the poller until
    /// later than that, or for ever, he must be woken; if nobody is, somebody must see to it that the timer
    /// is not overslept.
    ///
    /// Called with no lock of this crate held. Ask [`poller`](crate::poller): if it does not report a blocked
    /// one, whoever blocks next reads the entry's `Timers::wake_time` before he does.
    fn wake_net_poller(&self, when: i64);

    /// Monotonic nanoseconds, greater than 0. Here and not taken from the clock, so that a test can bend
    /// time.
    fn nanotime(&self) -> i64;

    /// Whether the caller may wait for the network, after [`end_thread_waits`] was called.
    fn may_wait(&self) -> bool {
        true
    }

    /// A task waits for a descriptor. Its thread may go to sleep without this runtime's knowledge, so somebody has to
    /// watch the network.
    fn task_waits(&self) {}

    /// An operation that costs `units` has succeeded without parking; most cost [`OPERATION`]. May yield.
    fn charge(&self, units: u32);

    /// A future polls a descriptor. True: it has done so often enough for now. Never yields: the future's executor
    /// does, when it is told to poll again later.
    fn charge_task(&self) -> bool {
        false
    }

    /// The poll that was charged for last was pending, which does not count: a future that waits for many descriptors
    /// polls them all whenever one is ready, and would never get through them.
    fn refund_task(&self) {}
}

/// Set once, when the runtime shuts down.
static THREAD_WAITS_ENDED: AtomicBool = AtomicBool::new(false);

/// From now on the runtime is asked whether a caller may wait for the network; who may not gets the error of a closed
/// descriptor. The runtime evicts those who wait already.
pub fn end_thread_waits() {
    THREAD_WAITS_ENDED.store(true, Ordering::Release); // pairs with may_wait
}

/// Whether the caller may wait for the network.
#[inline]
pub(crate) fn may_wait() -> bool {
    // Acquire pairs with end_thread_waits: who was evicted sees it.
    !THREAD_WAITS_ENDED.load(Ordering::Acquire) || runtime().may_wait()
}

/// [`install`] was called before.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct AlreadyInstalled;

impl std::fmt::Display for AlreadyInstalled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("gopark: a runtime is already started: start one per process, and once")
    }
}

impl std::error::Error for AlreadyInstalled {}

/// Set once, after everything that it needs.
static RUNTIME: OnceLock<&'static dyn Runtime> = OnceLock::new();

/// Makes `rt` the runtime of this process and `backend` its poller. Once per process.
///
/// # Errors
///
/// [`AlreadyInstalled`], and nothing has changed.
pub fn install(rt: &'static dyn Runtime, backend: Backend) -> Result<(), AlreadyInstalled> {
    NETPOLL.set(Netpoll::new(backend)).map_err(|_| AlreadyInstalled)?;
    // Last: whoever sees the runtime sees the poller (golang/go#22606, #35282: initialised is what is
    // published last).
    RUNTIME.set(rt).map_err(|_| AlreadyInstalled)
}

/// Installs only the runtime: each execution of a model makes a poller of its own.
#[cfg(loom)]
pub fn install_for_model(rt: &'static dyn Runtime) {
    let _ = RUNTIME.set(rt);
}

/// Whether [`install`] has succeeded.
pub fn is_installed() -> bool {
    RUNTIME.get().is_some()
}

/// The runtime. Only for callers that cannot be reached before `install`.
#[inline]
pub(crate) fn runtime() -> &'static dyn Runtime {
    match RUNTIME.get() {
        Some(rt) => *rt,
        None => not_started(),
    }
}

#[cold]
#[inline(never)]
fn not_started() -> ! {
    gopark_sys::throw!("gopark: a wait before the runtime was started");
}
