//! Where `unsafe` may stand, and what must stand beside it.

use super::{File, Report, Tree};

/// How many times `unsafe` stands in each file outside `crates/sys` that may have it. A number may fall (the
/// rule then asks for the lower one); it rises only in a reviewed line of this list.
const LISTED: &[(&str, usize)] = &[
    // Measures the context switch alone, whose contract is unsafe.
    ("benches/benches/switch.rs", 2),
    // A waker is made of a table of unsafe functions.
    ("crates/sched/src/block_on.rs", 8),
    ("crates/sched/src/blocking.rs", 2),
    ("crates/sched/src/chan/buffer.rs", 20),
    ("crates/sched/src/chan/cases.rs", 8),
    ("crates/sched/src/chan/core.rs", 32),
    ("crates/sched/src/chan/select.rs", 19),
    ("crates/sched/src/chan/select_set.rs", 13),
    ("crates/sched/src/chan/wait.rs", 7),
    ("crates/sched/src/compensate.rs", 1),
    ("crates/sched/src/g.rs", 27),
    ("crates/sched/src/join.rs", 11),
    ("crates/sched/src/joinset.rs", 1),
    ("crates/sched/src/local.rs", 15),
    ("crates/sched/src/m.rs", 4),
    ("crates/sched/src/newproc.rs", 10),
    ("crates/sched/src/options.rs", 2),
    ("crates/sched/src/overflow.rs", 1),
    ("crates/sched/src/p.rs", 13),
    ("crates/sched/src/park.rs", 10),
    ("crates/sched/src/proc.rs", 2),
    ("crates/sched/src/rt.rs", 4),
    ("crates/sched/src/runq/deque.rs", 2),
    ("crates/sched/src/sched.rs", 1),
    ("crates/sched/src/scope.rs", 1),
    ("crates/sched/src/sleep.rs", 2),
    ("crates/sched/src/spawn.rs", 1),
    ("crates/sched/src/stacks.rs", 3),
    ("crates/sched/src/steal.rs", 1),
    // Locks: lock_api's traits are unsafe to implement; nodes on their waiters' stacks; cells written once.
    ("crates/sched/src/sync/condvar.rs", 1),
    ("crates/sched/src/sync/lazy_lock.rs", 2),
    ("crates/sched/src/sync/mutex.rs", 6),
    ("crates/sched/src/sync/once_lock.rs", 7),
    ("crates/sched/src/sync/pool.rs", 4),
    ("crates/sched/src/sync/rwlock.rs", 16),
    ("crates/sched/src/sync/sema.rs", 9),
    ("crates/sched/src/sysmon.rs", 1),
    ("crates/sched/src/waitlist.rs", 10),
    // Plays the part of `chan.rs` and of `park.rs` for the files that it models.
    ("crates/sched/tests/loom_chan.rs", 5),
    // Loom's cell, which finds what the compiler cannot.
    ("crates/sched/tests/loom_sync.rs", 3),
    // Forks, to see that their children are refused.
    ("crates/sched/tests/fork.rs", 6),
    // An allocator that counts: the trait is unsafe.
    ("crates/sched/tests/alloc.rs", 7),
];

/// Crate roots that promise to have none.
const FORBID: &[&str] = &["crates/poll/src/lib.rs", "crates/net/src/lib.rs", "xtask/src/main.rs"];

/// `unsafe` as a word of code, in this file.
fn count(file: &File) -> usize {
    file.code().iter().map(|line| words(line).filter(|w| *w == "unsafe").count()).sum()
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
}

