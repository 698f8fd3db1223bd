//! Builds the load generator, the builds of gopark that were asked for, and the peers.

use super::options::{Options, Variant};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Which runtime a contender is; targets are set against kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A build of this repository: judged.
    Gopark,
    /// Another build of it, for comparison.
    Base,
    /// The limit: nothing but system calls.
    Epoll,
    Tokio,
    May,
    Go,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Gopark => "gopark",
            Kind::Base => "base",
            Kind::Epoll => "epoll",
            Kind::Tokio => "tokio",
            Kind::May => "may",
            Kind::Go => "go",
        }
    }
}

/// One runtime and its programs.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    pub(crate) kind: Kind,
    /// The name in the tables; several builds of gopark differ in it.
    pub(crate) name: String,
    pub(crate) echo: PathBuf,
    /// The micro suite; not every peer has one.
    pub(crate) micro: Option<PathBuf>,
    /// Many parked goroutines; not every peer has one.
    pub(crate) million: Option<PathBuf>,
    /// The operations of suite sched; not every peer has them, and none has all.
    pub(crate) sched: Option<PathBuf>,
    /// The operations of suite net; only who has goroutines has them.
    pub(crate) net: Option<PathBuf>,
}

/// Everything that was built.
pub(crate) struct Programs {
    pub(crate) load: PathBuf,
    pub(crate) contenders: Vec<Contender>,
}

impl Programs {
    /// Builds what the options ask for. A peer whose toolchain is missing is left out with a warning.
    ///
    /// # Errors
    /// Something of this repository, or a Rust peer, does not build.
    pub(crate) fn build(options: &Options) -> Result<Programs> {
        eprintln!("building (release) ...");
        let mut contenders = Vec::new();
        if options.wants("gopark") {
            for variant in &options.variants {
                contenders.push(gopark(variant)?);
            }
        }
        if let Some(base) = options.base.as_ref().filter(|_| options.wants("base")) {
            contenders.push(from_folder(Kind::Base, "base".to_owned(), base));
        }
        for kind in [Kind::Epoll, Kind::Tokio, Kind::May] {
            if options.wants(kind.name()) {
                contenders.push(rust_peer(kind)?);
            }
        }
        if options.wants("go") {
            match go_peer() {
                Ok(contender) => contenders.push(contender),
                Err(error) => eprintln!("warning: no comparison with Go: {error:#}"),
            }
        }
        if contenders.is_empty() {
            bail!("--only leaves no contender; it takes gopark, base, epoll, tokio, may, go");
        }
        let default = target().join("release");
        cargo(&["build", "--release", "--package", "gopark-benches", "--bin", "load"], &root(), "")?;
        Ok(Programs { load: default.join("load"), contenders })
    }
}

/// The repository's root, from where cargo built this program.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the repository").to_path_buf()
}

/// Cargo's target folder.
fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

fn gopark(variant: &Variant) -> Result<Contender> {
    let rustflags = variant.rustflags();
    let mut args = vec!["build", "--release", "--package", "gopark-benches", "--bins"];
    // Other flags get a folder of their own, so that they do not throw away the everyday build and each other.
    let folder = if rustflags.is_empty() { target() } else { target().join("bench").join(variant.name()) };
    let shown = folder.display().to_string();
    if !rustflags.is_empty() {
        args.extend(["--target-dir", &shown]);
    }
    cargo(&args, &root(), &rustflags)?;
    Ok(from_folder(Kind::Gopark, variant.name(), &folder.join("release")))
}

fn from_folder(kind: Kind, name: String, folder: &Path) -> Contender {
    Contender {
        kind,
        name,
        echo: folder.join("echo_gopark"),
        micro: Some(folder.join("micro_gopark")),
        million: Some(folder.join("million_gopark")),
        sched: Some(folder.join("sched_gopark")),
        net: Some(folder.join("net_gopark")),
    }
}

fn peers() -> PathBuf {
    root().join("benches/peers")
}

fn rust_peer(kind: Kind) -> Result<Contender> {
    let folder = target().join("peers");
    let shown = folder.display().to_string();
    let name = kind.name();
    cargo(&["build", "--release", "--locked", "--target-dir", &shown], &peers().join(name), "")?;
    let built = folder.join("release");
    let micro = (kind == Kind::Tokio).then(|| built.join("micro"));
    let sched = matches!(kind, Kind::Tokio | Kind::May).then(|| built.join(format!("sched_{name}")));
    Ok(Contender {
        kind,
        name: name.to_owned(),
        echo: built.join(format!("peer-{name}")),
        micro,
        million: None,
        sched,
        net: None,
    })
}

fn go_peer() -> Result<Contender> {
    let folder = target().join("peers/go");
    std::fs::create_dir_all(&folder)?;
    let mut command = Command::new("go");
    command.args(["build", "-o"]).arg(format!("{}/", folder.display())).arg("./...");
    // Nothing is to be fetched: the module has no dependencies and the toolchain at hand is the one to compare with.
    command.env("GOTOOLCHAIN", "local").env("GOFLAGS", "-mod=mod").current_dir(peers().join("go"));
    finish(command)?;
    Ok(Contender {
        kind: Kind::Go,
        name: "go".to_owned(),
        echo: folder.join("echo"),
        micro: Some(folder.join("micro")),
        million: Some(folder.join("million")),
        sched: Some(folder.join("sched")),
        net: Some(folder.join("net")),
    })
}

fn cargo(args: &[&str], folder: &Path, rustflags: &str) -> Result<()> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.arg(args[0]).arg("--quiet").args(&args[1..]).current_dir(folder);
    if !rustflags.is_empty() {
        let before = std::env::var("RUSTFLAGS").unwrap_or_default();
        command.env("RUSTFLAGS", format!("{before} {rustflags}").trim());
    }
    finish(command)
}

fn finish(mut command: Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(())
}
