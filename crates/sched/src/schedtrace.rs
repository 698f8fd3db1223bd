//! `GOPARK_SCHEDTRACE=1000`: a line about the scheduler on standard error every so many milliseconds, as Go's
//! `GODEBUG=schedtrace=1000`.
//!
//! ```text
//! SCHED 2004ms: gomaxprocs=2 idleprocs=1 threads=5 spinningthreads=0 needspinning=0 idlethreads=2 runqueue=0
//!     [ 0 0 ] schedticks=[ 41 7 ]         (all in one line)
//! ```
//!
//! By sysmon, which then does not sleep longer than that. The numbers in brackets are those of each P that is in use:
//! the length of its queue, and how many goroutines it has run. Threads are those that run goroutines.
//!
//! Go: runtime/proc.go schedtrace.

use std::fmt::Write;
use std::io;
use std::time::Duration;

use crate::p::PStatus;
use crate::sched::SCHED;

const NAME: &str = "GOPARK_SCHEDTRACE";

/// When the next line is due.
pub(crate) struct Schedtrace {
    /// ns; 0: never.
    interval: i64,
    next: i64,
    start: i64,
    /// Kept, so that sysmon does not allocate beside a program that does not.
    line: String,
}

/// The interval that the environment asks for, in ns; 0: none.
pub(crate) fn interval_from_env() -> io::Result<i64> {
    let Some(text) = std::env::var_os(NAME) else { return Ok(0) };
    parse(&text.to_string_lossy())
}

fn parse(text: &str) -> io::Result<i64> {
    let ms = text.trim().parse::<u32>().map_err(|_| {
        let what = format!("{NAME} is {text:?}: it must be a number of milliseconds, 0 for none");
        io::Error::new(io::ErrorKind::InvalidInput, what)
    })?;
    Ok(i64::from(ms) * 1_000_000)
}

impl Schedtrace {
    pub(crate) fn new(interval: i64) -> Schedtrace {
        let start = crate::rt::nanotime();
        Schedtrace { interval, start, next: start.saturating_add(interval), line: String::new() }
    }

    /// How long sysmon may sleep, in µs, if it would like to for `delay`.
    pub(crate) fn limit(&self, delay: u32) -> u32 {
        match self.deep_limit() {
            None => delay,
            Some(left) => u32::try_from(left.as_micros()).map_or(delay, |left| delay.min(left.max(1))),
        }
    }

    /// How long sysmon may sleep at most; none: as long as it likes.
    pub(crate) fn deep_limit(&self) -> Option<Duration> {
        if self.interval == 0 {
            return None;
        }
        let left = self.next.saturating_sub(crate::rt::nanotime()).max(0);
        Some(Duration::from_nanos(left.unsigned_abs()))
    }

    /// Writes the line if it is due.
    pub(crate) fn tick(&mut self, now: i64) {
        if self.interval == 0 || now < self.next {
            return;
        }
        // Lines that are late by more than one interval are left out.
        self.next = (self.next + self.interval).max(now);
        self.line.clear();
        // A String takes everything.
        let _ = self.write((now - self.start) / 1_000_000);
        gopark_sys::signal::write_stderr(self.line.as_bytes());
    }

    fn write(&mut self, ms: i64) -> std::fmt::Result {
        let s = SCHED.lock();
        let (threads, idle) = (s.mcount, s.midle.len());
        let (idleprocs, runqueue) = (s.pidle.len(), s.runq.len());
        drop(s);
        let (spinning, need) = (SCHED.wake.nmspinning(), SCHED.wake.needspinning());
        let line = &mut self.line;
        write!(line, "SCHED {ms}ms: gomaxprocs={} idleprocs={idleprocs} threads={threads} ", SCHED.procs())?;
        write!(
            line,
            "spinningthreads={spinning} needspinning={need} idlethreads={idle} runqueue={runqueue} [ "
        )?;
        let in_use = || SCHED.all_ps().filter(|pp| !pp.is(PStatus::Spare));
        for pp in in_use() {
            write!(line, "{} ", pp.runq.len() + usize::from(pp.has_runnext()))?;
        }
        line.push_str("] schedticks=[ ");
        for pp in in_use() {
            write!(line, "{} ", pp.schedtick())?;
        }
        line.push_str("]\n");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn only_milliseconds_are_accepted() {
        assert_eq!(parse("1000").expect("a number"), 1_000_000_000);
        assert_eq!(parse(" 0 ").expect("a number"), 0);
        for bad in ["", "1s", "-1", "1.5", "99999999999"] {
            let err = parse(bad).expect_err(bad);
            assert!(
                err.to_string().contains("GOPARK_SCHEDTRACE") && err.to_string().contains("milliseconds")
            );
        }
    }
}
