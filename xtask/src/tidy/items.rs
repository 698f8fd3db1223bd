//! Rules about items: a search alias must say where its name comes from.

use super::{File, Report, Tree};

/// An item with `#[doc(alias = ...)]` ends its docs with `Go: file name` (or, for a system call, a man page
/// or an RFC): the alias is for those who know the other name, the line tells where to read on.
pub(super) fn aliases_name_their_source(tree: &Tree, report: &mut Report) {
    const SOURCES: &[&str] = &["Go:", "Go's", "(2)", "(3)", "(7)", "RFC "];
    for file in tree.rust() {
        for (i, line) in file.code().iter().enumerate() {
            if !line.trim_start().starts_with("#[doc(alias") {
                continue;
            }
            let (from, to) = docs_around(file, i);
            let docs = &file.comments()[from..=to];
            if !docs.iter().any(|l| SOURCES.iter().any(|s| l.contains(s))) {
                report.add(
                    &file.path,
                    i + 1,
                    "doc(alias) without its source: end the docs with `Go: runtime/proc.go name`",
                );
            }
        }
    }
}

/// The lines of comment and attribute that touch line `i`.
fn docs_around(file: &File, i: usize) -> (usize, usize) {
    let belongs = |at: usize| {
        let code = file.code()[at].trim();
        let comment = file.comments()[at].trim();
        code.starts_with("#[") || (code.is_empty() && comment.starts_with("//"))
    };
    let mut from = i;
    while from > 0 && belongs(from - 1) {
        from -= 1;
    }
    let mut to = i;
    while to + 1 < file.code().len() && belongs(to + 1) {
        to += 1;
    }
    (from, to)
}
