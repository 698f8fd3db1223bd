//! What all goroutines do at the moment: for whoever hunts a hang, a leak or a deadlock.
//!
//! [`dump_goroutines`] returns a value; printed, it reads as Go's dumps do:
//!
//! ```text
//! goroutine 7 [chan receive, 2 minutes]:
//! app::worker
//!         src/worker.rs:31
//! created at src/main.rs:12
//! ```
//!
//! How it is done. Every stack that is in use has a header with a status word, which says whether it runs, waits its
//! turn, or is parked. A parked one is claimed (see `park::Claim`), so that nobody can resume it, and then resumed by
//! the dump itself with a word that tells it to write its backtrace down and to stay parked. It runs for some
//! microseconds, on its own stack, by the program's own unwinder. One that is readied meanwhile goes on as soon as it
//! has been looked at. The world is never stopped: each goroutine is shown as it was at one moment, but not all at the
//! same.
//!
//! A backtrace touches a page or two of stack that the goroutine may not have used yet. So that a dump of a hundred
//! thousand does not grow the memory of the process by as many pages, the number of backtraces is bounded: see
//! [`DumpOptions`].
//!
//! The names of functions and their source lines are looked up after all that, on another stack: they need debug
//! information (`debug = 1` or `"line-tables-only"` in the profile). Without, addresses are given, and how far they are
//! from the beginning of the program file, for addr2line(1).

use std::collections::HashMap;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use gopark_poll::WaitReason;
use gopark_sys::backtrace::{Frames, Symbol, module_of, resolve};

use crate::g::{Doing, G, GStatus};
use crate::park::Claim;
use crate::sched::SCHED;

mod names;

/// How many goroutines are looked up at a time, under the lock of the stacks.
const CHUNK: usize = 1024;

/// How often a goroutine is looked at that is moving at that moment.
const TRIES: u32 = 3;

/// What a goroutine does.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum GoroutineState {
    /// A thread runs it.
    Running,
    /// It waits for its turn.
    Runnable,
    /// It is parked, for this reason.
    Waiting(WaitReason),
    /// It is inside [`blocking`](crate::blocking), and holds a thread. Go: syscall.
    Blocking,
}

impl fmt::Display for GoroutineState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GoroutineState::Running => "running",
            GoroutineState::Runnable => "runnable",
            GoroutineState::Waiting(reason) => reason.as_str(),
            GoroutineState::Blocking => "blocking",
        })
    }
}

/// A place in a backtrace.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct Frame {
    /// The return address. Several frames have the same one where functions were inlined.
    pub address: usize,
    /// The function, if its name is known.
    pub function: Option<String>,
    /// Its source file, if known.
    pub file: Option<String>,
    /// The line in it, if known.
    pub line: Option<u32>,
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.function, module_of(self.address)) {
            (Some(function), _) => write!(f, "{function}")?,
            (None, Some((module, offset))) => write!(f, "{:#x} in {module}+{offset:#x}", self.address)?,
            (None, None) => write!(f, "{:#x}", self.address)?,
        }
        if let (Some(file), Some(line)) = (&self.file, self.line) {
            write!(f, "\n\t{file}:{line}")?;
        }
        Ok(())
    }
}

/// Where a goroutine is: the frames of its stack, innermost first, without the runtime's own at both ends.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct Backtrace {
    /// The frames.
    pub frames: Vec<Frame>,
    /// True if the stack is deeper than what was written down, 100 frames.
    pub is_cut: bool,
}

/// One goroutine at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GoroutineInfo {
    /// Its id, as [`goroutine_id`](crate::goroutine_id) returns it.
    pub id: u64,
    /// Its name, if it was given one: see [`SpawnOptions`](crate::SpawnOptions).
    pub name: Option<Arc<str>>,
    /// What it does.
    pub state: GoroutineState,
    /// How long it has been parked, to about 10 ms; none if it is not.
    pub waiting_for: Option<Duration>,
    /// True if it must stay on its thread.
    pub locked_to_thread: bool,
    /// Where it was started: the line of `go`, `spawn` or `run`.
    pub created_at: Option<&'static Location<'static>>,
    /// Where it is. None if it is not parked (except for the goroutine that makes the dump), if it waits on a thread of
    /// its own, if there is not enough of its stack left to find out, or if it was one too many: see [`DumpOptions`].
    pub backtrace: Option<Backtrace>,
    /// The backtrace before its names were looked up.
    raw: Option<RawBacktrace>,
}

#[derive(Clone, Debug)]
struct RawBacktrace {
    addresses: Box<[usize]>,
    is_cut: bool,
}

