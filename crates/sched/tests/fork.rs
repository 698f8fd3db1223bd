//! Processes: the child of a fork is refused, `Command` works. Each test has a process of its own.
//!
//! # Safety
//! The children of the forks end by `_exit`, and do only what the tests are about.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)]

mod util;

use std::process::Command;
use std::time::Duration;

use gopark_sched::chan::bounded as channel;
use gopark_sched::{blocking, num_goroutines, set_max_procs, sleep, spawn, try_go, yield_now};
use util::*;

fn in_child(test: &str, f: impl FnOnce()) {
    match child(test, &[("GOPARK_MAXPROCS", "2")]) {
        Child::Inside => f(),
        Child::Ended(output) => {
            assert!(output.status.success() && text_of(&output).contains("1 passed"), "{}", text_of(&output));
        }
        Child::Skip => {}
    }
}

/// Forks; the child calls `f` and ends with 0 if that is true. Returns how it ended.
#[inline(never)]
fn forked(f: impl FnOnce() -> bool) -> i32 {
    // SAFETY: see the file's head.
    match unsafe { libc::fork() } {
        0 => {
            let ok = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).unwrap_or(false);
            // SAFETY: it does not return.
            unsafe { libc::_exit(if ok { 0 } else { 1 }) }
        }
        pid => {
            let mut status = -1;
            // SAFETY: the status is ours.
            assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
            status
        }
    }
}

/// True if `f` panics with the reason.
fn is_refused(f: impl FnOnce()) -> bool {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
    let Err(payload) = result else { return false };
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("");
    text.contains("gopark cannot be used in the child of a fork")
}

/// All that would need the threads of the parent.
fn all_refused() -> bool {
    std::panic::set_hook(Box::new(|_| {}));
    is_refused(|| drop(try_go(|| {})))
        && is_refused(|| drop(spawn(|| {})))
        && is_refused(|| sleep(Duration::from_millis(1)))
        && is_refused(|| {
            let (_tx, rx) = channel::<()>(0);
            let _ = rx.recv();
        })
        && is_refused(|| assert_ne!(num_goroutines(), usize::MAX))
        && is_refused(|| assert_ne!(set_max_procs(3), 0))
}

#[test]
fn the_child_of_a_plain_thread_is_refused() {
    in_child("the_child_of_a_plain_thread_is_refused", || {
        assert_eq!(runtime().run(|| spawn(|| 1).join().unwrap()), 1);
        assert_eq!(forked(all_refused), 0);
        // The parent knows nothing of it.
        assert_eq!(runtime().run(|| spawn(|| 2).join().unwrap()), 2);
    });
}

#[test]
fn the_child_of_a_goroutine_is_refused() {
    in_child("the_child_of_a_goroutine_is_refused", || {
        bounded("forks on a goroutine", || {
            for _ in 0..5 {
                yield_now();
                assert_eq!(blocking(|| forked(all_refused)), 0);
                assert_eq!(forked(|| gopark_sched::goroutine_id() == 0), 0, "it is a plain thread there");
                assert!(gopark_sched::goroutine_id() != 0);
                // What does not wait does no harm.
                assert_eq!(
                    forked(|| {
                        yield_now();
                        blocking(|| true)
                    }),
                    0
                );
            }
        });
        assert_eq!(runtime().run(|| spawn(|| 2).join().unwrap()), 2);
    });
}

/// A goroutine that forks and then ends in the child would go on with the parent's queues.
#[test]
fn a_goroutine_cannot_end_in_a_child() {
    in_child("a_goroutine_cannot_end_in_a_child", || {
        runtime();
        let pid = spawn(|| {
            // SAFETY: the child comes as far as the end of its goroutine.
            unsafe { libc::fork() }
        })
        .join()
        .unwrap();
        assert!(pid > 0, "only the parent comes here");
        let mut status = 0;
        // SAFETY: the status is ours.
        assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
        assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGABRT, "{status}");
        assert_eq!(runtime().run(|| spawn(|| 2).join().unwrap()), 2);
    });
}

/// With and without `blocking`, by posix_spawn and by fork and exec.
#[test]
fn commands_work() {
    use std::os::unix::process::CommandExt;
    in_child("commands_work", || {
        bounded("commands", || {
            let all: Vec<_> = (0..12)
                .map(|i| {
                    spawn(move || {
                        let mut command = Command::new("sh");
                        command.args(["-c", "echo $0", &i.to_string()]);
                        if i % 3 == 0 {
                            // SAFETY: the closure does nothing; it is there to have std fork.
                            unsafe { command.pre_exec(|| Ok(())) };
                        }
                        let output =
                            if i % 2 == 0 { blocking(|| command.output()) } else { command.output() };
                        String::from_utf8(output.unwrap().stdout).unwrap().trim() == i.to_string()
                    })
                })
                .collect();
            assert!(all.into_iter().all(|h| h.join().unwrap()));
        });
        until_settled();
    });
}
