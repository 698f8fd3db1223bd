//! `cargo xtask bench`: builds gopark's benchmark programs and its peers', runs them side by side, and judges.
//!
//! Every figure is a comparison made here and now: all contenders run in turn within each round, in an order that
//! rotates, and the medians over the rounds are compared. Single runs on a shared machine say nothing. The programs
//! themselves are in `benches/`, whose README explains the suites and the columns.

mod build;
mod child;
mod host;
mod load;
mod measure;
mod memory;
mod options;
mod report;
mod suites;
mod target;

use anyhow::{Result, bail};
use build::Programs;
use options::Options;

/// Runs the suites named in `args`, prints the tables, and writes the raw results.
///
/// # Errors
/// A wrong command line, a program that does not build, or a run that failed; what was measured until then is
/// reported first.
pub(crate) fn run(args: &[String]) -> Result<()> {
    if args.iter().any(|arg| matches!(arg.as_str(), "help" | "--help" | "-h")) {
        print!("{}", options::HELP);
        return Ok(());
    }
    let options = Options::parse(args)?;
    // The limit is inherited by every server and by the load, which holds 18,000 connections in suite idle.
    child::raise_descriptor_limit()?;
    let cpus = child::Cpus::of_this_machine()?;
    let host = host::describe(&cpus);
    println!("{host}");
    if let Some(warning) = host::busy_warning() {
        eprintln!("{warning}");
    }
    let programs = Programs::build(&options)?;
    let before = host::Usage::now();
    let mut bench = Bench { options, programs, cpus, failures: 0 };
    let mut cases = Vec::new();
    for suite in bench.options.suites.clone() {
        let done = suites::run(suite, &mut bench);
        print!("{}", report::text(&done));
        cases.extend(done);
    }
    let (others, warning) = host::Usage::now().others_since(&before);
    let (rounds, seconds) = (bench.options.rounds, bench.options.measure.as_secs_f64());
    let host = format!("{host}\nrounds   {rounds}, {seconds} s each\n{others}");
    report::write(&bench.options.out, &host, &cases)?;
    println!("\n{}\n{others}", report::summary(&cases));
    if let Some(warning) = warning {
        eprintln!("{warning}");
    }
    println!("written to {} and .csv beside it", bench.options.out.display());
    if bench.failures > 0 {
        bail!("{} runs failed; the notes under the tables say how", bench.failures);
    }
    Ok(())
}

/// What every suite needs: what to run, on which cores, how often and for how long.
struct Bench {
    options: Options,
    programs: Programs,
    cpus: child::Cpus,
    /// Runs that ended in an error; each left a note in its case.
    failures: usize,
}
