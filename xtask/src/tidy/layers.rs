//! Who may depend on whom: ARCHITECTURE.md's edges, read from the manifests.

use super::{Report, Tree};

/// The allowed edges between our crates; nothing else.
const EDGES: &[(&str, &[&str])] =
    &[("sys", &[]), ("poll", &["sys"]), ("sched", &["poll", "sys"]), ("net", &["sched", "poll", "sys"])];

/// Crates that only some layers may name: they bring the operating system or a machine word with them.
const CONFINED: &[(&str, &[&str])] = &[
    ("libc", &["sys"]),
    ("mio", &["sys"]),
    ("corosensei", &["sys"]),
    ("backtrace", &["sys"]),
    ("rustix", &["sys"]),
    ("nix", &["sys"]),
    ("socket2", &["sys", "net"]),
    ("crossbeam-deque", &["sched"]),
];

/// A dependency as a manifest writes it.
#[derive(Debug, PartialEq, Eq)]
struct Dependency {
    package: String,
    line: usize,
    dev: bool,
}

/// Edges between our crates.
pub(super) fn edges(tree: &Tree, report: &mut Report) {
    for (layer, allowed) in EDGES {
        let path = format!("crates/{layer}/Cargo.toml");
        let Some(manifest) = tree.get(&path) else { continue };
        for dep in dependencies(&manifest.text) {
            let Some(lower) = dep.package.strip_prefix("gopark-") else { continue };
            if !allowed.contains(&lower) {
                let what = format!(
                    "{layer} must not depend on {lower}: state the need as a trait in {layer} (or lower) and let \
                     the upper layer implement it; a new edge needs its own change and a line in ARCHITECTURE.md"
                );
                report.add(&path, dep.line, what);
            }
        }
    }
}

/// Crates from outside that belong to one layer.
pub(super) fn outside_crates(tree: &Tree, report: &mut Report) {
    for (layer, _) in EDGES {
        let path = format!("crates/{layer}/Cargo.toml");
        let Some(manifest) = tree.get(&path) else { continue };
        for dep in dependencies(&manifest.text) {
            let Some((name, owners)) = CONFINED.iter().find(|(name, _)| *name == dep.package) else {
                continue;
            };
            // A test may use the operating system to look at what the layer did.
            if !owners.contains(layer) && !dep.dev {
                let what = format!(
                    "{name} may be used in {} only: put a safe function into gopark-sys and call that",
                    owners.join(" and ")
                );
                report.add(&path, dep.line, what);
            }
        }
    }
}

/// What a manifest depends on, target tables and renames included. Reads the form our manifests have
/// (one dependency a line or a table), which `cargo` itself checks to be valid TOML.
fn dependencies(manifest: &str) -> Vec<Dependency> {
    let mut found: Vec<Dependency> = Vec::new();
    let mut table = String::new();
    for (i, line) in manifest.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("").trim();
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_end_matches(']').to_owned();
            if let Some((head, package)) = table.rsplit_once("dependencies.") {
                found.push(Dependency {
                    package: package.to_owned(),
                    line: i + 1,
                    dev: head.ends_with("dev-"),
                });
            }
            continue;
        }
        if table.contains("dependencies.") {
            if let (Some(("package", value)), Some(last)) = (key_value(line), found.last_mut()) {
                last.package = value.trim_matches('"').to_owned();
            }
        } else if table.ends_with("dependencies")
            && let Some((key, value)) = key_value(line)
        {
            let name = key.split('.').next().unwrap_or(key);
            let renamed = value.split_once("package = \"").and_then(|(_, rest)| rest.split('"').next());
            let package = renamed.unwrap_or(name).to_owned();
            found.push(Dependency { package, line: i + 1, dev: table.ends_with("dev-dependencies") });
        }
    }
    found
}

fn key_value(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    Some((key.trim(), value.trim()))
}

#[cfg(test)]
mod tests {
    use super::{Dependency, dependencies};

    #[test]
    fn every_way_to_write_a_dependency_is_read() {
        let text = "[package]\nname = \"x\"\n\
                    [dependencies]\na.workspace = true\nb = { version = \"1\", package = \"real\" }\n\
                    [target.'cfg(loom)'.dependencies]\nc = \"1\"\n\
                    [dev-dependencies.d]\nversion = \"1\"\npackage = \"e\"\n\
                    [lints]\nworkspace = true\n";
        let dep = |package: &str, line, dev| Dependency { package: package.to_owned(), line, dev };
        let want = vec![dep("a", 4, false), dep("real", 5, false), dep("c", 7, false), dep("e", 8, true)];
        assert_eq!(dependencies(text), want);
    }
}