/// sys is unsafe's home; in sched the listed files; starting the runtime is the one unsafe call of programs,
/// tests and benchmarks. The peers that benchmarks compare with are other people's manner, not ours.
pub(super) fn only_in_listed_files(tree: &Tree, report: &mut Report) {
    for file in
        tree.rust().filter(|f| !f.path.starts_with("crates/sys/") && !f.path.starts_with("benches/peers/"))
    {
        let found = count(file) - starts(file);
        let listed = LISTED.iter().find(|(path, _)| *path == file.path).map(|(_, n)| *n);
        match listed {
            None if found > 0 => {
                let what = format!(
                    "{found} `unsafe` in a file that is not listed: move it into gopark-sys behind a safe function, \
                     or add the file to LISTED in xtask/src/tidy/unsafety.rs and say why in the commit"
                );
                report.add(&file.path, first_line(file), what);
            }
            Some(n) if found > n => {
                let what =
                    format!("{found} `unsafe`, {n} allowed: find a way without, or raise LISTED and say why");
                report.add(&file.path, first_line(file), what);
            }
            Some(n) if found < n => {
                let what = format!(
                    "only {found} `unsafe` left: lower LISTED in xtask/src/tidy/unsafety.rs from {n}"
                );
                report.add(&file.path, 0, what);
            }
            _ => {}
        }
    }
    for (path, _) in LISTED.iter().filter(|(path, _)| tree.get(path).is_none()) {
        report.add(path, 0, "listed as unsafe but gone: remove it from LISTED in xtask/src/tidy/unsafety.rs");
    }
}

/// `unsafe { Runtime::start() }` and the builder's, however rustfmt breaks them.
fn starts(file: &File) -> usize {
    let code = file.code();
    let mut found = 0;
    for (i, line) in code.iter().enumerate() {
        let Some((_, rest)) = line.split_once("unsafe {") else { continue };
        let end = (i + 8).min(code.len());
        let block = std::iter::once(rest)
            .chain(code[i + 1..end].iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join(" ");
        let block = block.split('}').next().unwrap_or("");
        if block.contains("start()") && (block.contains("Runtime::") || block.contains("builder")) {
            found += 1;
        }
    }
    found
}

fn first_line(file: &File) -> usize {
    file.code().iter().position(|l| words(l).any(|w| w == "unsafe")).map_or(0, |i| i + 1)
}

/// `#![forbid(unsafe_code)]` where ARCHITECTURE.md promises it.
pub(super) fn forbidden_where_promised(tree: &Tree, report: &mut Report) {
    for path in FORBID {
        let Some(root) = tree.get(path) else { continue };
        if !root.code().iter().any(|l| l.trim() == "#![forbid(unsafe_code)]") {
            report.add(path, 1, "this crate promises to have no unsafe: add `#![forbid(unsafe_code)]`");
        }
    }
}

/// A file that allows itself unsafe code throughout says what it guarantees. (Where only single items are allowed to
/// have it, the compiler keeps the rest safe, and the comments at the blocks say all.)
pub(super) fn files_say_what_they_guarantee(tree: &Tree, report: &mut Report) {
    let ours = tree.rust().filter(|f| matches!(f.layer(), Some("sys" | "sched")) && !f.is_test());
    for file in ours.filter(|f| count(f) > 0) {
        let allowed = file.code().iter().any(|l| l.starts_with("#![") && l.contains("allow(unsafe_code)"));
        let mut module_docs = file.comments().iter().filter(|l| l.starts_with("//!"));
        if allowed && !module_docs.any(|l| l.trim_end() == "//! # Safety") {
            report.add(
                &file.path,
                1,
                "`#![allow(unsafe_code)]`, but the module docs lack `# Safety`: say what this file guarantees and \
                 relies on, or allow single items",
            );
        }
    }
}

/// Each unsafe block or impl has `// SAFETY:` just above or beside it; each unsafe fn or trait `# Safety`.
pub(super) fn blocks_say_why(tree: &Tree, report: &mut Report) {
    for file in tree.rust() {
        for (i, line) in file.code().iter().enumerate() {
            let Some((_, rest)) = line.split_once("unsafe ") else { continue };
            let rest = rest.trim_start();
            let declares = rest.starts_with("fn") || rest.starts_with("trait") || rest.starts_with("extern");
            // `unsafe fn(..)` is a type, not a declaration; clippy checks the public declarations' docs.
            if declares || !words(line).any(|w| w == "unsafe") {
                continue;
            }
            if !(rest.starts_with('{') || rest.starts_with("impl")) {
                continue;
            }
            if !comment_near(file, i, 8, "SAFETY:") {
                report.add(
                    &file.path,
                    i + 1,
                    "unsafe without `// SAFETY:` above it: name the fact and where it is established",
                );
            }
        }
    }
}

/// True if `what` stands in a comment on line `i` or in the `above` lines before it.
pub(super) fn comment_near(file: &File, i: usize, above: usize, what: &str) -> bool {
    file.comments()[i.saturating_sub(above)..=i].iter().any(|l| l.contains(what))
}