impl fmt::Display for GoroutineInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "goroutine {} [{}", self.id, self.state)?;
        // Go leaves out what is less than a minute.
        if let Some(minutes @ 1..) = self.waiting_for.map(|d| d.as_secs() / 60) {
            write!(f, ", {minutes} minutes")?;
        }
        if self.locked_to_thread {
            f.write_str(", locked to thread")?;
        }
        if let Some(name) = &self.name {
            write!(f, ", {name:?}")?;
        }
        f.write_str("]:\n")?;
        if let Some(backtrace) = &self.backtrace {
            for frame in &backtrace.frames {
                writeln!(f, "{frame}")?;
            }
            if backtrace.is_cut {
                f.write_str("...additional frames elided...\n")?;
            }
        }
        match self.created_at {
            Some(at) => writeln!(f, "created at {}:{}", at.file(), at.line()),
            None => Ok(()),
        }
    }
}

/// All goroutines, each at one moment. Made by [`dump_goroutines`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct GoroutineDump {
    /// The goroutine that made the dump first, the others by their ids.
    pub goroutines: Vec<GoroutineInfo>,
}

impl fmt::Display for GoroutineDump {
    /// In the format of Go's dumps.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, goroutine) in self.goroutines.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{goroutine}")?;
        }
        Ok(())
    }
}

/// How much a dump finds out. The defaults are those of [`dump_goroutines`].
#[derive(Clone, Debug)]
pub struct DumpOptions {
    backtraces: usize,
    alike: usize,
}

impl Default for DumpOptions {
    fn default() -> DumpOptions {
        DumpOptions { backtraces: 100, alike: 10 }
    }
}

impl DumpOptions {
    /// The defaults.
    pub fn new() -> DumpOptions {
        DumpOptions::default()
    }

    /// The most backtraces: `usize::MAX` for all, 0 for none. Each may make a page or two of stack resident for good.
    /// Default: 100, as many goroutines as Go shows.
    pub fn max_backtraces(mut self, n: usize) -> DumpOptions {
        self.backtraces = n;
        self
    }

    /// The most backtraces of goroutines that were started at the same place and wait for the same reason, so that one
    /// kind does not use up all. Default: 10.
    pub fn max_alike(mut self, n: usize) -> DumpOptions {
        self.alike = n;
        self
    }

    /// What all goroutines do at the moment. See [`dump_goroutines`].
    pub fn dump(&self) -> GoroutineDump {
        let mut goroutines = self.collect();
        if crate::m::getg().is_none() {
            name_all(&mut goroutines);
            return GoroutineDump { goroutines };
        }
        // Looking up names needs more stack than a goroutine may have.
        let worker = std::thread::Builder::new().name("gopark-dump".into());
        let all = goroutines.clone();
        let named = worker.spawn(move || {
            let mut all = all;
            name_all(&mut all);
            all
        });
        match named.map(|thread| crate::blocking(|| thread.join())) {
            Ok(Ok(named)) => GoroutineDump { goroutines: named },
            // No thread to be had: addresses are better than nothing.
            _ => {
                goroutines.iter_mut().for_each(|g| g.name(&mut |_| Arc::default()));
                GoroutineDump { goroutines }
            }
        }
    }

    fn collect(&self) -> Vec<GoroutineInfo> {
        let mut looker = Looker::new(self);
        let (mut found, mut chunk) = (Vec::new(), Vec::with_capacity(CHUNK));
        let (mut at, mut more) = (Default::default(), true);
        while more {
            chunk.clear();
            more = SCHED.stacks.headers(&mut at, CHUNK, &mut chunk);
            found.extend(chunk.iter().filter_map(|gp| looker.look(gp)));
        }
        let me = crate::goroutine_id();
        found.sort_unstable_by_key(|g| (g.id != me, g.id));
        found
    }
}

/// Looks at one goroutine after the other.
struct Looker<'a> {
    options: &'a DumpOptions,
    /// Who makes the dump, and where it is.
    me: Option<(&'static G, Option<RawBacktrace>)>,
    /// Backtraces so far.
    taken: usize,
    /// Of them, those with the same start and reason.
    alike: HashMap<(Option<&'static Location<'static>>, WaitReason), usize>,
    frames: Box<Frames>,
}

