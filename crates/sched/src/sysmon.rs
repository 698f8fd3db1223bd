//! sysmon: a thread without a P that looks after those that do not come back.
//!
//! It polls the network when nobody has for 10 ms, and compensates for stuck Ps (see `compensate`). It sleeps 20 µs
//! between looks while there is something to do, doubling to 10 ms when there is not; and while all Ps are idle it
//! sleeps until one is not, so that an idle process has no wake-ups.
//!
//! Telling the stuck from the busy: a P whose tick stands still is suspect. Then the thread's own CPU clock decides.
//! It advanced by a time slice: an endless loop, or a long computation. It stands still and the kernel calls the
//! thread sleeping: a blocking call. It stands still and the thread is runnable: the kernel has put it aside for
//! another thread, and one more would only make that worse.
//!
//! Go: runtime/proc.go sysmon, retake.

use gopark_sys::loom::atomic::Ordering;
use std::ptr;
use std::time::Duration;

use gopark_poll::{PollerState, ReadyList, last_poll, netpoll_quick, poller};
use gopark_sys::thread::RunState;

use crate::compensate::{Room, compensate, rescue, rescue_queue};
use crate::deadlock::Found;
use crate::gqueue::GQueue;
use crate::m::{M, idle_ms_to_retire, retire_idle_ms};
use crate::p::{P, PStatus};
use crate::sched::{SCHED, Synced};
use crate::schedtrace::Schedtrace;
use crate::stacks::Trimmer;

/// The shortest sleep between two looks, in µs. Go: sysmon's 20.
const DELAY_MIN_US: u32 = 20;
/// The longest. Go: sysmon's 10 ms.
const DELAY_MAX_US: u32 = 10_000;
/// Rounds without anything to do before the sleep doubles. Go: sysmon's 50.
const IDLE_ROUNDS: u32 = 50;
/// The longest sleep while some P is suspect, in µs.
const DELAY_SUSPECT_US: u32 = 200;
/// All Ps idle for so long: sleep until one is not.
const DEEP_SLEEP_AFTER_NS: i64 = 100_000_000;
/// In a busy program one half of the idle threads that were not needed for so long end.
const TRIM_EVERY_NS: i64 = 1_000_000_000;
/// In one where nothing at all happens for so long, all but a few.
const TRIM_WHEN_IDLE: Duration = Duration::from_millis(500);
/// How often a deadlock that only other threads could end is looked at.
const DEADLOCK_LOOK: Duration = Duration::from_secs(1);
/// The network is polled at least so often. Go: sysmon's 10 ms.
const POLL_STALE_NS: i64 = 10_000_000;
/// A thread blocked for so long is compensated for. Measured: at 10 ms, 64 goroutines that block 5 ms each get 3 %
/// of the possible rate; at 200 µs half; at 20 µs nine tenths, with as many threads. Below that a page fault or a
/// contended lock would count.
const BLOCKED_NS: i64 = 50_000;
/// When it sleeps so long between looks, in µs, blocking calls shorter than that would never be seen twice; so then
/// it also asks the kernel what the threads do. That costs 3 µs a P.
const PROBE_DELAY_US: u32 = 1_000;
/// A goroutine that used so much CPU in one go is a hog. Go: forcePreemptNS.
const HOG_NS: i64 = 10_000_000;

/// What sysmon remembers of a P between two looks.
#[derive(Copy, Clone)]
struct Watch {
    tick: u32,
    m: *const M,
    /// Since when neither the tick nor the thread's CPU clock has moved, ns.
    since: i64,
    /// The thread's CPU clock at the first look that found the tick unchanged, ns.
    cpu: Option<i64>,
    /// The same clock at the last look, ns.
    seen: i64,
}

impl Watch {
    const NONE: Watch = Watch { tick: 0, m: ptr::null(), since: 0, cpu: None, seen: 0 };
}

