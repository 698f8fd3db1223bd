//! Every check, in order, with timings. What passes here passes in CI: CI runs this and nothing else.

use crate::{cmd, fuzz, loom, peers, sim, tidy, tools};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// One check. All of them run even if an early one fails: one run then tells everything.
struct Step {
    name: &'static str,
    about: &'static str,
    run: fn() -> Result<()>,
}

const STEPS: &[Step] = &[
    Step { name: "tools", about: "rustfmt, clippy; curl, python3, go if at hand", run: tools::check },
    Step { name: "fmt", about: "cargo fmt --all --check", run: fmt },
    Step { name: "clippy", about: "cargo clippy --workspace --all-targets -- -D warnings", run: clippy },
    Step { name: "tidy", about: "cargo xtask tidy", run: || tidy::run(&[]) },
    Step { name: "test", about: "cargo test --workspace", run: test },
    Step { name: "peers", about: "cargo xtask peers", run: || peers::run(&[]) },
    Step { name: "epoll", about: "tests of poll and net with --cfg netpoll=\"epoll\"", run: epoll },
    Step { name: "deque", about: "tests of sched with --cfg runq=\"deque\"", run: deque },
    Step {
        name: "release",
        about: "thread-locals, stress, regressions, rustls, examples with --release (fat LTO)",
        run: release,
    },
    Step { name: "loom", about: "cargo xtask loom, with at most 2 preemptions", run: models },
    Step { name: "sim", about: "cargo xtask sim, with 30,000 schedules", run: schedules },
    Step { name: "fuzz", about: "cargo xtask fuzz: each parser for 12 s", run: fuzz::step },
    Step { name: "doc", about: "cargo doc --no-deps --workspace with -D warnings", run: doc },
];

/// A step that builds and runs tests may take this long before it counts as hung.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// `cargo xtask ci [--list | STEP...]`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    if args.iter().any(|a| a == "--list") {
        STEPS.iter().for_each(|s| println!("{:8} {}", s.name, s.about));
        return Ok(());
    }
    if let Some(unknown) = args.iter().find(|a| !STEPS.iter().any(|s| s.name == *a)) {
        bail!("no step `{unknown}`: `cargo xtask ci --list` names them");
    }
    let chosen: Vec<&Step> =
        STEPS.iter().filter(|s| args.is_empty() || args.iter().any(|a| a == s.name)).collect();
    let start = Instant::now();
    let mut rows = Vec::new();
    for (i, step) in chosen.iter().enumerate() {
        println!("\n==== [{}/{}] {}: {}", i + 1, chosen.len(), step.name, step.about);
        let begun = Instant::now();
        let outcome = (step.run)();
        let seconds = begun.elapsed().as_secs_f64();
        if let Err(e) = &outcome {
            println!("==== {} FAILED: {e:#}", step.name);
        }
        rows.push((step.name, seconds, outcome.is_ok()));
        // Without rustfmt and clippy the rest would pass or fail for the wrong reasons.
        if outcome.is_err() && step.name == "tools" {
            break;
        }
    }
    println!("\n==== all steps");
    for (name, seconds, ok) in &rows {
        println!("{:8} {seconds:7.1} s  {}", name, if *ok { "ok" } else { "FAILED" });
    }
    println!("{:8} {:7.1} s", "total", start.elapsed().as_secs_f64());
    if chosen.iter().any(|s| s.name == "test") {
        repeat_test_results()?;
    }
    let failed: Vec<&str> = rows.iter().filter(|r| !r.2).map(|r| r.0).collect();
    if failed.is_empty() {
        return Ok(());
    }
    bail!("failed: {} (again alone: cargo xtask ci {})", failed.join(", "), failed.join(" "))
}

fn fmt() -> Result<()> {
    let fix = "`cargo fmt --all` mends it";
    cmd::run(&mut cmd::cargo("fmt --all --check"), LIMIT, None).context(fix)
}

fn clippy() -> Result<()> {
    let command = format!("clippy --workspace{} --all-targets -- -D warnings", without_benches());
    cmd::run(&mut cmd::cargo(&command), LIMIT, None)
}

/// The benchmarks measure by what /proc says; elsewhere than on Linux they are left out, and it is said.
fn without_benches() -> &'static str {
    if cfg!(target_os = "linux") {
        return "";
    }
    println!("SKIPPED: gopark-benches, which is for Linux");
    " --exclude gopark-benches"
}

/// What the test runner printed in the `test` step.
fn test_log() -> PathBuf {
    cmd::target_dir("logs").join("test.log")
}

fn test() -> Result<()> {
    let command = format!("test --workspace{}", without_benches());
    cmd::run(&mut cmd::cargo(&command), LIMIT, Some(&test_log()))
}