impl Looker<'_> {
    fn new(options: &DumpOptions) -> Looker<'_> {
        let mut frames = Box::new(Frames::new());
        let me = crate::m::getg().map(|gp| {
            gp.capture(&mut frames);
            (gp, captured(&frames))
        });
        Looker { options, me, taken: 0, alike: HashMap::new(), frames }
    }

    /// What `gp` does; none if it is dead.
    fn look(&mut self, gp: &'static G) -> Option<GoroutineInfo> {
        for _ in 0..TRIES {
            match gp.status() {
                GStatus::Dead => return None,
                GStatus::Runnable => return Some(info(gp, GoroutineState::Runnable)),
                GStatus::Running => return Some(self.running(gp)),
                GStatus::Waiting => {
                    if let Some(claim) = Claim::new(gp) {
                        return Some(self.parked(gp, &claim));
                    }
                    // About to be parked, or just readied.
                    std::hint::spin_loop();
                }
            }
        }
        Some(waiting(gp))
    }

    fn running(&mut self, gp: &'static G) -> GoroutineInfo {
        match gp.doing() {
            Doing::WiredWait => waiting(gp),
            Doing::Blocking => info(gp, GoroutineState::Blocking),
            Doing::Anything => {
                let mut info = info(gp, GoroutineState::Running);
                if let Some((_, raw)) = self.me.as_mut().filter(|(me, _)| std::ptr::eq(*me, gp)) {
                    info.raw = raw.take();
                }
                info
            }
        }
    }

    fn parked(&mut self, gp: &'static G, claim: &Claim) -> GoroutineInfo {
        let mut info = waiting(gp);
        let alike = self.alike.entry((info.created_at, gp.wait_reason())).or_insert(0);
        if self.taken < self.options.backtraces && *alike < self.options.alike {
            self.taken += 1;
            *alike += 1;
            claim.look(&mut self.frames);
            info.raw = captured(&self.frames);
        }
        info
    }
}

fn captured(frames: &Frames) -> Option<RawBacktrace> {
    let raw = RawBacktrace { addresses: frames.addresses().into(), is_cut: frames.is_cut() };
    (!raw.addresses.is_empty()).then_some(raw)
}

fn info(gp: &'static G, state: GoroutineState) -> GoroutineInfo {
    GoroutineInfo {
        id: gp.id(),
        name: crate::options::name_of(gp.id()),
        state,
        waiting_for: None,
        locked_to_thread: gp.is_wired(),
        created_at: gp.start_location(),
        backtrace: None,
        raw: None,
    }
}

fn waiting(gp: &'static G) -> GoroutineInfo {
    let mut info = info(gp, GoroutineState::Waiting(gp.wait_reason()));
    let ns = crate::rt::nanotime().saturating_sub(gp.since());
    info.waiting_for = Some(Duration::from_nanos(ns.max(0).unsigned_abs()));
    info
}

impl GoroutineInfo {
    /// Turns addresses into frames.
    fn name(&mut self, symbols: &mut dyn FnMut(usize) -> Arc<[Symbol]>) {
        let Some(raw) = self.raw.take() else { return };
        let mut frames = Vec::with_capacity(raw.addresses.len());
        for &address in &raw.addresses {
            let symbols = symbols(address);
            if symbols.is_empty() {
                frames.push(Frame { address, function: None, file: None, line: None });
            }
            frames.extend(symbols.iter().map(|s| Frame {
                address,
                function: s.function.clone(),
                file: s.file.clone(),
                line: s.line,
            }));
        }
        self.backtrace = Some(Backtrace { frames: names::without_runtime(frames), is_cut: raw.is_cut });
    }
}

/// Looks up all names, each address once.
fn name_all(goroutines: &mut [GoroutineInfo]) {
    let mut known: HashMap<usize, Arc<[Symbol]>> = HashMap::new();
    let mut symbols = |address| known.entry(address).or_insert_with(|| resolve(address).into()).clone();
    for goroutine in goroutines {
        goroutine.name(&mut symbols);
    }
}

/// What all goroutines do at the moment: their ids, states, reasons and times of waiting, where they were started, and
/// backtraces of those that are parked, up to 100 and up to 10 of a kind ([`DumpOptions`] changes that).
///
/// From a goroutine, a plain thread, or a handler of panics; empty before the runtime is started. The goroutines go on
/// meanwhile: each is shown as it was at one moment, but not all at the same. It takes 0.3 µs for each goroutine, 3 µs
/// for each backtrace, and the lookup of names some milliseconds for the first dump of a process (measured with 100,000
/// parked goroutines). Called from a goroutine it may block: see the contract of
/// [`Runtime::start`](crate::Runtime::start).
///
/// # Examples
/// ```no_run
/// # let _rt = unsafe { gopark_sched::Runtime::start().expect("start") };
/// eprintln!("{}", gopark_sched::dump_goroutines());
/// ```
///
/// Go: runtime.Stack with all, and pprof's goroutine profile.
#[doc(alias = "Stack")]
pub fn dump_goroutines() -> GoroutineDump {
    DumpOptions::default().dump()
}
