//! Dead files: every Rust file must be reachable from a crate's root by `mod`, `#[path]` or `include!`.

use super::{File, Report, Tree};
use std::collections::BTreeSet;

/// Reports the files that no crate compiles.
pub(super) fn every_file_is_reachable(tree: &Tree, report: &mut Report) {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&File> = tree.rust().filter(|f| is_root(tree, &f.path)).collect();
    while let Some(file) = open.pop() {
        if reached.insert(file.path.as_str()) {
            open.extend(children(file, is_root(tree, &file.path)).iter().filter_map(|p| tree.get(p)));
        }
    }
    for file in tree.rust().filter(|f| !reached.contains(f.path.as_str())) {
        report.add(
            &file.path,
            0,
            "no `mod` leads here, so nothing compiles it: add the `mod` or delete the file",
        );
    }
}

/// Files that cargo finds by itself, or that a manifest names by `path = "..."`.
fn is_root(tree: &Tree, path: &str) -> bool {
    let manifests = tree.files.iter().filter_map(|f| Some((f.path.strip_suffix("Cargo.toml")?, f)));
    let Some((dir, manifest)) =
        manifests.filter(|(dir, _)| path.starts_with(dir)).max_by_key(|(dir, _)| dir.len())
    else {
        return false;
    };
    let inside = &path[dir.len()..];
    let parts: Vec<&str> = inside.split('/').collect();
    match parts.as_slice() {
        ["build.rs"] | ["src", "lib.rs" | "main.rs"] => true,
        ["src", "bin", _] | ["tests" | "benches" | "examples", _] => true,
        ["src", "bin", _, "main.rs"] | ["tests" | "benches" | "examples", _, "main.rs"] => true,
        _ => manifest.text.contains(&format!("path = \"{inside}\"")),
    }
}

/// The files that `file` pulls in, as paths from the root; some may not exist.
fn children(file: &File, is_root: bool) -> Vec<String> {
    let (dir, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let own = if is_root || name == "mod.rs" {
        dir.to_owned()
    } else {
        format!("{dir}/{}", name.trim_end_matches(".rs"))
    };
    let mut found = Vec::new();
    let lines: Vec<&str> = file.text.lines().collect();
    for (i, code) in file.code().iter().enumerate() {
        let line = code.trim();
        if let Some(included) = line.contains("include!(").then(|| quoted(lines[i])).flatten() {
            found.push(join(dir, included));
        }
        let Some(module) = module_declared(line) else { continue };
        // Attributes stand on the same line or just above.
        let attributes = lines[..=i].iter().rev().take_while(|l| is_attribute_or_mod(l));
        if let Some(path) =
            attributes.filter(|l| l.contains("path =")).find_map(|l| quoted_after(l, "path ="))
        {
            found.push(join(dir, path));
        }
        found.push(format!("{own}/{module}.rs"));
        found.push(format!("{own}/{module}/mod.rs"));
    }
    found
}

fn is_attribute_or_mod(line: &str) -> bool {
    let line = line.trim();
    line.starts_with("#[") || line.starts_with("//") || module_declared(line).is_some()
}

/// The name in `mod name;`, whatever stands before `mod`.
fn module_declared(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once("mod ")?;
    let whole_word = before.is_empty() || before.ends_with([' ', ']', ')']);
    let name = rest.split_once(';')?.0.trim();
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    (whole_word && is_name).then_some(name)
}

fn quoted(line: &str) -> Option<&str> {
    line.split('"').nth(1)
}

fn quoted_after<'a>(line: &'a str, what: &str) -> Option<&'a str> {
    quoted(line.split_once(what)?.1)
}

/// `dir/relative` with `..` resolved.
fn join(dir: &str, relative: &str) -> String {
    let mut parts: Vec<&str> = dir.split('/').filter(|p| !p.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::{join, module_declared};

    #[test]
    fn module_lines_are_recognised() {
        assert_eq!(module_declared("pub(crate) mod fd_unix;"), Some("fd_unix"));
        assert_eq!(module_declared("mod tests;"), Some("tests"));
        assert_eq!(module_declared("#[cfg(test)] mod tests;"), Some("tests"));
        assert_eq!(module_declared("mod inline {"), None);
        assert_eq!(module_declared("let commod = 1;"), None);
    }

    #[test]
    fn relative_paths_are_resolved() {
        assert_eq!(join("crates/x/tests", "../../common/util.rs"), "crates/common/util.rs");
    }
}
