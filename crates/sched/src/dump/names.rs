//! Which frames of a goroutine are its own, and which the runtime's.

use super::Frame;

/// How a parked goroutine got from the call that waits to the switch: the innermost frames.
const PARKING: &[&str] = &[
    "backtrace::",
    "gopark_sys::backtrace::",
    "gopark_sys::context::",
    "gopark_sched::g::",
    "gopark_sched::park::",
    "gopark_sched::dump::",
    "gopark_sched::rt::SchedRuntime",
    "gopark_poll::park_slot::",
    "corosensei::",
    "core::ops::function::",
    "core::option::",
];

/// What is below a goroutine's own function: the outermost frames. All of this crate: what a user calls of it is not at
/// the bottom of a stack.
const ENTRY: &[&str] = &[
    "gopark_sched::",
    "gopark_sys::context::",
    "corosensei::",
    "std::panicking::",
    "std::panic::",
    "std::sys::backtrace::",
    "core::panic::",
    "core::ops::function::",
    "alloc::boxed::",
    "__rust_try",
    "stack_init_trampoline",
];

/// The last of ours before a goroutine's own function.
const BASE: &[&str] = &["gopark_sched::newproc::"];

/// The frames between the call that waits and the goroutine's function. Where nothing is known by name all are kept.
pub(super) fn without_runtime(mut frames: Vec<Frame>) -> Vec<Frame> {
    let own = frames.iter().take_while(|f| is_of(f, PARKING)).count();
    frames.drain(..own);
    let entry = frames.iter().rev().take_while(|f| is_of(f, ENTRY)).count();
    let keep = match frames.len() - entry {
        // Nothing but ours: the goroutine's own function was inlined, or is ours as well.
        0 => frames.iter().position(|f| is_of(f, BASE)).unwrap_or(frames.len()),
        own => own,
    };
    frames.truncate(keep.max(1));
    frames
}

/// True for a frame of one of these modules. Of a frame without a name nobody knows.
fn is_of(frame: &Frame, modules: &[&str]) -> bool {
    let Some(function) = &frame.function else { return false };
    let of_one = |path: &str| modules.iter().any(|module| path.starts_with(module));
    // With little debug information, functions that were inlined have no path; but they have a file.
    if !function.starts_with('<') && !before_generics(function).contains("::") {
        return of_one(function) || frame.file.as_deref().and_then(module_of).is_some_and(|m| of_one(&m));
    }
    // `<module::Type>::method`, `<module::Type as Trait>::method`, `<&module::Type ..`
    of_one(function.trim_start_matches(['<', '&']))
}

fn before_generics(function: &str) -> &str {
    function.split_once('<').map_or(function, |(name, _)| name)
}

/// The module that a source file is, with `::` behind it: `…/library/std/src/panic.rs` is `std::panic::`,
/// `…/corosensei-0.3.4/src/unwind.rs` is `corosensei::unwind::`, `crates/sched/src/g.rs` is `gopark_sched::g::`.
fn module_of(file: &str) -> Option<String> {
    let (dir, path) = file.rsplit_once("/src/")?;
    let mut dirs = dir.rsplit('/');
    let package = dirs.next()?;
    let name = match package.rsplit_once('-') {
        Some((name, version)) if version.starts_with(|c: char| c.is_ascii_digit()) => name,
        _ => package,
    };
    let ours = if dirs.next() == Some("crates") { "gopark_" } else { "" };
    Some(format!("{ours}{}::{}::", name.replace('-', "_"), path.trim_end_matches(".rs").replace('/', "::")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(names: &[&str]) -> Vec<Frame> {
        let frame = |name: &&str| Frame {
            address: 1,
            function: (!name.is_empty()).then(|| (*name).to_owned()),
            file: None,
            line: None,
        };
        names.iter().map(frame).collect()
    }

    #[test]
    fn both_ends_are_cut_in_either_way_of_mangling() {
        let stack = [
            "backtrace::backtrace::trace_unsynchronized",
            "<gopark_sys::backtrace::Frames>::capture",
            "gopark_sched::park::gopark",
            "<gopark_sched::rt::SchedRuntime as gopark_poll::runtime::Runtime>::gopark",
            "gopark_sched::join::JoinHandle<T>::join",
            "app::worker",
            "app::main::{{closure}}",
            "core::ops::function::FnOnce::call_once",
            "gopark_sched::newproc::run_entry",
            "corosensei::coroutine::coroutine_func",
        ];
        let kept = without_runtime(frames(&stack));
        assert_eq!(kept, frames(&stack[4..7]));
    }

    #[test]
    fn names_without_a_path_go_by_their_files() {
        let frame = |function: &str, file: &str| Frame {
            address: 1,
            function: Some(function.to_owned()),
            file: Some(file.to_owned()),
            line: None,
        };
        let stack = [
            frame(
                "trace_unsynchronized<a::b>",
                "/u/registry/src/index/backtrace-0.3.77/src/backtrace/mod.rs",
            ),
            frame("capture", "/u/gopark/crates/sys/src/backtrace.rs"),
            frame("wait<()>", "/u/gopark-sched-0.1.0/src/park.rs"),
            frame("recv<()>", "crates/sched/src/chan/core.rs"),
            frame("worker", "/u/app/src/park.rs"),
            frame("do_call<a::b>", "/rustc/0123/library/std/src/panicking.rs"),
            frame("__rust_try", ""),
            frame("run", "/u/gopark/crates/sched/src/newproc.rs"),
        ];
        let kept = without_runtime(stack.to_vec());
        assert_eq!(kept, stack[3..5]);
    }

    #[test]
    fn what_has_no_name_is_kept() {
        assert_eq!(without_runtime(frames(&["", "", ""])), frames(&["", "", ""]));
    }

    #[test]
    fn a_goroutine_without_a_function_of_its_own_keeps_what_it_called() {
        let stack = [
            "gopark_sched::g::G::park",
            "gopark_sched::sleep::sleep",
            "gopark_sched::newproc::catch::{{closure}}",
            "std::panicking::catch_unwind",
            "gopark_sched::newproc::call",
        ];
        assert_eq!(without_runtime(frames(&stack)), frames(&stack[1..2]));
    }
}
