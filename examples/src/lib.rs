//! What the example programs share: a small flag parser, logging, and waiting for a signal to stop.

pub mod flags;
pub mod log;
pub mod ported;
pub mod resp;
pub mod stop;

/// The program in README.md is compiled as a test of this crate's documentation.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

use flags::Flags;
use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

/// Runs a program's body. `--help` prints `help` and succeeds; an error becomes one line on standard error and
/// exit status 1.
pub fn main(name: &str, help: &str, body: fn(Flags) -> Result<(), Box<dyn Error>>) -> ExitCode {
    let words: Vec<String> = match std::env::args_os().skip(1).map(|w| w.into_string()).collect() {
        Ok(words) => words,
        Err(word) => return refuse(name, &format!("{word:?} is not UTF-8")),
    };
    if words.iter().any(|w| w == "--help" || w == "-h") {
        // A reader that has gone away is no reason to panic, as `print!` would.
        let _ = std::io::stdout().write_all(help.as_bytes());
        return ExitCode::SUCCESS;
    }
    match body(Flags::new(words)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => refuse(name, &e.to_string()),
    }
}

fn refuse(name: &str, message: &str) -> ExitCode {
    eprintln!("{name}: {}", message.replace('\n', " "));
    ExitCode::FAILURE
}
