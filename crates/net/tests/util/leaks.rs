//! What a process has, before and after: descriptors, goroutines, registrations with the poller.
//!
//! Not timers: a deadline's stays with the poll descriptor, for the next connection that gets it, until it fires.

#![allow(dead_code)]

use std::time::{Duration, Instant};

use gopark_net::{metrics, sleep};

/// A count of everything that must be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holdings {
    descriptors: usize,
    pipes: usize,
    goroutines: usize,
    registrations: usize,
}

impl Holdings {
    /// What there is now. In a process that makes no other test: all of it is counted.
    pub(crate) fn now() -> Holdings {
        let numbers = metrics();
        let (descriptors, pipes) = open_descriptors();
        Holdings {
            descriptors,
            pipes,
            goroutines: numbers.goroutines.total,
            registrations: numbers.open_descriptors,
        }
    }

    /// Waits until there is no more than at this time: a goroutine that was just told to end needs a moment.
    #[track_caller]
    pub(crate) fn assert_back(self, what: &str) {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let now = Holdings::now();
            let back = now.descriptors <= self.descriptors
                && now.pipes <= self.pipes + PIPES_KEPT
                && now.goroutines <= self.goroutines
                && now.registrations <= self.registrations;
            if back {
                return;
            }
            assert!(Instant::now() < end, "{what}: {now:?} is left, {self:?} was there before");
            // not for ordering: the pause of a bounded loop
            sleep(Duration::from_millis(1));
        }
    }
}

/// Ends of pipes that may stay for the next copy: a pipe or two of each P, of as many as copy at the same moment.
const PIPES_KEPT: usize = 24;

/// The process's descriptors, and apart from them its ends of pipes. Not those of files under /proc: sysmon keeps one
/// for each thread it had to look at, and the list itself is one. (Where there is no /proc there are no such files, and
/// a list in /dev/fd.)
fn open_descriptors() -> (usize, usize) {
    let list = std::fs::read_dir("/dev/fd").expect("a list");
    let (mut others, mut pipes) = (0, 0);
    for entry in list {
        match entry.and_then(|entry| std::fs::read_link(entry.path())) {
            Ok(target) if target.starts_with("/proc") => {}
            Ok(target) if target.to_string_lossy().starts_with("pipe:") => pipes += 1,
            _ => others += 1,
        }
    }
    (others, pipes)
}

/// Runs `body` as a goroutine in a process of its own, after `sh` has done `before`, and checks that it leaves nothing.
pub(crate) fn alone(test: &str, before: &str, body: fn()) {
    if !super::util::is_child_for(test) {
        super::util::assert_success(super::util::child(test, before), test);
        return;
    }
    super::util::runtime();
    // From this thread: the goroutine is one of those that are counted.
    let held = Holdings::now();
    super::util::goroutine(test, body);
    held.assert_back(test);
}
