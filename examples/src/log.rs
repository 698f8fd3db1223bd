//! Logging through tracing, to standard error, so that standard output stays for what programs read.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts logging: at `info`, or `warn` if quiet; `RUST_LOG` wins.
pub fn start(quiet: bool) {
    let default = if quiet { "warn" } else { "info" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}
