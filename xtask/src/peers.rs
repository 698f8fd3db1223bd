//! The examples against programs that we did not write: curl, nginx, redis-benchmark, openssl, dnsmasq; and over a link
//! that loses and delays packets. What is not installed, or not permitted, is named and skipped.

mod child;
mod inside;
mod link;
mod names;
mod plain;

use crate::cmd;
use anyhow::{Context, Result, bail};
use child::find;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// One thing to try with others' programs.
struct Check {
    name: &'static str,
    /// Programs, and the packages of Debian that have them.
    needs: &'static [(&'static str, &'static str)],
    /// Whether it runs in network namespaces of its own.
    place: Place,
    run: fn(&Examples) -> Result<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// On the loopback.
    Here,
    /// In namespaces of its own: [`inside`].
    Namespace,
}

const CURL: (&str, &str) = ("curl", "curl");
const OPENSSL: (&str, &str) = ("openssl", "openssl");
const IP: (&str, &str) = ("ip", "iproute2");
const UNSHARE: (&str, &str) = ("unshare", "util-linux");

const CHECKS: &[Check] = &[
    Check { name: "curl", needs: &[CURL], place: Place::Here, run: plain::curl },
    Check { name: "nginx", needs: &[CURL, ("nginx", "nginx-light")], place: Place::Here, run: plain::nginx },
    Check {
        name: "redis",
        needs: &[("redis-benchmark", "redis-tools"), ("redis-cli", "redis-tools")],
        place: Place::Here,
        run: plain::redis,
    },
    Check { name: "openssl", needs: &[OPENSSL], place: Place::Here, run: plain::openssl },
    Check {
        name: "names",
        needs: &[("dnsmasq", "dnsmasq-base"), IP, UNSHARE],
        place: Place::Namespace,
        run: names::dnsmasq,
    },
    Check { name: "link", needs: &[CURL, IP, UNSHARE], place: Place::Namespace, run: link::lossy },
];

/// Set for the run inside namespaces: the name of the one check to make there.
const INSIDE: &str = "--inside";
/// The longest a check in a namespace may take.
const LIMIT: Duration = Duration::from_secs(180);

/// The example programs, built, and a folder for files.
struct Examples {
    bin: PathBuf,
    scratch: PathBuf,
}

impl Examples {
    /// They lie beside this program, which cargo built into the same folder.
    fn find() -> Result<Examples> {
        let this = std::env::current_exe().context("where is this program?")?;
        let bin = this.parent().context("a program lies in a folder")?.to_owned();
        let scratch = cmd::target_dir("peers");
        std::fs::create_dir_all(&scratch).with_context(|| format!("create {}", scratch.display()))?;
        Ok(Examples { bin, scratch })
    }

    fn path(&self, name: &str) -> String {
        self.bin.join(name).to_string_lossy().into_owned()
    }

    /// A file of a check's own.
    fn file(&self, name: &str) -> String {
        self.scratch.join(name).to_string_lossy().into_owned()
    }
}

enum Outcome {
    Passed(String),
    Skipped(String),
    Failed(String),
}

/// `cargo xtask peers [--list | CHECK...]`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    if let [word, name] = args
        && word == INSIDE
    {
        return inside::enter(check(name)?);
    }
    if args.iter().any(|a| a == "--list") {
        CHECKS.iter().for_each(|c| println!("{:8} with {}", c.name, c.programs().join(", ")));
        return Ok(());
    }
    let chosen = match args {
        [] => CHECKS.iter().collect(),
        names => names.iter().map(|name| check(name)).collect::<Result<Vec<_>>>()?,
    };
    cmd::run(&mut cmd::cargo("build -p gopark-examples --bins"), Duration::from_secs(900), None)?;
    let examples = Examples::find()?;
    let mut rows = Vec::new();
    for check in chosen {
        let begun = Instant::now();
        let outcome = try_it(check, &examples);
        let seconds = begun.elapsed().as_secs_f64();
        match &outcome {
            Outcome::Passed(what) => println!("{:8} {seconds:5.1} s  ok: {what}", check.name),
            Outcome::Skipped(why) => println!("{:8}          SKIPPED: {why}", check.name),
            Outcome::Failed(why) => println!("{:8} {seconds:5.1} s  FAILED: {why}", check.name),
        }
        rows.push((check.name, outcome));
    }
    summary(&rows)
}

/// What was skipped is said once more at the end, where it is read.
fn summary(rows: &[(&str, Outcome)]) -> Result<()> {
    let of = |wanted: fn(&Outcome) -> bool| -> Vec<&str> {
        rows.iter().filter(|(_, outcome)| wanted(outcome)).map(|(name, _)| *name).collect()
    };
    let passed = of(|o| matches!(o, Outcome::Passed(_)));
    let skipped = of(|o| matches!(o, Outcome::Skipped(_)));
    let failed = of(|o| matches!(o, Outcome::Failed(_)));
    println!("real peers: {} passed, {} failed, {} skipped", passed.len(), failed.len(), skipped.len());
    if !skipped.is_empty() {
        println!("NOT TRIED: {} (the lines above say what to install)", skipped.join(", "));
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!("failed: {} (again alone: cargo xtask peers {})", failed.join(", "), failed.join(" "))
}

fn check(name: &str) -> Result<&'static Check> {
    let found = CHECKS.iter().find(|check| check.name == name);
    found.with_context(|| format!("no check `{name}`: `cargo xtask peers --list` names them"))
}

fn try_it(check: &Check, examples: &Examples) -> Outcome {
    let missing: Vec<_> = check.needs.iter().filter(|(program, _)| find(program).is_none()).collect();
    if !missing.is_empty() {
        let programs: Vec<_> = missing.iter().map(|(program, _)| *program).collect();
        let packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
        return Outcome::Skipped(format!(
            "{} missing (Debian: apt-get install {})",
            programs.join(" and "),
            packages.join(" ")
        ));
    }
    let outcome = match check.place {
        Place::Here => (check.run)(examples),
        Place::Namespace => match inside::not_permitted() {
            Some(why) => return Outcome::Skipped(why),
            None => inside::run(check),
        },
    };
    match outcome {
        Ok(what) => Outcome::Passed(what),
        Err(e) => Outcome::Failed(format!("{e:#}")),
    }
}

impl Check {
    fn programs(&self) -> Vec<&str> {
        self.needs.iter().map(|(program, _)| *program).collect()
    }
}
