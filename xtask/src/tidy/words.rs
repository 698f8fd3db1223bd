//! Rules about single lines: words, characters, comments that must stand beside something.

use super::{Report, Tree};

/// No tabs (but in Go, where gofmt wants them), no trailing blanks, Unix line ends, a final newline.
pub(super) fn whitespace(tree: &Tree, report: &mut Report) {
    for file in &tree.files {
        let tabs_allowed = file.path.ends_with(".go") || file.path.ends_with("go.mod");
        for (i, line) in file.text.split('\n').enumerate() {
            if line.ends_with('\r') {
                report.add(&file.path, i + 1, "a carriage return: save the file with Unix line ends");
            } else if line.ends_with([' ', '\t']) {
                report.add(&file.path, i + 1, "blanks at the end of the line: delete them");
            } else if !tabs_allowed && line.contains('\t') {
                report.add(&file.path, i + 1, "a tab: use spaces (in a string, write \\t)");
            }
        }
        if !file.text.is_empty() && (!file.text.ends_with('\n') || file.text.ends_with("\n\n")) {
            report.add(&file.path, 0, "a file ends with exactly one newline");
        }
    }
}

/// Beside ASCII: arrows, comparison and micro signs, accents, the section sign, and boxes for drawings.
const PLAIN: &str = "→←↔↑↓⇒≤≥≠≈×÷±µ·°½…§✓";

/// No invisible, look-alike or typographic characters: a search must find what a reader sees.
pub(super) fn characters(tree: &Tree, report: &mut Report) {
    let plain = |c: char| {
        c.is_ascii()
            || PLAIN.contains(c)
            || ('\u{c0}'..='\u{17f}').contains(&c)
            || ('\u{2500}'..='\u{257f}').contains(&c)
    };
    for file in &tree.files {
        for (i, line) in file.text.lines().enumerate() {
            if let Some(odd) =
                line.chars().find(|c| !plain(*c) || (c.is_ascii_control() && *c != '\t' && *c != '\r'))
            {
                let what = format!(
                    "the character {} is not plain: write it in ASCII (in a string, escape it)",
                    odd.escape_unicode()
                );
                report.add(&file.path, i + 1, what);
            }
        }
    }
}

/// What says "later": a merged change is finished, and what is not goes to the issue tracker.
pub(super) fn left_for_later(tree: &Tree, report: &mut Report) {
    for file in tree.rust() {
        for (i, line) in file.code().iter().enumerate() {
            for word in ["todo!(", "unimplemented!(", "dbg!(", "#[ignore"] {
                if line.contains(word) {
                    report.add(
                        &file.path,
                        i + 1,
                        format!("`{word}`: finish it, or take it out and file an issue"),
                    );
                }
            }
        }
        for (i, line) in file.comments().iter().enumerate() {
            for word in ["TODO", "FIXME", "XXX", "HACK"] {
                if line.split(|c: char| !c.is_alphanumeric()).any(|w| w == word) {
                    report.add(
                        &file.path,
                        i + 1,
                        format!("`{word}`: finish it, or take it out and file an issue"),
                    );
                }
            }
        }
    }
}

/// The one module that may hold a thread-local.
const THREAD_LOCALS: &str = "crates/sys/src/tls.rs";

/// A goroutine may wake on another thread, and the compiler may keep a thread-local's address across
/// the switch: hence one word, in one module, behind one function that is never inlined.
pub(super) fn thread_locals(tree: &Tree, report: &mut Report) {
    for file in tree.rust().filter(|f| f.path != THREAD_LOCALS && !f.path.starts_with("benches/peers/")) {
        // Tests of the hazard itself need one.
        if file.path.ends_with("/tls_across_switch.rs") {
            continue;
        }
        for (i, line) in file.code().iter().enumerate() {
            if line.contains("thread_local!") || line.contains("#[thread_local]") {
                let what = format!(
                    "thread-locals live in {THREAD_LOCALS} only: keep the value in the M, the P or the G"
                );
                report.add(&file.path, i + 1, what);
            }
        }
    }
}

/// Stands on the sleep's line, or above it; in a file's module docs it holds for all of the file.
const SLEEP_EXCUSE: &str = "not for ordering:";

/// A sleep that orders events makes a test that fails on a busy machine.
pub(super) fn sleeps_in_tests(tree: &Tree, report: &mut Report) {
    for file in tree.rust().filter(|f| f.is_test() && !f.path.starts_with("benches/")) {
        if file.comments().iter().any(|l| l.starts_with("//!") && l.contains(SLEEP_EXCUSE)) {
            continue;
        }
        for (i, line) in file.code().iter().enumerate() {
            // Without an argument it is a note's, which sleeps until the event itself.
            let timed = line.replace("sleep()", "");
            // In sched's tests the scheduler's own sleep is one of the things that are tested.
            let call = if file.path.starts_with("crates/sched/") { "thread::sleep(" } else { "sleep(" };
            let sleeps = timed.contains(call) && !timed.contains("fn ") && !timed.contains("use ");
            let excused = file.comments()[i].contains(SLEEP_EXCUSE)
                || (i > 0 && file.comments()[i - 1].contains(SLEEP_EXCUSE));
            if sleeps && !excused {
                let what = format!(
                    "a sleep in a test: wait for the event itself, or say `// {SLEEP_EXCUSE} what it is for`"
                );
                report.add(&file.path, i + 1, what);
            }
        }
    }
}

/// An ordering stronger than relaxed is there because of another thread's operation: the comment names it.
pub(super) fn strong_orderings(tree: &Tree, report: &mut Report) {
    const STRONG: [&str; 4] = ["Acquire", "Release", "AcqRel", "SeqCst"];
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    for file in tree.rust().filter(|f| f.layer().is_some() && !f.is_test()) {
        let mut importing = false;
        for (i, line) in file.code().iter().enumerate() {
            let start = line.trim_start();
            importing |= start.starts_with("use ") || start.starts_with("pub use ");
            let import = importing;
            importing &= !line.contains(';');
            let Some(ordering) = line.split(|c| !is_word(c)).find(|w| STRONG.contains(w)) else { continue };
            let near = &file.comments()[i.saturating_sub(6)..=i];
            if !import && near.iter().all(|l| l.trim().is_empty()) {
                let what =
                    format!("{ordering} without a comment within 6 lines: name the operation it pairs with");
                report.add(&file.path, i + 1, what);
            }
        }
    }
}

/// Paths that exist on one machine only.
pub(super) fn machine_paths(tree: &Tree, report: &mut Report) {
    // Put together here so that this file does not contain them.
    let paths = [concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/")];
    for file in &tree.files {
        for (i, line) in file.text.lines().enumerate() {
            if let Some(path) = paths.iter().find(|p| line.contains(**p)) {
                report.add(
                    &file.path,
                    i + 1,
                    format!("`{path}` is one machine's path: make it relative to the repository"),
                );
            }
        }
    }
}

/// Users read the changelog: it must have a place for the next line.
pub(super) fn changelog(tree: &Tree, report: &mut Report) {
    let Some(log) = tree.get("CHANGELOG.md") else {
        report.add(
            "CHANGELOG.md",
            0,
            "missing: start it with a section `## [Unreleased]` (keepachangelog.com)",
        );
        return;
    };
    if !log.text.lines().any(|l| l.starts_with("## [Unreleased]")) {
        report.add("CHANGELOG.md", 0, "no section `## [Unreleased]`: add it above the newest release");
    }
}