/// The runner's own lines once more, last, so that nobody has to look for them above.
fn repeat_test_results() -> Result<()> {
    let path = test_log();
    let Ok(log) = std::fs::read_to_string(&path) else { return Ok(()) };
    println!("\n==== cargo test --workspace, its own lines");
    let (mut passed, mut failed) = (0u64, 0u64);
    for (suite, counts) in suites(&log) {
        println!("{suite}\ntest result: {counts}");
        passed += count_before(counts, " passed").unwrap_or(0);
        failed += count_before(counts, " failed").unwrap_or(0);
    }
    println!("{passed} passed, {failed} failed");
    Ok(())
}

/// What ran, each with the rest of its `test result:` line. A failed test may show the output of a test binary
/// that it started itself, so a suite's own result is the last one before the next suite.
fn suites(log: &str) -> Vec<(&str, &str)> {
    let mut found: Vec<(&str, Option<&str>)> = Vec::new();
    for line in log.lines() {
        let start = line.trim_start();
        if start.starts_with("Running ") || start.starts_with("Doc-tests ") {
            found.push((start, None));
        } else if let (Some(counts), Some(suite)) = (line.strip_prefix("test result: "), found.last_mut()) {
            suite.1 = Some(counts);
        }
    }
    found.into_iter().filter_map(|(suite, counts)| Some((suite, counts?))).collect()
}

/// The number in front of `word`: 12 in "ok. 12 passed; 0 failed".
fn count_before(line: &str, word: &str) -> Option<u64> {
    let (before, _) = line.split_once(word)?;
    before.rsplit(' ').next()?.parse().ok()
}

fn epoll() -> Result<()> {
    if !cfg!(target_os = "linux") {
        println!("SKIPPED: the epoll backend is Linux's; here the mio backend is the only one");
        return Ok(());
    }
    variant("epoll", "netpoll=\"epoll\"", "test -p gopark-poll -p gopark-net --tests")
}

fn deque() -> Result<()> {
    variant("deque", "runq=\"deque\"", "test -p gopark-sched --tests")
}

/// The tests `args` with another implementation behind a seam, in a target folder of their own.
fn variant(name: &str, cfg: &str, args: &str) -> Result<()> {
    let mut cmd = cmd::cargo(args);
    cmd.env("CARGO_TARGET_DIR", cmd::target_dir(name));
    cmd::add_rustflags(&mut cmd, &format!("--cfg {cfg}"));
    cmd::run(&mut cmd, LIMIT, None)
}

/// What only optimised, link-time-optimised code can show: a thread-local's address kept across a switch, races that
/// need speed; and the examples as a user runs them.
fn release() -> Result<()> {
    const TESTS: [(&str, &[&str]); 4] = [
        ("sys", &["tls_across_switch"]),
        ("sched", &["tls_across_switch", "stress"]),
        ("net", &["regressions", "rustls"]),
        ("examples", &["examples"]),
    ];
    for (package, tests) in TESTS {
        println!("-- {package}: {}", tests.join(", "));
        let mut cmd = cmd::cargo("test --release");
        cmd.args(["-p", &format!("gopark-{package}")]);
        for test in tests {
            cmd.args(["--test", test]);
        }
        cmd::run(&mut cmd, LIMIT, None)?;
    }
    Ok(())
}

/// At most two forced switches, since three take ten times as long (measured: 31 s and 310 s); `cargo xtask loom`
/// alone goes as far as each model asks.
fn models() -> Result<()> {
    loom::run_bounded(&[], Some(2))
}

/// Enough to find what is broken thoroughly; `cargo xtask sim` alone looks longer.
fn schedules() -> Result<()> {
    sim::run_schedules(sim::SCHEDULES_IN_CI, 1, None, None)
}

fn doc() -> Result<()> {
    let mut cmd = cmd::cargo(&format!("doc --no-deps --workspace{}", without_benches()));
    let flags = std::env::var("RUSTDOCFLAGS").unwrap_or_default();
    cmd.env("RUSTDOCFLAGS", format!("{flags} -D warnings").trim());
    cmd::run(&mut cmd, LIMIT, None)
}

#[cfg(test)]
mod tests {
    use super::{count_before, suites};

    #[test]
    fn a_suites_own_result_is_its_last() {
        let log = "     Running unittests a\ntest result: FAILED. 1 passed;\n\
                   test result: FAILED. 2 passed;\n\
                   Doc-tests b\n     Running c\ntest result: ok. 3 passed;\n";
        let want = [("Running unittests a", "FAILED. 2 passed;"), ("Running c", "ok. 3 passed;")];
        assert_eq!(suites(log), want);
    }

    #[test]
    fn the_counts_are_read_from_the_runners_line() {
        let line = "ok. 12 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(count_before(line, " passed"), Some(12));
        assert_eq!(count_before(line, " failed"), Some(3));
        assert_eq!(count_before("no counts here", " passed"), None);
    }
}
