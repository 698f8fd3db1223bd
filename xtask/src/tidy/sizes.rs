//! Lengths: of files, functions and lines.

use super::{File, Report, Tree};

const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;
/// rustfmt breaks code at 110; strings and comments it leaves alone.
const LINE_WIDTH_MAX: usize = 120;

/// Longer files, each with a reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// Longer functions (file, name), each with a reason.
const LONG_FUNCTIONS: &[(&str, &str, &str)] = &[];

/// Files of at most 800 lines.
pub(super) fn files(tree: &Tree, report: &mut Report) {
    for file in tree.rust() {
        let lines = file.text.lines().count();
        let listed = LONG_FILES.iter().any(|(path, _)| *path == file.path);
        match (lines > FILE_LINES_MAX, listed) {
            (true, false) => {
                let what = format!(
                    "{lines} lines, {FILE_LINES_MAX} at most: one concept a file; move one of them out"
                );
                report.add(&file.path, 0, what);
            }
            (false, true) => {
                report.add(&file.path, 0, "short enough now: remove it from LONG_FILES in tidy/sizes.rs")
            }
            _ => {}
        }
    }
}

/// Functions of at most 70 lines, signature and braces included.
pub(super) fn functions(tree: &Tree, report: &mut Report) {
    let mut used = vec![false; LONG_FUNCTIONS.len()];
    for file in tree.rust().filter(|f| !f.path.starts_with("benches/peers/")) {
        for f in functions_of(file).iter().filter(|f| f.lines > FUNCTION_LINES_MAX) {
            let listed =
                LONG_FUNCTIONS.iter().position(|(path, name, _)| *path == file.path && *name == f.name);
            match listed {
                Some(i) => used[i] = true,
                None => {
                    let what = format!(
                        "`{}` has {} lines, {FUNCTION_LINES_MAX} at most: give its parts names, or list it in \
                         tidy/sizes.rs with a reason",
                        f.name, f.lines
                    );
                    report.add(&file.path, f.line, what);
                }
            }
        }
    }
    for ((path, name, _), _) in LONG_FUNCTIONS.iter().zip(used).filter(|(_, used)| !used) {
        report.add(
            path,
            0,
            format!("`{name}` is short enough now: remove it from LONG_FUNCTIONS in tidy/sizes.rs"),
        );
    }
}

struct Function {
    name: String,
    /// From 1.
    line: usize,
    lines: usize,
}

/// The functions with a body, found by counting braces in the code view.
fn functions_of(file: &File) -> Vec<Function> {
    let mut done = Vec::new();
    // Functions whose closing brace is still to come, with the depth outside their body.
    let mut open: Vec<(Function, usize)> = Vec::new();
    let mut waiting: Option<Function> = None;
    let (mut depth, mut brackets) = (0usize, 0usize);
    for (i, line) in file.code().iter().enumerate() {
        let starts = function_names(line);
        let mut starts = starts.iter().peekable();
        for (at, c) in line.char_indices() {
            if starts.peek().is_some_and(|(pos, _)| *pos == at) {
                let (_, name) = starts.next().expect("just peeked");
                waiting = Some(Function { name: name.clone(), line: i + 1, lines: 0 });
            }
            match c {
                '(' | '[' => brackets += 1,
                ')' | ']' => brackets = brackets.saturating_sub(1),
                // A declaration in a trait has no body; `;` inside an array type ends nothing.
                ';' if brackets == 0 => waiting = None,
                '{' => {
                    if let Some(f) = waiting.take() {
                        open.push((f, depth));
                    }
                    depth += 1;
                }
                '}' => {
                    depth = depth.saturating_sub(1);
                    if open.last().is_some_and(|(_, outside)| *outside == depth) {
                        let (mut f, _) = open.pop().expect("just looked at");
                        f.lines = i + 2 - f.line;
                        done.push(f);
                    }
                }
                _ => {}
            }
        }
    }
    done
}

/// Where `fn NAME` stands in a line of code.
fn function_names(line: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices("fn ") {
        let whole_word = line[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_');
        let name: String = line[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if whole_word && !name.is_empty() {
            found.push((at, name));
        }
    }
    found
}

/// Lines of at most 120 columns in source and configuration.
pub(super) fn width(tree: &Tree, report: &mut Report) {
    for file in tree.files.iter().filter(|f| !f.path.ends_with(".md") && !f.path.ends_with(".go")) {
        for (i, line) in file.text.lines().enumerate() {
            let columns = line.chars().count();
            // An address cannot be broken, nor can a row of a table in documentation.
            let whole = line.contains("https://")
                || line.trim_start().trim_start_matches(['/', '!']).starts_with(" |");
            if columns > LINE_WIDTH_MAX && !whole {
                report.add(
                    &file.path,
                    i + 1,
                    format!("{columns} columns, {LINE_WIDTH_MAX} at most: break the line"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{File, functions_of};

    #[test]
    fn functions_are_measured_by_their_braces() {
        let text = "trait T {\n    fn declared(&self, a: [u8; 4]);\n}\n\
                    fn outer(f: fn(u8)) {\n    fn inner() {}\n    let s = \"}\";\n}\n";
        let file = File::new("a.rs", text.to_owned());
        let found: Vec<(String, usize, usize)> =
            functions_of(&file).into_iter().map(|f| (f.name, f.line, f.lines)).collect();
        assert_eq!(found, vec![("inner".to_owned(), 5, 1), ("outer".to_owned(), 4, 4)]);
    }
}
