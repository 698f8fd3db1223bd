//! The fuzz targets of `crates/net/fuzz`: coverage-guided, with a stable compiler.
//!
//! cargo-fuzz wants a nightly one, for the sanitizers. Rust without `unsafe` gains little from those, and the
//! instrumentation that guides libFuzzer is a pass of LLVM that a stable compiler can be told to run.

use crate::{cmd, tools};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::time::Duration;

/// For each target, unless it is said otherwise; in CI as well.
const SECONDS: u64 = 12;
/// To build, or beyond the time that was asked for.
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// What cargo-fuzz passes, without sanitizers.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// `cargo xtask fuzz [TARGET...] [--seconds N]`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let (mut seconds, mut chosen) = (SECONDS, Vec::new());
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => {
                let value = words.next().context("--seconds needs a value")?;
                seconds = value.parse().context("--seconds takes a number")?;
            }
            option if option.starts_with('-') => bail!("no option `{option}`: --seconds N is there"),
            target => chosen.push(target),
        }
    }
    let targets = targets()?;
    if let Some(unknown) = chosen.iter().find(|name| !targets.iter().any(|target| target == *name)) {
        bail!("no target `{unknown}`: there are {}", targets.join(", "));
    }
    build()?;
    for target in targets.iter().filter(|target| chosen.is_empty() || chosen.contains(&target.as_str())) {
        fuzz(target, seconds)?;
    }
    Ok(())
}

/// The step of CI: where libFuzzer cannot be built, that is said, and the corpora run as tests alone.
pub(crate) fn step() -> Result<()> {
    if tools::has_cxx() {
        return run(&[]);
    }
    println!("SKIPPED: fuzzing, for want of a C++ compiler (Debian: g++); the corpora ran with the tests");
    Ok(())
}

fn folder() -> PathBuf {
    cmd::root().join("crates/net/fuzz")
}

fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for file in std::fs::read_dir(folder().join("fuzz_targets")).context("list the targets")? {
        let path = file?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

fn build() -> Result<()> {
    let mut command = cmd::cargo("build --release --bins");
    command.current_dir(folder()).env("CARGO_TARGET_DIR", cmd::target_dir("fuzz"));
    cmd::add_rustflags(&mut command, FLAGS);
    // With a target named, the flags are not for build scripts, which have no libFuzzer to call.
    command.arg("--target").arg(host()?);
    cmd::run(&mut command, LIMIT, None)
}

/// The triple that this compiler builds for.
fn host() -> Result<String> {
    let told = std::process::Command::new("rustc").arg("-vV").output().context("start rustc")?;
    let told = String::from_utf8(told.stdout)?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}

/// New inputs go to a folder of the build, so that a run leaves the repository as it is; an input that fails is named
/// by libFuzzer and stays there too.
fn fuzz(target: &str, seconds: u64) -> Result<()> {
    let found = cmd::target_dir("fuzz").join("found").join(target);
    std::fs::create_dir_all(&found)?;
    let binary = cmd::target_dir("fuzz").join(host()?).join("release").join(target);
    let mut command = std::process::Command::new(binary);
    command.arg(&found).arg(folder().join("corpus").join(target)).current_dir(folder());
    command.arg(format!("-max_total_time={seconds}")).arg("-timeout=10").arg("-rss_limit_mb=512");
    command
        .arg(format!("-artifact_prefix={}/", found.display()))
        .arg("-verbosity=0")
        .arg("-print_final_stats=1");
    let again = || format!("fuzz target {target}: the last lines name the input; keep it in its corpus");
    cmd::run(&mut command, LIMIT + Duration::from_secs(seconds), None).with_context(again)
}