/// The thread's life.
pub(crate) fn sysmon() {
    let _never = crate::m::NoUnwind;
    let mut trace = Schedtrace::new(SCHED.config().map_or(0, |c| c.schedtrace_ns));
    let mut watches: Vec<Watch> = Vec::new();
    let (mut ready, mut room) = (ReadyList::new(), Room::new());
    let (mut idle, mut delay) = (0, DELAY_MIN_US);
    let (mut all_idle_since, mut trimmed) = (0, 0);
    let mut trimmer = Trimmer::new();
    loop {
        gopark_sys::time::usleep(trace.limit(delay));
        let mut now = crate::rt::nanotime();
        if SCHED.surplus.load(Ordering::Relaxed) {
            crate::resize::settle();
        }
        if now - trimmed > TRIM_EVERY_NS {
            trimmed = now;
            retire_idle_ms(false);
        }
        if SCHED.seems_idle() {
            if all_idle_since == 0 {
                all_idle_since = now;
            }
            let quiet = now - all_idle_since;
            // Memory first, if there is some to give back: asleep it would never be.
            if quiet > DEEP_SLEEP_AFTER_NS && !trimmer.idle(quiet, now, || SCHED.seems_idle()) {
                if deep_sleep(trace.deep_limit()) {
                    (idle, delay, all_idle_since) = (0, DELAY_MIN_US, 0);
                    watches.clear();
                }
                now = crate::rt::nanotime();
            }
        } else {
            all_idle_since = 0;
            trimmer.busy(now);
        }
        crate::coarse::set(now);
        trace.tick(now);
        poll_if_stale(now, &mut ready, &mut room.list);
        wake_for_overdue_timer(now);
        wake_for_global_queue();
        let suspects = match retake(now, delay >= PROBE_DELAY_US, &mut watches, &mut room) {
            Retaken::Blocked => {
                // Where one blocks others will: look closely for a while. A hog tells nothing about the next one, and
                // takes 10 ms to show.
                (idle, delay) = (0, DELAY_MIN_US);
                continue;
            }
            Retaken::Asleep => {
                delay = DELAY_MIN_US;
                continue;
            }
            Retaken::Suspects => true,
            Retaken::Nothing => false,
        };
        idle += 1;
        if idle > IDLE_ROUNDS {
            delay = (delay * 2).min(DELAY_MAX_US);
        }
        if suspects {
            delay = delay.min(DELAY_SUSPECT_US);
        }
    }
}

/// Goroutines may wait even so, if no thread can be started; see `wake_for_global_queue`.
fn all_idle_locked(s: &Synced) -> bool {
    s.pidle.len() == s.active && s.runq.is_empty()
}

/// Sleeps until a P is taken from the full idle list, for at most `limit`; false if that happened already, or if the
/// time was up.
///
/// Threads that are left over from busier times end after a while of that; then nothing wakes any more.
fn deep_sleep(limit: Option<Duration>) -> bool {
    if !all_idle_locked(&SCHED.lock()) {
        return false;
    }
    // A look at all goroutines, in which something may happen.
    let limit = match crate::deadlock::check() {
        Found::Nothing => limit,
        Found::OnlyOtherThreads => Some(limit.map_or(DEADLOCK_LOOK, |limit| limit.min(DEADLOCK_LOOK))),
    };
    let mut s = SCHED.lock();
    if !all_idle_locked(&s) {
        return false;
    }
    s.sysmonwait = true;
    drop(s);
    if let Some(limit) = limit
        && !SCHED.sysmonnote.sleep_for(limit)
    {
        let mut s = SCHED.lock();
        if s.sysmonwait {
            s.sysmonwait = false;
            SCHED.sysmonnote.clear(); // nobody is about to wake us: that is decided under the lock
            return false;
        }
    } else if limit.is_none() && idle_ms_to_retire() && !SCHED.sysmonnote.sleep_for(TRIM_WHEN_IDLE) {
        retire_idle_ms(true);
    }
    SCHED.sysmonnote.sleep();
    SCHED.sysmonnote.clear();
    true
}

fn poll_if_stale(now: i64, ready: &mut ReadyList, list: &mut GQueue) {
    let last = last_poll();
    if last != 0
        && now - last > POLL_STALE_NS
        && matches!(poller(), PollerState::Free)
        && gopark_poll::netpoll_any_open()
        && netpoll_quick(ready)
    {
        crate::proc::inject_waiters(ready, list);
    }
}

/// A timer is due, and nobody who could run it is awake: the thread that slept in the poller for it woke for something
/// else, and has been busy with that since.
///
/// Go: runtime/proc.go sysmon, "there are timers that should have already run".
fn wake_for_overdue_timer(now: i64) {
    if SCHED.wake.npidle() == 0 || matches!(poller(), PollerState::Blocking { .. }) {
        return;
    }
    let when = crate::steal::earliest_timer();
    if when != 0 && when <= now {
        crate::wakep::wakep();
    }
}

