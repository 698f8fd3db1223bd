//! `cargo xtask tidy`: the rules of STYLE.md and ARCHITECTURE.md that a program can check.
//!
//! A rule is a function that reads [`Tree`] and reports [`Problem`]s; each message says what to do. The
//! same check runs as a test of this package, so `cargo test --workspace` covers it.

mod items;
mod layers;
mod lexer;
mod modules;
mod sizes;
mod unsafety;
mod words;

use crate::cmd;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// One text file of the repository.
struct File {
    /// From the root, with `/`.
    path: String,
    text: String,
    /// Filled for Rust files only; as many lines each as the text has.
    views: Option<lexer::Views>,
}

impl File {
    fn new(path: &str, text: String) -> File {
        let views = path.ends_with(".rs").then(|| lexer::split(&text));
        File { path: path.to_owned(), text, views }
    }

    /// Lines of code with comments and literals blanked; none for other files than Rust's.
    fn code(&self) -> &[String] {
        self.views.as_ref().map_or(&[], |v| &v.code)
    }

    /// Lines with comments alone.
    fn comments(&self) -> &[String] {
        self.views.as_ref().map_or(&[], |v| &v.comments)
    }

    fn is_rust(&self) -> bool {
        self.views.is_some()
    }

    /// Tests (a `tests` folder or a `tests.rs`), benchmarks and their peers.
    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs") || self.path.starts_with("benches/")
    }

    /// The layer the file belongs to, if it is that crate's own source.
    fn layer(&self) -> Option<&str> {
        let rest = self.path.strip_prefix("crates/")?;
        let (layer, rest) = rest.split_once('/')?;
        rest.starts_with("src/").then_some(layer)
    }
}

/// Everything a rule may look at.
struct Tree {
    files: Vec<File>,
}

impl Tree {
    fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|f| f.is_rust())
    }

    fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|f| f.path == path)
    }
}

/// One broken rule at one place.
#[derive(Debug, PartialEq, Eq)]
struct Problem {
    path: String,
    /// From 1; 0 if the whole file is meant.
    line: usize,
    what: String,
}

/// Where rules put what they find.
#[derive(Default)]
struct Report {
    problems: Vec<Problem>,
}

impl Report {
    fn add(&mut self, path: &str, line: usize, what: impl Into<String>) {
        self.problems.push(Problem { path: path.to_owned(), line, what: what.into() });
    }
}

const RULES: &[fn(&Tree, &mut Report)] = &[
    layers::edges,
    layers::outside_crates,
    modules::every_file_is_reachable,
    unsafety::only_in_listed_files,
    unsafety::forbidden_where_promised,
    unsafety::files_say_what_they_guarantee,
    unsafety::blocks_say_why,
    sizes::files,
    sizes::functions,
    sizes::width,
    words::whitespace,
    words::characters,
    words::left_for_later,
    words::thread_locals,
    words::sleeps_in_tests,
    words::strong_orderings,
    words::machine_paths,
    items::aliases_name_their_source,
    words::changelog,
];

/// `cargo xtask tidy`.
pub(crate) fn run(_args: &[String]) -> Result<()> {
    let tree = load(&cmd::root())?;
    let problems = check(&tree);
    for p in &problems {
        match p.line {
            0 => println!("{}: {}", p.path, p.what),
            line => println!("{}:{line}: {}", p.path, p.what),
        }
    }
    match problems.len() {
        0 => {
            println!("tidy: {} files follow {} rules", tree.files.len(), RULES.len());
            Ok(())
        }
        n => bail!("{n} problem(s), each with what to do, are listed above"),
    }
}

fn check(tree: &Tree) -> Vec<Problem> {
    let mut report = Report::default();
    for rule in RULES {
        rule(tree, &mut report);
    }
    report.problems.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    report.problems
}

/// The repository's text files: what git tracks or would track.
fn load(root: &Path) -> Result<Tree> {
    let mut files = Vec::new();
    for path in paths(root)? {
        const TEXT: &[&str] = &["rs", "md", "toml", "yml", "yaml", "sh", "py", "go", "mod", "lua"];
        let ext = path.rsplit_once('.').map_or("", |(_, ext)| ext);
        if !(TEXT.contains(&ext) || path == ".ci/run") {
            continue;
        }
        // A file git still lists but that was just deleted is no problem of style.
        let Ok(bytes) = std::fs::read(root.join(&path)) else { continue };
        let text = String::from_utf8(bytes).with_context(|| format!("{path} is not UTF-8"))?;
        files.push(File::new(&path, text));
    }
    Ok(Tree { files })
}

fn paths(root: &Path) -> Result<Vec<String>> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output();
    if let Ok(out) = listed
        && out.status.success()
    {
        let text = String::from_utf8(out.stdout).context("a file's name is not UTF-8")?;
        return Ok(text.lines().map(str::to_owned).collect());
    }
    // An unpacked archive without git: everything but build outputs.
    let mut found = Vec::new();
    walk(root, "", &mut found)?;
    Ok(found)
}

fn walk(root: &Path, prefix: &str, found: &mut Vec<String>) -> Result<()> {
    for entry in root.join(prefix).read_dir()? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        if entry.file_type()?.is_dir() {
            if name != "target" && name != ".git" {
                walk(root, &path, found)?;
            }
        } else {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