/// Goroutines wait, and a P is idle: either an M is on its way, or none could be started, and we try again.
fn wake_for_global_queue() {
    if SCHED.runqsize() > 0 && SCHED.wake.npidle() > 0 {
        crate::wakep::wakep();
    }
}

enum Retaken {
    Nothing,
    Asleep,
    Suspects,
    Blocked,
}

/// Looks at every running P, and after what the stuck ones have left behind.
///
/// Go: runtime/proc.go retake.
fn retake(now: i64, probe: bool, watches: &mut Vec<Watch>, room: &mut Room) -> Retaken {
    let mut result = Retaken::Nothing;
    watches.resize(SCHED.nlive(), Watch::NONE);
    for (pp, watch) in SCHED.live_ps().zip(watches.iter_mut()) {
        if pp.is(PStatus::Stuck) && (pp.has_stealable() || !pp.timers.is_empty()) {
            rescue(pp, room);
        }
        if !pp.is(PStatus::Running) {
            watch.m = ptr::null();
            continue;
        }
        match look(now, probe, pp, watch) {
            Look::Moved => {}
            Look::Suspect => {
                if matches!(result, Retaken::Nothing) {
                    result = Retaken::Suspects;
                }
            }
            Look::Overdue => {
                rescue_queue(pp, room);
                if matches!(result, Retaken::Nothing) {
                    result = Retaken::Suspects;
                }
            }
            Look::Asleep => {
                if !matches!(result, Retaken::Blocked) {
                    result = Retaken::Asleep;
                }
            }
            Look::Stuck { blocked } => {
                if compensate(pp, watch.m, watch.tick, blocked) {
                    watch.m = ptr::null();
                    if blocked {
                        result = Retaken::Blocked;
                    }
                }
            }
        }
    }
    result
}

enum Look {
    /// It ran something since the last look.
    Moved,
    /// It did, but its thread sleeps at the moment.
    Asleep,
    /// It did not.
    Suspect,
    /// It did not for so long that what waits behind it must be handed to others, who are there.
    Overdue,
    /// It must be compensated for.
    Stuck { blocked: bool },
}

fn look(now: i64, probe: bool, pp: &'static P, watch: &mut Watch) -> Look {
    let tick = pp.schedtick();
    let mp = pp.m.load(Ordering::Acquire).cast_const(); // pairs with acquirep
    if mp.is_null() || tick != watch.tick || !ptr::eq(mp, watch.m) {
        *watch = Watch { tick, m: mp, since: now, cpu: None, seen: 0 };
        if probe
            && !mp.is_null()
            && let Some(clock) = m_of(mp).clock().as_ref()
            && clock.run_state() == RunState::Blocked
        {
            watch.seen = clock.cpu_time_ns();
            watch.cpu = Some(watch.seen);
            return Look::Asleep;
        }
        return Look::Moved;
    }
    let clock = m_of(mp).clock();
    let Some(clock) = clock.as_ref() else { return Look::Moved };
    let cpu = clock.cpu_time_ns();
    let Some(before) = watch.cpu else {
        (watch.cpu, watch.seen) = (Some(cpu), cpu);
        return Look::Suspect;
    };
    if cpu != watch.seen {
        // Also a thread that blocks in the end has computed a little since the first look.
        (watch.seen, watch.since) = (cpu, now);
    }
    if (pp.has_runnext() || !pp.runq.is_empty()) && SCHED.wake.npidle() > 0 {
        // Nobody is woken for a runnext, also when the bound on its streak moves it to the queue, nor for the last one
        // that a due timer queues. This one waits behind a long-running goroutine.
        crate::wakep::wakep();
    }
    let hog = cpu - before >= HOG_NS;
    if SCHED.wake.npidle() > 0 || SCHED.wake.nmspinning() > 0 {
        // Somebody is there to take the work; or seems to be: a searcher that the kernel has put aside finds none,
        // and one of many Ps may be passed over for long.
        return if hog { Look::Overdue } else { Look::Suspect };
    }
    if hog {
        return Look::Stuck { blocked: false };
    }
    if now - watch.since >= BLOCKED_NS && clock.run_state() == RunState::Blocked {
        return Look::Stuck { blocked: true };
    }
    Look::Suspect
}

#[allow(unsafe_code)]
fn m_of(mp: *const M) -> &'static M {
    // SAFETY: P::m holds Ms only, which are never freed; the caller checked for null.
    unsafe { &*mp }
}
